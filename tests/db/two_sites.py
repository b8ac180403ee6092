"""Two strangers with a site each, and a row of either in every table there is: made by reading the catalogue.

Half a and half b are alike; every text in a row says whose it is (:data:`MARK`), every id is known, so that a test can
tell whose row, and whose secret, has come through a wall. A table that is new gets its rows without anybody saying so;
where the rules of its columns cannot be guessed, :data:`VALUES` says a value that they allow.
"""
# ruff: noqa: E501 - a row a line

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from opsmantik.db.sql import quote_literal
from tests.db.catalogue import Catalogue, Column, Relation, read_catalogue

A, B = HALVES = ("a", "b")
SPACE = UUID("6f0d35a6-1c1b-4f5e-9d3e-2a4f0a3c6b11")
MARK = "half-{half}"
# A month that has a partition of its own, and one that waits in the default.
FAR_MONTH = "2090-03-01"

# What a column's own rules let in, by column or by table and column; {half} is a or b, {number} is 1 or 2.
VALUES: dict[str, str] = {
    "email": "half-{half}@example.com",
    "sites.public_id": "{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}"
    "{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}{half}",
    "site_origins.origin": "https://half-{half}.example",
    "origin": "https://half-{half}.example",
    "url": "https://half-{half}.example/page",
    "domain": "half-{half}.example",
    "currency": "TRY",
    "time_zone": "Europe/Istanbul",
    "region": "TR",
    "language": "en",
    "action": "half.{half}",
    "created_month": "{month}",
    "session_month": "{month}",
    "matched_session_month": "{month}",
    "intent_actions.action": "seal",
    "status": "intent",
    "site_members.role": "owner",
    "profiles.role": "user",
    "address": "192.0.2.1",
    "ip_address": "192.0.2.0",
    "click_id_kind": "gclid",
    "conversions.state": "held",
    "archived_months.month": "2024-0{number}-01",
    "attribution_window_days": "30",
    "sites.updated_at": "2026-11-01 10:00:00+00",
    "webhook_deliveries.payload": '{"type": "lead.created", "timestamp": "2026-11-01T00:00:00Z", "data": {"mark": "half-{half}"}}',
    # One cell: a dimension, its key, not paid, one session.
    "counter_days.main": '{"(all,half-{half},f,1,,,,,,,,,,,,,)"}',
}
# Left empty, because a value would say more than a test means.
EMPTY = {
    "disabled_at", "merged_into", "used_at", "revoked_at", "ended_at", "replaced_by", "replayed_at", "undoes", "done_at",
    "finished_at", "delivered_at", "expired_at", "erased_at", "forgotten_at", "locked_until", "accepted_at", "suspicion",
}  # fmt: skip
SIMPLE = {
    "smallint": "7", "integer": "7", "bigint": "7", "numeric": "7", "real": "7", "double precision": "7",
    "date": "2026-01-01", "boolean": "false", "jsonb": '{"mark": "{mark}"}', "text[]": '{"{mark}"}', "uuid[]": "{}",
    "inet": "192.0.2.0", "interval": "1 hour", "time without time zone": "10:00", "cidr": "192.0.2.0/24",
}  # fmt: skip
LATER = {"expires_at", "due_at", "valid_until", "expire_at"}


@dataclass
class TwoSites:
    """The rows as they were put in: by half, table and column, as text."""

    month: str
    rows: dict[str, dict[str, dict[str, str]]] = field(default_factory=lambda: {A: {}, B: {}})
    # Columns that point at another row: (table, column) -> (table, column) there.
    points_at: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    # Tables whose rows need another row that is looked for at the end of the transaction: table -> there.
    deferred: dict[str, str] = field(default_factory=dict)
    # The columns without which there is no row.
    needed: dict[str, set[str]] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)

    def site(self, half: str) -> str:
        return self.rows[half]["sites"]["id"]

    def person(self, who: str) -> str:
        """Whoever owns that half's site, or one of the other :attr:`people` by their role."""
        return self.rows[who]["users"]["id"] if who in HALVES else self.people[who]

    def ids(self, half: str) -> set[str]:
        """Every id that says something of this half, and of no other."""
        found = set()
        for row in self.rows[half].values():
            for value in row.values():
                try:
                    found.add(str(UUID(value)))
                except ValueError:
                    continue
        other = {value for row in self.rows[A if half == B else B].values() for value in row.values()}
        return found - other


def id_of(half: str, *words: str) -> str:
    return str(uuid5(SPACE, "/".join((half, *words))))


async def build(owner: Any) -> TwoSites:
    """Fill the database; ``owner`` is the schema's owner with app.maintenance on."""
    catalogue = await read_catalogue(owner)
    month = await owner.fetchval("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-01')")
    world = TwoSites(month)
    tables = list(_in_order(catalogue))
    _say_what_points_where(world, tables)
    async with owner.transaction():
        for half in HALVES:
            for table in tables:
                await _fill(owner, world, half, table, month)
        await _others(owner, world)
    for other in await _months(catalogue, month):
        async with owner.transaction():
            for half in HALVES:
                await _another_month(owner, world, half, other)
    return world


def _in_order(catalogue: Catalogue) -> Iterator[Relation]:
    """What is pointed at before what points; the circle of sessions and their keys is cut where it is deferred."""
    waiting = {t.place: t for t in catalogue.tables if t.place != "schema_migrations"}
    while waiting:
        free = [
            table
            for table in waiting.values()
            if not any(r.target in waiting and r.target != table.place and not r.deferrable for r in table.references)
        ]  # fmt: skip
        assert free, f"foreign keys go round in a circle: {sorted(waiting)}"
        for table in free:
            del waiting[table.place]
            yield table


def _say_what_points_where(world: TwoSites, tables: list[Relation]) -> None:
    for table in tables:
        for key in table.references:
            if key.deferrable:
                world.deferred[table.place] = key.target
                continue
            for column, there in key.pairs:
                # site_id is in every key: the longest way round does not matter, both ends say the same.
                world.points_at.setdefault((table.place, column), (key.target, there))


async def _fill(owner: Any, world: TwoSites, half: str, table: Relation, month: str) -> None:
    """A row with as many values as the table's checks allow: all, else no more than the keys, else what it needs; and
    of what a check lists, the first, else the second, else the third."""
    refusal: asyncpg.PostgresError | None = None
    for choice in range(3):
        for much in ("all", "keys", "needed"):
            row = _row(world, half, table, month, much, choice)
            try:
                async with owner.transaction():
                    await owner.execute(insert(table, row))
            except asyncpg.PostgresError as refused:
                refusal = refusal or refused
                continue
            world.rows[half][table.place] = row
            world.needed[table.place] = {
                c.name for c in table.columns.values() if c.required and not c.has_default and not c.is_made
            }
            return
    raise AssertionError(
        f"no row for {table.place}: {refusal} (say in tests/db/two_sites.py, VALUES, what it may hold)"
    ) from refusal


def _row(world: TwoSites, half: str, table: Relation, month: str, much: str, choice: int) -> dict[str, str]:
    row = {}
    for column in table.columns.values():
        value = _value(world, half, table, column, month, much, choice)
        if value is not None:
            row[column.name] = value
    return row


def insert(table: Relation, row: dict[str, str], into: str | None = None) -> str:
    """The statement; each value is written as the column's type."""
    values = ", ".join(f"{quote_literal(value)}::{table.columns[name].type}" for name, value in row.items())
    return f"INSERT INTO {into or table.place} ({', '.join(row)}) VALUES ({values})"


def _value(
    world: TwoSites, half: str, table: Relation, column: Column, month: str, much: str, choice: int
) -> str | None:
    if column.is_made or column.name in EMPTY:
        return None
    required = column.required and not column.has_default
    target = world.points_at.get((table.place, column.name))
    if target is not None and (required or much != "needed"):
        found = world.rows[half].get(target[0], {}).get(target[1])
        if found is not None:
            return found
    said = VALUES.get(f"{table.place}.{column.name}")
    if column.has_default and column.name not in ("id", "role") and said is None:
        return None
    if not required and much != "all":
        return None
    if said is None and not column.allowed:
        said = VALUES.get(column.name)
    if said is not None:
        number = str(HALVES.index(half) + 1)
        return said.replace("{half}", half).replace("{number}", number).replace("{month}", month)
    return _of_type(half, table, column, choice)


def _of_type(half: str, table: Relation, column: Column, choice: int) -> str | None:
    if column.allowed:
        value = column.allowed[min(choice, len(column.allowed) - 1)]
        return f"{{{value}}}" if column.type.endswith("[]") else value
    mark, kind = MARK.format(half=half), column.type
    if kind == "uuid":
        return world_site(half) if column.name == "site_id" else id_of(half, table.place, column.name)
    if kind == "text":
        text = f"{mark} {column.name}"
        return text if column.longest is None or len(text) <= column.longest else half * column.longest
    if kind == "bytea":
        return "\\x" + hashlib.sha256(f"{mark} {table.place}.{column.name}".encode()).hexdigest()
    if kind.startswith("timestamp"):
        return "2099-01-01 00:00Z" if column.name in LATER else "now"
    return SIMPLE.get(kind, "").replace("{mark}", mark) or None


def world_site(half: str) -> str:
    return id_of(half, "sites", "id")


# The other months: one visit with one event in each partition of either half.


async def _months(catalogue: Catalogue, present: str) -> list[str]:
    named = {
        p.name.removeprefix("sessions_") for p in catalogue.partitions if p.name.startswith("sessions_2")
    }
    months = {name.replace("_", "-") + "-01" for name in named}
    return sorted((months | {FAR_MONTH}) - {present})


async def _another_month(owner: Any, world: TwoSites, half: str, month: str) -> None:
    catalogue = await read_catalogue(owner)
    at = month + " 12:00Z"
    for place in ("session_keys", "sessions", "events"):
        table = catalogue.relations[place]
        row = dict(world.rows[half][place])
        for name in row:
            if name in ("created_month", "session_month"):
                row[name] = month
            elif name == "session_id" or (name == "id" and place != "events"):
                row[name] = id_of(half, "sessions", month)
            elif name == "id":
                row[name] = id_of(half, "events", month)
            elif name in ("created_at", "started_at", "last_event_at", "occurred_at"):
                row[name] = at
        await owner.execute(insert(table, row))


async def _others(owner: Any, world: TwoSites) -> None:
    """More people of site a, of each role; whoever runs the platform; and a stranger to all sites."""
    for role in ("admin", "operator", "analyst", "platform_admin", "stranger"):
        person = world.people[role] = id_of(A, "people", role)
        await owner.execute(
            "INSERT INTO users (id, email) VALUES ($1, $2)", UUID(person), f"{role}@example.com"
        )
        await owner.execute(
            "INSERT INTO profiles (id, role) VALUES ($1, $2)",
            UUID(person),
            "admin" if role == "platform_admin" else "user",
        )
        if role in ("admin", "operator", "analyst"):
            await owner.execute(
                "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, $3)", UUID(world.site(A)), UUID(person), role
            )  # fmt: skip
    world.people["owner"] = world.person(A)
