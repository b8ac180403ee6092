"""A site's overview in Chromium on a processor slowed down four times: the first paint, a hand's touch, its weight."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results import Figure, Wanted, figures
from stand import VoidError, free_port

SLOWER = 4
LOADS = 7
LONGEST = 240
KILOBYTE = 1000
# What the page tells of itself: every touch with its length to the next paint, and everything that moved by itself.
WATCH = """
window.touches = []; window.moved = 0;
const each = (type, what, more) =>
  new PerformanceObserver((list) => list.getEntries().forEach(what)).observe({ type, ...more });
each("event", (e) => { if (e.interactionId) window.touches.push(e.duration); }, { durationThreshold: 16 });
each("layout-shift", (e) => { if (!e.hadRecentInput) window.moved += e.value; }, { buffered: true });
"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
WEIGHT = """performance.getEntriesByType('resource').filter((r) => /[.](js|css)[?]/.test(r.name))
  .reduce((sum, r) => sum + r.encodedBodySize, 0)"""
# Told of a change as by the stream, and waited for until the figures of a later moment are there.
REFRESH = """async () => {
  const moment = () => document.querySelector("#tiles time").dateTime;
  const before = moment();
  document.body.dispatchEvent(new CustomEvent("om:tiles"));
  document.body.dispatchEvent(new CustomEvent("om:intents"));
  for (let n = 0; n < 100 && moment() === before; n += 1) await new Promise((done) => setTimeout(done, 100));
  if (moment() === before) throw new Error("the figures did not change");
  await new Promise((done) => setTimeout(done, 500));
}"""


def overview(directory: Path, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """A demo with sixty days of history; each run is a browser context with nothing in its cache."""
    home = Path(tempfile.mkdtemp(prefix="opsmantik-bench-", dir=directory))
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPSMANTIK_", "DATABASE_"))
    }
    port = free_port()
    environ = kept | {"OPSMANTIK_HOME": str(home), "OPSMANTIK_PORT": str(port)}
    try:
        said = _command(environ, "up", "--demo", "--detach")
        account = re.search(r"Sign in as (\S+) with the password (\S+)", said)
        if account is None:
            raise VoidError(f"the demo names no account:\n{said[-2000:]}")
        runs = _measured(f"http://127.0.0.1:{port}", account[1], account[2], LOADS if scale == 1 else 2)
    finally:
        _command(environ, "down", check=False)
        shutil.rmtree(home, ignore_errors=True)
    wanted = [
        Wanted("overview, CPU 4 times slower: first paint of content", "ms", lambda run: run["paint"], None, 1000, True),
        Wanted("overview: another series of the chart", "ms", lambda run: run["series"], None, 100, True),
        Wanted("overview: opening the choice of days", "ms", lambda run: run["picker"], None, 100, True),
        Wanted("overview: script and style, packed", "kB", lambda run: run["weight"] / KILOBYTE, None, 100, True),
        Wanted("overview: layout shift while figures refresh", "", lambda run: run["moved"], None, 0, True),
    ]  # fmt: skip
    return figures(runs, wanted, "Chromium's own work on a slowed processor: style, layout, the chart"), runs


def _measured(base_url: str, email: str, password: str, loads: int) -> list[dict[str, Any]]:
    # Only this bench needs a browser.
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise VoidError("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--headless=new", "--no-sandbox", "--disable-gpu"]
        )
        signing = browser.new_context()
        page = signing.new_page()
        page.goto(f"{base_url}/sign-in")
        page.fill("input[name=email]", email)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_url("**/sites*")
        address = page.locator("main a:has-text('Vinç')").first.get_attribute("href") or ""
        cookies = signing.cookies()
        signing.close()
        runs = [_visit(browser, cookies, f"{base_url}{address}?range=30d") for _ in range(loads)]
        browser.close()
    return runs


def _visit(browser: Any, cookies: Any, address: str) -> dict[str, Any]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.add_cookies(cookies)
    page = context.new_page()
    page.add_init_script(WATCH)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(address)
    page.wait_for_selector("#breakdowns table.hours")
    page.wait_for_selector("#chart canvas")
    page.wait_for_timeout(500)
    found: dict[str, Any] = {"paint": page.evaluate(PAINT), "weight": page.evaluate(WEIGHT)}
    found["series"] = _touch(page, "#trend-series label:first-of-type")
    found["picker"] = _touch(page, "#picker summary")
    page.keyboard.press("Escape")
    page.wait_for_timeout(600)  # for half a second after a touch what moves is not counted
    page.evaluate("window.moved = 0")
    for _ in range(3):
        page.evaluate(REFRESH)
    found["moved"] = page.evaluate("window.moved")
    context.close()
    if found["paint"] is None:
        raise VoidError("nothing was painted")
    return found


def _touch(page: Any, selector: str) -> float:
    """How long the longest event of a click took until the next paint; what took less than 16 ms is not told of."""
    page.evaluate("window.touches = []")
    page.click(selector)
    page.wait_for_timeout(500)
    return float(max(page.evaluate("window.touches"), default=16))


def _command(environ: dict[str, str], *words: str, check: bool = True) -> str:
    # Into a file: what stays behind keeps the output open, and a pipe would be waited for.
    with tempfile.TemporaryFile() as said:
        command = [sys.executable, "-m", "opsmantik.cli", *words]
        done = subprocess.run(command, env=environ, stdout=said, stderr=said, timeout=LONGEST, check=False)
        said.seek(0)
        text = said.read().decode()
    if check and done.returncode:
        raise VoidError(f"opsmantik {' '.join(words)} ended with {done.returncode}:\n{text[-2000:]}")
    return text
