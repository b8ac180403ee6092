"""From what somebody writes to the person that they mean: a number in any spelling, an address or its hash, an id.

A number is read as a tapped link is, by the plan of the site's country, so that every spelling comes to the number that
leads were stored with. Raises :class:`~opsmantik.errors.Unprocessable` for what names nobody.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final
from uuid import UUID

import phonenumbers

from opsmantik.attribution.targets import read_target
from opsmantik.errors import Unprocessable
from opsmantik.privacy.subject import Kind, Subject

# What people, links and encodings put between the digits of a number.
_BETWEEN: Final = r"(?:[\s().+/_*-]|%20|%2[89bdBD]|%c2%a0|\\u00a0|\\302\\240){0,3}"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DOTLESS: Final = frozenset({"gmail.com", "googlemail.com"})


def read_subject(kind: str, text: str, region: str, *, with_taps: bool = False) -> Subject:
    """The subject of a request; ``region`` is the site's (ISO 3166-1)."""
    given = text.replace("\x00", "").strip()
    if not given:
        raise Unprocessable(reason="say whom it is about")
    match kind:
        case Kind.PHONE:
            return _phone(given, region, with_taps)
        case Kind.EMAIL:
            return _email(given)
        case Kind.VISITOR:
            if len(given) > 64:
                raise Unprocessable(reason="a visitor's id has 64 characters at most")
            return Subject(kind=Kind.VISITOR, value=given)
        case Kind.SESSION:
            try:
                return Subject(kind=Kind.SESSION, value=str(UUID(given)))
            except ValueError:
                raise Unprocessable(reason="a session's id is a UUID") from None
    raise Unprocessable(reason=f"kind is one of {', '.join(Kind)}")


def _phone(given: str, region: str, with_taps: bool) -> Subject:
    scheme = given.partition(":")[0].lower()
    target = read_target(
        given if scheme in ("tel", "callto", "http", "https", "whatsapp") else f"tel:{given}", region
    )
    if target is None or target.number is None:
        raise Unprocessable(reason="this is not a whole telephone number")
    return Subject(
        kind=Kind.PHONE, value=target.number, pattern=phone_pattern(target.number), with_taps=with_taps
    )


def phone_pattern(number: str) -> str:
    """Finds an E.164 number in texts, with and without its country code, however it is broken up; and its hashes, as they
    are sent to ad networks."""
    parsed = phonenumbers.parse(number)
    country = _BETWEEN.join(str(parsed.country_code))
    national = _BETWEEN.join(phonenumbers.national_significant_number(parsed))
    written = rf"(?<![0-9])(?:(?:00)?{country}{_BETWEEN})?(?:0{_BETWEEN})?{national}(?![0-9])"
    hashes = [_sha256(number), _sha256(number.removeprefix("+"))]
    return "|".join([written, *hashes])


def _email(given: str) -> Subject:
    if _HASH.fullmatch(given.lower()):
        return Subject(kind=Kind.EMAIL, value=given.lower(), pattern=given.lower())
    address = given.lower().removeprefix("mailto:")
    if not _ADDRESS.fullmatch(address):
        raise Unprocessable(reason="this is neither an e-mail address nor the SHA-256 of one in hex")
    local, _, domain = address.rpartition("@")
    spellings = {address}
    if domain in _DOTLESS:  # as Google has addresses of its own written before they are hashed
        spellings.add(f"{local.partition('+')[0].replace('.', '')}@{domain}")
    written = re.escape(local).replace(r"\+", r"(?:\+|%2b)") + "(?:@|%40)" + re.escape(domain)
    hashes = sorted(_sha256(spelling) for spelling in spellings)
    pattern = "|".join([rf"(?<![a-z0-9._-]){written}(?![a-z0-9-])", *hashes])
    return Subject(kind=Kind.EMAIL, value=_sha256(address), pattern=pattern)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
