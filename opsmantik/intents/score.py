"""How warm a lead is, 0 to 100, from the totals of its session, explained part by part.

Enters: totals.  Leaves: a number and the parts that add up to exactly that number.  The weights sum to 100,
so nothing is ever cut off and every point can be pointed at.

Three promises, each broken by the first generation: paid traffic never scores below the same visit unpaid;
more engagement never lowers a score; the order in which events arrived makes no difference.
"""

from __future__ import annotations

from typing import Final

import msgspec

CONVERSION_POINTS: Final = (35, 41, 45)
"""For one, two, three and more conversions: a call or a message is most of what a lead is."""
AD_CLICK_ID_POINTS: Final = 10
AD_POINTS: Final = 8
"""An ad without an id: as likely to buy, but nothing can be reported back to the network."""
ACTIVITY_MOST: Final = 10
SCROLL_MOST: Final = 10
HOVER_MOST: Final = 5
FORM_MOST: Final = 5
RETURN_POINTS: Final = (3, 5)
"""For one and for more earlier visits. Small, because a returning visitor may be a shared device."""
ATTENTION_STEPS: Final = ((300, 10), (120, 8), (60, 6), (30, 4), (10, 2))
"""Seconds of attention → points, longest first; the first half-minute tells more than the fifth minute."""


class SessionFacts(msgspec.Struct, frozen=True, gc=False):
    """Totals of one session so far. Negative values count as 0, percentages above 100 as 100."""

    events: int = 0
    """Everything the visitor did: views, scrolls, hovers, taps; not heartbeats or other system events."""
    conversions: int = 0
    """Taps and submitted forms."""
    taps: int = 0
    """Taps on a phone or WhatsApp link; never more than `conversions` where both are counted right."""
    views: int = 0
    duration_sec: int = 0
    """First event to last."""
    active_sec: int = 0
    """Seconds the page was visible."""
    max_scroll: int = 0
    cta_hovers: int = 0
    form_focus_sec: int = 0
    previous_visits: int = 0
    has_click_id: bool = False
    paid: bool = False


class Score(msgspec.Struct, frozen=True):
    """`total` is the sum of `parts`; parts worth nothing are left out."""

    total: int
    parts: tuple[tuple[str, int], ...]


def score(facts: SessionFacts) -> Score:
    """The score of a session. Pure in its totals; monotone in every field."""
    parts = (
        ("conversions", _step(max(facts.conversions, facts.taps), CONVERSION_POINTS)),
        ("ad_click", AD_CLICK_ID_POINTS if facts.has_click_id else AD_POINTS if facts.paid else 0),
        ("activity", _between(max(facts.events, 2 * facts.views), ACTIVITY_MOST)),
        ("scroll", _between(facts.max_scroll // 10, SCROLL_MOST)),
        ("attention", _attention(facts)),
        ("hovers", _between(facts.cta_hovers, HOVER_MOST)),
        ("form", _between(facts.form_focus_sec // 4, FORM_MOST)),
        ("returning", _step(facts.previous_visits, RETURN_POINTS)),
    )
    return Score(sum(points for _, points in parts), tuple(part for part in parts if part[1]))


def call_breakdown(conversions: int, interactions: int, bonus: int) -> dict[str, int | bool]:
    """The score of a matched call under the first generation's keys, which its reports still read.

    20 a conversion, 5 an interaction, plus the highest score that any event carried; at most 100.
    `cappedAt100` says whether the limit took something away.
    """
    conversion_points = 20 * max(0, conversions)
    interaction_points = 5 * max(0, interactions)
    bonus = max(0, bonus)
    raw = conversion_points + interaction_points + bonus
    return {
        "conversionPoints": conversion_points,
        "interactionPoints": interaction_points,
        "bonuses": bonus,
        "cappedAt100": raw > 100,
        "rawScore": raw,
        "finalScore": min(100, raw),
    }


def _between(points: int, most: int) -> int:
    return 0 if points < 0 else min(points, most)


def _step(count: int, points: tuple[int, ...]) -> int:
    return points[min(count, len(points)) - 1] if count > 0 else 0


def _attention(facts: SessionFacts) -> int:
    # A tracker that reports no visible time still has a duration; half of it is a cautious stand-in.
    seconds = max(facts.active_sec, facts.duration_sec // 2)
    return next((points for least, points in ATTENTION_STEPS if seconds >= least), 0)
