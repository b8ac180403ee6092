"""A lead's page and drawer, a visit's, and what was done about a site's leads."""

from __future__ import annotations

import html as markup
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.dashboard.cards.intent import Act
from opsmantik.dashboard.cards.session_timeline import Happening
from opsmantik.web.pages import lead as lead_page
from opsmantik.web.pages.record import Change, changes_of, pages_of, path_of
from tests.dashboard.test_row_plans import Recorder
from tests.web import team
from tests.web.world import PAID, Programs, World

PART = {"hx-request": "true"}
AT = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.fixture
async def asker(signed_in: Any, make_world: Any) -> tuple[Programs, World]:
    """Somebody in their own world."""
    browser, user_id = await signed_in()
    return Programs(browser), await make_world(user_id)


def lead_path(world: World, name: str) -> str:
    return f"/sites/{world.site.id}/leads/{world.ids[name]}"


async def html_of(programs: Programs, path: str, **headers: str) -> str:
    answer = await programs.http.get(
        path, headers={"accept": "text/html", "accept-language": "en", **headers}
    )
    assert answer.status_code == 200, answer.text
    return answer.text


async def read(programs: Programs, path: str) -> str:
    """What is read in the drawer."""
    return text_of(await html_of(programs, path, **PART))


def text_of(html: str) -> str:
    """What is read of it, with its quotation marks."""
    return markup.unescape(team.text_of(html))


def panel(html: str, title: str) -> str:
    """What is read in the panel of this title."""
    return text_of(html.split(f">{title}</h2>")[1].split("</section>")[0])


# The page.


async def test_it_is_a_page_and_for_the_drawer_a_part_of_one(reader: Any) -> None:
    programs, world = reader
    page = await html_of(programs, lead_path(world, "sealed"))
    part = await html_of(programs, lead_path(world, "sealed"), **PART)
    assert page.startswith("<!doctype html>") and part.startswith("<article")
    for html in (page, part):
        assert "<h1>+90 532 123 45 67</h1>" in html
    assert page.count("<h1") == 1 and "seal-dialog" in page and "seal-dialog" not in part


@pytest.mark.parametrize("kind", ["leads", "sessions"])
async def test_what_is_not_there_and_what_is_not_ones_own_are_alike(
    reader: Any, neighbour: Any, kind: str
) -> None:
    (programs, mine), (_, theirs) = reader, neighbour
    name = "waiting" if kind == "leads" else "paid"
    ids = ((mine, uuid4()), (mine, theirs.ids[name]), (theirs, theirs.ids[name]), (theirs, mine.ids[name]))
    for world, record_id in ids:
        for headers in ({"accept": "text/html"}, PART):
            path = f"/sites/{world.site.id}/{kind}/{record_id}"
            assert (await programs.http.get(path, headers=headers)).status_code == 404
    assert (await programs.http.get(f"/sites/{theirs.site.id}/activity")).status_code == 404


async def test_a_repeated_tap_leads_to_its_lead_which_says_so(reader: Any) -> None:
    programs, world = reader
    answer = await programs.http.get(lead_path(world, "again"), headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{lead_path(world, 'waiting')}?tap={world.ids['again']}"
    for html in (
        await html_of(programs, answer.headers["location"]),
        await html_of(programs, lead_path(world, "again"), **PART),
    ):
        assert f'data-path="{lead_path(world, "waiting")}"' in html
        assert "repeats this lead" in html and "2 taps" in html
    assert "repeats this lead" not in await html_of(programs, lead_path(world, "waiting"))


async def test_the_number_is_the_customers_only_where_somebody_told_it(asker: Any) -> None:
    """A tap's number is one of the site's own lines: to call it as the customer's would be to call oneself."""
    programs, world = asker
    tapped = await html_of(programs, lead_path(world, "waiting"), **PART)
    reported = await html_of(programs, lead_path(world, "call"), **PART)
    assert "Call this line" in tapped and "a browser does not tell" in text_of(tapped).lower()
    assert "wa.me" not in tapped and "wa.me/905321234567" in await html_of(
        programs, lead_path(world, "sealed"), **PART
    )
    assert 'href="tel:+905321234567"' in reported and "https://wa.me/905321234567" in reported
    assert "Call this line" not in reported


async def test_why_is_told_by_the_rule_its_evidence_the_losers_and_the_clicks_age(reader: Any) -> None:
    programs, world = reader
    html = await html_of(programs, lead_path(world, "waiting"), **PART)
    why = panel(html, "Why this source")
    assert "First Click (Paid) · Paid search · paid" in why
    assert "Because: a Google click id in the address gclid Cj0KCQiA-1" in why
    assert "Also true, but weaker evidence: a paid medium in the campaign tags" in why
    assert "The last ad or campaign" not in why
    click = panel(html, "Ad click")
    assert "gclid Cj0KCQiA-1" in click and "6 min before the lead" in click
    assert "Attribution window of 90 days Within" in click


async def test_a_last_touch_that_differs_is_told(asker: Any) -> None:
    programs, world = asker
    await world.visit(
        "two", world.at(4), PAID,
        last_touch={"source": "Email", "rule": "email_utm", "at": "x", "utm_campaign": "autumn"},
    )  # fmt: skip
    await world.lead("two touches", world.at(4.1), "two")
    why = panel(await html_of(programs, lead_path(world, "two touches"), **PART), "Why this source")
    assert "the lead was another: Email : campaign tags of an e-mail · autumn" in why


async def test_an_old_click_is_outside_both_windows(asker: Any) -> None:
    programs, world = asker
    await world.visit("old", world.at(4), PAID, click_at=world.at(4) - timedelta(days=91))
    await world.lead("late", world.at(4), "old")
    click = panel(await html_of(programs, lead_path(world, "late"), **PART), "Ad click")
    assert "91 d" in click and "Outside" in click and "Too old to report" in click


async def test_what_happened_has_no_heartbeat_and_says_what_became_a_lead(reader: Any) -> None:
    programs, world = reader
    html = await html_of(programs, lead_path(world, "waiting"), **PART)
    steps = panel(html, "What happened")
    assert "heartbeat" not in steps
    order = ["Sent the form", "Tapped the phone number", "Scrolled to 50%", "Page seen"]
    assert sorted(order, key=steps.index) == order
    assert "This lead" in steps and "The device's clock was put right." in steps
    assert "+6 min" in steps and "+90 532 123 45 67" in steps


@pytest.mark.slow
async def test_more_steps_are_asked_for_by_the_address_and_then_by_a_cursor(asker: Any) -> None:
    programs, world = asker
    for n in range(520):
        await world.event(f"e{n}", world.at(1) + timedelta(seconds=n * 5), "paid", f"own_{n}")
    visit = f"/sites/{world.site.id}/sessions/{world.ids['paid']}"
    first = await html_of(programs, visit, **PART)
    assert first.count('class="step ') == 40 and f"{visit}?steps=140" in first
    most = await html_of(programs, f"{visit}?steps=9999", **PART)
    assert most.count('class="step ') == 500 and "steps=600" not in most
    earlier = re.search(rf'href="({visit}\?cursor=[^"]+)"', most)
    assert earlier
    rest = await html_of(programs, earlier[1])
    assert rest.count('class="step ') == 24 and "An earlier part of the visit." in rest  # 520 + 4 - 500


async def test_the_visitors_other_visits_are_told_with_their_leads(reader: Any) -> None:
    programs, world = reader
    history = panel(await html_of(programs, lead_path(world, "waiting"), **PART), "This visitor")
    assert "Returning 1 earlier visit." in history and history.count("First Click (Paid)") == 2
    html = await html_of(programs, lead_path(world, "waiting"), **PART)
    assert f"/sites/{world.site.id}/sessions/{world.ids['earlier']}" in html
    for name in ("waiting", "sealed", "form"):
        assert lead_path(world, name) in html
    assert lead_path(world, "again") not in html


async def test_what_is_not_known_is_a_dash_and_no_guess(reader: Any) -> None:
    programs, world = reader
    call = await read(programs, lead_path(world, "call"))
    assert "No visit is known behind this lead" in call
    assert "No Google click id is known" in call and "Referrer" not in call
    visit = await html_of(programs, f"/sites/{world.site.id}/sessions/{world.ids['organic']}", **PART)
    facts = panel(visit, "The visit")
    for name in ("Furthest scroll", "Exit page", "Place", "Screen", "Hardware", "Network"):
        assert f"{name} —" in facts
    assert "Consent: marketing Not asked" in facts


async def test_score_doubts_and_the_ledger_are_told_in_words(asker: Any) -> None:
    programs, world = asker
    await world.lead("odd", world.at(8), "organic", status="suspicious", suspicion=["burst"])
    text = await read(programs, lead_path(world, "odd"))
    assert "Score 55 of 100" in text and "tapped faster than people do" in text
    assert "three seconds or less" in text and "Only sealed leads are reported." in text
    ledger = panel(await html_of(programs, lead_path(world, "sealed"), **PART), "Report to Google")
    assert ledger.startswith("Accepted The platform took it") and "₺1,500.50" in ledger
    assert "it cannot be taken back from here" in ledger, "nothing says that it was sent from here"


async def test_a_seal_that_was_junked_says_that_its_report_was_taken_back(asker: Any) -> None:
    programs, world = asker
    decisions = f"{world.path}/intents/{world.ids['waiting']}/decisions"
    assert (await programs.post(decisions, {"action": "seal", "amount": "1500.50"})).status_code == 200
    held = panel(await html_of(programs, lead_path(world, "waiting"), **PART), "Report to Google")
    assert held.startswith("Held until") and "It can still be taken back unseen." in held
    assert (await programs.post(decisions, {"action": "junk", "reason": "spam"})).status_code == 200
    gone = panel(await html_of(programs, lead_path(world, "waiting"), **PART), "Report to Google")
    assert gone.startswith("Taken back the lead became junk before anything was sent")
    assert "2 moves" in gone and "Held → Taken back : the lead became junk" in gone
    assert (await programs.post(decisions, {"action": "restore"})).status_code == 200
    assert (await programs.post(decisions, {"action": "seal"})).status_code == 200
    anew = panel(await html_of(programs, lead_path(world, "waiting"), **PART), "Report to Google")
    assert "stage weight, no amount given" in anew and "Earlier seals" in anew


async def test_the_log_tells_every_act_from_what_to_what_and_undoes_the_latest(asker: Any) -> None:
    programs, world = asker
    lead = f"{world.path}/intents/{world.ids['waiting']}"
    for body in (
        {"action": "seal", "amount": "1500.5"},
        {"action": "sale", "amount": "2000"},
        {"action": "note", "note": "wants two"},
        {"action": "note", "note": "wants three"},
        {"action": "stage", "stage": "won"},
    ):
        assert (await programs.post(f"{lead}/decisions", body)).status_code == 200
    html = await html_of(programs, lead_path(world, "waiting"), **PART)
    log = panel(html, "What was done")
    for line in (
        "Ayşe · sealed Waiting → Sealed Amount: ₺1,500.50",
        "Amount: ₺1,500.50 → ₺2,000",
        "Note: wants two",
        "Note: wants two → wants three",
        "Stage: Won",
        "Captured: the visitor tapped the link.",
    ):
        assert line in log, log
    assert log.index("Undo this") < log.index("wants three") and log.count("Undo this") == 1
    assert "Undo: stage" in text_of(html)
    found = (await programs.get(lead)).json()
    assert found["undoable"] == found["actions"][0]["id"]
    assert found["actions"][0]["after"] == {"stage": "won"}
    assert (await programs.post(f"{lead}/undo")).status_code == 200
    found = (await programs.get(lead)).json()
    assert found["undoable"] is None and found["actions"][0]["undoes"] == found["actions"][1]["id"]
    assert "Undo this" not in await html_of(programs, lead_path(world, "waiting"), **PART)


async def test_an_analyst_sees_all_and_decides_nothing(asker: Any, signed_in: Any) -> None:
    _, world = asker
    browser, analyst = await signed_in()
    await world.member(analyst, "analyst")
    for path in (lead_path(world, "sealed"), f"/sites/{world.site.id}/activity"):
        html = await html_of(Programs(browser), path)
        assert "data-decide" not in html and "<textarea" not in html and "seal-dialog" not in html
    text = await read(Programs(browser), lead_path(world, "sealed"))
    assert "Note called back" in text and "Amount ₺1,500.50" in text and "Quality 80 of 100" in text


async def test_turkish_is_complete(asker: Any) -> None:
    programs, world = asker
    answer = await programs.http.get(lead_path(world, "waiting"), headers={**PART, "accept-language": "tr"})
    text = text_of(answer.text)
    assert "Çünkü: adreste bir Google tıklama kimliği var" in text and "Telefon numarasına dokundu" in text
    assert "Version" not in text and "Because" not in text


async def test_a_drawer_is_one_transaction_of_seven_statements(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, world = reader
    asked: list[Recorder] = []
    whole = lead_page.site_of

    @asynccontextmanager
    async def recorded(request: Any) -> AsyncIterator[Any]:
        async with whole(request) as (connection, site):
            asked.append(Recorder(connection))
            yield asked[-1], site

    monkeypatch.setattr(lead_page, "site_of", recorded)
    await html_of(programs, lead_path(world, "sealed"), **PART)
    assert [len(each.asked) for each in asked] == [7]


# A visit.


async def test_a_visit_without_a_lead_has_its_page_too(asker: Any) -> None:
    programs, world = asker
    await world.visit("quiet", world.at(9), PAID)
    path = f"/sites/{world.site.id}/sessions/{world.ids['quiet']}"
    assert (await html_of(programs, path)).startswith("<!doctype html>")
    text = await read(programs, path)
    assert "No lead came of this visit." in text and "No single step of this visit is kept." in text
    assert "Because: a Google click id in the address" in text


async def test_a_visits_page_leads_to_its_leads(reader: Any) -> None:
    programs, world = reader
    html = await html_of(programs, f"/sites/{world.site.id}/sessions/{world.ids['paid']}", **PART)
    for name in ("waiting", "sealed", "form"):
        assert lead_path(world, name) in html
    found = (await programs.get(f"{world.path}/sessions/{world.ids['paid']}")).json()
    assert [each["id"] for each in found["leads"]] == [
        str(world.ids[n]) for n in ("waiting", "sealed", "form")
    ]
    assert found["attribution"]["rule"] == "google_click_id" and found["attribution"]["window_days"] == 90


# Steps are folded.


def happening(seconds: float, action: str = "cta_hover", **columns: Any) -> Happening:
    row = {
        "id": uuid4(), "occurred_at": AT + timedelta(seconds=seconds), "created_at": AT, "event_category": "interaction",
        "event_action": action, "event_label": None, "event_value": None, "url": "https://shop.example/a?utm=1",
        "metadata": None, "flags": [], **columns,
    }  # fmt: skip
    return Happening(**row)


FOLDED: dict[str, tuple[list[Happening], list[list[int]]]] = {
    "nothing": ([], []),
    "one": ([happening(0)], [[1]]),
    "the same within two seconds": ([happening(3), happening(2), happening(0)], [[3]]),
    "the same, later": ([happening(5), happening(2.5), happening(0)], [[1, 1, 1]]),
    "another in between": ([happening(2), happening(1, "click"), happening(0)], [[1, 1, 1]]),
    "another label": ([happening(1, event_label="a"), happening(0, event_label="b")], [[1, 1]]),
    "another value": (
        [
            happening(1, "scroll_depth", event_value=Decimal(50)),
            happening(0, "scroll_depth", event_value=Decimal(25)),
        ],
        [[1, 1]],
    ),
    "another page": ([happening(1), happening(0, url="https://shop.example/b")], [[1], [1]]),
    "the same page by another address": (
        [happening(1), happening(0, url="https://shop.example/a?utm=2")],
        [[2]],
    ),
    "back on the first page": (
        [happening(9), happening(5, url="https://shop.example/b"), happening(1)],
        [[1], [1], [1]],
    ),
}


@pytest.mark.parametrize(("items", "times"), FOLDED.values(), ids=FOLDED.keys())
def test_identical_events_close_together_are_one_step(items: list[Happening], times: list[list[int]]) -> None:
    assert [[step.times for step in page.steps] for page in pages_of(items)] == times


PATHS = {
    "https://shop.example/vinc?utm_source=google#a": "/vinc", "https://shop.example": "/", "/vinc": "/vinc", "": None,
    None: None, "http://[broken": "http://[broken",
}  # fmt: skip


@pytest.mark.parametrize(("url", "path"), PATHS.items(), ids=map(str, PATHS))
def test_a_page_is_named_by_its_path(url: str | None, path: str | None) -> None:
    assert path_of(url) == path


def act(before: dict[str, Any], after: dict[str, Any]) -> Act:
    return Act(
        uuid4(), AT, "sale", "person", None, "Ayşe", "sealed", "sealed", 3, before, None, None, None, after
    )


CHANGES: dict[str, tuple[Act, list[tuple[str, Any, Any, str, str]]]] = {
    "an amount keeps its currency": (
        act({"sale_amount": 10.5}, {"sale_amount": 20}),
        [("sale_amount", Decimal("10.5"), Decimal(20), "TRY", "TRY")],
    ),
    "another currency": (
        act({"sale_amount": 10, "currency": "EUR"}, {"sale_amount": 10, "currency": "USD"}),
        [("sale_amount", Decimal(10), Decimal(10), "USD", "EUR")],
    ),
    "a date": (
        act({"sale_at": None}, {"sale_at": AT.isoformat()}),
        [("sale_at", None, AT, "TRY", "TRY")],
    ),
    "what did not change, and what says nothing": (
        act({"note": "a", "confirmed_at": None}, {"note": "a", "confirmed_at": "x"}),
        [],
    ),
}


@pytest.mark.parametrize(("line", "told"), CHANGES.values(), ids=CHANGES.keys())
def test_an_act_tells_what_it_changed(line: Act, told: list[tuple[str, Any, Any, str, str]]) -> None:
    expected = [
        Change(name=name, before=before, after=after, currency=now, currency_before=was)
        for name, before, after, now, was in told
    ]
    assert changes_of(line, "TRY") == expected


# Activity.


@pytest.fixture
async def busy(asker: Any, signed_in: Any) -> tuple[Programs, World]:
    """Two people have decided: one sealed and noted, the other junked and took it back."""
    programs, world = asker
    browser, operator = await signed_in()
    await world.member(operator, "operator")
    world.ids["operator"] = operator
    other = Programs(browser)

    async def does(who: Programs, lead: str, body: dict[str, Any] | None) -> None:
        path = f"{world.path}/intents/{world.ids[lead]}/{'decisions' if body else 'undo'}"
        assert (await who.post(path, body)).status_code == 200

    await does(programs, "waiting", {"action": "seal", "amount": "100"})
    await does(programs, "waiting", {"action": "note", "note": "called"})
    await does(other, "form", {"action": "junk", "reason": "spam"})
    await does(other, "form", None)
    await does(other, "call", {"action": "suspect"})
    return programs, world


async def acts(programs: Programs, world: World, **query: str) -> list[str]:
    answer = await programs.get(f"{world.path}/activity", query)
    assert answer.status_code == 200, answer.text
    return [each["act"]["action"] for each in answer.json()["items"]]


async def test_acts_stand_newest_first_and_are_narrowed(busy: Any) -> None:
    programs, world = busy
    assert await acts(programs, world) == ["suspect", "undo", "junk", "note", "seal"]
    operator = str(world.ids["operator"])
    assert await acts(programs, world, actor=operator) == ["suspect", "undo", "junk"]
    assert await acts(programs, world, actor=operator, action="junk,seal") == ["junk"]
    assert await acts(programs, world, undoable="1") == ["suspect", "note"]
    assert await acts(programs, world, by="rule") == []
    assert await acts(programs, world, by="person", action="seal") == ["seal"]
    assert await acts(programs, world, day="yesterday") == []
    found = (await programs.get(f"{world.path}/activity")).json()
    assert {each["id"] for each in found["actors"]} == {operator, str(world.site.user_id)}


async def test_pages_of_acts_end_at_a_row_and_go_on_after_it(busy: Any) -> None:
    programs, world = busy
    found, cursor = [], None
    for _ in range(4):
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        answer = (await programs.get(f"{world.path}/activity", query)).json()
        found += [each["act"]["action"] for each in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert found == ["suspect", "undo", "junk", "note", "seal"]


async def test_the_page_of_acts_shows_them_with_their_way_back(busy: Any) -> None:
    programs, world = busy
    path = f"/sites/{world.site.id}/activity"
    html = await html_of(programs, path)
    text = text_of(html)
    assert "Ayşe · sealed Waiting → Sealed Amount: ₺100" in text and "Reason: Spam or advertising" in text
    assert html.count('data-decide="undo"') == 2 and html.count('" data-drawer>') == 5
    undone = await html_of(programs, f"{path}?undoable=1&range=7d", **PART)
    assert undone.count('<li id="act-') == 2 and not undone.startswith("<!doctype")
    narrowed = await html_of(programs, f"{path}?who={world.ids['operator']}&act=junk")
    assert narrowed.count('<li id="act-') == 1 and 'value="junk" selected' in narrowed
    # The range is changed and what is left out stays left out.
    assert f"{path}?range=7d&amp;who={world.ids['operator']}&amp;act=junk" in narrowed
    assert "Nothing in these days is like that." in await html_of(programs, f"{path}?who=rule")
    assert "Nobody decided about a lead" in await html_of(programs, f"{path}?day=yesterday")
    for nonsense in ("who=x", "act=x", "undoable=x"):
        assert (await html_of(programs, f"{path}?{nonsense}")).count('<li id="act-') == 5
