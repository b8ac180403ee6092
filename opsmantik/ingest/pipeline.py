"""What happens to an event between a door and the writer: the steps below, in this order.

A step takes an event, fills in what it finds and returns it, or returns a :class:`~opsmantik.event.Drop` with
its reason. Nothing here waits for anything: no database, no network, no clock but the time of arrival.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from opsmantik.attribution.click_ids import EMPTY, Campaign, clean_click_id, read_url
from opsmantik.attribution.referrer import host_of
from opsmantik.attribution.source import Evidence, attribute
from opsmantik.attribution.targets import read_target, tap_channel
from opsmantik.event import Drop, Event, Intent, Reason, Site, order_key
from opsmantik.ingest.bots import bot_name
from opsmantik.sessions.device import read_user_agent

# A tracker may hold back an event for as long as its outbox lives; older than this its clock is wrong.
OLDEST_MS = 90 * 86_400_000
# Between a tracker's send and our clock: less is the network, more is a wrong clock that we correct for.
SKEW_MS = 5_000
PULSES = frozenset({"heartbeat", "session_end"})
DAY_MS = 86_400_000


class World(msgspec.Struct, frozen=True):
    """What steps may ask besides the event."""

    look_up_place: Callable[[str], Any]


Step = Callable[[Event, World], Event | Drop]


def drop_unknown_site(event: Event, world: World) -> Event | Drop:
    site = event.arrival.site
    if site is None:
        return Drop(Reason.UNKNOWN_SITE)
    return Drop(Reason.SITE_DISABLED) if site.disabled else event


def drop_refused_origin(event: Event, world: World) -> Event | Drop:
    """A browser says where it posts from. Servers and proxies say nothing, and are bound by other means."""
    origin = event.arrival.origin
    if origin is None:
        return event
    site: Site = event.arrival.site  # type: ignore[assignment]
    if origin in site.origins or site.admits(origin):
        return event
    return Drop(Reason.ORIGIN_REFUSED, origin[:200])


def drop_bot(event: Event, world: World) -> Event | Drop:
    name = bot_name(event.arrival.user_agent)
    if name is None or name in event.arrival.site.bots:  # type: ignore[union-attr]
        return event
    return Drop(Reason.BOT, name)


def drop_no_consent(event: Event, world: World) -> Event | Drop:
    """Consent by the site's policy: ``implied`` lets all in but those who declined; ``required`` only those who
    agreed; ``legacy`` is ``required`` for trackers that can ask, and lets the first generation's in.

    A tap on a call link is the one thing that a visitor asks for by themselves: without consent it is counted,
    stripped of all that could tell who they are.
    """
    if has_consent(event):
        return event
    if tap_channel(event.action, event.label) is None:
        return Drop(Reason.NO_CONSENT)
    event.visitor = event.environment = event.click_ids = event.click_url = event.click_referrer = (
        event.meta
    ) = None
    event.url = event.url.partition("?")[0].partition("#")[0]
    event.referrer = None
    event.session_text = str(event.id)
    event.flags.append("no_consent")
    return event


def has_consent(event: Event) -> bool:
    """Whether the visitor's word, or the site's policy where there is none, allows to keep what the event says."""
    allowed = event.consent[0] if event.consent is not None else None
    if allowed is not None:
        return allowed
    mode = event.arrival.site.consent_mode  # type: ignore[union-attr]
    return mode == "implied" or (mode == "legacy" and event.arrival.first_generation)


def drop_over_quota(event: Event, world: World) -> Event | Drop:
    """A site that has used its month's events twice over sends leads only: a tap or a form is never refused for it."""
    if not event.arrival.site.over_quota or is_lead(event):  # type: ignore[union-attr]
        return event
    return Drop(Reason.OVER_QUOTA)


def is_lead(event: Event) -> bool:
    """Whether it may be a tap or a form, by all that trackers call them. When in doubt it is."""
    return (
        event.category == "conversion"
        or event.action == "form_submit"
        or tap_channel(event.action, event.label) is not None
    )


def put_time(event: Event, world: World) -> Event | Drop:
    """When it happened. The client's clock counts only as the distance between happening and sending."""
    arrival = event.arrival
    now = arrival.received_ms
    moment = event.client_ms
    if moment is None:
        event.occurred_ms = now
        return event
    if arrival.sent_ms is not None:
        skew = now - arrival.sent_ms
        if not -SKEW_MS < skew < SKEW_MS:
            moment += skew
            event.flags.append("clock_corrected")
    if moment > now:
        if moment > now + SKEW_MS:
            event.flags.append("clock_clamped")
        moment = now
    elif moment < now - OLDEST_MS:
        event.flags.append("clock_replaced")
        moment = now
    event.occurred_ms = moment
    return event


def put_session(event: Event, world: World) -> Event | Drop:
    """The session's id: the tracker's UUID, or one made from what the events of a visit have in common."""
    text = event.session_text
    if text:
        try:
            event.session_id = UUID(text)
        except ValueError:
            pass
        else:
            event.key = order_key(event.occurred_ms, event.id)
            return event
    site = event.arrival.site
    common = (
        text
        or f"{event.visitor or event.arrival.ip}|{event.arrival.user_agent}|{event.occurred_ms // DAY_MS}"
    )
    digest = hashlib.blake2b(common.encode(), digest_size=16, key=site.id.bytes).digest()  # type: ignore[union-attr]
    event.session_id = UUID(bytes=digest, version=4)
    event.flags.append("session_made")
    event.key = order_key(event.occurred_ms, event.id)
    return event


def put_device(event: Event, world: World) -> Event | Drop:
    event.device = read_user_agent(event.arrival.user_agent)
    return event


def put_place(event: Event, world: World) -> Event | Drop:
    """From the edge in front of us where it is trusted, else from the offline database; never from the client."""
    arrival = event.arrival
    if arrival.place is None and arrival.ip and "no_consent" not in event.flags:
        arrival.place = world.look_up_place(arrival.ip)
    event.place = arrival.place
    return event


def put_address(event: Event, world: World) -> Event | Drop:
    """The network that is stored with the visit (the door has cut the rest off), unless the site keeps none. After the
    place, which is looked up by it."""
    arrival = event.arrival
    if arrival.site.keep_ip and "no_consent" not in event.flags:  # type: ignore[union-attr]
        event.address = arrival.ip or None
    return event


def put_consent(event: Event, world: World) -> Event | Drop:
    """What the visitor says about consent goes with the event itself, as a flag. One that says nothing is under what its
    visit said last before it, and where that said nothing either, under the site's policy."""
    if event.consent is not None:
        analytics, marketing = event.consent
        event.flags.append(_CONSENT[bool(analytics), bool(marketing)])
    return event


_CONSENT = {
    (True, True): "consent:analytics+marketing",
    (True, False): "consent:analytics",
    (False, True): "consent:marketing",
    (False, False): "consent:none",
}


def put_campaign(event: Event, world: World) -> Event | Drop:
    """The campaign that this event speaks for: its own page's, else the one that the tracker remembers."""
    here = read_url(event.url)
    if here.has_campaign:
        event.campaign = here
        event.fresh_campaign = True
        return event
    remembered = read_url(event.click_url) if event.click_url else EMPTY
    if event.click_ids is not None:
        ids = {
            name: value
            for name, raw in zip(("gclid", "wbraid", "gbraid"), event.click_ids, strict=True)
            if raw is not None and (value := clean_click_id(raw)) is not None
        }
        if ids:
            remembered = msgspec.structs.replace(remembered, **ids)
    event.campaign = remembered if remembered.has_campaign else here
    return event


def put_source(event: Event, world: World) -> Event | Drop:
    campaign: Campaign = event.campaign
    site = event.arrival.site
    event.referrer_host = host_of(event.referrer) if event.referrer else None
    host = event.referrer_host
    if not event.fresh_campaign and campaign is not EMPTY and event.click_referrer:
        host = host_of(event.click_referrer)
    # A site may be served under another name than its own (a preview, a demo): its pages still are its own.
    own = host if host is not None and host == host_of(event.url) else site.domain  # type: ignore[union-attr]
    found = attribute(Evidence(campaign, host, own))
    event.origin_source = found
    if not found.paid and event.visitor:
        assisted = attribute(Evidence(campaign, host, own, earlier_ad_click=True))
        if assisted.rule != found.rule:
            event.assisted_source = assisted
    return event


def put_intent(event: Event, world: World) -> Event | Drop:
    """A lead, when somebody tapped a number or a chat, or sent a form."""
    channel = tap_channel(event.action, event.label)
    if channel is None:
        if event.action == "form_submit" and event.category == "conversion":
            name = (event.label or "form")[:200]
            event.intent = Intent("form", "form", f"form:{name}", None, event.stamp or str(event.id))
            _put_click(event)
        return event
    target = read_target(event.label or "", event.arrival.site.region)  # type: ignore[union-attr]
    if target is None or not target.lead:
        event.flags.append(f"no_lead_{target.reason if target is not None and target.reason else 'target'}")
        return event
    value, number = target.value, target.number
    if (
        target.channel != channel
        and "://" not in (event.label or "")
        and not (event.label or "").startswith("tel:")
    ):
        # a bare number says nothing of the channel: there the action does
        value = f"{'tel' if channel == 'phone' else 'wa'}:{value.partition(':')[2]}"
    else:
        channel = target.channel
    event.intent = Intent(channel, "click", value, number, event.stamp or str(event.id))
    _put_click(event)
    return event


def _put_click(event: Event) -> None:
    click = event.campaign.click_id
    if click is not None and event.intent is not None:
        event.intent.click_id_kind, event.intent.click_id = click


def put_pulse(event: Event, world: World) -> Event | Drop:
    """Heartbeats and goodbyes are no events of their own: they move the session's clock and totals."""
    event.is_pulse = event.action in PULSES and event.intent is None
    return event


PIPELINE: tuple[Step, ...] = (
    drop_unknown_site,
    drop_refused_origin,
    drop_bot,
    drop_no_consent,
    drop_over_quota,
    put_time,
    put_session,
    put_device,
    put_place,
    put_address,
    put_consent,
    put_campaign,
    put_source,
    put_intent,
    put_pulse,
)

# Every so many events one is timed, step by step; timing all would cost as much as a step.
TIMED_EVERY = 64


class StepTime(NamedTuple):
    """Seconds that a step took over the events that were timed."""

    name: str
    events: int
    seconds: float


class Pipeline:
    """Runs the steps, counts and times them."""

    def __init__(self, world: World, steps: tuple[Step, ...] = PIPELINE) -> None:
        self.world = self._world = world
        self._steps = steps
        self._turn = 0
        self._timed = 0
        self._seconds = [0.0] * len(steps)

    def run(self, event: Event) -> Event | Drop:
        """The event with all that can be known of it, or why it goes no further."""
        self._turn += 1
        if self._turn % TIMED_EVERY == 0:
            return self._run_timed(event)
        world = self._world
        for step in self._steps:
            result = step(event, world)
            if type(result) is Drop:
                return result
        return event

    def _run_timed(self, event: Event) -> Event | Drop:
        self._timed += 1
        for place, step in enumerate(self._steps):
            start = time.perf_counter()
            result = step(event, self._world)
            self._seconds[place] += time.perf_counter() - start
            if type(result) is Drop:
                return result
        return event

    def times(self) -> list[StepTime]:
        """How long each step took, in the order of the steps."""
        return [
            StepTime(step.__name__, self._timed, seconds)
            for step, seconds in zip(self._steps, self._seconds, strict=True)
        ]
