"""The log of administrative acts: on a site's page, for programs, for whoever runs the installation; and that nobody
changes a line of it."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db.migrate import function_files
from opsmantik.web.acts import said
from opsmantik.web.language import LANGUAGES, Words, catalogue
from tests.shapes import check
from tests.web.browsing import Running
from tests.web.team import Somebody, Team, new_team, sign_in, somebody, text_of
from tests.web.world import Programs

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(loop_scope="session")
async def team(owner: Any, web: Running) -> Team:
    return await new_team(owner, web)


async def note(connection: Any, team: Team, action: str, **row: Any) -> None:
    """A line as an act would have written it."""
    values = {
        "site_id": team.site.id, "id": uuid4(), "actor_name": "Ayşe <a@b.example>", "action": action, **row,
    }  # fmt: skip
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    await connection.execute(
        f"INSERT INTO site_acts ({', '.join(values)}) VALUES ({places})", *values.values()
    )


# On the page.


async def test_the_log_says_who_did_what_when_in_the_site_s_time(owner: Any, web: Running) -> None:
    team = await new_team(owner, web, time_zone="Asia/Kathmandu")
    await team.admin.post(f"{team.members}/{team.analyst.id}/role", role="operator")
    html = (await team.admin.browser.get(f"{team.settings}/log")).text
    text = text_of(html)
    assert f"Changed the role of {team.analyst.email} from Analyst to Operator" in text
    assert f"{team.admin.email} · 127.0.0.1" in text
    assert re.search(r'<time datetime="[^"]+Z" title="[^"]+, Asia/Kathmandu"', html)


async def test_an_act_that_has_no_words_is_shown_all_the_same(owner: Any, team: Team) -> None:
    await note(owner, team, "rockets.launch", subject="<b>moon</b>", detail={"x": 1})
    await note(owner, team, "members.role", subject="a@b.example")  # its detail is missing
    html = (await team.owner.browser.get(f"{team.settings}/log")).text
    assert "rockets.launch: &lt;b&gt;moon&lt;/b&gt;" in html
    assert "Changed the role of a@b.example from — to —" in html


async def test_what_stands_in_an_act_is_no_format(owner: Any, team: Team) -> None:
    await note(
        owner, team, "members.invite", subject="{role.__class__} {0}", detail={"role": "{subject.__class__}"}
    )
    assert "Invited {role.__class__} {0} as {subject.__class__}" in (
        await team.owner.browser.get(f"{team.settings}/log")
    ).text.replace("&#39;", "'")


async def test_the_log_goes_on_by_the_page_and_loses_no_line(owner: Any, team: Team) -> None:
    at = datetime.fromisoformat("2026-11-20T12:00:00Z")
    for n in range(120):  # many at the same instant
        await note(owner, team, "origins.add", subject=f"line-{n:03}", at=at)
    seen: list[str] = []
    path = f"{team.settings}/log"
    while path:
        html = (await team.owner.browser.get(path)).text
        seen += re.findall(r"line-\d{3}", html)
        older = re.search(r'href="([^"]+\?cursor=[^"]+)"', html)
        path = older[1] if older else ""
    assert len(seen) == 120 and len(set(seen)) == 120
    assert (await team.owner.browser.get(f"{team.settings}/log?cursor=nonsense")).status_code == 400


@pytest.mark.parametrize("role", ["operator", "analyst", "stranger"])
async def test_the_log_is_for_those_who_may_change_settings(team: Team, role: str) -> None:
    one: Somebody = getattr(team, role)
    status = 404 if role == "stranger" else 403
    assert (await one.browser.get(f"{team.settings}/log")).status_code == status
    answer = await Programs(one.browser).get(f"/api/v1/sites/{team.site.id}/acts")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


ACTIONS = sorted(
    {
        action
        for path in function_files()
        for call in re.findall(r"(?:note_act|note_privacy)\((?:[^;]|'[^']*;[^']*')*;", path.read_text())
        for action in re.findall(r"'([a-z_]+\.[a-z_]+)'", call)
    }
    - {"app.person", "app.sites"}
)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_act_has_its_words(action: str) -> None:
    assert [language for language in LANGUAGES if f"acts.{action}" not in catalogue(language)] == []


def test_the_acts_that_need_words_are_found() -> None:
    assert {"members.invite", "ownership.accept", "site.switch_off", "site.create", "users.disable"} <= set(
        ACTIONS
    )


def test_values_are_said_in_words() -> None:
    class Act:
        action, subject, detail = (
            "x.y",
            None,
            {"to": "analyst", "on": True, "list": ["admin", "b"], "none": None},
        )

    sentence = "{subject} {to} {on} {list} {none} {missing}"
    assert said(Words("en"), sentence, Act) == "— Analyst yes Administrator, b — —"  # type: ignore[arg-type]
    assert said(Words("tr"), sentence, Act) == "— Analist evet Yönetici, b — —"  # type: ignore[arg-type]


# For programs.


async def test_programs_read_the_log_by_cursor(owner: Any, team: Team) -> None:
    programs, path = Programs(team.owner.browser), f"/api/v1/sites/{team.site.public_id}/acts"
    for n in range(5):
        await note(owner, team, "origins.add", subject=f"line-{n}", address="192.0.2.1", detail={"n": n})
    found: list[str] = []
    cursor: str | None = None
    while True:
        answer = await programs.get(path, {"limit": 2} | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found += [act["subject"] for act in answer.json()["acts"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
        check(answer.json(), "rest_acts")
    assert sorted(found) == [f"line-{n}" for n in range(5)]
    for bad in ({"limit": "0"}, {"limit": "x"}, {"limit": "-1"}, {"cursor": "x"}):
        assert (await programs.get(path, bad)).status_code == 400
    assert len((await programs.get(path, {"limit": "99999"})).json()["acts"]) == 5


async def test_to_add_a_site_is_an_act(owner: Any, web: Running, signed_in: Any) -> None:
    browser, user_id = await signed_in()
    answer = await browser.submit(
        "/sites/new", "/sites", domain="new.example", name="Neu", time_zone="Europe/Istanbul", region="TR", currency="TRY",
    )  # fmt: skip
    site_id = answer.headers["location"].rpartition("/")[2]
    (act,) = await owner.fetch(
        "SELECT action, subject, actor, address FROM site_acts WHERE site_id = $1::text::uuid", site_id
    )
    assert tuple(act) == ("site.create", "Neu", user_id, "127.0.0.1")


# Only ever added to.


@pytest.mark.parametrize("table", ["site_acts", "platform_acts"])
async def test_nobody_changes_a_line(owner: Any, database: Any, team: Team, table: str) -> None:
    """Not the application, for lack of a grant; nor the owner of the table, for lack of a policy, whatever is set."""
    await note(owner, team, "origins.add")
    await owner.execute(
        "INSERT INTO platform_acts (id, actor_name, action) VALUES ($1, 'x', 'users.add')", uuid4()
    )
    statements = (f"UPDATE {table} SET actor_name = 'nobody'", f"DELETE FROM {table}")
    app = await asyncpg.connect(database.app)
    try:
        for statement in (*statements, f"TRUNCATE {table}", f"INSERT INTO {table} DEFAULT VALUES"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with app.transaction():
                    await app.execute("SET LOCAL app.maintenance = 'on'")
                    await app.execute(f"SET LOCAL app.sites = '{{{team.site.id}}}'")
                    await app.execute(statement)
    finally:
        await app.close()
    lines = await owner.fetchval(f"SELECT count(*) FROM {table}")
    assert lines > 0
    for statement in statements:
        assert (await owner.execute(statement)).endswith(" 0"), statement
    assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE actor_name <> 'nobody'") == lines
    commands = await owner.fetch(
        "SELECT DISTINCT polcmd FROM pg_policy WHERE polrelid = $1::text::regclass", table
    )
    assert {row["polcmd"] for row in commands} == {b"r", b"a"}


# For whoever runs the installation.

PLATFORM = ("/admin/people", "/admin/log")


async def test_the_installation_s_pages_are_for_whoever_runs_it(web: Running, team: Team) -> None:
    for path in PLATFORM:
        for role in ("owner", "admin", "analyst", "stranger"):
            assert (await getattr(team, role).browser.get(path)).status_code == 403
        assert (await web.browser().get(path)).headers["location"].startswith("/sign-in")
        assert (await team.platform_admin.browser.get(path)).status_code == 200
    assert 'href="/admin/people"' in (await team.platform_admin.browser.get("/sites")).text
    assert "/admin/" not in (await team.owner.browser.get("/sites")).text
    for role in ("owner", "admin"):
        answer = await getattr(team, role).post(f"/admin/people/{team.analyst.id}", enabled="0")
        assert answer.status_code == 403


async def test_the_accounts_are_listed_with_what_they_own(owner: Any, team: Team) -> None:
    html = (await team.platform_admin.browser.get("/admin/people")).text
    rows = {
        match[0]: text_of(row)
        for row in re.findall(r"<li>.*?</li>", html, re.S)
        if (match := re.search(r"[0-9a-f]{32}@example\.com", row))
    }
    assert "Owns Vinç Kiralama" in rows[team.owner.email] and "member of" not in rows[team.owner.email]
    assert "Owns no site · member of 1 site" in rows[team.analyst.email]
    assert "Platform administrator" in rows[team.platform_admin.email]
    assert "Close account" in rows[team.owner.email]
    assert "Close account" not in rows[team.platform_admin.email]


async def test_the_list_of_accounts_goes_on_by_the_page(owner: Any, team: Team) -> None:
    await owner.execute(
        "INSERT INTO users (id, email) SELECT gen_random_uuid(), gen_random_uuid() || '@page.example'"
        " FROM generate_series(1, 60)"
    )
    seen: list[str] = []
    path = "/admin/people"
    while path:
        html = (await team.platform_admin.browser.get(path)).text
        seen += re.findall(r"<strong>([0-9a-f-]{36}@page\.example)<", html)
        older = re.search(r'href="(/admin/people\?after=[^"]+)"', html)
        path = older[1] if older else ""
    assert (len(seen), len(set(seen))) == (60, 60)
    assert (await team.platform_admin.browser.get("/admin/people?after=x")).status_code == 400


async def test_a_closed_account_is_signed_out_and_opens_again(owner: Any, web: Running, team: Team) -> None:
    victim, admin = team.owner, team.platform_admin
    path = f"/admin/people/{victim.id}"
    answer = await admin.post(path, enabled="0")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/people")
    assert (await victim.browser.get("/sites")).headers["location"].startswith("/sign-in")
    assert await owner.fetchval("SELECT count(*) FROM sign_ins WHERE user_id = $1", victim.id) == 0
    await sign_in(owner, victim.browser, victim.id)  # a sign-in that was opened at the same moment
    assert (await victim.browser.get("/sites")).status_code == 303
    assert (await admin.post(path, enabled="1")).status_code == 303
    assert (await victim.browser.get(f"/sites/{team.site.id}")).status_code == 200
    text = text_of((await admin.browser.get("/admin/log")).text)
    assert f"Closed the account {victim.email}" in text and f"Opened the account {victim.email}" in text
    assert (await admin.post(f"/admin/people/{uuid4()}", enabled="0")).status_code == 404


async def test_nobody_closes_their_own_account_nor_the_last_one_that_runs_the_platform(
    owner: Any, web: Running, team: Team
) -> None:
    admin = team.platform_admin
    answer = await admin.post(f"/admin/people/{admin.id}", enabled="0")
    assert answer.status_code == 422 and "Nobody closes their own account here" in answer.text
    other = await somebody(owner, web, role="admin")
    await owner.execute(
        "UPDATE users SET disabled_at = now()"
        " WHERE id IN (SELECT id FROM profiles WHERE role = 'admin') AND id <> ALL ($1)",
        [admin.id, other.id],
    )
    # Each closes the other's, at the same moment: one account is left every time.
    for _ in range(5):
        await close_each_other(admin, other)
        left = await owner.fetchval(
            "SELECT count(*) FROM users u JOIN profiles p ON p.id = u.id WHERE p.role = 'admin' AND u.disabled_at IS NULL"
        )
        assert left == 1
        await owner.execute("UPDATE users SET disabled_at = NULL WHERE id = ANY ($1)", [admin.id, other.id])
        for one in (admin, other):
            await sign_in(owner, one.browser, one.id)


async def close_each_other(one: Somebody, other: Somebody) -> None:
    await asyncio.gather(
        one.post(f"/admin/people/{other.id}", enabled="0"),
        other.post(f"/admin/people/{one.id}", enabled="0"),
        return_exceptions=True,
    )
