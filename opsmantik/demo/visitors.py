"""Simulated visitors: somebody new every few seconds, over HTTP, by the doors that everybody uses.

Each visit unfolds as a real one does, only faster: the landing, scrolling, further pages, and every so often
a tap on the phone number or on WhatsApp. A server that asks for patience (429, 503) is given it; one that is
away is waited for, and given up when it stays away.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import msgspec

from opsmantik.demo import wire
from opsmantik.demo.businesses import BUSINESSES
from opsmantik.demo.entries import come_back
from opsmantik.demo.visits import Visit, new_person, plan_visit
from opsmantik.errors import NotFound, OpsMantikError, Unavailable

LONGEST_REST = 60.0
_MOST_REMEMBERED = 200
_TIMEOUT = 10.0
_PHONE_TAPS = frozenset({"phone_call", "whatsapp", "form_submit"})


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """How lively it is. Spans are in seconds, from and to."""

    visit_every: tuple[float, float] = (5.0, 8.0)
    lead_every: tuple[float, float] = (25.0, 50.0)
    first_lead: float = 0.0
    pace: float = 4.0
    """How many times faster than real visitors."""
    patience: float = 120.0
    """Seconds without any answer after which the server is given up."""


class Tally(msgspec.Struct):
    """What happened so far."""

    visits: int = 0
    leads: int = 0
    accepted: int = 0
    retries: int = 0
    refused: int = 0


async def run_visitors(
    base_url: str,
    *,
    stop: asyncio.Event | None = None,
    traffic: Traffic | None = None,
    seed: int | None = None,
    on_lead: Callable[[Visit, str], object] = lambda visit, action: None,
) -> Tally:
    """Send visitors to the server at ``base_url`` until ``stop`` is set; leaves at once then.

    Raises :class:`~opsmantik.errors.NotFound` if the demo's sites are not there, and
    :class:`~opsmantik.errors.Unavailable` if the server has not answered for ``traffic.patience`` seconds.
    """
    traffic = traffic or Traffic()
    stop = stop or asyncio.Event()
    async with httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT, trust_env=False) as client:
        crowd = _Crowd(client, traffic, random.Random(seed), on_lead)
        arrivals = asyncio.create_task(crowd.arrive())
        ending = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({arrivals, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrivals.cancel()
            ending.cancel()
            await asyncio.gather(arrivals, ending, return_exceptions=True)
    if not arrivals.cancelled() and (failure := arrivals.exception()) is not None:
        raise failure
    return crowd.tally


class _Crowd:
    """Everybody who is on the sites just now."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        traffic: Traffic,
        rng: random.Random,
        on_lead: Callable[[Visit, str], object],
    ) -> None:
        self._client = client
        self._traffic = traffic
        self._rng = rng
        self._on_lead = on_lead
        self._past: list[Visit] = []
        self._rest_until = 0.0
        self._answered_at = time.monotonic()
        self.tally = Tally()

    async def arrive(self) -> None:
        """Visit after visit, several at a time. Ends only by an error or by being cancelled."""
        lead_due = time.monotonic() + self._traffic.first_lead
        try:
            async with asyncio.TaskGroup() as visits:
                while True:
                    lead = time.monotonic() >= lead_due
                    if lead:
                        lead_due = time.monotonic() + self._rng.uniform(*self._traffic.lead_every)
                    visits.create_task(self._play(self._visit(lead=lead)))
                    await asyncio.sleep(self._rng.uniform(*self._traffic.visit_every))
        except* OpsMantikError as several:
            raise several.exceptions[0] from None

    def _visit(self, *, lead: bool) -> Visit:
        """Somebody new to either business, or now and then somebody who was there before."""
        rng, now = self._rng, int(time.time() * 1000)
        self.tally.visits += 1
        if self._past and rng.random() < 0.12:
            earlier = rng.choice(self._past)
            entry = come_back(rng, earlier.business)
            return plan_visit(rng, earlier.business, earlier.person, now, entry=entry, lead=lead)
        business = rng.choices(list(BUSINESSES.values()), (2, 1))[0]
        visit = plan_visit(rng, business, new_person(rng, business, now), now, lead=lead)
        self._past = [*self._past[-_MOST_REMEMBERED:], visit]
        return visit

    async def _play(self, visit: Visit) -> None:
        began = time.monotonic()
        for beat in visit.beats:
            await asyncio.sleep(began + beat.after_ms / 1000 / self._traffic.pace - time.monotonic())
            await self._tell(visit, beat.event)
            if beat.is_resent:
                await self._tell(visit, beat.event)

    async def _tell(self, visit: Visit, event: dict[str, Any]) -> None:
        """Post one event until the server has taken or finally refused it."""
        at_ms = int(time.time() * 1000)
        path = "/api/sync" if visit.first_generation else "/v1/events"
        failures = 0
        while True:
            await asyncio.sleep(self._rest_until - time.monotonic())
            sent_ms = int(time.time() * 1000)
            try:
                response = await self._client.post(
                    path, content=wire.body(visit, event, at_ms, sent_ms), headers=_headers(visit)
                )
            except httpx.TransportError:
                failures += 1
                self._be_patient()
                await asyncio.sleep(min(0.5 * 2**failures, 10) * self._rng.uniform(0.5, 1))
                continue
            self._answered_at = time.monotonic()
            if response.status_code in (429, 503):
                self._rest(response)
                continue
            self._count(visit, event, response)
            return

    def _be_patient(self) -> None:
        if time.monotonic() - self._answered_at > self._traffic.patience:
            raise Unavailable

    def _rest(self, response: httpx.Response) -> None:
        """Everybody waits as long as the server asks, and a little more so as not to come all at once."""
        self.tally.retries += 1
        asked = 1.0
        with suppress(ValueError):  # a date, which this server never sends
            asked = float(response.headers.get("retry-after", "1"))
        until = time.monotonic() + min(max(asked, 0.1), LONGEST_REST) * self._rng.uniform(1, 1.2)
        self._rest_until = max(self._rest_until, until)

    def _count(self, visit: Visit, event: dict[str, Any], response: httpx.Response) -> None:
        if response.status_code == 404 or b'"unknown_site"' in response.content:
            raise NotFound(what="demo on this server; `opsmantik demo seed` sets it up")
        if not response.is_success or b'"ok":false' in response.content:
            self.tally.refused += 1
            return
        if b'"duplicate"' in response.content:
            return
        self.tally.accepted += 1
        if event["act"] in _PHONE_TAPS and event["cat"] == "conversion":
            self.tally.leads += 1
            self._on_lead(visit, event["act"])


def _headers(visit: Visit) -> dict[str, str]:
    """What a browser sends, and what an edge in front of the server would add of the place: believed only
    where the installation trusts such an edge."""
    person = visit.person
    headers = {
        "Origin": visit.origin,
        "Referer": f"{visit.origin}/",
        "User-Agent": visit.user_agent,
        "Content-Type": "application/json" if visit.first_generation else "text/plain;charset=UTF-8",
        "X-Forwarded-For": person.address,
    }
    if person.place.country:
        headers["CF-IPCountry"] = person.place.country
    if person.place.city:
        headers["CF-IPCity"] = person.place.city
    return headers
