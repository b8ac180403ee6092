"""A telephone system reports a call: matched to the visit, on the same site, of the device that it names.

The first generation matched across tenants, answered "matched" whether or not, and stored nothing at all. Here the
match is the newest visit of that device with an event in the last thirty minutes, and the answer is honest.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from opsmantik.attribution.targets import read_target
from opsmantik.db.connect import Database
from opsmantik.event import Site, new_id
from opsmantik.intents.score import SessionFacts, call_breakdown, score

WINDOW_MINUTES = 30
# The same call reported again within this time is the same call.
REPEAT_SECONDS = 60


class CallEvent(msgspec.Struct):
    """The body of POST /api/call-event."""

    site_id: str = ""
    phone_number: str = ""
    fingerprint: str = ""


class Recorded(msgspec.Struct):
    """The answer, and whether a lead was added."""

    answer: dict[str, Any]
    is_new: bool


async def record_call(database: Database, site: Site, call: CallEvent) -> Recorded:
    """Store the call as a lead and say what it was matched to."""
    number = stored_number(call.phone_number, site.region)
    async with database.connection() as connection, connection.transaction():
        row = await connection.fetchrow(
            "SELECT * FROM record_call_v2($1, $2, $3, $4, $5, $6, $7)",
            site.id,
            new_id(),
            number,
            call.fingerprint.strip()[:64],
            site.currency,
            WINDOW_MINUTES,
            REPEAT_SECONDS,
        )
        total, breakdown = score_of_visit(row["facts"])
        if row["is_new"]:
            await connection.execute(
                "SELECT score_call($1, $2, $3, $4)", site.id, row["call_id"], total, breakdown
            )
    session_id: UUID | None = row["session_id"]
    return Recorded(
        {
            "status": "matched" if session_id is not None else "unmatched",
            "call_id": row["call_id"],
            "session_id": session_id,
            "lead_score": total,
            "score_breakdown": breakdown,
        },
        row["is_new"],
    )


def stored_number(written: str, region: str) -> str:
    """A caller's number as leads have it: with its country's code where it can be told, else as it was written."""
    target = read_target(f"tel:{written.strip()[:64]}", region)
    return (target.number or target.value.removeprefix("tel:")) if target is not None else written[:64]


def score_of_visit(facts: Any) -> tuple[int, dict[str, Any]]:
    """The score and its parts under the first generation's names; 0 where there is no visit to score."""
    if facts is None:
        return 0, call_breakdown(0, 0, 0)
    result = score(SessionFacts(**{name: facts[name] for name in SessionFacts.__struct_fields__}))
    interactions = facts["events"] - facts["conversions"]
    base = 20 * facts["conversions"] + 5 * interactions
    breakdown = call_breakdown(facts["conversions"], interactions, max(result.total - base, 0))
    return int(breakdown["finalScore"]), {**breakdown, "parts": dict(result.parts)}
