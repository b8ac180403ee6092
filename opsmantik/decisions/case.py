"""The words of decisions: what is asked for, the lead as it is, and what is to be remembered."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from opsmantik.conversions.ledger import Click, ClickKind, Row, Weights, one_click, weights_of
from opsmantik.intents.status import Action, Stage, Status


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to do to a lead.

    ``version`` is that of the lead on their screen; None decides about whatever is there, for doors that have none.
    What is not given stays as it is, except the field after which an act is named: a note, a quality, a stage and a
    sale (amount and date) are replaced by what is given, None clears them.
    """

    action: Action
    version: int | None = None
    amount: Decimal | None = None
    currency: str | None = None
    """Three letters; the site's if not given."""
    sale_at: datetime | None = None
    """Aware. With the minute's precision."""
    stage: Stage | None = None
    quality: int | None = None
    """0 to 100; see ``intents.status.quality_of`` for stars."""
    note: str | None = None
    reason: str | None = None
    """Why it is junk: one of ``intents.status.JUNK_REASONS``, or the operator's own words."""

    def __post_init__(self) -> None:
        """The bare words are taken too; ``ValueError`` for one that is neither an act nor a stage."""
        msgspec.structs.force_setattr(self, "action", Action(self.action))
        if self.stage is not None:
            msgspec.structs.force_setattr(self, "stage", Stage(self.stage))


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A lead as it is, with what a decision about it must know; the columns of ``lead_cases_v2``."""

    call_id: UUID
    version: int
    status: str
    merged_into: UUID | None
    occurred_at: datetime
    confirmed_at: datetime | None
    note: str | None
    stage: str | None
    sale_at: datetime | None
    sale_amount: Decimal | None
    currency: str
    click_id: str | None
    click_id_kind: str | None
    gclid: str | None
    wbraid: str | None
    gbraid: str | None
    clicked_at: datetime | None
    consent_marketing: bool | None
    cycles: int
    site_currency: str
    consent_mode: str
    conversion_time: str
    undo_minutes: int
    latest_action: str | None
    latest_kind: str | None
    latest_actor: UUID | None
    latest_name: str | None
    latest_at: datetime | None
    undo_id: UUID | None
    undo_action: str | None
    undo_before: str | None
    now: datetime
    stage_weights: Any
    """As the site's settings have them."""
    sends_by: str | None
    """The adapter by which the site's conversions leave; None: none yet."""

    @property
    def weights(self) -> Weights:
        """What stands in for an amount that nobody gave, by stage."""
        return weights_of(self.stage_weights)

    @property
    def click(self) -> Click | None:
        """The one ad click that a conversion of this lead names."""
        visit: dict[ClickKind, str | None] = {
            "gclid": self.gclid, "wbraid": self.wbraid, "gbraid": self.gbraid,
        }  # fmt: skip
        return one_click(
            (self.click_id_kind, self.click_id),
            visit,
            visit_clicked_at=self.clicked_at,
            tapped_at=self.occurred_at,
        )


class Changes(msgspec.Struct, kw_only=True):
    """The columns that an act changes; the others are left out."""

    status: str | UnsetType = UNSET
    confirmed_at: datetime | UnsetType | None = UNSET
    confirmed_by: UUID | UnsetType | None = UNSET
    note: str | UnsetType | None = UNSET
    quality: int | UnsetType | None = UNSET
    stage: str | UnsetType | None = UNSET
    sale_at: datetime | UnsetType | None = UNSET
    sale_amount: Decimal | UnsetType | None = UNSET
    currency: str | UnsetType = UNSET
    junk_reason: str | UnsetType | None = UNSET
    suspicion: list[str] | UnsetType | None = UNSET
    is_automatic: bool | UnsetType = UNSET


class Asker(msgspec.Struct, frozen=True):
    """Who decides, and their role on the site; a rule is nobody."""

    user_id: UUID | None
    role: str | None


RULE: Final = Asker(None, None)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An act, worked out: what the database is asked to remember."""

    action: Action
    kind: Literal["person", "rule"]
    status: Status
    """The lead's, afterwards."""
    changes: Changes
    line: str | None
    """The words in the log."""
    undoes: UUID | None = None
    conversion: dict[str, Any] | None = None
    opened: Row | None = None
    """The ledger's new row, where the act makes one."""
