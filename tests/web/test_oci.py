"""The first generation's file, and what Google fetches by itself: a GET that only reads, a password, a day's wait."""

from __future__ import annotations

import asyncio
import base64
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsmantik.conversions.batches import PullRoute
from opsmantik.conversions.google_ads_csv import ADJUSTMENT_COLUMNS, COLUMNS
from opsmantik.db.connect import Asker
from opsmantik.errors import Unprocessable
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.people.key_tries import KeyTries
from opsmantik.upkeep import exporting
from opsmantik.web import oci
from tests.conversions.test_google_ads_csv import read_back, strictly
from tests.shapes import check
from tests.web.carrying import Carrier, carrier
from tests.web.test_key_docs import blocks, typed

pytestmark = pytest.mark.slow


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> Carrier:
    made = await carrier(signed_in, make_world)
    made.world.web.app._framework.state.key_tries = KeyTries()  # nobody pays for another test's guesses
    return made


async def password_of(desk: Carrier) -> str:
    state = desk.world.web.app._framework.state
    who = Asker(desk.world.site.user_id, roles_with(Capability.EXPORT))
    async with state.database.as_person(who, write=True) as (connection, _):
        return await exporting.make_pull_password(connection, state.keyring, desk.world.site.id)


async def fetch(
    desk: Carrier, password: str, *, user: str | None = None, end: str = ".csv"
) -> httpx.Response:
    site = desk.world.site.public_id
    given = base64.b64encode(f"{user or site}:{password}".encode()).decode()
    before = await desk.downloads()
    async with httpx.AsyncClient(base_url=desk.world.web.base_url, verify=False) as http:
        found = await http.get(f"/api/oci/pull/{site}{end}", headers={"authorization": f"Basic {given}"})
    if found.headers.get("x-opsmantik-rows", "0") != "0":  # it is noted behind the last byte
        for _ in range(200):
            if await desk.downloads() > before:
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError("it was not noted")
    return found


# The first generation's file.


async def test_the_old_address_is_made_by_post_and_only_read_by_get(desk: Carrier) -> None:
    await desk.route()
    await desk.sealed(2)
    site = desk.world.site.public_id
    nothing = await desk.programs.get("/api/oci/export", {"siteId": site})
    assert nothing.status_code == 409 and "POST /api/oci/export" in nothing.json()["detail"]
    shown = (await desk.programs.post("/api/oci/export", {"siteId": site, "preview": True})).json()
    assert (
        len(shown["preview"]["rows"]) == 2
        and shown["batch"] is None
        and await desk.states() == ["queued"] * 2
    )
    made = (await desk.programs.post("/api/oci/export", {"siteId": site})).json()
    check(made, "legacy_oci_export")
    before = await desk.ledger()
    first = await desk.programs.get("/api/oci/export", {"siteId": site})
    second = await desk.programs.get("/api/oci/export", {"siteId": str(desk.world.site.id)})
    assert first.content == second.content == (await desk.programs.get(made["file"])).content
    assert (
        strictly(first.content)[1][:3] == ["Google Click ID", "GBRAID", "WBRAID"]
        and len(read_back(first.content)) == 2
    )
    assert await desk.ledger() == before
    receipt = await desk.programs.post(made["acknowledge"], {"rest": "accepted"})
    assert receipt.json()["accepted"] == 2
    assert (await desk.programs.get("/api/oci/export", {"siteId": site})).status_code == 409
    assert (await desk.programs.post("/api/oci/export", {"siteId": site})).json()["batch"] is None


async def test_the_old_address_wants_a_site_and_somebody_who_may(desk: Carrier, neighbour: Any) -> None:
    await desk.route()
    assert (await desk.programs.get("/api/oci/export")).status_code == 400
    assert (await desk.programs.post("/api/oci/export", {})).status_code == 400
    stranger, _ = neighbour
    assert (await stranger.get("/api/oci/export", {"siteId": desk.world.site.public_id})).status_code == 404
    async with httpx.AsyncClient(base_url=desk.world.web.base_url, verify=False) as http:
        assert (
            await http.get("/api/oci/export", params={"siteId": desk.world.site.public_id})
        ).status_code == 401


async def test_what_the_documents_tell_people_to_type(desk: Carrier, tmp_path: Path) -> None:
    await desk.route(pull="daily")
    await desk.sealed(2)
    names = {
        "OPSMANTIK": desk.world.web.base_url, "KEY": desk.key, "SITE": str(desk.world.site.id),
        "PUBLIC_ID": desk.world.site.public_id, "PASSWORD": await password_of(desk),
    }  # fmt: skip
    by_hand, fetched = blocks("conversions.md", "bash")
    assert '"accepted":2' in await typed(["bash", "-euc"], by_hand, tmp_path, **names)
    (file,) = tmp_path.glob("conversions-*.csv")
    assert len(read_back(file.read_bytes())) == 2 and await desk.states() == ["accepted"] * 2
    assert (await typed(["bash", "-euc"], fetched, tmp_path, **names)).startswith("Google Click ID,")


# Google's own fetching.


async def test_what_is_fetched_counts_as_accepted_a_day_later(desk: Carrier) -> None:
    await desk.route(pull="hourly")
    password = await password_of(desk)
    leads = await desk.sealed(2)
    empty = await fetch(desk, password)
    assert strictly(empty.content) == [list(COLUMNS)], "no batch is made by a GET"
    assert (await desk.upkeep())["gathered"] == 2
    before = await desk.ledger()
    first, second = await fetch(desk, password), await fetch(desk, password)
    assert first.status_code == 200 and first.content == second.content
    assert strictly(first.content)[0] == list(COLUMNS) and len(read_back(first.content)) == 2
    assert await desk.ledger() == before, "a GET has changed a conversion"
    assert (await desk.upkeep()) == {} and await desk.states() == ["sent"] * 2
    await desk.passes("23 hours")
    assert "settled" not in await desk.upkeep() or await desk.states() == ["sent"] * 2
    await desk.passes("2 hours")
    assert (await desk.upkeep())["settled"] == 1
    rows = [await desk.row(lead) for lead in leads]
    assert {(row["state"], row["detail"]) for row in rows} == {("accepted", "unconfirmed")}
    assert await desk.holds() == Decimal("2501.00")
    assert strictly((await fetch(desk, password)).content) == [list(COLUMNS)]


async def test_what_nobody_fetched_waits_and_is_fetched_with_what_came_after_it(desk: Carrier) -> None:
    await desk.route(pull="daily")
    password = await password_of(desk)
    await desk.sealed(1)
    await desk.upkeep()
    await desk.sealed(1)
    await desk.upkeep()
    assert len(read_back((await fetch(desk, password)).content)) == 1, "once a day"
    await desk.passes("5 days")
    await desk.upkeep()
    assert len(read_back((await fetch(desk, password)).content)) == 1, "the first was fetched, and counts"
    assert sorted(await desk.states()) == ["accepted", "sent"]


async def test_corrections_have_a_file_of_their_own(desk: Carrier) -> None:
    await desk.route(pull="hourly")
    password = await password_of(desk)
    lead, other = await desk.sealed(2)
    await desk.upkeep()
    await fetch(desk, password)
    await desk.decide(lead, action="junk", reason="spam")
    await desk.upkeep()
    assert strictly((await fetch(desk, password, end="-adjustments.csv")).content) == [
        list(ADJUSTMENT_COLUMNS)
    ], "first it must count"
    await desk.passes("25 hours")
    await desk.upkeep()
    await desk.decide(other, action="sale", amount=99)
    await desk.passes("2 hours")
    await desk.upkeep()
    rows = read_back((await fetch(desk, password, end="-adjustments.csv")).content)
    assert sorted((row["Adjustment Type"], row["Adjusted Value"]) for row in rows) == [
        ("RESTATE", "99.00"),
        ("RETRACT", ""),
    ]
    await desk.passes("25 hours")
    await desk.upkeep()
    assert await desk.holds() == 99


async def test_who_said_no_since_is_in_no_further_file(desk: Carrier) -> None:
    await desk.route(pull="hourly")
    password = await password_of(desk)
    stays, says_no = await desk.sealed(2)
    await desk.upkeep()
    await desk.owner.execute(
        "UPDATE sessions s SET consent_marketing = false FROM calls c WHERE c.id = $1 AND s.id = c.matched_session_id"
        " AND s.site_id = c.site_id", says_no,
    )  # fmt: skip
    rows = read_back((await fetch(desk, password)).content)
    assert [row["Order ID"] for row in rows] == [(await desk.row(stays))["order_id"]]
    await desk.upkeep()
    row = await desk.row(says_no)
    assert (row["state"], row["reason"], row["click_id"]) == ("skipped", "no_consent", None)


async def test_who_hangs_up_before_the_end_has_not_fetched_it(
    desk: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.route(pull="hourly")
    await password_of(desk)
    await desk.sealed(1)
    await desk.upkeep()
    state = desk.world.web.app._framework.state
    door = exporting.Pull(state.database, state.keyring)
    route = PullRoute(desk.world.site.id, None, True)
    file, ids = await door.feed(route, adjustments=False)
    sent: list[Any] = []

    async def gone_at_once() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def stays() -> dict[str, str]:
        await asyncio.sleep(60)
        raise AssertionError("nothing comes")

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    monkeypatch.setattr(oci, "PIECE", 100)
    await oci.Handing(door, route, file, ids)({}, gone_at_once, send)
    assert await desk.downloads() == 0 and sum(len(m.get("body", b"")) for m in sent) < len(file.body)
    sent.clear()
    await oci.Handing(door, route, file, ids)({}, stays, send)
    assert b"".join(message.get("body", b"") for message in sent) == file.body
    assert [message["more_body"] for message in sent[1:]].count(False) == 1 and not sent[-1]["more_body"]
    assert await desk.downloads() == 1


async def test_a_wrong_password_opens_nothing_and_guessing_is_slow(desk: Carrier) -> None:
    await desk.route(pull="hourly")
    password = await password_of(desk)
    site = desk.world.site.public_id
    bare = await desk.world.web.browser().get(f"/api/oci/pull/{site}.csv")
    assert bare.status_code == 401 and bare.headers["www-authenticate"].startswith("Basic realm=")
    assert (await fetch(desk, password)).status_code == 200
    for wrong in (password + "x", "", password[:-1], "ş"):
        assert (await fetch(desk, wrong)).status_code == 401
    assert (await fetch(desk, password, user="c" * 32)).status_code == 401
    assert (await fetch(desk, password, end=".tsv")).status_code == 404
    codes = [(await fetch(desk, f"guess {n}")).status_code for n in range(30)]
    assert codes[0] == 401 and codes[-1] == 429
    assert (await fetch(desk, password)).status_code == 200, "who knows it is not kept out by who guesses"


async def test_a_new_password_shuts_the_old_one_out_and_another_way_shuts_the_door(desk: Carrier) -> None:
    await desk.route(pull="hourly")
    old = await password_of(desk)
    new = await password_of(desk)
    assert ((await fetch(desk, old)).status_code, (await fetch(desk, new)).status_code) == (401, 200)
    await desk.route()
    assert (await fetch(desk, new)).status_code == 401
    with pytest.raises(Unprocessable):
        await password_of(desk)


async def test_nothing_is_handed_out_while_the_switch_is_off(desk: Carrier) -> None:
    await desk.route(pull="hourly")
    password = await password_of(desk)
    await desk.sealed(1)
    await desk.upkeep()
    await desk.owner.execute(
        "UPDATE conversion_routes SET is_on = false WHERE site_id = $1", desk.world.site.id
    )
    found = await fetch(desk, password)
    assert found.status_code == 200 and strictly(found.content) == [list(COLUMNS)]


async def test_a_batch_of_somebodys_own_is_not_fetched_by_google(desk: Carrier) -> None:
    await desk.route(pull="hourly")
    password = await password_of(desk)
    await desk.sealed(1)
    assert (await desk.programs.post(desk.api, {})).status_code == 201
    assert strictly((await fetch(desk, password)).content) == [list(COLUMNS)]
