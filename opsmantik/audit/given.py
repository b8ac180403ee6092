"""What a check is told that no database knows: how the program asks, and what it was made to promise."""

from __future__ import annotations

from typing import Final

from opsmantik.audit.crossings import crossings
from opsmantik.audit.house import house, signatures
from opsmantik.audit.indexes import fleeting_tables, index_purposes, planned_indexes, unindexed_keys
from opsmantik.audit.model import lead_model, trackers
from opsmantik.audit.plans import plans
from opsmantik.audit.run import Given
from opsmantik.audit.statistics import statistics

GIVEN: Final[Given] = {
    "crossings": crossings,
    "lead_model": lead_model,
    "house": house,
    "signatures": signatures,
    "fleeting_tables": fleeting_tables,
    "index_purposes": index_purposes,
    "planned_indexes": planned_indexes,
    "plans": plans,
    "statistics": statistics,
    "trackers": trackers,
    "unindexed_keys": unindexed_keys,
}
