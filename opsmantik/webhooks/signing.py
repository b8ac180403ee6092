"""Signatures by Standard Webhooks: HMAC-SHA256 over the message's id, the time of the try, and the body.

While a secret is being replaced a message carries two signatures, and a receiver with either secret takes it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from standardwebhooks import Webhook

SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"


def new_secret() -> str:
    """A secret in the form in which receivers' libraries take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(event_id: UUID, at: datetime, body: bytes, live: Sequence[str]) -> dict[str, str]:
    """The three headers. ``at`` is aware, in UTC; ``live`` are the secrets that are good now, the older first."""
    text = body.decode()
    signatures = [Webhook(secret).sign(str(event_id), at, text) for secret in live]
    return {
        "webhook-id": str(event_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
