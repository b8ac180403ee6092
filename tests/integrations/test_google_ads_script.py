"""The script to paste into Google Ads: in Chromium's JavaScript, with stand-ins for Google's objects, over our server."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, Route, async_playwright

from tests.browser import FLAGS
from tests.browser import chromium as executable
from tests.web.carrying import NAME, Carrier, carrier

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SCRIPT = (Path(__file__).parents[2] / "integrations" / "google_ads_script" / "opsmantik.js").read_text()
# UrlFetchApp answers at once, so a request that waits is what stands in for it.
GOOGLE = """
const told = [], uploads = [], slept = [];
let clock = null;
const now = Date.now.bind(Date);
Date.now = () => now() + (clock ? clock() : 0);
const Logger = { log: (words) => told.push(String(words)) };
const Utilities = {
  Charset: { UTF_8: 'UTF-8' },
  sleep: (ms) => { slept.push(ms); },
  computeHmacSha256Signature: (text, key, charset) => {
    const call = new XMLHttpRequest();
    call.open('POST', '/hmac', false);
    call.send(new URLSearchParams({ text, key, charset }).toString());
    return Array.from(JSON.parse(call.responseText));
  },
};
const UrlFetchApp = {
  fetch: (url, options) => {
    const call = new XMLHttpRequest();
    call.open(options.method.toUpperCase(), url, false);
    for (const [name, value] of Object.entries(options.headers || {})) call.setRequestHeader(name, value);
    if (options.contentType) call.setRequestHeader('Content-Type', options.contentType);
    try { call.send(options.payload ?? null); } catch (lost) { throw new Error('Address unavailable: ' + url); }
    if (!options.muteHttpExceptions && call.status >= 400) throw new Error('Request failed');
    const headers = Object.fromEntries(call.getAllResponseHeaders().trim().split('\\r\\n').map((line) => line.split(': ')));
    return { getResponseCode: () => call.status, getContentText: () => call.responseText, getHeaders: () => headers };
  },
};
const AdsApp = {
  getExecutionInfo: () => ({ isPreview: () => IS_PREVIEW }),
  bulkUploads: () => ({
    newCsvUpload: (columns, options) => {
      if (!options || !options.timeZone) throw new Error('timeZone is required for offline conversion uploads');
      const made = { columns, options, rows: [], offline: false, applied: false, name: '' };
      return {
        forOfflineConversions() { made.offline = true; return this; },
        setFileName(name) { made.name = name; return this; },
        append(row) { made.rows.push(columns.map((column) => String(row[column] ?? ''))); return this; },
        apply() {
          if (BREAKS) throw new Error('Service unavailable for a@b.example, id 123456');
          made.applied = true;
          uploads.push(made);
        },
      };
    },
  }),
};
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def page(web: Any, chromium: Chromium) -> AsyncIterator[Page]:
    """A page of the server's own, where a script may ask it; Google's servers ask it from elsewhere."""
    found = await chromium.new_page()

    async def sign(route: Route) -> None:
        asked = parse_qs(route.request.post_data or "", keep_blank_values=True)
        mac = hmac.new(asked["key"][0].encode(), asked["text"][0].encode(), hashlib.sha256).digest()
        await route.fulfill(json=[byte - 256 if byte > 127 else byte for byte in mac])

    await found.route("**/hmac", sign)
    await found.goto(f"{web.base_url}/healthz")
    yield found
    await found.close()


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> Carrier:
    made = await carrier(signed_in, make_world)
    await made.route("script")
    return made


class Run:
    """What a run of the script has done."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.told: list[str] = found["told"]
        self.uploads: list[dict[str, Any]] = found["uploads"]
        self.slept: list[int] = found["slept"]
        self.error: str | None = found["error"]

    def rows(self, upload: int = 0) -> list[dict[str, str]]:
        made = self.uploads[upload]
        return [dict(zip(made["columns"], row, strict=True)) for row in made["rows"]]


async def run(
    page: Page, desk: Carrier, *, preview: bool = False, breaks: bool = False, before: str = "", **config: str
) -> Run:
    values = {"url": desk.world.web.base_url, "site": desk.world.site.public_id, "key": desk.key, **config}
    source = SCRIPT
    for name, value in values.items():
        source, count = re.subn(rf"(\n  {name}: )'[^']*'", rf"\g<1>'{value}'", source)
        assert count == 1
    google = GOOGLE.replace("IS_PREVIEW", str(preview).lower()).replace("BREAKS", str(breaks).lower())
    found = await page.evaluate(
        f"(() => {{ {google}\n{source}\n{before}\nlet error = null;"
        " try { main(); } catch (broken) { error = String(broken.message); }"
        " return { told, uploads, slept, error }; })()"
    )
    made = Run(found)
    said = " ".join([*made.told, made.error or ""])
    assert desk.key not in said and "om_session" not in said and "Cj0K" not in said, "a secret is in the log"
    return made


async def test_claim_upload_acknowledge_until_nothing_is_due(page: Page, desk: Carrier) -> None:
    leads = await desk.sealed(3)
    found = await run(page, desk, before="LIMIT = 2;")
    assert found.error is None and [len(upload["rows"]) for upload in found.uploads] == [2, 1]
    assert await desk.states() == ["accepted"] * 3 and await desk.holds() == 3 * 1250.5
    for upload in found.uploads:
        assert (
            upload["offline"]
            and upload["applied"]
            and upload["options"] == {"moneyInMicros": False, "timeZone": "Europe/Istanbul"}
        )
    rows = [*found.rows(0), *found.rows(1)]
    assert {row["Order ID"] for row in rows} == {(await desk.row(lead))["order_id"] for lead in leads}
    for row in rows:
        assert row["Google Click ID"].startswith("Cj0KCQiA-") and not row["WBRAID"] + row["GBRAID"]
        assert (row["Conversion Name"], row["Conversion Value"], row["Ad User Data"]) == (
            NAME,
            "1250.5",
            "GRANTED",
        )
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0300", row["Conversion Time"])
    assert "3 rows uploaded" in found.told[-1]
    assert (await run(page, desk)).uploads == []


async def test_corrections_are_uploads_of_their_own(page: Page, desk: Carrier) -> None:
    changed, junked = await desk.sealed(2)
    await run(page, desk)
    await desk.decide(changed, action="sale", amount=900)
    await desk.decide(junked, action="junk", reason="spam")
    found = await run(page, desk)
    rows = sorted(
        (row["Adjustment Type"], row["Adjusted Value"], row["Adjusted Value Currency"])
        for n in (0, 1)
        for row in found.rows(n)
    )
    assert rows == [("RESTATE", "900", "TRY"), ("RETRACT", "", "")]
    assert await desk.holds() == 900


async def test_an_upload_that_broke_is_reported_and_comes_again_as_it_was(page: Page, desk: Carrier) -> None:
    (lead,) = await desk.sealed(1)
    broken = await run(page, desk, breaks=True)
    assert broken.uploads == [] and broken.error is None and await desk.states() == ["sent"]
    assert "a@b.example" not in " ".join(broken.told) and "123456" not in " ".join(broken.told)
    assert (await run(page, desk)).uploads == [], "not at once"
    await desk.lapses()
    found = await run(page, desk)
    assert found.rows()[0]["Order ID"] == (await desk.row(lead))["order_id"] and await desk.states() == [
        "accepted"
    ]


async def test_an_acknowledgement_that_is_lost_uploads_the_same_order_ids_again(
    page: Page, desk: Carrier
) -> None:
    await desk.sealed(2)
    await page.route("**/api/oci/ack", lambda route: route.abort())
    lost = await run(page, desk)
    assert lost.error and "did not answer /api/oci/ack" in lost.error and len(lost.slept) == 3
    assert await desk.states() == ["sent", "sent"]
    await page.unroute("**/api/oci/ack")
    await desk.lapses()
    again = await run(page, desk)
    assert again.uploads[0]["rows"] == lost.uploads[0]["rows"] and await desk.states() == [
        "accepted",
        "accepted",
    ]


async def test_a_server_that_is_busy_is_asked_again_after_its_pause(page: Page, desk: Carrier) -> None:
    await desk.sealed(1)
    left = [2]

    async def busy(route: Route) -> None:
        left[0] -= 1
        if left[0] < 0:
            await route.fallback()
        else:
            await route.fulfill(status=429, headers={"Retry-After": "30"}, json={"code": "too_many"})

    await page.route("**/api/oci/google-ads-export*", busy)
    found = await run(page, desk)
    assert found.slept[:2] == [30000, 30000] and await desk.states() == ["accepted"]


async def test_rows_that_google_would_refuse_are_not_uploaded(page: Page, desk: Carrier) -> None:
    await desk.sealed(2)

    async def spoil(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        if body["items"]:
            body["items"][0]["conversionTime"] = "2026-11-22 10:00:00"
        await route.fulfill(json=body)

    await page.route("**/api/oci/google-ads-export*", spoil)
    found = await run(page, desk)
    assert len(found.rows()) == 1 and "1 refused here" in found.told[-1]
    rows = await desk.owner.fetch(
        "SELECT state, reason FROM conversions WHERE site_id = $1 ORDER BY state", desk.world.site.id
    )
    assert [tuple(row) for row in rows] == [("accepted", None), ("failed", "invalid_time_format")]


async def test_it_stops_in_time_and_the_next_run_goes_on(page: Page, desk: Carrier) -> None:
    await desk.sealed(3)
    found = await run(
        page, desk, before="LIMIT = 1; let asked = 0; clock = () => asked++ > 1 ? 26 * 60000 : 0;"
    )
    assert len(found.uploads) == 1 and "stopped in time" in found.told[-1]
    assert len((await run(page, desk)).rows()) == 2


async def test_a_preview_claims_nothing(page: Page, desk: Carrier) -> None:
    await desk.sealed(2)
    found = await run(page, desk, preview=True)
    assert found.uploads == [] and "2 rows are due" in found.told[0] and await desk.states() == ["queued"] * 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"key": ""}, "fill in"),
        ({"key": "om_site_x"}, "HTTP 401 key_refused"),
        ({"site": "c" * 32}, "HTTP 404 not_found"),
    ],
    ids=["no key", "a wrong key", "a strange site"],
)
async def test_what_is_set_up_wrongly_is_said(
    page: Page, desk: Carrier, config: dict[str, str], words: str
) -> None:
    assert words in ((await run(page, desk, **config)).error or "")


def test_the_script_is_what_google_ads_runs() -> None:
    """Plain functions and var at the top: no modules, no classes, nothing of a browser's."""
    code = re.sub(r"/\*.*?\*/", "", SCRIPT, flags=re.DOTALL)
    code = re.sub(r"(?m)(?<!:)//.*$|'[^'\n]*'", "", code)
    assert not re.findall(
        r"\b(?:import|export|require|class|async|await|console|window|document|let|const)\b", code
    )
    assert SCRIPT.isascii() and "function main()" in code
