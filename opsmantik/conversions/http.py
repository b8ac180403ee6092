"""Calls to the platforms: one answer, or what is to be thought of there being none.

Whether something may have arrived is told apart from whether it certainly did not: a connection that was never made
carried nothing; one that broke, or an answer of the 500s, says nothing. Calls go out under the rules of outbound.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec

from opsmantik.conversions.adapters import Trouble, Why
from opsmantik.errors import AddressRefused
from opsmantik.outbound import Rules, retry_after, transport

SECONDS: Final = 60.0
LARGEST_ANSWER: Final = 20 * 1024 * 1024
LONGEST_WAIT: Final = 24 * 3600.0
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")


class Reply(msgspec.Struct, frozen=True):
    """An answer below 500 that is no 429. ``body`` is the JSON in it; None where there is none."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Http:
    """One client for one platform's adapters."""

    def __init__(self, rules: Rules, seconds: float = SECONDS) -> None:
        self._client = httpx.AsyncClient(
            transport=transport(rules), timeout=seconds, follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Let go of what is open."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send it and read the answer.

        Raises :class:`~opsmantik.conversions.adapters.Trouble`: *busy* where nothing arrived or the platform wants to be
        left alone (429), *unsure* where nobody knows. What other answers mean is the adapter's to say.
        """
        sent = {"accept": "application/json", **(headers or {})}
        content: bytes | None = body
        if json is not None:
            content = msgspec.json.encode(json)
            sent["content-type"] = "application/json"
        try:
            async with self._client.stream(
                method, url, headers=sent, content=content, data=dict(form) if form is not None else None, params=params
            ) as response:  # fmt: skip
                text = b""
                async for part in response.aiter_bytes():
                    text += part
                    if len(text) > LARGEST_ANSWER:
                        raise Trouble(Why.UNSURE, "unreadable", "the answer is too long")
        except AddressRefused as refused:
            raise Trouble(Why.BUSY, "not_called", str(refused.details["reason"])) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as failed:
            raise Trouble(Why.BUSY, "no_connection", str(failed)) from None
        except httpx.TransportError as failed:
            raise Trouble(Why.UNSURE, "no_answer", str(failed)) from None
        if response.status_code == 429:
            wait = _wait(response)
            if wait is None:
                wait = retry_delay(_read(text))
            raise Trouble(Why.BUSY, "quota", f"{_words(text)} {_quota(_read(text))}".strip(), wait)
        if response.status_code >= 500:
            wait = _wait(response)
            raise Trouble(Why.UNSURE, "broken", f"{response.status_code} {_words(text)}".strip(), wait)
        return Reply(response.status_code, _read(text), dict(response.headers))


def _wait(response: httpx.Response) -> float | None:
    """What its Retry-After asks for, a day at most."""
    seconds = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def retry_delay(body: Any) -> float | None:
    """The seconds that Google's answer asks for, a day at most: a duration ("32s") called ``retryDelay``, in the details
    of the error (google.rpc.RetryInfo) or further inside them (quotaErrorDetails of Google Ads); None where it asks for
    nothing."""
    if isinstance(body, dict):
        said = body.get("retryDelay")
        found = _DURATION.fullmatch(said) if isinstance(said, str) else None
        if found is not None:
            return min(float(found[1]), LONGEST_WAIT)
        body = list(body.values())
    waits = [retry_delay(part) for part in body] if isinstance(body, list) else []
    return max((wait for wait in waits if wait is not None), default=None)


def _read(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return None


def _quota(body: Any) -> str:
    """The name of the quota that is used up, where Google says it (google.rpc.ErrorInfo): that of a minute or of a day."""
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        metadata = detail.get("metadata") if isinstance(detail, dict) else None
        name = metadata.get("quota_limit") if isinstance(metadata, dict) else None
        if isinstance(name, str):
            return name[:100]
    return ""


def _words(text: bytes) -> str:
    """The platform's own message, where its answer has one in the usual form."""
    body = _read(text)
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message)[:300] if message else ""
