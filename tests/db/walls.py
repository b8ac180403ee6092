"""The walls between tenants, tried cell by cell: relation x command x whose row x who asks.

What must come of a cell follows from few rules (:func:`readable`, :func:`seen`, :data:`WRITABLE`, :func:`is_shut_to_owner`)
and from the catalogue, so that a new table is tried the moment it exists. What departs from a rule is named here, with its
reason. Each check takes a :class:`Walls` and returns complaints: tests run them on a sound database, where there are none,
and tests/mutation on databases with a hole each, where there must be some.
"""
# ruff: noqa: E501 - a row a line

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.db.catalogue import APP, Catalogue, Relation, read_catalogue
from tests.db.two_sites import HALVES, A, B, TwoSites, insert

DENIED = asyncpg.InsufficientPrivilegeError

# Tables of people and of the installation are shut, but for these columns; of people, each sees the own rows alone.
OPEN_COLUMNS: dict[str, tuple[set[str], str]] = {
    "users": ({"id", "email", "name", "created_at", "disabled_at"}, "one's own account, without its password's hash"),
    "profiles": (
        {"id", "role", "language", "theme", "created_at", "updated_at"}, "one's own preferences, and whether one runs the platform",
    ),
    "sign_ins": (
        {"id", "user_id", "created_at", "last_seen_at", "expires_at", "user_agent", "method", "second_factor_at", "confirmed_at", "address"},
        "the browsers in which one is signed in, without what their cookies are known by",
    ),
    "user_identities": (
        {"id", "user_id", "issuer", "email", "created_at", "last_used_at"}, "the accounts elsewhere with which one signs in",
    ),
    "user_credentials": (
        {"id", "user_id", "provider", "expires_at", "created_at", "updated_at"}, "what is held for one, without the tokens",
    ),
    "person_keys": (
        {
            "id", "user_id", "last_four", "name", "scopes", "only_site", "created_at", "expires_at", "last_used_at",
            "revoked_at", "replaced_by",
        },
        "one's own keys, without what they are known by",
    ),
}  # fmt: skip
# Rows with a site are read by the site's people, but for these columns.
SHUT_COLUMNS: dict[str, tuple[set[str], str]] = {
    "invites": ({"token_hash"}, "what an invite's link is known by"),
    "site_keys": ({"key_hash"}, "what a key is known by"),
    "call_secrets": (
        {"secret", "key_id"},
        "what calls are signed with; sealed, and handed out by a function only",
    ),
    "call_signatures": (
        {"signature", "answer"},
        "what was answered to a signed call, for the same call sent again",
    ),
    "webhooks": ({"secret", "next_secret", "key_id"}, "what messages are signed with; sealed"),
    "conversion_routes": (
        {"secret", "key_id"},
        "what opens an ad platform; sealed, and handed out by a function only",
    ),
    "erasures": ({"subject", "key_id"}, "whom an erasure that is under way is about; sealed"),
    "share_links": ({"token_hash"}, "what a link to figures is known by"),
}
# Of a site's rows in these, each of its people sees the own alone.
PERSONAL = {
    "notice_wishes": "user_id",
    "lead_notices": "user_id",
    "summary_wishes": "user_id",
    "saved_views": "user_id",
}
# What the application may write by itself, and in which columns; in rows of the asker's own.
WRITABLE: dict[tuple[str, str], tuple[set[str], str]] = {
    ("profiles", "UPDATE"): ({"language", "theme"}, "how somebody wants to see their own screens"),
}
# A column that is called so holds what opens a door: the application reads none of them.
SECRET = re.compile(r"hash$|secret|password|^token|_token$|^key_id$|^code$")
NO_SECRET = {
    "erasures.subject_hash": "stands in the certificate: with the subject in hand one can tell that it is the one",
}

# The owner itself sees rows of sites only where it says so (app.maintenance), but for these tables.
OPEN_TO_OWNER = {
    "site_members": "asked before anything is known, to find out which sites somebody may see",
    "site_origins": "asked at the doors for events, where nobody is signed in",
    "lead_search": "behind a policy no index of words could be used; the functions that read it ask for the role",
}
# Rows that not even the owner changes or takes away again.
ADDED_ONLY = {"site_acts", "platform_acts"}


@dataclass
class Asker:
    """Whose transaction it is: the sites in app.sites (None: never set), the person in app.person (a or b: who owns it)."""

    name: str
    sites: tuple[str, ...] | None
    person: str | None = None
    maintenance: bool = False
    left_empty: bool = False  # the settings as SET LOCAL leaves them: there, and empty


ASKERS = (
    Asker("of site a", (A,), A),
    Asker("of site a, with app.maintenance on", (A,), A, maintenance=True),
    Asker("of site a, a colleague", (A,), "operator"),
    Asker("of site b", (B,), B),
    Asker("of both sites", (A, B)),
    Asker("of no site", ()),
    Asker("after another's transaction", (), left_empty=True),
    Asker("of no site, with app.maintenance on", (), maintenance=True),
    Asker("nobody", None),
)


@dataclass
class Walls:
    """A database with two sites in it, and who tries it: the superuser, the schema's owner, the application's role."""

    admin: Any
    owner: Any
    app: Any
    world: TwoSites
    catalogue: Catalogue
    cells: int = 0
    truth: dict[str, dict[str, int]] = field(default_factory=dict)

    @asynccontextmanager
    async def asking(self, asker: Asker) -> AsyncIterator[Any]:
        """A transaction of the application's role for this asker; nothing of it stays."""
        transaction = self.app.transaction()
        await transaction.start()
        try:
            await self.app.execute(self.settings(asker))
            yield self.app
        finally:
            await transaction.rollback()

    def settings(self, asker: Asker) -> str:
        said = []
        if asker.left_empty:
            said += ["SET LOCAL app.sites = ''", "SET LOCAL app.person = ''"]
        elif asker.sites is not None:
            said.append(f"SET LOCAL app.sites = '{{{','.join(map(self.world.site, asker.sites))}}}'")
        if asker.person is not None:
            said.append(f"SET LOCAL app.person = '{self.world.person(asker.person)}'")
        if asker.maintenance:
            said.append("SET LOCAL app.maintenance = 'on'")
        return "; ".join(said) or "SELECT 1"


async def read_walls(admin: Any, owner: Any, app: Any, world: TwoSites) -> Walls:
    """``owner`` and ``app`` come without any setting."""
    walls = Walls(admin, owner, app, world, await read_catalogue(admin))
    tallied = [r for r in walls.catalogue.relations.values() if _of_whom(r)]
    parts = [
        f"SELECT '{r.place}' AS place, {_of_whom(r)}::text AS whose, count(*) AS n FROM {r.place} GROUP BY 1, 2"
        for r in tallied
    ]
    walls.truth = {r.place: {} for r in tallied}
    for row in await admin.fetch(" UNION ALL ".join(parts)):
        walls.truth[row["place"]][row["whose"]] = row["n"]
    return walls


def _of_whom(relation: Relation) -> str | None:
    return relation.site_column or relation.person_column


def readable(relation: Relation) -> set[str]:
    """The columns that the application may read."""
    if relation.is_partition:
        return set()
    if relation.site_column:
        return set(relation.columns) - SHUT_COLUMNS.get(relation.place, (set(), ""))[0]
    return OPEN_COLUMNS.get(relation.place, (set(), ""))[0]


def seen(walls: Walls, relation: Relation, asker: Asker) -> dict[str, int]:
    """How many rows of whom the asker must see, of a relation that the application may read."""
    truth = walls.truth[relation.place]
    if relation.place in PERSONAL and asker.person not in HALVES:  # all rows are those of who owns the site
        return {}
    if relation.site_column:
        whose = {walls.world.site(half) for half in asker.sites or ()}
    else:
        whose = {walls.world.person(asker.person)} if asker.person else set()
    return {one: n for one, n in truth.items() if one in whose}


def is_shut_to_owner(relation: Relation) -> bool:
    """Whether the owner must say app.maintenance before it sees or writes a row."""
    return relation.is_partition or (relation.is_tenant and relation.place not in OPEN_TO_OWNER)


# Privileges: what the application's role, or everybody, has been given.

TABLE_PRIVILEGES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
COLUMN_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "REFERENCES")


async def check_privileges(walls: Walls) -> list[str]:
    """Every column, table and schema: granted is what the rules say, no more and no less."""
    wrong = []
    rows = await walls.admin.fetch(
        "SELECT c.oid, a.attname::text AS name, p AS privilege FROM unnest($1::oid[]) AS c (oid)"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped, unnest($2::text[]) p"
        f" WHERE has_column_privilege('{APP}', c.oid, a.attnum, p)",
        [r.oid for r in walls.catalogue.relations.values()], list(COLUMN_PRIVILEGES),
    )  # fmt: skip
    granted: dict[tuple[int, str], set[str]] = {}
    for row in rows:
        granted.setdefault((row["oid"], row["privilege"]), set()).add(row["name"])
    for relation in walls.catalogue.relations.values():
        for privilege in COLUMN_PRIVILEGES:
            walls.cells += len(relation.columns)
            expected = (
                readable(relation)
                if privilege == "SELECT"
                else WRITABLE.get((relation.place, privilege), (set(), ""))[0]
            )
            found = granted.get((relation.oid, privilege), set())
            wrong += [f"{privilege} ({c}) on {relation.place} is granted" for c in sorted(found - expected)]
            wrong += [
                f"{privilege} ({c}) on {relation.place} is not granted" for c in sorted(expected - found)
            ]
    wrong += await _table_privileges(walls)
    return wrong


async def _table_privileges(walls: Walls) -> list[str]:
    version = await walls.admin.fetchval("SHOW server_version_num")
    names = [*TABLE_PRIVILEGES, *(["MAINTAIN"] if int(version) >= 170000 else [])]
    rows = await walls.admin.fetch(
        "SELECT c.oid::regclass::text AS place, p AS privilege FROM unnest($1::oid[]) AS c (oid), unnest($2::text[]) p"
        f" WHERE has_table_privilege('{APP}', c.oid, p)",
        [r.oid for r in walls.catalogue.relations.values()], names,
    )  # fmt: skip
    walls.cells += len(walls.catalogue.relations) * len(names)
    wrong = [f"{row['privilege']} on {row['place']} is granted" for row in rows]
    around = await walls.admin.fetchrow(
        f"SELECT has_schema_privilege('{APP}', 'parts', 'USAGE') AS \"parts is open\","
        f" has_schema_privilege('{APP}', 'parts', 'CREATE') AS \"things can be made in parts\","
        f" has_schema_privilege('{APP}', 'public', 'CREATE') AS \"things can be made in public\","
        f" has_database_privilege('{APP}', current_database(), 'CREATE') AS \"schemas can be made\","
        f" (SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = '{APP}')"
        ' AS "the application\'s role is above row security",'
        f" EXISTS (SELECT FROM pg_auth_members WHERE member = '{APP}'::regrole) AS \"it is a member of another role\","
        f" EXISTS (SELECT FROM pg_class WHERE relowner = '{APP}'::regrole) AS \"it owns a relation\","
        " EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) x WHERE c.relnamespace = 'parts'::regnamespace"
        '   AND x.grantee <> c.relowner) AS "a partition carries a grant",'
        " EXISTS (SELECT FROM pg_class c, LATERAL (SELECT 1 FROM aclexplode(c.relacl) x WHERE x.grantee = 0) y"
        "   WHERE c.relnamespace IN ('public'::regnamespace, 'parts'::regnamespace)"
        "   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')) AS \"something is granted to everybody\""
    )
    return wrong + [words for words, is_so in around.items() if is_so]


async def check_secrets(walls: Walls) -> list[str]:
    """No column that opens a door is among those that the rules would let the application read."""
    return [
        f"{relation.place}.{name} looks like a secret and is readable"
        for relation in walls.catalogue.relations.values()
        for name in sorted(readable(relation))
        if SECRET.search(name) and f"{relation.place}.{name}" not in NO_SECRET
    ]


# SELECT: which rows come.


async def check_rows_seen(walls: Walls) -> list[str]:
    """Every table and view x every asker: the own rows, all of them, and no other's."""
    wrong = []
    tried = [r for r in walls.catalogue.relations.values() if readable(r) and _of_whom(r)]
    shut = [r for r in walls.catalogue.relations.values() if not readable(r)]
    for asker in ASKERS:
        found = await _rows_seen(walls, asker, tried)
        walls.cells += len(tried) * len(HALVES)
        for relation in tried:
            expected, got = seen(walls, relation, asker), found[relation.place]
            if got != expected:
                wrong.append(f"SELECT on {relation.place} by somebody {asker.name}: {got}, not {expected}")
    async with walls.asking(ASKERS[1]) as app:
        for relation in shut:
            walls.cells += 1
            if not await refused(app, f"SELECT FROM {relation.place}"):
                wrong.append(f"SELECT on {relation.place}: let through")
    return wrong


async def _rows_seen(walls: Walls, asker: Asker, relations: list[Relation]) -> dict[str, Any]:
    """All in one statement; where one of them is refused, one by one."""

    def counting(relation: Relation) -> str:
        return (
            f"SELECT '{relation.place}' AS place, {_of_whom(relation)}::text AS whose, count(*) AS n"
            f" FROM {relation.place} GROUP BY 1, 2"
        )

    found: dict[str, Any] = {relation.place: {} for relation in relations}
    try:
        async with walls.asking(asker) as app:
            rows = await app.fetch(" UNION ALL ".join(map(counting, relations)))
    except asyncpg.PostgresError:
        rows = []
        for relation in relations:
            try:
                async with walls.asking(asker) as app:
                    rows += await app.fetch(counting(relation))
            except asyncpg.PostgresError as refusal:
                found[relation.place] = str(refusal)
    for row in rows:
        found[row["place"]][row["whose"]] = row["n"]
    return found


# INSERT, UPDATE, DELETE, TRUNCATE, COPY FROM: refused for want of the privilege, before any row is looked at.


async def refused(connection: Any, statement: str) -> bool:
    """Whether the privilege is missing, or nobody can write there at all (most views); anything else is no wall."""
    try:
        async with connection.transaction():
            await connection.execute(statement)
            return False
    except DENIED as denial:
        return str(denial).startswith("permission denied")
    except asyncpg.ObjectNotInPrerequisiteStateError as impossible:
        return "view" in str(impossible)
    except asyncpg.PostgresError:
        return False


def writing(walls: Walls, relation: Relation, half: str) -> Iterable[tuple[str, str]]:
    """A statement of each kind about that half's row."""
    column = _of_whom(relation)
    whose = walls.world.site(half) if relation.site_column else walls.world.person(half)
    where = f" WHERE {column} = '{whose}'" if column else ""
    first = column or next(c.name for c in relation.columns.values() if not c.is_made)
    yield "INSERT", f"INSERT INTO {relation.place} ({first}) VALUES (NULL)"
    yield "UPDATE", f"UPDATE {relation.place} SET {first} = NULL{where}"
    yield "DELETE", f"DELETE FROM {relation.place}{where}"
    if not relation.is_view:
        yield "TRUNCATE", f"TRUNCATE {relation.place}"


async def check_writes_refused(walls: Walls) -> list[str]:
    """Every table, partition and view x every way to write x own row and other's, by plain SQL."""
    wrong = []
    for asker in (ASKERS[1], ASKERS[-1]):
        async with walls.asking(asker) as app:
            for relation in walls.catalogue.relations.values():
                for half in HALVES:
                    for command, statement in writing(walls, relation, half):
                        walls.cells += 1
                        if not await refused(app, statement):
                            wrong.append(
                                f"{command} on {relation.place} ({half}'s row) by somebody {asker.name}: let through"
                            )
                if not relation.is_view:
                    walls.cells += 1
                    if not await copy_refused(app, relation):
                        wrong.append(f"COPY to {relation.place} by somebody {asker.name}: let through")
    return wrong + await _own_columns(walls)


async def copy_refused(app: Any, relation: Relation) -> bool:
    try:
        async with app.transaction():
            await app.copy_to_table(
                relation.name,
                schema_name=relation.schema,
                source=io.BytesIO(b""),
                columns=[next(iter(relation.columns))],
            )
    except DENIED as denial:
        return str(denial).startswith("permission denied")
    except asyncpg.PostgresError:
        return False
    return False


async def _own_columns(walls: Walls) -> list[str]:
    """What may be written after all: in the own row, and in no other's."""
    wrong = []
    for (place, command), (columns, _) in WRITABLE.items():
        assert command == "UPDATE"
        relation = walls.catalogue.relations[place]
        for column in sorted(columns):
            for half, expected in ((A, "UPDATE 1"), (B, "UPDATE 0")):
                walls.cells += 1
                statement = f"UPDATE {place} SET {column} = {column} WHERE {_of_whom(relation)} = '{walls.world.person(half)}'"
                try:
                    async with walls.asking(ASKERS[0]) as app:
                        done = await app.execute(statement)
                except asyncpg.PostgresError as refusal:
                    done = str(refusal)
                if done != expected:
                    wrong.append(
                        f"UPDATE ({column}) on {place}, {half}'s row by somebody of site a: {done}, not {expected}"
                    )
    return wrong


# The owner, whom FORCE ROW LEVEL SECURITY binds too: a function that forgets to say so sees nothing.


async def check_owner_bound(walls: Walls) -> list[str]:
    """Tables and partitions x SELECT, INSERT, UPDATE, DELETE, by the schema's owner: as it is, and with app.maintenance."""
    wrong = []
    tables = [r for r in walls.catalogue.relations.values() if not r.is_view]
    full = dict(
        await walls.admin.fetch(
            " UNION ALL ".join(f"SELECT '{r.place}' AS place, count(*) AS n FROM {r.place}" for r in tables)
        )
    )
    for maintenance in (False, True):
        transaction = walls.owner.transaction()
        await transaction.start()
        try:
            await walls.owner.execute(f"SET LOCAL app.maintenance = '{'on' if maintenance else ''}'")
            for table in tables:
                wrong += await _owner_at(walls, table, maintenance, full[table.place])
        finally:
            await transaction.rollback()
    return wrong


async def _owner_at(walls: Walls, table: Relation, maintenance: bool, full: int) -> list[str]:
    owner, place, wrong = walls.owner, table.place, []
    is_open = maintenance or not is_shut_to_owner(table)
    how = "with" if maintenance else "without"
    walls.cells += 4
    if not await owner.fetchval("SELECT row_security_active($1::text)", place):
        wrong.append(f"{place}: row security does not bind the owner")
    try:
        async with owner.transaction():
            found = await owner.fetchval(f"SELECT count(*) FROM {place}")
    except asyncpg.PostgresError as refusal:
        found = str(refusal)
    if found != (full if is_open else 0):
        wrong.append(f"{place}: the owner {how} app.maintenance sees {found} of {full} rows")
    if table.place == "schema_migrations":
        return wrong
    changes = is_open and place not in ADDED_ONLY
    first = next(iter(table.columns))
    for command, statement in (
        ("UPDATE", f"UPDATE {place} SET {first} = {first} WHERE (SELECT true)"),
        ("DELETE", f"DELETE FROM {place} WHERE (SELECT true)"),
    ):
        n = await _owner_changes(owner, statement)
        # Keys that others point with may stop a row from going; that is no wall of the owner's.
        if (n != 0) != (changes and full > 0):
            wrong.append(f"{place}: {command} by the owner {how} app.maintenance: {n} rows")
    inserted = await _owner_adds(walls, table)
    if inserted != is_open:
        wrong.append(
            f"{place}: INSERT by the owner {how} app.maintenance: {'let in' if inserted else 'refused'}"
        )
    return wrong


async def _owner_changes(owner: Any, statement: str) -> int:
    """How many rows it reached; -1 where another rule than row security had to stop it."""
    transaction = owner.transaction()
    await transaction.start()
    try:
        return int((await owner.execute(statement)).split()[1])
    except asyncpg.PostgresError:
        return -1
    finally:
        await transaction.rollback()


async def _owner_adds(walls: Walls, table: Relation) -> bool:
    """Whether row security lets in a row that is there already (which the keys then refuse)."""
    parent = walls.catalogue.relations[table.name.split("_")[0]] if table.is_partition else table
    row = walls.world.rows[A].get(parent.place)
    if row is None:
        return True
    try:
        async with walls.owner.transaction():
            await walls.owner.execute(insert(parent, row, into=table.place))
    except DENIED:
        return False
    except asyncpg.PostgresError:
        return True
    return True
