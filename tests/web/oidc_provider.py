"""A real OpenID Connect provider on loopback, which can be told to cheat.

The library's provider does not look at PKCE; this one does, as providers do, so that a client that left it out would fail.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import flask
import oidc_provider_mock
import werkzeug.serving
from joserfc import jwt
from joserfc.jwk import RSAKey

from opsmantik.people.oidc import Provider

Claims = dict[str, Any]


class TestProvider:
    """``claims``, ``sign`` and ``redirect`` change what it answers until :meth:`be_honest`."""

    __test__ = False

    def __init__(self) -> None:
        self.app = oidc_provider_mock.app()
        self.storage: Any = None
        self._key: tuple[Any, RSAKey] | None = None
        self.challenges: dict[str, str] = {}
        self.requests: list[str] = []
        self.app.before_request(self._before)
        self.app.after_request(self._after)
        self.be_honest()

    def be_honest(self) -> None:
        self.claims: Callable[[Claims], Claims] = lambda claims: claims
        self.sign: Callable[[Claims, Any], str] | None = None
        self.redirect: Callable[[str], str] = lambda address: address
        self.metadata: Callable[[Claims], Claims] = lambda found: found
        self.status: dict[str, int] = {}
        self.body: dict[str, bytes] = {}

    def user(self, subject: str, **claims: Any) -> None:
        self.storage_of().store_user(oidc_provider_mock.User(sub=subject, claims=claims))

    def storage_of(self) -> Any:
        if self.storage is None:
            self.app.test_client().get("/", base_url=self.issuer)
        return self.storage

    def own_key(self) -> RSAKey:
        """The key of the moment; to read one takes longer than to sign with it."""
        kept = self.storage_of().jwk
        if self._key is None or self._key[0] is not kept:
            self._key = kept, RSAKey.import_key(kept.as_dict(is_private=True))
        return self._key[1]

    def token(self, claims: Claims, key: Any = None, **header: Any) -> str:
        key = key or self.own_key()
        return jwt.encode({"alg": "RS256", "kid": self.own_key().thumbprint(), **header}, claims, key)

    def _before(self) -> Any:
        self.storage = flask.g.oidc_provider_mock_storage
        path = flask.request.path
        self.requests.append(path)
        if path in self.status or path in self.body:
            return flask.Response(self.body.get(path, b"{}"), status=self.status.get(path, 200))
        if path == "/oauth2/token":
            form = flask.request.form
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            sent = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if self.challenges.get(form.get("code", ""), sent) != sent:
                return flask.Response('{"error": "invalid_grant"}', status=400)
            basic = flask.request.authorization
            assert basic is not None and unquote_plus(basic.password or "") == "s3cret/+"
        return None

    def _after(self, response: flask.Response) -> flask.Response:
        path = flask.request.path
        if path in self.status or path in self.body:
            return response
        if path == "/.well-known/openid-configuration":
            response.set_data(json.dumps(self.metadata(response.get_json())))
        elif path == "/oauth2/authorize" and "location" in response.headers:
            asked = flask.request.args
            code = parse_qs(urlsplit(response.headers["location"]).query).get("code", [""])[0]
            assert asked.get("code_challenge_method") == "S256"
            self.challenges[code] = asked["code_challenge"]
            response.headers["location"] = self.redirect(response.headers["location"])
        elif path == "/oauth2/token" and response.status_code == 200:
            answer = response.get_json()
            payload = answer["id_token"].split(".")[1]
            claims = self.claims(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
            # What the library's provider knows of somebody, it knows for sure; addresses are verified unless they say not.
            answer["id_token"] = self.sign(claims, self) if self.sign else self.token(claims)
            response.set_data(json.dumps(answer))
        return response

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    def settings(self) -> dict[str, str]:
        return {
            "oidc_issuer": self.issuer, "oidc_client_id": "opsmantik", "oidc_client_secret": "s3cret/+",
            "oidc_name": "Example Login",
        }  # fmt: skip

    def as_google(self) -> Provider:
        """The same provider in Google's place: other address, other client."""
        return Provider("google", "Google", self.issuer, "opsmantik-at-google", "s3cret/+")

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[TestProvider]:
        server = werkzeug.serving.make_server("localhost", port, self.app, threaded=True)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join(5)
            server.server_close()


def now() -> int:
    return int(time.time())


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unsigned(claims: Claims, _: Any) -> str:
    """A token that says that it needs no signature."""
    return (
        f"{_part(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{_part(json.dumps(claims).encode())}."
    )


def hs256(claims: Claims, secret: bytes, **header: Any) -> str:
    """A token signed with a secret: by hand, because libraries refuse to take a public key for one."""
    signed = f"{_part(json.dumps({'alg': 'HS256', **header}).encode())}.{_part(json.dumps(claims).encode())}"
    return f"{signed}.{_part(hmac.digest(secret, signed.encode(), 'sha256'))}"


def words_of(html: str) -> str:
    """The text of an alert on a page."""
    found = re.search(r'role="alert">([^<]*)<', html)
    return found[1] if found else ""
