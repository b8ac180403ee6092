"""What a decision carries: amounts, dates of sales, stages, notes; and the row of the ledger that comes of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from opsmantik.errors import Forbidden, Unprocessable

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a negative amount": ("seal", {"amount": Decimal(-1)}, "less than nothing"),
    "too many decimals": ("seal", {"amount": Decimal("1.005")}, "at most 2 decimals"),
    "decimals in yen": ("seal", {"amount": Decimal("1.5"), "currency": "JPY"}, "no decimals"),
    "no currency of that name": ("seal", {"currency": "LIRA"}, "three letters"),
    "a date without a zone": ("seal", {"sale_at": datetime(2026, 11, 1)}, "no time zone"),
    "a quality beyond": ("seal", {"quality": 101}, "0 to 100"),
    "a quality below": ("quality", {"quality": -1}, "0 to 100"),
    "a note without end": ("seal", {"note": "x" * 2001}, "longer than 2000"),
    "a reason without end": ("junk", {"reason": "x" * 201}, "longer than 200"),
    "an amount of junk": ("junk", {"amount": Decimal(1)}, "does not go with amount"),
    "a stage of junk": ("junk", {"stage": "won"}, "does not go with stage"),
    "a reason to seal": ("seal", {"reason": "spam"}, "does not go with reason"),
}  # fmt: skip


@pytest.mark.parametrize(("act", "fields", "why"), REFUSED.values(), ids=REFUSED.keys())
async def test_refused_in_words_and_nothing_changes(make_desk: Any, act: str, fields: Any, why: str) -> None:
    desk = await make_desk()
    call = await desk.lead()
    before = await desk.picture(call)
    with pytest.raises(Unprocessable, match=why):
        await desk.decide(call, act, **fields)
    assert (await desk.picture(call), await desk.log(call)) == (before, [])


async def test_the_limits_themselves_are_taken(make_desk: Any) -> None:
    desk = await make_desk(currency="KWD")
    call = await desk.lead()
    await desk.decide(call, "seal", amount=Decimal("1.005"), quality=0, note="x" * 2000 + "\x00 ")
    row = await desk.row(call)
    assert (str(row["sale_amount"]), row["currency"], row["quality"], len(row["note"])) == (
        "1.005",
        "KWD",
        0,
        2000,
    )


# A tap of ten days ago, and a sale so long before now.
DATES: dict[str, tuple[timedelta, str, str | None]] = {
    "just now": (timedelta(0), "operator", None),
    "by a clock that is two minutes fast": (timedelta(minutes=-2), "operator", None),
    "in the future": (timedelta(minutes=-6), "owner", "lies in the future"),
    "forty-seven hours back": (47 * HOUR, "operator", None),
    "forty-nine hours back, by an operator": (49 * HOUR, "operator", "by an owner or an administrator"),
    "forty-nine hours back, by an administrator": (49 * HOUR, "admin", None),
    "forty-nine hours back, by the owner": (49 * HOUR, "owner", None),
    "forty-nine hours back, by who runs the platform": (49 * HOUR, "platform_admin", None),
    "in the minute of the tap": (10 * DAY, "owner", None),
    "two minutes before the tap": (10 * DAY + timedelta(minutes=2), "owner", "cannot be before the click"),
}


@pytest.mark.parametrize(("ago", "by", "why"), DATES.values(), ids=DATES.keys())
async def test_the_date_of_a_sale(make_desk: Any, ago: timedelta, by: str, why: str | None) -> None:
    desk = await make_desk()
    call = await desk.lead(age=10 * DAY)
    sale_at = await desk.owner.fetchval("SELECT now() - $1::interval", ago)
    if why is None:
        done = await desk.decide(call, "seal", by=by, sale_at=sale_at)
        row = await desk.row(call)
        assert row["sale_at"] == sale_at
        assert done.opened is not None and done.opened.occurred_at == max(sale_at, row["occurred_at"])
    else:
        with pytest.raises((Unprocessable, Forbidden), match=why):
            await desk.decide(call, "seal", by=by, sale_at=sale_at)
        assert (await desk.row(call))["status"] == "intent"


async def test_an_operator_may_correct_the_amount_of_a_sale_that_an_administrator_dated_back(
    make_desk: Any,
) -> None:
    desk = await make_desk()
    call = await desk.lead(age=10 * DAY)
    sale_at = (await desk.row(call))["occurred_at"] + DAY
    await desk.decide(call, "seal", by="admin", sale_at=sale_at, amount=Decimal(1))
    await desk.decide(call, "sale", sale_at=sale_at, amount=Decimal(2))
    with pytest.raises(Forbidden):
        await desk.decide(call, "sale", sale_at=sale_at + HOUR, amount=Decimal(2))
    assert (await desk.row(call))["sale_amount"] == 2


VISITS: dict[str, tuple[Any, dict[str, Any], dict[str, Any], str, str | None]] = {
    "a visit with a click": ({}, {}, {}, "held", None),
    "without an amount": ({}, {}, {"amount": None}, "held", "stage_weight"),
    "no visit": (False, {}, {}, "skipped", "no_click_id"),
    "a visit without a click": ({"gclid": None, "click_at": None}, {}, {}, "skipped", "no_click_id"),
    "a click of the lead's own": (
        False, {"click_id": "w" * 30, "click_id_kind": "wbraid"}, {}, "held", None,
    ),
    "a test click": ({"gclid": "TeSter-123"}, {}, {}, "skipped", "test_click"),
    "consent refused": ({"consent_marketing": False}, {}, {}, "skipped", "no_consent"),
    "a click of ninety-one days ago": (
        {"click_at": datetime(2020, 1, 1).astimezone()}, {}, {}, "skipped", "too_old",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("visit", "lead", "fields", "state", "reason"), VISITS.values(), ids=VISITS.keys())
async def test_a_seal_writes_the_ledger(
    make_desk: Any, visit: Any, lead: Any, fields: Any, state: str, reason: str | None
) -> None:
    desk = await make_desk(undo_minutes=25)
    call = await desk.lead(visit=visit, **lead)
    done = await desk.decide(call, "seal", **{"amount": Decimal("70.10")} | fields)
    (row,) = await desk.ledger(call)
    assert done.opened is not None
    for name in (
        "order_id",
        "state",
        "reason",
        "due_at",
        "occurred_at",
        "value",
        "currency",
        "click_id",
        "click_id_kind",
    ):
        assert row[name] == getattr(done.opened, name), name
    assert (row["state"], row["reason"], row["order_id"]) == (state, reason, f"om-{call.hex}-1")
    assert row["due_at"] == done.at + timedelta(minutes=25)
    assert (row["click_id"] is None) == (reason in ("no_click_id", "no_consent"))
    assert await desk.moves(call) == [(None, state, reason)]
    assert await desk.miscounted() == []


POLICIES: dict[str, tuple[dict[str, Any], bool]] = {
    "consent not asked where it is required": ({"consent_mode": "required"}, False),
    "consent not asked where it is implied": ({"consent_mode": "implied"}, True),
}


@pytest.mark.parametrize(("site", "held"), POLICIES.values(), ids=POLICIES.keys())
async def test_where_nobody_was_asked_the_site_s_policy_counts(make_desk: Any, site: Any, held: bool) -> None:
    desk = await make_desk(**site)
    done = await desk.decide(await desk.lead(), "seal")
    assert (done.opened.state == "held") is held


async def test_the_conversion_s_moment_follows_the_site_s_policy(make_desk: Any) -> None:
    for policy in ("intent", "decision"):
        desk = await make_desk(conversion_time=policy)
        call = await desk.lead(age=3 * HOUR)
        done = await desk.decide(call, "seal")
        tapped = (await desk.row(call))["occurred_at"]
        assert done.opened.occurred_at == (tapped if policy == "intent" else done.at)


async def test_a_change_of_what_is_not_sent_yet_changes_its_row(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead(age=5 * HOUR)
    done = await desk.decide(call, "seal")
    seen = []
    for act, fields in (
        ("stage", {"stage": "offered"}), ("sale", {"amount": Decimal("80.50"), "currency": "EUR"}), ("note", {"note": "n"}),
        ("stage", {"stage": "won"}), ("sale", {"amount": Decimal(90), "sale_at": done.at - HOUR}), ("undo", {}),
        ("sale", {}),
    ):  # fmt: skip
        await (desk.undo(call) if act == "undo" else desk.decide(call, act, **fields))
        (row,) = await desk.ledger(call)
        assert row["state"] == "held" and row["due_at"] == done.opened.due_at
        seen.append((str(row["value"]), row["currency"], row["reason"], row["occurred_at"] == done.at - HOUR))
    assert seen == [
        ("50", "TRY", "stage_weight", False), ("80.50", "EUR", None, False), ("80.50", "EUR", None, False),
        ("80.50", "EUR", None, False), ("90", "EUR", None, True), ("80.50", "EUR", None, False),
        ("100", "EUR", "stage_weight", False),
    ]  # fmt: skip
    # A note and a stage beside an amount are no news for the platform.
    assert [move[2] for move in await desk.moves(call)] == ["stage_weight"] + ["revised"] * 5
    assert await desk.miscounted() == []


async def test_a_change_of_what_is_sent_changes_the_value_and_not_the_moment(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead(age=5 * HOUR)
    done = await desk.decide(call, "seal", amount=Decimal(10))
    await desk.owner.execute(
        "UPDATE conversions SET state = 'accepted', consent_at = due_at WHERE call_id = $1", call
    )
    await desk.owner.execute("SELECT rebuild_counters($1)", desk.site_id)
    await desk.decide(call, "sale", amount=Decimal(12), sale_at=done.at)
    (row,) = await desk.ledger(call)
    assert (row["state"], row["value"], row["occurred_at"]) == ("accepted", 12, done.opened.occurred_at)
    assert (await desk.moves(call))[-1] == ("accepted", "accepted", "revised")
    assert await desk.miscounted() == []


async def test_what_is_skipped_stays_skipped_for_its_reason(make_desk: Any) -> None:
    desk = await make_desk()
    call = await desk.lead(visit=False)
    await desk.decide(call, "seal")
    await desk.decide(call, "sale", amount=Decimal(12))
    (row,) = await desk.ledger(call)
    assert (row["state"], row["reason"], row["value"]) == ("skipped", "no_click_id", 12)
