"""What nobody needs any more: expired sign-ins and links, old rejected events, old notes on upkeep itself.

Enters: a connection as the schema's owner. Rows go in small batches, each a transaction of its own, so that a
purge after a long pause never holds many row locks, nor one transaction for long.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from opsmantik.people.attempts import FORGET

BATCH = 1000
# Of each reason a site keeps its newest refused events, however long its quarantine is: strangers can provoke them, and
# must not be able to fill the disk.
MOST_REJECTED = 5000
KEPT_RUNS = timedelta(days=90)
# A signature can be sent again for ten minutes: five before the time that it names, and five after it.
KEPT_SIGNATURES = timedelta(minutes=15)
# Messages to webhooks carry what is known of a lead, some of them its number.
KEPT_DELIVERIES = timedelta(days=30)
KEPT_NOTICES = timedelta(days=2)
# A signature can be sent again for ten minutes: five before the time that it names, and five after it.
KEPT_SIGNATURES = timedelta(minutes=15)

# Each statement deletes at most $1 rows that ended before now() - $2.
STATEMENTS = {
    "sign_ins": (
        "DELETE FROM sign_ins WHERE token_hash IN"
        " (SELECT token_hash FROM sign_ins WHERE least(expires_at, last_seen_at + interval '7 days')"
        "  < now() - $2::interval LIMIT $1)",
        timedelta(),
    ),
    "half_sign_ins": (
        "DELETE FROM half_sign_ins WHERE token_hash IN"
        " (SELECT token_hash FROM half_sign_ins WHERE expires_at < now() - $2::interval LIMIT $1)",
        timedelta(),
    ),
    # An hour of quiet forgives; a row that is forgiven and one that is gone are the same.
    "sign_in_attempts": (
        "DELETE FROM sign_in_attempts WHERE key IN"
        " (SELECT key FROM sign_in_attempts WHERE allowed_at < now() - $2::interval LIMIT $1)",
        FORGET,
    ),
    "one_time_links": (
        "DELETE FROM one_time_links WHERE token_hash IN"
        " (SELECT token_hash FROM one_time_links WHERE expires_at < now() - $2::interval LIMIT $1)",
        timedelta(),
    ),
    # Site by site, because the index on the time of receipt begins with the site. They hold what a visitor's browser sent:
    # so long as the site wants it, at most 90 days.
    "rejected_events": (
        "DELETE FROM rejected_events r USING (SELECT old.site_id, old.id FROM sites s CROSS JOIN LATERAL"
        " (SELECT e.site_id, e.id FROM rejected_events e WHERE e.site_id = s.id"
        "  AND e.received_at < now() - make_interval(days => s.quarantine_days) - $2::interval LIMIT $1) old LIMIT $1) old"
        " WHERE r.site_id = old.site_id AND r.id = old.id",
        timedelta(),
    ),
    "rejected_events, too many": (
        "DELETE FROM rejected_events r USING (SELECT old.site_id, old.id FROM sites s"
        " CROSS JOIN unnest(ARRAY['malformed', 'bot', 'origin_refused', 'over_quota', 'unstorable']) AS n (reason)"
        " CROSS JOIN LATERAL (SELECT e.site_id, e.id FROM rejected_events e"
        "  WHERE e.site_id = s.id AND e.reason = n.reason AND e.received_at < now() - $2::interval"
        "  ORDER BY e.received_at DESC, e.id DESC OFFSET 5000 LIMIT $1) old LIMIT $1) old"
        " WHERE r.site_id = old.site_id AND r.id = old.id",
        timedelta(),
    ),
    # What waits still is given up long before, unless its webhook is off.
    "webhook_deliveries": (
        "DELETE FROM webhook_deliveries d USING (SELECT old.site_id, old.id FROM webhooks w CROSS JOIN LATERAL"
        " (SELECT e.site_id, e.id FROM webhook_deliveries e WHERE e.site_id = w.site_id AND e.webhook_id = w.id"
        "  AND e.created_at < now() - $2::interval LIMIT $1) old LIMIT $1) old"
        " WHERE d.site_id = old.site_id AND d.id = old.id",
        KEPT_DELIVERIES,
    ),
    "lead_notices": (
        "DELETE FROM lead_notices n USING (SELECT old.site_id, old.user_id, old.call_id FROM notice_wishes w"
        " CROSS JOIN LATERAL (SELECT e.site_id, e.user_id, e.call_id FROM lead_notices e WHERE e.site_id = w.site_id"
        "  AND e.user_id = w.user_id AND e.created_at < now() - $2::interval LIMIT $1) old LIMIT $1) old"
        " WHERE n.site_id = old.site_id AND n.user_id = old.user_id AND n.call_id = old.call_id",
        KEPT_NOTICES,
    ),
    "call_signatures": (
        "DELETE FROM call_signatures r USING (SELECT old.site_id, old.signature FROM sites s CROSS JOIN LATERAL"
        " (SELECT c.site_id, c.signature FROM call_signatures c"
        "  WHERE c.site_id = s.id AND c.received_at < now() - $2::interval LIMIT $1) old LIMIT $1) old"
        " WHERE r.site_id = old.site_id AND r.signature = old.signature",
        KEPT_SIGNATURES,
    ),
    "upkeep_runs": (
        "DELETE FROM upkeep_runs WHERE id IN"
        " (SELECT id FROM upkeep_runs WHERE started_at < now() - $2::interval LIMIT $1)",
        KEPT_RUNS,
    ),
}


async def purge(connection: Any, *, batch: int = BATCH) -> dict[str, int]:
    """Delete what has run out; returns how many rows by table, without the tables that had none."""
    gone = {name: await _purge(connection, *STATEMENTS[name], batch) for name in STATEMENTS}
    return {name: rows for name, rows in gone.items() if rows}


async def _purge(connection: Any, statement: str, kept: timedelta, batch: int) -> int:
    total = 0
    while True:
        async with connection.transaction():
            await connection.execute("SET LOCAL app.maintenance = 'on'")
            done = await connection.execute(statement, batch, kept)  # "DELETE 17"
        rows = int(done.rpartition(" ")[2])
        total += rows
        if rows < batch:
            return total
