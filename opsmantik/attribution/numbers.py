"""What any of the ways to write a telephone number means: E.164 where it has such a form.

A number is read by the numbering plan of the site's own country (libphonenumber), never by counting digits:
ten digits are a Turkish number on a Turkish site and an American one on an American site.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, shortnumberinfo

LONGEST_NUMBER: Final = 15
"""Digits in E.164 at most."""
SHORTEST_NUMBER: Final = 3

_PLUS = re.compile(r"\D*\+")


def clean(raw: str) -> str:
    """Percent-decoded (twice where a template encoded twice), one blank for every odd character."""
    text = unquote(raw)
    if "%" in text:
        text = unquote(text)
    return "".join(c if c.isprintable() else " " for c in text[:128]).strip().replace("＋", "+")


def read_number(text: str, region: str, international: bool = False) -> tuple[str, str | None]:
    """(digits as dialled, E.164 or None). None for a short code and for what fits no numbering plan.

    `international`: WhatsApp asks for the country code without a plus.
    """
    digits = phonenumbers.normalize_digits_only(text)
    if len(digits) < 8 and phonenumbers.is_alpha_number(text):  # 1-800-FLOWERS
        spelled = phonenumbers.normalize_digits_only(phonenumbers.convert_alpha_characters_in_number(text))
        digits = spelled if _valid(_parsed(spelled, region)) else digits
    plus = _PLUS.match(text) is not None
    if digits.startswith("00"):
        plus, digits = True, digits[2:]
    if not 0 < len(digits) <= LONGEST_NUMBER + 1:  # one more, for the trunk zero of `+44 (0) 20 …`
        return digits, None
    home, abroad = _parsed(digits, region), _parsed("+" + digits, region)
    if plus and _possible(abroad):
        return digits, _e164(abroad)
    if _short(digits, home, region):
        return digits, None
    if plus:  # a plus before a national number: no country begins so
        return digits, _e164(home) if _valid(home) else None
    return digits, _e164(_without_plus(digits, home, abroad, international))


def _without_plus(
    digits: str, home: PhoneNumber | None, abroad: PhoneNumber | None, international: bool
) -> PhoneNumber | None:
    """The likelier reading of a number that carries no plus: of this country, or its country code's.

    A phone dials `tel:` digits nationally, so home comes first.  WhatsApp wants the country code, so there
    eleven digits and more are read abroad first; ten and fewer mostly lack the code (`wa.me/5320000012`).
    """
    long = len(digits) > 10 and not digits.startswith("0")
    if long:
        readings = (abroad, home) if international else (home, abroad)
    elif international:
        readings = (home, abroad)
    else:
        readings = (home, None)
    for number in readings:
        if _valid(number):
            return number
    for number in (*readings, abroad if len(digits) > 7 else None):
        if _possible(number):
            return number
    return None


def _short(digits: str, home: PhoneNumber | None, region: str) -> bool:
    """Dialled as it stands and only inside the country: 112, or a company number such as 444 1 234."""
    if len(digits) > 7 or home is None:
        return False
    if phonenumbers.is_valid_number(home):
        return phonenumbers.number_type(home) == PhoneNumberType.UAN
    return shortnumberinfo.is_possible_short_number_for_region(home, region)


def _parsed(text: str, region: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _valid(number: PhoneNumber | None) -> bool:
    return number is not None and phonenumbers.is_valid_number(number)


def _possible(number: PhoneNumber | None) -> bool:
    reason = phonenumbers.is_possible_number_with_reason(number) if number is not None else None
    return reason == phonenumbers.ValidationResult.IS_POSSIBLE


def _e164(number: PhoneNumber | None) -> str | None:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if number is not None else None
