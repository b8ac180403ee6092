"""What a key for programs looks like: ``om_person_…`` or ``om_site_…``, then 256 random bits, then a checksum.

The prefix tells whoever finds one, person or scanner, what it is and whose; the checksum tells a typo or a cut from a
key that was revoked, and lets a scanner report without asking anybody. Pure. Of what is made here the database keeps the
SHA-256: a password needs a slow hash because people choose it; nobody guesses 256 random bits.
"""

from __future__ import annotations

import re
import secrets
import zlib
from typing import Final, Literal, NamedTuple, cast, get_args

Kind = Literal["person", "site"]
RANDOM_BYTES: Final = 32
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK: Final = 6  # characters of base 62 that hold 32 bits
FORM: Final = re.compile(rf"om_({'|'.join(get_args(Kind))})_[A-Za-z0-9_-]{{43}}[0-9A-Za-z]{{{_CHECK}}}")


class Key(NamedTuple):
    """A key in the clear: shown once, kept nowhere."""

    kind: Kind
    token: str

    @property
    def last_four(self) -> str:
        """By which its holder tells it from their others."""
        return self.token[-4:]


def new_key(kind: Kind) -> Key:
    """A new one."""
    body = f"om_{kind}_{secrets.token_urlsafe(RANDOM_BYTES)}"
    return Key(kind, body + checksum(body))


def read_key(text: str) -> Key | None:
    """The key that a text is; ``None`` for one that we cannot have made, whoever is asked."""
    found = FORM.fullmatch(text)
    if found is None or checksum(text[:-_CHECK]) != text[-_CHECK:]:
        return None
    return Key(cast("Kind", found[1]), text)


def checksum(body: str) -> str:
    """CRC-32 in base 62."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
