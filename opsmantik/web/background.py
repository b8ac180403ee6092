"""What goes on behind the pages, in every server process and in ``opsmantik work``: each part is a loop that takes what is
due with a lease, so that any number of processes share the work.

    folding      the counters' journal, once a second
    sending      conversions to the ad platforms
    delivering   webhooks
    notifying    mails about new leads
    summarizing  the mailed summaries
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from opsmantik.conversions.platforms import Platforms
from opsmantik.db.connect import Database
from opsmantik.keyring import Keyring
from opsmantik.mail import Mailer
from opsmantik.outbound import Outbound
from opsmantik.settings import Settings
from opsmantik.upkeep.delivering import Delivering
from opsmantik.upkeep.folding import Folding
from opsmantik.upkeep.grants import Grants
from opsmantik.upkeep.notifying import Notifying, Write
from opsmantik.upkeep.sending import Sending
from opsmantik.upkeep.summarizing import Compose, Summarizing


class Loop(Protocol):
    """A part, from start to stop."""

    async def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """End in good order."""
        ...


class Background:
    """All the parts of one process."""

    def __init__(
        self, settings: Settings, database: Database, keyring: Keyring, mailer: Mailer, outbound: Outbound,
        letters: Write, compose: Compose, *, folding_database: Database | None = None,
    ) -> None:  # fmt: skip
        self.platforms = Platforms(settings)
        self.grants = Grants(database, keyring, self.platforms.auth)
        self.folding = Folding(folding_database or database)
        self.sending = Sending(database, list(self.platforms.adapters.values()), self.grants)
        self.notifying = Notifying(database, mailer, letters)
        self.delivering = Delivering(database, keyring, outbound, settings.base_url, self.notifying.tell)
        self.summarizing = Summarizing(database, mailer, compose)

    @property
    def _loops(self) -> Sequence[Loop]:
        return (self.folding, self.sending, self.delivering, self.notifying, self.summarizing)

    @property
    def healthy(self) -> dict[str, Callable[[], bool]]:
        """Whether each part goes on, of those that always run."""
        return {
            "folding": self.folding.healthy, "sending": self.sending.healthy, "delivering": self.delivering.healthy,
        }  # fmt: skip

    async def start(self) -> None:
        """Begin all of them."""
        for loop in self._loops:
            await loop.start()

    async def stop(self) -> None:
        """End all of them; the one that others write for, last."""
        for loop in reversed(self._loops):
            await loop.stop()
        await self.platforms.close()
