"""All background jobs of the server: upkeep's own, and the rules by which sites let leads be decided.

They meet here, at a door, because decisions and upkeep are flows beside each other and neither calls the other.
"""

from __future__ import annotations

from opsmantik.decisions import auto
from opsmantik.upkeep import runner
from opsmantik.upkeep.runner import HOUR, Job

JOBS = (
    *runner.JOBS,
    Job("auto_approve", HOUR, auto.approve_all),
    Job("auto_junk", HOUR, auto.junk_all),
)
