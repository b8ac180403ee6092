"""An ad platform in memory, for tests of what the ledger owes: it keeps the rules that every platform has in common.

An order id is created once; naming it again puts its value right. What it holds can be compared with the ledger. It is no
stand-in for a protocol: those are spoken by real servers (tests/conversions/google).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from opsmantik.conversions.adapters import Answer, Batch, Item, Outcome, Trouble, Why


class Platform:
    """Takes what comes, unless told otherwise: ``refuse`` by order id or for all, ``trouble`` before or after taking it."""

    name = "data_manager"
    provider = "google"

    def __init__(self, most: int = 2000) -> None:
        self.most = most
        self.holds: dict[str, tuple[Decimal, str]] = {}
        self.created: Counter[str] = Counter()
        self.batches: list[Batch] = []
        self.refuse: Callable[[Item], tuple[str, float | None] | None] = lambda item: None
        self.before: list[Trouble] = []
        """Raised by the next calls, with nothing taken."""
        self.after: list[Trouble] = []
        """Raised by the next calls, when all was taken: the answer is lost."""
        self.answers_later = False
        self.needs_click = True
        self.meanwhile: Callable[[], Any] | None = None
        """Awaited while the batch is on its way."""
        self._later: dict[str, list[Outcome]] = {}

    async def send(self, batch: Batch, grant: Any) -> Answer:
        self.batches.append(batch)
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.before:
            raise self.before.pop(0)
        outcomes = [self._take(batch, item) for item in batch.items]
        if self.after:
            raise self.after.pop(0)
        if self.answers_later:
            self._later[str(batch.id)] = outcomes
            return Answer(state="sent", request_id=str(batch.id), seconds=0)
        return Answer(state="done", outcomes=outcomes)

    async def follow(self, batch: Batch, grant: Any) -> Answer:
        if self.before:
            raise self.before.pop(0)
        assert batch.request_id == str(batch.id)
        wanted = {item.position for item in batch.items}
        return Answer(state="done", outcomes=[o for o in self._later[str(batch.id)] if o.position in wanted])

    async def check(self, destination: Any, grant: Any) -> list[Any]:
        return []

    def _take(self, batch: Batch, item: Item) -> Outcome:
        refused = self.refuse(item)
        if refused is not None:
            return Outcome(item.position, "failed", refused[0], "the platform says no", refused[1])
        if batch.kind == "new":
            assert item.click_id is not None or not self.needs_click
            assert item.consent in ("granted", "implied", "legacy")
            if item.order_id not in self.holds:
                self.created[item.order_id] += 1
        elif item.order_id not in self.holds:
            return Outcome(item.position, "gone")
        self.holds[item.order_id] = (item.value, item.currency)
        return Outcome(item.position, "accepted")

    @property
    def total(self) -> Decimal:
        return sum((value for value, _ in self.holds.values()), Decimal(0))


def unsure() -> Trouble:
    return Trouble(Why.UNSURE, "no_answer", "the connection broke")


def busy(seconds: float | None = None) -> Trouble:
    return Trouble(Why.BUSY, "quota", "too many requests", seconds)
