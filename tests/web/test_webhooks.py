"""Webhooks in the settings and over the API: who may, what is refused, and that a message goes out by itself."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.shapes import check
from tests.web.browsing import Browser, running
from tests.web.test_pages import visit
from tests.web.world import Programs, World
from tests.webhooks.receiver import Receiver, receiving

pytestmark = pytest.mark.slow

EVENTS = ["lead.created", "lead.decided", "conversion.state_changed"]
TICKED = dict.fromkeys(EVENTS, "on")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(database: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """The application, to which webhooks on loopback are allowed."""
    networks = (ipaddress.ip_network("127.0.0.0/8"),)
    async with running(database.app, tmp_path_factory.mktemp("home"), webhook_networks=networks) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


class Desk:
    """Somebody at a site of their own, with a browser and with programs."""

    def __init__(self, browser: Browser, world: World) -> None:
        self.browser = browser
        self.programs = Programs(browser)
        self.world = world
        self.api = f"{world.path}/webhooks"
        self.page = f"/sites/{world.site.id}/settings/webhooks"

    async def made(self, url: str, **more: Any) -> tuple[str, str]:
        """The id and the secret of a new webhook."""
        answer = await self.programs.post(self.api, {"url": url, "events": EVENTS, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["webhook"]["id"], answer.json()["secret"]


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> Desk:
    browser, user_id = await signed_in()
    return Desk(browser, await make_world(user_id))


async def until(seen: Any) -> None:
    """Wait until this is so."""
    end = time.monotonic() + 8
    while not seen():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_decision_is_told_within_a_moment_and_by_itself(desk: Desk, receiver: Receiver) -> None:
    _, secret = await desk.made(receiver.url, with_phone=True)
    lead = desk.world.ids["waiting"]
    path = f"{desk.world.path}/intents/{lead}/decisions"
    assert (
        await desk.programs.post(path, {"action": "seal", "version": 1, "amount": 1250.5})
    ).status_code == 200
    await until(lambda: len(receiver.messages) == 2)
    told = {message.json["type"]: message.verified_with(secret)["data"] for message in receiver.messages}
    assert set(told) == {"lead.decided", "conversion.state_changed"}
    assert (
        told["lead.decided"]["amount"] == 1250.5 and told["lead.decided"]["phone_number"] == "+905321234567"
    )
    link = told["lead.decided"]["links"]["lead"]
    answer = await desk.programs.get(link[link.index("/api/") :])
    assert answer.json()["intent"]["id"] == str(lead)


@pytest.mark.slow
async def test_a_new_lead_is_told_with_its_score(desk: Desk, receiver: Receiver) -> None:
    await desk.world.insert("site_origins", {"site_id": desk.world.site.id, "origin": "https://shop.example"})
    await desk.world.web.app.collect.registry.refresh()
    await desk.made(receiver.url)
    await visit(desk.world.web, desk.world.site, tap="tel:+905321112233", query="?gclid=Cj0KCQiA-77")
    await until(lambda: receiver.messages)
    data = receiver.messages[0].json["data"]
    assert (receiver.types[0], data["click_id_kind"]) == ("lead.created", "gclid")
    assert data["score"] > 0 and "phone_number" not in data


# Over the API.


@pytest.mark.slow
async def test_a_webhook_over_the_api_from_making_to_removing(
    desk: Desk, receiver: Receiver, owner: Any
) -> None:
    programs, api = desk.programs, desk.api
    made = await programs.post(
        api, {"url": receiver.url, "events": ["lead.decided", "lead.created", "lead.created"]}
    )
    assert made.status_code == 201
    check(made.json(), "webhook_made")
    webhook = made.json()["webhook"]
    assert webhook["events"] == ["lead.created", "lead.decided"] and webhook["off_reason"] is None
    listed = (await programs.get(api)).json()
    check(listed, "webhooks")
    assert [one["id"] for one in listed["webhooks"]] == [webhook["id"]] and "secret" not in str(listed)
    one = f"{api}/{webhook['id']}"
    paused = await programs.post(one, {"is_on": False, "with_phone": True}, method="PATCH")
    assert (paused.json()["off_reason"], paused.json()["with_phone"]) == ("paused", True)
    assert (await programs.post(f"{one}/test")).status_code == 422
    assert (await programs.post(one, {"is_on": True}, method="PATCH")).json()["off_reason"] is None
    rotated = await programs.post(f"{one}/rotate")
    assert rotated.json()["secret"].startswith("whsec_") and rotated.json()["secret"] != made.json()["secret"]
    assert (await programs.post(f"{one}/retire")).json()["rotating_since"] is None
    assert (await programs.post(f"{one}/retire")).status_code == 422
    sent = await programs.post(f"{one}/test")
    await until(lambda: receiver.messages)
    receiver.messages[0].verified_with(rotated.json()["secret"])
    log = (await programs.get(f"{one}/deliveries")).json()
    check(log, "webhook_deliveries")
    assert [row["id"] for row in log["deliveries"]] == [sent.json()["delivery_id"]]
    assert log["deliveries"][0]["event_id"] == receiver.messages[0].id
    delivery = f"{one}/deliveries/{sent.json()['delivery_id']}"
    assert (await programs.get(delivery)).json()["payload"]["type"] == "webhook.test"
    assert (await programs.post(f"{delivery}/replay")).status_code == 200
    await until(lambda: len(receiver.messages) == 2)
    assert receiver.messages[0].id == receiver.messages[1].id
    assert (await programs.post(one, method="DELETE")).status_code == 204
    assert (await programs.get(api)).json() == {"webhooks": []}
    assert (await programs.post(one, method="DELETE")).status_code == 404
    acts = await owner.fetch(
        "SELECT action FROM site_acts WHERE site_id = $1 ORDER BY at, id", desk.world.site.id
    )
    assert {act["action"].removeprefix("webhooks.") for act in acts} == {
        "add", "change", "rotate_secret", "retire_secret", "test", "replay", "remove",
    }  # fmt: skip


async def test_the_log_is_read_by_the_page(desk: Desk, owner: Any) -> None:
    webhook_id, _ = await desk.made("https://93.184.215.14/x")
    await owner.execute("UPDATE webhooks SET off_reason = 'paused' WHERE id = $1", webhook_id)
    for n in range(5):
        await owner.execute(
            "INSERT INTO webhook_deliveries (site_id, id, webhook_id, event_id, type, payload, created_at, state)"
            " VALUES ($1, $2, $3, $2, 'webhook.test', $4, now() - make_interval(mins => $5), 'given_up')",
            desk.world.site.id, uuid4(), webhook_id, {"type": "webhook.test", "data": {"n": n}}, n // 2,
        )  # fmt: skip
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": "2", "state": "given_up"} | ({"cursor": cursor} if cursor else {})
        answer = (await desk.programs.get(f"{desk.api}/{webhook_id}/deliveries", params)).json()
        seen += [row["id"] for row in answer["deliveries"]]
        cursor = answer["next_cursor"]
    assert len(seen) == len(set(seen)) == 5 and cursor is None
    path = f"{desk.api}/{webhook_id}/deliveries"
    assert (await desk.programs.get(path, {"state": "delivered"})).json()["deliveries"] == []
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"cursor": "x"}, {"state": "lost"}):
        assert (await desk.programs.get(path, wrong)).status_code == 400, wrong


# An address, and the kind of problem that the screen says.
BAD: dict[str, tuple[str, str]] = {
    "a cloud's own": ("https://169.254.169.254/latest/meta-data/", "not public"),
    "loopback in disguise": ("https://[::ffff:127.0.0.1]/", "not public"),
    "private": ("https://10.0.0.1/", "not public"),
    "6to4": ("https://[2002:7f00:1::]/", "not public"),
    "plain http": ("http://93.184.215.14/", "https://"),
    "a mail server": ("https://93.184.215.14:25/", "443 and 8443"),
    "with a password": ("https://me:secret@93.184.215.14/", "do not belong"),
    "no address": ("hooks", "https://example.com/path"),
}


@pytest.mark.parametrize(("url", "words"), BAD.values(), ids=BAD.keys())
async def test_an_address_that_must_not_be_called_is_not_kept(desk: Desk, url: str, words: str) -> None:
    answer = await desk.programs.post(desk.api, {"url": url, "events": EVENTS})
    assert (answer.status_code, answer.json()["code"]) == (422, "address_refused")
    page = await desk.browser.submit(desk.page, desk.page, url=url, **TICKED)
    assert page.status_code == 422
    assert re.search(rf'id="url-problem" role="alert">[^<]*{re.escape(words)}', page.text), page.text
    assert (await desk.programs.get(desk.api)).json() == {"webhooks": []}
    webhook_id, _ = await desk.made("https://93.184.215.14/x")
    changed = await desk.programs.post(f"{desk.api}/{webhook_id}", {"url": url}, method="PATCH")
    assert changed.status_code == 422
    one = f"{desk.page}/{webhook_id}"
    assert (await desk.browser.submit(one, one, url=url, **TICKED)).status_code == 422
    assert (await desk.programs.get(desk.api)).json()["webhooks"][0]["url"] == "https://93.184.215.14/x"


@pytest.mark.parametrize(
    ("body", "status"),
    [({"url": "https://93.184.215.14/"}, 400), ({"url": "https://93.184.215.14/", "events": []}, 422),
     ({"url": "https://93.184.215.14/", "events": ["lead.sold"]}, 422), ({"events": EVENTS}, 400),
     ({"url": "https://93.184.215.14/", "events": EVENTS, "colour": "red"}, 400), (b"{", 400), (b"[]", 400)],
)  # fmt: skip
async def test_a_body_that_makes_no_sense_is_refused(desk: Desk, body: Any, status: int) -> None:
    assert (await desk.programs.post(desk.api, body)).status_code == status


async def test_a_site_has_so_many_webhooks_and_no_more(desk: Desk) -> None:
    for _ in range(20):
        await desk.made("https://93.184.215.14/x")
    answer = await desk.programs.post(desk.api, {"url": "https://93.184.215.14/x", "events": EVENTS})
    assert answer.status_code == 422
    assert "Add a webhook" not in (await desk.browser.get(desk.page)).text


ROLES = {"admin": 200, "operator": 403, "analyst": 403, None: 404}


@pytest.mark.parametrize(("role", "status"), ROLES.items(), ids=str)
async def test_webhooks_are_for_those_who_change_settings(
    desk: Desk, signed_in: Any, role: str | None, status: int
) -> None:
    webhook_id, _ = await desk.made("https://93.184.215.14/x")
    browser, user_id = await signed_in()
    if role:
        await desk.world.member(user_id, role)
    programs, one = Programs(browser), f"{desk.api}/{webhook_id}"
    assert (await programs.get(desk.api)).status_code == status
    assert (await programs.get(f"{one}/deliveries")).status_code == status
    assert (await browser.get(desk.page)).status_code == status
    assert (await browser.get(f"{desk.page}/{webhook_id}")).status_code == status
    tries = [
        (one, {"with_phone": True}, "PATCH"), (f"{one}/rotate", None, "POST"), (f"{one}/test", None, "POST"),
        (f"{one}/retire", None, "POST"), (one, None, "DELETE"),
    ]  # fmt: skip
    for path, body, method in tries if status != 200 else ():
        assert (await programs.post(path, body, method=method)).status_code == status, (path, method)
        assert (await desk.programs.get(desk.api)).json()["webhooks"][0]["with_phone"] is False


async def test_another_site_s_webhook_is_not_there(desk: Desk, signed_in: Any, make_world: Any) -> None:
    browser, user_id = await signed_in()
    other = Desk(browser, await make_world(user_id, empty=True))
    webhook_id, _ = await other.made("https://93.184.215.14/x")
    for path, method in ((f"{desk.api}/{webhook_id}", "PATCH"), (f"{desk.api}/{webhook_id}/rotate", "POST"),
                         (f"{desk.api}/{webhook_id}/test", "POST"), (f"{desk.api}/{webhook_id}", "DELETE")):  # fmt: skip
        assert (await desk.programs.post(path, {}, method=method)).status_code == 404, path
    assert (await desk.programs.get(f"{desk.api}/{webhook_id}/deliveries")).status_code == 404
    assert (await desk.browser.get(f"{desk.page}/{webhook_id}")).status_code == 404


# On the screen.


@pytest.mark.slow
async def test_a_webhook_on_the_screen_from_making_to_removing(desk: Desk, receiver: Receiver) -> None:
    browser, page = desk.browser, desk.page
    made = await browser.submit(page, page, url=receiver.url, form_id=str(uuid4()), **TICKED)
    assert made.status_code == 200
    secret = re.search(r'<code id="secret"[^>]*>(whsec_[^<]+)</code>', made.text)
    assert secret
    [webhook] = (await desk.programs.get(desk.api)).json()["webhooks"]
    one = f"{page}/{webhook['id']}"
    shown = (await browser.get(one)).text
    assert "whsec_" not in shown and webhook["url"] in (await browser.get(page)).text
    assert (await browser.submit(one, f"{one}/test")).status_code == 303
    await until(lambda: receiver.messages)
    receiver.messages[0].verified_with(secret[1])
    await until_text(browser, one, "arrived")
    shown = (await browser.get(one)).text
    assert "webhook.test" in shown and "thanks" in shown
    replay = re.search(rf'action="({one}/deliveries/[0-9a-f-]+/replay)"', shown)
    assert replay and (await browser.submit(one, replay[1])).status_code == 303
    await until(lambda: len(receiver.messages) == 2)
    again = await browser.submit(one, f"{one}/rotate")
    assert "whsec_" in again.text and "Two secrets sign since" in again.text
    assert (await browser.submit(one, f"{one}/retire")).status_code == 303
    assert "Two secrets" not in (await browser.get(one)).text
    assert (await browser.submit(one, f"{one}/pause")).status_code == 303
    assert "Paused" in (await browser.get(one)).text
    assert (await browser.submit(one, f"{one}/resume")).status_code == 303
    changed = await browser.submit(one, one, url=receiver.url, with_phone="on", **{"lead.created": "on"})
    assert changed.status_code == 303
    [webhook] = (await desk.programs.get(desk.api)).json()["webhooks"]
    assert (webhook["events"], webhook["with_phone"]) == (["lead.created"], True)
    assert (await browser.submit(one, f"{one}/remove")).headers["location"] == page
    assert (await browser.get(one)).status_code == 404


async def until_text(browser: Browser, path: str, words: str) -> None:
    end = time.monotonic() + 8
    while words not in (await browser.get(path)).text:
        assert time.monotonic() < end, words
        await asyncio.sleep(0.1)


async def test_a_form_sent_twice_makes_one_webhook(desk: Desk) -> None:
    fields = {"url": "https://93.184.215.14/x", "form_id": str(uuid4()), **TICKED}
    assert (await desk.browser.submit(desk.page, desk.page, **fields)).status_code == 200
    again = await desk.browser.submit(desk.page, desk.page, **fields)
    assert again.status_code == 422 and "there already" in again.text
    assert len((await desk.programs.get(desk.api)).json()["webhooks"]) == 1


async def test_a_form_without_an_event_or_without_a_token_does_nothing(desk: Desk) -> None:
    answer = await desk.browser.submit(desk.page, desk.page, url="https://93.184.215.14/x")
    assert answer.status_code == 422 and "at least one event" in answer.text
    forged = await desk.browser.http.post(desk.page, data={"url": "https://93.184.215.14/x", **TICKED})
    assert forged.status_code == 403
    assert (await desk.programs.get(desk.api)).json() == {"webhooks": []}


@pytest.mark.slow
async def test_what_a_receiver_answers_is_shown_as_text(desk: Desk, receiver: Receiver) -> None:
    receiver.answers = [(200, {}, b"<script>alert(1)</script>\x00\xff")]
    webhook_id, _ = await desk.made(receiver.url)
    await desk.programs.post(f"{desk.api}/{webhook_id}/test")
    await until_text(desk.browser, f"{desk.page}/{webhook_id}", "arrived")
    html = (await desk.browser.get(f"{desk.page}/{webhook_id}")).text
    assert "&lt;script&gt;alert(1)" in html and "<script>alert" not in html


# Mail about new leads.


async def test_a_wish_is_kept_and_shown(desk: Desk) -> None:
    page = f"/sites/{desk.world.site.id}/settings/notifications"
    assert "No mail server is set" in (await desk.browser.get(page)).text
    saved = await desk.browser.submit(page, page, pace="hour", **{"from": "22:00", "until": "08:00"})
    assert saved.status_code == 303
    html = (await desk.browser.get(saved.headers["location"])).text
    assert 'value="hour" selected' in html and 'value="22:00"' in html and 'value="08:00"' in html
    for bad in (
        {"from": "22:00", "until": ""},
        {"from": "22:00", "until": "22:00"},
        {"from": "x", "until": "y"},
    ):
        answer = await desk.browser.submit(page, page, pace="hour", **bad)
        assert answer.status_code == 422 and 'id="quiet-problem"' in answer.text, bad


async def test_an_analyst_has_wishes_too_and_a_stranger_has_none(desk: Desk, signed_in: Any) -> None:
    page = f"/sites/{desk.world.site.id}/settings/notifications"
    browser, user_id = await signed_in()
    assert (await browser.get(page)).status_code == 404
    await desk.world.member(user_id, "analyst")
    assert (await browser.submit(page, page, pace="every")).status_code == 303


async def test_the_link_in_a_mail_stops_it_without_signing_in_and_only_when_it_is_sent(
    desk: Desk, owner: Any
) -> None:
    site, web = desk.world.site, desk.world.web
    page = f"/sites/{site.id}/settings/notifications"
    await desk.browser.submit(page, page, pace="every")
    link = f"/stop-mail/{web.app._stop_links.token(site.id, site.user_id)}"
    stranger = web.browser()

    async def pace() -> Any:
        return await owner.fetchval("SELECT pace FROM notice_wishes WHERE site_id = $1", site.id)

    assert (await stranger.get(link)).status_code == 200
    assert await pace() == "every", "a program that looks at links must not stop it"
    # As a mail program sends it: from anywhere, without a cookie, without a token (RFC 8058).
    answer = await stranger.http.post(
        link, data={"List-Unsubscribe": "One-Click"}, headers={"origin": "https://mail.example"}
    )
    assert answer.status_code == 200 and "no more mail" in answer.text.lower()
    assert await pace() == "off"
    for wrong in ("/stop-mail/x", link[:-6] + "AAAAAA"):
        assert (await stranger.get(wrong)).status_code == 404
        assert (await stranger.http.post(wrong)).status_code == 404
