"""What two systems that never met must come to the same hash of."""

from __future__ import annotations

import hashlib

import pytest

from opsmantik.conversions.hashing import hashed_email, hashed_phone, normalised_email, normalised_phone

EMAILS = {
    "as it is": ("ayse@example.com", "ayse@example.com"),
    "capitals": ("Ayse.Y@Example.COM", "ayse.y@example.com"),
    "spaces around and inside": ("  ay se@example.com\t\n", "ayse@example.com"),
    "dots at gmail": ("a.y.s.e@gmail.com", "ayse@gmail.com"),
    "suffix at gmail": ("ayse+vinc@gmail.com", "ayse@gmail.com"),
    "both at googlemail": ("A.yse+x+y@GoogleMail.com", "ayse@googlemail.com"),
    "dots elsewhere": ("ayse.y@outlook.com", "ayse.y@outlook.com"),
    "suffix elsewhere": ("ayse+vinc@example.com.tr", "ayse+vinc@example.com.tr"),
    "gmail as a part of a name": ("a.b+c@mygmail.com", "a.b+c@mygmail.com"),
    "gmail below another": ("a.b@gmail.com.example.com", "a.b@gmail.com.example.com"),
    "no at": ("ayse.example.com", None),
    "two": ("ayse@x@example.com", None),
    "nobody": ("@example.com", None),
    "nothing but a suffix": ("+x@gmail.com", None),
    "nowhere": ("ayse@", None),
    "no domain": ("ayse@localhost", None),
    "nothing": ("", None),
}
PHONES = {
    "as it is": ("+905321112233", "+905321112233"),
    "as people write it": ("+90 (532) 111-22.33", "+905321112233"),
    "no plus": ("905321112233", None),
    "national": ("0532 111 22 33", None),
    "zero first": ("+05321112233", None),
    "letters": ("+90532CALLNOW", None),
    "too long": ("+9053211122334455", None),
    "too short": ("+90532", None),
    "another script's digits": ("+٩٠٥٣٢١١١٢٢٣٣", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("given", "normal"), EMAILS.values(), ids=EMAILS)
def test_an_address_is_normalised(given: str, normal: str | None) -> None:
    assert normalised_email(given) == normal
    assert hashed_email(given) == (hashlib.sha256(normal.encode()).hexdigest() if normal else None)


@pytest.mark.parametrize(("given", "normal"), PHONES.values(), ids=PHONES)
def test_a_number_is_normalised(given: str, normal: str | None) -> None:
    assert normalised_phone(given) == normal
    assert hashed_phone(given) == (hashlib.sha256(normal.encode()).hexdigest() if normal else None)


def test_the_hashes_are_those_that_anybody_else_gets() -> None:
    """By ``printf '%s' … | sha256sum``."""
    assert (
        hashed_email("Test@Example.com") == "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"
    )
    assert hashed_phone("+1 234 567 8901") == hashlib.sha256(b"+12345678901").hexdigest()
    assert hashed_phone("+1 234 567 8901", plus=False) == hashlib.sha256(b"12345678901").hexdigest()
    assert hashed_phone("0532", plus=False) is None
