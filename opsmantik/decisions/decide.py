"""An operator's decision, from the door to the commit.

    lead_cases_v2 (row lock) → plan (is it allowed, what does it mean) → decide_intent (row, log, ledger, counters)

All of it is one transaction of the person who decides. The lock is held from reading to writing, so what the plan was
made from is what it is carried out on; of two who decide at once the second waits, sees what the first did, and is
told who it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.conversions.ledger import Row
from opsmantik.db.connect import Asker as Who
from opsmantik.db.connect import Database, Person
from opsmantik.decisions import store
from opsmantik.decisions.case import Asker, Case, Decision, Plan
from opsmantik.decisions.plan import MAY_DECIDE, lost_race, plan, plan_undo
from opsmantik.errors import Forbidden, NotFound
from opsmantik.intents.status import Action, Status

__all__ = ["Decided", "Decision", "decide", "undo"]


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, as it stands after the commit."""

    action_id: UUID
    """The line in the log."""
    call_id: UUID
    action: Action
    status: Status
    version: int
    at: datetime
    sequence: int
    """The site's number after this change: announce it to open pages."""
    opened: Row | None
    """The row of the ledger that a seal made: held or skipped, why, and until when it can be taken back unseen."""
    undone: Action | None
    """What an undo took back."""


async def decide(
    database: Database, who: Who | UUID, site_id: UUID, call_id: UUID, decision: Decision
) -> Decided:
    """Decide about a lead.

    Raises :class:`~opsmantik.errors.NotFound` for a lead that the person cannot see, :class:`~opsmantik.errors.Forbidden`
    for one whose role decides nothing, :class:`~opsmantik.errors.Conflict` when somebody was faster, and what
    :func:`~opsmantik.decisions.plan.plan` raises. Then nothing has changed.
    """
    async with database.as_person(who, write=True) as (connection, person):
        asker = await asker_on(connection, person, site_id)
        case = await _locked(connection, site_id, call_id)
        return await _carry_out(connection, site_id, case, plan(case, decision, asker))


async def undo(
    database: Database, who: Who | UUID, site_id: UUID, call_id: UUID, version: int | None = None
) -> Decided:
    """Take back the latest decision about a lead, whoever took it; raises as :func:`decide` does."""
    async with database.as_person(who, write=True) as (connection, person):
        await asker_on(connection, person, site_id)
        case = await _locked(connection, site_id, call_id)
        return await _carry_out(connection, site_id, case, plan_undo(case, version))


async def asker_on(connection: Any, person: Person, site_id: UUID) -> Asker:
    """The person and their role. A site that is not theirs has no leads that they could know of."""
    role = await store.role_on(connection, site_id)
    if role is None and site_id not in person.known:
        raise NotFound(what="lead")
    if role not in MAY_DECIDE:
        raise Forbidden(reason="leads are decided by a site's owner, administrators and operators")
    return Asker(person.user_id, role)


async def _locked(connection: Any, site_id: UUID, call_id: UUID) -> Case:
    found = await store.cases(connection, site_id, [call_id], lock=True)
    if not found:
        raise NotFound(what="lead")
    return found[0]


async def _carry_out(connection: Any, site_id: UUID, case: Case, made: Plan) -> Decided:
    action_id, version = await store.write(connection, site_id, case, made)
    if version is None:  # only without the lock that is held here
        raise lost_race(case)
    return Decided(
        action_id=action_id,
        call_id=case.call_id,
        action=made.action,
        status=made.status,
        version=version,
        at=case.now,
        sequence=await store.sequence(connection, site_id),
        opened=made.opened,
        undone=Action(case.undo_action) if made.undoes and case.undo_action else None,
    )
