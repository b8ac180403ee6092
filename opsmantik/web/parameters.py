"""From the words of a query to the values that a contract is asked with.

Everything that is not understood is refused: a misspelt parameter that is passed over answers another question than
the one that was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from opsmantik import clock
from opsmantik.clock import Period
from opsmantik.dashboard import paging
from opsmantik.dashboard.contracts import Contract, Parameter
from opsmantik.errors import Malformed, NotFound

RANGE: Final = {"day": "day", "range": "span", "from": "start", "to": "end"}
"""The parameters of a range, and what :func:`~opsmantik.clock.period` calls them."""
_YES, _NO = ("true", "1"), ("false", "0")
_LONGEST_TEXT = 200


def read(
    contract: Contract, query: Iterable[tuple[str, str]], path: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """The words that ask for a range, and the other values by their names.

    Raises :class:`~opsmantik.errors.Malformed` for what the contract does not know or cannot take, and
    :class:`~opsmantik.errors.NotFound` where the path names nothing that could be there.
    """
    words: dict[str, str] = {}
    for name, text in query:
        if name in words:
            raise Malformed(reason=f"{name} is given twice")
        words[name] = text
    known = {parameter.name: parameter for parameter in contract.parameters if not parameter.in_path}
    allowed = [*known, *(RANGE if contract.ranged else ())]
    unknown = sorted(words.keys() - set(allowed))
    if unknown:
        there_are = f"there are {', '.join(allowed)}" if allowed else "there are none"
        raise Malformed(reason=f"there is no parameter {unknown[0][:40]!r} here; {there_are}")
    values = {name: _value(parameter, words.get(name)) for name, parameter in known.items()}
    for parameter in contract.parameters:
        if parameter.in_path:
            try:
                values[parameter.name] = _value(parameter, path[parameter.name])
            except Malformed:
                raise NotFound(what=parameter.name.removesuffix("_id")) from None
    return {RANGE[name]: text for name, text in words.items() if name in RANGE}, values


def period(words: Mapping[str, str], zone_name: str, now: datetime) -> Period:
    """The range that these words ask for. Raises :class:`~opsmantik.errors.BadRange`."""
    return clock.period(zone_name, now, **words)


def _value(parameter: Parameter, text: str | None) -> Any:
    if text is None:
        return parameter.default
    return _READERS[parameter.kind](parameter, text)


def _integer(parameter: Parameter, text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
    least, most = parameter.least or 0, parameter.most or 0
    if number is None or not least <= number <= most:
        raise Malformed(reason=f"{parameter.name} is a whole number from {least} to {most}")
    return number


def _boolean(parameter: Parameter, text: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise Malformed(reason=f"{parameter.name} is true or false")
    return text.lower() in _YES


def _text(parameter: Parameter, text: str) -> str:
    longest = parameter.most or _LONGEST_TEXT
    if len(text) > longest or "\x00" in text:
        raise Malformed(reason=f"{parameter.name} is a text of at most {longest} characters, without NUL")
    return text


def _uuid(parameter: Parameter, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Malformed(reason=f"{parameter.name} is a UUID") from None


def _choice(parameter: Parameter, text: str) -> str:
    if text not in parameter.choices:
        raise Malformed(reason=f"{parameter.name} is one of {', '.join(parameter.choices)}")
    return text


def _choices(parameter: Parameter, text: str) -> list[str]:
    return [_choice(parameter, part) for part in text.split(",")]


_READERS: Final[dict[str, Callable[[Parameter, str], Any]]] = {
    "integer": _integer, "boolean": _boolean, "text": _text, "uuid": _uuid, "choice": _choice, "choices": _choices,
    "cursor": lambda _, text: paging.read(text),
}  # fmt: skip
