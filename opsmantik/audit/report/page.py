"""A document as a page that needs nothing from anywhere: styles and charts are in it, and no script."""

from __future__ import annotations

import re
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from opsmantik.audit.report import charts
from opsmantik.audit.report.document import Document

_CODE: Final = re.compile(r"`([^`]+)`")
# Where a long name may go on in the next line: behind what joins its parts.
_SEAM: Final = re.compile(r"(?<=[\w}])([/._])(?=\w)")
_STRONG: Final = re.compile(r"\*\*(.+?)\*\*")


def as_html(document: Document) -> str:
    """The page."""
    made = Environment(
        loader=PackageLoader("opsmantik.audit", "report/templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"said": said, "lines": charts.lines, "field": charts.field}
    made.tests["kind"] = lambda block, name: type(block).__name__ == name
    return made.get_template("document.html").render(document=document, line=charts.LINE, plot=charts.PLOT)


def said(words: str) -> Markup:
    """Words with their code and their strong words; everything else is only words."""
    text = _CODE.sub(lambda found: "<code>" + _SEAM.sub(r"\1<wbr>", found[1]) + "</code>", str(escape(words)))
    return Markup(_STRONG.sub(r"<strong>\1</strong>", text))  # noqa: S704 - escaped above
