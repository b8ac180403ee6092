"""The watchdog tells once when something begins to be wrong, and once when it is over; to whoever runs it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from opsmantik.mail import Mailer
from opsmantik.outbound import Outbound
from opsmantik.settings import Settings
from opsmantik.upkeep import runner, watching
from opsmantik.upkeep.watching import Channels, Trouble, troubles
from tests.mailbox import Mailbox, mail_server

SECRET = watching.alert_secret("s" * 64)
FINE = {("months_ahead", ""): 3.0}
DAY = 86400.0

FIGURES = {
    "no month ahead": ({("months_ahead", ""): 0.0}, "partitions"),
    "rows in the default partition": ({("default_rows", ""): 3.0}, "default_partitions"),
    "a journal that nobody folds": ({("journal_age", ""): 61.0, ("journal_rows", ""): 9.0}, "counter_journal"),
    "counters that differ": ({("counters_differ", ""): 1.0}, "counters"),
    "errors in the audit": ({("audit_errors", ""): 2.0}, "audit"),
    "a webhook that fails for hours": (
        {("webhooks_failing", ""): 1.0, ("webhooks_failing_age", ""): 7200.0},
        "webhooks",
    ),
    "messages that nobody sends": ({("deliveries_late", ""): 601.0}, "deliveries"),
    "mail that is not taken": ({("mails_failing", ""): 1.0}, "mail"),
    "mail that nobody sends": ({("mails_late", ""): 3600.0}, "mails_late"),
    "a job that has not gone well for a day": ({("job_age", "purge"): 27 * 3600.0}, "job:purge"),
}  # fmt: skip
WELL = {
    "nothing is there yet": {},
    "a journal of a moment ago": {("journal_age", ""): 3.0, ("journal_rows", ""): 900.0},
    "a webhook that failed just now": {("webhooks_failing", ""): 1.0, ("webhooks_failing_age", ""): 60.0},
    "a job of an hour ago, which has failed since": {("job_age", "purge"): 3600.0, ("job_failed", "purge"): 1.0},
    "warnings of the audit": {("audit_warnings", ""): 4.0, ("audit_age", ""): 10 * DAY},
}  # fmt: skip


@pytest.mark.parametrize(("figures", "name"), FIGURES.values(), ids=FIGURES)
def test_is_wrong(figures: dict[tuple[str, str], float], name: str) -> None:
    found = troubles(FINE | figures, mail_is_on=True, free_mb=900, least_free_mb=512)
    assert [trouble.name for trouble in found] == [name]


@pytest.mark.parametrize("figures", WELL.values(), ids=WELL)
def test_is_well(figures: dict[tuple[str, str], float]) -> None:
    assert troubles(FINE | figures, mail_is_on=True, free_mb=900, least_free_mb=512) == []


def test_without_a_mail_server_no_mail_is_late_and_a_full_disk_is_told() -> None:
    figures = FINE | {("mails_late", ""): DAY, ("mails_failing", ""): 5.0}
    found = troubles(figures, mail_is_on=False, free_mb=100, least_free_mb=512)
    assert [trouble.name for trouble in found] == ["disk"] and "100 MB" in found[0].says


class Hook(HTTPServer):
    """A receiver: what it was told, and whether it takes it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.told: list[Any] = []
        self.status = 204
        self.ids: list[str] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook: Hook = self.server  # type: ignore[assignment]
        body = self.rfile.read(int(self.headers["content-length"]))
        if hook.status == 204:
            Webhook(SECRET).verify(body, dict(self.headers))
            hook.told.append(json.loads(body))
            hook.ids.append(self.headers["webhook-id"])
        self.send_response(hook.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest_asyncio.fixture(loop_scope="session")
async def box() -> AsyncIterator[Mailbox]:
    async with mail_server() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def connection(database: Any, owner: Any) -> AsyncIterator[Any]:
    """As the job has it; a platform administrator is there, and somebody who is none."""
    for role in ("admin", "user"):
        user = uuid4()
        await owner.execute(
            "INSERT INTO users (id, email) VALUES ($1, $2)", user, f"{role}-{user.hex}@example.com"
        )
        await owner.execute("INSERT INTO profiles (id, role) VALUES ($1, $2)", user, role)
    found = await runner.connect(database.owner)
    yield found
    await found.close()
    await owner.execute("DELETE FROM watch_alerts; UPDATE profiles SET role = 'user'")


def channels(hook: Hook | None, box: Mailbox | None, tmp_path: Path) -> Channels:
    settings = Settings(home=tmp_path, smtp_url=f"smtp://{box.address}" if box else None)
    return Channels(
        mailer=Mailer(settings),
        outbound=Outbound((ipaddress.ip_network("127.0.0.0/8"),)),
        webhook=f"http://127.0.0.1:{hook.server_port}/alerts" if hook else None,
        secret=SECRET,
        base_url="https://leads.example.com",
    )


async def round_(connection: Any, through: Channels, free: int = 10_000) -> dict[str, Any]:
    return await watching.watch(connection, through, free_mb=free, least_free_mb=512)


async def later(owner: Any) -> None:
    """Ten minutes go by."""
    await owner.execute(
        "UPDATE watch_alerts SET seen_at = seen_at - interval '10 minutes' WHERE ended_at IS NULL"
    )


async def test_it_is_told_once_when_it_begins_and_once_when_it_is_over(
    connection: Any, owner: Any, hook: Hook, box: Mailbox, tmp_path: Path
) -> None:
    through = channels(hook, box, tmp_path)
    assert await round_(connection, through) == {}
    assert await round_(connection, through, free=100) == {"began": ["disk"]}
    for _ in range(3):
        assert await round_(connection, through, free=90) == {}
    assert await round_(connection, through) == {}  # a moment without it is not the end
    assert await round_(connection, through, free=80) == {}
    (mail,) = box.mails
    assert mail.to[0].startswith("admin-") and len(mail.to) == 1
    assert (
        "100 MB are free" in mail.message["subject"] and "https://leads.example.com/admin/health" in mail.text
    )
    (told,) = hook.told
    assert (told["type"], told["data"]["name"]) == ("alert.began", "disk")
    assert "100 MB" in told["text"] and told["data"]["ended_at"] is None
    await later(owner)
    assert await round_(connection, through) == {"ended": ["disk"]}
    assert await round_(connection, through) == {}
    assert [mail.message["subject"].startswith("OpsMantik: over: ") for mail in box.mails] == [False, True]
    assert [message["type"] for message in hook.told] == ["alert.began", "alert.ended"]
    assert len(set(hook.ids)) == 2
    assert await round_(connection, through, free=1) == {"began": ["disk"]}  # and again, if it comes again
    assert len(box.mails) == len(hook.told) == 3


async def test_what_cannot_be_told_is_told_later_and_by_the_other_way_at_once(
    connection: Any, owner: Any, hook: Hook, box: Mailbox, tmp_path: Path
) -> None:
    through = channels(hook, box, tmp_path)
    hook.status, box.refusal = 500, "451 later"
    await round_(connection, through, free=1)
    box.refusal = None
    await round_(connection, through, free=1)
    assert (len(box.mails), hook.told) == (1, [])
    await later(owner)
    await round_(connection, through)
    hook.status = 204
    await round_(connection, through)
    assert len(box.mails) == 2  # when it began, and when it was over
    assert [message["type"] for message in hook.told] == ["alert.ended"]  # that it began is no news any more
    await round_(connection, through)
    assert (len(box.mails), len(hook.told)) == (2, 1)


async def test_several_troubles_are_one_mail_and_without_any_way_they_are_noted(
    connection: Any, owner: Any, box: Mailbox, tmp_path: Path
) -> None:
    await owner.execute(
        "INSERT INTO audit_runs (started_at, seconds, errors, warnings, unknown, report) VALUES (now(), 1, 2, 0, 0, '{}')"
    )
    try:
        assert await round_(connection, channels(None, None, tmp_path), free=1) == {
            "began": ["disk", "audit"]
        }
        assert [tuple(r) for r in await owner.fetch("SELECT mailed, posted FROM watch_alerts")] == [
            (None, None)
        ] * 2
        await round_(connection, channels(None, box, tmp_path), free=1)  # a mail server is set meanwhile
        (mail,) = box.mails
        assert "(and 1 more)" in mail.message["subject"] and "Run: opsmantik audit" in mail.text
    finally:
        await owner.execute("DELETE FROM audit_runs")


async def test_a_site_that_falls_silent_and_one_whose_taps_make_no_leads(
    connection: Any, owner: Any, make_site: Any
) -> None:
    async def seen() -> list[str]:
        found = await watching.look(connection, mail_is_on=False, free_mb=None, least_free_mb=0)
        return sorted(trouble.name for trouble in found)

    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    silent, small, night, alive = [await make_site() for _ in range(4)]
    for site, weeks, n in ((silent, (1, 2), 12), (small, (1, 2), 2), (night, (1,), 50), (alive, (1, 2), 50)):
        last = hour - timedelta(hours=5) if site is not alive else datetime.now(UTC)
        await owner.execute(
            "INSERT INTO site_pulse (site_id, sequence, changed_at, last_event_at) VALUES ($1, 1, $2, $2)"
            " ON CONFLICT (site_id) DO UPDATE SET last_event_at = $2",
            site.id,
            last,
        )
        for week in weeks:
            for back in (1, 2):
                at = hour - timedelta(weeks=week, hours=back)
                await owner.execute("INSERT INTO ingest_tally VALUES ($1, $2, 'stored', $3)", site.id, at, n)
    assert await seen() == [f"silent:{silent.id}"]
    # What is in the journal has arrived, folded or not.
    await owner.execute(
        "INSERT INTO counter_journal (site_id, changed_at, tally)"
        " VALUES ($1, now(), ARRAY[ROW($1, 'stored', 1, now())::tally_draft])",
        silent.id,
    )
    assert await seen() == []
    await owner.execute("DELETE FROM counter_journal WHERE site_id = $1", silent.id)
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", silent.id)
    assert await seen() == []


async def test_taps_that_become_no_leads_are_told(connection: Any, owner: Any, traffic: Any) -> None:
    now = datetime.now(UTC)
    for _ in range(21):
        await traffic.visit(now - timedelta(minutes=5), views=0, taps=1)
    found = await watching.look(connection, mail_is_on=False, free_mb=None, least_free_mb=0)
    assert [trouble for trouble in found if trouble.name.startswith("taps:")] == []
    # As a fault in ingest would have it: the events are there, the leads are not.
    await owner.execute(
        "UPDATE calls SET created_at = created_at - interval '3 days' WHERE site_id = $1", traffic._site.id
    )
    found = await watching.look(connection, mail_is_on=False, free_mb=None, least_free_mb=0)
    assert [t for t in found if t.name.startswith("taps:")] == [
        Trouble(f"taps:{traffic._site.id}", "Of 21 taps on Shop in 24 hours 0 became leads.")
    ]
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", traffic._site.id)


async def test_two_nodes_at_once_tell_once(
    database: Any, connection: Any, hook: Hook, box: Mailbox, tmp_path: Path
) -> None:
    """The job's lease keeps them apart; and a row is there once, whoever writes it."""
    through = channels(hook, box, tmp_path)

    async def rounds(dsn: Any) -> Any:
        async def one(at: Any) -> Any:
            return await round_(at, through, free=1)

        return await runner.run_job(dsn, runner.Job("watch", 60, one))

    runs = await asyncio.gather(*(rounds(database.owner) for _ in range(3)))
    assert sum(run.detail == {"began": ["disk"]} for run in runs) == 1
    assert len(box.mails) == len(hook.told) == 1


async def test_only_the_owner_sees_alerts(database: Any) -> None:
    app = await asyncpg.connect(database.app)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch("SELECT * FROM watch_alerts")
    finally:
        await app.close()
