"""The holes in Python: addresses that need less than they should, and guards that do not ask.

Each is made in the running application and taken back; the requests of tests/web/test_who_may.py find it, or else the list
of addresses does, in which every one stands with what it needs: one that is for readers and becomes one for everybody with an
account behaves alike, since row security still shows nobody another's site.
"""
# ruff: noqa: E501 - a row a line

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from opsmantik.people.capabilities import Capability
from opsmantik.people.passwords import Passwords
from opsmantik.web import guard
from tests.db import walls
from tests.db.two_sites import TwoSites
from tests.mutation.mutants import Mutant
from tests.web.browsing import PASSWORD, running
from tests.web.who_may import House, Route, check_route, listed, open_house, routes_of, said_wrong

CHANGED = "route for every account"
GUARD = "guard that does not ask"
# What guard.py asks, and the answer that it gets once nobody does.
GUARDS: dict[str, tuple[str, Callable[..., Any]]] = {
    "whether it is for whoever runs the platform": ("has_platform", lambda capability, *, is_admin: True),
    "which roles have it": (
        "roles_with",
        lambda capability: ("platform_admin", "owner", "admin", "operator", "analyst"),
    ),
}


@contextlib.asynccontextmanager
async def house_on(
    app_dsn: str, owner_dsn: str, admin_dsn: str, world: TwoSites, home: Path
) -> AsyncIterator[House]:
    """The application over a database with the two sites, and everybody signed in."""
    connections = [await asyncpg.connect(dsn) for dsn in (admin_dsn, owner_dsn, app_dsn)]
    admin, owner, app = connections
    try:
        async with running(app_dsn, home) as found:
            made = await walls.read_walls(admin, owner, app, world)
            yield await open_house(found, made, await Passwords().hash(PASSWORD))
    finally:
        for connection in connections:
            await connection.close()


def route_mutants(house: House) -> list[tuple[Mutant, Route | None, contextlib.AbstractContextManager[None]]]:
    """What to change, and the address that it is about (None: any may show it)."""
    found: list[tuple[Mutant, Route | None, contextlib.AbstractContextManager[None]]] = []
    for route in sorted(routes_of(house.running), key=lambda r: r.method != "GET"):
        if route.needs not in (None, Capability.ACCOUNT):
            found.append((Mutant(CHANGED, f"{route.method} {route.path}", ""), route, lowered(route)))
    for words, (name, instead) in GUARDS.items():
        found.append((Mutant(GUARD, words, ""), None, patched(name, instead)))
    return found


@contextlib.contextmanager
def lowered(route: Route) -> Iterator[None]:
    """The address needs no more than an account."""
    if route.call is not None:
        msgspec.structs.force_setattr(route.call, "needs", Capability.ACCOUNT)
    else:
        route.handler.opt["needs"] = Capability.ACCOUNT
    try:
        yield
    finally:
        if route.call is not None:
            msgspec.structs.force_setattr(route.call, "needs", route.needs)
        else:
            route.handler.opt["needs"] = route.needs


@contextlib.contextmanager
def patched(name: str, instead: Callable[..., Any]) -> Iterator[None]:
    before = getattr(guard, name)
    setattr(guard, name, instead)
    try:
        yield
    finally:
        setattr(guard, name, before)


async def judge(
    house: House, route: Route | None, hole: contextlib.AbstractContextManager[None]
) -> tuple[str | None, str]:
    """Which check notices, and what it says."""
    needs = listed()
    with hole:
        for tried in [route] if route is not None else routes_of(house.running):
            if tried.needs is not None and (complaints := await check_route(house, tried, needs[tried.key])):
                return "who may", complaints[0]
        if differing := said_wrong(routes_of(house.running)):
            return "the list of addresses", f"docs/security/authorization.md says otherwise: {differing[0]}"
    return None, ""
