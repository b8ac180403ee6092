"""Whether a report was signed by somebody who holds the site's secret, a moment ago. Pure.

HMAC-SHA256 over the timestamp, a full stop, and the body byte by byte as it came: what is signed is what is read. Without
the time a report that somebody has seen could be sent again for ever; with it, for :data:`TOLERANCE` seconds, in which
the database remembers it (functions/record_call_v3.sql).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from opsmantik.errors import BadSignature, StaleSignature

TOLERANCE: Final = 300
TIMESTAMP_HEADER: Final = b"x-opsmantik-timestamp"
SIGNATURE_HEADER: Final = b"x-opsmantik-signature"
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_SIGNATURE = re.compile(rb"sha256=([0-9a-fA-F]{64})")
# Compared with where a site has no secret, so that the answer takes as long.
_NOBODY: Final = bytes(32)


def sign(secret: bytes, timestamp: int | str, body: bytes) -> str:
    """The value of the signature's header."""
    return "sha256=" + hmac.new(secret, b"%s." % str(timestamp).encode() + body, sha256).hexdigest()


def verify(
    secrets: Sequence[bytes], timestamp: bytes | None, signature: bytes | None, body: bytes, now: float
) -> bytes:
    """The signature's 32 bytes, if one of the secrets made it.

    Raises :class:`~opsmantik.errors.BadSignature`, or :class:`~opsmantik.errors.StaleSignature` for one whose time is
    more than :data:`TOLERANCE` seconds from ours.
    """
    if timestamp is None or not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature
    found = _SIGNATURE.fullmatch(signature or b"")
    if found is None:
        raise BadSignature
    if abs(now - int(timestamp)) > TOLERANCE:
        raise StaleSignature(seconds=TOLERANCE, now=int(now))
    given = bytes.fromhex(found[1].decode())
    # Every secret is tried: the time does not tell which one, nor whether there is any.
    good = [
        hmac.compare_digest(given, hmac.digest(secret, timestamp + b"." + body, "sha256"))
        for secret in (*secrets, _NOBODY)
    ]
    if not any(good[:-1]):
        raise BadSignature
    return given
