"""A database that is there and does not answer as it should: busy, locked, cut off, changed."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from opsmantik.db import migrate as migrating
from opsmantik.db import roles
from opsmantik.db.embedded import EmbeddedServer
from tests.faults.house import Drive, House, Ledger, outage, slowest
from tests.faults.rows import Given, Outcome, find, row

PAGES = 40
STATEMENT_SECONDS = 15.0
CUT_SECONDS = 20.0


@contextmanager
def aside(work: Any) -> Iterator[threading.Event]:
    """Run a coroutine in a thread until the block ends; it gets the event that then is set."""
    ending, begun = threading.Event(), threading.Event()

    async def wait_for_end() -> None:
        begun.set()
        while not ending.is_set():
            await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(work(wait_for_end)), daemon=True)
    thread.start()
    assert begun.wait(20)
    try:
        yield ending
    finally:
        ending.set()
        thread.join(20)


@row(
    "slow-query",
    injected=f"a lock on the table of counters, held for 20 s, while {PAGES} pages that need it are asked for at once",
    must="each page is answered, at the latest when statements are cut off (15 s); events are taken as ever",
)
def slow_query(given: Given) -> Outcome:
    with House(given.directory) as house:
        cookie, site = house.sign_in_owner(), house.site_ids()[0]
        page = f"/api/v1/sites/{site}/command-centre"
        calm = Drive(house, seconds=6, seed=2).finish()

        async def lock(wait_for_end: Any) -> None:
            connection = await asyncpg.connect(house.admin_dsn)
            async with connection.transaction():
                await connection.execute("LOCK TABLE counter_days IN ACCESS EXCLUSIVE MODE")
                await wait_for_end()
            await connection.close()

        def ask(number: int) -> tuple[int, float]:
            began = time.monotonic()
            return house.status(page, cookie, seconds=60), time.monotonic() - began

        drive = Drive(house, seconds=20)
        with aside(lock), ThreadPoolExecutor(PAGES) as many:
            answers = list(many.map(ask, range(PAGES)))
            time.sleep(1)
        report = drive.finish()
        ledger = Ledger.of(house, calm, report)
        wrong = ledger.wrong() + house.miscounted()
        if ledger.refusals:
            wrong.append(f"events were refused: {ledger.refusals}")
        longest = max(seconds for _, seconds in answers)
        if longest > STATEMENT_SECONDS + 4:
            wrong.append(f"a page waited {longest:.0f} s")
        if {status for status, _ in answers} - {503}:
            wrong.append(f"pages were answered {sorted({status for status, _ in answers})}")
        quick = sorted(seconds for _, seconds in answers)[PAGES // 2]
        figure = (
            f"pages: 503 after {quick:.1f} s (median), {longest:.1f} s at most; events' p99"
            f" {slowest(report.told)['p99']:.0f} ms, {slowest(calm.told)['p99']:.0f} ms before; {ledger.words}"
        )
        return Outcome(figure, wrong, raw={"pages": answers})


@row(
    "pool-exhausted",
    injected="strangers take every connection that the database has, and ours are ended; for 8 s",
    must="nobody waits: 503 within 2.5 s; it goes on by itself when there is room",
)
def pool_exhausted(given: Given) -> Outcome:
    with House(given.directory) as house:

        async def take_all(wait_for_end: Any) -> None:
            taken = []
            admin = await asyncpg.connect(house.admin_dsn)
            for _ in range(20):  # until ours have not come back in between
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", roles.APP
                )
                try:
                    while True:
                        taken.append(await asyncpg.connect(house.postgres.role_dsn(roles.OWNER)))
                except (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError):
                    pass
            await wait_for_end()
            for connection in [*taken, admin]:
                await connection.close()

        drive = Drive(house, seconds=22)
        time.sleep(2)
        with aside(take_all):
            began = time.monotonic()
            time.sleep(8)
            ended = time.monotonic()
        report = drive.finish()
        ledger = Ledger.of(house, report)
        wrong = ledger.wrong() + house.miscounted()
        times = slowest(report.told, began, ended)
        again = outage(report.told, ended, ended + 30)
        if not times or times["max"] > 2500:
            wrong.append("somebody waited longer")
        if again > 10:
            wrong.append(f"it served again after {again:.0f} s")
        figure = (
            f"{ledger.refusals.get('503', 0)} × 503, p99 {times.get('p99', 0):.0f} ms, {times.get('max', 0):.0f} ms at"
            f" most; events again {again:.1f} s after; {ledger.words}"
        )
        return Outcome(figure, wrong, raw=times)


class Far(House):
    """Its database is reached by TCP, as one on another machine."""

    def __init__(self, directory: Path, **variables: str) -> None:
        super().__init__(directory, **variables)
        self.postgres = EmbeddedServer(self.home, self.secret, tcp=True)

    def _begin(self) -> None:
        password = roles.role_password(self.secret, roles.OWNER)
        self._variables["DATABASE_URL"] = self.postgres.dsn(roles.OWNER, roles.DATABASE, password, tcp=True)
        super()._begin()

    @property
    def database_port(self) -> int:
        return int(self._variables["DATABASE_URL"].rsplit(":", 1)[1].split("/")[0])


@row(
    "network-cut",
    injected=f"between server and database every packet is dropped (nftables), for {CUT_SECONDS:.0f} s",
    must="503, no answer later than 15 s; no heap of waiting tasks; events again within 10 s of the network's return",
    needs=("unshare", "nft", "ip"),
    apart=("net",),
)
def network_cut(given: Given) -> Outcome:
    nft = find("nft") or "nft"
    with Far(given.directory) as house:
        port = house.database_port
        table = (
            "table inet fault { chain in { type filter hook input priority 0;\n"
            f"tcp dport {port} drop\ntcp sport {port} drop\n}}\n}}\n"
        )
        drive = Drive(house, seconds=40 + CUT_SECONDS, rate=60, connections=128)
        time.sleep(3)
        subprocess.run([nft, "-f", "-"], input=table, text=True, check=True)
        cut = time.monotonic()
        time.sleep(CUT_SECONDS)
        ready = house.status("/readyz", seconds=10)
        alive = house.status("/healthz", seconds=10)
        subprocess.run([nft, "delete", "table", "inet", "fault"], check=True)
        back = time.monotonic()
        report = drive.finish()
        ledger = Ledger.of(house, report)
        wrong = ledger.wrong() + house.miscounted()
        times = slowest(report.told, cut, back)
        again = outage(report.told, back, back + 60)
        if not times or times["max"] > 15_000:
            wrong.append("an answer came later than 15 s")
        if again > 10:
            wrong.append(f"events again only {again:.0f} s after the network was")
        if (ready, alive) != (503, 200):
            wrong.append(f"/readyz said {ready}, /healthz {alive}")
        figure = (
            f"{ledger.refusals.get('503', 0)} × 503, {times.get('max', 0) / 1000:.1f} s at most; events again {again:.1f} s"
            f" after the network was; {ledger.words}"
        )
        return Outcome(figure, wrong, raw={"times": times, "refusals": ledger.refusals})


@row(
    "migration",
    injected="a migration that adds a column to events, behind a SELECT of 6 s on it, at 150 events/s",
    must="it lets go of its place within 1.2 s and tries again until it gets through; no event waits 2.5 s",
)
def migration(given: Given) -> Outcome:
    with House(given.directory) as house, tempfile.TemporaryDirectory(dir=given.directory) as scratch:
        new = Path(scratch) / "2099-01-01-1-faults.sql"
        new.write_text(
            "SET LOCAL lock_timeout = '1200ms';\nALTER TABLE events ADD COLUMN of_a_fault integer;\n"
        )
        files = [*migrating.migration_files(), new]
        migrating.migration_files = lambda: files
        said: list[str] = []

        async def read(wait_for_end: Any) -> None:
            connection = await asyncpg.connect(house.admin_dsn)
            async with connection.transaction():
                await connection.fetchval("SELECT count(*) FROM events")
                await wait_for_end()
            await connection.close()

        def bring_up_to_date() -> None:
            password = roles.role_password(house.secret, roles.APP)
            owner = house.postgres.role_dsn(roles.OWNER)
            asyncio.run(
                migrating.migrate(
                    owner, app_password=password, on_progress=lambda words: said.append(str(words))
                )
            )

        drive = Drive(house, seconds=30)
        time.sleep(2)
        began = time.monotonic()
        with ThreadPoolExecutor(1) as one:
            with aside(read):
                under_way = one.submit(bring_up_to_date)
                time.sleep(6)
                early = under_way.done()
            under_way.result(timeout=120)
        ended = time.monotonic()
        report = drive.finish()
        ledger = Ledger.of(house, report)
        wrong = ledger.wrong() + house.miscounted()
        times = slowest(report.told, began, ended)
        if early or not any("again" in words for words in said):
            wrong.append("it did not have to wait: nothing was shown")
        if times["max"] > 2500:
            wrong.append("an event waited longer")
        if ledger.refusals:
            wrong.append(f"events were refused: {ledger.refusals}")
        figure = (
            f"{sum('again' in words for words in said)} tries before; meanwhile events' p99 {times['p99']:.0f} ms,"
            f" {times['max']:.0f} ms at most; through after {ended - began:.1f} s; {ledger.words}"
        )
        return Outcome(figure, wrong, raw={"said": said, "times": times})
