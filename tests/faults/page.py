"""The table in docs/reliability.md: what the last run of each row gave."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.faults.matrix import ROWS
from tests.faults.rows import Result

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: written by `make faults` -->", "<!-- end: written by `make faults` -->"


def save(result: Result) -> None:
    """Keep it where the page is made from."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def kept() -> list[Result]:
    """What is known of each row, in the matrix's order."""
    paths = [RESULTS / f"{name}.json" for name in ROWS]
    return [msgspec.json.decode(path.read_bytes(), type=Result) for path in paths if path.exists()]


def render(results: list[Result]) -> str:
    """The table and the sum below it."""
    lines = ["| Fault | Injected | Must hold | Figure | |", "|---|---|---|---|---|"]
    for result in results:
        row = ROWS[result.name]
        verdict = result.state if not result.why else f"**not held**: {'; '.join(result.why)}"
        cells = (f"`{row.name}`", row.injected, row.must, result.figure, verdict)
        lines.append(f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |")
    kills, lost = sum(r.kills for r in results), sum(r.lost for r in results)
    dates = sorted(result.date for result in results)
    if dates:
        lines += [
            "",
            f"{kills} kills in all, {lost} acknowledged events lost; run between {dates[0]} and {dates[-1]},"
            f" {sum(r.seconds for r in results) / 60:.0f} minutes together.",
        ]
    return "\n".join(lines)


def with_table(text: str, table: str) -> str:
    """The page with this table in place of its own."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def write() -> None:
    PAGE.write_text(with_table(PAGE.read_text(), render(kept())))
