"""What an act on a lead means: which columns change, and what becomes of its conversion.

Enters: the lead as it is, who asks, and what they want.  Leaves: a plan that can be carried out as it stands, or an
error that says why not. No database, no clock: the time is part of what enters.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import UNSET

from opsmantik.conversions import ledger
from opsmantik.conversions.ledger import Row, SealedLead, Withdrawal
from opsmantik.conversions.money import check_amount, check_currency
from opsmantik.decisions.case import RULE, Asker, Case, Changes, Decision, Plan
from opsmantik.errors import Conflict, Forbidden, MergedTap, MoveRefused, Unprocessable
from opsmantik.intents.status import MOST_QUALITY, MOVES, SEALED, Action, Status, after

MAY_DECIDE: Final = frozenset({"platform_admin", "owner", "admin", "operator"})
MAY_BACKDATE: Final = MAY_DECIDE - {"operator"}

BACKDATE: Final = timedelta(hours=48)
"""A sale further back needs one of :data:`MAY_BACKDATE`: it changes figures that others have reported already."""
CLOCK_SLACK: Final = timedelta(minutes=5)
"""How far ahead of ours an operator's clock may be."""
LONGEST_NOTE: Final = 2000
LONGEST_REASON: Final = 200

FIELDS: Final[dict[Action, frozenset[str]]] = {
    Action.PEND: frozenset(),
    Action.SEAL: frozenset({"amount", "currency", "sale_at", "stage", "quality"}),
    Action.JUNK: frozenset({"reason", "quality"}),
    Action.SUSPECT: frozenset(),
    Action.RESTORE: frozenset(),
    Action.NOTE: frozenset(),
    Action.QUALITY: frozenset({"quality"}),
    Action.STAGE: frozenset({"stage"}),
    Action.SALE: frozenset({"amount", "currency", "sale_at"}),
}
"""The acts that people may ask for, and what each of them can carry besides a note."""


def plan(case: Case, decision: Decision, asker: Asker, *, line: str | None = None) -> Plan:
    """Work out a decision; ``line`` goes to the log instead of its own words.

    Raises :class:`~opsmantik.errors.MergedTap`, :class:`~opsmantik.errors.Conflict` when somebody decided since,
    :class:`~opsmantik.errors.MoveRefused`, :class:`~opsmantik.errors.Unprocessable` for what the decision carries,
    and :class:`~opsmantik.errors.Forbidden` for a sale too far back.
    """
    check_current(case, decision.version)
    status = _status_after(case, decision)
    _check_fields(decision)
    note = _clean(decision.note, LONGEST_NOTE, "note")
    reason = _clean(decision.reason, LONGEST_REASON, "reason")
    changes = Changes()
    if note or decision.action is Action.NOTE:
        changes.note = note
    if decision.action is Action.QUALITY or decision.quality is not None:
        changes.quality = _check_quality(decision.quality)
    if decision.action is Action.STAGE or decision.stage is not None:
        changes.stage = decision.stage
    if decision.action in (Action.SEAL, Action.SALE):
        _put_sale(changes, case, decision, asker)
    if status != case.status:
        _put_status(changes, case, status, asker)
    if decision.action is Action.JUNK:
        if reason is None:
            raise Unprocessable(reason="say why it is junk", kind="no_reason")
        changes.junk_reason = reason
    conversion, opened = _ledger(case, changes, decision.action)
    return Plan(
        action=decision.action,
        kind="rule" if asker is RULE else "person",
        status=status,
        changes=changes,
        line=line or note or reason,
        conversion=conversion,
        opened=opened,
    )


def plan_undo(case: Case, version: int | None) -> Plan:
    """Work out how the latest decision is taken back: every column that it changed is as it was.

    Raises as :func:`plan` does; an undo cannot be undone, and nothing before it can.
    """
    check_current(case, version)
    if case.undo_id is None or case.undo_before is None or case.undo_action == Action.UNDO:
        reason = "its latest decision has been taken back" if case.undo_id else "nobody has decided about it"
        raise MoveRefused(status=case.status, wanted="undone", reason=reason)
    changes = msgspec.json.decode(case.undo_before, type=Changes)
    conversion, opened = _ledger(case, changes, Action.UNDO)
    return Plan(
        action=Action.UNDO,
        kind="person",
        status=Status(_after(case, changes, "status")),
        changes=changes,
        line=None,
        undoes=case.undo_id,
        conversion=conversion,
        opened=opened,
    )


def check_current(case: Case, version: int | None) -> None:
    """Whether this is a lead, and the one that the asker saw."""
    if case.merged_into is not None:
        raise MergedTap(lead=case.merged_into)
    if version is not None and version != case.version:
        raise lost_race(case)


VERBS: Final = {
    "pend": "took this lead in hand", "seal": "sealed this lead", "junk": "marked this lead as junk",
    "suspect": "marked this lead as suspicious", "restore": "put this lead back",
    "convert": "recorded that the ad platform took this lead", "note": "wrote a note on this lead",
    "quality": "rated this lead", "stage": "moved this lead to another stage",
    "sale": "changed this lead's sale", "undo": "took back the latest decision on this lead",
}  # fmt: skip


def lost_race(case: Case) -> Conflict:
    """Says who did what, and when; its details carry the same, and the version and status that stand now."""
    reason = "this lead has changed since you saw it"
    if case.latest_action is not None and case.latest_at is not None:
        # Somebody may have set the rule going; still it was the rule that decided.
        who = "a rule of this site" if case.latest_kind == "rule" else case.latest_name or "somebody"
        verb = VERBS.get(case.latest_action, "changed this lead")
        reason = f"{who} {verb} at {case.latest_at:%Y-%m-%d %H:%M:%S} UTC"
    return Conflict(
        reason=reason,
        version=case.version,
        status=case.status,
        action=case.latest_action,
        actor=case.latest_actor,
        actor_kind=case.latest_kind,
        actor_name=case.latest_name,
        at=case.latest_at,
    )


WANTED: Final = {
    Action.PEND: "taken in hand", Action.SEAL: "sealed", Action.JUNK: "marked as junk",
    Action.SUSPECT: "marked as suspicious", Action.RESTORE: "restored", Action.CONVERT: "converted",
    Action.NOTE: "given a note", Action.QUALITY: "rated", Action.STAGE: "given a stage",
    Action.SALE: "given a sale",
}  # fmt: skip


def _status_after(case: Case, decision: Decision) -> Status:
    if decision.action not in FIELDS:
        raise Unprocessable(reason=f"nobody can ask for {decision.action}")
    status = after(case.status, decision.action)
    if status is None:
        # Who brought no version cannot have known: for them it is a race, lost to whoever decided.
        if decision.version is None and case.latest_action is not None:
            raise lost_race(case)
        raise MoveRefused(
            status=case.status, wanted=WANTED[decision.action], reason=_why_not(case, decision.action)
        )
    return status


def _why_not(case: Case, action: Action) -> str:
    if action in (Action.STAGE, Action.SALE):
        return "only a sealed lead can"
    if case.status in MOVES[action].values():
        return "it is that already"
    return "restore it first" if after(case.status, Action.RESTORE) else "it still waits for a decision"


def _check_fields(decision: Decision) -> None:
    carried = {"amount", "currency", "sale_at", "stage", "quality", "reason"} - FIELDS[decision.action]
    given = sorted(name for name in carried if getattr(decision, name) is not None)
    if given:
        raise Unprocessable(reason=f"{decision.action} does not go with {', '.join(given)}")


def _clean(text: str | None, longest: int, what: str) -> str | None:
    text = text.replace("\x00", "").strip() if text else ""
    if len(text) > longest:
        raise Unprocessable(reason=f"the {what} is longer than {longest} characters", kind="too_long")
    return text or None


def _check_quality(quality: int | None) -> int | None:
    if quality is not None and not 0 <= quality <= MOST_QUALITY:
        raise Unprocessable(reason=f"quality is 0 to {MOST_QUALITY}")
    return quality


def _put_status(changes: Changes, case: Case, status: Status, asker: Asker) -> None:
    """A lead that waits again is decided by nobody; one that is no longer sealed has no sale."""
    changes.status = status
    waits = status is Status.PENDING
    changes.confirmed_at = None if waits else case.now
    changes.confirmed_by = None if waits else asker.user_id
    changes.is_automatic = asker is RULE and not waits
    if case.status == Status.JUNK:
        changes.junk_reason = None
    if case.status in SEALED and status not in SEALED:
        changes.stage = changes.sale_at = changes.sale_amount = None


def _put_sale(changes: Changes, case: Case, decision: Decision, asker: Asker) -> None:
    replaces = decision.action is Action.SALE
    currency = case.currency if replaces else case.site_currency
    if decision.currency is not None:
        currency = check_currency(decision.currency)
    changes.currency = currency
    if decision.amount is not None:
        changes.sale_amount = check_amount(decision.amount, currency)
    elif replaces:
        changes.sale_amount = None
    if decision.sale_at is not None:
        changes.sale_at = _check_sale_at(decision.sale_at, case, asker)
    elif replaces:
        changes.sale_at = None


def _check_sale_at(sale_at: datetime, case: Case, asker: Asker) -> datetime:
    if sale_at.tzinfo is None:
        raise Unprocessable(reason="the sale's date has no time zone")
    if sale_at == case.sale_at:
        return sale_at  # somebody allowed it already
    if sale_at > case.now + CLOCK_SLACK:
        raise Unprocessable(reason="the sale's date lies in the future", kind="sale_in_future")
    # People enter minutes, so a sale in the minute of the tap is not before it.
    if sale_at < case.occurred_at.replace(second=0, microsecond=0):
        raise Unprocessable(
            reason=f"the sale cannot be before the click ({case.occurred_at:%Y-%m-%d %H:%M} UTC)",
            kind="sale_before_click",
        )
    if case.now - sale_at > BACKDATE and asker.role not in MAY_BACKDATE:
        raise Forbidden(
            reason="a sale more than 48 hours back is entered by an owner or an administrator",
            kind="sale_too_far_back",
        )
    return sale_at


_WITHDRAWALS: Final = {
    Action.UNDO: Withdrawal.UNDONE, Action.JUNK: Withdrawal.JUNKED,
    Action.SUSPECT: Withdrawal.SUSPECTED, Action.RESTORE: Withdrawal.RESTORED,
}  # fmt: skip


def _ledger(case: Case, changes: Changes, action: Action) -> tuple[dict[str, Any] | None, Row | None]:
    """What becomes of the lead's conversion: a row where it is sealed now, none where it no longer is."""
    was, now = case.status in SEALED, _after(case, changes, "status") in SEALED
    if was and not now:
        taken = _WITHDRAWALS[action]
        return {"step": "withdraw", "reason": taken, "after_sending": ledger.AFTER_SENDING}, None
    if not now:
        return None, None
    worth = (changes.sale_amount, changes.currency, changes.sale_at, changes.stage)
    if was and all(value is UNSET for value in worth):
        return None, None
    lead = _sealed_lead(case, changes, cycle=max(case.cycles, 1) if was else case.cycles + 1)
    if not was:
        row = ledger.row_of(lead)
        return {"step": "open", **msgspec.structs.asdict(row)}, row
    value, reason = ledger.worth_of(lead)
    step: dict[str, Any] = {
        "step": "revise", "move": ledger.REVISED, "value": value, "reason": reason, "currency": lead.currency,
        "occurred_at": ledger.occurred_at(lead), "due_at": lead.now + timedelta(minutes=lead.undo_minutes),
    }  # fmt: skip
    return step, None


def _sealed_lead(case: Case, changes: Changes, *, cycle: int) -> SealedLead:
    return SealedLead(
        call_id=case.call_id,
        cycle=cycle,
        amount=_after(case, changes, "sale_amount"),
        currency=_after(case, changes, "currency"),
        stage=_after(case, changes, "stage"),
        tapped_at=case.occurred_at,
        decided_at=_after(case, changes, "confirmed_at") or case.now,
        sale_at=_after(case, changes, "sale_at"),
        click=case.click,
        consent_marketing=case.consent_marketing,
        consent_mode=case.consent_mode,
        conversion_time=case.conversion_time,
        undo_minutes=case.undo_minutes,
        weights=case.weights,
        needs_click=case.sends_by not in ledger.WITHOUT_CLICK,
        now=case.now,
    )


def _after(case: Case, changes: Changes, name: str) -> Any:
    changed = getattr(changes, name)
    return getattr(case, name) if changed is UNSET else changed
