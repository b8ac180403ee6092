"""``opsmantik keys``: what it says, what it keeps, and what it forgets."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from opsmantik.cli import keys
from opsmantik.db.connect import Asker, Database
from opsmantik.errors import Conflict
from opsmantik.keyring import FILE, Keyring, key_of, keyring, new_key
from opsmantik.people import credentials
from opsmantik.people.credentials import Tokens
from opsmantik.settings import Settings
from opsmantik.upkeep import sealing

pytestmark = pytest.mark.slow

TOKENS = Tokens("access", "refresh")


@pytest.fixture
async def home(tmp_path: Path, database: Any, owner: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", database.owner)
    monkeypatch.setenv("OPSMANTIK_HOME", str(tmp_path))
    monkeypatch.setattr(keys, "SETTLE_SECONDS", 0.0)
    yield tmp_path
    await owner.execute("DELETE FROM user_credentials")


async def command(*arguments: str) -> Any:
    """In a thread of its own, where no event loop runs yet."""
    return await asyncio.to_thread(CliRunner().invoke, keys.app, list(arguments))


async def people(owner: Any, database: Database, ring: Keyring, n: int = 3) -> list[Asker]:
    found = [Asker(uuid4(), ()) for _ in range(n)]
    for who in found:
        await owner.execute(
            "INSERT INTO users (id, email) VALUES ($1, $2)", who.user_id, f"{who.user_id.hex}@e.test"
        )
        await credentials.keep(database, ring, who, "google_ads", TOKENS)
    return found


async def test_new_prints_a_key_and_changes_nothing(home: Path) -> None:
    made = await command("new")
    assert made.exit_code == 0 and len(bytes.fromhex(made.output.strip())) == 32
    assert list(home.iterdir()) == []


async def test_rotated_twice_everything_reads_the_same_and_the_old_keys_are_gone(
    home: Path, owner: Any, app_database: Database
) -> None:
    server = keyring(Settings(home=home))  # runs all the time
    found = await people(owner, app_database, server)
    seen = [server.current]
    for _ in range(2):
        done = await command("rotate")
        assert done.exit_code == 0, done.output
        assert "3 rows" in done.output and f"Forgotten: {seen[-1]}." in done.output
        ring = keyring(Settings(home=home))
        assert ring.ids == (ring.current,) and ring.current not in seen
        seen.append(ring.current)
        assert await sealing.usage(owner) == {ring.current: {"user_credentials": 3}}
        for who in found:
            assert await credentials.read(app_database, server, who, "google_ads") == TOKENS
        await credentials.keep(app_database, server, found[0], "google_ads", TOKENS)
    assert server.ids == (seen[-1],)
    lines = await owner.fetch(
        "SELECT subject, detail FROM platform_acts WHERE action = 'keys.rotate' ORDER BY id"
    )
    assert [line["subject"] for line in lines] == seen[1:]
    assert lines[-1]["detail"] == {"rows": 3, "broken": 0, "forgotten": [seen[1]]}
    key = (home / FILE).read_text().strip()
    assert not any(key in str(dict(line)) for line in lines) and key not in done.output


async def test_with_nothing_sealed_the_new_key_is_the_one_that_stays(home: Path) -> None:
    first = keyring(Settings(home=home)).current
    done = await command("rotate")
    (only,) = keyring(Settings(home=home)).ids
    assert only != first and f"Forgotten: {first}." in done.output


async def test_old_keys_can_be_kept_and_those_still_needed_always_are(
    home: Path, owner: Any, app_database: Database
) -> None:
    first = keyring(Settings(home=home))
    (who, *_) = await people(owner, app_database, first)
    assert (await command("rotate", "--keep")).exit_code == 0
    assert keyring(Settings(home=home)).ids[1:] == (first.current,)
    lost = Keyring([key_of(b"\x07" * 32)])
    await credentials.keep(app_database, lost, who, "google_ads", TOKENS)
    second = keyring(Settings(home=home)).current
    await owner.execute(
        "UPDATE user_credentials SET key_id = $2, access_token = refresh_token WHERE user_id = $1",
        who.user_id,
        second,
    )
    broken = await command("rotate")
    assert broken.exit_code == 1 and "Left as it is: user_credentials" in broken.output
    kept = keyring(Settings(home=home)).ids
    assert second in kept and first.current not in kept, "the one that a broken row names is not thrown away"


async def test_list_says_what_each_key_is_for_and_what_is_missing(
    home: Path, owner: Any, app_database: Database
) -> None:
    ring = keyring(Settings(home=home))
    fine = await command("list")
    assert fine.exit_code == 0 and ring.current in fine.output and "nothing" in fine.output
    await people(owner, app_database, ring, 2)
    assert "user_credentials (2)" in (await command("list")).output
    (home / FILE).unlink()
    bad = await command("list")
    assert bad.exit_code == 1 and "MISSING" in bad.output and ring.current in bad.output


async def test_keys_of_the_settings_are_left_alone_and_one_is_told_what_to_set(
    home: Path, owner: Any, app_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    monkeypatch.setenv("OPSMANTIK_ENCRYPTION_KEYS", old)
    before = keyring(Settings(encryption_keys=(old,)))
    (who, *_) = await people(owner, app_database, before)
    alone = await command("rotate")
    assert alone.exit_code == 0 and "put one of `opsmantik keys new` before the present one" in alone.output
    monkeypatch.setenv("OPSMANTIK_ENCRYPTION_KEYS", f"{new},{old}")
    done = await command("rotate")
    assert done.exit_code == 0 and f"Not needed any more: {before.current}. Take them out" in done.output
    after = keyring(Settings(encryption_keys=(new,)))
    assert await credentials.read(app_database, after, who, "google_ads") == TOKENS
    assert not (home / FILE).exists() and new not in done.output and old not in done.output


async def test_one_at_a_time(home: Path, owner: Any) -> None:
    await owner.fetchval(keys.ONE_AT_A_TIME)
    try:
        assert isinstance((await command("rotate")).exception, Conflict)
        assert not (home / FILE).exists(), "it did not make a key first"
    finally:
        await owner.execute("SELECT pg_advisory_unlock_all()")
    assert (await command("rotate")).exit_code == 0


def _rotate_slowly(batch: int) -> None:
    """In a process of its own, which is killed in the middle."""
    original = sealing._reseal_row

    async def slow(*arguments: Any) -> None:
        await asyncio.sleep(0.1)
        await original(*arguments)

    sealing.BATCH, sealing._reseal_row = batch, slow  # type: ignore[misc]
    CliRunner().invoke(keys.app, ["rotate"])


@pytest.mark.slow
async def test_killed_in_between_nothing_is_lost_and_the_next_run_finishes(
    home: Path, owner: Any, app_database: Database
) -> None:
    server = keyring(Settings(home=home))
    first = server.current
    found = await people(owner, app_database, server, 12)
    process = multiprocessing.get_context("spawn").Process(target=_rotate_slowly, args=(2,))
    process.start()
    deadline = time.monotonic() + 60
    while len(await sealing.usage(owner)) < 2 and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert len(await sealing.usage(owner)) == 2, "it was killed in the middle"
    assert keyring(Settings(home=home)).ids[1:] == (first,)
    for who in found:
        assert await credentials.read(app_database, server, who, "google_ads") == TOKENS
    done = await command("rotate")
    assert done.exit_code == 0, done.output
    ring = keyring(Settings(home=home))
    assert len(ring.ids) == 1 and await sealing.usage(owner) == {ring.current: {"user_credentials": 12}}
    for who in found:
        assert await credentials.read(app_database, server, who, "google_ads") == TOKENS
