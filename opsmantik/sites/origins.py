"""Origins: where a browser may post from, as browsers write it in ``Origin`` (scheme, host, and a port unless it is the
scheme's own; RFC 6454), and as a site's list writes it: ``https://*.example.com`` is every name below example.com but not
itself, ``null`` a page that has no origin (a sandboxed frame, a file).
"""

from __future__ import annotations

import enum
import ipaddress
import re
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from opsmantik.db.connect import Asker, Database
from opsmantik.db.sql import queries
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.event import new_id

SQL = queries(Path(__file__).with_suffix(".sql"))

MOST: Final = 100
"""Origins of one site."""
NULL: Final = "null"
LONGEST: Final = 300
_OWN_PORT: Final = {"http": 80, "https": 443}
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_PARTS: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
# Second labels under which countries sell names, as in com.tr and co.uk: a star there would cover strangers. A rule of
# thumb, for the list of all of them is ten thousand lines long and changes weekly.
_SOLD_UNDER: Final = frozenset(
    ("ac", "av", "bel", "biz", "co", "com", "dr", "edu", "gen", "go", "gob", "gov", "gouv", "govt", "info", "k12",
     "ltd", "me", "mil", "name", "ne", "net", "nom", "or", "org", "plc", "pol", "sch", "tel", "tv", "web")
)  # fmt: skip


class Problem(enum.StrEnum):
    """Why a text is no origin; the words for people are the screens'."""

    EMPTY = "empty"
    SCHEME = "scheme"
    PATH = "path"
    CREDENTIALS = "credentials"
    PORT = "port"
    HOST = "host"
    STAR = "star"
    WIDE = "wide"
    MANY = "many"


REASONS: Final[dict[Problem, str]] = {
    Problem.EMPTY: "an origin is a scheme and a host, as in https://example.com",
    Problem.SCHEME: "an origin begins with https:// or http://",
    Problem.PATH: "an origin has no path, query or fragment: it ends with the host, or its port",
    Problem.CREDENTIALS: "an origin holds no user name and no password",
    Problem.PORT: "a port is a number from 1 to 65535",
    Problem.HOST: "that is no host such as www.example.com",
    Problem.STAR: "a star stands for whole names in front of the host, as in https://*.example.com, and nowhere else",
    Problem.WIDE: "a star needs a name of your own behind it: https://*.com or https://*.com.tr would cover strangers",
    Problem.MANY: f"a site has at most {MOST} origins",
}


class Origin(msgspec.Struct, frozen=True):
    """One entry of a site's list."""

    origin: str
    created_at: Any
    verified_at: Any
    last_seen_at: Any


def read_origin(text: str) -> str:
    """The origin that a person means, as browsers write it: lower case, ASCII (IDNA), without the scheme's own port.

    A host without a scheme is taken for one behind TLS. Raises :class:`~opsmantik.errors.Unprocessable`, with a
    :class:`Problem` among its details.
    """
    text = text.strip()
    if text.lower() == NULL:
        return NULL
    if not text or len(text) > LONGEST:
        raise _refused(Problem.EMPTY)
    parts = _PARTS.fullmatch(text)
    scheme, rest = (parts["scheme"].lower(), parts["rest"]) if parts else ("https", text)
    if scheme not in _OWN_PORT:
        raise _refused(Problem.SCHEME)
    rest = rest.removesuffix("/")
    if re.search(r"[/?#\\]", rest):
        raise _refused(Problem.PATH)
    if "@" in rest:
        raise _refused(Problem.CREDENTIALS)
    host, port = _split_port(rest)
    number = _port(port) if port is not None else _OWN_PORT[scheme]
    name = _host(host)
    return f"{scheme}://{name}" + (f":{number}" if number != _OWN_PORT[scheme] else "")


def _split_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):  # an IPv6 address
        host, bracket, port = text.partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise _refused(Problem.HOST)
        return host + bracket, port[1:] if port else None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= 65_535):
        raise _refused(Problem.PORT)
    return int(text)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(text[1:-1]).compressed}]"
        except ValueError:
            raise _refused(Problem.HOST) from None
    star, bare = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    if "*" in bare:
        raise _refused(Problem.STAR)
    name = _ascii(bare)
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(name) > 253:
        raise _refused(Problem.HOST)
    if labels[-1].isdecimal():
        _address(name, star)
    if star and (len(labels) < 2 or (len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SOLD_UNDER)):
        raise _refused(Problem.WIDE)
    return star + name


def _ascii(text: str) -> str:
    try:
        return text.removesuffix(".").encode("idna").decode("ascii").lower() if text else ""
    except UnicodeError:
        raise _refused(Problem.HOST) from None


def _address(name: str, star: str) -> None:
    """A host that ends in a number is an address to every browser."""
    if star:
        raise _refused(Problem.STAR)
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        raise _refused(Problem.HOST) from None


def _refused(problem: Problem) -> Unprocessable:
    return Unprocessable(reason=REASONS[problem], problem=problem)


async def origins(connection: Any, site_id: UUID) -> list[Origin]:
    """The site's list, in the order in which it grew."""
    return [Origin(*row) for row in await connection.fetch(SQL.origins, site_id)]


async def add_origin(database: Database, who: Asker | UUID, site_id: UUID, text: str) -> str:
    """Add what a person wrote to the list, as browsers write it; the doors know it within a second.

    Raises :class:`~opsmantik.errors.Unprocessable` for what is no origin and for one too many, and
    :class:`~opsmantik.errors.NotFound` where the site is none that the asker may change.
    """
    origin = read_origin(text)
    async with database.as_person(who, write=True) as (connection, person):
        if site_id not in person.sites:
            raise NotFound(what="site")
        try:
            await connection.execute(SQL.add_origin, site_id, new_id(), origin, MOST)
        except asyncpg.CheckViolationError:
            raise _refused(Problem.MANY) from None
    return origin


async def remove_origin(database: Database, who: Asker | UUID, site_id: UUID, origin: str) -> None:
    """Take an origin off the list; one that is not on it is off it."""
    async with database.as_person(who, write=True) as (connection, person):
        if site_id not in person.sites:
            raise NotFound(what="site")
        await connection.execute(SQL.remove_origin, site_id, new_id(), origin)
