"""A connection over which nothing comes any more is given up within seconds.

A database server that is switched off, or a network that is cut, says nothing: by themselves systems go on sending into
that silence for a quarter of an hour, and whoever waits for an answer waits as long.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Final

# With nothing under way: ask after so many seconds, again each second, and give up after the last.
IDLE_SECONDS: Final = 4
ASKS: Final = 2
# With something under way: the other machine itself, whatever the server on it does, has to acknowledge it in this time.
UNACKNOWLEDGED_SECONDS: Final = 6

_OPTIONS: Final = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", IDLE_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", ASKS),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", UNACKNOWLEDGED_SECONDS * 1000),
)


def give_up_on_silence(connection: Any) -> None:
    """Set it for this connection of the driver's. A socket on this machine needs none of it; where a system has not all of
    these options, those that it has."""
    transport = getattr(connection, "_transport", None)  # through a pool's proxy too; there is no public way
    shared = transport.get_extra_info("socket") if transport is not None else None
    if shared is None or shared.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with socket.socket(
        fileno=os.dup(shared.fileno())
    ) as own:  # not every event loop hands out a whole socket
        for level, name, value in _OPTIONS:
            if (option := getattr(socket, name, None)) is not None:
                own.setsockopt(level, option, value)
