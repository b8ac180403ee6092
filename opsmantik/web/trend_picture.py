"""The picture of a trend that goes into a mail: bars for each measure, with more than two pixels for each that is shown,
and with letters that are still letters where a telephone shows it half as large.

Light in both senses: dark ink on white, since a mail's background is the mail program's, and a few kilobytes. What it shows
is also said in words beside it; see web/summary_mail.py.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image, ImageDraw, ImageFont

FONTS: Final = Path(__file__).with_name("static") / "fonts"
SCALE: Final = 3
WIDTH: Final = 480
"""In units of which each is so many pixels. All other lengths are in these too."""
SHOWN: Final = 600
"""As wide as it is shown at most, in pixels of the screen."""
TITLE, PLOT, GAP, MARKS, EDGE = 26, 90, 16, 22, 4
"""What a measure's name, its bars, the space after them, the days below all, and the margin take up."""
NAME, SMALL = 15, 13
"""Sizes of letters."""
FIGURE: Final = 18
"""A figure above its bar: the highest bar leaves it room."""
WHITE, INK, QUIET, LINE = "#ffffff", "#15191e", "#4c5763", "#dfe3e7"
ACCENT, PALE = "#1f5fbf", "#9dbbe6"
# Colours as in tokens.css; a mail has no style sheet.


class Measure(NamedTuple):
    """One row of bars."""

    name: str
    values: list[int]
    said: list[str]
    """The same as they are written."""


class Placed(NamedTuple):
    """Where a bar is, in pixels of the picture: for whoever checks what was drawn."""

    left: int
    right: int
    top: int
    bottom: int


def trend_picture(measures: Sequence[Measure], labels: Sequence[str], latest: int = 1) -> bytes:
    """A PNG, :data:`WIDTH` units wide. The last ``latest`` bars are those that the mail is about."""
    picture = Image.new("RGB", (WIDTH * SCALE, height(len(measures)) * SCALE), WHITE)
    draw = ImageDraw.Draw(picture)
    for row, measure in enumerate(measures):
        top = _top_of(row)
        _write(draw, 0, top - TITLE, measure.name, NAME, INK, weight=600)
        draw.line([(0, _px(top + PLOT)), (WIDTH * SCALE, _px(top + PLOT))], fill=LINE, width=SCALE)
        written = _written(draw, measure)
        for place, (value, placed) in enumerate(zip(measure.values, places(measure, row), strict=True)):
            if value:
                is_latest = place >= len(measure.values) - latest
                draw.rectangle(
                    (placed.left, placed.top, placed.right - 1, placed.bottom - 1),
                    fill=ACCENT if is_latest else PALE,
                )
            middle, above = (placed.left + placed.right) / 2 / SCALE, placed.top / SCALE - FIGURE + 1
            if place in written:
                _write(draw, middle, above, measure.said[place], SMALL, INK if value else QUIET, centred=True)
    every = _every(draw, labels)
    for place, label in enumerate(labels):
        if (len(labels) - 1 - place) % every == 0:
            middle = WIDTH * (place + 0.5) / len(labels)
            below = _top_of(len(measures) - 1) + PLOT + 5
            _write(draw, middle, below, label, SMALL, QUIET, centred=True)
    out = io.BytesIO()
    picture.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def places(measure: Measure, row: int) -> list[Placed]:
    """Where each bar of a row is: the highest takes up all the room, one of nothing none, and of a little a line."""
    step, bottom = WIDTH * SCALE / len(measure.values), _px(_top_of(row) + PLOT)
    wide, most = min(step * 0.64, 40 * SCALE), max(measure.values)
    found = []
    for place, value in enumerate(measure.values):
        middle = step * (place + 0.5)
        high = max(round(value / most * (PLOT - FIGURE) * SCALE), SCALE) if value else 0
        found.append(Placed(round(middle - wide / 2), round(middle + wide / 2), bottom - high, bottom))
    return found


def height(rows: int) -> int:
    """How high a picture of so many measures is, in units."""
    return _top_of(rows - 1) + PLOT + MARKS + EDGE


def shown_height(rows: int) -> int:
    """How high it is where it is as wide as :data:`SHOWN`."""
    return round(height(rows) * SHOWN / WIDTH)


def _top_of(row: int) -> int:
    return EDGE + TITLE + row * (TITLE + PLOT + GAP)


def _px(points: float) -> int:
    return round(points * SCALE)


def _written(draw: ImageDraw.ImageDraw, measure: Measure) -> set[int]:
    """Above which bars their figures stand: above all, or where they are too long for that, the last and the highest."""
    step = WIDTH * SCALE / len(measure.values)
    if all(_width(draw, said, SMALL) <= step - SCALE for said in measure.said):
        return set(range(len(measure.values)))
    last = len(measure.values) - 1
    highest = measure.values.index(max(measure.values))
    return {last} if last - highest == 1 else {last, highest}


def _every(draw: ImageDraw.ImageDraw, labels: Sequence[str]) -> int:
    """Every how many bars a label has room, counted from the last one."""
    widest = max((_width(draw, label, SMALL) for label in labels), default=1) + 8 * SCALE
    return max(1, -(-int(widest) // (WIDTH * SCALE // max(len(labels), 1))))


def _write(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    text: str,
    size: int,
    ink: str,
    *,
    weight: int = 450,
    centred: bool = False,
) -> None:
    """Text with its upper left corner there, or its upper middle; never beyond the picture's edges."""
    wide = _width(draw, text, size, weight)
    left = _px(x) - wide / 2 if centred else float(_px(x))
    left = max(0.0, min(left, WIDTH * SCALE - wide))
    base = _px(y) + size * SCALE
    for part, font in _parts(text, size, weight):
        draw.text((left, base), part, fill=ink, font=font, anchor="ls")
        left += draw.textlength(part, font=font)


def _width(draw: ImageDraw.ImageDraw, text: str, size: int, weight: int = 450) -> float:
    return sum(draw.textlength(part, font=font) for part, font in _parts(text, size, weight))


def _parts(text: str, size: int, weight: int) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    """The text in pieces, each with the one of our two font files that has its letters: ğ, ş and İ are in the second."""
    found: list[tuple[str, ImageFont.FreeTypeFont]] = []
    for letter in text:
        font = _font("inter-latin-ext" if _is_extended(letter) else "inter-latin", size, weight)
        if found and found[-1][1] is font:
            found[-1] = (found[-1][0] + letter, font)
        else:
            found.append((letter, font))
    return found


def _is_extended(letter: str) -> bool:
    # As the ranges in style.css: ı is in the first file.
    return letter not in "ıŒœ" and (
        0x100 <= ord(letter) <= 0x151 or letter in "₺₽" or 0x154 <= ord(letter) <= 0x17F
    )


@cache
def _font(name: str, size: int, weight: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(FONTS / f"{name}.woff2", size * SCALE)
    font.set_variation_by_axes([weight])
    return font
