"""Writes a business's past through the code that live events take: bodies, pipeline, writer.

The only difference is the time of arrival, which history brings along. Visits are written in the order in
which they began, several hundred events a transaction, and each transaction holds whole visits: so the newest
session in the database tells how far the past is written, and writing can stop and go on anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

from opsmantik import clock
from opsmantik.db.connect import Database
from opsmantik.demo import wire
from opsmantik.demo.businesses import Business
from opsmantik.demo.scenario import SEED, visits_of_day
from opsmantik.demo.visits import Visit
from opsmantik.errors import NotFound
from opsmantik.event import Arrival, Drop, Site
from opsmantik.ingest.payload import clean, read_body, read_events
from opsmantik.ingest.pipeline import Pipeline, World
from opsmantik.ingest.registry import Registry
from opsmantik.ingest.writer import Item, Refusal, Writer

# Large enough that the transaction costs little, small enough that memory and locks do too.
ITEMS = 600
# From the happening to the sending, and from there to our door, in milliseconds.
_SENT_AFTER, _ARRIVED_AFTER, _RESENT_AFTER = 90, 210, 5_400


async def write_history(
    database: Database,
    business: Business,
    since: datetime,
    until: datetime,
    *,
    on_day: Callable[[Business, date], object],
    seed: int = SEED,
) -> int:
    """Store all visits that begin after ``since``, as far as they have happened by ``until`` (aware, UTC).

    Returns how many events that were, the refused and repeated ones too.

    Raises :class:`~opsmantik.errors.NotFound` if the business has no site, and
    :class:`~opsmantik.errors.Unavailable` if the database goes away; what is written by then stays.
    """
    registry = Registry(database)
    await registry.refresh()
    site = registry.find(business.public_id)
    if site is None:
        raise NotFound(what=f"site for {business.domain}")
    writer = Writer(database, lambda site_id, intents: None, window_ms=0, batch_max=1)
    await writer.start()
    written = 0
    try:
        for day in _days(business, since, until):
            for items in _batches(visits_of_day(business, day, seed), site, since, until):
                await writer.write(items)
                written += len(items)
            on_day(business, day)
    finally:
        await writer.stop()
    return written


def _days(business: Business, since: datetime, until: datetime) -> Iterator[date]:
    day, last = clock.today(business.time_zone, since), clock.today(business.time_zone, until)
    while day <= last:
        yield day
        day += timedelta(days=1)


def _batches(visits: list[Visit], site: Site, since: datetime, until: datetime) -> Iterator[list[Item]]:
    pipeline = Pipeline(World(lambda address: None))
    first_ms, last_ms = _milliseconds(since), _milliseconds(until)
    batch: list[Item] = []
    for visit in visits:
        if first_ms < visit.start_ms + _ARRIVED_AFTER:
            batch += _items(visit, site, pipeline, last_ms)
        if len(batch) >= ITEMS:
            yield batch
            batch = []
    if batch:
        yield batch


def _items(visit: Visit, site: Site, pipeline: Pipeline, last_ms: int) -> list[Item]:
    """What the doors would have handed to the writer, a request after the other."""
    items: list[Item] = []
    for beat in visit.beats:
        at_ms = visit.start_ms + beat.after_ms
        sent_ms = at_ms + _SENT_AFTER
        raw = wire.body(visit, beat.event, at_ms + visit.skew_ms, sent_ms + visit.skew_ms)
        for later_ms in (_ARRIVED_AFTER, _RESENT_AFTER) if beat.is_resent else (_ARRIVED_AFTER,):
            if at_ms + later_ms <= last_ms:
                items += _receive(raw, _arrival(visit, site, at_ms + later_ms), pipeline)
    return items


def _arrival(visit: Visit, site: Site, received_ms: int) -> Arrival:
    return Arrival(
        door="sync" if visit.first_generation else "v1",
        site=site,
        origin=visit.origin,
        ip=visit.person.address,
        user_agent=visit.user_agent,
        received_ms=received_ms,
        received_at=datetime.fromtimestamp(received_ms / 1000, UTC),
        place=visit.person.place,
        tracker=None if visit.first_generation else wire.TRACKER,
    )


def _receive(raw: bytes, arrival: Arrival, pipeline: Pipeline) -> list[Item]:
    """One body, read as at a door."""
    text, flags = clean(raw)
    body = read_body(text)
    arrival.sent_ms = body.sent
    items: list[Item] = []
    for event in read_events(body, text, arrival, flags):
        result = event if isinstance(event, Drop) else pipeline.run(event)
        if isinstance(result, Drop):
            payload = text if isinstance(event, Drop) else event.raw
            items.append(Refusal(arrival.site.id, arrival.door, result, payload, arrival.received_at))  # type: ignore[union-attr]
        else:
            items.append(result)
    return items


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
