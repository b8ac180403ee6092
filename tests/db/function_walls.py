"""The functions that the application's role may execute, each tried by everybody about everybody.

Most run as the owner, past row security, so each is a door of its own. Arguments are made by name and type from the rows of
two_sites.py; every function is called about the asker's own site and about the other's, with own ids, with the other's, and
with both mixed. Whoever may not do it must get an error or nothing, and not one row may change; whoever may do it on their
own site must neither change nor learn anything of the other's. All of it in transactions that are taken back.
"""
# ruff: noqa: E501 - a row a line

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import asyncpg

from opsmantik.db.connect import ANY_ROLE
from opsmantik.db.sql import quote_literal
from opsmantik.people.capabilities import PLATFORM_ADMIN, ROLES, SCOPES, Capability, is_of_a_site
from tests.db.catalogue import APP, Function, Relation, read_functions
from tests.db.two_sites import HALVES, A, B
from tests.db.walls import Walls

# A server's own business: called where nobody is signed in, or about all sites at once. Row security does not
# stand behind these; what they take comes from the doors that have asked already.
SERVER = "server"
# For whoever is signed in, about nobody but themselves.
SELF = "self"
# Plain SQL that runs as its caller, under the caller's row security.
CALLER = "caller"


@dataclass(frozen=True)
class Who:
    """Somebody who asks: their name in two_sites.py, and the role that they hold on site a."""

    name: str
    person: str | None
    role: str | None
    key: str | None = None  # whose key asks: person or site; or link, for who holds a link to figures
    elsewhere: bool = False  # in a transaction that is not about site a, whatever they are there

    def may(self, needed: Capability | str, half: str) -> bool:
        if needed in (SERVER, CALLER):
            return True
        if self.key == "link":
            return False
        if self.key is not None and (needed == SELF or Capability(needed) not in SCOPES):
            return False
        if self.person is None and self.key is None:
            return False
        if needed == SELF or not is_of_a_site(Capability(needed)):
            return needed != Capability.PLATFORM or self.role == PLATFORM_ADMIN
        if self.role == PLATFORM_ADMIN:
            return True
        return half == A and self.role is not None and Capability(needed) in ROLES[self.role]


# Lists that answer a key although what they list is not for keys: no address leads a key there, and they change nothing.
SHOWN_TO_KEYS = {"site_invites", "site_people"}

ASKERS = (
    Who("nobody", None, None),
    Who("a stranger", "stranger", None),
    Who("site a's analyst", "analyst", "analyst"),
    Who("site a's operator", "operator", "operator"),
    Who("site a's admin", "admin", "admin"),
    Who("site a's owner", A, "owner"),
    Who("the platform's administrator", "platform_admin", PLATFORM_ADMIN),
    Who("a key of site a's owner", A, "owner", "person"),
    Who("a key of site a, for reading", None, "analyst", "site"),
    Who("a link to site a's figures", None, None, "link"),
    Who("site a's owner, busy elsewhere", A, None, elsewhere=True),
    Who("a key of site a, busy elsewhere", None, None, "site", elsewhere=True),
)

# What an argument of this name holds.
SITES = re.compile(r"^p_(sites?|only|only_site)$")
TABLES = {
    "call": "calls", "lead": "calls", "session": "sessions", "visit": "sessions", "user": "users", "person": "users",
    "member": "users", "actor": "users", "target": "users", "to": "users", "rejected": "rejected_events", "invite": "invites",
    "webhook": "webhooks", "delivery": "webhook_deliveries", "conversion": "conversions", "erasure": "erasures",
    "identity": "user_identities", "credential": "user_credentials", "sign_in": "sign_ins", "undoes": "intent_actions",
    "share": "share_links",
}  # fmt: skip
TEXTS = {
    "p_email": "half-{half}@example.com", "p_zone": "Europe/Istanbul", "p_time_zone": "Europe/Istanbul", "p_currency": "TRY",
    "p_role": "admin", "p_roles": "{platform_admin,owner,admin,operator,analyst}", "p_kind": "person", "p_action": "half.try",
    "p_region": "TR", "p_consent_mode": "implied", "p_public_id": "c" * 32, "p_domain": "other.example", "p_origins": "{}",
    "p_origin": "https://half-{half}.example", "p_fingerprint": "half-{half} fingerprint", "p_visitor": "half-{half} id",
    "p_waiting": "{intent,pending}", "p_url": "https://other.example/hook", "p_events": "{lead.created}", "p_pace": "hour",
    "p_language": "en", "p_scopes": "{site:read}", "p_last_four": "abcd", "p_provider": "half-{half} provider",
    "p_issuer": "half-{half} issuer", "p_subject": "half-{half} subject", "p_place": "current", "p_dimension": "all",
    "p_purpose": "password", "p_key_id": "key", "p_outcome": "stored", "p_theme": "dark", "p_method": "password",
    "p_quiet_until": "22:00", "change_own_email.p_email": "new-{half}@example.com", "wish_summary.p_pace": "daily", "begin_erasure.p_kind": "visitor", "note_privacy.p_action": "privacy.export",
    "remove_test_visits.p_pattern": "test-opsmantik-%",
    "p_conversion_time": "intent", "change_site_rules.p_junk_days": "30", "p_table": "webhooks", "p_column": "secret", "p_state": "retracted",
}  # fmt: skip
BY_TYPE = {
    "uuid": "00000000-0000-4000-8000-000000000007", "text": "x", "integer": "5", "bigint": "5", "smallint": "5", "numeric": "5",
    "boolean": "true", "jsonb": "{}", "bytea": "\\x" + "07" * 32, "interval": "1 hour", "date": "2026-11-01",
    "timestamp with time zone": "2026-11-01 10:00Z", "inet": "192.0.2.1", "time without time zone": "10:00", "double precision": "5",
}  # fmt: skip
FRESH = BY_TYPE["uuid"]
# What only a row that is there can say: table and column.
FROM_ROWS = {
    "change_site_general.p_seen": ("sites", "updated_at"),
    "change_site_values.p_seen": ("sites", "updated_at"),
    "change_site_values_v2.p_seen": ("sites", "updated_at"),
    "change_site_rules.p_seen": ("sites", "updated_at"),
    "accept_invite.p_hash": ("invites", "token_hash"),
    "change_own_password.p_was": ("users", "password_hash"),
    "change_own_password.p_old": ("sign_ins", "token_hash"),
    "confirm_sign_in.p_old": ("sign_ins", "token_hash"),
    "confirm_second_factor.p_old": ("sign_ins", "token_hash"),
    "drop_second_factor.p_code_hash": ("recovery_codes", "code_hash"),
    "new_recovery_codes.p_code_hash": ("recovery_codes", "code_hash"),
    "confirm_sign_in.p_code_hash": ("recovery_codes", "code_hash"),
}


def entrance(walls: Walls, who: Who) -> str:
    """The statement by which the transaction becomes theirs, with every role: the function must tell them apart."""
    roles, world, address = f"'{{{','.join(ANY_ROLE)}}}'", walls.world, "'192.0.2.9'"
    if who.key == "person":
        key = world.rows[A]["person_keys"]["id"]
        return f"SELECT FROM enter_person_key('{world.person(A)}', '{key}', {roles}, {address})"
    if who.key == "link":
        return f"SELECT FROM enter_share_link('{world.site(A)}', '{world.rows[A]['share_links']['id']}')"
    if who.key == "site":
        narrow = "'{owner}'" if who.elsewhere else roles  # a role that no key has
        return f"SELECT FROM enter_key('{world.site(A)}', '{world.rows[A]['site_keys']['id']}', {narrow}, {address})"
    if who.person is None:
        return "SELECT 1"
    only = f"'{world.site(B)}'" if who.elsewhere else "NULL"
    return f"SELECT FROM enter_user_v2('{world.person(who.person)}', {roles}, {only}, {address})"


def argument(walls: Walls, function: str, name: str, kind: str, site: str, half: str, unsaid: str) -> str:
    """An SQL expression. ``site``: whose site is named; ``half``: whose other ids; ``unsaid``: a table for other ids."""
    of_many, one = kind.endswith("[]"), kind.removesuffix("[]")
    if SITES.match(name) and one == "uuid":
        value = walls.world.site(site)
    elif (place := FROM_ROWS.get(f"{function}.{name}")) is not None:
        return f"{quote_literal(walls.world.rows[half][place[0]][place[1]])}::{kind}"
    elif one == "uuid":
        word = name.removeprefix("p_")
        table = TABLES.get(word) or TABLES.get(word.removesuffix("s")) or unsaid
        value = walls.world.rows[half].get(table, {}).get("id", FRESH)
    elif (said := TEXTS.get(f"{function}.{name}")) or (
        (said := TEXTS.get(name)) and one.startswith(("text", "time"))
    ):
        return f"{quote_literal(said.replace('{half}', half))}::{kind}"
    else:
        return _plain(one, kind)
    return f"ARRAY['{value}']::{kind}" if of_many else f"'{value}'::{kind}"


def _plain(one: str, kind: str) -> str:
    if one not in BY_TYPE:
        return f"NULL::{kind}" if one == kind else f"'{{}}'::{kind}"
    value = quote_literal(BY_TYPE[one])
    return f"{value}::{kind}" if one == kind else f"ARRAY[{value}]::{kind}"


@dataclass(frozen=True)
class Question:
    """One call: about whose site, with whose ids; and what was put in, which an answer may repeat."""

    site: str
    half: str
    sql: str
    names_site: bool


def questions(walls: Walls, function: Function) -> Iterator[Question]:
    """The calls to try, about each half and both mixed; ids that no name explains are taken from each table in the body."""
    has_site = any(SITES.match(name) for name, _ in function.arguments)
    named = sorted(
        t
        for t in walls.world.rows[A]
        if re.search(rf"\b{t}\b", function.body) and "id" in walls.world.rows[A][t]
    )
    asked = set()
    takes = {name for name, _ in function.arguments}
    roles = ("admin", "owner") if "p_role" in takes else ("",)
    members = (False, True) if {"p_user", "p_site"} <= takes else (False,)
    for site, half, unsaid, role, member in product(
        HALVES if has_site else (A,), HALVES, ["", *named], roles, members
    ):
        site = site if has_site else half
        given = {"p_role": quote_literal(role)}
        if member:  # somebody else of site a
            given["p_user"] = f"'{walls.world.people['analyst']}'::uuid"
        values = [
            given.get(name) or argument(walls, function.name, name, kind, site, half, unsaid)
            for name, kind in function.arguments
        ]
        sql = (
            f"SELECT to_jsonb(t)::text, false FROM {function.name}({', '.join(values)}) AS t"
            " UNION ALL SELECT NULL, true WHERE pg_current_xact_id_if_assigned() IS NOT NULL"
        )
        if sql not in asked:
            asked.add(sql)
            yield Question(site, half, sql, has_site)


# What makes somebody a member or an owner, for those who do it by themselves.
JOINING = {"create_site", "accept_invite", "answer_ownership"}


@dataclass
class Answer:
    """What came of a call: rows as JSON, or an error; and the halves of which a row is not what it was, or OWNERS."""

    rows: list[Any]
    error: asyncpg.PostgresError | None
    changed: set[str]
    raised: set[tuple[str, str]]  # who has a role now that they had not: person and role

    @property
    def is_nothing(self) -> bool:
        return not any(map(_is_something, self.rows))

    @property
    def text(self) -> str:
        said = json.dumps(self.rows, default=str)
        if self.error is not None:
            said += f" {self.error} {self.error.detail or ''}"
        return said


# Rows that name site a's owner: nobody else's business, whatever they may do on the site.
OWNERS = "the owner's"


def _is_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_is_something, value.values()))
    if isinstance(value, list):
        return any(map(_is_something, value))
    return value not in (None, False, 0, "", "0")


async def call(
    walls: Walls, who: Who, question: Question, untouched: Fingerprints, held: set[tuple[str, str, str]]
) -> Answer:
    """Call it as the application's role in this person's transaction, look, and take it back."""
    admin = walls.admin
    rows: list[Any] = []
    error = None
    changed: set[str] = set()
    raised: set[tuple[str, str, str]] = set()
    try:
        await admin.execute(
            f"BEGIN; SET LOCAL SESSION AUTHORIZATION {APP}; SET LOCAL app.maintenance = 'on'; {entrance(walls, who)}"
        )
        found = await admin.fetch(question.sql)
        rows = [None if row[0] is None else json.loads(row[0]) for row in found if not row[1]]
        if found and found[-1][1]:  # it has written something: a number was given to the transaction
            await admin.execute("RESET SESSION AUTHORIZATION")
            now = await fingerprints(walls, only=await written(walls))
            changed = {whose for whose in now if not now[whose].items() <= untouched[whose].items()}
            raised = await roles_held(walls) - held
    except asyncpg.PostgresError as refusal:
        error = refusal
    finally:
        await admin.execute("ROLLBACK")
    return Answer(rows, error, changed, {(person, role) for person, _, role in raised})


async def roles_held(walls: Walls) -> set[tuple[str, str, str]]:
    """Who is what: person, site (or none), role."""
    rows = await walls.admin.fetch(
        "SELECT user_id::text, site_id::text, role FROM site_members UNION SELECT user_id::text, id::text, 'owner' FROM sites"
        " UNION SELECT id::text, '', 'platform_admin' FROM profiles WHERE role = 'admin'"
    )
    return {tuple(row) for row in rows}


async def written(walls: Walls) -> set[int]:
    """The tables that this transaction may have written to: nobody changes a row without a lock that lasts to its end."""
    rows = await walls.admin.fetch(
        "SELECT DISTINCT coalesce(pg_partition_root(relation), relation)::oid AS place FROM pg_locks WHERE pid = pg_backend_pid()"
        " AND locktype = 'relation' AND granted AND mode NOT IN ('AccessShareLock', 'RowShareLock')"
    )
    return {row["place"] for row in rows}


# Of each half: its tables, and of each a digest of the half's rows in it.
Fingerprints = dict[str, dict[str, str | None]]


async def fingerprints(
    walls: Walls, *, owners_only: bool = False, only: set[int] | None = None
) -> Fingerprints:
    """Of each half, by site or by person; ``owners_only``: not of the other people's rows; ``only``: of these tables."""
    parts = []
    for table in walls.catalogue.tables:
        column = table.site_column or table.person_column
        if column is None or (only is not None and table.oid not in only):
            continue
        for half in HALVES:
            whose = [walls.world.site(half)] if table.site_column else [walls.world.person(half)]
            if half == A and not table.site_column and not owners_only:
                whose += walls.world.people.values()
            listed = ", ".join(f"'{one}'" for one in whose)
            parts.append(
                f"SELECT '{half}' AS half, '{table.place}' AS place, md5(string_agg(t::text, '' ORDER BY t::text)) AS digest"
                f" FROM {table.place} t WHERE {column} IN ({listed})"
            )
        naming = [] if owners_only else _naming_people(walls, table)
        if naming:
            parts.append(
                f"SELECT {quote_literal(OWNERS)}, '{table.place}', md5(string_agg(t::text, '' ORDER BY t::text))"
                f" FROM {table.place} t WHERE '{walls.world.person(A)}' IN ({', '.join(naming)})"
            )
    found: Fingerprints = {whose: {} for whose in (*HALVES, OWNERS)}
    for row in await walls.admin.fetch(" UNION ALL ".join(parts)) if parts else ():
        found[row["half"]][row["place"]] = row["digest"]
    return found


def _naming_people(walls: Walls, table: Relation) -> list[str]:
    """The columns that say which of the people a row is about."""
    columns = {column for (place, column), (target, there) in walls.world.points_at.items()
               if place == table.place and (target == "users" or there == "user_id")}  # fmt: skip
    return sorted(columns & table.columns.keys())


async def check_functions(
    walls: Walls, needs: dict[str, Capability | str], *, only: set[str] | None = None
) -> list[str]:
    """Every function x every asker x own, other's and mixed arguments."""
    wrong = []
    untouched, held = await fingerprints(walls), await roles_held(walls)
    marks = {half: walls.world.ids(half) | {f"half-{half}"} for half in HALVES}
    for function in walls.catalogue.functions:
        if not function.for_app or (only is not None and function.name not in only):
            continue
        if function.name not in needs:
            wrong.append(f"{function.name}: nobody has said who may call it (tests/db/function_needs.py)")
            continue
        needed, came_through = needs[function.name], False
        for who, question in product(ASKERS, questions(walls, function)) if needed != SERVER else ():
            if question.site != question.half and who.role is None:
                continue  # who has no site cannot mix it with another's
            walls.cells += 1
            answer = await call(walls, who, question, untouched, held)
            words = f"{function.name}, {who.name} about {question.site}'s site with {question.half}'s ids"
            wrong += [
                f"{words}: {w}"
                for w in _judged(walls, function.name, who, needed, question, answer, marks[B])
            ]
            came_through |= answer.error is None and who.may(needed, question.site)
        if needed not in (SERVER, CALLER) and not came_through:
            wrong.append(
                f"{function.name}: fails for everybody (say in tests/db/function_walls.py, TEXTS, what it takes)"
            )
    return wrong


def _judged(
    walls: Walls,
    function: str,
    who: Who,
    needed: Capability | str,
    question: Question,
    answer: Answer,
    marks: set[str],
) -> Iterator[str]:
    told = sorted(mark for mark in marks if mark in answer.text and mark not in question.sql)
    runs_b = who.role == PLATFORM_ADMIN and (needed != SELF or question.names_site)
    if not runs_b:
        if B in answer.changed:
            yield "changes rows of site b"
        if told:
            yield f"tells of site b: {told[0]} in {answer.text[:200]}"
        if question.half == B and _tells_of_key(answer.error):
            yield f"tells that a key is taken: {answer.error}"
    person = walls.world.person(who.person) if who.person else ""
    for whose, role in answer.raised:
        if function not in JOINING and (whose == person or role in ("owner", PLATFORM_ADMIN)):
            yield f"makes {'them' if whose == person else 'somebody'} {role}"
    if needed in (SELF, CALLER):
        if (
            question.names_site
            and answer.changed
            and not (who.role and question.site == A)
            and not runs_b
            and function not in JOINING
        ):
            yield f"changes rows of {sorted(answer.changed)}"
        if who.person is None and needed == SELF and answer.changed:
            yield f"acts for nobody: changes rows of {sorted(answer.changed)}"
        elif who.person != A and needed == SELF and OWNERS in answer.changed:
            yield "changes what is the owner's own"
    elif not who.may(needed, question.site):
        if answer.changed:
            yield f"changes rows of {sorted(answer.changed)}"
        if not answer.is_nothing and not (who.key and function in SHOWN_TO_KEYS):
            yield f"answers {answer.text[:200]}"
    elif (
        question.site == question.half == A
        and "'owner'" not in question.sql
        and isinstance(answer.error, asyncpg.InsufficientPrivilegeError)
    ):
        yield f"is refused what they may do: {answer.error}"


def _tells_of_key(error: asyncpg.PostgresError | None) -> bool:
    """Whether an error tells that a value is in use. Of an id it may: nobody can guess one."""
    return isinstance(error, asyncpg.UniqueViolationError) and not str(error.constraint_name).endswith(
        "_pkey"
    )


async def check_closed(walls: Walls, needs: dict[str, Capability | str]) -> list[str]:
    """The application executes what is listed and nothing else; nobody else executes anything."""
    now = await read_functions(walls.admin)
    found = {f.name for f in now if f.for_app}
    wrong = [
        f"{name}: the application may call it, and nobody has said who may"
        for name in sorted(found - set(needs))
    ]
    wrong += [f"{name}: the application may not call it any more" for name in sorted(set(needs) - found)]
    for function in now:
        walls.cells += 1
        if await walls.admin.fetchval(
            "SELECT has_function_privilege('public', $1::oid, 'EXECUTE')", function.oid
        ):
            wrong.append(f"{function.signature}: everybody may call it")
        if function.for_app and function.is_definer == (needs.get(function.name) == CALLER):
            wrong.append(f"{function.signature}: runs as its {'owner' if function.is_definer else 'caller'}")
    return wrong
