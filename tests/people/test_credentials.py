"""Other services' tokens: what the database has of them, and who gets them back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from opsmantik.db.connect import Asker, Database
from opsmantik.errors import SealBroken
from opsmantik.keyring import Keyring, key_of
from opsmantik.people import credentials
from opsmantik.people.credentials import Tokens

KEYS = Keyring([key_of(b"\x01" * 32)])
GOOGLE = Tokens("ya29.access-token", "1//refresh-token", datetime(2026, 11, 22, 12, tzinfo=UTC))
Make = Callable[..., Awaitable[Asker]]


@pytest.fixture
def make(owner: Any) -> Make:
    async def make(**columns: Any) -> Asker:
        user_id = uuid4()
        await owner.execute(
            "INSERT INTO users (id, email, disabled_at) VALUES ($1, $2, $3)",
            user_id, f"{user_id.hex}@example.com", columns.get("disabled_at"),
        )  # fmt: skip
        return Asker(user_id, ())

    return make


async def everything(owner: Any) -> bytes:
    """All rows of the table as text, and the ciphertext as it is."""
    rows = await owner.fetch("SELECT c::text AS text, access_token, refresh_token FROM user_credentials c")
    return b"".join(
        r["text"].encode() + (r["access_token"] or b"") + (r["refresh_token"] or b"") for r in rows
    )


async def test_tokens_come_back_and_the_database_has_only_their_ciphertext(
    app_database: Database, owner: Any, make: Make
) -> None:
    who = await make()
    await credentials.keep(app_database, KEYS, who, "google_ads", GOOGLE)
    assert await credentials.read(app_database, KEYS, who, "google_ads") == GOOGLE
    kept = await everything(owner)
    for token in (b"ya29.access-token", b"1//refresh-token"):
        assert token not in kept and token.hex().encode() not in kept
    assert KEYS.current.encode() in kept, "the search looks where the rows are"
    assert "ya29" not in repr(GOOGLE) and "1//" not in repr(GOOGLE)


async def test_a_second_grant_takes_the_place_of_the_first(
    app_database: Database, owner: Any, make: Make
) -> None:
    who = await make()
    await credentials.keep(app_database, KEYS, who, "google_ads", GOOGLE)
    await credentials.keep(app_database, KEYS, who, "google_ads", Tokens("b", None))
    assert await credentials.read(app_database, KEYS, who, "google_ads") == Tokens("b", None)
    await credentials.keep(app_database, KEYS, who, "other", GOOGLE)
    rows = "SELECT count(*) FROM user_credentials WHERE user_id = $1"
    assert await owner.fetchval(rows, who.user_id) == 2


async def test_a_newer_access_token_leaves_the_refresh_token(
    app_database: Database, owner: Any, make: Make
) -> None:
    who, later = await make(), datetime(2026, 11, 22, 13, tzinfo=UTC)
    await credentials.renew(app_database, KEYS, who, "google_ads", "lost", later)
    assert await credentials.read(app_database, KEYS, who, "google_ads") is None
    await credentials.keep(app_database, KEYS, who, "google_ads", GOOGLE)
    await credentials.renew(app_database, KEYS, who, "google_ads", "newer", later)
    tokens = await credentials.read(app_database, KEYS, who, "google_ads")
    assert tokens == Tokens("newer", GOOGLE.refresh, later)


async def test_forgotten_means_gone(app_database: Database, owner: Any, make: Make) -> None:
    who, other = await make(), await make()
    for person in (who, other):
        await credentials.keep(app_database, KEYS, person, "google_ads", GOOGLE)
    assert await credentials.forget(app_database, who, "google_ads")
    assert not await credentials.forget(app_database, who, "google_ads")
    assert await credentials.read(app_database, KEYS, who, "google_ads") is None
    assert await credentials.read(app_database, KEYS, other, "google_ads") == GOOGLE


async def test_what_is_granted_and_forgotten_stands_in_the_log_without_the_tokens(
    app_database: Database, owner: Any, make: Make
) -> None:
    who = await make()
    await credentials.keep(app_database, KEYS, who, "google_ads", GOOGLE)
    await credentials.renew(app_database, KEYS, who, "google_ads", "newer", datetime.now(UTC))
    await credentials.forget(app_database, who, "google_ads")
    lines = await owner.fetch(
        "SELECT action, subject, detail, actor_name FROM platform_acts WHERE actor = $1 ORDER BY id",
        who.user_id,
    )
    assert [tuple(line)[:3] for line in lines] == [
        ("credentials.keep", "google_ads", {}),
        ("credentials.forget", "google_ads", {}),
    ]


async def swap(owner: Any, sql: str, *people: Asker) -> None:
    assert (await owner.execute(sql, *(p.user_id for p in people))).startswith("UPDATE 1")


MOVED = {
    "from another person's row": "UPDATE user_credentials a SET refresh_token = b.refresh_token FROM user_credentials b"
    " WHERE a.user_id = $1 AND b.user_id = $2",
    "from the other column": "UPDATE user_credentials SET refresh_token = access_token WHERE user_id = $1 AND $2 <> $1",
    "with a bit turned": "UPDATE user_credentials SET refresh_token = "
    "set_byte(refresh_token, 20, get_byte(refresh_token, 20) # 1) WHERE user_id = $1 AND $2 <> $1",
    "with another key's name": "UPDATE user_credentials SET key_id = 'ffffffffffff' WHERE user_id = $1 AND $2 <> $1",
}  # fmt: skip


@pytest.mark.parametrize("sql", MOVED.values(), ids=MOVED.keys())
async def test_a_ciphertext_opens_only_in_its_own_place(
    app_database: Database, owner: Any, make: Make, sql: str
) -> None:
    who, other = await make(), await make()
    for person in (who, other):
        await credentials.keep(app_database, KEYS, person, "google_ads", GOOGLE)
    assert await credentials.read(app_database, KEYS, who, "google_ads") == GOOGLE
    await swap(owner, sql, who, other)
    with pytest.raises(SealBroken):
        await credentials.read(app_database, KEYS, who, "google_ads")


# Who gets them.


async def test_nobody_else_gets_them_and_a_disabled_account_gets_none(
    app_database: Database, owner: Any, make: Make
) -> None:
    who, other = await make(), await make()
    await credentials.keep(app_database, KEYS, who, "google_ads", GOOGLE)
    assert await credentials.read(app_database, KEYS, other, "google_ads") is None
    await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", who.user_id)
    assert await credentials.read(app_database, KEYS, who, "google_ads") is None
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await credentials.keep(app_database, KEYS, who, "google_ads", GOOGLE)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await credentials.keep(app_database, KEYS, Asker(UUID(int=0), ()), "google_ads", GOOGLE)


@pytest.mark.parametrize("column", ["access_token", "refresh_token", "key_id", "*"])
async def test_the_application_may_not_read_or_write_the_ciphertext_itself(
    app_database: Database, make: Make, column: str
) -> None:
    who = await make()
    await credentials.keep(app_database, KEYS, who, "google_ads", GOOGLE)
    async with app_database.as_person(who, write=True) as (connection, _):
        assert await connection.fetchval("SELECT count(id) FROM user_credentials") == 1
        for statement in (
            f"SELECT {column} FROM user_credentials",
            "UPDATE user_credentials SET expires_at = now()",
            "DELETE FROM user_credentials",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(statement)


async def test_another_s_row_cannot_be_filled_by_its_id(
    app_database: Database, owner: Any, make: Make
) -> None:
    who, other = await make(), await make()
    await credentials.keep(app_database, KEYS, who, "google_ads", GOOGLE)
    row = await owner.fetchval("SELECT id FROM user_credentials WHERE user_id = $1", who.user_id)
    async with app_database.as_person(other, write=True) as (connection, _):
        put = "SELECT put_credential($1, 'x', 'x', 'x', NULL, NULL)"
        assert await connection.fetchval(put, row) is False
    assert await credentials.read(app_database, KEYS, who, "google_ads") == GOOGLE


async def test_a_token_without_the_name_of_its_key_cannot_be_stored(owner: Any, make: Make) -> None:
    who = await make()
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute(
            "INSERT INTO user_credentials (id, user_id, provider, access_token) VALUES ($1, $2, 'x', 'plain')",
            uuid4(), who.user_id,
        )  # fmt: skip
