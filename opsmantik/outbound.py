"""Calls to addresses that somebody else chose: nowhere but to the public internet, whatever a name says.

A name is resolved once for each connection; every address that it has must be a public one, and the connection is made to
the very address that was looked at, so that a name which answers otherwise the second time gains nothing. TLS still asks
for the name. No redirect is followed, no proxy is taken from the environment, no more of an answer is read than is kept,
and all of it has to end in time.

Enters: networks of the installation's own that may be called too. Leaves: :class:`Outbound`, and :func:`transport` for
other clients that should be bound by the same rules. RFC 6890 lists the addresses that are not public.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpcore
import httpx
import msgspec

from opsmantik.errors import AddressRefused
from opsmantik.settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

SECONDS: Final = 10.0
RESOLVE_SECONDS: Final = 5.0
LONGEST_ADDRESS: Final = 2000
EXCERPT_BYTES: Final = 1024
MOST_ADDRESSES: Final = 4
"""So many of a name's addresses are tried, one after the other."""
PORTS: Final = frozenset({443, 8443})

# What ipaddress.is_global has said otherwise in one version of Python or another, or does not know.
_CLOSED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    )
)  # fmt: skip
# Of IPv6 only this is handed out to hosts of the internet. What carries an IPv4 address in itself (::ffff:0:0/96 mapped,
# 64:ff9b::/96 NAT64) lies outside, or is taken out again: 2002::/16 is 6to4, 2001::/23 has Teredo in it, and 2001:db8::/32
# and 3fff::/20 are for documents.
_V6_PUBLIC: Final = ipaddress.ip_network("2000::/3")
_V6_CLOSED: Final = tuple(
    ipaddress.ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

REASONS: Final = {
    "unreadable": "it is not an address of the form https://example.com/path",
    "scheme": "it must begin with https://",
    "credentials": "user name and password do not belong into it",
    "port": "only the ports 443 and 8443 are called",
    "unresolved": "its name cannot be resolved",
    "private": "it leads into a network that is not public",
}


class Answer(msgspec.Struct, frozen=True):
    """What came back: the status, the beginning of the body as text, and how long it took."""

    status: int
    excerpt: str
    headers: Mapping[str, str]
    milliseconds: int


class Fetched(msgspec.Struct, frozen=True):
    """A page as it was read: status, headers with lower-case names (those that came twice are joined by a comma), and
    at most as many bytes of its body as were asked for, unpacked."""

    address: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class CallFailed(Exception):  # noqa: N818 - what happened to a call, not a mistake of ours
    """There was no answer; the message says why in a few words."""


def refuse(kind: str) -> AddressRefused:
    """The refusal of this kind, one of :data:`REASONS`."""
    return AddressRefused(reason=REASONS[kind], kind=kind)


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may have this address, and nobody else."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in closed for closed in _CLOSED)
    if address.scope_id is not None or address not in _V6_PUBLIC:
        return False
    return not any(address in closed for closed in _V6_CLOSED)


class Rules:
    """Which addresses may be called: public ones, and those in networks of our own."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def is_own(self, address: Address) -> bool:
        """Whether it lies in one of the installation's own networks."""
        return getattr(address, "scope_id", None) is None and any(
            address in network for network in self._networks if network.version == address.version
        )

    def vet(self, scheme: str, port: int, addresses: Sequence[str]) -> list[str]:
        """The addresses to connect to. Raises :class:`~opsmantik.errors.AddressRefused` if any is not allowed."""
        try:
            found = [ipaddress.ip_address(address) for address in addresses]
        except ValueError:
            raise refuse("private") from None
        if not found:
            raise refuse("unresolved")
        if not all(is_public(address) or self.is_own(address) for address in found):
            raise refuse("private")
        if not all(self.is_own(address) for address in found):
            if scheme != "https":
                raise refuse("scheme")
            if port not in PORTS:
                raise refuse("port")
        return [str(address) for address in found[:MOST_ADDRESSES]]


def read_address(text: str) -> httpx.URL:
    """The address, read once: what is looked at is what is called.

    Raises :class:`~opsmantik.errors.AddressRefused` for what is no address of a web server.
    """
    try:
        url = httpx.URL(text)
        readable = bool(url.host) and len(text) <= LONGEST_ADDRESS and text.isprintable() and " " not in text
    except (httpx.InvalidURL, ValueError, UnicodeError, TypeError):
        readable = False
    if not readable or "\\" in text or "%" in url.host or not 0 < (url.port or 443) < 65536:
        raise refuse("unreadable")
    if url.scheme not in ("https", "http"):
        raise refuse("scheme")
    if url.userinfo:
        raise refuse("credentials")
    return url.copy_with(fragment=None)


def port_of(url: httpx.URL) -> int:
    """The port, also where it is not written."""
    return url.port or (443 if url.scheme == "https" else 80)


async def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, as the system's resolver says. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(RESOLVE_SECONDS):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for, written as a number or as a date; None for anything else."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max((at - now).total_seconds(), 0.0) if at.tzinfo is not None else None


class Outbound:
    """Calls addresses, under the rules."""

    def __init__(
        self, networks: Iterable[Network] = (), *, resolver: Resolve = resolve, seconds: float = SECONDS
    ) -> None:
        self._rules = Rules(networks)
        self._resolve = resolver
        self._seconds = seconds
        self._client = httpx.AsyncClient(
            transport=transport(self._rules, resolver),
            timeout=seconds,
            follow_redirects=False,
            trust_env=False,
        )

    async def check(self, text: str) -> str:
        """Whether this address could be called now; the address as it will be.

        Raises :class:`~opsmantik.errors.AddressRefused`. The connection is vetted again when it is made.
        """
        url = read_address(text)
        self._rules.vet(url.scheme, port_of(url), await _resolved(self._resolve, url.host, port_of(url)))
        return str(url)

    async def post(self, text: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send it, and read the beginning of the answer.

        Raises :class:`~opsmantik.errors.AddressRefused`, and :class:`CallFailed` if there is no answer in time.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._seconds):
                url = read_address(text)
                sent = {"accept-encoding": "identity", **headers}
                async with self._client.stream("POST", url, content=body, headers=sent) as response:
                    excerpt = await _beginning(response)
        except (TimeoutError, httpx.TimeoutException):
            raise CallFailed(f"no answer within {self._seconds:g} seconds") from None
        except (httpx.HTTPError, OSError, ValueError) as failed:
            raise CallFailed(_words(failed)) from None
        milliseconds = round((time.monotonic() - began) * 1000)
        return Answer(response.status_code, excerpt, dict(response.headers), milliseconds)

    async def read_page(self, text: str, headers: Mapping[str, str], most: int) -> Fetched:
        """Read the beginning of a page, at most ``most`` bytes of it. A redirect is an answer like any other.

        Raises :class:`~opsmantik.errors.AddressRefused`, and :class:`CallFailed` if there is no answer in time, or none
        that can be read.
        """
        try:
            async with asyncio.timeout(self._seconds):
                url = read_address(text)
                sent = {"accept-encoding": "gzip", **headers}
                async with self._client.stream("GET", url, headers=sent) as response:
                    body = await _unpacked(response, most)
        except (TimeoutError, httpx.TimeoutException):
            raise CallFailed(f"no answer within {self._seconds:g} seconds") from None
        except (httpx.HTTPError, OSError, ValueError, zlib.error) as failed:
            raise CallFailed(_words(failed)) from None
        return Fetched(str(url), response.status_code, dict(response.headers), body)

    async def close(self) -> None:
        await self._client.aclose()


async def _beginning(response: httpx.Response) -> str:
    """No more than is kept; the rest of the body is never read."""
    found = b""
    async for part in response.aiter_raw():
        found += part
        if len(found) >= EXCERPT_BYTES:
            break
    return found[:EXCERPT_BYTES].decode("utf-8", "replace").replace("\x00", "�")


async def _unpacked(response: httpx.Response, most: int) -> bytes:
    """The beginning of a body; a packed one is unpacked no further than that, however large it would become."""
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "", "gzip", "x-gzip"):
        raise httpx.DecodingError(f"it is packed by {packing[:20]}")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in packing else None
    found, came = b"", 0
    async for part in response.aiter_raw():
        came += len(part)
        found += unpack.decompress(part, most - len(found)) if unpack is not None else part
        if len(found) >= most or came >= most:
            break
    return found[:most]


def _words(failed: Exception) -> str:
    """What went wrong on the way there, for the person who reads the log. Nothing of our own machine is in it."""
    cause: BaseException | None = failed
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if type(cause).__name__.startswith(("SSL", "CertificateError")):
            return f"TLS: {getattr(cause, 'verify_message', '') or getattr(cause, 'reason', '') or 'failed'}"[
                :200
            ]
        cause = cause.__cause__ or cause.__context__
    return "the connection broke" if isinstance(failed, httpx.TransportError) else "the call failed"


def transport(rules: Rules, resolver: Resolve = resolve) -> httpx.AsyncBaseTransport:
    """For an ``httpx.AsyncClient`` that calls under the rules. Every call makes a connection of its own."""
    return _Transport(rules, resolver)


class _Transport(httpx.AsyncBaseTransport):
    """httpx over a pool whose connections we make. Not httpx's own transport with its pool replaced: if that changes
    one day, calls must fail and not go out unseen."""

    def __init__(self, rules: Rules, resolver: Resolve) -> None:
        self._rules = rules
        self._resolve = resolver
        self._context = httpx.create_ssl_context(trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One call on one connection, which is closed with the answer."""
        url = request.url
        backend = _Pinned(self._rules, self._resolve, url.scheme)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._context, network_backend=backend, max_keepalive_connections=0, retries=0
        )
        try:
            answer = await pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=port_of(url), target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException as failed:
            await pool.aclose()
            raise _as_httpx(failed, request) from failed
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream, pool, request),
            extensions=answer.extensions,
        )  # fmt: skip


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any, pool: httpcore.AsyncConnectionPool, request: httpx.Request) -> None:
        self._stream = stream
        self._pool = pool
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as failed:
            raise _as_httpx(failed, self._request) from failed

    async def aclose(self) -> None:
        await self._stream.aclose()
        await self._pool.aclose()


def _as_httpx(failed: BaseException, request: httpx.Request) -> BaseException:
    # Whether anything was sent makes a difference to whoever would send it again.
    if isinstance(failed, httpcore.ConnectTimeout):
        return httpx.ConnectTimeout("no connection in time", request=request)
    if isinstance(failed, httpcore.TimeoutException):
        return httpx.ReadTimeout("no answer in time", request=request)
    if isinstance(failed, httpcore.ProtocolError | httpcore.UnsupportedProtocol):
        return httpx.RemoteProtocolError("what came back is not HTTP", request=request)
    if isinstance(failed, httpcore.ConnectError):
        return httpx.ConnectError("no connection was made", request=request)
    if isinstance(failed, httpcore.NetworkError):
        return httpx.ReadError("the connection broke", request=request)
    return failed


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the address that was vetted. TLS is begun by the caller, with the name."""

    def __init__(self, rules: Rules, resolver: Resolve, scheme: str) -> None:
        self._rules = rules
        self._resolve = resolver
        self._scheme = scheme
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, vet, connect. Raises :class:`~opsmantik.errors.AddressRefused`."""
        *others, last = self._rules.vet(self._scheme, port, await _resolved(self._resolve, host, port))
        for address in others:
            with suppress(httpcore.NetworkError):  # perhaps this machine has no way there by IPv6
                return await self._inner.connect_tcp(address, port, timeout=timeout)
        return await self._inner.connect_tcp(last, port, timeout=timeout)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise refuse("private")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolved(resolver: Resolve, host: str, port: int) -> Sequence[str]:
    try:
        return await resolver(host.strip("[]"), port)
    except (OSError, TimeoutError, UnicodeError):
        raise refuse("unresolved") from None
