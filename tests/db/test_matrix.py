"""Every table, partition, view and function x every command x own site, other's, none, nobody: tried, not read.

What is tried is read from the catalogue (catalogue.py), so nothing new stays outside; what must come of it follows from the
rules in walls.py, references.py and function_walls.py.
"""
# ruff: noqa: E501 - a statement a line

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.db import function_walls, references, walls
from tests.db.catalogue import Relation
from tests.db.function_needs import NEEDS, OF_THE_SERVER
from tests.db.two_sites import HALVES, A, B, build
from tests.db.walls import ADDED_ONLY, OPEN_COLUMNS, OPEN_TO_OWNER, PERSONAL, SHUT_COLUMNS, WRITABLE, Walls


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(owner: Any, database: Any) -> AsyncIterator[Walls]:
    """Two sites with a row of each in every table, and connections without any setting."""
    world = await build(owner)
    admin, plain, app = [await asyncpg.connect(dsn) for dsn in (database.admin, database.owner, database.app)]
    yield await walls.read_walls(admin, plain, app, world)
    for connection in (admin, plain, app):
        await connection.close()


def nothing_wrong(complaints: list[str]) -> None:
    assert not complaints, "\n".join(complaints)


async def test_granted_is_what_the_rules_say(two: Walls) -> None:
    nothing_wrong(await walls.check_privileges(two))


async def test_no_secret_is_readable(two: Walls) -> None:
    nothing_wrong(await walls.check_secrets(two))


async def test_everybody_sees_their_own_rows_and_no_others(two: Walls) -> None:
    nothing_wrong(await walls.check_rows_seen(two))


async def test_nobody_writes_past_the_functions(two: Walls) -> None:
    nothing_wrong(await walls.check_writes_refused(two))


async def test_the_owner_is_bound_too_until_it_says_so(two: Walls) -> None:
    nothing_wrong(await walls.check_owner_bound(two))


async def test_no_row_can_point_at_another_site_s(two: Walls) -> None:
    nothing_wrong(await references.check_references(two))


async def test_no_row_can_be_of_a_site_that_is_not_there(two: Walls) -> None:
    nothing_wrong(await references.check_strangers(two))


async def test_no_refusal_tells_what_another_site_has(two: Walls) -> None:
    nothing_wrong(await references.check_unique_keys(two))


async def test_only_listed_functions_can_be_called(two: Walls) -> None:
    nothing_wrong(await function_walls.check_closed(two, NEEDS))


@pytest.mark.slow
async def test_every_function_does_what_its_caller_may_and_no_more(two: Walls) -> None:
    nothing_wrong(await function_walls.check_functions(two, NEEDS))


# That the matrix tries what there is, and that what it excepts is still there.


async def test_every_table_has_a_row_of_either_half(two: Walls) -> None:
    for half in HALVES:
        missing = {t.place for t in two.catalogue.tables} - set(two.world.rows[half]) - {"schema_migrations"}
        assert not missing
    others = [r for r in two.catalogue.relations.values() if r.is_partition or r.is_view]
    empty = [
        r.place
        for r in others
        if await two.admin.fetchval(f"SELECT count(DISTINCT site_id) FROM {r.place}") != 2
    ]
    assert not empty, "a partition or view without a row is a wall that nobody has leant on"


async def test_the_halves_are_told_apart(two: Walls) -> None:
    ids = {half: two.world.ids(half) for half in HALVES}
    assert len(ids[A]) > 20 and not ids[A] & ids[B]
    assert two.world.site(A) in ids[A] and two.world.person(B) in ids[B]


async def test_every_exception_is_still_one(two: Walls) -> None:
    """A table or function that is gone must go from the lists: a name that comes again would find its door open."""
    relations, functions = two.catalogue.relations, {f.name for f in two.catalogue.functions if f.for_app}
    named = {*OPEN_COLUMNS, *SHUT_COLUMNS, *PERSONAL, *OPEN_TO_OWNER, *ADDED_ONLY, *references.WITHOUT_SITE}
    assert not {*named, *(place for place, _ in WRITABLE)} - set(relations)
    for place, (columns, _) in (OPEN_COLUMNS | SHUT_COLUMNS).items():
        assert not columns - set(relations[place].columns), place
    assert set(NEEDS) == functions
    assert len(NEEDS) == len(set(NEEDS)) and len(OF_THE_SERVER) == len(set(OF_THE_SERVER))


def test_whose_a_row_is_follows_from_its_columns() -> None:
    table = Relation(1, "public", "anything", "r")
    assert table.site_column is None and table.person_column is None and walls.readable(table) == set()
    part = Relation(1, "parts", "sessions_2031_01", "r", columns={"site_id": None})  # type: ignore[dict-item]
    assert walls.readable(part) == set() and walls.is_shut_to_owner(part)
    facts = Relation(1, "public", "anything", "r", columns={"site_id": None, "n": None})  # type: ignore[dict-item]
    assert walls.readable(facts) == {"site_id", "n"} and walls.is_shut_to_owner(facts)


async def test_a_table_that_nobody_has_told_of_is_tried_at_once(two: Walls) -> None:
    """One with a site but without row security, granted to the application: found by several checks."""
    await two.owner.execute("CREATE TABLE fresh (site_id uuid PRIMARY KEY, token_hash text)")
    try:
        await two.owner.execute("GRANT SELECT, INSERT ON fresh TO opsmantik_app")
        for half in HALVES:
            await two.owner.execute("INSERT INTO fresh VALUES ($1::text::uuid, 'x')", two.world.site(half))
            two.world.rows[half]["fresh"] = {"site_id": two.world.site(half)}
        again = await walls.read_walls(two.admin, two.owner, two.app, two.world)
        assert any("INSERT on fresh" in c for c in await walls.check_privileges(again))
        assert any("fresh.token_hash" in c for c in await walls.check_secrets(again))
        assert any("SELECT on fresh by somebody of site b" in c for c in await walls.check_rows_seen(again))
        assert any("INSERT on fresh" in c for c in await walls.check_writes_refused(again))
        assert any(
            "fresh: row security does not bind the owner" in c for c in await walls.check_owner_bound(again)
        )
    finally:
        await two.owner.execute("DROP TABLE fresh")
        for half in HALVES:
            del two.world.rows[half]["fresh"]


async def test_a_function_that_nobody_has_told_of_is_found(two: Walls) -> None:
    await two.owner.execute(
        "CREATE FUNCTION fresh(p_site uuid) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public"
        " AS $$ BEGIN SET LOCAL app.maintenance = 'on'; RETURN (SELECT count(*) FROM calls c WHERE c.site_id = p_site); END $$"
    )
    try:
        await two.owner.execute("GRANT EXECUTE ON FUNCTION fresh TO opsmantik_app")
        again = await walls.read_walls(two.admin, two.owner, two.app, two.world)
        assert any(
            "nobody has said" in c for c in await function_walls.check_functions(again, NEEDS, only={"fresh"})
        )
        found = await function_walls.check_functions(again, NEEDS | {"fresh": "site:read"}, only={"fresh"})
        assert any("site a's owner about b's site" in c and "answers [1]" in c for c in found)
    finally:
        await two.owner.execute("DROP FUNCTION fresh")
