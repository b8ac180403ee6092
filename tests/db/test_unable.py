"""A database that answers that it cannot is one to come back to; what it cannot hold is told apart from that."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import asyncpg
import pytest

from opsmantik.db import connect
from opsmantik.db.connect import Database
from opsmantik.db.silence import UNACKNOWLEDGED_SECONDS, give_up_on_silence
from opsmantik.errors import DatabaseUnavailable
from opsmantik.ingest import writer as module
from opsmantik.ingest.writer import TRIES, Writer


@pytest.mark.parametrize(
    ("code", "expected"),
    {
        "53100": DatabaseUnavailable,  # the disk is full
        "53200": DatabaseUnavailable,  # no memory
        "53300": DatabaseUnavailable,  # no connection left
        "58030": DatabaseUnavailable,  # the disk is broken
        "57014": DatabaseUnavailable,  # it took too long
        "23503": asyncpg.ForeignKeyViolationError,
        "22P05": asyncpg.UntranslatableCharacterError,
        "54000": asyncpg.ProgramLimitExceededError,
    }.items(),
)
async def test_what_the_database_cannot_do_now_is_no_fault_of_what_was_asked(
    app_database: Any, code: str, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        async with app_database.connection() as connection:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")


async def test_a_connection_over_a_network_is_given_up_when_nothing_comes_any_more() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

    class Connection:
        _transport = writer.transport

    give_up_on_silence(Connection())
    own = writer.transport.get_extra_info("socket")
    assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNACKNOWLEDGED_SECONDS * 1000
    writer.close()
    server.close()


async def test_every_connection_of_a_pool_is_set_so(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(connect, "give_up_on_silence", seen.append)
    pool = Database(database.app, min_size=2, max_size=2)
    await pool.open()
    await pool.close()
    assert len(seen) == 2


@pytest.mark.parametrize(("seconds", "tries"), [(0.0, TRIES), (0.03, 1)])
async def test_who_waited_in_vain_once_waits_no_second_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, tries: int
) -> None:
    """Others wait behind it: with the database away each would wait three times as long as the one before."""
    monkeypatch.setattr(module, "VAIN_SECONDS", 0.02)
    tried = 0
    writer = Writer(Database("postgresql://nowhere"), lambda site, is_lead: None)

    async def commit(items: Any) -> list[str]:
        nonlocal tried
        tried += 1
        await asyncio.sleep(seconds)
        raise DatabaseUnavailable

    monkeypatch.setattr(writer, "_commit", commit)
    with pytest.raises(DatabaseUnavailable):
        await writer._store([])
    assert tried == tries
