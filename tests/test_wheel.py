"""The wheel: the same bytes from the same sources, wherever and whenever, and all that runs needs is in it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from tests import wheel

pytestmark = pytest.mark.slow

# Files of these folders that are for developers alone.
LEFT_OUT: frozenset[str] = frozenset()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.copy_sources(tmp_path_factory.mktemp("first") / "here")


@pytest.fixture(scope="module")
def built(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.build(sources, tmp_path_factory.mktemp("dist"))


def test_two_builds_are_the_same_to_the_byte(sources: Path, built: Path, tmp_path: Path) -> None:
    """From another directory, with other times, order of making, file modes within reason, and another time zone."""
    other = tmp_path / "a longer name of another directory"
    for path in sorted((p for p in sources.rglob("*") if p.is_file()), reverse=True):
        copy = other / path.relative_to(sources)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        os.utime(copy, (1_000_000_000, 1_000_000_000))
    again = wheel.build(other, tmp_path / "dist", TZ="Asia/Kathmandu", PYTHONHASHSEED="7", LC_ALL="C")
    assert again.name == built.name
    assert again.read_bytes() == built.read_bytes()


def test_the_time_of_its_files_can_be_said(sources: Path, tmp_path: Path) -> None:
    found = wheel.build(sources, tmp_path, SOURCE_DATE_EPOCH="1800000000")
    with zipfile.ZipFile(found) as archive:
        assert {one.date_time[:3] for one in archive.infolist()} == {(2027, 1, 15)}


def test_every_file_that_runs_may_ask_for_is_in_it(sources: Path, built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        inside = set(archive.namelist())
    placed = {"integrations": "opsmantik/integrations", "docs/checks": "opsmantik/docs/checks"}
    for name in ("opsmantik", *placed):
        for path in (sources / name).rglob("*"):
            if path.is_file():
                below = path.relative_to(sources / name).as_posix()
                assert f"{placed.get(name, name)}/{below}" in inside | LEFT_OUT
    for part in (
        "db/migrations/",
        "db/functions/",
        "web/templates/",
        "web/static/",
        "web/words/tr/",
        "docs/checks/",
    ):
        assert any(one.startswith(f"opsmantik/{part}") for one in inside), part
    assert not [
        one for one in inside if one.startswith(("tests", "bench", "tracker")) or "__pycache__" in one
    ]
