"""Half an hour with everything on: 500 events a second, fifty dashboards, five operators, conversions to two kinds of
places, webhooks for each lead and each decision, the server's own jobs.

Looked at every ten seconds: memory; every minute: latency. At the end: that what was answered is stored, that the counters
are those of a count of all rows, that the audit finds nothing, and that the server's log has nothing above info.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from audit import audited, findings
from cockpit import at_work, check_books, decisions, operators, site_ids, wrong_counters
from mixed import ANSWERED, CONNECTIONS, RATE, WARM, answered, driven, memory
from provider import Provider
from results import Figure, Wanted, bound_by, figures
from stand import Stand, VoidError

from opsmantik.conversions import store as conversions
from opsmantik.db import roles
from opsmantik.db.connect import Asker, Database
from opsmantik.event import new_id
from opsmantik.keyring import keyring
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.settings import Settings
from opsmantik.webhooks import store as webhooks
from opsmantik.webhooks.messages import EVENTS

MINUTES = 30
SAMPLE_SECONDS = 10.0
SETTLED = 5 / 30  # of the time, after which memory is not to grow
MOST_GROWTH = 1.05
ABOVE_INFO = re.compile(r"level=(?:warning|error|critical)| (?:WARNING|ERROR|CRITICAL) |^Traceback")
LOOPBACK = "127.0.0.0/8"
ADS = {"account_id": "1234567890", "action_id": "77"}


def soak(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """500 events/s for half an hour with everything on: memory, latency by the minute, what is wrong at the end."""
    with Provider() as provider:
        url = provider.opened.url
        variables = {
            "OPSMANTIK_LOG_LEVEL": "info", "OPSMANTIK_WEBHOOK_NETWORKS": LOOPBACK, "OPSMANTIK_DATA_MANAGER_URL": url,
            "OPSMANTIK_GOOGLE_TOKEN_URL": f"{url}/token",
        }  # fmt: skip
        with Stand(directory, **variables) as stand:
            cookies = [stand.sign_in(stand.person), *operators(stand)]
            stand.settle()
            run = asyncio.run(_run(stand, provider, cookies, MINUTES * 60 * scale))
            stand.query("ANALYZE")  # as an hour later, when autovacuum has been everywhere
            run |= asyncio.run(_look_back(stand))
            bound = bound_by([run], stand.cores)
    return figures([run], list(_wanted(run)), bound), [run]


async def _switch_on(stand: Stand, provider: Provider, sites: Sequence[UUID]) -> None:
    """Conversions of the first site to the Data Manager API, of the others to a webhook; webhooks for all their leads."""
    keys, hook = keyring(Settings(home=stand.home)), f"{provider.opened.url}/hook"
    admin = await asyncpg.connect(stand.admin_dsn)
    await admin.execute("UPDATE sites SET undo_minutes = 0")
    await admin.close()
    password = roles.role_password(stand.secret, roles.APP)
    database = Database(stand.postgres.dsn(roles.APP, roles.DATABASE, password), max_size=1)
    await database.open()
    try:
        for number, site in enumerate(sites):
            who = Asker(stand.person, roles_with(Capability.EXPORT), only=site)
            async with database.as_person(who, write=True) as (connection, _):
                if number == 0:
                    await conversions.set_route(connection, site, "data_manager", ADS, with_hashes=False)
                    await conversions.put_secret(connection, keys, site, provider.opened.service_account)
                else:
                    await conversions.set_route(connection, site, "webhook", {"url": hook}, with_hashes=False)
                    await conversions.put_secret(connection, keys, site, "0123456789abcdef" * 2)
                await webhooks.add(
                    connection, keys, site, new_id(), hook, EVENTS, with_phone=True, with_click_id=True
                )
    finally:
        await database.close()


async def _run(
    stand: Stand, provider: Provider, cookies: Sequence[dict[str, str]], seconds: float
) -> dict[str, Any]:
    sites = await site_ids(stand)
    await _switch_on(stand, provider, sites)
    before, acts = await asyncio.to_thread(stand.books), await decisions(stand)
    samples: list[dict[str, Any]] = []
    async with at_work(stand, cookies[0], cookies[1:], sites) as timed:
        order = stand.order("present", connections=CONNECTIONS, warm=WARM, seconds=seconds, rate=RATE)
        order.made_on_the_way = True
        sampling = asyncio.create_task(_sample(stand, samples, seconds))
        try:
            report = await driven(order)
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)
    check_books(report, (await asyncio.to_thread(stand.books)).since(before), stand)
    cockpit = timed.report()
    run: dict[str, Any] = msgspec.to_builtins(report)
    run |= {
        "offered": RATE, "cockpit": cockpit, "samples": samples, "decisions_stored": await decisions(stand) - acts,
        "wrong_counters": await wrong_counters(stand), "ledger": await _ledger(stand),
        "provider": msgspec.to_builtins(provider.seen()),
    }  # fmt: skip
    if run["provider"]["created_twice"]:
        raise VoidError(f"{run['provider']['created_twice']} conversions are twice at the platform")
    return run


async def _look_back(stand: Stand) -> dict[str, Any]:
    """What the audit finds, and what the server wrote."""
    seconds, report = await audited(stand)
    found, log = findings(report), _above_info(stand)
    for line in (*found, *log[:20]):
        print(f"  {line}", flush=True)
    return {"audit_seconds": seconds, "found": found, "log": log}


async def _sample(stand: Stand, samples: list[dict[str, Any]], seconds: float) -> None:
    """Memory now and then, from the moment at which it is measured."""
    await asyncio.sleep(WARM)
    start = time.monotonic()
    every = min(SAMPLE_SECONDS, seconds / 30)
    while True:
        samples.append({"at": round(time.monotonic() - start, 1), **memory(stand)})
        await asyncio.sleep(every)


async def _ledger(stand: Stand) -> dict[str, int]:
    """Conversions by state, webhooks by state."""
    admin = await asyncpg.connect(stand.admin_dsn)
    try:
        found = await admin.fetch("SELECT state, count(*)::integer AS n FROM conversions GROUP BY 1")
        return {row["state"]: row["n"] for row in found}
    finally:
        await admin.close()


def _above_info(stand: Stand) -> list[str]:
    """Lines of the server's log that somebody would have to look at."""
    lines = (stand.home / "server.log").read_text(errors="replace").splitlines()
    return [line[:300] for line in lines if ABOVE_INFO.search(line)]


def _wanted(run: dict[str, Any]) -> Iterator[Wanted]:
    minutes = round(run["seconds"] / 60)
    what = f"{minutes} min with everything on" if minutes else "with everything on"

    def count(key: str) -> Any:
        return lambda run: float(len(run[key]))

    yield Wanted(f"{what}: events", "", lambda run: run["events"])
    yield Wanted(f"{what}: events answered / offered", "", answered, None, ANSWERED)
    yield Wanted(f"{what}: the server's memory at the end", "MB", lambda run: _late(run, "server") / 1e6)
    yield Wanted(
        f"{what}: the server's memory, end / after five minutes",
        "",
        _growth("server"),
        None,
        MOST_GROWTH,
        True,
    )
    yield Wanted(
        f"{what}: PostgreSQL's memory beside its buffers, end / after five minutes", "", _growth("postgres"), None,
        MOST_GROWTH, True,
    )  # fmt: skip
    yield Wanted(f"{what}: an event's answer, p50", "ms", lambda run: run["latency_ms"]["p50"])
    yield Wanted(f"{what}: an event's answer, p99", "ms", lambda run: run["latency_ms"]["p99"])
    if minutes >= 6:
        yield Wanted(
            f"{what}: answer, p50, last third / second third of the minutes",
            "",
            _slower("p50"),
            None,
            1.2,
            True,
        )
        yield Wanted(
            f"{what}: answer, p99, last third / second third of the minutes",
            "",
            _slower("p99"),
            None,
            1.5,
            True,
        )
    for kind in ("figures", "breakdowns", "list of leads", "decision"):
        yield Wanted(
            f"{what}: {kind}, p99",
            "ms",
            lambda run, kind=kind: run["cockpit"]["latency_ms"].get(kind, {}).get("p99", 0.0),
        )
    yield Wanted(f"{what}: decisions", "", lambda run: float(run["cockpit"]["decided"]))
    yield Wanted(f"{what}: messages to webhooks", "", lambda run: float(run["provider"]["hooks"]))
    yield Wanted(f"{what}: conversions that left", "", _left)
    yield Wanted(
        f"{what}: errors", "", lambda run: float(sum(run["cockpit"]["errors"].values())), None, 0, True
    )
    yield Wanted(f"{what}: wrong counters", "", lambda run: float(run["wrong_counters"]), None, 0, True)
    yield Wanted(f"{what}: findings of the audit", "", count("found"), None, 0, True)
    yield Wanted(f"{what}: lines in the log above info", "", count("log"), None, 0, True)


def _left(run: dict[str, Any]) -> float:
    return float(sum(n for state, n in run["ledger"].items() if state in ("sent", "accepted", "matched")))


def _growth(name: str) -> Any:
    """The median of the last sixth of the time over that of the sixth after the first."""

    def of(run: dict[str, Any]) -> float:
        end = run["samples"][-1]["at"]
        early = [each[name] for each in run["samples"] if end * SETTLED <= each["at"] < end * 2 * SETTLED]
        return float(_late(run, name) / statistics.median(early))

    return of


def _late(run: dict[str, Any], name: str) -> float:
    end = run["samples"][-1]["at"]
    return float(
        statistics.median(each[name] for each in run["samples"] if each["at"] >= end * (1 - SETTLED))
    )


def _slower(share: str) -> Any:
    def of(run: dict[str, Any]) -> float:
        minutes = [minute[share] for minute in run["minutes"] if minute]
        third = len(minutes) // 3
        return float(statistics.median(minutes[-third:]) / statistics.median(minutes[third : 2 * third]))

    return of
