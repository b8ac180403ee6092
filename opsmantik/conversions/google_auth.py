"""Google's access tokens: by a person's consent (a refresh token), or by a service account's key.

Enters: what was granted once.  Leaves: an access token, which lasts an hour. Those of a service account are kept in this
process until a minute before their end; those of a person are kept with the person (people/credentials.py).

What Google says when a grant is gone (``invalid_grant``) stops a site's conversions until somebody connects it again.
Everything else that can go wrong here happens before anything was sent: the batch certainly did not arrive.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.conversions.http import Http, Reply
from opsmantik.errors import Unprocessable

DATA_MANAGER: Final = "https://www.googleapis.com/auth/datamanager"
ADS: Final = "https://www.googleapis.com/auth/adwords"
SCOPES: Final = (DATA_MANAGER, ADS)
EARLY: Final = timedelta(minutes=1)
"""A token that ends sooner than this is not used any more: it must outlast the call."""
ASSERTION_SECONDS: Final = 3600
LONGEST_KEY: Final = 16_000
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Token(msgspec.Struct, frozen=True):
    """An access token, and when it ends."""

    access: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Without the token, since objects end up in logs."""
        return f"Token(expires_at={self.expires_at!r})"

    def lasts(self) -> bool:
        """Whether it may still be used."""
        return is_good(self.expires_at)


class Granted(msgspec.Struct, frozen=True):
    """What came of a person's consent."""

    token: Token
    refresh: str | None
    scopes: frozenset[str]
    """People may untick some of what was asked for."""

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"Granted({sorted(self.scopes)})"


class ServiceAccount(msgspec.Struct, frozen=True):
    """What is used of a service account's key file."""

    client_email: str
    private_key: str
    private_key_id: str | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"ServiceAccount({self.client_email!r})"


class Client(msgspec.Struct, frozen=True):
    """This installation as Google knows it, and where Google is."""

    client_id: str | None
    client_secret: str | None
    token_url: str
    revoke_url: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Client({self.client_id!r})"


def is_good(expires_at: datetime | None) -> bool:
    """Whether a token that ends then may still be used."""
    return expires_at is not None and expires_at - datetime.now(UTC) > EARLY


def read_service_account(text: str) -> ServiceAccount:
    """The key file as Google hands it out: JSON with ``type`` service_account, ``client_email`` and an RSA ``private_key``.

    Where it says that tokens are to be had (``token_uri``) is not read: the key is shown to Google alone.
    Raises :class:`~opsmantik.errors.Unprocessable`; nothing of the file is in the message.
    """
    try:
        found = msgspec.json.decode(text) if len(text) <= LONGEST_KEY else None
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unprocessable(
            reason="it is not the JSON file of a service account's key", kind="key_unreadable"
        )
    if found.get("type") != "service_account":
        raise Unprocessable(reason="its type is not service_account", kind="key_of_another_type")
    email, private = found.get("client_email"), found.get("private_key")
    if (
        not isinstance(email, str)
        or not 3 <= len(email) <= 254
        or "@" not in email
        or not email.isprintable()
    ):
        raise Unprocessable(reason="it has no client_email", kind="key_without_email")
    try:
        key = RSAKey.import_key(private) if isinstance(private, str) else None
    except (JoseError, ValueError):
        key = None
    if key is None or not key.is_private:
        raise Unprocessable(reason="its private_key is none", kind="key_without_private_key")
    named = found.get("private_key_id")
    return ServiceAccount(email, str(private), named if isinstance(named, str) else None)


def as_kept(account: ServiceAccount) -> str:
    """What of a key file is kept: what :func:`read_service_account` reads."""
    found = {"type": "service_account"} | msgspec.structs.asdict(account)
    return msgspec.json.encode(found).decode()


class GoogleAuth:
    """Asks Google for tokens."""

    def __init__(self, http: Http, client: Client) -> None:
        self._http = http
        self._client = client
        self._kept: dict[bytes, Token] = {}
        self._locks: dict[bytes, asyncio.Lock] = {}

    @property
    def client_id(self) -> str | None:
        """By which people are asked for their consent; None: nobody can be."""
        return self._client.client_id if self._client.client_secret else None

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> Granted:
        """What a person has just consented to (RFC 6749, 4.1.3, with the proof of RFC 7636).

        Raises :class:`~opsmantik.conversions.adapters.Trouble`.
        """
        form = {
            "grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": redirect_uri,
        }  # fmt: skip
        body = await self._ask(form | self._credentials(), "revoked")
        refresh, scope = body.get("refresh_token"), body.get("scope")
        scopes = scope.split() if isinstance(scope, str) else []
        return Granted(
            _token(body), refresh if isinstance(refresh, str) and refresh else None, frozenset(scopes)
        )

    async def renew(self, refresh_token: str) -> Token:
        """A new access token for a person's grant. Raises :class:`~opsmantik.conversions.adapters.Trouble`."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return _token(await self._ask(form | self._credentials(), "revoked"))

    async def of_service_account(self, account: ServiceAccount, *, fresh: bool = False) -> Token:
        """An access token for a service account (RFC 7523), with both scopes; the one that is kept unless ``fresh``.

        Raises :class:`~opsmantik.conversions.adapters.Trouble`.
        """
        named = f"{account.client_email}\0{account.private_key}".encode()
        place = hashlib.sha256(named).digest()
        async with self._locks.setdefault(place, asyncio.Lock()):
            kept = self._kept.get(place)
            if kept is not None and kept.lasts() and not fresh:
                return kept
            form = {"grant_type": JWT_BEARER, "assertion": self._assertion(account)}
            self._kept[place] = token = _token(await self._ask(form, "key_refused"))
            return token

    async def revoke(self, token: str) -> bool:
        """Tell Google that a grant has ended (RFC 7009); whether it has. One that had ended already has."""
        try:
            reply = await self._http.call("POST", self._client.revoke_url, form={"token": token})
        except Trouble:
            return False
        return reply.status == 200 or _error(reply) == "invalid_token"

    def _assertion(self, account: ServiceAccount) -> str:
        now = int(time.time())
        header = {"alg": "RS256", "typ": "JWT"}
        if account.private_key_id:
            header["kid"] = account.private_key_id
        claims = {
            "iss": account.client_email, "scope": " ".join(SCOPES), "aud": self._client.token_url,
            "iat": now, "exp": now + ASSERTION_SECONDS,
        }  # fmt: skip
        return jwt.encode(header, claims, RSAKey.import_key(account.private_key))

    def _credentials(self) -> dict[str, str]:
        client_id, secret = self._client.client_id, self._client.client_secret
        if not client_id or not secret:
            raise Trouble(Why.NOT_CONNECTED, "no_client", "this installation has no OAuth client")
        return {"client_id": client_id, "client_secret": secret}

    async def _ask(self, form: Mapping[str, str], gone: str) -> dict[str, Any]:
        """The answer with a token in it. ``gone``: the word for a grant that is none any more."""
        try:
            reply = await self._http.call("POST", self._client.token_url, form=form)
        except Trouble as trouble:
            # Whatever Google did with this request: nothing of the batch was in it.
            raise Trouble(Why.BUSY, "no_token", str(trouble), trouble.seconds) from None
        if (
            reply.status == 200
            and isinstance(reply.body, dict)
            and isinstance(reply.body.get("access_token"), str)
        ):
            return reply.body
        if reply.status == 200:
            raise Trouble(Why.BUSY, "no_token", "the answer has no token in it")
        error = _error(reply)
        words = {
            "invalid_grant": gone, "invalid_client": "client_refused", "unauthorized_client": "client_refused",
            "invalid_scope": "scope_missing",
        }  # fmt: skip
        raise Trouble(Why.NOT_CONNECTED, words.get(error, "token_refused"), f"{reply.status} {error}".strip())


def _token(body: Mapping[str, Any]) -> Token:
    seconds = body.get("expires_in")
    lasts = float(seconds) if isinstance(seconds, int | float) and 0 < seconds < 1e6 else 0.0
    return Token(str(body["access_token"]), datetime.now(UTC) + timedelta(seconds=lasts))


def _error(reply: Reply) -> str:
    """The word of RFC 6749, 5.2; nothing else of the answer goes into logs."""
    said = reply.body.get("error") if isinstance(reply.body, dict) else None
    return said[:60] if isinstance(said, str) else ""
