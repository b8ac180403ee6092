"""Two days of a site, small enough to count by hand. What each row is for stands beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.dashboard.world import World, insert

ZONE = "Europe/Istanbul"  # UTC+3 all year
CPC = Decimal("3.50")


def at(day: int, clock: str) -> datetime:
    """A moment of November 2026 by the site's clock."""
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) - timedelta(hours=3)


START, END = at(10, "0:00"), at(12, "0:00")

AD: dict[str, Any] = {
    "attribution_source": "First Click (Paid)", "channel": "paid_search", "is_paid": True, "gclid": "g1",
    "device_type": "mobile", "city": "İstanbul", "district": "Kadıköy", "utm_campaign": "vinc", "utm_term": "kiralık vinç",
    "matchtype": "e", "entry_page": "https://shop.example/fiyat?x=1", "fingerprint": "v1", "max_scroll_percentage": 80,
}  # fmt: skip
ORGANIC: dict[str, Any] = {
    "device_type": "desktop", "city": "Ankara", "entry_page": "https://shop.example/", "fingerprint": "v2",
    "max_scroll_percentage": 40,
}  # fmt: skip
SOCIAL: dict[str, Any] = {
    "attribution_source": "Paid Social", "channel": "paid_social", "is_paid": True, "device_type": "mobile",
    "city": "İstanbul", "utm_campaign": "bahar", "fingerprint": "v1", "max_scroll_percentage": 60,
}  # fmt: skip
DIRECT: dict[str, Any] = {"attribution_source": "Direct", "channel": "direct", "max_scroll_percentage": 10}


async def lay(world: World) -> None:
    """The rows, and the counters of them."""
    before = await world.session(at(9, "23:30"), **ORGANIC | {"fingerprint": "v0"})  # not of these days, but:
    await world.event(before, at(10, "0:10"))  # its event is
    ad = await world.session(at(10, "10:00"), **AD)
    await world.event(ad, at(10, "10:00"))
    await world.event(ad, at(10, "10:01"))
    await world.event(ad, at(10, "10:05"), "form_submit", "conversion")
    organic = await world.session(at(10, "11:00"), **ORGANIC)
    await world.event(organic, at(10, "11:00"))
    early = await world.session(at(10, "8:00"), **SOCIAL | {"fingerprint": "v3"})
    await world.event(early, at(10, "8:00"))
    social = await world.session(at(11, "12:00"), **SOCIAL)  # v1 again, on another day
    await world.event(social, at(11, "12:00"))
    await world.event(social, at(11, "12:01"), "phone_call", "conversion")
    direct = await world.session(at(11, "13:00"), **DIRECT)
    await world.event(direct, at(11, "13:00"))

    sealed = await world.lead(
        at(10, "10:02"), ad, status="sealed", confirmed_at=at(10, "12:02"), sale_amount=Decimal(1000)
    )
    await world.lead(at(10, "10:03"), ad, merged_into=sealed)  # a repeated tap
    await world.lead(at(10, "10:05"), ad, source="form", intent_action="form", intent_target="form:teklif")
    await world.lead(
        at(10, "11:01"), organic, intent_action="whatsapp", status="junk", confirmed_at=at(11, "11:01")
    )
    await world.lead(at(11, "12:01"), social, status="pending")
    await world.lead(
        at(11, "13:01"), direct, status="suspicious", confirmed_at=at(11, "13:02"), is_automatic=True
    )
    converted = await world.lead(
        at(11, "13:30"), direct, intent_action="whatsapp", status="conversion", confirmed_at=at(11, "14:30"),
        sale_amount=Decimal(500), is_automatic=True,
    )  # fmt: skip
    reported = await world.lead(
        at(11, "14:00"), source="api", intent_action=None, intent_target=None, intent_stamp=None, click_id="g2",
        click_id_kind="gclid", status="sealed", confirmed_at=at(11, "14:10"), sale_amount=Decimal(50), currency="EUR",
    )  # fmt: skip
    older = await world.lead(  # of the day before, decided on the first day
        at(9, "23:40"), before, status="sealed", confirmed_at=at(10, "9:30"), sale_amount=Decimal(200)
    )
    for lead, state in (
        (sealed, "retracted"), (sealed, "matched"), (converted, "accepted"), (reported, "failed"), (older, "queued"),
    ):  # fmt: skip
        await world.conversion(lead, state)
    await world.count()
    await insert(world.owner, "counter_journal", {
        "site_id": world.site_id, "changed_at": at(11, "14:10"), "last_event_at": at(11, "13:00"),
        "last_intent_at": at(11, "14:00"),
    })  # fmt: skip
