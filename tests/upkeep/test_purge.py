"""What has run out goes, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.upkeep import purge as module
from opsmantik.upkeep.purge import MOST_REJECTED, purge
from opsmantik.upkeep.runner import connect

REFUSED = (
    "INSERT INTO rejected_events (site_id, id, received_at, door, reason, payload)"
    " VALUES ($1, gen_random_uuid(), now() - $2::interval, 'v1', $3, 'x')"
)

# Table, the statement that makes a row, and the ages (days since it was due or written) that go and that stay.
CASES = [
    (
        "sign_ins",
        "INSERT INTO sign_ins (token_hash, user_id, expires_at) VALUES (sha256($1::text::bytea), $2, now() - $3::interval)",
        [0.01, 400],
        [-0.01, -30],
    ),
    (
        "half_sign_ins",
        "INSERT INTO half_sign_ins (token_hash, user_id, method, expires_at)"
        " VALUES (sha256($1::text::bytea), $2, 'password', now() - $3::interval)",
        [0.01, 400],
        [-0.001, -1],
    ),
    (
        "sign_in_attempts",
        "INSERT INTO sign_in_attempts (key, n, allowed_at)"
        " SELECT sha256($1::text::bytea), 1, now() - $3::interval WHERE $2::uuid IS NOT NULL",
        [1.01 / 24, 400],
        [0.99 / 24, -1],
    ),
    (
        "one_time_links",
        "INSERT INTO one_time_links (token_hash, purpose, expires_at)"
        " SELECT sha256($1::text::bytea), 'first_admin', now() - $3::interval WHERE $2::uuid IS NOT NULL",
        [0.01, 400],
        [-0.01, -1],
    ),
    (
        "rejected_events",
        "INSERT INTO rejected_events (site_id, id, received_at, door, reason, payload)"
        " SELECT id, $1::text::uuid, now() - $3::interval, 'events', 'malformed', 'x' FROM sites WHERE user_id = $2",
        [30.01, 400],
        [29.99, 0],
    ),
    (
        "webhook_deliveries",
        "WITH made AS (INSERT INTO webhooks (site_id, id, url, events, secret, key_id)"
        " SELECT id, $1::text::uuid, 'https://x.example', '{lead.created}', '', '' FROM sites"
        "  WHERE user_id = $2 RETURNING *)"
        " INSERT INTO webhook_deliveries (site_id, id, webhook_id, event_id, type, payload, created_at)"
        " SELECT site_id, id, id, id, 'webhook.test', '{}', now() - $3::interval FROM made",
        [30.01, 400],
        [29.99, 0],
    ),
    (
        "lead_notices",
        "WITH lead AS (INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, currency)"
        " SELECT id, $1::text::uuid, now(), now(), now(), 'manual', 'TRY' FROM sites WHERE user_id = $2"
        "  RETURNING site_id, id),"
        " wish AS (INSERT INTO notice_wishes (site_id, user_id, pace) SELECT site_id, $2, 'every' FROM lead"
        "  ON CONFLICT (site_id, user_id) DO UPDATE SET pace = 'every' RETURNING site_id, user_id)"
        " INSERT INTO lead_notices (site_id, user_id, call_id, created_at)"
        " SELECT lead.site_id, wish.user_id, lead.id, now() - $3::interval FROM lead, wish",
        [2.01, 400],
        [1.99, 0],
    ),
    (
        "upkeep_runs",
        "INSERT INTO upkeep_runs (job, started_at)"
        " SELECT $1::text, now() - $3::interval WHERE $2::uuid IS NOT NULL",
        [90.01, 400],
        [89.99, 0],
    ),
]


async def test_a_sign_in_that_was_not_seen_for_a_week_goes_too(
    database: Any, owner: Any, make_site: Any
) -> None:
    person = (await make_site()).user_id
    for days in (6.99, 7.01):
        await owner.execute(
            "INSERT INTO sign_ins (token_hash, user_id, expires_at, last_seen_at)"
            " VALUES (sha256($1::text::bytea), $2, now() + interval '1 day', now() - $3::interval)",
            str(uuid4()), person, timedelta(days=days),
        )  # fmt: skip
    connection = await connect(database.owner)
    try:
        assert await purge(connection) == {"sign_ins": 1}
    finally:
        await connection.close()
    await owner.execute("DELETE FROM sign_ins")


@pytest.mark.parametrize(("table", "insert", "gone", "kept"), CASES, ids=[case[0] for case in CASES])
async def test_rows_that_have_run_out_go_in_batches(
    database: Any,
    owner: Any,
    make_site: Callable[..., Any],
    table: str,
    insert: str,
    gone: list[float],
    kept: list[float],
) -> None:
    people = [(await make_site()).user_id for _ in range(2)]
    for person in people:
        for days in gone * 3 + kept:
            await owner.execute(insert, str(uuid4()), person, timedelta(days=days))
    connection = await connect(database.owner)
    try:
        assert await purge(connection, batch=5) == {table: len(people) * len(gone) * 3}
        assert await purge(connection, batch=5) == {}
    finally:
        await connection.close()
    assert await owner.fetchval(f"SELECT count(*) FROM {table}") == len(people) * len(kept)
    await owner.execute(f"DELETE FROM {table}")


async def test_each_site_says_how_long_its_refused_events_are_kept(
    database: Any, owner: Any, make_site: Callable[..., Any]
) -> None:
    sites = {days: (await make_site(quarantine_days=days)).id for days in (1, 90)}
    for site_id in sites.values():
        for days in (0.9, 1.1, 89.9, 90.1):
            await owner.execute(REFUSED, site_id, timedelta(days=days), "bot")
    connection = await connect(database.owner)
    try:
        await purge(connection)
    finally:
        await connection.close()
    kept = dict(await owner.fetch("SELECT site_id, count(*) FROM rejected_events GROUP BY 1"))
    assert (kept[sites[1]], kept[sites[90]]) == (1, 3)
    await owner.execute("DELETE FROM rejected_events")


async def test_of_each_reason_a_site_keeps_its_newest(
    database: Any, owner: Any, make_site: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "rejected_events, too many"
    statement, kept = module.STATEMENTS[name]
    monkeypatch.setitem(
        module.STATEMENTS, name, (statement.replace(f"OFFSET {MOST_REJECTED}", "OFFSET 3"), kept)
    )
    site_id = (await make_site()).id
    for reason, rows in (("bot", 9), ("unstorable", 2)):
        for hours in range(rows):
            await owner.execute(REFUSED, site_id, timedelta(hours=hours), reason)
    connection = await connect(database.owner)
    try:
        assert await purge(connection, batch=4) == {name: 6}
    finally:
        await connection.close()
    rows = await owner.fetch(
        "SELECT reason, count(*), max(now() - received_at) AS oldest FROM rejected_events GROUP BY 1 ORDER BY 1"
    )
    assert [(row["reason"], row["count"]) for row in rows] == [("bot", 3), ("unstorable", 2)]
    assert rows[0]["oldest"] < timedelta(hours=2.1), "the newest are kept"
    await owner.execute("DELETE FROM rejected_events")
