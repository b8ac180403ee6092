"""The audit on the screens: whole for whoever runs the installation, a site's part for its people, and "run it now"."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import uuid4

import pytest_asyncio

from opsmantik.audit import pages
from opsmantik.audit.checks import all_checks
from opsmantik.upkeep import runner
from tests.web.audits import keep_runs
from tests.web.team import Team, new_team, text_of


@pytest_asyncio.fixture
async def team(owner: Any, web: Any) -> Team:
    await owner.execute("DELETE FROM audit_runs; DELETE FROM upkeep_wishes; DELETE FROM upkeep_runs")
    return await new_team(owner, web)


async def test_before_the_first_run_both_pages_say_so(team: Team) -> None:
    assert "None has run yet" in text_of((await team.platform_admin.browser.get("/admin/health")).text)
    assert "None has run yet" in text_of(
        (await team.analyst.browser.get(f"/sites/{team.site.id}/health")).text
    )


async def test_a_run_that_another_version_kept_otherwise_is_as_none(owner: Any, team: Team) -> None:
    await owner.execute(
        "INSERT INTO audit_runs (started_at, seconds, errors, warnings, unknown, report)"
        ' VALUES (now(), 1, 0, 0, 0, \'{"results": {"x": 1}}\')'
    )
    assert "None has run yet" in text_of((await team.platform_admin.browser.get("/admin/health")).text)
    assert (await team.analyst.browser.get(f"/sites/{team.site.id}/health")).status_code == 200
    assert await owner.fetch("SELECT * FROM installation_figures() WHERE name = 'audit_findings'") == []


async def test_whoever_runs_the_installation_sees_all_of_it_and_what_changed(
    owner: Any, web: Any, team: Team
) -> None:
    other = await new_team(owner, web, name="Zeytin Dental")
    await keep_runs(owner, team.site.id, other.site.id)
    page = (await team.platform_admin.browser.get("/admin/health")).text
    told = text_of(page)
    assert "Errors: 2, warnings: 2, not answered: 1; just now. Since the run before: 2 new, 1 gone." in told
    assert f"{len(list(all_checks()))} checks" in told
    assert "The data is whole 18 2 0 0" in told and "What the figures say 7 0 2 0" in told
    assert told.count("· New") == 2 and "Mend silence." in told
    assert "1 is gone since the run before" in told and "public.calls" in told
    assert 'href="/checks/0120_silence"' in page and "cut off" in told
    assert (await team.owner.browser.get("/admin/health")).status_code == 403


async def test_a_site_s_people_see_what_is_about_their_site_and_of_no_other(
    owner: Any, web: Any, team: Team
) -> None:
    other = await new_team(owner, web, name="Zeytin Dental")
    await keep_runs(owner, team.site.id, other.site.id)
    page = (await team.analyst.browser.get(f"/sites/{team.site.id}/health")).text
    told = text_of(page)
    assert "The last one found 3 things: just now." in told
    assert "Less arrives than is usual at this time Nothing has come for 5 hours. Open your site" in told
    assert "Figures are not what their rows say 2 figures differ. Whoever runs this installation" in told
    assert re.search(r"Rows that point to another site\S+s Whoever runs", told), (
        "its sentence names the other site"
    )
    assert "9 hours" not in told and str(other.site.id) not in page and "Zeytin" not in page
    assert "dead_rows" not in page and "Mend" not in told
    turkish = text_of(
        (await team.analyst.browser.get(f"/sites/{team.site.id}/health", accept_language="tr")).text
    )
    assert "Bu saatlerde alışılandan az olay geliyor" in turkish and "Sitenizi açın" in turkish
    assert "The last one found one thing" in text_of(
        (await other.owner.browser.get(f"/sites/{other.site.id}/health")).text
    )


async def test_a_finding_that_somebody_accepted_is_no_finding_here(owner: Any, team: Team) -> None:
    await keep_runs(owner, team.site.id, uuid4())
    await owner.execute(
        'UPDATE audit_runs SET report = replace(report::text, \'"accepted": null\', \'"accepted": "so be it"\')::jsonb'
    )
    told = text_of((await team.analyst.browser.get(f"/sites/{team.site.id}/health")).text)
    assert "The last one found nothing wrong with this site" in told


async def test_run_it_now_is_a_wish_that_is_there_once(owner: Any, team: Team) -> None:
    assert (await team.owner.post("/admin/health/audit")).status_code == 403
    answer = await team.platform_admin.post("/admin/health/audit")
    assert answer.status_code == 303 and answer.headers["location"] == "/admin/health?audit=asked#audit"
    await team.platform_admin.post("/admin/health/audit")
    told = text_of((await team.platform_admin.browser.get("/admin/health?audit=asked")).text)
    assert "It begins within two minutes" in told and "Asked for:" in told and "Run it now" not in told
    assert await owner.fetchval("SELECT count(*) FROM platform_acts WHERE action = 'audit.ask'") == 1
    assert "Asked for an audit at once" in text_of((await team.platform_admin.browser.get("/admin/log")).text)
    await owner.execute("DELETE FROM upkeep_wishes; INSERT INTO upkeep_runs (job) VALUES ('audit')")
    answer = await team.platform_admin.post("/admin/health/audit")
    assert answer.headers["location"] == "/admin/health?audit=under_way#audit"
    await owner.execute("UPDATE upkeep_runs SET finished_at = now(), outcome = 'ok'")
    answer = await team.platform_admin.post("/admin/health/audit")
    assert answer.headers["location"] == "/admin/health?audit=lately#audit"
    assert await owner.fetchval("SELECT count(*) FROM upkeep_wishes") == 0


async def test_a_job_that_is_wished_for_runs_although_it_ran_lately(
    database: Any, owner: Any, team: Team
) -> None:
    ran = []

    async def audit(_: Any) -> dict[str, Any]:
        ran.append("audit")
        return {}

    async def other(_: Any) -> dict[str, Any]:
        ran.append("other")
        return {}

    await owner.execute("INSERT INTO upkeep_runs (job, finished_at, outcome) VALUES ('audit', now(), 'ok')")
    jobs = runner.Upkeep(
        database.owner, [runner.Job("audit", 86400, audit, at_start=False), runner.Job("other", 0.05, other)]
    )
    await jobs.start()
    try:
        await until(lambda: ran.count("other") > 1)
        assert "audit" not in ran
        await owner.execute("INSERT INTO upkeep_wishes (job) VALUES ('audit')")
        await until(lambda: "audit" in ran)
        seen = len(ran)
        await until(lambda: len(ran) > seen + 2)
        assert ran.count("audit") == 1, "a wish is granted once"
    finally:
        await jobs.stop()


async def until(done: Any) -> None:
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.02)


async def test_the_page_of_a_check_says_how_to_mend_it(team: Team) -> None:
    told = text_of((await team.analyst.browser.get("/checks/0120_silence")).text)
    assert "How to mend it Open the site and look" in told and "site 018f2c…" in told
    for stem in ("0120_silenc", "..%2Findex", "README"):
        assert (await team.analyst.browser.get(f"/checks/{stem}")).status_code == 404


def test_every_check_has_a_page_that_can_be_shown() -> None:
    for check in all_checks():
        page = pages.page(check.stem)
        assert page is not None and page.title == check.title
        assert [name for name, _ in page.parts][2] == "How to mend it"
        assert all(blocks for _, blocks in page.parts)
        assert page.parts[3][1][-1].kind == "table", check.stem
