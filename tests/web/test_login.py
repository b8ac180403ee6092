"""Signing in over HTTP: cookies, forms that only our own pages can send, and the way back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from opsmantik.people.attempts import FREE_BY_ACCOUNT
from opsmantik.people.first_admin import setup_link
from opsmantik.web.guard import safe_next
from tests.web.browsing import PASSWORD, running

NEXT = {
    "a page": ("/sites/1?show=waiting", "/sites/1?show=waiting"),
    "nothing": (None, "/"),
    "empty": ("", "/"),
    "another host": ("https://evil.example/", "/"),
    "another host without a scheme": ("//evil.example/", "/"),
    "another host by backslash": ("/\\evil.example", "/"),
    "a script": ("javascript:alert(1)", "/"),
    "a header in it": ("/sites\r\nset-cookie: a=b", "/"),
    "a tab in it": ("/\t/evil.example", "/"),
    "back to the form": ("/sign-in?next=/sites", "/"),
    "out again": ("/sign-out", "/"),
    "a relative path": ("sites", "/"),
    "too long": ("/" + "a" * 1000, "/"),
}


@pytest.mark.parametrize(("asked", "goes"), NEXT.values(), ids=NEXT.keys())
def test_after_signing_in_one_goes_to_a_page_of_ours(asked: str | None, goes: str) -> None:
    assert safe_next(asked) == goes


# This comes first, while the module's database has no users.


@pytest.mark.slow
async def test_an_empty_installation_is_opened_by_its_link(web: Any, database: Any) -> None:
    browser = web.browser()
    assert "There is no account yet" in (await browser.get("/sign-in")).text
    address = await setup_link(database.owner, web.base_url)
    path = address.removeprefix(web.base_url)
    fields = {"name": "Ayşe", "email": "first@example.com", "password": PASSWORD}

    for changes, words in (
        ({"password": "short"}, "12 to 200 characters"),
        ({"email": "nobody"}, "not an e-mail address"),
    ):
        refused = await browser.submit(path, path, **{**fields, **changes})
        assert refused.status_code == 422
        assert words in refused.text
        assert "Ayşe" in refused.text, "what was right stays filled in"
        assert PASSWORD not in refused.text

    made = await browser.submit(path, path, **fields)
    assert (made.status_code, made.headers["location"]) == (303, "/")
    assert (await browser.get("/sites")).status_code == 200
    again = await web.browser().get(path)
    assert again.status_code == 404
    assert "This link no longer works" in again.text
    assert "There is no account yet" not in (await web.browser().get("/sign-in")).text


async def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(web: Any, make_person: Any) -> None:
    _, email = await make_person()
    answer = await web.browser().sign_in(email)
    assert answer.status_code == 303
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith("opsmantik=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "path=/", "samesite=lax", "max-age=1209600"} <= attributes
    assert not any(a.startswith(("secure", "domain")) for a in attributes)


@pytest.mark.slow
async def test_behind_tls_the_cookie_is_a_host_cookie(
    database: Any, tmp_path: Path, make_person: Any
) -> None:
    _, email = await make_person()
    async with running(database.app, tmp_path, public_url="https://leads.example") as web:
        answer = await web.browser().sign_in(email)
        # httpx keeps no Secure cookie over HTTP, so the form's own proof is missing and the form is refused
        assert answer.status_code == 403
        page = await web.browser().get("/sign-in")
        form_cookie = page.headers["set-cookie"]
        assert re.match(
            r"__Host-opsmantik-form=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", form_cookie
        )
        assert page.headers["strict-transport-security"].startswith("max-age=31536000; includeSubDomains")
        token = re.search(r'form_token" value="(\w+)"', page.text)[1]  # type: ignore[index]
        answer = await web.browser().http.post(
            "/sign-in",
            data={"form_token": token, "email": email, "password": PASSWORD},
            headers={"cookie": form_cookie.partition(";")[0], "origin": "https://leads.example"},
        )
        assert answer.status_code == 303
        cookies = answer.headers.get_list("set-cookie")
        assert {c.partition("=")[0] for c in cookies} == {"__Host-opsmantik", "__Host-opsmantik-device"}
        for cookie in cookies:
            attributes = {part.strip().lower().partition("=")[0] for part in cookie.split(";")[1:]}
            assert attributes == {"secure", "httponly", "path", "samesite", "max-age"}
            assert "SameSite=lax" in cookie and "Path=/;" in cookie


async def test_wrong_password_and_unknown_account_read_the_same(web: Any, make_person: Any) -> None:
    _, email = await make_person()
    texts = set()
    for who, password in ((email, "wrong password"), ("nobody@example.com", PASSWORD)):
        browser = web.browser()
        answer = await browser.sign_in(who, password)
        assert answer.status_code == 422
        assert "opsmantik=" not in answer.headers.get("set-cookie", "")
        texts.add(re.sub(r"[0-9a-f]{80}", "", answer.text.replace(who, "")))
    assert len(texts) == 1
    assert "E-mail and password do not go together." in texts.pop()


async def test_one_who_guesses_is_told_when_to_come_back(web: Any, make_person: Any) -> None:
    _, email = await make_person()
    browser = web.browser()
    for _ in range(FREE_BY_ACCOUNT):
        assert (await browser.sign_in(email, "wrong password")).status_code == 422
    slow = await browser.sign_in(email)
    assert slow.status_code == 429
    assert 1 <= int(slow.headers["retry-after"]) <= 2
    assert "Too many attempts" in slow.text


async def test_without_signing_in_a_page_leads_to_the_form_and_back(web: Any, make_person: Any) -> None:
    _, email = await make_person()
    browser = web.browser()
    answer = await browser.get("/account?saved")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/account%3Fsaved")
    form = (await browser.get(answer.headers["location"])).text
    assert 'name="next" value="/account?saved"' in form
    back = await browser.sign_in(email, next="/account?saved")
    assert back.headers["location"] == "/account?saved"
    assert (await browser.get("/sign-in?next=//evil.example")).headers["location"] == "/"


async def test_without_signing_in_a_part_of_a_page_makes_its_page_reload(web: Any) -> None:
    answer = await web.browser().get("/sites", hx_request="true")
    assert (answer.status_code, answer.headers["hx-refresh"]) == (401, "true")


async def test_signing_out_ends_the_sign_in_and_not_only_the_cookie(web: Any, signed_in: Any) -> None:
    browser, _ = await signed_in()
    kept = browser.http.cookies["opsmantik"]
    answer = await browser.submit("/account", "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "opsmantik" not in browser.http.cookies
    thief = web.browser(cookie=f"opsmantik={kept}")
    assert (await thief.get("/sites")).status_code == 303


async def test_each_page_has_another_token_and_each_is_good(signed_in: Any) -> None:
    browser, _ = await signed_in()
    first, second = await browser.token("/account"), await browser.token("/account")
    assert first != second
    for token in (first, second):
        answer = await browser.http.post("/account", data={"form_token": token})
        assert answer.status_code == 303


FORGED = {
    "no token": ({"form_token": ""}, {}),
    "a made-up token": ({"form_token": "00" * 40}, {}),
    "a token that is no token": ({"form_token": "☃"}, {}),
    "our token, another site's page": ({}, {"origin": "https://evil.example"}),
    "our token, a page without an origin": ({}, {"origin": "null"}),
    "our token, another port": ({}, {"origin": "http://127.0.0.1:1"}),
    "our token, from a neighbouring host": ({}, {"sec-fetch-site": "same-site"}),
    "our token, from elsewhere": ({}, {"sec-fetch-site": "cross-site"}),
    "a wrong token in the header": ({}, {"x-csrf-token": "00" * 40}),
}


@pytest.mark.parametrize(("fields", "headers"), FORGED.values(), ids=FORGED.keys())
@pytest.mark.parametrize("action", ["/sites", "/account", "/sign-out", "/sign-in"])
async def test_a_form_that_our_page_did_not_send_changes_nothing(
    signed_in: Any, action: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    browser, _ = await signed_in()
    data = {
        "form_token": await browser.token("/account"),
        "domain": "forged.example",
        "language": "tr",
        **fields,
    }
    answer = await browser.http.post(action, data=data, headers=headers)
    assert answer.status_code == 403
    assert "That was not accepted" in answer.text
    assert "forged.example" not in (await browser.get("/sites")).text
    assert '<html lang="en"' in (await browser.get("/account")).text


async def test_somebody_elses_token_is_no_good_here(signed_in: Any) -> None:
    one, _ = await signed_in()
    other, _ = await signed_in()
    answer = await one.http.post("/account", data={"form_token": await other.token("/account")})
    assert answer.status_code == 403


async def test_the_token_may_come_in_a_header_as_htmx_sends_it(signed_in: Any, web: Any) -> None:
    browser, _ = await signed_in()
    headers = {
        "x-csrf-token": await browser.token("/account"),
        "origin": web.base_url,
        "sec-fetch-site": "same-origin",
    }
    assert (await browser.http.post("/account", data={"theme": "dark"}, headers=headers)).status_code == 303


async def test_a_form_larger_than_any_of_ours_is_refused_unread(signed_in: Any) -> None:
    browser, _ = await signed_in()
    answer = await browser.http.post("/account", data={"form_token": "a" * 200_000})
    assert answer.status_code == 413
