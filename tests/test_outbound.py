"""Nowhere but to the public internet: which addresses may be called, and that nothing gets around it."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from opsmantik import outbound
from opsmantik.errors import AddressRefused
from opsmantik.outbound import CallFailed, Outbound, Rules, is_public, read_address, transport

pytestmark = pytest.mark.slow

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a02:26f0::1", "2400:cb00::1"]
CLOSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    "link local, where clouds keep their secrets": ["169.254.169.254", "169.254.0.1", "fe80::1"],
    "link local with a zone": ["fe80::1%eth0", "2606:4700::1111%eth0"],
    "shared by a carrier's customers": ["100.64.0.1", "100.127.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.8", "192.88.99.1", "100::1", "5f00::1", "4000::1"],
    "documents and benchmarks": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1", "3fff::1"],
    "IPv4 in IPv6, mapped": ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8"],
    "IPv4 in IPv6, compatible": ["::7f00:1", "::8.8.8.8"],
    "6to4": ["2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1"],
    "Teredo": ["2001::1", "2001:0:53aa:64c:0:7fff:fefe:fefe"],
    "unique local": ["fc00::1", "fd00:ec2::254"],
    "site local": ["fec0::1"],
}  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("kind", CLOSED)
def test_no_other_is(kind: str) -> None:
    assert [a for a in CLOSED[kind] if is_public(ipaddress.ip_address(a))] == []


def test_of_a_name_every_address_has_to_be_public() -> None:
    assert Rules().vet("https", 443, ["8.8.8.8", "1.1.1.1"]) == ["8.8.8.8", "1.1.1.1"]
    for addresses in (["8.8.8.8", "10.0.0.1"], ["::1", "8.8.8.8"]):
        with pytest.raises(AddressRefused) as refused:
            Rules().vet("https", 443, addresses)
        assert refused.value.details["kind"] == "private"


def test_a_network_of_ones_own_is_open_and_a_zone_or_a_disguise_is_not_in_it() -> None:
    rules = Rules([ipaddress.ip_network("10.1.0.0/16"), *LOOPBACK])
    assert rules.vet("http", 3000, ["10.1.2.3"]) == ["10.1.2.3"]
    for address in ("10.2.0.1", "::ffff:127.0.0.1", "::1%lo", "2002:7f00:1::"):
        with pytest.raises(AddressRefused):
            rules.vet("http", 3000, [address])


# What is refused, by why.
REFUSED: dict[str, list[str]] = {
    "unreadable": ["", "example.com", "https://", "https://exa mple.com/", "https://e\x00.com/",
        "https://example.com/\n", "https://[::1", "https://[fe80::1%25eth0]/", "https://example.com\\@127.0.0.1/",
        "https://example.com:99999/", "https://" + "a" * 2000 + ".com/"],
    "scheme": ["//example.com/x", "http://93.184.215.14/", "ftp://93.184.215.14/", "file:///etc/passwd", "gopher://93.184.215.14/"],
    "credentials": ["https://user:password@example.com/", "https://token@93.184.215.14/"],
    "port": ["https://93.184.215.14:22/", "https://93.184.215.14:5432/", "https://93.184.215.14:80/"],
    "private": ["https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::ffff:127.0.0.1]/",
        "https://localhost/", "https://2130706433/", "https://0x7f.1/", "https://127.1/",
        "https://0/", "https://[::]/", "https://[64:ff9b::a9fe:a9fe]/", "https://10.0.0.1:8443/"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "address"), [(kind, a) for kind in REFUSED for a in REFUSED[kind]])
async def test_an_address_is_refused_when_it_is_saved(kind: str, address: str) -> None:
    client = Outbound()
    with pytest.raises(AddressRefused) as refused:
        await client.check(address)
    found = refused.value.details["kind"]
    # ftp: and file: have no host to begin with in some spellings.
    assert found == kind or (kind == "scheme" and found == "unreadable" and address.startswith("file")), found
    assert refused.value.status == 422
    await client.close()


async def test_a_name_that_nobody_knows_is_refused() -> None:
    async def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    client = Outbound(resolver=nobody)
    with pytest.raises(AddressRefused) as refused:
        await client.check("https://nobody.example/")
    assert refused.value.details["kind"] == "unresolved"
    await client.close()


async def test_what_is_saved_is_what_was_read() -> None:
    client = Outbound()
    assert await client.check("https://93.184.215.14:8443/a?b=c#d") == "https://93.184.215.14:8443/a?b=c"
    assert str(read_address("HTTPS://EXAMPLE.com/A")) == "https://example.com/A"
    await client.close()


# What comes back, from a server that does what a test says.


@asynccontextmanager
async def serving(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], **more: Any
) -> AsyncIterator[int]:
    """A TCP server on a free loopback port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, **more)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def answering(text: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()

    return handle


async def test_the_address_is_looked_at_again_when_it_is_called() -> None:
    """A name that answers with a public address when it is saved, and with ours when it is called."""
    answers = [["93.184.215.14"], ["127.0.0.1"], ["127.0.0.1"]]
    called = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        assert host == "rebind.example"
        return answers.pop(0)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(await reader.read(1))

    async with serving(handle) as port:
        client = Outbound(resolver=rebinding)
        await client.check("https://rebind.example/")
        with pytest.raises(AddressRefused) as refused:
            await client.post("https://rebind.example/", b"{}", {})
        assert refused.value.details["kind"] == "private"
        with pytest.raises(AddressRefused):
            await client.post(f"http://rebind.example:{port}/", b"{}", {})
        await client.close()
    assert called == [] and answers == []


async def test_it_connects_to_the_address_that_was_looked_at() -> None:
    """The name means nothing to the system's resolver: only the one answer that was vetted leads anywhere."""
    asked = []

    async def once(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with serving(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as port:
        client = Outbound(LOOPBACK, resolver=once)
        answer = await client.post(f"http://only-here.invalid:{port}/x", b"{}", {})
        await client.close()
    assert (answer.status, answer.excerpt, asked) == (200, "ok", ["only-here.invalid"])


async def test_the_next_address_is_tried_where_the_first_leads_nowhere() -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.77", "127.0.0.1"]

    async with serving(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as port:
        client = Outbound(LOOPBACK, resolver=both)
        assert (await client.post(f"http://two.example:{port}/", b"", {})).status == 204
        await client.close()


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/there", "http://169.254.169.254/", "//elsewhere.example/"]
)
async def test_a_redirect_is_an_answer_and_nothing_more(target: str) -> None:
    requests = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append((await reader.readuntil(b"\r\n")).split()[1])
        location = target.format(port=port).encode()
        writer.write(
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: " + location + b"\r\ncontent-length: 0\r\n\r\n"
        )
        await writer.drain()

    async with serving(handle) as port:
        client = Outbound(LOOPBACK)
        assert (await client.post(f"http://127.0.0.1:{port}/here", b"", {})).status == 307
        await client.close()
    assert requests == [b"/here"]


async def test_no_more_of_an_answer_is_read_than_is_kept() -> None:
    sent = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n")
        for _ in range(100):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with serving(handle, limit=2**16) as port:
        client = Outbound(LOOPBACK)
        answer = await client.post(f"http://127.0.0.1:{port}/", b"", {})
        await client.close()
    assert answer.status == 200 and answer.excerpt == "x" * outbound.EXCERPT_BYTES
    assert sent < 9_000_000


async def fetched(text: bytes, most: int = 1000) -> outbound.Fetched:
    async with serving(answering(text)) as port:
        client = Outbound(LOOPBACK)
        try:
            return await client.read_page(f"http://127.0.0.1:{port}/page", {"user-agent": "x"}, most)
        finally:
            await client.close()


async def test_a_page_is_read_as_far_as_is_asked() -> None:
    page = await fetched(b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\ncontent-length: 10\r\n\r\n0123456789", 4)
    assert (page.status, page.body, page.headers["x-a"]) == (404, b"0123", "1")


async def test_a_packed_page_is_unpacked_no_further_than_is_asked() -> None:
    packed = gzip.compress(b"a" * 50_000_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    tracemalloc.start()
    page = await fetched(head + packed, 1000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert page.body == b"a" * 1000
    assert most < 5_000_000


UNREADABLE = {
    "packed by something else": b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx",
    "not packed as it says": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
    "no answer at all": b"",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_page_that_cannot_be_read_is_no_answer(text: bytes) -> None:
    with pytest.raises(CallFailed):
        await fetched(text)


async def test_a_redirect_of_a_page_is_an_answer_too() -> None:
    page = await fetched(
        b"HTTP/1.1 301 Moved\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
    )
    assert (page.status, page.headers["location"]) == (301, "http://169.254.169.254/")


async def test_a_page_in_a_private_network_is_not_read() -> None:
    client = Outbound()
    with pytest.raises(AddressRefused):
        await client.read_page("https://127.0.0.1/", {}, 10)
    await client.close()


FAULTS: dict[str, tuple[bytes | None, str]] = {
    "closes at once": (b"", "the connection broke"),
    "is no web server": (b"220 smtp.example ESMTP\r\n", "the connection broke"),
    "closes in the middle of its answer": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "the connection broke",
    ),
    "says nothing": (None, "no answer within 0.3 seconds"),
}


@pytest.mark.parametrize(("text", "words"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_server_that_fails_is_told_from_one_that_answers(text: bytes | None, words: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if text is None:
            await asyncio.sleep(2)
        else:
            writer.write(text)
            await writer.drain()

    async with serving(handle) as port:
        client = Outbound(LOOPBACK, seconds=0.3)
        with pytest.raises(CallFailed, match=words):
            await client.post(f"http://127.0.0.1:{port}/", b"", {})
        await client.close()


async def test_an_answer_that_drips_ends_in_time_all_the_same() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(handle) as port:
        client = Outbound(LOOPBACK, seconds=0.3)
        with pytest.raises(CallFailed, match="no answer within"):
            await client.post(f"http://127.0.0.1:{port}/", b"", {})
        await client.close()


async def test_nobody_there_is_said_in_words() -> None:
    async with serving(answering(b"")) as port:
        pass
    client = Outbound(LOOPBACK)
    with pytest.raises(CallFailed, match="the connection was refused"):
        await client.post(f"http://127.0.0.1:{port}/", b"", {})
    await client.close()


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as port:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        client = Outbound(LOOPBACK)
        assert (await client.post(f"http://127.0.0.1:{port}/", b"", {})).status == 200
        await client.close()


async def test_other_clients_are_bound_by_the_same_transport() -> None:
    async with httpx.AsyncClient(transport=transport(Rules())) as client:
        with pytest.raises(AddressRefused):
            await client.get("https://169.254.169.254/")
        with pytest.raises(AddressRefused):
            await client.get("http://localhost:8000/")
    async with (
        serving(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")) as port,
        httpx.AsyncClient(transport=transport(Rules(LOOPBACK))) as client,
    ):
        assert (await client.get(f"http://127.0.0.1:{port}/")).text == "hello"


# TLS asks for the name, although the connection is made to an address.


def certificate(name: str, directory: Path) -> ssl.SSLContext:
    """A certificate for a name that nobody has vouched for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(("trusted", "asked", "words"), [
    (True, "hooks.example", None), (True, "other.example", "TLS: Hostname mismatch"), (False, "hooks.example", "TLS: self"),
])  # fmt: skip
async def test_tls_is_with_the_name_and_is_verified(
    trusted: bool, asked: str, words: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    context = certificate("hooks.example", tmp_path)
    context.sni_callback = lambda _, name, __: names.append(name)
    if trusted:
        own = ssl.create_default_context(cafile=tmp_path / "hooks.example.pem")
        monkeypatch.setattr(outbound.httpx, "create_ssl_context", lambda **_: own)

    async def resolver(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with serving(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), ssl=context) as port:
        client = Outbound(LOOPBACK, resolver=resolver)
        address = f"https://{asked}:{port}/"
        if words is None:
            assert (await client.post(address, b"", {})).status == 200
        else:
            with pytest.raises(CallFailed, match=words):
                await client.post(address, b"", {})
        await client.close()
    assert names == [asked]
