"""``opsmantik work``: conversions leave without a web server, and it ends when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from opsmantik.conversions import store
from opsmantik.db.connect import Asker
from opsmantik.keyring import keyring
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.settings import Settings
from opsmantik.webhooks.signing import new_secret
from tests.conftest import SECRET
from tests.conversions.google.server import Request, Response, Server
from tests.desk import make_desk

__all__ = ["make_desk"]
SIGNING = new_secret()


class Receiver(Server):
    """Keeps the order ids of what is signed rightly."""

    def __init__(self) -> None:
        super().__init__(self.handle)
        self.orders: list[str] = []

    async def handle(self, request: Request) -> Response:
        body = Webhook(SIGNING).verify(request.body.decode(), request.headers)
        self.orders += [conversion["order_id"] for conversion in body["data"]["conversions"]]
        return Response(204)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as server:
        yield server  # type: ignore[misc]


async def worker(database: Any, home: Path) -> asyncio.subprocess.Process:
    environ = {
        **os.environ, "DATABASE_URL": database.owner, "OPSMANTIK_APP_DATABASE_URL": database.app,
        "OPSMANTIK_HOME": str(home), "OPSMANTIK_SECRET_KEY": SECRET, "OPSMANTIK_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "opsmantik.cli", "work", "--no-jobs",
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    # Before that, a signal ends it as it ends any program that is still loading.
    assert b"work.begun" in await asyncio.wait_for(process.stdout.readline(), 60)
    return process


@pytest.mark.slow
async def test_two_workers_send_what_is_sealed_once_and_end_in_order(
    make_desk: Any, database: Any, tmp_path: Path, receiver: Receiver
) -> None:
    desk = await make_desk(undo_minutes=0)
    asker = Asker(desk.people["owner"], roles_with(Capability.EXPORT))
    keys = keyring(Settings(home=tmp_path, secret_key=SECRET))
    async with desk.database.as_person(asker, write=True) as (connection, _):
        await store.set_route(connection, desk.site_id, "webhook", {"url": receiver.url}, with_hashes=False)
        await store.put_secret(connection, keys, desk.site_id, SIGNING)
    workers = [await worker(database, tmp_path) for _ in range(2)]
    try:
        calls = [await desk.lead() for _ in range(6)]
        for call in calls:
            await desk.decide(call, "seal")
        async with asyncio.timeout(60):
            while {(await desk.ledger(call))[0]["state"] for call in calls} != {"accepted"}:
                assert all(process.returncode is None for process in workers)
                await asyncio.sleep(0.1)
        for process in workers:
            process.send_signal(signal.SIGTERM)
        said = [(await asyncio.wait_for(process.communicate(), 20))[0].decode() for process in workers]
    finally:
        for process in workers:
            if process.returncode is None:
                process.kill()
    assert [process.returncode for process in workers] == [0, 0], said
    assert sorted(receiver.orders) == sorted([(await desk.ledger(call))[0]["order_id"] for call in calls])
