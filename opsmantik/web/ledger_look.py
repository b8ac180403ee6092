"""What an address asks to see of the ledger. All of it is in the address, so that it survives a reload and can be sent on.

- ``state``: one of the states, several separated by commas, or ``all`` (the default)
- ``reason``: why, as the ledger keeps it; ``click``: gclid, wbraid, gbraid or none
- the words of a range (web/looking.py), and ``by``: whether its days are those of the decision (the default) or of the lead
- ``q``: an order id, or the id of a lead or a conversion
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from opsmantik.dashboard.cards.ledger import KINDS, STATES, Asked
from opsmantik.web import looking
from opsmantik.web.looking import Looking

CHIPS: Final[Mapping[str, tuple[str, ...]]] = {
    "all": (), "held": ("held",), "queued": ("queued",), "sent": ("sent",), "accepted": ("accepted", "matched"),
    "failed": ("failed",), "skipped": ("skipped",), "retracted": ("retracted",),
}  # fmt: skip
"""The states as they are offered, one link each."""
BY: Final = ("decided", "captured")
LONGEST: Final = 100


class LedgerLook(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at."""

    look: Looking
    states: tuple[str, ...]
    """None: all of them."""
    reason: str | None
    click: str | None
    by: str
    q: str

    @property
    def chip(self) -> str | None:
        """The link that stands for these states, if there is one."""
        return next((name for name, states in CHIPS.items() if set(states) == set(self.states)), None)

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out, besides by state."""
        return bool(self.reason or self.click or self.q or not self.look.everything)

    @property
    def asked(self) -> Asked:
        """The same for the contract."""
        return Asked(
            states=self.states or STATES, reason=self.reason, kind=self.click, over=self.look.over,
            by_captured=self.by == "captured", named=self.q or None,
        )  # fmt: skip

    def link(self, path: str, **changes: str | None) -> str:
        """The address that asks for the same, with ``changes``; None takes a word away."""
        asked: dict[str, str] = dict(self.look.words) if not self.look.everything else {}
        asked |= {"state": ",".join(self.states)} if self.states else {}
        asked |= {"by": self.by} if self.by != BY[0] else {}
        asked |= {
            name: value
            for name, value in (("reason", self.reason), ("click", self.click), ("q", self.q))
            if value
        }
        for name, value in changes.items():
            asked.pop(name, None)
            if value is not None:
                asked[name] = value
        return path + (f"?{urlencode(asked, quote_via=quote, safe=',')}" if asked else "")


def read(query: Mapping[str, str], zone_name: str, now: datetime) -> LedgerLook:
    """What the address asks for; a word that means nothing is passed over. Raises :class:`~opsmantik.errors.BadRange`."""
    words = {name: value for name, value in query.items() if name not in ("q", "by")}
    if not any(words.get(name, "").strip() for name in looking.RANGE_WORDS):
        words |= looking.EVERYTHING
    given = [state for state in query.get("state", "").split(",") if state in STATES]
    click, by = query.get("click"), query.get("by", BY[0])
    return LedgerLook(
        look=looking.read(words, zone_name, now, is_list=True),
        states=tuple(state for state in STATES if state in given),
        reason=query.get("reason", "").replace("\x00", "").strip()[:LONGEST] or None,
        click=click if click in KINDS else None, by=by if by in BY else BY[0],
        q=query.get("q", "").replace("\x00", "").strip()[:LONGEST],
    )  # fmt: skip
