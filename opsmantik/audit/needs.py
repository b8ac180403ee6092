"""Whether a database has what a statement needs: asked of its catalogue, so that nothing fails for want of a table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

_RELATION = re.compile(r"([a-z_][a-z0-9_]*)\.([a-z_][a-z0-9_]*)(?:\(([a-z0-9_, ]+)\))?")
_SERVER = re.compile(r"server >= (\d+)")
_EXTENSION = re.compile(r"extension ([a-z_][a-z0-9_]*)")
_ROLE = re.compile(r"role ([a-z_][a-z0-9_]*)")
_FUNCTION = re.compile(r"function ([a-z_][a-z0-9_]*)\.([a-z_][a-z0-9_]*)")

CATALOGUE: Final = """
SELECT current_setting('server_version_num')::integer / 10000 AS server,
    ARRAY(SELECT extname::text FROM pg_extension) AS extensions,
    ARRAY(SELECT rolname::text FROM pg_roles) AS roles,
    ARRAY(SELECT DISTINCT n.nspname || '.' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')) AS functions
"""
RELATIONS: Final = """
SELECT n.nspname || '.' || c.relname AS relation,
    array_agg(a.attname::text) FILTER (WHERE a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT c.relispartition
GROUP BY 1
"""


class Catalogue(msgspec.Struct, frozen=True):
    """What there is."""

    server: int
    """Its major version."""
    extensions: frozenset[str]
    roles: frozenset[str]
    functions: frozenset[str]
    relations: dict[str, frozenset[str]]
    """Columns by schema and name, without partitions."""

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """What of these is not there, in words. Raises ``ValueError`` for a need that is not written as it should be."""
        return [missing for need in needs if (missing := self._lacks(need))]

    def _lacks(self, need: str) -> str:
        if found := _SERVER.fullmatch(need):
            return "" if self.server >= int(found[1]) else f"PostgreSQL {found[1]} (this is {self.server})"
        for pattern, there, what in (
            (_EXTENSION, self.extensions, "extension"), (_ROLE, self.roles, "role"),
        ):  # fmt: skip
            if found := pattern.fullmatch(need):
                return "" if found[1] in there else f"the {what} {found[1]}"
        if found := _FUNCTION.fullmatch(need):
            name = f"{found[1]}.{found[2]}"
            return "" if name in self.functions else f"the function {name}"
        found = _RELATION.fullmatch(need)
        if found is None:
            raise ValueError(f"not a need: {need!r}")
        name = f"{found[1]}.{found[2]}"
        if name not in self.relations:
            return f"the table {name}"
        wanted = {column.strip() for column in (found[3] or "").split(",") if column.strip()}
        missing = sorted(wanted - self.relations[name])
        return f"the column {name}.{missing[0]}" if missing else ""


async def catalogue(connection: Any) -> Catalogue:
    """Read it, in the present transaction."""
    row = await connection.fetchrow(CATALOGUE)
    relations = {
        relation: frozenset(columns or ()) for relation, columns in await connection.fetch(RELATIONS)
    }
    return Catalogue(
        row["server"],
        frozenset(row["extensions"]),
        frozenset(row["roles"]),
        frozenset(row["functions"]),
        relations,
    )
