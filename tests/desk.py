"""A site with its people, leads laid by hand, and a desk at which they are decided."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.db.connect import Database
from opsmantik.decisions.decide import Decided, Decision, decide, undo

ROLES = ("admin", "operator", "analyst")
STRANGERS = ("stranger", "neighbour")


class Desk:
    """One site. People are named by their role; ``platform_admin`` is no member of it, ``neighbour`` of another."""

    def __init__(self, database: Database, owner: Any, site_id: UUID, people: dict[str, UUID]) -> None:
        self.database = database
        self.owner = owner
        self.site_id = site_id
        self.people = people

    async def lead(self, *, age: timedelta = timedelta(hours=1), visit: Any = None, **columns: Any) -> UUID:
        """A tap, ``age`` ago, and its visit; ``visit`` are columns of the visit, or False for none."""
        at = await self.owner.fetchval("SELECT now() - $1::interval", age)
        call_id = uuid4()
        row = {
            "site_id": self.site_id, "id": call_id, "created_at": at, "occurred_at": at, "updated_at": at,
            "intent_action": "phone", "intent_target": "tel:+902125550101", "intent_stamp": call_id.hex,
            "phone_number": "+902125550101", "currency": "TRY", **columns,
        }  # fmt: skip
        if visit is not False:
            month, session_id = await self._visit(at, visit or {})
            row |= {"matched_session_id": session_id, "matched_session_month": month}
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        await self.owner.execute(f"INSERT INTO calls ({', '.join(row)}) VALUES ({places})", *row.values())
        await self.owner.execute("SELECT rebuild_counters($1)", self.site_id)
        return call_id

    async def _visit(self, at: datetime, columns: dict[str, Any]) -> tuple[Any, UUID]:
        session_id, month = uuid4(), at.astimezone(UTC).date().replace(day=1)
        began = at - timedelta(minutes=1)
        if began.astimezone(UTC).date().replace(day=1) != month:
            began = at
        row = {
            "site_id": self.site_id, "created_month": month, "id": session_id, "created_at": began,
            "started_at": began, "last_event_at": at, "total_duration_sec": 60, "event_count": 4, "first_key": 1,
            "exit_key": 1, "source_key": 1, "attribution_source": "First Click (Paid)", "channel": "paid_search",
            "is_paid": True, "attribution": {}, "gclid": "Cj0KCQiA-" + session_id.hex, "click_at": began, **columns,
        }  # fmt: skip
        row.setdefault("has_click_id", any(row.get(kind) for kind in ("gclid", "wbraid", "gbraid")))
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        await self.owner.execute("SELECT make_month($1)", month)
        async with self.owner.transaction():
            await self.owner.execute(
                "INSERT INTO session_keys (site_id, id, created_month) VALUES ($1, $2, $3)",
                self.site_id, session_id, month,
            )  # fmt: skip
            await self.owner.execute(
                f"INSERT INTO sessions ({', '.join(row)}) VALUES ({places})", *row.values()
            )
        return month, session_id

    async def decide(self, call_id: UUID, action: str, by: str = "operator", **fields: Any) -> Decided:
        if action == "junk":
            fields.setdefault("reason", "spam")
        decision = Decision(action=action, **fields)  # type: ignore[arg-type]
        return await decide(self.database, self.people[by], self.site_id, call_id, decision)

    async def undo(self, call_id: UUID, by: str = "operator", version: int | None = None) -> Decided:
        return await undo(self.database, self.people[by], self.site_id, call_id, version)

    async def row(self, call_id: UUID) -> dict[str, Any]:
        return dict(await self.owner.fetchrow("SELECT * FROM calls WHERE id = $1", call_id))

    async def picture(self, call_id: UUID) -> str:
        """Every column but the two that count changes, to the last digit."""
        text: str = await self.owner.fetchval(
            "SELECT (to_jsonb(c) - ARRAY['version', 'updated_at'])::text FROM calls c WHERE id = $1", call_id
        )
        return text

    async def log(self, call_id: UUID) -> list[dict[str, Any]]:
        rows = await self.owner.fetch(
            "SELECT * FROM intent_actions WHERE call_id = $1 ORDER BY version", call_id
        )
        return [dict(row) for row in rows]

    async def ledger(self, call_id: UUID) -> list[dict[str, Any]]:
        rows = await self.owner.fetch(
            "SELECT * FROM conversions WHERE call_id = $1 ORDER BY order_id", call_id
        )
        return [dict(row) for row in rows]

    async def moves(self, call_id: UUID) -> list[tuple[str | None, str, str | None]]:
        rows = await self.owner.fetch(
            "SELECT m.from_state, m.to_state, m.reason FROM conversion_moves m JOIN conversions v"
            " ON v.site_id = m.site_id AND v.id = m.conversion_id WHERE v.call_id = $1"
            " ORDER BY v.order_id, m.at, m.from_state NULLS FIRST",
            call_id,
        )
        return [tuple(row) for row in rows]

    async def miscounted(self) -> list[dict[str, Any]]:
        """Where the counters differ from the rows: nowhere, or an act has told them something else than it did."""
        rows = await self.owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", self.site_id)
        return [dict(row) for row in rows]


@pytest.fixture
def make_desk(app_database: Database, owner: Any, make_site: Callable[..., Awaitable[Any]]) -> Any:
    """A site (its columns as keywords) with one person of each role."""

    async def make(**columns: Any) -> Desk:
        site = await make_site(**columns)
        other = await make_site()
        people = {"owner": site.user_id, "neighbour": other.user_id}
        for name in (*ROLES, "stranger", "platform_admin"):
            people[name] = uuid4()
            await owner.execute(
                "INSERT INTO users (id, email, name) VALUES ($1, $2, $3)",
                people[name], f"{people[name].hex}@example.com", name.replace("_", " ").title(),
            )  # fmt: skip
            role = "admin" if name == "platform_admin" else "user"
            await owner.execute("INSERT INTO profiles (id, role) VALUES ($1, $2)", people[name], role)
            if name in ROLES:
                await owner.execute(
                    "INSERT INTO site_members VALUES ($1, $2, $3)", site.id, people[name], name
                )
        return Desk(app_database, owner, site.id, people)

    return make
