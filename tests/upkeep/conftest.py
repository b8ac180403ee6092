"""Traffic of any month, through the pipeline and the writer that live events take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio

from opsmantik.db.connect import Database
from opsmantik.event import Arrival, Event, Site
from opsmantik.ingest.pipeline import Pipeline, World
from opsmantik.ingest.writer import Writer

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)


class Traffic:
    """Visits to one site. Every event is answered "stored", or the test that sent it fails."""

    def __init__(self, writer: Writer, site: Site) -> None:
        self._writer = writer
        self._pipeline = Pipeline(World(lambda address: None))
        self._site = site

    async def visit(
        self, at: datetime, *, session: UUID | None = None, views: int = 3, taps: int = 1
    ) -> tuple[UUID, list[UUID]]:
        """A session, new or going on, with views and taps received at one moment; ids of session and events."""
        session = session or uuid4()
        arrival = Arrival("events", self._site, None, "", CHROME, int(at.timestamp() * 1000), received_at=at)
        events = [self._event(arrival, session, "interaction", "view", "") for _ in range(views)]
        events += [
            self._event(arrival, session, "conversion", "phone_call", "tel:+902125550101")
            for _ in range(taps)
        ]
        assert await self._writer.write(events) == ["stored"] * len(events)
        return session, [event.id for event in events]

    def _event(self, arrival: Arrival, session: UUID, category: str, action: str, label: str) -> Event:
        event = Event(
            arrival=arrival,
            id=uuid4(),
            session_id=None,
            session_text=str(session),
            client_ms=None,
            category=category,
            action=action,
            label=label,
            value=None,
            url="https://shop.example/",
            referrer=None,
            visitor=f"v-{session}",
            meta={"a": [1, 2.5, None]},
            raw=b"{}",
            flags=[],
        )
        ready = self._pipeline.run(event)
        assert isinstance(ready, Event), ready
        return ready


@pytest_asyncio.fixture(loop_scope="session")
async def traffic(app_database: Database, make_site: Callable[..., Any]) -> AsyncIterator[Traffic]:
    made = await make_site()
    site = Site(
        made.id,
        made.public_id,
        "shop.example",
        "Europe/Istanbul",
        "TR",
        "TRY",
        "implied",
        90,
        False,
        frozenset(),
    )
    writer = Writer(app_database, lambda site_id, intents: None)
    await writer.start()
    yield Traffic(writer, site)
    await writer.stop()
