"""One decision about many leads, in batches: each a transaction, whole or not at all, as if each lead were decided alone.

Every lead is decided on the version that the asker saw: one that somebody else has decided meanwhile stays as it is, and
is told of, with who it was. A batch that is done stays done, also when a later one cannot be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from opsmantik.db.connect import Asker as Who
from opsmantik.db.connect import Database
from opsmantik.decisions import store
from opsmantik.decisions.case import Asker, Case, Decision, Plan
from opsmantik.decisions.decide import asker_on
from opsmantik.decisions.plan import lost_race, plan, plan_undo
from opsmantik.errors import Conflict, MergedTap, MoveRefused, Unprocessable
from opsmantik.intents.status import Action

AT_ONCE: Final = 100
"""Leads of one transaction: their rows are locked until its end."""
MOST: Final = 5000
ACTIONS: Final = frozenset({Action.JUNK, Action.RESTORE, Action.PEND, Action.SEAL, Action.SUSPECT})
"""What can be decided about many."""

Seen = tuple[UUID, int]
"""A lead, and the version of it that the asker saw."""


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """A lead that was left as it is, and why."""

    lead: UUID
    why: str
    """conflict (somebody was faster), move_refused (it cannot be), or gone."""
    status: str | None = None
    version: int | None = None
    who: str | None = None
    """Who was faster, as far as a name is known."""
    action: str | None = None


class Batch(msgspec.Struct, frozen=True):
    """What became of some of the leads."""

    done: list[Seen]
    """With their new versions."""
    lost: list[Lost]


async def decide_many(
    database: Database, who: Who | UUID, site_id: UUID, leads: Sequence[Seen], decision: Decision
) -> AsyncIterator[Batch]:
    """Decide so about each of the leads, batch by batch.

    Raises :class:`~opsmantik.errors.Unprocessable` for an act that is not for many, and what
    :func:`~opsmantik.decisions.plan.plan` says of the decision itself, before anything is done.
    """
    if decision.action not in ACTIONS:
        raise Unprocessable(reason=f"{decision.action} is decided lead by lead")
    if decision.amount is not None:
        raise Unprocessable(reason="an amount is one lead's")

    def work_out(case: Case, version: int, asker: Asker) -> Plan:
        return plan(case, msgspec.structs.replace(decision, version=version), asker)

    async for batch in _each(database, who, site_id, leads, work_out):
        yield batch


async def undo_many(
    database: Database, who: Who | UUID, site_id: UUID, leads: Sequence[Seen]
) -> AsyncIterator[Batch]:
    """Take the latest decision about each back, where nothing has happened to the lead since."""
    async for batch in _each(
        database, who, site_id, leads, lambda case, version, _: plan_undo(case, version)
    ):
        yield batch


async def _each(
    database: Database,
    who: Who | UUID,
    site_id: UUID,
    leads: Sequence[Seen],
    work_out: Callable[[Case, int, Asker], Plan],
) -> AsyncIterator[Batch]:
    if len(leads) > MOST:
        raise Unprocessable(reason=f"at most {MOST} leads are decided at once")
    seen = list(dict(leads).items())
    for first in range(0, len(seen), AT_ONCE):
        async with database.as_person(who, write=True) as (connection, person):
            asker = await asker_on(connection, person, site_id)
            versions = dict(seen[first : first + AT_ONCE])
            cases = await store.cases(connection, site_id, list(versions), lock=True)
            batch = Batch(
                [], [Lost(lead=lead, why="gone") for lead in versions.keys() - {c.call_id for c in cases}]
            )
            for case in cases:
                try:
                    made = work_out(case, versions[case.call_id], asker)
                    _, version = await store.write(connection, site_id, case, made)
                    if version is None:  # only without the lock that is held here
                        raise lost_race(case)
                    batch.done.append((case.call_id, version))
                except (Conflict, MoveRefused, MergedTap) as refused:
                    batch.lost.append(_lost(case, refused))
        yield batch


def _lost(case: Case, refused: Conflict | MoveRefused | MergedTap) -> Lost:
    why = "conflict" if isinstance(refused, Conflict) else "move_refused"
    by_rule = case.latest_kind == "rule"
    return Lost(
        lead=case.call_id, why="gone" if isinstance(refused, MergedTap) else why, status=case.status, version=case.version,
        who=None if by_rule else case.latest_name, action=case.latest_action,
    )  # fmt: skip
