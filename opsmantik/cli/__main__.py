"""``python -m opsmantik.cli``: how the supervisor starts its children, wherever the program is installed."""

from opsmantik.cli import main

main()
