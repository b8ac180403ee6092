"""Summaries by mail in the settings: the wish, one sent at once, and the link that ends them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.mailbox import Mailbox, mail_server
from tests.web.browsing import running

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as box:
        yield box


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(
    database: Any, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Any]:
    """The application, with a mail server."""
    home = tmp_path_factory.mktemp("home")
    async with running(database.app, home, smtp_url=f"smtp://{mailbox.address}") as found:
        yield found


@pytest.fixture
async def reading(signed_in: Any, make_world: Any, mailbox: Mailbox) -> Any:
    """Somebody with a filled world, and the page of their wishes."""
    mailbox.mails.clear()
    browser, user_id = await signed_in()
    world = await make_world(user_id, name="Vinç Kiralama")
    return browser, world, f"/sites/{world.site.id}/settings/notifications"


async def test_a_wish_is_kept_and_says_when_the_next_one_comes(reading: Any, owner: Any) -> None:
    browser, world, page = reading
    saved = await browser.submit(page, f"{page}/summary", pace="weekly", hour="9")
    assert saved.status_code == 303
    html = (await browser.get(saved.headers["location"])).text
    assert 'value="weekly" selected' in html and 'value="9" selected' in html
    assert "The next one comes" in html and "09:00:00" in html
    row = await owner.fetchrow("SELECT * FROM summary_wishes WHERE site_id = $1", world.site.id)
    assert (row["pace"], row["at_hour"], row["language"]) == ("weekly", 9, "en")
    for bad in (
        {"pace": "hourly", "hour": "8"},
        {"pace": "daily", "hour": "24"},
        {"pace": "daily", "hour": "x"},
    ):
        answer = await browser.submit(page, f"{page}/summary", **bad)
        assert answer.status_code == 422 and "Choose how often" in answer.text
    off = await browser.submit(page, f"{page}/summary", pace="off", hour="9")
    assert "No summary comes." in (await browser.get(off.headers["location"])).text


async def test_one_is_sent_at_once_to_the_asker_and_the_next_a_minute_later(
    reading: Any, mailbox: Mailbox, owner: Any
) -> None:
    browser, world, page = reading
    sent = await browser.submit(page, f"{page}/summary/now")
    assert sent.status_code == 303 and sent.headers["location"].endswith("?summary=sent#summary-title")
    [mail] = mailbox.mails
    assert mail.to == [await owner.fetchval("SELECT email FROM users WHERE id = $1", world.site.user_id)]
    assert "Vinç Kiralama" in mail.message["subject"]
    assert {part.get_content_type() for part in mail.message.walk()} >= {
        "text/plain",
        "text/html",
        "image/png",
    }
    again = await browser.submit(page, f"{page}/summary/now")
    assert "One was sent just now" in (await browser.get(again.headers["location"])).text
    assert len(mailbox.mails) == 1
    row = await owner.fetchrow("SELECT pace, next_at FROM summary_wishes WHERE site_id = $1", world.site.id)
    assert (row["pace"], row["next_at"]) == ("off", None), "to have one sent is no wish for more"


async def test_a_mail_server_that_does_not_take_it_is_told_of(reading: Any, mailbox: Mailbox) -> None:
    browser, _, page = reading
    mailbox.refusal = "554 not from you"
    answer = await browser.submit(page, f"{page}/summary/now")
    mailbox.refusal = None
    assert answer.status_code == 422 and "did not take it" in answer.text and "not from you" in answer.text


async def test_the_loop_of_the_server_sends_what_is_due(
    reading: Any, web: Any, mailbox: Mailbox, owner: Any
) -> None:
    browser, world, page = reading
    await browser.submit(page, f"{page}/summary", pace="daily", hour="0")
    await owner.execute("UPDATE summary_wishes SET next_at = now() WHERE site_id = $1", world.site.id)
    assert await web.app.background.summarizing.turn() == 1 and len(mailbox.mails) == 1


async def test_who_looks_may_wish_and_a_stranger_may_not(reading: Any, signed_in: Any) -> None:
    _, world, page = reading
    browser, user_id = await signed_in()
    for path in (f"{page}/summary", f"{page}/summary/now"):
        assert (await browser.submit("/account", path, pace="daily", hour="8")).status_code == 404
    await world.member(user_id, "analyst")
    assert (await browser.submit(page, f"{page}/summary", pace="daily", hour="8")).status_code == 303


async def test_the_link_in_a_summary_stops_summaries_and_no_other_mail(
    reading: Any, web: Any, owner: Any
) -> None:
    browser, world, page = reading
    await browser.submit(page, page, pace="hour")
    await browser.submit(page, f"{page}/summary", pace="daily", hour="8")
    link = f"/stop-summary/{web.app._stop_summaries.token(world.site.id, world.site.user_id)}"
    stranger = web.browser()

    async def paces() -> Any:
        return await owner.fetchrow(
            "SELECT (SELECT pace FROM summary_wishes WHERE site_id = $1) AS summary,"
            " (SELECT pace FROM notice_wishes WHERE site_id = $1) AS leads",
            world.site.id,
        )

    assert (await stranger.get(link)).status_code == 200
    assert tuple(await paces()) == ("daily", "hour"), "a program that looks at links must not stop them"
    answer = await stranger.http.post(
        link, data={"List-Unsubscribe": "One-Click"}, headers={"origin": "https://mail.example"}
    )
    assert answer.status_code == 200 and "no more summaries" in answer.text
    assert tuple(await paces()) == ("off", "hour")
    other = web.app._stop_links.token(world.site.id, world.site.user_id)
    for wrong in ("/stop-summary/x", link[:-6] + "AAAAAA", f"/stop-summary/{other}"):
        assert (await stranger.get(wrong)).status_code == 404
        assert (await stranger.http.post(wrong)).status_code == 404


async def test_without_a_mail_server_the_page_says_so_and_offers_none(
    database: Any, owner: Any, tmp_path: Any, reading: Any
) -> None:
    browser, world, page = reading
    async with running(database.app, tmp_path) as bare:
        somebody = bare.browser()
        somebody.http.cookies = browser.http.cookies
        html = (await somebody.get(page)).text
        assert "No mail server is set" in html and "Send me one now" not in html
        answer = await somebody.submit(page, f"{page}/summary/now")
        assert answer.status_code == 422
        assert (
            await owner.fetchval("SELECT count(*) FROM summary_wishes WHERE site_id = $1", world.site.id) == 0
        )
