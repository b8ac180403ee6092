"""A small world to ask about: one site with visits, leads of every kind, decisions and what was refused.

Two days ago, at whole hours, so that nothing depends on the time at which a test runs. Everybody's rows are laid by
hand and counted afterwards, as an import would.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx

from tests.conftest import NewSite
from tests.web.browsing import Browser, Running

HOUR = timedelta(hours=1)
PAID = {
    "attribution_source": "First Click (Paid)", "channel": "paid_search", "is_paid": True, "gclid": "Cj0KCQiA-1",
    "has_click_id": True, "utm_term": "kiralık vinç", "utm_campaign": "istanbul", "utm_source": "google",
    "utm_medium": "cpc", "utm_content": "a", "matchtype": "e", "ads_network": "g", "ads_placement": "x",
    "fingerprint": "visitor-1", "entry_page": "https://shop.example/vinc?utm_source=google", "referrer_host": "google.com",
    "exit_page": "https://shop.example/iletisim", "city": "İstanbul", "district": "Kadıköy", "country": "TR",
    "place_source": "edge", "device_type": "mobile", "device_os": "iOS", "browser": "Safari", "browser_language": "tr-TR",
    "time_zone": "Europe/Istanbul", "device_memory": 8.0, "hardware_concurrency": 8, "screen_width": 390,
    "screen_height": 844, "pixel_ratio": 3.0, "gpu_renderer": "Apple GPU", "connection_type": "4g",
    "telco_carrier": "Carrier", "isp_asn": "AS1", "total_duration_sec": 120, "event_count": 6, "view_count": 3,
    "max_scroll_percentage": 70, "cta_hover_count": 2, "form_focus_duration": 4, "total_active_seconds": 90,
    "previous_visit_count": 1, "is_returning": True, "referrer": "https://www.google.com/", "consent_analytics": True,
    "consent_marketing": True,
    "attribution": {
        "rule": "google_click_id", "evidence": {"gclid": "Cj0KCQiA-1"}, "losers": ["paid_utm"], "version": 1,
    },
}  # fmt: skip
ORGANIC = {
    "attribution_source": "Organic", "channel": "organic_search", "is_paid": False, "fingerprint": "visitor-2",
    "entry_page": "https://shop.example/blog", "total_duration_sec": 2, "event_count": 1,
}  # fmt: skip


class World:
    """One site and its rows; ids by the names that the tests use."""

    def __init__(self, owner: Any, web: Running, site: Any, start: datetime) -> None:
        self.owner = owner
        self.web = web
        self.site = site
        self.start = start
        self.end = start + 24 * HOUR
        self.ids: dict[str, UUID] = {}

    @property
    def path(self) -> str:
        return f"/api/v1/sites/{self.site.id}"

    @property
    def range(self) -> dict[str, str]:
        return {"from": self.start.isoformat(), "to": self.end.isoformat()}

    @property
    def rpc_range(self) -> dict[str, str]:
        return {
            "p_site_id": str(self.site.id), "p_date_from": self.start.isoformat(), "p_date_to": self.end.isoformat(),
        }  # fmt: skip

    def at(self, hours: float) -> datetime:
        return self.start + hours * HOUR

    async def visit(self, name: str, at: datetime, kind: dict[str, Any], **columns: Any) -> UUID:
        month, session_id = at.astimezone(UTC).date().replace(day=1), uuid4()
        row = {
            "site_id": self.site.id, "created_month": month, "id": session_id, "created_at": at, "started_at": at,
            "last_event_at": at + timedelta(minutes=2), "first_key": 1, "exit_key": 1, "source_key": 1,
            "attribution": {}, "click_at": at, **kind, **columns,
        }  # fmt: skip
        await self.owner.execute("SELECT make_month($1)", month)
        async with self.owner.transaction():
            await self.insert(
                "session_keys", {"site_id": self.site.id, "id": session_id, "created_month": month}
            )
            await self.insert("sessions", row)
        self.ids[name] = session_id
        return session_id

    async def lead(self, name: str, at: datetime, visit: str | None = None, **columns: Any) -> UUID:
        lead_id = uuid4()
        row = {
            "site_id": self.site.id, "id": lead_id, "created_at": at, "occurred_at": at, "updated_at": at,
            "intent_action": "phone", "intent_target": "tel:+905321234567", "intent_stamp": lead_id.hex,
            "phone_number": "+905321234567", "currency": "TRY", "lead_score": 55, "matched_at": at,
            "score_breakdown": {"conversion": 20, "nothing": 0}, **columns,
        }  # fmt: skip
        if visit is not None:
            session = await self.owner.fetchrow(
                "SELECT created_month, fingerprint FROM sessions WHERE site_id = $1 AND id = $2",
                self.site.id,
                self.ids[visit],
            )
            row |= {
                "matched_session_id": self.ids[visit], "matched_session_month": session["created_month"],
                "matched_fingerprint": session["fingerprint"],
            }  # fmt: skip
        await self.insert("calls", row)
        self.ids[name] = lead_id
        return lead_id

    async def event(self, name: str, at: datetime, visit: str, action: str, **columns: Any) -> UUID:
        event_id = uuid4()
        row = {
            "site_id": self.site.id, "id": event_id, "session_id": self.ids[visit], "created_at": at, "occurred_at": at,
            "session_month": await self._month(visit), "event_category": "interaction", "event_action": action,
            "url": "https://shop.example/vinc", **columns,
        }  # fmt: skip
        await self.insert("events", row)
        self.ids[name] = event_id
        return event_id

    async def conversion(self, lead: str, state: str, **columns: Any) -> UUID:
        conversion_id = uuid4()
        row = {
            "site_id": self.site.id, "id": conversion_id, "call_id": self.ids[lead], "order_id": conversion_id.hex,
            "state": state, "due_at": self.at(6), "occurred_at": self.at(2), "currency": "TRY",
            "value": Decimal("1500.50"), "consent": "granted", "consent_at": self.at(6), **columns,
        }  # fmt: skip
        await self.insert("conversions", row)
        return conversion_id

    async def refused(self, payload: Any, reason: str = "bot", **columns: Any) -> UUID:
        """A refused event that was kept."""
        rejected_id = uuid4()
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        row = {
            "site_id": self.site.id, "id": rejected_id, "received_at": self.at(3), "door": "v1", "reason": reason,
            "detail": "Googlebot", "payload": raw, **columns,
        }  # fmt: skip
        await self.insert("rejected_events", row)
        return rejected_id

    async def member(self, user_id: UUID, role: str) -> None:
        await self.insert("site_members", {"site_id": self.site.id, "user_id": user_id, "role": role})

    async def count(self) -> None:
        """Make the counters true."""
        await self.owner.execute("SELECT rebuild_counters($1)", self.site.id)

    async def touch(self) -> None:
        """A transaction that changes the site."""
        await self.owner.execute(
            "INSERT INTO counter_journal (site_id, changed_at) VALUES ($1, now())", self.site.id
        )

    async def _month(self, visit: str) -> date:
        month: date = await self.owner.fetchval(
            "SELECT created_month FROM session_keys WHERE site_id = $1 AND id = $2",
            self.site.id,
            self.ids[visit],
        )
        return month

    async def insert(self, table: str, row: dict[str, Any]) -> None:
        places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
        await self.owner.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


async def build(world: World) -> None:
    """Fill the world: three visits, five leads (one of two taps), the events of the paid visit."""
    await world.visit("paid", world.at(1), PAID)
    await world.visit("organic", world.at(2), ORGANIC)
    await world.visit("earlier", world.start - 240 * HOUR, PAID)
    await world.lead(
        "waiting", world.at(1.1), "paid", intent_page_url="https://shop.example/vinc", estimated_value=100
    )
    await world.lead("again", world.at(1.2), "paid", merged_into=world.ids["waiting"])
    await world.lead(
        "sealed", world.at(3), "paid", intent_action="whatsapp", intent_target="wa:+905321234567", status="sealed",
        sale_amount=Decimal("1500.50"), confirmed_at=world.at(5), confirmed_by=world.site.user_id, click_id="Cj0KCQiA-1",
        click_id_kind="gclid", quality=80, note="called back",
    )  # fmt: skip
    await world.conversion("sealed", "accepted")
    await world.lead(
        "junk", world.at(2.1), "organic", status="junk", confirmed_at=world.at(4), junk_reason="spam"
    )
    await world.lead(
        "form", world.at(6), "paid", source="form", intent_action="form", intent_target="form:teklif"
    )
    await world.lead(
        "call", world.at(7), None, source="api", intent_action=None, intent_target=None, intent_stamp=None
    )
    await world.event("view", world.at(1), "paid", "view", event_label="Vinç", metadata={"a": 1})
    await world.event(
        "scroll", world.at(1.02), "paid", "scroll_depth", event_value=50, flags=["clock_corrected"]
    )
    await world.event("beat", world.at(1.05), "paid", "heartbeat", event_category="system")
    await world.event(
        "tap",
        world.at(1.1),
        "paid",
        "phone_call",
        event_category="conversion",
        event_label="tel:+905321234567",
    )
    await world.event(
        "sent", world.at(6), "paid", "form_submit", event_category="conversion", event_label="teklif"
    )
    await world.count()


class Programs:
    """A signed-in browser's scripts: JSON in, JSON out."""

    def __init__(self, browser: Browser) -> None:
        self.http = browser.http

    async def get(self, path: str, params: Any = None, **headers: str) -> httpx.Response:
        named = {"accept": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.http.get(path, params=params, headers=named)

    async def post(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> httpx.Response:
        named = {"content-type": "application/json", "accept": "application/json"}
        named |= {k.replace("_", "-"): v for k, v in headers.items()}
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.request(method, path, content=content, headers=named)

    async def rpc(self, call: str, **arguments: Any) -> httpx.Response:
        return await self.post(f"/api/rpc/{call}", arguments)


async def new_world(owner: Any, web: Running, user_id: UUID, *, empty: bool = False, **columns: Any) -> World:
    """A site of this person in a world of its own, filled unless ``empty``."""
    site = NewSite(uuid4(), uuid4().hex, user_id)
    now = await owner.fetchval("SELECT date_trunc('hour', now())")
    world = World(owner, web, site, now - timedelta(days=2))
    row = {
        "id": site.id, "user_id": user_id, "public_id": site.public_id, "name": "Shop", "domain": "shop.example", **columns,
    }  # fmt: skip
    await world.insert("sites", row)
    await web.app.collect.registry.refresh()
    if not empty:
        await build(world)
    return world


async def new_reader(owner: Any, web: Running, password_hash: str) -> tuple[Programs, World]:
    """A new account, signed in, with a filled world."""
    user_id = uuid4()
    email = f"{user_id.hex}@example.com"
    await owner.execute(
        "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ayşe', $3)",
        user_id,
        email,
        password_hash,
    )
    await owner.execute("INSERT INTO profiles (id) VALUES ($1)", user_id)
    browser = web.browser()
    assert (await browser.sign_in(email)).status_code == 303
    return Programs(browser), await new_world(owner, web, user_id)


MakeWorld = Callable[..., Awaitable[World]]
