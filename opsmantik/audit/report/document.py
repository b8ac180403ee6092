"""A document before it is written: sections of blocks, which Markdown and a page say in their own ways.

Words may hold `code` and **strong** words, and nothing else of Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec


class Text(msgspec.Struct, frozen=True):
    """A paragraph."""

    words: str


class Heading(msgspec.Struct, frozen=True):
    """A title within a section."""

    words: str


class Items(msgspec.Struct, frozen=True):
    """A list."""

    each: Sequence[str]
    in_order: bool = False


class Code(msgspec.Struct, frozen=True):
    """Something to be run as it is."""

    text: str
    language: str = "sql"


class Grid(msgspec.Struct, frozen=True):
    """A table. ``numbers`` are the places of columns whose figures stand under one another."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    label: str = ""


class Bar(msgspec.Struct, frozen=True):
    """A bar: its parts in their order, and what it says in words."""

    name: str
    parts: Sequence[float]
    words: str


class Bars(msgspec.Struct, frozen=True):
    """A chart of bars, one under the other. Its figures stand in a table beside it."""

    title: str
    bars: Sequence[Bar]
    legend: Sequence[str] = ()


class Dot(msgspec.Struct, frozen=True):
    """A point."""

    name: str
    x: float
    y: float
    words: str


class Dots(msgspec.Struct, frozen=True):
    """A chart of points, both of whose ways are logarithmic."""

    title: str
    across: str
    upwards: str
    dots: Sequence[Dot]


Block = Text | Heading | Items | Code | Grid | Bars | Dots


class Section(msgspec.Struct, frozen=True):
    """A part of a document."""

    title: str
    blocks: Sequence[Block]


class Document(msgspec.Struct, frozen=True):
    """A whole one. ``facts`` are its first lines: what it is of, and when."""

    title: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]


def as_markdown(document: Document) -> str:
    """For a wiki, a ticket or a terminal; charts are left out, as tables say the same."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield f"# {document.title}"
    yield ""
    yield from (f"**{name}:** {words}  " for name, words in document.facts)
    for section in document.sections:
        yield f"\n## {section.title}"
        for block in section.blocks:
            lines = list(_block(block))
            if lines:
                yield ""
                yield from lines


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield block.words
    elif isinstance(block, Heading):
        yield f"### {block.words}"
    elif isinstance(block, Items):
        yield from (f"{f'{n}.' if block.in_order else '-'} {words}" for n, words in enumerate(block.each, 1))
    elif isinstance(block, Code):
        yield from (f"```{block.language}", block.text, "```")
    elif isinstance(block, Grid):
        yield f"| {' | '.join(map(_cell, block.titles))} |"
        yield f"|{'|'.join('---:' if n in block.numbers else '---' for n in range(len(block.titles)))}|"
        yield from (f"| {' | '.join(map(_cell, row))} |" for row in block.rows)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
