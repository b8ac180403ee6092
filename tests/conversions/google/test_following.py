"""To the end: what became of a batch that Google took, where Google says of many together how many failed, never which."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from opsmantik.conversions.adapters import Answer, Batch, Kind, Trouble, Why
from opsmantik.conversions.google_data_manager import FIRST_SECONDS, LONGEST_SECONDS
from opsmantik.conversions.google_data_manager import DataManager as Adapter
from opsmantik.conversions.google_requests import LONGEST
from tests.conversions.google.data_manager import STATUS, DataManager
from tests.conversions.google.made import Given, batch, item, many
from tests.conversions.google.server import Fault

VALUE = Decimal("1500.5")


class Course:
    """A batch from its first sending on, as the ledger would keep it."""

    def __init__(self, fake: DataManager, adapter: Adapter, grant: Given) -> None:
        self.fake, self.adapter, self.grant = fake, adapter, grant
        self.outcomes: dict[int, Any] = {}
        self.answer: Answer | None = None
        self.now: Batch | None = None

    async def begin(self, sent: Batch) -> Course:
        self.now = sent
        return self._take(await self.adapter.send(sent, self.grant))

    async def follow(self, **changes: Any) -> Course:
        assert self.now is not None and self.answer is not None
        fields = {name: getattr(self.now, name) for name in Batch.__struct_fields__}
        fields |= {
            "state": "sent", "attempts": self.now.attempts + 1, "request_id": self.answer.request_id,
            "items": [one for one in self.now.items if one.position not in self.outcomes], **changes,
        }  # fmt: skip
        self.now = Batch(**fields)
        return self._take(await self.adapter.follow(self.now, self.grant))

    async def to_the_end(self, most: int = 100) -> Course:
        while self.answer is not None and self.answer.state == "sent":
            most -= 1
            assert most >= 0, "it never ends"
            try:
                await self.follow()
            except Trouble as trouble:
                assert trouble.why is Why.UNSURE
        return self

    def _take(self, answer: Answer) -> Course:
        assert answer.request_id is None or len(answer.request_id) <= LONGEST
        assert not self.outcomes.keys() & {o.position for o in answer.outcomes}, "an outcome is final"
        self.answer = answer
        self.outcomes |= {o.position: o for o in answer.outcomes}
        return self

    def by_outcome(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for position, outcome in self.outcomes.items():
            found.setdefault(outcome.outcome, set()).add(position)
        return found


@pytest.fixture
def course(fake: DataManager, adapter: Adapter, grant: Given) -> Course:
    return Course(fake, adapter, grant)


async def test_while_it_is_processed_it_is_asked_again_later_and_later(course: Course) -> None:
    course.fake.processing_seconds = 60
    await course.begin(batch(*many(3)))
    waits = []
    for _ in range(6):
        await course.follow()
        assert course.answer is not None and course.answer.state == "sent"
        waits.append(course.answer.seconds)
    assert waits == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS, *[LONGEST_SECONDS] * 3]
    assert course.outcomes == {} and len(course.fake.ingests()) == 1
    assert len(course.fake.sent(STATUS)) == 6


async def test_success_is_all_of_them(course: Course) -> None:
    await course.begin(batch(*many(3)))
    await course.to_the_end()
    assert (
        course.by_outcome() == {"accepted": {1, 2, 3}} and course.now is not None and course.now.attempts == 2
    )


async def test_failed_for_one_reason_is_that_reason_for_each(course: Course) -> None:
    course.fake.fails = {one.order_id: "TOO_RECENT_CLICK" for one in many(3)}
    await (await course.begin(batch(*many(3)))).to_the_end()
    assert [(o.reason, o.seconds) for o in course.outcomes.values()] == [("too_recent_click", 6 * 3600.0)] * 3
    assert len(course.fake.ingests()) == 1


async def test_failed_for_several_reasons_is_failed_and_says_so(course: Course) -> None:
    course.fake.fails = dict(
        zip([i.order_id for i in many(3)], ["INVALID_GCLID", "INVALID_GCLID", "CLICK_NOT_FOUND"], strict=True)
    )
    await (await course.begin(batch(*many(3)))).to_the_end()
    assert {(o.outcome, o.reason, o.detail) for o in course.outcomes.values()} == {
        ("failed", "several", "INVALID_GCLID ×2, CLICK_NOT_FOUND ×1")
    }
    assert len(course.fake.ingests()) == 1, "which is whose does not matter"


async def test_failed_without_a_reason(course: Course) -> None:
    course.fake.fails, course.fake.counts_errors = {item(1).order_id: "INVALID_GCLID"}, False
    await (await course.begin(batch(item(1)))).to_the_end()
    assert [(o.outcome, o.reason) for o in course.outcomes.values()] == [("failed", "no_reason_given")]


@pytest.mark.parametrize("counts", [True, False], ids=["with counts", "without"])
@pytest.mark.parametrize(("n", "bad"), [(2, 1), (12, 3), (33, 1), (150, 4)], ids=str)
async def test_some_failed_and_each_is_told_apart(course: Course, n: int, bad: int, counts: bool) -> None:
    """None is called accepted that is not there, none failed that is, and none is there twice."""
    items = many(n)
    chosen = items[:: max(1, n // bad)][:bad]
    course.fake.fails = {one.order_id: "INVALID_GCLID" for one in chosen}
    course.fake.counts_errors = counts
    await course.begin(batch(*items))
    await course.follow()
    assert course.outcomes == {}, "nothing is known of any one yet"
    await course.to_the_end()
    assert course.by_outcome()["failed"] == {one.position for one in chosen}
    assert course.by_outcome()["accepted"] == {one.position for one in items} - {
        one.position for one in chosen
    }
    held = course.fake.holds()
    assert {one.position for one in items if one.order_id in held} == course.by_outcome()["accepted"]
    assert all(h.creations == 1 and h.value == VALUE for h in held.values())


async def test_a_first_report_that_google_has_already_is_taken(course: Course) -> None:
    course.fake.fails = {one.order_id: "DUPLICATE_TRANSACTION_ID" for one in many(2)}
    await (await course.begin(batch(*many(3)))).to_the_end()
    assert course.by_outcome() == {"accepted": {1, 2, 3}} and len(course.fake.ingests()) == 1


async def test_what_is_there_and_what_failed_are_told_apart(course: Course) -> None:
    course.fake.fails = {item(1).order_id: "DUPLICATE_TRANSACTION_ID", item(2).order_id: "INVALID_GCLID"}
    await (await course.begin(batch(*many(2)))).to_the_end()
    assert course.by_outcome() == {"accepted": {1}, "failed": {2}}


@pytest.mark.parametrize(
    ("kind", "reason", "outcome"),
    [("restate", "DUPLICATE_TRANSACTION_ID", "failed"), ("retract", "ORIGINAL_CONVERSIONS_NOT_FOUND", "gone"),
     ("restate", "ORIGINAL_CONVERSIONS_NOT_FOUND", "gone"), ("restate", "INTERNAL_ERROR", "failed")],
)  # fmt: skip
async def test_what_became_of_a_correction(course: Course, kind: Kind, reason: str, outcome: str) -> None:
    course.fake.fails = {item(1).order_id: reason}
    await (await course.begin(batch(item(1), item(2), kind=kind))).to_the_end()
    assert course.by_outcome() == {outcome: {1}, "accepted": {2}}


async def test_what_google_has_forgotten_is_sent_again_and_is_still_one(course: Course) -> None:
    await course.begin(batch(*many(5)))
    course.fake.forget()
    await course.follow()
    assert course.outcomes == {} and len(course.fake.ingests()) == 2
    await course.to_the_end()
    assert course.by_outcome() == {"accepted": {1, 2, 3, 4, 5}}
    assert {held.creations for held in course.fake.holds().values()} == {1}


async def test_a_batch_whose_request_nobody_wrote_down_is_sent_again(course: Course) -> None:
    await course.begin(batch(*many(2)))
    await course.follow(request_id=None)
    await course.to_the_end()
    assert course.by_outcome() == {"accepted": {1, 2}}


@pytest.mark.parametrize(
    "fault",
    [Fault("before"), Fault("after"), Fault("status", 503), Fault("status", 429)],
    ids=lambda f: f.what + str(f.status),
)
async def test_an_answer_about_it_that_is_none_changes_nothing(course: Course, fault: Fault) -> None:
    await course.begin(batch(*many(2)))
    course.fake.faults.append(fault)
    with pytest.raises(Trouble) as caught:
        await course.follow()
    assert caught.value.why in (Why.UNSURE, Why.BUSY)


@pytest.mark.parametrize("what", ["before", "after", "half"])
async def test_a_break_while_they_are_told_apart_loses_nothing(course: Course, what: Any) -> None:
    items = many(9)
    course.fake.fails = {items[4].order_id: "INVALID_GCLID"}
    await course.begin(batch(*items))
    course.fake.faults += [None, None, Fault(what), None, Fault(what)]  # the status, one piece, the next
    await course.to_the_end()
    assert not course.fake.faults
    assert course.by_outcome() == {"failed": {5}, "accepted": {1, 2, 3, 4, 6, 7, 8, 9}}
    assert {held.creations for held in course.fake.holds().values()} == {1}


async def test_a_process_that_dies_while_they_are_told_apart_does_it_again(course: Course) -> None:
    items = many(4)
    course.fake.fails = {items[0].order_id: "INVALID_GCLID"}
    await course.begin(batch(*items))
    assert course.now is not None and course.answer is not None
    lost = batch(*items, id=course.now.id, state="sent", attempts=2, request_id=course.answer.request_id)
    await course.adapter.follow(lost, course.grant)  # and nobody writes down what came of it
    await course.to_the_end()
    assert course.by_outcome() == {"failed": {1}, "accepted": {2, 3, 4}}
    assert {held.creations for held in course.fake.holds().values()} == {1}


async def test_whoever_said_no_meanwhile_is_not_sent_again(course: Course) -> None:
    """Google may have it: it counts as taken, so that it is taken back."""
    items = many(3)
    course.fake.fails = {items[0].order_id: "INVALID_GCLID"}
    await course.begin(batch(*items))
    gone = item(2, click_id=None, click_id_kind=None, consent="denied")
    before = len(course.fake.sent())
    await course.follow(items=[items[0], gone, items[2]])
    again = [event["transactionId"] for request in course.fake.sent()[before:] for event in request["events"]]
    assert gone.order_id not in again and len(again) == 2
    await course.to_the_end()
    assert course.outcomes[2].outcome == "accepted" and course.outcomes[2].reason == "not_known"
    assert course.by_outcome() == {"accepted": {2, 3}, "failed": {1}}


async def test_what_was_erased_meanwhile_needs_no_answer(course: Course) -> None:
    items = many(3)
    course.fake.fails = {items[0].order_id: "INVALID_GCLID"}
    await course.begin(batch(*items))
    await course.follow(items=items[1:])
    assert course.now is not None
    while course.answer is not None and course.answer.state == "sent":
        await course.follow(items=[i for i in items[1:] if i.position not in course.outcomes])
    assert course.by_outcome() == {"accepted": {2, 3}}


async def test_warnings_go_with_those_that_were_taken(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.fake.adds_warning = "INTERNAL_ERROR"
    await (await course.begin(batch(item(1)))).to_the_end()
    assert (
        course.outcomes[1].outcome == "accepted" and course.outcomes[1].detail == "warning INTERNAL_ERROR ×1"
    )


async def test_an_action_that_is_gone_when_they_are_told_apart_stops_the_site(course: Course) -> None:
    course.fake.fails = {item(1).order_id: "INVALID_GCLID"}
    await course.begin(batch(*many(2)))
    course.fake.accounts["1234567890"].clear()
    with pytest.raises(Trouble) as caught:
        await course.follow()
    assert (caught.value.why, caught.value.reason) == (Why.SETUP, "invalid_conversion_action_id")
