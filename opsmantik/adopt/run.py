"""The steps of an adoption, in their order. Each can be cut off and repeated: the same comes of it, and nothing twice.

What has been taken over is not looked at again,
but for leads that nobody touched here and somebody has decided there since,
and visits that have more events now. So it can be run early, and once more when the trackers have moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.adopt import figures, leads, people, store, visits
from opsmantik.adopt.figures import AMOUNT, EVENTS, VISITS, Figures, Line, Place
from opsmantik.adopt.old import SQL, Old
from opsmantik.adopt.repeats import Repeats
from opsmantik.intents.status import SEALED

VISITS_AT_ONCE: Final = 2_000
EVENTS_AT_ONCE: Final = 60_000
LEADS_AT_ONCE: Final = 1_000
Progress = Callable[[float, str], object]
_calls = msgspec.json.Decoder(leads.OldCall)
_visits = msgspec.json.Decoder(visits.OldVisit)
_first = msgspec.json.Decoder(visits.First)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How it is to be done."""

    keep_admins: bool = False
    queue_unsent: bool = False
    now: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    lines: list[Line]
    made: list[people.NewPerson]
    """Accounts that had none here: they need a link to sign in."""
    new_public_ids: list[people.NewSite]
    sites: dict[UUID, str]
    """Name of each site that was taken over."""

    @property
    def unexplained(self) -> list[Line]:
        return [line for line in self.lines if line.unexplained]


async def adopt(
    old: Old, owner: Any, wanted: Wanted, on_progress: Progress = lambda done, words: None
) -> Outcome:
    """Take everything over. ``owner``: a connection to our database as its owner, outside any transaction."""
    await store.begin(owner)
    on_progress(0.0, "People and sites")
    made, ids, new_sites = await _people(old, owner, wanted)
    sites = await store.sites(owner, [site.id for site in new_sites])
    counted = await figures.before(old, sites)
    for month in _months([row["month"] for row in await old.rows(SQL.months)], datetime.now(UTC)):
        await store.make_month(owner, month)
    size = (await old.rows(SQL.size))[0]
    steps = _Steps(
        on_progress, {"visits": size["visits"] * 3, "events": size["events"], "leads": size["calls"] * 4}
    )
    await _visits_over(old, owner, sites, counted, steps)
    await _events_over(old, owner, counted, steps)
    await _leads_over(old, owner, sites, ids, counted, wanted, steps)
    await _refused_over(old, owner, sites, ids)
    await store.analyze(owner)
    for n, site_id in enumerate(sites):
        on_progress(0.9 + 0.1 * n / len(sites), "Counting what is here")
        await store.finish(owner, site_id)
    on_progress(1.0, "Done")
    return Outcome(
        lines=counted.lines(), made=made, new_public_ids=[site for site in new_sites if site.has_new_public_id],
        sites={site.id: site.name for site in new_sites},
    )  # fmt: skip


def _months(found: Sequence[date], now: datetime) -> Iterator[date]:
    """From the first in which there is a visit to this one, without a gap, and what lies ahead."""
    month = min(found, default=now.date()).replace(day=1)
    last = max([*found, now.date()]).replace(day=1)
    while month <= last:
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


class _Steps:
    """Tells how far it is: up to nine tenths, by the number of rows."""

    def __init__(self, tell: Progress, weights: dict[str, int]) -> None:
        self._tell, self._weights, self._done = tell, weights, 0.0
        self._whole = max(sum(weights.values()), 1)

    def __call__(self, kind: str, part: float, words: str) -> None:
        names = list(self._weights)
        before = sum(self._weights[name] for name in names[: names.index(kind)])
        self._tell(0.9 * (before + self._weights[kind] * min(part, 1.0)) / self._whole, words)


async def _people(
    old: Old, owner: Any, wanted: Wanted
) -> tuple[list[people.NewPerson], dict[UUID, UUID], list[people.NewSite]]:
    found = [msgspec.json.decode(row["row"], type=people.OldPerson) for row in await old.rows(SQL.people)]
    old_sites = [msgspec.json.decode(row["row"], type=people.OldSite) for row in await old.rows(SQL.sites)]
    made, ids = people.accounts(found, await store.accounts(owner), keep_admins=wanted.keep_admins)
    taken = await store.taken_public_ids(owner, [site.id for site in old_sites])
    new_sites = people.sites([site for site in old_sites if site.user_id in ids], ids, taken)
    members = [
        (
            row["site_id"],
            ids[row["user_id"]],
            people.ROLES.get(row["role"], "analyst"),
            row["created_at"] or wanted.now,
        )
        for row in await old.rows(SQL.members)
        if row["user_id"] in ids and row["site_id"] in {site.id for site in new_sites}
    ]
    async with owner.transaction():
        await store.add_people(owner, made)
        if wanted.keep_admins:
            await store.keep_admins(owner, {ids[person.id] for person in found if person.role == "admin"})
        await store.add_sites(owner, new_sites, source="first generation")
        # Whoever has two roles there because two accounts became one has the stronger.
        await store.add_members(
            owner, sorted(members, key=lambda member: list(people.ROLES.values()).index(member[2]))
        )
    return made, ids, new_sites


async def _visits_over(
    old: Old, owner: Any, sites: Mapping[UUID, leads.Site], counted: Figures, steps: _Steps
) -> None:
    batch: list[visits.Visit] = []
    done, whole = 0, max(sum(n for place, n in counted.before.items() if place.measure == VISITS), 1)
    async for rows in _by_visit(old):
        site = sites.get(rows[0]["site_id"])
        if site is None:
            continue
        visit = _visit(rows, site)
        _explain(visit, counted)
        batch.append(visit)
        if len(batch) >= VISITS_AT_ONCE:
            counted.there(await store.add_visits(owner, batch), VISITS)
            done += len(batch)
            steps("visits", done / whole, "Visits")
            batch = []
    if batch:
        counted.there(await store.add_visits(owner, batch), VISITS)


async def _by_visit(old: Old) -> AsyncIterator[list[Any]]:
    """The rows of each visit: more than one where it lies in two months."""
    rows: list[Any] = []
    async for row in old.stream(SQL.visits):
        if rows and (rows[0]["site_id"], rows[0]["id"]) != (row["site_id"], row["id"]):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _visit(rows: Sequence[Any], site: leads.Site) -> visits.Visit:
    row = rows[0]
    facts = visits.Facts(
        first_at=row["first_at"], last_at=row["last_at"], events=row["events"], views=row["views"],
        conversions=row["conversions"],
        taps=row["taps"], first=_first.decode(row["first"]) if row["first"] else visits.First(),
    )  # fmt: skip
    found = [_visits.decode(each["row"]) for each in rows if each["row"] is not None]
    return visits.visit(site.id, row["id"], found, facts, domain=site.domain, keeps_ip=site.keep_ip)


def _explain(visit: visits.Visit, counted: Figures) -> None:
    """Where a visit's figure lies in another month here, or there was none."""
    here = Place(visit.site_id, visit.month, VISITS)
    if not visit.was_at:
        counted.because("made of events without a visit", here, 1)
        return
    first, *others = (
        Place(visit.site_id, at.astimezone(UTC).date().replace(day=1), VISITS) for at in visit.was_at
    )
    if first != here:
        counted.because("begins with its first event", first, -1)
        counted.because("begins with its first event", here, 1)
    for other in others:
        counted.because("one visit in two months", other, -1)


async def _events_over(old: Old, owner: Any, counted: Figures, steps: _Steps) -> None:
    days = await old.rows(SQL.event_days)
    done, whole = 0, max(sum(row["n"] for row in days), 1)
    for month, first, last, n in _pieces(days):
        counted.there(await store.add_events(owner, old, SQL.events, month, first, last), EVENTS)
        done += n
        steps("events", done / whole, "Events")


def _pieces(days: Sequence[Any]) -> Iterator[tuple[Any, Any, Any, int]]:
    """Month, first and last instant (None: without a time) and number of events, of neighbouring days of one month."""
    held: tuple[Any, Any, Any, int] | None = None
    for row in days:
        month, day, n = row["session_month"], row["day"], row["n"]
        end = day + timedelta(days=1) if day is not None else None
        if (
            held
            and held[0] == month
            and held[1] is not None
            and day is not None
            and held[3] + n <= EVENTS_AT_ONCE
        ):
            held = (month, held[1], end, held[3] + n)
            continue
        if held:
            yield held
        held = (month, day, end, n)
    if held:
        yield held


async def _leads_over(
    old: Old, owner: Any, sites: Mapping[UUID, leads.Site], ids: Mapping[UUID, UUID], counted: Figures, wanted: Wanted,
    steps: _Steps,
) -> None:  # fmt: skip
    whole = max(sum(n for place, n in counted.before.items() if place.measure.startswith("leads ")), 1)
    repeats = Repeats()
    batch: list[tuple[leads.OldCall, UUID | None, bool]] = []
    done = 0
    async for row in old.stream(SQL.calls):
        call = _calls.decode(row["row"])
        if call.site_id not in sites:
            continue
        batch.append((call, *repeats.of(call, sites[call.site_id].region)))
        if len(batch) >= LEADS_AT_ONCE:
            await _write_leads(owner, batch, sites, ids, counted, wanted)
            done += len(batch)
            steps("leads", done / whole, "Leads")
            batch = []
    if batch:
        await _write_leads(owner, batch, sites, ids, counted, wanted)


async def _write_leads(
    owner: Any, batch: Sequence[tuple[leads.OldCall, UUID | None, bool]], sites: Mapping[UUID, leads.Site],
    ids: Mapping[UUID, UUID], counted: Figures, wanted: Wanted,
) -> None:  # fmt: skip
    calls = [call for call, _, _ in batch]
    matched = await store.visits_of(owner, calls)
    taken = await store.taken_stamps(owner, calls)
    made: dict[UUID, leads.Lead] = {}
    for call, repeats, has_stamp in batch:
        made[call.id] = leads.lead(
            call, sites[call.site_id],
            matched.get((call.site_id, call.matched_session_id)) if call.matched_session_id else None, people=ids,
            repeats=repeats, stamp_taken=has_stamp or (call.site_id, call.intent_stamp) in taken, now=wanted.now,
            queue_unsent=wanted.queue_unsent,
        )  # fmt: skip
    here = await store.add_leads(owner, list(made.values()))
    _count_leads(here, made, counted)


def _count_leads(here: Sequence[Any], made: Mapping[UUID, leads.Lead], counted: Figures) -> None:
    """What came of them, read back; and why it is not what was there."""
    for row in here:
        lead, month = made[row["id"]], row["created_at"].astimezone(UTC).date().replace(day=1)
        expected, found = _figures_of(lead.status, lead.amount), _figures_of(row["status"], row["amount"])
        if row["is_tap"]:
            found = Counter()
        for measure, n in found.items():
            counted.after[Place(row["site_id"], month, measure)] += n
        # Whoever acted on it here had the last word; untouched it would be what it is there by now.
        since = "decided here since" if row["version"] > 1 else ""
        reason = "repeats another tap" if row["is_tap"] else since
        if reason:
            for measure in expected.keys() | found.keys():
                if found[measure] != expected[measure]:
                    counted.because(
                        reason, Place(row["site_id"], month, measure), found[measure] - expected[measure]
                    )


def _figures_of(status: str, amount: Any) -> Counter[str]:
    found: Counter[str] = Counter({figures.measure_of(status): 1})
    if status in SEALED:
        found[AMOUNT] += amount
    return found


async def _refused_over(old: Old, owner: Any, sites: Mapping[UUID, Any], ids: Mapping[UUID, UUID]) -> None:
    if not old.has("public.sync_dlq"):
        return
    async with owner.transaction():
        for row in await old.rows(SQL.dead_letters):
            if row["site_id"] in sites:
                await store.add_rejected(owner, row)
        if old.has("public.sync_dlq_replay_audit"):
            for row in await old.rows(SQL.replays):
                if row["site_id"] in sites:
                    await store.add_replay(owner, row, ids)
