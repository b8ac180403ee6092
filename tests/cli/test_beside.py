"""The version before goes on answering while this one migrates, beside it, and after a way back.

The version before is the program as it was when the newest kept schema was released, out of the history of this
repository; it runs with the packages of today. Left out where there is no history (an unpacked archive).
"""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db import roles
from opsmantik.db.connect import prepare_connection
from opsmantik.db.migrate import migration_files
from opsmantik.people.passwords import Passwords
from tests.cli.nodes import Load, Node, proxy
from tests.cli.test_nodes import NOWHERE
from tests.conftest import SECRET, _numbers
from tests.db.test_upgrade import RELEASED, migrations_of
from tests.web.browsing import PASSWORD, Browser
from tests.web.world import Programs, new_world

pytestmark = [pytest.mark.slow, pytest.mark.proof]
ROOT = Path(__file__).parents[2]


def _git(*words: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(ROOT), *words], check=True, capture_output=True, timeout=60
    ).stdout


def version_before(folder: Path) -> Path:
    """The sources of the version that released the newest kept schema, in this directory."""
    newest = max(RELEASED, key=lambda path: len(migrations_of(path)))
    after = migration_files()[len(migrations_of(newest)) :]
    try:
        # The first commit with any of them ended that version.
        since = _git(
            "log", "--diff-filter=A", "--reverse", "--format=%H", "--", *(str(p.relative_to(ROOT)) for p in after)
        ).decode().split()  # fmt: skip
        commit = f"{since[0]}^" if after and since else "HEAD"
        archive = _git("archive", "--format=tar", commit, "opsmantik", "integrations", "docs/checks")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no history here")
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    names = {path.name for path in (folder / "opsmantik" / "db" / "migrations").glob("*.sql")}
    assert newest.name in names and not names & {path.name for path in after}
    return folder


class Beside(NamedTuple):
    """An old and a new node over one database that the old one made."""

    old: Node
    new: Node
    owner: Any
    email: str
    world: Any

    async def stored(self, names: set[str]) -> tuple[int, int]:
        row = await self.owner.fetchrow(
            "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM events WHERE site_id = $1 AND id = ANY ($2::uuid[])",
            self.world.site.id, list(names),
        )  # fmt: skip
        return row["n"], row["ids"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def beside(server: Any) -> AsyncIterator[Beside]:
    folder = Path(tempfile.mkdtemp(prefix="om-beside-"))
    name = f"beside_{next(_numbers)}"
    admin = await asyncpg.connect(server.admin_dsn())
    await admin.execute(f"CREATE DATABASE {name} OWNER {roles.OWNER}")
    await admin.close()
    dsn = {
        role: server.dsn(role, name, roles.role_password(SECRET, role)) for role in (roles.OWNER, roles.APP)
    }
    ways = {
        "DATABASE_URL": dsn[roles.OWNER], "OPSMANTIK_APP_DATABASE_URL": dsn[roles.APP], "OPSMANTIK_SECRET_KEY": SECRET,
        "OPSMANTIK_ENCRYPTION_KEYS": "ab" * 32, "OPSMANTIK_RATE_LIMIT_PER_MINUTE": "0",
    }  # fmt: skip
    old = Node(folder / "old", ways, code=version_before(folder / "code"))
    new = Node(folder / "new", ways)
    done = old.run("db", "migrate")
    assert done.returncode == 0, done.stderr
    owner = await asyncpg.connect(dsn[roles.OWNER])
    await prepare_connection(owner)
    await owner.execute("SET app.maintenance = 'on'")
    user, email = uuid4(), f"{uuid4().hex}@example.com"
    await owner.execute(
        "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ayşe', $3)",
        user, email, await Passwords().hash(PASSWORD),
    )  # fmt: skip
    await owner.execute("INSERT INTO profiles (id) VALUES ($1)", user)
    try:
        world = await new_world(owner, NOWHERE, user)
        await owner.execute(
            "INSERT INTO site_origins (site_id, origin) VALUES ($1, 'https://shop.example') ON CONFLICT DO NOTHING",
            world.site.id,
        )
        await old.serve()
        yield Beside(old, new, owner, email, world)
    finally:
        for node in (old, new):
            with suppress(TimeoutError):
                await node.end()
            node.kill()
        await owner.close()
        shutil.rmtree(folder, ignore_errors=True)


async def act(where: Node, also: Node, beside: Beside) -> None:
    """Somebody signs in on one node, seals a lead there, and takes it back on the other."""
    first, second = Browser(where.url), Browser(also.url)
    assert (await first.sign_in(beside.email)).status_code == 303
    second.http.cookies = first.http.cookies
    for browser in (first, second):
        for page in ("", "/queue", "/leads?range=all"):
            answer = await browser.get(f"/sites/{beside.world.site.id}{page}")
            assert answer.status_code == 200, (page, answer.status_code)
    lead = beside.world.ids["waiting"]
    path = f"{beside.world.path}/intents/{lead}"
    version = await beside.owner.fetchval("SELECT version FROM calls WHERE id = $1", lead)
    sealed = await Programs(first).post(
        f"{path}/decisions", {"action": "seal", "version": version, "amount": 10}
    )
    assert sealed.status_code == 200, sealed.text
    back = await Programs(second).post(f"{path}/undo", {"version": version + 1})
    assert back.status_code == 200, back.text
    for browser in (first, second):
        await browser.http.aclose()


async def test_the_old_one_answers_while_and_after_the_new_one_migrates(beside: Beside) -> None:
    plan = beside.new.run("db", "plan")
    assert plan.returncode == 0 and "pending" in plan.stdout, plan.stderr
    async with proxy([beside.old]) as url:
        load = Load(url, beside.world.site.public_id)
        async with load.going_on():
            await asyncio.sleep(0.5)
            done = await asyncio.to_thread(beside.new.run, "db", "migrate")
            assert done.returncode == 0, done.stderr
            await asyncio.sleep(0.5)
    assert load.answers.keys() <= {200, 503} and load.answers[200] > 50, load.answers
    assert await beside.stored(load.acknowledged) == (len(load.acknowledged),) * 2
    await act(beside.old, beside.old, beside)


async def test_old_and_new_serve_side_by_side(beside: Beside) -> None:

    await beside.new.serve()
    async with proxy([beside.old, beside.new]) as url:
        load = Load(url, beside.world.site.public_id)
        async with load.going_on():
            await asyncio.sleep(1)
            await act(beside.old, beside.new, beside)
            await act(beside.new, beside.old, beside)
    assert load.answers.keys() == {200}, load.answers
    assert await beside.stored(load.acknowledged) == (len(load.acknowledged),) * 2


async def test_the_way_back_is_the_old_program_with_its_functions(beside: Beside) -> None:
    """Its ``db migrate`` puts its functions over the new schema; nothing of the data has to go back, nothing is lost."""

    async with proxy([beside.old, beside.new]) as url:
        load = Load(url, beside.world.site.public_id)
        async with load.going_on():
            done = await asyncio.to_thread(beside.old.run, "db", "migrate")
            assert done.returncode == 0, done.stderr
            assert await beside.new.end() == 0
            await asyncio.sleep(0.5)
    assert load.answers.keys() <= {200, 503}, load.answers
    assert await beside.stored(load.acknowledged) == (len(load.acknowledged),) * 2
    await act(beside.old, beside.old, beside)
    await beside.old.end()
    done = beside.old.run("counters", "verify")
    assert done.returncode == 0, done.stdout
    again = beside.new.run("db", "migrate")
    assert again.returncode == 0, again.stderr
    done = beside.new.run("counters", "verify")
    assert done.returncode == 0, done.stdout
