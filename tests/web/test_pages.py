"""The pages as a browser gets them: whose they are, what they say, and what they never do."""

from __future__ import annotations

import asyncio
import json
import re
import string
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.web import rendering
from opsmantik.web.language import LANGUAGES, catalogue, choose
from opsmantik.web.static_files import HERE as STATIC

PROTECTION = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
EMPTY_DAY = {
    "sessions": "0", "leads": "0", "with_click_id": "0", "waiting": "0", "sealed": "0", "junk": "0",
    "conversion_rate": "—", "response": "—",
}  # fmt: skip


def figures(html: str) -> dict[str, str]:
    return dict(re.findall(r'data-figure="(\w+)">([^<]*)<', html))


async def visit(web: Any, site: Any, *, tap: str | None = None, query: str = "", **changes: Any) -> None:
    """One visit with what a real tracker sends, and perhaps a tap on the phone number."""
    now, session = int(time.time() * 1000), str(uuid4())
    url = f"https://shop.example/{query}"
    events = [
        {"id": str(uuid4()), "ts": now - 900, "sid": session, "cat": "interaction", "act": "view", "url": url}
    ]
    if tap:
        kind = "form_submit" if tap == "form" else "whatsapp" if "wa.me" in tap else "phone_call"
        events.append(
            {
                "id": str(uuid4()),
                "ts": now,
                "sid": session,
                "cat": "conversion",
                "act": kind,
                "label": tap,
                "url": url,
            }
        )
    body = {"site": site.public_id, "sent": now, "v": "1", "events": events} | changes
    headers = {
        "content-type": "text/plain",
        "origin": "https://shop.example",
        "user-agent": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/141.0.0.0 Mobile Safari/537.36",
    }
    answer = await web.browser().http.post("/v1/events", content=json.dumps(body), headers=headers)
    assert answer.status_code == 200, answer.text


# Whose it is.


PARTS = ["", "/cards/figures", "/cards/waiting", "/cards/breakdowns", "/breakdown/source", "/stream"]


@pytest.mark.parametrize("part", PARTS)
async def test_a_site_that_is_not_yours_looks_exactly_like_one_that_is_not_there(
    signed_in: Any, make_site: Any, part: str
) -> None:
    browser, _ = await signed_in()
    theirs = await make_site(name="Secret Ltd")
    answers = [await browser.get(f"/sites/{site_id}{part}") for site_id in (theirs.id, uuid4())]
    assert [a.status_code for a in answers] == [404, 404]
    texts = {re.sub(r"[0-9a-f]{80}|[0-9a-f-]{36}", "", a.text) for a in answers}
    assert len(texts) == 1
    assert "There is nothing here" in texts.pop()


async def test_the_list_holds_ones_own_sites_only(signed_in: Any, own_site: Any, make_site: Any) -> None:
    browser, user_id = await signed_in()
    await own_site(user_id, name="Vinç Kiralama")
    await make_site(name="Secret Ltd")
    html = (await browser.get("/sites")).text
    assert "Vinç Kiralama" in html
    assert "Secret Ltd" not in html


@pytest.mark.parametrize(
    "path", ["/", "/sites", "/sites/new", "/account", "/sites/0b9c8d7e-0000-4000-8000-000000000001"]
)
async def test_no_page_opens_without_signing_in(web: Any, path: str) -> None:
    answer = await web.browser().get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


async def test_every_handler_is_closed_unless_it_says_public(web: Any) -> None:
    framework = web.app._framework
    public = {
        path
        for route in framework.routes
        for handler in route.route_handlers
        for path in [route.path]
        if handler.opt.get("public")
    }
    assert public == {
        "/api/oci/pull/{file_name:str}",  # a password of the site's own
        "/healthz", "/readyz", "/metrics", "/sign-in", "/sign-in/code", "/sign-out", "/set-up/{link:str}",
        "/sign-in/{provider:str}", "/sign-in/{provider:str}/callback", "/forgot", "/reset/{link:str}",
        "/invite/{token:str}", "/invite/{token:str}/join",
        "/api/docs", "/api/openapi.json", "/api/health",
        "/stop-mail/{token:str}", "/stop-summary/{token:str}", "/share/{token:str}", "/{anything:path}",
        "/demo/landing.css", "/demo/{slug:str}", "/demo/{slug:str}/{name:str}",
    }  # fmt: skip


# Sites.


async def test_without_a_site_the_list_says_what_to_do(signed_in: Any) -> None:
    browser, _ = await signed_in()
    html = (await browser.get("/sites")).text
    assert "No site yet" in html
    assert 'href="/sites/new"' in html


async def test_a_new_site_says_what_to_do_and_its_domain_may_post_at_once(
    web: Any, signed_in: Any, owner: Any
) -> None:
    browser, _ = await signed_in()
    answer = await browser.submit(
        "/sites/new", "/sites",
        domain="https://www.Vinc.example/iletisim", name=" Vinç ", time_zone="Asia/Kathmandu", region="TR", currency="try",
    )  # fmt: skip
    assert answer.status_code == 303
    path = answer.headers["location"]
    html = (await browser.get(path)).text
    assert "No event has arrived yet." in html
    assert f'href="{path}/install"' in html
    assert figures(html) == EMPTY_DAY
    row = await owner.fetchrow("SELECT * FROM sites WHERE id = $1", UUID(path.rpartition("/")[2]))
    public_id = row["public_id"]
    assert (row["name"], row["domain"], row["time_zone"], row["currency"]) == (
        "Vinç", "vinc.example", "Asia/Kathmandu", "TRY",
    )  # fmt: skip
    posted = await web.browser().http.post(
        "/v1/events",
        headers={"origin": "https://www.vinc.example", "user-agent": "Mozilla/5.0 Firefox/140.0"},
        content=json.dumps({"site": public_id, "sent": int(time.time() * 1000), "events": [
            {"id": str(uuid4()), "ts": int(time.time() * 1000), "sid": str(uuid4()), "cat": "interaction", "act": "view",
             "url": "https://www.vinc.example/"}]}),
    )  # fmt: skip
    assert posted.status_code == 200, posted.text
    after = (await browser.get(path)).text
    assert figures(after)["sessions"] == "1"
    assert "No event has arrived yet." not in after


BAD_FIELDS = {
    "domain": ({"domain": "not a domain"}, "That is not a domain such as example.com."),
    "time zone": ({"time_zone": "Mars/Olympus"}, "There is no such time zone."),
    "country": ({"region": "XX"}, "Choose a country."),
    "currency": ({"currency": "€€€"}, "A currency is three letters, as in TRY."),
}


@pytest.mark.parametrize(("changes", "words"), BAD_FIELDS.values(), ids=BAD_FIELDS.keys())
async def test_a_site_form_says_what_cannot_be_taken_beside_its_field(
    signed_in: Any, changes: dict[str, str], words: str
) -> None:
    browser, _ = await signed_in()
    fields = {
        "domain": "good.example",
        "name": "Kept",
        "time_zone": "Europe/Istanbul",
        "region": "TR",
        "currency": "TRY",
    }
    answer = await browser.submit("/sites/new", "/sites", **{**fields, **changes})
    assert answer.status_code == 422
    name = next(iter(changes))
    assert re.search(rf'id="{name}-problem" role="alert">{re.escape(words)}<', answer.text)
    assert answer.text.count('role="alert"') == 1
    assert 'value="Kept"' in answer.text
    assert "No site yet" in (await browser.get("/sites")).text


# One site.


async def test_the_page_of_a_site_shows_its_leads_with_keyword_and_source(
    web: Any, signed_in: Any, own_site: Any
) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id, name="Vinç Kiralama")
    await visit(web, site)
    await visit(
        web,
        site,
        tap="tel:0532 123 45 67",
        query="?gclid=Cj0KCQiAtestclick123&utm_term=kiral%C4%B1k+vin%C3%A7&utm_campaign=ist",
    )
    await visit(web, site, tap="https://wa.me/905321234567")
    html = (await browser.get(f"/sites/{site.id}")).text
    assert figures(html) == EMPTY_DAY | {
        "sessions": "3", "leads": "2", "with_click_id": "1", "waiting": "2", "conversion_rate": "0%",
    }  # fmt: skip
    rows = re.findall(r"<li id=\"lead-.*?</li>", html, re.S)
    assert len(rows) == 2
    newest, earlier = (" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows)
    assert newest.startswith("WhatsApp: +90 532 123 45 67"), newest
    for words in ("Phone: +90 532 123 45 67", "kiralık vinç", "First Click (Paid)", "gclid"):
        assert words in earlier
    assert (
        len(
            re.findall(
                r'<time datetime="[\d-]+T[\d:.]+Z" title="[^"]+, Europe/Istanbul[^"]*" data-ago>', html
            )
        )
        >= 2
    )


async def test_what_visitors_send_is_shown_and_never_runs(web: Any, signed_in: Any, own_site: Any) -> None:
    browser, user_id = await signed_in()
    site = await own_site(user_id, name="<b>Shop</b>")
    evil = "%3Cscript%3Ealert(1)%3C/script%3E"
    await visit(
        web, site, tap="tel:+905321234567", query=f"?gclid={evil}&utm_term={evil}&utm_campaign=%22%20onload=x"
    )
    html = (await browser.get(f"/sites/{site.id}")).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html
    assert "<b>Shop" not in html
    assert not re.search(r'<[^>]*[^&#\d;]"\s*onload=', html)


# What no page does.

PATHS = [
    "/sites",
    "/sites/new",
    "/account",
    "/nowhere",
    "{site}",
    "{site}?range=7d&scope=paid",
    "{site}/breakdown/keyword",
    "/sign-in",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_no_page_holds_inline_script_or_style_or_names_another_host(
    web: Any, signed_in: Any, own_site: Any, path: str, language: str
) -> None:
    browser, user_id = await signed_in(language=language)
    site = await own_site(user_id)
    await visit(web, site, tap="tel:+905321234567", query="?gclid=a")
    opened = web.browser() if path == "/sign-in" else browser
    html = (await opened.get(path.replace("{site}", f"/sites/{site.id}"))).text
    assert f'<html lang="{language if path != "/sign-in" else "en"}"' in html
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    for script in re.findall(r"<script[^>]*>", html):
        assert re.search(r' src="/static/[a-z_.]+\.js\?v=[0-9a-f]{12}"', script)
    linked = re.findall(r'(?:src|href|action)="([^"]*)"', html)
    assert linked and all(link.startswith(("/", "#")) and not link.startswith("//") for link in linked)


ANSWERS = [
    "/sites",
    "/sign-in",
    "/nowhere",
    "/healthz",
    "/readyz",
    "/static/style.css",
    "/static/nowhere",
    "/",
]


@pytest.mark.parametrize("path", ANSWERS)
async def test_every_answer_carries_the_same_protection(web: Any, path: str) -> None:
    answer = await web.browser().get(path)
    for name, value in PROTECTION.items():
        assert answer.headers[name] == value
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert (
        policy["script-src"]
        == policy["style-src"]
        == policy["connect-src"]
        == policy["form-action"]
        == "'self'"
    )
    assert "unsafe" not in answer.headers["content-security-policy"]
    if not path.startswith("/static"):
        assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


# When it goes wrong.


async def test_an_unknown_address_is_answered_in_words_and_in_the_browsers_language(web: Any) -> None:
    answer = await web.browser(accept_language="tr-TR,tr;q=0.9,en;q=0.5").http.get(
        "/nowhere", headers={"accept-language": "tr-TR,tr;q=0.9,en;q=0.5"}
    )
    assert answer.status_code == 404
    assert '<html lang="tr"' in answer.text
    assert "Burada bir şey yok" in answer.text


async def test_a_program_gets_a_problem_document(web: Any) -> None:
    answer = await web.browser().get("/api/nothing", accept="application/json")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


@pytest.mark.slow
async def test_a_mistake_of_ours_shows_words_and_no_trace(
    signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, _ = await signed_in()

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("opsmantik.web.pages.sites.sites_pulse", fail)
    answer = await browser.get("/sites")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert "secret detail" not in answer.text and "Traceback" not in answer.text
    part = await browser.get("/sites", hx_request="true")
    assert (part.status_code, part.text) == (500, "")


async def test_without_the_database_pages_say_so_and_readiness_does_too(
    web: Any, signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, _ = await signed_in()
    monkeypatch.setattr(web.app._page_database, "_pool", None)  # as before opening, or after losing it
    monkeypatch.setattr(web.app.readiness, "_kept", None)
    answer = await browser.get("/sites")
    assert answer.status_code == 503
    assert "The database does not answer." in answer.text
    assert int(answer.headers["retry-after"]) > 0
    ready = await browser.get("/readyz")
    assert ready.status_code == 503
    assert [reason["code"] for reason in ready.json()["reasons"]] == ["database_unavailable"]
    assert (await browser.get("/healthz")).status_code == 200


# Language and appearance.


def test_both_languages_have_every_word_with_the_same_places_for_values() -> None:
    words = [catalogue(language) for language in LANGUAGES]
    assert words[0].keys() == words[1].keys()
    for key in words[0]:
        shapes = []
        for catalog in words:
            value = catalog[key]
            if isinstance(value, list):
                assert len(value) in (7, 12)
                assert all(value)
                shapes.append(len(value))
                continue
            forms = list(value.values()) if isinstance(value, dict) else [value]
            assert all(form.strip() for form in forms), key
            if isinstance(value, dict):
                assert value.keys() == {"one", "other"}
            shapes.append(
                sorted({name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name})
            )
        assert key.startswith("format.") or shapes[0] == shapes[1], key


def test_every_word_that_a_template_asks_for_exists_and_every_word_is_asked_for() -> None:
    sources = [p for place in rendering.TEMPLATES for p in Path(place).glob("*.html")]
    sources += list((rendering.PACKAGE / "web").rglob("*.py"))
    text = "\n".join(path.read_text() for path in sources)
    asked = set(re.findall(r"""(?:\bt|words|\.table)\(\s*["']([a-z_]+(?:\.[a-z_]+)+)["']\s*[,)]""", text))
    built = set(re.findall(r"""(?:\bt|t\.get|words)\(\s*["']([a-z_]+\.[a-z_]*)["']\s*~""", text))
    known = set(catalogue("en"))
    assert asked - known == set()
    unused = {key for key in known - asked if not any(key.startswith(start) for start in built)}
    assert unused <= {"name"}


CHOICES = {
    "one's own choice": ("tr", "en", "tr"),
    "the browser's first": (None, "tr,en", "tr"),
    "a region of it": (None, "tr-CY", "tr"),
    "by weight, not by place": (None, "en;q=0.4, tr;q=0.8", "tr"),
    "the first that we speak": (None, "fr, de;q=0.9, tr;q=0.2", "tr"),
    "none that we speak": (None, "fr", "en"),
    "refused by the browser": (None, "tr;q=0, fr", "en"),
    "nothing said": (None, "", "en"),
    "nonsense": (None, ";q=x,;;,tr;q=high", "en"),
    "a choice of an earlier version": ("it", "tr", "tr"),
}


@pytest.mark.parametrize(("own", "accept", "chosen"), CHOICES.values(), ids=CHOICES.keys())
def test_the_language_follows_the_person_then_the_browser(own: str | None, accept: str, chosen: str) -> None:
    assert choose(own, accept) == chosen


async def test_language_and_theme_are_kept_with_the_account(signed_in: Any) -> None:
    browser, _ = await signed_in()
    assert "data-theme" not in (await browser.get("/account")).text
    answer = await browser.submit("/account", "/account", language="tr", theme="dark")
    assert answer.status_code == 303
    html = (await browser.get("/sites")).text
    assert '<html lang="tr" data-theme="dark">' in html
    assert "Henüz site yok" in html
    await browser.submit("/account", "/account", language="klingon", theme="")
    assert '<html lang="en">' in (await browser.get("/sites")).text


COLOUR = re.compile(r"--([\w-]+):\s*(#[0-9a-f]{6});")
READ_ON = {  # text: the surfaces it stands on
    "ink": ("paper", "surface", "raised", "accent-soft"),
    "ink-2": ("paper", "surface", "raised"),
    "accent": ("paper", "surface", "accent-soft"),
    "accent-ink": ("accent",),
    "good": ("surface", "good-soft"),
    "wait": ("surface", "wait-soft"),
    "bad": ("paper", "surface", "bad-soft"),
    "odd": ("paper", "surface", "odd-soft"),
}


def luminance(colour: str) -> float:
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def themes() -> dict[str, dict[str, str]]:
    text = (STATIC / "tokens.css").read_text()
    light, by_system, by_choice = text.split("@media")[0], text.split("@media")[1], text.rsplit(":root", 1)[1]
    return {"light": dict(COLOUR.findall(light)), "dark": dict(COLOUR.findall(by_choice))} | {
        "dark by system": dict(COLOUR.findall(by_system.split(':root[data-theme="light"] {')[0]))
    }


@pytest.mark.parametrize("theme", themes())
@pytest.mark.parametrize(("text", "surface"), [(t, s) for t, on in READ_ON.items() for s in on])
def test_text_on_its_surface_has_aa_contrast(theme: str, text: str, surface: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[text], colours[surface]) >= 4.5


def test_both_ways_to_the_dark_theme_give_the_same_colours() -> None:
    assert themes()["dark"] == themes()["dark by system"]


# Files.


async def test_style_and_script_are_packed_named_by_content_and_kept(web: Any) -> None:
    html = (await web.browser().get("/sign-in")).text
    address = re.search(r'"(/static/style\.css\?v=\w+)"', html)[1]  # type: ignore[index]
    answer = await web.browser().get(address)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == (STATIC / "style.css").read_text()
    again = await web.browser().get(address, if_none_match=answer.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    other = await web.browser().get("/static/style.css?v=000000000000")
    assert other.headers["cache-control"] == "public, max-age=3600"
    plain = await web.browser().get(address, accept_encoding="identity")
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("name", ["core.js", "VENDORED.md", "../app.py", "..%2fapp.py", "", "fonts/OFL.txt"])
async def test_only_what_pages_need_is_served_from_there(web: Any, name: str) -> None:
    assert (await web.browser().get(f"/static/{name}")).status_code == 404


async def test_a_page_is_packed_for_a_browser_that_can(web: Any) -> None:
    assert (await web.browser().get("/sign-in")).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in (await web.browser().get("/sign-in", accept_encoding="identity")).headers


# Health.


async def test_a_server_that_can_store_events_is_ready(web: Any) -> None:
    answer = await web.browser().get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "reasons": []})
    assert (await web.browser().get("/healthz")).json() == {"status": "ok"}


async def test_a_missing_month_a_closed_door_and_an_unsafe_role_each_make_it_unready(
    web: Any, owner: Any, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opsmantik.db.connect import Database
    from opsmantik.web.health import Readiness

    async def codes(readiness: Readiness) -> list[str]:
        return [reason["code"] for reason in await readiness.reasons()]

    following = await owner.fetchval(
        "SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYY_MM')"
    )
    await owner.execute(f"ALTER TABLE parts.events_{following} RENAME TO events_elsewhere")
    try:
        (reason,) = await web.app.readiness.reasons()
        assert reason["code"] == "partitions"
        assert f"events_{following}" in reason["message"]
    finally:
        await owner.execute(f"ALTER TABLE parts.events_elsewhere RENAME TO events_{following}")

    assert await codes(Readiness(web.app._page_database, lambda: False)) == ["collect"]
    unsafe = Database(database.owner)
    monkeypatch.setattr("opsmantik.db.connect.refuse_unsafe_role", _no_check)
    await unsafe.open()
    try:
        assert await codes(Readiness(unsafe, lambda: True)) == ["unsafe_role"]
    finally:
        await unsafe.close()
    assert await codes(Readiness(Database("postgresql://nobody@127.0.0.1:1/none"), lambda: True)) == [
        "database_unavailable"
    ]


async def _no_check(_: Any) -> None:
    pass


async def test_a_full_disk_and_a_worker_that_has_ended_make_it_unready_too(web: Any, tmp_path: Path) -> None:
    from opsmantik.web.health import Readiness, free_bytes

    def readiness(**more: Any) -> Readiness:
        return Readiness(web.app._page_database, lambda: True, home=tmp_path / "not" / "there", **more)

    free = (free_bytes(tmp_path) or 0) // 1_000_000
    assert await readiness(least_free_mb=max(free // 2, 1)).reasons() == []
    (full,) = await readiness(least_free_mb=free * 2 + 1000).reasons()
    assert full["code"] == "disk" and "OPSMANTIK_DISK_FREE_MB" in full["message"]
    (tired,) = await readiness(workers={"writer": lambda: False, "folding": lambda: True}).reasons()
    assert tired["code"] == "worker" and "writer" in tired["message"] and "folding" not in tired["message"]


async def test_readiness_is_asked_for_once_a_second_however_many_ask(web: Any) -> None:
    from opsmantik.web.health import Readiness

    asked = 0

    def well() -> bool:
        nonlocal asked
        asked += 1
        return True

    readiness = Readiness(web.app._page_database, well)
    assert await asyncio.gather(*(readiness.lately() for _ in range(20))) == [[]] * 20
    assert asked == 1
    readiness._kept = (readiness._kept[0] - 1.1, [])
    assert await readiness.lately() == [] and asked == 2
    readiness.stopping = True
    assert (await readiness.lately())[0]["code"] == "stopping"  # that is said at once
