"""A site with its people, each in a browser of their own."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx

from opsmantik.people.store import new_token, token_hash
from tests.conftest import NewSite
from tests.web.browsing import TOKEN, Browser, Running

ROLES = ("owner", "admin", "operator", "analyst")


class Somebody(NamedTuple):
    """An account, and the browser that it is signed in with."""

    id: UUID
    email: str
    browser: Browser

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form as a page of ours would: with a token of this browser's."""
        found = TOKEN.search((await self.browser.get("/account")).text)
        assert found, "signed out"
        return await self.browser.http.post(path, data={"form_token": found[1], **fields})


class Team(NamedTuple):
    """A site, its people by their roles, a stranger to it, and somebody who runs the platform."""

    site: NewSite
    owner: Somebody
    admin: Somebody
    operator: Somebody
    analyst: Somebody
    stranger: Somebody
    platform_admin: Somebody

    @property
    def settings(self) -> str:
        return f"/sites/{self.site.id}/settings"

    @property
    def members(self) -> str:
        return f"{self.settings}/members"


async def somebody(
    connection: Any, web: Running, *, role: str = "user", email: str | None = None
) -> Somebody:
    """A new account, signed in without a password: the sign-in itself is tested elsewhere."""
    user_id, token = uuid4(), new_token()
    email = email or f"{user_id.hex}@example.com"
    await connection.execute("INSERT INTO users (id, email) VALUES ($1, $2)", user_id, email)
    await connection.execute("INSERT INTO profiles (id, role) VALUES ($1, $2)", user_id, role)
    browser = web.browser()
    await sign_in(connection, browser, user_id, token)
    return Somebody(user_id, email, browser)


async def sign_in(connection: Any, browser: Browser, user_id: UUID, token: str | None = None) -> None:
    """A fresh sign-in of this person in this browser."""
    token = token or new_token()
    await connection.execute(
        "INSERT INTO sign_ins (token_hash, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day')",
        token_hash(token),
        user_id,
    )
    browser.http.cookies.clear()
    browser.http.cookies.set("opsmantik", token)


async def new_team(connection: Any, web: Running, **columns: Any) -> Team:
    """A site of its own, and all its people."""
    people = {role: await somebody(connection, web) for role in (*ROLES, "stranger")}
    people["platform_admin"] = await somebody(connection, web, role="admin")
    site = NewSite(uuid4(), uuid4().hex, people["owner"].id)
    row = {
        "id": site.id, "user_id": site.user_id, "public_id": site.public_id, "name": "Vinç Kiralama",
        "domain": "shop.example", **columns,
    }  # fmt: skip
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO sites ({', '.join(row)}) VALUES ({places})", *row.values())
    for role in ROLES:
        await connection.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, $3)",
            site.id,
            people[role].id,
            role,
        )
    await web.app.collect.registry.refresh()
    return Team(site, **people)


async def roles(connection: Any, team: Team) -> dict[str, str]:
    """Each of the team's roles on the site as the database has it; the owner is whom the site names."""
    owner = await connection.fetchval("SELECT user_id FROM sites WHERE id = $1", team.site.id)
    rows = await connection.fetch("SELECT user_id, role FROM site_members WHERE site_id = $1", team.site.id)
    held = {row["user_id"]: row["role"] for row in rows}
    names = {getattr(team, name).id: name for name in (*ROLES, "stranger", "platform_admin")}
    found = {names.get(user_id, str(user_id)): role for user_id, role in held.items()}
    assert [user_id for user_id, role in held.items() if role == "owner"] == [owner], (
        "one owner, in both places"
    )
    return found


async def acts(connection: Any, team: Team) -> list[tuple[str, str | None]]:
    """The site's log, oldest first: who is not in it is told by the tests that need it."""
    rows = await connection.fetch(
        "SELECT action, subject FROM site_acts WHERE site_id = $1 ORDER BY at, id", team.site.id
    )
    return [(row["action"], row["subject"]) for row in rows]


def links(html: str) -> list[str]:
    """The invites' links on a page, as paths."""
    return re.findall(r"https?://[^/\s\"<]+(/invite/[A-Za-z0-9_-]{43})", html)


def text_of(html: str) -> str:
    """What is read of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
