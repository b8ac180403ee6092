-- The shapes in which the server hands a batch of events to the database (functions/ingest_batch.sql).
SET LOCAL lock_timeout = '1200ms';

CREATE TYPE session_draft AS (
    site_id uuid, id uuid, received_at timestamptz, started_at timestamptz, last_event_at timestamptz,
    pulse boolean, fingerprint text,
    max_scroll integer, cta_hovers integer, form_focus integer, active_seconds integer,
    first_key bigint, entry_page text, referrer text, referrer_host text, ip_address text, user_agent text,
    device_type text, device_os text, browser text, country text, city text, district text, place_source text,
    telco_carrier text, isp_asn text, is_proxy boolean,
    exit_key bigint, exit_page text,
    env_key bigint, browser_language text, time_zone text, device_memory real, hardware_concurrency integer,
    screen_width integer, screen_height integer, pixel_ratio real, gpu_renderer text, connection_type text, tracker text,
    click_key bigint, click_at timestamptz, gclid text, wbraid text, gbraid text, fresh_click_at timestamptz,
    utm_key bigint, utm_source text, utm_medium text, utm_campaign text, utm_term text, utm_content text,
    matchtype text, ads_network text, ads_placement text,
    source_key bigint, attribution_source text, channel text, is_paid boolean, attribution jsonb,
    assisted_since timestamptz, assisted_source text, assisted_channel text, assisted_paid boolean, assisted_attribution jsonb,
    last_touch_key bigint, last_touch jsonb,
    consent_key bigint, consent_analytics boolean, consent_marketing boolean,
    events integer, views integer, conversions integer, intents integer
);

CREATE TYPE event_draft AS (
    site_id uuid, session_id uuid, session_place integer, id uuid, received_at timestamptz, occurred_at timestamptz,
    url text, event_category text, event_action text, event_label text, event_value numeric, metadata jsonb,
    flags text[],
    -- an event without an id of its own is the same as one seen less than repeat_sec ago under any of these
    near_ids uuid[], repeat_sec integer
);

CREATE TYPE intent_draft AS (
    site_id uuid, session_id uuid, session_place integer, event_id uuid, id uuid, received_at timestamptz, occurred_at timestamptz,
    source text, intent_action text, intent_target text, phone_number text, intent_stamp text,
    intent_page_url text, click_id text, click_id_kind text, fingerprint text, currency text
);

CREATE TYPE tally_draft AS (site_id uuid, outcome text, n bigint, received_at timestamptz);

CREATE TYPE rejected_draft AS (
    site_id uuid, id uuid, door text, reason text, detail text, payload bytea, received_at timestamptz
);

-- What the score is computed from (intents/score.py), for each session that has an intent.
CREATE TYPE lead_facts AS (
    site_id uuid, session_id uuid, events integer, views integer, conversions integer, taps integer,
    duration_sec integer, active_sec integer, max_scroll integer, cta_hovers integer, form_focus_sec integer,
    previous_visits integer, has_click_id boolean, paid boolean
);

CREATE TYPE lead_score_draft AS (site_id uuid, session_id uuid, lead_score integer, score_breakdown jsonb);

CREATE TYPE pulse_fact AS (site_id uuid, sequence bigint, intents boolean);
