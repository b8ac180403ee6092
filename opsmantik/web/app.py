"""The server: doors for events, pages for people, and the order in which their parts start and stop.

Events go straight to ``collect``, pages to the framework; the second never burdens the first, and each has
its own connections, so a slow page never holds up an event.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any
from uuid import UUID

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.routes import BaseRoute

from opsmantik.db import embedded
from opsmantik.db.replica import Replica
from opsmantik.errors import OpsMantikError
from opsmantik.keyring import keyring
from opsmantik.mail import Mailer
from opsmantik.outbound import Outbound
from opsmantik.people.attempts import Attempts
from opsmantik.people.invites import InviteLinks
from opsmantik.people.key_tries import KeyTries
from opsmantik.people.oidc import Providers, configured
from opsmantik.people.passwords import Passwords
from opsmantik.settings import Settings, secret
from opsmantik.sites import store as site_store
from opsmantik.web import (
    acts,
    api,
    batches_api,
    conversions_api,
    customers,
    dead_letters,
    decisions,
    failures,
    guard,
    health,
    legacy,
    login,
    metrics,
    oci,
    oci_script,
    oidc,
    reference,
    request_ids,
    rpc,
    stats,
    stream,
    webhooks_api,
)
from opsmantik.web import privacy as privacy_api
from opsmantik.web import refused as refused_api
from opsmantik.web.background import Background
from opsmantik.web.collect import Collect
from opsmantik.web.lead_mail import LeadMail, Signer
from opsmantik.web.live import Live
from opsmantik.web.pace import Pace
from opsmantik.web.pages import (
    account,
    activity,
    audit,
    confirm,
    connect_google,
    conversion_batches,
    conversion_route,
    conversions,
    demo,
    general,
    install,
    invite,
    keys,
    lead,
    leads,
    limits,
    log,
    members,
    membership,
    notifications,
    origins,
    ownership,
    passwords,
    platform,
    platform_health,
    privacy,
    providers,
    queue,
    refused,
    rules,
    second_factor,
    sessions,
    share,
    sharing,
    site,
    site_health,
    sites,
    summary,
    switcher,
    values,
    visit,
    webhooks,
)
from opsmantik.web.pages import (
    live as live_page,
)
from opsmantik.web.pages import (
    settings as settings_pages,
)
from opsmantik.web.rendering import environment
from opsmantik.web.static_files import StaticFiles
from opsmantik.web.summary_mail import PURPOSE, SummaryMail
from opsmantik.web.tracing import tracing

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PAGE_CONNECTIONS = 6
WORK_CONNECTIONS = 4
LARGEST_FORM = 64 * 1024

# No script, style, font or picture from anywhere but this server, none written into a page, and no page of
# ours inside another's frame.
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; object-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not "no-referrer": with that, browsers send "Origin: null" with our own forms.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
# What comes next on this connection would come too late: whoever sends it goes to the server that takes over.
LAST_ANSWER = (b"connection", b"close")
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Application:
    """An ASGI application: pages, streams, health and the ingest doors of one process."""

    def __init__(self, settings: Settings, app_dsn: str) -> None:
        self._static = StaticFiles()
        self._headers = HEADERS + ([STRICT_TRANSPORT] if settings.base_url.startswith("https:") else [])
        self._page_database = embedded.app_pool(settings, app_dsn, max_size=PAGE_CONNECTIONS)
        self._event_database = embedded.app_pool(settings, app_dsn)
        # Conversions and webhooks must not stand in the queue of fifty dashboards that are woken at once.
        self._work_database = embedded.app_pool(settings, app_dsn, max_size=WORK_CONNECTIONS)
        self.replica = self._follow_standby(settings)
        self._keyring = keyring(settings)
        self.collect = Collect(self._event_database, settings, self._keyring)
        self._mailer = Mailer(settings)
        self._outbound = Outbound(settings.webhook_networks)
        self._stop_links = Signer(settings)
        self._stop_summaries = Signer(settings, PURPOSE)
        self._templates = environment(self._static)
        self._summary_mail = SummaryMail(settings, self._page_database, self._stop_summaries, self._templates)
        self.background = Background(
            settings, self._work_database, self._keyring, self._mailer, self._outbound,
            LeadMail(settings, self._stop_links), self._summary_mail, folding_database=self._event_database,
        )  # fmt: skip
        self.live = Live(self._event_database.direct_dsn, settings.valkey_url, self._sequences, self._heard)
        self.readiness = health.Readiness(
            self._page_database, self.collect.healthy, home=settings.home, least_free_mb=settings.disk_free_mb,
            workers={"writer": self.collect.writer.healthy, **self.background.healthy},
        )  # fmt: skip
        self.requests = metrics.Requests()
        self.tracing = tracing()
        if self.tracing is not None:
            self.collect.writer.watch = self.tracing.batch
        self._hot = self.collect.paths
        self._framework = self._make_framework(settings)

    def _follow_standby(self, settings: Settings) -> Replica | None:
        if settings.read_database_url is None:
            return None
        standby = embedded.app_pool(settings, settings.read_database_url, max_size=PAGE_CONNECTIONS)
        self._page_database.replica = replica = Replica(self._page_database, standby)
        return replica

    def _heard(self) -> None:
        if self.replica is not None:
            self.replica.heard()

    def _make_framework(self, settings: Settings) -> Litestar:
        state = {
            "settings": settings,
            "database": self._page_database,
            "replica": self.replica,
            "live": self.live,
            "collect": self.collect,
            "readiness": self.readiness,
            "metrics": self._metrics(settings),
            "form_keys": guard.FormKeys(settings),
            "passwords": Passwords(),
            "keyring": self._keyring,
            "oidc": Providers(configured(settings)),
            "mailer": self._mailer,
            "outbound": self._outbound,
            "platforms": self.background.platforms,
            "grants": self.background.grants,
            "stop_links": self._stop_links,
            "attempts": Attempts(self._page_database, secret(settings)),
            "key_tries": KeyTries(),
            "share_pace": Pace(),
            "invite_links": InviteLinks(settings),
            "stop_summaries": self._stop_summaries,
            "summary_mail": self._summary_mail,
            "templates": self._templates,
        }
        handlers: list[BaseRouteHandler] = [
            health.healthz, health.readyz, metrics.metrics,
            *login.HANDLERS, *oidc.HANDLERS, *sites.HANDLERS, *switcher.HANDLERS, *site.HANDLERS,
            *live_page.HANDLERS, *sessions.HANDLERS, *lead.HANDLERS, *leads.HANDLERS, *visit.HANDLERS,
            *activity.HANDLERS, *account.HANDLERS, *queue.HANDLERS,
            *second_factor.HANDLERS, *confirm.HANDLERS, *passwords.HANDLERS, *demo.HANDLERS,
            *stream.HANDLERS, *stats.HANDLERS, *api.HANDLERS, *decisions.HANDLERS,
            *rpc.HANDLERS, *legacy.HANDLERS, *dead_letters.HANDLERS, *refused_api.HANDLERS,
            *install.HANDLERS,
            *settings_pages.HANDLERS, *general.HANDLERS, *values.HANDLERS, *rules.HANDLERS, *site_health.HANDLERS,
            *origins.HANDLERS, *limits.HANDLERS, *refused.HANDLERS,
            *members.HANDLERS, *membership.HANDLERS, *ownership.HANDLERS, *invite.HANDLERS, *log.HANDLERS,
            *keys.HANDLERS, *platform.HANDLERS, *platform_health.HANDLERS, *providers.HANDLERS, *audit.HANDLERS,
            *acts.HANDLERS, *customers.HANDLERS, *privacy.HANDLERS, *privacy_api.HANDLERS,
            *webhooks.HANDLERS, *webhooks_api.HANDLERS, *notifications.HANDLERS,
            *batches_api.HANDLERS, *conversions_api.HANDLERS, *oci.HANDLERS, *oci_script.HANDLERS,
            *sharing.HANDLERS, *share.HANDLERS, *summary.HANDLERS,
            *connect_google.HANDLERS, *conversions.HANDLERS, *conversion_batches.HANDLERS,
            *conversion_route.HANDLERS,
            *reference.HANDLERS,
            failures.nowhere,
        ]  # fmt: skip
        guard.refuse_unguarded(handlers)
        return Litestar(
            route_handlers=handlers,
            guards=[guard.find_person, guard.refuse_forgery],
            exception_handlers={
                OpsMantikError: failures.refused,
                HTTPException: failures.framework_refused,
                Exception: failures.broken,
            },
            lifespan=[self._lifespan],
            before_send=[guard.remember_place] if self.replica is not None else [],
            state=State(state),
            openapi_config=None,
            request_max_body_size=LARGEST_FORM,
        )  # fmt: skip

    def _metrics(self, settings: Settings) -> metrics.Metrics:
        pools = {"pages": self._page_database, "events": self._event_database, "work": self._work_database}
        return metrics.Metrics(
            metrics.Sources(
                settings, self.requests, self.collect.writer, self.collect.pipeline.times, self.live, self.readiness, pools,
                self.replica,
            )
        )  # fmt: skip

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """The framework's routes, each with its handlers: for documents and for tests that walk them all."""
        return self._framework.routes

    @asynccontextmanager
    async def _lifespan(self, _: Litestar) -> AsyncIterator[None]:
        await self._page_database.open()
        await self._event_database.open()
        await self._work_database.open()
        if self.replica is not None:
            await self.replica.start()
        await self.collect.start()
        await self.live.start()
        await self.background.start()
        try:
            with self._told_to_stop():
                yield
        finally:
            self.begin_shutdown()
            await self.live.stop()
            await self.collect.stop()
            await self.background.stop()
            if self.replica is not None:
                await self.replica.stop()
            await self._work_database.close()
            await self._event_database.close()
            await self._page_database.close()
            if self.tracing is not None:
                await self.tracing.stop()

    @contextmanager
    def _told_to_stop(self) -> Iterator[None]:
        """Hear the signal that stops the server before the server does.

        uvicorn waits for open answers first and tells its application last; a stream that waits to be told
        would make it wait until its patience ends.
        """
        loop = asyncio.get_running_loop()
        before: dict[signal.Signals, Any] = {}

        def told(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.begin_shutdown)
            before[signal.Signals(number)](number, frame)

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, told)
        try:
            yield
        finally:
            for number, handler in before.items():
                if signal.getsignal(number) is told:
                    signal.signal(number, handler)

    async def _sequences(self, site_ids: Sequence[UUID]) -> dict[UUID, int]:
        async with self._page_database.connection() as connection:
            return await site_store.sequences(connection, site_ids)

    def begin_shutdown(self) -> None:
        """Say that this process is not ready any more, and end the streams: servers wait for open answers."""
        self.readiness.stopping = True
        self.live.close_pages()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._framework(scope, receive, send)  # type: ignore[arg-type]
            return
        began = time.perf_counter()
        request_id = request_ids.begin(scope["headers"])
        is_hot = scope["path"] in self._hot
        status = 0

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (request_ids.HEADER, request_id)]
                if self.readiness.stopping:
                    message["headers"].append(LAST_ANSWER)
                route = scope["path"] if is_hot else _route(scope)
                self.requests.add(route, scope["method"], status, time.perf_counter() - began)
            await send(message)

        span = self.tracing.begin(scope, request_id.decode()) if self.tracing is not None else None
        try:
            await (self.collect if is_hot else self._slow)(scope, receive, answer)
        finally:
            if self.tracing is not None and span is not None:
                self.tracing.end(span, scope["method"], scope["path"] if is_hot else _route(scope), status)

    async def _slow(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/static/"):
            await self._static(scope, receive, self._with_headers(send, []))
            return
        await self._framework(scope, receive, self._with_headers(send, [(b"cache-control", b"no-store")]))  # type: ignore[arg-type]

    def _with_headers(self, send: Send, more: list[tuple[bytes, bytes]]) -> Send:
        """Every answer carries the same protection, errors and files too."""

        async def send_protected(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [h for h in self._headers + more if h[0] not in names]
            await send(message)

        return send_protected


def _route(scope: Scope) -> str:
    """The template of the address that was asked for, not the address: that may hold names and secrets."""
    if scope["path"].startswith("/static/"):
        return "/static/{file}"
    return scope.get("path_template") or metrics.NO_ROUTE


def create_app(settings: Settings, *, app_dsn: str | None = None) -> Application:
    """The application for one process.

    ``app_dsn``: the database as the application's role, if it is another than the settings say.
    """
    return Application(settings, app_dsn or embedded.database_urls(settings)[1])
