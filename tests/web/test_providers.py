"""The ad platforms on the page of whoever runs the installation: how they answer, and the switch for all sites."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from opsmantik.conversions.store import Provider
from opsmantik.web.pages.providers import line_of
from tests.web.team import new_team, text_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEVER = datetime(1, 1, 1)
CASES = {
    "that never failed": (None, "fine", None),
    "that answered again": (Provider("meta", 0, NEVER, None, True, NOW), "fine", None),
    "that failed once": (Provider("meta", 1, NEVER, "no_answer", True, NOW), "look", None),
    "that is left alone": (
        Provider("meta", 9, NOW + timedelta(minutes=5), "broken", True, NOW), "broken", NOW + timedelta(minutes=5),
    ),
    "that was left alone": (Provider("meta", 9, NOW - timedelta(minutes=5), "broken", True, NOW), "look", None),
    "that is stopped": (Provider("meta", 0, NEVER, None, False, NOW), "look", None),
}  # fmt: skip


@pytest.mark.parametrize(("known", "level", "until"), CASES.values(), ids=CASES.keys())
def test_a_platform(known: Provider | None, level: str, until: datetime | None) -> None:
    line = line_of("meta", known, NOW)
    assert (line.level, line.waits_until) == (level, until)


@pytest.mark.slow
async def test_who_runs_the_installation_stops_a_platform_for_all_sites(owner: Any, web: Any) -> None:
    team = await new_team(owner, web)
    admin = team.platform_admin
    await owner.execute(
        "INSERT INTO provider_circuits (provider, failures, open_until, reason)"
        " VALUES ('meta', 7, now() + interval '1 hour', 'no_answer')"
    )
    told = unescape(text_of((await admin.browser.get("/admin/health")).text))
    assert "Meta It is left alone until" in told
    assert "7 calls in a row were not answered: the platform gave no answer" in told
    answer = await admin.post("/admin/providers", provider="meta", is_on="yes")
    assert answer.headers["location"] == "/admin/health#providers"
    row = await owner.fetchrow("SELECT is_on, failures FROM provider_circuits WHERE provider = 'meta'")
    assert tuple(row) == (True, 0)
    await admin.post("/admin/providers", provider="meta", is_on="no")
    assert await owner.fetchval("SELECT is_on FROM provider_circuits WHERE provider = 'meta'") is False
    assert "Stopped" in text_of((await admin.browser.get("/admin/health")).text)
    log = await owner.fetchval("SELECT count(*) FROM platform_acts WHERE action = 'conversions.provider'")
    assert log == 2
    assert (await admin.post("/admin/providers", provider="pigeon", is_on="no")).status_code == 400
    assert (await team.owner.post("/admin/providers", provider="meta", is_on="yes")).status_code == 403
