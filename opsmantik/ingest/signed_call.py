"""A signed report of a call, from the body to the lead and its answer.

Unlike the first generation's reports (call_event.py) it can name the ad click or carry the call's own id and time, and it
is stored exactly once: the same signature again finds the first answer, the same event id signed anew finds the lead.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from opsmantik.attribution.click_ids import clean_click_id
from opsmantik.db.connect import Database
from opsmantik.errors import Malformed
from opsmantik.event import Site, new_id
from opsmantik.ingest.call_event import REPEAT_SECONDS, WINDOW_MINUTES, score_of_visit, stored_number

CLICK_DAYS: Final = 14
LONGEST_BODY: Final = 65_536
# A report comes when the call ends, or when the telephone system is back. Further away its clock is wrong, and ours counts.
OLDEST: Final = timedelta(days=7)
AHEAD: Final = timedelta(minutes=5)
_RECORD: Final = (
    "SELECT answer, call_id, session_id, is_new, facts"
    " FROM record_call_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
)


_EVENT_ID = Meta(
    min_length=1,
    max_length=100,
    description="The telephone system's own id of the call: reported again, it is the same lead.",
)
_FINGERPRINT = Meta(max_length=64, description="The visitor's id, as the tracker's session() tells it.")
_CLICK_ID = Meta(
    max_length=512, description="The caller's Google click id; the first of gclid, wbraid, gbraid counts."
)
_CALLED_AT = Meta(
    tz=True,
    description="When it began. Not given, more than 7 days ago, or ahead of the server's clock: now.",
)


class SignedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /api/call-event/v2. What is misspelt is refused: nobody would notice what it was to say."""

    site_id: Annotated[str, Meta(max_length=64, description="The site's public id, hyphens optional.")]
    phone_number: Annotated[str, Meta(min_length=1, max_length=64, description="The caller's.")]
    event_id: Annotated[str, _EVENT_ID] | None = None
    fingerprint: Annotated[str, _FINGERPRINT] | None = None
    gclid: Annotated[str, _CLICK_ID] | None = None
    wbraid: Annotated[str, _CLICK_ID] | None = None
    gbraid: Annotated[str, _CLICK_ID] | None = None
    called_at: Annotated[datetime, _CALLED_AT] | None = None
    direction: Literal["inbound", "outbound"] | None = None
    status: Literal["answered", "missed", "busy", "voicemail", "failed"] | None = None
    duration_seconds: Annotated[int, Meta(ge=0, le=86_400)] | None = None

    @property
    def click(self) -> tuple[str | None, str | None]:
        """Kind and value of the one click id that counts; what cannot be one is none."""
        for kind, value in (("gclid", self.gclid), ("wbraid", self.wbraid), ("gbraid", self.gbraid)):
            clean = clean_click_id(value)
            if clean is not None:
                return kind, clean
        return None, None


class SignedAnswer(msgspec.Struct, frozen=True):
    """What is answered, and whether a lead was added by it."""

    body: dict[str, Any]
    is_new: bool


_decode = msgspec.json.Decoder(SignedCall).decode


def read_signed_call(text: bytes) -> SignedCall:
    """The body; raises :class:`~opsmantik.errors.Malformed` with the field that is wrong."""
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
        raise Malformed(reason=str(wrong)) from None


async def record_signed_call(
    database: Database, site: Site, call: SignedCall, signature: bytes
) -> SignedAnswer:
    """Store the call as a lead, its signature with it, and say what it was matched to; all of it or nothing."""
    kept = hashlib.sha256(signature).digest()
    number = stored_number(call.phone_number, site.region)
    if not number:
        raise Malformed(reason="phone_number is empty")
    kind, click_id = call.click
    async with database.connection() as connection, connection.transaction():
        row = await connection.fetchrow(
            _RECORD, site.id, new_id(), kept, number, (call.fingerprint or "").strip() or None, kind, click_id,
            call.event_id, _called_at(call, datetime.now(UTC)), call.direction, call.status, call.duration_seconds,
            site.currency, WINDOW_MINUTES, CLICK_DAYS, REPEAT_SECONDS,
        )  # fmt: skip
        if row["answer"] is not None:
            return SignedAnswer(row["answer"], False)
        total, breakdown = score_of_visit(row["facts"])
        body = {
            "status": "matched" if row["session_id"] is not None else "unmatched",
            "call_id": str(row["call_id"]),
            "session_id": str(row["session_id"]) if row["session_id"] is not None else None,
            "lead_score": total,
            "score_breakdown": breakdown,
        }
        if row["is_new"]:
            await connection.execute(
                "SELECT score_call($1, $2, $3, $4)", site.id, row["call_id"], total, breakdown
            )
        await connection.execute("SELECT answer_call($1, $2, $3)", site.id, kept, body)
    return SignedAnswer(body, row["is_new"])


def _called_at(call: SignedCall, now: datetime) -> datetime | None:
    at = call.called_at
    if at is None or not now - OLDEST <= at <= now + AHEAD:
        return None
    return min(at, now)
