"""From a tap on a phone link to a lead on an operator's screen, while other visitors keep the server busy.

The screen is a client that does what the site's page does: it signs in, keeps the stream of server-sent events open
and asks for the cards again when the stream tells of a new lead. A tap is on the screen when the answer with the card
that shows its number is there, whole; only the browser's painting is missing.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
from load import Report, percentiles
from results import Figure, Wanted, bound_by, figures
from stand import HERE, Stand, VoidError

from opsmantik.people.passwords import Passwords

TAPS, TAPS_A_SECOND, RATE = 100, 2.0, 200.0
WARM, PATIENCE = 1.0, 10.0
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
NUMBER = re.compile(r"\+90 500 002 (\d\d) (\d\d)")  # numbers that the other visitors do not tap
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"


class Tap(msgspec.Struct):
    """A tap's way, in seconds from the moment at which its request went out."""

    sent: float
    answered: float = 0.0
    told: float = 0.0  # the stream said that there is a new lead
    seen: float = 0.0  # the card with it was there


class Screen:
    """One open page of a site."""

    def __init__(self, client: httpx.AsyncClient, site: UUID, taps: dict[int, Tap]) -> None:
        self._client, self._site, self._taps = client, site, taps
        self._told: float | None = None
        self._wake = asyncio.Event()

    async def sign_in(self, email: str, password: str) -> None:
        found = TOKEN.search((await self._client.get("/sign-in")).text)
        if found is None:
            raise VoidError("the sign-in page has no form")
        fields = {"form_token": found[1], "email": email, "password": password}
        answer = await self._client.post("/sign-in", data=fields)
        if answer.status_code != 303:
            raise VoidError(f"signing in was answered with {answer.status_code}")

    async def listen(self, listening: asyncio.Event) -> None:
        """Hear the stream; note when a new lead was told of first since the last look."""
        async with self._client.stream("GET", f"/api/v1/sites/{self._site}/stream", timeout=None) as answer:
            if answer.status_code != 200:
                raise VoidError(f"the stream was answered with {answer.status_code}")
            async for event, data in server_sent_events(answer):
                listening.set()
                if event == "change" and '"kind":"i"' in data and self._told is None:
                    self._told = time.perf_counter()
                    self._wake.set()

    async def refresh(self) -> None:
        """Ask for both cards, as the page does, each time a new lead was told of."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            told, self._told = self._told, None
            cards = (f"/sites/{self._site}/cards/{name}" for name in ("figures", "waiting"))
            _, leads = await asyncio.gather(*(self._client.get(card) for card in cards))
            now = time.perf_counter()
            for high, low in set(NUMBER.findall(leads.text)):
                tap = self._taps.get(int(high) * 100 + int(low))
                if tap is not None and not tap.seen:
                    tap.told, tap.seen = (told or now) - tap.sent, now - tap.sent


async def server_sent_events(answer: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """Name and data of each server-sent event."""
    event = data = ""
    async for line in answer.aiter_lines():
        if line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("data:"):
            data = line[5:].strip()
        elif not line:
            yield event, data
            event = data = ""


async def _tap(
    client: httpx.AsyncClient, public_id: str, domain: str, number: int, taps: dict[int, Tap]
) -> None:
    """One visitor's tap, as the tracker sends it."""
    now = int(time.time() * 1000)
    campaign = f"utm_source=google&utm_medium=cpc&utm_term=kiralik+vinc&gclid=Cj0KCQ{secrets.token_hex(30)}"
    page = f"https://www.{domain}/?{campaign}"
    event = {
        "id": str(uuid4()), "ts": now, "sid": str(uuid4()), "vid": str(uuid4()), "cat": "conversion", "act": "phone_call",
        "label": f"tel:0500 002 {number // 100:02d} {number % 100:02d}", "url": page, "ref": "https://www.google.com/",
    }  # fmt: skip
    headers = {
        "content-type": "text/plain;charset=UTF-8", "origin": f"https://www.{domain}", "user-agent": CHROME,
        "x-forwarded-for": f"88.{160 + number % 90}.12.34",
    }  # fmt: skip
    body = msgspec.json.encode({"site": public_id, "sent": now, "v": "1.0.0", "events": [event]})
    taps[number] = Tap(time.perf_counter())
    answer = await client.post("/v1/events", content=body, headers=headers)
    if answer.status_code != 200:
        raise VoidError(f"a tap was answered with {answer.status_code}")
    taps[number].answered = time.perf_counter() - taps[number].sent


async def _run(stand: Stand, count: int) -> dict[str, Any]:
    site, password = await _operator(stand)
    taps: dict[int, Tap] = {}
    async with (
        httpx.AsyncClient(base_url=stand.url, timeout=20) as operator,
        httpx.AsyncClient(base_url=stand.url) as visitors,
        _others(stand, count / TAPS_A_SECOND + 2) as others,
    ):
        screen = Screen(operator, site, taps)
        await screen.sign_in(stand.owner, password)
        listening = asyncio.Event()
        tasks = [asyncio.create_task(screen.listen(listening)), asyncio.create_task(screen.refresh())]
        try:
            await asyncio.wait(
                {*tasks, asyncio.create_task(listening.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
            await asyncio.sleep(WARM)
            await _all_taps(visitors, *stand.sites[0], count, taps)
            deadline = time.perf_counter() + PATIENCE
            while any(not tap.seen for tap in taps.values()) and time.perf_counter() < deadline:
                await asyncio.sleep(0.05)
            words, _ = await others
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
    return _read(taps, msgspec.json.decode(words, type=Report))


def _read(taps: dict[int, Tap], others: Report) -> dict[str, Any]:
    unseen = sum(not tap.seen for tap in taps.values())
    if unseen or others.failures:
        raise VoidError(
            f"{unseen} of {len(taps)} taps were never seen; the others' failures: {others.failures}"
        )
    return {
        "taps": [msgspec.to_builtins(tap) for tap in taps.values()],
        "answered_ms": percentiles([tap.answered for tap in taps.values()]),
        "told_ms": percentiles([tap.told for tap in taps.values()]),
        "seen_ms": percentiles([tap.seen for tap in taps.values()]),
        "others": msgspec.to_builtins(others),
    }


async def _operator(stand: Stand) -> tuple[UUID, str]:
    """The first site's id, and a fresh password for its owner."""
    password = secrets.token_urlsafe(12)
    admin = await asyncpg.connect(stand.admin_dsn)
    try:
        kept = await Passwords().hash(password)
        await admin.execute("UPDATE users SET password_hash = $2 WHERE email = $1", stand.owner, kept)
        site = await admin.fetchval("SELECT id FROM sites WHERE public_id = $1", stand.sites[0][0])
        return UUID(int=site.int), password
    finally:
        await admin.close()


@asynccontextmanager
async def _others(stand: Stand, seconds: float) -> AsyncIterator[asyncio.Task[tuple[bytes, bytes]]]:
    """Other visitors on all sites, for so long; what is awaited is the generator's output."""
    order = stand.order("present", connections=16, warm=WARM, seconds=seconds, rate=RATE)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "load.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield asyncio.create_task(process.communicate(msgspec.json.encode(order)))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _all_taps(
    client: httpx.AsyncClient, public_id: str, domain: str, count: int, taps: dict[int, Tap]
) -> None:
    start = time.perf_counter()
    under_way = []
    for number in range(count):
        await asyncio.sleep(start + number / TAPS_A_SECOND - time.perf_counter())
        under_way.append(asyncio.create_task(_tap(client, public_id, domain, number, taps)))
    await asyncio.gather(*under_way)


def tap_to_screen(stand: Stand, scale: float) -> tuple[list[Figure], list[dict[str, Any]]]:
    """100 taps at two a second, among 200 events a second of other visitors."""
    stand.settle()
    run = asyncio.run(_run(stand, int(TAPS * scale)))
    wanted = [
        Wanted("tap: answered (stored), p50", "ms", lambda run: run["answered_ms"]["p50"]),
        Wanted("tap: the stream tells of it, p50", "ms", lambda run: run["told_ms"]["p50"]),
        Wanted("tap: the stream tells of it, p99", "ms", lambda run: run["told_ms"]["p99"]),
        Wanted("tap: on the screen, p50", "ms", lambda run: run["seen_ms"]["p50"]),
        Wanted("tap: on the screen, p99", "ms", lambda run: run["seen_ms"]["p99"], None, 1000, True),
    ]
    bound = bound_by(
        [run["others"]], stand.cores, "a site's new leads are told of at most five times a second"
    )
    return figures([run], wanted, bound), [run]
