"""Faults, done for real to a system that runs, and what they cost: ``make faults``. The load generator and the stand are
those of the measurements."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
