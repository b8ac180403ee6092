"""What a site's own rules decide: seal what waited and carries no risk, junk what nobody touched.

Both are off or on by the site's settings; a lead decided by a rule says so, in its row and in the log, and is undone
like any other. They run as background jobs, and for one site when a person asks. Run again they find nothing: what is
decided no longer waits. Leads that somebody is deciding at the moment are passed over.
"""

from __future__ import annotations

from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.decisions import store
from opsmantik.decisions.case import RULE, Decision
from opsmantik.decisions.decide import asker_on
from opsmantik.decisions.plan import plan
from opsmantik.errors import Unprocessable
from opsmantik.intents.status import Action

LONGEST_HOURS: Final = 168
MOST: Final = 500
"""Leads of one transaction: their rows are locked until its end."""
DEFAULT_MOST: Final = 200
LOOKED_AT: Final = 5000
"""Leads that a preview looks at."""
SHOWN: Final = 20
"""Leads that a preview shows."""
# More than a glance: the first generation's measure, by which its operators knew the rule.
LEAST_SECONDS: Final = 10
LEAST_EVENTS: Final = 2

Rule = Literal["approve", "junk"]


class Swept(msgspec.Struct, frozen=True):
    """What a rule decided, or would decide: the leads, oldest first."""

    site_id: UUID
    rule: Rule
    after: int
    """Hours that a lead waited before it is sealed, or days before it is junk."""
    calls: tuple[UUID, ...]
    preview: bool
    sequence: int | None
    """The site's number after the change; None where nothing changed."""


async def approve(
    database: Database,
    who: Asker | UUID,
    site_id: UUID,
    *,
    hours: int | None = None,
    limit: int = DEFAULT_MOST,
    preview: bool = False,
) -> Swept:
    """Seal the site's stale leads of low risk, at a person's word; with ``preview`` only list them.

    ``hours`` (1 to 168) may ask for older leads than the site's setting does, never for younger ones; a preview takes
    any, also before the rule is switched on. ``limit`` is 1 to 500. Numbers beyond are taken as the nearest one.

    Raises :class:`~opsmantik.errors.Unprocessable` while the rule is off, ``NotFound`` and ``Forbidden`` as
    :func:`~opsmantik.decisions.decide.decide` does.
    """
    async with database.as_person(who, write=not preview) as (connection, person):
        await asker_on(connection, person, site_id)
        switched_on = (await store.rules(connection, site_id)).approve_hours
        if switched_on is None and not preview:
            raise Unprocessable(reason="auto-approve is off for this site; switch it on first")
        wanted = min(max(hours if hours is not None else switched_on or 24, 1), LONGEST_HOURS)
        if not preview:
            wanted = max(wanted, switched_on or 0)
        return await _approve(connection, site_id, wanted, _bounded(limit), preview)


async def junk(
    database: Database, who: Asker | UUID, site_id: UUID, *, limit: int = DEFAULT_MOST, preview: bool = False
) -> Swept:
    """Mark as junk what nobody touched for the site's ``auto_junk_days``; otherwise as :func:`approve`."""
    async with database.as_person(who, write=not preview) as (connection, person):
        await asker_on(connection, person, site_id)
        days = (await store.rules(connection, site_id)).junk_days
        if days is None:
            raise Unprocessable(reason="auto-junk is off for this site; switch it on first")
        return await _junk(connection, site_id, days, _bounded(limit), preview)


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules would decide at this moment; nothing is decided."""

    hours: int
    sealed: tuple[UUID, ...]
    """Leads that would be sealed, oldest first, at most :data:`MOST`."""
    shown: tuple[store.NamedLead, ...]
    """The first of them."""
    left: tuple[tuple[str, int], ...]
    """Leads that waited as long and would be left alone: how many by the first reason, of the oldest :data:`LOOKED_AT`."""
    looked_at: int
    days: int | None
    junked: tuple[UUID, ...]
    """Leads that would be junk, at most :data:`MOST`; none without ``days``."""


async def preview(connection: Any, site_id: UUID, hours: int, days: int | None) -> Preview:
    """What a rule of so many hours (1 to 168) would seal, and one of so many days would junk, in the transaction of
    somebody who decides on the site."""
    wanted = min(max(hours, 1), LONGEST_HOURS)
    sealed = await store.leads_to_approve(
        connection, site_id, wanted, LEAST_SECONDS, LEAST_EVENTS, limit=MOST, lock=False
    )
    reasons = await store.approve_risks(
        connection, site_id, wanted, LEAST_SECONDS, LEAST_EVENTS, limit=LOOKED_AT
    )
    junked = (
        [] if days is None else await store.leads_to_junk(connection, site_id, days, limit=MOST, lock=False)
    )
    return Preview(
        hours=wanted, sealed=tuple(sealed), shown=tuple(await store.leads_named(connection, site_id, sealed[:SHOWN])),
        left=tuple((reason, n) for reason, n in reasons.items() if reason), looked_at=sum(reasons.values()),
        days=days, junked=tuple(junked),
    )  # fmt: skip


async def approve_all(connection: Any) -> dict[str, Any]:
    """The job: every site that has switched it on. Enters: the owner's connection, outside any transaction."""
    return await _all(connection, "approve")


async def junk_all(connection: Any) -> dict[str, Any]:
    """The job: every site that has not switched it off. Enters as for :func:`approve_all`."""
    return await _all(connection, "junk")


async def _all(connection: Any, rule: Rule) -> dict[str, Any]:
    """Batch by batch, each a transaction of its own; returns how many leads, by site."""
    decided: dict[str, Any] = {}
    for site_id in await store.sites_with_rule(connection, rule):
        while True:
            async with connection.transaction(isolation="read_committed"):
                rules = await store.rules(connection, site_id)
                if rule == "approve" and rules.approve_hours is not None:
                    swept = await _approve(connection, site_id, rules.approve_hours, DEFAULT_MOST, False)
                elif rule == "junk" and rules.junk_days is not None:
                    swept = await _junk(connection, site_id, rules.junk_days, DEFAULT_MOST, False)
                else:
                    break  # switched off since
            if swept.calls:
                decided[str(site_id)] = decided.get(str(site_id), 0) + len(swept.calls)
            if len(swept.calls) < DEFAULT_MOST:
                break
    return decided


async def _approve(connection: Any, site_id: UUID, hours: int, limit: int, preview: bool) -> Swept:
    calls = await store.leads_to_approve(
        connection, site_id, hours, LEAST_SECONDS, LEAST_EVENTS, limit=limit, lock=not preview
    )
    words = f"auto-approved after {hours} h (low risk)"
    return await _sweep(connection, site_id, "approve", hours, calls, words, preview)


async def _junk(connection: Any, site_id: UUID, days: int, limit: int, preview: bool) -> Swept:
    calls = await store.leads_to_junk(connection, site_id, days, limit=limit, lock=not preview)
    return await _sweep(
        connection, site_id, "junk", days, calls, f"nobody decided within {days} days", preview
    )


async def _sweep(
    connection: Any, site_id: UUID, rule: Rule, after: int, calls: list[UUID], words: str, preview: bool
) -> Swept:
    if preview or not calls:
        return Swept(site_id, rule, after, tuple(calls), preview, None)
    done = []
    for case in await store.cases(connection, site_id, calls, lock=False):  # they are locked by now
        if rule == "approve":
            decision = Decision(action=Action.SEAL, note=None if case.note else words)
        else:
            decision = Decision(action=Action.JUNK, reason=words)
        _, version = await store.write(connection, site_id, case, plan(case, decision, RULE, line=words))
        if version is not None:
            done.append(case.call_id)
    return Swept(site_id, rule, after, tuple(done), preview, await store.sequence(connection, site_id))


def _bounded(limit: int) -> int:
    return min(max(limit, 1), MOST)
