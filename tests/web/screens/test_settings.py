"""Settings, account, platform, doors and errors in a real browser: nothing that axe finds, nothing wider than the screen,
and the flows in which two people or two sites matter."""

from __future__ import annotations

import re
from typing import Any

import pytest

from opsmantik.web.pages.settings import PARTS
from tests.web.screens.screen import Screen
from tests.web.team import links, new_team

LOOKS = pytest.mark.parametrize(
    ("size", "language", "theme"), [("desk", "en", "light"), ("phone", "tr", "dark")], ids=["desk", "phone"]
)
OF_A_SITE = ("settings", *(part.path or f"settings/{part.name}" for part in PARTS if part.path != "install"))
OF_ONESELF = ("/account", "/account/keys", "/account/keys/new", "/account/second-factor")
OF_THE_PLATFORM = ("/admin/sites", "/admin/health", "/admin/people", "/admin/log")
DOORS = ("/sign-in", "/forgot", "/nowhere")


async def looked_at(screen: Screen, path: str) -> list[str]:
    """What is wrong with a page as it is."""
    page = await screen.go(path)
    wrong = [f"{path}: {word}" for word in await screen.violations()]
    if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        wrong.append(f"{path}: wider than the screen")
    return wrong


@LOOKS
async def test_every_page_of_settings_account_and_platform_is_sound(
    owner: Any, web: Any, open_as: Any, size: str, language: str, theme: str
) -> None:
    team = await new_team(owner, web)
    look = {"size": size, "language": language, "theme": theme}
    screen = await open_as(team.platform_admin.browser, **look)
    paths = [*(f"/sites/{team.site.id}/{path}" for path in OF_A_SITE), *OF_ONESELF, *OF_THE_PLATFORM]
    wrong = [word for path in paths for word in await looked_at(screen, path)]
    small = await open_as(team.operator.browser, **look)
    wrong += await looked_at(small, f"/sites/{team.site.id}/settings/general")
    await team.admin.post(f"{team.members}/invite", email="somebody@example.com", role="operator")
    [invite] = links((await team.admin.browser.get(team.members)).text)
    stranger = await open_as(None, **look)
    wrong += [word for path in (*DOORS, invite) for word in await looked_at(stranger, path)]
    assert wrong == []


async def test_two_people_who_edit_at_once_do_not_write_over_each_other(
    owner: Any, web: Any, open_as: Any
) -> None:
    team = await new_team(owner, web)
    path = f"{team.settings}/general"
    mine, theirs = (
        await open_as(team.owner.browser),
        await open_as(team.admin.browser, size="phone", language="tr"),
    )
    ours, late = await theirs.go(path), await mine.go(path)
    await ours.fill("#name", "Theirs")
    await ours.locator("form.panel button[type=submit]").click()
    await ours.wait_for_url("**done=saved")
    await late.fill("#name", "Mine")
    await late.locator("form.panel button[type=submit]").click()
    await late.get_by_text("Somebody changed this site while you had it open.").wait_for()
    assert await late.get_by_text("Now: Theirs").is_visible()
    assert await late.input_value("#name") == "Mine"
    assert await mine.violations() == []
    # Knowing that, they have it their way, with another clock, and are asked about that.
    await late.select_option("#time_zone", "Europe/London")
    await late.locator("form.panel button[type=submit]").click()
    await late.get_by_role("heading", name="This changes what figures say").wait_for()
    assert await mine.violations() == []
    await late.get_by_role("button", name="Change it").click()
    await late.wait_for_url("**done=recounted")
    row = await owner.fetchrow("SELECT name, time_zone FROM sites WHERE id = $1", team.site.id)
    assert tuple(row) == ("Mine", "Europe/London")


@LOOKS
async def test_the_name_in_the_bar_opens_the_way_to_the_same_page_of_another_site(
    owner: Any, web: Any, open_as: Any, size: str, language: str, theme: str
) -> None:
    team, other = await new_team(owner, web), await new_team(owner, web, name="Zeytin Dental")
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'admin')",
        other.site.id,
        team.owner.id,
    )
    screen = await open_as(team.owner.browser, size=size, language=language, theme=theme)
    page = await screen.go(f"{team.settings}/values")
    asked = [url for url in screen.requests if "/sites/switch" in url]
    assert asked == [], "it costs nothing until it is opened"
    await page.locator("#switcher summary").focus()
    await page.keyboard.press("Enter")
    await page.locator(".switcher-list [aria-current]").wait_for()
    assert await screen.violations() == []
    box = await page.locator(".switcher-list").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= page.viewport_size["width"]
    await page.keyboard.press("Escape")
    assert await page.locator("#switcher").evaluate("all => all.open") is False
    assert await page.locator("#switcher summary").evaluate("it => it === document.activeElement")
    await page.keyboard.press("Enter")
    await page.keyboard.press("ArrowDown")
    await page.locator(".switcher-list a", has_text="Zeytin Dental").click()
    await page.wait_for_url(re.compile(f"{other.site.id}/settings/values$"))


async def test_a_phone_goes_from_the_list_into_a_part_and_back(owner: Any, web: Any, open_as: Any) -> None:
    team = await new_team(owner, web)
    screen = await open_as(team.owner.browser, size="phone")
    page = await screen.go(team.settings)
    for link in await page.locator(".settings-list a").all():
        box = await link.bounding_box()
        assert box is not None and box["height"] >= 44
    await page.locator(".settings-list a", has_text="Rules").click()
    await page.wait_for_url("**/settings/rules")
    assert not await page.locator(".settings-nav").is_visible()
    await page.locator(".to-settings").click()
    await page.wait_for_url("**/settings")
