"""Whether an ID token is what our own question was answered with, by the one who was asked.

OpenID Connect Core 3.1.3.7, held strictly: signed by a key of the provider with an algorithm of :data:`ALGORITHMS` (never
``none``, never a shared secret: with those whoever can write to us could sign), for us and nobody besides, for this
question, within its time. Pure: keys, time and token come in, the claims go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey, import_key
from joserfc.jws import extract_compact

ALGORITHMS: Final = {"RS256": "RSA", "ES256": "EC"}  # and the kind of key that goes with each
LEEWAY_SECONDS: Final = 60
OLDEST_SECONDS: Final = 600  # it was made for a sign-in that began at most so long ago
SHORTEST_RSA: Final = 2048
MOST_KEYS: Final = 50


class TokenRefused(Exception):  # noqa: N818 - a refusal, told apart from mistakes
    """It cannot be trusted; the text says why, for the log."""


class UnknownKey(TokenRefused):
    """None of these keys has the token's id: the provider may have newer ones."""


def signing_keys(document: Any) -> list[Key]:
    """The keys of a JWKS document that can have signed a token for us; what is of another kind is left out."""
    entries = document.get("keys") if isinstance(document, dict) else None
    found: list[Key] = []
    for entry in entries[:MOST_KEYS] if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("kty") not in ALGORITHMS.values():
            continue
        try:
            key = import_key(entry)
            strong = not isinstance(key, RSAKey) or key.public_key.key_size >= SHORTEST_RSA
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if strong and entry.get("use", "sig") == "sig":
            found.append(key)
    return found


def claims_of(
    token: str,
    keys: Sequence[Key],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str | None,
    now: int,
) -> dict[str, Any]:
    """The claims, if all of it holds. ``now``: epoch seconds.

    Raises :class:`UnknownKey`, or :class:`TokenRefused` for everything else.
    """
    header, claims = _signed(token, keys)
    try:
        checked = CodeIDToken(
            claims,
            header,
            {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}},
            {"nonce": nonce, "client_id": client_id, "access_token": access_token},
        )
        checked.validate(now=now, leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError) as refused:
        raise TokenRefused(f"{type(refused).__name__}: {refused}") from None
    if claims["aud"] not in (client_id, [client_id]):  # another audience could use the token as if it were we
        raise TokenRefused("it is for others besides")
    if not isinstance(claims["iat"], int | float) or claims["iat"] < now - OLDEST_SECONDS - LEEWAY_SECONDS:
        raise TokenRefused("it is too old")
    if (
        not isinstance(claims["sub"], str)
        or not 0 < len(claims["sub"]) <= 255
        or not claims["sub"].isprintable()
    ):
        raise TokenRefused("it names nobody")
    return claims


def _signed(token: str, keys: Sequence[Key]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that one of these keys has signed."""
    try:
        header = extract_compact(token.encode("ascii")).headers()
    except (JoseError, ValueError, TypeError, KeyError):
        raise TokenRefused("it is no signed token") from None
    kind, key_id = ALGORITHMS.get(str(header.get("alg"))), header.get("kid")
    if kind is None:
        raise TokenRefused(f"its algorithm is {str(header.get('alg'))[:20]!r}")
    fitting = [k for k in keys if k.key_type == kind and (key_id is None or k.kid == key_id)]
    if not fitting:
        raise UnknownKey(f"there is no {kind} key {str(key_id)[:80]!r}")
    for key in fitting:
        if isinstance(key, ECKey) and key.curve_name != "P-256":
            continue
        try:
            return header, jwt.decode(token, key, algorithms=[str(header["alg"])]).claims
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    raise TokenRefused("no key of the provider has signed it")
