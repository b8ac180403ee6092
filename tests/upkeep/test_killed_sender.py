"""Senders killed at random moments, many of them between sending and hearing that it arrived."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from tests.conversions.google.data_manager import DataManager
from tests.desk import make_desk
from tests.upkeep.killed_sender import sender
from tests.upkeep.test_sending import House, make_house

__all__ = ["make_desk", "make_house"]
KILLS = int(os.environ.get("KILLS", "30"))
"""make faults kills a hundred."""
PATIENCE = 3.0
"""Seconds after which a sender is killed that has not got to where it was to be killed."""


async def moment(house: House, google: DataManager, chance: random.Random) -> None:
    """Until it has claimed a batch, or its request has arrived, or just some time; and a little longer."""
    where = chance.choice(("claimed", "arrived", "arrived", "anywhere"))
    arrived = len(google.requests)

    async def is_there() -> bool:
        if where == "arrived":
            return len(google.requests) > arrived
        return where == "claimed" and bool(
            await house.desk.owner.fetchval(
                "SELECT EXISTS (SELECT FROM conversion_batches WHERE site_id = $1 AND state = 'open' AND next_at > now())",
                house.desk.site_id,
            )
        )

    if where == "anywhere":
        await asyncio.sleep(chance.uniform(0, 0.3))
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not await is_there():
                await asyncio.sleep(0.001)
    await asyncio.sleep(chance.uniform(0, 0.01))


@pytest.mark.slow
async def test_killed_anywhere_each_conversion_arrives_once(make_house: Any, database: Any) -> None:
    house: House = await make_house()
    chance = random.Random(7)
    calls = []
    killed_under_way = 0
    async with DataManager() as google:
        token = google.tokens.access()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.upkeep.killed_sender", database.app, google.url, token,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for number in range(KILLS):
                calls.append(await house.sealed(str(number + 1)))
                await house.ends()  # the leases of those that were killed
                process.stdin.write(b"go\n")
                child = int(await asyncio.wait_for(process.stdout.readline(), 20))
                await moment(house, google, chance)
                os.kill(child, signal.SIGKILL)
                assert await process.stdout.readline() == b"gone\n"
                killed_under_way += await house.desk.owner.fetchval(
                    "SELECT count(*) FROM conversion_batches WHERE site_id = $1 AND state = 'open'",
                    house.desk.site_id,
                )
        finally:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 20)

        last, http = sender(house.database, google.url, token)
        for _ in range(4):
            await house.ends()
            while await last.turn() or last._under_way:
                await last.settle()
        await http.close()

        held = google.holds()
        assert killed_under_way >= KILLS // 10, (
            "hardly any was killed on its way: the moments are chosen badly"
        )
        assert len(held) == KILLS
        assert {conversion.creations for conversion in held.values()} == {1}
        assert google.total == sum(range(1, KILLS + 1)) == await house.holds()
    states = {(await house.row(call))["state"] for call in calls}
    assert states == {"accepted"}
    assert {state for _, state in await house.batches()} <= {"done", "cancelled"}
    assert await house.desk.miscounted() == []
    assert isinstance(await house.holds(), Decimal)
