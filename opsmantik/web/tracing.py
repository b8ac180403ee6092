"""Spans of requests and of batches for OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT is set and its package is there.

Without either nothing of it is imported, and nobody pays for it. What is sent: route templates, methods, statuses and
sizes, never an address, a body or a path that holds an id. The other variables of OpenTelemetry (OTEL_SERVICE_NAME,
OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, …) are read by its own package.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from importlib import import_module, util
from typing import Any, Final

import structlog

log = structlog.get_logger()

VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
STOP_SECONDS: Final = 3.0


def tracing(environ: Mapping[str, str] | None = None) -> Tracing | None:
    """The spans' way out, or nothing where none is set."""
    environ = os.environ if environ is None else environ
    if not any(environ.get(name, "").strip() for name in VARIABLES):
        return None
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if util.find_spec("opentelemetry") is None or util.find_spec("opentelemetry.sdk") is None:
        log.warning("tracing.off", reason="the package opsmantik[otel] is not installed")
        return None
    return Tracing()


class Tracing:
    """Begins and ends spans. It has a provider of its own: nothing global is set."""

    def __init__(self) -> None:
        trace = import_module("opentelemetry.trace")
        sdk = import_module("opentelemetry.sdk.trace")
        export = import_module("opentelemetry.sdk.trace.export")
        resources = import_module("opentelemetry.sdk.resources")
        name = os.environ.get("OTEL_SERVICE_NAME") or "opsmantik"
        self._provider = sdk.TracerProvider(
            resource=resources.Resource.create({"service.name": name}), shutdown_on_exit=False
        )
        exporter = import_module(EXPORTER).OTLPSpanExporter()
        self._provider.add_span_processor(export.BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("opsmantik")
        self._server, self._internal = trace.SpanKind.SERVER, trace.SpanKind.INTERNAL
        self._error = trace.Status(trace.StatusCode.ERROR)
        propagator = import_module("opentelemetry.trace.propagation.tracecontext")
        self._propagator = propagator.TraceContextTextMapPropagator()

    def begin(self, scope: Mapping[str, Any], request_id: str) -> Any:
        """The span of a request; below that of whoever sent it, if they say so."""
        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"traceparent", b"tracestate")
        }
        context = self._propagator.extract(carrier) if carrier else None
        attributes = {"http.request.method": scope["method"], "opsmantik.request_id": request_id}
        return self._tracer.start_span(
            scope["method"], context=context, kind=self._server, attributes=attributes
        )

    def end(self, span: Any, method: str, route: str, status: int) -> None:
        """The request is answered; status 0: it was not."""
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        if status:
            span.set_attribute("http.response.status_code", status)
        if status >= 500 or not status:
            span.set_status(self._error)
        span.end()

    def batch(self, items: int, seconds: float, written: bool) -> None:
        """A batch of events was written, or could not be."""
        now = time.time_ns()
        span = self._tracer.start_span(
            "ingest batch", kind=self._internal, start_time=now - int(seconds * 1e9),
            attributes={"opsmantik.batch.items": items},
        )  # fmt: skip
        if not written:
            span.set_status(self._error)
        span.end(now)

    async def stop(self) -> None:
        """Send what waits, for some seconds at most."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.to_thread(self._provider.shutdown)
        except TimeoutError:
            log.warning("tracing.lost", reason="the collector does not answer")
