"""Two servers and two workers over one database, behind a proxy that sends nobody back to where they were."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db.connect import prepare_connection
from opsmantik.people.passwords import Passwords
from tests.cli.nodes import Load, Node, proxy
from tests.conftest import SECRET, Dsns
from tests.web.browsing import PASSWORD, Browser, Running
from tests.web.streams import listening, stream_of, tap
from tests.web.world import Programs, new_world

pytestmark = [pytest.mark.slow, pytest.mark.proof]


class Cluster(NamedTuple):
    """All of it."""

    servers: list[Node]
    workers: list[Node]
    url: str
    """The proxy's."""
    owner: Any
    email: str
    site: Any
    world: Any


async def _nothing() -> None:
    """The servers find out about sites by themselves."""


# Stands for an application in this process, where there is none.
NOWHERE: Any = SimpleNamespace(
    app=SimpleNamespace(collect=SimpleNamespace(registry=SimpleNamespace(refresh=_nothing)))
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(database: Dsns) -> AsyncIterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="om-nodes-"))
    ways = {
        "DATABASE_URL": database.owner, "OPSMANTIK_APP_DATABASE_URL": database.app, "OPSMANTIK_SECRET_KEY": SECRET,
        "OPSMANTIK_ENCRYPTION_KEYS": "ab" * 32, "OPSMANTIK_RATE_LIMIT_PER_MINUTE": "0",
    }  # fmt: skip
    owner = await asyncpg.connect(database.owner)
    await prepare_connection(owner)
    await owner.execute("SET app.maintenance = 'on'")
    user, email = uuid4(), f"{uuid4().hex}@example.com"
    await owner.execute(
        "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ayşe', $3)",
        user, email, await Passwords().hash(PASSWORD),
    )  # fmt: skip
    await owner.execute("INSERT INTO profiles (id) VALUES ($1)", user)
    nodes = [Node(folder / name, ways) for name in ("one", "two", "work-1", "work-2")]
    world: Any = await new_world(owner, NOWHERE, user)
    await owner.execute(
        "INSERT INTO site_origins (site_id, origin) VALUES ($1, 'https://shop.example') ON CONFLICT DO NOTHING",
        world.site.id,
    )
    try:
        for worker in nodes[2:]:
            worker.begin("work")
        await asyncio.gather(*(node.serve() for node in nodes[:2]))
        async with proxy(nodes[:2]) as url:
            yield Cluster(nodes[:2], nodes[2:], url, owner, email, world.site, world)
    finally:
        for node in nodes:
            with suppress(TimeoutError):
                await node.end()
            node.kill()
        await owner.close()
        shutil.rmtree(folder, ignore_errors=True)


async def stored(cluster: Cluster, names: set[str]) -> tuple[int, int]:
    """Rows of these events, and how many different ones."""
    row = await cluster.owner.fetchrow(
        "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM events WHERE site_id = $1 AND id = ANY ($2::uuid[])",
        cluster.site.id, list(names),
    )  # fmt: skip
    return row["n"], row["ids"]


def node(server: Node) -> Running:
    return Running(None, server.url)  # type: ignore[arg-type]


async def test_nobody_has_to_stay_with_the_node_where_they_signed_in(cluster: Cluster) -> None:
    """Signed in on one; read, decided and taken back on the other; form tokens of one are good at the other."""
    one, two = (Browser(server.url) for server in cluster.servers)
    assert (await one.sign_in(cluster.email)).status_code == 303
    two.http.cookies = one.http.cookies
    page = await two.get(f"/sites/{cluster.site.id}")
    assert page.status_code == 200
    programs, path = Programs(two), f"{cluster.world.path}/intents/{cluster.world.ids['waiting']}"
    sealed = await programs.post(f"{path}/decisions", {"action": "seal", "version": 1, "amount": 10})
    assert sealed.status_code == 200, sealed.text
    back = await Programs(one).post(f"{path}/undo", {"version": 2})
    assert back.status_code == 200, back.text
    token = await one.token("/account")
    answer = await two.http.post("/sign-out", data={"form_token": token})
    assert answer.status_code in (200, 303), answer.text
    assert (await one.get(f"/sites/{cluster.site.id}")).status_code != 200, (
        "signed out is signed out everywhere"
    )
    for browser in (one, two):
        await browser.http.aclose()


async def test_a_tap_on_either_node_is_told_on_both(cluster: Cluster) -> None:
    browsers = [Browser(server.url) for server in cluster.servers]
    assert (await browsers[0].sign_in(cluster.email)).status_code == 303
    browsers[1].http.cookies = browsers[0].http.cookies
    path = stream_of(cluster.site.id)
    async with listening(browsers[0], path) as first, listening(browsers[1], path) as second:
        for server in cluster.servers:
            web = node(server)
            await tap(web, cluster.site)
            await first.event("change", within=10)
            await second.event("change", within=10)
            for browser in web.browsers:
                await browser.http.aclose()
    for browser in browsers:
        await browser.http.aclose()


async def test_a_rolling_restart_under_load_loses_no_event(cluster: Cluster) -> None:
    load = Load(cluster.url, cluster.site.public_id)
    async with load.going_on():
        for server in cluster.servers:
            await asyncio.sleep(0.5)
            assert await server.end() == 0
            await asyncio.sleep(0.3)
            await server.serve()
        await asyncio.sleep(0.5)
    assert load.answers.keys() <= {200, 503}, load.answers
    assert load.answers[200] > 100, load.answers
    assert await stored(cluster, load.acknowledged) == (len(load.acknowledged),) * 2


async def test_migrating_while_both_serve_is_noticed_by_nobody(cluster: Cluster) -> None:
    """Every function is replaced under the servers that call them, three times; their answers stay 200."""
    load = Load(cluster.url, cluster.site.public_id)
    async with load.going_on():
        for _ in range(3):
            done = await asyncio.to_thread(cluster.servers[0].run, "db", "migrate")
            assert done.returncode == 0, done.stderr
        await asyncio.sleep(0.5)
    assert load.answers.keys() == {200} and load.cut == 0, (load.answers, load.cut)
    assert await stored(cluster, load.acknowledged) == (len(load.acknowledged),) * 2


async def test_the_work_goes_on_when_a_worker_and_a_server_are_killed(cluster: Cluster) -> None:
    """What they had in hand is taken over: the counters' journal runs empty, and every figure equals its recount."""
    load = Load(cluster.url, cluster.site.public_id)
    async with load.going_on():
        await asyncio.sleep(0.5)
        await cluster.workers[0].end(signal.SIGKILL)
        await cluster.servers[1].end(signal.SIGKILL)
        await asyncio.sleep(1)
        await cluster.servers[1].serve()
    assert await stored(cluster, load.acknowledged) == (len(load.acknowledged),) * 2
    async with asyncio.timeout(30):
        while await cluster.owner.fetchval(
            "SELECT count(*) FROM counter_journal WHERE site_id = $1", cluster.site.id
        ):
            await asyncio.sleep(0.2)
    done = await asyncio.to_thread(cluster.servers[0].run, "counters", "verify")
    assert done.returncode == 0, done.stdout
