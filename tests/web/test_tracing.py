"""Spans leave for a collector where one is set; where none is, nothing of OpenTelemetry is even loaded."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.web.tracing import tracing
from tests.web.browsing import running
from tests.web.streams import CHROME

pytestmark = pytest.mark.slow

pytest.importorskip("opentelemetry.sdk")

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Receiver(HTTPServer):
    """Takes what exporters post, as a collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[tuple[str, bytes]] = []

    def spans(self) -> list[Any]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found: list[Any] = []
        for path, body in self.bodies:
            assert path == "/v1/traces"
            request = ExportTraceServiceRequest.FromString(body)
            found += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        return found


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


async def test_requests_and_batches_arrive_at_the_collector(
    database: Any, tmp_path: Any, make_site: Any, receiver: Receiver
) -> None:
    site = await make_site()
    async with running(database.app, tmp_path) as web:
        browser = web.browser()
        await browser.get("/healthz", traceparent=f"00-{TRACE}-{PARENT}-01", x_request_id="its-request-id")
        secret = uuid4().hex
        await browser.get(f"/reset/{secret}")
        now = int(time.time() * 1000)
        event = {"id": str(uuid4()), "ts": now, "sid": str(uuid4()), "cat": "interaction", "act": "view", "url": "https://shop.example/?gclid=Cj0abc"}  # fmt: skip # noqa: E501
        answer = await browser.http.post(
            "/v1/events",
            content=json.dumps({"site": site.public_id, "sent": now, "events": [event]}),
            headers={"content-type": "text/plain", "origin": "https://shop.example", "user-agent": CHROME},
        )
        assert answer.status_code == 200
    spans = {span.name: span for span in receiver.spans()}
    health = spans["GET /healthz"]
    assert (health.trace_id.hex(), health.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(health) == {
        "http.request.method": "GET", "http.route": "/healthz", "http.response.status_code": 200,
        "opsmantik.request_id": "its-request-id",
    }  # fmt: skip
    assert attributes(spans["POST /v1/events"])["http.response.status_code"] == 200
    batch = spans["ingest batch"]
    assert attributes(batch)["opsmantik.batch.items"] == 1
    assert 0 < batch.end_time_unix_nano - batch.start_time_unix_nano < 5e9
    assert any(name.startswith("GET /reset/{link") for name in spans)
    sent = b"".join(body for _, body in receiver.bodies)
    for word in (secret, "Cj0abc", "shop.example", site.public_id, "127.0.0.1"):
        assert word.encode() not in sent, word


def test_nothing_is_set_up_without_an_endpoint_or_when_it_is_switched_off() -> None:
    assert tracing({}) is None
    assert tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}) is None
    assert tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}) is None


def test_without_the_package_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsmantik.web.tracing.util.find_spec", lambda name: None)
    assert tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) is None


def test_nothing_of_it_is_loaded_where_it_is_off() -> None:
    program = (
        "import sys, pathlib\nfrom opsmantik.settings import Settings\nfrom opsmantik.web.app import Application\n"
        "Application(Settings(home=pathlib.Path(sys.argv[1]), secret_key='k' * 40), 'postgresql://n@127.0.0.1:1/n')\n"
        # "semconv" holds names alone; another library asks whether it is there
        "parts = tuple(f'opentelemetry.{name}' for name in ('sdk', 'trace', 'exporter'))\n"
        "print([name for name in sys.modules if name.startswith(parts)])"
    )
    with tempfile.TemporaryDirectory() as home:
        ended = subprocess.run(
            [sys.executable, "-c", program, home],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": ""},
        )
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr
