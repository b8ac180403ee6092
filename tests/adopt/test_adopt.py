"""A database of the first generation becomes one of ours: whole, once, and with the same figures."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from opsmantik.adopt import store
from opsmantik.adopt.faults import FAULTS
from opsmantik.adopt.run import Outcome
from opsmantik.audit import run as audit_run
from opsmantik.audit.checks import all_checks
from opsmantik.audit.given import GIVEN
from opsmantik.counters import store as counters
from opsmantik.db.connect import Database
from tests.adopt.conftest import adopt, as_owner
from tests.conftest import Dsns
from tests.first_generation.fixtures import OldCopy, plant

pytestmark = pytest.mark.slow

CRANE = UUID("b0000000-0000-4000-8000-000000000001")
LOCKS = UUID("b0000000-0000-4000-8000-000000000002")
TABLES = (
    "users",
    "profiles",
    "sites",
    "site_members",
    "site_origins",
    "session_keys",
    "sessions",
    "events",
    "calls",
    "intent_actions",
    "conversions",
    "conversion_moves",
    "visitors",
    "rejected_events",
    "replays",
    "counter_days",
    "lead_search",
    "site_acts",
)


EMPTY: list[Dsns] = []
OF_EMPTY: dict[str, list[str]] = {}  # what the audit says of it: always the same, so asked once


@pytest.fixture(scope="module", autouse=True)
def empty(database: Dsns) -> None:
    EMPTY[:] = [database]
    OF_EMPTY.clear()


def number(prefix: str, n: int) -> UUID:
    return UUID(f"{prefix}000000-0000-4000-8000-{n:012}")


def told(outcome: Outcome) -> str:
    return "\n".join(
        f"{line.place} {line.before} -> {line.after} {line.reasons}" for line in outcome.unexplained
    )


async def contents(dsns: Dsns) -> dict[str, int]:
    async with as_owner(dsns) as owner:
        return {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}


async def one(dsns: Dsns, statement: str, *arguments: Any) -> Any:
    async with as_owner(dsns) as owner:
        return await owner.fetchrow(statement, *arguments)


async def complaints(dsns: Dsns) -> dict[str, list[str]]:
    """What the audit says of it and not of an empty one, and where figures are not the rows'."""
    if not OF_EMPTY:
        OF_EMPTY.update(await audited(EMPTY[0]))
    found = {stem: said for stem, said in (await audited(dsns)).items() if said != OF_EMPTY.get(stem)}
    async with as_owner(dsns) as owner:
        for site_id, name in await counters.sites(owner):
            wrong = await counters.differences(owner, site_id)
            if wrong or await counters.lead_differences(owner, site_id):
                found[name] = [str(difference) for difference in wrong]
    return found


async def audited(dsns: Dsns) -> dict[str, list[str]]:
    connection = await audit_run.connect(dsns.owner)
    try:
        report = await audit_run.audit(connection, all_checks(), GIVEN)
    finally:
        await connection.close()
    return {
        result.stem: [
            result.reason or "",
            *(f"{f.level} {f.object}: {f.detail}" for f in result.findings if f.level != "info"),
        ]
        for result in report.results
        if result.outcome in ("found", "unknown")
    }


async def test_a_sound_database_is_taken_over_whole(first_generation: str, new: Dsns) -> None:
    outcome = await adopt(first_generation, new)
    assert outcome.unexplained == [], told(outcome)
    here = await contents(new)
    assert (here["users"], here["sites"], here["site_members"]) == (4, 2, 5)
    assert (here["sessions"], here["session_keys"], here["events"], here["calls"]) == (120, 120, 300, 60)
    assert (here["rejected_events"], here["replays"]) == (1, 1)
    figures = Counter[str]()
    for line in outcome.lines:
        figures[line.place.measure] += line.after
    assert figures == {
        "visits": 120,
        "events": 300,
        "leads intent": 12,
        "leads sealed": 36,
        "leads junk": 12,
        "sealed amount": sum(Decimal(1000 + n) for n in range(2, 61, 2) if n // 2 % 5 in (1, 3)) * 2,
    }
    assert {reason for line in outcome.lines for reason in line.reasons} == {"ends of visits are no events"}
    assert await complaints(new) == {}


async def test_people_sites_and_roles(old_copy: OldCopy, new: Dsns) -> None:
    old = await old_copy("administrators", "two_currencies")
    outcome = await adopt(old, new)
    assert {person.email for person in outcome.made} == {
        f"{name}@first.example" for name in ("owner", "other", "editor", "viewer")
    }
    async with as_owner(new) as owner:
        people = await owner.fetch(
            "SELECT u.email, u.name, u.password_hash, p.role FROM users u JOIN profiles p USING (id)"
            " ORDER BY 1"
        )
        assert [tuple(row) for row in people] == [
            ("editor@first.example", "", None, "user"),
            ("other@first.example", "", None, "user"),
            ("owner@first.example", "Ayla Owner", None, "user"),
            ("viewer@first.example", "", None, "user"),
        ]
        members = await owner.fetch(
            "SELECT s.name, u.email, m.role FROM site_members m JOIN users u ON u.id = m.user_id"
            " JOIN sites s ON s.id = m.site_id ORDER BY 1, 2"
        )
        assert [tuple(row) for row in members] == [
            ("Crane hire", "editor@first.example", "operator"),
            ("Crane hire", "owner@first.example", "owner"),
            ("Crane hire", "viewer@first.example", "analyst"),
            ("Locksmith", "editor@first.example", "owner"),
            ("Locksmith", "other@first.example", "owner"),
        ]
        sites = await owner.fetch(
            "SELECT id, user_id, public_id, domain, currency, assumed_cpc, config, consent_mode,"
            " created_at::date::text FROM sites ORDER BY id"
        )
        assert [tuple(row) for row in sites] == [
            (
                CRANE,
                number("a0", 1),
                "5f0c9a527d1e4b389a610c1d2e3f4a5b",
                "crane.example",
                "TRY",
                Decimal("12.5"),
                {"bounty_chips": [100, 500]},
                "legacy",
                "2025-12-05",
            ),
            (
                LOCKS,
                number("a0", 2),
                "6a1dab637e2f4c499b720d1e2f3a4b5c",
                "locks.example",
                "USD",
                0,
                {},
                "legacy",
                "2025-12-06",
            ),
        ]
        origins = await owner.fetch("SELECT origin FROM site_origins WHERE site_id = $1 ORDER BY 1", CRANE)
        assert [row["origin"] for row in origins] == ["https://crane.example", "https://www.crane.example"]
    await adopt(old, new, keep_admins=True)
    row = await one(new, "SELECT role FROM profiles WHERE id = $1", number("a0", 4))
    assert row["role"] == "admin"


async def test_a_visit_with_its_source_and_its_keys(first_generation: str, new: Dsns) -> None:
    await adopt(first_generation, new)
    paid = await one(new, "SELECT * FROM sessions WHERE site_id = $1 AND id = $2", CRANE, number("c0", 1006))
    assert (paid["gclid"], paid["attribution_source"], paid["channel"], paid["is_paid"]) == (
        "Cj0KCQiA-first-6",
        "First Click (Paid)",
        "paid_search",
        True,
    )
    assert paid["attribution"]["rule"] == "adopted"
    assert paid["attribution"]["evidence"] == {
        "attribution_source": "First Click (Paid)",
        "ladder": "google_click_id",
        "gclid": "Cj0KCQiA-first-6",
    }
    assert (paid["utm_term"], paid["matchtype"], paid["device_type"], paid["city"]) == (
        "vinç kiralama",
        "p",
        "mobile",
        "Küçükçekmece",
    )
    assert (paid["event_count"], paid["view_count"], paid["conversion_count"], paid["intent_count"]) == (
        3,
        1,
        1,
        1,
    )
    assert (paid["last_event_at"] - paid["started_at"]).total_seconds() == paid["total_duration_sec"] == 100
    assert paid["user_agent"] == "Mozilla/5.0 (Linux; Android 10; K)" and paid["referrer"] is None
    searched = await one(
        new, "SELECT * FROM sessions WHERE site_id = $1 AND id = $2", CRANE, number("c0", 1001)
    )
    assert (searched["attribution_source"], searched["channel"], searched["is_paid"]) == (
        "Organic",
        "organic_search",
        False,
    )
    assert (searched["referrer_host"], searched["referrer"]) == ("www.google.com", "https://www.google.com/")
    # The word that was shown stays; what it is grouped by is our own ladder's.
    direct = await one(
        new, "SELECT * FROM sessions WHERE site_id = $1 AND id = $2", CRANE, number("c0", 1002)
    )
    assert (direct["attribution_source"], direct["channel"]) == ("Organic", "direct")
    braid = await one(new, "SELECT * FROM sessions WHERE site_id = $1 AND id = $2", CRANE, number("c0", 1003))
    assert (braid["gclid"], braid["wbraid"], braid["has_click_id"]) == (None, "Cj8KCQiA-braid-3", True)
    event = await one(new, "SELECT * FROM events WHERE site_id = $1 AND id = $2", CRANE, number("d0", 101006))
    assert event["metadata"] == {"own": 1} and event["session_id"] == number("c0", 1006)


async def test_leads_their_log_and_their_ledger(first_generation: str, new: Dsns) -> None:
    await adopt(first_generation, new)
    async with as_owner(new) as owner:
        rows = await owner.fetch(
            "SELECT c.id, c.status, c.version, c.phone_number, c.intent_target, c.confirmed_by,"
            " c.is_automatic, c.lead_score, c.quality,"
            " c.click_id_kind, v.state, v.reason, (SELECT array_agg(a.action ORDER BY a.version)"
            " FROM intent_actions a WHERE a.site_id ="
            " c.site_id AND a.call_id = c.id) AS acts FROM calls c LEFT JOIN conversions v ON"
            " v.site_id = c.site_id AND v.call_id = c.id"
            " WHERE c.site_id = $1",
            CRANE,
        )
    leads = {int(str(row["id"])[-4:]) - 1000: row for row in rows}
    editor = number("a0", 3)
    waiting, sealed, junk, sent, matched = (leads[n] for n in (10, 12, 4, 6, 18))
    assert (waiting["status"], waiting["version"], waiting["acts"], waiting["state"]) == (
        "intent",
        1,
        None,
        None,
    )
    assert {(row["phone_number"], row["intent_target"]) for row in rows} == {
        ("+905000000012", "tel:0500 000 00 12")
    }
    assert (sealed["status"], sealed["version"], sealed["acts"], sealed["confirmed_by"]) == (
        "sealed",
        2,
        ["seal"],
        editor,
    )
    assert (sealed["state"], sealed["reason"], sealed["click_id_kind"]) == (
        "skipped",
        "first_generation",
        "gclid",
    )
    assert (junk["status"], junk["acts"], junk["state"]) == ("junk", ["junk"], None)
    assert (sent["status"], sent["state"], sent["reason"]) == ("sealed", "accepted", "first_generation")
    assert (matched["status"], matched["version"], matched["acts"], matched["state"]) == (
        "conversion",
        3,
        ["seal", "convert"],
        "matched",
    )
    assert matched["is_automatic"] and matched["confirmed_by"] is None
    # Four stars lay in the score's place; on a lead that is not sealed they are what they say.
    assert (sealed["lead_score"], sealed["quality"]) == (55, 80)
    assert (junk["lead_score"], junk["quality"]) == (80, None)


async def test_what_was_never_sent_can_be_queued(first_generation: str, new: Dsns) -> None:
    await adopt(first_generation, new, queue_unsent=True)
    async with as_owner(new) as owner:
        states = await owner.fetch(
            "SELECT state, reason, count(*) AS n FROM conversions GROUP BY 1, 2 ORDER BY 1, 2"
        )
    assert [tuple(row) for row in states] == [
        ("accepted", "first_generation", 12),
        ("held", None, 4),
        ("matched", "first_generation", 12),
        ("skipped", "no_click_id", 8),
    ]


async def test_a_second_run_changes_nothing(first_generation: str, new: Dsns) -> None:
    first = await adopt(first_generation, new)
    before, rows = await contents(new), await fingerprint(new)
    second = await adopt(first_generation, new)
    assert second.unexplained == [], told(second)
    assert (await contents(new), await fingerprint(new)) == (before, rows)
    assert second.made == [] and second.lines == first.lines


async def fingerprint(dsns: Dsns) -> str:
    async with as_owner(dsns) as owner:
        found: str = await owner.fetchval(
            "SELECT md5(string_agg(x.t, '' ORDER BY x.t)) FROM (SELECT s::text AS t FROM sessions s"
            " UNION ALL SELECT e::text FROM events e"
            " UNION ALL SELECT c::text FROM calls c UNION ALL SELECT v::text FROM conversions v"
            " UNION ALL SELECT v::text FROM visitors v) x"
        )
        return found


STEPS = ("add_people", "add_sites", "add_visits", "add_events", "add_leads", "add_rejected", "finish")


@pytest.mark.parametrize("step", STEPS)
async def test_cut_off_and_run_again_it_comes_to_the_same(
    first_generation: str, new: Dsns, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Cut off in the middle of each step, after its work and before its commit where it is one"
    " transaction."""
    right = getattr(store, step)

    async def dies(*arguments: Any, **more: Any) -> Any:
        await right(*arguments, **more)
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(store, step, dies)
        with pytest.raises(ConnectionResetError):
            await adopt(first_generation, new)
    outcome = await adopt(first_generation, new)
    assert outcome.unexplained == [], told(outcome)
    here = await contents(new)
    assert (here["users"], here["site_members"], here["sessions"], here["events"], here["calls"]) == (
        4,
        5,
        120,
        300,
        60,
    )
    assert (here["conversions"], here["conversion_moves"], here["intent_actions"]) == (36, 36, 60)
    assert await complaints(new) == {}


async def test_every_fault_at_once_is_taken_over_with_every_difference_explained(
    old_copy: OldCopy, new: Dsns
) -> None:
    old = await old_copy(*[fault.name for fault in FAULTS if fault.name != "click_ids_of_unknown_kind"])
    outcome = await adopt(old, new)
    assert outcome.unexplained == [], told(outcome)
    assert {reason for line in outcome.lines for reason in line.reasons} == {
        "ends of visits are no events",
        "an id twice within one visit",
        "nobody can tell whose it is",
        "made of events without a visit",
        "begins with its first event",
        "one visit in two months",
        "repeats another tap",
    }
    assert list(await complaints(new)) == ["0015_duplicated_intents"], (
        "two decided leads of one stamp are for a person to look at"
    )
    before = await fingerprint(new)
    again = await adopt(old, new)
    assert again.unexplained == [] and await fingerprint(new) == before


REASONS = {
    "goodbyes": Counter(),
    "events_of_nobody": Counter({"nobody can tell whose it is": -1}),
    "orphaned_events": Counter({"made of events without a visit": 1}),
    "events_of_another_site": Counter({"made of events without a visit": 1}),
    "sessions_in_two_months": Counter({"one visit in two months": -1}),
    "doubled_event_ids": Counter({"an id twice within one visit": -1}),
    "doubled_stamps": Counter({"repeats another tap": -1}),
    "repeated_taps": Counter({"repeats another tap": -2}),
}


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
async def test_each_fault_alone(old_copy: OldCopy, new: Dsns, name: str) -> None:
    outcome = await adopt(await old_copy(name), new)
    assert outcome.unexplained == [], told(outcome)
    reasons: Counter[str] = Counter()
    for line in outcome.lines:
        for reason, n in line.reasons.items():
            reasons[reason] += int(n)
    del reasons["ends of visits are no events"]
    assert {reason: n for reason, n in reasons.items() if n} == dict(REASONS.get(name, Counter()))
    async with as_owner(new) as owner:
        for site_id, _ in await counters.sites(owner):
            assert await counters.differences(owner, site_id) == []


async def test_events_go_to_their_own_site(old_copy: OldCopy, new: Dsns) -> None:
    await adopt(
        await old_copy(
            "events_of_another_site", "leads_of_another_site", "orphaned_events", "events_without_site"
        ),
        new,
    )
    shared = number("c0", 1003)
    async with as_owner(new) as owner:
        rows = await owner.fetch(
            "SELECT site_id, created_at::text, entry_page FROM sessions WHERE id = $1 ORDER BY site_id",
            shared,
        )
        assert [(row["site_id"], row["entry_page"]) for row in rows] == [
            (CRANE, "https://shop.example/fiyatlar?x=3"),
            (LOCKS, "https://locks.example/"),
        ]
        counts = await owner.fetch(
            "SELECT site_id, count(*) AS n FROM events WHERE session_id = $1 GROUP BY 1 ORDER BY 1", shared
        )
        assert [tuple(row) for row in counts] == [(CRANE, 2), (LOCKS, 1)]
        lead = await owner.fetchrow(
            "SELECT site_id, matched_session_id FROM calls WHERE id = $1", number("e0", 1010)
        )
        assert tuple(lead) == (CRANE, None)
        made = await owner.fetchrow(
            "SELECT * FROM sessions WHERE id = $1", UUID("c1000000-0000-4000-8000-000000000003")
        )
        assert (made["gclid"], made["is_paid"], made["event_count"], made["conversion_count"]) == (
            "Cj0KCQiA-orphan-1",
            True,
            2,
            1,
        )
        given = await owner.fetchrow("SELECT site_id, flags FROM events WHERE id = $1", number("d0", 101004))
        assert tuple(given) == (CRANE, ["site_given"])


async def test_doubled_stamps_and_unknown_words(old_copy: OldCopy, new: Dsns) -> None:
    await adopt(await old_copy("doubled_stamps", "clicks_without_facts", "unknown_statuses"), new)
    async with as_owner(new) as owner:
        taps = await owner.fetch(
            "SELECT merged_into, status, sale_amount FROM calls WHERE id::text LIKE 'e1%' ORDER BY id"
        )
        assert [tuple(row) for row in taps[:2]] == [
            (number("e0", 1010), "intent", None),
            (None, "sealed", 77),
        ]
        odd = await owner.fetch(
            "SELECT source, intent_action, intent_target, phone_number, status FROM calls WHERE"
            " id::text LIKE 'e1%' ORDER BY id OFFSET 2"
        )
        assert [tuple(row) for row in odd] == [
            ("click", "phone", "0500 000 00 34", "+905000000034", "junk"),
            ("api", None, None, None, "intent"),
        ]
        word = await owner.fetchrow(
            "SELECT c.status, a.note FROM calls c JOIN intent_actions a ON a.call_id = c.id WHERE c.id = $1",
            number("e0", 1010),
        )
        assert tuple(word) == ("pending", "adopted: called_twice")


async def test_what_was_decided_there_since_is_decided_here(old_copy: OldCopy, new: Dsns) -> None:
    old = await old_copy()
    await adopt(old, new)
    await plant(old, "sent_conversions")
    admin = await asyncpg.connect(old)
    await admin.execute("UPDATE calls SET status = 'junk' WHERE id = $1", number("e0", 2010))
    await admin.close()
    async with as_owner(new) as owner:  # somebody has taken the second in hand here: that stays
        await owner.execute(
            "UPDATE calls SET status = 'pending', version = 2 WHERE id = $1", number("e0", 2010)
        )
        await owner.execute(
            "INSERT INTO intent_actions (site_id, id, call_id, actor_kind, action, from_status,"
            " to_status, version, before)"
            " VALUES ($1, gen_random_uuid(), $2, 'person', 'pend', 'intent', 'pending', 2, '{}')",
            LOCKS,
            number("e0", 2010),
        )
    outcome = await adopt(old, new)
    row = await one(new, "SELECT status, version FROM calls WHERE id = $1", number("e0", 1010))
    assert tuple(row) == ("sealed", 2)
    row = await one(new, "SELECT state FROM conversions WHERE call_id = $1", number("e0", 1010))
    assert tuple(row) == ("accepted",)
    row = await one(new, "SELECT status FROM calls WHERE id = $1", number("e0", 2010))
    assert tuple(row) == ("pending",)
    assert outcome.unexplained == [], told(outcome)


async def test_row_security_holds_for_what_was_taken_over(first_generation: str, new: Dsns) -> None:
    await adopt(first_generation, new)
    database = Database(new.app, max_size=1)
    await database.open()
    try:
        for person, sites in (
            (number("a0", 4), {CRANE}),
            (number("a0", 2), {LOCKS}),
            (number("a0", 3), {CRANE, LOCKS}),
        ):
            async with database.as_person(person) as (connection, who):
                assert set(who.sites) == sites
                for table in (
                    "sessions",
                    "events",
                    "calls",
                    "conversions",
                    "visitors",
                    "rejected_events",
                    "session_keys",
                ):
                    found = {
                        row["site_id"]
                        for row in await connection.fetch(f"SELECT DISTINCT site_id FROM {table}")
                    }
                    assert found <= sites and (found == sites or table == "rejected_events"), table
    finally:
        await database.close()
