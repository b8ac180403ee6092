"""From an event that knows its meaning to the rows that the database is asked to write."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.attribution.click_ids import EMPTY, Campaign
from opsmantik.attribution.source import RULES_VERSION, Source
from opsmantik.event import KEY_RANK_SHIFT, Event, Intent
from opsmantik.sessions.draft import SessionDraft

_encode = msgspec.json.Encoder(decimal_format="number").encode
_DAY_SEC = 86_400


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def event_row(event: Event, session_place: int) -> tuple[Any, ...]:
    """A value of the database type ``event_draft``; `session_place` counts the batch's sessions from 1."""
    return (
        event.arrival.site.id,  # type: ignore[union-attr]
        event.session_id,
        session_place,
        event.id,
        event.arrival.received_at,
        moment(event.occurred_ms),
        event.url,
        event.category,
        event.action,
        event.label,
        Decimal(repr(event.value)) if event.value is not None else None,
        _encode(event.meta) if event.meta else None,
        event.flags or None,
        event.near_ids,
        event.repeat_sec,
    )


def intent_row(
    event: Event, intent: Intent, session_place: int, identity: UUID, repeats: UUID | None
) -> tuple[Any, ...]:
    """A value of the database type ``intent_draft``; ``repeats``: the tap of this batch that it repeats."""
    site = event.arrival.site
    assert site is not None
    return (
        site.id,
        event.session_id,
        session_place,
        event.id,
        identity,
        event.arrival.received_at,
        moment(event.occurred_ms),
        intent.source,
        intent.action,
        intent.target,
        intent.number,
        intent.stamp,
        event.url[:2048],
        intent.click_id,
        intent.click_id_kind,
        event.visitor,
        site.currency,
        repeats,
    )


def session_draft(event: Event) -> SessionDraft:
    """What this one event says about its session."""
    arrival = event.arrival
    site = arrival.site
    assert site is not None and event.session_id is not None
    key = event.key
    at = moment(event.occurred_ms)
    campaign: Campaign = event.campaign
    source: Source = event.origin_source
    place = event.place
    device = event.device
    anonymous = "no_consent" in event.flags
    draft = SessionDraft(
        site_id=site.id,
        id=event.session_id,
        received_at=arrival.received_at,
        started_at=at,
        last_event_at=at,
        pulse=event.is_pulse or event.action == "scroll_depth",
        visitor=event.visitor,
        totals=event.pulse,
        first=(
            key,
            event.url,
            event.referrer,
            event.referrer_host,
            event.address,
            None if anonymous else arrival.user_agent[:400] or None,
            device.type,
            device.os,
            device.browser,
            place.country if place is not None else None,
            place.city if place is not None else None,
            place.district if place is not None else None,
            place.source if place is not None else None,
            None,
            None,
            False,
        ),
        exit=(key, event.url),
        source=source_group(key, event),
    )
    if event.environment is not None:
        draft.environment = (key, *event.environment, arrival.tracker)
    if campaign is not EMPTY:
        _put_touch(draft, event, campaign, source)
    if event.assisted_source is not None:
        assisted: Source = event.assisted_source
        since = moment(event.occurred_ms - site.attribution_window_days * _DAY_SEC * 1000)
        draft.assist = (since, assisted.label, assisted.channel, assisted.paid, explained(assisted))
    if event.consent is not None:
        draft.consent = (key, *event.consent)
    return draft


def source_group(key: int, event: Event) -> tuple[Any, ...]:
    """The first touch. Evidence of a campaign goes before any referrer, a foreign referrer before none:
    an ad click after a direct visit still names its ad, whichever of the two arrives first.
    """
    source: Source = event.origin_source
    rank = 0 if event.campaign.has_campaign else 2 if source.rule == "direct" else 1
    return (rank << KEY_RANK_SHIFT | key, source.label, source.channel, source.paid, explained(source))


def _put_touch(draft: SessionDraft, event: Event, campaign: Campaign, source: Source) -> None:
    key = event.key
    if campaign.has_click_id:
        at = (
            moment(event.click_ms)
            if event.click_ms is not None and not event.fresh_campaign
            else draft.started_at
        )
        if at > draft.started_at:
            at = draft.started_at
        fresh = at if event.fresh_campaign else None
        draft.click = (key, at, campaign.gclid, campaign.wbraid, campaign.gbraid, fresh)
    if campaign.has_utm or campaign.matchtype or campaign.network or campaign.placement:
        draft.campaign = (
            key,
            campaign.utm_source,
            campaign.utm_medium,
            campaign.utm_campaign,
            campaign.utm_term,
            campaign.utm_content,
            campaign.matchtype,
            campaign.network,
            campaign.placement,
        )
    if campaign.has_campaign:
        touch = {
            "source": source.label,
            "rule": source.rule,
            "at": draft.started_at,
            "fresh": event.fresh_campaign,
        }
        touch.update(
            {
                name: value
                for name in campaign.__struct_fields__
                if (value := getattr(campaign, name)) is not None
            }
        )
        draft.last_touch = (key, _encode(touch))


def explained(source: Source) -> bytes:
    """Why this source, as JSON: rule, evidence, losing rules, and the version of the ladder."""
    if source.evidence and (
        "gclid" in source.evidence or "wbraid" in source.evidence or "gbraid" in source.evidence
    ):
        return _explained(source.rule, tuple(source.evidence.items()), source.losers)
    return _explained_cached(source.rule, tuple(source.evidence.items()), source.losers)


def _explained(rule: str, evidence: tuple[tuple[str, str], ...], losers: tuple[str, ...]) -> bytes:
    return _encode({"rule": rule, "evidence": dict(evidence), "losers": losers, "version": RULES_VERSION})


_explained_cached = lru_cache(maxsize=4096)(_explained)
