"""Figures for Prometheus (/metrics): of this process, and of the installation as its database tells it.

Enters: what the parts of the application count for themselves, in plain numbers; nothing of Prometheus is touched while an
event or a page is on its way. Leaves: the text format, made when it is asked for. There is one registry for an application
and none for the process. No label holds the name of a site, or anything of a visitor: routes are templates, sites are
counted.

Only programs on this machine may read it, and whoever brings OPSMANTIK_METRICS_TOKEN. A request that a proxy has passed on
is nobody's on this machine, wherever the proxy runs.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any, Final, NamedTuple

import structlog
from litestar import Request, Response, get
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from opsmantik.db.connect import Database
from opsmantik.db.replica import Replica
from opsmantik.errors import DatabaseUnavailable
from opsmantik.ingest.spread import Spread
from opsmantik.ingest.writer import MOST_WAITING, Writer
from opsmantik.settings import Settings
from opsmantik.web.health import MEGABYTE, Readiness, free_bytes
from opsmantik.web.live import Live

log = structlog.get_logger()

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
"""Seconds to the beginning of an answer."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE: Final = "(none)"
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
FIGURES: Final = "SELECT name, label, figure FROM installation_figures()"
FIGURES_SECONDS: Final = 3.0
KEPT_SECONDS: Final = 5.0

# What installation_figures() calls it: the metric, and what it says.
OF_DATABASE: Final[Mapping[str, tuple[str, str]]] = {
    "journal_rows": ("counter_journal_rows", "Transactions that no fold of the counters has taken up yet."),
    "journal_age": ("counter_journal_age_seconds", "Age of the oldest of them."),
    "deliveries_waiting": ("webhook_deliveries_waiting", "Messages to webhooks that are not delivered yet."),
    "deliveries_age": ("webhook_deliveries_oldest_seconds", "Age of the oldest of them."),
    "deliveries_late": ("webhook_deliveries_late_seconds", "How long the most belated has been due."),
    "webhooks_failing": ("webhooks_failing", "Webhooks that are on and did not take the last message."),
    "webhooks_failing_age": ("webhooks_failing_seconds", "Since when the longest of them has failed."),
    "webhooks_off": ("webhooks_switched_off", "Webhooks that were switched off because they failed."),
    "mails_waiting": ("mails_waiting", "People who are to be written to, now or at the time they wished for."),
    "mails_late": ("mails_late_seconds", "How long the most belated mail has been due."),
    "mails_failing": ("mails_failing", "People to whom the last mail could not be sent."),
    "months_ahead": ("partitions_months_ahead", "Months after this one that have their partitions."),
    "default_rows": ("default_partition_rows", "Rows that wait for a partition (at most 200000 are counted)."),
    "database_bytes": ("database_size_bytes", "Size of the database."),
    "audit_errors": ("audit_errors", "Errors that the last audit found."),
    "audit_warnings": ("audit_warnings", "Warnings of the last audit."),
    "audit_unknown": ("audit_unanswered", "Checks of the last audit that could not be asked."),
    "audit_age": ("audit_age_seconds", "Age of the last audit."),
    "counters_differ": ("counters_differing_sites", "Sites whose figures were not what their rows say."),
    "alerts": ("alerts_open", "Troubles that the watchdog sees now."),
}  # fmt: skip
OF_JOBS: Final[Mapping[str, tuple[str, str]]] = {
    "job_age": ("job_success_age_seconds", "Seconds since a background job last went well, on any node."),
    "job_failed": ("job_failed", "Whether the newest run of a background job failed or was cut off."),
}
OF_AUDIT: Final = ("audit_findings", "What the last audit found, by the checks' group and the level.")
SITES: Final = {"sites": "on", "sites_off": "off", "sites_silent": "silent"}


class Requests:
    """Answered requests by route template, method and status, each with the time until its answer began."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str, int], Spread] = {}

    def add(self, route: str, method: str, status: int, seconds: float) -> None:
        """Note an answered request. One look-up and two additions: every event pays for it."""
        spread = self.seconds.get((route, method, status))
        if spread is None:
            name = (route, method if method in METHODS else "OTHER", status)
            spread = self.seconds.setdefault(name, Spread(BOUNDS))
        spread.add(seconds)

    def by_route(self) -> dict[str, Spread]:
        """The times of each route, whatever the method and the status."""
        found: dict[str, Spread] = {}
        for (route, _, _), spread in list(self.seconds.items()):
            found.setdefault(route, Spread(BOUNDS)).add_all(spread)
        return found


class Sources(NamedTuple):
    """Where the figures of a process come from."""

    settings: Settings
    requests: Requests
    writer: Writer
    steps: Callable[[], list[Any]]
    live: Live
    readiness: Readiness
    pools: Mapping[str, Database]
    replica: Replica | None = None


class Metrics:
    """The figures of one application."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._database = sources.pools["pages"]
        self._kept: tuple[float, list[Any]] | None = None
        self._asking = asyncio.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._reading = _Reading(sources)
        self._registry.register(self._reading)
        ProcessCollector(registry=self._registry)

    async def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        self._reading.rows, self._reading.reasons = await asyncio.gather(
            self._figures(), self._sources.readiness.lately()
        )
        return generate_latest(self._registry)

    async def _figures(self) -> list[Any] | None:
        """The database's, some seconds old at most; None: it does not answer."""
        async with self._asking:
            if self._kept is not None and time.monotonic() - self._kept[0] < KEPT_SECONDS:
                return self._kept[1]
            try:
                async with asyncio.timeout(FIGURES_SECONDS), self._database.connection() as connection:
                    rows = await connection.fetch(FIGURES)
            except (DatabaseUnavailable, TimeoutError):
                return None
            except Exception:  # a figure must not take the others with it
                log.exception("metrics.failed")
                return None
            self._kept = time.monotonic(), rows
            return list(rows)


class _Reading(Collector):
    """Reads the parts when Prometheus's library asks; ``rows`` and ``reasons`` were asked for just before."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.rows: list[Any] | None = None
        self.reasons: list[dict[str, str]] = []

    def collect(self) -> Iterator[Metric]:
        """Every family, those without a value too: what there is can be seen before it happens."""
        yield from self._of_process()
        yield from self._of_requests()
        yield from self._of_ingest()
        yield from self._of_pools()
        yield from self._of_database()

    def _of_process(self) -> Iterator[Metric]:
        settings, live = self._sources.settings, self._sources.live
        labels = ["version", "python"]
        build = GaugeMetricFamily("opsmantik_build_info", "What runs.", labels=labels)
        build.add_metric([metadata.version("opsmantik"), platform.python_version()], 1)
        yield build
        yield _gauge("ready", "Whether it should get traffic.", not self.reasons)
        why = GaugeMetricFamily("opsmantik_unready_reason", "Why it should get none.", labels=["code"])
        for reason in self.reasons:
            why.add_metric([reason["code"]], 1)
        yield why
        yield _gauge("streams_open", "Pages that are told of changes.", live.open_pages)
        yield _gauge("streams_listening", "Whether changes are heard of.", live.listening)
        yield _gauge("mail_configured", "Whether a mail server is set.", settings.smtp_url is not None)
        free = free_bytes(settings.home)
        yield _gauge("disk_free_bytes", "Free on the home directory's disk.", free)
        yield _gauge("disk_free_limit_bytes", "With less it is not ready.", settings.disk_free_mb * MEGABYTE)

    def _of_requests(self) -> Iterator[Metric]:
        requests = self._sources.requests
        counts = CounterMetricFamily(
            "opsmantik_http_requests", "Answered requests.", labels=["route", "method", "status"]
        )
        for (route, method, status), spread in list(requests.seconds.items()):
            counts.add_metric([route, method, str(status)], sum(spread.counts))
        yield counts
        seconds = HistogramMetricFamily(
            "opsmantik_http_request_duration_seconds", "Time until an answer began.", labels=["route"]
        )
        for route, spread in requests.by_route().items():
            seconds.add_metric([route], spread.buckets(), spread.total)
        yield seconds

    def _of_ingest(self) -> Iterator[Metric]:
        writer = self._sources.writer
        events = CounterMetricFamily(
            "opsmantik_ingest_events", "Events by what became of them.", labels=["outcome"]
        )
        for outcome, n in list(writer.outcomes.items()):
            events.add_metric([outcome], n)
        yield events
        yield _histogram("ingest_batch_items", "Events written in one transaction.", writer.sizes)
        yield _histogram(
            "ingest_batch_duration_seconds", "Time until such a batch was committed.", writer.seconds
        )
        yield CounterMetricFamily(
            "opsmantik_ingest_batches_failed", "Batches that could not be written; nothing of them was answered.",
            value=writer.failed,
        )  # fmt: skip
        yield _gauge("ingest_waiting_events", "Events that wait to be written.", writer.waiting)
        yield _gauge(
            "ingest_waiting_events_limit", "With so many, senders are told to come back.", MOST_WAITING
        )
        steps = CounterMetricFamily(
            "opsmantik_pipeline_step_duration_seconds", "Time that a step took over the timed events.", labels=["step"]
        )  # fmt: skip
        timed = 0
        for step in self._sources.steps():
            steps.add_metric([step.name], step.seconds)
            timed = step.events
        yield steps
        yield CounterMetricFamily("opsmantik_pipeline_timed_events", "One event in 64 is timed.", value=timed)

    def _of_pools(self) -> Iterator[Metric]:
        use = GaugeMetricFamily("opsmantik_pool_connections", "Open connections.", labels=["pool", "state"])
        most = GaugeMetricFamily(
            "opsmantik_pool_connections_limit", "The most that a pool opens.", labels=["pool"]
        )
        for name, pool in self._sources.pools.items():
            now = pool.use()
            use.add_metric([name, "used"], now.open - now.idle)
            use.add_metric([name, "idle"], now.idle)
            most.add_metric([name], now.most)
        yield use
        yield most
        replica = self._sources.replica
        reads = CounterMetricFamily(
            "opsmantik_standby_reads", "Readers for whom a standby was asked, by who answered.", labels=["by"]
        )
        reads.add_metric(["standby"], replica.served if replica is not None else 0)
        reads.add_metric(["primary"], replica.passed_on if replica is not None else 0)
        yield reads

    def _of_database(self) -> Iterator[Metric]:
        rows = self.rows or []
        yield _gauge("database_up", "Whether the database answered.", self.rows is not None)
        figures = {row["name"]: row["figure"] for row in rows if not row["label"]}
        sites = GaugeMetricFamily(
            "opsmantik_sites", "Sites; silent: on, and nothing for a day.", labels=["state"]
        )
        for name, state in SITES.items():
            if name in figures:
                sites.add_metric([state], figures[name])
        yield sites
        for name, (metric, says) in OF_DATABASE.items():
            yield _gauge(metric, says, figures.get(name))
        for name, (metric, says) in OF_JOBS.items():
            family = GaugeMetricFamily(f"opsmantik_{metric}", says, labels=["task"])
            for row in rows:
                if row["name"] == name:
                    family.add_metric([row["label"]], row["figure"])
            yield family
        name, says = OF_AUDIT
        found = GaugeMetricFamily(f"opsmantik_{name}", says, labels=["group", "level"])
        for row in rows:
            if row["name"] == name:
                found.add_metric(row["label"].split(), row["figure"])
        yield found


def _gauge(name: str, says: str, value: float | None) -> GaugeMetricFamily:
    """A figure; without a value only its name is told."""
    family = GaugeMetricFamily(f"opsmantik_{name}", says)
    if value is not None:
        family.add_metric([], float(value))
    return family


def _histogram(name: str, says: str, spread: Spread) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"opsmantik_{name}", says, buckets=spread.buckets(), sum_value=spread.total)


def may_read(request: Request[Any, Any, Any], token: str | None) -> bool:
    """Whether this request may read the figures: it comes from this machine, by no proxy, or it brings the token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token is not None and scheme.lower() == "bearer":
        return hmac.compare_digest(given.strip().encode(), token.encode())
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


@get("/metrics", opt={"public": True, "probe": True})
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The figures, for a program of this machine or one that brings the token; 401 or 403 for everybody else."""
    state = request.app.state
    token = state.settings.metrics_token
    if not may_read(request, token):
        headers = {"www-authenticate": "Bearer"} if token else {}
        return Response(b"", status_code=401 if token else 403, media_type="text/plain", headers=headers)
    return Response(await state.metrics.text(), media_type=TEXT)
