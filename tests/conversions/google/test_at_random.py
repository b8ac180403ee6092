"""Whatever breaks, and whichever fail: what is called accepted is there once, and what is called failed is not there."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.conversions.google_data_manager import DataManager as Adapter
from tests.conversions.google.data_manager import DataManager
from tests.conversions.google.made import Given, batch, many
from tests.conversions.google.server import Fault
from tests.conversions.google.test_following import Course

MISHAPS: tuple[Callable[[], Fault | None], ...] = (
    lambda: None,
    lambda: None,
    lambda: Fault("before"),
    lambda: Fault("after"),
    lambda: Fault("half"),
    lambda: Fault("status", 500),
    lambda: Fault("status", 503),
)


@pytest.mark.parametrize("seed", range(12))
async def test_the_ledger_and_google_agree_in_the_end(
    fake: DataManager, adapter: Adapter, grant: Given, seed: int
) -> None:
    chance = random.Random(seed)
    items = many(chance.randint(1, 45))
    ids = [one.order_id for one in items]
    fake.names_fields = chance.random() < 0.5
    fake.counts_errors = chance.random() < 0.7
    fake.refuses = dict.fromkeys(chance.sample(ids, chance.randint(0, min(3, len(ids)))), "INVALID_EVENT")
    reasons = ("INVALID_GCLID", "TOO_RECENT_CLICK", "CLICK_NOT_FOUND")
    fake.fails = {
        order: chance.choice(reasons) for order in chance.sample(ids, chance.randint(0, len(ids) // 3))
    }
    fake.faults += [chance.choice(MISHAPS)() for _ in range(chance.randint(0, 25))]
    course = Course(fake, adapter, grant)
    sent = batch(*items)
    for attempts in range(1, 40):
        try:
            await course.begin(batch(*items, id=sent.id, attempts=attempts))
            break
        except Trouble as trouble:
            assert trouble.why is Why.UNSURE
    await course.to_the_end()
    held = fake.holds()
    accepted = {one.order_id for one in items if course.outcomes[one.position].outcome == "accepted"}
    assert len(course.outcomes) == len(items)
    assert accepted == held.keys() == set(ids) - fake.refuses.keys() - fake.fails.keys()
    assert all(one.creations == 1 for one in held.values())
