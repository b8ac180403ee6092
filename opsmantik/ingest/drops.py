"""The reasons to refuse an event, and what each door answers.

A first-generation tracker keeps an event that was answered with anything but 2xx at the head of its queue and
sends nothing else for a day. So its door answers every final refusal with 200 and ``ok: false``; only "please
retry" (429, 503) is an error there. The new door answers as HTTP means it.
"""

from __future__ import annotations

from opsmantik.event import Reason

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
}

# Kept with their payload, to be looked at and let in again. The others are counted only: what a visitor did
# not consent to must not be kept, and a stranger must not be able to fill the disk.
KEPT = frozenset({Reason.MALFORMED, Reason.UNSTORABLE, Reason.BOT})

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
}
