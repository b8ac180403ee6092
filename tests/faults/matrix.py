"""All rows, in the order of the page."""

from tests.faults import kills  # isort: skip
from tests.faults import disks  # isort: skip
from tests.faults import database, traffic  # isort: skip
from tests.faults import clocks  # isort: skip
from tests.faults import conversions  # isort: skip
from tests.faults import backups  # isort: skip
from tests.faults.rows import ROWS

__all__ = ["ROWS", "backups", "clocks", "conversions", "database", "disks", "kills", "traffic"]
