"""The second factor over HTTP: setting it up, signing in with it, losing it, switching it off."""

from __future__ import annotations

import re
from typing import Any

import pytest

from opsmantik.people.attempts import FREE_BY_ACCOUNT
from opsmantik.web import guard
from tests.web.browsing import PASSWORD, Browser
from tests.web.codes import HERE, set_up

pytestmark = pytest.mark.slow


@pytest.fixture
def person(web: Any, make_person: Any, owner: Any) -> Any:
    """Somebody signed in, with nobody's guesses counted so far: the browser, and the address they sign in with."""

    async def make(**profile: Any) -> tuple[Browser, str]:
        await owner.execute("TRUNCATE sign_in_attempts")
        _, email = await make_person(**profile)
        browser = web.browser()
        assert (await browser.sign_in(email)).status_code == 303
        return browser, email

    return make


async def is_in(browser: Browser) -> bool:
    return (await browser.get("/sites")).status_code == 200


@pytest.mark.slow
async def test_it_is_set_up_with_a_picture_or_by_hand_and_on_after_the_first_code(person: Any) -> None:
    browser, _ = await person()
    assert "asks for the password alone" in (await browser.get("/account")).text
    assert (await browser.get(f"{HERE}/qr.svg")).status_code == 404
    assert (await browser.submit("/account", f"{HERE}/begin")).headers["location"] == HERE
    picture = await browser.get(f"{HERE}/qr.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert picture.headers["cache-control"] == "no-store"
    assert "<svg" in picture.text and "style" not in picture.text
    assert "asks for the password alone" in (await browser.get("/account")).text, "nothing is asked for yet"

    before = browser.http.cookies["opsmantik"]
    await set_up(browser)
    assert browser.http.cookies["opsmantik"] != before
    assert await is_in(browser)
    assert "10 recovery codes are left" in (await browser.get(HERE)).text
    assert (await browser.get(f"{HERE}/qr.svg")).status_code == 404, "the secret is never shown again"
    assert (await browser.submit(HERE, f"{HERE}/begin")).status_code == 303
    assert "Recovery codes" in (await browser.get(HERE)).text, "and not replaced while it is in use"


async def test_a_wrong_code_switches_nothing_on(person: Any) -> None:
    browser, _ = await person()
    await browser.submit("/account", f"{HERE}/begin")
    answer = await browser.submit(HERE, f"{HERE}/confirm", code="not a code")
    assert answer.status_code == 422
    assert "That code is not right" in answer.text
    assert (await browser.get(f"{HERE}/qr.svg")).status_code == 200


@pytest.mark.slow
async def test_signing_in_then_takes_password_and_code_and_leads_back(person: Any, web: Any) -> None:
    browser, email = await person()
    app, _ = await set_up(browser)
    other = web.browser()
    half = await other.sign_in(email, next="/account?saved")
    assert (half.status_code, half.headers["location"]) == (303, "/sign-in/code?next=/account%3Fsaved")
    assert "opsmantik" not in other.http.cookies, "the password alone opens nothing"
    assert not await is_in(other)
    form = await other.get(half.headers["location"])
    assert 'autocomplete="one-time-code"' in form.text and 'value="/account?saved"' in form.text

    wrong = await other.submit("/sign-in/code", "/sign-in/code", code=app.wrong(), next="/account?saved")
    assert wrong.status_code == 422 and "That code is not right" in wrong.text
    code = app.code()
    done = await other.submit("/sign-in/code", "/sign-in/code", code=code, next="/account?saved")
    assert (done.status_code, done.headers["location"]) == (303, "/account?saved")
    assert "opsmantik-half" not in other.http.cookies
    page = (await other.get("/account")).text
    assert "with a code" in page

    third = web.browser()
    await third.sign_in(email)
    again = await third.submit("/sign-in/code", "/sign-in/code", code=code)
    assert again.status_code == 422, "each code is good once"


@pytest.mark.slow
async def test_the_page_for_the_code_is_for_those_with_the_right_password(
    person: Any, web: Any, owner: Any
) -> None:
    browser, email = await person()
    app, _ = await set_up(browser)
    stranger = web.browser()
    for _ in range(2):
        answer = await stranger.get("/sign-in/code?next=/account")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/account")
        await stranger.sign_in(email, "wrong password")
    await stranger.sign_in(email)
    token = await stranger.token("/sign-in/code")
    await owner.execute("UPDATE half_sign_ins SET expires_at = now()")
    late = await stranger.http.post("/sign-in/code", data={"form_token": token, "code": app.code()})
    assert (late.status_code, late.headers["location"]) == (303, "/sign-in")


@pytest.mark.slow
async def test_guessing_the_code_is_slowed_in_whatever_half_sign_in(person: Any, web: Any) -> None:
    browser, email = await person()
    app, _ = await set_up(browser)
    for _ in range(FREE_BY_ACCOUNT):
        other = web.browser()
        await other.sign_in(email)
        assert (await other.submit("/sign-in/code", "/sign-in/code", code=app.wrong())).status_code == 422
    other = web.browser()
    await other.sign_in(email)
    slow = await other.submit("/sign-in/code", "/sign-in/code", code=app.code())
    assert slow.status_code == 429 and int(slow.headers["retry-after"]) >= 1
    assert not await is_in(other)
    # Where they have signed in before, the guesses of others do not matter.
    await browser.submit("/account", "/sign-out")
    await browser.sign_in(email)
    assert (await browser.submit("/sign-in/code", "/sign-in/code", code=app.code())).status_code == 303


async def test_a_recovery_code_opens_once(person: Any, web: Any) -> None:
    browser, email = await person()
    _, codes = await set_up(browser)
    for expected in (303, 422):
        other = web.browser()
        await other.sign_in(email)
        answer = await other.submit("/sign-in/code", "/sign-in/code", code=codes[0].lower())
        assert answer.status_code == expected
    assert "9 recovery codes are left" in (await browser.get(HERE)).text


@pytest.mark.slow
async def test_new_recovery_codes_are_made_against_a_code(person: Any) -> None:
    browser, _ = await person()
    app, codes = await set_up(browser)
    assert (await browser.submit(HERE, f"{HERE}/recovery-codes", code=app.wrong())).status_code == 422
    answer = await browser.submit(HERE, f"{HERE}/recovery-codes", code=app.code())
    fresh = re.findall(r"<li><code>([A-Z2-7-]{29})</code>", answer.text)
    assert len(fresh) == 10 and not set(fresh) & set(codes)
    assert answer.headers["cache-control"] == "no-store"
    assert (await browser.submit(HERE, f"{HERE}/off", code=codes[0])).status_code == 422


@pytest.mark.slow
async def test_switching_it_off_takes_a_code_and_is_written_down(person: Any, owner: Any, web: Any) -> None:
    browser, email = await person()
    app, codes = await set_up(browser)
    assert (await browser.submit(HERE, f"{HERE}/off", code=app.wrong())).status_code == 422
    assert (await browser.submit(HERE, f"{HERE}/off", code=codes[0])).status_code == 303
    assert "asks for the password alone" in (await browser.get("/account")).text
    assert (await web.browser().sign_in(email)).headers["location"] == "/"
    acts = await owner.fetch(
        "SELECT action, address FROM platform_acts a JOIN users u ON u.id = a.actor WHERE u.email = $1 ORDER BY a.at",
        email,
    )
    assert [tuple(act) for act in acts] == [
        ("account.second_factor_on", "127.0.0.1"),
        ("account.second_factor_off", "127.0.0.1"),
    ]


# Once more who it is.


async def long_ago(owner: Any, email: str) -> None:
    """As if this person had signed in longer ago than a dangerous act allows."""
    await owner.execute(
        "UPDATE sign_ins SET confirmed_at = confirmed_at - $2::interval, created_at = created_at - $2::interval"
        " WHERE user_id = (SELECT id FROM users WHERE email = $1)",
        email, guard.RECENT,
    )  # fmt: skip


@pytest.mark.slow
async def test_what_is_dangerous_asks_once_more_after_a_quarter_of_an_hour(person: Any, owner: Any) -> None:
    browser, email = await person()
    await browser.submit("/account", f"{HERE}/begin")
    await long_ago(owner, email)
    for path in (HERE, f"{HERE}/qr.svg"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/confirm?next={HERE}")
    for action in ("begin", "confirm", "recovery-codes", "off"):
        answer = await browser.submit("/account", f"{HERE}/{action}", code="123456")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/confirm?next={HERE}")

    form = await browser.get(f"/confirm?next={HERE}")
    assert 'name="password"' in form.text and 'name="code"' not in form.text
    wrong = await browser.submit("/confirm", "/confirm", next=HERE, password="wrong")
    assert wrong.status_code == 422 and "That is not right" in wrong.text
    before = browser.http.cookies["opsmantik"]
    right = await browser.submit("/confirm", "/confirm", next=HERE, password=PASSWORD)
    assert (right.status_code, right.headers["location"]) == (303, HERE)
    assert browser.http.cookies["opsmantik"] != before, "with another token"
    assert (await browser.get(HERE)).status_code == 200


@pytest.mark.slow
async def test_with_a_second_factor_it_asks_for_both(person: Any, owner: Any) -> None:
    browser, email = await person()
    app, codes = await set_up(browser)
    await long_ago(owner, email)
    form = await browser.get("/confirm?next=//evil.example")
    assert (
        'name="password"' in form.text and 'name="code"' in form.text and 'name="next" value="/"' in form.text
    )
    for fields in (
        {"password": PASSWORD},
        {"password": PASSWORD, "code": app.wrong()},
        {"code": codes[0], "password": "wrong"},
    ):
        assert (await browser.submit("/confirm", "/confirm", next=HERE, **fields)).status_code == 422
    assert (
        await browser.submit("/confirm", "/confirm", next=HERE, password=PASSWORD, code=app.code())
    ).status_code == 303


@pytest.mark.slow
async def test_guessing_there_is_slowed_as_at_the_door(person: Any) -> None:
    browser, _ = await person()
    for _ in range(FREE_BY_ACCOUNT):
        assert (await browser.submit("/confirm", "/confirm", password="wrong")).status_code == 422
    slow = await browser.submit("/confirm", "/confirm", password=PASSWORD)
    assert slow.status_code == 429 and "Too many attempts" in slow.text


@pytest.mark.slow
async def test_who_has_neither_signs_in_anew_and_comes_back(person: Any, owner: Any) -> None:
    browser, email = await person()
    await owner.execute("UPDATE users SET password_hash = NULL WHERE email = $1", email)
    await long_ago(owner, email)
    assert "sign in again" in (await browser.get("/confirm")).text
    answer = await browser.submit("/confirm", "/confirm", next=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={HERE}")
    assert not await is_in(browser)


@pytest.mark.slow
async def test_in_turkish_too(person: Any) -> None:
    browser, _ = await person(language="tr")
    await set_up(browser)
    for path, words in (
        (HERE, "kurtarma kodu kaldı"),
        ("/confirm", "Siz misiniz?"),
        ("/account", "Açık oturumlar"),
    ):
        assert words in (await browser.get(path)).text
