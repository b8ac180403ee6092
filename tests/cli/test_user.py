"""``opsmantik user``: accounts from the server itself, and the way back in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from opsmantik.cli import user
from opsmantik.db.connect import Database
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.people import account_store, store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database.owner)
    monkeypatch.setenv("OPSMANTIK_HOME", str(tmp_path))
    monkeypatch.setenv("OPSMANTIK_PUBLIC_URL", "https://leads.example")


async def command(*arguments: str) -> str:
    """What it prints; in a thread of its own, where no event loop runs yet."""
    done = await asyncio.to_thread(CliRunner().invoke, user.app, list(arguments))
    if done.exception is not None:
        raise done.exception
    return str(done.stdout)


async def acts(owner: Any, email: str) -> list[str]:
    rows = await owner.fetch("SELECT * FROM platform_acts WHERE subject = $1 ORDER BY at, id", email)
    assert all(row["detail"]["by"] == "command line" for row in rows)
    return [row["action"] for row in rows]


async def added(owner: Any, *options: str) -> tuple[UUID, str, str]:
    """A new account: its id, its address, and the token of its link."""
    email = f"{uuid4().hex}@example.com"
    link = (await command("add", email, *options)).strip()
    assert link.startswith("https://leads.example/reset/")
    return (
        await owner.fetchval("SELECT id FROM users WHERE email = $1", email),
        email,
        link.rpartition("/")[2],
    )


async def test_an_account_is_added_with_a_link_to_its_first_password(
    app_database: Database, owner: Any
) -> None:
    user_id, email, link = await added(owner, "--name", "Ayşe", "--admin")
    assert await account_store.password_link(app_database, link) == email
    row = await owner.fetchrow(
        "SELECT u.name, p.role FROM users u JOIN profiles p USING (id) WHERE id = $1", user_id
    )
    assert tuple(row) == ("Ayşe", "admin")
    assert await acts(owner, email) == ["users.add", "users.reset_link"]
    with pytest.raises(Unprocessable, match="already"):
        await command("add", email.upper())
    with pytest.raises(Unprocessable):
        await command("add", "nobody")


async def test_switched_off_somebody_is_out_at_once_and_may_come_back(
    app_database: Database, owner: Any
) -> None:
    user_id, email, link = await added(owner)
    entry = await store.let_in(app_database, user_id, method="password", user_agent="", address=None)
    assert entry is not None
    await command("disable", email)
    assert await store.signed_in(app_database, entry.token) is None
    assert await account_store.password_link(app_database, link) is None
    with pytest.raises(Unprocessable, match="switched off"):
        await command("reset-link", email)
    await command("enable", email)
    assert await store.signed_in(app_database, entry.token) is None, "but signs in anew"
    assert (await command("reset-link", email)).startswith("https://leads.example/reset/")
    assert (await acts(owner, email))[2:] == ["users.disable", "users.enable", "users.reset_link"]


async def test_a_lost_second_factor_is_switched_off(app_database: Database, owner: Any) -> None:
    user_id, email, _ = await added(owner)
    assert "has no second factor" in await command("reset-second-factor", email)
    await owner.execute(
        "INSERT INTO second_factors (id, user_id, secret, key_id, confirmed_at) VALUES ($1, $2, 'x', 'k', now())",
        uuid4(), user_id,
    )  # fmt: skip
    await owner.execute("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, sha256('x'))", user_id)
    assert "is off" in await command("reset-second-factor", email)
    entry = await store.let_in(app_database, user_id, method="password", user_agent="", address=None)
    assert entry is not None and entry.whole
    assert await owner.fetchval("SELECT count(*) FROM recovery_codes WHERE user_id = $1", user_id) == 0
    assert (await acts(owner, email))[2:] == ["users.reset_second_factor"]


async def test_all_are_listed(app_database: Database, owner: Any) -> None:
    _, email, _ = await added(owner, "--admin")
    _, off, _ = await added(owner)
    await command("disable", off)
    lines = (await command("list")).splitlines()
    assert lines[0].split()[:3] == ["EMAIL", "ROLE", "STATE"]
    (mine,) = [line for line in lines if line.startswith(email)]
    assert "administrator" in mine and "no password" in mine
    (other,) = [line for line in lines if line.startswith(off)]
    assert other.split()[1:3] == ["user", "off"]


@pytest.mark.parametrize("name", ["disable", "enable", "reset-link", "reset-second-factor"])
async def test_nobody_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        await command(name, "nobody@example.com")


async def test_the_application_may_do_none_of_it(app_database: Database) -> None:
    async with app_database.connection() as connection:
        for function in ("list_users", "add_user", "switch_user", "reset_second_factor", "offer_user_link"):
            held = await connection.fetchval(
                "SELECT bool_or(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_proc p WHERE proname = $1",
                function,
            )
            assert held is False
