"""Access tokens of Google: by a person's consent and by a service account, and what becomes of those that are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from opsmantik.conversions import google_auth
from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.conversions.google_auth import JWT_BEARER, SCOPES, Client, GoogleAuth, read_service_account
from opsmantik.conversions.http import Http
from opsmantik.errors import Unprocessable
from tests.conversions.google import consent
from tests.conversions.google.server import Fault, Response, Server
from tests.conversions.google.tokens import Tokens

BACK = "https://leads.example.com/connect/google/callback"
VERIFIER = "v" * 64


class World(NamedTuple):
    server: Server
    tokens: Tokens
    auth: GoogleAuth


@pytest.fixture
async def google(local_http: Http) -> AsyncIterator[World]:
    tokens = Tokens()
    async with Server(tokens.handle) as server:
        yield World(server, tokens, GoogleAuth(local_http, client_of(server, tokens)))


def client_of(server: Server, tokens: Tokens, **changes: Any) -> Client:
    addresses = {"token_url": f"{server.url}/token", "revoke_url": f"{server.url}/revoke"}
    return Client(
        **{"client_id": tokens.client_id, "client_secret": tokens.client_secret, **addresses} | changes
    )


def forms(google: World) -> list[dict[str, str]]:
    return [request.form() for request, _ in google.server.requests]


async def why(awaited: Any) -> tuple[Why, str]:
    with pytest.raises(Trouble) as trouble:
        await awaited
    return trouble.value.why, trouble.value.reason


# A person's consent.


async def test_a_code_becomes_tokens_by_its_verifier(google: World) -> None:
    challenge = "w1TpKUdYE9hUAcNSeeSRFioHDxfUxuHho_JHAfZ_vDM"  # S256 of 64 times "v"
    granted = await google.auth.exchange(google.tokens.code(challenge, BACK, *SCOPES), VERIFIER, BACK)
    assert granted.scopes == set(SCOPES) and granted.refresh in google.tokens.refreshes
    assert granted.token.access in google.tokens.accesses
    hour = timedelta(seconds=3600)
    assert timedelta(seconds=-5) < granted.token.expires_at - datetime.now(UTC) - hour <= timedelta(0)
    assert forms(google)[0].keys() == {
        "grant_type", "code", "code_verifier", "redirect_uri", "client_id", "client_secret",
    }  # fmt: skip
    code = google.tokens.code(challenge, BACK, *SCOPES)
    assert await why(google.auth.exchange(code, "w" * 64, BACK)) == (Why.NOT_CONNECTED, "revoked")


async def test_a_refresh_token_becomes_an_access_token(google: World) -> None:
    token = await google.auth.renew(google.tokens.refresh(*SCOPES))
    assert google.tokens.accesses[token.access].scopes == set(SCOPES) and token.lasts()


async def test_a_grant_that_was_revoked_is_told_apart(google: World) -> None:
    refresh = google.tokens.refresh()
    google.tokens.revoke(refresh)
    assert await why(google.auth.renew(refresh)) == (Why.NOT_CONNECTED, "revoked")


async def test_a_grant_is_revoked_and_once_more_is_no_fault(google: World) -> None:
    refresh = google.tokens.refresh()
    assert await google.auth.revoke(refresh)
    assert refresh not in google.tokens.refreshes
    assert await google.auth.revoke(refresh)
    google.server.faults.append(Fault("status", 503))
    assert not await google.auth.revoke(google.tokens.refresh())


async def test_an_installation_without_a_client_asks_nobody(google: World, local_http: Http) -> None:
    auth = GoogleAuth(local_http, client_of(google.server, google.tokens, client_secret=None))
    assert auth.client_id is None
    assert await why(auth.renew("1//x")) == (Why.NOT_CONNECTED, "no_client")
    assert not google.server.requests


ANSWERS: dict[str, tuple[Response, Why, str]] = {
    "another client's": (Response(401, {"error": "invalid_client"}), Why.NOT_CONNECTED, "client_refused"),
    "not for this client": (
        Response(400, {"error": "unauthorized_client"}),
        Why.NOT_CONNECTED,
        "client_refused",
    ),
    "a scope that is not to be had": (
        Response(400, {"error": "invalid_scope"}),
        Why.NOT_CONNECTED,
        "scope_missing",
    ),
    "something else": (Response(400, {"error": "invalid_request"}), Why.NOT_CONNECTED, "token_refused"),
    "no JSON of ours": (Response(403, ["no"]), Why.NOT_CONNECTED, "token_refused"),
    "no token in it": (Response(200, {"token_type": "Bearer"}), Why.BUSY, "no_token"),
    "too much": (Response(429, {}), Why.BUSY, "no_token"),
    "broken": (Response(503, {}), Why.BUSY, "no_token"),
}


@pytest.mark.parametrize(("answer", "kind", "reason"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_what_an_answer_without_a_token_means(
    google: World, answer: Response, kind: Why, reason: str
) -> None:
    google.tokens.answer = answer
    assert await why(google.auth.renew("1//x")) == (kind, reason)


@pytest.mark.parametrize("what", ["before", "after", "half"])
async def test_where_no_answer_comes_nothing_of_the_batch_has_left(google: World, what: Any) -> None:
    google.server.faults.append(Fault(what))
    assert await why(google.auth.renew(google.tokens.refresh())) == (Why.BUSY, "no_token")


# Service accounts.


@pytest.mark.slow
async def test_a_service_account_s_token_is_kept_until_it_ends_soon(google: World) -> None:
    account = read_service_account(google.tokens.service_account(url=google.server.url))
    first = await google.auth.of_service_account(account)
    assert google.tokens.accesses[first.access].scopes == set(SCOPES)
    assert await google.auth.of_service_account(account) is first
    assert google.tokens.asked == [JWT_BEARER]
    assert await google.auth.of_service_account(account, fresh=True) != first
    google.tokens.seconds = 61
    short = await google.auth.of_service_account(account, fresh=True)
    assert await google.auth.of_service_account(account) is short
    google.tokens.seconds = 59
    shorter = await google.auth.of_service_account(account, fresh=True)
    assert not shorter.lasts() and await google.auth.of_service_account(account) is not shorter


async def test_many_at_once_ask_once(google: World) -> None:
    account = read_service_account(google.tokens.service_account(url=google.server.url))
    found = await asyncio.gather(*(google.auth.of_service_account(account) for _ in range(5)))
    assert len({token.access for token in found}) == 1 and len(google.tokens.asked) == 1


async def test_a_key_goes_to_google_alone_whatever_its_file_says(google: World) -> None:
    text = google.tokens.service_account(url="https://evil.example")
    await google.auth.of_service_account(read_service_account(text))
    assert len(google.server.requests) == 1


async def test_a_key_that_google_does_not_know_any_more(google: World) -> None:
    account = read_service_account(google.tokens.service_account(url=google.server.url))
    google.tokens.service_accounts.clear()
    assert await why(google.auth.of_service_account(account)) == (Why.NOT_CONNECTED, "key_refused")


NO_KEYS: dict[str, tuple[Any, str]] = {
    "nothing": ("", "key_unreadable"),
    "no JSON": ("-----BEGIN PRIVATE KEY-----", "key_unreadable"),
    "a list": ("[]", "key_unreadable"),
    "too long": (json.dumps({"type": "service_account", "pad": "x" * google_auth.LONGEST_KEY}), "key_unreadable"),
    "an OAuth client": ({"type": "authorized_user"}, "key_of_another_type"),
    "no type": ({"type": None}, "key_of_another_type"),
    "no address": ({"client_email": None}, "key_without_email"),
    "no address of anybody": ({"client_email": "om"}, "key_without_email"),
    "an address of two lines": ({"client_email": "a@b\nc"}, "key_without_email"),
    "no key": ({"private_key": None}, "key_without_private_key"),
    "no key in it": ({"private_key": "-----BEGIN PRIVATE KEY-----\nAA\n-----END"}, "key_without_private_key"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "kind"), NO_KEYS.values(), ids=NO_KEYS.keys())
def test_what_is_no_key_file(given: Any, kind: str) -> None:
    whole = json.loads(Tokens().service_account(url="https://x"))
    text = given if isinstance(given, str) else json.dumps(whole | given)
    with pytest.raises(Unprocessable) as refused:
        read_service_account(text)
    assert refused.value.details["kind"] == kind
    assert "BEGIN" not in str(refused.value)


def test_a_public_key_is_no_private_one() -> None:
    tokens = Tokens()
    whole = json.loads(tokens.service_account("a@b.example", url="https://x"))
    whole["private_key"] = tokens.service_accounts["a@b.example"].as_pem(private=False).decode()
    with pytest.raises(Unprocessable) as refused:
        read_service_account(json.dumps(whole))
    assert refused.value.details["kind"] == "key_without_private_key"


async def test_nothing_secret_is_in_what_is_logged(google: World) -> None:
    account = read_service_account(google.tokens.service_account(url=google.server.url))
    token = await google.auth.of_service_account(account)
    challenge = "w1TpKUdYE9hUAcNSeeSRFioHDxfUxuHho_JHAfZ_vDM"
    granted = await google.auth.exchange(google.tokens.code(challenge, BACK), VERIFIER, BACK)
    shown = repr((account, token, granted, client_of(google.server, google.tokens)))
    for secret in (
        token.access,
        "PRIVATE",
        granted.token.access,
        granted.refresh,
        google.tokens.client_secret,
    ):
        assert secret and secret not in shown


def test_the_consent_page_of_the_tests_is_strict() -> None:
    with pytest.raises(AssertionError):
        consent.asked("https://accounts.google.com/o/oauth2/v2/auth?client_id=x")
