"""Rows of a table in a Parquet file, and back: every value as it was, each row in the file's checksum.

Enters: the owner's connection inside a transaction, names of columns with their PostgreSQL types. Whole numbers, booleans,
dates, times and floating-point numbers become what Parquet has for them; everything else (UUIDs, JSON, lists, exact
numbers) becomes the text by which PostgreSQL writes it. The manifest says which is which.

The checksum is the sum over all rows of the first 60 bits of a row's MD5, so that no order matters. PostgreSQL works it
out of its rows and this module out of the file's: neither takes the other's word.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import queue
import re
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import read_parquet, write_parquet

BATCH: Final = 4000
ROW_GROUP: Final = 64_000
COMPRESSION: Final = "zstd(6)"
BETWEEN: Final = "\x1f"
NOTHING: Final = "\x1e"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_ZERO: Final = date(1970, 1, 1)
_ESCAPED: Final = re.compile(r"\\(.)")
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_HIDE: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"})


class Column(msgspec.Struct, frozen=True):
    """A column by its name and PostgreSQL type, as ``format_type`` writes it."""

    name: str
    type: str


class Content(msgspec.Struct, frozen=True):
    """What is in a table or a file: how many rows, and their checksum."""

    rows: int
    checksum: str


class _Kind(msgspec.Struct, frozen=True):
    """How values of a type travel. ``out``: an SQL expression of the column, whose text goes into the checksum. ``read``:
    from that text to what the file gets. ``say``: from what the file holds to that text. ``back``: to what COPY reads.
    ``arrow`` is what the file has; ``raw`` what Python's values are put into first, if not the same."""

    out: str
    arrow: DataType
    read: Callable[[str], Any]
    say: Callable[[Any], str]
    back: Callable[[Any], str]
    raw: DataType | None = None


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda m: _LETTERS.get(m[1], m[1]), text) if "\\" in text else text


def _hidden(text: str) -> str:
    return text.translate(_HIDE)


_WHOLE: Final = _Kind("{}", DataType.int64(), int, str, str)
_TEXT: Final = _Kind("{}::text", DataType.utf8(), _unescaped, str, _hidden)
_KINDS: Final[dict[str, _Kind]] = {
    "smallint": _WHOLE,
    "integer": _WHOLE,
    "bigint": _WHOLE,
    "boolean": _Kind(
        "{}::integer", DataType.bool(), lambda t: t == "1", lambda v: "1" if v else "0", lambda v: "t" if v else "f"
    ),
    "date": _Kind(
        "({} - date '1970-01-01')", DataType.date32(), int, str,
        lambda v: (_DAY_ZERO + timedelta(days=v)).isoformat(), DataType.int32(),
    ),
    # Exact: numeric before it is a whole number of microseconds.
    "timestamp with time zone": _Kind(
        "(extract(epoch FROM {}) * 1000000)::bigint", DataType.timestamp("us", tz="UTC"), int, str,
        lambda v: (_EPOCH + timedelta(microseconds=v)).isoformat(), DataType.int64(),
    ),
    "real": _Kind(
        "encode(float4send({}), 'hex')", DataType.float32(), lambda t: struct.unpack(">f", bytes.fromhex(t))[0],
        lambda v: struct.pack(">f", v).hex(), repr,
    ),
    "double precision": _Kind(
        "encode(float8send({}), 'hex')", DataType.float64(), lambda t: struct.unpack(">d", bytes.fromhex(t))[0],
        lambda v: struct.pack(">d", v).hex(), repr,
    ),
}  # fmt: skip


def _kind(column: Column) -> _Kind:
    return _KINDS.get(column.type, _TEXT)


def _out(column: Column) -> str:
    return _kind(column).out.format('"' + column.name.replace('"', '""') + '"')


def content_query(columns: Sequence[Column], source: str) -> str:
    """The statement by which PostgreSQL tells the :class:`Content` of ``source``, a FROM clause of our own making."""
    text = f" || E'\\x{ord(BETWEEN):02x}' || ".join(
        f"coalesce(({_out(column)})::text, E'\\x{ord(NOTHING):02x}')" for column in columns
    )
    return (
        "SELECT count(*) AS rows, coalesce(sum(('x' || left(md5(t.line), 15))::bit(60)::bigint), 0)::text AS checksum"  # noqa: S608
        f" FROM (SELECT {text} AS line FROM {source}) t"
    )


async def content(connection: Any, columns: Sequence[Column], source: str, *values: Any) -> Content:
    """What PostgreSQL says is in ``source``."""
    return Content(**await connection.fetchrow(content_query(columns, source), *values))


async def write(connection: Any, columns: Sequence[Column], source: str, path: Path, *values: Any) -> None:
    """Write the rows of ``source`` into a new file, which is on the disk when this returns. Memory holds a few batches."""
    select = f"SELECT {', '.join(map(_out, columns))} FROM {source}"  # noqa: S608 - ours
    pipe: queue.Queue[list[str] | Exception | None] = queue.Queue(maxsize=4)
    writer = asyncio.ensure_future(asyncio.to_thread(_write, pipe, columns, path))

    async def pass_on(item: list[str] | Exception | None) -> None:
        while not writer.done():
            try:
                return pipe.put_nowait(item)
            except queue.Full:
                await asyncio.sleep(0.002)
        await writer  # it has failed: a full disk, say
        raise RuntimeError("the file was finished too early")

    rest = b""
    lines: list[str] = []

    async def take(data: bytes) -> None:
        nonlocal rest, lines
        *whole, rest = (rest + data).split(b"\n")
        lines += [line.decode() for line in whole]
        while len(lines) >= BATCH:
            batch, lines = lines[:BATCH], lines[BATCH:]
            await pass_on(batch)

    try:
        await connection.copy_from_query(select, *values, output=take, format="text")
        await pass_on(lines)
        await pass_on(None)
        await writer
    except BaseException:
        while not writer.done():
            try:
                pipe.put_nowait(ConnectionAbortedError("the rows ended early"))
                break
            except queue.Full:
                pipe.get_nowait()
        await asyncio.gather(writer, return_exceptions=True)
        raise


def _write(pipe: queue.Queue[list[str] | Exception | None], columns: Sequence[Column], path: Path) -> None:
    schema = Schema([Field(column.name, _kind(column).arrow, nullable=True) for column in columns])

    def batches() -> Iterator[RecordBatch]:
        while (lines := pipe.get()) is not None:
            if isinstance(lines, Exception):
                raise lines
            if lines:
                yield _batch(lines, columns, schema)

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        write_parquet(
            RecordBatchReader.from_batches(schema, batches()), file, compression=COMPRESSION,
            max_row_group_size=ROW_GROUP,
        )  # fmt: skip
    with path.open("rb") as written:
        os.fsync(written.fileno())


def _batch(lines: Sequence[str], columns: Sequence[Column], schema: Schema) -> RecordBatch:
    arrays = []
    for column, texts in zip(columns, zip(*(line.split("\t") for line in lines), strict=True), strict=True):
        kind = _kind(column)
        values = [None if text == "\\N" else kind.read(text) for text in texts]
        array = Array(values, kind.raw or kind.arrow)
        arrays.append(array.cast(kind.arrow) if kind.raw else array)
    return RecordBatch.from_arrays(arrays, schema=schema)


def _rows(path: Path, columns: Sequence[Column]) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The rows of a file, batch by batch. Raises ``ValueError`` for a file of other columns."""
    reader = read_parquet(path, batch_size=BATCH)
    names = [column.name for column in columns]
    for batch in reader:
        if batch.column_names != names:
            raise ValueError("the file has other columns")
        lists = []
        for column, array in zip(columns, batch.columns, strict=True):
            raw = _kind(column).raw
            lists.append((array.cast(raw) if raw else array).to_pylist())
        yield zip(*lists, strict=True)


def read_content(path: Path, columns: Sequence[Column]) -> Content:
    """What is in a file, read from its first row to its last."""
    says = [_kind(column).say for column in columns]
    rows, total = 0, 0
    for batch in _rows(path, columns):
        for row in batch:
            line = BETWEEN.join([NOTHING if v is None else say(v) for v, say in zip(row, says, strict=True)])
            total += int(hashlib.md5(line.encode(), usedforsecurity=False).hexdigest()[:15], 16)
            rows += 1
    return Content(rows, str(total))


async def copy_lines(path: Path, columns: Sequence[Column]) -> AsyncIterator[bytes]:
    """A file's rows as COPY reads them in its text format."""
    backs = [_kind(column).back for column in columns]
    for batch in _rows(path, columns):
        yield "".join(
            "\t".join(["\\N" if v is None else back(v) for v, back in zip(row, backs, strict=True)]) + "\n"
            for row in batch
        ).encode()
        await asyncio.sleep(0)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
