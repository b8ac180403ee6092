"""How long it takes to adopt a first-generation database: 200,000 visits, 1.2 million events, 20,000 leads of 20 sites.

Both databases lie on one server and share its two processors; a real first generation has a machine of its own. The figures
of both sides are compared as the command does, and must agree.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
from results import Figure, Wanted, figures
from stand import VoidError

from opsmantik.adopt import faults, run
from opsmantik.adopt.old import open_old
from opsmantik.db import roles
from opsmantik.db.connect import prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.db.migrate import migrate

SCHEMA = Path(__file__).parents[1] / "tests" / "first_generation" / "schema.sql"
SECRET = "0123456789abcdef" * 4
SITES, VISITS, EVENTS_A_VISIT, TAPPED_EVERY = 20, 200_000, 6, 10
CONTENT = Path(__file__).with_suffix(".sql")


def adopt(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """The report first, then the import, then the import once more, which finds everything there."""
    home = Path(tempfile.mkdtemp(prefix="opsmantik-bench-", dir=directory))
    server = EmbeddedServer(home, SECRET)
    try:
        server.start()
        measured = asyncio.run(_measure(server, VISITS if scale == 1 else VISITS // 20))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    wanted = [
        Wanted(
            "adoption of 200 thousand visits, 1.2 million events, 20 thousand leads",
            "s",
            lambda run: run["import"],
            None,
            300,
            True,
        ),
        Wanted("the same again, with everything there", "s", lambda run: run["again"]),
        Wanted("report of what is wrong there", "s", lambda run: run["report"]),
    ]
    return figures(
        [measured], wanted, "writing events, with their indexes and the check of each against its visit"
    ), [measured]


async def _measure(server: EmbeddedServer, visits: int) -> dict[str, Any]:
    await migrate(
        server.role_dsn(roles.OWNER),
        app_password=roles.role_password(SECRET, roles.APP),
        on_progress=lambda words: None,
    )
    old_dsn = await _make_old(server, visits)
    found: dict[str, Any] = {"visits": visits}
    start = time.perf_counter()
    async with open_old(old_dsn, 600) as old:
        await faults.look(old)
    found["report"] = time.perf_counter() - start
    for name in ("import", "again"):
        start = time.perf_counter()
        outcome, steps = await _import(server, old_dsn)
        found[name] = time.perf_counter() - start
        found[f"{name}_steps"] = steps
        if outcome.unexplained:
            raise VoidError(f"{len(outcome.unexplained)} figures differ without a reason")
    return found


async def _import(server: EmbeddedServer, old_dsn: str) -> tuple[run.Outcome, dict[str, float]]:
    owner = await asyncpg.connect(server.role_dsn(roles.OWNER))
    await prepare_connection(owner)
    steps: dict[str, float] = {}
    last = time.perf_counter()

    def note(done: float, words: str) -> None:
        nonlocal last
        now = time.perf_counter()
        steps[words] = round(steps.get(words, 0.0) + now - last, 2)
        last = now

    try:
        async with open_old(old_dsn, 600) as old:
            return await run.adopt(old, owner, run.Wanted(), note), steps
    finally:
        await owner.close()


async def _make_old(server: EmbeddedServer, visits: int) -> str:
    admin = await asyncpg.connect(server.admin_dsn())
    await admin.execute("CREATE DATABASE first_generation")
    await admin.close()
    dsn = server.admin_dsn("first_generation")
    inside = await asyncpg.connect(dsn)
    await inside.execute(SCHEMA.read_text())
    # Its triggers cost more than its rows, and none of these needs one.
    await inside.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    await inside.execute(
        CONTENT.read_text().format(sites=SITES, visits=visits, events=EVENTS_A_VISIT, every=TAPPED_EVERY)
    )
    await inside.execute("VACUUM ANALYZE")
    await inside.close()
    return dsn
