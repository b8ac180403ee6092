"""Conversions by Google's Data Manager API: ``events:ingest``, then ``requestStatus:retrieve`` to the end.

    send    what is flawed fails here; the rest is one request. Google takes all of a request or nothing (400): then what it
            names, or what is found by halving, fails, and the rest is one request again. Halves are sent with
            ``validateOnly``, so that nothing is taken while the bad ones are looked for.
    follow  a request that was taken says later how many failed and why, never which. Where that is not all or none, its
            events are sent again in smaller requests, whose answers tell them apart. A transaction id that Google has is
            an adjustment to the same value: sending one again changes nothing.

A correction is the same event with another value. Google makes a conversion of one that it does not know, so none is sent
before the first report was confirmed; what is taken back is worth 0 afterwards and is still counted.

Enters: an :class:`~opsmantik.conversions.http.Http` and the API's address. No database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import structlog

from opsmantik.conversions import google_requests as requests
from opsmantik.conversions.adapters import Answer, Batch, Finding, Grant, Item, Outcome, Trouble, Why
from opsmantik.conversions.google_answers import (
    HOUR,
    Refusal,
    Status,
    outcome_of,
    refusal_of,
    status_of,
    there,
    warnings_of,
)
from opsmantik.conversions.google_event import destination_of, event_of, flaw_of, request_of
from opsmantik.conversions.google_requests import Part
from opsmantik.conversions.http import Http, Reply
from opsmantik.conversions.pace import Pace

log = structlog.get_logger()

MOST: Final = 2000
SCOPE: Final = "https://www.googleapis.com/auth/datamanager"
TAKEN_BACK: Final = "value_only"
"""What taking back does there: the value becomes 0, the conversion is still counted. A key of words for screens."""

A_MINUTE: Final = 300
"""Requests that a project may make, of those that write and of those that read."""
WINDOW: Final = 60.5
FIRST_SECONDS: Final = 1800.0
"""Google has nothing to say about a request before."""
LONGEST_SECONDS: Final = 4 * 3600.0
A_DAYS_QUOTA_SECONDS: Final = 3600.0

ROUNDS: Final = 5
"""So often is a request sent without the events that were refused; each refusal may name others."""
PROBES: Final = 120
"""So many requests are made to find out which events are refused."""
PIECES: Final = 16
SMALL: Final = 32
"""Up to so many events are told apart by one request each; more, in :data:`PIECES` first."""
NAMELESS: Final = 20
"""So many corrections that name no click are tried in one batch."""

LINES: Final = ("connected", "account", "action", "action_type", "permitted")
"""Of the connection test, in the order in which Google looks at them."""
WHERE: Final = MappingProxyType({
    "permission_denied": "account", "invalid_destination": "account", "destination_account_type_mismatch": "account",
    "operating_account_login_account_mismatch": "account", "invalid_conversion_action_id": "action",
    "invalid_conversion_action_type": "action_type",
})  # fmt: skip
"""The line that a refusal is about; others are about "permitted"."""


class DataManager:
    """One for all sites of a process; they share the pace."""

    name = "data_manager"
    provider = "data_manager"
    most = MOST

    def __init__(
        self,
        http: Http,
        url: str,
        *,
        first_seconds: float = FIRST_SECONDS,
        writes: Pace | None = None,
        reads: Pace | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._first_seconds = first_seconds
        self._writes = writes or Pace(A_MINUTE, WINDOW)
        self._reads = reads or Pace(A_MINUTE, WINDOW)
        self._now = now

    async def send(self, batch: Batch, grant: Grant) -> Answer:
        """Everything that can leave, in one request; see the interface."""
        sender = _Sender(self, batch, grant)
        flawed, named, nameless = self._sorted(batch)
        outcomes, parts = list(flawed), []
        if named:
            request, refused = await sender.ingest(named)
            outcomes += refused
            parts = [Part(request)] if request else []
        if nameless:
            part, refused = await self._try_nameless(sender, nameless, batch, taken=bool(parts))
            outcomes += refused
            parts = [*part, *parts]
        if not parts:
            return Answer(state="done", outcomes=outcomes)
        return Answer(
            state="sent", outcomes=outcomes, request_id=requests.write(parts), seconds=self._first_seconds
        )

    async def follow(self, batch: Batch, grant: Grant) -> Answer:
        """What became of it; what is still mixed up is sent again in smaller requests."""
        sender = _Sender(self, batch, grant)
        shares, lost = requests.shares(requests.read(batch.request_id), batch.items)
        present = {item.position for item in batch.items}
        outcomes: list[Outcome] = []
        kept: list[Part] = []
        again: list[tuple[Part | None, list[list[Item]]]] = [(None, [lost])] if lost else []
        for part, items in shares:
            status = await self._status(part.id, grant)
            told = _told(status, items, batch)
            if told is not None:
                outcomes += told
            else:
                kept.append(part)
                if status.state != "processing":
                    again.append((part, [items] if status.state == "lost" else _pieces(items)))
        made = [await self._resend(sender, part, pieces, present, kept, outcomes) for part, pieces in again]
        if not kept:
            return Answer(state="done", outcomes=outcomes)
        return Answer(
            state="sent", outcomes=outcomes, request_id=requests.write(kept),
            seconds=self._first_seconds if any(made) else self._wait(batch.attempts),
        )  # fmt: skip

    async def rehearse(self, batch: Batch, grant: Grant) -> list[Outcome]:
        """What would be refused of a batch, and why; nothing is carried out. For previews."""
        flawed, named, nameless = self._sorted(batch)
        _, refused = await _Sender(self, batch, grant, rehearse=True).ingest([*named, *nameless])
        return [*flawed, *refused]

    async def check(self, destination: Mapping[str, Any], grant: Grant) -> list[Finding]:
        """Whether account and action are given, Google knows us, and would take a conversion there."""
        try:
            destination_of(destination)
        except Trouble as trouble:
            return [Finding("destination", False, trouble.reason)]
        findings = [Finding("destination", True)]
        reason, detail = "", ""
        try:
            refused = await self.rehearse(_trial(destination, self._now()), grant)
            if refused:
                reason, detail = "refused", str(refused[0].detail or "")
        except Trouble as trouble:
            reason, detail = trouble.reason, str(trouble)[:300]
            if trouble.why in (Why.BUSY, Why.UNSURE):
                return [*findings, Finding("reached", False, detail)]
            if trouble.why is Why.NOT_CONNECTED:
                return [*findings, Finding("connected", False, detail)]
        line = len(LINES) if not reason else LINES.index(WHERE.get(reason, "permitted"))
        findings += [Finding(code, True) for code in LINES[:line]]
        return [*findings, *(Finding(code, False, detail) for code in LINES[line : line + 1])]

    def _sorted(self, batch: Batch) -> tuple[list[Outcome], list[Item], list[Item]]:
        """What is flawed, what names a click, and what does not."""
        flawed: list[Outcome] = []
        good: list[Item] = []
        for item in batch.items:
            flaw = flaw_of(item, batch.kind, self._now(), first=batch.attempts <= 1)
            if flaw:
                flawed.append(flaw)
            else:
                good.append(item)
        return flawed, [i for i in good if i.click_id], [i for i in good if not i.click_id]

    async def _try_nameless(
        self, sender: _Sender, items: list[Item], batch: Batch, *, taken: bool
    ) -> tuple[list[Part], list[Outcome]]:
        """Corrections for visitors who said no since, whose click is not named any more. Google's guide wants one named
        even there, so they are sent apart from all others, and what is refused says so."""
        tried, rest = items[:NAMELESS], items[NAMELESS:]
        waiting = [Outcome(item.position, "failed", "waits", None, 60.0) for item in rest]
        try:
            request, refused = await sender.ingest(tried)
        except Trouble as trouble:
            if not taken:
                raise
            return [], [
                Outcome(i.position, "failed", trouble.reason, None, trouble.seconds or 60.0) for i in items
            ]
        present = {item.position for item in batch.items}
        parts = [Part(request, requests.name(tried, present))] if request else []
        return parts, [*refused, *waiting]

    async def _resend(
        self, sender: _Sender, part: Part | None, pieces: list[list[Item]], present: set[int], kept: list[Part],
        outcomes: list[Outcome],
    ) -> bool:  # fmt: skip
        """Each piece as a request of its own, in front of the one that carried them, which goes when all of it is sent.

        As many as can be written down; the rest, and what Google has no time for now, the next time. Whether any went.
        """
        made = False
        for n, piece in enumerate(pieces):
            items = piece
            if sender.batch.kind == "new":
                # Whoever said no since is not named again. Google may have it: so it counts as taken, and is taken back.
                outcomes += [Outcome(i.position, "accepted", "not_known") for i in piece if not i.click_id]
                items = [item for item in piece if item.click_id]
            name = requests.name(items, present)
            rest = [one for one in kept if one is not part] if n + 1 == len(pieces) else kept
            if not requests.fits(rest, name):
                return made
            try:
                request, refused = await sender.ingest(items)
            except Trouble as trouble:
                if trouble.why in (Why.NOT_CONNECTED, Why.SETUP) or not (made or part):
                    raise
                return made
            outcomes += refused
            made = True
            kept[:] = [*([Part(request, name)] if request else []), *rest]
        return made

    async def _status(self, request: str, grant: Grant) -> Status:
        reply = await self._call(
            self._reads, "GET", "/v1/requestStatus:retrieve", grant, params={"requestId": request}
        )
        return status_of(reply)

    async def _call(self, pace: Pace, method: str, path: str, grant: Grant, **more: Any) -> Reply:
        try:
            for fresh in (False, True):
                headers = {"authorization": f"Bearer {await grant.token(fresh=fresh)}"}
                await pace.turn()
                reply = await self._http.call(method, self._url + path, headers=headers, **more)
                if reply.status != 401:
                    break
            return reply
        except Trouble as trouble:
            if trouble.reason == "quota":
                day = A_DAYS_QUOTA_SECONDS if "PerDay" in trouble.detail else None
                trouble.seconds = max(trouble.seconds or 0.0, day or 0.0) or None
                pace.hold(trouble.seconds or 60.0)
            raise

    def _wait(self, attempts: int) -> float:
        """Asked again later and later; ``attempts`` is 2 for the first time that it is asked."""
        return min(
            self._first_seconds * 2.0 ** min(max(attempts - 2, 0), 10),
            max(LONGEST_SECONDS, self._first_seconds),
        )


class _Sender:
    """Sends events of one batch."""

    def __init__(self, adapter: DataManager, batch: Batch, grant: Grant, *, rehearse: bool = False) -> None:
        self.batch = batch
        self._adapter, self._grant, self._rehearse = adapter, grant, rehearse
        self._destination = destination_of(batch.destination)

    async def ingest(self, items: Sequence[Item]) -> tuple[str | None, list[Outcome]]:
        """One request with all of them that Google takes: its id, None if it took none; and those that it refuses."""
        left, outcomes = list(items), list[Outcome]()
        for _ in range(ROUNDS):
            if not left:
                return None, outcomes
            reply = await self._post(left, rehearse=self._rehearse)
            if reply.status == 200:
                return self._taken(reply), outcomes
            refusal = refusal_of(reply)
            named = {n: why for n, why in refusal.events.items() if n < len(left)}
            bad = [Outcome(left[n].position, "failed", *why) for n, why in named.items()] or await _Search(
                self, refusal
            ).among(left)
            outcomes += bad
            gone = {outcome.position for outcome in bad}
            left = [item for item in left if item.position not in gone]
        return None, outcomes + [
            Outcome(item.position, "failed", refusal.reason, refusal.detail, HOUR) for item in left
        ]

    async def refusal(self, items: Sequence[Item]) -> Refusal | None:
        """Why Google would not take these together; nothing is carried out."""
        reply = await self._post(items, rehearse=True)
        return None if reply.status == 200 else refusal_of(reply)

    def _taken(self, reply: Reply) -> str | None:
        warnings = warnings_of(reply.body)
        if warnings:
            log.warning(
                "data_manager.warnings", batch=str(self.batch.id), fields=warnings[:20], all=len(warnings)
            )
        if self._rehearse:
            return None
        request = reply.body.get("requestId") if isinstance(reply.body, dict) else None
        if not requests.is_id(request):
            raise Trouble(Why.UNSURE, "unreadable", "the answer names no request")
        return str(request)

    async def _post(self, items: Sequence[Item], *, rehearse: bool) -> Reply:
        body = request_of(self._destination, [event_of(item) for item in items], rehearse=rehearse)
        return await self._adapter._call(
            self._adapter._writes, "POST", "/v1/events:ingest", self._grant, json=body
        )


class _Search:
    """Finds the events for which a request is refused, where Google does not name them, by halving: about twice log2 of
    their number for each bad one."""

    def __init__(self, sender: _Sender, refusal: Refusal) -> None:
        self._sender = sender
        self._whole = refusal
        self._probes = 0
        self._any_good = False
        self._bad: list[Outcome] = []

    async def among(self, items: Sequence[Item]) -> list[Outcome]:
        """Those that fail. Raises :class:`Trouble` (setup) where not one would be taken: it is not about the events."""
        await self._look(items, self._whole)
        if len(items) > 1 and self._probes >= PROBES and not self._any_good:
            raise Trouble(Why.SETUP, self._whole.reason, self._whole.detail)
        return self._bad

    async def _look(self, items: Sequence[Item], known: Refusal | None) -> bool:
        """Whether there is a bad one among these. ``known``: why they are refused together, where that is known."""
        if known is None and self._probes >= PROBES:
            self._bad += [
                Outcome(i.position, "failed", "refused_together", self._whole.detail, HOUR) for i in items
            ]
            return True
        if known is None:
            self._probes += 1
            known = await self._sender.refusal(items)
            if known is None:
                self._any_good = True
                return False
        if len(items) == 1:
            self._bad.append(Outcome(items[0].position, "failed", known.reason, known.detail))
            return True
        middle = len(items) // 2
        left = await self._look(items[:middle], None)
        # If the left half is good, the right one is why both were refused.
        await self._look(items[middle:], None if left else known)
        return True


def _told(status: Status, items: Sequence[Item], batch: Batch) -> list[Outcome] | None:
    """An outcome for each, where the status allows one; None where it does not, or not yet."""
    if status.state == "success":
        words = ", ".join(f"warning {reason} ×{n}" for reason, n in status.warnings.items()) or None
        return [Outcome(item.position, "accepted", None, words) for item in items]
    if status.state not in ("failed", "partial"):
        return None
    errors = status.errors
    if errors and errors.keys() <= there(batch.kind):
        return [outcome_of(item.position, batch.kind, errors) for item in items]
    if status.state == "partial" or (len(items) > 1 and errors.keys() & there(batch.kind)):
        return None
    return [outcome_of(item.position, batch.kind, errors) for item in items]


def _pieces(items: list[Item]) -> list[list[Item]]:
    """In these they are sent again, to be told apart."""
    size = 1 if len(items) <= SMALL else -(-len(items) // PIECES)
    return [items[n : n + size] for n in range(0, len(items), size)]


def _trial(destination: Mapping[str, Any], now: datetime) -> Batch:
    """One conversion that never happened, for a request that is not carried out."""
    item = Item(
        position=1, conversion_id=UUID(int=0), order_id="om-connection-test", occurred_at=now - timedelta(hours=1),
        value=Decimal(1), currency="USD", click_id="connection-test", click_id_kind="gclid", consent="implied",
    )  # fmt: skip
    return Batch(
        site_id=UUID(int=0), id=UUID(int=0), kind="new", adapter="data_manager", destination=destination, state="open",
        attempts=1, request_id=None, created_at=now, site_name="", public_id="", time_zone="UTC", with_hashes=False,
        items=[item],
    )  # fmt: skip
