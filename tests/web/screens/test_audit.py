"""The audit on a real screen: the installation's and a site's, wide and narrow, in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.audits import keep_runs
from tests.web.team import new_team

LOOKS = {
    "desk, English": {"size": "desk", "language": "en", "theme": "light"},
    "phone, Turkish": {"size": "phone", "language": "tr", "theme": "dark"},
}
SAID = {
    "en": ("Run it now", "It begins within two minutes", "Less arrives than is usual"),
    "tr": ("Şimdi çalıştır", "İki dakika içinde başlar", "Bu saatlerde alışılandan az"),
}


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
async def test_findings_are_read_followed_to_their_page_and_asked_for_anew(
    owner: Any, web: Any, open_as: Any, look: str
) -> None:
    await owner.execute("DELETE FROM audit_runs; DELETE FROM upkeep_wishes; DELETE FROM upkeep_runs")
    team, other = await new_team(owner, web), await new_team(owner, web, name="Zeytin Dental")
    await keep_runs(owner, team.site.id, other.site.id)
    run, answer, silence = SAID[LOOKS[look]["language"]]

    async def sound() -> None:
        assert await screen.violations() == []
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0

    screen = await open_as(team.platform_admin.browser, **LOOKS[look])
    page = await screen.go("/admin/health#audit")
    await sound()
    remedy = page.locator("#audit details", has_text="Mend silence.").first
    await remedy.locator("summary").click()
    assert await remedy.locator("pre").is_visible()
    await page.locator("#audit a[href='/checks/0120_silence']").first.click()
    assert (
        await page.locator("h1").inner_text()
        == "No site has gone silent that used to send at this time of the week."
    )
    await sound()
    await page.go_back()
    await page.get_by_role("button", name=run).click()
    await page.get_by_text(answer).wait_for()
    assert await page.get_by_role("button", name=run).count() == 0
    await sound()

    screen = await open_as(team.analyst.browser, **LOOKS[look])
    page = await screen.go(f"/sites/{team.site.id}/health#audit")
    await page.locator("#audit").get_by_text(silence).wait_for()
    assert "Zeytin" not in await page.locator("main").inner_text()
    await sound()
