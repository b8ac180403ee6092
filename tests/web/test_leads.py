"""The leads' list: what it finds, page by page; the file that it becomes; views that are kept; many decided at once."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.decisions import bulk
from opsmantik.web.lead_table import safe
from tests.web.team import new_team
from tests.web.world import ORGANIC, PAID, Programs, World

ROW = re.compile(r'<tr id="lead-([0-9a-f-]{36})"')
NEXT = re.compile(r'data-next="([^"]*)"')
COUNT = re.compile(r'data-query="[^"]*" data-count="(\d*)"')


async def listed(programs: Any, world: World, query: str, path: str = "") -> list[str]:
    """The names of the leads that an address shows, in its order."""
    answer = await programs.http.get(
        f"/sites/{world.site.id}/leads{path}?{query}", headers={"accept": "text/html", "hx-request": "true"}
    )
    assert answer.status_code == 200, answer.text
    names = {str(lead): name for name, lead in world.ids.items()}
    return [names[lead] for lead in ROW.findall(answer.text)]


EVERY = ["call", "form", "sealed", "junk", "waiting"]
# The world is of two days ago; "call" has no visit.
FILTERS = {
    "all": ("range=all", EVERY),
    "a range": ("first={day}&last={day_after}", EVERY),
    "today, by itself": ("", []),
    "paid traffic": ("range=all&scope=paid", ["form", "sealed", "waiting"]),
    "waiting": ("range=all&status=waiting", ["call", "form", "waiting"]),
    "sealed": ("range=all&status=sealed", ["sealed"]),
    "several": ("range=all&status=sealed,junk", ["sealed", "junk"]),
    "by the decision": ("range=all&by=decided", ["sealed", "junk"]),
    "an action": ("range=all&action=whatsapp", ["sealed"]),
    "with a click id": ("range=all&click=yes", ["form", "sealed", "waiting"]),
    "without": ("range=all&click=no", ["call", "junk"]),
    "a source": ("range=all&source=Organic", ["junk"]),
    "a source that is not known": ("range=all&source=-", ["call"]),
    "a channel": ("range=all&channel=paid_search", ["form", "sealed", "waiting"]),
    "a campaign": ("range=all&campaign=istanbul", ["form", "sealed", "waiting"]),
    "no campaign": ("range=all&campaign=-", ["call", "junk"]),
    "a keyword": ("range=all&keyword=kiral%C4%B1k+vin%C3%A7", ["form", "sealed", "waiting"]),
    "a match type": ("range=all&matchtype=e", ["form", "sealed", "waiting"]),
    "a place": ("range=all&place=%C4%B0stanbul%2FKad%C4%B1k%C3%B6y", ["form", "sealed", "waiting"]),
    "a device": ("range=all&device=mobile", ["form", "sealed", "waiting"]),
    "a page": ("range=all&page=%2Fblog", ["junk"]),
    "captured by": ("range=all&captured_by=api", ["call"]),
    "an hour": ("range=all&hour={hour}", ["sealed"]),
    "a weekday": ("range=all&weekday={weekday}", EVERY),
    "a number, as it is dialled": ("range=all&q=0532+123", EVERY),
    "a number, from abroad": ("range=all&q=%2B90+(532)+123-45-67", EVERY),
    "a number, from abroad without a plus": ("range=all&q=0090532123", EVERY),
    "a part of a number": ("range=all&q=1234567", EVERY),
    "another number": ("range=all&q=0533", []),
    "a keyword in capitals": ("range=all&q=KIRALIK+V%C4%B0N%C3%87", ["form", "sealed", "waiting"]),
    "a keyword without its marks": ("range=all&q=kiralik+vinc", ["form", "sealed", "waiting"]),
    "a word's beginning": ("range=all&q=ki", ["form", "sealed", "waiting"]),
    "a part of a word": ("range=all&q=rali", ["form", "sealed", "waiting"]),
    "a place, a part of it": ("range=all&q=kad%C4%B1k", ["form", "sealed", "waiting"]),
    "a note": ("range=all&q=CALLED", ["sealed"]),
    "a page, searched": ("range=all&q=%2Fblog", ["junk"]),
    "what is nowhere": ("range=all&q=50%25", []),
    "both": ("range=all&q=vinc&status=waiting&scope=paid", ["form", "waiting"]),
}  # fmt: skip


@pytest.mark.parametrize(("query", "names"), FILTERS.values(), ids=FILTERS.keys())
async def test_a_filter_finds_what_it_says(
    reader: tuple[Programs, World], query: str, names: list[str]
) -> None:
    programs, world = reader
    day = (world.start + timedelta(hours=3)).date()
    at = world.at(3) + timedelta(hours=3)  # "sealed", in Istanbul
    query = query.format(day=day, day_after=day + timedelta(days=2), hour=at.hour, weekday=at.isoweekday())
    if query.startswith("range=all&weekday"):
        names = [n for n, h in zip(EVERY, (7, 6, 3, 2.1, 1.1), strict=True)
                 if (world.at(h) + timedelta(hours=3)).isoweekday() == at.isoweekday()]  # fmt: skip
    assert await listed(programs, world, query) == names


@pytest.mark.parametrize(
    "query", ["status=cold", "weekday=8", "hour=24", "click=perhaps", "by=magic", "cursor=x"]
)
async def test_what_can_mean_nothing_is_refused(reader: tuple[Programs, World], query: str) -> None:
    programs, world = reader
    answer = await programs.http.get(f"/sites/{world.site.id}/leads?{query}")
    assert answer.status_code == 400


@pytest.mark.slow
async def test_pages_lose_no_row_and_repeat_none_while_leads_come_in(signed_in: Any, make_world: Any) -> None:
    browser, user = await signed_in()
    world = await make_world(user, empty=True)
    await world.visit("visit", world.at(1), PAID)
    for n in range(130):
        await world.lead(f"{n}", world.at(2) + timedelta(seconds=n // 3), "visit")  # three at a time
    await world.count()
    programs, seen, cursor = Programs(browser), [], ""
    while True:
        answer = await programs.http.get(
            f"/sites/{world.site.id}/leads/rows?range=all{'&cursor=' if cursor else ''}{cursor}",
            headers={"hx-request": "true"},
        )
        seen += ROW.findall(answer.text)
        late = await world.lead(f"late {len(seen)}", world.at(9), "visit")
        await world.owner.execute(
            "INSERT INTO counter_journal (site_id, calls, changed_at) VALUES ($1, $2, now())",
            world.site.id,
            [late],
        )
        cursor = answer.headers.get("x-next-cursor", "")
        if not cursor:
            break
    assert len(seen) == 130 and len(set(seen)) == 130
    assert {str(world.ids[f"{n}"]) for n in range(130)} == set(seen)
    # The head of an open list, from its newest row to that one: the late ones and the first page, and nothing else.
    first = await programs.http.get(f"/sites/{world.site.id}/leads?range=all", headers={"hx-request": "true"})
    assert COUNT.search(first.text)[1] == "133"  # type: ignore[index]
    tail = re.search(r"tail=([\w-]+)", first.text)
    assert tail
    head = await programs.http.get(f"/sites/{world.site.id}/leads/rows?range=all&tail={tail[1]}")
    assert ROW.findall(head.text) == ROW.findall(first.text)


async def test_a_decision_is_seen_at_once(signed_in: Any, make_world: Any) -> None:
    browser, user = await signed_in()
    world = await make_world(user)
    programs = Programs(browser)
    lead = world.ids["waiting"]
    assert await listed(programs, world, "range=all&status=junk&q=kiral") == []
    answer = await programs.post(
        f"{world.path}/intents/{lead}/decisions", {"action": "junk", "reason": "spam", "note": "aynı arıza"}
    )
    assert answer.status_code == 200
    assert await listed(programs, world, "range=all&status=junk&q=kiral") == ["waiting"]
    assert await listed(programs, world, "range=all&q=ariza") == ["waiting"]
    assert await listed(programs, world, f"ids={lead}", "/rows") == ["waiting"]
    await world.owner.execute("SELECT fold_counters($1)", world.site.id)
    assert await listed(programs, world, "range=all&status=junk&q=kiral") == ["waiting"]


# The file.


@pytest.mark.parametrize(
    ("cell", "shown"),
    [("=1+1", "'=1+1"), ("+90", "'+90"), ("-5", "'-5"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"),
     ("  =1", "'  =1"), ("\n=1", "'\n=1"), ("vinç = iyi", "vinç = iyi"), ("", ""), ("'x", "'x")],
)  # fmt: skip
def test_a_cell_is_shown_and_not_carried_out(cell: str, shown: str) -> None:
    assert safe(cell) == shown


async def test_the_file_is_the_list(signed_in: Any, make_world: Any) -> None:
    browser, user = await signed_in()
    world = await make_world(user, empty=True)
    await world.visit(
        "trap",
        world.at(1),
        PAID,
        utm_term='=HYPERLINK("http://x","vinç")',
        utm_campaign="@kampanya",
        city="Şişli",
    )
    await world.lead(
        "first",
        world.at(2),
        "trap",
        note='-2+3\ntek "tırnak"',
        status="sealed",
        sale_amount=1500,
        confirmed_at=world.at(3),
        confirmed_by=user,
    )
    await world.insert(
        "intent_actions",
        {
            "site_id": world.site.id, "id": uuid4(), "call_id": world.ids["first"], "at": world.at(3), "actor": user,
            "actor_kind": "person", "action": "seal", "from_status": "intent", "to_status": "sealed", "version": 2,
            "before": {},
        },
    )  # fmt: skip
    await world.lead(
        "second",
        world.at(3),
        None,
        phone_number=None,
        intent_target="form:teklif",
        intent_action="form",
        source="form",
    )
    await world.count()
    path = f"/sites/{world.site.id}/leads.csv"
    answer = await browser.get(f"{path}?range=all", accept_language="tr")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'attachment; filename="leads-shop.example-' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["Tür"] for row in rows] == ["Form", "Telefon"]
    trap = rows[1]
    assert trap["Numara"] == "'+905321234567" and trap["Anahtar kelime"] == '\'=HYPERLINK("http://x","vinç")'
    assert (
        trap["Kampanya"] == "'@kampanya"
        and trap["Not"] == '\'-2+3\ntek "tırnak"'
        and trap["Yer"] == "Kadıköy, Şişli"
    )
    assert (trap["Tutar"], trap["Karar veren"], trap["Durum"]) == ("1500", "Ayşe", "Onaylı")
    local = (world.at(2) + timedelta(hours=3)).strftime("%Y-%m-%d %H:%M:%S")
    assert trap["Zaman"] == local and answer.content.count(b"\r\n") == 3
    marked = await browser.get(f"{path}?range=all&bom=1&status=sealed")
    assert marked.content.startswith("\ufeffTime,Kind".encode()) and marked.content.count(b"\r\n") == 2
    acts = await world.owner.fetch(
        "SELECT action, subject, detail FROM site_acts WHERE site_id = $1 ORDER BY at", world.site.id
    )
    assert [act["action"] for act in acts] == ["leads.export"] * 2
    assert acts[1]["detail"] == {"n": 1, "filters": ["status"], "range": "range=all", "paid": False}


async def test_who_may_read_may_take_the_file(owner: Any, web: Any) -> None:
    team = await new_team(owner, web)
    path = f"/sites/{team.site.id}/leads"
    for person in (team.owner, team.operator, team.analyst):
        assert (await person.browser.get(f"{path}.csv")).status_code == 200
        assert (await person.browser.get(f"{path}?range=all")).status_code == 200
    for address in (path, f"{path}.csv", f"{path}/rows"):
        assert (await team.stranger.browser.get(address)).status_code == 404
    for person, status in ((team.analyst, 403), (team.stranger, 404)):
        token = await person.browser.token("/account")
        answer = await person.browser.http.post(
            f"{path}/decisions", json={"action": "junk", "leads": []}, headers={"x-csrf-token": token}
        )
        assert answer.status_code == status
    forged = await team.operator.browser.http.post(f"{path}/decisions", json={"action": "junk", "leads": []})
    assert forged.status_code == 403, "no page of ours sent it"


# Views.


def kept(html: str) -> list[tuple[str, str]]:
    """Names of the views on a page, and the ids of those that the reader may change."""
    part = html.split('id="views"')[1].split("</details>\n</div>")[0]
    return re.findall(r'<li>\s*<a href="[^"?]*\?([^"]*)"[^>]*>([^<]+)</a>', part)


async def test_views_are_kept_shared_renamed_and_removed_by_who_may(owner: Any, web: Any) -> None:
    team = await new_team(owner, web)
    path = f"/sites/{team.site.id}/leads"

    async def seen_by(person: Any) -> list[tuple[str, str]]:
        return kept((await person.browser.get(f"{path}?range=all")).text)

    answer = await team.analyst.post(
        f"{path}/views",
        name=" Bekleyen  vinç ",
        query="status=waiting&q=vin%C3%A7&nonsense=1&cursor=x",
        shared="",
    )
    assert answer.status_code == 303 and answer.headers["location"] == f"{path}?status=waiting&q=vin%C3%A7"
    assert await seen_by(team.analyst) == [("status=waiting&amp;q=vin%C3%A7", "Bekleyen vinç")]
    assert await seen_by(team.operator) == await seen_by(team.stranger if False else team.owner) == []
    again = await team.analyst.post(f"{path}/views", name="Bekleyen vinç", query="")
    assert again.headers["location"].endswith("problem=taken")
    assert (
        (await team.analyst.post(f"{path}/views", name="  ", query=""))
        .headers["location"]
        .endswith("problem=name")
    )
    view = await owner.fetchval("SELECT id FROM saved_views WHERE site_id = $1", team.site.id)
    for person in (team.operator, team.owner, team.admin):
        assert (await person.post(f"{path}/views/{view}", name="x", query="")).status_code == 404
        assert (await person.post(f"{path}/views/{view}/remove", query="")).status_code == 404
    assert (
        await team.analyst.post(f"{path}/views/{view}", name="Bekleyen", query="", shared="on")
    ).status_code == 303
    for person in (team.operator, team.owner, team.platform_admin):
        assert [name for _, name in await seen_by(person)] == ["Bekleyen"]
    assert (await team.operator.post(f"{path}/views/{view}", name="x", query="")).status_code == 404
    assert (await team.stranger.post(f"{path}/views", name="x", query="")).status_code == 404
    assert (await team.admin.post(f"{path}/views/{view}/remove", query="range=all")).headers[
        "location"
    ] == f"{path}?range=all"
    assert await seen_by(team.analyst) == []


async def test_nobody_has_more_views_than_one_can_look_through(owner: Any, web: Any) -> None:
    team = await new_team(owner, web)
    await owner.execute(
        "INSERT INTO saved_views (site_id, id, user_id, name, query) SELECT $1, gen_random_uuid(), $2, 'v' || n, ''"
        " FROM generate_series(1, 50) n", team.site.id, team.operator.id,
    )  # fmt: skip
    answer = await team.operator.post(f"/sites/{team.site.id}/leads/views", name="one more", query="")
    assert answer.headers["location"].endswith("problem=many")


# Many at once.


async def decide_many(programs: Programs, world: World, body: Any) -> Any:
    """As the list sends it: with the page's own token."""
    page = await programs.http.get(f"/sites/{world.site.id}/leads", headers={"accept": "text/html"})
    token = re.search(r'data-token="([0-9a-f]+)"', page.text)
    assert token
    return await programs.post(f"/sites/{world.site.id}/leads/decisions", body, x_csrf_token=token[1])


def told(answer: Any) -> tuple[int, list[tuple[str, int]], list[dict[str, Any]]]:
    """How many it was about, what was done, what was not."""
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert not any("broken" in line for line in lines)
    done = [tuple(each) for line in lines for each in line.get("done", [])]
    return lines[0]["of"], done, [each for line in lines for each in line.get("lost", [])]


@pytest.mark.slow
async def test_many_are_decided_and_races_told(
    signed_in: Any, make_world: Any, make_person: Any, web: Any
) -> None:
    browser, user = await signed_in()
    world = await make_world(user, empty=True)
    await world.visit("visit", world.at(1), PAID)
    leads = [await world.lead(f"{n}", world.at(2) + timedelta(seconds=n), "visit") for n in range(205)]
    await world.count()
    programs = Programs(browser)
    other, email = await make_person()
    await world.owner.execute("UPDATE users SET name = 'Mehmet' WHERE id = $1", other)
    await world.member(other, "operator")
    mehmet = web.browser()
    await mehmet.sign_in(email)
    for lead in leads[:2]:
        await Programs(mehmet).post(
            f"{world.path}/intents/{lead}/decisions", {"action": "seal", "version": 1}
        )
    asked = {"action": "junk", "reason": "spam", "leads": [[str(lead), 1] for lead in leads[:200]]}
    answer = await decide_many(programs, world, asked)
    of, done, lost = told(answer)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert of == 200 and len(done) == 198 and {UUID(lead) for lead, _ in done} == set(leads[2:200])
    assert [(each["why"], each["who"], each["status"]) for each in lost] == [
        ("conflict", "Mehmet", "sealed")
    ] * 2
    assert len(answer.text.splitlines()) == 1 + 2, "a batch is a hundred"
    assert await listed(programs, world, "range=all&status=sealed") == ["1", "0"]
    # What was done is taken back, but for the one that somebody went on with.
    await Programs(mehmet).post(f"{world.path}/intents/{leads[5]}/decisions", {"action": "note", "note": "x"})
    of, back, lost = told(await decide_many(programs, world, {"action": "undo", "leads": done}))
    assert of == 198 and len(back) == 197 and [each["lead"] for each in lost] == [str(leads[5])]
    assert await listed(programs, world, "range=all&status=junk") == ["5"]


async def test_all_that_match_are_decided_if_they_are_still_those(signed_in: Any, make_world: Any) -> None:
    browser, user = await signed_in()
    world = await make_world(user)
    programs = Programs(browser)
    asked = {
        "action": "junk",
        "reason": "test",
        "query": "range=all&status=waiting",
        "until": world.end.isoformat(),
    }
    answer = await decide_many(programs, world, {**asked, "expected": 2})
    assert answer.status_code == 422 and answer.json()["kind"] == "other_count"
    late = await world.lead("late", world.end + timedelta(hours=1), "organic")
    await world.owner.execute(
        "INSERT INTO counter_journal (site_id, calls, changed_at) VALUES ($1, $2, now())",
        world.site.id,
        [late],
    )
    of, done, lost = told(await decide_many(programs, world, {**asked, "expected": 3}))
    assert (of, len(done), lost) == (3, 3, [])
    assert await listed(programs, world, "range=all&status=waiting") == ["late"], (
        "it came after what was seen"
    )


REFUSED = {
    "sealing many, unless it is confirmed": ({"action": "seal", "leads": []}, "confirm"),
    "both ways of saying which": ({"action": "junk", "reason": "x", "leads": [], "query": ""}, None),
    "neither": ({"action": "junk", "reason": "x"}, None),
    "an act about one": ({"action": "note", "note": "x", "leads": [[str(uuid4()), 1]]}, None),
    "junk without a reason": ({"action": "junk", "leads": []}, None),
}


@pytest.mark.parametrize(("body", "kind"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_not_for_many_is_refused(
    signed_in: Any, make_world: Any, body: Any, kind: str | None
) -> None:
    browser, user = await signed_in()
    world = await make_world(user)
    if body.get("leads") == [] and body["action"] == "junk":
        body = {**body, "leads": [[str(world.ids["waiting"]), 1]]}
    answer = await decide_many(Programs(browser), world, body)
    assert answer.status_code in (400, 422)
    assert kind is None or answer.json()["kind"] == kind
    assert await listed(Programs(browser), world, "range=all&status=waiting") == ["call", "form", "waiting"]


async def test_sealing_many_is_possible_once_it_is_confirmed(signed_in: Any, make_world: Any) -> None:
    browser, user = await signed_in()
    world = await make_world(user)
    leads = [[str(world.ids[name]), 1] for name in ("waiting", "form", "junk")]
    answer = await decide_many(
        Programs(browser), world, {"action": "seal", "confirmed": True, "leads": leads}
    )
    _, done, lost = told(answer)
    assert len(done) == 2 and [(each["lead"], each["why"]) for each in lost] == [
        (leads[2][0], "move_refused")
    ]
    assert bulk.MOST >= 1000


async def test_the_page_says_how_many_and_what_is_shown(reader: tuple[Programs, World]) -> None:
    programs, world = reader
    answer = await programs.http.get(
        f"/sites/{world.site.id}/leads?range=all&campaign=istanbul&status=waiting",
        headers={"accept": "text/html"},
    )
    assert "2 leads" in answer.text and 'aria-label="Search the leads"' in answer.text
    assert (
        'href="/sites/' + str(world.site.id) + '/leads?range=all&amp;status=waiting"' in answer.text
    )  # the chip's end
    assert f'<a href="/sites/{world.site.id}/leads/{world.ids["waiting"]}" data-drawer>' in answer.text
    assert 'data-decide="seal"' in answer.text
    none = await programs.http.get(
        f"/sites/{world.site.id}/leads?range=all&q=zzzz", headers={"accept": "text/html"}
    )
    assert "No lead is like that." in none.text and ORGANIC["channel"] in none.text
