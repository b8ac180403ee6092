"""Rows laid by hand: visits, events, leads, conversions of one site, and a contract asked about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from opsmantik.clock import Period, period
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.db.connect import Database

REASONED = ("failed", "skipped")


class Visit(NamedTuple):
    id: UUID
    month: date


async def new_site(owner: Any, **columns: Any) -> tuple[UUID, UUID]:
    """A user and a site of theirs."""
    user, site = uuid4(), uuid4()
    await owner.execute("INSERT INTO users (id, email) VALUES ($1, $2)", user, f"{user.hex}@example.com")
    row = {
        "id": site, "user_id": user, "public_id": site.hex, "name": "Shop", "domain": "shop.example", **columns,
    }  # fmt: skip
    await insert(owner, "sites", row)
    return user, site


async def insert(owner: Any, table: str, *rows: dict[str, Any]) -> None:
    """Rows of the same columns."""
    names = list(rows[0])
    places = ", ".join(f"${n}" for n in range(1, len(names) + 1))
    await owner.executemany(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", [tuple(row.values()) for row in rows]
    )


class World:
    """One site's rows, written past the writers; ``count`` makes its counters from them."""

    def __init__(self, owner: Any, site_id: UUID) -> None:
        self.owner = owner
        self.site_id = site_id

    async def session(self, at: datetime, **columns: Any) -> Visit:
        visit = Visit(uuid4(), at.astimezone(UTC).date().replace(day=1))
        await self.owner.execute("SELECT make_month($1)", visit.month)
        row = {
            "site_id": self.site_id, "created_month": visit.month, "id": visit.id, "created_at": at, "started_at": at,
            "last_event_at": at, "first_key": 1, "exit_key": 1, "source_key": 1, "attribution_source": "Organic",
            "channel": "organic_search", "is_paid": False, "attribution": {},
            "has_click_id": any(columns.get(kind) for kind in ("gclid", "wbraid", "gbraid")), **columns,
        }  # fmt: skip
        async with self.owner.transaction():  # the session and its key each need the other, at the commit
            await self.owner.execute(
                "INSERT INTO session_keys VALUES ($1, $2, $3)", self.site_id, visit.id, visit.month
            )
            await insert(self.owner, "sessions", row)
        return visit

    async def event(
        self, visit: Visit, at: datetime, action: str = "view", category: str = "interaction"
    ) -> None:
        await insert(self.owner, "events", {
            "site_id": self.site_id, "session_month": visit.month, "id": uuid4(), "session_id": visit.id, "created_at": at,
            "occurred_at": at, "event_category": category, "event_action": action,
        })  # fmt: skip

    async def lead(self, at: datetime, visit: Visit | None = None, **columns: Any) -> UUID:
        row = {
            "site_id": self.site_id, "id": uuid4(), "created_at": at, "occurred_at": at, "updated_at": at,
            "source": "click", "intent_action": "phone", "intent_target": "tel:+905321234567",
            "intent_stamp": uuid4().hex, "currency": "TRY", **columns,
        }  # fmt: skip
        if visit is not None:
            row |= {"matched_session_id": visit.id, "matched_session_month": visit.month}
        await insert(self.owner, "calls", row)
        lead_id: UUID = row["id"]
        return lead_id

    async def conversion(self, lead_id: UUID, state: str) -> None:
        at = datetime(2026, 11, 1, tzinfo=UTC)
        await insert(self.owner, "conversions", {
            "site_id": self.site_id, "id": uuid4(), "call_id": lead_id, "order_id": uuid4().hex, "state": state,
            "reason": "because" if state in REASONED else None, "due_at": at, "occurred_at": at, "currency": "TRY",
            "consent": "granted", "consent_at": at,
        })  # fmt: skip

    async def count(self) -> None:
        await self.owner.execute("SELECT rebuild_counters($1)", self.site_id)


class Asker:
    """Somebody who asks contracts about a site, as the doors do: named, resolved, under row security."""

    def __init__(
        self, database: Database, user_id: UUID, site_id: UUID, zone: str = "Europe/Istanbul"
    ) -> None:
        self.database = database
        self.user_id = user_id
        self.site_id = site_id
        self.zone = zone

    def over(self, start: datetime, end: datetime) -> Period:
        return period(self.zone, datetime.now(UTC), start=start.isoformat(), end=end.isoformat())

    async def ask(self, call: Callable[..., Awaitable[Any]], asked: Period, **values: Any) -> Any:
        async with self.database.as_person(self.user_id) as (connection, person):
            site = await asked_site(connection, person, str(self.site_id))
            assert isinstance(site, AskedSite)
            return await call(connection, site, asked, **values)
