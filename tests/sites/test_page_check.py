"""What a page says about its installation, and which content policies would stop it."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsmantik.sites.page_check import blocking, check_page
from opsmantik.sites.snippets import consent, first_party, plain, tag_manager

SITE = "0123456789abcdef" * 2
BASE = "https://stats.example.com"
PAGE = "https://www.shop.example/contact"
TAG = plain(BASE, SITE, "implied")

PAGES = {
    "our snippet": (f"<head>{TAG}</head>", {}, None),
    "the site id with hyphens": (
        TAG.replace(SITE, "01234567-89ab-cdef-0123-456789abcdef"), {}, None,
    ),
    "upper case markup": (TAG.upper().replace("ASSETS/CORE.JS", "assets/core.js"), {}, None),
    "through the own domain": (first_party(SITE, "required"), {}, None),
    "through the own domain, with a policy of its own": (
        first_party(SITE, "required"), {"content-security-policy": "default-src 'self'"}, None,
    ),
    "made by a script in the page": (tag_manager(BASE, SITE, "implied"), {}, None),
    "the first generation's": (
        f'<script src="{BASE}/assets/core.js" data-ops-site-id="{SITE}" data-api="{BASE}/api/sync"></script>', {},
        "first_generation",
    ),
    "another site's beside ours": (TAG.replace(SITE, "f" * 32) + TAG, {}, None),
    "another site's alone": (TAG.replace(SITE, "f" * 32), {}, "other_site"),
    "without a site": (f"<script src='{BASE}/assets/core.js'></script>", {}, "no_address"),
    "in a comment": (f"<!-- {TAG} -->", {}, "no_tag"),
    "as text": (f"<pre>{TAG.replace('<', '&lt;')}</pre>", {}, "no_tag"),
    "written by a script": (f"<script>document.write('{TAG.replace('</', '<!')}')</script>", {}, None),
    "nothing": ("", {}, "no_tag"),
    "no page at all": ("\x00<<<script data-site-id", {}, "no_tag"),
    "a policy in the page": (
        f"<meta http-equiv='Content-Security-Policy' content=\"script-src 'self'\">{TAG}", {}, "script_blocked",
    ),
    "a policy that knows us": (
        TAG, {"content-security-policy": f"script-src {BASE}; connect-src {BASE}"}, None,
    ),
    "a policy that lets load and not send": (
        TAG, {"content-security-policy": f"default-src 'self'; script-src {BASE}"}, "events_blocked",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("html", "headers", "problem"), PAGES.values(), ids=PAGES.keys())
def test_what_is_wrong_with_a_page(html: str, headers: dict[str, str], problem: str | None) -> None:
    assert check_page(html, PAGE, headers, SITE, BASE).problem == problem


def test_the_document_has_the_snippets_of_the_page() -> None:
    text = (Path(__file__).parents[2] / "docs" / "install.md").read_text()
    for made in (
        plain(BASE, "YOUR-SITE-ID", "implied"), tag_manager(BASE, "YOUR-SITE-ID", "implied"),
        first_party("YOUR-SITE-ID", "implied"), consent(),
    ):  # fmt: skip
        assert f"```html\n{made}\n```" in text


def test_where_events_go_and_what_is_in_the_way_is_told() -> None:
    found = check_page(first_party(SITE, "implied"), PAGE, {}, SITE, BASE)
    assert found.sends_to == "https://www.shop.example/om/events"
    assert check_page(TAG, PAGE, {}, SITE, BASE).sends_to == f"{BASE}/v1/events"
    found = check_page(TAG, PAGE, {"content-security-policy": "default-src 'self'"}, SITE, BASE)
    assert (found.problem, found.blocked) == ("script_blocked", "default-src")


def test_tag_manager_is_seen() -> None:
    html = (
        "<script>(function(w){w.x='https://www.googletagmanager.com/gtm.js?id=GTM-ABC123'})(window)</script>"
    )
    found = check_page(html, PAGE, {}, SITE, BASE)
    assert (found.problem, found.tag_manager) == ("no_tag", True)


SCRIPT = f"{BASE}/assets/core.js"
POLICIES = {
    "none": ("", None),
    "about other things": ("img-src 'none'", None),
    "its host": ("script-src stats.example.com", None),
    "its host with its scheme": ("script-src https://stats.example.com", None),
    "its host, another scheme": ("script-src wss://stats.example.com", "script-src"),
    "any below": ("script-src *.example.com", None),
    "below itself": ("script-src *.stats.example.com", "script-src"),
    "its scheme": ("script-src https:", None),
    "everything": ("script-src *", None),
    "its path": ("script-src https://stats.example.com/assets/core.js", None),
    "its folder": ("script-src https://stats.example.com/assets/", None),
    "another path": ("script-src https://stats.example.com/other.js", "script-src"),
    "another port": ("script-src https://stats.example.com:8443", "script-src"),
    "any port": ("script-src https://stats.example.com:*", None),
    "the page's own host": ("script-src 'self'", "script-src"),
    "nobody": ("script-src 'none'", "script-src"),
    "an empty list": ("script-src", "script-src"),
    "elements before scripts": ("script-src 'none'; script-src-elem https:", None),
    "scripts before the rest": ("default-src https:; script-src 'self'", "script-src"),
    "the rest": ("default-src 'self'", "default-src"),
    "the first of two directives counts": ("script-src https:; script-src 'none'", None),
    "a nonce that it has": ("script-src 'nonce-abc' 'strict-dynamic'", None),
    "a nonce that it has not": ("script-src 'nonce-xyz'", "script-src"),
    "strict-dynamic ignores hosts": ("script-src 'strict-dynamic' https:", "script-src"),
    "two policies, one against": ("script-src https:, script-src 'self'", "script-src"),
}


@pytest.mark.parametrize(("policy", "stopped"), POLICIES.values(), ids=POLICIES.keys())
def test_a_policy_is_read_as_browsers_read_it(policy: str, stopped: str | None) -> None:
    assert blocking([policy], "script-src", SCRIPT, PAGE, nonce="abc") == stopped
