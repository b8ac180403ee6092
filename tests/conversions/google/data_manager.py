"""The Data Manager API for conversions of Google Ads, strictly, on a loopback port; and what Google would hold afterwards.

    fake = await DataManager().start()
    fake.holds()                  {"om-…-1": Held(Decimal("1500"), "TRY", creations=1)}
    fake.processing_seconds = 5   how long a request is PROCESSING
    fake.faults += [Fault("after"), None, Fault("status", 503)]
    await fake.stop()

A request is taken as a whole or not at all (400, with the fields that are wrong). What was taken is carried out event by
event once it is processed, in the order in which it came: a transaction id that the action has already is an adjustment of
its value and currency and of nothing else; one that it has not becomes a conversion, also where a correction was meant.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

from tests.conversions.google.errors import Violation, no
from tests.conversions.google.server import Request, Response, Server
from tests.conversions.google.strictness import sense, shape
from tests.conversions.google.tokens import DATA_MANAGER, Tokens

INGEST, STATUS = "/v1/events:ingest", "/v1/requestStatus:retrieve"
OLDEST_CLICK = timedelta(days=90)
ACCOUNT, ACTION = "1234567890", "77"


class Held(NamedTuple):
    """A conversion at the platform."""

    value: Decimal
    currency: str
    creations: int
    """How often it was created; more than once is what must never happen."""
    gclid: str | None = None
    consent: str = ""
    source: str = ""
    user_data: int = 0
    """How many identifiers of a person came with it."""


class Taken(NamedTuple):
    """A request that was taken."""

    id: str
    at: float
    ready_at: float
    destination: dict[str, Any]
    events: list[dict[str, Any]]
    consent: dict[str, str]


class DataManager(Server):
    """``tokens`` serves on the same port."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self.tokens = tokens or Tokens()
        super().__init__(self.tokens.handle, self.handle)
        self.faulty = lambda request: request.path in (INGEST, STATUS)
        self.accounts: dict[str, dict[str, str]] = {ACCOUNT: {ACTION: "UPLOAD_CLICKS", "78": "WEBPAGE"}}
        """Account: {conversion action: its type}."""
        self.logins: dict[str, set[str]] = {}
        """Manager account: those that it may act for."""
        self.processing_seconds = 0.0
        self.per_minute: int | None = 300
        self.per_day: int | None = 100_000
        self.names_fields = True
        """Whether a refusal says which events are meant."""
        self.refuses: dict[str, str] = {}
        """Transaction id: why a request with it is refused; for what only Google can know."""
        self.fails: dict[str, str] = {}
        """Transaction id: why it fails when it is processed, without PROCESSING_ERROR_REASON_."""
        self.warns: dict[str, str] = {}
        """Transaction id: field that is warned of."""
        self.adds_warning: str | None = None
        """Each status has one warning of this reason, without PROCESSING_WARNING_REASON_."""
        self.wants_identifier = True
        """Corrections too have to name a click or a person, as the guide to adjustments says now."""
        self.counts_errors = True
        """Whether a status says how many failed for what; it "may not be populated in all cases"."""
        self.default_consent: str | None = "CONSENT_GRANTED"
        """The account's own setting, where neither event nor request says anything. None: it has none."""
        self.forgets_after = 50 * 86400.0
        """Seconds after which nobody may ask about a request."""
        self._taken: dict[str, Taken] = {}
        self._waiting: deque[Taken] = deque()
        self._outcomes: dict[str, Counter[str]] = {}
        self._conversions: dict[tuple[str, str, str], Held] = {}
        self._clicks: dict[tuple[str, str, str], str] = {}
        self._calls: dict[str, deque[float]] = {INGEST: deque(), STATUS: deque()}

    # What a test asks.

    def holds(self) -> dict[str, Held]:
        """By transaction id, over all actions."""
        self._process()
        found: dict[str, Held] = {}
        for (_, _, order), held in self._conversions.items():
            before = found.get(order)
            found[order] = held._replace(creations=held.creations + (before.creations if before else 0))
        return found

    @property
    def total(self) -> Decimal:
        return sum((held.value for held in self.holds().values()), Decimal(0))

    def sent(self, path: str = INGEST) -> list[dict[str, Any]]:
        """The requests that came, as JSON."""
        return [
            request.json() if path == INGEST else request.query
            for request, _ in self.requests
            if request.path == path
        ]

    def ingests(self) -> list[dict[str, Any]]:
        """Those that were to be carried out."""
        return [request for request in self.sent() if not request.get("validateOnly")]

    def process(self) -> None:
        """What is waiting is carried out now."""
        self._waiting = deque(taken._replace(ready_at=0.0) for taken in self._waiting)
        self._process()

    def forget(self) -> None:
        """What was asked so far is asked about in vain."""
        self._taken.clear()

    # The protocol.

    async def handle(self, request: Request) -> Response | None:
        if (request.method, request.path) not in (("POST", INGEST), ("GET", STATUS)):
            return None
        refusal = self.tokens.refusal(request, DATA_MANAGER) or self._quota(request.path)
        if refusal is not None:
            return refusal
        self._process()
        return self._ingest(request) if request.path == INGEST else self._status(request)

    def _quota(self, path: str) -> Response | None:
        now, calls = time.monotonic(), self._calls[path]
        kind = "Mutate" if path == INGEST else "Read"
        while calls and calls[0] <= now - 86400:
            calls.popleft()
        for window, most, seconds in (("Minute", self.per_minute, 60.0), ("Day", self.per_day, 86400.0)):
            recent = [at for at in calls if at > now - seconds]
            if most is not None and len(recent) >= most:
                headers = (
                    {"retry-after": str(int(recent[0] + seconds - now) + 1)} if window == "Minute" else {}
                )
                limit = f"Ingestion{kind}RequestsPer{window}PerProject"
                return no(
                    429, f"Quota exceeded for quota metric '{kind} requests'", reason="RATE_LIMIT_EXCEEDED",
                    domain="googleapis.com", metadata={"quota_limit": limit}, headers=headers,
                )  # fmt: skip
        calls.append(now)
        return None

    def _ingest(self, request: Request) -> Response:
        if request.headers.get("content-type") != "application/json":
            return no(400, "The request body has to be JSON.")
        body = request.json()
        wrong = shape("IngestEventsRequest", body) or sense(body, wants_identifier=self.wants_identifier)
        if wrong:
            return self._invalid(wrong)
        refusal = self._reach(body["destinations"])
        if refusal is not None:
            return refusal
        wrong = [
            Violation(f"events.events[{n}]", self.refuses[event["transactionId"]], "it cannot be taken")
            for n, event in enumerate(body["events"])
            if event["transactionId"] in self.refuses
        ]
        if wrong:
            return self._invalid(wrong)
        warnings = [
            {
                "reason": "WARNING_REASON_GENERIC",
                "description": "look at it",
                "field": f"events.events[{n}].{field}",
            }
            for n, event in enumerate(body["events"])
            if (field := self.warns.get(event["transactionId"]))
        ]
        answer: dict[str, Any] = {"fieldWarnings": warnings} if warnings else {}
        if body.get("validateOnly"):
            return Response(200, answer)
        taken = self._take(body["destinations"][0], body)
        return Response(200, {"requestId": taken.id, **answer})

    def _take(self, destination: dict[str, Any], body: dict[str, Any]) -> Taken:
        now = time.monotonic()
        taken = Taken(
            str(uuid4()),
            now,
            now + self.processing_seconds,
            destination,
            body["events"],
            body.get("consent", {}),
        )
        self._taken[taken.id] = taken
        self._waiting.append(taken)
        return taken

    def _invalid(self, wrong: list[Violation]) -> Response:
        return no(
            400, "There was a problem with the request.", reason="INVALID_ARGUMENT",
            violations=wrong if self.names_fields else (),
        )  # fmt: skip

    def _reach(self, destinations: list[dict[str, Any]]) -> Response | None:
        for n, destination in enumerate(destinations):
            path = f"destinations.destinations[{n}].product_destination_id"
            account = destination["operatingAccount"]["accountId"]
            login = destination.get("loginAccount", {"accountId": account})["accountId"]
            if account not in self.accounts or (
                login != account and account not in self.logins.get(login, ())
            ):
                return no(403, "The caller does not have permission", reason="PERMISSION_DENIED")
            kind = self.accounts[account].get(destination["productDestinationId"])
            if kind != "UPLOAD_CLICKS":
                reason = "INVALID_CONVERSION_ACTION_TYPE" if kind else "INVALID_CONVERSION_ACTION_ID"
                return no(400, "There was a problem with the request.", reason="INVALID_ARGUMENT",
                          violations=[Violation(path, reason, "not a conversion action for uploads")])  # fmt: skip
        return None

    # What becomes of it.

    def _process(self) -> None:
        while self._waiting and self._waiting[0].ready_at <= time.monotonic():
            taken = self._waiting.popleft()
            outcomes = self._outcomes[taken.id] = Counter()
            for event in taken.events:
                outcomes[self._carry_out(taken, event)] += 1

    def _carry_out(self, taken: Taken, event: dict[str, Any]) -> str:
        """The reason for which it fails; "" if it does not."""
        order = event["transactionId"]
        place = (
            taken.destination["operatingAccount"]["accountId"],
            taken.destination["productDestinationId"],
        )
        key = (*place, order)
        if order in self.fails:
            return self.fails[order]
        value, currency = Decimal(str(event.get("conversionValue", 1))), event.get("currency", "")
        before = self._conversions.get(key)
        if before is not None:
            self._conversions[key] = before._replace(value=value, currency=currency)
            return ""
        consent = event.get("consent", taken.consent).get("adUserData", "CONSENT_STATUS_UNSPECIFIED")
        if consent == "CONSENT_STATUS_UNSPECIFIED":
            consent = self.default_consent or ""
        if consent != "CONSENT_GRANTED":
            return "DENIED_CONSENT" if consent else "UNKNOWN_CONSENT"
        if datetime.now(UTC) - datetime.fromisoformat(event["eventTimestamp"]) > OLDEST_CLICK:
            return "EVENT_TOO_OLD"
        gclid = event.get("adIdentifiers", {}).get("gclid")
        if gclid and self._clicks.setdefault((*place, f"{gclid} {event['eventTimestamp']}"), order) != order:
            return "DUPLICATE_GCLID"
        self._conversions[key] = Held(
            value, currency, 1, gclid, event.get("consent", {}).get("adUserData", ""), event["eventSource"],
            len(event.get("userData", {}).get("userIdentifiers", [])),
        )  # fmt: skip
        return ""

    def _status(self, request: Request) -> Response:
        taken = self._taken.get(request.query.get("requestId", ""))
        if taken is None:
            return no(400, "There was a problem with the request.", reason="INVALID_REQUEST_ID")
        if time.monotonic() - taken.at > self.forgets_after:
            return no(400, "There was a problem with the request.", reason="REQUEST_TOO_OLD")
        outcomes = self._outcomes.get(taken.id)
        status: dict[str, Any] = {"destination": taken.destination, "requestStatus": "PROCESSING"}
        if outcomes is not None:
            status["eventsIngestionStatus"] = {"recordCount": str(len(taken.events))}
            failed = {reason: n for reason, n in outcomes.items() if reason}
            good = outcomes.get("", 0)
            if self.adds_warning:
                counts = [{"recordCount": "1", "reason": f"PROCESSING_WARNING_REASON_{self.adds_warning}"}]
                status["warningInfo"] = {"warningCounts": counts}
            status["requestStatus"] = "SUCCESS" if not failed else "PARTIAL_SUCCESS" if good else "FAILED"
            if failed and self.counts_errors:
                status["errorInfo"] = {"errorCounts": [
                    {"recordCount": str(n), "reason": f"PROCESSING_ERROR_REASON_{reason}"} for reason, n in failed.items()
                ]}  # fmt: skip
        return Response(200, {"requestStatusPerDestination": [status]})
