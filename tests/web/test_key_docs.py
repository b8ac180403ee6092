"""What docs/api.md and docs/calls.md tell people to type works as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opsmantik.db.connect import Asker
from opsmantik.people import keys
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.sites import call_secrets

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.slow


def blocks(name: str, language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    assert found
    return found


async def typed(program: list[str], text: str, place: Path, **names: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *program, text, cwd=place, env={"PATH": os.environ["PATH"], **names},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, wrong = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, f"{text}\n{out.decode()}\n{wrong.decode()}"
    return out.decode()


def manager(world: Any) -> Asker:
    return Asker(world.site.user_id, roles_with(Capability.KEYS))


async def test_the_examples_with_a_key(web: Any, signed_in: Any, make_world: Any, tmp_path: Path) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    wanted = keys.check_new_key("docs", (Capability.READ, Capability.DECIDE), None, datetime.now(UTC))
    async with web.app._page_database.as_person(manager(world), write=True) as (connection, _):
        key = await keys.make_site_key(connection, world.site.id, wanted)
    names = {
        "OPSMANTIK": web.base_url, "KEY": key.token, "SITE": str(world.site.id), "LEAD": str(world.ids["waiting"]),
    }  # fmt: skip
    figures, polling, deciding, refused = [
        await typed(["bash", "-euc"], text, tmp_path, **names) for text in blocks("api.md", "bash")
    ]
    assert '"sequence"' in figures
    assert polling.strip() == "304"
    assert '"status":"sealed"' in deciding
    assert '"items":' in refused


async def test_the_examples_of_signing(
    web: Any, signed_in: Any, make_world: Any, owner: Any, tmp_path: Path
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    async with web.app._page_database.as_person(manager(world), write=True) as (connection, _):
        secret = await call_secrets.make_call_secret(connection, web.app._keyring, world.site.id)
    await web.app.collect.registry.refresh()
    names = {"OPSMANTIK": web.base_url, "SITE": world.site.public_id, "SECRET": secret}
    [shell], [python] = blocks("calls.md", "bash"), blocks("calls.md", "python")
    assert '"unmatched"' in await typed(["bash", "-euc"], shell, tmp_path, **names)
    assert (await typed([sys.executable, "-c"], python, tmp_path, **names)).strip() == "unmatched"
    rows = await owner.fetch(
        "SELECT phone_number, call_outcome, call_seconds FROM calls WHERE site_id = $1 ORDER BY created_at",
        world.site.id,
    )
    assert [tuple(row) for row in rows] == [
        ("+905321234567", "answered", 95), ("+905327654321", "missed", None),
    ]  # fmt: skip
