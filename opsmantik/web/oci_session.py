"""A key for an hour: what a script of the first generation swaps its key for, once a run.

The token holds the key, sealed for this purpose (AES-256-GCM), and when it ends. So it is nothing to the database; it ends
with the key, at once; and whoever finds one in a log has it for an hour, for the addresses of scripts alone.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Final
from uuid import UUID

from opsmantik.errors import SealBroken
from opsmantik.keyring import Keyring, Sealed

PREFIX: Final = "om_session_"
SECONDS: Final = 3600
PATHS: Final = "/api/oci/"
_PLACE: Final = ("oci.session", UUID(int=0))


def new_token(keyring: Keyring, key: str, *, now: float | None = None) -> str:
    """A token for this key, good for :data:`SECONDS`."""
    ends = int(time.time() if now is None else now) + SECONDS
    sealed = keyring.seal(f"{ends}:{key}".encode(), *_PLACE)
    return f"{PREFIX}{sealed.key_id}.{base64.urlsafe_b64encode(sealed.data).decode().rstrip('=')}"


def opened(keyring: Keyring, token: str, *, now: float | None = None) -> str | None:
    """The key that a token stands for; ``None`` for one that is none of ours, or at its end."""
    key_id, _, text = token.removeprefix(PREFIX).partition(".")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        ends, _, key = keyring.open(Sealed(key_id, data), *_PLACE).decode().partition(":")
    except (SealBroken, ValueError, binascii.Error, UnicodeError):
        return None
    return key if int(ends) > (time.time() if now is None else now) else None
