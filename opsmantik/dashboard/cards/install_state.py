"""Is the tracker on the site's pages, and does what it sends arrive? The one question of every installation.

Enters: what the database knows of a site. Leaves: what it means, as findings in the order in which they hurt.
:func:`findings` is pure; a table of cases is its test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.db.sql import queries
from opsmantik.sites.trackers import is_old

SQL = queries(Path(__file__).with_suffix(".sql"))

State = Literal["missing", "refused", "quiet", "outdated", "receiving"]
Level = Literal["stop", "fix", "fine", "note"]
# Small sites have nights and Sundays without a visitor.
RECEIVES_WITHIN: Final = timedelta(days=3)
NEWEST_VISITS: Final = 20
"""So many say which tracker is on the pages."""
LOOKED_AT: Final = 200
"""So many of the newest visits, of seven days at most, say what visits carry: click ids, a word on consent."""
ENOUGH_ADS: Final = 5
"""Fewer visits from ads without a click id may be chance: links that somebody tagged by hand."""
TESTS_WITHIN: Final = timedelta(hours=2)
TEST_CLICK: Final = "test-opsmantik-"
"""The click ids of test visits begin like this. conversions/ledger.py never sends an id that begins with "test"."""
TEST_SENT: Final = f"{TEST_CLICK}server-"
"""And those of taps that were sent from the install page itself: they prove nothing about the site's pages."""
_UNREADABLE: Final = ("malformed", "unstorable", "too_large")


class Stranger(msgspec.Struct, frozen=True):
    """An origin that may not post for the site, and did: how often, as far as it was kept, and when last."""

    origin: str
    events: int
    last_at: datetime


class Visit(msgspec.Struct, frozen=True):
    """The newest visit."""

    id: UUID
    at: datetime
    page: str | None
    source: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known. Recently: in this hour and the one before, by the books."""

    now: datetime
    disabled: bool = False
    consent_mode: str = "implied"
    first_event_at: datetime | None = None
    last_event_at: datetime | None = None
    stored_recently: int = 0
    refused_recently: Mapping[str, int] = {}
    strangers: Sequence[Stranger] = ()
    """Of the last 24 hours, without those that are on the site's list by now."""
    nameless_origins: int = 0
    """Events refused recently for an origin that was not kept: without the visitor's consent nothing of them is."""
    trackers: Sequence[str | None] = ()
    """Of the newest :data:`NEWEST_VISITS` visits with a view."""
    visits: int = 0
    ad_visits: int = 0
    """Of the visits looked at: those that came by a Google ad, by their click id or their campaign's source."""
    ad_clicks: int = 0
    """Of those: with a click id."""
    consent_said: int = 0
    """Of the visits looked at: those that say what the visitor consented to, or did not."""


class Finding(msgspec.Struct, frozen=True):
    """One thing to say. ``stop``: nothing, or next to nothing, gets in; ``fix``: it works, and something is lost;
    ``fine``; ``note``: good to know. ``n`` is what it counts: events refused, visits."""

    name: str
    level: Level
    n: int = 0


class InstallState(msgspec.Struct, frozen=True, kw_only=True):
    """``missing``: nothing has come, stored or refused; ``refused``: something comes, and all of it is refused;
    ``quiet``: nothing for three days; ``outdated``: most of the newest visits are by an old tracker; ``receiving``."""

    state: State
    last_event_at: datetime | None
    refused: int
    """Events that were refused in the last three days, for any reason but bots and haste."""
    tracker: str | None
    """The version of the newest visit's tracker; null: it names none."""
    facts: Facts
    findings: list[Finding]
    newest: Visit | None


class TestVisit(msgspec.Struct, frozen=True):
    """A visit that somebody made to try the installation, and its lead if there is one yet."""

    __test__ = False  # no test of pytest's

    id: UUID
    at: datetime
    page: str | None
    lead_id: UUID | None
    lead_at: datetime | None
    action: str | None
    number: str | None
    target: str | None


async def install_state(connection: Any, site_id: UUID) -> InstallState:
    """How the installation stands at this moment."""
    sent = f"{TEST_SENT}%"
    row = await connection.fetchrow(SQL.install_state, site_id, RECEIVES_WITHIN, sent)
    carried = await connection.fetchrow(SQL.visits, site_id, LOOKED_AT, NEWEST_VISITS, f"{TEST_CLICK}%", sent)
    newest = await connection.fetchrow(SQL.newest, site_id, 1, sent)
    last_event_at = row["last_event_at"]
    if carried["sent"]:  # then the site's own last event is not the site's
        last_event_at = carried["last_event_at"] or row["first_event_at"]
    strangers = await connection.fetch(SQL.strangers, site_id)
    kept = await connection.fetchval(SQL.refused_origins_kept, site_id)
    books = {each["outcome"]: each["n"] for each in await connection.fetch(SQL.books, site_id)}
    stored = sum(books.pop(outcome, 0) for outcome in ("stored", "pulse", "duplicate"))
    stored = max(0, stored - carried["sent_recently"])
    versions: list[str | None] = carried["trackers"] or []
    facts = Facts(
        now=row["as_of"], disabled=row["disabled"], consent_mode=row["consent_mode"],
        first_event_at=row["first_event_at"], last_event_at=last_event_at, stored_recently=stored,
        refused_recently=books, strangers=[Stranger(*each) for each in strangers], trackers=versions,
        nameless_origins=max(0, books.get("origin_refused", 0) - kept),
        visits=carried["visits"], ad_visits=carried["ad_visits"], ad_clicks=carried["ad_clicks"],
        consent_said=carried["consent_said"],
    )  # fmt: skip
    return InstallState(
        state=state_of(last_event_at, row["as_of"], row["refused"], versions),
        last_event_at=last_event_at,
        refused=row["refused"],
        tracker=versions[0] if versions else None,
        facts=facts,
        findings=findings(facts),
        newest=Visit(*newest) if newest else None,
    )


async def test_visits(connection: Any, site_id: UUID) -> list[TestVisit]:
    """The newest test visits of the last two hours, the newest first."""
    rows = await connection.fetch(SQL.test_visits, site_id, TESTS_WITHIN, f"{TEST_CLICK}%")
    return [TestVisit(*row) for row in rows]


async def lead_of_event(connection: Any, site_id: UUID, event_id: UUID) -> UUID | None:
    """The lead that this event has become; ``None`` if it has become none."""
    found: UUID | None = await connection.fetchval(SQL.lead_of_event, site_id, event_id)
    return found


async def remove_test_visits(connection: Any, site_id: UUID, act_id: UUID) -> int:
    """Remove the test visits of the last seven days with their leads, as if they had never been; how many."""
    return int(await connection.fetchval(SQL.remove_test_visits, site_id, act_id, f"{TEST_CLICK}%"))


def findings(facts: Facts) -> list[Finding]:
    """What to say about it: first what keeps everything out, then what is lost, then what is good to know. Never empty:
    where nothing is wrong it begins with ``fine``.
    """
    arrives = facts.last_event_at is not None and facts.now - facts.last_event_at <= RECEIVES_WITHIN
    found = [*_stops(facts, arrives), *(_losses(facts) if arrives else ())]
    if not any(finding.level in ("stop", "fix") for finding in found):
        found.append(Finding("fine", "fine"))
    order = ("stop", "fix", "fine", "note")
    return sorted(found, key=lambda finding: order.index(finding.level))


def _stops(facts: Facts, arrives: bool) -> list[Finding]:
    """Why nothing gets in, or less than should."""
    refused, found = facts.refused_recently, []
    is_shut = facts.stored_recently == 0  # whatever came of late was refused

    def whenever(name: str, n: int, *, shut: bool) -> None:
        if n:
            found.append(Finding(name, "stop" if shut else "fix", n))

    if facts.disabled:
        found.append(Finding("disabled", "stop"))
    tried = sum(stranger.events for stranger in facts.strangers)
    whenever("wrong_origin", tried or facts.nameless_origins * is_shut, shut=is_shut or not arrives)
    whenever("over_quota", refused.get("over_quota", 0), shut=True)
    if is_shut:
        whenever("no_consent", refused.get("no_consent", 0), shut=True)
    unreadable = sum(refused.get(reason, 0) for reason in _UNREADABLE)
    whenever("unreadable", unreadable if unreadable > facts.stored_recently else 0, shut=is_shut)
    whenever("too_fast", refused.get("rate_limited", 0), shut=is_shut)
    if not found and not arrives:
        found.append(Finding("nothing" if facts.last_event_at is None else "quiet", "stop"))
    if is_shut:
        whenever("only_bots", refused.get("bot", 0), shut=False)
    return found


def _losses(facts: Facts) -> list[Finding]:
    """What is lost although events come in."""
    found = []
    if _mostly_old(facts.trackers):
        found.append(Finding("old_tracker", "fix"))
    if facts.ad_visits >= ENOUGH_ADS and facts.ad_clicks == 0:
        found.append(Finding("no_click_ids", "fix", facts.ad_visits))
    if facts.visits and not facts.consent_said:
        # Where the policy is that silence means yes, it is no fault that nobody says anything.
        found.append(
            Finding("no_consent_word", "note" if facts.consent_mode == "implied" else "fix", facts.visits)
        )
    return found


def state_of(
    last_event_at: datetime | None, now: datetime, refused: int, trackers: Sequence[str | None]
) -> State:
    """What it means that something last came in then, so much was refused since, and these versions sent the rest."""
    if last_event_at is None or now - last_event_at > RECEIVES_WITHIN:
        if refused:
            return "refused"
        return "missing" if last_event_at is None else "quiet"
    return "outdated" if _mostly_old(trackers) else "receiving"


def _mostly_old(trackers: Sequence[str | None]) -> bool:
    return 2 * sum(1 for version in trackers if is_old(version)) > len(trackers)
