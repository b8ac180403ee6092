"""Every address x everybody: who gets in, who is told no, and that nobody is told anything else.

The addresses are read from the running application; what each needs stands in docs/security/authorization.md, for people to
read and for a change to be seen in (``make docs`` writes it: read the difference before you keep it). People, roles and rows come from tests/db/two_sites.py: all requests are about site a.
"""
# ruff: noqa: E501 - a row a line

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from litestar.routes import HTTPRoute

from opsmantik.dashboard.contracts import PROCEDURES
from opsmantik.dashboard.procedures import REQUIRED, Procedure
from opsmantik.people.capabilities import PLATFORM_ADMIN, ROLES, Capability, is_of_a_site
from opsmantik.web.guard import SAFE
from opsmantik.web.procedures import TOOLS
from tests.db.function_walls import fingerprints
from tests.db.two_sites import A, B, TwoSites
from tests.db.walls import Walls
from tests.web.browsing import Browser, Running

PAGE = Path(__file__).parents[2] / "docs" / "security" / "authorization.md"
PROGRAMS = ("/api/", "/v1/")
CALLS = "/api/rpc/{name:str}"
PUBLIC = "public"


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    needs: Capability | None  # None: public
    program: bool
    handler: Any = field(compare=False, repr=False)
    call: Procedure | None = field(default=None, compare=False, repr=False)
    """Of the first generation's calls, which share an address."""

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path


def routes_of(running: Running) -> list[Route]:
    """All that the framework answers. The doors for events stand in front of it and are public by nature."""
    found = []
    for route in running.app.routes:
        if not isinstance(route, HTTPRoute):
            found.append(Route(type(route).__name__, route.path, None, False, None))
            continue
        for method, given in route.route_handler_map.items():
            handler = given[0] if isinstance(given, tuple) else given
            if method != "OPTIONS":  # the framework's own: which methods there are
                opt = handler.opt
                whole = Route(method, route.path, opt.get("needs"), bool(opt.get("program")), handler)
                found += list(_calls(whole)) if whole.path == CALLS else [whole]
    return sorted(found, key=lambda r: (r.path, r.method))


def _calls(route: Route) -> Iterator[Route]:
    for name, call in {**PROCEDURES, **TOOLS}.items():
        yield Route(
            route.method, CALLS.replace("{name:str}", name), call.needs, route.program, route.handler, call
        )


# What the first generation's calls need beside reading; the page has them under their one address.
OTHER_CALLS = {"auto_approve_stale_intents_v1": Capability.DECIDE, "sync_dlq_record_replay": Capability.TEND}


def listed() -> dict[tuple[str, str], str]:
    """The page's table: what each address needs, by method and path."""
    rows = re.findall(
        r"^\| `([A-Z ]+) (/[^`]*)` \| (?:`([^`]+)`|(public)) \|", PAGE.read_text(), flags=re.MULTILINE
    )
    found = {
        (method, path): needs or PUBLIC for methods, path, needs, _ in rows for method in methods.split()
    }
    needs = found.pop(("POST", CALLS))
    return found | {
        ("POST", CALLS.replace("{name:str}", name)): str(OTHER_CALLS.get(name, needs))
        for name in {**PROCEDURES, **TOOLS}
    }


def said_wrong(routes: list[Route]) -> list[str]:
    """Where the page and the application differ."""
    now = {route.key: PUBLIC if route.needs is None else str(route.needs) for route in routes}
    page = listed()
    changed = [key for key in now.keys() & page.keys() if now[key] != page[key]]
    return sorted(f"{method} {path}" for method, path in [*changed, *(now.keys() ^ page.keys())])


# Who asks.

# By their name in two_sites.py, and the role that they hold on site a.
ASKERS: dict[str, str | None] = {
    "stranger": None, B: None, "analyst": "analyst", "operator": "operator", "admin": "admin", A: "owner",
    "platform_admin": PLATFORM_ADMIN,
}  # fmt: skip


@dataclass
class House:
    """The running application, the two sites, and a browser for everybody who has signed in."""

    running: Running
    walls: Walls
    browsers: dict[str, Browser]

    @property
    def world(self) -> TwoSites:
        return self.walls.world


async def open_house(running: Running, walls: Walls, password_hash: str) -> House:
    """Sign everybody in. Second factors go: nobody here has the telephone that they are in."""
    await walls.admin.execute(
        "DELETE FROM second_factors; UPDATE users SET password_hash = $$" + password_hash + "$$"
    )
    await running.app.collect.registry.refresh()
    emails = {row["id"]: row["email"] for row in await walls.admin.fetch("SELECT id::text, email FROM users")}
    browsers = {}
    for who in ASKERS:
        browsers[who] = running.browser()
        answer = await browsers[who].sign_in(emails[walls.world.person(who)])
        assert answer.status_code == 303, (who, answer.status_code)
    await _settled(walls)
    return House(running, walls, browsers)


async def _settled(walls: Walls) -> None:
    """Until the server has counted and judged what it found: what changes after that, somebody has changed."""
    for _ in range(100):
        if await walls.admin.fetchval(
            "SELECT NOT EXISTS (SELECT FROM counter_journal) AND NOT EXISTS (SELECT FROM calls WHERE suspicion IS NULL)"
        ):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the leads of two_sites.py are neither counted nor judged after ten seconds")


# What is asked. A request is about site a: by its path, or where that names none, by what is said here.

PLACES = {
    "site_id": "sites", "site_name": "sites", "intent_id": "calls", "call_id": "calls", "session_id": "sessions",
    "user_id": "users", "rejected_id": "rejected_events", "invite_id": "invites", "webhook_id": "webhooks",
    "delivery_id": "webhook_deliveries", "secret_id": "call_secrets", "identity_id": "user_identities", "sign_in": "sign_ins",
    "erasure_id": "erasures", "visitor": "visitors", "conversion_id": "conversions", "share_id": "share_links",
    "lead_id": "calls", "view_id": "saved_views", "batch_id": "conversion_batches",
}  # fmt: skip
QUERIES = {
    "/api/stats/realtime": "siteId={site}",
    "/api/stats/reconcile": "siteId={site}",
    "/api/oci/export": "siteId={site}",
    "/api/oci/google-ads-export": "siteId={site}",
    "/api/sync/dlq/list": "siteDbId={site}",
    "/api/sync/dlq/replay": "id={rejected}",
    "/api/sync/dlq/audit": "dlqId={rejected}",
    "/sites/{site_id:uuid}/queue/state": "since=2026-11-01T00:00:00Z",
}
BODIES = {
    "/decisions": '{"action": "junk", "version": 1}',
    "/status": '{"status": "junk"}',
    "/api/jobs/auto-approve": '{"siteId": "{site}"}',
    "/api/customers/invite": '{"site_id": "{site}", "email": "new@example.com", "role": "analyst"}',
    "/api/oci/export": '{"siteId": "{site}"}',
    "/api/oci/v2/verify": '{"siteId": "{site}"}',
    "/api/oci/ack": '{"siteId": "{site}"}',
    "/api/oci/ack-failed": '{"siteId": "{site}", "queueIds": []}',
    "/acknowledge": '{"rest": "accepted"}',
    "/privacy/erasures": '{"kind": "visitor", "value": "half-a id"}',
    "/privacy/exports": '{"kind": "visitor", "value": "half-a id"}',
    "/webhooks": '{"url": "https://other.example/hook", "events": ["lead.created"]}',
}
FORM = {
    "email": "new@example.com", "role": "admin", "name": "Name", "url": "https://other.example/hook", "events": "lead.created",
    "origin": "https://other.example", "pace": "off", "kind": "visitor", "value": "half-a id", "do": "export", "reason": "bot",
    "consent_mode": "implied", "months": "25", "life": "30", "scopes": "site:read", "domain": "other.example",
}  # fmt: skip
ARGUMENTS = {
    "p_site_id": "{site}", "p_date_from": "2026-11-01T00:00:00Z", "p_date_to": "2026-11-02T00:00:00Z", "p_dimension": "source",
    "p_fingerprint": "half-a fingerprint", "p_session_id": "{session}", "p_id": "{rejected}",
}  # fmt: skip
# Lists of what the asker may see: everybody is answered, with their own.
OWN_LISTS = {"/sites", "/sites/switch", "/api/v1/sites"}
# Answered otherwise than the rest, each for a reason: (method, path) -> who -> status.
OTHERWISE: dict[tuple[str, str], tuple[dict[str, set[int]], str]] = {
    ("GET", "/api/sync/dlq/audit"): (
        {"stranger": {403}, B: {200}}, "a list of what was let in on the asker's own sites, narrowed down: of another's event it is empty",
    ),
    ("GET", "/api/sync/dlq/list"): ({"stranger": {403}}, "who tends no site at all is told so, whichever they ask for"),
    ("POST", "/api/sync/dlq/replay"): ({"stranger": {403}}, "the same"),
    ("POST", "/api/rpc/sync_dlq_record_replay"): ({B: {404}}, "names no site: of another's event it says that there is none"),
}  # fmt: skip


NOWHERE = "00000000-0000-4000-8000-00000000000f"


def address(house: House, route: Route, nowhere: bool) -> str:
    """The path with site a's ids in it, and the query; or with ids that nobody has."""

    def value(match: re.Match[str]) -> str:
        word = match[1]
        if word == "key_id":
            table = "person_keys" if route.path.startswith("/account") else "site_keys"
        elif word in PLACES:
            table = PLACES[word]
        else:
            return "x" * 43
        return NOWHERE if nowhere else house.world.rows[A][table]["id"]

    path = re.sub(r"\{(\w+):\w+\}", value, route.path)
    query = QUERIES.get(route.path)
    return path + (f"?{filled(house, query, nowhere)}" if query else "")


def filled(house: House, text: str, nowhere: bool) -> str:
    tables = {"site": "sites", "rejected": "rejected_events", "session": "sessions"}
    words = {name: NOWHERE if nowhere else house.world.rows[A][table]["id"] for name, table in tables.items()}
    return re.sub(r"\{(\w+)\}", lambda match: words.get(match[1], match[0]), text)


def body_of(route: Route) -> str:
    if route.call is None:
        return next((body for end, body in BODIES.items() if route.path.endswith(end)), "{}")
    needed = [a.name for a in route.call.arguments if a.default is REQUIRED or a.name in ARGUMENTS]
    return json.dumps({name: ARGUMENTS.get(name) for name in needed})


async def ask(house: House, route: Route, who: str | None, *, nowhere: bool = False) -> httpx.Response:
    """Send it as this person would: with the token of their forms, or as JSON."""
    browser = house.browsers[who] if who else house.running.browser()
    headers = {"accept": "application/json" if route.path.startswith(PROGRAMS) else "text/html"}
    content: Any = {}
    if route.method not in SAFE:
        if route.program:
            headers["content-type"] = "application/json"
            content = {"content": filled(house, body_of(route), nowhere)}
        else:
            proof = browser.http.cookies.get("opsmantik", "")
            headers["x-csrf-token"] = house.running.app._framework.state.form_keys.form_token(proof)
            content = {
                "data": FORM | {"form_id": NOWHERE if nowhere else house.world.rows[A]["webhooks"]["id"]}
            }
    if route.path.endswith("/stream"):  # an answer without an end: its head will do
        async with browser.http.stream(
            route.method, address(house, route, nowhere), headers=headers
        ) as answer:
            if answer.status_code == 200:
                return httpx.Response(200)
            await answer.aread()
            return answer
    return await browser.http.request(
        route.method, address(house, route, nowhere), headers=headers, **content
    )


def expected(route: Route, needs: str, who: str | None) -> set[int] | None:
    """The statuses with which somebody who may not must be told so; None: they may."""
    if needs == PUBLIC:
        return None
    if who is None:
        return {401} if route.path.startswith(PROGRAMS) or route.method not in SAFE else {303}
    capability, role = Capability(needs), ASKERS[who]
    if capability is Capability.PLATFORM:
        return None if role == PLATFORM_ADMIN else {403}
    if not is_of_a_site(capability) or route.path in OWN_LISTS or _is_about_no_site(route):
        return None
    if route.call is not None and role is None:
        return {403}  # the first generation's word for it
    if role is None:
        return {404}
    return None if capability in ROLES[role] else {403}


def _is_about_no_site(route: Route) -> bool:
    return route.call is not None and not {"p_site_id", "p_id"} & {a.name for a in route.call.arguments}


async def check_route(house: House, route: Route, needs: str) -> list[str]:
    """Everybody who may not, and nobody at all: refused as they must be, told nothing of site a, and nothing changed."""
    wrong = []
    before = None if route.method in SAFE else await fingerprints(house.walls, owners_only=True)
    for who in (None, *ASKERS):
        statuses = expected(route, needs, who)
        if statuses is None and (route.method not in SAFE or (who is not None and ASKERS[who] is not None)):
            continue  # they may: what comes of it is the feature's own test
        odd = OTHERWISE.get(route.key, ({}, ""))[0].get(who or "nobody")
        answer = await ask(house, route, who)
        words = f"{route.method} {route.path} by {who or 'nobody'}: {answer.status_code}"
        if statuses is not None and answer.status_code not in (odd or statuses):
            wrong.append(f"{words}, not {sorted(odd or statuses)}")
        if answer.status_code >= 500:
            wrong.append(words)
        wrong += [f"{words}, and tells {mark}" for mark in told(house, answer, who)]
        if statuses is not None and who in ("stranger", B):
            other = await ask(house, route, who, nowhere=True)
            if (other.status_code, plain(other)) != (answer.status_code, plain(answer)):
                wrong.append(
                    f"{words}, and {other.status_code} where there is nothing: {plain(other)[:100]} {plain(answer)[:100]}"
                )
    if before is not None and (await fingerprints(house.walls, owners_only=True))[A] != before[A]:
        wrong.append(f"{route.method} {route.path}: somebody who may not has changed rows of site a")
    return wrong


def plain(answer: httpx.Response) -> str:
    """The answer without what differs each time: ids, and the tokens of forms."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,}|visitors/[^/\"]+", "…", answer.text)


def told(house: House, answer: httpx.Response, who: str | None) -> list[str]:
    """What the answer says of site a that the request did not; members may know their site."""
    if who is not None and ASKERS[who] is not None:
        return []
    request = (
        str(answer.request.url) + answer.request.content.decode(errors="replace") if answer._request else ""
    )
    marks = house.world.ids(A) | {"half-a"}
    said = answer.text + str(answer.headers)
    return sorted(mark for mark in marks if mark in said and mark not in request)


async def check_welcome(house: House, route: Route, needs: str) -> list[str]:
    """Those who may look do get in."""
    wrong = []
    for who, role in ASKERS.items():
        if role is None or expected(route, needs, who) is not None:
            continue
        answer = await ask(house, route, who)
        if answer.status_code in (401, 403) or answer.status_code >= 500:
            wrong.append(f"{route.method} {route.path} by {who}: {answer.status_code}")
    return wrong
