"""The watchdog: looks at what the health pages show, and tells whoever runs the installation when something begins to be
wrong and when that is over. Once each: what goes on is not told again, whoever wants to see it looks at the pages.

Enters: the owner's connection, the mail server and the webhook, as far as either is set. Leaves: rows in ``watch_alerts``,
a mail to every platform administrator, and a signed message. A message that cannot be sent now is sent in a later round.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID, uuid5

import msgspec
import structlog

from opsmantik.db.sql import queries
from opsmantik.errors import AddressRefused, MailFailed
from opsmantik.mail import Mailer
from opsmantik.outbound import CallFailed, Outbound
from opsmantik.webhooks.signing import PREFIX, signed_headers

SQL = queries(Path(__file__).with_suffix(".sql"))
log = structlog.get_logger()

HOUR: Final = 3600.0
EVERY_SECONDS: Final = 120.0
# Every job is due once a day at least.
JOB_SECONDS: Final = 26 * HOUR
JOURNAL_SECONDS: Final = 60.0
LATE_SECONDS: Final = 600.0
WEBHOOK_SECONDS: Final = HOUR
OVER_SECONDS: Final = 480.0
"""Something is over when nobody has seen it for so long: three rounds."""
SILENT_HOURS: Final = 3
USUAL_EVENTS: Final = 20
LEAST_TAPS: Final = 20
LEAST_LEADS: Final = 0.5
# Ids of messages are made of the alert's, so that a message that is sent twice is known by its id.
_NAMESPACE: Final = UUID("5b0ff9a2-6f0c-4c5e-9d0b-0d3a1d7ad1c7")

State = Literal["began", "ended"]


class Trouble(msgspec.Struct, frozen=True):
    """Something that is wrong now: a name that stays the same as long as it is, and what there is to say."""

    name: str
    says: str


class Channels(msgspec.Struct, frozen=True):
    """How people are told; ``secret`` signs what the webhook gets, ``base_url`` is where they can look."""

    mailer: Mailer
    outbound: Outbound | None
    webhook: str | None
    secret: str
    base_url: str


class Alert(msgspec.Struct, frozen=True):
    """A row of ``watch_alerts`` that somebody is to hear of."""

    id: int
    name: str
    says: str
    began_at: datetime
    ended_at: datetime | None
    mailed: str | None
    posted: str | None

    @property
    def state(self) -> State:
        return "began" if self.ended_at is None else "ended"


def alert_secret(installation_secret: str) -> str:
    """What the webhook's messages are signed with, in the form that receivers' libraries take."""
    digest = hmac.new(installation_secret.encode(), b"alert webhook", hashlib.sha256).digest()
    return PREFIX + base64.b64encode(digest).decode()


def troubles(
    figures: Mapping[tuple[str, str], float], *, mail_is_on: bool, free_mb: int | None, least_free_mb: int
) -> list[Trouble]:
    """What is wrong by these figures of ``installation_figures()``, named (name, label)."""
    found: list[Trouble] = []

    def if_(wrong: bool, name: str, says: str) -> None:
        if wrong:
            found.append(Trouble(name, says))

    def of(name: str) -> float:
        return figures.get((name, ""), 0.0)

    if_(
        of("months_ahead") < 1, "partitions",
        "The next month has no partitions. Run: opsmantik upkeep run partitions_ahead",
    )  # fmt: skip
    if_(
        of("default_rows") > 0, "default_partitions",
        f"{of('default_rows'):.0f} rows or more wait in the default partitions. Run: opsmantik upkeep run drain_default",
    )  # fmt: skip
    if free_mb is not None:
        if_(
            free_mb < least_free_mb, "disk",
            f"{free_mb} MB are free on the home directory's disk; {least_free_mb} must be (OPSMANTIK_DISK_FREE_MB).",
        )  # fmt: skip
    if_(
        of("journal_age") > JOURNAL_SECONDS, "counter_journal",
        f"The counters' journal has not been folded for {_span(of('journal_age'))}; {of('journal_rows'):.0f} rows wait."
        " Figures are right, and slower by it. Is a server running?",
    )  # fmt: skip
    if_(
        of("counters_differ") > 0, "counters",
        f"Figures of {of('counters_differ'):.0f} sites are not what their rows say. Run: opsmantik counters verify",
    )  # fmt: skip
    if_(
        of("audit_errors") > 0,
        "audit",
        f"The last audit found {of('audit_errors'):.0f} errors. Run: opsmantik audit",
    )
    if_(
        of("webhooks_failing_age") > WEBHOOK_SECONDS, "webhooks",
        f"{of('webhooks_failing'):.0f} webhooks fail, the longest for {_span(of('webhooks_failing_age'))}.",
    )  # fmt: skip
    if_(
        of("deliveries_late") > LATE_SECONDS, "deliveries",
        f"Messages to webhooks have been due for {_span(of('deliveries_late'))}, and nobody sends them."
        " Is a server running?",
    )  # fmt: skip
    if mail_is_on:
        if_(of("mails_failing") > 0, "mail", f"Mail to {of('mails_failing'):.0f} people could not be sent.")
        if_(
            of("mails_late") > LATE_SECONDS, "mails_late",
            f"Mail has been due for {_span(of('mails_late'))}, and nobody sends it. Is a server running?",
        )  # fmt: skip
    for (name, job), figure in figures.items():
        if name == "job_age" and figure > JOB_SECONDS:
            found.append(
                Trouble(
                    f"job:{job}", f"The background job {job} has not gone well for {_span(figure)}. See: opsmantik upkeep"
                )
            )  # fmt: skip
    return found


def _span(seconds: float) -> str:
    for size, word in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} seconds"


async def look(
    connection: Any, *, mail_is_on: bool, free_mb: int | None, least_free_mb: int
) -> list[Trouble]:
    """Everything that is wrong now. As the owner."""
    async with connection.transaction():
        await connection.execute("SET LOCAL app.maintenance = 'on'")
        rows = await connection.fetch(SQL.figures)
        silent = await connection.fetch(SQL.silent, SILENT_HOURS, USUAL_EVENTS)
        taps = await connection.fetch(SQL.taps, LEAST_TAPS, LEAST_LEADS)
    figures = {(row["name"], row["label"]): row["figure"] for row in rows}
    found = troubles(figures, mail_is_on=mail_is_on, free_mb=free_mb, least_free_mb=least_free_mb)
    found += [
        Trouble(
            f"silent:{row['site_id']}",
            f"{_name(row['name'])} has sent nothing for {SILENT_HOURS} hours; in the same hours of the last two weeks it"
            f" sent {row['usual']} events or more. Is its tag still on its pages?",
        )
        for row in silent
    ]
    found += [
        Trouble(
            f"taps:{row['site_id']}",
            f"Of {row['taps']} taps on {_name(row['name'])} in 24 hours {row['leads']} became leads.",
        )
        for row in taps
    ]
    return found


def _name(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:80]


async def watch(
    connection: Any, channels: Channels, *, free_mb: int | None, least_free_mb: int
) -> dict[str, Any]:
    """One round: look, note what began and what ended, tell of it. What was noted; empty where nothing changed."""
    found = await look(
        connection, mail_is_on=channels.mailer.is_on, free_mb=free_mb, least_free_mb=least_free_mb
    )
    began = []
    for trouble in found:
        if not await connection.fetchval(SQL.see, trouble.name, trouble.says[:1000]):
            log.warning("watch.began", trouble=trouble.name)
            began.append(trouble.name)
    ended = [row["name"] for row in await connection.fetch(SQL.end, OVER_SECONDS)]
    for name in ended:
        log.info("watch.ended", trouble=name)
    await connection.execute(SQL.forget)
    await tell(connection, channels)
    return {key: names for key, names in (("began", began), ("ended", ended)) if names}


async def tell(connection: Any, channels: Channels) -> None:
    """Send what nobody has heard of yet; what cannot be sent is left for the next round."""
    rows = await connection.fetch(SQL.untold, channels.mailer.is_on, channels.webhook is not None)
    alerts = [Alert(**row) for row in rows]
    if channels.mailer.is_on:
        for state in ("began", "ended"):
            some = [alert for alert in alerts if alert.state == state and alert.mailed != state]
            if some and await _mail(connection, channels, some):
                await connection.execute(SQL.mailed, [alert.id for alert in some], state)
    if channels.webhook is not None and channels.outbound is not None:
        for alert in alerts:
            if alert.posted != alert.state and await post(channels, alert):
                await connection.execute(SQL.posted, alert.id, alert.state)


async def _mail(connection: Any, channels: Channels, alerts: Sequence[Alert]) -> bool:
    """One mail about all of them to each administrator; whether at least one of these took it."""
    over = alerts[0].state == "ended"
    first = alerts[0].says.partition(". ")[0].rstrip(".")
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    subject = f"OpsMantik: {'over: ' if over else ''}{first}{more}"
    lines = ["This is over:" if over else "This needs to be looked at:", ""]
    for alert in alerts:
        when = f"since {alert.began_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if alert.ended_at is not None:
            when += f", over since {alert.ended_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        lines += [f"- {alert.says}", f"  ({when})"]
    lines += ["", f"How everything fares: {channels.base_url}/admin/health"]
    arrived = False
    for row in await connection.fetch(SQL.administrators):
        try:
            await channels.mailer.send(row["email"], subject, "\n".join(lines) + "\n")
            arrived = True
        except MailFailed as failed:
            log.warning("watch.not_mailed", reason=str(failed.details["reason"]))
    return arrived


async def post(channels: Channels, alert: Alert) -> bool:
    """Post one message to the webhook; whether it was taken."""
    assert channels.webhook is not None and channels.outbound is not None
    told_at = datetime.now(UTC)
    message = {
        "type": f"alert.{alert.state}", "timestamp": told_at,
        "data": {
            "name": alert.name, "says": alert.says, "began_at": alert.began_at, "ended_at": alert.ended_at,
            "url": f"{channels.base_url}/admin/health",
        },
        # What chat programs show of a message.
        "text": ("Over: " if alert.state == "ended" else "") + alert.says,
    }  # fmt: skip
    body = msgspec.json.encode(message)
    name = f"{channels.base_url} {alert.id} {alert.began_at.isoformat()} {alert.state}"
    headers = {
        "content-type": "application/json", "user-agent": "OpsMantik-Alerts/1",
        **signed_headers(uuid5(_NAMESPACE, name), told_at, body, [channels.secret]),
    }  # fmt: skip
    try:
        answer = await channels.outbound.post(channels.webhook, body, headers)
    except AddressRefused as refused:
        log.warning("watch.not_posted", reason=refused.details["reason"])
        return False
    except CallFailed as failed:
        log.warning("watch.not_posted", reason=str(failed))
        return False
    if not 200 <= answer.status < 300:
        log.warning("watch.not_posted", reason=f"it answered {answer.status}")
        return False
    return True
