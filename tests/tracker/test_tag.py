"""The script itself: its size, its tag, its public functions, and how little it is noticed."""

from __future__ import annotations

import gzip
import subprocess
import sys

import pytest

from tests.tracker.double import CALL, SCRIPT, SITE, Case, eventually, quiet
from tests.tracker.visitor import Visitor

pytestmark = pytest.mark.browser


async def test_the_script_is_small_and_built_from_its_sources() -> None:
    assert len(gzip.compress(SCRIPT.read_bytes(), 9)) <= 6000
    build = subprocess.run(
        [sys.executable, str(SCRIPT.parents[1] / "build.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr


async def test_without_data_api_events_go_where_the_script_came_from(case: Case, visitor: Visitor) -> None:
    page = await visitor.open("about:blank")
    for name in ("data-site-id", "data-ops-site-id", "data-site"):
        url = case.page(attributes=f'{name}="{SITE}"')
        async with page.expect_request(f"{case.collector}/v1/events") as request:
            await page.goto(url)
        assert f'"site":"{SITE}"' in ((await request.value).post_data or "")


async def test_a_tag_manager_may_load_it(case: Case, visitor: Visitor) -> None:
    case.pages["gtm"] = f"""<!doctype html><link rel=icon href=data:,><body><script>
      const tag = document.createElement("script");
      tag.setAttribute("data-site-id", "{SITE}");
      tag.setAttribute("data-api", "/c/{case.number}/proxied/path");
      tag.src = "{case.collector}/core.js";
      document.body.append(tag);
    </script>"""
    await visitor.open(case.url("gtm"))
    await eventually(lambda: case.acts("view"))
    assert case.posts[0].path == f"/c/{case.number}/proxied/path"


@pytest.mark.parametrize("attributes", ["", "data-site-id"])
async def test_without_a_site_it_does_nothing(case: Case, visitor: Visitor, attributes: str) -> None:
    page = await visitor.open(case.page(CALL, attributes=attributes))
    await page.click("#call")
    assert await page.evaluate("typeof opsmantik + typeof opmantik") == "undefinedundefined"
    assert await visitor.storage(page) == {}


async def test_a_second_load_does_nothing(case: Case, visitor: Visitor) -> None:
    tag = (
        f'<script defer src="{case.collector}/core.js" data-site-id="{SITE}" data-api="{case.api}"></script>'
    )
    page = await visitor.open(case.page(CALL + tag + tag))
    await page.click("#call")
    await eventually(lambda: case.acts("phone_call"))
    await quiet(case)
    assert [event["act"] for event in sorted(case.stored, key=lambda event: event["ts"])] == [
        "view",
        "phone_call",
    ]


async def test_a_visitor_can_opt_out(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(case.page(CALL), before="localStorage.setItem('opsmantik_disabled', '1')")
    await page.click("#call")
    await quiet(case)
    assert case.posts == []
    assert await visitor.storage(page) == {"opsmantik_disabled": "1"}


async def test_the_public_functions(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(case.page() + "?gclid=Click-1234567890")
    assert await page.evaluate("opmantik === opsmantik && opmantik._initialized")
    session = await page.evaluate("opmantik.session()")
    await eventually(lambda: case.stored)
    assert session == {
        "sessionId": case.stored[0]["sid"],
        "fingerprint": case.stored[0]["vid"],
        "context": "Click-1234567890",
    }
    # Whatever the page passes, nothing comes back at it.
    await page.evaluate(
        "opmantik.send(); opmantik.send(Symbol(), {}); opmantik.consent(); opsmantik('nothing', 1)"
    )


async def test_nothing_is_printed_unless_asked_for(case: Case, visitor: Visitor) -> None:
    page = await visitor.open(case.page(), before="localStorage.opsmantik_debug = '1'")
    await eventually(lambda: visitor.noise)
    assert visitor.noise[0].startswith("[opsmantik]")
    await page.close()
    visitor.noise.clear()
