"""How often one client may post for one site: the generic cell rate algorithm, one number a client."""

from __future__ import annotations

import time

MOST_CLIENTS = 100_000


class RateLimit:
    """`per_minute` requests in the long run, `burst` at once. In memory: a restart forgives everybody."""

    def __init__(self, per_minute: int, burst: int) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._slack = self._gap * burst
        self._due: dict[tuple[str, ...], float] = {}

    def wait(self, *client: str, cost: int = 1) -> float:
        """0 when the client may go on, else the seconds until it may."""
        if not self._gap:
            return 0.0
        now = time.monotonic()
        due = max(self._due.get(client, 0.0), now) + self._gap * cost
        if due - now > self._slack + self._gap * cost:
            return due - now - self._slack
        if len(self._due) >= MOST_CLIENTS:
            self._due = {name: moment for name, moment in self._due.items() if moment > now}
            if len(self._due) >= MOST_CLIENTS:
                self._due.clear()
        self._due[client] = due
        return 0.0
