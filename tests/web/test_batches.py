"""Conversions as files over the API: preview, batch, file, answer; and that no download changes a conversion."""

from __future__ import annotations

import asyncio
import hashlib
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.people.capabilities import Capability
from tests.conversions.test_google_ads_csv import read_back
from tests.shapes import check
from tests.web.carrying import NAME, Carrier, carrier

pytestmark = pytest.mark.slow


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> Carrier:
    made = await carrier(signed_in, make_world)
    await made.route()
    return made


DETAIL = "click Cj0KCQiA-77 of a@b.example is old"


async def made(desk: Carrier, **body: Any) -> dict[str, Any]:
    answer = await desk.programs.post(desk.api, body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["batch"]
    return found


async def test_from_the_preview_to_the_answer(desk: Carrier) -> None:
    leads = await desk.sealed(3)
    before = await desk.ledger()
    shown = await desk.programs.post(desk.api, {"preview": True})
    check(shown.json(), "batch_preview")
    assert shown.status_code == 200
    preview = shown.json()["preview"]
    assert preview["kind"] == "new" and len(preview["rows"]) == 3 and await desk.ledger() == before

    batch = await made(desk)
    assert (batch["state"], batch["size"], batch["waiting"], batch["made_by"]) == ("open", 3, 3, "Ayşe")
    assert await desk.states() == ["sent"] * 3
    after = await desk.ledger()
    file = await desk.programs.get(f"{desk.api}/{batch['id']}/file")
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["x-opsmantik-rows"] == "3" and "x-opsmantik-changed" not in file.headers
    rows = read_back(file.content)
    assert {row["Order ID"] for row in rows} == {(await desk.row(lead))["order_id"] for lead in leads}
    assert {(row["Conversion Name"], row["Conversion Value"], row["Ad User Data"]) for row in rows} == {
        (NAME, "1250.50", "GRANTED")
    }
    assert all(
        row["Google Click ID"].startswith("Cj0KCQiA-") and not row["GBRAID"] + row["WBRAID"] for row in rows
    )
    assert await desk.ledger() == after, "a download has changed a conversion"

    receipt = await desk.programs.post(f"{desk.api}/{batch['id']}/acknowledge", {"rest": "accepted"})
    check(receipt.json(), "batch_receipt")
    assert (receipt.json()["accepted"], receipt.json()["waiting"], receipt.json()["state"]) == (3, 0, "done")
    assert await desk.states() == ["accepted"] * 3 and await desk.holds() == Decimal("3751.50")
    again = await desk.programs.get(f"{desk.api}/{batch['id']}/file")
    assert again.content == file.content and again.headers["etag"] == file.headers["etag"]
    one = (await desk.programs.get(f"{desk.api}/{batch['id']}")).json()
    check(one, "batch")
    assert one["batch"]["downloads"] == 2
    assert (
        one["batch"]["digest"] == hashlib.sha256(file.content).hexdigest() == file.headers["etag"].strip('"')
    )
    assert {item["outcome"] for item in one["items"]} == {"accepted"}
    listed = (await desk.programs.get(desk.api)).json()
    check(listed, "batches")
    assert [row["id"] for row in listed["batches"]] == [batch["id"]]


async def test_an_answer_one_by_one_and_twice(desk: Carrier) -> None:
    good, bad, late = await desk.sealed(3)
    batch = await made(desk)
    orders = {lead: (await desk.row(lead))["order_id"] for lead in (good, bad, late)}
    body = {
        "results": [
            {"order_id": orders[good], "outcome": "accepted"},
            {"order_id": orders[bad], "outcome": "failed", "reason": "EXPIRED_EVENT", "detail": DETAIL},
            {"order_id": "om-nothing-1", "outcome": "accepted"},
        ]
    }  # fmt: skip
    first = (await desk.programs.post(f"{desk.api}/{batch['id']}/acknowledge", body)).json()
    second = (await desk.programs.post(f"{desk.api}/{batch['id']}/acknowledge", body)).json()
    assert (first["accepted"], first["failed"], first["unknown"], first["waiting"], first["state"]) == (
        1,
        1,
        1,
        1,
        "open",
    )
    assert (second["accepted"], second["failed"], second["already"]) == (0, 0, 2)
    assert first["receipt"] == second["receipt"]
    row = await desk.row(bad)
    assert (row["state"], row["reason"], row["next_at"]) == ("failed", "expired_event", None)
    assert row["detail"] == "click … of … is old"
    assert (await desk.row(late))["state"] == "sent"
    late_answer = {
        "results": [{"order_id": orders[late], "outcome": "failed", "reason": "busy", "retry_after": 3600}]
    }
    last = (await desk.programs.post(f"{desk.api}/{batch['id']}/acknowledge", late_answer)).json()
    assert (last["state"], last["waiting"]) == ("done", 0)
    assert (await desk.row(late))["next_at"] is not None


async def test_a_batch_that_went_nowhere_is_cancelled_and_its_conversions_are_in_the_next(
    desk: Carrier,
) -> None:
    await desk.sealed(2)
    batch = await made(desk)
    assert (await desk.programs.post(f"{desk.api}/{batch['id']}/cancel")).json()["state"] == "cancelled"
    assert await desk.states() == ["queued"] * 2
    assert (await desk.programs.get(f"{desk.api}/{batch['id']}/file")).status_code == 409
    assert (await desk.programs.post(f"{desk.api}/{batch['id']}/cancel")).status_code == 409
    assert (await made(desk))["size"] == 2


async def test_what_was_accepted_is_put_right_and_taken_back_by_files_of_their_own(desk: Carrier) -> None:
    changed, junked = await desk.sealed(2)
    batch = await made(desk)
    await desk.programs.post(f"{desk.api}/{batch['id']}/acknowledge", {"rest": "accepted"})
    await desk.decide(changed, action="sale", amount=900)
    await desk.decide(junked, action="junk", reason="spam")
    restated, taken_back = await made(desk, kind="restate"), await made(desk, kind="retract")
    files = [await desk.programs.get(f"{desk.api}/{one['id']}/file") for one in (restated, taken_back)]
    (up,), (down,) = [read_back(file.content) for file in files]
    assert (up["Adjustment Type"], up["Adjusted Value"], up["Adjusted Value Currency"]) == (
        "RESTATE",
        "900.00",
        "TRY",
    )
    assert (down["Adjustment Type"], down["Adjusted Value"]) == ("RETRACT", "")
    assert up["Order ID"] == (await desk.row(changed))["order_id"]
    for one in (restated, taken_back):
        await desk.programs.post(f"{desk.api}/{one['id']}/acknowledge", {"rest": "accepted"})
    assert await desk.holds() == 900
    nothing = await desk.programs.post(desk.api, {})
    assert nothing.json() == {"batch": None, "preview": None}


async def test_an_erased_or_withdrawn_person_is_missing_and_the_file_says_so(desk: Carrier) -> None:
    stays, erased, says_no = await desk.sealed(3)
    batch = await made(desk)
    first = await desk.programs.get(f"{desk.api}/{batch['id']}/file")
    row = await desk.row(erased)
    for table, column in (("conversion_moves", "conversion_id"), ("conversions", "id")):
        await desk.owner.execute(f"DELETE FROM {table} WHERE {column} = $1", row["id"])
    await desk.owner.execute(
        "UPDATE sessions s SET consent_marketing = false FROM calls c WHERE c.id = $1 AND s.id = c.matched_session_id"
        " AND s.site_id = c.site_id", says_no,
    )  # fmt: skip
    second = await desk.programs.get(f"{desk.api}/{batch['id']}/file")
    assert second.status_code == 200 and second.content != first.content
    assert second.headers["x-opsmantik-missing"] == "2" and "erased" in second.headers["x-opsmantik-changed"]
    assert [row["Order ID"] for row in read_back(second.content)] == [(await desk.row(stays))["order_id"]]
    await desk.programs.post(f"{desk.api}/{batch['id']}/acknowledge", {"rest": "accepted"})
    # The first file may have been uploaded: what named them is taken back.
    row = await desk.row(says_no)
    assert (row["state"], row["click_id"]) == ("skipped", None)
    assert (await made(desk))["kind"] == "retract"


async def test_the_file_stays_what_it_is_when_settings_change(desk: Carrier) -> None:
    await desk.sealed(1)
    batch = await made(desk)
    first = await desk.programs.get(f"{desk.api}/{batch['id']}/file")
    await desk.route(conversion_name="Another")
    await desk.owner.execute("UPDATE sites SET time_zone = 'Asia/Tokyo' WHERE id = $1", desk.world.site.id)
    assert (await desk.programs.get(f"{desk.api}/{batch['id']}/file")).content == first.content


async def test_two_who_make_batches_at_once_get_different_conversions(desk: Carrier) -> None:
    await desk.sealed(4)
    answers = await asyncio.gather(*(desk.programs.post(desk.api, {"limit": 2}) for _ in range(4)))
    sizes = [answer.json()["batch"]["size"] for answer in answers if answer.json()["batch"]]
    assert sum(sizes) == 4
    orders = [
        row["order_id"]
        for row in await desk.owner.fetch(
            "SELECT order_id FROM conversion_batch_items WHERE site_id = $1", desk.world.site.id
        )
    ]
    assert len(orders) == len(set(orders)) == 4


async def test_pages_of_a_preview_and_of_the_list(desk: Carrier) -> None:
    await desk.sealed(3)
    first = (await desk.programs.post(desk.api, {"preview": True, "limit": 2})).json()["preview"]
    second = (
        await desk.programs.post(desk.api, {"preview": True, "limit": 2, "cursor": first["next_cursor"]})
    ).json()["preview"]
    assert len(first["rows"]) == 2 and len(second["rows"]) == 1 and second["next_cursor"] is None
    assert not {tuple(row) for row in first["rows"]} & {tuple(row) for row in second["rows"]}
    ids = [(await made(desk, limit=1))["id"] for _ in range(3)]
    page = (await desk.programs.get(desk.api, {"limit": "2"})).json()
    rest = (await desk.programs.get(desk.api, {"limit": "2", "cursor": page["next_cursor"]})).json()
    assert [row["id"] for row in [*page["batches"], *rest["batches"]]] == ids[::-1] and rest[
        "next_cursor"
    ] is None


async def test_who_may_and_what_is_refused(desk: Carrier) -> None:
    await desk.sealed(1)
    reads = await desk.new_key(Capability.READ)
    assert (await desk.ask("POST", desk.api, {}, key=reads)).status_code == 403
    assert (await desk.ask("GET", desk.api, key=reads)).status_code == 403
    assert (await desk.ask("POST", desk.api, {"preview": True})).status_code == 200
    for body, status in (
        ({"kind": "all"}, 400),
        ({"limit": 0}, 400),
        ({"limit": 10_001}, 400),
        ({"x": 1}, 400),
        ({"cursor": "x"}, 400),
    ):
        assert (await desk.programs.post(desk.api, body)).status_code == status, body
    for path in (f"{desk.api}/{uuid4()}", f"{desk.api}/nothing", f"{desk.api}/{uuid4()}/file"):
        assert (await desk.programs.get(path)).status_code == 404
    batch = await made(desk)
    assert (await desk.programs.post(f"{desk.api}/{batch['id']}/acknowledge", {})).status_code == 400
    assert (await desk.programs.get(f"{desk.api}?state=lost")).status_code == 400


@pytest.mark.parametrize("adapter", ["data_manager", "script", None])
async def test_a_site_whose_conversions_leave_another_way_is_told_so(
    signed_in: Any, make_world: Any, adapter: str | None
) -> None:
    desk = await carrier(signed_in, make_world)
    if adapter:
        await desk.route(adapter)
    await desk.sealed(1)
    for body in ({}, {"preview": True}):
        answer = await desk.programs.post(desk.api, body)
        assert (answer.status_code, answer.json()["kind"]) == (409, "other_way")


async def test_nothing_leaves_while_the_switch_is_off(desk: Carrier) -> None:
    await desk.sealed(1)
    await desk.owner.execute(
        "UPDATE conversion_routes SET is_on = false WHERE site_id = $1", desk.world.site.id
    )
    answer = await desk.programs.post(desk.api, {})
    assert (answer.status_code, answer.json()["kind"]) == (409, "switched_off")
    assert await desk.states() == ["queued"]
