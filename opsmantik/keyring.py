"""Secrets at rest: what must be read again (tokens of other services, signing secrets, second factors) is sealed.

AES-256-GCM. A sealed value is bound to its place, the table's column and the row's id, as associated data: copied to
another row it opens no more. Each names the key that sealed it, so keys can be replaced one after another
(``opsmantik keys rotate``) while the old ones still open what they sealed. The keys are not in the database: whoever has
a copy of that alone reads nothing.

Enters: the settings. Leaves: one frozen :class:`Keyring`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opsmantik.errors import SealBroken, SettingsError
from opsmantik.settings import Settings, keep_secret, variable

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FILE: Final = "encryption.keys"
_VERSION: Final = b"\x01"


class Sealed(NamedTuple):
    """What the database keeps: the key's id, and nonce and ciphertext."""

    key_id: str
    data: bytes


class Key(NamedTuple):
    """One key: its id tells nothing about it."""

    id: str
    secret: bytes


class Keyring:
    """The installation's keys, the first of which seals; the others only open."""

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError("a keyring has at least one key")
        self._keys = {key.id: AESGCM(key.secret) for key in keys}
        self.current: str = keys[0].id

    @property
    def ids(self) -> tuple[str, ...]:
        """All keys by their ids, the one that seals first."""
        return tuple(self._keys)

    def seal(self, secret: bytes, column: str, row: UUID) -> Sealed:
        """Seal a value for this column (``table.column``) of this row."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self.current].encrypt(nonce, secret, _place(column, row))
        return Sealed(self.current, _VERSION + nonce + sealed)

    def open(self, sealed: Sealed, column: str, row: UUID) -> bytes:
        """The value again.

        Raises :class:`~opsmantik.errors.SealBroken` for one that was sealed with a key that is not here, for another
        place, or that was changed.
        """
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise SealBroken(reason=f"the key {sealed.key_id!r} is not among the keys of this installation")
        version, nonce, data = (
            sealed.data[:1],
            sealed.data[1 : 1 + NONCE_BYTES],
            sealed.data[1 + NONCE_BYTES :],
        )
        try:
            if version != _VERSION:
                raise InvalidTag
            return key.decrypt(nonce, data, _place(column, row))
        except (InvalidTag, ValueError):
            raise SealBroken(reason=f"the value of {column} was not sealed for this row") from None


def _place(column: str, row: UUID) -> bytes:
    return f"opsmantik:{column}:{row}".encode()


def key_of(secret: bytes) -> Key:
    """The key with its id, which is made of its hash."""
    return Key(hashlib.sha256(b"opsmantik key id:" + secret).hexdigest()[:12], secret)


def new_key() -> str:
    """A new key in the form in which settings and the file hold it: 64 hex digits."""
    return secrets.token_hex(KEY_BYTES)


def keyring(settings: Settings) -> Keyring:
    """The keys of the settings, else those of the file in the home directory, which is made if there is none.

    Raises :class:`~opsmantik.errors.SettingsError` for what is no key.
    """
    return Keyring([_read(text) for text in settings.encryption_keys or _kept(settings.home)])


def put_first(home: Path, key: str) -> None:
    """Make this the key that seals from now on; for installations that keep their keys in the file."""
    _write(home, [key, *_kept(home)])


def keep_only(home: Path, ids: Sequence[str]) -> None:
    """Forget the keys of the file that nothing is sealed with any more."""
    _write(home, [text for text in _kept(home) if _read(text).id in ids])


def _kept(home: Path) -> list[str]:
    return keep_secret(home / FILE).split()


def _write(home: Path, keys: Sequence[str]) -> None:
    beside = home / f"{FILE}.new"
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("".join(f"{key}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(home / FILE)


def _read(text: str) -> Key:
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise SettingsError(
            variable=variable("encryption_keys"),
            problem="a key is 32 random bytes as 64 hex digits, as `opsmantik keys new` prints them",
        )
    return key_of(secret)
