"""Meta's Conversions API: ``POST /{version}/{dataset}/events`` with a system user's token.

Meta finds people by hashed contact data, not by Google's click ids: what has no agreed telephone number or address of a
visitor fails here, and says so. ``event_id`` is the order id; Meta leaves out what came under the same one within 48 hours,
so a batch whose answer was lost is sent again for that long and no longer. An event is at most seven days old. One bad
event fails the whole request (error 100 with ``error_data``), so each is checked here first, and a refused request is
halved until the bad ones stand alone. Nothing can be put right or taken back afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from opsmantik.conversions.adapters import Answer, Batch, Finding, Grant, Item, Outcome, Trouble, Why
from opsmantik.conversions.hashing import hashed_email, hashed_phone
from opsmantik.conversions.http import Http, Reply

VERSION: Final = "v24.0"
MOST: Final = 1000
OLDEST: Final = timedelta(days=7)
DEDUPED: Final = timedelta(hours=47)
EVENT: Final = "Lead"

_NOT_CONNECTED: Final = frozenset({102, 190})
_SETUP: Final = frozenset({10, 200, 803})
_BUSY: Final = frozenset({4, 17, 32, 613, 80004})
_INVALID: Final = 100


class Meta:
    """The adapter."""

    name = "meta"
    provider = "meta"
    most = MOST

    def __init__(self, http: Http, base_url: str) -> None:
        self._http = http
        self._base = f"{base_url}/{VERSION}"

    async def send(self, batch: Batch, grant: Grant) -> Answer:
        """Post the events. Raises :class:`~opsmantik.conversions.adapters.Trouble`."""
        if batch.kind != "new":
            return Answer(
                state="done",
                outcomes=[Outcome(i.position, "failed", "cannot_be_changed") for i in batch.items],
            )
        now = datetime.now(UTC)
        if batch.attempts > 1 and now - batch.created_at > DEDUPED:
            # Whether the first try arrived will not be known any more, and another might count twice.
            return Answer(
                state="done", outcomes=[Outcome(i.position, "failed", "unconfirmed") for i in batch.items]
            )
        outcomes = [outcome for item in batch.items if (outcome := unsendable(item, now)) is not None]
        bad = {outcome.position for outcome in outcomes}
        outcomes += await self._post(batch, [item for item in batch.items if item.position not in bad], grant)
        return Answer(state="done", outcomes=outcomes)

    async def follow(self, batch: Batch, grant: Grant) -> Answer:
        """Never needed: an answer is the answer."""
        raise Trouble(Why.UNSURE, "no_answer")

    async def check(self, destination: Mapping[str, Any], grant: Grant) -> list[Finding]:
        """Whether the token reads the dataset."""
        try:
            reply = await self._http.call(
                "GET", f"{self._base}/{destination.get('dataset_id', '')}",
                params={"fields": "id,name"}, headers={"authorization": f"Bearer {grant.secret()}"},
            )  # fmt: skip
            _raise_for(reply)
        except Trouble as trouble:
            return [Finding("meta_dataset", False, str(trouble))]
        return [Finding("meta_dataset", reply.status == 200, str(reply.status))]

    async def _post(self, batch: Batch, items: Sequence[Item], grant: Grant) -> list[Outcome]:
        if not items:
            return []
        reply = await self._http.call(
            "POST", f"{self._base}/{batch.destination['dataset_id']}/events",
            json={"data": [event_of(item, str(batch.destination.get("event_name", EVENT))) for item in items]},
            headers={"authorization": f"Bearer {grant.secret()}"},
        )  # fmt: skip
        if reply.status == 200:
            received = reply.body.get("events_received") if isinstance(reply.body, dict) else None
            if received != len(items):
                raise Trouble(Why.UNSURE, "unreadable", f"{received} of {len(items)} events received")
            return [Outcome(item.position, "accepted") for item in items]
        code = _raise_for(reply)
        if len(items) == 1:
            return [Outcome(items[0].position, "failed", f"error_{code}", _message(reply))]
        middle = len(items) // 2
        return [
            *await self._post(batch, items[:middle], grant),
            *await self._post(batch, items[middle:], grant),
        ]


def unsendable(item: Item, now: datetime) -> Outcome | None:
    """Why this one would spoil its batch; None where it would not."""
    if not _user_data(item):
        return Outcome(item.position, "failed", "no_contact_data")
    if now - item.occurred_at > OLDEST:
        return Outcome(item.position, "failed", "expired_event")
    return None


def event_of(item: Item, name: str) -> dict[str, Any]:
    """One event. Its value is a JSON number, as Meta wants it."""
    return {
        "event_name": name,
        "event_time": int(item.occurred_at.timestamp()),
        "event_id": item.order_id,
        "action_source": "phone_call" if item.action == "phone" else "system_generated",
        "user_data": _user_data(item),
        "custom_data": {"value": float(item.value), "currency": item.currency},
    }


def _user_data(item: Item) -> dict[str, list[str]]:
    # Meta's hash of a number is over its digits alone, without the plus sign that Google wants.
    phone = hashed_phone(item.phone, plus=False) if item.phone else None
    email = hashed_email(item.email) if item.email else None
    return {name: [value] for name, value in (("ph", phone), ("em", email)) if value}


def _raise_for(reply: Reply) -> int:
    """The error's code, where it is about the events; raises for what concerns the whole."""
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    code = int(error.get("code", 0)) if isinstance(error, dict) else 0
    if reply.status == 200:
        return 0
    if code in _NOT_CONNECTED or reply.status == 401:
        raise Trouble(Why.NOT_CONNECTED, "revoked", _message(reply))
    if code in _SETUP or reply.status in (403, 404):
        raise Trouble(Why.SETUP, "not_allowed", _message(reply))
    if code in _BUSY:
        raise Trouble(Why.BUSY, "quota", _message(reply))
    if code != _INVALID:
        raise Trouble(Why.UNSURE, "broken", f"{reply.status} {_message(reply)}")
    return code


def _message(reply: Reply) -> str:
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    return str(error.get("message", ""))[:300] if isinstance(error, dict) else ""
