"""The landing pages carry the tracker, somebody to call, and nothing from anywhere else."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest

from opsmantik.attribution.click_ids import read_url
from opsmantik.attribution.targets import read_target
from opsmantik.demo.businesses import BUSINESSES
from opsmantik.demo.pages import LANDING_PAGES, STYLESHEET_PATH, landing_addresses, render, stylesheet

ALL = [(slug, page) for slug, landing in LANDING_PAGES.items() for page in landing.pages]
EVERY = pytest.mark.parametrize(("slug", "page"), ALL)


class Elements(HTMLParser):
    """All start tags of a page, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def elements(slug: str, page: str, **options: str) -> Elements:
    html = render(slug, page, **options)
    assert html is not None
    return Elements(html)


@EVERY
def test_the_tracker_is_the_only_script(slug: str, page: str) -> None:
    assert elements(slug, page).all("script") == [
        {"defer": "", "src": "/assets/core.js", "data-site-id": LANDING_PAGES[slug].public_id}
    ]


def test_tracker_and_site_can_be_named() -> None:
    (script,) = elements("vinc", "", public_id="f" * 32, collector="https://leads.example.com").all("script")
    assert script["src"] == "https://leads.example.com/assets/core.js"
    assert script["data-site-id"] == "f" * 32


@EVERY
def test_nothing_is_loaded_from_another_host_or_written_inline(slug: str, page: str) -> None:
    found = elements(slug, page)
    assert not found.inline
    for tag, attributes in found.found:
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            address = urlsplit(attributes.get(name, ""))
            assert not address.netloc or (tag, name, address.netloc) == ("a", "href", "wa.me")
    assert [link["href"] for link in found.all("link")] == [STYLESHEET_PATH]


def test_the_style_sheet_asks_nobody() -> None:
    assert "url(" not in stylesheet() and "@import" not in stylesheet()


@EVERY
def test_every_page_has_a_number_and_a_chat_that_are_leads(slug: str, page: str) -> None:
    targets = [read_target(link["href"], BUSINESSES[slug].region) for link in elements(slug, page).all("a")]
    leads = [target for target in targets if target is not None]
    assert all(target.lead for target in leads)
    assert {target.channel for target in leads} == {"phone", "whatsapp"}
    assert {target.number for target in leads} == {
        target.number for link in (BUSINESSES[slug].phone, BUSINESSES[slug].whatsapp)
        if (target := read_target(link, BUSINESSES[slug].region))
    }  # fmt: skip


@pytest.mark.parametrize("slug", LANDING_PAGES)
def test_the_form_has_a_name_and_sends_nothing_of_what_is_typed(slug: str) -> None:
    found = elements(slug, "")
    (form,) = found.all("form")
    assert form["id"] == BUSINESSES[slug].form
    assert form["action"] == f"/demo/{slug}/{LANDING_PAGES[slug].pages[-1]}"
    assert found.all("input") and not any(
        "name" in field for field in found.all("input") + found.all("select")
    )


@EVERY
def test_links_lead_to_pages_that_exist_and_hide_where_from(slug: str, page: str) -> None:
    for link in elements(slug, page).all("a"):
        if link["href"].startswith("/"):
            _, _, to, *rest = link["href"].split("/")
            assert "/".join(rest) in LANDING_PAGES[to].pages
            assert link["rel"] == "noreferrer"


@pytest.mark.parametrize(
    ("slug", "page"), [("vinc", "treatments"), ("nobody", ""), ("vinc", "../base"), ("", "")]
)
def test_other_pages_do_not_exist(slug: str, page: str) -> None:
    assert render(slug, page) is None


def test_addresses_to_try_are_those_of_ad_clicks() -> None:
    addresses = landing_addresses("http://127.0.0.1:8000")
    assert {urlsplit(address).path for address in addresses} == {"/demo/vinc", "/demo/clinic"}
    first, second, third = (read_url(address) for address in addresses)
    assert first.gclid and first.utm_term == "kiralık vinç" and first.matchtype == "p"
    assert second.wbraid and second.utm_term == "emergency dentist london"
    assert not third.has_click_id and parse_qs(urlsplit(addresses[2]).query)["utm_medium"] == ["email"]
