"""One's own account over HTTP: sign-ins, name, password, e-mail address; and a forgotten password."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from opsmantik.people.attempts import FREE_BY_ACCOUNT
from tests.mailbox import Mail, Mailbox, mail_server
from tests.web.browsing import PASSWORD, Browser, Running, running
from tests.web.codes import set_up

pytestmark = pytest.mark.slow

NEW = "another horse, another battery"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"
    " Mobile/15E148 Safari/604.1"
)


@pytest.fixture(autouse=True)
async def nobody_has_guessed(owner: Any) -> None:
    await owner.execute("TRUNCATE sign_in_attempts")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mailing(
    database: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, Mailbox]]:
    """The application with a mail server."""
    home = tmp_path_factory.mktemp("home")
    async with mail_server() as box, running(database.app, home, smtp_url=f"smtp://{box.address}") as web:
        yield web, box


async def is_in(browser: Browser) -> bool:
    return (await browser.get("/sites")).status_code == 200


async def arrived(box: Mailbox, to: str) -> Mail:
    """The one letter to this address since the last; it is sent after the answer."""
    for _ in range(250):
        found = [mail for mail in box.mails if mail.to == [to]]
        if found:
            (mail,) = found
            box.mails.remove(mail)
            return mail
        await asyncio.sleep(0.02)
    raise AssertionError("no letter came")


def link_in(mail: Mail) -> str:
    """The path of the link in a letter."""
    found = re.search(r"http://[^/\s]+(/\S+)", mail.text)
    assert found, mail.text
    return found[1]


async def acts(owner: Any, email: str) -> list[str]:
    rows = await owner.fetch(
        "SELECT action FROM platform_acts a JOIN users u ON u.id = a.actor WHERE u.email = $1 ORDER BY a.at, a.id",
        email,
    )
    return [row["action"] for row in rows]


# Sign-ins.


@pytest.mark.slow
async def test_every_browser_is_listed_in_words_and_any_can_be_signed_out(web: Any, make_person: Any) -> None:
    _, email = await make_person()
    desk, phone = (web.browser(**{"user-agent": agent}) for agent in (FIREFOX, PHONE))
    for browser in (desk, phone):
        await browser.sign_in(email)
    text = (await desk.get("/account")).text
    assert "Firefox on Windows</strong> · this one" in text
    assert re.search(r"Safari on iOS</strong></p>", text)
    assert "127.0.0.0" in text and "127.0.0.1" not in text
    (action,) = re.findall(r'action="(/account/sign-ins/[0-9a-f-]+/end)"', text)
    assert (await desk.submit("/account", action)).headers["location"] == "/account?ended"
    assert not await is_in(phone)
    assert await is_in(desk)


async def test_nobody_can_sign_out_somebody_else(web: Any, signed_in: Any, owner: Any) -> None:
    one, _ = await signed_in()
    other, other_id = await signed_in()
    theirs = await owner.fetchval("SELECT id FROM sign_ins WHERE user_id = $1", other_id)
    for sign_in in (theirs, uuid4()):
        assert (await one.submit("/account", f"/account/sign-ins/{sign_in}/end")).status_code == 303
    assert await is_in(other)


@pytest.mark.slow
async def test_signing_out_everywhere_ends_them_all(web: Any, make_person: Any, owner: Any) -> None:
    _, email = await make_person()
    browsers = [web.browser() for _ in range(3)]
    for browser in browsers:
        await browser.sign_in(email)
    answer = await browsers[0].submit("/account", "/account/sign-out-everywhere")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert [await is_in(browser) for browser in browsers] == [False] * 3
    assert await acts(owner, email) == ["account.sign_out_everywhere"]


# Name, password, address.


async def test_a_name_is_changed_and_what_is_not_sent_stays(signed_in: Any, owner: Any) -> None:
    browser, user_id = await signed_in()
    await browser.submit("/account", "/account", name="  Ayşe Yılmaz ", theme="dark")
    assert await owner.fetchval("SELECT name FROM users WHERE id = $1", user_id) == "Ayşe Yılmaz"
    await browser.submit("/account", "/account", theme="light")
    assert await owner.fetchval("SELECT name FROM users WHERE id = $1", user_id) == "Ayşe Yılmaz"
    assert "<script>" not in (await browser.get("/account")).text


@pytest.mark.slow
async def test_a_password_is_changed_against_the_present_one_and_ends_all_other_sign_ins(
    web: Any, make_person: Any, owner: Any
) -> None:
    _, email = await make_person()
    browser, other = web.browser(), web.browser()
    for each in (browser, other):
        await each.sign_in(email)
    for password, new, words in (
        ("wrong password", NEW, "That is not the present password"),
        (PASSWORD, "short", "12 to 200 characters"),
        (PASSWORD, email, "12 to 200 characters"),
        ("", NEW, "That is not the present password"),
    ):
        refused = await browser.submit("/account", "/account/password", password=password, new_password=new)
        assert refused.status_code == 422 and words in refused.text
    assert await is_in(other)
    before = browser.http.cookies["opsmantik"]
    done = await browser.submit("/account", "/account/password", password=PASSWORD, new_password=NEW)
    assert (done.status_code, done.headers["location"]) == (303, "/account?password")
    assert await is_in(browser) and browser.http.cookies["opsmantik"] != before
    assert not await is_in(other)
    assert (await web.browser().sign_in(email)).status_code == 422
    assert (await web.browser().sign_in(email, NEW)).status_code == 303
    assert await acts(owner, email) == ["account.password"]


@pytest.mark.slow
async def test_guessing_ones_own_password_is_slowed_too(signed_in: Any) -> None:
    browser, _ = await signed_in()
    for n in range(FREE_BY_ACCOUNT):
        path, fields = [
            ("/account/password", {"password": "wrong", "new_password": NEW}),
            ("/account/email", {"email_password": "wrong", "email": "new@example.com"}),
        ][n % 2]
        assert (await browser.submit("/account", path, **fields)).status_code == 422
    slow = await browser.submit("/account", "/account/password", password=PASSWORD, new_password=NEW)
    assert slow.status_code == 429 and int(slow.headers["retry-after"]) >= 1


@pytest.mark.slow
async def test_without_mail_an_address_is_changed_at_once_against_the_password(
    web: Any, make_person: Any, owner: Any
) -> None:
    (_, email), (_, taken) = await make_person(), await make_person()
    browser = web.browser()
    await browser.sign_in(email)
    new = f"{uuid4().hex}@example.com"
    for address, password, words in (
        ("nobody", PASSWORD, "not an e-mail address"),
        (new, "wrong", "That is not the present password"),
        (taken.upper(), PASSWORD, "cannot be used"),
    ):
        refused = await browser.submit("/account", "/account/email", email=address, email_password=password)
        assert refused.status_code == 422 and words in refused.text
    done = await browser.submit("/account", "/account/email", email=new.upper(), email_password=PASSWORD)
    assert done.headers["location"] == "/account?email"
    assert new in (await browser.get("/account")).text
    assert (await web.browser().sign_in(email)).status_code == 422
    assert (await web.browser().sign_in(new)).status_code == 303
    assert await acts(owner, new) == ["account.email"]


@pytest.mark.slow
async def test_with_mail_an_address_holds_when_its_link_is_opened_by_the_one_who_asked(
    mailing: Any, make_person: Any
) -> None:
    web, box = mailing
    (_, email), (_, taken) = await make_person(), await make_person()
    browser, new = web.browser(), f"{uuid4().hex}@example.com"
    await browser.sign_in(email)
    answers = []
    for address in (taken, new):
        answer = await browser.submit("/account", "/account/email", email=address, email_password=PASSWORD)
        answers.append((answer.status_code, answer.headers["location"]))
    assert answers == [(303, "/account?mailed")] * 2, "accounts are not to be found out by it"
    path = link_in(await arrived(box, new))
    assert box.mails == [] and path.startswith("/account/email/")

    stranger = web.browser()
    assert (await stranger.get(path)).headers["location"].startswith("/sign-in?next=/account/email/")
    await stranger.sign_in(taken)
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.submit("/account", path)).status_code == 404

    for _ in range(2):  # looking changes nothing
        assert new in (await browser.get(path)).text
    assert (await web.browser().sign_in(new)).status_code == 422
    assert (await browser.submit(path, path)).headers["location"] == "/account?email"
    assert (await browser.get(path)).status_code == 404
    assert (await web.browser().sign_in(new)).status_code == 303
    told = await arrived(box, email)
    assert "has another e-mail address now" in told.text


# A forgotten password.


@pytest.mark.slow
async def test_a_link_comes_by_mail_opens_once_and_ends_every_sign_in(
    mailing: Any, make_person: Any, owner: Any
) -> None:
    web, box = mailing
    _, email = await make_person()
    before = web.browser()
    await before.sign_in(email)
    browser = web.browser()
    assert 'href="/forgot"' in (await browser.get("/sign-in")).text
    asked = await browser.submit("/forgot", "/forgot", email=f" {email.upper()} ")
    assert asked.status_code == 200 and "is on its way" in asked.text
    letter = await arrived(box, email)
    path = link_in(letter)
    assert path.startswith("/reset/") and letter.message["subject"] == "A new password for OpsMantik"

    assert email in (await browser.get(path)).text
    weak = await browser.submit(path, path, new_password="short")
    assert weak.status_code == 422 and "12 to 200 characters" in weak.text
    token = await browser.token(path)
    answers = await asyncio.gather(
        *(browser.http.post(path, data={"form_token": token, "new_password": NEW}) for _ in range(3))
    )
    assert sorted(a.status_code for a in answers) == [303, 404, 404]
    assert (await browser.get("/sign-in?reset")).text.count("The password is set.") == 1
    assert not await is_in(before)
    assert (await browser.get(path)).status_code == 404
    assert (await web.browser().sign_in(email)).status_code == 422
    assert (await web.browser().sign_in(email, NEW)).status_code == 303
    assert "password of your OpsMantik account was changed" in (await arrived(box, email)).text
    assert await acts(owner, email) == ["account.password_reset"]


async def test_the_answer_is_the_same_whether_there_is_such_an_account(
    mailing: Any, make_person: Any, owner: Any
) -> None:
    web, box = mailing
    _, email = await make_person()
    off_id, off = await make_person()
    await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", off_id)
    texts = set()
    for who in (email, off, f"{uuid4().hex}@example.com", "nul\x00@example.com"):
        answer = await web.browser().submit("/forgot", "/forgot", email=who)
        assert answer.status_code == 200
        texts.add(
            re.sub(
                r"[0-9a-f]{80}", "", answer.text.replace(who, "WHO").replace(who.replace("\x00", "�"), "WHO")
            )
        )
    assert len(texts) == 1
    assert (await arrived(box, email)).to == [email]
    assert box.mails == []


@pytest.mark.slow
async def test_an_old_link_an_expired_one_and_a_made_up_one_are_all_closed(
    mailing: Any, make_person: Any, owner: Any
) -> None:
    web, box = mailing
    _, email = await make_person()
    browser = web.browser()
    paths = []
    for _ in range(2):
        await browser.submit("/forgot", "/forgot", email=email)
        paths.append(link_in(await arrived(box, email)))
    await browser.submit(paths[1], paths[1], new_password=NEW)
    assert (await browser.get(paths[0])).status_code == 404, "a link from before is worth nothing after"
    await browser.submit("/forgot", "/forgot", email=email)
    await arrived(box, email)  # the word that it was changed
    late = link_in(await arrived(box, email))
    await owner.execute("UPDATE one_time_links SET expires_at = now() WHERE purpose = 'password'")
    for path in (late, "/reset/guessed", "/reset/%00"):
        closed = await browser.get(path)
        assert closed.status_code == 404 and "no longer works" in closed.text


@pytest.mark.slow
async def test_mail_is_not_sent_as_often_as_somebody_likes(mailing: Any, make_person: Any) -> None:
    web, box = mailing
    _, email = await make_person()
    browser = web.browser()
    codes = [
        (await browser.submit("/forgot", "/forgot", email=email)).status_code
        for _ in range(FREE_BY_ACCOUNT + 2)
    ]
    assert codes == [200] * FREE_BY_ACCOUNT + [429] * 2
    assert (await browser.sign_in(email)).status_code == 303, "and it is not counted as guessing"
    await asyncio.sleep(0.2)
    assert len(box.mails) == FREE_BY_ACCOUNT
    box.mails.clear()


async def test_without_mail_one_is_told_whom_to_ask(web: Any, make_person: Any, owner: Any) -> None:
    _, email = await make_person()
    browser = web.browser()
    assert "sends no mail" in (await browser.get("/forgot")).text
    token = await browser.token("/sign-in")
    answer = await browser.http.post("/forgot", data={"form_token": token, "email": email})
    assert "sends no mail" in answer.text
    made = "SELECT count(*) FROM one_time_links l JOIN users u ON u.id = l.user_id WHERE u.email = $1"
    assert await owner.fetchval(made, email) == 0


@pytest.mark.slow
async def test_a_mail_server_that_is_away_breaks_nothing(
    database: Any, tmp_path: Path, make_person: Any
) -> None:
    _, email = await make_person()
    async with running(database.app, tmp_path, smtp_url="smtp://127.0.0.1:1") as web:
        assert (await web.browser().submit("/forgot", "/forgot", email=email)).status_code == 200
        assert (await web.browser().get("/sign-in")).status_code == 200


@pytest.mark.slow
async def test_a_new_password_does_not_replace_the_second_factor(mailing: Any, make_person: Any) -> None:
    web, box = mailing
    _, email = await make_person()
    browser = web.browser()
    await browser.sign_in(email)
    app, _ = await set_up(browser)
    assert "second factor was switched on" in (await arrived(box, email)).text
    other = web.browser()
    await other.submit("/forgot", "/forgot", email=email)
    path = link_in(await arrived(box, email))
    await other.submit(path, path, new_password=NEW)
    half = await other.sign_in(email, NEW)
    assert half.headers["location"] == "/sign-in/code"
    assert not await is_in(other)
    assert (await other.submit("/sign-in/code", "/sign-in/code", code=app.code())).status_code == 303


# Forms.


async def test_no_address_that_takes_a_form_takes_it_without_its_token(web: Any, signed_in: Any) -> None:
    """Every one of them, whoever adds it; but for programs' own, and links that only we could have written."""
    browser, _ = await signed_in()
    posts = {
        (path, method)
        for route in web.app._framework.routes
        for handler in getattr(route, "route_handlers", [])
        if not handler.opt.get("program") and not handler.opt.get("signed_link")
        for path in handler.paths
        for method in handler.http_methods - {"GET", "HEAD", "OPTIONS"}
    }
    assert len(posts) >= 15
    for path, method in sorted(posts):
        filled = re.sub(r"\{\w+:uuid\}", str(uuid4()), path)
        filled = re.sub(r"\{[^}]+\}", "x", filled)
        answer: httpx.Response = await browser.http.request(method, filled, data={"email": "a@example.com"})
        assert answer.status_code == 403, (method, path)
