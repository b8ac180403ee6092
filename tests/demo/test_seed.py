"""Setting up the demo: an account, two sites, and a past in the right places; once, however often asked."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from opsmantik.db.connect import Database
from opsmantik.demo.businesses import BUSINESSES
from opsmantik.demo.seed import EMAIL, DemoAccount, ensure_demo
from opsmantik.people.attempts import Attempts
from opsmantik.people.passwords import Passwords
from opsmantik.people.sign_in import Client, sign_in
from opsmantik.settings import Settings

pytestmark = pytest.mark.slow

# Three days that lie in two months, and end in the middle of one.
NOW = datetime(2026, 11, 2, 15, 20, tzinfo=UTC)
DAYS = 3


def settings(home: Path) -> Settings:
    return Settings(home=home, port=8123, public_url="https://leads.example.com")


async def seed(database: Any, home: Path, **options: Any) -> DemoAccount:
    chosen = {"now": NOW, "days": DAYS} | options
    return await ensure_demo(settings(home), owner_dsn=database.owner, app_dsn=database.app, **chosen)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def account(database: Any, home: Path) -> DemoAccount:
    return await seed(database, home)


async def counts(owner: Any) -> dict[str, int]:
    tables = ("users", "sites", "site_origins", "session_keys", "sessions", "events", "calls", "visitors")
    found = {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
    return found | {"tally": await owner.fetchval("SELECT sum(n) FROM ingest_counts")}


async def test_both_sites_are_the_demo_users(account: DemoAccount, owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT s.public_id, s.time_zone, s.currency, u.email, m.role, p.role AS platform_role, s.created_at"
        " FROM sites s JOIN users u ON u.id = s.user_id JOIN profiles p ON p.id = u.id"
        " JOIN site_members m ON m.site_id = s.id AND m.user_id = u.id"
    )
    assert {(r["public_id"], r["time_zone"], r["currency"]) for r in rows} == {
        (b.public_id, b.time_zone, b.currency) for b in BUSINESSES.values()
    }
    assert {(r["email"], r["role"], r["platform_role"]) for r in rows} == {(EMAIL, "owner", "admin")}
    assert all(r["created_at"] <= NOW - timedelta(days=DAYS) for r in rows)


async def test_landing_pages_of_this_installation_may_post(account: DemoAccount, owner: Any) -> None:
    origins = await owner.fetch("SELECT public_id, array_agg(origin) AS all FROM sites JOIN site_origins"
                                " ON site_id = id GROUP BY public_id")  # fmt: skip
    here = {"http://127.0.0.1:8123", "http://localhost:8123", "https://leads.example.com"}
    for row in origins:
        (business,) = (b for b in BUSINESSES.values() if b.public_id == row["public_id"])
        assert set(row["all"]) == here | {business.origin, f"https://www.{business.domain}"}
    assert all(url.startswith("https://leads.example.com/demo/") for url in account.landing_urls)


async def test_the_password_opens_the_account(
    account: DemoAccount, app_database: Database, home: Path
) -> None:
    async def enters(password: str) -> bool:
        token = await sign_in(
            app_database, Passwords(), Attempts(app_database, "k" * 40), email=account.email, password=password,
            client=Client("127.0.0.1"),
        )  # fmt: skip
        return token is not None

    assert await enters(account.password)
    assert not await enters(account.password[:-1])
    kept = home / "demo.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert account.password in kept.read_text()


async def test_sessions_lie_in_the_month_in_which_they_arrived(account: DemoAccount, owner: Any) -> None:
    rows = await owner.fetch(
        "SELECT tableoid::regclass::text AS part, created_month, min(created_at), max(created_at), count(*)"
        " FROM sessions GROUP BY 1, 2 ORDER BY 2"
    )
    assert [r["part"] for r in rows] == ["parts.sessions_2026_10", "parts.sessions_2026_11"]
    assert all(r["count"] > 100 for r in rows)
    assert rows[0]["max"] < datetime(2026, 11, 1, tzinfo=UTC) <= rows[1]["min"]
    assert await owner.fetchval("SELECT count(*) FROM parts.events_default") == 0


async def test_nothing_happens_before_the_beginning_or_after_now(account: DemoAccount, owner: Any) -> None:
    first, last = NOW - timedelta(days=DAYS), NOW
    for table, column in (
        ("sessions", "created_at"), ("sessions", "last_event_at"), ("events", "created_at"),
        ("events", "occurred_at"), ("calls", "created_at"), ("calls", "occurred_at"), ("calls", "matched_at"),
        ("visitors", "last_seen_at"), ("rejected_events", "received_at"), ("ingest_tally", "hour"),
    ):  # fmt: skip
        low, high = await owner.fetchrow(f"SELECT min({column}), max({column}) FROM {table}")
        assert first - timedelta(hours=1) <= low, (table, column)
        assert high <= last, (table, column)
    assert await owner.fetchval("SELECT max(created_at) FROM events") > last - timedelta(minutes=40)


async def test_the_books_balance(account: DemoAccount, owner: Any) -> None:
    tally = {r["outcome"]: r["n"] for r in await owner.fetch(
        "SELECT outcome, sum(n)::bigint AS n FROM ingest_counts GROUP BY 1")}  # fmt: skip
    assert tally["stored"] == await owner.fetchval("SELECT count(*) FROM events")
    assert tally["bot"] == await owner.fetchval("SELECT count(*) FROM rejected_events WHERE reason = 'bot'")
    assert tally.keys() == {"stored", "pulse", "duplicate", "bot", "origin_refused", "no_consent"}
    assert await owner.fetchval("SELECT count(*) FROM stray_tally") == 0
    assert await owner.fetchval("SELECT sum(event_count) FROM sessions") == tally["stored"]


async def test_the_past_was_decided_and_the_last_hours_were_not(account: DemoAccount, owner: Any) -> None:
    decided = await owner.fetch(
        "SELECT c.id, c.status, c.confirmed_at > c.created_at AS later, v.state, a.to_status FROM calls c"
        " LEFT JOIN conversions v ON v.site_id = c.site_id AND v.call_id = c.id"
        " LEFT JOIN intent_actions a ON a.site_id = c.site_id AND a.call_id = c.id"
        " WHERE c.status IN ('sealed', 'junk')"
    )
    assert len(decided) == len({row["id"] for row in decided}) > 5
    assert all(row["later"] and row["to_status"] == row["status"] for row in decided)
    assert {(row["status"], row["state"]) for row in decided} == {("sealed", "skipped"), ("junk", None)}
    assert await owner.fetchval("SELECT max(confirmed_at) FROM calls") <= NOW
    late = "SELECT array_agg(DISTINCT status) FROM calls WHERE merged_into IS NULL AND created_at > $1"
    assert await owner.fetchval(late, NOW - timedelta(hours=6)) in (["intent"], ["intent", "suspicious"])
    for row in await owner.fetch("SELECT id FROM sites"):
        assert await owner.fetch("SELECT * FROM counter_differences($1, NULL, NULL)", row["id"]) == []


async def test_every_lead_is_a_tap_or_form_and_every_such_event_a_lead(
    account: DemoAccount, owner: Any
) -> None:
    mismatched = await owner.fetch(
        "SELECT e.event_action, e.event_label, c.id FROM"
        " (SELECT * FROM events WHERE event_category = 'conversion' AND event_label NOT LIKE '%text=%') e"
        " FULL JOIN calls c ON c.site_id = e.site_id AND c.event_id = e.id WHERE e.id IS NULL OR c.id IS NULL"
    )
    assert mismatched == []
    leads = await owner.fetch("SELECT status, lead_score, score_breakdown, intent_action FROM calls")
    assert 15 < len(leads) < 80
    assert {"intent", "sealed", "junk"} <= {lead["status"] for lead in leads}
    assert all(lead["lead_score"] > 30 and lead["score_breakdown"] for lead in leads)
    assert await owner.fetchval("SELECT sum(intent_count) FROM sessions") == len(leads)


async def test_visits_come_from_many_places_and_ways(account: DemoAccount, owner: Any) -> None:
    channels = {r["channel"] for r in await owner.fetch("SELECT DISTINCT channel FROM sessions")}
    assert channels >= {"paid_search", "organic_search", "direct", "paid_social", "organic_social",
                        "referral", "assistant", "ads_assisted", "cross_network", "email"}  # fmt: skip
    keywords = [r["utm_term"] for r in await owner.fetch("SELECT DISTINCT utm_term FROM sessions")]
    assert "kiralık vinç" in keywords and "dental implants london" in keywords
    assert await owner.fetchval("SELECT count(DISTINCT district) FROM sessions") > 10
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE is_returning") > 10
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE gclid IS NOT NULL") > 50
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE wbraid IS NOT NULL") > 5
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE gbraid IS NOT NULL") > 5


async def test_a_second_run_changes_nothing(
    account: DemoAccount, database: Any, home: Path, owner: Any
) -> None:
    before = await counts(owner)
    assert await seed(database, home) == account
    assert await counts(owner) == before


async def test_a_lost_home_means_a_new_password_for_the_same_account(
    account: DemoAccount, database: Any, tmp_path: Path, home: Path, owner: Any
) -> None:
    before = await counts(owner)
    other = await seed(database, tmp_path)
    assert other.password != account.password
    assert await counts(owner) == before
    assert await seed(database, home) == account  # and the old one, where it is still known


async def sessions(database: Any) -> list[Any]:
    import asyncpg

    connection = await asyncpg.connect(database.owner)
    try:
        await connection.execute("SET app.maintenance = 'on'")
        return await connection.fetch(
            "SELECT i.public_id, s.id, s.created_at, s.previous_visit_count, s.channel FROM sessions s"
            " JOIN sites i ON i.id = s.site_id ORDER BY 1, 2"
        )
    finally:
        await connection.close()


async def test_an_interrupted_past_is_finished_without_a_gap_or_a_repeat(
    account: DemoAccount, database: Any, fresh_database: Any, tmp_path: Path
) -> None:
    def lose_patience(done: float, words: str) -> None:
        if done > 0.4:
            raise TimeoutError

    with pytest.raises(ExceptionGroup):
        await seed(fresh_database, tmp_path, progress=lose_patience)
    interrupted = await sessions(fresh_database)
    assert 50 < len(interrupted) < 0.9 * len(await sessions(database))
    await seed(fresh_database, tmp_path)
    assert await sessions(fresh_database) == await sessions(database)


async def test_days_that_the_demo_was_off_are_filled(
    account: DemoAccount, database: Any, fresh_database: Any, tmp_path: Path
) -> None:
    told: list[float] = []
    off_at = NOW - timedelta(days=1, hours=4)
    await seed(fresh_database, tmp_path, now=off_at, days=DAYS - 1.2)
    known = {(r["public_id"], r["id"]) for r in await sessions(fresh_database)}
    await seed(fresh_database, tmp_path, progress=lambda done, words: told.append(done))
    filled = [r for r in await sessions(fresh_database) if (r["public_id"], r["id"]) not in known]
    expected = [r for r in await sessions(database) if r["created_at"] > off_at]
    assert [(r["id"], r["created_at"]) for r in filled] == [(r["id"], r["created_at"]) for r in expected]
    assert told == sorted(told) and told[0] == 0.0 and told[-1] == 1.0


async def test_beside_real_tenants_the_demo_user_is_nobody_special(
    fresh_database: Any, tmp_path: Path
) -> None:
    import asyncpg

    connection = await asyncpg.connect(fresh_database.owner)
    try:
        await connection.execute(
            "INSERT INTO users (id, email) VALUES (gen_random_uuid(), 'somebody@example.com')"
        )
        await seed(fresh_database, tmp_path, days=0)
        assert (
            await connection.fetchval(
                "SELECT role FROM profiles JOIN users USING (id) WHERE email = $1", EMAIL
            )
            == "user"
        )
    finally:
        await connection.close()
