"""Takes the walls down one by one, and counts who notices: ``make test-mutation``.

For every mutant (mutants.py) the hole is made in a database that is a copy of a template with two sites in it, and the checks
that the tests are made of are run against it until one complains. Nobody complains: the mutant survives, and so would
that mistake. Ends with 1 if any did. The file schema.sql, which differs from any mutant, is not asked.
"""
# ruff: noqa: E501 - a row a line

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from opsmantik.db import roles as db_roles
from opsmantik.db.connect import prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.db.migrate import migrate
from tests.conftest import SECRET
from tests.db import function_walls, lints, references, test_policies, test_schema_walls, walls
from tests.db.catalogue import read_catalogue
from tests.db.function_needs import NEEDS
from tests.db.two_sites import TwoSites, build
from tests.db.walls import Walls
from tests.mutation import routes
from tests.mutation.mutants import Mutant, all_mutants

TEMPLATE = "walls"
Check = Callable[[Walls], Awaitable[list[str]]]

# Holes that are none, by kind and a pattern of their names; each for a reason.
EQUIVALENT: dict[tuple[str, str], str] = {
    ("function raises no more", "^(create_site|credential_place|link_identity|make_person_key|note_act) 1$"):
        "without a person the row lacks a column that it must have: refused all the same",
    ("function takes everybody for the owner", "^(answer_ownership|leave_site) 1$"):
        "the membership is asked for once more, by the row that is to be changed",
    ("function does not ask for the sites", "^make_person_key 1$"): "note_act, which it calls, asks once more",
    ("function takes everybody for the owner", "^untouchable 1$"):
        "about a second row that says owner, which no function makes",
}  # fmt: skip


# The checks, as the tests run them.


async def constraints(walls_: Walls) -> list[str]:
    """The cases of test_schema_walls.py: what nobody can store."""
    wrong = []
    for case in test_schema_walls.CASES:
        for statements, expected in ((case.refused, case.error), (case.allowed, None)):
            transaction = walls_.owner.transaction()
            await transaction.start()
            try:
                await walls_.owner.execute("SET LOCAL app.maintenance = 'on'")
                await test_schema_walls.attempt(walls_.owner, statements)
                if expected:
                    wrong.append(f"{case.name}: stored")
            except (asyncpg.PostgresError, AssertionError) as refusal:
                if expected is None or not isinstance(refusal, expected):
                    wrong.append(f"{case.name}: {refusal}")
            finally:
                await transaction.rollback()
    return wrong


async def new_functions(walls_: Walls) -> list[str]:
    transaction = walls_.owner.transaction()
    await transaction.start()
    try:
        await test_schema_walls.test_a_new_function_is_closed_unless_its_file_opens_it(walls_.owner)
        return []
    except AssertionError as complaint:
        return [str(complaint)]
    finally:
        await transaction.rollback()


async def names(walls_: Walls) -> list[str]:
    for test in (
        test_policies.test_what_is_said_of_the_first_generation_s_policies_is_so,
        test_policies.test_a_policy_s_name_says_what_it_compares_and_for_whom,
    ):
        try:
            await test(walls_.owner)
        except AssertionError as complaint:
            return [str(complaint)]
    return []


async def functions(walls_: Walls) -> list[str]:
    return await function_walls.check_functions(walls_, NEEDS)


CHECKS: dict[str, Check] = {
    "rows seen": walls.check_rows_seen,
    "writes refused": walls.check_writes_refused,
    "owner bound": walls.check_owner_bound,
    "references": references.check_references,
    "strangers": references.check_strangers,
    "unique keys": references.check_unique_keys,
    "privileges": walls.check_privileges,
    "functions are closed": lambda w: function_walls.check_closed(w, NEEDS),
    "constraints": constraints,
    "new functions": new_functions,
    "lints": lambda w: lints.lint(w.owner),
    "names": names,
    "functions": functions,
}


# All but the one that calls every function.
QUICK = [name for name in CHECKS if name != "functions"]
SOUND = Mutant("sound", "no hole", "SELECT 1")


@dataclass
class Result:
    """Of one mutant: which check noticed it, and its first complaint; none: it survived."""

    mutant: Mutant
    killer: str | None
    words: str


@dataclass
class Bench:
    """A server with the template on it."""

    server: EmbeddedServer
    world: TwoSites
    made: int = 0

    def dsn(self, role: str, database: str) -> str:
        return self.server.dsn(role, database, db_roles.role_password(SECRET, role))

    @contextlib.asynccontextmanager
    async def walls(self, mutant: Mutant, admin: Any) -> AsyncIterator[Walls]:
        """A database with this hole, and connections to it; ``admin`` is one to another database."""
        self.made += 1
        name = f"mutant_{self.made}"
        await admin.execute(
            f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY OWNER {db_roles.OWNER}"
        )
        connections = []
        try:
            dsns = (self.server.admin_dsn(name), self.dsn(db_roles.OWNER, name), self.dsn(db_roles.APP, name))
            connections.append(await asyncpg.connect(dsns[0], statement_cache_size=0))
            await connections[0].execute(mutant.sql)
            connections += [await asyncpg.connect(dsn, statement_cache_size=0) for dsn in dsns[1:]]
            admin_here, owner, app = connections
            yield await walls.read_walls(admin_here, owner, app, self.world)
        finally:
            if mutant.undo and connections:
                await connections[0].execute(mutant.undo)
            for connection in connections:
                await connection.close(timeout=5)
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def judge(self, mutant: Mutant) -> Result:
        """Make the hole in a database of its own and look who notices."""
        admin = await asyncpg.connect(self.server.admin_dsn())
        try:
            async with self.walls(mutant, admin) as made:
                return await self._judge(mutant, made)
        finally:
            await admin.close()

    async def judge_here(self, mutant: Mutant, made: Walls) -> Result:
        """The same in this database, in which the hole is closed again."""
        await made.admin.execute(mutant.sql)
        try:
            return await self._judge(mutant, made)
        finally:
            await made.admin.execute(mutant.inverse)

    async def _judge(self, mutant: Mutant, made: Walls) -> Result:
        if mutant.functions:
            focused = await function_walls.check_functions(made, NEEDS, only=set(mutant.functions))
            if focused:
                return Result(mutant, "functions", focused[0])
        # Whoever calls the changed function has been tried: no other function can show it.
        for name in dict.fromkeys((*mutant.first, *(QUICK if mutant.functions else CHECKS))):
            try:
                complaints = await CHECKS[name](made)
            except asyncpg.PostgresError as broken:
                complaints = [f"cannot be run: {broken}"]
            if complaints:
                return Result(mutant, name, complaints[0])
        return Result(mutant, None, "")


@contextlib.asynccontextmanager
async def bench(server: EmbeddedServer) -> AsyncIterator[Bench]:
    """Migrate, fill, and keep the template free of connections; ``server`` runs and is nobody else's."""
    admin = await asyncpg.connect(server.admin_dsn())
    for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off"):
        await admin.execute(f"ALTER SYSTEM SET {setting}")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.execute(f"CREATE DATABASE {TEMPLATE} OWNER {db_roles.OWNER}")
    await admin.close()
    found = Bench(server, TwoSites(""))
    owner_dsn = found.dsn(db_roles.OWNER, TEMPLATE)
    await migrate(
        owner_dsn, app_password=db_roles.role_password(SECRET, db_roles.APP), on_progress=lambda words: None
    )
    owner = await asyncpg.connect(owner_dsn)
    await prepare_connection(owner)
    await owner.execute("SET app.maintenance = 'on'")
    await lay_cases(owner)
    found.world = await build(owner)
    await owner.close()
    yield found


async def lay_cases(owner: Any) -> None:
    """The rows that the cases of test_schema_walls.py change."""
    made = test_schema_walls
    visits = [("a", "s0", made.M0), ("a", "s1", made.M0), ("a", "sd", made.D0), ("b", "sb", made.M0)]
    async with owner.transaction():
        await owner.execute(f"INSERT INTO users (id, email) VALUES ({made.IDS['u']}, 'u@example.com')")
        for site in "ab":
            await owner.execute(
                "INSERT INTO sites (id, user_id, public_id, name, domain)"
                f" VALUES ({made.IDS[site]}, {made.IDS['u']}, '{'c' * 31}{site}', 'Shop', 'shop.example')"
            )
        for month in (made.M0, made.M1):
            await owner.execute(f"SELECT make_month('{month}')")
        for visit in visits:
            await owner.execute(made.key(*visit))
            await owner.execute(made.session(*visit))
        await owner.execute(made.event(id_="e0"))
        await owner.execute(made.call(id_="c0", stamp="stamp-0"))


async def refuse_unsound(made: Bench) -> None:
    """A check that complains of a database without a hole would notice every hole: then there is nothing to count."""
    sound = await made.judge(SOUND)
    if sound.killer is not None:
        raise SystemExit(f"there is a hole already, see tests/db: {sound.killer}: {sound.words}")


async def run_all(
    made: Bench, mutants: Sequence[Mutant], workers: int, tell: Callable[[Result], None]
) -> list[Result]:
    """Judge them, some at once. Those that can be taken back share a database for each worker, which must be sound again at
    the end; those that reach past their database come last, alone."""
    waiting = [m for m in reversed(mutants) if not m.undo]
    results: list[Result] = []

    async def work() -> None:
        admin = await asyncpg.connect(made.server.admin_dsn())
        async with made.walls(SOUND, admin) as shared:
            while waiting:
                mutant = waiting.pop()
                results.append(
                    await (made.judge_here(mutant, shared) if mutant.inverse else made.judge(mutant))
                )
                tell(results[-1])
            if left := [words for name in QUICK for words in await CHECKS[name](shared)]:
                raise SystemExit(f"a mutant was not taken back whole: {left[0]}")
        await admin.close()

    await asyncio.gather(*(work() for _ in range(workers)))
    for mutant in (m for m in mutants if m.undo):
        results.append(await made.judge(mutant))
        tell(results[-1])
    return results


async def run_routes(made: Bench, only: str, every: int, tell: Callable[[Result], None]) -> list[Result]:
    """The holes in Python, one after the other in one running application."""
    admin = await asyncpg.connect(made.server.admin_dsn())
    results = []
    try:
        await admin.execute(f"CREATE DATABASE routes TEMPLATE {TEMPLATE} OWNER {db_roles.OWNER}")
        dsns = (
            made.dsn(db_roles.APP, "routes"),
            made.dsn(db_roles.OWNER, "routes"),
            made.server.admin_dsn("routes"),
        )
        async with routes.house_on(*dsns, made.world, made.server.home / "web") as house:
            chosen = [m for m in routes.route_mutants(house) if re.search(only, str(m[0]))][::every]
            for mutant, route, hole in chosen:
                results.append(Result(mutant, *await routes.judge(house, route, hole)))
                tell(results[-1])
    finally:
        await admin.close()
    return results


async def mutants_of(made: Bench) -> list[Mutant]:
    owner = await asyncpg.connect(made.dsn(db_roles.OWNER, TEMPLATE))
    try:
        found = await all_mutants(owner, await read_catalogue(owner))
    finally:
        await owner.close()
    return [
        m for m in found if not any(m.kind == kind and re.search(name, m.name) for kind, name in EQUIVALENT)
    ]


@contextlib.contextmanager
def own_server() -> Any:
    home = Path(tempfile.mkdtemp(prefix="om-"))
    server = EmbeddedServer(home, SECRET)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def report(results: Sequence[Result], seconds: float) -> str:
    """Score by kind, who noticed, and every survivor."""
    lines = ["", f"{'mutants':34} killed"]
    for kind in dict.fromkeys(r.mutant.kind for r in results):
        own = [r for r in results if r.mutant.kind == kind]
        by = Counter(r.killer for r in own if r.killer)
        noticed = ", ".join(f"{name} {n}" for name, n in by.most_common())
        lines.append(f"{kind:34} {sum(by.values()):4} of {len(own):4}   {noticed}")
    survivors = [r for r in results if r.killer is None]
    lines += ["", *(f"SURVIVED  {r.mutant}" for r in survivors)]
    killed = len(results) - len(survivors)
    lines.append(
        f"{killed} of {len(results)} killed: {100 * killed / max(len(results), 1):.1f} %, in {seconds:.0f} s"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make test-mutation", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--only", default="", help="a pattern of kinds and names, as in 'policy dropped: .* ON calls'"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one in N of them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true", help="say of each who noticed")
    asked = parser.parse_args()
    begin = time.monotonic()

    def tell(result: Result) -> None:
        if asked.verbose:
            print(f"{result.mutant}\n    {result.killer or 'SURVIVED'}: {result.words[:200]}", flush=True)
        else:
            print("." if result.killer else "S", end="", flush=True)

    async def whole(server: EmbeddedServer) -> list[Result]:
        async with bench(server) as made:
            chosen = [m for m in await mutants_of(made) if re.search(asked.only, str(m))][:: asked.every]
            await refuse_unsound(made)
            print(f"{len(chosen)} mutants")
            results = await run_all(made, chosen, asked.workers, tell)
            return results + await run_routes(made, asked.only, asked.every, tell)

    # The server under test, and whoever asks it, have much to say.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.WARNING)
    with own_server() as server:
        results = asyncio.run(whole(server))
    print(report(results, time.monotonic() - begin))
    sys.exit(any(r.killer is None for r in results) or not results)


if __name__ == "__main__":
    main()
