"""Signing in with an account elsewhere: Google, or any OpenID Connect provider.

The authorization code flow with PKCE (S256), state and nonce, as RFC 9700 has it. A provider is asked at addresses of its
own discovery document, with time limits, and what it says is bounded and kept for a while. It vouches for an identity:
issuer and subject. Whose account that opens is decided elsewhere (``identities.py``).

Enters: settings, and what the browser brought back. Leaves: an address to send the browser to, and a verified
:class:`Identity`, or an :class:`OidcRefused` with its reason.
"""

from __future__ import annotations

import asyncio
import enum
import secrets
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

import httpx
import msgspec
import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import get_well_known_url
from joserfc.jwk import Key

from opsmantik.errors import SettingsError
from opsmantik.people import id_token
from opsmantik.people.id_token import TokenRefused, UnknownKey
from opsmantik.settings import Settings, variable

log = structlog.get_logger()

GOOGLE_ISSUER: Final = "https://accounts.google.com"
SCOPE: Final = "openid email"
ATTEMPT_SECONDS: Final = 600
KEPT_SECONDS: Final = 3600.0
# A provider that did not answer is not asked again at once: each of those who wait would wait the whole time.
PAUSE_SECONDS: Final = 5.0
NEW_KEYS_SECONDS: Final = 30.0
REQUEST_SECONDS: Final = 5.0
LARGEST: Final = 256 * 1024
MOST_SPENT: Final = 20_000


class Refusal(enum.StrEnum):
    """Why it did not work, as the screens have words for it."""

    UNREACHABLE = "unreachable"
    DENIED = "denied"
    """The provider says no, or the person did."""
    STATE = "state"
    """The answer belongs to no sign-in that this browser has begun."""
    ANSWER = "answer"
    """What the provider answered does not hold."""
    UNVERIFIED = "unverified"
    UNKNOWN = "unknown"
    DISABLED = "disabled"
    TAKEN = "taken"
    OTHER_PERSON = "other_person"


class OidcRefused(Exception):  # noqa: N818 - a refusal, which a page says in words
    """A sign-in that goes no further. ``detail`` is for the log, never for the screen."""

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(f"{refusal}: {detail}" if detail else refusal)
        self.refusal, self.detail = refusal, detail


class Provider(msgspec.Struct, frozen=True):
    """Somebody who vouches for people. ``key`` stands in addresses, ``name`` on the button."""

    key: str
    name: str
    issuer: str
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        """Without the secret, since objects end up in logs."""
        return f"Provider({self.key!r}, {self.issuer!r})"


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """A sign-in that has begun, as the browser keeps it, sealed, until it comes back."""

    provider: str
    state: str
    nonce: str
    verifier: str
    following: str
    began_at: int
    linking: str = ""
    """The id of the account that asked for it to be linked; empty: it is a sign-in."""


class Identity(msgspec.Struct, frozen=True):
    """Whom a provider has vouched for. Only issuer and subject say who it is; an e-mail address may change hands."""

    issuer: str
    subject: str
    email: str
    is_verified: bool


class Metadata(msgspec.Struct, frozen=True):
    """What is used of a discovery document (OpenID Connect Discovery 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False


def configured(settings: Settings) -> tuple[Provider, ...]:
    """The providers that are set, in the order of their buttons.

    Raises :class:`~opsmantik.errors.SettingsError` where a part is missing.
    """
    google = Provider(
        "google",
        "Google",
        GOOGLE_ISSUER,
        settings.google_client_id or "",
        settings.google_client_secret or "",
    )
    own = Provider(
        "oidc", settings.oidc_name, settings.oidc_issuer or "", settings.oidc_client_id or "",
        settings.oidc_client_secret or "",
    )  # fmt: skip
    found = []
    for provider, fields in (
        (google, ("google_client_id", "google_client_secret")),
        (own, ("oidc_issuer", "oidc_client_id", "oidc_client_secret")),
    ):
        missing = [field for field in fields if not getattr(settings, field)]
        if 0 < len(missing) < len(fields):
            rest = " and ".join(variable(field) for field in fields if field not in missing)
            raise SettingsError(variable=variable(missing[0]), problem=f"is needed beside {rest}")
        if not missing:
            found.append(provider)
    return tuple(found)


class Kept:
    """Something that a provider said, for a while; and that it said nothing, for a moment."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value: Any = None
        self._at = self._failed_at = float("-inf")

    async def get(self, fetch: Callable[[], Any], *, at_most: float = KEPT_SECONDS) -> Any:
        """The value, fetched anew when it is older than ``at_most`` seconds; one fetches, the others wait for it."""
        async with self._lock:
            now = self._clock()
            if now - self._at < at_most:
                return self._value
            if now - self._failed_at < PAUSE_SECONDS:
                raise OidcRefused(Refusal.UNREACHABLE, "it did not answer a moment ago")
            try:
                self._value = await fetch()
            except OidcRefused:
                self._failed_at = self._clock()
                raise
            self._at = self._clock()
            return self._value


class Client:
    """What is said to one provider, and what of its answers is kept."""

    def __init__(self, provider: Provider, clock: Callable[[], float] = time.monotonic) -> None:
        self.provider = provider
        self._metadata = Kept(clock)
        self._keys = Kept(clock)

    async def begin(self, redirect_uri: str, following: str, *, linking: str = "") -> tuple[str, Attempt]:
        """Where to send the browser, and what it has to bring back with the answer."""
        metadata: Metadata = await self._metadata.get(self._fetch_metadata)
        attempt = Attempt(
            self.provider.key, secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48),
            following, int(time.time()), linking,
        )  # fmt: skip
        address: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            client_id=self.provider.client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=SCOPE,
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),
            code_challenge_method="S256",
        )
        return address, attempt

    async def finish(self, attempt: Attempt, answer: Mapping[str, str], redirect_uri: str) -> Identity:
        """Who came back. ``answer``: the query with which the provider sent the browser here; its state is right already.

        Raises :class:`OidcRefused`.
        """
        metadata: Metadata = await self._metadata.get(self._fetch_metadata)
        # RFC 9207: who of several providers answers, so that none takes the code of another.
        named = answer.get("iss")
        if named != metadata.issuer and (named or metadata.authorization_response_iss_parameter_supported):
            raise OidcRefused(Refusal.ANSWER, f"it says that it comes from {named!r}")
        if "error" in answer:
            raise OidcRefused(Refusal.DENIED, answer["error"][:100])
        if not answer.get("code"):
            raise OidcRefused(Refusal.ANSWER, "it has no code")
        tokens = await self._exchange(metadata, attempt, answer["code"], redirect_uri)
        claims = await self._claims(metadata, tokens, attempt.nonce)
        if "email" not in claims and metadata.userinfo_endpoint and tokens.get("access_token"):
            claims = claims | await self._userinfo(
                metadata.userinfo_endpoint, tokens["access_token"], claims["sub"]
            )
        email = claims.get("email")
        email = (
            email.strip().lower()
            if isinstance(email, str) and len(email) <= 254 and email.isprintable()
            else ""
        )
        said = claims.get("email_verified")
        is_verified = bool(email) and (said is True or said == "true")  # some write it as text
        return Identity(metadata.issuer, claims["sub"], email, is_verified)

    async def _exchange(
        self, metadata: Metadata, attempt: Attempt, code: str, redirect_uri: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
            "code_verifier": attempt.verifier,
        }  # fmt: skip
        name, secret = self.provider.client_id, self.provider.client_secret
        auth = None
        if "client_secret_basic" in (
            metadata.token_endpoint_auth_methods_supported or ["client_secret_basic"]
        ):
            auth = httpx.BasicAuth(quote_plus(name), quote_plus(secret))  # RFC 6749, 2.3.1
        else:
            form |= {"client_id": name, "client_secret": secret}
        status, found = await self._ask("POST", metadata.token_endpoint, data=form, auth=auth)
        if status != 200 or not isinstance(found, dict) or not isinstance(found.get("id_token"), str):
            error = found.get("error") if isinstance(found, dict) else None
            raise OidcRefused(Refusal.ANSWER, f"the code was answered with {status} {str(error)[:100]}")
        return found

    async def _claims(self, metadata: Metadata, tokens: dict[str, Any], nonce: str) -> dict[str, Any]:
        def checked(keys: list[Key]) -> dict[str, Any]:
            return id_token.claims_of(
                tokens["id_token"], keys,
                issuer=metadata.issuer, client_id=self.provider.client_id, nonce=nonce,
                access_token=tokens.get("access_token"), now=int(time.time()),
            )  # fmt: skip

        async def fetch() -> list[Key]:
            status, found = await self._ask("GET", metadata.jwks_uri)
            if status != 200:
                raise OidcRefused(Refusal.UNREACHABLE, f"its keys were answered with {status}")
            return id_token.signing_keys(found)

        try:
            try:
                return checked(await self._keys.get(fetch))
            except UnknownKey:  # providers change keys without notice; asked for again, but not by everybody
                return checked(await self._keys.get(fetch, at_most=NEW_KEYS_SECONDS))
        except TokenRefused as refused:
            raise OidcRefused(Refusal.ANSWER, f"ID token: {refused}") from None

    async def _userinfo(self, address: str, access_token: str, subject: str) -> dict[str, Any]:
        """The e-mail address of providers that do not write it into the ID token (OpenID Connect Core 5.3)."""
        headers = {"authorization": f"Bearer {access_token}"}
        status, found = await self._ask("GET", address, headers=headers)
        if status != 200 or not isinstance(found, dict) or found.get("sub") != subject:
            raise OidcRefused(Refusal.ANSWER, "its user info is about somebody else")
        return {name: found[name] for name in ("email", "email_verified") if name in found}

    async def _fetch_metadata(self) -> Metadata:
        issuer = self.provider.issuer
        status, found = await self._ask("GET", get_well_known_url(issuer, external=True))
        try:
            metadata = msgspec.convert(found, Metadata)
        except msgspec.ValidationError as wrong:
            raise OidcRefused(Refusal.UNREACHABLE, f"its metadata, {status}: {wrong}") from None
        if status != 200 or metadata.issuer != issuer:
            raise OidcRefused(
                Refusal.UNREACHABLE, f"its metadata, {status}, are of {metadata.issuer[:200]!r}"
            )
        places = [metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri]
        places += [metadata.userinfo_endpoint] if metadata.userinfo_endpoint else []
        # Encrypted, unless the provider itself is a program on this machine.
        schemes = {"https", urlsplit(issuer).scheme}
        if any(urlsplit(place).scheme not in schemes for place in places):
            raise OidcRefused(Refusal.UNREACHABLE, "its metadata name an address that is not encrypted")
        return metadata

    async def _ask(self, method: str, address: str, **more: Any) -> tuple[int, Any]:
        """Status and JSON, if it is JSON. No redirects: an answer comes from the address that was asked."""
        try:
            async with (
                asyncio.timeout(2 * REQUEST_SECONDS),
                httpx.AsyncClient(
                    verify=_authorities(), timeout=REQUEST_SECONDS, follow_redirects=False
                ) as http,
                http.stream(method, address, **more) as response,
            ):
                body = b""
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > LARGEST:
                        raise OidcRefused(Refusal.UNREACHABLE, "its answer does not end")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as lost:
            raise OidcRefused(Refusal.UNREACHABLE, f"{type(lost).__name__}: {str(lost)[:200]}") from None
        if response.status_code >= 500:
            raise OidcRefused(Refusal.UNREACHABLE, f"it answers {response.status_code}")
        try:
            return response.status_code, msgspec.json.decode(body)
        except msgspec.DecodeError:
            return response.status_code, None


@cache
def _authorities() -> ssl.SSLContext:
    """Whom we believe that somebody is who they say. Read once: that takes 35 ms, in which nobody else is served."""
    return httpx.create_ssl_context()


class Providers:
    """All providers of this installation, and which answers have been used up."""

    def __init__(self, providers: tuple[Provider, ...]) -> None:
        self.clients = {provider.key: Client(provider) for provider in providers}
        self.answers = Answers()

    @property
    def listed(self) -> list[Provider]:
        """For the buttons."""
        return [client.provider for client in self.clients.values()]

    @property
    def issuers(self) -> dict[str, str]:
        """The name that goes with each issuer."""
        return {client.provider.issuer: client.provider.name for client in self.clients.values()}

    def spend(self, attempt: Attempt) -> bool:
        """Whether this answer comes in time and for the first time."""
        return self.answers.spend(attempt.state, attempt.began_at)


class Answers:
    """Which answers have come back. Known to this process only: beside it the browser loses the attempt with the answer,
    and a provider takes no code twice (RFC 6749, 4.1.2)."""

    def __init__(self) -> None:
        self._spent: OrderedDict[str, float] = OrderedDict()

    def spend(self, state: str, began_at: int) -> bool:
        """Whether the answer with this state comes within :data:`ATTEMPT_SECONDS`, and for the first time."""
        now = time.time()
        while self._spent and (len(self._spent) >= MOST_SPENT or next(iter(self._spent.values())) < now):
            self._spent.popitem(last=False)
        if state in self._spent or not 0 <= now - began_at + 1 <= ATTEMPT_SECONDS:
            return False
        self._spent[state] = now + ATTEMPT_SECONDS
        return True
