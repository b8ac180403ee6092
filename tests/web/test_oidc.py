"""Signing in with an account elsewhere: the whole way through a real provider, and what attackers try on it."""

from __future__ import annotations

import html
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from opsmantik.people import oidc
from opsmantik.people.oidc import Client
from opsmantik.web.language import catalogue
from tests.web.browsing import Browser, Running, running
from tests.web.oidc_provider import Claims, TestProvider, hs256, now, unsigned, words_of

pytestmark = pytest.mark.slow

EN = catalogue("en")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def idp() -> Iterator[TestProvider]:
    with TestProvider().serving() as provider:
        yield provider


@pytest.fixture(scope="module")
def other_idp() -> Iterator[TestProvider]:
    with TestProvider().serving() as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(
    database: Any, tmp_path_factory: pytest.TempPathFactory, idp: TestProvider, other_idp: TestProvider
) -> AsyncIterator[Running]:
    home, port = tmp_path_factory.mktemp("home"), free_port()
    async with running(database.app, home, port=port, **idp.settings()) as found:
        found.app._framework.state.oidc.clients["google"] = Client(other_idp.as_google())
        yield found


@pytest.fixture(autouse=True)
def honest(idp: TestProvider, other_idp: TestProvider) -> Iterator[None]:
    yield
    idp.be_honest()
    other_idp.be_honest()


async def at_provider(address: str, subject: str) -> str:
    """Let the person say who they are; the address to which the provider sends them back."""
    async with httpx.AsyncClient(verify=False) as http:  # plain HTTP on loopback, as in tests.web.browsing
        answer = await http.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def leave(browser: Browser, path: str = "/sign-in/oidc") -> str:
    answer = await browser.get(path)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def come_back(browser: Browser, address: str) -> httpx.Response:
    assert address.startswith(browser.base_url + "/sign-in/"), address
    return await browser.get(address.removeprefix(browser.base_url))


async def sign_in_with(browser: Browser, subject: str, path: str = "/sign-in/oidc") -> httpx.Response:
    return await come_back(browser, await at_provider(await leave(browser, path), subject))


Known = Callable[..., Awaitable[tuple[UUID, str, str]]]


@pytest.fixture
def known(owner: Any, make_person: Any, idp: TestProvider) -> Known:
    """An account with an identity at the provider: its id, its e-mail, its subject."""

    async def make(issuer: str | None = None, **claims: Any) -> tuple[UUID, str, str]:
        user_id, email = await make_person()
        subject = f"sub-{uuid4().hex}"
        idp.user(subject, email=email, email_verified=True, **claims)
        await owner.execute(
            "INSERT INTO user_identities (id, user_id, issuer, subject, email) VALUES ($1, $2, $3, $4, $5)",
            uuid4(), user_id, issuer or idp.issuer, subject, email,
        )  # fmt: skip
        return user_id, email, subject

    return make


async def is_in(browser: Browser, email: str) -> bool:
    answer = await browser.get("/account")
    return answer.status_code == 200 and email in answer.text


def is_refused(answer: httpx.Response, reason: str, name: str = "Example Login") -> bool:
    """In words, on a page of ours, and with no sign-in."""
    assert "opsmantik=" not in answer.headers.get("set-cookie", "")
    said = html.unescape(words_of(answer.text))
    assert said == EN[f"oidc.refused_{reason}"].format(name=name), said
    return answer.status_code in (400, 403, 409, 502)


# The happy way.


async def test_a_linked_account_opens_its_own_here(
    web: Any, known: Known, owner: Any, idp: TestProvider
) -> None:
    user_id, email, subject = await known()
    browser = web.browser()
    form = await browser.get("/sign-in?next=/account")
    assert 'href="/sign-in/oidc?next=/account">Sign in with Example Login<' in form.text
    answer = await sign_in_with(browser, subject, "/sign-in/oidc?next=/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert await is_in(browser, email)
    assert await owner.fetchval("SELECT method FROM sign_ins WHERE user_id = $1", user_id) == "oidc"
    assert await owner.fetchval(
        "SELECT last_used_at IS NOT NULL FROM user_identities WHERE user_id = $1", user_id
    )


async def test_what_the_browser_takes_along(web: Any, idp: TestProvider) -> None:
    browser = web.browser()
    answer = await browser.get("/sign-in/oidc?next=/sites")
    address = urlsplit(answer.headers["location"])
    asked = {name: value for name, (value,) in parse_qs(address.query).items()}
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{idp.issuer}/oauth2/authorize"
    assert asked["response_type"] == "code" and asked["scope"] == "openid email"
    assert asked["client_id"] == "opsmantik"
    assert asked["redirect_uri"] == f"{web.base_url}/sign-in/oidc/callback"
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 43 and len(asked["nonce"]) >= 43
    assert "secret" not in answer.headers["location"]
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith("opsmantik-oidc=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "path=/", "samesite=lax", "max-age=600"} <= attributes
    for secret in (asked["state"], asked["nonce"]):
        assert secret not in cookie, "it is sealed"


async def test_each_attempt_has_its_own_state_nonce_and_challenge(web: Any) -> None:
    asked = [parse_qs(urlsplit(await leave(web.browser())).query) for _ in range(4)]
    for name in ("state", "nonce", "code_challenge"):
        assert len({query[name][0] for query in asked}) == 4


async def test_the_second_factor_is_asked_for_all_the_same(web: Any, known: Known, owner: Any) -> None:
    user_id, email, subject = await known()
    await owner.execute(
        "INSERT INTO second_factors (id, user_id, secret, key_id, confirmed_at) VALUES ($1, $2, 'x', 'x', now())",
        uuid4(), user_id,
    )  # fmt: skip
    browser = web.browser()
    answer = await sign_in_with(browser, subject, "/sign-in/oidc?next=/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/code?next=/account")
    assert not await is_in(browser, email)
    assert await owner.fetchval("SELECT count(*) FROM sign_ins WHERE user_id = $1", user_id) == 0


async def test_a_new_sign_in_ends_the_one_before_in_this_browser(web: Any, known: Known, owner: Any) -> None:
    (first, email, _), (_, other, subject) = await known(), await known()
    browser = web.browser()
    await browser.sign_in(email)
    await sign_in_with(browser, subject)
    assert await is_in(browser, other)
    assert await owner.fetchval("SELECT count(*) FROM sign_ins WHERE user_id = $1", first) == 0


# Identities that open nothing.


async def test_a_disabled_account_stays_out(web: Any, known: Known, owner: Any) -> None:
    user_id, _, subject = await known()
    await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", user_id)
    assert is_refused(await sign_in_with(web.browser(), subject), "disabled")
    # nor does it get in by its address
    await owner.execute("DELETE FROM user_identities WHERE user_id = $1", user_id)
    assert is_refused(await sign_in_with(web.browser(), subject), "disabled")


async def test_nobody_gets_an_account_by_having_one_elsewhere(
    web: Any, idp: TestProvider, owner: Any
) -> None:
    subject = f"sub-{uuid4().hex}"
    idp.user(subject, email=f"{subject}@example.com", email_verified=True)
    count = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM user_identities), (SELECT count(*) FROM sign_ins)"
    before = await owner.fetchrow(count)
    answer = await sign_in_with(web.browser(), subject)
    assert is_refused(answer, "unknown") and "Ask whoever runs the site for an invitation" in answer.text
    assert await owner.fetchrow(count) == before


@pytest.mark.slow
@pytest.mark.parametrize("verified", [False, None, "no", 0, "false", 1, [True]])
async def test_an_address_that_is_not_verified_stands_for_nobody(
    web: Any, make_person: Any, idp: TestProvider, verified: Any
) -> None:
    """Neither for an account that there is, nor may the answer tell whether there is one."""
    _, email = await make_person()
    for address in (email, "nobody-has-this@example.com"):
        subject = f"sub-{uuid4().hex}"
        idp.user(subject, email=address, **({} if verified is None else {"email_verified": verified}))
        answer = await sign_in_with(web.browser(), subject)
        assert is_refused(answer, "unverified")
        assert "opsmantik-identity" not in answer.headers.get("set-cookie", "")


async def test_a_verified_address_of_an_account_is_linked_only_after_that_account_was_signed_in_to(
    web: Any, make_person: Any, idp: TestProvider, owner: Any
) -> None:
    user_id, email = await make_person()
    subject = f"sub-{uuid4().hex}"
    idp.user(subject, email=email.upper(), email_verified=True)
    browser = web.browser()
    answer = await sign_in_with(browser, subject, "/sign-in/oidc?next=/account")
    assert answer.status_code == 200 and "opsmantik=" not in answer.headers.get("set-cookie", "")
    assert f"There is an account for {email} here" in answer.text
    assert not await is_in(browser, email)
    assert await owner.fetchval("SELECT count(*) FROM user_identities WHERE user_id = $1", user_id) == 0
    assert 'href="/sign-in?next=/account/identities/link"' in answer.text

    # The password, once; then a form of ours asks, and only that links.
    signed = await browser.sign_in(email, next="/account/identities/link")
    assert signed.headers["location"] == "/account/identities/link"
    asked = await browser.get("/account/identities/link")
    assert f"Shall Example Login ({email}) open your account {email} from now on?" in html.unescape(
        asked.text
    )
    assert await owner.fetchval("SELECT count(*) FROM user_identities WHERE user_id = $1", user_id) == 0
    linked = await browser.submit("/account/identities/link", "/account/identities/link")
    assert (linked.status_code, linked.headers["location"]) == (303, "/account")
    row = await owner.fetchrow(
        "SELECT issuer, subject, email FROM user_identities WHERE user_id = $1", user_id
    )
    assert tuple(row) == (idp.issuer, subject, email)
    acts = await owner.fetch("SELECT action, subject, detail FROM platform_acts WHERE actor = $1", user_id)
    assert [tuple(act) for act in acts] == [("identities.link", email, {"issuer": idp.issuer})]

    # From now on it opens the account by itself.
    assert (await sign_in_with(web.browser(), subject)).headers["location"] == "/"
    assert (await browser.get("/account/identities/link")).headers["location"] == "/account/identities"


async def test_google_too_is_never_linked_silently(
    web: Any, make_person: Any, other_idp: TestProvider
) -> None:
    """Addresses of a Workspace domain pass to whoever its administrator gives them."""
    _, email = await make_person()
    other_idp.user("workspace", email=email, email_verified=True, hd="example.com")
    browser = web.browser()
    answer = await sign_in_with(browser, "workspace", "/sign-in/google")
    assert answer.status_code == 200 and "Link Google" in answer.text
    assert not await is_in(browser, email)


async def test_the_same_subject_at_another_provider_is_somebody_else(
    web: Any, known: Known, other_idp: TestProvider
) -> None:
    _, email, subject = await known()
    other_idp.user(subject, email="x@example.com", email_verified=True)
    browser = web.browser()
    assert is_refused(await sign_in_with(browser, subject, "/sign-in/google"), "unknown", "Google")
    assert not await is_in(browser, email)


async def test_an_invite_is_kept_through_the_round_trip(web: Any, idp: TestProvider) -> None:
    subject = f"sub-{uuid4().hex}"
    idp.user(subject, email=f"{subject}@example.com", email_verified=True)
    browser = web.browser()
    answer = await sign_in_with(browser, subject, "/sign-in/oidc?next=/invite/abc")
    assert (answer.status_code, answer.headers["location"]) == (303, "/invite/abc")
    assert "opsmantik=" not in answer.headers["set-cookie"]
    assert "opsmantik-identity=" in answer.headers["set-cookie"]


# One's own account.


async def test_linking_and_unlinking_from_one_s_own_account(
    web: Any, make_person: Any, idp: TestProvider, owner: Any
) -> None:
    user_id, email = await make_person()
    browser = web.browser()
    await browser.sign_in(email)
    assert 'href="/account/identities"' in (await browser.get("/account")).text
    mine = await browser.get("/account/identities")
    assert "None is linked yet." in mine.text and 'href="/account/identities/add/oidc"' in mine.text
    idp.user(
        "private", email="somebody.private@example.net"
    )  # another address, not even verified: both are proved
    back = await at_provider(await leave(browser, "/account/identities/add/oidc"), "private")
    answer = await come_back(browser, back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/identities/link")
    linked = await browser.submit("/account/identities/link", "/account/identities/link")
    assert linked.headers["location"] == "/account/identities?linked"
    mine = await browser.get("/account/identities?linked")
    assert "somebody.private@example.net" in mine.text and ">Linked.<" in mine.text

    path = re.search(r'action="(/account/identities/[0-9a-f-]{36}/unlink)"', mine.text)
    assert path is not None
    stranger = web.browser()
    await stranger.sign_in((await make_person())[1])
    token = {"form_token": await stranger.token("/account")}
    assert (await stranger.http.post(path[1], data=token)).status_code == 404
    gone = await browser.submit("/account/identities", path[1])
    assert gone.headers["location"] == "/account/identities?unlinked"
    assert await owner.fetchval("SELECT count(*) FROM user_identities WHERE user_id = $1", user_id) == 0
    acts = await owner.fetch("SELECT action FROM platform_acts WHERE actor = $1 ORDER BY id", user_id)
    assert [act["action"] for act in acts] == ["identities.link", "identities.unlink"]


@pytest.mark.slow
async def test_the_only_way_in_cannot_be_unlinked(
    web: Any, known: Known, owner: Any, idp: TestProvider
) -> None:
    user_id, _, subject = await known()
    await owner.execute("UPDATE users SET password_hash = NULL WHERE id = $1", user_id)
    # One of a provider that is no longer set up opens nothing, so it is no way in.
    add = "INSERT INTO user_identities (id, user_id, issuer, subject) VALUES ($1, $2, $3, $4)"
    await owner.execute(add, uuid4(), user_id, "https://former.example", subject)
    browser = web.browser()
    await sign_in_with(browser, subject)
    own = await owner.fetchval(
        "SELECT id FROM user_identities WHERE user_id = $1 AND issuer = $2", user_id, idp.issuer
    )
    answer = await browser.submit("/account", f"/account/identities/{own}/unlink")
    assert answer.status_code == 409 and EN["oidc.done_last"] in answer.text
    await owner.execute(add, uuid4(), user_id, idp.issuer, f"second-{subject}")
    answer = await browser.submit("/account", f"/account/identities/{own}/unlink")
    assert answer.status_code == 303
    assert await owner.fetchval("SELECT count(*) FROM user_identities WHERE user_id = $1", user_id) == 2


@pytest.mark.slow
async def test_an_identity_opens_one_account_only(
    web: Any, known: Known, make_person: Any, owner: Any
) -> None:
    holder, _, subject = await known()
    _, other = await make_person()
    browser = web.browser()
    await browser.sign_in(other)
    await come_back(browser, await at_provider(await leave(browser, "/account/identities/add/oidc"), subject))
    answer = await browser.submit("/account/identities/link", "/account/identities/link")
    assert is_refused(answer, "taken")
    assert await owner.fetchval("SELECT user_id FROM user_identities WHERE subject = $1", subject) == holder


@pytest.mark.slow
async def test_linking_needs_somebody_who_has_just_said_who_they_are(
    web: Any, make_person: Any, owner: Any, idp: TestProvider
) -> None:
    user_id, email = await make_person()
    browser = web.browser()
    await browser.sign_in(email)
    idp.user("late", email="late@example.net")
    await come_back(browser, await at_provider(await leave(browser, "/account/identities/add/oidc"), "late"))
    token = await browser.token("/account/identities/link")
    await owner.execute(
        "UPDATE sign_ins SET confirmed_at = now() - interval '1 hour' WHERE user_id = $1", user_id
    )
    for answer in (
        await browser.get("/account/identities/add/oidc"),
        await browser.get("/account/identities/link"),
        await browser.http.post("/account/identities/link", data={"form_token": token}),
        await browser.http.post(f"/account/identities/{uuid4()}/unlink", data={"form_token": token}),
    ):
        assert answer.status_code == 303 and answer.headers["location"].startswith(
            "/confirm?next=/account/identities"
        )
    assert await owner.fetchval("SELECT count(*) FROM user_identities WHERE user_id = $1", user_id) == 0


@pytest.mark.slow
async def test_an_answer_that_somebody_else_asked_for_links_nothing(
    web: Any, make_person: Any, owner: Any, idp: TestProvider
) -> None:
    (_, first), (second, other) = await make_person(), await make_person()
    browser = web.browser()
    await browser.sign_in(first)
    idp.user("shared", email="shared@example.net")
    back = await at_provider(await leave(browser, "/account/identities/add/oidc"), "shared")
    await browser.submit("/account", "/sign-out")
    await browser.sign_in(other)
    assert is_refused(await come_back(browser, back), "other_person")
    assert await owner.fetchval("SELECT count(*) FROM user_identities WHERE user_id = $1", second) == 0


async def test_linking_takes_a_form_of_ours(
    web: Any, make_person: Any, owner: Any, idp: TestProvider
) -> None:
    user_id, email = await make_person()
    browser = web.browser()
    await browser.sign_in(email)
    idp.user("forged", email="forged@example.net")
    await come_back(
        browser, await at_provider(await leave(browser, "/account/identities/add/oidc"), "forged")
    )
    for data, headers in (
        ({}, {}),
        ({"form_token": "00" * 40}, {}),
        ({"form_token": await browser.token("/account")}, {"origin": "https://evil.example"}),
    ):
        answer = await browser.http.post("/account/identities/link", data=data, headers=headers)
        assert answer.status_code == 403
    assert await owner.fetchval("SELECT count(*) FROM user_identities WHERE user_id = $1", user_id) == 0


# What attackers try: with the answer of the provider.


def change(**claims: Any) -> Callable[[TestProvider], None]:
    def cheat(idp: TestProvider) -> None:
        idp.claims = lambda found: {k: v for k, v in (found | claims).items() if v is not None}

    return cheat


def signed(sign: Callable[[Claims, TestProvider], str]) -> Callable[[TestProvider], None]:
    def cheat(idp: TestProvider) -> None:
        idp.sign = sign

    return cheat


STRANGER = RSAKey.generate_key(2048)
CHEATS = {
    "the nonce of another sign-in": change(nonce="another"),
    "no nonce": change(nonce=None),
    "for another client": change(aud="somebody-else"),
    "for us and for others": change(aud=["opsmantik", "somebody-else"], azp="opsmantik"),
    "for nobody": change(aud=None),
    "given to another client": change(azp="somebody-else"),
    "expired": change(exp=now() - 120, iat=now() - 200),
    "without an end": change(exp=None),
    "with an end that is no time": change(exp="never"),
    "made in the future": change(iat=now() + 3600),
    "made long ago": change(iat=now() - 7200),
    "without the time of its making": change(iat=None),
    "not yet valid": change(nbf=now() + 3600),
    "of another issuer": change(iss="https://evil.example"),
    "of no issuer": change(iss=None),
    "an issuer but for the slash": lambda idp: change(iss=idp.issuer + "/")(idp),
    "about nobody": change(sub=None),
    "about an empty somebody": change(sub=""),
    "about a number": change(sub=7),
    "with the hash of another access token": change(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "without a signature": signed(unsigned),
    "with its signature cut off": signed(lambda claims, idp: idp.token(claims).rpartition(".")[0] + "."),
    "changed after signing": signed(
        lambda claims, idp: ".".join(
            (unsigned(claims | {"sub": "x"}, None) if n == 1 else idp.token(claims)).split(".")[n] for n in range(3)
        )
    ),
    "by a key of a stranger's": signed(lambda claims, idp: idp.token(claims, STRANGER)),
    "by a key of a stranger's, by another name": signed(lambda claims, idp: idp.token(claims, STRANGER, kid="new")),
    "by a key that it brings along": signed(
        lambda claims, idp: idp.token(claims, STRANGER, jwk=STRANGER.as_dict(private=False), kid="new")
    ),
    "by our own secret": signed(lambda claims, idp: hs256(claims, b"s3cret/+")),
    "by the provider's public key as a secret": signed(
        lambda claims, idp: hs256(claims, idp.own_key().as_pem(private=False), kid=idp.own_key().thumbprint())
    ),
    "by an algorithm that is not ours": signed(
        lambda claims, idp: jwt.encode({"alg": "RS512"}, claims, idp.own_key(), ["RS512"])
    ),
    "by a curve that it has no key of": signed(
        lambda claims, idp: jwt.encode({"alg": "ES256"}, claims, ECKey.generate_key("P-256"))
    ),
    "no token at all": signed(lambda claims, idp: "nonsense"),
    "an empty token": signed(lambda claims, idp: ""),
    "no text": signed(lambda claims, idp: "é.é.é"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS.keys())
async def test_an_answer_that_does_not_hold_is_refused(
    web: Any, known: Known, idp: TestProvider, cheat: Callable[[TestProvider], None]
) -> None:
    _, email, subject = await known()
    cheat(idp)
    browser = web.browser()
    answer = await sign_in_with(browser, subject)
    assert is_refused(answer, "answer"), answer.status_code
    assert not await is_in(browser, email)
    idp.be_honest()
    assert (await sign_in_with(browser, subject)).status_code == 303, "the honest answer is taken"


HONEST = {
    "the audience as a list of one": change(aud=["opsmantik"]),
    "given to us": change(azp="opsmantik"),
    "a clock half a minute ahead": change(iat=now() + 30),
    "a token without the name of its key": signed(
        lambda claims, idp: jwt.encode({"alg": "RS256"}, claims, idp.own_key())
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", HONEST.values(), ids=HONEST.keys())
async def test_what_providers_may_do_is_taken(
    web: Any, known: Known, idp: TestProvider, way: Callable[[TestProvider], None]
) -> None:
    _, email, subject = await known()
    way(idp)
    browser = web.browser()
    assert (await sign_in_with(browser, subject)).status_code == 303
    assert await is_in(browser, email)


# With the way back.


async def test_a_wrong_state_is_refused_and_the_right_one_still_works(web: Any, known: Known) -> None:
    _, email, subject = await known()
    browser = web.browser()
    back = await at_provider(await leave(browser), subject)
    state = parse_qs(urlsplit(back).query)["state"][0]
    for wrong in (
        back.replace(state, "x" * 43),
        back.replace(f"state={state}", "state="),
        f"{back}&state=x",
        back.replace("?", "?code=x&"),
    ):
        assert is_refused(await come_back(browser, wrong), "state")
    assert not await is_in(browser, email)
    assert (await come_back(browser, back)).status_code == 303


async def test_an_answer_in_a_browser_that_asked_for_none_is_refused(web: Any, known: Known) -> None:
    """Else an attacker could sign a victim in as himself, and read what they enter."""
    _, email, subject = await known()
    back = await at_provider(await leave(web.browser()), subject)
    victim = web.browser()
    assert is_refused(await come_back(victim, back), "state")
    await leave(victim)  # also while the victim has a sign-in of its own under way
    assert is_refused(await come_back(victim, back), "state")
    assert not await is_in(victim, email)


async def test_an_answer_works_once(web: Any, known: Known, idp: TestProvider) -> None:
    _, _, subject = await known()
    browser = web.browser()
    back = await at_provider(await leave(browser), subject)
    kept = dict(browser.http.cookies)
    assert (await come_back(browser, back)).status_code == 303
    assert "opsmantik-oidc" in kept and "opsmantik-oidc" not in browser.http.cookies
    assert is_refused(await come_back(web.browser(), back), "state")
    thief = web.browser()
    thief.http.cookies.update({"opsmantik-oidc": kept["opsmantik-oidc"]})
    before = idp.requests.count("/oauth2/token")
    assert is_refused(await come_back(thief, back), "state")
    assert idp.requests.count("/oauth2/token") == before
    # A server that does not remember it: then the provider takes no code twice.
    web.app._framework.state.oidc.answers._spent.clear()
    assert is_refused(await come_back(thief, back), "answer")


async def test_a_code_of_another_sign_in_is_refused_for_its_challenge_and_nonce(
    web: Any, known: Known
) -> None:
    """Code injection: a stolen code in the attacker's own answer, state and all."""
    _, email, subject = await known()
    stolen = parse_qs(urlsplit(await at_provider(await leave(web.browser()), subject)).query)["code"][0]
    thief = web.browser()
    back = await at_provider(await leave(thief), "thief")
    own = parse_qs(urlsplit(back).query)["code"][0]
    assert is_refused(await come_back(thief, back.replace(own, stolen)), "answer")
    assert not await is_in(thief, email)


async def test_an_answer_that_comes_too_late_is_refused(
    web: Any, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from a browser that keeps a cookie for longer than it should."""
    _, _, subject = await known()
    browser, keeper = web.browser(), web.browser()
    back = await at_provider(await leave(browser), subject)
    kept = {"cookie": f"opsmantik-oidc={browser.http.cookies['opsmantik-oidc']}"}
    real = time.time
    monkeypatch.setattr(oidc.time, "time", lambda: real() + 601)
    assert is_refused(await keeper.get(back.removeprefix(web.base_url), **kept), "state")
    monkeypatch.setattr(oidc.time, "time", lambda: real() - 5)
    assert is_refused(await keeper.get(back.removeprefix(web.base_url), **kept), "state"), (
        "nor before it began"
    )
    monkeypatch.undo()
    assert (await keeper.get(back.removeprefix(web.base_url), **kept)).status_code == 303


async def test_the_answer_of_one_provider_at_the_door_of_the_other_is_refused(
    web: Any, known: Known, other_idp: TestProvider
) -> None:
    """Mix-up (RFC 9700, 4.4): each provider has an address of its own to send people back to, and its own attempt."""
    _, email, subject = await known()
    other_idp.user(subject, email="evil@example.com", email_verified=True)
    browser = web.browser()
    back = await at_provider(await leave(browser, "/sign-in/google"), subject)
    crossed = back.replace("/sign-in/google/", "/sign-in/oidc/")
    assert is_refused(await come_back(browser, crossed), "state")
    assert not await is_in(browser, email)


ISS = {
    "another provider's name": (lambda url, idp: f"{url}&iss=https%3A%2F%2Fevil.example", False),
    "another provider's name, with an error": (
        lambda url, idp: re.sub("code=[^&]*", "error=x&iss=y", url),
        False,
    ),
    "its own name": (lambda url, idp: f"{url}&iss={idp.issuer}", True),
}


@pytest.mark.slow
@pytest.mark.parametrize(("redirect", "taken"), ISS.values(), ids=ISS.keys())
async def test_an_answer_that_names_its_provider_is_compared(
    web: Any, known: Known, idp: TestProvider, redirect: Any, taken: bool
) -> None:
    _, _, subject = await known()
    idp.redirect = lambda url: redirect(url, idp)
    answer = await sign_in_with(web.browser(), subject)
    assert answer.status_code == 303 if taken else is_refused(answer, "answer")


@pytest.mark.slow
async def test_a_provider_that_promises_to_name_itself_must(
    web: Any, known: Known, idp: TestProvider
) -> None:
    _, _, subject = await known()
    idp.metadata = lambda found: found | {"authorization_response_iss_parameter_supported": True}
    clients = web.app._framework.state.oidc.clients
    before, clients["oidc"] = clients["oidc"], Client(clients["oidc"].provider)
    try:
        assert is_refused(await sign_in_with(web.browser(), subject), "answer")
        idp.redirect = lambda url: f"{url}&iss={idp.issuer}"
        assert (await sign_in_with(web.browser(), subject)).status_code == 303
    finally:
        clients["oidc"] = before


NEXT = {
    "another host": "https://evil.example/",
    "another host without a scheme": "//evil.example/",
    "by backslash": "/\\evil.example",
    "a script": "javascript:alert(1)",
    "a header in it": "/sites%0d%0aset-cookie:%20a=b",
    "itself": "/sign-in/oidc",
}


@pytest.mark.slow
@pytest.mark.parametrize("following", NEXT.values(), ids=NEXT.keys())
async def test_the_way_back_never_leads_elsewhere(web: Any, known: Known, following: str) -> None:
    _, _, subject = await known()
    answer = await sign_in_with(web.browser(), subject, f"/sign-in/oidc?next={following}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


COOKIES = {
    "cut": lambda value: value[:-8],
    "with another key's name": lambda value: "0" * 12 + value[12:],
    "turned": lambda value: value[:60] + ("A" if value[60] != "A" else "B") + value[61:],
    "nonsense": lambda value: "a.b",
    "no text": lambda value: "%00.%ff",
    "long": lambda value: value * 20,
    "not even a dot": lambda value: "x",
}


@pytest.mark.slow
@pytest.mark.parametrize("spoil", COOKIES.values(), ids=COOKIES.keys())
async def test_a_cookie_that_we_did_not_seal_is_none(
    web: Any, known: Known, spoil: Callable[[str], str]
) -> None:
    _, _, subject = await known()
    browser = web.browser()
    back = await at_provider(await leave(browser), subject)
    value = browser.http.cookies["opsmantik-oidc"]
    browser.http.cookies.clear()
    browser.http.cookies.set("opsmantik-oidc", spoil(value))
    assert is_refused(await come_back(browser, back), "state")


async def test_one_of_the_two_cookies_is_not_taken_for_the_other(web: Any, known: Known) -> None:
    _, email, subject = await known()
    browser = web.browser()
    await browser.sign_in(email)
    await come_back(browser, await at_provider(await leave(browser, "/account/identities/add/oidc"), subject))
    await leave(browser)
    attempt, identity = (browser.http.cookies[f"opsmantik-{name}"] for name in ("oidc", "identity"))
    assert attempt != identity
    browser.http.cookies.delete("opsmantik-identity")
    browser.http.cookies.set("opsmantik-identity", attempt)
    assert (await browser.get("/account/identities/link")).headers["location"] == "/account/identities"


# A provider that says no, or nothing.


async def test_whoever_stops_at_the_provider_is_told_so(web: Any, idp: TestProvider) -> None:
    browser = web.browser()
    address = await leave(browser)
    state = parse_qs(urlsplit(address).query)["state"][0]
    evil = "<script>alert(1)</script>"
    answer = await browser.http.get(
        "/sign-in/oidc/callback", params={"state": state, "error": "access_denied", "error_description": evil}
    )
    assert is_refused(answer, "denied") and evil not in answer.text


async def test_an_answer_without_a_code_is_refused(web: Any) -> None:
    browser = web.browser()
    state = parse_qs(urlsplit(await leave(browser)).query)["state"][0]
    assert is_refused(await browser.http.get("/sign-in/oidc/callback", params={"state": state}), "answer")


DOWN = {
    # what the provider does: (path, status, body)
    "its metadata fail": ("/.well-known/openid-configuration", 500, b""),
    "its metadata are missing": ("/.well-known/openid-configuration", 404, b"{}"),
    "its metadata are no JSON": ("/.well-known/openid-configuration", 200, b"<html>"),
    "its metadata are of another": ("/.well-known/openid-configuration", 200, json.dumps(
        dict.fromkeys(("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"), "https://evil.example")
    ).encode()),
    "its metadata do not end": ("/.well-known/openid-configuration", 200, b" " * (oidc.LARGEST + 1)),
    "its metadata lead away": ("/.well-known/openid-configuration", 302, b""),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("path", "status", "body"), DOWN.values(), ids=DOWN.keys())
async def test_a_provider_that_cannot_be_asked_is_a_page_in_words(
    web: Any, idp: TestProvider, path: str, status: int, body: bytes
) -> None:
    clients = web.app._framework.state.oidc.clients
    before, clients["oidc"] = clients["oidc"], Client(clients["oidc"].provider)
    idp.status[path], idp.body[path] = status, body
    try:
        answer = await web.browser().get("/sign-in/oidc?next=/account")
        assert answer.status_code == 502 and is_refused(answer, "unreachable")
        assert 'href="/sign-in?next=%2Faccount"' in answer.text
        asked = len(idp.requests)
        assert (await web.browser().get("/sign-in/oidc")).status_code == 502
        assert len(idp.requests) == asked, "it is left alone for a moment"
    finally:
        clients["oidc"] = before


async def test_metadata_that_name_an_address_without_encryption_are_refused(idp: TestProvider) -> None:
    provider = oidc.Provider("oidc", "X", "https://login.example", "id", "secret")
    places = {
        name: f"https://login.example/{name}"
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
    }
    for name, address in (
        ("token_endpoint", "http://login.example/"),
        ("authorization_endpoint", "javascript:alert(1)"),
    ):
        client = Client(provider)

        async def answered(
            *_: Any, found: Any = {"issuer": provider.issuer} | places | {name: address}, **more: Any
        ) -> Any:
            return 200, found

        client._ask = answered  # type: ignore[method-assign]
        with pytest.raises(oidc.OidcRefused, match="not encrypted"):
            await client.begin("https://us.example/callback", "/")


ANSWERS = {
    "the code's answer fails": ("/oauth2/token", 500, b"", "unreachable", 502),
    "the code is refused": ("/oauth2/token", 400, b'{"error": "invalid_grant"}', "answer", 403),
    "the code's answer is no JSON": ("/oauth2/token", 200, b"<html>", "answer", 403),
    "the code's answer has no token": ("/oauth2/token", 200, b"{}", "answer", 403),
    "the code's answer does not end": ("/oauth2/token", 200, b"x" * (oidc.LARGEST + 1), "unreachable", 502),
}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "status", "body", "reason", "ours"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_provider_that_fails_half_way_is_a_page_in_words(
    web: Any, known: Known, idp: TestProvider, path: str, status: int, body: bytes, reason: str, ours: int
) -> None:
    _, _, subject = await known()
    idp.status[path], idp.body[path] = status, body
    answer = await sign_in_with(web.browser(), subject)
    assert is_refused(answer, reason) and answer.status_code == ours


@pytest.mark.slow
async def test_a_provider_that_is_down_or_hangs_is_a_page_in_words(
    web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = web.app._framework.state.oidc.clients
    before = clients["oidc"]
    monkeypatch.setattr(oidc, "REQUEST_SECONDS", 0.3)
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    try:
        for port in (free_port(), silent.getsockname()[1]):
            clients["oidc"] = Client(
                oidc.Provider("oidc", "Example Login", f"http://127.0.0.1:{port}", "x", "y")
            )
            began = time.monotonic()
            answer = await web.browser().get("/sign-in/oidc")
            assert answer.status_code == 502 and is_refused(answer, "unreachable")
            assert time.monotonic() - began < 2
    finally:
        clients["oidc"] = before
        silent.close()


@pytest.mark.slow
async def test_new_keys_are_fetched_when_a_token_names_one_and_not_for_each_that_does(
    web: Any, known: Known, idp: TestProvider
) -> None:
    _, _, subject = await known()
    ticks = [0.0]
    clients = web.app._framework.state.oidc.clients
    before, clients["oidc"] = clients["oidc"], Client(clients["oidc"].provider, clock=lambda: ticks[0])
    try:
        assert (await sign_in_with(web.browser(), subject)).status_code == 303
        fetched = idp.requests.count("/jwks"), idp.requests.count("/.well-known/openid-configuration")
        assert (await sign_in_with(web.browser(), subject)).status_code == 303
        idp.sign = lambda claims, _: idp.token(claims, STRANGER, kid="new")
        for _ in range(3):
            assert is_refused(await sign_in_with(web.browser(), subject), "answer")
        assert idp.requests.count("/jwks") == fetched[0], "the keys are new enough to know all there are"
        new = STRANGER.as_dict(private=False) | {"kid": "new"}
        idp.body["/jwks"] = json.dumps(
            {"keys": [new, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA"}, 7]}
        ).encode()
        ticks[0] += oidc.NEW_KEYS_SECONDS + 1
        assert (await sign_in_with(web.browser(), subject)).status_code == 303
        assert idp.requests.count("/jwks") == fetched[0] + 1
        assert idp.requests.count("/.well-known/openid-configuration") == fetched[1]
    finally:
        clients["oidc"] = before


async def test_a_provider_that_is_not_set_up_is_no_page(web: Any) -> None:
    for path in ("/sign-in/github", "/sign-in/github/callback", "/sign-in/x/y"):
        assert (await web.browser().get(path)).status_code == 404


@pytest.mark.slow
async def test_without_providers_there_are_no_buttons(database: Any, tmp_path: Any) -> None:
    async with running(database.app, tmp_path) as bare:
        form = await bare.browser().get("/sign-in")
        assert "/sign-in/oidc" not in form.text and "/sign-in/google" not in form.text
        assert (await bare.browser().get("/sign-in/google")).status_code == 404
