"""The security log: who came in, who did not, who was refused; one line each, and nothing in it that is secret."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from opsmantik.cli.logs import configure
from tests.web.browsing import PASSWORD, Running

pytestmark = pytest.mark.slow

Lines = list[dict[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as found:
        yield found


def of(lines: Lines, event: str) -> Lines:
    return [line for line in lines if line["event"] == event]


async def test_who_comes_in_and_goes_is_named_with_the_way(
    web: Running, make_person: Any, lines: Lines
) -> None:
    user_id, email = await make_person()
    browser = web.browser()
    assert (await browser.sign_in(email)).status_code == 303
    await browser.submit("/account", "/sign-out")
    (came,), (left,) = of(lines, "auth.came_in"), of(lines, "auth.left")
    assert (came["method"], came["who"], came["route"]) == ("password", str(user_id), "/sign-in")
    assert left["who"] == str(user_id) and came["network"] == "127.0.0.0"


async def test_who_is_kept_out_is_told_apart_without_being_named(
    web: Running, make_person: Any, lines: Lines
) -> None:
    _, email = await make_person()
    for typed in (email, email.upper(), "somebody.else@example.com"):
        await web.browser().sign_in(typed, "wrong horse battery")
    accounts = [line["account"] for line in of(lines, "auth.kept_out")]
    assert len(accounts) == 3 and accounts[0] == accounts[1] != accounts[2]
    assert {line["reason"] for line in of(lines, "auth.kept_out")} == {"wrong"}


async def test_one_who_guesses_is_told_from_one_who_mistypes(
    web: Running, make_person: Any, lines: Lines
) -> None:
    _, email = await make_person()
    browser = web.browser()
    for _ in range(7):
        await browser.sign_in(email, "wrong horse battery")
    assert [line["reason"] for line in of(lines, "auth.kept_out")][-1] == "too_many"


async def test_what_a_role_does_not_allow_is_logged_by_its_route(
    web: Running, signed_in: Any, lines: Lines
) -> None:
    browser, user_id = await signed_in()
    assert (await browser.get("/admin/people")).status_code == 403
    await browser.http.post("/account", data={"form_token": "ff"})
    first, second = of(lines, "access.refused")
    assert (first["code"], first["who"], first["route"], first["verb"]) == (
        "forbidden", str(user_id), "/admin/people", "GET",
    )  # fmt: skip
    assert (second["route"], second["verb"]) == ("/account", "POST")


async def test_a_wrong_key_is_logged_and_a_link_s_token_is_not(web: Running, lines: Lines) -> None:
    await web.browser().http.get("/api/v1/sites", headers={"authorization": "Bearer om_person_wrong"})
    await web.browser().http.post("/invite/verysecrettoken", data={})
    assert next(line["code"] for line in of(lines, "access.refused")) == "key_refused"
    assert "verysecrettoken" not in repr(lines) and "om_person_wrong" not in repr(lines)


async def test_no_password_address_or_token_is_in_any_line(
    web: Running, make_person: Any, lines: Lines
) -> None:
    _, email = await make_person()
    browser = web.browser()
    await browser.sign_in(email, "wrong horse battery")
    await browser.sign_in(email)
    token = browser.http.cookies["opsmantik"]
    text = repr(lines)
    assert not any(secret in text for secret in (PASSWORD, "wrong horse", email, token))


def test_a_value_cannot_begin_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    before = structlog.get_config()
    try:
        configure("info")
        structlog.get_logger().info("auth.kept_out", method='x"\nlevel=error event=forged', account="a b=c")
    finally:
        structlog.configure(**before)
    assert len(stream.getvalue().splitlines()) == 1 and "event=forged" in stream.getvalue()
