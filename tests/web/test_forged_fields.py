"""No route gives anybody more than they had, whatever fields they add to what it expects.

Every route of the application, as everybody who is less than an owner, with every spelling of "make me the owner".
"""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.web.browsing import TOKEN, Running
from tests.web.team import ROLES, Somebody, Team, new_team, sign_in

pytestmark = pytest.mark.slow

RANK = {None: 0, "analyst": 1, "operator": 2, "admin": 3, "owner": 4}
NOBODY = str(uuid4())
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


@pytest_asyncio.fixture(loop_scope="session")
async def team(owner: Any, web: Running) -> Team:
    return await new_team(owner, web)


def forged(team: Team, one: Somebody) -> dict[str, Any]:
    """Fields that nobody asked for, and those that the routes know, with what would help."""
    role = dict.fromkeys(("role", "p_role", "member_role", "new_role", "answer_role", "site_role"), "owner")
    own = {
        name: str(one.id)
        for name in (
            "user_id",
            "p_user",
            "owner_id",
            "owner",
            "invited_by",
            "confirmed_by",
            "actor",
            "id",
            "person",
        )
    }
    admin = dict.fromkeys(("is_admin", "admin", "platform_admin", "is_platform_admin", "superuser"), True)
    site = {name: str(team.site.id) for name in ("site_id", "siteId", "p_site_id", "siteDbId")}
    known = {
        "email": one.email, "name": "x", "domain": "x.example", "language": "en", "theme": "dark", "answer": "accept",
        "enabled": "1", "on": "1", "app.person": str(team.owner.id), "app.sites": f"{{{team.site.id}}}", "action": "note",
        "note": "x", "status": "intent", "time_zone": "Europe/Istanbul", "region": "TR", "currency": "TRY",
        "profile": {"role": "admin"}, "scopes": ["members:manage", "site:own", "platform:run"],
    }  # fmt: skip
    return {**role, **own, **admin, **site, **known}


def paths(template: str, team: Team, one: Somebody) -> list[str]:
    """The route's addresses: about this site, and about whoever asks or about its owner."""
    values = {"site_id": str(team.site.id), "site_name": str(team.site.id), "token": "A" * 43}
    made = []
    for user_id in (one.id, team.owner.id):
        given = {**values, "user_id": str(user_id)}
        made.append(
            re.sub(
                r"\{(\w+):(\w+)\}",
                lambda part, given=given: given.get(part[1], NOBODY if part[2] != "int" else "1"),
                template,
            )
        )
    return sorted(set(made))


def routes(web: Running) -> list[tuple[str, str]]:
    return sorted(
        {
            (method, route.path)
            for route in web.app._framework.routes
            for handler in getattr(route, "route_handlers", [])
            for method in handler.http_methods
            if method in UNSAFE or (method == "GET" and not route.path.endswith("/stream"))
        }
    )


async def held(owner: Any, team: Team) -> dict[str, Any]:
    """What each of the team is, on the site and on the platform; and how many others are anything."""
    names = {getattr(team, name).id: name for name in (*ROLES, "stranger", "platform_admin")}
    row = await owner.fetchrow(
        "SELECT (SELECT user_id FROM sites WHERE id = $1) AS owner,"
        " ARRAY(SELECT user_id || ' ' || role FROM site_members WHERE site_id = $1) AS members,"
        " ARRAY(SELECT id || ' ' || role FROM profiles WHERE id = ANY ($2)) AS profiles,"
        " (SELECT count(*) FROM profiles WHERE role = 'admin') AS administrators",
        team.site.id,
        list(names),
    )
    members = dict(line.split() for line in row["members"])
    return {
        **{name: members.pop(str(user_id), None) for user_id, name in names.items()},
        "others": members,
        "owner of the site": row["owner"],
        "accounts": sorted(row["profiles"]),
        "administrators": row["administrators"],
    }


async def send(one: Somebody, method: str, path: str, fields: dict[str, Any]) -> list[int]:
    """As a form of ours, and as a program's JSON; the answers' status codes."""
    http = one.browser.http
    if method == "GET":
        plain = {key: str(value) for key, value in fields.items()}
        return [(await http.get(path, params=plain)).status_code]
    page = TOKEN.search((await one.browser.get("/account")).text)
    form = {key: str(value) for key, value in fields.items() if not isinstance(value, dict | list)}
    first = await http.request(method, path, data={"form_token": page[1] if page else "", **form})
    second = await http.request(
        method, path, content=json.dumps(fields), headers={"content-type": "application/json"}
    )
    return [first.status_code, second.status_code]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["stranger", "analyst", "operator", "admin"])
async def test_no_route_makes_anybody_more_than_they_were(
    owner: Any, web: Running, team: Team, who: str
) -> None:
    one: Somebody = getattr(team, who)
    before, went_through, broken = await held(owner, team), set(), set()
    for method, template in routes(web):
        for path in paths(template, team, one):
            await sign_in(owner, one.browser, one.id)  # the route before may have been the way out
            codes = await send(one, method, path, forged(team, one))
            after = await held(owner, team)
            said = f"{method} {path} as {who}: {codes}"
            if max(codes) >= 500:
                broken.add(said)
            assert RANK[after[who]] <= RANK[before[who]], said
            assert {**after, who: None} == {**before, who: None}, said
            if min(codes) < 400:
                went_through.add(template)
            if after != before:  # they have left, as they may
                await owner.execute(
                    "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, $3)"
                    " ON CONFLICT (site_id, user_id) DO UPDATE SET role = EXCLUDED.role",
                    team.site.id,
                    one.id,
                    before[who],
                )
    assert broken == set()
    assert len(went_through) > (10 if who == "stranger" else 20), "the walk has stopped walking"


async def test_the_walk_knows_the_routes_that_matter(web: Running) -> None:
    known = {path for _, path in routes(web)}
    assert {
        "/sites/{site_id:uuid}/settings/members/{user_id:uuid}/role",
        "/sites/{site_id:uuid}/settings/membership/ownership",
        "/admin/people/{user_id:uuid}",
        "/account",
        "/api/customers/invite",
    } <= known
