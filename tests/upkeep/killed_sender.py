"""A sender to be killed: for each line on standard input one process, whose id is the answer; "gone" when it has ended.

Forked from a process that has loaded everything, so that a hundred of them cost no minute. Run with ``python -m``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import sys
from typing import Any

from opsmantik.conversions.google_data_manager import DataManager
from opsmantik.conversions.http import Http
from opsmantik.db.connect import Database
from opsmantik.outbound import Rules
from opsmantik.upkeep.sending import Sending


class Fixed:
    """A grant that is one token."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self, *, fresh: bool = False) -> str:
        return self._token

    def secret(self) -> str:
        raise NotImplementedError


def sender(database: Database, url: str, token: str) -> tuple[Sending, Http]:
    """A sender over the Data Manager API at this address."""
    http = Http(Rules([ipaddress.ip_network("127.0.0.0/8")]), seconds=5.0)
    adapter = DataManager(http, url, first_seconds=0.0)
    grant: Any = Fixed(token)
    return Sending(database, [adapter], lambda claimed: grant, every_seconds=0.01), http


async def _send(dsn: str, url: str, token: str) -> None:
    database = Database(dsn, max_size=4)
    await database.open()
    await sender(database, url, token)[0].start()
    await asyncio.Event().wait()


def main() -> None:
    dsn, url, token = sys.argv[1:4]
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its log is no answer of ours
            asyncio.run(_send(dsn, url, token))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
