"""The ledger of conversions: its rows by the page, one row with all its moves, every sealed lead accounted for by day, what
leaves next, and the batches.

The ledger is what somebody is shown who asks why a sale was not reported; each figure leads to the rows that it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from opsmantik.clock import Range
from opsmantik.dashboard import paging
from opsmantik.dashboard.asked import AskedSite
from opsmantik.dashboard.paging import FIRST_PAGE, Cursor
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound

SQL = queries(Path(__file__).with_suffix(".sql"))
STATES: Final = ("held", "queued", "sent", "accepted", "matched", "failed", "retracted", "skipped")
KINDS: Final = ("gclid", "wbraid", "gbraid", "none")
PAGE: Final = 50
MOST: Final = 200
MOST_AT_ONCE: Final = 10_000
"""Conversions that one act is about, and rows that a preview adds up."""
PREVIEWED: Final = 50
FEW: Final = 3000
"""Rows whose leads are looked up one by one in no more time than a page may take."""

State = Literal["held", "queued", "sent", "accepted", "matched", "failed", "retracted", "skipped"]
Owed = Literal["new", "restate", "retract"]


class LedgerLead(msgspec.Struct, frozen=True, kw_only=True):
    """The lead that a conversion is about, as it is now."""

    id: UUID
    status: str
    stage: str | None
    captured_at: datetime
    decided_at: datetime | None
    action: str | None
    target: str | None
    captured_by: str
    phone_number: str | None


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger."""

    id: UUID
    order_id: str
    """Under this id the platform knows it."""
    lead: LedgerLead
    state: State
    reason: str | None
    """Why it is not sent, was refused or taken back; ``stage_weight`` where the value is no amount."""
    detail: str | None
    """The platform's own words about its latest refusal."""
    due_at: datetime
    """While it is held: until when."""
    next_at: datetime | None
    """When its next step is due; none where nothing is."""
    owed: Owed | None
    """What is owed to the platform: its first report, another amount, or that it is taken back."""
    attempts: int
    occurred_at: datetime
    value: Decimal | None
    currency: str
    is_weight: bool
    """Nobody gave an amount; the value is its stage's weight."""
    click_kind: Literal["gclid", "wbraid", "gbraid"] | None
    clicked_at: datetime | None
    consent: str
    batch_id: UUID | None
    """The batch that carries it at this moment."""
    sent_at: datetime | None
    sent_by: str | None
    """The adapter by which it went."""
    platform_value: Decimal | None
    """What the platform is known to hold of it."""
    platform_currency: str | None
    taken_back_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Move(msgspec.Struct, frozen=True):
    """One move of a conversion. Who decided about the lead stands in the lead's own log."""

    at: datetime
    from_state: str | None
    to_state: str
    reason: str | None


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that carried a conversion, and what became of it there."""

    batch_id: UUID
    kind: Owed
    adapter: str
    state: str
    created_at: datetime
    value: Decimal
    currency: str
    outcome: str | None
    reason: str | None
    detail: str | None


class ConversionDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion with every move, oldest first, and every batch that carried it, newest first."""

    conversion: Conversion
    moves: list[Move]
    batches: list[Carried]
    as_of: datetime
    sequence: int


class RowOfLead(msgspec.Struct, frozen=True):
    """A row of the ledger, and its moves, oldest first."""

    conversion: Conversion
    moves: list[Move]


class Conversions(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the ledger, newest first. ``next_cursor`` is null on the last one."""

    items: list[Conversion]
    next_cursor: str | None
    as_of: datetime
    sequence: int


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of the ledger are asked for."""

    states: Sequence[str] = STATES
    reason: str | None = None
    kind: str | None = None
    """Of the click: gclid, wbraid, gbraid, or none."""
    over: Range | None = None
    """Of leads that were decided then, or came (``by_captured``)."""
    by_captured: bool = False
    named: str | None = None
    """An order id, or the id of a lead or a conversion."""


class Why(msgspec.Struct, frozen=True):
    """Leads that were not sent, or were refused, for one reason."""

    reason: str
    n: int


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the leads that are sealed, of those that were decided on one day of the site.

    sealed = accepted + on_its_way + failed + skipped + before + unexplained, and the last one is nothing.
    """

    day: date
    sealed: int
    accepted: int
    """Accepted or matched by the platform."""
    held: int
    queued: int
    sent: int
    failed: int
    skipped: int
    before: int
    """Sealed before there was a ledger."""
    unexplained: int
    """With no row although there should be one, or with one that does not say why."""


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """Every sealed lead of a range accounted for, newest day first."""

    days: list[Day]
    whole: Day
    skipped: list[Why]
    failed: list[Why]
    as_of: datetime
    sequence: int


class Due(msgspec.Struct, frozen=True):
    """What is due by one kind of step in one currency; the first of it since ``since``."""

    kind: Owed
    currency: str
    n: int
    value: Decimal | None
    since: datetime


class Next(msgspec.Struct, frozen=True, kw_only=True):
    """What would leave now, and the first rows of it. Nothing is made by looking."""

    due: list[Due]
    kind: Owed | None
    """Of the batch that would be gathered first."""
    items: list[Conversion]
    is_more: bool
    """More is due than is added up here."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Conversions that left together, or are to."""

    id: UUID
    kind: Owed
    adapter: str
    state: Literal["open", "sent", "done", "cancelled"]
    size: int
    attempts: int
    next_at: datetime | None
    request_id: str | None
    error: str | None
    file_name: str | None
    downloads: int
    created_name: str | None
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None


class Batches(msgspec.Struct, frozen=True, kw_only=True):
    """One page of them, newest first."""

    items: list[Batch]
    next_cursor: str | None


class Outcome(msgspec.Struct, frozen=True):
    """How many of a batch ended so; no outcome: it is not known yet."""

    outcome: str | None
    reason: str | None
    n: int


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """One conversion as it stands in a batch."""

    position: int
    conversion_id: UUID
    lead_id: UUID
    order_id: str
    occurred_at: datetime
    value: Decimal
    currency: str
    click_id_kind: str | None
    state: str
    outcome: str | None
    reason: str | None
    detail: str | None


class BatchDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, how its conversions ended, and a page of them by position."""

    batch: Batch
    outcomes: list[Outcome]
    items: list[BatchItem]
    next_position: int | None


async def ledger(
    connection: Any, site: AskedSite, asked: Asked, *, limit: int = PAGE, cursor: Cursor | None = None
) -> Conversions:
    """A page of the ledger: by the moment of the seal, or by that of the range."""
    rows = await _rows(connection, site, asked, limit + 1, cursor or FIRST_PAGE)
    state = await connection.fetchrow(SQL.ledger_state, site.id)
    shown = rows[:limit]
    return Conversions(
        items=[conversion_of(row) for row in shown],
        next_cursor=paging.written(Cursor(shown[-1]["at"], shown[-1]["id"])) if rows[limit:] else None,
        as_of=state["as_of"], sequence=state["sequence"],
    )  # fmt: skip


async def _rows(connection: Any, site: AskedSite, asked: Asked, limit: int, after: Cursor) -> list[Any]:
    given = (list(asked.states), *after, limit, _kinds(asked), asked.reason)
    found: list[Any]
    if asked.named is not None:
        name = asked.named.lower()
        found = await connection.fetch(SQL.ledger_named, site.id, *given, name, _uuid(asked.named))
    elif asked.over is not None and asked.by_captured and asked.reason:
        found = await connection.fetch(SQL.ledger_captured_reason, site.id, *given, *asked.over, FEW)
    elif asked.over is not None and asked.by_captured:
        found = await connection.fetch(SQL.ledger_captured, site.id, *given, *asked.over, FEW)
    elif asked.over is not None and asked.reason:
        found = await connection.fetch(SQL.ledger_decided_reason, site.id, *given, *asked.over, FEW)
    elif asked.over is not None:
        found = await connection.fetch(SQL.ledger_decided, site.id, *given, *asked.over, FEW)
    elif asked.reason:
        found = await connection.fetch(SQL.ledger_reason, site.id, *given)
    else:
        found = await connection.fetch(SQL.ledger, site.id, *given[:-1])
    return found


async def one(connection: Any, site: AskedSite, conversion_id: UUID) -> ConversionDetails:
    """One conversion, whole. Raises :class:`~opsmantik.errors.NotFound`."""
    row = await connection.fetchrow(SQL.ledger_row, site.id, conversion_id)
    if row is None:
        raise NotFound(what="conversion")
    found = await moves(connection, site, [conversion_id])
    carried = await connection.fetch(SQL.ledger_items, site.id, conversion_id)
    state = await connection.fetchrow(SQL.ledger_state, site.id)
    return ConversionDetails(
        conversion=conversion_of(row), moves=found.get(conversion_id, []),
        batches=[Carried(**each) for each in carried], as_of=state["as_of"], sequence=state["sequence"],
    )  # fmt: skip


async def of_lead(connection: Any, site: AskedSite, lead_id: UUID) -> list[RowOfLead]:
    """Every row that a lead has had, newest first."""
    rows = await connection.fetch(SQL.ledger_of_lead, site.id, lead_id)
    return [RowOfLead(conversion_of(row), msgspec.convert(row["moves"], list[Move])) for row in rows]


async def moves(connection: Any, site: AskedSite, ids: Sequence[UUID]) -> dict[UUID, list[Move]]:
    """Every move of these conversions, oldest first."""
    found: dict[UUID, list[Move]] = {}
    for row in await connection.fetch(SQL.ledger_moves, site.id, list(ids)):
        found.setdefault(row["conversion_id"], []).append(Move(*list(row.values())[1:]))
    return found


def conversion_of(row: Mapping[str, Any]) -> Conversion:
    """A row of the view conversion_rows."""
    names = LedgerLead.__struct_fields__
    lead = LedgerLead(
        id=row["lead_id"], status=row["lead_status"], **{name: row[name] for name in names if name not in ("id", "status")}
    )  # fmt: skip
    own = [name for name in Conversion.__struct_fields__ if name not in ("lead", "click_kind")]
    return Conversion(lead=lead, click_kind=row["click_id_kind"], **{name: row[name] for name in own})


async def parity(connection: Any, site: AskedSite, over: Range) -> Parity:
    """Sealed = accepted + explained, day by day."""
    rows = await connection.fetch(SQL.ledger_parity, site.id, *over, site.time_zone)
    state = await connection.fetchrow(SQL.ledger_state, site.id)
    cells = [(row["day"], row["state"], row["reason"], row["n"]) for row in rows]
    days = sorted({cell[0] for cell in cells}, reverse=True)
    return Parity(
        days=[day_of(day, [cell for cell in cells if cell[0] == day]) for day in days],
        whole=day_of(days[-1] if days else date.min, cells),
        skipped=_why(cells, "skipped"), failed=_why(cells, "failed"), as_of=state["as_of"], sequence=state["sequence"],
    )  # fmt: skip


Cell = tuple[date, str, str | None, int]


def day_of(day: date, cells: Sequence[Cell]) -> Day:
    """What the cells of a day (day, state, reason, how many) add up to. A row of a state that nobody knows, or that is
    refused or left out without a reason, explains nothing."""
    n = dict.fromkeys(("accepted", "held", "queued", "sent", "failed", "skipped", "before", "unexplained"), 0)
    for _, state, reason, count in cells:
        name = "accepted" if state == "matched" else state
        if name not in n or reason == "":
            name = "unexplained"
        n[name] += count
    return Day(day=day, sealed=sum(count for *_, count in cells), **n)


def _why(cells: Sequence[Cell], state: str) -> list[Why]:
    found: dict[str, int] = {}
    for _, each, reason, count in cells:
        if each == state and reason:
            found[reason] = found.get(reason, 0) + count
    return [Why(*each) for each in sorted(found.items(), key=lambda each: (-each[1], each[0]))]


async def next_batch(
    connection: Any, site: AskedSite, adapter: str | None, *, limit: int = PREVIEWED
) -> Next:
    """What would leave now by this adapter. Consent and the age of clicks are asked about again when it does."""
    due = [Due(*row) for row in await connection.fetch(SQL.ledger_due, site.id, adapter, MOST_AT_ONCE)]
    kind = due[0].kind if due else None
    rows = await connection.fetch(SQL.ledger_next, site.id, adapter, kind, limit) if kind else []
    return Next(
        due=due, kind=kind, items=[conversion_of(row) for row in rows],
        is_more=sum(each.n for each in due) >= MOST_AT_ONCE,
    )  # fmt: skip


async def matching(connection: Any, site: AskedSite, asked: Asked, *, most: int = MOST_AT_ONCE) -> list[UUID]:
    """The conversions that a list shows, all of its pages: at most ``most``, oldest first."""
    if asked.named is not None:
        found = await ledger(connection, site, asked, limit=MOST)
        return [each.id for each in found.items]
    given = (list(asked.states), _kinds(asked), asked.reason, most)
    if asked.over is not None:
        rows = await connection.fetch(
            SQL.ledger_ids_over, site.id, *given, not asked.by_captured, *asked.over
        )
    elif asked.reason:
        rows = await connection.fetch(SQL.ledger_ids_reason, site.id, *given)
    else:
        rows = await connection.fetch(SQL.ledger_ids, site.id, *given)
    return [row["id"] for row in rows]


async def able(connection: Any, site: AskedSite, ids: Sequence[UUID], *, retry: bool) -> list[UUID]:
    """Of these conversions those that can be tried again; without ``retry``, those that can be kept from leaving."""
    return [row["id"] for row in await connection.fetch(SQL.ledger_able, site.id, list(ids), retry)]


async def batches(
    connection: Any, site: AskedSite, *, states: Sequence[str] | None = None, limit: int = PAGE,
    cursor: Cursor | None = None,
) -> Batches:  # fmt: skip
    """Batches, newest first."""
    rows = await connection.fetch(
        SQL.batches, site.id, *(cursor or FIRST_PAGE), limit + 1, list(states) if states else None
    )
    items = [Batch(**row) for row in rows[:limit]]
    following = paging.written(Cursor(items[-1].created_at, items[-1].id)) if rows[limit:] else None
    return Batches(items=items, next_cursor=following)


async def batch(
    connection: Any, site: AskedSite, batch_id: UUID, *, after: int = 0, limit: int = PAGE
) -> BatchDetails:
    """One batch. Raises :class:`~opsmantik.errors.NotFound`."""
    row = await connection.fetchrow(SQL.batch, site.id, batch_id)
    if row is None:
        raise NotFound(what="batch")
    outcomes = await connection.fetch(SQL.batch_outcomes, site.id, batch_id)
    items = [
        BatchItem(**each)
        for each in await connection.fetch(SQL.batch_items, site.id, batch_id, after, limit + 1)
    ]
    return BatchDetails(
        batch=Batch(**row), outcomes=[Outcome(*each) for each in outcomes], items=items[:limit],
        next_position=items[limit - 1].position if items[limit:] else None,
    )  # fmt: skip


def _kinds(asked: Asked) -> list[str]:
    return [asked.kind] if asked.kind else list(KINDS)


def _uuid(text: str) -> UUID | None:
    """An id, alone or as it stands in an order id."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None
