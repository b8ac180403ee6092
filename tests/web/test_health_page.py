"""Health: what a site's lines say of the figures, who sees which page; all sites for whoever runs the platform; the way
from one site to another; and what is said to those whose role is too small."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from opsmantik.dashboard.asked import AskedSite, Over
from opsmantik.dashboard.cards.site_health import Hook, SiteHealth, StateOf, Visits, Way, read_books
from opsmantik.dashboard.cards.watchdog import Watchdog
from opsmantik.web.pages.site_frame import same_page
from opsmantik.web.pages.site_health import checks, storage
from opsmantik.web.rendering import View
from tests.web.team import Team, new_team, somebody, text_of
from tests.web.world import MakeWorld

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
START = NOW.replace(minute=0)
WEEK = timedelta(days=7)


@pytest_asyncio.fixture
async def team(owner: Any, web: Any) -> Team:
    return await new_team(owner, web)


def hours(
    n: int, *, weeks: int = 0, outcome: str = "stored", count: int = 24
) -> list[tuple[datetime, str, int]]:
    """So many events in each of the last 24 whole hours, so many weeks ago."""
    return [(START - back * HOUR - weeks * WEEK, outcome, n) for back in range(1, count + 1)]


USUAL = [row for weeks in range(1, 5) for row in hours(10, weeks=weeks)]


def test_the_usual_is_the_middle_of_the_same_hour_of_the_weeks_before() -> None:
    rows = [row for weeks, n in ((1, 4), (2, 100), (3, 6), (4, 8)) for row in hours(n, weeks=weeks)]
    found = read_books(rows + hours(5), START)
    assert [(hour.stored, hour.usual) for hour in found.hours[:-1]] == [(5, 7.0)] * 24
    assert found.hours[-1].start == START


def test_a_site_that_is_younger_than_a_week_has_no_usual() -> None:
    assert {hour.usual for hour in read_books(hours(5), START).hours} == {None}


def test_sums_are_those_of_seven_days() -> None:
    rows = [
        *hours(1), *hours(2, outcome="duplicate"), *hours(3, outcome="bot", count=1), *hours(1, weeks=1),
        *hours(9, outcome="origin_refused", count=2),
    ]  # fmt: skip
    found = read_books(rows, START)
    assert (found.stored, found.duplicates, found.refused) == (24, 48, {"origin_refused": 18, "bot": 3})


def taps(events: int, leads: int) -> Watchdog:
    return Watchdog(
        range=Over(NOW - WEEK, NOW, "UTC"), ads_only=False, as_of=NOW, sequence=1, tap_events=events, tap_intents=leads,
        waiting_intents=0, ratio=None,
    )  # fmt: skip


WAY = Way("data_manager", True, None)


def health(rows: list[tuple[datetime, str, int]] | None = None, **changes: Any) -> SiteHealth:
    known: dict[str, Any] = {
        "as_of": NOW, "last_event_at": NOW - timedelta(minutes=1), "last_intent_at": None, "disabled_at": None,
        "has_quota": False, "books": read_books(USUAL + hours(10) if rows is None else rows, START), "paid": 100,
        "paid_with_click": 90, "conversions": [], "way": WAY, "webhooks": [], "own_mail_failures": None,
        "taps": taps(30, 28), "visits": Visits(
            looked_at=10, analytics={"yes": 8, "no": 1, "unsaid": 1}, marketing={"yes": 5, "no": 0, "unsaid": 5},
            trackers={"1.0.0": 9, None: 1},
        ),
    }  # fmt: skip
    return SiteHealth(**{**known, **changes})


HOOK = Hook(uuid4(), "https://crm.example/hook", None, None, 0)
CASES: dict[str, tuple[SiteHealth, str, str, str]] = {
    "it sends": (health(), "receiving", "fine", "The last event: 1 min ago."),
    "it has never sent": (health([], last_event_at=None), "receiving", "unknown", "No event has arrived yet."),
    "it is off": (health(disabled_at=NOW - HOUR), "receiving", "look", "switched off"),
    "it is silent where events are usual": (
        health(USUAL, last_event_at=NOW - 5 * HOUR), "receiving", "broken", "40 events would have been usual since.",
    ),
    "it is silent at night": (
        health([], last_event_at=NOW - 5 * HOUR), "receiving", "fine", "Not more is usual at this hour.",
    ),
    "it is silent for days": (health([], last_event_at=NOW - 96 * HOUR), "receiving", "look", "Nothing for 4 d"),
    "as many as usual": (health(), "rate", "fine", "240 events in the last 24 whole hours; 240 would be usual."),
    "fewer than half": (health(USUAL + hours(4)), "rate", "look", "96 events"),
    "next to none": (health(USUAL + hours(0)), "rate", "broken", "0 events"),
    "too young for a usual": (health(hours(50)), "rate", "unknown", "not long enough"),
    "some refused": (
        health(hours(97) + hours(3, outcome="origin_refused")), "refused", "look", "72 events in seven days, 3%",
    ),
    "most refused": (health(hours(1) + hours(3, outcome="origin_refused")), "refused", "broken", "75%"),
    "bots only": (health(hours(1) + hours(30, outcome="bot")), "refused", "fine", "720 more as it should be"),
    "a tracker that is there twice": (health(hours(5) + hours(5, outcome="duplicate")), "twice", "look", "50%"),
    "click ids": (health(), "clicks", "fine", "90% of the visits by ads carry one (90 of 100, seven days)."),
    "click ids that are lost": (health(paid_with_click=10), "clicks", "look", "10%"),
    "too few visits by ads": (health(paid=3, paid_with_click=0), "clicks", "unknown", "(0 of 3"),
    "no visit by an ad": (health(paid=0, paid_with_click=0), "clicks", "unknown", "No visit by an ad"),
    "taps that become leads": (health(), "taps", "fine", "30 taps in seven days; leads made by taps: 28."),
    "taps that become none": (health(taps=taps(30, 0)), "taps", "broken", "leads made by taps: 0."),
    "no taps": (health(taps=taps(0, 0)), "taps", "unknown", "No tap"),
    "consent": (health(), "consent", "fine", "analytics 80% yes, 10% no, 10% not asked; marketing 50% yes"),
    "a tracker of today": (health(), "trackers", "fine", "1.0.0 (90%), first generation (10%)"),
    "conversions that are stuck": (
        health(conversions=[StateOf("queued", 3, 2, NOW - 72 * HOUR)]), "conversions", "look",
        "0 sent today; 0 refused; 3 to leave. The oldest of those was due: 19 Nov 12:30.",
    ),
    "conversions that wait for somebody to carry them": (
        health(conversions=[StateOf("queued", 3, 2, NOW - 72 * HOUR)], way=Way("file", True, None)), "conversions", "fine",
        "2 were due to leave more than a day ago",
    ),
    "conversions that go nowhere yet": (
        health(conversions=[StateOf("queued", 3, 0, NOW)], way=None), "conversions", "look",
        "Nobody has said where conversions go.",
    ),
    "conversions that were skipped alone": (
        health(conversions=[StateOf("skipped", 3, 0, NOW)], way=None), "conversions", "fine", "0 to leave.",
    ),
    "conversions that are switched off": (
        health(conversions=[StateOf("held", 1, 0, NOW)], way=Way("meta", False, None)), "conversions", "look",
        "Sending is switched off.",
    ),
    "conversions whose connection has ended": (
        health(conversions=[StateOf("queued", 1, 0, NOW)], way=Way("google_ads", True, "revoked")), "conversions", "broken",
        "Nothing leaves before this is put right: the connection was ended at the platform.",
    ),
    "conversions that failed": (
        health(conversions=[StateOf("failed", 1, 0, NOW)]), "conversions", "look", "1 refused;",
    ),
    "conversions that have arrived": (
        health(conversions=[StateOf("accepted", 5, 5, NOW - 72 * HOUR, 4)]), "conversions", "fine", "4 sent today;",
    ),
    "a webhook that works": (health(webhooks=[HOOK]), "webhooks", "fine", "1 webhook; deliveries that wait: 0."),
    "a webhook that fails": (
        health(webhooks=[Hook(uuid4(), "https://crm.example/hook", None, NOW - HOUR, 4)]), "webhooks", "look",
        "crm.example fails since: 1 h ago.",
    ),
    "a webhook that was given up": (
        health(webhooks=[Hook(uuid4(), "https://crm.example/hook", "failing", NOW - HOUR, 4)]), "webhooks", "broken",
        "crm.example",
    ),
    "mail that does not arrive": (health(own_mail_failures=2), "mail", "broken", "The last 2 mails"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_line_says_what_the_figures_mean(case: str) -> None:
    found, name, level, words = CASES[case]
    site = AskedSite(uuid4(), "x", "Shop", "shop.example", "UTC", "TRY", Decimal(), NOW, "owner", 1, {})
    lines = {line.name: line for line in checks(View("en", NOW), site, found, sends_mail=True)}
    assert (lines[name].level, words in lines[name].says) == (level, True), lines[name]


def test_what_is_not_there_has_no_line() -> None:
    site = AskedSite(uuid4(), "x", "Shop", "shop.example", "UTC", "TRY", Decimal(), NOW, "analyst", 1, {})
    lines = checks(View("tr", NOW), site, health(), sends_mail=False)
    assert {"webhooks", "mail"} & {line.name for line in lines} == set()
    assert [line.link for line in lines if line.link.startswith("settings/")] == [], (
        "an analyst opens none of them"
    )


def test_places_that_are_missing_are_a_break() -> None:
    assert storage(View("en", NOW), 1.5, ["events_2026_12"]).level == "broken"
    assert storage(View("en", NOW), 1.5, []).level == "fine"


# The pages.


async def test_everybody_of_a_site_sees_how_it_fares(team: Team) -> None:
    path = f"/sites/{team.site.id}/health"
    for who, status in ((team.owner, 200), (team.analyst, 200), (team.operator, 200), (team.stranger, 404)):
        assert (await who.browser.get(path)).status_code == status
    page = (await team.analyst.browser.get(path)).text
    assert "No event has arrived yet." in page
    assert "/admin/health" not in page
    assert "/admin/health" in (await team.platform_admin.browser.get(path)).text


async def test_the_figures_of_a_page_are_those_of_the_rows(signed_in: Any, make_world: MakeWorld) -> None:
    browser, user_id = await signed_in()
    world = await make_world(user_id)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 2 * HOUR
    for outcome, n in (("stored", 40), ("duplicate", 4), ("origin_refused", 10)):
        await world.insert(
            "ingest_tally", {"site_id": world.site.id, "hour": hour, "outcome": outcome, "n": n}
        )
    told = text_of((await browser.get(f"/sites/{world.site.id}/health")).text)
    assert "40 events in the last 24 whole hours." in told
    assert "10 events in seven days, 20%, that might have been good." in told
    assert "4 events in seven days, 9.1%: stored once, counted once." in told
    assert "100% of the visits by ads carry one (1 of 1, seven days)." in told
    assert "0 sent today; 0 refused; 0 to leave." in told
    assert "Address not allowed 10" in told


async def test_the_installations_health_is_for_whoever_runs_it(owner: Any, team: Team) -> None:
    await owner.execute(
        "INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail) VALUES"
        " ('purge', now() - interval '3 days', now() - interval '3 days', 'ok', '{}'),"
        " ('purge', now(), now(), 'failed', '{\"error\": \"no room\"}')"
    )
    assert (await team.owner.browser.get("/admin/health")).status_code == 403
    told = text_of((await team.platform_admin.browser.get("/admin/health")).text)
    assert "Failed Remove what has run out" in told
    assert "no room" in told
    assert re.search(r"There are places for this month and \d+ more", told)
    assert "PostgreSQL" in told


async def test_all_sites_are_found_by_name_owner_and_state(owner: Any, web: Any, team: Team) -> None:
    other = await new_team(owner, web, name="Zeytin Dental", domain="zeytin.example", monthly_quota=1000)
    await owner.execute(
        "INSERT INTO site_pulse (site_id, sequence, changed_at, last_event_at)"
        " VALUES ($1, 1, now(), now() - interval '2 days')",
        other.site.id,
    )
    browser = team.platform_admin.browser
    assert (await team.owner.browser.get("/admin/sites")).status_code == 403

    async def found(query: str) -> str:
        return text_of((await browser.get(f"/admin/sites?{query}")).text)

    assert "Zeytin Dental zeytin.example" in await found("q=ZEYTİN")
    told = await found(f"q={other.owner.email}")
    assert "1 to 1 of 1" in told
    assert "Silent" in told
    assert "0%" in told, "of the quota"
    assert "Zeytin Dental" in await found("only=silent&q=zeytin")
    assert "No site is like that." in await found("only=off&q=zeytin")
    assert "No site is like that." in await found("q=%00nobody&page=2")


async def test_the_switcher_leads_to_the_same_page_of_another_site(owner: Any, web: Any, team: Team) -> None:
    other = await new_team(owner, web, name="Başka")
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'analyst')",
        other.site.id,
        team.owner.id,
    )
    page = (await team.owner.browser.get(f"{team.settings}/rules?scope=paid")).text
    address = re.search(r'data-list="([^"]+)"', page)
    assert address
    listed = (await team.owner.browser.get(address[1].replace("&amp;", "&"))).text
    assert f'href="/sites/{team.site.id}/settings/rules?scope=paid" aria-current="true"' in listed
    assert f'href="/sites/{other.site.id}/settings"' in listed, "an analyst opens no rules"
    assert "Başka" in listed
    stranger = await team.stranger.browser.get("/sites/switch?at=/queue")
    assert str(team.site.id) not in stranger.text


@pytest.mark.parametrize(
    ("path", "query", "at"),
    [
        ("/sites/x", {}, ""),
        ("/sites/x/leads", {"range": "7d", "campaign": "istanbul", "q": "x"}, "/leads?range=7d"),
        ("/sites/x/leads/0b9c8d7e-0000-4000-8000-000000000001", {}, "/leads"),
        ("/sites/x/sessions/0b9c8d7e-0000-4000-8000-000000000001", {}, "/sessions"),
        ("/sites/x/settings/origins/remove", {}, "/settings/origins"),
        ("/sites/x//evil.example", {}, ""),
        ("/sites/x/../../admin", {}, ""),
    ],
)
def test_the_same_page_is_a_path_below_a_site_and_nothing_else(
    path: str, query: dict[str, str], at: str
) -> None:
    assert same_page(path, query) == at


# What is refused, in words.


async def test_a_role_that_is_too_small_is_told_which_one_is_needed(team: Team) -> None:
    answer = await team.operator.browser.get(f"{team.settings}/general")
    assert answer.status_code == 403
    told = text_of(answer.text)
    assert "Your role does not allow that" in told
    assert "Owner, Administrator." in told
    assert f'href="/sites/{team.site.id}"' in answer.text
    only = text_of((await team.admin.browser.get(f"{team.settings}/ownership")).text)
    assert "It needs one of these roles: Owner." in only


async def test_a_form_from_elsewhere_is_no_matter_of_roles(team: Team) -> None:
    answer = await team.owner.browser.http.post(f"{team.settings}/general", data={"form_token": "00"})
    assert answer.status_code == 403
    assert "The form did not come from" in answer.text


async def test_the_platforms_pages_say_whose_they_are_in_the_readers_language(owner: Any, web: Any) -> None:
    person = await somebody(owner, web)
    answer = await person.browser.get("/admin/sites", accept_language="tr")
    assert answer.status_code == 403
    assert "Bu, kurulumu yöneten içindir" in answer.text


async def test_a_stranger_at_no_page_is_shown_the_way_in(web: Any) -> None:
    answer = await web.browser().get("/nowhere")
    assert answer.status_code == 404
    assert 'href="/sign-in"' in answer.text
