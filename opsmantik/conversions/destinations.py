"""Where conversions can go: what each adapter's destination is made of, as people write it. Pure.

Enters: what somebody typed, by name.  Leaves: the destination as it is kept, or which field is wrong and how.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, get_args

from opsmantik.conversions.google_ads_csv import check_conversion_name
from opsmantik.conversions.store import AdapterName
from opsmantik.errors import Unprocessable

ADAPTERS: Final[tuple[AdapterName, ...]] = get_args(AdapterName)
"""In the order in which they are offered: first what is for everybody."""
BY_GOOGLE: Final = ("data_manager", "google_ads")
HASHING: Final = ("data_manager", "google_ads", "meta")
"""Those that can send hashed contact data along."""
PULLS: Final = ("hourly", "daily")
LONGEST: Final = 2000


class Field(NamedTuple):
    """One part of a destination."""

    name: str
    form: str
    """account: ten digits; number: digits; name: of a conversion action; word: letters; url; pull: how often."""
    needed: bool = True


FIELDS: Final[Mapping[AdapterName, tuple[Field, ...]]] = {
    "data_manager": (
        Field("account_id", "account"), Field("action_id", "number"), Field("login_account_id", "account", needed=False),
    ),
    "google_ads": (
        Field("customer_id", "account"), Field("action_id", "number"), Field("login_customer_id", "account", needed=False),
    ),
    "file": (Field("conversion_name", "name"), Field("pull", "pull", needed=False)),
    "script": (Field("conversion_name", "name"),),
    "meta": (Field("dataset_id", "number"), Field("event_name", "word", needed=False)),
    "webhook": (Field("url", "url"),),
}  # fmt: skip

_APART = re.compile(r"[\s\-\u2010-\u2015\u00a0.]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,49}")


def read_destination(adapter: AdapterName, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The destination, and of each field that is wrong why: missing, account, number, name, word, url or pull.

    An account's number may be written as Google shows it, 123-456-7890; it is kept as digits. Whether a webhook's address
    can be called is not asked here.
    """
    destination: dict[str, str] = {}
    problems: dict[str, str] = {}
    for field in FIELDS[adapter]:
        text = given.get(field.name, "").replace("\x00", "").strip()[:LONGEST]
        if not text:
            if field.needed:
                problems[field.name] = "missing"
            continue
        value = _read(field.form, text)
        if value is None:
            problems[field.name] = field.form
        else:
            destination[field.name] = value
    return destination, problems


def _read(form: str, text: str) -> str | None:
    if form in ("account", "number"):
        digits = _APART.sub("", text)
        fits = len(digits) == 10 if form == "account" else len(digits) <= 20
        return digits if fits and digits.isascii() and digits.isdecimal() else None
    if form == "name":
        try:
            return check_conversion_name(text)
        except Unprocessable:
            return None
    if form == "pull":
        return text if text in PULLS else None
    if form == "word":
        return text if _WORD.fullmatch(text) else None
    return text if text.startswith(("https://", "http://")) else None
