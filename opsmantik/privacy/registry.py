"""Every table that belongs to sites: how an erasure reaches it, or why nothing of a visitor is in it.

A test compares this list with the database, so a new table cannot be forgotten: whoever makes one says here what an
erasure does with it (``db/functions/erasure.sql``) and, if it holds anything of a visitor, sees to it that it does.
"""

from __future__ import annotations

from typing import Final

BY_VISIT: Final = "erased with the visit"
BY_LEAD: Final = "erased with the lead"

ERASED: Final[dict[str, str]] = {
    "session_keys": BY_VISIT,
    "sessions": BY_VISIT,
    "events": BY_VISIT,
    "calls": BY_VISIT + ", by number or visitor where it has none, and with the lead that it repeats",
    "visitors": "erased with the last visit; else counted again from those that are left",
    "intent_actions": BY_LEAD,
    "conversions": BY_LEAD + "; order ids that a platform has stay on the certificate",
    "conversion_moves": "erased with the conversion",
    "conversion_batch_items": "erased with the conversion",
    "webhook_deliveries": BY_LEAD,
    "lead_notices": BY_LEAD,
    "lead_search": BY_LEAD,
    "rejected_events": "erased where its payload names a visit, a visitor, an ad click or what was asked for",
    "replays": "erased with the refused event",
    "call_signatures": "the answer that names the lead or its visit is blanked; the hash stays, against replays",
    "counter_journal": "folded in the transaction that erases",
    "counter_days": "what the rows counted is taken back; a key that only they had goes with it",
}
"""What holds something of visitors."""

NOBODYS: Final[dict[str, str]] = {
    "ingest_tally": "numbers by hour and outcome",
    "site_pulse": "numbers and times of a site",
    "site_members": "people of the site, not visitors",
    "site_origins": "addresses of the site's own pages",
    "site_acts": "administrative acts; functions put no visitor's data in them",
    "site_keys": "keys of programs",
    "call_secrets": "secrets of telephone systems",
    "invites": "people of the site, not visitors",
    "ownership_offers": "people of the site, not visitors",
    "webhooks": "addresses of the site's own programs",
    "conversion_routes": "where a site's conversions go, and what opens it",
    "conversion_batches": "sizes and times of what left together; what was in it stands in its items",
    "notice_wishes": "people of the site, not visitors",
    "share_links": "addresses of figures; nobody in them",
    "summary_wishes": "people of the site, not visitors",
    "saved_views": "what people of the site look for: names of theirs, and addresses of lists",
    "presences": "people of the site: which lead each looks at, by its id, for half a minute",
    "erasures": "a keyed hash of the subject; sealed besides until it is finished, in archived months as well",
    "archive_erasures": "which erasure is still to be carried out in which archived month",
}
"""What holds nothing of visitors, and why not."""
