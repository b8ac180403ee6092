"""Style, script, font and icons from the package, held in memory, compressed once.

An address with the right ``?v=`` (a hash of the content) may be kept by a browser for ever.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).parent / "static"
TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".woff2": b"font/woff2",
}
ELSEWHERE = frozenset({"core.js"})  # the tracker: other sites' pages load it, under its own address and rules
FOR_EVER = b"public, max-age=31536000, immutable"
A_WHILE = b"public, max-age=3600"


class File(msgspec.Struct, frozen=True):
    """One file, ready to send."""

    body: bytes
    packed: bytes | None
    type: bytes
    version: str


def _read(path: Path) -> File:
    body = path.read_bytes()
    packed = gzip.compress(body, 9, mtime=0) if path.suffix != ".woff2" else None
    return File(body, packed, TYPES[path.suffix], sha256(body).hexdigest()[:12])


class StaticFiles:
    """Answers GET /static/…; knows the versioned address of each file."""

    def __init__(self, directory: Path = HERE) -> None:
        self._files = {
            path.relative_to(directory).as_posix(): _read(path)
            for path in sorted(directory.rglob("*"))
            if path.suffix in TYPES and path.name not in ELSEWHERE
        }

    def url(self, name: str) -> str:
        """The address for templates."""
        return f"/static/{name}?v={self._files[name].version}"

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        file = self._files.get(scope["path"].removeprefix("/static/"))
        if file is None or scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 404 if file is None else 405, [(b"content-type", b"text/plain")], b"")
            return
        headers = dict(scope["headers"])
        etag = b'"%b"' % file.version.encode()
        known = scope["query_string"] == b"v=" + file.version.encode() or file.type == TYPES[".woff2"]
        common = [
            (b"etag", etag),
            (b"cache-control", FOR_EVER if known else A_WHILE),
            (b"vary", b"Accept-Encoding"),
            (b"content-type", file.type),
        ]
        if headers.get(b"if-none-match") == etag:
            await _answer(send, 304, common, b"")
        elif file.packed and b"gzip" in headers.get(b"accept-encoding", b""):
            await _answer(send, 200, [*common, (b"content-encoding", b"gzip")], file.packed, scope["method"])
        else:
            await _answer(send, 200, common, file.body, scope["method"])


async def _answer(
    send: Callable[[Any], Awaitable[None]],
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    method: str = "GET",
) -> None:
    headers = headers if status == 304 else [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
