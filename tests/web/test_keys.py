"""Keys over HTTP: what one opens and what it does not, whose acts it does, and the pages on which it is made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from opsmantik.db.connect import Asker
from opsmantik.people import keys
from opsmantik.people.capabilities import SCOPES, Capability, roles_with
from opsmantik.people.key_tokens import new_key
from opsmantik.people.key_tries import FREE, KeyTries
from opsmantik.web.openapi import document
from tests.web.browsing import Running
from tests.web.world import World

pytestmark = pytest.mark.slow

READ, DECIDE, TEND = Capability.READ, Capability.DECIDE, Capability.TEND
MakeKey = Callable[..., Awaitable[str]]


class Program:
    """A script with a key and no cookie."""

    def __init__(self, web: Running, token: str, header: str = "authorization") -> None:
        given = f"Bearer {token}" if header == "authorization" else token
        self.http = web.browser(accept="*/*", **{header: given}).http

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.http.post(path, json={} if body is None else body, headers=headers)


def wanted(*scopes: Capability, **more: Any) -> keys.NewKey:
    return keys.check_new_key("Robot", scopes or (READ,), None, datetime.now(UTC), **more)


@pytest.fixture
def own_key(web: Running) -> MakeKey:
    """A key in somebody's name."""

    async def make(user_id: UUID, *scopes: Capability, only_site: UUID | None = None) -> str:
        who = Asker(user_id, roles_with(Capability.ACCOUNT))
        database = web.app._page_database
        return (await keys.make_person_key(database, who, wanted(*scopes, only_site=only_site))).token

    return make


@pytest.fixture
def site_key(web: Running) -> MakeKey:
    """A key of a world's site."""

    async def make(world: World, *scopes: Capability) -> str:
        who = Asker(world.site.user_id, roles_with(Capability.KEYS))
        async with web.app._page_database.as_person(who, write=True) as (connection, _):
            return (await keys.make_site_key(connection, world.site.id, wanted(*scopes))).token

    return make


@pytest.fixture(autouse=True)
def no_brake(web: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins without refusals."""
    monkeypatch.setattr(web.app._framework.state, "key_tries", KeyTries(), raising=False)


# What a key opens.


def _calls(world: World) -> dict[str, tuple[Capability, str, str, Any]]:
    lead = f"{world.path}/intents/{world.ids['waiting']}"
    return {
        "the list of sites": (READ, "GET", "/api/v1/sites", None),
        "leads": (READ, "GET", f"{world.path}/intents", None),
        "one lead": (READ, "GET", lead, None),
        "figures": (READ, "GET", f"{world.path}/command-centre?range=7d", None),
        "a first-generation read": (READ, "GET", f"/api/stats/realtime?siteId={world.site.id}", None),
        "a call by its old name": (READ, "POST", "/api/rpc/get_dashboard_stats", world.rpc_range),
        "a decision": (DECIDE, "POST", f"{lead}/decisions", {"action": "note", "note": "x"}),
        "an undo": (DECIDE, "POST", f"{lead}/undo", {}),
        "refused events": (TEND, "GET", "/api/sync/dlq/list", None),
        "who let them in": (TEND, "GET", "/api/sync/dlq/audit", None),
    }


@pytest.mark.parametrize("of_site", [False, True], ids=["a person's key", "a site's key"])
async def test_a_key_opens_what_its_scopes_say_and_nothing_else(
    web: Any, signed_in: Any, make_world: Any, own_key: Any, site_key: Any, of_site: bool
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    await world.refused({"a": 1})
    for scope in (READ, DECIDE, TEND, Capability.EXPORT):
        token = await (site_key(world, scope) if of_site else own_key(user_id, scope))
        program = Program(web, token)
        for name, (needed, method, path, body) in _calls(world).items():
            answer = await (program.get(path) if method == "GET" else program.post(path, body))
            assert (answer.status_code == 200) == (scope is needed), f"{scope} {name}: {answer.text[:300]}"
            if scope is not needed:
                assert answer.status_code == 403, name
                assert f'scope="{needed}"' in answer.headers["www-authenticate"] or "/rpc/" in path


async def test_a_call_by_its_old_name_needs_what_the_call_needs(
    web: Any, signed_in: Any, make_world: Any, own_key: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id, auto_approve_hours=1)
    call = ("/api/rpc/auto_approve_stale_intents_v1", {"p_site_id": str(world.site.id)})
    reader = Program(web, await own_key(user_id, READ))
    decider = Program(web, await own_key(user_id, READ, DECIDE))
    refused = await reader.post(*call)
    assert (refused.status_code, refused.json()["code"]) == (403, "42501")
    assert (await decider.post(*call)).status_code == 200


async def test_a_platform_administrator_s_key_runs_no_platform(
    web: Any, signed_in: Any, own_key: Any
) -> None:
    _, user_id = await signed_in(role="admin")
    program = Program(web, await own_key(user_id, *SCOPES))
    call = ("/api/rpc/admin_sites_list", {})
    assert (await program.post(*call)).status_code == 403
    assert (await program.post("/api/rpc/is_admin", {})).json() is False


PAGES = [
    "/", "/sites", "/sites/new", "/account", "/account/keys", "/account/keys/new", "/sites/{site}",
    "/sites/{site}/cards/figures", "/sites/{site}/settings/keys", "/sites/{site}/settings/members", "/sign-in",
]  # fmt: skip
FORMS = [
    "/account", "/account/keys", "/sites", "/sign-out", "/sites/{site}/settings/keys",
    "/sites/{site}/settings/keys/secrets", "/sites/{site}/settings/keys/unsigned",
]  # fmt: skip


async def test_a_key_opens_no_page_and_sends_no_form(
    web: Any, signed_in: Any, make_world: Any, own_key: Any, site_key: Any, owner: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    for token in (await own_key(user_id, *SCOPES), await site_key(world, *SCOPES)):
        program = Program(web, token)
        for path in PAGES:
            answer = await program.get(path.replace("{site}", str(world.site.id)))
            assert answer.status_code == 403, path
            assert answer.headers["content-type"] == "application/problem+json", path
        for path in FORMS:
            to = path.replace("{site}", str(world.site.id))
            assert (await program.http.post(to, data={"name": "x"})).status_code == 403, path
            assert (await program.post(to)).status_code == 403, path
    made = await owner.fetchval("SELECT count(*) FROM site_keys WHERE site_id = $1", world.site.id)
    assert made == 1


async def test_what_no_scope_allows_no_key_reaches(web: Any, signed_in: Any, own_key: Any) -> None:
    """Routes for programs that manage people or keys, or run the platform, are for people's own browsers."""
    _, user_id = await signed_in(role="admin")
    program, tried = Program(web, await own_key(user_id, *SCOPES)), 0
    for route in web.app._framework.routes:
        for handler in route.route_handlers:
            needed, method = handler.opt.get("needs"), next(iter(handler.http_methods))
            if needed is None or needed in SCOPES or not route.path.startswith("/api/"):
                continue
            path = re.sub(r"\{[^}]+\}", str(uuid4()), route.path)
            answer = await program.http.request(method, path, json={} if handler.opt.get("program") else None)
            assert (answer.status_code, answer.json()["code"]) == (403, "out_of_scope"), path
            tried += 1
    assert tried


# Whose it is.


async def test_a_site_that_is_not_the_key_s_is_one_that_is_not_there(
    web: Any, signed_in: Any, make_world: Any, own_key: Any, site_key: Any
) -> None:
    _, user_id = await signed_in()
    mine, other = await make_world(user_id, empty=True), await make_world(user_id, empty=True)
    _, stranger = await signed_in()
    foreign = await make_world(stranger, empty=True)
    for token in (await site_key(mine, *SCOPES), await own_key(user_id, *SCOPES, only_site=mine.site.id)):
        program = Program(web, token)
        assert (await program.get(f"{mine.path}/intents")).status_code == 200
        answers = [
            await program.get(f"/api/v1/sites/{site}/intents")
            for site in (other.site.id, foreign.site.id, uuid4())
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert len({re.sub("[0-9a-f-]{36}", "", answer.text) for answer in answers}) == 1
        found = (await program.get("/api/v1/sites")).json()["items"]
        assert [site["id"] for site in found] == [str(mine.site.id)]


async def test_the_key_alone_says_who_asks_whatever_the_cookie_says(
    web: Any, signed_in: Any, make_world: Any, own_key: Any
) -> None:
    browser, user_id = await signed_in()
    mine = await make_world(user_id, empty=True)
    _, other = await signed_in()
    theirs = await make_world(other, empty=True)
    bearer = {"authorization": f"Bearer {await own_key(other)}"}
    for world, status in ((mine, 404), (theirs, 200)):
        answer = await browser.http.get(f"{world.path}/intents", headers=bearer)
        assert answer.status_code == status
    bad = {"authorization": f"Bearer {new_key('person').token}"}
    for path in (f"{mine.path}/intents", "/sites", "/api/docs", "/nowhere"):
        assert (await browser.http.get(path, headers=bad)).status_code == 401
    # What a proxy in front asks for by itself is no key.
    basic = {"authorization": "Basic b3BzOm1hbnRpaw=="}
    assert (await browser.http.get(f"{mine.path}/intents", headers=basic)).status_code == 200


async def test_a_key_needs_no_page_s_token_but_json(
    web: Any, signed_in: Any, make_world: Any, own_key: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    path = f"{world.path}/intents/{world.ids['waiting']}/decisions"
    for header in ("authorization", "x-api-key"):
        program = Program(web, await own_key(user_id, DECIDE), header)
        assert (await program.post(path, {"action": "note", "note": "x"})).status_code == 200
        assert (await program.http.post(path, data={"action": "note"})).status_code == 415
        assert (await program.http.post(path, content=b'{"action":"note"}')).status_code == 415


# What is no key.


def _none() -> dict[str, str]:
    return {
        "unknown": new_key("person").token,
        "unknown, of a site": new_key("site").token,
        "mistyped": new_key("person").token[:-1] + "!",
        "empty": "",
        "a sign-in's token": "x" * 43,
        "of an older system": "sk_live_0123456789",
        "not ASCII": "om_person_ğ",
    }


@pytest.mark.parametrize("given", _none().values(), ids=_none().keys())
async def test_what_is_no_key_is_refused_as_one(web: Any, given: str) -> None:
    for header in ("authorization", "x-api-key"):
        value = f"Bearer {given}".strip() if header == "authorization" else given
        answer = await web.browser(accept="*/*").http.get(
            "/api/v1/sites", headers={header.encode(): value.encode()}
        )
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "key_refused"


async def test_an_ended_key_is_told_nothing_else_than_an_unknown_one(
    web: Any, signed_in: Any, make_world: Any, own_key: Any, site_key: Any, owner: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    told = [await Program(web, new_key("person").token).get("/api/v1/sites")]
    for table, make in (("person_keys", lambda: own_key(user_id)), ("site_keys", lambda: site_key(world))):
        for end in ("expires_at", "revoked_at"):
            program = Program(web, await make())
            assert (await program.get("/api/v1/sites")).status_code == 200
            await owner.execute(f"UPDATE {table} SET {end} = now() WHERE name = 'Robot'")
            told.append(await program.get("/api/v1/sites"))
    assert {(answer.status_code, answer.text) for answer in told} == {(401, told[0].text)}
    assert {frozenset(answer.headers.keys()) for answer in told} == {frozenset(told[0].headers.keys())}


async def test_nobody_is_asked_for_a_key_where_it_is_not_a_program(web: Any) -> None:
    assert (await web.browser().get("/api/v1/sites")).headers["www-authenticate"] == "Bearer"
    assert (await web.browser().get("/sites")).status_code == 303


async def test_a_call_of_the_first_generation_is_refused_in_its_own_shape(web: Any) -> None:
    answer = await Program(web, new_key("site").token).post("/api/rpc/is_admin")
    assert answer.status_code == 401
    assert answer.json()["code"] == "key_refused" and "hint" in answer.json()
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_network_that_goes_on_asking_with_no_key_is_slowed_and_its_good_keys_are_not(
    web: Any, signed_in: Any, own_key: Any
) -> None:
    _, user_id = await signed_in()
    good = Program(web, await own_key(user_id))
    assert (await good.get("/api/v1/sites")).status_code == 200
    bad = Program(web, new_key("person").token)
    told = [(await bad.get("/api/v1/sites")).status_code for _ in range(FREE + 3)]
    assert told == [401] * FREE + [429] * 3
    slowed = await Program(web, new_key("person").token).get("/api/v1/sites")
    assert slowed.status_code == 429 and 0 < int(slowed.headers["retry-after"]) <= 3
    assert (await good.get("/api/v1/sites")).status_code == 200


# Whose acts they are.


async def test_what_a_site_s_key_decides_is_the_key_s_and_nobody_s(
    web: Any, signed_in: Any, make_world: Any, site_key: Any, owner: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    token = await site_key(world, READ, DECIDE)
    program, lead = Program(web, token), world.ids["waiting"]
    label = f"Robot …{token[-4:]}"
    decided = await program.post(
        f"{world.path}/intents/{lead}/decisions", {"action": "seal", "amount": 1500.5, "version": 1}
    )
    assert decided.status_code == 200, decided.text
    row = await owner.fetchrow("SELECT * FROM intent_actions WHERE call_id = $1", lead)
    assert (row["actor"], row["actor_kind"], row["key_name"]) == (None, "key", label)
    call = await owner.fetchrow("SELECT status, confirmed_by, is_automatic FROM calls WHERE id = $1", lead)
    assert tuple(call) == ("sealed", None, False)
    [act] = (await program.get(f"{world.path}/intents/{lead}")).json()["actions"]
    assert (act["actor_kind"], act["actor"], act["key_name"]) == ("key", None, label)
    # Who comes too late is told who was faster.
    late = await program.post(
        f"{world.path}/intents/{lead}/decisions", {"action": "junk", "version": 1, "reason": "x"}
    )
    assert late.status_code == 409 and late.json()["conflict"]["actor_name"] == label
    assert (await program.post(f"{world.path}/intents/{lead}/undo")).status_code == 200
    assert await owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", world.site.id) == []


async def test_a_site_s_key_that_decides_is_an_operator_and_backdates_nothing(
    web: Any, signed_in: Any, make_world: Any, site_key: Any, own_key: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    lead = await world.lead("old", world.start - (world.end - world.start) * 5)
    path = f"{world.path}/intents/{lead}/decisions"
    body = {"action": "seal", "sale_at": world.at(-72).isoformat()}
    refused = await Program(web, await site_key(world, DECIDE)).post(path, body)
    assert refused.status_code == 403 and "48 hours" in refused.text
    assert (await Program(web, await own_key(user_id, DECIDE)).post(path, body)).status_code == 200


async def test_what_a_person_s_key_decides_is_the_person_s_by_that_key(
    web: Any, signed_in: Any, make_world: Any, own_key: Any, owner: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    token = await own_key(user_id, DECIDE)
    lead = world.ids["waiting"]
    assert (
        await Program(web, token).post(f"{world.path}/intents/{lead}/decisions", {"action": "pend"})
    ).status_code == 200
    row = await owner.fetchrow("SELECT * FROM intent_actions WHERE call_id = $1", lead)
    assert (row["actor"], row["actor_kind"], row["key_name"]) == (user_id, "key", f"Robot …{token[-4:]}")


async def test_a_person_s_key_does_what_the_person_may_at_that_moment(
    web: Any, signed_in: Any, make_world: Any, own_key: Any, owner: Any
) -> None:
    _, boss = await signed_in()
    world = await make_world(boss)
    _, user_id = await signed_in()
    await world.member(user_id, "operator")
    program = Program(web, await own_key(user_id, *SCOPES))
    path = f"{world.path}/intents/{world.ids['waiting']}/decisions"
    body = {"action": "note", "note": "x"}
    for role, status in (("operator", 200), ("analyst", 403), (None, 404)):
        if role is None:
            await owner.execute("DELETE FROM site_members WHERE user_id = $1", user_id)
        else:
            await owner.execute("UPDATE site_members SET role = $2 WHERE user_id = $1", user_id, role)
        assert (await program.post(path, body)).status_code == status, role


async def test_a_refused_event_that_a_site_s_key_lets_in_is_noted_with_the_key(
    web: Any, signed_in: Any, make_world: Any, site_key: Any, owner: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    rejected = await world.refused({"nothing": "usable"}, reason="malformed")
    token = await site_key(world, TEND)
    answer = await Program(web, token).post(f"/api/sync/dlq/replay?id={rejected}")
    assert answer.status_code == 422, answer.text  # it is still what it was
    row = await owner.fetchrow("SELECT actor, actor_email FROM replays WHERE rejected_id = $1", rejected)
    assert tuple(row) == (None, f"Robot …{token[-4:]}")


async def test_a_program_that_polls_is_told_that_nothing_has_changed(
    web: Any, signed_in: Any, make_world: Any, site_key: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    program, path = Program(web, await site_key(world, READ)), f"{world.path}/intents?limit=5"
    first = await program.get(path)
    assert {"Authorization", "X-Api-Key"} <= set(first.headers["vary"].split(", "))
    tag = {"if-none-match": first.headers["etag"]}
    assert (await program.http.get(path, headers=tag)).status_code == 304
    await world.touch()
    assert (await program.http.get(path, headers=tag)).status_code == 200


async def test_a_stream_opens_with_a_key(web: Any, signed_in: Any, make_world: Any, site_key: Any) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    program = Program(web, await site_key(world, READ))
    async with program.http.stream("GET", f"{world.path}/stream") as stream:
        assert stream.status_code == 200
        async for line in stream.aiter_lines():
            assert line == "retry: 1000"
            break


# The pages.


def tokens(html: str) -> list[str]:
    return re.findall(r"om_(?:person|site|calls)_[A-Za-z0-9_-]{40,}", html)


async def test_one_s_own_key_is_made_shown_once_used_replaced_and_revoked(
    web: Any, signed_in: Any, own_site: Any, owner: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id, name="Vinç")
    made = await browser.submit(
        "/account/keys/new",
        "/account/keys",
        name=" Weekly  report ",
        life="30",
        site=str(site.id),
        **{"site:read": "on"},
    )
    assert made.status_code == 200
    [token] = tokens(made.text)
    assert made.headers["cache-control"] == "no-store"
    html = (await browser.get("/account/keys")).text
    assert tokens(html) == []
    assert "Weekly report" in html and f"…{token[-4:]}" in html and "never used" in html and "Vinç" in html
    assert (await Program(web, token).get("/api/v1/sites")).status_code == 200
    assert "last used" in (await browser.get("/account/keys")).text
    [rotate] = re.findall(r'action="(/account/keys/[0-9a-f-]+/rotate)"', html)
    replaced = await browser.submit("/account/keys", rotate, grace="24")
    [successor] = tokens(replaced.text)
    assert "replaced; still good until" in replaced.text
    for good in (token, successor):
        assert (await Program(web, good).get("/api/v1/sites")).status_code == 200
    for revoke in re.findall(r'action="(/account/keys/[0-9a-f-]+/revoke)"', replaced.text):
        assert (await browser.submit("/account/keys", revoke)).status_code == 303
    for ended in (token, successor):
        assert (await Program(web, ended).get("/api/v1/sites")).status_code == 401
    acts = await owner.fetch(
        "SELECT action FROM platform_acts WHERE actor = $1 UNION ALL SELECT action FROM site_acts WHERE actor = $1",
        user_id,
    )
    assert sorted(act["action"] for act in acts) == [
        "keys.make_own", "keys.revoke_own", "keys.revoke_own", "keys.rotate_own",
    ]  # fmt: skip


async def test_a_site_s_keys_and_secrets_are_made_on_its_page(
    web: Any, signed_in: Any, own_site: Any, owner: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    here = f"/sites/{site.id}/settings/keys"
    made = await browser.submit(
        f"{here}/new", here, name="Robot", life="0", **{"site:read": "on", "leads:decide": "on"}
    )
    [token] = tokens(made.text)
    assert token.startswith("om_site_") and "Ayşe" in made.text and "good until it is revoked" in made.text
    assert (await Program(web, token).get("/api/v1/sites")).json()["items"][0]["id"] == str(site.id)
    secrets = []
    for place in ("Present secret", "Next secret"):
        answer = await browser.submit(here, f"{here}/secrets")
        secrets += tokens(answer.text)
        assert place in answer.text
    assert len(set(secrets)) == 2 and all(secret.startswith("om_calls_") for secret in secrets)
    full = await browser.submit(here, f"{here}/secrets")
    assert full.status_code == 422 and "two secrets already" in full.text and tokens(full.text) == []
    html = (await browser.get(here)).text
    assert (
        tokens(html) == []
        and "the next one takes its place" in html
        and "reports without a signature are still" in html
    )
    await browser.submit(here, f"{here}/unsigned", allowed="no")
    assert "Only signed reports are taken" in (await browser.get(here)).text
    first, _ = re.findall(rf'action="({here}/secrets/[0-9a-f-]+/remove)"', html)
    assert (await browser.submit(here, first)).status_code == 303
    html = (await browser.get(here)).text
    assert "Present secret" in html and "Next secret" not in html
    acts = await owner.fetch(
        "SELECT action, detail, subject FROM site_acts WHERE site_id = $1 ORDER BY at, id", site.id
    )
    assert [act["action"] for act in acts if act["action"] != "sites.create"] == [
        "keys.make", "call_secrets.make", "call_secrets.make", "call_secrets.refuse_unsigned", "call_secrets.promote",
    ]  # fmt: skip
    kept = str([dict(act) for act in acts])
    assert not any(secret in kept for secret in (*secrets, token))


WRONG = {
    "no name": ({"name": "  "}, 'id="name-problem"'),
    "too long a name": ({"name": "x" * 101}, 'id="name-problem"'),
    "no scope": ({"site:read": ""}, 'id="scopes-problem"'),
    "a scope of its own": ({"site:read": "", "keys:manage": "on"}, 'id="scopes-problem"'),
    "a life that is not offered": ({"life": "10000"}, 'role="alert"'),
}


@pytest.mark.parametrize(("change", "problem"), WRONG.values(), ids=WRONG.keys())
async def test_the_form_says_what_is_wrong_and_makes_nothing(
    web: Any, signed_in: Any, own_site: Any, owner: Any, change: dict[str, str], problem: str
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    for form, to in (("/account/keys/new", "/account/keys"), (f"/sites/{site.id}/settings/keys/new",) * 2):
        to = to.removesuffix("/new")
        fields = {"name": "Robot", "life": "30", "site:read": "on", **change}
        answer = await browser.submit(form, to, **fields)
        assert answer.status_code == 422 and problem in answer.text, answer.text
        assert tokens(answer.text) == []
    assert await owner.fetchval("SELECT count(*) FROM person_keys WHERE user_id = $1", user_id) == 0
    assert await owner.fetchval("SELECT count(*) FROM site_keys WHERE site_id = $1", site.id) == 0


@pytest.mark.parametrize("role", ["operator", "analyst"])
async def test_a_site_s_keys_are_not_for_who_does_not_manage_them(
    web: Any, signed_in: Any, make_world: Any, role: str
) -> None:
    _, boss = await signed_in()
    world = await make_world(boss, empty=True)
    browser, user_id = await signed_in()
    await world.member(user_id, role)
    here = f"/sites/{world.site.id}/settings/keys"
    assert (await browser.get(here)).status_code == 403
    token = await browser.token("/account")
    for to in (here, f"{here}/secrets", f"{here}/unsigned", f"{here}/{uuid4()}/revoke"):
        answer = await browser.http.post(
            to, data={"form_token": token, "name": "x", "life": "30", "site:read": "on"}
        )
        assert answer.status_code == 403, to


async def test_to_make_a_key_one_must_have_signed_in_lately(web: Any, signed_in: Any, owner: Any) -> None:
    browser, user_id = await signed_in()
    token = await browser.token("/account/keys/new")
    await owner.execute(
        "UPDATE sign_ins SET confirmed_at = now() - interval '1 hour' WHERE user_id = $1", user_id
    )
    assert (await browser.get("/account/keys")).status_code == 200
    form = await browser.get("/account/keys/new")
    made = await browser.http.post(
        "/account/keys", data={"form_token": token, "name": "x", "life": "30", "site:read": "on"}
    )
    for answer in (form, made):
        assert answer.status_code == 303 and answer.headers["location"].startswith("/confirm")
    assert await owner.fetchval("SELECT count(*) FROM person_keys WHERE user_id = $1", user_id) == 0


@pytest.mark.parametrize("language", ["en", "tr"])
async def test_the_pages_hold_no_script_and_no_style_of_their_own(
    web: Any, signed_in: Any, own_site: Any, language: str
) -> None:
    browser, user_id = await signed_in(language=language)
    site = await own_site(user_id)
    for path in (
        "/account/keys",
        "/account/keys/new",
        f"/sites/{site.id}/settings/keys",
        f"/sites/{site.id}/settings/keys/new",
    ):
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        assert f'<html lang="{language}"' in answer.text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", answer.text), path
        for label in re.findall(r'<label (?:class="hidden" )?for="([^"]+)"', answer.text):
            assert f'id="{label}"' in answer.text, (path, label)


# The description of the interface.


def test_the_document_says_for_every_operation_which_scope_opens_it(web: Any) -> None:
    needs = {}
    for route in web.app._framework.routes:
        path = re.sub(r"\{([a-z_]+):[a-z]+\}", r"{\1}", route.path).replace("{site_name}", "{site}")
        for handler in route.route_handlers:
            for method in handler.http_methods:
                needs[path, method.lower()] = handler.opt.get("needs")
    described = document()
    assert {"key", "keyHeader", "signedIn", "pullPassword"} == set(described["components"]["securitySchemes"])
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if not operation.get("security"):
                continue
            scopes = next((one["key"] for one in operation["security"] if "key" in one), None)
            if path.startswith("/api/rpc/"):
                assert scopes is not None and "site:read" in scopes, path
            else:
                needed = needs[path, method]
                assert scopes == ([needed] if needed in SCOPES else None), path
            assert {"401", "403", "429", "503"} <= set(operation["responses"]), path
    assert described["paths"]["/api/rpc/auto_approve_stale_intents_v1"]["post"]["security"][1] == {
        "key": ["site:read", "leads:decide"]
    }


# What else a site's key may do, under its own name.


async def test_every_act_of_a_site_s_key_is_logged_as_the_key_s(
    web: Any, signed_in: Any, make_world: Any, site_key: Any, owner: Any
) -> None:
    _, user_id = await signed_in()
    world = await make_world(user_id)
    rejected = await world.refused({"nothing": "usable"}, reason="malformed")
    token = await site_key(world, *SCOPES)
    program = Program(web, token)
    person = {"kind": "phone", "value": "+905321234567"}
    acts: dict[str, tuple[str, Any]] = {
        "a webhook": (
            f"{world.path}/webhooks",
            {"url": "https://1.1.1.1/in", "events": ["lead.created"]},
        ),
        "a subject's data": (f"{world.path}/privacy/exports", person),
        "an erasure": (f"{world.path}/privacy/erasures", person),
        "a refused event": (f"{world.path}/refused/{rejected}/admit", {}),
    }
    for name, (path, body) in acts.items():
        answer = await program.post(path, body)
        assert answer.status_code in (200, 201), f"{name}: {answer.text[:500]}"
    log = (await program.get(f"{world.path}/acts")).json()
    told = await owner.fetch(
        "SELECT actor, actor_name FROM site_acts WHERE site_id = $1 AND action NOT LIKE 'keys.%'",
        world.site.id,
    )
    assert len(told) >= 3 and {tuple(row) for row in told} == {(None, f"key Robot …{token[-4:]}")}
    assert f"Robot …{token[-4:]}" in str(log)
