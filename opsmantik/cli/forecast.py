"""The forecast of pending migrations as people read it: a table, then a sentence."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from opsmantik.db.forecast import Plan

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STYLES = {"minutes": "bold red", "seconds": "yellow", "unknown": "yellow"}


def show(plan: Plan, console: Console) -> None:
    """Print it."""
    for name in plan.migrations:
        console.print(f"pending  {name}", highlight=False)
    if not plan.migrations:
        console.print("The schema is up to date: no migration is pending.")
    if plan.steps:
        console.print(_table(plan))
    console.print(
        f"{plan.functions} files of functions are applied anew; that takes no lock on a table"
        + (" but those above." if plan.steps else "."),
        highlight=False,
    )
    for note in plan.notes:
        console.print(f"! {escape(note)}", highlight=False)
    console.print(_verdict(plan), highlight=False)


def _table(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("file, line", "table", "lock", "work", "rows", "size", "stops", "for"):
        table.add_column(name, justify="right" if name in ("rows", "size") else "left")
    for step in plan.steps:
        style = _STYLES.get(step.wait if step.stops != "nobody" else "", "")
        parts = f" ({step.parts} parts)" if step.parts > 1 else ""
        table.add_row(
            f"{_short(step.file)}:{step.line}", escape(step.table) + parts, step.lock, str(step.work), f"{step.rows:,}",
            size(step.bytes), step.stops, step.wait, style=style,
        )  # fmt: skip
    return table


def _short(name: str) -> str:
    """A migration's number and word; its date says nothing here."""
    return name[11:].removesuffix(".sql") if name[:2] == "20" else name.removesuffix(".sql")


def size(number: float) -> str:
    """Bytes in the unit that leaves one to four digits."""
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            break
        number /= 1024
    return f"{number:.0f} {unit}"


def _verdict(plan: Plan) -> str:
    if plan.worst in ("nothing", "a moment"):
        return "Nobody stands still for more than a moment: it can be done while everything runs."
    if plan.worst == "unknown":
        return "What the marked blocks lock shows only when they run: read them before."
    if plan.worst == "seconds":
        return "Somebody stands still for some seconds: choose a quiet hour."
    return "Somebody stands still for minutes: do it in a window, or in smaller steps."
