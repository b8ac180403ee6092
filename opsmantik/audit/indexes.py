"""What the program says of its own shape: what each index is for, which of them the first audit of this schema asked for,
which keys are content without one, and which tables a crash may empty."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from opsmantik.audit.needs import Catalogue

# Foreign keys without an index of their own, each for a reason.
UNINDEXED: Final[dict[str, str]] = {
    "events_session_fkey": "the month picks the partition, and events_session_idx finds the session's few rows in it",
    "ownership_offers_member_fkey": "a site has one row at most, and its primary key finds that",
}

# Tables that are not written to the log, each for a reason.
FLEETING: Final[dict[str, str]] = {
    "presences": "who looks at a site at this moment; whoever is still there says so again within seconds",
}

# Those whose name alone does not say it: not of primary keys.
PURPOSES: Final[dict[str, str]] = {
    "audit_runs_started_idx": "The latest run of the audit",
    "call_secrets_place_key": "Two live secrets of a site at most, each in its place",
    "call_signatures_received_idx": "Signatures that are old enough to be forgotten",
    "calls_confirmed_by_idx": "What a person decided, when the person goes",
    "calls_decided_idx": "Leads by the time of their decision: figures of what was decided",
    "calls_forms_idx": "Whether a site has forms, and the leads that they made",
    "calls_merged_idx": "The taps that repeat a lead",
    "calls_session_idx": "The leads of a visit",
    "calls_site_created_idx": "The list of leads, in its order",
    "calls_site_fingerprint_idx": "The leads of a visitor",
    "calls_site_stamp_key": "The same tap is stored once",
    "calls_status_idx": "Leads of one status, in the order of the list: those that wait among any number",
    "conversion_moves_conversion_idx": "The moves of a conversion, in their order",
    "conversion_batch_items_conversion_idx": "The batches that carried a conversion; what an erasure takes with it",
    "conversion_batch_items_once": "A batch carries a conversion once",
    "conversion_batches_created_by_idx": "Batches that a person made, when the person goes",
    "conversion_batches_due_idx": "Batches that are due again",
    "conversion_batches_list_idx": "The list of batches, in its order",
    "conversion_routes_connected_by_idx": "Sites that use a person's connection, when the person goes",
    "conversions_held_idx": "What was held long enough",
    "conversions_list_idx": "What became of the leads that were sealed in some days",
    "conversions_next_idx": "What is due at the platform",
    "conversions_call_idx": "The conversions of a lead, the retracted ones too",
    "conversions_live_key": "A lead has one conversion that stands",
    "conversions_order_key": "A platform is told once",
    "conversions_reason_list_idx": "The ledger by reason, state and kind of click, in its order",
    "conversions_state_list_idx": "The ledger by state and kind of click, in its order",
    "erasures_requested_by_idx": "Erasures that a person asked for, when the person goes",
    "erasures_site_at_idx": "The list of erasures, in its order",
    "events_conversion_idx": "Conversions among events, in the order of the list",
    "events_created_idx": "Events of a part of a day, by blocks in the order in which they came",
    "events_session_idx": "The events of a visit, in their order",
    "events_taps_idx": "Taps among events, for the watchdog",
    "half_sign_ins_user_id_idx": "Half sign-ins of a person, when the person goes",
    "intent_actions_actor_idx": "What a person did, when the person goes",
    "intent_actions_call_idx": "The acts on a lead, the last first",
    "intent_actions_site_at_idx": "The log of acts, in its order",
    "intent_actions_undoes_key": "An act is taken back once",
    "invites_accepted_by_idx": "Invitations that a person accepted, when the person goes",
    "invites_invited_by_idx": "Invitations that a person sent, when the person goes",
    "invites_open_key": "An address has one open invitation to a site",
    "invites_token_idx": "The invitation that a link names",
    "lead_notices_call_idx": "The mails about a lead, when the lead goes",
    "lead_search_captured_idx": "The search's list, by the time of capture",
    "lead_search_decided_idx": "The search's list, by the time of the decision",
    "lead_search_tokens_idx": "Leads by any of their properties",
    "notice_wishes_due_idx": "Who is to be mailed now",
    "notice_wishes_user_idx": "A person's wishes, of all sites",
    "one_time_links_user_id_idx": "A person's links, when the person goes",
    "ownership_offers_offered_by_idx": "Offers that a person made, when the person goes",
    "person_keys_key_hash_key": "The key that a caller shows",
    "person_keys_only_site_idx": "Keys that are bound to a site, when the site goes",
    "person_keys_user_id_idx": "A person's keys",
    "platform_acts_at_idx": "The platform's log, in its order",
    "presences_user_idx": "Where a person is present, when the person goes",
    "rejected_events_reason_idx": "Refused events of one reason, in the order of the list",
    "rejected_events_site_received_idx": "Refused events, in the order of the list",
    "replays_actor_idx": "Tries that a person made, when the person goes",
    "replays_rejected_idx": "The tries to let one event in",
    "saved_views_site_id_user_id_name_key": "A person's view has its name once",
    "saved_views_user_idx": "A person's views, when the person goes",
    "second_factors_user_id_key": "A person has one second factor",
    "session_keys_month_key": "What sessions point at: a visit and its month",
    "sessions_site_created_idx": "A site's visits of a range, in their order",
    "sessions_site_fingerprint_idx": "A visitor's visits, in their order",
    "share_links_created_by_idx": "Links that a person made, when the person goes",
    "share_links_token_hash_idx": "The link that a visitor shows",
    "sign_in_attempts_allowed_at_idx": "Attempts that are old enough to be forgotten",
    "sign_ins_id_key": "A sign-in as its owner sees it in the list",
    "sign_ins_user_id_idx": "A person's sign-ins",
    "site_acts_privacy_idx": "How many exports and erasures a person asked for lately",
    "site_acts_site_at_idx": "A site's log, in its order",
    "site_keys_created_by_idx": "Keys that a person made, when the person goes",
    "site_keys_key_hash_idx": "The key that a caller shows",
    "site_members_user_id_idx": "The sites of a person",
    "sites_public_id_key": "The site that a tracker names",
    "sites_user_id_idx": "The sites that a person owns",
    "summary_wishes_due_idx": "Who is to be sent a summary now",
    "summary_wishes_user_idx": "A person's summaries, of all sites",
    "upkeep_runs_job_idx": "The latest run of each job",
    "user_credentials_user_id_provider_key": "One connection of a person to each platform",
    "user_identities_issuer_subject_key": "Who signs in through another service",
    "user_identities_user_id_idx": "The services through which a person signs in",
    "users_email_key": "Who signs in with an address",
    "watch_alerts_ended_idx": "Alarms that are over and old enough to be forgotten",
    "watch_alerts_open_key": "An alarm is open once",
    "webhook_deliveries_call_idx": "What was sent about a lead",
    "webhook_deliveries_created_key": "A new lead is told once to each receiver",
    "webhook_deliveries_due_idx": "What is due to be sent to a receiver",
    "webhook_deliveries_log_idx": "A receiver's log, in its order",
    "webhooks_created_by_idx": "Receivers that a person set up, when the person goes",
}


class Planned(msgspec.Struct, frozen=True):
    """An index that the first audit listed, and what became of it: ``stead`` with ``columns`` is there, or nothing."""

    name: str
    table: str
    reason: str
    stead: str | None = None
    columns: tuple[str, ...] = ()
    making: str | None = None
    """What makes it again, where a migration would not."""


COUNTED = "breakdowns are read from counter_days, a row a day, and never from visits"
BY_CLICK = "nobody looks a visit up by its click: what a platform is told, the lead and its visit say"
IN_METADATA = "who came and by which click are columns of the visit, and nothing asks inside metadata"
LEADS = "CREATE INDEX calls_site_created_idx ON public.calls (site_id, created_at DESC, id DESC)"
STATUSES = "CREATE INDEX calls_status_idx ON public.calls (site_id, status, created_at DESC, id DESC)"
STEPS = "CREATE INDEX events_session_idx ON public.events (site_id, session_id, created_at)"

PLANNED: Final = (
    Planned("idx_sessions_site_id_created_at", "sessions", "a site's visits of a range",
        "sessions_site_created_idx", ("site_id", "created_at"),
        "CREATE INDEX sessions_site_created_idx ON public.sessions (site_id, created_at)"),
    Planned("idx_sessions_site_month", "sessions", "months are partitions, and within one the key begins with the site",
        "sessions_pkey", ("site_id", "created_month", "id")),
    Planned("idx_sessions_fingerprint", "sessions", "a visitor belongs to a site",
        "sessions_site_fingerprint_idx", ("site_id", "fingerprint", "created_at"),
        "CREATE INDEX sessions_site_fingerprint_idx ON public.sessions (site_id, fingerprint, created_at)"
        " WHERE fingerprint IS NOT NULL"),
    Planned("idx_sessions_attribution_source", "sessions", COUNTED),
    Planned("idx_sessions_device_type", "sessions", COUNTED),
    Planned("idx_sessions_gclid", "sessions", BY_CLICK),
    Planned("idx_sessions_wbraid", "sessions", BY_CLICK),
    Planned("idx_events_session_created", "events", "a visit's steps in their order",
        "events_session_idx", ("site_id", "session_id", "created_at"), STEPS),
    Planned("idx_events_atomic_filter", "events", "a visit has few events: its category is looked at among them",
        "events_session_idx", ("site_id", "session_id", "created_at"), STEPS),
    Planned("idx_events_category_created_at", "events", "conversions are the only category that is listed",
        "events_conversion_idx", ("site_id", "created_at", "id"),
        "CREATE INDEX events_conversion_idx ON public.events (site_id, created_at DESC, id DESC)"
        " WHERE event_category = 'conversion'"),
    Planned("idx_events_metadata_fingerprint_text", "events", IN_METADATA),
    Planned("idx_events_metadata_gclid_text", "events", IN_METADATA),
    Planned("idx_events_metadata_gin", "events", IN_METADATA),
    Planned("idx_calls_site_id", "calls", "every key begins with the site", "calls_pkey", ("site_id", "id")),
    Planned("idx_calls_site_id_created_at", "calls", "the list of leads, in its order",
        "calls_site_created_idx", ("site_id", "created_at", "id"), LEADS),
    Planned("idx_calls_session_id", "calls", "a visit is named with its month",
        "calls_session_idx", ("site_id", "matched_session_month", "matched_session_id"),
        "CREATE INDEX calls_session_idx ON public.calls (site_id, matched_session_month, matched_session_id)"),
    Planned("idx_calls_fingerprint", "calls", "a visitor belongs to a site",
        "calls_site_fingerprint_idx", ("site_id", "matched_fingerprint"),
        "CREATE INDEX calls_site_fingerprint_idx ON public.calls (site_id, matched_fingerprint)"
        " WHERE matched_fingerprint IS NOT NULL"),
    Planned("idx_calls_status", "calls", "leads of a status are those of a site, in the order of the list",
        "calls_status_idx", ("site_id", "status", "created_at", "id"), STATUSES),
    Planned("idx_calls_status_intent", "calls", "it was a part of the one before",
        "calls_status_idx", ("site_id", "status", "created_at", "id"), STATUSES),
    Planned("idx_calls_created_at", "calls", "the newest leads are those of a site",
        "calls_site_created_idx", ("site_id", "created_at", "id"), LEADS),
    Planned("idx_calls_matched_at", "calls", "a lead is matched as it is stored, and nobody asks when"),
    Planned("idx_calls_confirmed_at", "calls", "figures of what was decided",
        "calls_decided_idx", ("site_id", "confirmed_at"),
        "CREATE INDEX calls_decided_idx ON public.calls (site_id, confirmed_at) WHERE confirmed_at IS NOT NULL"),
    Planned("idx_calls_source", "calls", "of the ways of capture only forms are few among many",
        "calls_forms_idx", ("site_id", "created_at"),
        "CREATE INDEX calls_forms_idx ON public.calls (site_id, created_at) WHERE source = 'form'"),
    Planned("idx_calls_dedupe_intent", "calls", "a tap is stored once by its stamp; repeats are looked for by its visit",
        "calls_site_stamp_key", ("site_id", "intent_stamp")),
)  # fmt: skip


async def unindexed_keys(connection: Any, there: Catalogue) -> dict[str, str]:
    """Reasons by the keys' names."""
    return UNINDEXED


async def index_purposes(connection: Any, there: Catalogue) -> dict[str, str]:
    """What for, by the indexes' names."""
    return PURPOSES


async def planned_indexes(connection: Any, there: Catalogue) -> list[dict[str, Any]]:
    """The first audit's list."""
    return [msgspec.to_builtins(each) for each in PLANNED]


async def fleeting_tables(connection: Any, there: Catalogue) -> dict[str, str]:
    """Reasons by the tables' names."""
    return FLEETING
