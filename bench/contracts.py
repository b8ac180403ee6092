"""What every contract costs PostgreSQL, from ten thousand to ten million events, and how a page's first ones answer.

"First" is the first call on a new connection, its planning told apart; "later" the seventh and those after it, on plans
that are kept. Every round asks all worlds one after the other, so that whatever else slows the machine slows all of
them. Compared is also with a reader whom row security does not bind.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
from calls import Case, Reader, costs
from machine import busy_seconds, cpu_seconds
from results import Figure, Wanted, bound_by, figures
from stand import VoidError
from world import SQL, Worlds

from opsmantik.dashboard.contracts import CONTRACTS
from opsmantik.db import roles

SIZES, REHEARSED = ("10 k", "100 k", "1 M", "10 M"), ("10 k", "100 k")
ROUNDS, REHEARSED_ROUNDS = 3, 2
REQUESTS, AT_ONCE = 200, 4
# Every tile, the trend and all breakdowns of a site's page.
SCREEN = ("command_centre, 30 d", "timeline, 30 d", "breakdown by all, 30 d")
READERS = {"member": roles.APP, "unbound": None}  # None: the superuser, whom row security does not bind


def cases() -> Iterator[Case]:
    """Every contract over each range, and what else is worth knowing of those that a site's page begins with."""
    ranges = _ranges()
    for contract in CONTRACTS:
        if not contract.ranged:
            yield Case(contract.name, contract)
            continue
        for days in ("1 d", "30 d", "60 d"):
            yield Case(f"{contract.name}, {days}", contract, ranges[days])
        if contract.name == "breakdown":
            every = next(p.choices for p in contract.parameters if p.name == "dimension")
            for days in ("1 d", "30 d", "60 d"):
                query = (*ranges[days], ("dimension", ",".join(every)))
                yield Case(f"{contract.name} by all, {days}", contract, query)
        if contract.name == "command_centre":
            yield Case(f"{contract.name}, 30 d, busy", contract, ranges["30 d"], is_busy=True)
            yield Case(f"{contract.name}, 30 times 24 h", contract, ranges["30 times 24 h"])


def _ranges() -> dict[str, tuple[tuple[str, str], ...]]:
    """In the words of a query; whole days but for the last, which counts the rows of two parts of days."""
    now = datetime.now(UTC).replace(microsecond=0)
    midnight = now.astimezone(ZoneInfo("Europe/Istanbul")).replace(hour=0, minute=0, second=0)
    tomorrow = midnight + timedelta(days=1)
    return {
        "1 d": (("day", "yesterday"),),
        "30 d": (("range", "30d"),),
        "60 d": (("from", (tomorrow - timedelta(days=60)).isoformat()), ("to", tomorrow.isoformat())),
        "30 times 24 h": (("from", (now - timedelta(days=30)).isoformat()), ("to", now.isoformat())),
    }


async def _round(worlds: Worlds, watch: Any, paths: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """All cases, for each reader in all worlds by turns."""
    found: dict[str, Any] = {}
    for case in cases():
        async with _journal(worlds, case.is_busy):
            found[case.name] = {
                reader: {
                    size: await costs(Reader(worlds, size, role, watch), case, paths[size])
                    for size in worlds.sizes
                }
                for reader, role in READERS.items()
            }
    await watch.execute(f"ALTER ROLE {roles.APP} SET pg_stat_statements.track_planning = on")
    try:
        for case in cases():
            for size in worlds.sizes:
                async with Reader(worlds, size, roles.APP, watch) as reader:
                    planned = await reader.call(case, paths[size])
                found[case.name]["member"][size]["plan_ms"] = planned["plan_ms"]
    finally:
        await watch.execute(f"ALTER ROLE {roles.APP} RESET pg_stat_statements.track_planning")
    return found


@asynccontextmanager
async def _journal(worlds: Worlds, is_busy: bool) -> AsyncIterator[None]:
    """For a while the journals hold what came in this moment, if anything did; nobody folds them here."""
    if is_busy:
        await worlds.in_each(SQL.journal, worlds.site)
    try:
        yield
    finally:
        if is_busy:
            await worlds.in_each(SQL.no_journal)


async def _measure(worlds: Worlds, rounds: int) -> list[dict[str, Any]]:
    watch = await asyncpg.connect(worlds.postgres.admin_dsn())
    try:
        await watch.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        paths = {size: await _somebody(worlds, size) for size in worlds.sizes}
        runs = []
        for _ in range(rounds):
            before, start = _spent(worlds), time.monotonic()
            run: dict[str, Any] = {"cases": await _round(worlds, watch, paths)}
            run["seconds"] = time.monotonic() - start
            run["cpu_seconds"] = {name: spent - before[name] for name, spent in _spent(worlds).items()}
            runs.append(run)
        return runs
    finally:
        await watch.close()


def _spent(worlds: Worlds) -> dict[str, float]:
    assert worlds.postgres.pid is not None
    return {
        "server": 0.0,
        "postgres": cpu_seconds(worlds.postgres.pid),
        "generator": time.process_time(),
        "machine": busy_seconds(),
    }


async def _somebody(worlds: Worlds, size: str) -> dict[str, str]:
    """A lead, a visit and a visitor to ask about."""
    admin = await asyncpg.connect(worlds.dsn(size))
    try:
        row = await admin.fetchrow(SQL.somebody, worlds.site)
        return {name: str(value) for name, value in row.items()}
    finally:
        await admin.close()


async def _over_http(worlds: Worlds, cookie: dict[str, str], requests: int) -> dict[str, Any]:
    """Milliseconds from request to answer: one client after the other, several at once, and the page's three at once."""
    asked = {case.name: case for case in cases()}
    urls = [f"/api/v1/sites/{worlds.site}/{asked[name].contract.path}" for name in SCREEN]
    words = [dict(asked[name].query) for name in SCREEN]
    async with httpx.AsyncClient(base_url=worlds.url, cookies=cookie, timeout=20) as client:

        async def ask(index: int) -> float:
            start = time.perf_counter()
            answer = await client.get(urls[index], params=words[index])
            if answer.status_code != 200:
                raise VoidError(f"{urls[index]} was answered with {answer.status_code}: {answer.text[:200]}")
            return time.perf_counter() - start

        async def screen() -> float:
            start = time.perf_counter()
            await asyncio.gather(*(ask(index) for index in range(len(SCREEN))))
            return time.perf_counter() - start

        for _ in range(20):
            await screen()
        alone = [await ask(0) for _ in range(requests)]
        together: list[float] = []
        for _ in range(requests // AT_ONCE):
            together += await asyncio.gather(*(ask(0) for _ in range(AT_ONCE)))
        screens = [await screen() for _ in range(requests // 2)]
    return {"alone": _percentiles(alone), "together": _percentiles(together), "screen": _percentiles(screens)}


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {f"p{share}": ordered[round((len(ordered) - 1) * share / 100)] * 1000 for share in (50, 95, 99)}


def contracts(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """What each read costs over 1, 30 and 60 days of a site with 40 % of ten thousand to ten million events."""
    rehearsed = scale < 1
    with Worlds(directory, REHEARSED if rehearsed else SIZES) as worlds:
        worlds.settle()
        runs = asyncio.run(_measure(worlds, REHEARSED_ROUNDS if rehearsed else ROUNDS))
        worlds.serve()
        http = asyncio.run(_over_http(worlds, worlds.sign_in(worlds.member), round(REQUESTS * scale)))
        for run in runs:
            run["http_ms"], run["worlds"] = http, worlds.contents
        bound = bound_by(
            runs, worlds.cores, "days of counters that have to be unpacked; leads that have to be read"
        )
        return figures(runs, list(_wanted(worlds.sizes[0], worlds.sizes[-1])), bound), runs


def _wanted(small: str, large: str) -> Iterator[Wanted]:
    centre, leads = "command_centre, 30 d", "recent_intents, 60 d"
    for title, of in (
        ("command centre, 30 d", (centre,)),
        ("command centre, 30 d, while events come in", (f"{centre}, busy",)),
        ("command centre, trend and all breakdowns, 30 d", SCREEN),
    ):
        at, grows = f"{title}, {large} events", f"{title}, {large} / {small} events"
        for when in ("first", "later"):
            yield _at(f"{at}: {when} call", "ms", of, large, f"{when}_ms", 5)
            yield _at(f"{at}: {when} call", "buffers", of, large, f"{when}_buffers", 60)
            yield _growth(f"{grows}: time, {when} call", of, f"{when}_ms", small, large, 1.5)
            yield _growth(f"{grows}: buffers, {when} call", of, f"{when}_buffers", small, large, 1.3)
        yield _at(f"{at}: planning the first call", "ms", of, large, "plan_ms")
        yield _at(f"{at}: CPU of a later call", "ms", of, large, "later_cpu_ms")
    yield Wanted("command centre, 30 d, over HTTP: p95", "ms", _http("alone"), None, 50, True)
    yield Wanted(f"command centre, 30 d, over HTTP, {AT_ONCE} at once: p95", "ms", _http("together"))
    yield Wanted("command centre, trend and all breakdowns, 30 d, over HTTP: p95", "ms", _http("screen"))
    for days in ("1 d", "30 d", "60 d"):
        for when in ("first", "later"):
            case = (f"recent_intents, {days}",)
            yield _at(
                f"50 recent intents, {days}, {large} events: {when} call", "ms", case, large, f"{when}_ms", 3
            )
    for measure in ("ms", "buffers"):
        name = f"50 recent intents, 60 d, {large} / {small} events: {'time' if measure == 'ms' else measure}, later call"
        yield _growth(name, (leads,), f"later_{measure}", small, large, 1.5)
    for title, of in (
        ("command centre, 30 d", (centre,)),
        ("50 recent intents, 60 d", (leads,)),
    ):
        yield Wanted(f"{title}: member / without row security", "", _security(of, large), None, 1.2, True)
    yield Wanted(
        "median contract: member / without row security", "", _median_security(large), None, 1.2, True
    )


def _at(
    name: str, unit: str, of: tuple[str, ...], size: str, measure: str, most: int | None = None
) -> Wanted:
    return Wanted(name, unit, lambda run: _sum(run, of, "member", size, measure), None, most, True)


def _growth(name: str, of: tuple[str, ...], measure: str, small: str, large: str, most: float) -> Wanted:
    def ratio(run: dict[str, Any]) -> float:
        return _sum(run, of, "member", large, measure) / _sum(run, of, "member", small, measure)

    return Wanted(name, "", ratio, None, most, True)


def _security(of: tuple[str, ...], size: str) -> Callable[[dict[str, Any]], float]:
    return lambda run: _sum(run, of, "member", size, "later_ms") / _sum(run, of, "unbound", size, "later_ms")


def _median_security(size: str) -> Callable[[dict[str, Any]], float]:
    return lambda run: statistics.median(_security((case,), size)(run) for case in run["cases"])


def _sum(run: dict[str, Any], of: tuple[str, ...], reader: str, size: str, measure: str) -> float:
    return float(sum(run["cases"][case][reader][size][measure] for case in of))


def _http(key: str) -> Callable[[dict[str, Any]], float]:
    return lambda run: float(run["http_ms"][key]["p95"])


def table(runs: list[dict[str, Any]]) -> str:
    """For the page: each contract in each world, in medians of the runs."""
    sizes = list(next(iter(runs[0]["cases"].values()))["member"])
    heads = ["contract", *(f"{size}: ms, buffers" for size in sizes), "planning, ms", "row security"]
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for case in runs[0]["cases"]:
        found = [run["cases"][case] for run in runs]

        def median(size: str, measure: str, found: list[Any] = found) -> float:
            return statistics.median(each["member"][size][measure] for each in found)

        row = [case]
        for size in sizes:
            times = f"{median(size, 'first_ms'):.2f} / {median(size, 'later_ms'):.2f}"
            row.append(f"{times}, {median(size, 'later_buffers'):,.0f}")
        row.append(f"{median(sizes[-1], 'plan_ms'):.1f}")
        large = [[each[reader][sizes[-1]]["later_ms"] for reader in READERS] for each in found]
        row.append(f"{statistics.median(member / unbound for member, unbound in large):.2f}")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"
