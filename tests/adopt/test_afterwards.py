"""What goes on after an adoption: trackers of the first generation that know nothing of it, and the command itself."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from opsmantik.adopt.old import open_old
from opsmantik.cli import build
from opsmantik.db.connect import Database
from opsmantik.db.roles import with_credentials
from opsmantik.errors import Unprocessable
from opsmantik.event import Arrival, Drop
from opsmantik.ingest.first_generation import read_first_generation
from opsmantik.ingest.pipeline import Pipeline, World
from opsmantik.ingest.registry import Registry
from opsmantik.ingest.writer import Writer
from tests.adopt.conftest import adopt, as_owner
from tests.adopt.test_adopt import CRANE, number
from tests.conftest import Dsns
from tests.first_generation.fixtures import OldCopy
from tests.mailbox import mail_server

pytestmark = pytest.mark.slow


async def send(dsns: Dsns, **body: Any) -> None:
    """As the door for first-generation trackers does with a body."""
    database = Database(dsns.app, max_size=2)
    await database.open()
    registry = Registry(database)
    await registry.refresh()
    site = registry.find("5f0c9a527d1e4b389a610c1d2e3f4a5b")
    arrival = Arrival(
        door="sync",
        site=site,
        origin="https://www.crane.example",
        ip="203.0.113.0",
        user_agent="Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
        received_ms=int(time.time() * 1000),
        first_generation=True,
    )
    event = read_first_generation(json.dumps(body).encode(), arrival, ())
    assert not isinstance(event, Drop)
    event = Pipeline(World(lambda address: None)).run(event)
    assert not isinstance(event, Drop), event
    writer = Writer(database, lambda *_: None, window_ms=0)
    await writer.start()
    await writer.write([event])
    await writer.stop()
    await database.close()


async def test_an_event_of_an_old_tracker_joins_its_adopted_visit(first_generation: str, new: Dsns) -> None:
    await adopt(first_generation, new)
    sid = number("c0", 1001)
    # The tab was open all the while; its clock, and so its month, are its own affair.
    await send(
        new,
        s="5f0c9a52-7d1e-4b38-9a61-0c1d2e3f4a5b",
        u="https://crane.example/iletisim",
        sid=str(sid),
        sm="2026-11-01",
        ec="conversion",
        ea="phone_call",
        el="tel:05000000012",
        ev=None,
        r="",
        meta={
            "fp": "fp1",
            "gclid": None,
            "intent_stamp": f"{int(time.time() * 1000)}-ab12-tel-00ff00",
            "intent_action": "phone_call",
        },
    )
    async with as_owner(new) as owner:
        visits = await owner.fetch("SELECT * FROM sessions WHERE site_id = $1 AND id = $2", CRANE, sid)
        assert len(visits) == 1 and visits[0]["created_month"].isoformat() == "2026-01-01"
        assert (visits[0]["event_count"], visits[0]["conversion_count"], visits[0]["intent_count"]) == (
            3,
            1,
            1,
        )
        assert visits[0]["exit_page"] == "https://crane.example/iletisim"
        assert (visits[0]["attribution_source"], visits[0]["channel"]) == ("Organic", "organic_search")
        lead = await owner.fetchrow(
            "SELECT matched_session_month, status FROM calls WHERE matched_session_id = $1", sid
        )
        assert (lead["matched_session_month"].isoformat(), lead["status"]) == ("2026-01-01", "intent")
    outcome = await adopt(first_generation, new)
    assert outcome.unexplained == [], "what came in here is no difference"


@pytest.fixture
def installation(new: Dsns, monkeypatch: pytest.MonkeyPatch) -> Dsns:
    monkeypatch.setenv("DATABASE_URL", new.owner)
    return new


async def command(*arguments: str) -> Any:
    """In a thread of its own, where no event loop runs yet."""
    return await asyncio.to_thread(CliRunner().invoke, build("adopt"), ["adopt", *arguments])


async def test_without_import_it_only_tells(old_copy: OldCopy, installation: Dsns) -> None:
    old = await old_copy("orphaned_events", "plain_tokens")
    told = await command("--dsn", old)
    assert told.exit_code == 0, told.output
    assert "events have no visit" in told.output and "a visit is made of them" in told.output
    assert "not taken over" in told.output and "Nothing was written" in told.output
    assert "plain-refresh-token" not in told.output
    async with as_owner(installation) as owner:
        assert await owner.fetchval("SELECT count(*) FROM sites") == 0


async def test_with_import_it_tells_the_figures_and_who_needs_a_link(
    first_generation: str, installation: Dsns
) -> None:
    done = await command("--dsn", first_generation, "--import")
    assert done.exit_code == 0, done.output
    assert "Crane hire" in done.output and "opsmantik user reset-link" in done.output
    assert "viewer@first.example" in done.output and "unexplained" not in done.output
    again = await command("--dsn", first_generation, "--import")
    assert again.exit_code == 0 and "viewer@first.example" not in again.output


async def test_with_invite_everybody_gets_a_link_by_mail(
    first_generation: str, installation: Dsns, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server() as box:
        monkeypatch.setenv("OPSMANTIK_SMTP_URL", f"smtp://{box.address}")
        done = await command("--dsn", first_generation, "--import", "--invite")
    assert done.exit_code == 0, done.output
    assert sorted(mail.to[0] for mail in box.mails) == [
        f"{name}@first.example" for name in ("editor", "other", "owner", "viewer")
    ]
    assert all("/reset/" in mail.text for mail in box.mails)
    assert "/reset/" not in done.output, "a link that was mailed is nobody else's"


async def test_it_ends_with_1_where_a_figure_differs_without_a_reason(
    first_generation: str, installation: Dsns
) -> None:
    await command("--dsn", first_generation, "--import")
    async with as_owner(installation) as owner:
        await owner.execute("DELETE FROM events WHERE id = $1 AND site_id = $2", number("d0", 101001), CRANE)
        # Something here swallows rows: only reading them back tells.
        await owner.execute(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
            " CREATE TRIGGER lost BEFORE INSERT ON parts.events_2026_01 FOR EACH ROW EXECUTE FUNCTION lose()"
        )
    done = await command("--dsn", first_generation, "--import")
    assert done.exit_code == 1
    assert "-1 unexplained" in done.output


async def test_what_is_no_first_generation_is_refused(first_generation: str, installation: Dsns) -> None:
    assert isinstance(
        (await command("--dsn", "postgresql://nobody@127.0.0.1:1/none")).exception, Unprocessable
    )
    of_ours = (await command("--dsn", installation.owner)).exception
    assert isinstance(of_ours, Unprocessable) and "no table auth.users" in of_ours.message
    no_mail = (await command("--dsn", first_generation, "--import", "--invite")).exception
    assert isinstance(no_mail, Unprocessable) and "OPSMANTIK_SMTP_URL" in no_mail.message


async def test_a_role_that_row_security_binds_is_refused(old_copy: OldCopy, installation: Dsns) -> None:
    old = await old_copy()
    admin = await asyncpg.connect(old)
    await admin.execute(
        "CREATE ROLE reader LOGIN PASSWORD 'reader';"
        " GRANT USAGE ON SCHEMA auth TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA auth, public TO reader"
    )
    await admin.close()
    failed = (await command("--dsn", with_credentials(old, "reader", "reader"))).exception
    assert isinstance(failed, Unprocessable) and "connect as the owner" in failed.message
    admin = await asyncpg.connect(old)
    await admin.execute("DROP OWNED BY reader; DROP ROLE reader")
    await admin.close()


async def test_the_old_database_cannot_be_written_to_by_it(first_generation: str) -> None:
    async with open_old(first_generation, 10) as old:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await old.connection.execute("DELETE FROM public.calls")
