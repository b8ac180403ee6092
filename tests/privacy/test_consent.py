"""What visitors said is carried on every event; and no conversion goes out without a ground, whoever wants it to."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from opsmantik.conversions.ledger import Click, SealedLead, Skip, skip_of
from opsmantik.counters import store as counters
from opsmantik.decisions.decide import Decision, decide
from opsmantik.intents.status import Action
from tests.ingest.conftest import now_ms

pytestmark = pytest.mark.slow

MODES = ("required", "implied", "legacy")
WORDS = (True, False, None)
GOES_OUT = ("queued", "sent", "accepted", "matched")
BASES = {"granted": True, "implied": True, "legacy": True, "denied": False, "missing": False}


@pytest.mark.parametrize(("mode", "said"), list(itertools.product(MODES, WORDS)))
async def test_the_database_and_the_ledger_have_one_rule(owner: Any, mode: str, said: bool | None) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    lead = SealedLead(
        call_id=uuid4(), cycle=1, amount=None, currency="TRY", stage=None, tapped_at=now, decided_at=now, sale_at=None,
        click=Click("gclid", "Cj0KCQ", now), consent_marketing=said, consent_mode=mode, conversion_time="intent",
        undo_minutes=10, now=now,
    )  # fmt: skip
    basis = await owner.fetchval("SELECT consent_basis($1, $2)", said, mode)
    assert BASES[basis] is (skip_of(lead, now + timedelta(minutes=10)) is not Skip.NO_CONSENT)


async def lead_of(
    door: Any, site: Any, item: Any, owner: Any, consent: dict[str, bool] | None, **changes: Any
) -> tuple[UUID, str]:
    """A tap of an ad click's visit: the lead, and the visit."""
    sid = changes.pop("sid", str(uuid4()))
    event = item(
        sid=sid, cat="conversion", act="phone_call", label="tel:02125550101",
        url=f"https://shop.example/?gclid=Cj0KCQ{uuid4().hex}", **({"consent": consent} if consent else {}), **changes,
    )  # fmt: skip
    answer = await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **event})
    assert answer.json()["results"][0]["status"] == "accepted", answer.text
    lead = await owner.fetchval(
        "SELECT id FROM calls WHERE site_id = $1 AND matched_session_id = $2", site.id, UUID(sid)
    )
    return lead, sid


async def sealed(app_database: Any, site: Any, lead: UUID) -> None:
    await decide(app_database, site.user_id, site.id, lead, Decision(action=Action.SEAL, amount=Decimal(100)))


async def row_of(owner: Any, lead: UUID) -> Any:
    return await owner.fetchrow("SELECT * FROM conversions WHERE call_id = $1", lead)


YES, NO = {"analytics": True, "marketing": True}, {"analytics": True, "marketing": False}
GROUNDS = {
    "said yes": ("required", YES, "held", "granted"),
    "said no": ("implied", NO, "skipped", "denied"),
    "was not asked, implied": ("implied", None, "held", "implied"),
}


@pytest.mark.parametrize(("mode", "said", "state", "basis"), GROUNDS.values(), ids=GROUNDS)
async def test_a_seal_writes_its_ground(
    door: Any,
    make_site: Any,
    item: Any,
    owner: Any,
    app_database: Any,
    mode: str,
    said: Any,
    state: str,
    basis: str,
) -> None:
    site = await make_site(consent_mode=mode)
    lead, _ = await lead_of(door, site, item, owner, said)
    await sealed(app_database, site, lead)
    row = await row_of(owner, lead)
    assert (row["state"], row["consent"]) == (state, basis)
    assert (row["click_id"] is None) is (state == "skipped")


async def test_a_caller_cannot_tell_a_ground_of_its_own(
    door: Any, make_site: Any, item: Any, owner: Any, app_database: Any, monkeypatch: Any
) -> None:
    """A server that believes that it may: the function works it out from the visit, and stops the row."""
    site = await make_site()
    lead, _ = await lead_of(door, site, item, owner, NO)
    monkeypatch.setattr("opsmantik.conversions.ledger.skip_of", lambda *_: None)
    await sealed(app_database, site, lead)
    row = await row_of(owner, lead)
    assert (row["state"], row["reason"], row["consent"], row["click_id"]) == (
        "skipped",
        "no_consent",
        "denied",
        None,
    )
    assert await counters.differences(owner, site.id) == []


@pytest.mark.parametrize(("basis", "state"), list(itertools.product(BASES, GOES_OUT)))
async def test_no_row_goes_out_without_a_ground(
    door: Any, make_site: Any, item: Any, owner: Any, app_database: Any, basis: str, state: str
) -> None:
    """Plain SQL as the owner, past every function: the constraint alone."""
    site = await make_site()
    lead, _ = await lead_of(door, site, item, owner, YES)
    await sealed(app_database, site, lead)
    change = "UPDATE conversions SET state = $2, consent = $3, consent_at = due_at WHERE call_id = $1"
    if BASES[basis]:
        await owner.execute(change, lead, state, basis)
        return
    with pytest.raises(asyncpg.CheckViolationError, match="conversions_need_consent"):
        await owner.execute(change, lead, state, basis)


async def test_a_ground_from_before_it_was_due_is_none(
    door: Any, make_site: Any, item: Any, owner: Any, app_database: Any
) -> None:
    """Whoever sends has to ask again after the time for taking a seal back, or the constraint refuses."""
    site = await make_site()
    lead, _ = await lead_of(door, site, item, owner, YES)
    await sealed(app_database, site, lead)
    with pytest.raises(asyncpg.CheckViolationError, match="conversions_need_consent"):
        await owner.execute("UPDATE conversions SET state = 'queued' WHERE call_id = $1", lead)
    await owner.execute(
        "UPDATE conversions SET due_at = now() - interval '1 minute' WHERE call_id = $1", lead
    )
    row = await row_of(owner, lead)
    assert await owner.fetchval("SELECT refresh_consent($1, ARRAY[$2::uuid])", site.id, row["id"]) == [
        row["id"]
    ]
    await owner.execute("UPDATE conversions SET state = 'queued' WHERE call_id = $1", lead)


TAKEN_BACK = {
    "in the same visit": True,
    "in a later visit": False,
}


@pytest.mark.parametrize("same", TAKEN_BACK.values(), ids=TAKEN_BACK)
async def test_consent_taken_back_stops_what_was_not_sent(
    door: Any, make_site: Any, item: Any, owner: Any, app_database: Any, same: bool
) -> None:
    site = await make_site()
    lead, sid = await lead_of(door, site, item, owner, YES)
    await sealed(app_database, site, lead)
    row = await row_of(owner, lead)
    assert await owner.fetchval("SELECT consent_allows($1, $2)", site.id, lead)
    later = item(sid=sid if same else str(uuid4()), consent=NO)
    await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **later})
    assert not await owner.fetchval("SELECT consent_allows($1, $2)", site.id, lead)
    assert await owner.fetchval("SELECT refresh_consent($1, ARRAY[$2::uuid])", site.id, row["id"]) == []
    row = await row_of(owner, lead)
    assert (row["state"], row["reason"], row["consent"], row["click_id"]) == (
        "skipped",
        "no_consent",
        "denied",
        None,
    )
    moves = await owner.fetch(
        "SELECT from_state, to_state, reason FROM conversion_moves WHERE conversion_id = $1 ORDER BY at",
        row["id"],
    )
    assert [tuple(move) for move in moves] == [(None, "held", None), ("held", "skipped", "no_consent")]
    assert await counters.differences(owner, site.id) == []


async def test_a_later_yes_says_nothing_about_an_earlier_no(
    door: Any, make_site: Any, item: Any, owner: Any
) -> None:
    site = await make_site()
    lead, _ = await lead_of(door, site, item, owner, NO)
    await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **item(consent=YES)})
    assert not await owner.fetchval("SELECT consent_allows($1, $2)", site.id, lead)


SAID = {
    "both": (YES, "consent:analytics+marketing"),
    "analytics alone": (NO, "consent:analytics"),
    "nothing": (None, None),
}


@pytest.mark.parametrize(("said", "flag"), SAID.values(), ids=SAID)
async def test_every_event_carries_what_the_visitor_said(
    door: Any, make_site: Any, item: Any, owner: Any, said: Any, flag: str | None
) -> None:
    site = await make_site()
    event = item(**({"consent": said} if said else {}))
    await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **event})
    flags = await owner.fetchval("SELECT flags FROM events WHERE site_id = $1", site.id) or []
    assert [found for found in flags if found.startswith("consent:")] == ([flag] if flag else [])


async def test_a_tap_without_any_consent_says_so(door: Any, make_site: Any, item: Any, owner: Any) -> None:
    site = await make_site(consent_mode="required")
    event = item(
        cat="conversion",
        act="phone_call",
        label="tel:02125550101",
        consent={"analytics": False, "marketing": False},
    )
    await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **event})
    flags = await owner.fetchval("SELECT flags FROM events WHERE site_id = $1", site.id)
    assert {"no_consent", "consent:none"} <= set(flags)


@pytest.mark.parametrize("keeps", [True, False])
async def test_an_address_is_cut_or_not_kept_at_all(
    door: Any, make_site: Any, item: Any, owner: Any, keeps: bool
) -> None:
    site = await make_site(keep_ip=keeps)
    await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **item()})
    await door.post("/v1/events", {"site": site.public_id, "sent": now_ms(), **item(id="no uuid")})
    kept = await owner.fetchval("SELECT host(ip_address) FROM sessions WHERE site_id = $1", site.id)
    assert kept == ("127.0.0.0" if keeps else None)
    refused = await owner.fetchrow(
        "SELECT host(ip_address) AS ip FROM rejected_events WHERE site_id = $1", site.id
    )
    assert refused is not None and refused["ip"] in (("127.0.0.0",) if keeps else (None,))
