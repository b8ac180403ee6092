"""How fast sealed leads reach the platform, and how fast the ledger is read among a million of one site.

The drain: ten thousand conversions, let go and then sent by the real worker (its own loop, the Data Manager adapter over
HTTP) to a local server that speaks the platform's protocol strictly, in a process of its own. The limit beside it is the
platform's: 300 requests a minute of 2,000 conversions each, so five requests take a second; and the time that the same five
requests take when nothing but HTTP has to be done, to the same server.

The ledger: what its pages do, on one connection in an owner's transaction, plans kept as a server keeps them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import structlog
from leads import SQL as LEADS_SQL
from machine import busy_seconds, cpu_seconds
from provider import PER_MINUTE, Provider
from results import Figure, Wanted, bound_by, figures
from stand import Stand, VoidError

from opsmantik.clock import Range
from opsmantik.conversions import store
from opsmantik.conversions.adapters import Answer, Batch, Grant
from opsmantik.conversions.google_data_manager import MOST, DataManager
from opsmantik.conversions.google_event import destination_of, event_of, request_of
from opsmantik.conversions.http import Http
from opsmantik.dashboard.asked import AskedSite, asked_site
from opsmantik.dashboard.cards import ledger as card
from opsmantik.dashboard.paging import Cursor
from opsmantik.db import roles
from opsmantik.db.connect import Database
from opsmantik.db.sql import queries
from opsmantik.outbound import Rules
from opsmantik.upkeep.sending import QUEUE_AT_ONCE, Sending

SQL = queries(Path(__file__).with_suffix(".sql"))
DRAINED, DRAINS = 10_000, 3
LEDGER, REHEARSED = 1_000_000, 20_000
ROUNDS, CALLS = 3, 3
MOST_MS = 50
LOOK_SECONDS, PATIENCE = 0.02, 300.0


class Store(Stand):
    """A database without a server, whose own worker would want a part of what is to be sent."""

    def _begin(self) -> None:
        pass


class Bearer:
    """What opens the platform: a token that it has handed out."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self, *, fresh: bool = False) -> str:
        return self._token

    def secret(self) -> str:
        raise NotImplementedError


class Noting(DataManager):
    """The adapter, with what it sent and when the answers were there."""

    def __init__(self, http: Http, url: str) -> None:
        # What became of a request is asked at once: here nothing has to be waited for.
        super().__init__(http, url, first_seconds=0.0)
        self.sent: list[Batch] = []
        self.answered: list[float] = []
        self.settled = 0
        """Conversions of which the platform has said what became of them."""

    async def send(self, batch: Batch, grant: Grant) -> Answer:
        answer = await super().send(batch, grant)
        self.sent.append(batch)
        self.answered.append(time.perf_counter())
        return answer

    async def follow(self, batch: Batch, grant: Grant) -> Answer:
        answer = await super().follow(batch, grant)
        self.settled += len(answer.outcomes)
        return answer


def conversions(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Ten thousand conversions drained to a strict local platform; pages of a ledger of a million."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    count, drained = (REHEARSED, DRAINED // 5) if scale < 1 else (LEDGER, DRAINED)
    with Store(directory) as stand:
        drains = asyncio.run(_drains(stand, drained))
        reads = asyncio.run(_ledger(stand, count))
        sent = figures(drains, _of_drains(drained), bound_by(drains, stand.cores, _slowest(drains)))
        found = figures(
            reads, _of_reads(count), bound_by(reads, stand.cores, "rows that have to be looked at")
        )
    return [*sent, *found], [{"drains": drains, "reads": reads}]


async def _drains(stand: Stand, count: int) -> list[dict[str, Any]]:
    with Provider() as provider:
        async with AsyncExitStack() as stack:
            database = _pool(stand, 6)
            await database.open()
            stack.push_async_callback(database.close)
            http = Http(Rules([ipaddress.ip_network("127.0.0.0/8")]))
            stack.push_async_callback(http.close)
            return [await _drain(stand, provider, database, http, count) for _ in range(DRAINS)]


async def _drain(
    stand: Stand, provider: Provider, database: Database, http: Http, count: int
) -> dict[str, Any]:
    """One site's conversions, from held to accepted."""
    admin = await asyncpg.connect(stand.admin_dsn, command_timeout=600)
    try:
        site = await _lay_due(admin, stand.person, count)
        before = provider.seen()
        spent, start = _spent(stand, provider), time.perf_counter()
        async with database.connection() as connection:
            while await store.queue(connection, QUEUE_AT_ONCE):
                pass
        queued = time.perf_counter()
        adapter = Noting(http, provider.opened.url)
        grant = Bearer(provider.opened.token)
        sending = Sending(database, [adapter], lambda claimed: grant)
        await sending.start()
        try:
            await _all_accepted(admin, adapter, site, count, queued + PATIENCE)
        finally:
            done = time.perf_counter()
            await sending.stop()
        cpu = {name: after - spent[name] for name, after in _spent(stand, provider).items()}
        seen = provider.seen()
        await _is_right(stand, admin, site, before.conversions + count, seen)
        bare = await _bare(provider, adapter.sent)
    finally:
        await admin.close()
    refused = {name: n for name, n in seen.requests.items() if not name.endswith(" 200")}
    if refused:
        raise VoidError(f"the platform refused something: {refused}")
    return {
        "seconds": done - start, "let_go": queued - start, "sent": max(adapter.answered) - queued,
        "accepted": done - queued, "batches": len(adapter.sent), "limit": count / MOST / PER_MINUTE * 60, "bare": bare,
        "cpu_seconds": cpu,
    }  # fmt: skip


async def _lay_due(admin: Any, person: UUID, count: int) -> UUID:
    """A site with so many conversions whose time for taking them back has ended."""
    site = uuid4()
    await admin.execute("SET session_replication_role = replica")
    await admin.execute(LEADS_SQL.months)
    await admin.execute(SQL.site, site, person)
    await admin.execute(SQL.route, site)
    await admin.execute(LEADS_SQL.pulse, site)
    await admin.execute("DROP TABLE IF EXISTS due")
    await admin.execute(_with(SQL.due, site, count))
    for statement in (SQL.due_keys, SQL.due_visits, SQL.due_leads, SQL.due_conversions, SQL.due_moves):
        await admin.execute(statement, site)
    await admin.execute("SET session_replication_role = origin; SET app.maintenance = 'on'")
    await admin.execute("SELECT rebuild_counters($1)", site)
    await admin.execute("ANALYZE")
    return site


def _with(sql: str, site: UUID, count: int) -> str:
    """CREATE TABLE AS takes no parameters."""
    return sql.replace("$1", f"'{site}'").replace("$2", str(count))


async def _all_accepted(admin: Any, adapter: Noting, site: UUID, count: int, until: float) -> None:
    """The ledger is only asked once everything was answered: asking takes time that is measured."""
    while True:
        if adapter.settled >= count and (await admin.fetchrow(SQL.standing, site))["accepted"] == count:
            return
        if time.perf_counter() > until:
            raise VoidError(f"{adapter.settled} of {count} conversions were answered in time")
        await asyncio.sleep(LOOK_SECONDS)


async def _is_right(stand: Stand, admin: Any, site: UUID, expected: int, seen: Any) -> None:
    """Each is there once, and nothing is counted wrong."""
    if (seen.conversions, seen.created_twice) != (expected, 0):
        raise VoidError(f"the platform holds {seen.conversions} of {expected}, {seen.created_twice} twice")
    owner = await asyncpg.connect(stand.postgres.role_dsn(roles.OWNER))
    try:
        await owner.execute("SELECT fold_counters($1)", site)
        wrong = await owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", site)
    finally:
        await owner.close()
    if wrong:
        raise VoidError(f"{len(wrong)} counters are wrong")


async def _bare(provider: Provider, sent: list[Batch]) -> float:
    """Seconds for the same requests, all at once, ready as bytes."""
    bodies = [
        msgspec.json.encode(
            request_of(destination_of(batch.destination), [event_of(item) for item in batch.items], rehearse=False)
        )
        for batch in sent
    ]  # fmt: skip
    headers = {
        "authorization": f"Bearer {provider.opened.token}",
        "content-type": "application/json",
    }
    async with httpx.AsyncClient(base_url=provider.opened.url, headers=headers, timeout=60) as client:
        start = time.perf_counter()
        answers = await asyncio.gather(*(client.post("/v1/events:ingest", content=body) for body in bodies))
        spent = time.perf_counter() - start
    if any(answer.status_code != 200 for answer in answers):
        raise VoidError("the bare requests were refused")
    return spent


def _slowest(drains: list[dict[str, Any]]) -> str:
    """In words, where the time goes."""
    shares = {
        name: statistics.median(run["cpu_seconds"][part] / run["seconds"] for run in drains)
        for name, part in (
            ("PostgreSQL", "postgres"),
            ("the worker", "server"),
            ("the platform", "generator"),
        )
    }
    told = ", ".join(f"{name} {share:.2f} of a core" for name, share in shares.items())
    return f"moves of the ledger, each a row with its counters ({told})"


def _of_drains(count: int) -> list[Wanted]:
    what = f"{count:,} conversions"
    return [
        Wanted(f"{what}: let go (held to queued)", "s", lambda run: run["let_go"]),
        Wanted(f"{what}: queued to sent, all of them", "s", lambda run: run["sent"]),
        Wanted(f"{what}: queued to accepted, all of them", "s", lambda run: run["accepted"]),
        Wanted(f"{what}: the platform's limit, {PER_MINUTE} requests of {MOST:,} a minute", "s", lambda run: run["limit"]),
        Wanted(f"{what}: the same requests and nothing else", "s", lambda run: run["bare"]),
        Wanted(f"{what}: queued to sent / the platform's limit", "", lambda run: run["sent"] / run["limit"], None, 1, True),
        Wanted(f"{what}: requests", "", lambda run: run["batches"]),
        Wanted(f"{what}: CPU in Python", "s", lambda run: run["cpu_seconds"]["server"]),
        Wanted(f"{what}: CPU in PostgreSQL", "s", lambda run: run["cpu_seconds"]["postgres"]),
    ]  # fmt: skip


def cases(rows: dict[str, Any]) -> dict[str, card.Asked]:
    """What people ask: no filter, one of each kind, several, and what is not there."""
    asked = card.Asked
    now = datetime.now(UTC)
    month, year_ago = (
        Range(now - timedelta(days=30), now),
        Range(now - timedelta(days=395), now - timedelta(days=365)),
    )
    found = {
        "everything": asked(),
        "waiting": asked(states=("held", "queued", "sent")),
        "a lead that is none": asked(named=str(uuid4())),
    }
    found |= {f"state {state}": asked(states=(state,)) for state in card.STATES}
    found |= {f"click {kind}": asked(kind=kind) for kind in card.KINDS}
    found |= {
        f"reason {reason}": asked(reason=reason)
        for reason in (
            "no_click_id",
            "no_consent",
            "click_not_found",
            "test_click",
            "stage_weight",
            "never_heard_of",
        )
    }
    found |= {
        "failed, of wbraid": asked(states=("failed",), kind="wbraid"),
        "refused, of gbraid, one reason": asked(states=("failed",), kind="gbraid", reason="too_recent_event"),
        "no such row: held without a click": asked(states=("held",), kind="none"),
        "decided in 30 days": asked(over=month),
        "decided in 30 days, failed": asked(over=month, states=("failed",)),
        "decided in 30 days, a rare reason": asked(over=month, reason="test_click"),
        "decided in 30 days a year ago, gbraid": asked(over=year_ago, kind="gbraid"),
        "decided in 30 days, of a state that is not there": asked(over=year_ago, states=("held",)),
        "captured in 30 days": asked(over=month, by_captured=True),
        "captured in 30 days, failed": asked(over=month, by_captured=True, states=("failed",)),
        "by order id": asked(named=rows["order_id"]),
        "by the lead's id": asked(named=str(rows["lead"])),
    }
    return found  # fmt: skip


async def _ledger(stand: Stand, count: int) -> list[dict[str, Any]]:
    site_id = UUID(int=21)
    rows = await _lay_ledger(stand, site_id, count)
    database = _pool(stand, 1)
    await database.open()
    runs = []
    try:
        for _ in range(ROUNDS):
            before, start = _spent(stand), time.monotonic()
            run = await _round(database, site_id, stand.person, rows)
            run["seconds"] = time.monotonic() - start
            run["cpu_seconds"] = {name: spent - before[name] for name, spent in _spent(stand).items()}
            runs.append(run)
    finally:
        await database.close()
    return runs


async def _lay_ledger(stand: Stand, site: UUID, count: int) -> dict[str, Any]:
    admin = await asyncpg.connect(stand.admin_dsn, command_timeout=3600)
    start = time.monotonic()
    try:
        await admin.execute(
            "SET session_replication_role = replica; SET work_mem = '256MB'; SET synchronous_commit = off"
        )
        await admin.execute(LEADS_SQL.months)
        await admin.execute(SQL.site, site, stand.person)
        await admin.execute(SQL.route, site)
        await admin.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'owner')", site, stand.person
        )
        await admin.execute(LEADS_SQL.laid, count)
        for statement in (LEADS_SQL.keys, LEADS_SQL.visits, SQL.leads):
            await admin.execute(statement, site)
        await admin.execute(SQL.conversions, site, count)
        await admin.execute(SQL.moves, site)
        await admin.execute(SQL.batches, site, count)
        await admin.execute(SQL.items, site)
        await admin.execute("CREATE INDEX ON laid (n); ANALYZE laid")
        rows = dict(await admin.fetchrow(SQL.somebody, site, count))
        await admin.execute("DROP TABLE laid")
        await admin.execute(LEADS_SQL.pulse, site)
        for table in ("conversions", "calls", "conversion_moves", "conversion_batch_items"):
            await admin.execute(f"VACUUM (ANALYZE) {table}")
        await admin.execute("ANALYZE")
    finally:
        await admin.close()
    print(f"  a ledger of {count:,} rows in {time.monotonic() - start:.0f} s", flush=True)
    return rows  # fmt: skip


async def _round(database: Database, site_id: UUID, person: UUID, rows: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds of each: the quickest of a few calls, so that a hiccup of the machine is not taken for ours."""
    deep = Cursor(datetime.now(UTC) - timedelta(days=500), UUID(int=0))
    pages: dict[str, dict[str, float]] = {}
    async with database.as_person(person) as (connection, asker):
        site = await asked_site(connection, asker, str(site_id))
        assert site is not None
        for name, asked in cases(rows).items():
            pages[name] = {
                "page": await _best(lambda: card.ledger(connection, site, asked)),  # noqa: B023
                "deep": await _best(lambda: card.ledger(connection, site, asked, cursor=deep)),  # noqa: B023
            }
        others = {name: await _best(ask) for name, ask in _others(connection, site, rows).items()}
    return {"pages": pages, "others": others}


def _others(
    connection: Any, site: AskedSite, rows: dict[str, Any]
) -> dict[str, Callable[[], Awaitable[Any]]]:
    """What else the conversions' pages ask."""
    now = datetime.now(UTC)
    month, failed = Range(now - timedelta(days=30), now), card.Asked(states=("failed",))
    return {
        "every sealed lead accounted for, 30 days": lambda: card.parity(connection, site, month),
        "one conversion with its moves and batches": lambda: card.one(connection, site, rows["id"]),
        "the conversions of a lead": lambda: card.of_lead(connection, site, rows["lead"]),
        "what leaves next": lambda: card.next_batch(connection, site, "data_manager"),
        "a page of batches": lambda: card.batches(connection, site),
        "one batch of 2,000": lambda: card.batch(connection, site, rows["batch"]),
        "all that a list shows, 10,000 of the failed": lambda: card.matching(connection, site, failed),
    }  # fmt: skip


async def _best(ask: Callable[[], Awaitable[Any]]) -> float:
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - start) * 1000)
    return min(times)


def _of_reads(count: int) -> list[Wanted]:
    among = f"among {count:,} conversions"
    found = []
    for part, title in (("page", "a page of the ledger"), ("deep", "a page of the ledger 500 days back")):

        def of(run: dict[str, Any], part: str = part) -> list[float]:
            return [float(each[part]) for each in run["pages"].values()]

        found += [
            Wanted(f"{title} {among}: median of all filters", "ms", lambda run, of=of: statistics.median(of(run))),
            Wanted(f"{title} {among}: slowest filter", "ms", lambda run, of=of: max(of(run)), None, MOST_MS, True),
        ]  # fmt: skip
    for name in cases({"order_id": "", "lead": ""}):
        found.append(Wanted(f"ledger, {name}", "ms", lambda run, name=name: run["pages"][name]["page"]))
    for name in _others(None, None, {}):  # type: ignore[arg-type]
        found.append(Wanted(f"{name}, {among}", "ms", lambda run, name=name: run["others"][name]))
    return found


def _pool(stand: Stand, size: int) -> Database:
    password = roles.role_password(stand.secret, roles.APP)
    return Database(stand.postgres.dsn(roles.APP, roles.DATABASE, password), max_size=size)


def _spent(stand: Stand, provider: Provider | None = None) -> dict[str, float]:
    """The worker runs here; in the ledger's part so does who asks, and no server."""
    assert stand.postgres.pid is not None
    own = time.process_time()
    return {
        "server": own if provider else 0.0,
        "postgres": cpu_seconds(stand.postgres.pid),
        "generator": cpu_seconds(provider.pid) if provider else own,
        "machine": busy_seconds(),
    }
