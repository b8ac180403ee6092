"""``opsmantik serve``: the web server alone, with DATABASE_URL or an embedded server that runs already."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opsmantik import settings as environment
from opsmantik.errors import NotReady, PortInUse, SettingsError

if TYPE_CHECKING:
    import uvicorn

    from opsmantik.web.app import Application

BACKLOG = 2048
# A server that was killed a moment ago still lets go of its port.
PORT_SECONDS = 3.0
# Longer than the 60 s for which the usual proxies keep a connection, so that they are the ones to close it.
KEEP_ALIVE_SECONDS = 75
DRAIN_SECONDS = 10


def serve(
    fd: Annotated[
        int | None, typer.Option(hidden=True, help="A listening socket that was handed over.")
    ] = None,
) -> None:
    """Serve the web pages and take events; the database has to run and be migrated."""
    import uvicorn
    import uvloop

    from opsmantik.cli import ending, logs
    from opsmantik.db import embedded
    from opsmantik.web.app import create_app

    settings = environment.load()
    logs.configure(settings.log_level)
    embedded.require_running(settings)
    listener = listen(settings) if fd is None else socket.socket(fileno=fd)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # OPSMANTIK_TRUSTED_PROXIES decides who may speak for a client
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=BACKLOG,
    )
    server = ending.Server(config)
    signal.signal(signal.SIGTERM, _end)  # uvicorn drains first, then gives the signal back to us
    gc.collect()
    gc.freeze()  # what is loaded by now stays: no collection need look at it again
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(server, app, listener, embedded.database_urls(settings)[0]))
    if not server.started:
        raise NotReady(reason="its start failed; the lines above tell why")


async def _serve(server: uvicorn.Server, app: Application, listener: socket.socket, owner_url: str) -> None:
    """Serve until a signal comes; the background jobs run beside, as the schema's owner."""
    from opsmantik.cli.jobs import JOBS
    from opsmantik.cli.watch import WATCH
    from opsmantik.upkeep.runner import Upkeep

    # The watchdog by itself: it has to notice a job that hangs.
    upkeep = [Upkeep(owner_url, [job for job in JOBS if job is not WATCH]), Upkeep(owner_url, [WATCH])]
    for each in upkeep:
        await each.start()
    app.readiness.workers |= {"upkeep": upkeep[0].healthy, "watchdog": upkeep[1].healthy}
    try:
        await server.serve(sockets=[listener])
    finally:
        for each in upkeep:
            await each.stop()


def listen(settings: environment.Settings) -> socket.socket:
    """The listening socket. Raises :class:`~opsmantik.errors.PortInUse` or ``SettingsError``."""
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        try:
            family, _, _, _, address = socket.getaddrinfo(
                settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            return socket.create_server(address[:2], family=family, backlog=BACKLOG)
        except OSError as refused:
            if refused.errno != errno.EADDRINUSE:
                where = "HOST" if isinstance(refused, socket.gaierror) else "PORT"
                problem = f"cannot listen on {settings.host}, port {settings.port} ({refused.strerror})"
                raise SettingsError(variable=f"OPSMANTIK_{where}", problem=problem) from refused
            if time.monotonic() > deadline:
                raise PortInUse(host=settings.host, port=settings.port) from None
        time.sleep(0.1)


def _end(signum: int, frame: Any) -> None:
    raise SystemExit(0)
