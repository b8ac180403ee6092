"""The frame of a site's pages: its tabs, at a desk and on a phone, and nothing that axe finds."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("size", "language", "theme"), [("desk", "en", "light"), ("phone", "tr", "dark")], ids=["desk", "phone"]
)
async def test_the_tabs_lead_to_the_sites_pages(open_as, signed_in, own_site, size, language, theme):
    browser, user_id = await signed_in()
    site = await own_site(user_id)
    screen = await open_as(browser, size=size, language=language, theme=theme)
    page = await screen.go(f"/sites/{site.id}")
    assert await page.locator(".tabs a[aria-current=page]").count() == 1
    await page.locator(".tabs a").last.click()
    await page.wait_for_url("**/settings")
    assert (
        await page.locator(".tabs a[aria-current=page]").get_attribute("href") == f"/sites/{site.id}/settings"
    )
    assert await screen.violations() == []
    for link in await page.locator(".tabs a").all():
        box = await link.bounding_box()
        assert box is not None and box["height"] >= 44
