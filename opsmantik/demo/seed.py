"""Sets up the demo: an account, two sites, and sixty days of their past.

Safe to run twice, at once, and again after an interruption: what is there stays, what is missing is added. A
demo that was off for a while gets the days in between.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from opsmantik.db.connect import Database
from opsmantik.db.embedded import app_pool
from opsmantik.demo import store
from opsmantik.demo.businesses import BUSINESSES, Business
from opsmantik.demo.history import write_history
from opsmantik.demo.pages import landing_addresses
from opsmantik.errors import OpsMantikError
from opsmantik.people.passwords import Passwords
from opsmantik.settings import Settings, private_directory
from opsmantik.upkeep.folding import fold_all

EMAIL: Final = "demo@opsmantik.example"
NAME: Final = "Demo"
DAYS: Final = 60
# Tables that grew by so many events want fresh statistics before the first screen asks.
WORTH_STATISTICS: Final = 1000
# What came in so lately nobody has decided yet: there is something to do for who signs in.
STILL_WAITING: Final = timedelta(hours=6)
# Letters and digits that nobody confuses when typing them from a terminal.
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"

Progress = Callable[[float, str], object]


class DemoAccount(msgspec.Struct, frozen=True):
    """How to get in, and pages to open in another tab: each as if an ad had been clicked."""

    email: str
    password: str
    landing_urls: tuple[str, ...]


class Credentials(msgspec.Struct, frozen=True):
    """What ``demo.json`` keeps."""

    email: str
    password: str


async def ensure_demo(
    settings: Settings,
    *,
    owner_dsn: str,
    app_dsn: str,
    progress: Progress = lambda done, words: None,
    now: datetime | None = None,
    days: float = DAYS,
) -> DemoAccount:
    """Have the demo there, with a past up to ``now``; the first time takes some twenty seconds.

    ``progress`` is told the part that is done, 0 to 1, and what is being done. Needs a migrated database.
    Raises :class:`~opsmantik.errors.DatabaseUnavailable`.
    """
    until = now or datetime.now(UTC)
    since = until - timedelta(days=days)
    progress(0.0, "Account and sites")
    database = app_pool(settings, app_dsn, max_size=3)
    async with store.set_up(owner_dsn) as connection:
        credentials = await asyncio.to_thread(keep_credentials, settings.home / "demo.json")
        await database.open()
        try:
            user_id = await store.ensure_user(connection, Passwords(), EMAIL, NAME, credentials.password)
            starts: list[tuple[Business, datetime]] = []
            past: list[tuple[UUID, datetime]] = []
            for business in BUSINESSES.values():
                origins = origins_for(settings, business)
                site_id = await store.ensure_site(connection, user_id, business, origins, since)
                newest = await store.newest_session(connection, site_id)
                start = max(since, newest) if newest else since
                starts.append((business, start))
                past.append((site_id, start))
            await store.make_months(connection, since, until)
            if await _write(database, starts, until, progress) > WORTH_STATISTICS:
                await fold_all(database)
                await store.analyze(connection)
            for site_id, start in past:
                await store.decide_history(connection, site_id, user_id, start, until - STILL_WAITING)
        finally:
            await database.close()
    progress(1.0, "History is there")
    return DemoAccount(credentials.email, credentials.password, landing_addresses(settings.base_url))


async def _write(
    database: Database, starts: list[tuple[Business, datetime]], until: datetime, progress: Progress
) -> int:
    """The past of all businesses, side by side: while the database writes one's, Python prepares another's.
    Returns how many events that were."""
    # A day's work is its visits: one business has twice as many as the other.
    total = sum(((until - since) / timedelta(days=1) + 1) * business.daily[1] for business, since in starts)
    done = 0.0

    def on_day(business: Business, day: date) -> None:
        nonlocal done
        done += business.daily[1]
        progress(min(done / total, 0.99), f"{business.domain}, {day:%-d %B}")

    try:
        async with asyncio.TaskGroup() as tasks:
            histories = [
                tasks.create_task(write_history(database, business, since, until, on_day=on_day))
                for business, since in starts
                if since < until
            ]
    except* OpsMantikError as several:  # what stopped one stopped the other: one reason is enough
        raise several.exceptions[0] from None
    return sum(history.result() for history in histories)


def origins_for(settings: Settings, business: Business) -> list[str]:
    """Who may post for the site: its own pages, and the landing pages that this installation serves."""
    here = [f"http://127.0.0.1:{settings.port}", f"http://localhost:{settings.port}", settings.base_url]
    return list(dict.fromkeys((business.origin, f"https://www.{business.domain}", *here)))


def keep_credentials(path: Path) -> Credentials:
    """The demo's account as this file (mode 0600) keeps it; a new password if there is no usable file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credentials)
    except (FileNotFoundError, msgspec.MsgspecError):
        pass
    private_directory(path.parent)
    password = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
    fresh = Credentials(EMAIL, password)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(fresh)) + b"\n")
    draft.replace(path)
    return fresh
