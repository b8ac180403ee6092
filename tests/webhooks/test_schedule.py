"""When a message is tried again, how it is signed, and that the documents say the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from opsmantik.outbound import retry_after
from opsmantik.webhooks import messages
from opsmantik.webhooks.messages import EVENTS, Message, as_sent
from opsmantik.webhooks.schedule import DELAYS, MOST_ATTEMPTS, delay
from opsmantik.webhooks.signing import new_secret, signed_headers

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DOCUMENT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()


def test_delays_grow_and_end() -> None:
    middle = [delay(attempts, 0.5) for attempts in range(1, MOST_ATTEMPTS)]
    assert middle == pytest.approx(list(DELAYS)) == sorted(DELAYS)
    assert delay(MOST_ATTEMPTS, 0.5) is None
    assert delay(MOST_ATTEMPTS, 0.5, asked=60) is None
    assert 40 * 3600 < sum(DELAYS) < 42 * 3600


@pytest.mark.parametrize("attempts", range(1, MOST_ATTEMPTS))
def test_a_delay_is_a_fifth_longer_or_shorter_at_most(attempts: int) -> None:
    least, most = delay(attempts, 0.0), delay(attempts, 1.0)
    assert (least, most) == pytest.approx((DELAYS[attempts - 1] * 0.8, DELAYS[attempts - 1] * 1.2))


ASKED: dict[str, tuple[float | None, float]] = {
    "nothing": (None, 5), "less than the delay": (1, 5), "more": (600, 600), "a week": (7 * 86400, 86400), "zero": (0, 5),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "seconds"), ASKED.values(), ids=ASKED.keys())
def test_a_receiver_can_ask_for_more_time_but_not_for_a_week(asked: float | None, seconds: float) -> None:
    assert delay(1, 0.5, asked) == pytest.approx(seconds)


HEADERS: dict[str, tuple[str | None, float | None]] = {
    "none": (None, None), "a number": ("120", 120), "zero": ("0", 0), "with spaces": (" 7 ", 7),
    "a date": ("Sun, 22 Nov 2026 12:10:00 GMT", 600), "a date that is over": ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
    "less than nothing": ("-5", None), "words": ("later", None), "a fraction": ("1.5", None), "empty": ("", None),
    "a number beyond all": ("9" * 30, None), "other digits": ("١٢", None),
}  # fmt: skip


@pytest.mark.parametrize(("header", "seconds"), HEADERS.values(), ids=HEADERS.keys())
def test_retry_after_is_read_as_it_is_written(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_a_signature_is_one_that_the_standard_s_own_library_takes() -> None:
    secrets, body, identity = [new_secret(), new_secret()], b'{"type":"x"}', uuid4()
    now = datetime.now(UTC)
    headers = signed_headers(identity, now, body, secrets)
    for secret in secrets:
        assert Webhook(secret).verify(body, headers) == {"type": "x"}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(b'{"type":"y"}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(body, {**headers, "webhook-id": str(uuid4())})
    old = signed_headers(identity, now - timedelta(minutes=6), body, secrets)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(body, old)


# The documents.


def examples() -> list[dict[str, Any]]:
    return [
        msgspec.json.decode(text) for text in re.findall(r"```json\n(\{.*?\n\})\n```", DOCUMENT, re.DOTALL)
    ]


def test_every_message_is_shown_in_the_document_and_every_example_is_one() -> None:
    shown = [msgspec.convert(example, Message, strict=False) for example in examples()]
    assert {type(one).__struct_config__.tag for one in shown} == {*EVENTS, messages.TEST}


def test_every_field_is_explained_in_the_document() -> None:
    fields = {
        field.name
        for kind in (messages.LeadData, messages.DecisionData, messages.ConversionData, messages.LinksData)
        for field in msgspec.structs.fields(kind)
    }
    assert {name for name in fields if f"`{name}`" not in DOCUMENT} == set()


def test_the_document_says_the_schedule() -> None:
    words = "5 seconds, 30 seconds, 2 minutes, 10 minutes, 1 hour, 4 hours, 12 hours and 24 hours"
    assert words in DOCUMENT
    assert DELAYS == (5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600, 24 * 3600)


def test_the_example_of_a_check_in_the_document_works() -> None:
    """The one without a library: it is run as it stands."""
    code = re.search(r"```python\n(import base64.*?)\n```", DOCUMENT, re.DOTALL)
    assert code
    space: dict[str, Any] = {}
    exec(code[1], space)
    secret, body = new_secret(), b'{"type":"x"}'
    headers = signed_headers(uuid4(), datetime.now(UTC), body, [new_secret(), secret])
    assert space["is_ours"](secret, headers, body)
    assert not space["is_ours"](new_secret(), headers, body)
    assert not space["is_ours"](secret, headers, body + b" ")
    old = signed_headers(uuid4(), datetime.now(UTC) - timedelta(minutes=6), body, [secret])
    assert not space["is_ours"](secret, old, body)


def test_links_get_the_address_of_the_installation() -> None:
    payload = {"type": "webhook.test", "data": {"site": "x", "links": {"site": "/sites/1"}}}
    sent = msgspec.json.decode(as_sent(payload, "https://om.example"))
    assert sent["data"]["links"] == {"site": "https://om.example/sites/1"}
    assert payload["data"]["links"] == {"site": "/sites/1"}  # type: ignore[index]
