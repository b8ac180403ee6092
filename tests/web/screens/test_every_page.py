"""Every page there is, opened in a real browser: nothing that axe finds, no complaint of the browser, nothing that is wider
than the screen.

The pages are read from the running application, so one that is new is walked the day it appears; what is filled into its
address is made below. A page that cannot be reached fails the test unless :data:`EXCUSED` names it with a reason.

Two looks by default. ``make test-screens`` sets SCREENS=all: both languages, both themes, both sizes.
"""

from __future__ import annotations

import os
import re
from itertools import product
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from opsmantik.db.connect import Asker
from opsmantik.people import account_store
from opsmantik.people.capabilities import Capability, roles_with
from tests.web.audits import keep_runs
from tests.web.browsing import Browser, Running
from tests.web.codes import set_up
from tests.web.screens.screen import Screen
from tests.web.team import Somebody, links, somebody
from tests.web.test_sharing import LINK
from tests.web.who_may import Route, routes_of
from tests.web.world import World, new_world

pytestmark = pytest.mark.slow

LOOKS = [("desk", "en", "light"), ("phone", "tr", "dark")]
ALL = list(product(("desk", "phone"), ("en", "tr"), ("light", "dark")))
CHOSEN = ALL if os.environ.get("SCREENS") == "all" else LOOKS
PROGRAMS = ("/api/", "/v1/", "/healthz", "/readyz", "/metrics")

# Pages that nothing here can open, and why.
EXCUSED = {
    "/demo/landing.css": "the demo's landing pages are there with the demo only: tests/demo/test_landing_pages.py",
    "/demo/{slug:str}": "the same",
    "/demo/{slug:str}/{name:str}": "the same",
    "/sign-in/{provider:str}": "leads to a provider's own page, and only where one is set: tests/web/test_oidc.py",
    "/sign-in/{provider:str}/callback": "the way back from there",
    "/account/identities/add/{provider:str}": "the same",
    "/account/identities/link": "asks for the password after coming back from a provider: tests/web/test_oidc.py",
    "/account/second-factor/qr.svg": "the picture in a page that is walked, and only while a second factor is set up",
}
# Pages that answer with another status than 200 here, and why.
OTHERWISE = {
    "/{anything:path}": (404, "the page that says that there is nothing"),
    "/set-up/{link:str}": (404, "good only while there is no account: the page that says so"),
    "/connect/google/callback": (
        400,
        "an answer of Google's to what nobody here has begun: the page that says so",
    ),
}
# What a part of a page is asked with.
QUERIES = {
    "/sites/{site_id:uuid}/queue/state": "since=2026-01-01T00:00:00Z",
    "/sites/{site_id:uuid}/conversions/act": "do=retry&state=failed",
}
# Pages for somebody else than the administrator who owns the site.
AS = {
    "/sites/{site_id:uuid}/settings/membership/ownership": "heir",
    "/sign-in/code": "half",
}


class Filled(NamedTuple):
    """A world with something on every page, and who opens them."""

    world: World
    people: dict[str, Browser | None]
    words: dict[str, str]
    """What is filled into an address, by the name in braces, or by path and name."""

    def address(self, route: Route) -> str | None:
        """The path with real ids in it; None where nobody has said what belongs there."""
        missing = False

        def value(match: re.Match[str]) -> str:
            nonlocal missing
            name = match[1]
            found = self.words.get(f"{route.path} {name}", self.words.get(name))
            missing = missing or found is None
            return found or ""

        path = re.sub(r"\{(\w+):\w+\}", value, route.path)
        query = QUERIES.get(route.path)
        return None if missing else f"{path}?{query}" if query else path


@pytest.fixture
async def filled(web: Running, owner: Any, make_person: Any) -> Filled:
    admin = await somebody(owner, web, role="admin")
    heir, operator = await somebody(owner, web), await somebody(owner, web)
    world = await new_world(owner, web, admin.id, name="Vinç Kiralama")
    await new_world(owner, web, admin.id, empty=True, name="Another", domain="another.example")
    for one, role in ((admin, "owner"), (heir, "admin"), (operator, "operator")):
        await world.member(one.id, role)
    await world.refused({"site": world.site.public_id, "events": []})
    people = {
        "admin": admin.browser,
        "heir": heir.browser,
        "half": await _half(web, make_person),
        "stranger": None,
    }
    return Filled(world, people, await _words(web, owner, admin, heir, world))


async def _half(web: Running, make_person: Any) -> Browser:
    """Somebody who has given the right password and is asked for a code."""
    _, email = await make_person()
    browser, half = web.browser(), web.browser()
    await browser.sign_in(email)
    await set_up(browser)
    await half.sign_in(email)
    return half


async def _words(web: Running, owner: Any, admin: Somebody, heir: Somebody, world: World) -> dict[str, str]:
    """Something of everything that an address can name, made as people make it."""
    state, ids, site = web.app._framework.state, world.ids, world.site.id
    settings = f"/sites/{site}/settings"
    await admin.post(f"{settings}/members/invite", email=f"{uuid4().hex}@example.com", role="analyst")
    [invite] = links((await admin.browser.get(f"{settings}/members")).text)
    share = LINK.search((await admin.post(f"{settings}/sharing", name="For the agency")).text)
    await admin.post(f"{settings}/keys", name="CRM", life="30", **{"site:read": "on"})
    await admin.post("/account/keys", name="CRM", life="30", **{"site:read": "on"})
    await admin.post(f"{settings}/ownership/offer", user_id=str(heir.id))
    await admin.post(f"{settings}/privacy/person", kind="visitor", value="visitor-2", do="erase")
    hook = uuid4()
    await owner.execute(
        "INSERT INTO webhooks (site_id, id, url, events, secret, key_id) VALUES ($1, $2, $3, $4, $5, 'k')",
        site, hook, "https://crm.example/hook", ["lead.created"], b"sealed",
    )  # fmt: skip
    reset = await account_store.offer_password_link(state["database"], admin.email)
    asker = Asker(admin.id, roles_with(Capability.ACCOUNT))
    email = await account_store.offer_email_link(state["database"], asker, f"{uuid4().hex}@example.com")
    assert share and reset and email
    erasure = await owner.fetchval("SELECT id FROM erasures WHERE site_id = $1", site)
    conversion = await owner.fetchval("SELECT id FROM conversions WHERE site_id = $1", site)
    batch = uuid4()
    await owner.execute(
        """
        INSERT INTO conversion_batches (site_id, id, kind, adapter, destination, state, size, finished_at)
        VALUES ($1, $2, 'new', 'data_manager', '{}', 'done', 1, now())
        """,
        site, batch,
    )  # fmt: skip
    await owner.execute(
        """
        INSERT INTO conversion_batch_items (site_id, batch_id, position, conversion_id, order_id, occurred_at, value,
            currency, outcome)
        SELECT site_id, $2, 1, id, order_id, occurred_at, value, currency, 'accepted' FROM conversions WHERE site_id = $1
        """,
        site, batch,
    )  # fmt: skip
    await keep_runs(owner, site, uuid4())
    return {
        "stem": "0120_silence",
        "site_id": str(site), "lead_id": str(ids["sealed"]), "session_id": str(ids["paid"]), "webhook_id": str(hook),
        "erasure_id": str(erasure), "conversion_id": str(conversion), "batch_id": str(batch),
        "anything": "nowhere", "dimension": "campaign",
        "/share/{token:str} token": share[1].rpartition("/")[2],
        "/invite/{token:str} token": invite.rpartition("/")[2],
        "/stop-mail/{token:str} token": state["stop_links"].token(site, admin.id),
        "/stop-summary/{token:str} token": state["stop_summaries"].token(site, admin.id),
        "/reset/{link:str} link": reset.token,
        "/account/email/{link:str} link": email,
        "/set-up/{link:str} link": "x" * 43,
    }  # fmt: skip


def pages_of(web: Running) -> list[Route]:
    """Every address that a browser may open: all that answer GET and are not for programs."""
    return [
        route
        for route in routes_of(web)
        if route.method == "GET" and not route.path.startswith(PROGRAMS) and route.path not in EXCUSED
    ]


async def walk(screen: Screen, filled: Filled, routes: list[Route]) -> list[str]:
    """Open each; what is wrong, a line each."""
    wrong = []
    for route in routes:
        path = filled.address(route)
        if path is None:
            wrong.append(
                f"{route.path}: nobody has said what belongs into it (tests/web/screens/test_every_page.py, _words)"
            )
            continue
        status = OTHERWISE.get(route.path, (200, ""))[0]
        first = await screen.context.request.get(screen.base_url + path, headers={"accept": "text/html"})
        text = await first.text() if first.headers.get("content-type", "").startswith("text/html") else ""
        if first.status != status:
            wrong.append(f"{route.path}: answers {first.status}, not {status}")
        elif "<html" in text:  # neither a part of a page nor a file
            page = await screen.go(path)
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            wrong += [f"{route.path}: {wide} px wider than the screen"] if wide > 0 else []
            wrong += [f"{route.path}: {word}" for word in await screen.violations()]
        wrong += [f"{route.path}: {word}" for word in screen.complaints]
        screen.complaints.clear()  # told of here, with the page that it was on
    return wrong


@pytest.mark.parametrize(("size", "language", "theme"), CHOSEN, ids=["-".join(look) for look in CHOSEN])
async def test_every_page_is_sound(
    open_as: Any, web: Running, filled: Filled, size: str, language: str, theme: str
) -> None:
    wrong = []
    for who, browser in filled.people.items():
        routes = [route for route in pages_of(web) if who == _who(route)]
        screen = await open_as(browser, size=size, language=language, theme=theme)
        wrong += await walk(screen, filled, routes)
    assert not wrong, "\n".join(wrong)


def _who(route: Route) -> str:
    """Who opens it: whoever is public to, without an account."""
    return AS.get(route.path, "stranger" if route.needs is None else "admin")


async def test_what_is_excused_or_otherwise_is_still_there(web: Running) -> None:
    there = {route.path for route in routes_of(web) if route.method == "GET"}
    assert {*EXCUSED, *OTHERWISE, *AS, *QUERIES} <= there


@pytest.mark.parametrize("fault", ["a picture without words", "a script's word"])
async def test_the_walk_finds_a_fault(open_as: Any, web: Running, filled: Filled, fault: str) -> None:
    """On one page, with something wrong in it that a real one could have."""
    screen = await open_as(filled.people["admin"])
    spoiled = "<img src='/static/icon.svg'>" if fault.startswith("a picture") else "<a onclick='x()'>x</a>"

    async def spoil(route: Any) -> None:
        answer = await route.fetch()
        await route.fulfill(
            response=answer, body=(await answer.text()).replace("</main>", f"{spoiled}</main>")
        )

    await screen.page.route("**/sites/new", spoil)
    [route] = [route for route in pages_of(web) if route.path == "/sites/new"]
    wrong = await walk(screen, filled, [route])
    assert any(("image-alt" if fault.startswith("a picture") else "console") in word for word in wrong), wrong
