"""The ledger's pages: what they show to whom, what is done from there, and that looking changes nothing."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from tests.web.ledger_world import LedgerWorld, new_ledger
from tests.web.team import text_of as bare_text_of

pytestmark = pytest.mark.slow


def text_of(html: str) -> str:
    return unescape(bare_text_of(html))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(owner: Any, web: Any, app_database: Any) -> LedgerWorld:
    return await new_ledger(owner, web, app_database)


async def read(filled: LedgerWorld, path: str = "", who: str = "owner") -> str:
    answer = await getattr(filled.team, who).browser.get(f"{filled.pages}{path}")
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def entries(html: str) -> list[str]:
    return re.findall(r'<li class="entry" id="c-([0-9a-f-]{36})"', html)


async def entry(filled: LedgerWorld, name: str, who: str = "owner") -> str:
    row = await filled.row(name)
    html = await read(filled, f"?q={row['order_id']}", who)
    assert entries(html) == [str(row["id"])]
    return text_of(html[html.index('<li class="entry"') :])


SAID = {
    "matched": ["Matched", "The platform took it and found the click.", "₺1,500.50"],
    "weight": ["Accepted", "stage weight, no amount given", "₺10"],
    "refused": [
        "Refused", "the platform does not know this click", "The click could not be found.", "tried 1 time", "Try again",
    ],
    "again": ["Refused", "it came too soon after the click", "next try"],
    "restated": ["The platform still has ₺1,500.50. ₺2,000 is told next."],
    "taken": [
        "Taken back", "the lead became junk after it had been sent",
        "The platform still has ₺1,500.50. It is taken back next.",
        "Google's Data Manager cannot delete a conversion: its value is set to 0, and the count stays.",
    ],
    "without click": [
        "Not sent", "neither the lead nor its visit carries an ad click id", "See which visits carry click ids",
    ],
    "test click": ["Not sent", "typed by hand"],
    "sent": ["Sent", "in a batch at this moment"],
    "queued": ["Waiting", "due now", "Do not send", "₺99.90"],
    "held": ["Held", "until", "It can still be taken back unseen."],
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
async def test_each_row_says_where_it_stands_and_why(filled: LedgerWorld, name: str) -> None:
    told = await entry(filled, name)
    for words in SAID[name]:
        assert words in told, (words, told)


async def test_who_may_not_send_sees_everything_and_no_button(filled: LedgerWorld) -> None:
    for who in ("operator", "analyst"):
        told = await entry(filled, "refused", who)
        assert "the platform does not know this click" in told
        for path in ("", "/days", "/next", "/batches"):
            html = await read(filled, path, who)
            assert f'action="{filled.pages}/' not in html or path == "", path
        assert "Try again" not in told


async def test_filters_are_in_the_address(filled: LedgerWorld) -> None:
    assert len(entries(await read(filled))) == 13
    assert len(entries(await read(filled, "?state=accepted,matched"))) == 4
    assert len(entries(await read(filled, "?state=failed&reason=too_recent_event"))) == 1
    assert len(entries(await read(filled, "?click=none"))) == 1
    assert len(entries(await read(filled, "?day=today&state=skipped"))) == 2
    assert len(entries(await read(filled, "?day=today&by=captured"))) == 0
    assert "No conversion is like that." in await read(filled, "?q=nobody")
    # What means nothing is passed over; what is no range is said.
    assert len(entries(await read(filled, "?state=nowhere&click=x"))) == 13
    answer = await filled.team.owner.browser.get(f"{filled.pages}?first=2026-02-30&last=2026-03-01")
    assert answer.status_code == 400


async def test_every_number_of_a_day_leads_to_its_rows(filled: LedgerWorld) -> None:
    html = await read(filled, "/days")
    assert "Nothing is unexplained." in html
    found = re.findall(rf'<td class="number"><a href="({filled.pages}\?first=[^"]+)">(\d+)</a>', html)
    assert len(found) >= 6
    for link, count in found:
        page = await filled.team.owner.browser.get(link.replace("&amp;", "&"))
        assert len(entries(page.text)) == int(count), link
    why = re.findall(rf'<a class="why-count" href="({filled.pages}\?[^"]+)">(\d+)<', html)
    assert {count for _, count in why} == {"1"} and len(why) == 4
    for link, count in why:
        page = await filled.team.owner.browser.get(link.replace("&amp;", "&"))
        assert len(entries(page.text)) == int(count), link


async def test_a_conversion_s_own_page(filled: LedgerWorld) -> None:
    row = await filled.row("restated")
    told = text_of(await read(filled, f"/{row['id']}"))
    for words in (
        "Waiting → Sent",
        "Sent → Accepted",
        "Batches that carried it",
        "First reports",
        row["order_id"],
    ):
        assert words in told, words
    theirs = await filled.team.stranger.browser.get(f"{filled.pages}/{row['id']}")
    assert theirs.status_code == 404


async def test_the_next_batch_and_those_before(filled: LedgerWorld) -> None:
    told = text_of(await read(filled, "/next"))
    assert "Leaves by: Google Data Manager" in told
    assert "Other values 1 ₺2,000" in told
    html = await read(filled, "/batches")
    assert "Arrived" in html and "Done" in html
    batch = re.findall(rf'href="({filled.pages}/batches/[0-9a-f-]{{36}})"', html)[1]
    told = text_of((await filled.team.owner.browser.get(batch)).text)
    for words in (
        "req-1",
        "Matched 1",
        "Refused: the platform does not know this click",
        "The click could not be found.",
    ):
        assert words in told, words


async def test_no_click_id_or_number_of_a_visitor_is_where_it_need_not_be(filled: LedgerWorld) -> None:
    for path in ("", "/next", "/batches", "/days"):
        html = await read(filled, path, "analyst")
        assert "Cj0KCQiA" not in html, path


async def test_one_is_tried_again_and_one_is_dropped(owner: Any, web: Any, app_database: Any) -> None:
    filled = await new_ledger(owner, web, app_database)
    again, queued = await filled.row("again"), await filled.row("queued")
    answer = await filled.team.admin.post(f"{filled.pages}/{again['id']}/retry")
    assert answer.headers["location"].endswith("?did=retry&n=1")
    assert (
        "1 conversion is tried again."
        in (await filled.team.admin.browser.get(answer.headers["location"])).text
    )
    assert (await filled.row("again"))["next_at"] <= await owner.fetchval("SELECT now()")
    await filled.team.admin.post(f"{filled.pages}/{queued['id']}/drop")
    row = await filled.row("queued")
    assert (row["state"], row["reason"]) == ("skipped", "dropped")
    # Twice is once.
    answer = await filled.team.admin.post(f"{filled.pages}/{queued['id']}/drop")
    assert answer.headers["location"].endswith("?did=drop&n=0")
    for who in ("operator", "analyst"):
        answer = await getattr(filled.team, who).post(f"{filled.pages}/{again['id']}/drop")
        assert answer.status_code == 403
    assert (await filled.team.stranger.post(f"{filled.pages}/{again['id']}/drop")).status_code == 404


async def test_all_that_a_filter_shows_is_asked_about_first(owner: Any, web: Any, app_database: Any) -> None:
    filled = await new_ledger(owner, web, app_database)
    path = f"{filled.pages}/act"
    told = text_of((await filled.team.owner.browser.get(f"{path}?do=retry&state=failed")).text)
    assert "Try 2 conversions again?" in told
    told = text_of((await filled.team.owner.browser.get(f"{path}?do=drop&state=matched")).text)
    assert "Nothing that this list shows can be treated that way." in told
    late = await filled.team.owner.post(path, do="retry", query="state=failed", expected="3")
    assert late.status_code == 409 and "The list shows others by now." in late.text
    assert (await filled.row("refused"))["next_at"] is None
    done = await filled.team.owner.post(path, do="retry", query="state=failed", expected="2")
    assert done.status_code == 303
    assert (
        "2 conversions are tried again."
        in (await filled.team.owner.browser.get(done.headers["location"])).text
    )
    assert (await filled.row("refused"))["next_at"] is not None
    assert (await filled.team.owner.post(path, do="explode", query="", expected="0")).status_code == 400


async def test_a_file_is_made_taken_and_answered(owner: Any, web: Any, app_database: Any) -> None:
    filled = await new_ledger(owner, web, app_database, fill=False)
    await filled.route("file", {"conversion_name": "Sealed Lead"})
    for name in ("first", "second"):
        await filled.seal(name)
    await filled.queue()
    made = await filled.team.owner.post(f"{filled.pages}/batches", kind="new")
    batch = made.headers["location"]
    assert re.fullmatch(rf"{filled.pages}/batches/[0-9a-f-]{{36}}", batch)
    page = await filled.team.owner.browser.get(batch)
    assert "You carry this batch" in page.text
    files = [await filled.team.owner.post(f"{batch}/file") for _ in range(2)]
    assert files[0].content == files[1].content and b"Order ID" in files[0].content
    assert "attachment" in files[0].headers["content-disposition"]
    assert "downloaded 2 times" in (await filled.team.owner.browser.get(batch)).text
    assert (await filled.team.owner.post(f"{batch}/answer", outcome="accepted")).status_code == 303
    assert {(await filled.row(name))["state"] for name in filled.ids} == {"accepted"}
    late = await filled.team.owner.post(f"{batch}/cancel")
    assert late.headers["location"].endswith("?problem=answered")
    assert (
        "the batch has its answer already"
        in (await filled.team.owner.browser.get(late.headers["location"])).text
    )
    assert (
        (await filled.team.owner.post(f"{filled.pages}/batches", kind="new"))
        .headers["location"]
        .endswith("/next?nothing")
    )
    assert (await filled.team.operator.post(f"{batch}/file")).status_code == 403


async def test_a_ledger_with_nothing_in_it_says_what_comes(owner: Any, web: Any, app_database: Any) -> None:
    empty = await new_ledger(owner, web, app_database, fill=False)
    assert "Every sealed lead gets a row here at once" in await read(empty)
    assert "nobody has said where conversions go" in await read(empty)
    assert "Say where they go" not in await read(empty, who="analyst")
    assert "No lead was sealed in these days." in await read(empty, "/days")
    assert "Nothing is due" in await read(empty, "/next")
    assert "No batch yet" in await read(empty, "/batches")


async def test_what_keeps_everything_from_leaving_is_said(owner: Any, web: Any, app_database: Any) -> None:
    filled = await new_ledger(owner, web, app_database, fill=False)
    await filled.route()
    await owner.execute(
        "UPDATE conversion_routes SET trouble = 'revoked', trouble_at = now() WHERE site_id = $1",
        filled.site_id,
    )
    told = text_of(await read(filled))
    assert (
        "Nothing leaves before somebody has put this right: the connection was ended at the platform." in told
    )
    await owner.execute(
        "UPDATE conversion_routes SET trouble = NULL, trouble_at = NULL, is_on = false WHERE site_id = $1",
        filled.site_id,
    )
    assert "sending is switched off for this site" in await read(filled)
