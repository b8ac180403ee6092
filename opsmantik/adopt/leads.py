"""What a lead of the first generation is here: pure, a row of ``calls`` with its decision and its row in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.attribution.targets import read_target
from opsmantik.conversions.ledger import Click, SealedLead, one_click, order_id, row_of, weights_of
from opsmantik.event import new_id
from opsmantik.intents.status import Stage, Status, from_first_generation

KNOWN_STATUSES: Final = [
    "intent", "confirmed", "qualified", "real", "junk", "suspicious", "cancelled", "contacted", "offered", "won",
]  # fmt: skip
ELSEWHERE: Final = "first_generation"
"""The reason of a row of the ledger: the first generation sent it, failed to, or never did."""
NO_TIME: Final = datetime(2020, 1, 1, tzinfo=UTC)
_STARS: Final = frozenset({20, 40, 60, 80, 100})
_SENT: Final = frozenset({"uploaded", "completed", "completed_unverified", "matched"})
_MOST_NUMERIC: Final = Decimal(10) ** 15
_encode = msgspec.json.Encoder(decimal_format="number").encode


class OldCall(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``calls`` there, as far as it is taken over."""

    id: UUID
    site_id: UUID
    phone_number: str | None = None
    matched_session_id: UUID | None = None
    matched_fingerprint: str | None = None
    matched_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    lead_score: int | None = None
    lead_score_at_match: int | None = None
    score_breakdown: Any = None
    status: str | None = None
    source: str | None = None
    confirmed_at: datetime | None = None
    confirmed_by: UUID | None = None
    note: str | None = None
    intent_stamp: str | None = None
    intent_action: str | None = None
    intent_target: str | None = None
    intent_page_url: str | None = None
    click_id: str | None = None
    oci_status: str | None = None
    oci_uploaded_at: datetime | None = None
    oci_matched_at: datetime | None = None
    oci_status_updated_at: datetime | None = None
    sale_amount: Decimal | None = None
    estimated_value: Decimal | None = None
    currency: str | None = None


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of a lead's site here."""

    id: UUID
    domain: str
    region: str
    currency: str
    consent_mode: str
    conversion_time: str
    undo_minutes: int
    keep_ip: bool
    stage_weights: Any = None


class MatchedVisit(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of its visit here."""

    month: Any
    gclid: str | None
    wbraid: str | None
    gbraid: str | None
    clicked_at: datetime | None
    consent_marketing: bool | None


CALL_COLUMNS: Final = (
    "site_id", "id", "created_at", "occurred_at", "updated_at", "status", "version", "source", "phone_number",
    "matched_session_id",
    "matched_session_month", "matched_fingerprint", "matched_at", "lead_score", "lead_score_at_match",
    "score_breakdown",
    "confirmed_at", "confirmed_by", "note", "intent_stamp", "intent_action", "intent_target", "intent_page_url",
    "click_id",
    "click_id_kind", "sale_amount", "estimated_value", "currency", "merged_into", "quality", "stage",
    "junk_reason", "suspicion",
    "is_automatic",
)  # fmt: skip
ACTION_COLUMNS: Final = (
    "site_id", "id", "call_id", "at", "actor", "actor_kind", "action", "from_status", "to_status", "version",
    "before", "note",
)  # fmt: skip
CONVERSION_COLUMNS: Final = (
    "site_id", "id", "call_id", "order_id", "state", "reason", "due_at", "occurred_at", "value", "currency",
    "click_id",
    "click_id_kind", "created_at", "updated_at", "consent", "consent_at",
)  # fmt: skip


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one lead; each in the order of the columns above."""

    call: tuple[Any, ...]
    actions: tuple[tuple[Any, ...], ...]
    conversion: tuple[Any, ...] | None

    @property
    def site_id(self) -> UUID:
        found: UUID = self.call[0]
        return found

    @property
    def id(self) -> UUID:
        found: UUID = self.call[1]
        return found

    @property
    def status(self) -> Status:
        found: Status = self.call[5]
        return found

    @property
    def version(self) -> int:
        found: int = self.call[6]
        return found

    @property
    def repeats(self) -> UUID | None:
        found: UUID | None = self.call[CALL_COLUMNS.index("merged_into")]
        return found

    @property
    def amount(self) -> Decimal:
        return self.call[CALL_COLUMNS.index("sale_amount")] or Decimal(0)


def status_of(word: str | None) -> tuple[Status, Stage | None]:
    """The status here. A word of nobody's model: somebody has it in hand, and nobody knows what was decided."""
    try:
        return from_first_generation(word.strip().lower() if word else None)
    except KeyError:
        return Status.PENDING, None


def lead(
    old: OldCall,
    site: Site,
    visit: MatchedVisit | None,
    *,
    people: Mapping[UUID, UUID],
    repeats: UUID | None,
    stamp_taken: bool,
    now: datetime,
    queue_unsent: bool,
) -> Lead:
    """The rows of a lead. ``repeats``: the lead whose stamp it repeats, if it becomes a tap of that one; ``stamp_taken``:
    it keeps being a lead, and another has its stamp."""
    status, stage = status_of(old.status)
    sent_at = _sent_at(old)
    sealed = status is Status.SEALED
    if sealed and (old.oci_matched_at or (old.oci_status or "").lower() == "matched"):
        status = Status.CONVERSION
    created_at = old.created_at or NO_TIME
    decided_at = _decided_at(old, status, created_at)
    automatic = _is_automatic(old.score_breakdown)
    source, action, target, number, stamp = _intent(old, site.region)
    kind, click_id, lost = _click(old, visit)
    score, quality = _score(old, sealed)
    breakdown = old.score_breakdown if isinstance(old.score_breakdown, dict) else {}
    breakdown = breakdown | {"adopted": {"click_id": lost}} if lost else breakdown
    amount = _amount(old.sale_amount)
    actions = () if repeats else _actions(old, site, status, decided_at, created_at, automatic, people)
    call: tuple[Any, ...] = (
        site.id, old.id, created_at, tapped_at(old.intent_stamp, created_at), old.updated_at or created_at, status,
        1 + len(actions), source, number, old.matched_session_id if visit else None, visit.month if visit else None,
        old.matched_fingerprint[:64] if old.matched_fingerprint else None,
        (old.matched_at or created_at) if visit else None, score,
        old.lead_score_at_match, _encode(breakdown) if breakdown else None, decided_at,
        None if automatic or decided_at is None else people.get(old.confirmed_by) if old.confirmed_by else None,
        old.note or None,
        f"{stamp[:90]}~{old.id.hex}" if stamp and (repeats or stamp_taken) else stamp, action, target,
        old.intent_page_url[:2048] if old.intent_page_url else None, click_id, kind, amount,
        _amount(old.estimated_value),
        _currency(old.currency, site.currency), repeats, quality, stage,
        "unspecified" if status is Status.JUNK else None, [], automatic and sealed,
    )  # fmt: skip
    conversion = None
    if not repeats and (sealed or sent_at):
        conversion = _conversion(
            old, site, visit, call, sent_at, sealed=sealed, now=now, queue_unsent=queue_unsent
        )
    return Lead(call=call, actions=actions, conversion=conversion)


def _actions(
    old: OldCall, site: Site, status: Status, decided_at: datetime | None, created_at: datetime, automatic: bool,
    people: Mapping[UUID, UUID],
) -> tuple[tuple[Any, ...], ...]:  # fmt: skip
    """The log as it would be here: what it was, what it became, and who did it as far as known."""
    if status is Status.INTENT:
        return ()
    rule = automatic or status is Status.SUSPICIOUS
    actor = None if rule or old.confirmed_by is None else people.get(old.confirmed_by)
    word = {Status.PENDING: "pend", Status.JUNK: "junk", Status.SUSPICIOUS: "suspect"}.get(status, "seal")
    note = f"adopted: {old.status}"[:200]
    before = _encode({"status": "intent", "confirmed_at": None, "confirmed_by": None})
    first = Status.SEALED if status is Status.CONVERSION else status
    at = decided_at or old.updated_at or created_at
    found: list[tuple[Any, ...]] = [
        (
            site.id,
            new_id(),
            old.id,
            at,
            actor,
            "rule" if rule else "person",
            word,
            "intent",
            first,
            2,
            before,
            note,
        )
    ]
    if status is Status.CONVERSION:
        matched_at = max(at, old.oci_matched_at or at)
        before = _encode({"status": "sealed"})
        found.append(
            (
                site.id,
                new_id(),
                old.id,
                matched_at,
                None,
                "rule",
                "convert",
                "sealed",
                status,
                3,
                before,
                note,
            )
        )
    return tuple(found)


def _conversion(
    old: OldCall, site: Site, visit: MatchedVisit | None, call: tuple[Any, ...], sent_at: datetime | None, *,
    sealed: bool,
    now: datetime, queue_unsent: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """The row of the ledger: sent there, and so never again; else by the ledger's own rule."""
    by_name = dict(zip(CALL_COLUMNS, call, strict=True))
    click = _reported_click(by_name, visit)
    marketing = visit.consent_marketing if visit else None
    row = row_of(
        SealedLead(
            call_id=old.id, cycle=1, amount=by_name["sale_amount"], currency=by_name["currency"],
            stage=by_name["stage"],
            tapped_at=by_name["occurred_at"], decided_at=by_name["confirmed_at"] or by_name["created_at"],
            sale_at=None,
            click=click, consent_marketing=marketing, consent_mode=site.consent_mode,
            conversion_time=site.conversion_time, undo_minutes=site.undo_minutes,
            weights=weights_of(site.stage_weights), now=now,
        )
    )  # fmt: skip
    state, reason, due_at, at = str(row.state), row.reason, row.due_at, now
    consent = _ground(marketing, site.consent_mode)
    if sent_at:
        # The first generation asked nobody when it sent it: the ground is that it did.
        matched = sealed and by_name["status"] == Status.CONVERSION
        state, reason, due_at, at, consent = (
            "matched" if matched else "accepted",
            ELSEWHERE,
            sent_at,
            sent_at,
            "legacy",
        )
        if not sealed:
            ended = "junked" if by_name["status"] == Status.JUNK else "restored"
            state, reason = "retracted", f"{ended}_after_sending"
    elif (old.oci_status or "").lower() == "failed":
        state, reason = "failed", ELSEWHERE
    elif state == "held" and not queue_unsent:
        state, reason = "skipped", ELSEWHERE
    return (
        site.id, new_id(), old.id, order_id(old.id, 1), state, reason, due_at, row.occurred_at, row.value,
        row.currency,
        row.click_id, row.click_id_kind, at, at, consent, max(at, due_at) if sent_at else now,
    )  # fmt: skip


def _ground(marketing: bool | None, mode: str) -> str:
    """On what ground a conversion may go out: as ``consent_basis`` has it (``db/functions/consent.sql``)."""
    if marketing is not None:
        return "granted" if marketing else "denied"
    return "missing" if mode == "required" else mode


def _reported_click(call: Mapping[str, Any], visit: MatchedVisit | None) -> Click | None:
    ids = {"gclid": visit.gclid, "wbraid": visit.wbraid, "gbraid": visit.gbraid} if visit else {}
    return one_click(
        (call["click_id_kind"], call["click_id"]), ids,  # type: ignore[arg-type]
        visit_clicked_at=visit.clicked_at if visit else None, tapped_at=call["occurred_at"],
    )  # fmt: skip


def _sent_at(old: OldCall) -> datetime | None:
    word = (old.oci_status or "").lower()
    if old.oci_uploaded_at is None and old.oci_matched_at is None and word not in _SENT:
        return None
    times = (
        old.oci_uploaded_at,
        old.oci_status_updated_at,
        old.oci_matched_at,
        old.updated_at,
        old.created_at,
    )
    return next((at for at in times if at is not None), NO_TIME)


def _decided_at(old: OldCall, status: Status, created_at: datetime) -> datetime | None:
    if status in (Status.INTENT, Status.PENDING, Status.SUSPICIOUS):
        return None
    return max(old.confirmed_at or old.updated_at or created_at, created_at)


def _is_automatic(breakdown: Any) -> bool:
    if not isinstance(breakdown, dict):
        return False
    return breakdown.get("auto_approved") is True or breakdown.get("qualified_by") == "auto"


def _intent(old: OldCall, region: str) -> tuple[str, str | None, str | None, str | None, str | None]:
    """Source, action, target as it came, number as ours are written, and stamp."""
    raw = (old.intent_target or "").strip() or (old.phone_number or "").strip() or None
    found = read_target(raw, region) if raw else None
    action = (old.intent_action or "").strip().lower()
    kept = action if action in ("phone", "whatsapp", "form") else found.channel if found else None
    number = found.number if found else None
    source = (old.source or "click").strip().lower()
    source = source if source in ("click", "form", "api", "manual") else "manual"
    stamp = (old.intent_stamp or "").strip()[:128] or None
    if source == "click":
        if raw is None or kept not in ("phone", "whatsapp"):
            source = "api"
        else:
            stamp = stamp or str(old.id)
    return source, kept, raw, number, stamp


def _click(old: OldCall, visit: MatchedVisit | None) -> tuple[str | None, str | None, str | None]:
    """Kind and id; or neither, and the id whose kind nobody knows."""
    value = (old.click_id or "").strip()[:512]
    if not value:
        return None, None, None
    ids = {"gclid": visit.gclid, "wbraid": visit.wbraid, "gbraid": visit.gbraid} if visit else {}
    same = [name for name, known in ids.items() if known == value]
    kind = next(iter(same or [name for name, known in ids.items() if known]), None)
    return (kind, value, None) if kind else (None, None, value)


def _score(old: OldCall, sealed: bool) -> tuple[int, int | None]:
    """The score, and the stars that an operator gave, which the first generation kept in its place."""
    score = min(max(old.lead_score or 0, 0), 100)
    if (
        sealed
        and score in _STARS
        and old.lead_score_at_match is not None
        and old.lead_score_at_match != score
    ):
        return min(max(old.lead_score_at_match, 0), 100), score
    return score, None


def tapped_at(stamp: str | None, created_at: datetime) -> datetime:
    """When the link was tapped: a stamp begins with the moment, in milliseconds, and may have waited in an outbox."""
    head = (stamp or "").partition("-")[0]
    try:
        value = int(head) if len(head) == 13 and head.isdigit() else int(head, 36)
    except ValueError:
        return created_at
    moment = value / 1000
    late = created_at.timestamp() - moment
    return datetime.fromtimestamp(moment, UTC) if 0 <= late <= 90 * 86_400 else created_at


def _amount(amount: Decimal | None) -> Decimal | None:
    return amount if amount is not None and amount.is_finite() and 0 <= amount < _MOST_NUMERIC else None


def _currency(code: str | None, of_site: str) -> str:
    found = (code or "").strip().upper()
    return found if len(found) == 3 and found.isascii() and found.isalpha() else of_site
