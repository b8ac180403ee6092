"""The landing pages of the demo's two businesses, served under ``/demo/<slug>``: pages to tap a number on.

Enters: a slug and a page's name from the address. Leaves: HTML as text, or None where there is no such page.
The pages hold no script but the tracker's tag and no style but the one sheet, so the strictest policy
(``default-src 'self'``) suits them; their form sends nothing of what is typed. Links between them carry
``rel=noreferrer``: the demo's host is not the site's own, and a visit must not count as referred by itself.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

import jinja2
import msgspec

from opsmantik.demo.businesses import BUSINESSES

HERE: Final = Path(__file__).parent / "landing"
STYLESHEET_PATH: Final = "/demo/landing.css"
"""Where the pages expect :func:`stylesheet`."""


class LandingPage(msgspec.Struct, frozen=True):
    """A business's landing pages: the site's public id, and the names that may follow ``/demo/<slug>/``."""

    slug: str
    public_id: str
    pages: tuple[str, ...]


LANDING_PAGES: Final = MappingProxyType(
    {
        "vinc": LandingPage("vinc", BUSINESSES["vinc"].public_id, ("", "hizmetler", "tesekkurler")),
        "clinic": LandingPage("clinic", BUSINESSES["clinic"].public_id, ("", "treatments", "thanks")),
    }
)
"""By slug. The page with no name is the landing page itself; the last is where the form leads."""

# What one would have come by: a click on a search ad, on one shown in iOS, and on a friend's advice.
_ADDRESSES: Final = (
    ("vinc", {
        "gclid": "Cj0KCQiA-demo-2f6c9XwTqLr8VbNhYz0aJm4PdKs7EuGo1BxRiCt5",
        "utm_source": "google", "utm_medium": "cpc", "utm_campaign": "ist-vinc-kiralama",
        "utm_term": "kiralık vinç", "matchtype": "p", "network": "g", "device": "m",
    }),
    ("clinic", {
        "wbraid": "CjgKCAjw-demo-7Hq2VtZc9LmXsKd4RnWb8YpGfJ",
        "utm_source": "google", "utm_medium": "cpc", "utm_campaign": "ldn-emergency",
        "utm_term": "emergency dentist london", "matchtype": "e", "network": "g", "device": "m",
    }),
    ("clinic", {"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "autumn-check-up"}),
)  # fmt: skip


def landing_addresses(base_url: str) -> tuple[str, ...]:
    """Addresses to open in another tab, each as if an ad or a newsletter had led there."""
    return tuple(f"{base_url}/demo/{slug}?{urlencode(query)}" for slug, query in _ADDRESSES)


def render(slug: str, page: str = "", *, public_id: str | None = None, collector: str = "") -> str | None:
    """One page as HTML, or None if there is none of that name.

    ``public_id``: the site that its visits belong to (the demo's own if not given). ``collector``: scheme and
    host that the tracker comes from and posts to; empty for the host that serves the page.
    """
    landing = LANDING_PAGES.get(slug)
    if landing is None or page not in landing.pages:
        return None
    kind = _KINDS[landing.pages.index(page)]
    places = zip(_KINDS, landing.pages, strict=True)
    links = {known: f"/demo/{slug}/{name}".rstrip("/") for known, name in places}
    return (
        _environment()
        .get_template(f"{slug}/{kind}.html")
        .render(
            business=BUSINESSES[slug],
            public_id=public_id or landing.public_id,
            collector=collector,
            stylesheet=STYLESHEET_PATH,
            links=links,
            here=kind,
        )
    )


_KINDS: Final = ("home", "services", "thanks")


@cache
def stylesheet() -> str:
    """The one style sheet of all landing pages."""
    return (HERE / "landing.css").read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
