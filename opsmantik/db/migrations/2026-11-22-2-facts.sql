-- What happened on the sites. Every key starts with site_id, so the schema can be distributed by site;
-- foreign keys stand in statements of their own, by name, so that they can be dropped and added around it.
SET LOCAL lock_timeout = '1200ms';

-- The registry that fixes a session's month once. A session id that comes back months later finds its
-- month here; a second session with the same id cannot be stored.
CREATE TABLE session_keys (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    created_month date NOT NULL CHECK (extract(day FROM created_month) = 1),
    PRIMARY KEY (site_id, id),
    CONSTRAINT session_keys_month_key UNIQUE (site_id, created_month, id)
);

-- One visit. The *_key columns are order keys: (milliseconds << 21 | bits of the event id). For each group
-- of columns the event with the smallest key (for last_*, exit_* and consent_*: the largest) has the say,
-- which makes the merge of events commutative, associative and idempotent: any order of arrival, one result.
CREATE TABLE sessions (
    site_id uuid NOT NULL,
    created_month date NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    last_event_at timestamptz NOT NULL,
    total_duration_sec integer NOT NULL DEFAULT 0,
    event_count integer NOT NULL DEFAULT 0,
    view_count integer NOT NULL DEFAULT 0,
    conversion_count integer NOT NULL DEFAULT 0,
    intent_count integer NOT NULL DEFAULT 0,
    max_scroll_percentage integer NOT NULL DEFAULT 0,
    cta_hover_count integer NOT NULL DEFAULT 0,
    form_focus_duration integer NOT NULL DEFAULT 0,
    total_active_seconds integer NOT NULL DEFAULT 0,
    previous_visit_count integer NOT NULL DEFAULT 0,
    is_returning boolean NOT NULL DEFAULT false,
    fingerprint text,
    -- first event
    first_key bigint NOT NULL,
    entry_page text,
    referrer text,
    referrer_host text,
    ip_address inet,
    user_agent text,
    device_type text,
    device_os text,
    browser text,
    country text,
    city text,
    district text,
    place_source text,
    telco_carrier text,
    isp_asn text,
    is_proxy_detected boolean NOT NULL DEFAULT false,
    -- last event
    exit_key bigint NOT NULL,
    exit_page text,
    -- first event that carries the browser's own data
    env_key bigint,
    browser_language text,
    time_zone text,
    device_memory real,
    hardware_concurrency integer,
    screen_width integer,
    screen_height integer,
    pixel_ratio real,
    gpu_renderer text,
    connection_type text,
    tracker text,
    -- first event with a click id
    click_key bigint,
    click_at timestamptz,
    gclid text,
    wbraid text,
    gbraid text,
    has_click_id boolean NOT NULL DEFAULT false,
    -- first event with campaign parameters
    utm_key bigint,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_term text,
    utm_content text,
    matchtype text,
    ads_network text,
    ads_placement text,
    -- first touch: paid or campaign evidence before none, then the earliest
    source_key bigint NOT NULL,
    attribution_source text NOT NULL,
    channel text NOT NULL,
    is_paid boolean NOT NULL,
    attribution jsonb NOT NULL,
    -- last touch that carries evidence
    last_touch_key bigint,
    last_touch jsonb,
    -- the latest word on consent
    consent_key bigint,
    consent_analytics boolean,
    consent_marketing boolean,
    PRIMARY KEY (site_id, created_month, id)
) PARTITION BY RANGE (created_month);
COMMENT ON COLUMN sessions.total_duration_sec IS 'last_event_at - started_at. Kept by ingest_batch, not generated: a generated column is parsed anew by every statement that writes.';
COMMENT ON COLUMN sessions.created_at IS 'Server time of the first event received; decides created_month.';
COMMENT ON COLUMN sessions.started_at IS 'Time of the earliest event, by the corrected client clock.';
COMMENT ON COLUMN sessions.fingerprint IS 'Visitor id: random and kept on the device, or the first generation''s device hash.';
COMMENT ON COLUMN sessions.attribution IS 'Why this source: rule, evidence, losing rules, version of the ladder.';
CREATE INDEX sessions_site_created_idx ON sessions (site_id, created_at);
CREATE INDEX sessions_site_fingerprint_idx ON sessions (site_id, fingerprint, created_at) WHERE fingerprint IS NOT NULL;

CREATE TABLE events (
    site_id uuid NOT NULL,
    session_month date NOT NULL,
    id uuid NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    event_value numeric,
    event_category text NOT NULL,
    event_action text NOT NULL,
    event_label text,
    url text,
    metadata jsonb,
    flags text[],
    PRIMARY KEY (site_id, session_month, id)
) PARTITION BY RANGE (session_month);
COMMENT ON COLUMN events.flags IS 'What had to be mended on the way in: clock_corrected, clock_clamped, nul_replaced, truncated, ...';
CREATE INDEX events_session_idx ON events (site_id, session_id, created_at);

-- Intents: taps on a phone or WhatsApp link, forms, and calls reported by a telephone system.
CREATE TABLE calls (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'intent'
        CHECK (status IN ('intent', 'pending', 'sealed', 'junk', 'suspicious', 'conversion')),
    version integer NOT NULL DEFAULT 1,
    source text NOT NULL DEFAULT 'click' CHECK (source IN ('click', 'form', 'api', 'manual')),
    phone_number text,
    matched_session_id uuid,
    matched_session_month date,
    matched_fingerprint text,
    matched_at timestamptz,
    lead_score integer NOT NULL DEFAULT 0 CHECK (lead_score BETWEEN 0 AND 100),
    lead_score_at_match integer,
    score_breakdown jsonb,
    confirmed_at timestamptz,
    confirmed_by uuid,
    note text,
    event_id uuid,
    intent_stamp text CHECK (length(intent_stamp) <= 128),
    intent_action text CHECK (intent_action IN ('phone', 'whatsapp', 'form')),
    intent_target text,
    intent_page_url text,
    click_id text,
    click_id_kind text CHECK (click_id_kind IN ('gclid', 'wbraid', 'gbraid')),
    sale_amount numeric CHECK (sale_amount >= 0),
    estimated_value numeric CHECK (estimated_value >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (site_id, id),
    CONSTRAINT calls_site_stamp_key UNIQUE (site_id, intent_stamp),
    CONSTRAINT calls_click_invariants CHECK (source <> 'click' OR (
        intent_action IN ('phone', 'whatsapp') AND intent_action IS NOT NULL
        AND intent_target <> '' AND intent_target IS NOT NULL
        AND intent_stamp <> '' AND intent_stamp IS NOT NULL)),
    CONSTRAINT calls_session_whole CHECK ((matched_session_id IS NULL) = (matched_session_month IS NULL)),
    CONSTRAINT calls_click_id_whole CHECK ((click_id IS NULL) = (click_id_kind IS NULL))
);
CREATE INDEX calls_site_created_idx ON calls (site_id, created_at DESC, id DESC);
CREATE INDEX calls_site_status_idx ON calls (site_id, status, created_at DESC);
CREATE INDEX calls_session_idx ON calls (site_id, matched_session_month, matched_session_id);
CREATE INDEX calls_site_fingerprint_idx ON calls (site_id, matched_fingerprint) WHERE matched_fingerprint IS NOT NULL;

-- A returning device. Counts visits; remembers the last ad click for "Ads Assisted".
CREATE TABLE visitors (
    site_id uuid NOT NULL,
    id text NOT NULL CHECK (length(id) <= 64),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    visits integer NOT NULL,
    last_ad_click_at timestamptz,
    PRIMARY KEY (site_id, id)
);

-- Received but not usable: kept as it came, with the reason, so that it can be looked at and let in again.
CREATE TABLE rejected_events (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    door text NOT NULL,
    reason text NOT NULL,
    detail text,
    payload bytea NOT NULL,
    PRIMARY KEY (site_id, id)
);
CREATE INDEX rejected_events_site_received_idx ON rejected_events (site_id, received_at DESC);

-- received = stored + pulse + duplicate + rejected + dropped, by site and hour. Nothing is dropped in silence.
CREATE TABLE ingest_tally (
    site_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    outcome text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (site_id, hour, outcome)
);

-- The same for what names no site of ours.
CREATE TABLE stray_tally (
    hour timestamptz NOT NULL,
    outcome text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (hour, outcome)
);

-- One row a site: a sequence that grows with every write, so that screens know whether to look again.
CREATE TABLE site_pulse (
    site_id uuid PRIMARY KEY,
    sequence bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    last_event_at timestamptz,
    last_intent_at timestamptz
) WITH (fillfactor = 50);

CREATE TABLE upkeep_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    outcome text,
    detail jsonb
);
CREATE INDEX upkeep_runs_job_idx ON upkeep_runs (job, started_at DESC);

-- Foreign keys. Sessions and their registry point at each other: a key without its session, or a session without
-- its key, cannot be stored. So whatever points at the key points at the session and at its month, and the check
-- for every single event reads one plain table; against the partitioned table it would cost four times as much.
-- Checked at commit, because a key is written before its session. Moving sessions out of the default partition
-- drops that one and adds it again (functions/drain_default_month.sql).
ALTER TABLE session_keys ADD CONSTRAINT session_keys_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE sessions ADD CONSTRAINT sessions_key_fkey
    FOREIGN KEY (site_id, created_month, id) REFERENCES session_keys (site_id, created_month, id);
ALTER TABLE session_keys ADD CONSTRAINT session_keys_session_fkey
    FOREIGN KEY (site_id, created_month, id) REFERENCES sessions (site_id, created_month, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE events ADD CONSTRAINT events_session_fkey
    FOREIGN KEY (site_id, session_month, session_id) REFERENCES session_keys (site_id, created_month, id);
ALTER TABLE calls ADD CONSTRAINT calls_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE calls ADD CONSTRAINT calls_session_fkey
    FOREIGN KEY (site_id, matched_session_month, matched_session_id)
    REFERENCES session_keys (site_id, created_month, id);
ALTER TABLE calls ADD CONSTRAINT calls_confirmed_by_fkey
    FOREIGN KEY (confirmed_by) REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE visitors ADD CONSTRAINT visitors_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE rejected_events ADD CONSTRAINT rejected_events_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE ingest_tally ADD CONSTRAINT ingest_tally_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE site_pulse ADD CONSTRAINT site_pulse_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
CREATE INDEX calls_confirmed_by_idx ON calls (confirmed_by) WHERE confirmed_by IS NOT NULL;

-- A month without a partition loses nothing: its rows wait here until upkeep moves them out.
CREATE TABLE parts.sessions_default PARTITION OF sessions DEFAULT WITH (fillfactor = 75);
ALTER TABLE parts.sessions_default ADD CONSTRAINT sessions_default_month
    CHECK (created_month = date_trunc('month', created_at AT TIME ZONE 'UTC')::date);
CREATE TABLE parts.events_default PARTITION OF events DEFAULT;
ALTER TABLE parts.events_default ADD CONSTRAINT events_default_month
    CHECK (extract(day FROM session_month) = 1 AND created_at >= session_month::timestamp AT TIME ZONE 'UTC');
