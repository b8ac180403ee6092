"""What is kept no longer than a site says, what stays all the same, and that nobody notices while it goes."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.counters import store as counters
from opsmantik.upkeep import retention
from opsmantik.upkeep.runner import connect
from tests.conftest import Dsns
from tests.dashboard.world import insert
from tests.privacy.conftest import rows_of

pytestmark = pytest.mark.slow


def month_ago(n: int) -> date:
    now = datetime.now(UTC)
    months = now.year * 12 + now.month - 1 - n
    return date(months // 12, months % 12 + 1, 1)


def at(month: date, day: int = 10, hour: int = 9) -> datetime:
    return datetime(month.year, month.month, day, hour, tzinfo=UTC)


class Archive:
    """A site with visits of any month."""

    def __init__(self, owner: Any, site: Any) -> None:
        self.owner = owner
        self.site = site

    async def visit(
        self, when: datetime, *, events: tuple[timedelta, ...] = (timedelta(), timedelta(minutes=2))
    ) -> UUID:
        session_id, month = uuid4(), when.date().replace(day=1)
        await self.owner.execute("SELECT make_month($1)", month)
        key = {"site_id": self.site.id, "id": session_id, "created_month": month}
        async with self.owner.transaction():
            await insert(self.owner, "session_keys", key)
            await insert(self.owner, "sessions", key | {
                "created_at": when, "started_at": when, "last_event_at": when + max(events), "first_key": 1, "exit_key": 1,
                "source_key": 1, "attribution_source": "Direct", "channel": "direct", "is_paid": False, "attribution": {},
                "fingerprint": session_id.hex, "ip_address": "192.0.2.0", "event_count": len(events),
            })  # fmt: skip
            for after in events:
                await insert(self.owner, "events", {
                    "site_id": self.site.id, "session_month": month, "id": uuid4(), "session_id": session_id,
                    "created_at": when + after, "occurred_at": when + after, "event_category": "interaction",
                    "event_action": "view",
                })  # fmt: skip
            await insert(self.owner, "visitors", {
                "site_id": self.site.id, "id": session_id.hex, "first_seen_at": when, "last_seen_at": when, "visits": 1,
            })  # fmt: skip
        return session_id

    async def lead(self, session_id: UUID, when: datetime, **columns: Any) -> UUID:
        lead_id = uuid4()
        month = await self.owner.fetchval("SELECT created_month FROM session_keys WHERE id = $1", session_id)
        await insert(self.owner, "calls", {
            "site_id": self.site.id, "id": lead_id, "created_at": when, "occurred_at": when, "updated_at": when,
            "intent_action": "phone", "intent_target": "tel:+902125550101", "intent_stamp": lead_id.hex, "currency": "TRY",
            "matched_session_id": session_id, "matched_session_month": month, **columns,
        })  # fmt: skip
        return lead_id

    async def conversion(self, lead_id: UUID, state: str, age: timedelta, **columns: Any) -> None:
        when = datetime.now(UTC) - age
        await insert(self.owner, "conversions", {
            "site_id": self.site.id, "id": uuid4(), "call_id": lead_id, "order_id": uuid4().hex, "state": state,
            "due_at": when, "occurred_at": when, "currency": "TRY", "consent": "granted", "consent_at": when,
            "created_at": when, "updated_at": when, **columns,
        })  # fmt: skip

    async def count(self) -> None:
        await self.owner.execute("SELECT rebuild_counters($1)", self.site.id)

    async def figures(self) -> list[tuple[Any, ...]]:
        rows = await self.owner.fetch(
            "SELECT day, dimension, key, sessions, events, leads FROM counters WHERE site_id = $1 ORDER BY 1, 2, 3",
            self.site.id,
        )
        return [tuple(row) for row in rows]

    async def has(self, table: str, id_: UUID) -> bool:
        return bool(await self.owner.fetchval(f"SELECT EXISTS (SELECT FROM {table} WHERE id = $1)", id_))


@pytest.fixture
async def upkeep(database: Dsns) -> Any:
    connection = await connect(database.owner)
    yield connection
    await connection.close()


async def partitions(owner: Any) -> set[str]:
    rows = await owner.fetch(
        "SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent IN ('events'::regclass, 'sessions'::regclass)"
    )
    return {row["name"] for row in rows}


async def test_a_month_goes_whole_and_its_figures_stay(make_site: Any, owner: Any, upkeep: Any) -> None:
    archive = Archive(owner, await make_site(retention_months=3))
    old, gone = month_ago(5), f"{month_ago(5):%Y_%m}"
    visits = [await archive.visit(at(old, day)) for day in (1, 10, 28)]
    late = await archive.visit(at(old, 28, 23), events=(timedelta(), timedelta(days=5)))
    lead = await archive.lead(visits[0], at(old, 1))
    tap = await archive.lead(visits[0], at(old, 1), merged_into=lead)
    young = await archive.visit(at(month_ago(1)))
    await archive.count()
    before = await archive.figures()
    assert f"events_{gone}" in await partitions(owner)

    done = await retention.expire(upkeep)
    assert f"events {old:%Y-%m}" in done["dropped"] and f"sessions {old:%Y-%m}" in done["dropped"]
    assert not {f"events_{gone}", f"sessions_{gone}"} & await partitions(owner)
    for session in (*visits, late):
        assert not await archive.has("sessions", session)
    assert not await archive.has("calls", lead) and not await archive.has("calls", tap)
    assert await archive.has("sessions", young)
    assert await rows_of(owner, "events", archive.site.id) == 2
    assert await rows_of(owner, "visitors", archive.site.id) == 1
    assert await archive.figures() == before
    assert await counters.differences(owner, archive.site.id) == []
    await archive.count()  # a rebuild must not wipe what it cannot count
    assert await archive.figures() == before
    assert await retention.expire(upkeep) == {}


async def test_another_site_s_month_is_not_dropped_with_it(make_site: Any, owner: Any, upkeep: Any) -> None:
    short, long, forever = [Archive(owner, await make_site(retention_months=n)) for n in (2, 50, None)]
    month = month_ago(7)
    mine, theirs, kept = [await a.visit(at(month)) for a in (short, long, forever)]
    done = await retention.expire(upkeep)
    assert "dropped" not in done or not [name for name in done["dropped"] if f"{month:%Y-%m}" in name]
    assert not await short.has("sessions", mine)
    assert await rows_of(owner, "events", short.site.id) == 0
    assert await long.has("sessions", theirs) and await forever.has("sessions", kept)
    assert await rows_of(owner, "events", long.site.id) == 2


NEEDED = {
    "one that is held": ("held", timedelta(days=400), {}, True),
    "one in the queue": ("queued", timedelta(days=400), {}, True),
    "one that was sent lately": ("sent", timedelta(days=20), {}, True),
    "one that was matched lately": ("matched", timedelta(days=80), {}, True),
    "one that was matched long ago": ("matched", timedelta(days=100), {}, False),
    "one that failed lately": ("failed", timedelta(days=20), {"reason": "x"}, True),
    "one that failed long ago": ("failed", timedelta(days=100), {"reason": "x"}, False),
    "one that was skipped": ("skipped", timedelta(days=20), {"reason": "no_click_id"}, False),
    "one that was taken back before it was sent": ("retracted", timedelta(days=20), {"reason": "undone"}, False),
    "one that has to be taken back there": ("retracted", timedelta(days=20), {"reason": "undone_after_sending"}, True),
}  # fmt: skip


@pytest.mark.parametrize(("state", "age", "columns", "stays"), NEEDED.values(), ids=NEEDED)
async def test_what_a_conversion_still_needs_stays(
    make_site: Any, owner: Any, upkeep: Any, state: str, age: timedelta, columns: dict[str, Any], stays: bool
) -> None:
    archive = Archive(owner, await make_site(retention_months=2))
    month = month_ago(6)
    visit, other = await archive.visit(at(month)), await archive.visit(at(month))
    lead = await archive.lead(visit, at(month), status="sealed", confirmed_at=at(month))
    await archive.conversion(lead, state, age, **columns)
    await retention.expire(upkeep)
    assert await archive.has("calls", lead) is stays
    assert await archive.has("sessions", visit) is stays
    assert not await archive.has("sessions", other)


async def test_a_lead_decided_late_stays_countable(make_site: Any, owner: Any, upkeep: Any) -> None:
    archive = Archive(owner, await make_site(retention_months=3))
    month = month_ago(5)
    visit = await archive.visit(at(month))
    lead = await archive.lead(visit, at(month), status="sealed", confirmed_at=at(month_ago(1)))
    await archive.count()
    await retention.expire(upkeep)
    assert await archive.has("calls", lead) and await archive.has("sessions", visit)
    assert await counters.differences(owner, archive.site.id) == []


async def test_a_visit_that_went_on_for_weeks_keeps_its_month(
    make_site: Any, owner: Any, upkeep: Any
) -> None:
    archive = Archive(owner, await make_site(retention_months=3))
    month = month_ago(5)
    long = await archive.visit(at(month), events=(timedelta(), timedelta(days=110)))
    short = await archive.visit(at(month))
    await archive.count()
    await retention.expire(upkeep)
    assert await archive.has("sessions", long) and not await archive.has("sessions", short)
    assert await counters.differences(owner, archive.site.id) == []


async def test_parts_of_days_before_it_say_nothing(make_site: Any, owner: Any, upkeep: Any) -> None:
    """A range that begins within a day whose rows have gone: nothing, not what happens to be left."""
    archive = Archive(owner, await make_site(retention_months=2))
    month = month_ago(6)
    kept = await archive.visit(at(month))
    lead = await archive.lead(kept, at(month), status="sealed", confirmed_at=at(month))
    await archive.conversion(lead, "held", timedelta(days=1))
    await archive.visit(at(month))
    await archive.count()
    asked = (at(month, 10, 8), at(month, 10, 12))
    figures = (
        "SELECT sum(sessions) FROM figures($1, NULL, NULL, ARRAY[$2::timestamptz], ARRAY[$3::timestamptz], '{main}')"
        " WHERE dimension = 'all'"
    )
    assert await owner.fetchval(figures, archive.site.id, *asked) == 2
    await retention.expire(upkeep)
    assert await archive.has("sessions", kept)
    assert await owner.fetchval(figures, archive.site.id, *asked) is None


async def test_addresses_are_wiped_when_a_site_keeps_none(make_site: Any, owner: Any, upkeep: Any) -> None:
    archive = Archive(owner, await make_site(keep_ip=False, ip_forgotten=False))
    other = Archive(owner, await make_site())
    for _ in range(3):
        await archive.visit(at(month_ago(1)))
    await other.visit(at(month_ago(1)))
    done = await retention.expire(upkeep, batch=2)
    assert done["addresses"] == 3
    count = "SELECT count(*) FROM sessions WHERE site_id = $1 AND ip_address IS NOT NULL"
    assert await owner.fetchval(count, archive.site.id) == 0
    assert await owner.fetchval(count, other.site.id) == 1
    assert await owner.fetchval("SELECT ip_forgotten FROM sites WHERE id = $1", archive.site.id)


@pytest.mark.slow
async def test_events_go_on_coming_in_while_a_month_is_dropped(
    door: Any, make_site: Any, owner: Any, upkeep: Any, item: Any
) -> None:
    site = await make_site(retention_months=3)
    archive = Archive(owner, site)
    for n in range(40):
        await archive.visit(at(month_ago(20 + n % 3), 1 + n % 28))
    await door.collect.registry.refresh()
    stop, waits = asyncio.Event(), []

    async def browse() -> None:
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            began = loop.time()
            answer = await door.post("/v1/events", {"site": site.public_id, **item()})
            waits.append(loop.time() - began)
            assert answer.status_code == 200, answer.text

    browsing = [asyncio.create_task(browse()) for _ in range(4)]
    await asyncio.sleep(0.3)
    done = await retention.expire(upkeep, batch=5)
    stop.set()
    await asyncio.gather(*browsing)
    assert len(done["dropped"]) >= 6
    assert max(waits) < 1.5, max(waits)
    assert await rows_of(owner, "rejected_events", site.id) == 0
