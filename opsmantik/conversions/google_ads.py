"""The Google Ads API: click conversions, and their adjustments.

For accounts that Google lets in: those that uploaded before it closed this door to new ones (June 2026); all others go
by the Data Manager API. REST, with ``partialFailure``: each conversion is taken or refused by itself, and the answer says
which. Field names, formats and limits are those of ``ConversionUploadService`` and ``ConversionAdjustmentUploadService``
of the version below.

A conversion is sent with its order id. Sent twice it is refused as already there, which is as good as taken. It is
adjusted by the same order id, at the time of its batch: a batch that is sent again carries the same time, and Google
refuses it as already there; a later one carries a later time, without which Google would take it for the earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from opsmantik.conversions import google_ads_check, google_ads_errors
from opsmantik.conversions.adapters import Answer, Batch, Finding, Grant, Item, Outcome, Trouble, Why
from opsmantik.conversions.google_ads_errors import HOUR, SIX_HOURS, UNKNOWN_AGAIN, Failure, Means
from opsmantik.conversions.hashing import hashed_email, hashed_phone
from opsmantik.conversions.http import Http, Reply
from opsmantik.conversions.money import decimals_of

VERSION: Final = "v26"
MOST: Final = 2000
AFTER: Final = timedelta(seconds=1)
"""A conversion lies after its click, an adjustment after its conversion; times are sent in whole seconds."""
SETTLES: Final = timedelta(hours=24)
"""For as long an adjustment may not find a conversion that Google has taken: it works them in by and by."""
SOON: Final = HOUR / 4
WBRAID: Final = "wbraid_not_adjustable"
"""Google adjusts no conversion that it knows by a wbraid."""
JUST_NOW: Final = 2.0


class GoogleAds:
    """The adapter."""

    name = "google_ads"
    provider = "google_ads"
    most = MOST

    def __init__(self, http: Http, base_url: str) -> None:
        self._http = http
        self._base = f"{base_url}/{VERSION}"

    async def send(self, batch: Batch, grant: Grant) -> Answer:
        """Upload the conversions, or adjust them. Raises :class:`~opsmantik.conversions.adapters.Trouble`."""
        settled = [outcome for item in batch.items if (outcome := _unsendable(item, batch)) is not None]
        done = {outcome.position for outcome in settled}
        items = [item for item in batch.items if item.position not in done]
        request_id = None
        if items:
            refused, request_id = await self._upload(batch, items, grant, with_hashes=True)
            again = [
                i for i in items if i.position in refused and _is_about_hashes(refused[i.position], i, batch)
            ]
            if again:
                refused = await self._without_hashes(batch, again, refused, grant)
            _stop_if_nothing_goes(items, refused)
            settled += [_outcome(item, refused.get(item.position), batch) for item in items]
        return Answer(state="done", outcomes=sorted(settled, key=lambda o: o.position), request_id=request_id)

    async def follow(self, batch: Batch, grant: Grant) -> Answer:
        """There is nothing to be asked later: the answer to the upload says it all."""
        raise Trouble(Why.UNSURE, "not_followed", "this way of sending answers at once")

    async def check(self, destination: Mapping[str, Any], grant: Grant) -> list[Finding]:
        """Account, conversion action, terms, and whether this account is let in at all."""

        async def ask(path: str, body: Mapping[str, Any]) -> Reply:
            return await self._call(path, body, destination, grant)

        return await google_ads_check.findings(destination, grant, ask)

    async def _without_hashes(
        self, batch: Batch, again: Sequence[Item], refused: Mapping[int, Failure], grant: Grant
    ) -> dict[int, Failure]:
        """A visitor's hashed address must not cost what their click earns: the click goes alone."""
        try:
            found, _ = await self._upload(batch, again, grant, with_hashes=False)
        except Trouble as trouble:  # the others have arrived, so the batch stays as it is
            raise Trouble(Why.UNSURE, trouble.reason, trouble.detail, trouble.seconds) from None
        positions = {item.position for item in again}
        return {at: failure for at, failure in refused.items() if at not in positions} | found

    async def _upload(
        self, batch: Batch, items: Sequence[Item], grant: Grant, *, with_hashes: bool
    ) -> tuple[dict[int, Failure], str | None]:
        """What was refused, by position, and Google's name for the upload."""
        if batch.kind == "new":
            rows = [_conversion(item, batch, with_hashes=with_hashes) for item in items]
            path, body = "uploadClickConversions", {"conversions": rows, "partialFailure": True}
        else:
            rows = [_adjustment(item, batch) for item in items]
            path, body = (
                "uploadConversionAdjustments",
                {"conversionAdjustments": rows, "partialFailure": True},
            )
        try:
            reply = await self._call(
                f"customers/{batch.destination['customer_id']}:{path}", body, batch.destination, grant
            )
        except Trouble as trouble:
            raise Trouble(
                trouble.why, trouble.reason, _cleaned(trouble.detail, items), trouble.seconds
            ) from None
        return _refused(reply.body, items)

    async def _call(
        self, path: str, body: Mapping[str, Any], destination: Mapping[str, Any], grant: Grant
    ) -> Reply:
        """A 200. A token that is refused is tried once more, anew: Google ends them early at times."""
        headers = {}
        if destination.get("login_customer_id"):
            headers["login-customer-id"] = str(destination["login_customer_id"])
        for fresh in (False, True):
            headers["authorization"] = f"Bearer {await grant.token(fresh=fresh)}"
            reply = await self._http.call("POST", f"{self._base}/{path}", headers=headers, json=body)
            if reply.status != 401:
                break
        if reply.status != 200:
            raise google_ads_errors.refused(reply.status, reply.body)
        return reply


def _unsendable(item: Item, batch: Batch) -> Outcome | None:
    """What needs no asking."""
    if batch.kind == "new" and (item.click_id is None or item.click_id_kind is None):
        return Outcome(item.position, "failed", "no_click_id")
    if batch.kind != "new" and item.click_id_kind == "wbraid":
        return Outcome(item.position, "failed", WBRAID)
    return None


def _conversion(item: Item, batch: Batch, *, with_hashes: bool) -> dict[str, Any]:
    """A ClickConversion."""
    after = item.clicked_at + AFTER if item.clicked_at else item.occurred_at
    row: dict[str, Any] = {
        str(item.click_id_kind): item.click_id,
        "conversionAction": _action(batch),
        "conversionDateTime": stamp(max(item.occurred_at, after), batch.time_zone),
        "conversionValue": _value(item),
        "currencyCode": item.currency,
        "orderId": item.order_id,
        "consent": _consent(item),
    }
    identifiers = _identifiers(item, batch) if with_hashes else []
    if identifiers:
        row["userIdentifiers"] = identifiers
    return row


def _adjustment(item: Item, batch: Batch) -> dict[str, Any]:
    """A ConversionAdjustment."""
    at = max(batch.created_at, item.occurred_at + AFTER)
    row: dict[str, Any] = {
        "conversionAction": _action(batch),
        "orderId": item.order_id,
        "adjustmentDateTime": stamp(at, batch.time_zone),
        "adjustmentType": "RETRACTION" if batch.kind == "retract" else "RESTATEMENT",
    }
    if batch.kind == "restate":
        row["restatementValue"] = {"adjustedValue": _value(item), "currencyCode": item.currency}
    return row


def stamp(at: datetime, time_zone: str) -> str:
    """``yyyy-mm-dd hh:mm:ss+hh:mm``, in the site's zone: Google's day is then the site's."""
    return at.astimezone(ZoneInfo(time_zone)).replace(microsecond=0).isoformat(sep=" ")


def _action(batch: Batch) -> str:
    return f"customers/{batch.destination['customer_id']}/conversionActions/{batch.destination['action_id']}"


def _value(item: Item) -> float:
    """A double in Google's definition; the amounts that people can enter keep all their digits in one."""
    return float(round(item.value, decimals_of(item.currency)))


def _consent(item: Item) -> dict[str, str]:
    """What the visitor said. Nothing is claimed of those whom nobody asked: the site's rules let them through."""
    said = "GRANTED" if item.consent == "granted" else "UNSPECIFIED"
    return {"adUserData": said, "adPersonalization": said}


def _identifiers(item: Item, batch: Batch) -> list[dict[str, str]]:
    """Each hash in an object of its own. Never beside a braid: Google refuses both together."""
    if not batch.with_hashes or item.consent != "granted" or item.click_id_kind != "gclid":
        return []
    email = hashed_email(item.email) if item.email else None
    phone = hashed_phone(item.phone) if item.phone else None
    found = [("hashedEmail", email), ("hashedPhoneNumber", phone)]
    return [{"userIdentifierSource": "FIRST_PARTY", name: hashed} for name, hashed in found if hashed]


def _refused(body: Any, items: Sequence[Item]) -> tuple[dict[int, Failure], str | None]:
    """By position what was refused. An answer that does not tell about each is none."""
    answer = body if isinstance(body, dict) else {}
    failures = google_ads_errors.failures_of(answer.get("partialFailureError"))
    rows = answer.get("results", [{}] * len(items) if failures else None)
    if not isinstance(rows, list) or len(rows) != len(items):
        raise Trouble(Why.UNSURE, "unreadable", "the answer does not say what became of each conversion")
    by_index: dict[int, list[Failure]] = {}
    about_all = []
    for failure in failures:
        if failure.index is None or failure.index >= len(items):
            about_all.append(failure)
        else:
            by_index.setdefault(failure.index, []).append(failure)
    # What is about none of them by its path is about those that have neither a result nor an error of their own.
    for index, row in enumerate(rows):
        if not row and index not in by_index:
            by_index[index] = about_all or [google_ads_errors.UNNAMED]
    found = {items[index].position: google_ads_errors.worst(several) for index, several in by_index.items()}
    job = answer.get("jobId")
    return found, str(job)[:60] if job else None


def _is_about_hashes(failure: Failure, item: Item, batch: Batch) -> bool:
    return batch.kind == "new" and failure.means() is Means.WITHOUT_HASHES and bool(_identifiers(item, batch))


def _stop_if_nothing_goes(items: Iterable[Item], refused: Mapping[int, Failure]) -> None:
    """Where setting up is what is wrong, nothing goes through before that is put right. Not if Google has taken some:
    that must be known of them; the others are tried again, and stop the site then."""
    failures = [refused.get(item.position) for item in items]
    wrong = next((f for f in failures if f is not None and f.means() is Means.SETUP), None)
    if wrong is not None and all(f is not None and f.means() is not Means.DONE for f in failures):
        raise Trouble(Why.SETUP, wrong.word, wrong.words)


def _outcome(item: Item, failure: Failure | None, batch: Batch) -> Outcome:
    if failure is None:
        return Outcome(item.position, "accepted")
    words = _cleaned(failure.words, [item]) or None
    means = failure.means()
    if failure.code == "CONVERSION_ALREADY_RETRACTED":
        means = Means.DONE if batch.kind == "retract" else Means.GONE
    if (
        failure.code in ("RESTATEMENT_ALREADY_EXISTS", "MORE_RECENT_RESTATEMENT_FOUND")
        and batch.attempts == 1
    ):
        # It was never sent before: another adjustment fell into the same second.
        return Outcome(item.position, "failed", failure.word, words, JUST_NOW)
    if failure.code == "RESTATEMENT_ALREADY_EXISTS":
        means = Means.DONE
    if means is Means.GONE and failure.code == "CONVERSION_NOT_FOUND" and _is_new(item):
        means = Means.WAIT
    if means is Means.DONE:
        return Outcome(item.position, "accepted", failure.word)
    if means is Means.GONE:
        return Outcome(item.position, "gone", failure.word, words)
    return Outcome(item.position, "failed", failure.word, words, _again(means, item.attempts))


def _again(means: Means, attempts: int) -> float | None:
    """After how many seconds it is tried again; None: never by itself."""
    if means in (Means.NEVER, Means.WITHOUT_HASHES):
        return None
    if means in (Means.WAIT, Means.SETUP):
        return SIX_HOURS
    if means is Means.SOON:
        return float(SOON * 2 ** min(attempts, 6))
    return UNKNOWN_AGAIN[attempts] if attempts < len(UNKNOWN_AGAIN) else None


def _is_new(item: Item) -> bool:
    return item.sent_at is not None and datetime.now(UTC) - item.sent_at < SETTLES


def _cleaned(words: str, items: Iterable[Item]) -> str:
    """Google's words without what names a visitor, should it quote that."""
    for item in items:
        hashes = (
            hashed_email(item.email) if item.email else None,
            hashed_phone(item.phone) if item.phone else None,
        )
        for text in (item.click_id, item.phone, item.email, *hashes):
            if text and text in words:
                words = words.replace(text, "…")
    return words
