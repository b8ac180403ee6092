"""The tokens of invites, and the second wall: what the functions in the database refuse whoever calls them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.people.capabilities import GRANTABLE
from opsmantik.people.invites import InviteLinks
from opsmantik.people.store import token_hash
from opsmantik.settings import Settings

ID = UUID("01920000-0000-7000-8000-000000000001")


def links(secret: str = "k" * 40) -> InviteLinks:
    return InviteLinks(Settings(secret_key=secret))


def test_a_token_is_the_same_each_time_and_fits_into_a_path() -> None:
    assert links().token(ID, 1) == links().token(ID, 1)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", links().token(ID, 1))


def test_a_token_is_another_one_for_another_turn_invite_or_installation() -> None:
    tokens = {
        links().token(ID, 1), links().token(ID, 2), links().token(ID, 12), links().token(uuid4(), 1),
        links("another secret of this length, forty").token(ID, 1),
    }  # fmt: skip
    assert len(tokens) == 5


# As the application's role, in the name of somebody, with the site named as theirs whoever they are.


@pytest_asyncio.fixture(loop_scope="session")
async def app(database: Any) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.app)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(loop_scope="session")
async def site(owner: Any, make_site: Any) -> Any:
    return await make_site()


async def member(owner: Any, site: Any, role: str) -> UUID:
    user_id = uuid4()
    await owner.execute(
        "INSERT INTO users (id, email) VALUES ($1, $2)", user_id, f"{user_id.hex}@example.com"
    )
    await owner.execute("INSERT INTO profiles (id) VALUES ($1)", user_id)
    if role != "stranger":
        await owner.execute("INSERT INTO site_members VALUES ($1, $2, $3)", site.id, user_id, role)
    return user_id


async def enter(app: Any, site: Any, person: UUID | None, **settings: str) -> None:
    for name, value in {"person": str(person or ""), "sites": f"{{{site.id}}}", **settings}.items():
        await app.execute(f"SET LOCAL app.{name} = '{value}'")


INVITE = "SELECT outcome FROM invite_member($1, gen_random_uuid(), $2, $3, $4, $5)"
CALLS = {
    "invite": (INVITE, lambda site: (site.id, uuid4(), "x@example.com", "analyst", bytes(32))),
    "resend": (
        "SELECT resend_invite($1, gen_random_uuid(), $2, 2, $3)",
        lambda site: (site.id, uuid4(), bytes(32)),
    ),
    "revoke": ("SELECT revoke_invite($1, gen_random_uuid(), $2)", lambda site: (site.id, uuid4())),
    "note sent": ("SELECT note_invite_sent($1, $2, 1)", lambda site: (site.id, uuid4())),
    "change a role": (
        "SELECT set_member_role($1, gen_random_uuid(), $2, 'admin')",
        lambda site: (site.id, uuid4()),
    ),
    "remove": ("SELECT remove_member($1, gen_random_uuid(), $2)", lambda site: (site.id, uuid4())),
    "offer the site": ("SELECT offer_ownership($1, gen_random_uuid(), $2)", lambda site: (site.id, uuid4())),
    "withdraw the offer": ("SELECT withdraw_ownership($1, gen_random_uuid())", lambda site: (site.id,)),
    "switch it off": ("SELECT switch_site($1, gen_random_uuid(), false)", lambda site: (site.id,)),
}


@pytest.mark.parametrize(("call", "values"), CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("role", ["operator", "analyst", "stranger", "nobody"])
async def test_the_database_refuses_whoever_lacks_the_role(
    owner: Any, app: Any, site: Any, role: str, call: str, values: Any
) -> None:
    person = None if role == "nobody" else await member(owner, site, role)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app.transaction():
            await enter(app, site, person)
            await app.fetch(call, *values(site))


@pytest.mark.parametrize(("call", "values"), CALLS.values(), ids=CALLS.keys())
async def test_a_key_manages_no_people_and_no_site_whosever_it_is(
    app: Any, site: Any, call: str, values: Any
) -> None:
    """A lost key must not be able to outlive itself: not the owner's own either."""
    for person in (site.user_id, None):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with app.transaction():
                await enter(app, site, person, key_name="script …abcd")
                await app.fetch(call, *values(site))


@pytest.mark.parametrize("role", ["owner", "platform_admin", "user", "", None])
async def test_the_database_gives_no_role_but_three(
    owner: Any, app: Any, site: Any, role: str | None
) -> None:
    person = await member(owner, site, "analyst")
    calls = [
        (INVITE, (site.id, uuid4(), "x@example.com", role, bytes(32))),
        ("SELECT set_member_role($1, gen_random_uuid(), $2, $3)", (site.id, person, role)),
    ]
    for call, values in calls:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with app.transaction():
                await enter(app, site, site.user_id)
                await app.fetch(call, *values)
    assert set(GRANTABLE) == {"admin", "operator", "analyst"}


async def test_the_application_cannot_read_what_a_token_is_compared_with(app: Any) -> None:
    for statement in ("SELECT token_hash FROM invites", "SELECT * FROM invites"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch(statement)
    assert await app.fetch("SELECT id, email FROM invites") == []


async def test_the_people_and_invites_of_a_site_are_shown_to_those_who_manage_them(
    owner: Any, app: Any, site: Any
) -> None:
    async with app.transaction():
        await enter(app, site, site.user_id)
        await app.fetch(INVITE, site.id, uuid4(), "x@example.com", "analyst", token_hash("x"))
    people = {role: await member(owner, site, role) for role in ("admin", "operator", "stranger")}
    for role, person in {"owner": site.user_id, "nobody": None, **people}.items():
        async with app.transaction():
            await enter(app, site, person)
            shown = [
                len(await app.fetch(f"SELECT * FROM {function}($1)", site.id))
                for function in ("site_people", "site_invites")
            ]
        assert shown == ([3, 1] if role in ("owner", "admin") else [0, 0]), role
