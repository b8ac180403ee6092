"""What a row may point at: nothing of another tenant, and nothing that is not there. And what a refusal may tell: whether
a key is taken, of the own site only. By plain SQL as the schema's owner, so that nothing but constraints stands in the way.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import asyncpg

from tests.db.two_sites import A, B, insert
from tests.db.walls import Walls

MISSING = (asyncpg.ForeignKeyViolationError, asyncpg.RestrictViolationError)
# Rows whose site nobody looks up.
WITHOUT_SITE = {
    "counter_journal": "a row lives for a second, and the rows that it tells of have the key",
}  # fmt: skip


async def _tried(owner: Any, *statements: str) -> asyncpg.PostgresError | None:
    """What the database says to these, by the end of a transaction that is then taken back."""
    transaction = owner.transaction()
    await transaction.start()
    try:
        await owner.execute("SET LOCAL app.maintenance = 'on'")
        for statement in statements:
            await owner.execute(statement)
        await owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return None
    except asyncpg.PostgresError as refusal:
        return refusal
    finally:
        await transaction.rollback()


async def check_references(walls: Walls) -> list[str]:
    """No row of site a can be made to point at a row of site b."""
    wrong, world, relations = [], walls.world, walls.catalogue.relations
    for (table, column), (target, there) in world.points_at.items():
        if column == "site_id" or not (relations[table].is_tenant and relations[target].is_tenant):
            continue
        own, others = world.rows[A][target].get(there), world.rows[B][target].get(there)
        if own == others:  # a month: the same for everybody
            continue
        walls.cells += 1
        kind = relations[table].columns[column].type
        refusal = await _tried(
            walls.owner,
            f"UPDATE {table} SET {column} = '{others}'::{kind} WHERE site_id = '{world.site(A)}'",
        )
        if not isinstance(refusal, MISSING):
            wrong.append(f"{table}.{column} of site a can point at site b's {target}.{there}: {refusal}")
    return wrong


async def check_strangers(walls: Walls) -> list[str]:
    """No row of a site that does not exist, and none whose other half is missing."""
    wrong, world = [], walls.world
    for table in walls.catalogue.tables:
        if not table.is_tenant or table.place in WITHOUT_SITE:
            continue
        walls.cells += 1
        rows = {
            place: _fresh(walls, place) for place in (table.place, world.deferred.get(table.place)) if place
        }
        site = str(uuid4())
        for row in rows.values():
            row["site_id"] = site
        statements = [insert(walls.catalogue.relations[place], row) for place, row in rows.items()]
        if not isinstance(refusal := await _tried(walls.owner, *statements), MISSING):
            wrong.append(f"{table.place}: a row of a site that does not exist can be stored: {refusal}")
        if table.place in world.deferred:
            alone = await _tried(walls.owner, insert(table, _fresh(walls, table.place)))
            if not isinstance(alone, MISSING):
                wrong.append(
                    f"{table.place}: a row can be stored without its {world.deferred[table.place]}: {alone}"
                )
    return wrong


def _fresh(walls: Walls, place: str) -> dict[str, str]:
    """Site a's row once more under a new id (the same in each table), pointing at nothing where it need not."""
    row = {
        name: value
        for name, value in walls.world.rows[A][place].items()
        if name in walls.world.needed[place] or (place, name) not in walls.world.points_at
    }
    if walls.catalogue.relations[place].columns.get("id") and row.get("id"):
        row["id"] = (
            str(UUID(int=7)) if walls.catalogue.relations[place].columns["id"].type == "uuid" else "another"
        )
    return row


async def check_unique_keys(walls: Walls) -> list[str]:
    """No refusal tells somebody of site a that a key is taken on site b."""
    wrong, world = [], walls.world
    for table in walls.catalogue.tables:
        if not table.is_tenant:
            continue
        walls.cells += 1
        row = dict(world.rows[A][table.place])
        for name, value in world.rows[B][table.place].items():
            target = world.points_at.get((table.place, name))
            own = target is not None and walls.catalogue.relations[target[0]].site_column is not None
            if name != "site_id" and not own:
                row[name] = value
        # As the superuser, for whom foreign keys can be switched off: site a's own row must not be in the way.
        refusal = await _tried(
            walls.admin,
            "SET LOCAL session_replication_role = replica",
            f"DELETE FROM {table.place} WHERE site_id = '{world.site(A)}'",
            insert(table, row),
        )
        if isinstance(refusal, asyncpg.UniqueViolationError):
            first = await walls.admin.fetchval(
                "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
                " WHERE i.indexrelid = $1::text::regclass",
                f"{refusal.schema_name}.{refusal.constraint_name}",
            )
            if first != "site_id":
                wrong.append(f"{table.place}: {refusal.constraint_name} tells site a of a row of site b")
    return wrong
