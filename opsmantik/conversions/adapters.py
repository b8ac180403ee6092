"""One interface to the platforms that take conversions; each adapter is one module beside this one.

    send      a batch leaves; the answer says what is known of it
    follow    for a batch that the platform took without an answer for each conversion: what became of it
    check     what is missing before anything can be sent, in words

An adapter knows no database. It raises nothing but :class:`Trouble` for what concerns the whole batch; what concerns one
conversion is an :class:`Outcome`. What an adapter does not know it must not guess: a batch whose answer was lost is
``unsure``, and is sent again as it is until somebody answers. Order ids make that harmless.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, Protocol
from uuid import UUID

import msgspec

Kind = Literal["new", "restate", "retract"]
ClickIdKind = Literal["gclid", "wbraid", "gbraid"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One conversion in a batch. Times are aware, in UTC; ``value`` is in ``currency``, 0 where it is taken back."""

    position: int
    conversion_id: UUID
    order_id: str
    occurred_at: datetime
    value: Decimal
    currency: str
    click_id: str | None
    """Case matters. None where the visitor has said no since: then the order id alone names the conversion."""
    click_id_kind: ClickIdKind | None
    clicked_at: datetime | None = None
    consent: str = "missing"
    """granted, implied or legacy; denied or missing where it is only taken back."""
    sent_at: datetime | None = None
    """When it was first sent."""
    attempts: int = 0
    """How often the platform has refused it for now."""
    action: Literal["phone", "whatsapp", "form"] | None = None
    phone: str | None = None
    """E.164, of a visitor who agreed, where the site sends hashes. Leaves hashed only."""
    email: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves together: of one site, one kind, to one destination."""

    site_id: UUID
    id: UUID
    kind: Kind
    adapter: str
    destination: Mapping[str, Any]
    """By the adapter's own names; as it was when the batch was made."""
    state: str
    attempts: int
    """1 for the first try."""
    request_id: str | None
    created_at: datetime
    site_name: str
    public_id: str
    time_zone: str
    with_hashes: bool | None
    items: Sequence[Item]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the platform made of one conversion."""

    position: int
    outcome: Literal["accepted", "matched", "failed", "gone"]
    """accepted: taken. matched: taken, and found to belong to a click. gone: there was nothing to put right or take back.
    Of a correction, accepted means that it was carried out."""
    reason: str | None = None
    """A word of ours or the platform's own code in lower case; needed where it failed."""
    detail: str | None = None
    """The platform's words; nothing of a visitor in them."""
    seconds: float | None = None
    """Of a failed one: tried again after so many; None: never by itself."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a batch after a call. ``outcomes`` may come with each of the states."""

    state: Literal["sent", "done"]
    """sent: the platform has it, what became of it is asked later. done: every item has an outcome."""
    outcomes: Sequence[Outcome] = ()
    request_id: str | None = None
    seconds: float = 0.0
    """Of a batch that is sent: when to ask."""


class Why(enum.StrEnum):
    """What can be wrong with a whole batch."""

    UNSURE = "unsure"
    """No answer, or none that says whether it arrived: 5xx, a timeout, a connection that broke. Sent again as it is."""
    BUSY = "busy"
    """It certainly did not arrive: 429, a quota, a connection that was never made. The batch is dissolved."""
    NOT_CONNECTED = "not_connected"
    """The platform does not know us (any more): nothing of this site leaves before somebody connects it again."""
    SETUP = "setup"
    """The platform refuses the account, the action or the terms: nothing leaves before somebody puts that right."""


class Trouble(Exception):  # noqa: N818 - what happened, not a mistake of ours
    """A batch did not go through as a whole. ``reason`` is a word for screens, ``detail`` the platform's own."""

    def __init__(self, why: Why, reason: str, detail: str = "", seconds: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.why = why
        self.reason = reason
        self.detail = detail
        self.seconds = seconds
        """How long the platform asks to be left alone."""


class Grant(Protocol):
    """What opens the platform for this batch."""

    async def token(self, *, fresh: bool = False) -> str:
        """An OAuth access token; ``fresh``: another than before, which the platform has just refused.

        Raises :class:`Trouble` (not_connected).
        """
        ...

    def secret(self) -> str:
        """The site's own secret, opened. Raises :class:`Trouble` (not_connected) where there is none."""
        ...


class Finding(msgspec.Struct, frozen=True):
    """One line of a connection test. ``code`` is a key of words for screens."""

    code: str
    is_well: bool
    detail: str = ""


class Adapter(Protocol):
    """A platform, by one of its ways."""

    name: str
    provider: str
    """Whose circuit breaker it shares."""
    most: int
    """The most conversions in a batch."""

    async def send(self, batch: Batch, grant: Grant) -> Answer:
        """Send it. Raises :class:`Trouble`."""
        ...

    async def follow(self, batch: Batch, grant: Grant) -> Answer:
        """Ask what became of it; ``state="sent"`` again while the platform does not say. Raises :class:`Trouble`."""
        ...

    async def check(self, destination: Mapping[str, Any], grant: Grant) -> list[Finding]:
        """What is there and what is missing; nothing is changed at the platform."""
        ...


PUSHED: Final = ("data_manager", "google_ads", "meta", "webhook")
"""Adapters that a worker serves."""
CARRIED: Final = ("file", "script")
"""Those whose batches a person or a program elsewhere carries."""
