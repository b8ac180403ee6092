"""A database as its report tells it: shapes that the rows of gather.sql become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from opsmantik.audit.findings import Report
from opsmantik.audit.needs import Catalogue
from opsmantik.audit.report.functions import Function

PAGES: Final = 300
"""How many pages of a table a sample takes, about."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table, a partitioned one, or a partition. Sizes in bytes; counts since the counters began."""

    oid: int
    schema: str
    name: str
    kind: str
    is_partition: bool
    root: int
    bounds: str | None
    key: str | None
    rows: int
    bytes: int
    index_bytes: int
    pages: int
    secured: bool
    forced: bool
    persistence: str
    comment: str | None
    columns: int
    grants: Sequence[str]
    seq_scan: int
    idx_scan: int
    added: int
    changed: int
    hot: int
    removed: int
    live: int
    dead: int
    vacuumed: datetime | None
    analysed: datetime | None

    @property
    def title(self) -> str:
        """Its name, with its schema where that is not the usual one."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def full_name(self) -> str:
        """Its name with its schema, as statements are read with."""
        return f"{self.schema}.{self.name}"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a whole table. ``nulls`` is a share from 0 to 1, None where nothing tells it."""

    table: int
    place: int
    name: str
    type: str
    is_required: bool
    is_generated: bool
    comment: str | None
    nulls: float | None
    distinct_values: int | None
    is_sampled: bool = False


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """An index of a whole table, with the size and the scans of all its parts."""

    table: int
    schema: str
    name: str
    method: str
    columns: Sequence[str]
    condition: str | None
    is_unique: bool
    is_primary: bool
    rule: str | None
    making: str
    comment: str | None
    bytes: int
    scans: int
    is_valid: bool


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy of row security."""

    table: int
    name: str
    is_permissive: bool
    command: str
    roles: Sequence[str]
    using: str | None
    checks: str | None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign key."""

    table: int
    name: str
    other: int
    other_name: str
    is_validated: bool
    columns: Sequence[str]
    others: Sequence[str]
    on_delete: str


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the database, and the tables whose triggers call it."""

    schema: str
    function: Function
    triggers: Sequence[str]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The database as a whole."""

    name: str
    server: str
    role: str
    bytes: int
    at: datetime
    hit: int
    read: int
    commits: int
    rollbacks: int
    deadlocks: int
    temp_bytes: int
    since: datetime | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report says, before it is put into words."""

    is_ours: bool
    server: Server
    tables: Sequence[Table]
    """Whole tables and partitions."""
    columns: Mapping[int, Sequence[Column]]
    indexes: Mapping[int, Sequence[Index]]
    policies: Mapping[int, Sequence[Policy]]
    keys: Mapping[int, Sequence[Key]]
    functions: Sequence[Made]
    leans: Mapping[tuple[int, str], Sequence[str]]
    """What in the database stands on a column: views, policies, checks, triggers."""
    relations: Mapping[str, frozenset[str]]
    """Columns of every table and view, by schema and name."""
    hidden: Sequence[str]
    """Tables of which this role may see neither statistics nor rows."""
    audit: Report
    there: Catalogue
    """By which it is told which way of asking a check took."""

    def whole(self) -> list[Table]:
        """Tables that are no partitions, by schema and name."""
        return [table for table in self.tables if not table.is_partition]

    def parts(self, table: Table) -> list[Table]:
        """Its partitions that hold rows, by their names."""
        found = [
            each for each in self.tables if each.is_partition and each.root == table.oid and each.kind != "p"
        ]
        return sorted(found, key=lambda part: (part.bounds == "DEFAULT", part.name))

    def leaves(self, table: Table) -> list[Table]:
        """Where its rows are: the partitions, or the table itself."""
        return self.parts(table) if table.kind == "p" else [table]

    def rows(self, table: Table) -> int:
        """A partitioned table's are the sum of its partitions'."""
        return sum(leaf.rows for leaf in self.leaves(table))

    def bytes(self, table: Table) -> int:
        """With indexes, and of all partitions."""
        return sum(leaf.bytes for leaf in self.leaves(table))


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Who touches one column, each list in its order."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    in_rows: Sequence[str] = ()
    """Those that name nothing of it, but take the rows whole in which it is."""
    entries: Sequence[str] = ()
    """Routes, pages, commands and jobs from which a statement is reached that names it."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A statement or function with all that it names, and what leads to it."""

    name: str
    is_function: bool
    reads: Mapping[str, Sequence[str]]
    """Columns by table; ``*`` for whole rows."""
    writes: Mapping[str, Sequence[str]]
    entries: Sequence[str]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The whole list."""

    columns: Mapping[tuple[str, str], Use]
    """By table (with its schema) and column."""
    places: Sequence[Place]
    entries: Mapping[str, Mapping[str, Sequence[str]]]
    """Columns by table, by what reaches them, through functions too."""
    unread: Sequence[str]
    """What could not be read, and why."""
    has_no_grammar: bool = False


NOTHING = Use()
