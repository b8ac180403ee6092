"""Keys for programs: what one looks like, whose it is, what it lets in, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from opsmantik.db.connect import Asker, Database
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.people import keys
from opsmantik.people.capabilities import SCOPES, Capability, roles_with
from opsmantik.people.key_tokens import FORM, Key, checksum, new_key, read_key
from opsmantik.people.key_tries import FREE, SECONDS_EACH, KeyTries

READ, DECIDE = Capability.READ, Capability.DECIDE
NOW = datetime(2026, 11, 22, tzinfo=UTC)


# What a key looks like. Pure.


def test_a_key_tells_what_it_is_and_is_never_the_same() -> None:
    made = [new_key(kind) for kind in ("person", "site") for _ in range(50)]
    assert len({key.token for key in made}) == 100
    for key in made:
        assert key.token.startswith(f"om_{key.kind}_")
        assert FORM.fullmatch(key.token) and len(key.token) >= len("om_site_") + 43 + 6
        assert read_key(key.token) == key
        assert key.last_four == key.token[-4:]


def test_a_scanner_finds_a_key_in_other_text_and_can_tell_it_from_a_lookalike() -> None:
    token = new_key("site").token
    found = [m[0] for m in FORM.finditer(f"curl -H 'Authorization: Bearer {token}' # om_site_{'x' * 49}")]
    assert found == [token, f"om_site_{'x' * 49}"]
    assert [read_key(text) is not None for text in found] == [True, False]


def _typos() -> dict[str, str]:
    token = new_key("person").token
    return {
        "nothing": "",
        "a sign-in": "x" * 43,
        "one character less": token[:-1],
        "one character more": token + "a",
        "a space behind it": token + " ",
        "another kind": token.replace("om_person_", "om_site_"),
        "no kind that there is": token.replace("om_person_", "om_admin_"),
        "other case": token.swapcase(),
        "half a character": token[:20] + "\ud800" + token[21:],
        "a letter of another script": token[:20] + "а" + token[21:],
    }


@pytest.mark.parametrize("text", _typos().values(), ids=_typos().keys())
def test_what_we_cannot_have_made_is_none(text: str) -> None:
    assert read_key(text) is None


def test_every_single_typo_in_a_key_is_noticed() -> None:
    token = new_key("person").token
    for place in range(len("om_person_"), len(token)):
        other = "A" if token[place] != "A" else "B"
        assert read_key(token[:place] + other + token[place + 1 :]) is None, place


def test_the_checksum_is_the_crc_in_base_62() -> None:
    assert checksum("") == "000000"
    value = 0
    for digit in checksum("123456789"):
        value = value * 62 + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".index(digit)
    assert value == 0xCBF43926  # CRC-32 of "123456789", as its specification gives it


WRONG = {
    "no name": {"name": " \x00 "},
    "too long a name": {"name": "x" * 101},
    "no scope": {"scopes": ()},
    "a scope that no key may have": {"scopes": ("site:read", "keys:manage")},
    "a scope that there is not": {"scopes": ("everything",)},
    "yesterday": {"expires_at": NOW - timedelta(days=1)},
    "in a hundred years": {"expires_at": NOW + timedelta(days=36500)},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_what_no_key_can_be_made_of_is_refused(change: dict[str, Any]) -> None:
    right: dict[str, Any] = {"name": "Report", "scopes": ("site:read",), "expires_at": None, "now": NOW}
    assert keys.check_new_key(**right).name == "Report"
    with pytest.raises(Unprocessable):
        keys.check_new_key(**{**right, **change})


async def test_the_database_grants_no_scope_that_the_table_of_capabilities_does_not(owner: Any) -> None:
    for table in ("person_keys", "site_keys"):
        text = await owner.fetchval(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", f"{table}_scopes"
        )
        assert set(re.findall(r"'([a-z]+:[a-z]+)'", text)) == set(SCOPES)


# The brake.


def test_a_network_is_slowed_after_thirty_refusals_and_forgiven_with_time() -> None:
    now = [1000.0]
    tries = KeyTries(lambda: now[0])
    for _ in range(FREE):
        assert tries.wait("192.0.2.7", b"bad") == 0
        tries.refused("192.0.2.7", b"bad")
    wait = tries.wait("192.0.2.7", b"other")
    assert 0 < wait <= SECONDS_EACH
    assert tries.wait("192.0.2.8", b"bad") == 0
    now[0] += wait
    assert tries.wait("192.0.2.7", b"bad") == 0
    now[0] += FREE * SECONDS_EACH
    tries.refused("192.0.2.7", b"bad")
    assert tries.wait("192.0.2.7", b"bad") == 0


def test_a_key_that_was_good_lately_is_not_shut_out_by_its_neighbour() -> None:
    tries = KeyTries(lambda: 1000.0)
    tries.accepted(b"good")
    for _ in range(FREE + 5):
        tries.refused("2001:db8::1", b"bad")
    assert tries.wait("2001:db8::2", b"bad") > 0  # one home, one network
    assert tries.wait("2001:db8::1", b"good") == 0
    tries.refused("2001:db8::1", b"good")  # revoked
    assert tries.wait("2001:db8::1", b"good") > 0


# In the database.


@pytest.fixture
def make_member(owner: Any) -> Callable[..., Awaitable[UUID]]:
    """Somebody with a role on a site."""

    async def make(site_id: UUID, role: str) -> UUID:
        user_id = uuid4()
        await owner.execute(
            "INSERT INTO users (id, email, name) VALUES ($1, $2, 'Ayşe')",
            user_id,
            f"{user_id.hex}@example.com",
        )
        await owner.execute("INSERT INTO profiles (id) VALUES ($1)", user_id)
        await owner.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, $3)", site_id, user_id, role
        )
        return user_id

    return make


def person(user_id: UUID, capability: Capability = Capability.ACCOUNT) -> Asker:
    return Asker(user_id, roles_with(capability), address="192.0.2.1")


def wanted(*scopes: Capability, **more: Any) -> keys.NewKey:
    return keys.check_new_key(
        more.pop("name", "Report"), scopes or (READ,), more.pop("expires_at", None), datetime.now(UTC), **more
    )


async def site_key(database: Database, site: Any, *scopes: Capability, **more: Any) -> Key:
    async with database.as_person(person(site.user_id, Capability.KEYS), write=True) as (connection, _):
        return await keys.make_site_key(connection, site.id, wanted(*scopes, **more))


async def asker_of(database: Database, key: Key, capability: Capability = READ) -> Asker:
    found = await keys.key_holder(database, key)
    assert found is not None and found.key is not None
    holder = None if found.key.of_site else found.user_id
    return Asker(holder, roles_with(capability), only=found.key.only, key=found.key.id)


async def sees(database: Database, asker: Asker) -> set[UUID]:
    async with database.as_person(asker) as (connection, who):
        rows = await connection.fetch("SELECT id FROM sites")
        assert {UUID(int=row["id"].int) for row in rows} == set(who.sites)
        assert not who.is_admin
        return set(who.sites)


async def test_the_database_keeps_a_hash_and_the_end_of_a_key_and_no_more(
    app_database: Database, owner: Any, make_site: Any
) -> None:
    site = await make_site()
    own = await keys.make_person_key(app_database, person(site.user_id), wanted())
    of_site = await site_key(app_database, site)
    for table, key in (("person_keys", own), ("site_keys", of_site)):
        row = await owner.fetchrow(
            f"SELECT * FROM {table} WHERE key_hash = $1", hashlib.sha256(key.token.encode()).digest()
        )
        assert row["last_four"] == key.token[-4:]
        assert key.token not in str(dict(row))
    text = await owner.fetchval("SELECT string_agg(a::text, '') FROM (TABLE site_acts) a")
    text += await owner.fetchval("SELECT string_agg(a::text, '') FROM (TABLE platform_acts) a")
    assert own.token not in text and of_site.token not in text
    assert f"Report …{own.last_four}" in text and f"Report …{of_site.last_four}" in text


async def test_a_person_s_key_sees_what_the_person_sees_and_no_more(
    app_database: Database, owner: Any, make_site: Any, make_member: Any
) -> None:
    own, other, foreign = await make_site(), await make_site(), await make_site()
    user_id = await make_member(own.id, "admin")
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'analyst')", other.id, user_id
    )
    key = await keys.make_person_key(app_database, person(user_id), wanted(READ, DECIDE))
    assert await sees(app_database, await asker_of(app_database, key, READ)) == {own.id, other.id}
    assert await sees(app_database, await asker_of(app_database, key, DECIDE)) == {own.id}
    assert foreign.id not in await sees(app_database, await asker_of(app_database, key))


async def test_a_person_s_key_for_one_site_sees_that_one(
    app_database: Database, make_site: Any, make_member: Any, owner: Any
) -> None:
    one, other, foreign = await make_site(), await make_site(), await make_site()
    user_id = await make_member(one.id, "admin")
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'admin')", other.id, user_id
    )
    key = await keys.make_person_key(app_database, person(user_id), wanted(only_site=one.id))
    assert await sees(app_database, await asker_of(app_database, key)) == {one.id}
    # However it is asked: the site that the key is good for is the database's to say.
    asker = await asker_of(app_database, key)
    assert await sees(app_database, Asker(user_id, asker.roles, only=other.id, key=asker.key)) == {one.id}
    with pytest.raises(NotFound):
        await keys.make_person_key(app_database, person(user_id), wanted(only_site=foreign.id))
    async with app_database.as_person(person(user_id), write=True) as (connection, _):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "SELECT make_person_key($1, $2, $3, 'abcd', 'x', '{site:read}', $4, NULL)",
                uuid4(), uuid4(), bytes(32), foreign.id,
            )  # fmt: skip


ENDS = {
    "the account is switched off": "UPDATE users SET disabled_at = now() WHERE id = $1",
    "they leave the site": "DELETE FROM site_members WHERE user_id = $1",
    "the key expires": "UPDATE person_keys SET expires_at = now() WHERE user_id = $1",
    "the key is revoked": "UPDATE person_keys SET revoked_at = now() WHERE user_id = $1",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_a_person_s_key_ends_when(
    app_database: Database, owner: Any, make_site: Any, make_member: Any, end: str
) -> None:
    site = await make_site()
    user_id = await make_member(site.id, "admin")
    key = await keys.make_person_key(app_database, person(user_id), wanted())
    asker = await asker_of(app_database, key)
    assert await sees(app_database, asker) == {site.id}
    await owner.execute(end, user_id)
    # Also for whoever was let in a moment before, and asks on.
    assert await sees(app_database, asker) == set()
    if "site_members" not in end:
        assert await keys.key_holder(app_database, key) is None


async def test_a_site_s_key_lives_on_when_its_maker_leaves_and_ends_when_it_is_revoked(
    app_database: Database, owner: Any, make_site: Any, make_member: Any
) -> None:
    site = await make_site()
    admin = await make_member(site.id, "admin")
    async with app_database.as_person(person(admin, Capability.KEYS), write=True) as (connection, _):
        key = await keys.make_site_key(connection, site.id, wanted())
    await owner.execute("DELETE FROM users WHERE id = $1", admin)
    asker = await asker_of(app_database, key)
    assert await sees(app_database, asker) == {site.id}
    async with app_database.as_person(person(site.user_id, Capability.KEYS), write=True) as (connection, _):
        [row] = await keys.list_site_keys(connection, site.id)
        assert row.made_by is None
        await keys.revoke(connection, "site", row.id, site.id)
        with pytest.raises(NotFound):
            await keys.revoke(connection, "site", row.id, site.id)
    assert await keys.key_holder(app_database, key) is None
    assert await sees(app_database, asker) == set()


ROLES = {
    (READ,): "analyst",
    (READ, DECIDE): "operator",
    (Capability.EXPORT,): "admin",
    (READ, Capability.TEND): "admin",
    (Capability.WRITE,): "admin",
    (Capability.ERASE,): "admin",
}


@pytest.mark.parametrize(("scopes", "role"), ROLES.items(), ids=["+".join(scopes) for scopes in ROLES])
async def test_a_site_s_key_has_the_role_that_its_scopes_need_on_its_site_and_none_elsewhere(
    app_database: Database, make_site: Any, scopes: tuple[Capability, ...], role: str
) -> None:
    site, other = await make_site(), await make_site()
    key = await site_key(app_database, site, *scopes)
    async with app_database.as_person(await asker_of(app_database, key, scopes[-1])) as (connection, who):
        assert who.sites == who.known == (site.id,)
        assert who.user_id is None
        assert await connection.fetchval("SELECT site_role($1)", site.id) == role
        assert await connection.fetchval("SELECT site_role($1)", other.id) is None
    async with app_database.as_person(await asker_of(app_database, key, Capability.OWN)) as (_, who):
        assert who.sites == () and who.known == (site.id,)


async def test_a_key_of_one_site_cannot_be_entered_as_one_of_another(
    app_database: Database, make_site: Any
) -> None:
    site, other = await make_site(), await make_site()
    asker = await asker_of(app_database, await site_key(app_database, site))
    assert await sees(app_database, Asker(None, asker.roles, only=other.id, key=asker.key)) == set()
    assert await sees(app_database, Asker(None, asker.roles, only=site.id, key=uuid4())) == set()


async def test_no_key_makes_or_ends_keys(app_database: Database, make_site: Any) -> None:
    site = await make_site()
    everything = tuple(SCOPES)
    own = await keys.make_person_key(app_database, person(site.user_id), wanted(*everything))
    of_site = await site_key(app_database, site, *everything)
    own_id, site_key_id = uuid4(), uuid4()
    for key in (own, of_site):
        asker = await asker_of(app_database, key, Capability.KEYS)
        acts: list[Callable[[Any], Awaitable[Any]]] = [
            lambda c: keys.make_site_key(c, site.id, wanted()),
            lambda c: keys.rotate(c, "site", site_key_id, site_id=site.id),
            lambda c: keys.revoke(c, "site", site_key_id, site.id),
            lambda c: keys.rotate(c, "person", own_id),
            lambda c: keys.revoke(c, "person", own_id),
            lambda c: c.execute("SELECT make_call_secret($1, $2, $2, '\\x00', 'k')", site.id, own_id),
            lambda c: c.execute("SELECT remove_call_secret($1, $2, $2)", site.id, own_id),
            lambda c: c.execute("SELECT allow_unsigned_calls($1, false, $2)", site.id, own_id),
        ]
        for act in acts:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with app_database.as_person(asker, write=True) as (connection, _):
                    await act(connection)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await keys.make_person_key(app_database, asker, wanted())


@pytest.mark.parametrize("role", ["operator", "analyst", None])
async def test_a_site_s_keys_are_for_those_who_manage_them(
    app_database: Database, make_site: Any, make_member: Any, role: str | None
) -> None:
    site = await make_site()
    user_id = await make_member((site if role else await make_site()).id, role or "owner")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        # The first wall, of roles, is left out: the functions have one of their own.
        async with app_database.as_person(user_id, write=True) as (connection, _):
            await keys.make_site_key(connection, site.id, wanted())


async def test_rotation_makes_a_successor_and_leaves_both_good_for_a_while(
    app_database: Database, owner: Any, make_site: Any
) -> None:
    site = await make_site()
    life = timedelta(days=30)
    old = await site_key(app_database, site, READ, DECIDE, expires_at=datetime.now(UTC) + life)
    async with app_database.as_person(person(site.user_id, Capability.KEYS), write=True) as (connection, _):
        [before] = await keys.list_site_keys(connection, site.id)
        new = await keys.rotate(connection, "site", before.id, timedelta(hours=24), site.id)
    async with app_database.as_person(person(site.user_id, Capability.KEYS)) as (connection, _):
        rows = {row.last_four: row for row in await keys.list_site_keys(connection, site.id)}
    first, second = rows[old.last_four], rows[new.last_four]
    now = datetime.now(UTC)
    assert (second.name, second.scopes) == (first.name, first.scopes)
    assert first.replaced_by == second.id and first.is_live and second.is_live
    assert abs(first.expires_at - now - timedelta(hours=24)) < timedelta(minutes=1)
    assert abs(second.expires_at - now - life) < timedelta(minutes=1)
    assert await keys.key_holder(app_database, old) and await keys.key_holder(app_database, new)
    await owner.execute(
        "UPDATE site_keys SET expires_at = now() WHERE site_id = $1 AND id = $2", site.id, first.id
    )
    assert await keys.key_holder(app_database, old) is None and await keys.key_holder(app_database, new)


async def test_a_key_has_one_successor_also_when_two_replace_it_at_once(
    app_database: Database, make_site: Any
) -> None:
    site = await make_site()
    who = person(site.user_id)
    await keys.make_person_key(app_database, who, wanted())
    async with app_database.as_person(who) as (connection, _):
        [row] = await keys.list_person_keys(connection, site.user_id)

    async def replace() -> Key:
        async with app_database.as_person(who, write=True) as (connection, _):
            return await keys.rotate(connection, "person", row.id, timedelta(0))

    ended = await asyncio.gather(*(replace() for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in ended) == ["Key", "NotFound", "NotFound", "NotFound"]
    async with app_database.as_person(who) as (connection, _):
        rows = await keys.list_person_keys(connection, site.user_id)
    assert [one.is_live for one in rows] == [True, False]  # grace 0: the old one ended at once


async def test_one_s_own_keys_are_nobody_else_s_to_see_or_end(app_database: Database, make_site: Any) -> None:
    mine, theirs = await make_site(), await make_site()
    await keys.make_person_key(app_database, person(mine.user_id), wanted())
    async with app_database.as_person(person(mine.user_id)) as (connection, _):
        [row] = await keys.list_person_keys(connection, mine.user_id)
    for act in (keys.revoke, keys.rotate):
        with pytest.raises(NotFound):
            async with app_database.as_person(person(theirs.user_id), write=True) as (connection, _):
                assert await keys.list_person_keys(connection, mine.user_id) == []
                await act(connection, "person", row.id)


async def test_fifty_live_keys_are_enough(app_database: Database, owner: Any, make_site: Any) -> None:
    site = await make_site()
    who = person(site.user_id)
    await keys.make_person_key(app_database, who, wanted())
    await owner.execute(
        "INSERT INTO person_keys (id, user_id, key_hash, last_four, name, scopes) SELECT gen_random_uuid(), $1,"
        " sha256(gen_random_uuid()::text::bytea), 'abcd', 'x', '{site:read}' FROM generate_series(1, 49)",
        site.user_id,
    )
    with pytest.raises(Unprocessable, match="fifty"):
        await keys.make_person_key(app_database, who, wanted())
    await owner.execute(
        "UPDATE person_keys SET revoked_at = now() WHERE user_id = $1 AND name = 'x'", site.user_id
    )
    await keys.make_person_key(app_database, who, wanted())


async def test_use_is_noted_every_five_minutes_and_not_each_time(
    app_database: Database, owner: Any, make_site: Any
) -> None:
    site = await make_site()
    for table, key in (
        ("person_keys", await keys.make_person_key(app_database, person(site.user_id), wanted())),
        ("site_keys", await site_key(app_database, site)),
    ):
        kept = hashlib.sha256(key.token.encode()).digest()
        seen = f"SELECT last_used_at, xmin::text AS version FROM {table} WHERE key_hash = $1"
        assert (await owner.fetchrow(seen, kept))["last_used_at"] is None
        assert await keys.key_holder(app_database, key)
        first = await owner.fetchrow(seen, kept)
        assert first["last_used_at"] is not None
        assert await keys.key_holder(app_database, key)
        assert await owner.fetchrow(seen, kept) == first
        await owner.execute(
            f"UPDATE {table} SET last_used_at = now() - interval '5 minutes 1 second' WHERE key_hash = $1",
            kept,
        )
        assert await keys.key_holder(app_database, key)
        assert (await owner.fetchrow(seen, kept))["last_used_at"] > first["last_used_at"]


async def test_the_application_can_read_no_hash_and_no_secret(app_database: Database) -> None:
    for column, table in (
        ("key_hash", "person_keys"), ("key_hash", "site_keys"), ("secret", "call_secrets"),
        ("signature", "call_signatures"), ("answer", "call_signatures"),
    ):  # fmt: skip
        async with app_database.connection() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT {column} FROM {table}")
