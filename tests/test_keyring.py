"""Sealed values: what opens them, what does not, and how keys come and go."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path
from uuid import UUID

import pytest

from opsmantik import keyring as keys
from opsmantik.errors import SealBroken, SettingsError
from opsmantik.keyring import FILE, Keyring, Sealed, key_of, keyring, new_key
from opsmantik.settings import Settings

ROW, OTHER_ROW = UUID(int=1), UUID(int=2)
COLUMN = "hooks.secret"
KEY = key_of(b"\x01" * 32)


def ring(*texts: str) -> Keyring:
    return keyring(Settings(encryption_keys=texts))


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_what_is_sealed_opens_in_its_place() -> None:
    sealed = Keyring([KEY]).seal(b"whsec", COLUMN, ROW)
    assert Keyring([KEY]).open(sealed, COLUMN, ROW) == b"whsec"
    assert b"whsec" not in sealed.data and sealed.key_id == KEY.id


def test_the_same_value_looks_different_each_time() -> None:
    assert len({Keyring([KEY]).seal(b"whsec", COLUMN, ROW).data for _ in range(50)}) == 50


REFUSED = {
    "another row": lambda s: (s, COLUMN, OTHER_ROW),
    "another column": lambda s: (s, "hooks.next_secret", ROW),
    "another table": lambda s: (s, "users.secret", ROW),
    "a bit of the version": lambda s: (Sealed(s.key_id, flipped(s.data, 0)), COLUMN, ROW),
    "a bit of the nonce": lambda s: (Sealed(s.key_id, flipped(s.data, 1)), COLUMN, ROW),
    "a bit of the value": lambda s: (Sealed(s.key_id, flipped(s.data, 13)), COLUMN, ROW),
    "a bit of the tag": lambda s: (Sealed(s.key_id, flipped(s.data, -1 % len(s.data))), COLUMN, ROW),
    "its end cut off": lambda s: (Sealed(s.key_id, s.data[:-1]), COLUMN, ROW),
    "nothing left": lambda s: (Sealed(s.key_id, b""), COLUMN, ROW),
    "another key of the ring": lambda s: (Sealed(key_of(b"\x02" * 32).id, s.data), COLUMN, ROW),
    "a key that is not here": lambda s: (Sealed("0" * 12, s.data), COLUMN, ROW),
}


@pytest.mark.parametrize("changed", REFUSED.values(), ids=REFUSED.keys())
def test_it_opens_nowhere_else_and_not_when_changed(changed) -> None:  # type: ignore[no-untyped-def]
    held = Keyring([KEY, key_of(b"\x02" * 32)])
    with pytest.raises(SealBroken):
        held.open(*changed(held.seal(b"whsec", COLUMN, ROW)))


def test_the_first_key_seals_and_the_others_still_open() -> None:
    old, new = new_key(), new_key()
    sealed = ring(old).seal(b"x", COLUMN, ROW)
    both = ring(new, old)
    assert both.open(sealed, COLUMN, ROW) == b"x"
    assert both.current == ring(new).current != sealed.key_id
    assert both.seal(b"x", COLUMN, ROW).key_id == both.current


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "a" * 63, "a" * 66])
def test_what_is_no_key_is_refused_by_the_name_of_its_variable(text: str) -> None:
    with pytest.raises(SettingsError, match="OPSMANTIK_ENCRYPTION_KEYS"):
        ring(text)


# The file.


def test_without_settings_the_file_is_made_once_for_its_owner_s_eyes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = keyring(Settings(home=home))
    assert keyring(Settings(home=home)).ids == first.ids
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
    key = (home / FILE).read_text().strip()
    assert key not in first.current and first.current not in key


def test_keys_of_the_settings_are_not_written_down(tmp_path: Path) -> None:
    keyring(Settings(home=tmp_path, encryption_keys=(new_key(),)))
    assert list(tmp_path.iterdir()) == []


def _ids(home: str) -> tuple[str, ...]:
    return keyring(Settings(home=Path(home))).ids


def _put(home: str) -> str:
    return keys.put_first(Path(home), new_key())


@pytest.mark.slow
def test_processes_that_start_at_once_agree_on_one_key_and_lose_none_that_is_added(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(_ids, [str(tmp_path / "home")] * 8))) == 1
        added = pool.map(_put, [str(tmp_path / "home")] * 12, chunksize=1)
    assert set(added) < set(_ids(str(tmp_path / "home"))) and len(set(added)) == 12
    assert len(_ids(str(tmp_path / "home"))) == 13


def test_a_server_that_runs_seals_with_a_new_key_as_soon_as_it_is_there(tmp_path: Path) -> None:
    server = keyring(Settings(home=tmp_path))
    before = server.seal(b"x", COLUMN, ROW)
    new = keys.put_first(tmp_path, new_key())
    after = server.seal(b"x", COLUMN, ROW)
    assert (after.key_id, server.ids) == (new, (new, before.key_id))
    assert server.open(before, COLUMN, ROW) == server.open(after, COLUMN, ROW) == b"x"


def test_a_server_that_runs_opens_what_another_sealed_with_a_new_key(tmp_path: Path) -> None:
    server = keyring(Settings(home=tmp_path))
    keys.put_first(tmp_path, new_key())
    sealed = keyring(Settings(home=tmp_path)).seal(b"x", COLUMN, ROW)
    assert server.open(sealed, COLUMN, ROW) == b"x"


def test_an_unknown_key_makes_it_read_the_file_again_only_if_that_has_changed(tmp_path: Path) -> None:
    """Cookies are sealed too, and anybody can send one that names any key."""
    stamps, reads = [1], []

    def read() -> list[keys.Key]:
        reads.append(stamps[-1])
        return [KEY]

    held = Keyring(keys.Source(lambda: stamps[-1], read))
    for stamp in (1, 1, 2, 2, 2):
        stamps.append(stamp)
        with pytest.raises(SealBroken):
            held.open(Sealed("0" * 12, b"x" * 40), COLUMN, ROW)
    assert reads == [1, 2]


SPOILT = {
    "gone": lambda file: file.unlink(),
    "empty": lambda file: file.write_text(""),
    "nonsense": lambda file: file.write_text("no key\n"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_file_that_is_gone_or_spoilt_does_not_shut_out_a_server_that_runs(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    server = keyring(Settings(home=tmp_path))
    sealed = server.seal(b"x", COLUMN, ROW)
    spoil(tmp_path / FILE)
    assert server.open(server.seal(b"y", COLUMN, ROW), COLUMN, ROW) == b"y"
    assert server.open(sealed, COLUMN, ROW) == b"x"


def test_forgetting_never_takes_the_key_that_seals(tmp_path: Path) -> None:
    first = keyring(Settings(home=tmp_path)).current
    second = keys.put_first(tmp_path, new_key())
    third = keys.put_first(tmp_path, new_key())
    keys.keep_only(tmp_path, [first])
    assert keyring(Settings(home=tmp_path)).ids == (third, first)
    keys.keep_only(tmp_path, [])
    assert keyring(Settings(home=tmp_path)).ids == (third,)
    assert second not in keyring(Settings(home=tmp_path)).ids
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.new"))
