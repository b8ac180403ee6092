"""The reasons to refuse an event, and what each door answers.

A first-generation tracker keeps an event that was answered with anything but 2xx at the head of its queue and
sends nothing else for a day. So its door answers every final refusal with 200 and ``ok: false``; only "please
retry" (429, 503) is an error there. The new door answers as HTTP means it.
"""

from __future__ import annotations

from uuid import UUID

from opsmantik.event import Reason

HOUR_MS = 3_600_000

# The status of POST /v1/events when the whole request is refused for this reason.
STATUS: dict[Reason, int] = {
    Reason.UNKNOWN_SITE: 404,
    Reason.SITE_DISABLED: 403,
    Reason.ORIGIN_REFUSED: 403,
    Reason.RATE_LIMITED: 429,
    Reason.BOT: 200,
    Reason.NO_CONSENT: 200,
    Reason.MALFORMED: 400,
    Reason.TOO_LARGE: 413,
    Reason.UNSTORABLE: 422,
    # Not 429: that means "please try again", and a tracker that tries again for the rest of the month would hold back
    # the taps behind it. This is final for these events, and leads are never refused for it.
    Reason.OVER_QUOTA: 403,
}

# Kept with their payload, to be looked at and let in again. The others are counted only: what a visitor did not consent
# to must not be kept, and what a site that is switched off or a client in a hurry sends may come again.
KEPT = frozenset({Reason.MALFORMED, Reason.UNSTORABLE, Reason.BOT, Reason.ORIGIN_REFUSED, Reason.OVER_QUOTA})
# Of those, at most so many an hour, site and process are kept: anybody who knows a site's public id can provoke them,
# and a stranger must not be able to fill the disk. The rest is counted. What the database refused came through every
# check before, so all of it is kept (as far as functions/keep_rejected.sql has room).
KEPT_AN_HOUR: dict[Reason, int] = {
    Reason.MALFORMED: 1000,
    Reason.BOT: 1000,
    Reason.ORIGIN_REFUSED: 200,
    Reason.OVER_QUOTA: 200,
}
# A longer payload is cut there, so it can be looked at but not be let in. An event as trackers send it has a tenth.
KEPT_BYTES = 32_768

# A browser is told that a bot's event was taken: saying otherwise would teach the bot.
ANSWERED_AS_ACCEPTED = frozenset({Reason.BOT})

MESSAGES: dict[Reason, str] = {
    Reason.UNKNOWN_SITE: "There is no site with this id.",
    Reason.SITE_DISABLED: "This site takes no events at the moment.",
    Reason.ORIGIN_REFUSED: "This origin may not post for this site; add it in the site's settings.",
    Reason.RATE_LIMITED: "Too many events from this client; slow down.",
    Reason.BOT: "A program that is known not to be a person.",
    Reason.NO_CONSENT: "The visitor has not consented to analytics.",
    Reason.MALFORMED: "The event cannot be read.",
    Reason.TOO_LARGE: "The body is too large.",
    Reason.UNSTORABLE: "The database refuses this event.",
    Reason.OVER_QUOTA: "This site has used up its events of this month twice over; only leads are taken.",
}


class Quarantine:
    """Whether there is room to keep one more refused event: counted by site, reason and hour, in this process."""

    def __init__(self) -> None:
        self._hour = 0
        self._kept: dict[tuple[UUID, Reason], int] = {}

    def has_room(self, site_id: UUID, reason: Reason, now_ms: int) -> bool:
        """Takes the room that it says there is."""
        if reason not in KEPT:
            return False
        most = KEPT_AN_HOUR.get(reason)
        if most is None:
            return True
        hour = now_ms // HOUR_MS
        if hour != self._hour:
            self._hour, self._kept = hour, {}
        kept = self._kept.get((site_id, reason), 0)
        self._kept[site_id, reason] = kept + 1
        return kept < most
