"""Servers to be killed, one after the other over one listening socket: forked from a process that has loaded everything, so
that a hundred of them cost two minutes. Each one's process id is a line on standard output. ``python -m``, with the
socket's number; it ends when its standard input does."""

from __future__ import annotations

import os
import select
import signal
import sys

import uvicorn
import uvloop

from opsmantik import settings
from opsmantik.cli import jobs, logs, serve, watch
from opsmantik.db.child import preparation
from opsmantik.web import app

__all__ = ["jobs", "logs", "uvicorn", "uvloop", "watch"]  # loaded before, so that no fork has to


def main() -> None:
    number = int(sys.argv[1])
    made = app.create_app(settings.load())
    app.create_app = lambda settings, **more: made
    while not select.select([sys.stdin], [], [], 0)[0]:
        prepare = preparation(at_parents_death=signal.SIGKILL)
        child = os.fork()
        if child == 0:
            prepare()
            os.dup2(2, 1)  # its log goes where ours goes
            serve.serve(fd=number)
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
