"""Connecting a site with Google: the whole way by its consent page and token endpoint, and what goes wrong on it."""

from __future__ import annotations

import html
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from opsmantik.conversions import store
from opsmantik.conversions.google_auth import read_service_account
from opsmantik.db.connect import Asker
from opsmantik.people import credentials
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.upkeep.grants import PROVIDER
from opsmantik.web.language import catalogue
from opsmantik.web.pages import connect_google
from tests.conversions.google import consent
from tests.conversions.google.google_ads_server import GoogleAdsServer
from tests.conversions.google.server import Fault, Server
from tests.conversions.google.tokens import ADWORDS, DATA_MANAGER, Tokens
from tests.web.browsing import Browser, Running, running

pytestmark = pytest.mark.slow

EN = catalogue("en")
ADS_TO = {"customer_id": "1234567890", "action_id": "987654321"}


class Google(NamedTuple):
    server: Server
    tokens: Tokens
    ads: GoogleAdsServer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def google() -> AsyncIterator[Google]:
    tokens = Tokens()
    ads = GoogleAdsServer(tokens)
    ads.account()
    async with Server(tokens.handle, ads.handle) as server:
        yield Google(server, tokens, ads)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(
    database: Any, tmp_path_factory: pytest.TempPathFactory, google: Google
) -> AsyncIterator[Running]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = {
        "google_client_id": google.tokens.client_id, "google_client_secret": google.tokens.client_secret,
        "google_auth_url": f"{google.server.url}/auth", "google_token_url": f"{google.server.url}/token",
        "google_revoke_url": f"{google.server.url}/revoke", "google_ads_url": google.server.url,
        "webhook_networks": (ipaddress.ip_network("127.0.0.0/8"),),
    }  # fmt: skip
    async with running(database.app, tmp_path_factory.mktemp("home"), port=port, **settings) as found:
        yield found


class House:
    """A site whose conversions go to Google, and somebody who may connect it."""

    def __init__(self, web: Running, google: Google, browser: Browser, person: UUID, site: Any) -> None:
        self.web, self.google, self.browser, self.person, self.site = web, google, browser, person, site
        self.state = web.app._framework.state
        self.begin = f"/connect/google/{site.id}"
        self.settings = f"/sites/{site.id}/settings/conversions"

    @property
    def who(self) -> Asker:
        return Asker(self.person, roles_with(Capability.EXPORT))

    async def route(self, adapter: Any = "google_ads", site: UUID | None = None) -> None:
        async with self.state.database.as_person(self.who, write=True) as (connection, _):
            await store.set_route(connection, site or self.site.id, adapter, ADS_TO, with_hashes=False)

    async def leave(self, browser: Browser | None = None, begin: str | None = None) -> str:
        """Press the button: the address at Google."""
        answer = await (browser or self.browser).get(begin or self.begin)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def come_back(self, address: str, browser: Browser | None = None) -> httpx.Response:
        assert address.startswith(f"{self.web.base_url}/connect/google/callback?"), address
        return await (browser or self.browser).get(address.removeprefix(self.web.base_url))

    async def connect(self, **more: Any) -> httpx.Response:
        return await self.come_back(consent.agree(self.google.tokens, await self.leave(), **more))

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.browser.submit("/account", f"{self.begin}/{path}", **fields)

    async def secret(self, site: UUID | None = None) -> tuple[Any, UUID | None]:
        async with self.state.database.as_person(self.who) as (connection, _):
            return await store.secret(connection, site or self.site.id)

    async def tokens(self) -> Any:
        return await credentials.read(self.state.database, self.state.keyring, self.who, PROVIDER)


@pytest.fixture
def house(web: Running, google: Google, signed_in: Any, own_site: Any) -> Callable[..., Awaitable[House]]:
    async def make(adapter: Any = "google_ads") -> House:
        google.server.faults.clear()
        google.tokens.answer = None
        browser, person = await signed_in()
        found = House(web, google, browser, person, await own_site(person))
        if adapter:
            await found.route(adapter)
        return found

    return make


def says(answer: httpx.Response, reason: str) -> bool:
    return EN[f"connect.refused_{reason}"] in html.unescape(answer.text)


# The way there and back.


async def test_the_whole_way(house: Any) -> None:
    one = await house()
    address = await one.leave()
    asked = consent.asked(address)
    assert address.startswith(f"{one.google.server.url}/auth?")
    assert asked["redirect_uri"] == f"{one.web.base_url}/connect/google/callback"
    assert asked["access_type"] == "offline" and asked["prompt"] == "consent"
    assert set(asked["scope"].split()) == {ADWORDS, DATA_MANAGER} and len(asked["state"]) >= 43
    assert one.google.tokens.client_secret not in address
    answer = await one.come_back(consent.agree(one.google.tokens, address))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{one.settings}?google=connected")
    assert await one.secret() == (None, one.person)
    kept = await one.tokens()
    assert kept.refresh in one.google.tokens.refreshes and kept.access in one.google.tokens.accesses
    hour = datetime.now(UTC) + timedelta(hours=1)
    assert abs(kept.expires_at - hour) < timedelta(minutes=1)


async def test_what_is_kept_opens_the_platform(house: Any) -> None:
    one = await house()
    await one.connect()
    token = await one.state.grants.of(one.site.id, *await one.secret()).token()
    assert one.google.tokens.accesses[token].scopes >= {ADWORDS}


async def test_the_cookie_is_sealed_and_short_lived(house: Any) -> None:
    one = await house()
    answer = await one.browser.get(one.begin)
    state = parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith("opsmantik-google=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "path=/", "samesite=lax", "max-age=600"} <= attributes
    assert state not in cookie and str(one.site.id) not in cookie


# What goes wrong.


async def test_whoever_stops_at_google_has_changed_nothing(house: Any) -> None:
    one = await house()
    answer = await one.come_back(consent.decline(await one.leave()))
    assert answer.status_code == 403 and says(answer, "denied")
    assert await one.secret() == (None, None) and await one.tokens() is None


@pytest.mark.parametrize(("adapter", "scope"), [("google_ads", ADWORDS), ("data_manager", DATA_MANAGER)])
async def test_a_box_that_was_not_ticked_is_told(house: Any, adapter: str, scope: str) -> None:
    one = await house(adapter)
    answer = await one.connect(untick=(scope,))
    assert answer.status_code == 403 and says(answer, "scope")
    assert await one.secret() == (None, None)


async def test_the_other_box_is_not_needed(house: Any) -> None:
    one = await house("google_ads")
    assert (await one.connect(untick=(DATA_MANAGER,))).status_code == 303


async def test_an_answer_is_good_once_and_only_here(house: Any) -> None:
    one, other = await house(), await house()
    address = consent.agree(one.google.tokens, await one.leave())
    stolen = await one.come_back(address, other.browser)
    assert stolen.status_code == 400 and says(stolen, "state")
    kept = one.browser.http.cookies.get("opsmantik-google")
    assert (await one.come_back(address)).status_code == 303
    again = await one.come_back(address)
    assert again.status_code == 400 and says(again, "state"), "the cookie went with the answer"
    one.browser.http.cookies.set("opsmantik-google", kept, domain="127.0.0.1")
    again = await one.come_back(address)
    assert again.status_code == 400 and says(again, "state"), (
        "whoever kept the cookie has no second try either"
    )


STATES: dict[str, Callable[[str], str]] = {
    "another state": lambda a: a.replace("state=", "state=x"),
    "none": lambda a: a.replace("state=", "st="),
    "twice": lambda a: a.replace("?", "?state=x&"),
}


@pytest.mark.parametrize("change", STATES.values(), ids=STATES.keys())
async def test_an_answer_that_was_changed_is_none(house: Any, change: Callable[[str], str]) -> None:
    one = await house()
    address = consent.agree(one.google.tokens, await one.leave())
    answer = await one.come_back(change(address))
    assert answer.status_code == 400 and says(answer, "state")
    assert (await one.come_back(address)).status_code == 303, "what was begun may still come back"


async def test_somebody_else_who_signed_in_meanwhile_connects_nothing(house: Any, make_person: Any) -> None:
    one = await house()
    address = consent.agree(one.google.tokens, await one.leave())
    _, email = await make_person()
    await one.browser.submit("/account", "/sign-out")
    await one.browser.sign_in(email)
    answer = await one.come_back(address)
    assert answer.status_code == 409 and says(answer, "other_person")
    assert await one.secret() == (None, None)


LOST = {
    "made an operator": "UPDATE site_members SET role = 'operator' WHERE site_id = $1",
    "handed over": "DELETE FROM site_members WHERE site_id = $1",
}


@pytest.mark.parametrize("sql", LOST.values(), ids=LOST.keys())
async def test_whoever_lost_the_site_meanwhile_connects_nothing(
    house: Any, owner: Any, make_site: Any, sql: str
) -> None:
    one = await house()
    address = consent.agree(one.google.tokens, await one.leave())
    stranger = (await make_site()).user_id
    await owner.execute("UPDATE sites SET user_id = $2 WHERE id = $1", one.site.id, stranger)
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'admin')", one.site.id, one.person
    )
    await owner.execute(sql, one.site.id)
    answer = await one.come_back(address)
    assert answer.status_code in (403, 404)
    assert await one.tokens() is None
    found = await owner.fetchval("SELECT connected_by FROM conversion_routes WHERE site_id = $1", one.site.id)
    assert found is None


ANSWERS: dict[str, tuple[Any, int, str]] = {
    "it does not answer": (Fault("status", 503), 502, "unreachable"),
    "it refuses the code": (Fault("status", 400, body={"error": "invalid_grant"}), 403, "refused"),
    "it gives no refresh token": (
        Fault(
            "status", 200,
            body={"access_token": "ya29.x", "expires_in": 3599, "scope": f"{ADWORDS} {DATA_MANAGER}"},
        ),
        403, "no_refresh",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "status", "reason"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_what_the_token_endpoint_says(house: Any, fault: Fault, status: int, reason: str) -> None:
    one = await house()
    address = consent.agree(one.google.tokens, await one.leave())
    one.google.server.faults.append(fault)
    answer = await one.come_back(address)
    assert answer.status_code == status and says(answer, reason)
    assert await one.tokens() is None


@pytest.mark.parametrize("adapter", [None, "file"])
async def test_a_site_whose_conversions_do_not_go_there_is_not_connected(house: Any, adapter: Any) -> None:
    one = await house(adapter)
    assert await one.leave() == f"{one.settings}?google=choose_first"


async def test_the_destination_that_changed_meanwhile_is_not_connected(house: Any) -> None:
    one = await house()
    address = consent.agree(one.google.tokens, await one.leave())
    await one.route("file")
    answer = await one.come_back(address)
    assert answer.status_code == 409 and says(answer, "site")


async def test_nothing_secret_is_in_the_log_of_acts(house: Any, owner: Any) -> None:
    one = await house()
    await one.connect()
    acts = "SELECT a::text AS text FROM site_acts a UNION ALL SELECT p::text FROM platform_acts p"
    lines = [row["text"] for row in await owner.fetch(acts)]
    assert any("conversions.connect" in line for line in lines)
    kept = await one.tokens()
    assert not any(kept.refresh in line or kept.access in line for line in lines)


# The end of it.


async def test_disconnecting_ends_it_here_and_at_google(house: Any) -> None:
    one = await house()
    await one.connect()
    kept = await one.tokens()
    answer = await one.post("disconnect")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{one.settings}?google=disconnected")
    assert await one.secret() == (None, None) and await one.tokens() is None
    assert kept.refresh not in one.google.tokens.refreshes


async def test_another_site_that_uses_it_keeps_it(house: Any, own_site: Any) -> None:
    one = await house()
    other = await own_site(one.person)
    await one.route(site=other.id)
    await one.connect()
    await one.come_back(
        consent.agree(one.google.tokens, await one.leave(begin=f"/connect/google/{other.id}"))
    )
    await one.post("disconnect")
    assert await one.secret() == (None, None) and await one.secret(other.id) == (None, one.person)
    kept = await one.tokens()
    assert kept is not None and kept.refresh in one.google.tokens.refreshes


async def test_where_google_cannot_be_told_that_is_said(house: Any) -> None:
    one = await house()
    await one.connect()
    one.google.server.faults.append(Fault("status", 503))
    answer = await one.post("disconnect")
    assert answer.headers["location"] == f"{one.settings}?google=not_revoked"
    assert await one.tokens() is None


async def test_another_s_connection_is_taken_off_the_site_and_stays_theirs(house: Any, owner: Any) -> None:
    one, other = await house(), await house()
    await one.connect()
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'admin')",
        one.site.id,
        other.person,
    )
    answer = await other.browser.submit("/account", f"{one.begin}/disconnect")
    assert answer.headers["location"] == f"{one.settings}?google=disconnected"
    assert await one.secret() == (None, None)
    kept = await one.tokens()
    assert kept is not None and kept.refresh in one.google.tokens.refreshes


# Service accounts.


async def test_a_service_account_takes_the_place_of_a_connection(house: Any, owner: Any) -> None:
    one = await house()
    await one.connect()
    text = one.google.tokens.service_account(url=one.google.server.url)
    answer = await one.post("service-account", key=text)
    assert answer.headers["location"] == f"{one.settings}?google=key_kept"
    sealed, person = await one.secret()
    assert person is None
    kept = one.state.keyring.open(sealed, store.SECRET, one.site.id).decode()
    assert read_service_account(kept) == read_service_account(text) and "token_uri" not in kept
    row = await owner.fetchval("SELECT r::text FROM conversion_routes r WHERE site_id = $1", one.site.id)
    assert b"PRIVATE" not in sealed.data and "PRIVATE" not in row
    assert await one.state.grants.of(one.site.id, sealed, None).token() in one.google.tokens.accesses
    await one.post("disconnect")
    assert await one.secret() == (None, None)


@pytest.mark.parametrize(
    ("text", "notice"),
    [("no JSON", "key_unreadable"), ('{"type": "authorized_user"}', "key_of_another_type")],
)
async def test_what_is_no_key_changes_nothing(house: Any, text: str, notice: str) -> None:
    one = await house()
    await one.connect()
    answer = await one.post("service-account", key=text)
    assert answer.headers["location"] == f"{one.settings}?google={notice}"
    assert await one.secret() == (None, one.person)


async def test_a_confirmation_that_is_long_ago_is_asked_for_again(house: Any, owner: Any) -> None:
    one = await house()
    await owner.execute(
        "UPDATE sign_ins SET confirmed_at = now() - interval '1 hour' WHERE user_id = $1", one.person
    )
    assert (await one.leave()).startswith("/confirm")
    answer = await one.post("service-account", key=one.google.tokens.service_account(url="https://x"))
    assert answer.headers["location"].startswith("/confirm")
    assert await one.secret() == (None, None)


async def test_an_installation_without_a_client_connects_nobody(house: Any) -> None:
    one = await house()
    client = one.state.platforms.auth._client
    one.state.platforms.auth._client = type(client)(None, None, client.token_url, client.revoke_url)
    try:
        assert await one.leave() == f"{one.settings}?google=choose_first"
    finally:
        one.state.platforms.auth._client = client


# What the settings show.


async def shown(one: House, query: str = "") -> str:
    answer = await one.browser.get(f"{one.settings}{query}")
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


async def found_at(one: House) -> str:
    answer = await one.browser.submit("/account", f"{one.settings}/check")
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


async def test_how_a_site_is_connected_is_shown_to_those_who_may(
    house: Any, owner: Any, signed_in: Any
) -> None:
    one = await house()
    assert EN["connect.way_none"] in await shown(one) and f'href="{one.begin}"' in await shown(one)
    await one.connect()
    assert EN["connect.way_mine"] in await shown(one)
    other, person = await signed_in()
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'admin')", one.site.id, person
    )
    theirs = html.unescape((await other.get(one.settings)).text)
    assert EN["connect.way_person"].format(name="Ayşe") in theirs
    await one.post("service-account", key=one.google.tokens.service_account("om@p.example", url="https://x"))
    said = await shown(one)
    assert EN["connect.way_service_account"].format(name="om@p.example") in said and "PRIVATE" not in said
    await owner.execute(
        "UPDATE conversion_routes SET key_id = 'ffffffffffff' WHERE site_id = $1", one.site.id
    )
    assert EN["connect.way_broken"] in await shown(one)
    await owner.execute("UPDATE site_members SET role = 'operator' WHERE user_id = $1", person)
    assert (await other.get(one.settings)).status_code == 403


@pytest.mark.parametrize("notice", connect_google.NOTICES)
async def test_what_has_just_happened_is_said(house: Any, notice: str) -> None:
    one = await house()
    assert EN[f"connect.notice_{notice}"] in await shown(one, query=f"?google={notice}")


async def test_nothing_else_is_said(house: Any) -> None:
    one = await house()
    assert 'role="alert"' not in await shown(one, query="?google=refused_state")


async def test_the_connection_test_says_what_is_there_and_what_is_missing(house: Any) -> None:
    one = await house()
    account = one.google.ads.account()
    said = await found_at(one)
    assert EN["connect.help_connected"] in said and "not_connected" in said
    await one.connect()
    said = await found_at(one)
    assert EN["connect.missing"] not in said and EN["connect.finding_allow_listed"] in said
    assert EN["connect.finding_enhanced_conversions"] not in said, "the site sends no hashes"
    account.is_allow_listed = False
    account.has_terms = False
    said = await found_at(one)
    assert EN["connect.help_allow_listed"] in said and EN["connect.help_data_terms"] not in said
    assert not account.held


async def test_what_a_person_carries_is_not_tested(house: Any) -> None:
    one = await house("file")
    assert (await one.browser.submit("/account", f"{one.settings}/check")).status_code == 404
