"""The checks' pages (docs/checks), as far as a screen shows them: what a check looks for, why it matters, how to mend it.

They are written in a small part of Markdown: headings, paragraphs, lists, tables, and words in `backticks`.
In a checkout the folder lies beside the package, in an installed package inside it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

_PACKAGE: Final = Path(__file__).parents[1]
FOLDER: Final = next(
    (place for place in (_PACKAGE / "docs", _PACKAGE.parent / "docs") if (place / "checks").is_dir()),
    _PACKAGE / "docs",
)
_STEM: Final = re.compile(r"[0-9]{4}_[a-z0-9_]{1,60}")
_CELLS: Final = re.compile(r"(?<!\\)\|")

Words = list[tuple[bool, str]]
"""Text in pieces: whether it is code, and the piece."""


class Block(NamedTuple):
    """``text``: one row of one cell; ``list``: a row an item; ``table``: rows of cells, the first is the head."""

    kind: Literal["text", "list", "table"]
    rows: list[list[Words]]


class Page(NamedTuple):
    """A check's page."""

    stem: str
    title: str
    parts: list[tuple[str, list[Block]]]
    """Headings, and what stands under each."""


@cache
def page(stem: str) -> Page | None:
    """The page of a check; None: there is no such check."""
    path = FOLDER / "checks" / f"{stem}.md"
    if not _STEM.fullmatch(stem) or not path.is_file():
        return None
    head, *parts = re.split(r"^## (.+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    title = next(line for line in head.split("\n")[1:] if line)
    return Page(
        stem, title, [(name, blocks(text)) for name, text in zip(parts[::2], parts[1::2], strict=True)]
    )


def blocks(text: str) -> list[Block]:
    """Paragraphs, lists and tables, which blank lines part; a list may follow its sentence at once."""
    found = []
    for part in re.split(r"\n\s*\n|\n(?=- )", text.strip()):
        lines = part.split("\n")
        if lines[0].startswith("|"):
            rows = [line for line in lines if not re.fullmatch(r"[|:\s-]+", line)]
            found.append(Block("table", [[words(cell) for cell in _CELLS.split(row)[1:-1]] for row in rows]))
        elif lines[0].startswith("- "):
            item = [words(" ".join(line.strip() for line in lines).removeprefix("- "))]
            if found and found[-1].kind == "list":
                found[-1].rows.append(item)
            else:
                found.append(Block("list", [item]))
        else:
            found.append(Block("text", [[words(" ".join(line.strip() for line in lines))]]))
    return found


def words(text: str) -> Words:
    """Text, with what stands in backticks apart."""
    pieces = text.strip().replace("\\|", "|").split("`")
    return [(place % 2 == 1, piece) for place, piece in enumerate(pieces) if piece]
