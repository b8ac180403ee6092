"""The report finds each fault where it is planted, and counts no other for it."""

from __future__ import annotations

import pytest

from opsmantik.adopt import faults
from opsmantik.adopt.faults import FAULTS
from opsmantik.adopt.old import open_old
from tests.first_generation.fixtures import FAULTS as PLANTED
from tests.first_generation.fixtures import OldCopy

# How many each finds in the sound database: what every one of them has.
SOUND = {
    "heartbeats": 120,
    "goodbyes": 120,
    "sent_conversions": 24,
    "unsent_conversions": 12,
    "refused_events": 1,
    "dead_grants": 6,
    "open_functions": 2,
    "open_partitions": 6,
}
# Faults that another one is as well, rightly: how many more.
ALSO = {
    "orphaned_events": {"rewritten_categories": 1},
    "doubled_event_ids": {"event_month_drift": 1},
    "doubled_stamps": {"unsent_conversions": 1},
    "repeated_taps": {"leads_without_status": 1},
}
MANY = {"orphaned_events": 2, "doubled_stamps": 2, "clicks_without_facts": 2, "dead_grants": 2}


async def counted(dsn: str) -> dict[str, int]:
    async with open_old(dsn, 60) as old:
        return {found.fault.name: found.n for found in await faults.look(old) if found.n}


def test_every_fault_is_planted() -> None:
    assert [fault.name for fault in FAULTS] == PLANTED.names()
    assert [fault.name for fault in FAULTS] == faults.SQL.names()
    assert all(fault.what and fault.becomes for fault in FAULTS)


@pytest.mark.slow
async def test_a_sound_database_has_what_all_have(first_generation: str) -> None:
    assert await counted(first_generation) == SOUND


@pytest.mark.slow
@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
async def test_a_planted_fault_is_found_and_no_other(old_copy: OldCopy, name: str) -> None:
    found = await counted(await old_copy(name))
    more = {other: n - SOUND.get(other, 0) for other, n in found.items() if n != SOUND.get(other, 0)}
    assert more == {name: MANY.get(name, 1)} | ALSO.get(name, {})
