"""How fast leads are found among a million of one site: each filter, searches that hit and miss, the count beside them.

Measured is what the page does: the card's own statements in an operator's transaction, on one connection, plans kept as
a server keeps them. "First" is the first call of a round on a page of the list, and "deep" a page five hundred days back.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from machine import busy_seconds, cpu_seconds
from results import Figure, Wanted, bound_by, figures
from stand import Stand

from opsmantik.clock import Range
from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.cards import lead_search as card
from opsmantik.dashboard.paging import Cursor
from opsmantik.db import roles
from opsmantik.db.connect import Database
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))
LEADS, REHEARSED = 1_000_000, 50_000
ROUNDS, CALLS = 5, 3
MOST_MS = 100


def cases() -> dict[str, card.Wanted]:
    """What people ask: one of each filter, both together, words and numbers that are there, and that are not."""
    wanted = card.Wanted
    now = datetime.now(UTC)
    month = Range(now - timedelta(days=30), now)
    return {
        "everything": wanted(),
        "paid": wanted(paid=True),
        "waiting, 300": wanted(statuses=("intent", "pending")),
        "sealed, a third": wanted(statuses=("sealed", "conversion")),
        "suspicious, one in a thousand": wanted(statuses=("suspicious",)),
        "kind": wanted(keys={"action": "whatsapp"}),
        "without a click id": wanted(click=False),
        "source": wanted(keys={"source": "Organic"}),
        "channel": wanted(keys={"channel": "direct"}),
        "campaign": wanted(keys={"campaign": "campaign-7"}),
        "campaign of 400 k that ended a year ago": wanted(keys={"campaign": "ended"}),
        "keyword": wanted(keys={"keyword": "sepetli vinç ankara"}),
        "keyword, rare": wanted(keys={"keyword": "kiralık vinç istanbul 500"}),
        "match type": wanted(keys={"matchtype": "e"}),
        "place": wanted(keys={"place": "İzmir/Bornova"}),
        "device": wanted(keys={"device": "tablet"}),
        "page": wanted(keys={"page": "/forklift"}),
        "captured by, none": wanted(keys={"captured_by": "manual"}),
        "hour of the week": wanted(weekday=3, hour=14),
        "by the decision, junk": wanted(decided=True, statuses=("junk",)),
        "30 days": wanted(over=month),
        "30 days of a campaign": wanted(over=month, keys={"campaign": "campaign-7"}),
        "number": wanted(search="0532 123 45"),
        "number, whole": wanted(search="+90 532 739 94 94"),
        "word of most": wanted(search="VİNÇ"),
        "two words": wanted(search="sepetli şişli"),
        "note": wanted(search="müşteri 777"),
        "two letters": wanted(search="vi"),
        "miss": wanted(search="zzzqqq"),
        "miss of common letters": wanted(search="vincbursa"),
        "words and three filters": wanted(
            search="izmir forklift", statuses=("junk",), paid=True, keys={"device": "mobile"}
        ),
    }


def leads(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """How fast leads are found, counted and paged through among a million of one site."""
    count = REHEARSED if scale < 1 else LEADS
    with Stand(directory) as stand:
        runs = asyncio.run(_measure(stand, count))
        bound = bound_by(runs, stand.cores, "rows that have to be counted, up to 50,000 of them")
        return figures(runs, list(_wanted(count)), bound), runs


async def _measure(stand: Stand, count: int) -> list[dict[str, Any]]:
    site_id, member = UUID(int=20), uuid4()
    built = await _lay(stand, site_id, member, count)
    database = Database(
        stand.postgres.dsn(roles.APP, roles.DATABASE, roles.role_password(stand.secret, roles.APP)),
        max_size=1,
    )
    await database.open()
    runs = []
    try:
        for _ in range(ROUNDS):
            before, start = _spent(stand), time.monotonic()
            run: dict[str, Any] = {"cases": await _round(database, site_id, member), "built": built}
            run["seconds"] = time.monotonic() - start
            run["cpu_seconds"] = {name: spent - before[name] for name, spent in _spent(stand).items()}
            runs.append(run)
    finally:
        await database.close()
    return runs


async def _round(database: Database, site_id: UUID, member: UUID) -> dict[str, dict[str, float]]:
    """Milliseconds of each: the quickest of three calls, so that a hiccup of the machine is not taken for ours."""
    found = {}
    deep = Cursor(datetime.now(UTC) - timedelta(days=500), UUID(int=0))
    for name, wanted in cases().items():
        async with database.as_person(member) as (connection, person):
            site = await asked_site(connection, person, str(site_id))
            assert site is not None
            found[name] = {
                "page": await _best(lambda: card.lead_search(connection, site, wanted)),  # noqa: B023
                "count": await _best(lambda: card.lead_count(connection, site, wanted)),  # noqa: B023
                "deep": await _best(lambda: card.lead_search(connection, site, wanted, cursor=deep)),  # noqa: B023
            }
    return found


async def _best(ask: Any) -> float:
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - start) * 1000)
    return min(times)


async def _lay(stand: Stand, site_id: UUID, member: UUID, count: int) -> dict[str, float]:
    admin = await asyncpg.connect(stand.admin_dsn, command_timeout=3600)
    try:
        await admin.execute("SET session_replication_role = replica; SET work_mem = '256MB'")
        await admin.execute("INSERT INTO users (id, email) VALUES ($1, 'leads@example.com')", member)
        await admin.execute("INSERT INTO profiles (id) VALUES ($1)", member)
        await admin.execute(SQL.months)
        await admin.execute(SQL.site, site_id, member)
        await admin.execute(SQL.laid, count)
        for statement in (SQL.keys, SQL.visits):
            await admin.execute(statement, site_id)
        await admin.execute(SQL.leads, site_id, count)
        await admin.execute("DROP TABLE laid")
        await admin.execute(SQL.pulse, site_id)
        await admin.execute("ANALYZE")
    finally:
        await admin.close()
    owner = await asyncpg.connect(stand.postgres.role_dsn(roles.OWNER), command_timeout=3600)
    try:
        start = time.monotonic()
        await owner.execute(SQL.gather, site_id)
        seconds = time.monotonic() - start
        await owner.execute("VACUUM ANALYZE lead_search")
        sizes = {row["name"]: float(row["bytes"]) for row in await owner.fetch(SQL.sizes)}
    finally:
        await owner.close()
    print(f"  {count:,} leads gathered in {seconds:.0f} s; {sum(sizes.values()) / 1e6:.0f} MB", flush=True)
    return {"seconds": seconds, "bytes": sum(sizes.values()), "leads": float(count)}


def _spent(stand: Stand) -> dict[str, float]:
    assert stand.postgres.pid is not None
    return {
        "server": 0.0,
        "postgres": cpu_seconds(stand.postgres.pid),
        "generator": time.process_time(),
        "machine": busy_seconds(),
    }


def _wanted(count: int) -> list[Wanted]:
    among = f"among {count:,} leads"
    found = []
    for part, most in (("page", MOST_MS), ("count", None), ("deep", None)):
        title = {"page": "a page of leads", "count": "their count", "deep": "a page 500 days back"}[part]
        found.append(
            Wanted(
                f"{title} {among}: median of all questions",
                "ms",
                lambda run, part=part: statistics.median(_of(run, part)),
            )
        )
        found.append(
            Wanted(
                f"{title} {among}: slowest question",
                "ms",
                lambda run, part=part: max(_of(run, part)),
                None,
                most,
                True,
            )
        )
    for name in cases():
        found.append(Wanted(f"{name}: page", "ms", lambda run, name=name: run["cases"][name]["page"]))
        found.append(Wanted(f"{name}: count", "ms", lambda run, name=name: run["cases"][name]["count"]))
    found.append(
        Wanted(
            "gathering one lead for the search",
            "µs",
            lambda run: run["built"]["seconds"] / run["built"]["leads"] * 1e6,
        )
    )
    found.append(
        Wanted(
            "of each lead in the search", "bytes", lambda run: run["built"]["bytes"] / run["built"]["leads"]
        )
    )
    return found


def _of(run: dict[str, Any], part: str) -> list[float]:
    return [float(case[part]) for case in run["cases"].values()]
