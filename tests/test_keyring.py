"""Sealed values open for their own row and column, with a key that is still there, and for nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from opsmantik.errors import SealBroken, SettingsError
from opsmantik.keyring import FILE, Keyring, Sealed, keep_only, key_of, keyring, new_key, put_first
from opsmantik.settings import Settings

ROW = uuid4()
COLUMN = "user_credentials.refresh_token"


def ring(*secrets: bytes) -> Keyring:
    return Keyring([key_of(secret) for secret in secrets])


def test_what_was_sealed_opens_again_and_looks_different_each_time() -> None:
    keys = ring(os.urandom(32))
    first, second = keys.seal(b"token", COLUMN, ROW), keys.seal(b"token", COLUMN, ROW)
    assert first.data != second.data and b"token" not in first.data
    assert keys.open(first, COLUMN, ROW) == keys.open(second, COLUMN, ROW) == b"token"


@pytest.mark.parametrize(
    "change", ["row", "column", "bit", "nonce", "version", "cut", "empty", "other key", "key's name"]
)
def test_a_sealed_value_that_was_moved_or_changed_stays_shut(change: str) -> None:
    keys, other = ring(os.urandom(32)), ring(os.urandom(32))
    sealed = keys.seal(b"token", COLUMN, ROW)
    data = bytearray(sealed.data)
    moved = {
        "bit": bytes(data[:-1]) + bytes([data[-1] ^ 1]),
        "nonce": bytes(data[:5]) + bytes([data[5] ^ 1]) + bytes(data[6:]),
        "version": b"\x02" + bytes(data[1:]),
        "cut": bytes(data[:-1]),
        "empty": b"",
    }.get(change, sealed.data)
    given = Sealed(other.current if change == "key's name" else sealed.key_id, moved)
    opener = other if change == "other key" else keys
    with pytest.raises(SealBroken) as broken:
        opener.open(
            given,
            "webhooks.secret" if change == "column" else COLUMN,
            uuid4() if change == "row" else ROW,
        )
    assert "token'" not in str(broken.value)


def test_the_first_key_seals_and_all_open() -> None:
    old, new = os.urandom(32), os.urandom(32)
    sealed = ring(old).seal(b"token", COLUMN, ROW)
    both = ring(new, old)
    assert both.open(sealed, COLUMN, ROW) == b"token"
    assert both.seal(b"token", COLUMN, ROW).key_id == key_of(new).id != sealed.key_id
    with pytest.raises(SealBroken, match="not among the keys"):
        ring(new).open(sealed, COLUMN, ROW)


def test_the_file_is_made_once_for_its_owner_alone_and_keys_can_follow_each_other(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first = keyring(settings)
    assert keyring(settings).ids == first.ids and len(first.ids) == 1
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    put_first(tmp_path, new_key())
    rotated = keyring(settings)
    assert rotated.ids[1:] == first.ids and rotated.current != first.current
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    keep_only(tmp_path, [rotated.current])
    assert keyring(settings).ids == (rotated.current,)


@pytest.mark.parametrize("text", ["", "secret", "ab" * 31, "zz" * 32, "ab" * 33])
def test_what_is_no_key_is_refused_by_the_name_of_its_setting(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="OPSMANTIK_ENCRYPTION_KEYS"):
        keyring(Settings(home=tmp_path, encryption_keys=(text,)))


def test_settings_do_not_show_keys_or_the_mail_server_s_password() -> None:
    shown = repr(Settings(encryption_keys=("ab" * 32,), smtp_url="smtp://me:hunter2@mail.example.com"))
    assert "abab" not in shown and "hunter2" not in shown
