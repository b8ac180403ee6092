"""The first generation's calls: its names, arguments, keys and refusals, word for word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.dashboard.contracts import CONTRACTS, PROCEDURES, SITES
from opsmantik.web.procedures import TOOLS
from opsmantik.web.rpc import DEPRECATED_AT
from tests.shapes import check
from tests.web.world import ORGANIC, PAID, Programs, World

pytestmark = pytest.mark.slow

ECHO = {"site_id", "date_from", "date_to", "ads_only"}
CALL = {
    "id", "created_at", "intent_action", "intent_target", "intent_stamp", "matched_session_id", "lead_score", "status",
    "estimated_value", "oci_status", "oci_status_updated_at", "oci_uploaded_at", "oci_batch_id", "oci_error",
}  # fmt: skip
DERIVED = {"oci_matchable", "risk_reasons", "risk_level", "oci_stage"}
INTENTS_V2 = CALL | DERIVED | {
    "intent_page_url", "page_url", "click_id", "currency",
    "gclid", "wbraid", "gbraid", "utm_term", "utm_campaign", "utm_source", "utm_medium", "utm_content", "matchtype",
    "ads_network", "ads_placement", "device_type", "device_os", "browser", "browser_language", "device_memory",
    "hardware_concurrency", "screen_width", "screen_height", "pixel_ratio", "gpu_renderer", "connection_type",
    "max_scroll_percentage", "cta_hover_count", "form_focus_duration", "total_active_seconds", "engagement_score",
    "is_returning", "visitor_rank", "referrer_host", "city", "district", "telco_carrier", "isp_asn", "attribution_source",
    "total_duration_sec", "event_count", "ai_score", "ai_summary", "ai_tags", "previous_visit_count",
    "is_proxy_detected",
}  # fmt: skip
INTENTS_V1 = (CALL - {"estimated_value"}) | DERIVED | {
    "intent_page_url", "click_id", "attribution_source", "gclid", "wbraid", "gbraid", "total_duration_sec",
    "event_count",
}  # fmt: skip
P0_V1 = ECHO | {
    "queue_pending", "sealed", "junk", "auto_approved", "oci_uploaded", "oci_failed", "oci_matchable_sealed",
    "assumed_cpc", "currency", "estimated_budget_saved", "inbox_zero_now",
}  # fmt: skip
BY_THREE = {"total_sessions", "sources", "locations", "devices"}

# Every call that reads a site: what it takes beside the site and the range, and the keys of what it answers (of a row,
# where it answers rows).
READS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "get_recent_intents_v2": ({"p_ads_only": False}, INTENTS_V2),
    "get_recent_intents_v1": ({"p_ads_only": False, "p_minutes_lookback": 1440, "p_since": "start"}, INTENTS_V1),
    "get_dashboard_intents": (
        {"p_ads_only": False},
        {
            "id", "type", "timestamp", "status", "sealed_at", "page_url", "city", "district", "device_type",
            "matched_session_id", "confidence_score", "phone_number", "event_category", "event_action",
        },
    ),
    "get_session_details": (
        {"p_session_id": "paid"},
        {
            "id", "site_id", "created_at", "created_month", "city", "district", "device_type", "attribution_source",
            "gclid", "fingerprint",
        },
    ),
    "get_session_timeline": (
        {"p_session_id": "paid"},
        {"id", "created_at", "event_category", "event_action", "event_label", "url", "metadata"},
    ),
    "get_sessions_by_fingerprint": (
        {"p_fingerprint": "visitor-1"}, {"id", "created_at", "attribution_source", "device_type", "city", "lead_score"},
    ),
    "get_command_center_p0_stats_v2": (
        {}, P0_V1 | {"projected_revenue", "total_leads", "gclid_leads", "avg_scroll_depth"},
    ),
    "get_command_center_p0_stats_v1": ({}, P0_V1),
    "get_dashboard_stats": (
        {},
        ECHO | {
            "ads_sessions", "total_sessions", "high_intent", "total_calls", "phone_click_intents",
            "whatsapp_click_intents", "sealed", "confirmed_calls", "cvr", "conversion_rate", "total_events",
            "last_event_at", "forms", "forms_enabled", "unique_visitors", "last_call_at",
        },
    ),
    "get_dashboard_timeline": ({}, {"date", "label", "visitors", "events", "calls", "intents", "conversions"}),
    "get_dashboard_breakdown": ({"p_dimension": "source"}, {"dimension_value", "count", "percentage"}),
    "get_dashboard_breakdown_p4": ({}, ECHO | BY_THREE),
    "get_dashboard_breakdown_v1": ({}, BY_THREE),
    "get_intent_ratio_watchdog": (
        {}, ECHO | {"phone_events_anycat_ads_only", "click_intents_ads_only", "ratio"},
    ),
}  # fmt: skip
SESSION_CALLS = {
    "get_recent_intents_v1",
    "get_session_details",
    "get_session_timeline",
    "get_sessions_by_fingerprint",
}


@pytest.fixture
async def asker(signed_in: Any, make_world: Any) -> tuple[Programs, World]:
    browser, user_id = await signed_in()
    return Programs(browser), await make_world(user_id)


def arguments(name: str, world: World, **changes: Any) -> dict[str, Any]:
    """What a dashboard would send."""
    own = {"p_site_id": str(world.site.id)} if name in SESSION_CALLS else world.rpc_range
    asked = READS[name][0] if name in READS else {}
    known = {
        key: str(world.ids.get(value, value)) if value == "paid" else value for key, value in asked.items()
    }
    if known.get("p_since"):
        known["p_since"] = world.start.isoformat()
    return {**own, **known, **changes}


async def rows(asker: tuple[Programs, World], name: str, **changes: Any) -> Any:
    programs, world = asker
    answer = await programs.rpc(name, **arguments(name, world, **changes))
    assert answer.status_code == 200, answer.text
    return answer.json()


# Shapes.


def test_the_calls_that_read_a_site_are_these() -> None:
    assert set(READS) == set(PROCEDURES)
    assert set(TOOLS) == {
        "validate_date_range", "is_ads_session_input", "is_ads_session", "is_ads_session_click_id_only",
        "get_url_param", "create_next_month_partitions", "verify_partition_triggers_exist", "ai_pipeline_gate_checks",
        "is_admin", "admin_sites_list", "auto_approve_stale_intents_v1", "sync_dlq_record_replay",
    }  # fmt: skip


def test_each_call_names_its_contract_and_each_contract_its_calls() -> None:
    listed = {name: contract.name for contract in (*CONTRACTS, SITES) for name in contract.procedures}
    named = {name: call.contract for name, call in {**PROCEDURES, **TOOLS}.items() if call.contract}
    assert listed == named


@pytest.mark.parametrize("name", READS)
async def test_a_call_answers_with_its_own_keys(reader: tuple[Programs, World], name: str) -> None:
    found = await rows(reader, name)
    one = found[0] if isinstance(found, list) else found
    assert set(one) == READS[name][1]
    check(found, f"rpc_{name}")


def test_intents_have_as_many_keys_as_they_had() -> None:
    assert (len(INTENTS_V2), len(INTENTS_V1)) == (64, 25)


# Rows.


async def test_taps_are_answered_newest_first_with_the_words_of_before(
    reader: tuple[Programs, World],
) -> None:
    _, world = reader
    found = await rows(reader, "get_recent_intents_v2")
    names = {str(value): name for name, value in world.ids.items()}
    assert [names[row["id"]] for row in found] == [
        "sealed",
        "junk",
        "waiting",
    ]  # no form, no call, no repeated tap
    sealed, junk, waiting = found
    assert (sealed["status"], sealed["oci_status"], sealed["oci_stage"]) == (
        "confirmed",
        "uploaded",
        "matched",
    )
    assert (sealed["oci_matchable"], sealed["risk_level"], sealed["risk_reasons"]) == (True, "low", [])
    assert (waiting["status"], waiting["oci_status"], waiting["oci_stage"]) == ("intent", None, "pending")
    assert waiting["click_id"] == "Cj0KCQiA-1"  # the visit's, where the tap has none
    assert waiting["page_url"] == waiting["intent_page_url"] == "https://shop.example/vinc"
    assert waiting["estimated_value"] == 100
    assert junk["page_url"] == "https://shop.example/blog"  # its visit's first
    assert (junk["status"], junk["risk_level"]) == ("junk", "high")
    assert junk["risk_reasons"] == [
        "High Risk: Click ID yok", "High Risk: 3sn altı kalış", "High Risk: Düşük etkileşim",
        "High Risk: Organic trafik",
    ]  # fmt: skip
    assert (junk["previous_visit_count"], junk["is_proxy_detected"], junk["ai_score"]) == (0, False, None)


async def test_the_older_version_says_the_same_in_fewer_words(reader: tuple[Programs, World]) -> None:
    newer = {row["id"]: row for row in await rows(reader, "get_recent_intents_v2")}
    older = {row["id"]: row for row in await rows(reader, "get_recent_intents_v1")}
    assert older.keys() == newer.keys()
    told_otherwise = {"risk_reasons", "intent_page_url", "click_id"}
    for lead in older:
        assert {k: v for k, v in older[lead].items() if k not in told_otherwise} == {
            k: v for k, v in newer[lead].items() if k in older[lead] and k not in told_otherwise
        }
    reasons = next(row["risk_reasons"] for row in older.values() if row["status"] == "junk")
    assert reasons == [
        "High Risk: Click ID yok (GCLID/WBRAID/GBRAID bulunamadı)", "High Risk: Sitede 3 saniye (veya daha az) kaldı",
        "High Risk: Tek etkileşim (event_count<=1)", "High Risk: Attribution Organic görünüyor",
    ]  # fmt: skip


async def test_the_older_version_looks_back_so_many_minutes(asker: tuple[Programs, World]) -> None:
    _, world = asker
    at = await world.owner.fetchval("SELECT now() - interval '30 minutes'")
    await world.lead("fresh", at, "paid")
    fresh = [str(world.ids["fresh"])]
    for lookback, found in ((31, fresh), (29, []), (None, fresh), (0, []), (10**6, fresh)):
        answer = await rows(asker, "get_recent_intents_v1", p_since=None, p_minutes_lookback=lookback)
        assert [row["id"] for row in answer] == found, lookback


ADS = {
    "true": ({"p_ads_only": True}, 2),
    "false": ({"p_ads_only": False}, 3),
    "null acts as true": ({"p_ads_only": None}, 2),
}


@pytest.mark.parametrize(("asked", "found"), ADS.values(), ids=ADS.keys())
async def test_ads_only_means_paid_visits(
    reader: tuple[Programs, World], asked: dict[str, Any], found: int
) -> None:
    assert len(await rows(reader, "get_recent_intents_v2", **asked)) == found


async def test_ads_only_is_the_default(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    assert len((await programs.rpc("get_recent_intents_v2", **world.rpc_range)).json()) == 2


@pytest.mark.parametrize(("asked", "found"), [(1, 1), (2, 2), (0, 1), (-5, 1), (10_000, 3), (None, 3)])
async def test_limits_are_taken_as_the_nearest(
    reader: tuple[Programs, World], asked: Any, found: int
) -> None:
    assert len(await rows(reader, "get_recent_intents_v2", p_limit=asked)) == found


STATUSES = {
    "everything": (None, ["call", "form", "sealed", "junk", "waiting", "conv-sent", "conv-tap"]),
    "pending": ("pending", ["call", "form", "waiting"]),
    "sealed, with the conversions": ("sealed", ["sealed", "conv-sent", "conv-tap"]),
    "confirmed, without them": ("confirmed", ["sealed"]),
    "a status of before": ("qualified", ["sealed"]),
    "junk": ("junk", ["junk"]),
    "a word that means nothing": ("other", []),
}


@pytest.mark.parametrize(("status", "expected"), STATUSES.values(), ids=STATUSES.keys())
async def test_the_list_of_leads_goes_by_the_words_of_before(
    reader: tuple[Programs, World], status: str | None, expected: list[str]
) -> None:
    _, world = reader
    found = await rows(reader, "get_dashboard_intents", p_status=status)
    names = {str(value): name for name, value in world.ids.items()}
    told = [
        "conv-" + names[row["id"].removeprefix("conv-")] if row["type"] == "conversion" else names[row["id"]]
        for row in found
    ]
    assert sorted(told) == sorted(expected)
    for row in found:
        if row["type"] == "conversion":
            assert row["status"] == "confirmed" and row["sealed_at"] == row["timestamp"]


async def test_the_list_of_leads_is_whole_however_long(signed_in: Any, make_world: Any) -> None:
    """It has no limit: it goes through the pages by itself."""
    browser, user_id = await signed_in()
    world = await make_world(user_id, empty=True)
    await world.owner.execute(
        "INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, intent_action, intent_target, intent_stamp,"
        " currency) SELECT $1, gen_random_uuid(), $2, $2, $2, 'phone', 'tel:1', n::text, 'TRY'"
        " FROM generate_series(1, 2100) n",
        world.site.id,
        world.at(1),
    )
    found = await rows((Programs(browser), world), "get_dashboard_intents")
    assert len({row["id"] for row in found}) == len(found) == 2100


async def test_search_is_for_the_page(reader: tuple[Programs, World]) -> None:
    assert len(await rows(reader, "get_dashboard_intents", p_search="BLOG")) == 1
    assert len(await rows(reader, "get_dashboard_intents", p_search="%")) == 0


async def test_one_visit_is_told_only_if_an_ad_brought_it(reader: tuple[Programs, World]) -> None:
    _, world = reader
    (paid,) = await rows(reader, "get_session_details")
    assert (paid["id"], paid["site_id"]) == (str(world.ids["paid"]), str(world.site.id))
    organic = {"p_session_id": str(world.ids["organic"])}
    assert await rows(reader, "get_session_details", **organic) == []
    assert await rows(reader, "get_session_timeline", **organic) == []
    assert await rows(reader, "get_session_details", p_session_id=str(uuid4())) == []
    assert await rows(reader, "get_sessions_by_fingerprint", p_fingerprint="visitor-2") == []
    assert await rows(reader, "get_sessions_by_fingerprint", p_fingerprint="") == []


async def test_steps_come_latest_first_without_heartbeats(reader: tuple[Programs, World]) -> None:
    steps = [row["event_action"] for row in await rows(reader, "get_session_timeline")]
    assert steps == ["form_submit", "phone_call", "scroll_depth", "view"]
    assert len(await rows(reader, "get_session_timeline", p_limit=2)) == 2


async def test_a_visitor_has_their_visits(reader: tuple[Programs, World]) -> None:
    _, world = reader
    found = await rows(reader, "get_sessions_by_fingerprint")
    assert [row["id"] for row in found] == [str(world.ids["paid"]), str(world.ids["earlier"])]
    assert [row["lead_score"] for row in found] == [55, 0]


# What has been replaced.


@pytest.mark.parametrize(("name", "call"), sorted({**PROCEDURES, **TOOLS}.items()))
async def test_a_call_that_has_been_replaced_says_by_what(
    reader: tuple[Programs, World], name: str, call: Any
) -> None:
    programs, world = reader
    assert (call.successor is not None) == (name in {
        "get_recent_intents_v1", "get_command_center_p0_stats_v1", "get_dashboard_breakdown_v1",
    })  # fmt: skip
    if name in READS:
        headers = (await programs.rpc(name, **arguments(name, world))).headers
        if call.successor:
            assert headers["deprecation"] == f"@{int(DEPRECATED_AT.timestamp())}"
            assert headers["link"] == f'</api/rpc/{call.successor}>; rel="successor-version"'
            assert call.successor in PROCEDURES
        else:
            assert "deprecation" not in headers


# Refusals.


def refusal(answer: Any) -> tuple[int, str, str]:
    body = answer.json()
    assert set(body) == {"code", "message", "details", "hint"}
    return answer.status_code, body["code"], body["message"]


@pytest.mark.parametrize("name", [*READS, *TOOLS])
async def test_a_stranger_is_not_authenticated(web: Any, reader: tuple[Programs, World], name: str) -> None:
    _, world = reader
    answer = await Programs(web.browser()).rpc(name, **arguments(name, world) if name in READS else {})
    assert refusal(answer) == (401, "P0001", "not_authenticated")
    assert answer.json()["details"] == "User must be authenticated"


@pytest.mark.parametrize("name", READS)
async def test_another_tenant_is_denied(
    reader: tuple[Programs, World], neighbour: tuple[Programs, World], name: str
) -> None:
    (_, world), (other, _) = reader, neighbour
    for site in (str(world.site.id), str(uuid4())):
        answer = await other.rpc(name, **arguments(name, world, p_site_id=site))
        assert refusal(answer) == (403, "P0001", "access_denied")
        assert answer.json()["details"] == "Access denied to this site"


RANGES = {
    "none": ({"p_date_from": None, "p_date_to": None}, "date_from and date_to are required"),
    "half of one": ({"p_date_to": None}, "date_from and date_to are required"),
    "reversed": (
        {"p_date_from": "2026-02-02T00:00:00Z", "p_date_to": "2026-02-01T00:00:00Z"}, "date_from must be <= date_to",
    ),
    "too long": (
        {"p_date_from": "2026-01-01T00:00:00Z", "p_date_to": "2026-08-01T00:00:00Z"},
        "Date range exceeds maximum of 184 days (6 months)",
    ),
}  # fmt: skip
RANGED = [name for name in READS if name not in SESSION_CALLS] + ["validate_date_range"]


@pytest.mark.parametrize("name", RANGED)
@pytest.mark.parametrize(("bounds", "message"), RANGES.values(), ids=RANGES.keys())
async def test_a_range_is_refused_in_the_words_of_before(
    reader: tuple[Programs, World], name: str, bounds: dict[str, Any], message: str
) -> None:
    programs, world = reader
    asked = {**arguments(name, world), **bounds}
    if name == "validate_date_range":
        asked = {key: asked[key] for key in ("p_date_from", "p_date_to")}
    assert refusal(await programs.rpc(name, **asked)) == (400, "P0001", message)


WRONG: dict[str, tuple[str, Any, int, str, str]] = {
    "a name that is none": ("get_everything", {}, 404, "PGRST202", "Could not find the function get_everything"),
    "an argument that is none": (
        "get_recent_intents_v2", {"p_adsonly": True}, 400, "PGRST202", "get_recent_intents_v2 has no argument 'p_adsonly'",
    ),
    "an argument less": (
        "get_session_details", {"p_session_id": None}, 400, "PGRST202",
        "get_session_details needs the argument p_session_id",
    ),
    "a site that is no id": ("get_recent_intents_v2", {"p_site_id": "x"}, 400, "22P02", "p_site_id is no uuid: 'x'"),
    "a number for a site": ("get_recent_intents_v2", {"p_site_id": 1}, 400, "22P02", "p_site_id is no uuid: 1"),
    "a text for a limit": ("get_recent_intents_v2", {"p_limit": "many"}, 400, "22P02", "p_limit is no integer: 'many'"),
    "a truth for a limit": ("get_recent_intents_v2", {"p_limit": True}, 400, "22P02", "p_limit is no integer: True"),
    "a limit beyond integers": (
        "get_recent_intents_v2", {"p_limit": 2**31}, 400, "22P02", "p_limit is no integer: 2147483648",
    ),
    "a number for a truth": ("get_recent_intents_v2", {"p_ads_only": 1}, 400, "22P02", "p_ads_only is no boolean: 1"),
    "a text with NUL": (
        "get_dashboard_intents", {"p_search": "a\x00"}, 400, "22P02", r"p_search is no text: 'a\x00'",
    ),
    "an instant without a zone": (
        "get_recent_intents_v1", {"p_since": "2026-02-01T00:00:00"}, 400, "22P02",
        "p_since is no instant: '2026-02-01T00:00:00'",
    ),
    "a dimension that is none": (
        "get_dashboard_breakdown", {"p_dimension": "colour"}, 400, "P0001",
        "Invalid dimension: colour. Must be source, device, or city",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "status", "code", "message"), WRONG.values(), ids=WRONG.keys())
async def test_what_cannot_be_called_so_is_said(
    reader: tuple[Programs, World], name: str, changes: dict[str, Any], status: int, code: str, message: str
) -> None:
    programs, world = reader
    known = arguments(name, world, **changes) if name in READS else changes
    assert refusal(await programs.rpc(name, **known)) == (status, code, message)


BODIES = {
    "no JSON": (b"{", 400, "PGRST102"),
    "no object": (b"[]", 400, "PGRST102"),
    "bytes": (b"\xff\xfe", 400, "PGRST102"),
    "nested beyond reason": (b"[" * 50_000, 400, "PGRST102"),
    "nothing, where nothing is needed": (b"", 200, ""),
}


@pytest.mark.parametrize(("body", "status", "code"), BODIES.values(), ids=BODIES.keys())
async def test_the_body_is_an_object(
    reader: tuple[Programs, World], body: bytes, status: int, code: str
) -> None:
    programs, _ = reader
    answer = await programs.post("/api/rpc/is_admin", body)
    assert answer.status_code == status
    if code:
        assert refusal(answer)[1] == code
    else:
        assert answer.json() is False


async def test_a_body_beyond_reason_is_refused_unread(reader: tuple[Programs, World]) -> None:
    programs, _ = reader
    answer = await programs.rpc("get_url_param", p_url="https://a.example/?x=" + "y" * 70_000, p_param="x")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_only_post_is_answered(reader: tuple[Programs, World]) -> None:
    programs, _ = reader
    answer = await programs.get("/api/rpc/is_admin")
    assert refusal(answer)[0] == 405


# A signed-in browser is no tool for other sites.

FORGED = {
    "a form": ({"content_type": "application/x-www-form-urlencoded"}, 415),
    "a form that looks like JSON": ({"content_type": "text/plain"}, 415),
    "a beacon": ({"content_type": "text/plain;charset=UTF-8"}, 415),
    "JSON from another site": ({"origin": "https://evil.example"}, 403),
    "JSON from a frame without an origin": ({"origin": "null"}, 403),
    "JSON that the browser says is another site's": ({"sec_fetch_site": "cross-site"}, 403),
    "JSON from a neighbour of the same domain": ({"sec_fetch_site": "same-site"}, 403),
    "our own page": ({"sec_fetch_site": "same-origin"}, 200),
    "our own page, in full": ({"content_type": "application/json; charset=utf-8", "origin": "own"}, 200),
}


@pytest.mark.parametrize(("headers", "status"), FORGED.values(), ids=FORGED.keys())
@pytest.mark.parametrize("path", ["/api/rpc/is_admin", "/api/jobs/auto-approve"])
async def test_another_site_can_call_nothing(
    web: Any, reader: tuple[Programs, World], path: str, headers: dict[str, str], status: int
) -> None:
    programs, _ = reader
    named = {key: web.base_url if value == "own" else value for key, value in headers.items()}
    answer = await programs.post(path, {}, **named)
    if status == 200 and path != "/api/rpc/is_admin":
        assert answer.status_code == 400  # it is read, and lacks its site
    else:
        assert answer.status_code == status, answer.text
        if path.startswith("/api/rpc") and status != 200:
            refusal(answer)


# The small ones.


async def test_a_good_range_is_answered_with_nothing(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    asked = {key: world.rpc_range[key] for key in ("p_date_from", "p_date_to")}
    answer = await programs.rpc("validate_date_range", **asked)
    assert (answer.status_code, answer.content) == (204, b"")


TRAFFIC = {
    "a click id": ({"p_gclid": "x"}, True),
    "a blank one": ({"p_gclid": "  "}, False),
    "a paid medium": ({"p_utm_medium": "cpc"}, True),
    "an organic visit from google": ({"p_utm_source": "google", "p_utm_medium": "organic"}, False),
    "an ad product": ({"p_utm_source": "adwords"}, True),
    "nothing": ({}, False),
    "a source of before": ({"p_attribution_source": "First Click (Paid)"}, True),
}


@pytest.mark.parametrize(("columns", "paid"), TRAFFIC.values(), ids=TRAFFIC.keys())
async def test_ad_traffic_is_told_by_its_columns(
    reader: tuple[Programs, World], columns: dict[str, str], paid: bool
) -> None:
    programs, _ = reader
    assert (await programs.rpc("is_ads_session_input", **columns)).json() is paid
    row = {name.removeprefix("p_"): value for name, value in columns.items()}
    assert (await programs.rpc("is_ads_session", sess=row)).json() is paid
    ids_only = bool((columns.get("p_gclid") or "").strip())
    assert (await programs.rpc("is_ads_session_click_id_only", sess=row)).json() is ids_only


PARAMETERS = {
    "the first of that name": ("https://a.example/?x=1&y=2&x=3", "x", "1"),
    "decoded": ("https://a.example/?utm_term=kiral%C4%B1k+vin%C3%A7", "utm_term", "kiralık vinç"),
    "empty": ("https://a.example/?x=", "x", ""),
    "none": ("https://a.example/", "x", None),
    "whose name is a part of another": ("https://a.example/?xx=1", "x", None),
    "in what is no address": ("http://[", "x", None),
    "of nothing": (None, "x", None),
}


@pytest.mark.parametrize(("url", "name", "value"), PARAMETERS.values(), ids=PARAMETERS.keys())
async def test_a_parameter_of_an_address_is_read(
    reader: tuple[Programs, World], url: str | None, name: str, value: str | None
) -> None:
    programs, _ = reader
    answer = await programs.rpc("get_url_param", p_url=url, p_param=name)
    assert (answer.status_code, answer.json()) == (200, value)


ADMINS = {
    "create_next_month_partitions": None,
    "verify_partition_triggers_exist": True,
    "ai_pipeline_gate_checks": {
        "pg_net_enabled": False,
        "trigger_exists": False,
        "api_keys_configured": False,
    },
}


@pytest.mark.parametrize(("name", "answer"), ADMINS.items())
async def test_what_is_about_the_platform_is_for_who_runs_it(
    reader: tuple[Programs, World], signed_in: Any, name: str, answer: Any
) -> None:
    programs, _ = reader
    assert refusal(await programs.rpc(name)) == (403, "P0001", "access_denied")
    admin, _ = await signed_in(role="admin")
    found = await Programs(admin).rpc(name)
    if answer is None:
        assert (found.status_code, found.content) == (204, b"")
    else:
        assert (found.status_code, found.json()) == (200, answer)


async def test_nobody_finds_out_who_runs_the_platform_but_who_does(
    reader: tuple[Programs, World], signed_in: Any
) -> None:
    programs, world = reader
    admin, admin_id = await signed_in(role="admin")
    assert (await programs.rpc("is_admin")).json() is False
    assert (await programs.rpc("is_admin", check_user_id=str(admin_id))).json() is False
    assert (await Programs(admin).rpc("is_admin")).json() is True
    assert (await Programs(admin).rpc("is_admin", check_user_id=str(admin_id))).json() is True
    assert (await Programs(admin).rpc("is_admin", check_user_id=str(world.site.user_id))).json() is False


async def test_the_list_of_all_sites(asker: tuple[Programs, World], signed_in: Any) -> None:
    programs, world = asker
    assert refusal(await programs.rpc("admin_sites_list")) == (403, "P0001", "access_denied")
    admin, _ = await signed_in(role="admin")
    at = await world.owner.fetchval("SELECT now() - interval '5 minutes'")
    await world.owner.execute(
        "INSERT INTO counter_journal (site_id, changed_at, last_event_at) VALUES ($1, now(), $2)",
        world.site.id,
        at,
    )
    found = (await Programs(admin).rpc("admin_sites_list", search=world.site.public_id.upper())).json()
    (site,) = found
    assert set(site) == {
        "site_id", "name", "domain", "public_id", "owner_user_id", "owner_email", "last_event_at", "last_category",
        "last_label", "minutes_ago", "status",
    }  # fmt: skip
    assert (site["site_id"], site["status"], site["minutes_ago"]) == (str(world.site.id), "RECEIVING", 5)
    assert (site["last_category"], site["last_label"]) == ("conversion", "teklif")
    check(found, "rpc_admin_sites_list")
    assert (await Programs(admin).rpc("admin_sites_list", limit_count=0)).json() == []


# Acts.


async def stale(world: World) -> str:
    """A lead that a rule may seal: a paid visit of some length, two days ago."""
    await world.visit("stale", world.at(0), PAID)
    await world.lead("old", world.at(0.1), "stale")
    await world.visit("short", world.at(0), ORGANIC)
    await world.lead("risky", world.at(0.2), "short")
    await world.count()
    return str(world.ids["old"])


async def test_stale_leads_are_sealed_by_who_may_where_it_is_switched_on(
    signed_in: Any, make_world: Any
) -> None:
    browser, user_id = await signed_in()
    programs, world = Programs(browser), await make_world(user_id, empty=True)
    old = await stale(world)
    asked = {"p_site_id": str(world.site.id), "p_min_age_hours": 24, "p_limit": 10}
    assert refusal(await programs.rpc("auto_approve_stale_intents_v1", **asked))[:2] == (422, "unprocessable")
    await world.owner.execute("UPDATE sites SET auto_approve_hours = 24 WHERE id = $1", world.site.id)

    analyst, analyst_id = await signed_in()
    await world.member(analyst_id, "analyst")
    assert refusal(await Programs(analyst).rpc("auto_approve_stale_intents_v1", **asked))[:2] == (
        403,
        "42501",
    )
    stranger, _ = await signed_in()
    denied = await Programs(stranger).rpc("auto_approve_stale_intents_v1", **asked)
    assert refusal(denied) == (403, "P0001", "access_denied")

    found = (await programs.rpc("auto_approve_stale_intents_v1", **asked)).json()
    assert found == [{"call_id": old}]
    check(found, "rpc_auto_approve_stale_intents_v1")
    assert (await programs.rpc("auto_approve_stale_intents_v1", **asked)).json() == []


async def test_a_replay_that_was_made_elsewhere_is_remembered(
    asker: tuple[Programs, World], signed_in: Any
) -> None:
    programs, world = asker
    rejected = str(await world.refused({"act": "view"}))
    found = (await programs.rpc("sync_dlq_record_replay", p_id=rejected, p_error="timeout")).json()
    (row,) = found
    assert set(row) == {"id", "replay_count", "last_replay_at", "last_replay_error"}
    assert (row["id"], row["replay_count"], row["last_replay_error"]) == (rejected, 1, "timeout")
    assert datetime.now(UTC) - datetime.fromisoformat(row["last_replay_at"]) < timedelta(minutes=1)
    again = (await programs.rpc("sync_dlq_record_replay", p_id=rejected)).json()
    assert (again[0]["replay_count"], again[0]["last_replay_error"]) == (2, None)
    check(found + again, "rpc_sync_dlq_record_replay")
    missing = await programs.rpc("sync_dlq_record_replay", p_id=str(uuid4()))
    assert refusal(missing) == (404, "P0001", "DLQ row not found")
    other, _ = await signed_in()
    assert (await Programs(other).rpc("sync_dlq_record_replay", p_id=rejected)).status_code == 403
