"""Writes the parts of the documentation that are made from the code: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from opsmantik import settings
from opsmantik.web.openapi import document

HERE = Path(__file__).parent


def openapi() -> str:
    return (
        msgspec.json.format(msgspec.json.encode(document(), order="deterministic"), indent=2).decode() + "\n"
    )


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable; empty is not set. Written from `opsmantik/settings.py` by `make docs`.",
        "",
        "| Variable | Default | Meaning |",
        "|---|---|---|",
    ]
    for variable in settings.variables():
        default = "" if variable.default in (None, ()) else f"`{variable.default}`"
        lines.append(f"| `{variable.name}` | {default} | {variable.description} |")
    return "\n".join(lines) + "\n"


PAGES = {"openapi.json": openapi, "settings.md": settings_page}


def main() -> None:
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
        print(f"docs/{name}", file=sys.stderr)


if __name__ == "__main__":
    main()
