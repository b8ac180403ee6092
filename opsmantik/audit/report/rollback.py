"""How to go back from a finding's remedy: the statement that undoes it where there is one, or what to keep beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from opsmantik.audit.report.facts import Facts, Index, Policy, Table

_STATEMENT: Final = re.compile(
    r"(?:ALTER|ANALYZE|BEGIN|CREATE|DELETE|DROP|GRANT|INSERT|REINDEX|REVOKE|SELECT|SET|UPDATE|VACUUM|WITH)\s"
)
_PARTS: Final = re.compile(r";\s+(?=[A-Z])")
_NAME: Final = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)'

BY_HAND: Final = (
    "A step by hand: write down how things stand before it, as the query under Verification shows, and put that"
    " back."
)
DATA: Final = (
    "Make a backup first ({backup}). Run it inside BEGIN, look with the query under Verification, then COMMIT, or ROLLBACK"
    " if it is not as expected. After COMMIT the rows come back from that backup only."
)
LOOKS: Final = "Nothing to take back: it only looks."
NOTHING_LOST: Final = "Nothing to take back: it changes no row and no rule."
COMMANDS: Final = {
    "opsmantik counters rebuild": "Nothing to take back: counters are counted again from their rows.",
    "opsmantik upkeep run verify_counters": NOTHING_LOST,
    "opsmantik upkeep run partitions_ahead": "Drop each partition that it made, as long as that is empty.",
    "opsmantik upkeep run drain_default": "Nothing to take back: rows are moved to their month, none is changed or lost.",
    "opsmantik upkeep run retention": "What it removes comes back from a backup only: `opsmantik backup` first.",
    "opsmantik db migrate": "Migrations only go forward: `opsmantik backup` first, `opsmantik restore` to go back.",
    "vacuumdb": NOTHING_LOST,
    "opsmantik upkeep run": "It can be run again; what it removes comes back from a backup only: `opsmantik backup` first.",
}


def is_statement(remedy: str) -> bool:
    """Whether it can be run as it is."""
    return bool(_STATEMENT.match(remedy)) and not remedy.startswith("SELECT pg_terminate")


def rollback(remedy: str, facts: Facts) -> str:
    """What undoes it: statements, the last first; or words."""
    for command, words in COMMANDS.items():
        if remedy.startswith(command):
            return words
    if remedy.startswith(("Look at ", "Read what ", "See ")):
        return LOOKS
    if not is_statement(remedy):
        return BY_HAND
    parts = [part.strip().rstrip(";") for part in _PARTS.split(remedy)]
    backup = "`opsmantik backup`" if facts.is_ours else "`pg_dump`"
    if any(re.match(r"(?:WITH|UPDATE|DELETE|INSERT|BEGIN)\b", part) for part in parts):
        return DATA.format(backup=backup)
    undone = [_undo(part, facts) for part in reversed(parts) if not part.startswith("SET ")]
    return "\n".join(f"{words};" if is_statement(words) else words for words in undone)


def is_code(words: str) -> bool:
    """Whether a rollback is to be shown as what can be run."""
    return all(is_statement(line) for line in words.splitlines())


def _undo(statement: str, facts: Facts) -> str:
    for pattern, undo in _RULES:
        if found := re.match(pattern, statement, re.DOTALL):
            return undo(found, facts)
    return BY_HAND


def _secure(found: re.Match[str], facts: Facts) -> str:
    was = [("ENABLE", "DISABLE"), ("NO FORCE", "FORCE"), ("FORCE", "NO FORCE"), ("DISABLE", "ENABLE")]
    back = []
    for action in found[2].split(","):
        word = action.strip().removesuffix(" ROW LEVEL SECURITY")
        back.append(f"{dict(was)[word]} ROW LEVEL SECURITY")
    return f"ALTER TABLE {found[1]} {', '.join(reversed(back))}"


def _index(name: str, facts: Facts) -> Index | None:
    plain = name.replace('"', "")
    return next(
        (i for own in facts.indexes.values() for i in own if plain in (f"{i.schema}.{i.name}", i.name)), None
    )


def _table(name: str, facts: Facts) -> Table | None:
    plain = name.replace('"', "")
    return next((t for t in facts.tables if plain in (t.full_name, t.title)), None)


def _remake_index(found: re.Match[str], facts: Facts) -> str:
    index = _index(found[1], facts)
    if index is None:
        return "Note what pg_get_indexdef says of it before, and run that."
    # Of a partitioned table it says "only", which would leave the partitions without.
    return index.making.replace(" ON ONLY ", " ON ")


def _drop_index(found: re.Match[str], facts: Facts) -> str:
    schema, _, table = found[2].rpartition(".")
    if found[1]:
        return f"DROP INDEX {found[1]}"
    if not found[3]:
        return f"Drop the index by the name that PostgreSQL gave it; `\\d {found[2]}` shows it."
    return f"DROP INDEX {f'{schema}.' if schema else ''}{_given(table, found[3], 'idx')}"


def _drop_constraint(found: re.Match[str], facts: Facts) -> str:
    table = found[1].rpartition(".")[2]
    if found[2] == "FOREIGN KEY":
        return f"ALTER TABLE {found[1]} DROP CONSTRAINT {_given(table, found[3], 'fkey')}"
    return f"Drop the constraint by the name that PostgreSQL gave it; `\\d {found[1]}` shows it."


def _given(table: str, columns: str, kind: str) -> str:
    """The name that PostgreSQL gives by itself."""
    parts = [table, *columns.replace('"', "").split(", "), kind]
    return "_".join(part.strip('"') for part in parts)[:63]


def _restore_constraint(found: re.Match[str], facts: Facts) -> str:
    name = found[2].replace('"', "")
    index = next((i for own in facts.indexes.values() for i in own if i.rule == name), None)
    if index is not None:
        kind = "PRIMARY KEY" if index.is_primary else "UNIQUE"
        return f"ALTER TABLE {found[1]} ADD CONSTRAINT {found[2]} {kind} ({', '.join(index.columns)})"
    key = next((k for own in facts.keys.values() for k in own if k.name == name), None)
    if key is not None:
        return (
            f"ALTER TABLE {found[1]} ADD CONSTRAINT {found[2]} FOREIGN KEY ({', '.join(key.columns)})"
            f" REFERENCES {key.other_name} ({', '.join(key.others)}) ON DELETE {key.on_delete}"
        )
    return "Note what pg_get_constraintdef says of it before, and add that."


def _grant_again(found: re.Match[str], facts: Facts) -> str:
    what, on, roles = found[1], found[2], found[3]
    table = _table(on, facts)
    if what != "ALL" or table is None:
        return f"GRANT {what} ON {on} TO {roles}"
    given = {role.strip().replace('"', "") for role in roles.split(",")}
    lines = []
    for role in sorted(given):
        name = "everybody" if role.upper() == "PUBLIC" else role
        own = [grant.partition(" to ")[0] for grant in table.grants if grant.endswith(f" to {name}")]
        if own:
            lines.append(f"GRANT {', '.join(own)} ON {on} TO {role}")
    return ";\n".join(lines) or f"Grant again what `\\dp {on}` showed before."


def _policy_again(found: re.Match[str], facts: Facts) -> str:
    table, name = _table(found[2], facts), found[1].replace('"', "")
    own = facts.policies.get(table.oid, ()) if table else ()
    policy = next((each for each in own if each.name == name), None)
    return (
        _policy(policy, found[2])
        if policy
        else "Note what pg_policies says of it before, and make that again."
    )


def _policy(policy: Policy, table: str) -> str:
    roles = ", ".join("PUBLIC" if role == "everybody" else role for role in policy.roles)
    using = f" USING ({policy.using})" if policy.using else ""
    checks = f" WITH CHECK ({policy.checks})" if policy.checks else ""
    kind = "" if policy.is_permissive else " AS RESTRICTIVE"
    return f'CREATE POLICY "{policy.name}" ON {table}{kind} FOR {policy.command} TO {roles}{using}{checks}'


def _role_again(found: re.Match[str], facts: Facts) -> str:
    return f"ALTER ROLE {found[1]} {found[2].removeprefix('NO')}"


def _says(words: str) -> Callable[[re.Match[str], Facts], str]:
    return lambda found, facts: found.expand(words)


_RULES: Final[tuple[tuple[str, Callable[[re.Match[str], Facts], str]], ...]] = (
    (rf"ALTER TABLE {_NAME} ((?:(?:NO )?(?:ENABLE|DISABLE|FORCE) ROW LEVEL SECURITY(?:, )?)+)$", _secure),
    (rf"ALTER TABLE {_NAME} DROP CONSTRAINT {_NAME}$", _restore_constraint),
    (rf"ALTER TABLE {_NAME} ADD (FOREIGN KEY|\w+)(?: \(([\w, ]+)\))?", _drop_constraint),
    (rf"ALTER TABLE {_NAME} SET LOGGED", _says(r"ALTER TABLE \1 SET UNLOGGED")),
    (rf"ALTER VIEW {_NAME} SET \(security_invoker = true\)", _says(r"ALTER VIEW \1 RESET (security_invoker)")),
    (r"ALTER (FUNCTION|PROCEDURE) (.+?) SET search_path", _says(r"ALTER \1 \2 RESET search_path")),
    (r"ALTER FUNCTION (.+?) (?:STABLE|VOLATILE)$", _says(r"ALTER FUNCTION \1 IMMUTABLE")),
    (rf"ALTER ROLE {_NAME} (NO\w+)", _role_again),
    (r"ALTER DEFAULT PRIVILEGES (.+?) REVOKE (.+?) ON (.+?) FROM (.+)",
        _says(r"ALTER DEFAULT PRIVILEGES \1 GRANT \2 ON \3 TO \4")),
    (rf"CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?(?:{_NAME} )?ON {_NAME}(?: \(([\w, ]+)\)$)?", _drop_index),
    (rf"DROP INDEX (?:CONCURRENTLY )?{_NAME}$", _remake_index),
    (rf"CREATE TABLE {_NAME} PARTITION OF", _says(r"DROP TABLE \1")),
    (r"REVOKE (.+?) ON (.+?) FROM (.+)$", _grant_again),
    (r"GRANT (.+?) ON (.+?) TO (.+)$", _says(r"REVOKE \1 ON \2 FROM \3")),
    (rf"DROP POLICY {_NAME} ON {_NAME}$", _policy_again),
    (r"DROP (?:FUNCTION|PROCEDURE) (.+)$",
        _says(r"Keep what `\\sf` shows of \1, and its grants, before it goes; running that makes it again.")),
    (r"(?:REINDEX|VACUUM|ANALYZE)\b", _says(NOTHING_LOST)),
    (r"SELECT (?:public\.)?rebuild_counters", _says(COMMANDS["opsmantik counters rebuild"])),
    (r"SELECT (?:public\.)?make_month", _says(COMMANDS["opsmantik upkeep run partitions_ahead"])),
    (r"SELECT pg_drop_replication_slot\((.+)\)",
        _says(r"A slot is made again with the stand-by that used it; what it held back is gone.")),
)  # fmt: skip
