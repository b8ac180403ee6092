"""Google's token endpoint: authorization codes with PKCE, refresh tokens, service accounts' assertions, and their end.

RFC 6749, RFC 7636, RFC 7523; https://developers.google.com/identity/protocols/oauth2/service-account. Other fakes of
Google's APIs ask :meth:`Tokens.refusal` whether the bearer of a request may come in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from functools import cache
from typing import Any, NamedTuple
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tests.conversions.google.errors import no
from tests.conversions.google.server import Request, Response

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"
ADWORDS = "https://www.googleapis.com/auth/adwords"


class Code(NamedTuple):
    challenge: str
    redirect_uri: str
    scopes: frozenset[str]
    client_id: str


class Refresh(NamedTuple):
    scopes: frozenset[str]
    client_id: str


class Access(NamedTuple):
    scopes: frozenset[str]
    until: float
    of: str
    """The refresh token or the service account that it came from."""


class Tokens:
    """Serves POST /token and POST /revoke."""

    def __init__(
        self, *, client_id: str = "client-1", client_secret: str = "client-secret-1", seconds: int = 3600
    ) -> None:
        self.client_id, self.client_secret, self.seconds = client_id, client_secret, seconds
        self.codes: dict[str, Code] = {}
        self.refreshes: dict[str, Refresh] = {}
        self.accesses: dict[str, Access] = {}
        self.service_accounts: dict[str, RSAKey] = {}
        self.answer: Response | None = None
        """Given to every request, where it is set."""
        self.asked: list[str] = []
        """The grant types of what was asked for."""

    # What a test lays out.

    def code(self, challenge: str, redirect_uri: str, *scopes: str) -> str:
        """As if somebody had agreed on Google's page."""
        code = f"4/{uuid4().hex}"
        self.codes[code] = Code(challenge, redirect_uri, frozenset(scopes), self.client_id)
        return code

    def refresh(self, *scopes: str) -> str:
        token = f"1//{uuid4().hex}"
        self.refreshes[token] = Refresh(frozenset(scopes or (DATA_MANAGER,)), self.client_id)
        return token

    def service_account(self, email: str = "sender@project.iam.gserviceaccount.com", *, url: str) -> str:
        """The JSON key of a service account, as it is downloaded. ``url`` is this server's."""
        pem = _private_key()
        self.service_accounts[email] = RSAKey.import_key(pem)
        return json.dumps(
            {
                "type": "service_account", "project_id": "project", "private_key_id": "k1", "private_key": pem.decode(),
                "client_email": email, "client_id": "100000000000000000001", "token_uri": f"{url}/token",
            }
        )  # fmt: skip

    def access(self, *scopes: str, of: str = "test") -> str:
        token = f"ya29.{uuid4().hex}"
        self.accesses[token] = Access(frozenset(scopes or (DATA_MANAGER,)), time.time() + self.seconds, of)
        return token

    def expire(self) -> None:
        """Every access token has just run out."""
        self.accesses = {key: access._replace(until=0) for key, access in self.accesses.items()}

    def revoke(self, token: str) -> bool:
        """End a refresh token and all that came from it, or one access token."""
        known = self.refreshes.pop(token, None) is not None
        of = self.accesses[token].of if token in self.accesses else token
        known = known or token in self.accesses
        self.refreshes.pop(of, None)
        self.accesses = {key: access for key, access in self.accesses.items() if access.of != of}
        return known

    # What is asked.

    def refusal(self, request: Request, scope: str) -> Response | None:
        """Why the bearer of a request to an API may not come in; None if they may."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        access = self.accesses.get(token) if kind == "Bearer" else None
        if access is None or access.until <= time.time():
            words = "Request had invalid authentication credentials. Expected OAuth 2 access token."
            return no(401, words, reason="ACCESS_TOKEN_INVALID", domain="googleapis.com")
        if scope not in access.scopes:
            words = "Request had insufficient authentication scopes."
            return no(403, words, reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT", domain="googleapis.com")
        return None

    async def handle(self, request: Request) -> Response | None:
        if request.method != "POST" or request.path not in ("/token", "/revoke"):
            return None
        if self.answer is not None:
            return self.answer
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _refused("invalid_request", "The request must be a form.")
        form = request.form()
        if request.path == "/revoke":
            known = self.revoke(form.get("token", ""))
            return Response(200, {}) if known else _refused("invalid_token", "Token expired or revoked")
        grant = form.get("grant_type", "")
        self.asked.append(grant)
        if grant == JWT_BEARER:
            return self._assertion(form)
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            return Response(401, {"error": "invalid_client", "error_description": "Unauthorized"})
        if grant == "refresh_token":
            return self._refreshed(form)
        if grant == "authorization_code":
            return self._exchanged(form)
        return _refused("unsupported_grant_type", f"Invalid grant_type: {grant}")

    def _refreshed(self, form: dict[str, str]) -> Response:
        token = form.get("refresh_token", "")
        found = self.refreshes.get(token)
        if found is None or found.client_id != form["client_id"]:
            return _refused("invalid_grant", "Token has been expired or revoked.")
        return self._given(found.scopes, token)

    def _exchanged(self, form: dict[str, str]) -> Response:
        code = self.codes.pop(form.get("code", ""), None)  # once
        if code is None:
            return _refused("invalid_grant", "Malformed auth code.")
        if code.redirect_uri != form.get("redirect_uri"):
            return _refused("redirect_uri_mismatch", "Bad Request")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            return _refused("invalid_grant", "Invalid code verifier.")
        refresh = self.refresh(*code.scopes)
        response = self._given(code.scopes, refresh)
        return response._replace(body={**response.body, "refresh_token": refresh})

    def _assertion(self, form: dict[str, str]) -> Response:
        try:
            claims = self._claims(form.get("assertion", ""))
        except (JoseError, ValueError, KeyError, TypeError):
            return _refused("invalid_grant", "Invalid JWT Signature.")
        now = time.time()
        if not str(claims.get("aud", "")).endswith("/token"):
            return _refused("invalid_grant", "Invalid JWT: Failed audience check.")
        issued, ends = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(ends, int) or ends - issued > 3600:
            return _refused("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
        if ends < now or issued > now + 300:
            return _refused("invalid_grant", "Invalid JWT: iat and exp must be in a reasonable timeframe.")
        if not claims.get("scope"):
            return _refused("invalid_scope", "Empty or missing scope not allowed.")
        return self._given(frozenset(str(claims["scope"]).split()), str(claims["iss"]))

    def _claims(self, assertion: str) -> dict[str, Any]:
        middle = assertion.split(".")[1]
        issuer = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["iss"]
        return dict(jwt.decode(assertion, self.service_accounts[issuer], algorithms=["RS256"]).claims)

    def _given(self, scopes: frozenset[str], of: str) -> Response:
        token = self.access(*scopes, of=of)
        return Response(
            200,
            {
                "access_token": token,
                "expires_in": self.seconds,
                "scope": " ".join(sorted(scopes)),
                "token_type": "Bearer",
            },
        )


def _refused(error: str, words: str) -> Response:
    return Response(400, {"error": error, "error_description": words})


@cache
def _private_key() -> bytes:
    """One for all tests: making it takes a while."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
