"""What is kept of that which is refused: enough to let it in as it came, never more than there is room for, and nothing
that a visitor did not agree to."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.event import Reason
from opsmantik.ingest.drops import KEPT, KEPT_AN_HOUR, KEPT_BYTES, MESSAGES, STATUS, Quarantine
from tests.ingest.conftest import CHROME, now_ms

pytestmark = pytest.mark.slow

EVIL = "https://evil.example"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def body(site: Any, item: Any, **changes: Any) -> dict[str, Any]:
    return {"site": site.public_id, "sent": now_ms(), "v": "1.0.0", **item(**changes)}


async def kept(owner: Any, site: Any) -> list[Any]:
    rows: list[Any] = await owner.fetch(
        "SELECT *, host(ip_address) AS ip FROM rejected_events WHERE site_id = $1 ORDER BY received_at, id",
        site.id,
    )
    return rows


async def tally(owner: Any, site: Any) -> dict[str, int]:
    return dict(await owner.fetch("SELECT outcome, n FROM ingest_counts WHERE site_id = $1", site.id))


def test_every_reason_has_a_status_and_words() -> None:
    assert set(STATUS) == set(MESSAGES) == set(Reason)
    assert set(KEPT_AN_HOUR) <= KEPT
    assert Reason.NO_CONSENT not in KEPT


async def test_device_place_and_clock_are_kept_with_it(
    door: Any, make_site: Any, owner: Any, item: Any
) -> None:
    site = await make_site()
    event = body(site, item)
    assert (await door.post("/v1/events", event, origin=EVIL)).status_code == 403
    [row] = await kept(owner, site)
    assert json.loads(row["payload"]) == event
    assert (row["reason"], row["detail"], row["origin"]) == ("origin_refused", EVIL, EVIL)
    assert (row["user_agent"], row["ip"], row["door"]) == (CHROME, "127.0.0.0", "v1")
    assert (row["sent_ms"], row["tracker"]) == (event["sent"], "1.0.0")


async def test_no_address_is_kept_where_the_site_keeps_none(
    door: Any, make_site: Any, owner: Any, item: Any
) -> None:
    site = await make_site(keep_ip=False)
    await door.post("/v1/events", body(site, item), origin=EVIL)
    [row] = await kept(owner, site)
    assert (row["ip"], row["user_agent"]) == (None, CHROME)


NO = {"analytics": False, "marketing": False}
YES = {"analytics": True, "marketing": False}
# The site's policy, the visitor's word, and whether anything may be kept.
CONSENTS: dict[str, tuple[str, Any, bool]] = {
    "implied, nothing said": ("implied", None, True),
    "implied, no": ("implied", NO, False),
    "required, nothing said": ("required", None, False),
    "required, yes": ("required", YES, True),
    "required, no": ("required", NO, False),
    "legacy, nothing said": ("legacy", None, False),
}


@pytest.mark.parametrize(("mode", "consent", "is_kept"), CONSENTS.values(), ids=CONSENTS.keys())
@pytest.mark.parametrize("how", [{"origin": EVIL}, {"user_agent": BOT}], ids=["origin", "bot"])
async def test_without_consent_nothing_is_kept_whatever_the_reason(
    door: Any, make_site: Any, owner: Any, item: Any, mode: str, consent: Any, is_kept: bool, how: Any
) -> None:
    site = await make_site(consent_mode=mode)
    await door.post("/v1/events", body(site, item, **({"consent": consent} if consent else {})), **how)
    assert len(await kept(owner, site)) == (1 if is_kept else 0)
    assert sum((await tally(owner, site)).values()) == 1, "counted all the same"


async def test_of_what_cannot_be_read_no_device_is_kept_where_consent_is_asked_for(
    door: Any, make_site: Any, owner: Any, item: Any
) -> None:
    for mode, agent in (("implied", CHROME), ("required", None)):
        site = await make_site(consent_mode=mode)
        await door.post("/v1/events", body(site, item, id="none"))
        [row] = await kept(owner, site)
        assert (row["reason"], row["user_agent"]) == ("malformed", agent)


async def test_a_stranger_cannot_fill_the_disk(
    door: Any, make_site: Any, owner: Any, item: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEPT_AN_HOUR, Reason.ORIGIN_REFUSED, 3)
    site, other = await make_site(), await make_site()
    for _ in range(8):
        await door.post("/v1/events", body(site, item), origin=EVIL)
    await door.post("/v1/events", body(site, item), user_agent=BOT)
    await door.post("/v1/events", body(other, item), origin=EVIL)
    assert [row["reason"] for row in await kept(owner, site)] == ["origin_refused"] * 3 + ["bot"]
    assert len(await kept(owner, other)) == 1
    assert await tally(owner, site) == {"origin_refused": 8, "bot": 1}


def test_the_room_is_for_an_hour() -> None:
    quarantine, site = Quarantine(), uuid4()
    most = KEPT_AN_HOUR[Reason.OVER_QUOTA]
    said = [quarantine.has_room(site, Reason.OVER_QUOTA, 1) for _ in range(most + 5)]
    assert said == [True] * most + [False] * 5
    assert quarantine.has_room(site, Reason.OVER_QUOTA, 3_600_000)
    assert all(quarantine.has_room(site, Reason.UNSTORABLE, 1) for _ in range(5000)), "it passed every check"
    assert not quarantine.has_room(site, Reason.RATE_LIMITED, 1)


@pytest.mark.slow
async def test_however_many_processes_keep_them_there_is_a_ceiling(
    app_database: Any, make_site: Any, owner: Any
) -> None:
    site, other = await make_site(), await make_site()

    def row(site_id: Any, reason: str) -> tuple[Any, ...]:
        return (site_id, uuid4(), None, "v1", reason, None, b"x", None, None, None, None, None)

    async with app_database.connection() as connection:
        for _ in range(5):
            await connection.execute("SELECT keep_rejected($1)", [row(site.id, "bot") for _ in range(600)])
        await connection.execute(
            "SELECT keep_rejected($1)", [row(site.id, "malformed"), row(other.id, "bot"), row(site.id, "bot")]
        )
    rows = await owner.fetch("SELECT site_id, reason, count(*) AS n FROM rejected_events WHERE site_id = ANY ($1)"
        " GROUP BY 1, 2", [site.id, other.id])  # fmt: skip
    assert {(row["site_id"], row["reason"]): row["n"] for row in rows} == {
        (site.id, "bot"): 2000, (site.id, "malformed"): 1, (other.id, "bot"): 1,
    }  # fmt: skip


async def test_a_long_payload_is_cut(door: Any, make_site: Any, owner: Any, item: Any) -> None:
    site = await make_site()
    meta = {f"k{n}": "x" * 2000 for n in range(40)}
    await door.post("/v1/events", body(site, item, meta=meta), origin=EVIL)
    [row] = await kept(owner, site)
    assert len(row["payload"]) == KEPT_BYTES


async def test_a_strange_origin_is_kept_as_text(door: Any, make_site: Any, owner: Any, item: Any) -> None:
    site = await make_site()
    origin = "https://<script>alert(1)</script>.example/" + "x" * 1000
    assert (await door.post("/v1/events", body(site, item), origin=origin)).status_code == 403
    [row] = await kept(owner, site)
    assert (row["origin"], row["detail"]) == (origin[:300], origin[:200])


async def test_a_bot_that_the_site_lets_in_is_a_visitor(
    door: Any, make_site: Any, owner: Any, item: Any
) -> None:
    site = await make_site(allowed_bots=["Googlebot"])
    await door.post("/v1/events", body(site, item), user_agent=BOT)
    await door.post("/v1/events", body(site, item), user_agent="curl/8.5.0")
    assert await tally(owner, site) == {"stored": 1, "bot": 1}
