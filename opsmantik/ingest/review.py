"""Looks at leads again a moment after they came in: their scores as their visits go on, and whether they are what
they seem.

A visit goes on after its tap, and every page makes its score better known. That must not make each event dearer, nor
an operator wait: a new lead is scored in the transaction that stores it; what comes afterwards is gathered for a
second. What a process that dies had gathered is found by the next one: scores by the next event of their visit, new
leads because nobody has judged them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog

from opsmantik.db.connect import Database
from opsmantik.errors import DatabaseUnavailable
from opsmantik.event import new_id
from opsmantik.intents.score import SessionFacts, score
from opsmantik.intents.suspicion import LeadFacts, suspicions

log = structlog.get_logger()

EVERY_SECONDS = 1.0
AT_ONCE = 500
# Leads of a process that ended: further back somebody has looked at them.
UNJUDGED_HOURS = 2

SCORE = "SELECT score_leads($1)"
FACTS = "SELECT * FROM lead_facts_of($1, $2)"
SUSPICION_FACTS = "SELECT * FROM suspicion_facts($1, $2)"
CLEAR = "SELECT clear_leads($1, $2)"
SUSPECT = "SELECT suspect_lead($1, $2, $3, $4)"
UNJUDGED = "SELECT site_id, call_id, session_id FROM unjudged_leads($1)"

Name = tuple[UUID, UUID]  # site and visit, or site and lead
Notice = Callable[[UUID, bool], None]


class Review:
    """Gathers visits and leads, and looks at them once a second."""

    def __init__(self, database: Database, on_commit: Notice, every_seconds: float = EVERY_SECONDS) -> None:
        self._database = database
        self._on_commit = on_commit
        self._every = every_seconds
        self._visits: dict[Name, None] = {}
        self._leads: dict[Name, timedelta] = {}
        self._task: asyncio.Task[None] | None = None

    def visits(self, names: Iterable[Name]) -> None:
        """These visits, which have a lead, went on."""
        for name in names:
            self._visits[name] = None

    def lead(self, name: Name, clock_shift: timedelta) -> None:
        """This tap is new. ``clock_shift``: by how much the device's clock had to be put right."""
        self._leads[name] = clock_shift

    async def start(self) -> None:
        """Begin in the background, with what an earlier process left."""
        self._task = asyncio.create_task(self._work(), name="review")

    async def stop(self) -> None:
        """Look at what is left, then end."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        with suppress(DatabaseUnavailable):
            await self.look()

    async def look(self) -> None:
        """Look at everything that is gathered.

        What comes in meanwhile is left for the next turn: under load there would be something new at every look, and
        each of them counts the taps of the whole last minute.
        """
        visits, self._visits = self._visits, {}
        leads, self._leads = self._leads, {}
        try:
            while visits or leads:
                some_visits, later_visits = _some(visits)
                some_leads, later_leads = _some(leads)
                await self._look(some_visits, some_leads)
                visits, leads = later_visits, later_leads
        except BaseException:
            self._visits = visits | self._visits
            self._leads = leads | self._leads
            raise

    async def _work(self) -> None:
        found = False
        while True:
            await asyncio.sleep(self._every)
            try:
                if not found:
                    await self._find_unjudged()
                    found = True
                await self.look()
            except DatabaseUnavailable:
                log.warning("review.waits", reason="the database does not answer")
            except Exception:  # a fault in one turn must not end all later ones
                log.exception("review.failed")
                self._visits.clear()
                self._leads.clear()

    async def _find_unjudged(self) -> None:
        async with self._database.connection() as connection:
            rows = await connection.fetch(UNJUDGED, UNJUDGED_HOURS)
        for row in rows:
            self._leads.setdefault((row["site_id"], row["call_id"]), timedelta(0))
            if row["session_id"] is not None:
                self._visits[row["site_id"], row["session_id"]] = None

    async def _look(self, visits: dict[Name, None], leads: dict[Name, timedelta]) -> None:
        async with self._database.connection() as connection:
            if visits:
                async with connection.transaction():
                    facts = await connection.fetch(FACTS, *_columns(visits))
                    await write_scores(connection, facts)
            if leads:
                await self._judge(connection, leads)
        for site_id in {site_id for site_id, _ in visits}:
            self._on_commit(site_id, False)

    async def _judge(self, connection: Any, leads: dict[Name, timedelta]) -> None:
        clear: list[Name] = []
        for row in await connection.fetch(SUSPICION_FACTS, *_columns(leads)):
            found = suspicions(
                LeadFacts(
                    happened_at=row["happened_at"],
                    session_began_at=row["session_began_at"],
                    taps_of_device=row["taps_of_device"],
                    taps_of_address=row["taps_of_address"],
                    clock_shift=leads[row["site_id"], row["tap_id"]],
                )
            )
            if not found:
                clear.append((row["site_id"], row["call_id"]))
            elif await connection.fetchval(SUSPECT, row["site_id"], row["call_id"], new_id(), list(found)):
                self._on_commit(row["site_id"], True)
        await connection.execute(CLEAR, *_columns(clear))


async def write_scores(connection: Any, leads: Sequence[Any]) -> None:
    """Store the scores of these leads (rows of the database type ``lead_facts``), in the caller's transaction."""
    if leads:
        await connection.execute(SCORE, [_scored(lead) for lead in leads])


def _some(gathered: dict[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The oldest of them, and the rest."""
    if len(gathered) <= AT_ONCE:
        return gathered, {}
    names = list(gathered)
    return (
        {name: gathered[name] for name in names[:AT_ONCE]},
        {name: gathered[name] for name in names[AT_ONCE:]},
    )


def _columns(names: Iterable[Name]) -> tuple[list[UUID], list[UUID]]:
    pairs = sorted(names)
    return [site_id for site_id, _ in pairs], [other for _, other in pairs]


def _scored(lead: Any) -> tuple[Any, ...]:
    """A value of the database type ``lead_score_draft`` from one of ``lead_facts``."""
    result = score(
        SessionFacts(
            events=lead["events"],
            views=lead["views"],
            conversions=lead["conversions"],
            taps=lead["taps"],
            duration_sec=lead["duration_sec"],
            active_sec=lead["active_sec"],
            max_scroll=lead["max_scroll"],
            cta_hovers=lead["cta_hovers"],
            form_focus_sec=lead["form_focus_sec"],
            previous_visits=lead["previous_visits"],
            has_click_id=lead["has_click_id"],
            paid=lead["paid"],
        )
    )
    return (lead["site_id"], lead["session_id"], result.total, msgspec.json.encode(dict(result.parts)))
