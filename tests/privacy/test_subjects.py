"""What people write, and whom they mean by it."""

from __future__ import annotations

import hashlib

import pytest

from opsmantik.errors import Unprocessable
from opsmantik.upkeep.subjects import read_subject

VISIT = "01234567-89ab-cdef-0123-456789abcdef"
E164 = "+905321112233"
HASH = hashlib.sha256(b"a.b+c@gmail.com").hexdigest()

READ = {
    "national, with blanks": ("phone", "0532 111 22 33", "TR", E164),
    "without the trunk zero": ("phone", "532 111 22 33", "TR", E164),
    "with 00": ("phone", "00905321112233", "DE", E164),
    "a link": ("phone", "tel:+90%20532%20111%2022%2033", "TR", E164),
    "a chat's link": ("phone", "https://wa.me/905321112233", "TR", E164),
    "by the site's country": ("phone", "(202) 555-0143", "US", "+12025550143"),
    "an address": ("email", " A.B+c@Gmail.com ", "TR", HASH),
    "a link to an address": ("email", "mailto:a.b+c@gmail.com", "TR", HASH),
    "the hash of one": ("email", HASH.upper(), "TR", HASH),
    "a visitor": ("visitor", " v-1 ", "TR", "v-1"),
    "a visit without hyphens": (
        "session",
        "0123456789abcdef0123456789abcdef",
        "TR",
        "01234567-89ab-cdef-0123-456789abcdef",
    ),
}


@pytest.mark.parametrize(("kind", "text", "region", "value"), READ.values(), ids=READ)
def test_a_subject_is_read(kind: str, text: str, region: str, value: str) -> None:
    assert read_subject(kind, text, region).value == value


REFUSED = {
    "nothing": ("phone", "  "),
    "a short code": ("phone", "112"),
    "no number": ("phone", "call me"),
    "no address": ("email", "ayse at example"),
    "half a hash": ("email", HASH[:32]),
    "a long id": ("visitor", "x" * 65),
    "no UUID": ("session", "visit 1"),
    "another kind": ("name", "Ayşe"),
}


@pytest.mark.parametrize(("kind", "text"), REFUSED.values(), ids=REFUSED)
def test_what_names_nobody_is_refused(kind: str, text: str) -> None:
    with pytest.raises(Unprocessable):
        read_subject(kind, text, "TR")


def test_the_hash_that_google_takes_is_looked_for_too() -> None:
    pattern = read_subject("email", "a.b+c@gmail.com", "TR").pattern
    assert pattern is not None and hashlib.sha256(b"ab@gmail.com").hexdigest() in pattern and HASH in pattern
