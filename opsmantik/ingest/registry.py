"""The sites as the doors know them: all of them, in memory, read anew when told or when a few seconds old.

How much of its quota a site has used comes from the books, once a minute: a cap at twice the quota need not be exact to
the event, and an event must not pay for it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import structlog

from opsmantik.db.connect import Database
from opsmantik.db.listen import Listener
from opsmantik.errors import DatabaseUnavailable
from opsmantik.event import Site
from opsmantik.ingest.call_rules import CallRules
from opsmantik.keyring import Keyring

log = structlog.get_logger()

CHANNEL = "opsmantik_sites"
REFRESH_SECONDS = 5.0
# A stranger who posts for sites that do not exist makes us look at most this often.
LEAST_SECONDS = 0.2
QUOTA_SECONDS = 60.0
# From this multiple of its quota on a site's events are refused, but for leads.
HARD_CAP = 2


class Registry:
    """Answers from memory, in the same time for a site that exists and for one that does not."""

    def __init__(self, database: Database, keyring: Keyring | None = None) -> None:
        self._database = database
        self.call_rules = CallRules(keyring)
        self._sites: dict[str, Site] = {}
        self._read_at = 0.0
        self._quotas_read_at = 0.0
        self._quotas: dict[UUID, int] = {}
        self._used: dict[UUID, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._ask = asyncio.Event()
        # Sites are made and changed on other nodes too; their functions say so on this channel.
        self._listener = Listener(
            database.direct_dsn, CHANNEL, lambda payload: self._ask.set(), self._ask.set, name="sites"
        )

    async def start(self) -> None:
        await self.refresh()
        self._task = asyncio.create_task(self._keep())
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop()
        if self._task is not None:
            self._task.cancel()

    def find(self, public_id: str | None) -> Site | None:
        """The site of this public id, or None. A miss asks for a look at the database, soon."""
        site = self._sites.get(public_id) if public_id is not None else None
        if site is None:
            self._ask.set()
        return site

    def by_id(self, site_id: UUID) -> Site | None:
        """The site of this id, or None. Looks through all of them: not for the way of an event."""
        return next((site for site in self._sites.values() if site.id == site_id), None)

    def sites(self) -> list[Site]:
        """All sites, as they were known a moment ago."""
        return list(self._sites.values())

    async def refresh(self, *, quotas: bool = True) -> None:
        """Read all sites; ``quotas``: and what they have used, also if that is not a minute old."""
        self._read_at = time.monotonic()
        async with self._database.connection() as connection:
            rows = await connection.fetch("SELECT * FROM ingest_sites_v2()")
            rules = await connection.fetch(
                "SELECT site_id, unsigned_calls, id, key_id, secret FROM ingest_call_secrets()"
            )
            self.call_rules.take(rules)
            limits = {UUID(int=row["id"].int): row["monthly_quota"] for row in rows if row["monthly_quota"]}
            stale = self._read_at - self._quotas_read_at >= QUOTA_SECONDS
            if limits and (quotas or stale or limits != self._quotas):
                used = await connection.fetch("SELECT site_id, used FROM quota_use()")
                self._used = {UUID(int=site_id.int): n for site_id, n in used}
                self._quotas_read_at = self._read_at
        self._quotas = limits
        self._sites = {row["public_id"]: self._site(row) for row in rows}

    def _site(self, row: Any) -> Site:
        site_id = UUID(int=row["id"].int)
        quota = self._quotas.get(site_id)
        return Site(
            id=site_id,
            public_id=row["public_id"],
            domain=row["domain"],
            time_zone=row["time_zone"],
            region=row["region"],
            currency=row["currency"],
            consent_mode=row["consent_mode"],
            attribution_window_days=row["attribution_window_days"],
            disabled=row["disabled"],
            origins=frozenset(origin for origin in row["origins"] if "*" not in origin),
            wildcards=tuple(around_star(origin) for origin in row["origins"] if "*" in origin),
            bots=frozenset(row["bots"]),
            rate_per_minute=row["rate_per_minute"],
            over_quota=quota is not None and self._used.get(site_id, 0) >= HARD_CAP * quota,
            keep_ip=row["keep_ip"],
        )

    async def _keep(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._ask.wait()
                await asyncio.sleep(max(0.0, self._read_at + LEAST_SECONDS - time.monotonic()))
            except TimeoutError:
                pass
            self._ask.clear()
            try:
                await self.refresh(quotas=False)
            except DatabaseUnavailable:
                log.warning("ingest.sites_not_read")  # the ones in memory serve on
            except Exception:
                log.exception("ingest.sites_not_read")


def around_star(origin: str) -> tuple[str, str]:
    """What stands before and behind the star of an origin that covers all subdomains."""
    start, _, end = origin.partition("*")
    return start, end
