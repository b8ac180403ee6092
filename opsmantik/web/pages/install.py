"""A site's installation: what to put where, whether it works, and trying it out.

What is said about it is worked out in dashboard/cards/install_state.py and sites/page_check.py; here are the addresses.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.cards import install_state
from opsmantik.errors import AddressRefused
from opsmantik.event import new_id
from opsmantik.outbound import CallFailed, Outbound
from opsmantik.people.capabilities import Capability
from opsmantik.sites import origins, page_check, snippets, trackers
from opsmantik.web import integrations
from opsmantik.web.api import READS
from opsmantik.web.guard import needs
from opsmantik.web.login import form_of
from opsmantik.web.pages.site_frame import may, site_of, site_page
from opsmantik.web.rendering import PageRequest

WRITES: Final = needs(Capability.WRITE)
PATH: Final = "/sites/{site_id:uuid}/install"
# Each way of installing, and how many steps it has.
METHODS: Final = {"html": "abc", "gtm": "abcde", "wordpress": "abcd", "proxy": "abcd", "earlier": "abc"}
LARGEST_PAGE: Final = 1_000_000
CHECK_SECONDS: Final = 12.0
MOST_HOPS: Final = 5
CHECKS_AT_ONCE: Final = asyncio.Semaphore(4)
# A number that no telephone network gives to anybody: 555-0100 to 0199 are for films.
TEST_NUMBER: Final = "tel:+12025550123"
TEST_CAMPAIGN: Final = {"utm_source": "opsmantik", "utm_medium": "test", "utm_campaign": "OpsMantik test"}


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a look at the page. ``found``: its words' name; ``landed``: where it was found, if elsewhere."""

    found: str
    address: str
    landed: str | None = None
    status: int | None = None
    check: page_check.PageCheck | None = None


class Tested(msgspec.Struct, frozen=True):
    """What came of a test tap: how long it took from the door until it was stored, or why it is none."""

    milliseconds: int
    lead_id: UUID | None
    reason: str | None


def method_of(request: PageRequest) -> str:
    """The way of installing that the address asks for."""
    asked = str(request.query_params.get("method", "html"))
    return asked if asked in METHODS else "html"


async def _answer(request: PageRequest, template: str = "install.html", **more: Any) -> Response[Any]:
    async with site_of(request) as (connection, site):
        state = await install_state.install_state(connection, site.id)
        tests = await install_state.test_visits(connection, site.id)
        pages = await _pages_of(connection, site)
    base_url, mode = request.app.state.settings.base_url, state.facts.consent_mode
    known: dict[str, Any] = {"checked": None, "tested": None, "removed": None, "address": pages[0]}
    return site_page(
        request, template, site, "settings", methods=METHODS, method=method_of(request), install=state,
        headline=state.findings[0], tests=tests, can_write=may(site, Capability.WRITE), base_url=base_url,
        plain=snippets.plain(base_url, site.public_id, mode),
        tag_manager=snippets.tag_manager(base_url, site.public_id, mode),
        first_party=snippets.first_party(site.public_id, mode), consent=snippets.consent(), asks=snippets.asks(mode),
        proxies={name: integrations.proxy(name, base_url, site.domain) for name in integrations.PROXIES},
        try_it=_test_address(pages[0]), **{**known, **more},
    )  # fmt: skip


def _part(request: PageRequest, part: str) -> str:
    """The template of the answer: the part alone for the page's own script, else the whole page."""
    return part if request.headers.get("hx-request") else "install.html"


async def _pages_of(connection: Any, site: AskedSite) -> list[str]:
    """Addresses of the site's home page, the likeliest first: where events come from, then its domain."""
    listed = [one for one in await origins.origins(connection, site.id) if "*" not in one.origin]
    seen = sorted((one for one in listed if one.last_seen_at), key=lambda one: one.last_seen_at, reverse=True)
    found = [f"{one.origin}/" for one in seen if one.origin != origins.NULL]
    return [
        *found,
        f"https://{site.domain}/",
        *(f"{one.origin}/" for one in listed if one.origin != origins.NULL),
    ]


def _test_address(page: str) -> str:
    """The site's page with a click id that no platform gives and none takes."""
    click = f"{install_state.TEST_CLICK}{secrets.token_hex(6)}"
    return f"{page}?{urlencode({'gclid': click, **TEST_CAMPAIGN})}"


@get(PATH, opt=READS)
async def show_install(request: PageRequest) -> Response[Any]:
    """The whole page."""
    removed = str(request.query_params.get("removed", ""))
    is_number = removed.isascii() and removed.isdecimal() and len(removed) < 6
    return await _answer(request, removed=int(removed) if is_number else None)


@get(f"{PATH}/state", opt=READS)
async def show_state(request: PageRequest) -> Response[Any]:
    """What is seen of the installation at this moment, alone: the page asks for it every two seconds."""
    return await _answer(request, "install_state.html")


@get(f"{PATH}/opsmantik-wordpress.zip", opt=READS)
async def download_plugin(request: PageRequest) -> Response[bytes]:
    """The plugin for WordPress with this site's values in it."""
    async with site_of(request) as (connection, site):
        state = await install_state.install_state(connection, site.id)
    packed = integrations.wordpress(
        request.app.state.settings.base_url,
        site.public_id,
        ask_consent=snippets.asks(state.facts.consent_mode),
    )
    return Response(
        packed, media_type="application/zip",
        headers={"content-disposition": 'attachment; filename="opsmantik-wordpress.zip"'},
    )  # fmt: skip


@post(f"{PATH}/check", opt=WRITES, status_code=200)
async def check_page(request: PageRequest) -> Response[Any]:
    """Look at the site's own page as a stranger would."""
    form = await form_of(request)
    async with site_of(request) as (connection, site):
        pages = await _pages_of(connection, site)
    address = form.get("address", "").strip()[: origins.LONGEST] or pages[0]
    if "://" not in address:
        address = f"https://{address}"
    checked = Checked(found="foreign", address=address)
    if _is_of_the_site(address, pages, site.domain):
        async with CHECKS_AT_ONCE:
            checked = await _look(
                request.app.state.outbound, address, pages, site, request.app.state.settings.base_url
            )
    return await _answer(request, _part(request, "install_check.html"), checked=checked, address=address)


def _is_of_the_site(address: str, pages: list[str], domain: str) -> bool:
    """Whether it lies on the site's domain, below it, or on an origin of its list: nothing else is fetched for it."""
    try:
        asked = urlsplit(address)
        host = (asked.hostname or "").lower()
        own = any(urlsplit(page)[:2] == (asked.scheme, asked.netloc.lower()) for page in pages)
        return own or ((host == domain or host.endswith(f".{domain}")) and asked.port in (None, 443))
    except ValueError:
        return False


async def _look(
    outbound: Outbound, address: str, pages: list[str], site: AskedSite, base_url: str
) -> Checked:
    """Fetch it, follow where it leads on the site itself, and read what is there."""
    here = address
    headers = {"user-agent": "OpsMantik install check", "accept": "text/html"}
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            for _ in range(MOST_HOPS):
                page = await outbound.read_page(here, headers, LARGEST_PAGE)
                if page.status not in (301, 302, 303, 307, 308) or "location" not in page.headers:
                    return _read(page.body, page.headers, page.status, address, here, site, base_url)
                here = urljoin(here, page.headers["location"])
                if not _is_of_the_site(here, pages, site.domain):
                    return Checked(found="elsewhere", address=address, landed=here[: origins.LONGEST])
    except AddressRefused as refused:
        kind = str(refused.details["kind"])
        known = kind if kind in ("scheme", "unresolved", "private") else "unreadable"
        return Checked(found=f"refused_{known}", address=address, landed=here if here != address else None)
    except (CallFailed, TimeoutError, ValueError):
        return Checked(found="no_answer", address=address, landed=here if here != address else None)
    return Checked(found="circle", address=address, landed=here)


def _read(
    body: bytes, headers: Any, status: int, address: str, here: str, site: AskedSite, base_url: str
) -> Checked:
    check = page_check.check_page(body.decode("utf-8", "replace"), here, headers, site.public_id, base_url)
    found = check.problem or "fine"
    if found == "no_tag" and status != 200:
        found = "bad_status"
    elif found == "no_tag" and check.tag_manager:
        found = "tag_manager"
    landed = here if here != address else None
    return Checked(found=found, address=address, landed=landed, status=status, check=check)


@post(f"{PATH}/test", opt=WRITES, status_code=200)
async def send_test(request: PageRequest) -> Response[Any]:
    """A tap that everybody can see is a test, through the door that every tap comes through."""
    async with site_of(request) as (connection, site):
        pages = await _pages_of(connection, site)
    event_id, click = new_id(), f"{install_state.TEST_SENT}{secrets.token_hex(6)}"
    now = int(time.time() * 1000)
    event = {
        "id": str(event_id), "ts": now, "sid": str(new_id()), "cat": "conversion", "act": "phone_call",
        "label": TEST_NUMBER, "url": f"{pages[0]}?{urlencode({'gclid': click, **TEST_CAMPAIGN})}",
        # Whoever presses the button is the visitor, and agrees.
        "consent": {"analytics": True, "marketing": True},
    }  # fmt: skip
    body = {"site": site.public_id, "sent": now, "v": trackers.TRACKER, "events": [event]}
    began = time.perf_counter()
    status, answer = await _through_the_door(request, msgspec.json.encode(body))
    milliseconds = round((time.perf_counter() - began) * 1000)
    async with site_of(request) as (connection, site):
        lead_id = await install_state.lead_of_event(connection, site.id, event_id)
    reason = None if lead_id else _why_not(status, answer)
    return await _answer(
        request, _part(request, "install_test.html"), tested=Tested(milliseconds, lead_id, reason)
    )


def _why_not(status: int, answer: bytes) -> str:
    """By the door's own word; a browser that it takes for a bot is told nothing, so that is what is left."""
    try:
        said = msgspec.json.decode(answer)
        reason = said["results"][0].get("reason") if "results" in said else said.get("code")
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError, AttributeError):
        reason = None
    if reason in ("site_disabled", "over_quota", "rate_limited", "unavailable"):
        return str(reason)
    return "bot" if status == 200 else "refused"


async def _through_the_door(request: PageRequest, body: bytes) -> tuple[int, bytes]:
    """One body through the ingest door of this process; status and answer. From the asker's own address and browser."""
    passed = ("user-agent", "x-forwarded-for")
    headers = [
        (name.encode(), request.headers[name].encode("latin-1", "replace"))
        for name in passed
        if name in request.headers
    ]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/events", "client": request.scope.get("client"),
        "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), *headers],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await request.app.state.collect(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@post(f"{PATH}/test/remove", opt=WRITES)
async def remove_tests(request: PageRequest) -> Response[Any]:
    """Remove every test visit of the last seven days, with its lead."""
    async with site_of(request, write=True) as (connection, site):
        count = await install_state.remove_test_visits(connection, site.id, new_id())
    if count:
        request.app.state.collect.notices.changed(site.id, True)
    return Redirect(f"/sites/{site.id}/install?removed={count}#try", status_code=303)


HANDLERS: Final = [show_install, show_state, download_plugin, check_page, send_test, remove_tests]
