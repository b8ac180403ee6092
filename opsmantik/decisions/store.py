"""Reading and writing of decisions. Enters: a connection inside a transaction, a person's or the owner's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.decisions.case import Case, Plan
from opsmantik.event import new_id
from opsmantik.intents.status import WAITING

SQL = queries(Path(__file__).with_name("queries.sql"))
_WAITING = [str(status) for status in WAITING]


class Rules(msgspec.Struct, frozen=True):
    """After how long a site's own rules decide; None: never."""

    approve_hours: int | None
    junk_days: int | None


async def role_on(connection: Any, site_id: UUID) -> str | None:
    """The asker's role on a site: platform_admin, owner, admin, operator or analyst; None if it is not theirs."""
    role: str | None = await connection.fetchval(SQL.site_role, site_id)
    return role


async def cases(connection: Any, site_id: UUID, calls: Sequence[UUID], *, lock: bool) -> list[Case]:
    """The leads as they are, oldest first; with ``lock`` nobody else decides about them until the commit."""
    rows = await connection.fetch(SQL.lead_cases, site_id, list(calls), lock)
    return [Case(**row) for row in rows]


async def write(connection: Any, site_id: UUID, case: Case, plan: Plan) -> tuple[UUID, int | None]:
    """Carry a plan out. Returns the id of its line in the log and the lead's new version, None if it had moved on."""
    action_id = new_id()
    step = plan.conversion
    if step is not None and step["step"] == "open":
        step = {**step, "id": new_id()}
    version: int | None = await connection.fetchval(
        SQL.decide_intent, site_id, case.call_id, case.version, action_id, plan.kind, str(plan.action), plan.line,
        plan.undoes, plan.changes, step,
    )  # fmt: skip
    return action_id, version


async def sequence(connection: Any, site_id: UUID) -> int:
    """The site's number after this transaction, for the notice to open pages."""
    return int(await connection.fetchval(SQL.sequence, site_id))


async def rules(connection: Any, site_id: UUID) -> Rules:
    """The site's rules; both off for a site that the asker may not see."""
    row = await connection.fetchrow(SQL.site_rules, site_id)
    return Rules(*row) if row else Rules(None, None)


async def sites_with_rule(connection: Any, rule: str) -> list[UUID]:
    """The sites that have switched a rule on; for the owner's connection."""
    return [row["id"] for row in await connection.fetch(SQL.sites_with_rule, rule)]


async def leads_to_approve(
    connection: Any, site_id: UUID, hours: int, seconds: int, events: int, *, limit: int, lock: bool
) -> list[UUID]:
    """Leads that waited for so long and carry no risk, oldest first; see ``db/functions/stale_leads.sql``."""
    found: list[UUID] = await connection.fetchval(
        SQL.leads_to_approve, site_id, _WAITING, hours, seconds, events, limit, lock
    )
    return found


async def leads_to_junk(connection: Any, site_id: UUID, days: int, *, limit: int, lock: bool) -> list[UUID]:
    """Leads that nobody touched for so long, oldest first."""
    found: list[UUID] = await connection.fetchval(SQL.leads_to_junk, site_id, _WAITING, days, limit, lock)
    return found


class NamedLead(msgspec.Struct, frozen=True):
    """A lead in a short list: enough to know it by."""

    id: UUID
    created_at: datetime
    action: str | None
    target: str | None
    phone_number: str | None
    keyword: str | None
    campaign: str | None


async def approve_risks(
    connection: Any, site_id: UUID, hours: int, seconds: int, events: int, *, limit: int
) -> dict[str | None, int]:
    """Of the oldest leads that waited for so long, how many a rule leaves alone, by the first reason; ``None``: none."""
    rows = await connection.fetch(SQL.approve_risks, site_id, _WAITING, hours, seconds, events, limit)
    return {row["reason"]: row["n"] for row in rows}


async def leads_named(connection: Any, site_id: UUID, calls: Sequence[UUID]) -> list[NamedLead]:
    """These leads, oldest first."""
    return [NamedLead(*row) for row in await connection.fetch(SQL.leads_named, site_id, list(calls))]
