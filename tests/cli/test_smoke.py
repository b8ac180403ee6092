"""`opsmantik smoke` finds nothing wrong with a server that is well, and what is wrong with one that is not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from opsmantik.cli import build, smoke
from opsmantik.cli.smoke import QUESTIONS, look
from opsmantik.web import health
from tests.web.conftest import make_person, make_world, own_site, password_hash, signed_in, web
from tests.web.test_keys import own_key

__all__ = ["make_person", "make_world", "own_key", "own_site", "password_hash", "signed_in", "web"]
pytestmark = pytest.mark.slow


async def seen(url: str, **more: Any) -> dict[str, smoke.Seen]:
    found = await asyncio.to_thread(lambda: list(look(url, **more)))
    return {each.what: each for each in found}


@pytest.fixture
async def site(signed_in: Any, make_world: Any, own_key: Any) -> tuple[Any, str]:
    """A filled site and a key that reads it."""
    _, user_id = await signed_in()
    world = await make_world(user_id)
    return world, await own_key(user_id)


async def test_a_server_that_is_well(web: Any, site: Any, owner: Any) -> None:
    world, key = site
    counts = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM rejected_events)"
    before = await owner.fetchrow(counts)
    found = await seen(web.base_url, site=str(world.site.id), key=key)
    assert [each for each in found.values() if each.wrong] == []
    assert set(found) == {*QUESTIONS, "the site", "its today", "its ranges"}
    assert "Europe/Istanbul" in found["its today"].says
    assert await owner.fetchrow(counts) == before


async def test_a_test_visit_is_one_and_can_be_removed(web: Any, site: Any, owner: Any) -> None:
    world, key = site
    found = await seen(web.base_url, site=world.site.public_id, key=key, send=True)
    assert found["test visit"].wrong == ""
    click = await owner.fetchval(
        "SELECT click_id FROM calls WHERE site_id = $1 AND click_id LIKE 'test-%'", world.site.id
    )
    assert click.startswith("test-opsmantik-server-") and click in found["test visit"].says
    async with owner.transaction():
        removed = await owner.fetchval(
            "SELECT remove_test_visits($1, gen_random_uuid(), 'test-opsmantik-%')", world.site.id
        )
    assert removed == 1


async def test_a_stranger_s_key_opens_nothing(web: Any, site: Any, signed_in: Any, own_key: Any) -> None:
    world, _ = site
    _, other = await signed_in()
    found = await seen(web.base_url, site=str(world.site.id), key=await own_key(other))
    assert (
        "does not open" in found["the site"].wrong and found["its today"].wrong and found["its ranges"].wrong
    )
    found = await seen(web.base_url, site=str(world.site.id), key="om_wrong")
    assert "401" in found["the site"].wrong


async def test_what_is_wrong_is_named(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_: health.Readiness) -> list[dict[str, str]]:
        return [{"code": "disk", "message": "Only 3 MB are free."}]

    monkeypatch.setattr(health.Readiness, "lately", full)
    monkeypatch.setattr(web.app.collect._tracker, "_etag", b'W/"changed-by-a-proxy"')
    found = await seen(web.base_url)
    assert found["readiness"].wrong == "Only 3 MB are free."
    monkeypatch.setattr(web.app, "_headers", [])
    found = await seen(web.base_url)
    assert found["pages"].wrong == "content-security-policy is missing"


async def test_a_range_that_counts_an_instant_twice_is_found(
    web: Any, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, key = site
    whole = smoke._Site._figures

    def closed(self: Any, **query: str) -> Any:
        found = whole(self, **query)
        if "from" in query:
            found["figures"]["sessions"] += 1
        return found

    monkeypatch.setattr(smoke._Site, "_figures", closed)
    found = await seen(web.base_url, site=str(world.site.id), key=key)
    assert "counts twice" in found["its ranges"].wrong


async def run(*words: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, build("smoke"), ["smoke", *words])


async def test_exit_codes_and_forms(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    well = await run("--url", web.base_url + "/")
    assert well.exit_code == 0 and "ok   health: it lives" in well.output
    told = await run("--url", web.base_url, "--json")
    assert {each["what"] for each in json.loads(told.output)} == set(QUESTIONS)
    assert (await run("--url", "http://127.0.0.1:1")).exit_code == 2
    monkeypatch.setattr(web.app, "_headers", [])
    assert (await run("--url", web.base_url)).exit_code == 1
    assert "--site" in str((await run("--url", web.base_url, "--send")).exception)
