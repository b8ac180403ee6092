"""The second factor: codes of an authenticator (TOTP, RFC 6238) and recovery codes. Pure but for the random bits.

A code is six digits of HMAC-SHA1 over the number of the half minute, as every authenticator makes it. The one before and
the one after are taken too, for clocks that differ and fingers that are slow; the database takes each half minute once.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
import secrets
from base64 import b32encode
from typing import NamedTuple

import pyotp
import segno

STEP_SECONDS = 30
WINDOW = 1
SECRET_BYTES = 20
RECOVERY_CODES = 10
RECOVERY_BYTES = 15  # 120 bits: nobody tries them out, so a plain hash keeps them
RECOVERY_LENGTH = RECOVERY_BYTES * 8 // 5
ISSUER = "OpsMantik"


class Code(NamedTuple):
    """What was typed, as the database takes it: the half minute whose code it is, or a recovery code's hash."""

    step: int | None
    code_hash: bytes | None


def new_secret() -> bytes:
    """160 random bits, as RFC 4226 asks for."""
    return secrets.token_bytes(SECRET_BYTES)


def spelled(secret: bytes) -> str:
    """The secret as it is typed into an authenticator that has no camera, in groups of four."""
    text = b32encode(secret).decode()
    return " ".join(text[n : n + 4] for n in range(0, len(text), 4))


def read(typed: str, secret: bytes, now: float, last_step: int) -> Code | None:
    """What was typed, if it is a code of this secret newer than ``last_step``, or can be a recovery code.

    ``now``: seconds since 1970. Spaces, hyphens and case do not matter.
    """
    text = re.sub(r"[\s-]", "", typed[:64]).upper()
    if re.fullmatch(r"[0-9]{6}", text):
        generator, present = pyotp.TOTP(b32encode(secret).decode()), int(now) // STEP_SECONDS
        steps = range(present + WINDOW, present - WINDOW - 1, -1)
        right = [step for step in steps if hmac.compare_digest(generator.generate_otp(step), text)]
        newer = [step for step in right if step > last_step]
        return Code(newer[-1], None) if newer else None
    if re.fullmatch(rf"[A-Z2-7]{{{RECOVERY_LENGTH}}}", text):
        return Code(None, recovery_hash(text))
    return None


def new_recovery_codes() -> list[str]:
    """Ten, as they are shown, once: letters and digits in groups of four."""
    codes = [b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[n : n + 4] for n in range(0, RECOVERY_LENGTH, 4)) for code in codes]


def recovery_hash(code: str) -> bytes:
    """What the database keeps of a recovery code."""
    return hashlib.sha256(b"recovery code:" + code.replace("-", "").encode()).digest()


def picture(secret: bytes, email: str, host: str) -> bytes:
    """The QR code (SVG) that an authenticator reads. ``host`` tells several installations apart."""
    address = pyotp.TOTP(b32encode(secret).decode()).provisioning_uri(
        name=email, issuer_name=f"{ISSUER} ({host})"
    )
    out = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        out, kind="svg", scale=6, border=4, dark="#000", light="#fff"
    )
    return out.getvalue()
