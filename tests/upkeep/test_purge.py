"""What has run out goes, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.upkeep.purge import purge
from opsmantik.upkeep.runner import connect

# Table, the statement that makes a row, and the ages (days since it was due or written) that go and that stay.
CASES = [
    (
        "sign_ins",
        "INSERT INTO sign_ins (token_hash, user_id, expires_at) VALUES (sha256($1::text::bytea), $2, now() - $3::interval)",
        [0.01, 400],
        [-0.01, -30],
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
        [90.01, 400],
        [89.99, 0],
    ),
    (
        "upkeep_runs",
        "INSERT INTO upkeep_runs (job, started_at)"
        " SELECT $1::text, now() - $3::interval WHERE $2::uuid IS NOT NULL",
        [90.01, 400],
        [89.99, 0],
    ),
]


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
