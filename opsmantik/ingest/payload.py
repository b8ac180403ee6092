"""What the doors read: bodies in, :class:`~opsmantik.event.Event` out.

Two formats, told apart by their keys, at any door. The present tracker sends ``{"site", "sent", "v", "events":
[…]}`` or one event beside ``site``; the first generation sends one flat object with ``s, u, sid, ec, ea, …``, and
later versions of it ``{"events"|"batch": […]}`` of those.

Strings are mended rather than refused (a NUL or half a surrogate pair becomes U+FFFD, what is too long is cut)
and the event carries a flag that says so. What has no meaning at all is refused: not JSON, not an object, a
number that no column holds.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from opsmantik.errors import Malformed
from opsmantik.event import Arrival, Drop, Event
from opsmantik.ingest.first_generation import read_first_generation
from opsmantik.ingest.present import read_item

MAX_BATCH = 100
# Escapes that are looked at one by one, where any of them has to be mended.
MAX_ESCAPES = 50_000
# A body counts as many events against its client's rate as it holds, or one for each so many bytes.
BYTES_AN_EVENT = 16_384


class Body(msgspec.Struct, gc=False):
    """The outside of a body: enough to know its site and its format."""

    site: Any = None
    s: Any = None
    sent: Any = None
    v: Any = None
    events: list[msgspec.Raw] | None = None
    batch: list[msgspec.Raw] | None = None
    ec: Any = None
    ea: Any = None


_body = msgspec.json.Decoder(Body)

# Every escape in a JSON text, so that an escaped backslash before a "u" is not taken for one.
_ESCAPE = re.compile(
    rb"\\(?:u(?P<nul>0000)|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def clean(raw: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A body that can be decoded and stored, and the flags that say what was mended.

    Raises :class:`~opsmantik.errors.Malformed` for bytes that are not UTF-8, and for more escapes than can be mended at a
    reasonable price.
    """
    if raw[:3] == b"\xef\xbb\xbf":
        raw = raw[3:]
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise Malformed(reason="it is not UTF-8") from None
    if b"\\u" not in raw or not _SUSPECT.search(raw):
        return raw, ()
    if raw.count(b"\\") > MAX_ESCAPES:
        raise Malformed(reason="it holds more escapes than any text needs")
    flags: list[str] = []

    def mend(match: re.Match[bytes]) -> bytes:
        if match["nul"] or match["half"]:
            flag = "nul_replaced" if match["nul"] else "surrogate_replaced"
            if flag not in flags:
                flags.append(flag)
            return b"\\ufffd"
        return match[0]

    return _ESCAPE.sub(mend, raw), tuple(flags)


def read_body(raw: bytes) -> Body:
    """The outside of a body. Raises Malformed when it is not a JSON object or nests too deep."""
    try:
        return _body.decode(raw)
    except msgspec.ValidationError as wrong:
        raise Malformed(reason=str(wrong)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise Malformed(reason=str(wrong)) from None
    except RecursionError:
        raise Malformed(reason="it nests too deep") from None


def site_id(body: Body) -> str | None:
    """The public id that a body names, in one spelling: 32 lower-case hex digits where it is a UUID.

    A later first-generation batch names it inside its events.
    """
    name = body.site if body.site is not None else body.s
    if name is None:
        items = body.events or body.batch
        if items:
            try:
                name = _body.decode(items[0]).s
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                return None
    return name.replace("-", "").lower()[:64] if type(name) is str else None


def read_events(body: Body, raw: bytes, arrival: Arrival, flags: tuple[str, ...]) -> list[Event | Drop]:
    """The events of a body, in order; a place that cannot be read holds the reason instead."""
    items = body.events if body.events is not None else body.batch
    if items is None:
        if body.s is not None or body.ec is not None:
            arrival.first_generation = True
            return [read_first_generation(raw, arrival, flags)]
        return [read_item(raw, arrival, flags)]
    if not items:
        raise Malformed(reason="its list of events is empty")
    if len(items) > MAX_BATCH:
        raise Malformed(reason=f"a batch holds at most {MAX_BATCH} events")
    result: list[Event | Drop] = []
    for item in items:
        data = bytes(item)
        if b'"ec"' in data or b'"ea"' in data:
            arrival.first_generation = True
            result.append(read_first_generation(data, arrival, flags))
        else:
            result.append(read_item(data, arrival, flags))
    return result
