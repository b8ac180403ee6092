"""`opsmantik backup`, its drill, and `opsmantik restore` into a home directory that has nothing yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

PROGRAM = [sys.executable, "-m", "opsmantik.cli"]


class Made(NamedTuple):
    """A home directory with an account and a site in it, and a copy of it with its keys."""

    home: Path
    copy: Path
    passphrase: Path
    said: str


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k != "DATABASE_URL" and not k.startswith("OPSMANTIK_")}
    environ = kept | {"OPSMANTIK_HOME": str(home), "COLUMNS": "200", **more}
    return subprocess.run([*PROGRAM, *words], env=environ, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("backup")
    home, passphrase = place / "home", place / "passphrase"
    passphrase.write_text("long enough to be one\n")
    migrated = run(home, "db", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    done = run(home, "backup", str(place / "copy"), "--passphrase-file", str(passphrase))
    assert done.returncode == 0, done.stderr
    return Made(home, place / "copy", passphrase, done.stdout)


def test_it_says_what_is_in_it_and_that_it_should_be_tried(made: Made) -> None:
    assert "rows of" in made.said and "The keys are in it, sealed" in made.said
    assert f"opsmantik backup drill {made.copy}" in made.said
    secret = (made.home / "secret.key").read_text().strip()
    assert all(secret.encode() not in file.read_bytes() for file in made.copy.iterdir())
    manifest = json.loads((made.copy / "manifest.json").read_text())
    assert (
        manifest["with_keys"] and len(manifest["migrations"]) >= 20 and manifest["rows"]["public.sites"] == 0
    )


def test_the_drill_restores_it_elsewhere_and_says_how_old_it_is(made: Made, tmp_path: Path) -> None:
    done = run(made.home, "backup", "drill", str(made.copy), "--scratch", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (
        "minutes ago" in done.stdout
        and "It can be restored" in done.stdout
        and "every counter right" in done.stdout
    )
    assert list(tmp_path.iterdir()) == []


def test_it_goes_back_with_its_keys_and_over_nothing(made: Made, tmp_path: Path) -> None:
    home = tmp_path / "new"
    wrong = tmp_path / "wrong"
    wrong.write_text("another passphrase")
    refused = run(home, "restore", str(made.copy), "--passphrase-file", str(wrong))
    assert refused.returncode == 1 and "not the passphrase" in refused.stderr
    refused = run(home, "restore", str(made.copy))
    assert refused.returncode == 1 and "secret.key" in refused.stderr and "--without-keys" in refused.stderr
    assert not (home / "postgres").exists() and not (home / "secret.key").exists()
    done = run(home, "restore", str(made.copy), "--passphrase-file", str(made.passphrase))
    assert done.returncode == 0, done.stderr
    for name in ("secret.key", "encryption.keys"):
        assert (home / name).read_text() == (made.home / name).read_text()
        assert (home / name).stat().st_mode & 0o777 == 0o600
    again = run(home, "restore", str(made.copy), "--passphrase-file", str(made.passphrase))
    assert again.returncode == 1 and "nothing is overwritten" in again.stderr


def test_without_a_passphrase_it_says_what_must_be_kept_elsewhere(made: Made, tmp_path: Path) -> None:
    done = run(made.home, "backup", str(tmp_path / "plain"))
    assert done.returncode == 0, done.stderr
    assert "The keys are NOT in it" in done.stdout and "encryption.keys" in done.stdout
    assert not (tmp_path / "plain" / "keys.sealed").exists()
    again = run(made.home, "backup", str(tmp_path / "plain"))
    assert again.returncode == 1 and "nothing is overwritten" in again.stderr


WRONG = {
    "no place": ((), "Missing argument"),
    "a drill of nothing": (("drill",), "say where"),
    "two places": (("a", "b"), "say where"),
    "what is no copy": (("drill", "/nowhere/at/all"), "no such backup"),
}


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_is_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = run(tmp_path / "home", "backup", *words)
    assert done.returncode in (1, 2) and said in done.stderr
