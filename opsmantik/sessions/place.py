"""Where a visitor is, and which address the visitor came from.

Place is taken from headers that a trusted edge sets, or from a database on this machine; never from headers
that a browser could have sent itself.  The address is used to look the place up and then cut short: what is
kept names a neighbourhood of machines, not a household.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import maxminddb
import msgspec
from iptocc import country_code

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_NAME = 120
# XX unknown, T1 Tor (Cloudflare); ZZ unknown territory (Unicode); A1, A2, AP, EU older geo databases.
_NO_COUNTRY = frozenset({"XX", "T1", "ZZ", "A1", "A2", "AP", "EU"})


class Place(msgspec.Struct, frozen=True, gc=False):
    """A place as far as it is known. `country` is ISO 3166-1 alpha-2; `source` says who claims it."""

    country: str | None = None
    region: str | None = None
    city: str | None = None
    district: str | None = None
    source: str = ""


class _Headers(NamedTuple):
    country: bytes
    region: bytes
    city: bytes


_PROVIDERS = {
    "cloudflare": _Headers(b"cf-ipcountry", b"cf-region", b"cf-ipcity"),
    "vercel": _Headers(b"x-vercel-ip-country", b"x-vercel-ip-country-region", b"x-vercel-ip-city"),
}


def place_from_headers(headers: Mapping[bytes, bytes], provider: str) -> Place | None:
    """The place that the configured edge names, or None: no edge ("none"), or it does not know.

    `headers`: lower-case names, as ASGI gives them.  Only headers of `provider` are looked at, and only right
    when every request does pass that edge; otherwise a browser could write them.
    """
    names = _PROVIDERS.get(provider)
    if names is None:
        return None
    country, region, city = headers.get(names.country), headers.get(names.region), headers.get(names.city)
    if not country and not city:
        return None
    return _edge_place(country or b"", region or b"", city or b"", provider)


@lru_cache(maxsize=8192)
def _edge_place(country: bytes, region: bytes, city: bytes, provider: str) -> Place | None:
    code = _country(country.decode("ascii", "replace"))
    town = _name(_header_text(city))
    if code is None and town is None:
        return None
    return Place(code, _name(_header_text(region)), town, None, provider)


def _header_text(raw: bytes) -> str:
    """Vercel percent-encodes names (`%C4%B0zmir`), Cloudflare sends UTF-8 bytes; some proxies re-encode."""
    raw = unquote_to_bytes(raw) if b"%" in raw else raw
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _country(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    code = text.strip().upper()
    return code if len(code) == 2 and code.isascii() and code.isalpha() and code not in _NO_COUNTRY else None


def _name(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    name = "".join(c for c in text if c.isprintable()).strip()[:_MAX_NAME]
    return None if name.lower() in ("", "unknown", "null", "undefined", "-") else name


class PlaceDatabase:
    """An offline database: a MaxMind-format file if one is configured, else the country list of iptocc.

    Raises at construction what opening the file raises (FileNotFoundError, maxminddb.InvalidDatabaseError).
    """

    def __init__(self, path: Path | None = None) -> None:
        self._reader = maxminddb.open_database(str(path)) if path is not None else None
        self.look_up: Callable[[str], Place | None] = lru_cache(maxsize=65_536)(self._look_up)
        """The place of one full address, or None (private, malformed, unknown). Cached."""

    def close(self) -> None:
        """Close the file. The object is of no use afterwards."""
        if self._reader is not None:
            self._reader.close()

    def _look_up(self, ip: str) -> Place | None:
        address = _bare_address(ip)
        if address is None:
            return None
        if self._reader is None:
            code = _country(country_code(address))
            return Place(country=code, source="iptocc") if code else None
        try:
            record = self._reader.get(address)
        except ValueError:  # an IPv6 address in a file that holds only IPv4
            return None
        return _place_of_record(record) if isinstance(record, dict) else None


def _place_of_record(record: Mapping[str, Any]) -> Place | None:
    """Both shapes in use: MaxMind's nested names, and the flat columns of the ip-location-db files."""
    code = _country(_at(record, "country", "iso_code") or record.get("country_code"))
    city = _name(_at(record, "city", "names", "en") or record.get("city"))
    divisions = record.get("subdivisions")
    region = _at(divisions[0], "names", "en") if isinstance(divisions, list) and divisions else None
    if code is None and city is None:
        return None
    return Place(code, _name(region or record.get("state1")), city, None, "database")


def _at(record: object, *keys: str) -> object:
    for key in keys:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def truncate_ip(ip: str) -> str | None:
    """`ip` without what tells one household from another: IPv4 to /24, IPv6 to /48. Malformed gives None."""
    packed = _packed(ip)
    if packed is None:
        return None
    if len(packed) == 4:
        return f"{packed[0]}.{packed[1]}.{packed[2]}.0"
    return socket.inet_ntop(socket.AF_INET6, packed[:6] + bytes(10))


def _packed(ip: str) -> bytes | None:
    """The bytes of an address; an IPv4 one in IPv6 clothes (::ffff:…) is undressed. None if malformed."""
    try:
        if ":" not in ip:
            return socket.inet_pton(socket.AF_INET, ip)
        packed = socket.inet_pton(socket.AF_INET6, ip)
    except (OSError, ValueError, UnicodeError):
        return None
    return packed[12:] if packed[:12] == _MAPPED else packed


_MAPPED = bytes(10) + b"\xff\xff"


def client_ip(peer: str, forwarded_for: str | None, trusted: tuple[IPNetwork, ...]) -> str:
    """The address nearest to the visitor that a trusted machine vouches for.

    `peer` is who opened the connection; `forwarded_for` the X-Forwarded-For value.  Each proxy appends the
    address that it saw, so the list is walked from the right while its authors are trusted; everything
    further left could be written by the visitor.  A malformed entry ends the walk at the last good one.
    """
    if not forwarded_for or not trusted or not _is_trusted(peer, trusted):
        return peer
    address = peer
    for entry in reversed(forwarded_for[-1024:].split(",")):
        hop = _bare_address(entry)
        if hop is None:
            break
        address = hop
        if not _is_trusted(hop, trusted):
            break
    return address


def _bare_address(entry: str) -> str | None:
    """An address as proxies write it, plain: no port, no brackets, no IPv6 clothes. None if malformed."""
    text = entry.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    packed = _packed(text)
    if packed is None:
        return None
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


class _Trust:
    """Membership in one tuple of networks, remembered per address: proxies are few and ask always."""

    def __init__(self, networks: tuple[IPNetwork, ...]) -> None:
        self.networks = networks
        self.holds = lru_cache(maxsize=4096)(self._holds)

    def _holds(self, ip: str) -> bool:
        packed = _packed(ip)
        if packed is None:
            return False
        address = ipaddress.ip_address(packed)
        return any(address in network for network in self.networks)


_last_trust = _Trust(())


def _is_trusted(ip: str, trusted: tuple[IPNetwork, ...]) -> bool:
    # Settings hold one tuple for the life of the process; comparing identity spares hashing every network.
    global _last_trust
    trust = _last_trust
    if trust.networks is not trusted:
        trust = _last_trust = _Trust(trusted)
    return trust.holds(ip)
