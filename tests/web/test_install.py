"""The install page: what it hands out, what it sees, looking at a page, and trying it out."""

from __future__ import annotations

import asyncio
import io
import ipaddress
import json
import re
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from opsmantik.dashboard.cards.install_state import TEST_CLICK
from opsmantik.sites import snippets
from opsmantik.web.pages.install import METHODS
from tests.browser import PHONE
from tests.web.browsing import Browser, running

ORIGIN = "https://shop.example"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(database: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """The application, which may look at pages on loopback."""
    networks = (ipaddress.ip_network("127.0.0.0/8"),)
    async with running(database.app, tmp_path_factory.mktemp("home"), webhook_networks=networks) as found:
        yield found


@pytest.fixture
async def desk(signed_in: Any, own_site: Any) -> tuple[Browser, Any]:
    browser, user_id = await signed_in({"user-agent": PHONE})
    return browser, await own_site(user_id)


async def post(
    web: Any, site: Any, *, origin: str | None = ORIGIN, agent: str = PHONE, **changes: Any
) -> Any:
    """One view as today's tracker sends it."""
    event = {
        "id": str(uuid4()), "ts": int(time.time() * 1000), "sid": str(uuid4()), "cat": "interaction", "act": "view",
        "url": f"{ORIGIN}/", "env": {"lang": "tr"}, **changes.pop("event", {}),
    }  # fmt: skip
    body = {
        "site": site.public_id,
        "sent": int(time.time() * 1000),
        "v": "1.0.0",
        "events": [event],
        **changes,
    }
    headers = {"user-agent": agent} | ({"origin": origin} if origin else {})
    return await web.browser().http.post("/v1/events", content=json.dumps(body), headers=headers)


@pytest.mark.slow
async def test_a_tap_sent_from_here_hides_nothing(web: Any, signed_in: Any, own_site: Any) -> None:
    browser, user_id = await signed_in({"user-agent": PHONE})
    site = await own_site(user_id, consent_mode="required")
    await post(web, site)
    await browser.submit(f"/sites/{site.id}/install", f"/sites/{site.id}/install/test")
    assert finding(await state(browser, site)) == "no_consent"


def finding(html: str) -> str:
    found = re.search(r'class="verdict" data-level="\w+" data-finding="(\w+)"', html)
    assert found, html[:2000]
    return found[1]


async def state(browser: Browser, site: Any) -> str:
    answer = await browser.get(f"/sites/{site.id}/install/state")
    assert answer.status_code == 200
    return answer.text


# What it hands out.


@pytest.mark.parametrize("method", METHODS)
async def test_every_way_of_installing_has_its_page(desk: Any, method: str) -> None:
    browser, site = desk
    html = (await browser.get(f"/sites/{site.id}/install?method={method}")).text
    assert f'?method={method}" aria-current="true"' in html
    assert html.count("<li>") >= len(METHODS[method])
    if method != "wordpress":
        assert site.public_id in unescape(html.split('id="snippet">')[1].split("</code>")[0])


async def test_where_consent_is_required_every_snippet_waits_for_it(signed_in: Any, own_site: Any) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id, consent_mode="required")
    for method in ("html", "gtm", "proxy"):
        html = (await browser.get(f"/sites/{site.id}/install?method={method}")).text
        assert "data-consent" in html.split('id="snippet">')[1].split("</code>")[0], method


def test_a_snippet_escapes_what_it_is_given() -> None:
    assert snippets.plain('https://a"b', "<x>", "implied") == (
        '<script defer src="https://a&quot;b/assets/core.js" data-site-id="&lt;x&gt;"></script>'
    )


async def test_the_plugin_comes_with_server_and_site_filled_in(desk: Any) -> None:
    browser, site = desk
    answer = await browser.get(f"/sites/{site.id}/install/opsmantik-wordpress.zip")
    assert answer.headers["content-type"] == "application/zip"
    again = await browser.get(f"/sites/{site.id}/install/opsmantik-wordpress.zip")
    assert answer.content == again.content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        assert {"opsmantik/opsmantik.php", "opsmantik/readme.txt", "opsmantik/uninstall.php"} <= names
        defaults = archive.read("opsmantik/defaults.php").decode()
    assert f"'site' => '{site.public_id}'" in defaults
    assert "'server' => 'http://" in defaults


async def test_only_those_who_may_change_the_site_may_act(
    web: Any, signed_in: Any, own_site: Any, owner: Any
) -> None:
    _, user_id = await signed_in()
    site = await own_site(user_id)
    analyst, analyst_id = await signed_in()
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'analyst')", site.id, analyst_id
    )
    html = (await analyst.get(f"/sites/{site.id}/install")).text
    assert "Send a test tap" not in html
    token = await analyst.token("/account")
    for act in ("check", "test", "test/remove"):
        answer = await analyst.http.post(f"/sites/{site.id}/install/{act}", data={"form_token": token})
        assert answer.status_code == 403, act
    stranger, _ = await signed_in()
    assert (await stranger.get(f"/sites/{site.id}/install")).status_code == 404
    assert (await stranger.get(f"/sites/{site.id}/install/opsmantik-wordpress.zip")).status_code == 404


# What it sees.


async def test_a_new_installation_goes_from_nothing_to_fine(web: Any, desk: Any) -> None:
    browser, site = desk
    assert finding(await state(browser, site)) == "nothing"
    assert (await post(web, site)).status_code == 200
    html = await state(browser, site)
    assert finding(html) == "fine"
    assert "1.0.0" in html
    assert f"{ORIGIN}/" in html


async def test_a_refused_address_is_named_and_can_be_allowed_at_once(web: Any, desk: Any) -> None:
    browser, site = desk
    assert (await post(web, site, origin="https://other.example")).status_code == 403
    html = await state(browser, site)
    assert finding(html) == "wrong_origin"
    assert 'value="https://other.example"' in html
    answer = await browser.submit(
        f"/sites/{site.id}/install", f"/sites/{site.id}/settings/origins", origin="https://other.example"
    )
    assert answer.status_code == 303
    assert finding(await state(browser, site)) == "nothing"
    await web.app.collect.registry.refresh()
    assert (await post(web, site, origin="https://other.example")).status_code == 200
    assert finding(await state(browser, site)) == "fine"


async def test_an_address_under_a_star_is_no_stranger(web: Any, desk: Any) -> None:
    browser, site = desk
    await post(web, site, origin="https://a.b_c.example")
    assert finding(await state(browser, site)) == "wrong_origin"
    await browser.submit(
        f"/sites/{site.id}/settings/origins",
        f"/sites/{site.id}/settings/origins",
        origin="https://*.b_c.example",
    )
    assert finding(await state(browser, site)) == "nothing"


async def test_consent_that_is_required_and_not_given_is_said(
    web: Any, signed_in: Any, own_site: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id, consent_mode="required")
    await post(web, site)
    assert finding(await state(browser, site)) == "no_consent"
    await post(web, site, event={"consent": {"analytics": True, "marketing": True}})
    assert finding(await state(browser, site)) == "fine"


async def test_a_site_that_is_switched_off_says_so(web: Any, desk: Any, owner: Any) -> None:
    browser, site = desk
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", site.id)
    await web.app.collect.registry.refresh()
    await post(web, site)
    assert finding(await state(browser, site)) == "disabled"


async def test_a_program_alone_is_said_to_be_one(web: Any, desk: Any) -> None:
    browser, site = desk
    await post(web, site, agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    html = await state(browser, site)
    assert finding(html) == "nothing"
    assert 'data-finding="only_bots"' in html


async def test_the_first_generations_tracker_is_recognised(web: Any, desk: Any) -> None:
    browser, site = desk
    body = {
        "s": site.public_id, "u": f"{ORIGIN}/", "sid": str(uuid4()), "ec": "interaction", "ea": "view", "ev": None,
        "meta": {"fp": "x1"}, "url": f"{ORIGIN}/", "r": "",
    }  # fmt: skip
    answer = await web.browser().http.post(
        "/api/sync", content=json.dumps(body), headers={"user-agent": PHONE, "origin": ORIGIN}
    )
    assert answer.json()["ok"] is True
    html = await state(browser, site)
    assert finding(html) == "old_tracker"
    assert "first generation" in html


async def test_ads_without_click_ids_are_noticed(web: Any, desk: Any) -> None:
    browser, site = desk
    tagged = f"{ORIGIN}/?utm_source=google&utm_medium=cpc&utm_campaign=ist"
    for _ in range(5):
        await post(web, site, event={"url": tagged})
    assert finding(await state(browser, site)) == "no_click_ids"
    await post(web, site, event={"url": f"{tagged}&gclid=Cj0KCQiA{uuid4().hex}"})
    assert finding(await state(browser, site)) == "fine"


# Looking at a page.

RIGHT = '<head><script defer src="{base}/assets/core.js" data-site-id="{site}"></script></head>'
PAGES: dict[str, tuple[str, dict[str, str], str]] = {
    "right": (RIGHT, {}, "fine"),
    "without the script": ("<head></head>", {}, "no_tag"),
    "with Tag Manager": ("<script>x('GTM-ABCD123')</script>", {}, "tag_manager"),
    "with another site's": (RIGHT.replace("{site}", "f" * 32), {}, "other_site"),
    "with a policy against it": (RIGHT, {"content-security-policy": "script-src 'self'"}, "script_blocked"),
    "with a policy against sending": (RIGHT, {"content-security-policy": "connect-src 'none'"}, "events_blocked"),
}  # fmt: skip


@asynccontextmanager
async def serving(html: str, headers: dict[str, str], status: str = "200 OK") -> AsyncIterator[str]:
    """A page on loopback, to everybody who asks."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = html.encode()
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def look(browser: Browser, site: Any, address: str) -> tuple[str, str]:
    answer = await browser.submit(
        f"/sites/{site.id}/install", f"/sites/{site.id}/install/check", address=address
    )
    assert answer.status_code == 200
    found = re.search(r'data-found="(\w+)"', answer.text)
    assert found
    return found[1], answer.text


@pytest.mark.parametrize(("html", "headers", "found"), PAGES.values(), ids=PAGES.keys())
async def test_a_page_is_looked_at_as_a_stranger_would(
    web: Any, desk: Any, owner: Any, html: str, headers: dict[str, str], found: str
) -> None:
    browser, site = desk
    base = web.app._framework.state.settings.base_url
    async with serving(html.replace("{base}", base).replace("{site}", site.public_id), headers) as origin:
        await owner.execute("INSERT INTO site_origins (site_id, origin) VALUES ($1, $2)", site.id, origin)
        assert (await look(browser, site, f"{origin}/"))[0] == found


async def test_where_the_address_leads_is_said_and_no_further_than_the_site_is_followed(
    desk: Any, owner: Any
) -> None:
    browser, site = desk
    async with (
        serving("here", {}) as first,
        serving("", {"location": f"{first}/next"}, "301 Moved") as second,
    ):
        await owner.execute("INSERT INTO site_origins (site_id, origin) VALUES ($1, $2)", site.id, second)
        found, html = await look(browser, site, second)
        assert found == "elsewhere"
        assert f"{first}/next" in html
        await owner.execute("INSERT INTO site_origins (site_id, origin) VALUES ($1, $2)", site.id, first)
        found, html = await look(browser, site, second)
        assert found == "no_tag"
        assert f"{first}/next" in html


async def test_a_circle_ends(desk: Any, owner: Any) -> None:
    browser, site = desk
    async with serving("", {"location": "/"}, "302 Found") as origin:
        await owner.execute("INSERT INTO site_origins (site_id, origin) VALUES ($1, $2)", site.id, origin)
        assert (await look(browser, site, f"{origin}/"))[0] == "circle"


ADDRESSES = {
    "somebody else's": ("https://example.org/", "foreign"),
    "our own machine": ("http://127.0.0.1:1/", "foreign"),
    "one that only ends alike": ("https://evilshop.example/", "foreign"),
    "another port of the domain": ("https://shop.example:8443/", "foreign"),
    "with a password": ("https://a:b@shop.example/", "refused_unreadable"),
    "plain http": ("http://shop.example/", "refused_unresolved"),
    "a name that is not there": ("www.shop.example", "refused_unresolved"),
}


@pytest.mark.parametrize(("address", "found"), ADDRESSES.values(), ids=ADDRESSES.keys())
async def test_nothing_but_the_sites_own_pages_is_fetched(desk: Any, address: str, found: str) -> None:
    browser, site = desk
    assert (await look(browser, site, address))[0] == found


# Trying it out.


async def test_a_test_tap_comes_in_as_a_lead_that_is_never_exported_and_goes_without_a_trace(
    desk: Any, owner: Any
) -> None:
    browser, site = desk
    answer = await browser.submit(f"/sites/{site.id}/install", f"/sites/{site.id}/install/test")
    assert re.search(r"Your test lead arrived in \d\.\d+ s\.", answer.text), answer.text
    lead = await owner.fetchrow("SELECT * FROM calls WHERE site_id = $1", site.id)
    assert lead["click_id"].startswith(TEST_CLICK)
    html = await state(browser, site)
    assert '<span class="test-mark">Test</span>' in html
    assert finding(html) == "nothing"  # it proves nothing about the site's pages
    sealed = await browser.http.post(
        f"/api/v1/sites/{site.id}/intents/{lead['id']}/decisions",
        json={"action": "seal", "version": lead["version"], "amount": 100},
        headers={"accept": "application/json", "x-csrf-token": await browser.token("/account")},
    )
    assert sealed.status_code == 200, sealed.text
    row = await owner.fetchrow("SELECT state, reason FROM conversions WHERE site_id = $1", site.id)
    assert tuple(row) == ("skipped", "test_click")
    await post_real(owner, browser, site)
    gone = await browser.submit(f"/sites/{site.id}/install", f"/sites/{site.id}/install/test/remove")
    assert gone.headers["location"] == f"/sites/{site.id}/install?removed=1#try"
    assert "1 test removed." in (await browser.get(gone.headers["location"])).text
    for table, left in {
        "calls": 1,
        "sessions": 1,
        "events": 1,
        "conversions": 0,
        "intent_actions": 0,
    }.items():
        assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE site_id = $1", site.id) == left, (
            table
        )
    await owner.execute("SELECT fold_counters($1)", site.id)
    assert await owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", site.id) == []
    act = await owner.fetchrow("SELECT action, detail FROM site_acts WHERE site_id = $1", site.id)
    assert act["action"] == "install.remove_tests"
    again = await browser.submit(f"/sites/{site.id}/install", f"/sites/{site.id}/install/test/remove")
    assert again.headers["location"].endswith("removed=0#try")


async def post_real(owner: Any, browser: Browser, site: Any) -> None:
    """A customer's tap, which must stay."""
    event = {
        "id": str(uuid4()), "ts": int(time.time() * 1000), "sid": str(uuid4()), "cat": "conversion",
        "act": "phone_call", "label": "tel:+905321234567", "url": f"{ORIGIN}/?gclid=Cj0KCQiA{uuid4().hex}", "vid": "v1",
    }  # fmt: skip
    body = {"site": site.public_id, "sent": event["ts"], "v": "1.0.0", "events": [event]}
    answer = await browser.http.post(
        "/v1/events", content=json.dumps(body), headers={"origin": ORIGIN, "user-agent": PHONE}
    )
    assert answer.status_code == 200


async def test_a_test_tap_within_an_ordinary_visit_goes_and_the_visit_stays(
    web: Any, desk: Any, owner: Any
) -> None:
    browser, site = desk
    visit = str(uuid4())
    real = f"{ORIGIN}/?gclid=Cj0KCQiA{uuid4().hex}"
    await post(web, site, event={"sid": visit, "url": real, "vid": "v2"})
    tap = {"sid": visit, "vid": "v2", "cat": "conversion", "act": "phone_call", "label": "tel:+905321234567"}
    await post(web, site, event={**tap, "url": f"{ORIGIN}/?gclid={TEST_CLICK}abcdef"})
    await browser.submit(f"/sites/{site.id}/install", f"/sites/{site.id}/install/test/remove")
    assert await owner.fetchval("SELECT count(*) FROM calls WHERE site_id = $1", site.id) == 0
    row = await owner.fetchrow("SELECT gclid, intent_count FROM sessions WHERE site_id = $1", site.id)
    assert row["gclid"].startswith("Cj0")
    assert row["intent_count"] == 0


async def test_a_test_by_an_automatic_browser_says_that_it_was_left_out(
    signed_in: Any, own_site: Any
) -> None:
    browser, user_id = await signed_in({"user-agent": "curl/8.0"})
    site = await own_site(user_id)
    answer = await browser.submit(f"/sites/{site.id}/install", f"/sites/{site.id}/install/test")
    assert 'data-tested="bot"' in answer.text


async def test_a_test_on_a_site_that_is_off_says_so(web: Any, desk: Any, owner: Any) -> None:
    browser, site = desk
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", site.id)
    await web.app.collect.registry.refresh()
    answer = await browser.submit(f"/sites/{site.id}/install", f"/sites/{site.id}/install/test")
    assert 'data-tested="site_disabled"' in answer.text


async def test_the_site_is_opened_with_a_click_that_no_platform_takes(desk: Any) -> None:
    browser, site = desk
    html = unescape((await browser.get(f"/sites/{site.id}/install")).text)
    assert re.search(
        rf'href="https://shop\.example/\?gclid={TEST_CLICK}[0-9a-f]{{12}}&utm_source=opsmantik', html
    )
