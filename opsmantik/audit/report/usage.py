"""The column touch list: who reads and who writes each column, from the program's own SQL and the database's functions.

A statement touches what it names, and what the functions touch that it calls. Behind every statement stand the routes,
pages, commands and jobs that ask it (reach.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from opsmantik.audit.report.facts import Facts, Place, Usage, Use
from opsmantik.audit.report.functions import function_touches
from opsmantik.audit.report.reach import Code, code
from opsmantik.audit.report.texts import HOLE
from opsmantik.audit.report.touches import WHOLE, Columns, Touched, UnreadableError, touched


def usage(facts: Facts, program: Code | None = None) -> Usage:
    """The touch list. Of a database that is not ours only its own functions are read: nobody has its program's source."""
    program = program or (code() if facts.is_ours else Code({}, {}))
    unread: list[str] = []
    functions = _functions(facts, unread)
    statements: dict[str, Touched] = {}
    for place, sql in program.statements.items():
        found = _statement(sql, facts.relations)
        if found is None:
            unread.append(f"{place}: it is put together from parts that are not known before it runs")
        else:
            statements[place] = found
    within = _within(functions)
    asked = program.asked_by()
    callers = _callers(statements, within, asked)
    places = [
        *(_place(name, found, asked[name], is_function=False) for name, found in statements.items()),
        *(
            _place(name, found, sorted(callers.get(name, ())), is_function=True)
            for name, found in functions.items()
        ),
    ]
    return Usage(
        columns=_columns(places, facts), places=sorted(places, key=lambda each: (each.is_function, each.name)),
        entries=_entries(statements, functions, within, program.entries), unread=unread,
    )  # fmt: skip


def _functions(facts: Facts, unread: list[str]) -> dict[str, Touched]:
    found: dict[str, Touched] = {}
    whole = {table.full_name for table in facts.whole()}
    for made in facts.functions:
        tables = [
            name for each in made.triggers if (name := each if "." in each else f"public.{each}") in whole
        ]
        try:
            touches = function_touches(
                made.function, facts.relations, tables[0] if len(tables) == 1 else None
            )
        except (UnreadableError, ValueError) as error:
            unread.append(f"function {made.function.name}: {str(error).partition(chr(10))[0]}")
            continue
        found.setdefault(made.function.name, Touched()).add(touches)
    return found


def _statement(sql: str, columns: Columns) -> Touched | None:
    for filling in (HOLE, "$1", "true"):
        try:
            return touched(sql.replace(HOLE, filling), columns)
        except UnreadableError:
            if HOLE not in sql:
                return None
    return None


def _within(functions: Mapping[str, Touched]) -> dict[str, frozenset[str]]:
    """Of each function those that run when it does, itself among them."""
    found = {}
    for name in functions:
        seen, ahead = {name}, [name]
        while ahead:
            for called in functions[ahead.pop()].calls & functions.keys() - seen:
                seen.add(called)
                ahead.append(called)
        found[name] = frozenset(seen)
    return found


def _called(statement: Touched, within: Mapping[str, frozenset[str]]) -> set[str]:
    return {inner for name in statement.calls & within.keys() for inner in within[name]}


def _callers(
    statements: Mapping[str, Touched],
    within: Mapping[str, frozenset[str]],
    asked: Mapping[str, Iterable[str]],
) -> dict[str, set[str]]:
    """What leads to each function."""
    found: dict[str, set[str]] = defaultdict(set)
    for place, statement in statements.items():
        for name in _called(statement, within):
            found[name] |= set(asked[place])
    return found


def _place(name: str, found: Touched, entries: Sequence[str], *, is_function: bool) -> Place:
    sides: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    for touch in sorted(found.columns):
        sides[touch.writes].setdefault(touch.table, []).append(touch.column)
    label = f"{name}()" if is_function else name
    return Place(name=label, is_function=is_function, reads=sides[0], writes=sides[1], entries=entries)


def _columns(places: Iterable[Place], facts: Facts) -> dict[tuple[str, str], Use]:
    reads: dict[tuple[str, str], list[str]] = defaultdict(list)
    writes: dict[tuple[str, str], list[str]] = defaultdict(list)
    entries: dict[tuple[str, str], list[str]] = defaultdict(list)
    in_rows: dict[str, list[str]] = defaultdict(list)
    for place in places:
        for side, tables in ((reads, place.reads), (writes, place.writes)):
            for table, columns in tables.items():
                for column in columns:
                    if column == WHOLE:
                        in_rows[table].append(place.name)
                    else:
                        side[table, column].append(place.name)
                        entries[table, column] += place.entries
    return {
        (table.full_name, column.name): Use(
            reads=sorted(reads[table.full_name, column.name], key=_daily),
            writes=sorted(writes[table.full_name, column.name], key=_daily),
            in_rows=sorted(set(in_rows[table.full_name])),
            entries=sorted(set(entries[table.full_name, column.name])),
        )
        for table in facts.whole()
        for column in facts.columns.get(table.oid, ())
    }


def _daily(place: str) -> tuple[bool, str]:
    """What runs every day before what runs once."""
    return place.startswith(("adopt/", "demo/")), place


def _entries(
    statements: Mapping[str, Touched],
    functions: Mapping[str, Touched],
    within: Mapping[str, frozenset[str]],
    entries: Mapping[str, frozenset[str]],
) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for entry, places in sorted(entries.items()):
        touches = set()
        for place in places & statements.keys():
            touches |= statements[place].columns
            for name in _called(statements[place], within):
                touches |= functions[name].columns
        tables: dict[str, set[str]] = defaultdict(set)
        for touch in touches:
            tables[touch.table].add(touch.column)
        found[entry] = {table: sorted(columns) for table, columns in sorted(tables.items())}
    return found
