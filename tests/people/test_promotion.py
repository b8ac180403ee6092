"""Nobody raises their own role: by no grant, and by no function that the application's role may call.

A role is in three places: ``site_members.role``, ``sites.user_id`` and ``profiles.role``. The catalogue says who may write
them; and then every function is called, by everybody, with whatever might help.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db.connect import prepare_connection

GUARDED = ("site_members", "sites", "profiles", "users")
# All that writes a role, and why it may. What only the command line calls is said so.
WRITERS = {
    "create_site": "whoever adds a site owns that new one",
    "create_first_admin": "an empty installation, with the link from its terminal",
    "set_member_role": "somebody else's role, by those who manage members",
    "remove_member": "takes somebody else's role away",
    "leave_site": "takes the asker's own role away",
    "take_invite": "the role of an open invite, for the one whom it was written to",
    "join_by_invite": "an ordinary account, for the holder of an open invite",
    "answer_ownership": "a site that its owner offered to the asker",
    "add_user": "the command line",
}
BY_COMMAND_LINE = {"add_user"}
WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+(?:ONLY\s+)?(?:public\.)?(site_members|profiles)\b"
    r"|\bINSERT\s+INTO\s+(?:public\.)?sites\b|\bUPDATE\s+(?:public\.)?sites\b(?:(?!;).)*?\buser_id\s*=(?!=)",
    re.IGNORECASE | re.DOTALL,
)


async def test_the_application_writes_no_column_that_holds_a_role(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT c.relname || '.' || a.attname AS name"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1) AND NOT a.attisdropped"
        " AND (has_column_privilege('opsmantik_app', c.oid, a.attnum, 'UPDATE')"
        " OR has_column_privilege('opsmantik_app', c.oid, a.attnum, 'INSERT')"
        " OR has_table_privilege('opsmantik_app', c.oid, 'DELETE, TRUNCATE'))",
        list(GUARDED),
    )
    assert {row["name"] for row in rows} <= {"profiles.language", "profiles.theme"}


async def test_the_functions_that_write_a_role_are_known(owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT proname::text AS name, prosrc AS source, has_function_privilege('opsmantik_app', oid, 'EXECUTE') AS app"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    )
    found = {row["name"] for row in rows if WRITES.search(re.sub(r"--[^\n]*", "", row["source"]))}
    assert found == set(WRITERS)
    assert not [row["name"] for row in rows if row["name"] in BY_COMMAND_LINE and row["app"]]
    dynamic = {row["name"] for row in rows if re.search(r"\bEXECUTE\s+(?!format\('SET LOCAL)", row["source"])}
    hidden = {row["name"] for row in rows if row["app"]} & dynamic
    # The first runs as its caller. The others are STABLE: PostgreSQL lets nothing that they execute write.
    assert hidden == {"recount", "search_leads", "count_leads"}, "nobody can tell what another one writes"


def test_the_lint_finds_what_it_is_for() -> None:
    for source in (
        "UPDATE site_members m SET role = 'owner'",
        "insert into profiles (id, role) values (1, 'admin')",
        "UPDATE sites s\n SET name = 'x', user_id = p_user WHERE s.id = 1;",
        "DELETE FROM site_members",
    ):
        assert WRITES.search(source), source
    for source in (
        "UPDATE sites SET name = 'x' WHERE id = 1; SELECT 1 WHERE user_id = 2",
        "SELECT FROM site_members FOR UPDATE",
    ):
        assert not WRITES.search(source), source


# Everything, called by everybody.


class Site(NamedTuple):
    id: UUID
    people: dict[str, UUID]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(owner: Any, database: Any) -> Site:
    people = {
        role: uuid4() for role in ("owner", "admin", "operator", "analyst", "stranger", "platform_admin")
    }
    site_id = uuid4()
    for role, user_id in people.items():
        await owner.execute("INSERT INTO users (id, email) VALUES ($1, $2)", user_id, f"{role}@example.com")
        kind = "admin" if role == "platform_admin" else "user"
        await owner.execute("INSERT INTO profiles (id, role) VALUES ($1, $2)", user_id, kind)
    await owner.execute(
        "INSERT INTO sites (id, user_id, public_id, name, domain) VALUES ($1, $2, $3, 'Shop', 'shop.example')",
        site_id,
        people["owner"],
        uuid4().hex,
    )
    for role in ("owner", "admin", "operator", "analyst"):
        await owner.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, $3)",
            site_id,
            people[role],
            role,
        )
    return Site(site_id, people)


@pytest_asyncio.fixture(loop_scope="session")
async def session(database: Any, site: Site) -> AsyncIterator[Any]:
    """A connection that can become the application's, and look at what it did; nothing of it stays."""
    connection = await asyncpg.connect(database.admin)
    await prepare_connection(connection)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SET LOCAL statement_timeout = '10s'")
    yield connection
    await transaction.rollback()
    await connection.close()


async def state(connection: Any, site: Site) -> dict[tuple[str, str], str]:
    """Every role that there is: on the site, of the site, of the platform."""
    names = {user_id: role for role, user_id in site.people.items()}
    found = {}
    for row in await connection.fetch("SELECT user_id, role FROM site_members WHERE site_id = $1", site.id):
        found["member", names.get(row["user_id"], "somebody new")] = row["role"]
    owned = await connection.fetchval("SELECT user_id FROM sites WHERE id = $1", site.id)
    found["site", "owner"] = names.get(owned, "somebody new")
    for row in await connection.fetch("SELECT id, role FROM profiles"):
        found["platform", names.get(row["id"], "somebody new")] = row["role"]
    return found


def candidates(kind: str, name: str, site: Site, asker: UUID | None) -> list[Any]:
    """Values that could help somebody who wants more."""
    if kind == "uuid":
        if "site" in name or name == "p_only":
            return [site.id]
        return [asker, site.people["owner"], site.people["admin"], uuid4()]
    if kind == "uuid[]":
        return [[site.id], [asker] if asker else []]
    values: dict[str, list[Any]] = {
        "text": ["owner", "admin", "platform_admin"],
        "text[]": [["owner", "platform_admin", "admin"]],
        "boolean": [True, False],
        "integer": [1],
        "numeric": [1],
        "bytea": [bytes(32)],
        "jsonb": [{"role": "owner", "user_id": str(asker), "is_admin": True}],
    }
    return values.get(kind, [None])


def choices(arguments: list[tuple[str, str]], site: Site, asker: UUID | None) -> list[tuple[Any, ...]]:
    """Up to 48 calls: all, where there are no more, else as many by chance that is always the same."""
    given = [candidates(kind, name, site, asker) for name, kind in arguments]
    every = list(itertools.islice(itertools.product(*given), 4000))
    return every if len(every) <= 48 else random.Random(7).sample(every, 48)


CALLABLE = """
    SELECT p.proname::text AS name, p.proargnames AS names, p.pronargs AS n, p.proargmodes AS modes,
        ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a (t, i) ORDER BY i) AS types
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'
      AND has_function_privilege('opsmantik_app', p.oid, 'EXECUTE')
    ORDER BY 1
"""


async def attempt(
    connection: Any, site: Site, asker: UUID | None, call: str, values: tuple[Any, ...]
) -> dict[tuple[str, str], str] | None:
    """The state after a call by the application in this person's name, who claims to see the site; None: refused."""
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        await connection.execute("SET LOCAL SESSION AUTHORIZATION opsmantik_app")
        await connection.execute(f"SET LOCAL app.person = '{asker or ''}'")
        await connection.execute(f"SET LOCAL app.sites = '{{{site.id}}}'")
        await connection.fetch(call, *values)
        await connection.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT")
        return await state(connection, site)
    except (asyncpg.PostgresError, asyncpg.DataError):
        return None
    finally:
        await savepoint.rollback()


@pytest.mark.slow
@pytest.mark.parametrize("who", ["nobody", "stranger", "analyst", "operator", "admin", "owner"])
async def test_no_function_gives_the_asker_more_than_they_had(session: Any, site: Site, who: str) -> None:
    asker = site.people.get(who)
    before = await state(session, site)
    tried, went_through = 0, set()
    for row in await session.fetch(CALLABLE):
        names = list(row["names"] or [])[: row["n"]] if row["modes"] is None else [
            name for name, mode in zip(row["names"], row["modes"], strict=True) if mode in (b"i", b"b", "i", "b")
        ]  # fmt: skip
        arguments = list(zip(names, row["types"], strict=True))
        places = ", ".join(f"${n}::{kind}" for n, (_, kind) in enumerate(arguments, 1))
        for values in choices(arguments, site, asker):
            tried += 1
            after = await attempt(session, site, asker, f"SELECT * FROM {row['name']}({places})", values)
            if after is None:
                continue
            went_through.add(row["name"])
            changed = {key: value for key, value in after.items() if before.get(key) != value}
            lost = before.keys() - after.keys()
            said = f"{row['name']}{values}: {changed} {lost}"
            assert ("site", "owner") not in changed, said
            assert not [key for key in changed if key[0] == "platform" and key[1] != "somebody new"], said
            assert changed.get(("platform", "somebody new"), "user") == "user", said
            assert ("member", who) not in changed, said
            assert ("member", "owner") not in lost | changed.keys(), said
            if who not in ("admin", "owner"):
                assert not [key for key in changed if key[0] == "member"], said
                assert lost <= {("member", who)}, said
    assert tried > 500 and len(went_through) > 20, "the walk has stopped walking"


async def test_the_walk_would_notice(session: Any, site: Site) -> None:
    await session.execute(
        "CREATE FUNCTION public.hole(p_site uuid, p_user uuid, p_role text) RETURNS void LANGUAGE sql SECURITY DEFINER"
        " AS 'UPDATE public.site_members SET role = p_role WHERE site_id = p_site AND user_id = p_user'"
    )
    await session.execute("GRANT EXECUTE ON FUNCTION public.hole TO opsmantik_app")
    asker, before = site.people["analyst"], await state(session, site)
    found = [
        await attempt(session, site, asker, "SELECT hole($1::uuid, $2::uuid, $3::text)", values)
        for values in choices([("p_site", "uuid"), ("p_user", "uuid"), ("p_role", "text")], site, asker)
    ]
    assert any(after is not None and after[("member", "analyst")] == "owner" for after in found)
    assert before == await state(session, site)
