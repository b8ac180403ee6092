"""Secrets at rest: what must be read again (tokens of other services, signing secrets, second factors) is sealed.

AES-256-GCM. A sealed value is bound to its place, the table's column and the row's id, as associated data: copied to
another row it opens no more. Each names the key that sealed it, so keys can be replaced one after another
(``opsmantik keys rotate``) while the old ones still open what they sealed. The keys are not in the database: whoever has
a copy of that alone reads nothing.

A server keeps its keys in memory, and its file may get new ones at any time: it looks whether the file has changed
before it seals, so that nothing is sealed for long with a key that is on its way out, and when it meets a key that it
does not know.

Enters: the settings. Leaves: one :class:`Keyring`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opsmantik.errors import SealBroken, SettingsError
from opsmantik.settings import Settings, keep_secret, private_directory, variable

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


class Source(NamedTuple):
    """Where keys come from when they may change: ``stamp`` costs little, and differs when ``read`` would."""

    stamp: Callable[[], object]
    read: Callable[[], Sequence[Key]]


class Keyring:
    """The installation's keys, the first of which seals; the others only open. Given as they are, or by their source."""

    def __init__(self, keys: Sequence[Key] | Source) -> None:
        self._source = keys if isinstance(keys, Source) else None
        self._stamp = self._source.stamp() if self._source else None
        self._take(keys.read() if isinstance(keys, Source) else keys)

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._keys))

    @property
    def ids(self) -> tuple[str, ...]:
        """All keys by their ids, the one that seals first."""
        return tuple(self._keys)

    def seal(self, secret: bytes, column: str, row: UUID) -> Sealed:
        """Seal a value for this column (``table.column``) of this row."""
        self.refresh()
        key_id, key = next(iter(self._keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(key_id, _VERSION + nonce + key.encrypt(nonce, secret, _place(column, row)))

    def open(self, sealed: Sealed, column: str, row: UUID) -> bytes:
        """The value again.

        Raises :class:`~opsmantik.errors.SealBroken` for one that was sealed with a key that is not here, for another
        place, or that was changed.
        """
        if sealed.key_id not in self._keys:
            self.refresh()
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

    def refresh(self) -> None:
        """Read the keys again if their source has changed. A source that is gone or broken changes nothing: what is
        sealed must stay open to a server that runs."""
        if self._source is None or (stamp := self._source.stamp()) == self._stamp:
            return
        with suppress(OSError, SettingsError):
            self._take(self._source.read())
        self._stamp = stamp  # taken before the reading: a change in between is seen the next time

    def _take(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise SettingsError(variable=variable("encryption_keys"), problem="there is no key at all")
        self._keys = {key.id: AESGCM(key.secret) for key in keys}


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
    if settings.encryption_keys:
        return Keyring([_read(text) for text in settings.encryption_keys])
    file = settings.home / FILE
    keep_secret(file)
    return Keyring(Source(lambda: _stamp(file), lambda: _keys(file)))


def put_first(home: Path, key: str) -> str:
    """Make this the key that seals from now on; for installations that keep their keys in the file. Its id."""
    with _locked(home):
        keep_secret(home / FILE)
        kept = [text for text in (home / FILE).read_text().split() if text != key]
        _write(home, [key, *kept])
    return _read(key).id


def keep_only(home: Path, ids: Sequence[str]) -> None:
    """Forget the keys of the file that nothing is sealed with any more; never the one that seals."""
    with _locked(home):
        first, *others = (home / FILE).read_text().split()
        _write(home, [first, *(text for text in others if _read(text).id in ids)])


def _keys(file: Path) -> list[Key]:
    return [_read(text) for text in file.read_text().split()]


def _stamp(file: Path) -> object:
    """Every change of the file is a new file in its place, so its number tells, with the time for numbers used again."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One change at a time: of two at once the second would write down what the first had just replaced."""
    private_directory(home)
    descriptor = os.open(home / f"{FILE}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(home: Path, keys: Sequence[str]) -> None:
    """The whole file or none of it, also when the power goes: what is sealed with a lost key is lost."""
    beside = home / f"{FILE}.new"
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("".join(f"{key}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(home / FILE)
    directory = os.open(home, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


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
