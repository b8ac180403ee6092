"""A new key takes over: every sealed column is known, every row is sealed anew, and a cut in between loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

import opsmantik
from opsmantik.db.connect import Asker, Database
from opsmantik.keyring import Keyring, key_of
from opsmantik.people import credentials
from opsmantik.people.credentials import Tokens
from opsmantik.upkeep import sealing
from opsmantik.upkeep.sealing import SEALED, SealedTable

pytestmark = pytest.mark.slow

OLD, NEW, NEWER = (key_of(bytes([n]) * 32) for n in (1, 2, 3))
TOKENS = Tokens("access", "refresh")


@pytest.fixture(autouse=True)
async def clean(owner: Any) -> Any:
    yield
    await owner.execute("DELETE FROM user_credentials")


async def people(owner: Any, app_database: Database, n: int, key: Any = OLD) -> list[Asker]:
    ids = [uuid4() for _ in range(n)]
    await owner.executemany(
        "INSERT INTO users (id, email) VALUES ($1, $2)", [(i, f"{i.hex}@e.test") for i in ids]
    )
    for user_id in ids:
        await credentials.keep(app_database, Keyring([key]), Asker(user_id, ()), "google_ads", TOKENS)
    return [Asker(user_id, ()) for user_id in ids]


# Bytes beside sealed ones that are no secret.
NOT_SEALED = {"erasures.certificate"}


async def test_every_sealed_column_of_the_database_is_in_the_list(owner: Any) -> None:
    """By the database: a text key_id stands beside what is sealed. Whoever adds one names it in SEALED."""
    rows = await owner.fetch(
        "SELECT c.relname::text AS table, array_agg(b.attname::text) AS columns FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " JOIN pg_attribute b ON b.attrelid = c.oid AND b.atttypid = 'bytea'::regtype AND b.attnum > 0"
        " AND NOT b.attisdropped"
        " WHERE a.attname = 'key_id' AND a.atttypid = 'text'::regtype AND NOT a.attisdropped"
        " AND c.relnamespace = 'public'::regnamespace GROUP BY c.relname"
    )
    listed = {place.table: set(place.columns) for place in SEALED}
    assert {row["table"] for row in rows} == listed.keys()
    for row in rows:
        assert listed[row["table"]] <= set(row["columns"])
        unsealed = {f"{row['table']}.{column}" for column in set(row["columns"]) - listed[row["table"]]}
        assert {name for name in unsealed if "hash" not in name} <= NOT_SEALED


@pytest.mark.parametrize("place", SEALED, ids=lambda place: place.table)
async def test_its_keys_are_the_database_s_and_all_uuids(owner: Any, place: SealedTable) -> None:
    rows = await owner.fetch(
        "SELECT a.attname::text AS name, a.atttypid::regtype::text AS type FROM pg_index i"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
        " WHERE i.indrelid = $1::regclass AND i.indisprimary",
        place.table,
    )
    assert {(row["name"], row["type"]) for row in rows} == {(column, "uuid") for column in place.key}
    assert place.row in place.key
    policies = await owner.fetch(
        "SELECT polcmd::text AS command FROM pg_policy WHERE polrelid = $1::regclass AND polcmd IN ('*', 'w')"
        " AND polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = current_user)]",
        place.table,
    )
    assert policies, "the owner may change its rows"


SOURCES = "\n".join(path.read_text() for path in Path(opsmantik.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("name", [f"{place.table}.{column}" for place in SEALED for column in place.columns])
def test_whoever_seals_names_the_column_as_the_list_does(name: str) -> None:
    """Else it opens for them, and not for the one who comes with a new key."""
    assert f'"{name}"' in SOURCES


async def test_rows_are_sealed_with_the_new_key_and_read_the_same(
    owner: Any, app_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "BATCH", 3)
    found = await people(owner, app_database, 10)
    ring = Keyring([NEW, OLD])
    done = await sealing.reseal(owner, ring)
    assert (done.rows, done.broken) == (10, ())
    assert await sealing.usage(owner) == {NEW.id: {"user_credentials": 10}}
    for who in found:
        assert await credentials.read(app_database, Keyring([NEW]), who, "google_ads") == TOKENS
    assert (await sealing.reseal(owner, ring)).rows == 0, "what is done is not done again"


async def test_what_was_cut_off_goes_on_where_it_was(
    owner: Any, app_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any row: each is sealed with one key or the other, whole, and both keys are still there."""
    monkeypatch.setattr(sealing, "BATCH", 2)
    found = await people(owner, app_database, 6)
    original, seen = sealing._reseal_row, []

    async def cut(*arguments: Any) -> None:
        if len(seen) == 3:
            raise ConnectionError("killed")
        seen.append(1)
        await original(*arguments)

    monkeypatch.setattr(sealing, "_reseal_row", cut)
    with pytest.raises(ConnectionError):
        await sealing.reseal(owner, Keyring([NEW, OLD]))
    assert await sealing.usage(owner) == {NEW.id: {"user_credentials": 2}, OLD.id: {"user_credentials": 4}}
    for who in found:
        assert await credentials.read(app_database, Keyring([NEW, OLD]), who, "google_ads") == TOKENS
    monkeypatch.setattr(sealing, "_reseal_row", original)
    ring = Keyring([NEWER, NEW, OLD])  # the next run makes a key of its own
    assert (await sealing.reseal(owner, ring)).rows == 6
    assert await sealing.usage(owner) == {NEWER.id: {"user_credentials": 6}}


async def test_what_cannot_be_opened_is_named_and_left_and_the_others_go_on(
    owner: Any, app_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "BATCH", 2)
    found = await people(owner, app_database, 5)
    await owner.execute(
        "UPDATE user_credentials SET access_token = refresh_token WHERE user_id = $1", found[0].user_id
    )
    await people(owner, app_database, 1, NEWER)
    done = await sealing.reseal(owner, Keyring([NEW, OLD]))
    assert done.rows == 4 and len(done.broken) == 2
    assert all(words.startswith("user_credentials ") for words in done.broken)
    assert set(await sealing.usage(owner)) == {NEW.id, OLD.id, NEWER.id}


async def test_a_row_that_is_written_meanwhile_keeps_what_was_written(
    owner: Any, app_database: Database, database: Any
) -> None:
    (who,) = await people(owner, app_database, 1)
    ring = Keyring([NEW, OLD])
    other = await asyncpg.connect(database.owner)
    try:
        async with app_database.as_person(who, write=True) as (connection, _):
            await credentials._put(
                connection, Keyring([OLD]), "google_ads", Tokens("later", "later"), is_act=False
            )
            resealing = asyncio.create_task(sealing.reseal(other, ring))
            await asyncio.sleep(0.1)
            assert not resealing.done(), "it waits for the row"
        await resealing
    finally:
        await other.close()
    assert await credentials.read(app_database, Keyring([NEW]), who, "google_ads") == Tokens("later", "later")


async def test_keys_are_not_forgotten_under_a_transaction_that_is_still_open(
    owner: Any, app_database: Database
) -> None:
    (who,) = await people(owner, app_database, 1)
    async with app_database.as_person(who, write=True) as (connection, _):
        await credentials._put(connection, Keyring([OLD]), "google_ads", TOKENS, is_act=False)
        assert not await sealing.settle(owner, 0, longest=0)
        waiting = asyncio.create_task(sealing.settle(owner, 0, longest=20))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert await waiting


@pytest.fixture
def two_part_table(owner: Any) -> Iterator[SealedTable]:
    yield SealedTable("tenant_secrets", ("secret", "next_secret"), ("site_id", "id"))


async def test_a_tenant_s_table_with_a_key_of_two_columns_works_the_same(
    owner: Any, two_part_table: SealedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "BATCH", 2)
    await owner.execute(
        "CREATE TEMP TABLE tenant_secrets (site_id uuid, id uuid, secret bytea, next_secret bytea, key_id text,"
        " PRIMARY KEY (site_id, id))"
    )
    one, row = uuid4(), uuid4()
    old = Keyring([OLD])
    for site, row_id in ((one, row), (uuid4(), row), (one, uuid4()), (uuid4(), uuid4()), (uuid4(), uuid4())):
        sealed = old.seal(b"s", "tenant_secrets.secret", row_id)
        await owner.execute(
            "INSERT INTO tenant_secrets VALUES ($1, $2, $3, NULL, $4)",
            site,
            row_id,
            sealed.data,
            sealed.key_id,
        )
    done = await sealing.reseal(owner, Keyring([NEW, OLD]), (two_part_table,))
    assert (done.rows, done.broken) == (5, ())
    for found in await owner.fetch("SELECT * FROM tenant_secrets"):
        sealed = sealing.Sealed(found["key_id"], found["secret"])
        assert Keyring([NEW]).open(sealed, "tenant_secrets.secret", found["id"]) == b"s"
        assert found["next_secret"] is None
