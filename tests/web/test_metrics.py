"""/metrics tells what happened, in numbers, to those who may know; and it costs the door of events next to nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from msgspec import to_builtins
from prometheus_client.parser import text_string_to_metric_families

from opsmantik.audit.checks import GROUPS
from opsmantik.errors import DatabaseUnavailable
from opsmantik.ingest.spread import Spread
from opsmantik.web import metrics
from opsmantik.web.app import Application
from tests.web.audits import finding, report
from tests.web.browsing import Running, running
from tests.web.streams import CHROME

TOKEN = "metrics-token-" * 3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fresh(database: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """An application of its own, whose counts nobody else moves."""
    async with running(database.app, tmp_path_factory.mktemp("home"), metrics_token=TOKEN) as found:
        yield found


async def read(web: Running) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels. The database's figures are asked for anew."""
    web.app._framework.state.metrics._kept = None
    answer = await web.browser().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def one(found: Any, name: str, **labels: str) -> float | None:
    value: float | None = found.get((f"opsmantik_{name}", frozenset(labels.items())))
    return value


async def post(web: Running, site: str, events: list[Any], **headers: str) -> httpx.Response:
    body = {"site": site, "sent": int(time.time() * 1000), "events": events}
    named = {"content-type": "text/plain", "origin": "https://shop.example", "user-agent": CHROME, **headers}
    return await web.browser().http.post("/v1/events", content=json.dumps(body), headers=named)


def event(**more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "ts": int(time.time() * 1000), "sid": str(uuid4()), "cat": "interaction", "act": "view",
        "url": "https://shop.example/", **more,
    }  # fmt: skip


async def test_events_are_told_by_what_became_of_them(fresh: Running, make_site: Any) -> None:
    site = await make_site()
    await fresh.app.collect.registry.refresh()
    before = await read(fresh)
    sent = event()
    assert (await post(fresh, site.public_id, [sent, event(), {"act": 7}])).status_code == 200
    assert (await post(fresh, site.public_id, [sent])).status_code == 200
    assert (
        await post(fresh, site.public_id, [event()], origin="https://elsewhere.example")
    ).status_code == 403
    assert (await post(fresh, uuid4().hex, [event()])).status_code == 404
    after = await read(fresh)

    def more(name: str, **labels: str) -> float:
        return (one(after, name, **labels) or 0) - (one(before, name, **labels) or 0)

    outcomes = ("stored", "duplicate", "malformed", "origin_refused", "unknown_site")
    assert {o: more("ingest_events_total", outcome=o) for o in outcomes} == {
        "stored": 2, "duplicate": 1, "malformed": 1, "origin_refused": 1, "unknown_site": 1,
    }  # fmt: skip
    assert 1 <= more("ingest_batch_items_count") <= 4
    assert more("ingest_batch_items_sum") == 6
    assert more("ingest_batch_duration_seconds_count") == more("ingest_batch_items_count")
    assert more("ingest_batches_failed_total") == 0
    statuses = {
        s: more("http_requests_total", route="/v1/events", method="POST", status=s)
        for s in ("200", "403", "404")
    }
    assert statuses == {"200": 2, "403": 1, "404": 1}
    assert more("http_request_duration_seconds_count", route="/v1/events") == 4


async def test_requests_go_by_the_template_of_their_route(fresh: Running) -> None:
    browser = fresh.browser()
    secret = uuid4().hex
    await browser.get(f"/reset/{secret}")
    await browser.get(f"/sites/{uuid4()}/settings")
    await browser.get(f"/{secret}/nowhere")
    await browser.get("/static/style.css")
    await browser.http.request("PROPFIND", "/sign-in")
    await browser.http.request("DELETE", "/sign-in")
    text = (await browser.get("/metrics")).text
    routes = set(re.findall(r'opsmantik_http_requests_total\{.*?route="([^"]*)"', text))
    assert {"/reset/{link}", "/sites/{site_id}/settings", "/{anything}", "/static/{file}"} <= {
        re.sub(r":\w+}", "}", route) for route in routes
    }
    assert secret not in text and "PROPFIND" not in text
    assert 'method="OTHER"' in text


async def test_no_label_holds_a_name_of_a_site_or_of_anybody(
    fresh: Running, make_site: Any, owner: Any
) -> None:
    site = await make_site(name="Vinç Kiralama", domain="vinc.example", origins=("https://vinc.example",))
    await fresh.app.collect.registry.refresh()
    tap = event(
        cat="conversion",
        act="phone_call",
        label="tel:+905321234567",
        url="https://vinc.example/?gclid=Cj0abcdef",
    )
    assert (await post(fresh, site.public_id, [tap], origin="https://vinc.example")).status_code == 200
    text = (await fresh.browser().get("/metrics")).text
    for word in ("Vinç", "vinc", str(site.id), site.public_id, "90532", "Cj0", "127.0.0.1"):
        assert word not in text, word


async def test_the_database_tells_of_the_whole_installation(
    fresh: Running, owner: Any, make_site: Any
) -> None:
    before = await read(fresh)
    off, silent = await make_site(), await make_site()
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", off.id)
    await owner.execute(
        "INSERT INTO site_pulse (site_id, sequence, changed_at, last_event_at)"
        " VALUES ($1, 1, now(), now() - interval '2 days')"
        " ON CONFLICT (site_id) DO UPDATE SET last_event_at = excluded.last_event_at",
        silent.id,
    )
    webhook = uuid4()
    await owner.execute(
        "INSERT INTO webhooks (site_id, id, url, events, secret, key_id, failing_since) VALUES ($1, $2,"
        " 'https://crm.example/x', '{lead.created}', '\\x00', 'k', now() - interval '2 hours')",
        silent.id,
        webhook,
    )
    await owner.execute(
        "INSERT INTO webhook_deliveries (site_id, id, webhook_id, event_id, type, payload, state, attempts, next_at,"
        " created_at) VALUES ($1, $2, $3, $2, 'lead.created', '{}', 'failed', 3, now() + interval '1 hour',"
        " now() - interval '3 hours')",
        silent.id, uuid4(), webhook,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail) VALUES"
        " ('purge', now() - interval '1 hour', now(), 'ok', '{}'), ('purge', now(), now(), 'failed', '{}'),"
        " ('verify_counters', now(), now(), 'ok', $1)",
        {str(silent.id): 3},
    )
    await owner.execute(
        "INSERT INTO audit_runs (started_at, seconds, errors, warnings, unknown, report)"
        " VALUES (now() - interval '1 day', 1, 2, 3, 1, $1)",
        to_builtins(
            report(
                finding("silence", "site x"),
                finding("silence", "site y"),
                finding("leaks", "public.calls", "error"),
                ago=timedelta(days=1),
            ),
            builtin_types=(),
        ),
    )
    try:
        found = await read(fresh)
    finally:
        await owner.execute(
            "DELETE FROM webhook_deliveries; DELETE FROM webhooks; DELETE FROM upkeep_runs; DELETE FROM audit_runs"
        )
    assert one(found, "sites", state="off") == (one(before, "sites", state="off") or 0) + 1
    assert one(found, "sites", state="silent") == (one(before, "sites", state="silent") or 0) + 1
    assert one(found, "webhooks_failing") == 1 and one(found, "webhook_deliveries_waiting") == 1
    assert 7190 < (one(found, "webhooks_failing_seconds") or 0) < 7260
    assert 10790 < (one(found, "webhook_deliveries_oldest_seconds") or 0) < 10860
    assert one(found, "webhook_deliveries_late_seconds") == 0
    assert one(found, "job_failed", task="purge") == 1
    assert 3590 < (one(found, "job_success_age_seconds", task="purge") or 0) < 3660
    assert one(found, "counters_differing_sites") == 1
    assert [one(found, f"audit_{what}") for what in ("errors", "warnings", "unanswered")] == [2, 3, 1]
    told = {(g, w): one(found, "audit_findings", group=g, level=w) for g in GROUPS for w in ("error", "warn")}
    assert {key: n for key, n in told.items() if n} == {("meaning", "warn"): 2, ("tenancy", "error"): 1}
    assert None not in told.values()
    assert 86390 < (one(found, "audit_age_seconds") or 0) < 86460
    assert one(found, "partitions_months_ahead") == 3 and one(found, "default_partition_rows") == 0
    assert one(found, "database_up") == 1 and (one(found, "database_size_bytes") or 0) > 1_000_000
    assert one(before, "audit_errors") is None  # nobody has asked yet: no figure, rather than a good one


async def test_the_process_tells_of_itself(fresh: Running) -> None:
    found = await read(fresh)
    assert one(found, "ready") == 1 and one(found, "ingest_waiting_events") == 0
    assert (one(found, "pool_connections", pool="pages", state="used") or 0) >= 0
    assert one(found, "pool_connections_limit", pool="pages") == 6
    assert found[("process_resident_memory_bytes", frozenset())] > 1_000_000
    assert one(found, "streams_open") == 0 and one(found, "mail_configured") == 0
    assert (one(found, "disk_free_bytes") or 0) > 0 and one(found, "disk_free_limit_bytes") == 512e6


async def test_without_the_database_the_rest_is_told(fresh: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Any) -> Any:
        raise DatabaseUnavailable

    monkeypatch.setattr("opsmantik.db.connect.Database.connection", away)
    fresh.app.readiness._kept = None
    found = await read(fresh)
    fresh.app.readiness._kept = None
    assert one(found, "database_up") == 0 and one(found, "ready") == 0
    assert one(found, "unready_reason", code="database_unavailable") == 1
    assert one(found, "sites", state="on") is None and one(found, "build_info") is None
    assert any(name == "opsmantik_build_info" for name, _ in found)


READERS = {
    "a program of this machine": ({}, True),
    "one behind a proxy of this machine": ({"x-forwarded-for": "203.0.113.9"}, False),
    "one that the proxy names otherwise": ({"forwarded": "for=203.0.113.9"}, False),
    "one behind a proxy that says only that it is one": ({"via": "1.1 proxy"}, False),
    "whoever brings the token, from anywhere": (
        {"x-forwarded-for": "203.0.113.9", "authorization": f"Bearer {TOKEN}"},
        True,
    ),
    "with a wrong token nobody": ({"authorization": f"Bearer {TOKEN}x"}, False),
    "with none of its letters": ({"authorization": "Bearer ü"}, False),
}


@pytest.mark.parametrize(("headers", "may"), READERS.values(), ids=READERS)
async def test_who_may_read(fresh: Running, headers: dict[str, str], may: bool) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await fresh.browser().http.get("/metrics", headers=raw)
    assert answer.status_code == (200 if may else 401)
    assert ("opsmantik_" in answer.text) is may


async def test_without_a_token_nobody_else_may(web: Running) -> None:
    answer = await web.browser().get("/metrics", x_forwarded_for="203.0.113.9", authorization="Bearer None")
    assert (answer.status_code, answer.text) == (403, "")


async def test_two_applications_count_for_themselves(fresh: Running, web: Running) -> None:
    await web.browser().get("/forgot")
    names = set(await read(fresh))
    assert not any(("route", "/forgot") in labels for _, labels in names)
    assert any(("route", "/forgot") in labels for _, labels in await read(web))


def test_a_spread_tells_each_bucket_with_those_below() -> None:
    spread = Spread((1, 2, 5))
    for value in (0.5, 1, 1.5, 5, 9):
        spread.add(value)
    assert spread.buckets() == [("1", 2.0), ("2", 3.0), ("5", 4.0), ("+Inf", 5.0)]
    assert spread.total == 17


def test_counting_a_request_is_cheap() -> None:
    """An event costs a hundred microseconds; to count it may not cost one in fifty of that."""
    requests = metrics.Requests()
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(2000):
            requests.add("/v1/events", "POST", 200, 0.004)
        best = min(best, (time.perf_counter() - began) / 2000)
    assert best < 2e-6, f"{best * 1e6:.2f} µs"


@pytest.mark.slow
def test_an_application_registers_nothing_globally(tmp_path: Any) -> None:
    from prometheus_client import REGISTRY

    from opsmantik.settings import Settings

    before = set(REGISTRY._names_to_collectors)
    Application(Settings(home=tmp_path, secret_key="k" * 40), "postgresql://nobody@127.0.0.1:1/none")
    assert set(REGISTRY._names_to_collectors) == before
