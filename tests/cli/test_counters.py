"""``opsmantik counters``: what it says, and how it ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from opsmantik.cli import counters
from opsmantik.errors import UnknownSite
from opsmantik.ingest.writer import Writer
from opsmantik.upkeep.folding import fold_all
from tests.counters.world import Traffic, site_of

pytestmark = pytest.mark.slow


@pytest.fixture
async def site(app_database: Any, make_site: Any, database: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", database.owner)
    made = await make_site(name="Crane hire")
    writer = Writer(app_database, lambda *_: None, window_ms=0)
    await writer.start()
    await writer.write(Traffic(site_of(made), 1).visit(datetime(2026, 11, 1, 12, tzinfo=UTC), live=False))
    await writer.stop()
    await fold_all(app_database)
    return made


async def command(*arguments: str) -> Any:
    """In a thread of its own, where no event loop runs yet."""
    import asyncio

    return await asyncio.to_thread(CliRunner().invoke, counters.app, list(arguments))


async def test_verify_is_quiet_when_all_is_equal_and_ends_with_1_when_not(site: Any, owner: Any) -> None:
    for asked in (
        (),
        ("--site", site.public_id),
        ("--site", str(site.id), "--from", "2026-11-01", "--to", "2026-11-02"),
    ):
        fine = await command("verify", *asked)
        assert (fine.exit_code, fine.output) == (0, "Crane hire: equal\n"), fine.output
    await owner.execute("UPDATE counter_days SET main = main[2:] WHERE site_id = $1", site.id)
    bad = await command("verify")
    assert bad.exit_code == 1 and "figures differ" in bad.output and "2026-11-01" in bad.output
    assert (await command("verify", "--from", "2026-11-05")).exit_code == 0
    rebuilt = await command("rebuild")
    assert (rebuilt.exit_code, rebuilt.output) == (0, "Crane hire: 1 days\n")
    assert (await command("verify")).exit_code == 0


@pytest.mark.parametrize("name", ["nonsense", "00000000-0000-0000-0000-000000000000"])
async def test_an_unknown_site_is_said_to_be_one(site: Any, name: str) -> None:
    assert isinstance((await command("verify", "--site", name)).exception, UnknownSite)
