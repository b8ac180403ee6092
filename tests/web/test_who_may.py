"""Nobody comes in anywhere by whichever address: all of them are tried, as everybody."""
# ruff: noqa: E501 - a row a line

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.people.capabilities import Capability
from opsmantik.web.guard import SAFE
from tests.db import walls
from tests.db.two_sites import build
from tests.web.browsing import Running
from tests.web.who_may import (
    OTHERWISE,
    PUBLIC,
    House,
    check_route,
    check_welcome,
    listed,
    open_house,
    routes_of,
    said_wrong,
)

pytestmark = pytest.mark.slow

# What somebody without an account must reach, and why.
OPEN = {
    "/healthz": "is it alive", "/readyz": "is it ready", "/api/health": "the same, for the first generation",
    "/metrics": "figures, closed to whoever is not on this machine and brings no token",
    "/sign-in": "the way in", "/sign-out": "the way out", "/set-up/{link:str}": "the first administrator of an empty installation",
    "/demo/landing.css": "the demo's landing pages", "/demo/{slug:str}": "the same", "/demo/{slug:str}/{name:str}": "the same",
    "/api/oci/pull/{file_name:str}": "Google, with a password of the site's",
    "/api/openapi.json": "the interface's description", "/api/docs": "the same, to read",
    "/{anything:path}": "nothing is there",
    "/sign-in/code": "the second step of the way in", "/sign-in/{provider:str}": "the way in by another account",
    "/sign-in/{provider:str}/callback": "the way back from there", "/forgot": "who has forgotten their password",
    "/reset/{link:str}": "a link from a mail: a new password", "/invite/{token:str}": "a link from a mail: an invite",
    "/share/{token:str}": "a link to a site's figures: what it shows is what it is for", "/stop-summary/{token:str}": "a link from a mail: no more summaries",
    "/invite/{token:str}/join": "the same, accepted with a new account", "/stop-mail/{token:str}": "a link from a mail: no more of them",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(web: Running, owner: Any, database: Any, password_hash: str) -> AsyncIterator[House]:
    world = await build(owner)
    admin, plain, app = [await asyncpg.connect(dsn) for dsn in (database.admin, database.owner, database.app)]
    yield await open_house(web, await walls.read_walls(admin, plain, app, world), password_hash)
    for connection in (admin, plain, app):
        await connection.close()


def nothing_wrong(complaints: list[str]) -> None:
    assert not complaints, "\n".join(complaints)


async def test_every_address_is_listed_with_what_it_needs(web: Running) -> None:
    nothing_wrong(said_wrong(routes_of(web)))


async def test_every_address_is_public_or_needs_a_capability(web: Running) -> None:
    for route in routes_of(web):
        assert isinstance(route.needs, Capability) != bool(route.handler.opt.get("public")), route
    assert {route.path for route in routes_of(web) if route.needs is None} == set(OPEN)


async def test_whatever_changes_something_is_for_forms_or_for_json(web: Running) -> None:
    """And what takes JSON is for programs: no form of another site could send it."""
    for route in routes_of(web):
        if route.method not in SAFE and route.needs is not None:
            assert route.program == route.path.startswith("/api/"), route


@pytest.mark.slow
async def test_nobody_gets_in_where_they_have_no_business(house: House) -> None:
    needs = listed()
    nothing_wrong(
        [
            words
            for route in routes_of(house.running)
            for words in await check_route(house, route, needs[route.key])
        ]
    )


@pytest.mark.slow
async def test_whoever_may_look_gets_in(house: House) -> None:
    needs = listed()
    looked = [
        route for route in routes_of(house.running) if route.method == "GET" and needs[route.key] != PUBLIC
    ]
    nothing_wrong(
        [words for route in looked for words in await check_welcome(house, route, needs[route.key])]
    )


async def test_every_exception_is_still_one(web: Running) -> None:
    assert set(OTHERWISE) <= {route.key for route in routes_of(web)}
