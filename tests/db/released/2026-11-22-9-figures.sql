-- The database as it is: made by migrations and functions, written by `make schema`. Do not edit.

CREATE SCHEMA parts;

COMMENT ON SCHEMA parts IS 'Monthly partitions. Nothing in here is granted to anybody: rows are reached through their parents.';

CREATE TYPE public.counter_cell AS (
	dimension text,
	key text,
	is_paid boolean,
	sessions integer,
	click_sessions integer,
	visitors integer,
	events integer,
	conversions integer,
	forms integer,
	leads integer,
	click_leads integer,
	sealed integer,
	junk integer,
	amount numeric,
	scroll bigint,
	scrolled integer,
	seconds bigint
);

CREATE TYPE public.counter_entry AS (
	kind text,
	n integer,
	at timestamp with time zone,
	is_paid boolean,
	has_click_id boolean,
	source text,
	channel text,
	device text,
	place text,
	campaign text,
	keyword text,
	matchtype text,
	page text,
	visitor text,
	conversions integer,
	forms integer,
	status text,
	action text,
	captured_by text,
	is_automatic boolean,
	amount numeric,
	currency text,
	scroll integer,
	seconds bigint
);

CREATE TYPE public.event_draft AS (
	site_id uuid,
	session_id uuid,
	session_place integer,
	id uuid,
	received_at timestamp with time zone,
	occurred_at timestamp with time zone,
	url text,
	event_category text,
	event_action text,
	event_label text,
	event_value numeric,
	metadata jsonb,
	flags text[],
	near_ids uuid[],
	repeat_sec integer
);

CREATE TYPE public.intent_draft AS (
	site_id uuid,
	session_id uuid,
	session_place integer,
	event_id uuid,
	id uuid,
	received_at timestamp with time zone,
	occurred_at timestamp with time zone,
	source text,
	intent_action text,
	intent_target text,
	phone_number text,
	intent_stamp text,
	intent_page_url text,
	click_id text,
	click_id_kind text,
	fingerprint text,
	currency text,
	repeats uuid
);

CREATE TYPE public.lead_facts AS (
	site_id uuid,
	session_id uuid,
	events integer,
	views integer,
	conversions integer,
	taps integer,
	duration_sec integer,
	active_sec integer,
	max_scroll integer,
	cta_hovers integer,
	form_focus_sec integer,
	previous_visits integer,
	has_click_id boolean,
	paid boolean
);

CREATE TYPE public.lead_score_draft AS (
	site_id uuid,
	session_id uuid,
	lead_score integer,
	score_breakdown jsonb
);

CREATE TYPE public.pulse_fact AS (
	site_id uuid,
	sequence bigint,
	intents boolean
);

CREATE TYPE public.rejected_draft AS (
	site_id uuid,
	id uuid,
	door text,
	reason text,
	detail text,
	payload bytea,
	received_at timestamp with time zone
);

CREATE TYPE public.session_draft AS (
	site_id uuid,
	id uuid,
	received_at timestamp with time zone,
	started_at timestamp with time zone,
	last_event_at timestamp with time zone,
	pulse boolean,
	fingerprint text,
	max_scroll integer,
	cta_hovers integer,
	form_focus integer,
	active_seconds integer,
	first_key bigint,
	entry_page text,
	referrer text,
	referrer_host text,
	ip_address text,
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
	is_proxy boolean,
	exit_key bigint,
	exit_page text,
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
	click_key bigint,
	click_at timestamp with time zone,
	gclid text,
	wbraid text,
	gbraid text,
	fresh_click_at timestamp with time zone,
	utm_key bigint,
	utm_source text,
	utm_medium text,
	utm_campaign text,
	utm_term text,
	utm_content text,
	matchtype text,
	ads_network text,
	ads_placement text,
	source_key bigint,
	attribution_source text,
	channel text,
	is_paid boolean,
	attribution jsonb,
	assisted_since timestamp with time zone,
	assisted_source text,
	assisted_channel text,
	assisted_paid boolean,
	assisted_attribution jsonb,
	last_touch_key bigint,
	last_touch jsonb,
	consent_key bigint,
	consent_analytics boolean,
	consent_marketing boolean,
	events integer,
	views integer,
	conversions integer,
	intents integer,
	forms integer
);

CREATE TYPE public.site_entry AS (
	site_id uuid,
	entry public.counter_entry
);

CREATE TYPE public.tally_draft AS (
	site_id uuid,
	outcome text,
	n bigint,
	received_at timestamp with time zone
);

CREATE FUNCTION public.account_by_email(p_email text) RETURNS TABLE(id uuid, password_hash text, disabled boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT u.id, u.password_hash, u.disabled_at IS NOT NULL FROM users u WHERE u.email = lower(trim(p_email)) $$;

CREATE FUNCTION public.actor_name(p_site uuid, p_actor uuid) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF p_actor IS NULL OR NOT coalesce(p_site = ANY (nullif(current_setting('app.sites', true), '')::uuid[]), false) THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('app.maintenance', 'on', true);
    RETURN (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = p_actor
        AND EXISTS (SELECT FROM intent_actions a WHERE a.site_id = p_site AND a.actor = p_actor));
END
$$;

CREATE FUNCTION public.administrators() RETURNS TABLE(id uuid, email text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT u.id, u.email FROM users u JOIN profiles p ON p.id = u.id
    WHERE p.role = 'admin' AND u.disabled_at IS NULL ORDER BY u.created_at, u.id
$$;

CREATE FUNCTION public.attach_month(p_month date, OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_month date := date_trunc('month', p_month)::date;
    v_sessions text := to_char(v_month, '"sessions_"YYYY_MM');
    v_events text := to_char(v_month, '"events_"YYYY_MM');
    v_no_sessions boolean;
    v_no_events boolean;
    v_waiting bigint := 0;
    v_lock_timeout text := current_setting('lock_timeout');
BEGIN
    made := '{}';
    sessions_moved := 0;
    events_moved := 0;
    PERFORM pg_advisory_xact_lock(hashtextextended('opsmantik: months', 0));
    v_no_sessions := NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('parts.' || v_sessions) AND relispartition);
    v_no_events := NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('parts.' || v_events) AND relispartition);
    IF NOT v_no_sessions AND NOT v_no_events THEN
        RETURN;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE invalid_transaction_state
            USING MESSAGE = 'attach_month needs READ COMMITTED, to see what others commit meanwhile';
    END IF;

    IF v_no_sessions THEN
        made := made || v_sessions;
        -- Rows grow and are updated in place: room on the page keeps those updates off the indexes.
        EXECUTE format('CREATE TABLE parts.%I (LIKE sessions INCLUDING ALL EXCLUDING COMMENTS) WITH (fillfactor = 75)',
            v_sessions);
        PERFORM dress_partition(v_sessions, 'created_month', v_month, true);
        v_waiting := copy_month('sessions_default', v_sessions, 'created_month', v_month);
    END IF;
    IF v_no_events THEN
        made := made || v_events;
        EXECUTE format('CREATE TABLE parts.%I (LIKE events INCLUDING ALL EXCLUDING COMMENTS)', v_events);
        PERFORM dress_partition(v_events, 'session_month', v_month, false);
        PERFORM copy_month('events_default', v_events, 'session_month', v_month);
    END IF;

    PERFORM lock_facts(v_waiting > 0);
    IF v_no_sessions THEN
        sessions_moved := attach_sessions(v_sessions, v_month, v_waiting > 0);
    END IF;
    IF v_no_events THEN
        events_moved := leave_default('events_default', v_events, 'session_month', v_month);
        PERFORM attach_partition('events', v_events, v_month);
    END IF;
    PERFORM set_config('lock_timeout', v_lock_timeout, true);
END
$$;

CREATE FUNCTION public.attach_partition(p_parent text, p_partition text, p_month date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    SET enable_material TO 'off'
    AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION parts.%I FOR VALUES FROM (%L) TO (%L)',
        p_parent, p_partition, p_month, (p_month + interval '1 month')::date);
END
$$;

CREATE FUNCTION public.attach_sessions(p_sessions text, p_month date, p_locked boolean) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_key text;
    v_moved bigint := 0;
BEGIN
    IF p_locked OR EXISTS (SELECT FROM parts.sessions_default WHERE created_month = p_month) THEN
        IF NOT p_locked THEN
            -- The month's first rows came between the copy and the locks.
            PERFORM lock_facts(true);
        END IF;
        SELECT pg_get_constraintdef(oid) INTO STRICT v_key FROM pg_constraint
        WHERE conrelid = 'session_keys'::regclass AND conname = 'session_keys_session_fkey';
        ALTER TABLE session_keys DROP CONSTRAINT session_keys_session_fkey;
        v_moved := leave_default('sessions_default', p_sessions, 'created_month', p_month);
    END IF;
    PERFORM attach_partition('sessions', p_sessions, p_month);
    IF v_key IS NOT NULL THEN
        EXECUTE 'ALTER TABLE session_keys ADD CONSTRAINT session_keys_session_fkey '
            || replace(v_key, ' NOT VALID', '') || ' NOT VALID';
    END IF;
    RETURN v_moved;
END
$$;

CREATE FUNCTION public.call_entries(p_site uuid, p_calls uuid[], p_n integer) RETURNS public.counter_entry[]
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(array_agg(e.entry), '{}') FROM (
        SELECT call_entry(c, s, p_n) AS entry
        FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
            AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) AND c.merged_into IS NULL
        UNION ALL
        SELECT decision_entry(c, s, p_n)
        FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
            AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) AND c.merged_into IS NULL AND c.confirmed_at IS NOT NULL
        UNION ALL
        SELECT conversion_entry(v, c, s, p_n)
        FROM conversions v JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
            AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) AND c.merged_into IS NULL) e
$$;

CREATE TABLE public.calls (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    status text DEFAULT 'intent'::text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    source text DEFAULT 'click'::text NOT NULL,
    phone_number text,
    matched_session_id uuid,
    matched_session_month date,
    matched_fingerprint text,
    matched_at timestamp with time zone,
    lead_score integer DEFAULT 0 NOT NULL,
    lead_score_at_match integer,
    score_breakdown jsonb,
    confirmed_at timestamp with time zone,
    confirmed_by uuid,
    note text,
    event_id uuid,
    intent_stamp text,
    intent_action text,
    intent_target text,
    intent_page_url text,
    click_id text,
    click_id_kind text,
    sale_amount numeric,
    estimated_value numeric,
    currency text NOT NULL,
    merged_into uuid,
    quality smallint,
    stage text,
    sale_at timestamp with time zone,
    junk_reason text,
    suspicion text[],
    is_automatic boolean DEFAULT false NOT NULL,
    CONSTRAINT calls_click_id_kind_check CHECK ((click_id_kind = ANY (ARRAY['gclid'::text, 'wbraid'::text, 'gbraid'::text]))),
    CONSTRAINT calls_click_id_whole CHECK (((click_id IS NULL) = (click_id_kind IS NULL))),
    CONSTRAINT calls_click_invariants CHECK (((source <> 'click'::text) OR ((intent_action = ANY (ARRAY['phone'::text, 'whatsapp'::text])) AND (intent_action IS NOT NULL) AND (intent_target <> ''::text) AND (intent_target IS NOT NULL) AND (intent_stamp <> ''::text) AND (intent_stamp IS NOT NULL)))),
    CONSTRAINT calls_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT calls_estimated_value_check CHECK ((estimated_value >= (0)::numeric)),
    CONSTRAINT calls_intent_action_check CHECK ((intent_action = ANY (ARRAY['phone'::text, 'whatsapp'::text, 'form'::text]))),
    CONSTRAINT calls_intent_stamp_check CHECK ((length(intent_stamp) <= 128)),
    CONSTRAINT calls_junk_reason_check CHECK ((length(junk_reason) <= 200)),
    CONSTRAINT calls_lead_score_check CHECK (((lead_score >= 0) AND (lead_score <= 100))),
    CONSTRAINT calls_quality_check CHECK (((quality >= 0) AND (quality <= 100))),
    CONSTRAINT calls_sale_amount_check CHECK ((sale_amount >= (0)::numeric)),
    CONSTRAINT calls_session_whole CHECK (((matched_session_id IS NULL) = (matched_session_month IS NULL))),
    CONSTRAINT calls_source_check CHECK ((source = ANY (ARRAY['click'::text, 'form'::text, 'api'::text, 'manual'::text]))),
    CONSTRAINT calls_stage_check CHECK ((stage = ANY (ARRAY['contacted'::text, 'offered'::text, 'won'::text]))),
    CONSTRAINT calls_status_check CHECK ((status = ANY (ARRAY['intent'::text, 'pending'::text, 'sealed'::text, 'junk'::text, 'suspicious'::text, 'conversion'::text])))
)
WITH (fillfactor='80');

ALTER TABLE ONLY public.calls FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.calls.confirmed_at IS 'When the present status was decided; null while nobody has.';

COMMENT ON COLUMN public.calls.merged_into IS 'The lead that this tap repeats: same visit, within half an hour. Such a row is a tap, not a lead.';

COMMENT ON COLUMN public.calls.quality IS 'What the operator thinks of the lead, 0 to 100; five stars are 20 points each.';

COMMENT ON COLUMN public.calls.suspicion IS 'The rules that found it suspicious.';

COMMENT ON COLUMN public.calls.is_automatic IS 'Decided by a rule that the site switched on, not by a person.';

CREATE TABLE public.sessions (
    site_id uuid NOT NULL,
    created_month date NOT NULL,
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    last_event_at timestamp with time zone NOT NULL,
    total_duration_sec integer DEFAULT 0 NOT NULL,
    event_count integer DEFAULT 0 NOT NULL,
    view_count integer DEFAULT 0 NOT NULL,
    conversion_count integer DEFAULT 0 NOT NULL,
    intent_count integer DEFAULT 0 NOT NULL,
    max_scroll_percentage integer DEFAULT 0 NOT NULL,
    cta_hover_count integer DEFAULT 0 NOT NULL,
    form_focus_duration integer DEFAULT 0 NOT NULL,
    total_active_seconds integer DEFAULT 0 NOT NULL,
    previous_visit_count integer DEFAULT 0 NOT NULL,
    is_returning boolean DEFAULT false NOT NULL,
    fingerprint text,
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
    is_proxy_detected boolean DEFAULT false NOT NULL,
    exit_key bigint NOT NULL,
    exit_page text,
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
    click_key bigint,
    click_at timestamp with time zone,
    gclid text,
    wbraid text,
    gbraid text,
    has_click_id boolean DEFAULT false NOT NULL,
    utm_key bigint,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_term text,
    utm_content text,
    matchtype text,
    ads_network text,
    ads_placement text,
    source_key bigint NOT NULL,
    attribution_source text NOT NULL,
    channel text NOT NULL,
    is_paid boolean NOT NULL,
    attribution jsonb NOT NULL,
    last_touch_key bigint,
    last_touch jsonb,
    consent_key bigint,
    consent_analytics boolean,
    consent_marketing boolean
)
PARTITION BY RANGE (created_month);

ALTER TABLE ONLY public.sessions FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.sessions.created_at IS 'Server time of the first event received; decides created_month.';

COMMENT ON COLUMN public.sessions.started_at IS 'Time of the earliest event, by the corrected client clock.';

COMMENT ON COLUMN public.sessions.total_duration_sec IS 'last_event_at - started_at. Kept by ingest_batch, not generated: a generated column is parsed anew by every statement that writes.';

COMMENT ON COLUMN public.sessions.fingerprint IS 'Visitor id: random and kept on the device, or the first generation''s device hash.';

COMMENT ON COLUMN public.sessions.attribution IS 'Why this source: rule, evidence, losing rules, version of the ladder.';

CREATE FUNCTION public.call_entry(c public.calls, s public.sessions, p_n integer) RETURNS public.counter_entry
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ROW('call', p_n, (c).created_at, coalesce((s).is_paid, false), (c).click_id IS NOT NULL OR coalesce((s).has_click_id, false),
    (s).attribution_source, (s).channel, (s).device_type, place_key((s).city, (s).district),
    (s).utm_campaign, (s).utm_term, (s).matchtype, page_key((s).entry_page), NULL,
    NULL, NULL, (c).status, (c).intent_action, (c).source, (c).is_automatic, (c).sale_amount, (c).currency,
    (s).max_scroll_percentage, NULL)::counter_entry $$;

CREATE FUNCTION public.change_site_clock(p_site uuid, p_time_zone text, p_currency text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM lock_counters(p_site);
    UPDATE sites SET time_zone = p_time_zone, currency = p_currency, updated_at = now() WHERE id = p_site;
    PERFORM rebuild_counters(p_site);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;

CREATE FUNCTION public.clear_leads(p_sites uuid[], p_calls uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE calls c SET suspicion = '{}' FROM unnest(p_sites, p_calls) AS d (site_id, id)
    WHERE c.site_id = d.site_id AND c.id = d.id AND c.suspicion IS NULL;
END
$$;

CREATE TABLE public.conversions (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    call_id uuid NOT NULL,
    order_id text NOT NULL,
    state text NOT NULL,
    reason text,
    due_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    value numeric,
    currency text NOT NULL,
    click_id text,
    click_id_kind text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT conversions_click_id_kind_check CHECK ((click_id_kind = ANY (ARRAY['gclid'::text, 'wbraid'::text, 'gbraid'::text]))),
    CONSTRAINT conversions_click_id_whole CHECK (((click_id IS NULL) = (click_id_kind IS NULL))),
    CONSTRAINT conversions_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT conversions_order_id_check CHECK (((length(order_id) >= 1) AND (length(order_id) <= 64))),
    CONSTRAINT conversions_reason CHECK (((state <> ALL (ARRAY['failed'::text, 'skipped'::text])) OR (reason IS NOT NULL))),
    CONSTRAINT conversions_state_check CHECK ((state = ANY (ARRAY['held'::text, 'queued'::text, 'sent'::text, 'accepted'::text, 'matched'::text, 'failed'::text, 'retracted'::text, 'skipped'::text]))),
    CONSTRAINT conversions_value_check CHECK ((value >= (0)::numeric))
);

ALTER TABLE ONLY public.conversions FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.conversions.order_id IS 'The exactly-once key towards the platform: says nothing about any person.';

COMMENT ON COLUMN public.conversions.due_at IS 'Not before: the time in which a seal can be taken back unseen.';

CREATE FUNCTION public.conversion_entry(v public.conversions, c public.calls, s public.sessions, p_n integer) RETURNS public.counter_entry
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ROW('conversion', p_n, (c).created_at, coalesce((s).is_paid, false), (v).click_id IS NOT NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, (v).state, NULL, NULL, NULL, (v).value, (v).currency, NULL, NULL)::counter_entry $$;

CREATE FUNCTION public.copy_month(p_from text, p_to text, p_column text, p_month date) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_nestloop TO 'off'
    AS $$
DECLARE
    v_columns text;
    v_copied bigint;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO v_columns FROM pg_attribute
    WHERE attrelid = to_regclass(format('parts.%I', p_to)) AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format('INSERT INTO parts.%I (%s) SELECT %s FROM parts.%I d WHERE d.%I = %L '
        'AND NOT EXISTS (SELECT FROM parts.%I n WHERE n.site_id = d.site_id AND n.%I = d.%I AND n.id = d.id)',
        p_to, v_columns, v_columns, p_from, p_column, p_month, p_to, p_column, p_column);
    GET DIAGNOSTICS v_copied = ROW_COUNT;
    RETURN v_copied;
END
$$;

CREATE FUNCTION public.counter_differences(p_site uuid, p_from date, p_to date) RETURNS TABLE(day date, dimension text, key text, is_paid boolean, measure text, counted numeric, recounted numeric)
    LANGUAGE sql STABLE
    AS $$
    WITH site AS (SELECT s.id, s.time_zone, s.currency FROM sites s WHERE s.id = p_site),
    counted AS (
        SELECT c.day, c.dimension, c.key, c.is_paid, m.measure, sum(m.n) AS n
        FROM counters c CROSS JOIN LATERAL (VALUES ('sessions', c.sessions::numeric), ('click_sessions', c.click_sessions::numeric), ('visitors', c.visitors::numeric), ('events', c.events::numeric), ('conversions', c.conversions::numeric), ('forms', c.forms::numeric), ('leads', c.leads::numeric), ('click_leads', c.click_leads::numeric), ('sealed', c.sealed::numeric), ('junk', c.junk::numeric), ('amount', c.amount::numeric), ('scroll', c.scroll::numeric), ('scrolled', c.scrolled::numeric), ('seconds', c.seconds::numeric)) AS m (measure, n)
        WHERE c.site_id = p_site AND c.day BETWEEN coalesce(p_from, '-infinity') AND coalesce(p_to, 'infinity') AND m.n <> 0
        GROUP BY 1, 2, 3, 4, 5
    ), recounted AS (
        SELECT r.day, r.dimension, r.key, r.is_paid, m.measure, m.n
        FROM site CROSS JOIN LATERAL recount(site.id,
            coalesce(p_from::timestamp AT TIME ZONE 'UTC' - interval '2 days', '-infinity'),
            coalesce(p_to::timestamp AT TIME ZONE 'UTC' + interval '3 days', 'infinity'), site.time_zone, site.currency) r
        CROSS JOIN LATERAL (VALUES ('sessions', r.sessions::numeric), ('click_sessions', r.click_sessions::numeric), ('visitors', r.visitors::numeric), ('events', r.events::numeric), ('conversions', r.conversions::numeric), ('forms', r.forms::numeric), ('leads', r.leads::numeric), ('click_leads', r.click_leads::numeric), ('sealed', r.sealed::numeric), ('junk', r.junk::numeric), ('amount', r.amount::numeric), ('scroll', r.scroll::numeric), ('scrolled', r.scrolled::numeric), ('seconds', r.seconds::numeric)) AS m (measure, n)
        WHERE r.day BETWEEN coalesce(p_from, '-infinity') AND coalesce(p_to, 'infinity') AND m.n <> 0
    )
    SELECT day, dimension, key, is_paid, measure, coalesce(counted.n, 0), coalesce(recounted.n, 0)
    FROM counted FULL JOIN recounted USING (day, dimension, key, is_paid, measure)
    WHERE coalesce(counted.n, 0) <> coalesce(recounted.n, 0)
$$;

CREATE FUNCTION public.counter_part(p_dimension text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN p_dimension IN ('hour', 'visitor_hour', 'waiting') THEN 'hours'
    WHEN p_dimension IN ('place', 'page', 'campaign', 'keyword') THEN 'details'
    WHEN p_dimension IN ('source', 'channel', 'device', 'matchtype') THEN 'sources' ELSE 'main' END $$;

CREATE FUNCTION public.create_first_admin(p_link_hash bytea, p_id uuid, p_email text, p_name text, p_password_hash text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    UPDATE one_time_links SET used_at = now()
    WHERE token_hash = p_link_hash AND purpose = 'first_admin' AND used_at IS NULL AND expires_at > now()
      AND NOT EXISTS (SELECT FROM users);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO users (id, email, name, password_hash) VALUES (p_id, lower(trim(p_email)), p_name, p_password_hash);
    INSERT INTO profiles (id, role) VALUES (p_id, 'admin');
    RETURN true;
END
$$;

CREATE FUNCTION public.create_site(p_id uuid, p_public_id text, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_consent_mode text, p_origins text[]) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_user IS NULL THEN
        RAISE EXCEPTION 'nobody is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO sites (id, user_id, public_id, name, domain, time_zone, region, currency, consent_mode)
    VALUES (p_id, v_user, p_public_id, p_name, p_domain, p_time_zone, p_region, p_currency, p_consent_mode);
    INSERT INTO site_members (site_id, user_id, role) VALUES (p_id, v_user, 'owner');
    INSERT INTO site_origins (site_id, origin) SELECT p_id, o FROM unnest(p_origins) o ON CONFLICT DO NOTHING;
    PERFORM pg_notify('opsmantik_sites', p_id::text);
    RETURN p_id;
END
$$;

CREATE FUNCTION public.decide_intent(p_site uuid, p_call uuid, p_version integer, p_id uuid, p_kind text, p_action text, p_note text, p_undoes uuid, p_changes jsonb, p_conversion jsonb, OUT version integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_columns constant text[] := ARRAY['status', 'confirmed_at', 'confirmed_by', 'note', 'quality', 'stage', 'sale_at',
        'sale_amount', 'currency', 'junk_reason', 'suspicion', 'is_automatic'];
    v_person uuid := decider(p_site);
    v_old calls;
    v_new calls;
    v_entries counter_entry[];
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY[p_call]);
    SELECT c.* INTO v_old FROM calls c WHERE c.site_id = p_site AND c.id = p_call;
    IF NOT FOUND OR v_old.merged_into IS NOT NULL OR v_old.version IS DISTINCT FROM p_version THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM jsonb_object_keys(p_changes) k WHERE k <> ALL (v_columns)) THEN
        RAISE EXCEPTION 'a decision changes its own columns only' USING ERRCODE = 'check_violation';
    END IF;
    v_new := jsonb_populate_record(v_old, p_changes);
    -- An undo may bring back the decision of somebody whose account is gone since.
    v_new.confirmed_by := (SELECT u.id FROM users u WHERE u.id = v_new.confirmed_by);
    v_entries := call_entries(p_site, ARRAY[p_call], -1);

    UPDATE calls c SET status = v_new.status, confirmed_at = v_new.confirmed_at, confirmed_by = v_new.confirmed_by,
        note = v_new.note, quality = v_new.quality, stage = v_new.stage, sale_at = v_new.sale_at,
        sale_amount = v_new.sale_amount, currency = v_new.currency, junk_reason = v_new.junk_reason,
        suspicion = v_new.suspicion, is_automatic = v_new.is_automatic, version = c.version + 1, updated_at = now()
    WHERE c.site_id = p_site AND c.id = p_call RETURNING c.version INTO decide_intent.version;

    INSERT INTO intent_actions (site_id, id, call_id, at, actor, actor_kind, action, from_status, to_status, version,
        before, note, undoes)
    VALUES (p_site, p_id, p_call, now(), v_person, p_kind, p_action, v_old.status, v_new.status, decide_intent.version,
        -- As text, because 10.5 and 10.50 are equal and yet not the same.
        (SELECT coalesce(jsonb_object_agg(k, to_jsonb(v_old) -> k), '{}') FROM jsonb_object_keys(p_changes) k
         WHERE (to_jsonb(v_old) -> k)::text IS DISTINCT FROM (to_jsonb(v_new) -> k)::text),
        p_note, p_undoes);
    PERFORM move_conversion(p_site, p_call, p_conversion);

    INSERT INTO counter_journal (site_id, entries, changed_at)
    VALUES (p_site, v_entries || call_entries(p_site, ARRAY[p_call], 1), now());
END
$$;

CREATE FUNCTION public.decider(p_site uuid) RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF session_user = current_user THEN
        RETURN NULL;
    END IF;
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin', 'operator') THEN
        RAISE EXCEPTION 'the asker decides nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN current_setting('app.person')::uuid;
END
$$;

CREATE FUNCTION public.decision_entry(c public.calls, s public.sessions, p_n integer) RETURNS public.counter_entry
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ROW('decision', p_n, (c).confirmed_at, coalesce((s).is_paid, false), (c).click_id IS NOT NULL OR coalesce((s).has_click_id, false),
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, (c).status, (c).intent_action, (c).source, (c).is_automatic, (c).sale_amount, (c).currency,
    NULL, extract(epoch FROM (c).confirmed_at - (c).created_at)::bigint)::counter_entry $$;

CREATE FUNCTION public.drain_default_month(p_month date, OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF current_setting('app.maintenance', true) IS DISTINCT FROM 'on' THEN
        RAISE insufficient_privilege USING MESSAGE = 'drain_default_month needs SET LOCAL app.maintenance = ''on''';
    END IF;
    SELECT * INTO made, sessions_moved, events_moved FROM attach_month(p_month);
END
$$;

CREATE FUNCTION public.dress_partition(p_partition text, p_column text, p_month date, p_upper boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_from text := to_char(p_month, 'YYYY-MM-DD') || ' 00:00:00+00';
    v_to text := to_char(p_month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00';
BEGIN
    EXECUTE format('ALTER TABLE parts.%I ADD CONSTRAINT %I CHECK (%I = %L AND created_at >= %L%s)',
        p_partition, p_partition || '_month', p_column, p_month, v_from,
        CASE WHEN p_upper THEN format(' AND created_at < %L', v_to) ELSE '' END);
    EXECUTE format('ALTER TABLE parts.%I ENABLE ROW LEVEL SECURITY', p_partition);
    EXECUTE format('ALTER TABLE parts.%I FORCE ROW LEVEL SECURITY', p_partition);
    EXECUTE format('CREATE POLICY by_owner_function ON parts.%I TO CURRENT_USER '
        'USING (current_setting(''app.maintenance'', true) = ''on'') '
        'WITH CHECK (current_setting(''app.maintenance'', true) = ''on'')', p_partition);
END
$$;

CREATE FUNCTION public.end_sign_in(p_token_hash bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ DELETE FROM sign_ins WHERE token_hash = p_token_hash $$;

CREATE FUNCTION public.enter_user(p_user uuid, OUT sites uuid[], OUT is_admin boolean) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SELECT coalesce(bool_or(p.role = 'admin'), false) INTO is_admin
    FROM profiles p JOIN users u ON u.id = p.id AND u.disabled_at IS NULL WHERE p.id = p_user;
    SELECT coalesce(array_agg(s.id), '{}') INTO sites FROM sites s
    WHERE is_admin OR (EXISTS (SELECT FROM users u WHERE u.id = p_user AND u.disabled_at IS NULL)
        AND (s.user_id = p_user
             OR EXISTS (SELECT FROM site_members m WHERE m.site_id = s.id AND m.user_id = p_user)));
    EXECUTE format('SET LOCAL app.person = %L', p_user);
    EXECUTE format('SET LOCAL app.sites = %L', sites);
END
$$;

CREATE FUNCTION public.entry_cells(e public.counter_entry, p_zone text, p_currency text) RETURNS TABLE(day date, dimension text, key text, is_paid boolean, sessions integer, click_sessions integer, events integer, conversions integer, forms integer, leads integer, click_leads integer, sealed integer, junk integer, amount numeric, scroll bigint, scrolled integer, seconds bigint)
    LANGUAGE sql STABLE
    AS $$
    SELECT ((e).at AT TIME ZONE p_zone)::date, d.dimension, left(d.key, 200), (e).is_paid,
        CASE WHEN (e).kind = 'session' THEN (e).n END,
        CASE WHEN (e).kind = 'session' AND (e).has_click_id THEN (e).n END,
        CASE WHEN (e).kind = 'events' THEN (e).n END,
        CASE WHEN (e).kind = 'events' THEN (e).conversions END,
        CASE WHEN (e).kind = 'events' THEN (e).forms END,
        CASE WHEN (e).kind NOT IN ('session', 'events') THEN (e).n END,
        CASE WHEN (e).kind NOT IN ('session', 'events') AND (e).has_click_id THEN (e).n END,
        CASE WHEN (e).kind IN ('call', 'decision') AND (e).status IN ('sealed', 'conversion') THEN (e).n END,
        CASE WHEN (e).kind IN ('call', 'decision') AND (e).status = 'junk' THEN (e).n END,
        CASE WHEN d.dimension = 'currency' OR (e).kind = 'conversion'
                OR (e).currency = p_currency AND (e).status IN ('sealed', 'conversion') THEN (e).n * (e).amount END,
        CASE WHEN (e).kind = 'call' THEN (e).n * (e).scroll END,
        CASE WHEN (e).kind = 'call' AND (e).scroll IS NOT NULL THEN (e).n END,
        CASE WHEN (e).kind = 'decision' THEN (e).n * (e).seconds END
    FROM (VALUES
        ('all', CASE WHEN (e).kind IN ('session', 'events', 'call') THEN '' END),
        ('hour', CASE WHEN (e).kind IN ('session', 'events', 'call') THEN hour_key((e).at, p_zone) END),
        ('waiting', CASE WHEN (e).kind = 'call' AND (e).status IN ('intent', 'pending') THEN hour_key((e).at, p_zone) END),
        ('source', CASE WHEN (e).kind IN ('session', 'call') THEN coalesce((e).source, '') END),
        ('channel', CASE WHEN (e).kind IN ('session', 'call') THEN coalesce((e).channel, '') END),
        ('device', CASE WHEN (e).kind IN ('session', 'call') THEN coalesce((e).device, '') END),
        ('place', CASE WHEN (e).kind IN ('session', 'call') THEN (e).place END),
        ('page', CASE WHEN (e).kind IN ('session', 'call') THEN (e).page END),
        ('campaign', (e).campaign),
        ('keyword', (e).keyword),
        ('matchtype', (e).matchtype),
        (CASE (e).kind WHEN 'call' THEN 'lead' ELSE 'decision' END, CASE WHEN (e).kind IN ('call', 'decision') THEN
            (e).status || ' ' || coalesce((e).action, '-') || ' ' || (e).captured_by || CASE WHEN (e).is_automatic THEN ' auto' ELSE '' END END),
        ('currency', CASE WHEN (e).kind = 'call' AND (e).status IN ('sealed', 'conversion') AND (e).amount IS NOT NULL THEN (e).currency END),
        ('conversion', CASE WHEN (e).kind = 'conversion' THEN (e).status END)
    ) AS d (dimension, key)
    WHERE d.key IS NOT NULL
$$;

CREATE FUNCTION public.figures(p_site uuid, p_first date, p_last date, p_edge_from timestamp with time zone[], p_edge_to timestamp with time zone[], p_parts text[]) RETURNS TABLE(day date, dimension text, key text, is_paid boolean, sessions integer, click_sessions integer, visitors integer, events integer, conversions integer, forms integer, leads integer, click_leads integer, sealed integer, junk integer, amount numeric, scroll bigint, scrolled integer, seconds bigint)
    LANGUAGE sql STABLE
    AS $$
    SELECT d.day, c.dimension, c.key, c.is_paid, c.sessions, c.click_sessions, c.visitors, c.events, c.conversions, c.forms, c.leads, c.click_leads, c.sealed, c.junk, c.amount, c.scroll, c.scrolled, c.seconds
    FROM counter_days d CROSS JOIN LATERAL unnest(CASE WHEN 'main' = ANY (p_parts) THEN d.main END
        || CASE WHEN 'sources' = ANY (p_parts) THEN d.sources END
        || CASE WHEN 'hours' = ANY (p_parts) THEN d.hours END || CASE WHEN 'details' = ANY (p_parts) THEN d.details END) c
    WHERE d.site_id = p_site AND d.day BETWEEN p_first AND p_last
    UNION ALL
    SELECT u.day, u.dimension, u.key, u.is_paid, u.sessions, u.click_sessions, u.visitors, u.events, u.conversions, u.forms, u.leads, u.click_leads, u.sealed, u.junk, u.amount, u.scroll, u.scrolled, u.seconds
    FROM sites s CROSS JOIN LATERAL unfolded_cells(s.id, s.time_zone, s.currency) u
    WHERE s.id = p_site AND u.day BETWEEN p_first AND p_last AND counter_part(u.dimension) = ANY (p_parts)
    UNION ALL
    SELECT r.day, r.dimension, r.key, r.is_paid, r.sessions, r.click_sessions, r.visitors, r.events, r.conversions, r.forms, r.leads, r.click_leads, r.sealed, r.junk, r.amount, r.scroll, r.scrolled, r.seconds
    FROM sites s CROSS JOIN unnest(p_edge_from, p_edge_to) AS e (edge_from, edge_to)
    CROSS JOIN LATERAL recount(s.id, e.edge_from, e.edge_to, s.time_zone, s.currency) r
    WHERE s.id = p_site
$$;

CREATE FUNCTION public.first_admin_link_open(p_link_hash bytea) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT NOT EXISTS (SELECT FROM users) AND EXISTS (SELECT FROM one_time_links
        WHERE token_hash = p_link_hash AND purpose = 'first_admin' AND used_at IS NULL AND expires_at > now())
$$;

CREATE FUNCTION public.fold_counters(p_site uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_zone text;
    v_currency text;
    v_count integer;
BEGIN
    SET LOCAL app.maintenance = 'on';
    IF NOT pg_try_advisory_xact_lock(hashtextextended('opsmantik: counters ' || p_site, 0)) THEN
        RETURN -1;
    END IF;
    SELECT s.time_zone, s.currency INTO v_zone, v_currency FROM sites s WHERE s.id = p_site;
    -- One statement, so one snapshot: what is taken from the journal is what the visitors are counted against.
    WITH taken AS (
        DELETE FROM counter_journal j WHERE j.site_id = p_site
        RETURNING j.entries, j.tally, j.changed_at, j.last_event_at, j.last_intent_at
    ), fresh (day, dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds) AS MATERIALIZED (
        SELECT x.day, x.dimension, x.key, x.is_paid, x.sessions, x.click_sessions, NULL::integer, x.events, x.conversions, x.forms, x.leads, x.click_leads, x.sealed, x.junk, x.amount, x.scroll, x.scrolled, x.seconds
        FROM taken t CROSS JOIN LATERAL unnest(t.entries) e CROSS JOIN LATERAL entry_cells(e, v_zone, v_currency) x
        UNION ALL
        SELECT v.day, v.dimension, v.key, v.is_paid, NULL::integer, NULL::integer, v.visitors, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::numeric, NULL::bigint, NULL::integer, NULL::bigint
        FROM unfolded_visitors(p_site, v_zone) v
    ), known AS (
        SELECT d.day, c.* FROM counter_days d CROSS JOIN LATERAL unnest(d.main || d.sources || d.hours || d.details) c
        WHERE d.site_id = p_site AND d.day IN (SELECT f.day FROM fresh f)
    ), sums AS (
        SELECT day, dimension, key, is_paid,
            sum(sessions)::integer AS sessions, sum(click_sessions)::integer AS click_sessions, sum(visitors)::integer AS visitors, sum(events)::integer AS events, sum(conversions)::integer AS conversions, sum(forms)::integer AS forms, sum(leads)::integer AS leads, sum(click_leads)::integer AS click_leads, sum(sealed)::integer AS sealed, sum(junk)::integer AS junk, sum(amount) AS amount, sum(scroll)::bigint AS scroll, sum(scrolled)::integer AS scrolled, sum(seconds)::bigint AS seconds
        FROM (SELECT * FROM fresh UNION ALL SELECT * FROM known) b GROUP BY day, dimension, key, is_paid
    ), written AS (
        INSERT INTO counter_days AS y (site_id, day, main, sources, hours, details)
        SELECT p_site, w.day, coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'main'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'sources'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'hours'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'details'), '{}')
        FROM (SELECT z.day, z.dimension, z.key, z.is_paid, ROW(z.dimension, z.key, z.is_paid, nullif(z.sessions, 0), nullif(z.click_sessions, 0), nullif(z.visitors, 0), nullif(z.events, 0), nullif(z.conversions, 0), nullif(z.forms, 0), nullif(z.leads, 0), nullif(z.click_leads, 0), nullif(z.sealed, 0), nullif(z.junk, 0), nullif(z.amount, 0), nullif(z.scroll, 0), nullif(z.scrolled, 0), nullif(z.seconds, 0))::counter_cell AS cell,
                CASE WHEN coalesce(z.sessions, 0) <> 0 OR coalesce(z.click_sessions, 0) <> 0 OR coalesce(z.visitors, 0) <> 0 OR coalesce(z.events, 0) <> 0 OR coalesce(z.conversions, 0) <> 0 OR coalesce(z.forms, 0) <> 0 OR coalesce(z.leads, 0) <> 0 OR coalesce(z.click_leads, 0) <> 0 OR coalesce(z.sealed, 0) <> 0 OR coalesce(z.junk, 0) <> 0 OR coalesce(z.amount, 0) <> 0 OR coalesce(z.scroll, 0) <> 0 OR coalesce(z.scrolled, 0) <> 0 OR coalesce(z.seconds, 0) <> 0 THEN counter_part(z.dimension) END AS part
            FROM sums z) w GROUP BY w.day
        ON CONFLICT (site_id, day) DO UPDATE SET main = excluded.main, sources = excluded.sources,
            hours = excluded.hours, details = excluded.details
    ), tallied AS (
        INSERT INTO ingest_tally AS y (site_id, hour, outcome, n)
        SELECT p_site, date_trunc('hour', coalesce(o.received_at, t.changed_at)), o.outcome, sum(o.n)
        FROM taken t CROSS JOIN LATERAL unnest(t.tally) o GROUP BY 2, 3
        ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = y.n + excluded.n
    ), pulsed AS (
        INSERT INTO site_pulse AS y (site_id, sequence, changed_at, last_event_at, last_intent_at, counted_at)
        SELECT p_site, count(*), max(t.changed_at), max(t.last_event_at), max(t.last_intent_at), now()
        FROM taken t HAVING count(*) > 0
        ON CONFLICT (site_id) DO UPDATE SET
            sequence = y.sequence + excluded.sequence, changed_at = greatest(y.changed_at, excluded.changed_at),
            last_event_at = greatest(y.last_event_at, excluded.last_event_at),
            last_intent_at = greatest(y.last_intent_at, excluded.last_intent_at)
    )
    SELECT count(*) INTO v_count FROM taken;
    RETURN v_count;
END
$$;

CREATE FUNCTION public.has_users() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT EXISTS (SELECT FROM users) $$;

CREATE FUNCTION public.hour_key(p_at timestamp with time zone, p_zone text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT to_char(date_trunc('hour', p_at, p_zone) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') $$;

CREATE FUNCTION public.ingest_batch_v2(p_sessions public.session_draft[], p_events public.event_draft[], p_intents public.intent_draft[], p_tally public.tally_draft[], p_rejected public.rejected_draft[], OUT duplicates integer[], OUT leads public.lead_facts[], OUT called uuid[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    v_now timestamptz := now();
    v_this date := date_trunc('month', v_now AT TIME ZONE 'UTC')::date;
    v_month date;
    v_months date[];        -- of each session, by its place
    v_known_months date[];  -- in which sessions that go on were born
    v_born boolean[];       -- whether this batch begins it
    v_timed boolean;        -- whether any event is told from its repeats by time
    v_repeats uuid[];       -- events whose body was seen a moment ago
    v_stored uuid[];        -- events that were new
    v_events integer[];     -- by session's place, where not all were new: how many were
    v_views integer[];
    v_conversions integer[];
    v_forms integer[];
    v_intents integer[];
    v_touched integer[];    -- places of the sessions written to, and whether each is a paid one
    v_paid boolean[];
    v_places integer[];
    v_heavy integer[];      -- places of the sessions that took the heavy way
    v_flags boolean[];
    v_count bigint;
    v_calls uuid[];         -- leads of sessions that are merged anew
    v_entries site_entry[];
    v_more site_entry[];
    v_leads lead_facts[];
BEGIN
    SET LOCAL app.maintenance = 'on';  -- every row below names its site itself

    IF p_sessions <> '{}' THEN
        -- Events without an id of their own (first-generation trackers) are told apart by time. The same
        -- body in two transactions at once would not see each other: those wait here, by session.
        v_timed := EXISTS (SELECT FROM unnest(p_events) e WHERE e.near_ids IS NOT NULL);
        IF v_timed THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(w.session, 0)) FROM (
                SELECT DISTINCT e.site_id::text || e.session_id::text AS session FROM unnest(p_events) e
                WHERE e.near_ids IS NOT NULL ORDER BY 1) w;
        END IF;

        -- Looked for first, so that only what is missing is tried to be inserted.
        WITH known AS MATERIALIZED (
            SELECT d.site_id, d.id, d.place, k.created_month AS month,
                coalesce(date_trunc('month', d.received_at AT TIME ZONE 'UTC')::date, v_this) AS first_month
            FROM (SELECT x.site_id, x.id, x.received_at, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            LEFT JOIN session_keys k ON k.site_id = d.site_id AND k.id = d.id
        ), born AS (
            INSERT INTO session_keys (site_id, id, created_month)
            SELECT k.site_id, k.id, k.first_month FROM known k WHERE k.month IS NULL
            ON CONFLICT DO NOTHING RETURNING 1)
        SELECT array_agg(coalesce(k.month, k.first_month) ORDER BY k.place), array_agg(k.month IS NULL ORDER BY k.place),
            count(*) FILTER (WHERE k.month IS NULL) - (SELECT count(*) FROM born),
            array_agg(DISTINCT k.month) FILTER (WHERE k.month IS NOT NULL)
        INTO v_months, v_born, v_count, v_known_months FROM known k;
        IF v_count > 0 THEN
            -- Somebody else began one of them while we waited for its key: look again, now that it is committed.
            SELECT array_agg(k.created_month ORDER BY d.place),
                   array_agg(k.xmin = pg_current_xact_id()::xid ORDER BY d.place),
                   array_agg(DISTINCT k.created_month) FILTER (WHERE k.xmin <> pg_current_xact_id()::xid)
            INTO v_months, v_born, v_known_months
            FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN session_keys k ON k.site_id = d.site_id AND k.id = d.id;
        END IF;

        IF v_timed THEN
            SELECT array_agg(e.id) INTO v_repeats FROM unnest(p_events) e
            WHERE e.near_ids IS NOT NULL AND EXISTS (
                SELECT FROM events p
                WHERE p.site_id = e.site_id AND p.session_month = v_months[e.session_place] AND p.id = ANY (e.near_ids)
                  AND p.created_at > coalesce(e.received_at, v_now) - make_interval(secs => e.repeat_sec));
        END IF;

        WITH stored AS (
            INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, url,
                event_category, event_action, event_label, event_value, metadata, flags)
            SELECT d.site_id, v_months[d.session_place], d.id, d.session_id, coalesce(d.received_at, v_now),
                d.occurred_at, d.url, d.event_category, d.event_action, d.event_label, d.event_value, d.metadata, d.flags
            FROM unnest(p_events) d WHERE v_repeats IS NULL OR d.id <> ALL (v_repeats)
            ON CONFLICT DO NOTHING RETURNING id)
        SELECT array_agg(id) INTO v_stored FROM stored;

        IF coalesce(cardinality(v_stored), 0) < cardinality(p_events) THEN
            -- The rare way: somebody sent again what is there.
            SELECT array_agg(e.place::integer ORDER BY e.place) INTO duplicates
            FROM (SELECT x.id, row_number() OVER () AS place FROM unnest(p_events) x) e
            WHERE e.id <> ALL (coalesce(v_stored, '{}'));
            SELECT array_agg(coalesce(c.events, 0) ORDER BY p.place),
                   array_agg(coalesce(c.views, 0) ORDER BY p.place),
                   array_agg(coalesce(c.conversions, 0) ORDER BY p.place),
                   array_agg(coalesce(c.forms, 0) ORDER BY p.place),
                   array_agg(coalesce(i.intents, 0) ORDER BY p.place)
            INTO v_events, v_views, v_conversions, v_forms, v_intents
            FROM generate_series(1, cardinality(p_sessions)) AS p (place)
            LEFT JOIN (
                SELECT e.session_place AS place, count(*) AS events,
                    count(*) FILTER (WHERE e.event_action = 'view') AS views,
                    count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions,
                    count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit') AS forms
                FROM unnest(p_events) e WHERE e.id = ANY (v_stored) GROUP BY 1) c USING (place)
            LEFT JOIN (
                SELECT i.session_place AS place, count(*) AS intents
                FROM unnest(p_intents) i WHERE i.event_id = ANY (v_stored) GROUP BY 1) i USING (place);
            -- An event of one session sent again under another session's id begins no session.
            DELETE FROM session_keys k
            USING (SELECT x.site_id, x.id, x.pulse, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            WHERE k.site_id = d.site_id AND k.id = d.id AND v_born[d.place] AND v_events[d.place] = 0 AND NOT d.pulse;
        END IF;

        IF true = ANY (v_born) OR EXISTS (SELECT FROM unnest(p_sessions) d WHERE d.fresh_click_at IS NOT NULL) THEN
            WITH drafts AS (
                -- a draft of nothing but repeats changes nothing
                SELECT d.*, coalesce(v_events[d.place], d.events) AS new_events, v_born[d.place] AS is_new
                FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
                WHERE (v_born[d.place] OR d.fresh_click_at IS NOT NULL)
                  AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
            ), seen AS (
                INSERT INTO visitors AS v (site_id, id, first_seen_at, last_seen_at, visits, last_ad_click_at)
                SELECT d.site_id, d.fingerprint, min(d.started_at), max(d.last_event_at),
                    count(*) FILTER (WHERE d.is_new), max(d.fresh_click_at)
                FROM drafts d WHERE d.fingerprint IS NOT NULL
                GROUP BY d.site_id, d.fingerprint ORDER BY d.site_id, d.fingerprint
                ON CONFLICT (site_id, id) DO UPDATE SET
                    first_seen_at = least(v.first_seen_at, excluded.first_seen_at),
                    last_seen_at = greatest(v.last_seen_at, excluded.last_seen_at),
                    visits = v.visits + excluded.visits,
                    last_ad_click_at = greatest(v.last_ad_click_at, excluded.last_ad_click_at)
                RETURNING v.site_id, v.id, v.visits
            ), made AS (
                INSERT INTO sessions AS s (site_id, created_month, id, created_at, started_at, last_event_at, total_duration_sec,
                    is_returning, has_click_id, event_count, view_count, conversion_count, intent_count,
                    max_scroll_percentage, cta_hover_count, form_focus_duration, total_active_seconds,
                    previous_visit_count, fingerprint,
                    first_key, entry_page, referrer, referrer_host, ip_address, user_agent, device_type, device_os,
                    browser, country, city, district, place_source, telco_carrier, isp_asn, is_proxy_detected,
                    exit_key, exit_page,
                    env_key, browser_language, time_zone, device_memory, hardware_concurrency, screen_width,
                    screen_height, pixel_ratio, gpu_renderer, connection_type, tracker,
                    click_key, click_at, gclid, wbraid, gbraid,
                    utm_key, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
                    matchtype, ads_network, ads_placement,
                    source_key, attribution_source, channel, is_paid, attribution,
                    last_touch_key, last_touch, consent_key, consent_analytics, consent_marketing)
                SELECT d.site_id, v_months[d.place], d.id, coalesce(d.received_at, v_now), d.started_at, d.last_event_at,
                    extract(epoch FROM d.last_event_at - d.started_at)::integer,
                    coalesce(n.visits, 1) > 1, d.click_key IS NOT NULL, d.new_events, coalesce(v_views[d.place], d.views), coalesce(v_conversions[d.place], d.conversions),
                    coalesce(v_intents[d.place], d.intents),
                    d.max_scroll, d.cta_hovers, d.form_focus, d.active_seconds,
                    greatest(coalesce(n.visits, 1) - 1, 0), d.fingerprint,
                    d.first_key, d.entry_page, d.referrer, d.referrer_host, d.ip_address::inet, d.user_agent,
                    d.device_type, d.device_os, d.browser, d.country, d.city, d.district, d.place_source,
                    d.telco_carrier, d.isp_asn, d.is_proxy,
                    d.exit_key, d.exit_page,
                    d.env_key, d.browser_language, d.time_zone, d.device_memory, d.hardware_concurrency,
                    d.screen_width, d.screen_height, d.pixel_ratio, d.gpu_renderer, d.connection_type, d.tracker,
                    d.click_key, d.click_at, d.gclid, d.wbraid, d.gbraid,
                    d.utm_key, d.utm_source, d.utm_medium, d.utm_campaign, d.utm_term, d.utm_content,
                    d.matchtype, d.ads_network, d.ads_placement,
                    d.source_key,
                    CASE WHEN a.assisted THEN d.assisted_source ELSE d.attribution_source END,
                    CASE WHEN a.assisted THEN d.assisted_channel ELSE d.channel END,
                    CASE WHEN a.assisted THEN d.assisted_paid ELSE d.is_paid END,
                    CASE WHEN a.assisted THEN d.assisted_attribution ELSE d.attribution END,
                    d.last_touch_key, d.last_touch, d.consent_key, d.consent_analytics, d.consent_marketing
                FROM drafts d
                LEFT JOIN seen n ON n.site_id = d.site_id AND n.id = d.fingerprint
                CROSS JOIN LATERAL (SELECT EXISTS (
                    SELECT FROM visitors v
                    WHERE d.assisted_since IS NOT NULL AND v.site_id = d.site_id AND v.id = d.fingerprint
                      AND v.last_ad_click_at >= d.assisted_since AND v.last_ad_click_at < d.started_at
                ) AS assisted OFFSET 0) a
                WHERE d.is_new
                RETURNING s.site_id, s.id, s.is_paid, session_entry(s, 1) AS entry
            )
            SELECT array_agg(d.place::integer), array_agg(m.is_paid), array_agg(ROW(m.site_id, m.entry)::site_entry)
            INTO v_touched, v_paid, v_entries
            FROM made m JOIN drafts d ON d.site_id = m.site_id AND d.id = m.id;
        END IF;

        -- Where any visit has to be merged the heavy way, all are locked first, in the order of their names: a light update
        -- of some and a heavy one of others would be two turns, and two batches could wait for each other in a circle.
        IF v_known_months IS NOT NULL AND EXISTS (
            SELECT FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.place] AND s.id = d.id
            WHERE NOT v_born[d.place] AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
              AND (d.first_key < s.first_key OR d.source_key < s.source_key
                    OR d.env_key < coalesce(s.env_key, 9223372036854775807)
                    OR d.click_key < coalesce(s.click_key, 9223372036854775807)
                    OR d.utm_key < coalesce(s.utm_key, 9223372036854775807)
                    OR d.fingerprint < s.fingerprint OR s.fingerprint IS NULL AND d.fingerprint IS NOT NULL
                    OR s.intent_count > 0 AND d.max_scroll > s.max_scroll_percentage)
        ) THEN
            PERFORM FROM (SELECT x.site_id, x.id, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.place] AND s.id = d.id
            WHERE NOT v_born[d.place] ORDER BY d.place FOR NO KEY UPDATE OF s;
        END IF;

        -- One month at a time, so that each update opens one partition: this month's, now and then the last one's.
        FOREACH v_month IN ARRAY coalesce(v_known_months, '{}') LOOP
            WITH changed AS (
                UPDATE sessions s SET
                    last_event_at = greatest(s.last_event_at, d.last_event_at),
                    total_duration_sec = extract(epoch FROM greatest(s.last_event_at, d.last_event_at) - s.started_at)::integer,
                    event_count = s.event_count + coalesce(v_events[d.place], d.events),
                    view_count = s.view_count + coalesce(v_views[d.place], d.views),
                    conversion_count = s.conversion_count + coalesce(v_conversions[d.place], d.conversions),
                    intent_count = s.intent_count + coalesce(v_intents[d.place], d.intents),
                    max_scroll_percentage = greatest(s.max_scroll_percentage, d.max_scroll),
                    cta_hover_count = greatest(s.cta_hover_count, d.cta_hovers),
                    form_focus_duration = greatest(s.form_focus_duration, d.form_focus),
                    total_active_seconds = greatest(s.total_active_seconds, d.active_seconds),
                    exit_page = CASE WHEN d.exit_key > s.exit_key THEN d.exit_page ELSE s.exit_page END,
                    exit_key = greatest(s.exit_key, d.exit_key),
                    last_touch = CASE WHEN d.last_touch_key > coalesce(s.last_touch_key, 0) THEN d.last_touch ELSE s.last_touch END,
                    last_touch_key = greatest(s.last_touch_key, d.last_touch_key),
                    consent_analytics = CASE WHEN d.consent_key > coalesce(s.consent_key, 0) THEN d.consent_analytics ELSE s.consent_analytics END,
                    consent_marketing = CASE WHEN d.consent_key > coalesce(s.consent_key, 0) THEN d.consent_marketing ELSE s.consent_marketing END,
                    consent_key = greatest(s.consent_key, d.consent_key)
                FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
                WHERE s.site_id = d.site_id AND s.created_month = v_month AND s.id = d.id
                  AND v_months[d.place] = v_month AND NOT v_born[d.place]
                  AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
                  -- nothing comes first that was not first before, and nothing changes that is counted
                  AND (d.first_key < s.first_key OR d.source_key < s.source_key
                    OR d.env_key < coalesce(s.env_key, 9223372036854775807)
                    OR d.click_key < coalesce(s.click_key, 9223372036854775807)
                    OR d.utm_key < coalesce(s.utm_key, 9223372036854775807)
                    OR d.fingerprint < s.fingerprint OR s.fingerprint IS NULL AND d.fingerprint IS NOT NULL
                    OR s.intent_count > 0 AND d.max_scroll > s.max_scroll_percentage) IS NOT TRUE
                RETURNING d.place::integer AS place, s.is_paid, s.intent_count,
                    ROW(s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count,
                    s.total_duration_sec, s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count,
                    s.form_focus_duration, s.previous_visit_count, s.has_click_id, s.is_paid)::lead_facts AS facts
            )
            SELECT array_agg(c.place), array_agg(c.is_paid), array_agg(c.facts) FILTER (WHERE c.intent_count > 0)
            INTO v_places, v_flags, v_leads FROM changed c;
            v_touched := v_touched || v_places;
            v_paid := v_paid || v_flags;
            leads := leads || v_leads;
        END LOOP;

        -- The heavy way, for sessions that are left. What counted about them, and about their leads, counts no longer as
        -- it did; locked first, so that it is what the update will find.
        SELECT count(*) INTO v_count FROM unnest(p_sessions) WITH ORDINALITY AS d
        WHERE d.ordinality <> ALL (coalesce(v_touched, '{}')) AND (d.pulse OR coalesce(v_events[d.ordinality], d.events) > 0);
        IF v_count > 0 THEN
            v_places := v_touched;
            PERFORM FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.place] AND s.id = d.id
            WHERE d.place <> ALL (coalesce(v_places, '{}')) AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
            FOR NO KEY UPDATE OF s;
            SELECT array_agg(ROW(s.site_id, session_entry(s, -1))::site_entry), array_agg(d.place::integer), array_agg(s.is_paid)
            INTO v_more, v_heavy, v_flags
            FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.place] AND s.id = d.id
            WHERE d.place <> ALL (coalesce(v_places, '{}')) AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0);
            v_entries := v_entries || v_more;
            SELECT array_agg(c.id) INTO v_calls FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN calls c ON c.site_id = d.site_id AND c.matched_session_month = v_months[d.place] AND c.matched_session_id = d.id
            WHERE d.place <> ALL (coalesce(v_places, '{}')) AND c.merged_into IS NULL;
            IF v_calls IS NOT NULL THEN
                SELECT v_entries || array_agg(ROW(x.site_id, e)::site_entry) INTO v_entries
                FROM (SELECT DISTINCT d.site_id FROM unnest(p_sessions) d) x
                CROSS JOIN LATERAL unnest(call_entries(x.site_id, v_calls, -1)) e;
            END IF;
            FOREACH v_month IN ARRAY v_known_months LOOP
                WITH changed AS (
                    UPDATE sessions s SET
                        started_at = least(s.started_at, d.started_at),
                        last_event_at = greatest(s.last_event_at, d.last_event_at),
                        total_duration_sec = extract(epoch FROM
                            greatest(s.last_event_at, d.last_event_at) - least(s.started_at, d.started_at))::integer,
                        has_click_id = s.has_click_id OR d.click_key IS NOT NULL,
                        event_count = s.event_count + coalesce(v_events[d.place], d.events),
                        view_count = s.view_count + coalesce(v_views[d.place], d.views),
                        conversion_count = s.conversion_count + coalesce(v_conversions[d.place], d.conversions),
                        intent_count = s.intent_count + coalesce(v_intents[d.place], d.intents),
                        max_scroll_percentage = greatest(s.max_scroll_percentage, d.max_scroll),
                        cta_hover_count = greatest(s.cta_hover_count, d.cta_hovers),
                        form_focus_duration = greatest(s.form_focus_duration, d.form_focus),
                        total_active_seconds = greatest(s.total_active_seconds, d.active_seconds),
                        fingerprint = least(s.fingerprint, d.fingerprint),
                        entry_page = CASE WHEN d.first_key < s.first_key THEN d.entry_page ELSE s.entry_page END,
                        referrer = CASE WHEN d.first_key < s.first_key THEN d.referrer ELSE s.referrer END,
                        referrer_host = CASE WHEN d.first_key < s.first_key THEN d.referrer_host ELSE s.referrer_host END,
                        ip_address = CASE WHEN d.first_key < s.first_key THEN d.ip_address::inet ELSE s.ip_address END,
                        user_agent = CASE WHEN d.first_key < s.first_key THEN d.user_agent ELSE s.user_agent END,
                        device_type = CASE WHEN d.first_key < s.first_key THEN d.device_type ELSE s.device_type END,
                        device_os = CASE WHEN d.first_key < s.first_key THEN d.device_os ELSE s.device_os END,
                        browser = CASE WHEN d.first_key < s.first_key THEN d.browser ELSE s.browser END,
                        country = CASE WHEN d.first_key < s.first_key THEN d.country ELSE s.country END,
                        city = CASE WHEN d.first_key < s.first_key THEN d.city ELSE s.city END,
                        district = CASE WHEN d.first_key < s.first_key THEN d.district ELSE s.district END,
                        place_source = CASE WHEN d.first_key < s.first_key THEN d.place_source ELSE s.place_source END,
                        telco_carrier = CASE WHEN d.first_key < s.first_key THEN d.telco_carrier ELSE s.telco_carrier END,
                        isp_asn = CASE WHEN d.first_key < s.first_key THEN d.isp_asn ELSE s.isp_asn END,
                        is_proxy_detected = CASE WHEN d.first_key < s.first_key THEN d.is_proxy ELSE s.is_proxy_detected END,
                        first_key = least(s.first_key, d.first_key),
                        browser_language = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.browser_language ELSE s.browser_language END,
                        time_zone = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.time_zone ELSE s.time_zone END,
                        device_memory = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.device_memory ELSE s.device_memory END,
                        hardware_concurrency = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.hardware_concurrency ELSE s.hardware_concurrency END,
                        screen_width = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.screen_width ELSE s.screen_width END,
                        screen_height = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.screen_height ELSE s.screen_height END,
                        pixel_ratio = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.pixel_ratio ELSE s.pixel_ratio END,
                        gpu_renderer = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.gpu_renderer ELSE s.gpu_renderer END,
                        connection_type = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.connection_type ELSE s.connection_type END,
                        tracker = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.tracker ELSE s.tracker END,
                        env_key = least(s.env_key, d.env_key),
                        click_at = CASE WHEN d.click_key < coalesce(s.click_key, 9223372036854775807) THEN d.click_at ELSE s.click_at END,
                        gclid = CASE WHEN d.click_key < coalesce(s.click_key, 9223372036854775807) THEN d.gclid ELSE s.gclid END,
                        wbraid = CASE WHEN d.click_key < coalesce(s.click_key, 9223372036854775807) THEN d.wbraid ELSE s.wbraid END,
                        gbraid = CASE WHEN d.click_key < coalesce(s.click_key, 9223372036854775807) THEN d.gbraid ELSE s.gbraid END,
                        click_key = least(s.click_key, d.click_key),
                        utm_source = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_source ELSE s.utm_source END,
                        utm_medium = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_medium ELSE s.utm_medium END,
                        utm_campaign = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_campaign ELSE s.utm_campaign END,
                        utm_term = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_term ELSE s.utm_term END,
                        utm_content = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_content ELSE s.utm_content END,
                        matchtype = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.matchtype ELSE s.matchtype END,
                        ads_network = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.ads_network ELSE s.ads_network END,
                        ads_placement = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.ads_placement ELSE s.ads_placement END,
                        utm_key = least(s.utm_key, d.utm_key),
                        attribution_source = CASE WHEN d.source_key >= s.source_key THEN s.attribution_source
                            WHEN a.assisted THEN d.assisted_source ELSE d.attribution_source END,
                        channel = CASE WHEN d.source_key >= s.source_key THEN s.channel
                            WHEN a.assisted THEN d.assisted_channel ELSE d.channel END,
                        is_paid = CASE WHEN d.source_key >= s.source_key THEN s.is_paid
                            WHEN a.assisted THEN d.assisted_paid ELSE d.is_paid END,
                        attribution = CASE WHEN d.source_key >= s.source_key THEN s.attribution
                            WHEN a.assisted THEN d.assisted_attribution ELSE d.attribution END,
                        source_key = least(s.source_key, d.source_key),
                        exit_page = CASE WHEN d.exit_key > s.exit_key THEN d.exit_page ELSE s.exit_page END,
                        exit_key = greatest(s.exit_key, d.exit_key),
                        last_touch = CASE WHEN d.last_touch_key > coalesce(s.last_touch_key, 0) THEN d.last_touch ELSE s.last_touch END,
                        last_touch_key = greatest(s.last_touch_key, d.last_touch_key),
                        consent_analytics = CASE WHEN d.consent_key > coalesce(s.consent_key, 0) THEN d.consent_analytics ELSE s.consent_analytics END,
                        consent_marketing = CASE WHEN d.consent_key > coalesce(s.consent_key, 0) THEN d.consent_marketing ELSE s.consent_marketing END,
                        consent_key = greatest(s.consent_key, d.consent_key)
                    FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
                    CROSS JOIN LATERAL (SELECT EXISTS (
                        SELECT FROM visitors v
                        WHERE d.assisted_since IS NOT NULL AND v.site_id = d.site_id AND v.id = d.fingerprint
                          AND v.last_ad_click_at >= d.assisted_since AND v.last_ad_click_at < d.started_at
                    ) AS assisted OFFSET 0) a
                    WHERE s.site_id = d.site_id AND s.created_month = v_month AND s.id = d.id
                      AND v_months[d.place] = v_month AND d.place <> ALL (coalesce(v_places, '{}'))
                      AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
                    RETURNING d.place::integer AS place, s.site_id, s.is_paid, s.intent_count, session_entry(s, 1) AS entry,
                        ROW(s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count,
                    s.total_duration_sec, s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count,
                    s.form_focus_duration, s.previous_visit_count, s.has_click_id, s.is_paid)::lead_facts AS facts
                )
                SELECT v_touched || array_agg(c.place), v_paid || array_agg(c.is_paid),
                    v_entries || array_agg(ROW(c.site_id, c.entry)::site_entry),
                    leads || array_agg(c.facts) FILTER (WHERE c.intent_count > 0)
                INTO v_touched, v_paid, v_entries, leads FROM changed c;
            END LOOP;
            -- Where a visit became a paid one, or ceased to be, its events of before go with it.
            SELECT v_entries || array_agg(ROW(x.site_id, x.entry)::site_entry) INTO v_entries FROM (
                SELECT d.site_id, ROW('events', g.sign * count(*), max(e.created_at), CASE WHEN g.sign > 0 THEN n.is_paid ELSE o.is_paid END,
                    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                    g.sign * count(*) FILTER (WHERE e.event_category = 'conversion'),
                    g.sign * count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit'),
                    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry AS entry
                FROM unnest(v_heavy, v_flags) AS o (place, is_paid)
                JOIN unnest(v_touched, v_paid) AS n (place, is_paid) ON n.place = o.place AND n.is_paid <> o.is_paid
                JOIN (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d ON d.place = o.place
                JOIN events e ON e.site_id = d.site_id AND e.session_month = v_months[d.place] AND e.session_id = d.id
                    AND e.id <> ALL (coalesce(v_stored, '{}'))
                CROSS JOIN (VALUES (-1), (1)) AS g (sign)
                GROUP BY d.site_id, g.sign, o.is_paid, n.is_paid, date_bin('15 minutes', e.created_at, 'epoch')) x;
            IF v_calls IS NOT NULL THEN
                SELECT v_entries || array_agg(ROW(x.site_id, e)::site_entry) INTO v_entries
                FROM (SELECT DISTINCT d.site_id FROM unnest(p_sessions) d) x
                CROSS JOIN LATERAL unnest(call_entries(x.site_id, v_calls, 1)) e;
            END IF;
        END IF;

        IF p_intents <> '{}' THEN
            -- A tap within half an hour of another of the same visit is the same lead once more. By visit, not by device:
            -- the first generation's hash names a model of telephone, not a person.
            WITH wanted AS MATERIALIZED (
                SELECT i.*, v_months[i.session_place] AS month, e.id AS earlier
                FROM unnest(p_intents) i LEFT JOIN LATERAL (
                    SELECT c.id FROM calls c
                    WHERE i.source = 'click' AND NOT v_born[i.session_place]
                      AND c.site_id = i.site_id AND c.matched_session_month = v_months[i.session_place]
                      AND c.matched_session_id = i.session_id AND c.source = 'click' AND c.merged_into IS NULL
                      AND c.occurred_at BETWEEN i.occurred_at - interval '30 minutes' AND i.occurred_at + interval '30 minutes'
                    ORDER BY c.occurred_at LIMIT 1) e ON true
                WHERE (v_events IS NULL OR i.event_id = ANY (v_stored))
                  AND NOT EXISTS (SELECT FROM calls c WHERE c.site_id = i.site_id AND c.intent_stamp = i.intent_stamp)
            ), made AS (
                INSERT INTO calls AS c (site_id, id, created_at, occurred_at, updated_at, source, phone_number,
                    matched_session_id, matched_session_month, matched_fingerprint, matched_at, event_id, intent_stamp,
                    intent_action, intent_target, intent_page_url, click_id, click_id_kind, currency, merged_into)
                SELECT i.site_id, i.id, coalesce(i.received_at, v_now), i.occurred_at, coalesce(i.received_at, v_now),
                    i.source, i.phone_number, i.session_id, i.month, i.fingerprint,
                    coalesce(i.received_at, v_now), i.event_id, i.intent_stamp,
                    i.intent_action, i.intent_target, i.intent_page_url, i.click_id, i.click_id_kind, i.currency,
                    -- what it repeats may itself repeat one that is there, or be there already and so not wanted
                    coalesce(i.earlier, (SELECT coalesce(w.earlier, w.id) FROM wanted w WHERE w.id = i.repeats))
                FROM wanted i
                ON CONFLICT DO NOTHING RETURNING c AS call
            )
            SELECT count(*), array_agg(DISTINCT (m.call).site_id) FILTER (WHERE (m.call).merged_into IS NULL),
                array_agg(ROW((m.call).site_id, call_entry(m.call, s, 1))::site_entry) FILTER (WHERE (m.call).merged_into IS NULL)
            INTO v_count, called, v_more
            FROM made m JOIN sessions s ON s.site_id = (m.call).site_id AND s.created_month = (m.call).matched_session_month
                AND s.id = (m.call).matched_session_id;
            v_entries := v_entries || v_more;
            IF v_count < cardinality(p_intents) THEN
                -- Some were there already, by their stamp: their visit has counted them too often.
                UPDATE sessions s SET intent_count = n.intents
                FROM (SELECT DISTINCT i.site_id, i.session_id, v_months[i.session_place] AS month FROM unnest(p_intents) i) d
                CROSS JOIN LATERAL (
                    SELECT count(*) AS intents FROM calls c WHERE c.site_id = d.site_id
                      AND c.matched_session_month = d.month AND c.matched_session_id = d.session_id) n
                WHERE s.site_id = d.site_id AND s.created_month = d.month AND s.id = d.session_id AND s.intent_count <> n.intents;
            END IF;
            -- The facts of visits that begin with a tap, and of all where some were counted too often.
            SELECT leads || array_agg(ROW(s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count,
                    s.total_duration_sec, s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count,
                    s.form_focus_duration, s.previous_visit_count, s.has_click_id, s.is_paid)::lead_facts) INTO leads
            FROM (SELECT DISTINCT i.site_id, i.session_id, i.session_place FROM unnest(p_intents) i
                WHERE v_born[i.session_place] OR v_count < cardinality(p_intents)) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.session_place] AND s.id = d.session_id
            WHERE s.intent_count > 0;
        END IF;

        -- Now rather than at commit: the check is planned once that way, not each time.
        IF true = ANY (v_born) THEN
            SET CONSTRAINTS session_keys_session_fkey IMMEDIATE;
        END IF;
    END IF;

    -- What this batch changes in the counters, and its books: one row a site.
    IF p_sessions <> '{}' OR p_tally <> '{}' THEN
        WITH touched AS (
            SELECT d.site_id, t.is_paid, d.place, coalesce(v_events[d.place], d.events) AS events,
                coalesce(v_conversions[d.place], d.conversions) AS conversions, coalesce(v_forms[d.place], d.forms) AS forms,
                coalesce(d.received_at, v_now) AS received_at, d.received_at IS NOT NULL AS is_history
            FROM unnest(v_touched, v_paid) AS t (place, is_paid)
            JOIN (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d ON d.place = t.place
        ), parts AS (
            SELECT e.site_id, e.entry, NULL::tally_draft AS tally, NULL::timestamptz AS event_at FROM unnest(v_entries) e
            UNION ALL
            SELECT t.site_id, ROW('events', sum(t.events), v_now, t.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, sum(t.conversions), sum(t.forms), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry, NULL, NULL
            FROM touched t WHERE NOT t.is_history AND t.events > 0 GROUP BY t.site_id, t.is_paid
            UNION ALL
            -- History that is written afterwards: each event at its own time.
            SELECT t.site_id, ROW('events', count(*), max(e.received_at), t.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, count(*) FILTER (WHERE e.event_category = 'conversion'),
                count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit'),
                NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry, NULL, NULL
            FROM touched t JOIN unnest(p_events) e ON e.session_place = t.place
            WHERE t.is_history AND (v_events IS NULL OR e.id = ANY (v_stored))
            GROUP BY t.site_id, t.is_paid, date_bin('15 minutes', e.received_at, 'epoch')
            UNION ALL
            SELECT t.site_id, NULL, NULL, max(t.received_at) FROM touched t GROUP BY t.site_id
            UNION ALL
            SELECT y.site_id, NULL, y, NULL FROM unnest(p_tally) y WHERE y.site_id IS NOT NULL
            UNION ALL
            SELECT e.site_id, NULL, ROW(e.site_id, o.outcome, sum(o.n), date_trunc('hour', e.received_at))::tally_draft, NULL
            FROM unnest(duplicates) AS x (place)
            CROSS JOIN LATERAL (SELECT (p_events[x.place]).site_id, (p_events[x.place]).received_at) e
            CROSS JOIN (VALUES ('duplicate', 1), ('stored', -1)) AS o (outcome, n) GROUP BY e.site_id, o.outcome, date_trunc('hour', e.received_at)
        )
        INSERT INTO counter_journal (site_id, entries, tally, changed_at, last_event_at, last_intent_at)
        SELECT p.site_id, coalesce(array_agg(p.entry) FILTER (WHERE p.entry IS DISTINCT FROM NULL), '{}'),
            coalesce(array_agg(p.tally) FILTER (WHERE p.tally IS DISTINCT FROM NULL), '{}'),
            v_now, max(p.event_at), CASE WHEN p.site_id = ANY (called) THEN max(coalesce(p.event_at, v_now)) END
        FROM parts p GROUP BY p.site_id;
    END IF;
    IF EXISTS (SELECT FROM unnest(p_tally) t WHERE t.site_id IS NULL) THEN
        INSERT INTO stray_tally AS y (hour, outcome, n)
        SELECT date_trunc('hour', coalesce(t.received_at, v_now)), t.outcome, sum(t.n)
        FROM unnest(p_tally) t WHERE t.site_id IS NULL GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (hour, outcome) DO UPDATE SET n = y.n + excluded.n;
    END IF;
    IF p_rejected <> '{}' THEN
        INSERT INTO rejected_events (site_id, id, received_at, door, reason, detail, payload)
        SELECT r.site_id, r.id, coalesce(r.received_at, v_now), r.door, r.reason, r.detail, r.payload
        FROM unnest(p_rejected) r ON CONFLICT DO NOTHING;
    END IF;
END
$$;

CREATE FUNCTION public.ingest_sites() RETURNS TABLE(id uuid, public_id text, domain text, time_zone text, region text, currency text, consent_mode text, attribution_window_days integer, disabled boolean, origins text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT s.id, s.public_id, s.domain, s.time_zone, s.region, s.currency, s.consent_mode, s.attribution_window_days,
        s.disabled_at IS NOT NULL,
        coalesce((SELECT array_agg(o.origin ORDER BY o.origin) FROM site_origins o WHERE o.site_id = s.id), '{}')
    FROM sites s
$$;

CREATE FUNCTION public.lead_cases(p_site uuid, p_calls uuid[], p_lock boolean) RETURNS TABLE(call_id uuid, version integer, status text, merged_into uuid, occurred_at timestamp with time zone, confirmed_at timestamp with time zone, note text, stage text, sale_at timestamp with time zone, sale_amount numeric, currency text, click_id text, click_id_kind text, gclid text, wbraid text, gbraid text, clicked_at timestamp with time zone, consent_marketing boolean, cycles integer, site_currency text, consent_mode text, conversion_time text, undo_minutes integer, latest_action text, latest_kind text, latest_actor uuid, latest_name text, latest_at timestamp with time zone, undo_id uuid, undo_action text, undo_before text, now timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM decider(p_site);
    SET LOCAL app.maintenance = 'on';
    IF p_lock THEN
        PERFORM lock_leads(p_site, p_calls);
    END IF;
    RETURN QUERY
    SELECT c.id, c.version, c.status, c.merged_into, c.occurred_at,
        c.confirmed_at, c.note, c.stage, c.sale_at, c.sale_amount, c.currency,
        c.click_id, c.click_id_kind, s.gclid, s.wbraid, s.gbraid, coalesce(s.click_at, s.started_at),
        s.consent_marketing,
        (SELECT count(*)::integer FROM conversions v WHERE v.site_id = c.site_id AND v.call_id = c.id),
        t.currency, t.consent_mode, t.conversion_time, t.undo_minutes,
        l.action, l.actor_kind, l.actor, coalesce(nullif(u.name, ''), u.email), l.at,
        d.id, d.action, d.before::text, now()
    FROM calls c JOIN sites t ON t.id = c.site_id
    LEFT JOIN sessions s
        ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    LEFT JOIN LATERAL (
        SELECT a.* FROM intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id
        ORDER BY a.version DESC LIMIT 1) l ON true
    LEFT JOIN users u ON u.id = l.actor
    -- What the platform answered is no decision that anybody could take back.
    LEFT JOIN LATERAL (
        SELECT a.* FROM intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id AND a.action <> 'convert'
        ORDER BY a.version DESC LIMIT 1) d ON true
    WHERE c.site_id = p_site AND c.id = ANY (p_calls)
    ORDER BY c.created_at, c.id;
END
$$;

CREATE FUNCTION public.lead_facts_of(p_sites uuid[], p_sessions uuid[]) RETURNS SETOF public.lead_facts
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY SELECT s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count,
        s.total_duration_sec, s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count,
        s.form_focus_duration, s.previous_visit_count, s.has_click_id, s.is_paid
    FROM unnest(p_sites, p_sessions) AS d (site_id, session_id)
    JOIN session_keys k ON k.site_id = d.site_id AND k.id = d.session_id
    JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
    WHERE s.intent_count > 0;
END
$$;

CREATE FUNCTION public.leads_to_approve(p_site uuid, p_waiting text[], p_hours integer, p_seconds integer, p_events integer, p_limit integer, p_lock boolean) RETURNS uuid[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_calls uuid[];
BEGIN
    PERFORM decider(p_site);
    SET LOCAL app.maintenance = 'on';
    v_calls := ARRAY(
        SELECT c.id FROM calls c JOIN sessions s
            ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.status = ANY (p_waiting) AND c.source = 'click' AND c.merged_into IS NULL
          AND coalesce(cardinality(c.suspicion), 0) = 0
          AND c.created_at < now() - make_interval(hours => p_hours)
          AND s.is_paid AND s.has_click_id AND s.total_duration_sec >= p_seconds AND s.event_count >= p_events
          AND NOT EXISTS (SELECT FROM intent_actions a
              WHERE a.site_id = c.site_id AND a.call_id = c.id AND a.actor_kind <> 'rule')
        ORDER BY c.created_at, c.id LIMIT p_limit);
    RETURN CASE WHEN p_lock THEN lock_waiting(p_site, p_waiting, v_calls) ELSE v_calls END;
END
$$;

CREATE FUNCTION public.leads_to_junk(p_site uuid, p_waiting text[], p_days integer, p_limit integer, p_lock boolean) RETURNS uuid[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_calls uuid[];
BEGIN
    PERFORM decider(p_site);
    SET LOCAL app.maintenance = 'on';
    v_calls := ARRAY(
        SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.status = ANY (p_waiting) AND c.merged_into IS NULL
          AND c.created_at < now() - make_interval(days => p_days)
          AND NOT EXISTS (SELECT FROM intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id
              AND a.at >= now() - make_interval(days => p_days))
        ORDER BY c.created_at, c.id LIMIT p_limit);
    RETURN CASE WHEN p_lock THEN lock_waiting(p_site, p_waiting, v_calls) ELSE v_calls END;
END
$$;

CREATE FUNCTION public.leave_default(p_from text, p_to text, p_column text, p_month date) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_nestloop TO 'off'
    AS $$
DECLARE
    v_left bigint;
    v_arrived bigint;
BEGIN
    EXECUTE format('DELETE FROM parts.%I n WHERE NOT EXISTS (SELECT FROM parts.%I d WHERE d.%I = %L '
        'AND d.site_id = n.site_id AND d.id = n.id AND d *= n)', p_to, p_from, p_column, p_month);
    PERFORM copy_month(p_from, p_to, p_column, p_month);
    EXECUTE format('DELETE FROM parts.%I WHERE %I = %L', p_from, p_column, p_month);
    GET DIAGNOSTICS v_left = ROW_COUNT;
    EXECUTE format('SELECT count(*) FROM parts.%I', p_to) INTO v_arrived;
    IF v_left <> v_arrived THEN
        RAISE data_corrupted USING MESSAGE = format('%s rows left %s, %s arrived in %s', v_left, p_from, v_arrived, p_to);
    END IF;
    RETURN v_left;
END
$$;

CREATE FUNCTION public.lock_counters(p_site uuid) RETURNS void
    LANGUAGE sql
    AS $$ SELECT pg_advisory_xact_lock(hashtextextended('opsmantik: counters ' || p_site, 0)) $$;

CREATE FUNCTION public.lock_facts(p_move boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    FOR v_try IN 1..8 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', CASE WHEN v_try <= 6 THEN '200ms' ELSE '1200ms' END, true);
            IF p_move THEN
                LOCK TABLE session_keys, sessions IN ACCESS EXCLUSIVE MODE;
            END IF;
            LOCK TABLE session_keys, ONLY events, sessions IN EXCLUSIVE MODE;
            LOCK TABLE parts.events_default, parts.sessions_default IN ACCESS EXCLUSIVE MODE;
            LOCK TABLE sites IN SHARE ROW EXCLUSIVE MODE;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            -- The failed try's locks are gone with its savepoint: those who queued behind it move on.
            PERFORM pg_sleep(0.05 * v_try);
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'sessions or events are in use by a long transaction';
END
$$;

CREATE FUNCTION public.lock_leads(p_site uuid, p_calls uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM FROM calls c JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
        AND s.id = c.matched_session_id
    WHERE c.site_id = p_site AND c.id = ANY (p_calls) ORDER BY s.id FOR SHARE OF s;
    PERFORM FROM calls c WHERE c.site_id = p_site AND c.id = ANY (p_calls) ORDER BY c.id FOR NO KEY UPDATE;
END
$$;

CREATE FUNCTION public.lock_waiting(p_site uuid, p_waiting text[], p_calls uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_calls uuid[];
BEGIN
    v_calls := ARRAY(
        SELECT c.id FROM calls c JOIN sessions s
            ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) ORDER BY s.id FOR SHARE OF s SKIP LOCKED);
    RETURN ARRAY(
        SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) AND (c.id = ANY (v_calls) OR c.matched_session_id IS NULL)
          AND c.status = ANY (p_waiting) AND c.merged_into IS NULL
        ORDER BY c.created_at, c.id FOR NO KEY UPDATE SKIP LOCKED);
END
$$;

CREATE FUNCTION public.make_month(p_month date) RETURNS text[]
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT made FROM attach_month(p_month) $$;

CREATE FUNCTION public.move_conversion(p_site uuid, p_call uuid, p_conversion jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_step text := p_conversion ->> 'step';
    v_old conversions;
    v_new conversions;
    v_sent boolean;
BEGIN
    IF v_step IS NULL THEN
        RETURN;
    END IF;
    IF v_step = 'open' THEN
        v_new := jsonb_populate_record(NULL::conversions, p_conversion);
        INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency,
            click_id, click_id_kind)
        VALUES (p_site, v_new.id, p_call, v_new.order_id, v_new.state, v_new.reason, v_new.due_at, v_new.occurred_at,
            v_new.value, v_new.currency, v_new.click_id, v_new.click_id_kind);
        INSERT INTO conversion_moves (site_id, id, conversion_id, to_state, reason)
        VALUES (p_site, gen_random_uuid(), v_new.id, v_new.state, v_new.reason);
        RETURN;
    END IF;

    -- The row may be on its way to the platform: whoever sends it holds its lock for as long as it changes state.
    SELECT v.* INTO v_old FROM conversions v
    WHERE v.site_id = p_site AND v.call_id = p_call AND v.state <> 'retracted' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;  -- sealed before there was a ledger
    END IF;
    v_sent := v_old.state IN ('sent', 'accepted', 'matched');
    v_new := jsonb_populate_record(v_old, p_conversion);
    IF v_step = 'withdraw' THEN
        v_new.state := 'retracted';
        IF v_sent THEN
            v_new.reason := v_new.reason || (p_conversion ->> 'after_sending');
        END IF;
        INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
        VALUES (p_site, gen_random_uuid(), v_old.id, v_old.state, v_new.state, v_new.reason);
    ELSE
        -- What was sent keeps its moment: the platform lets the value be changed, not the time. What is skipped or
        -- has failed keeps its reason.
        v_new.occurred_at := CASE WHEN v_sent THEN v_old.occurred_at ELSE v_new.occurred_at END;
        v_new.reason := CASE WHEN v_old.state IN ('skipped', 'failed') THEN v_old.reason ELSE v_new.reason END;
        IF v_new IS NOT DISTINCT FROM v_old THEN
            RETURN;
        END IF;
        INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
        VALUES (p_site, gen_random_uuid(), v_old.id, v_old.state, v_new.state, p_conversion ->> 'move');
    END IF;
    UPDATE conversions v SET state = v_new.state, reason = v_new.reason, occurred_at = v_new.occurred_at,
        value = v_new.value, currency = v_new.currency, updated_at = now()
    WHERE v.site_id = p_site AND v.id = v_old.id;
END
$$;

CREATE FUNCTION public.offer_first_admin(p_link_hash bytea, p_lifetime interval) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM users) THEN
        RETURN false;
    END IF;
    -- Links that are still good stay so: several nodes may start at once, and the first link used ends all.
    DELETE FROM one_time_links WHERE purpose = 'first_admin' AND expires_at <= now();
    INSERT INTO one_time_links (token_hash, purpose, expires_at) VALUES (p_link_hash, 'first_admin', now() + p_lifetime);
    RETURN true;
END
$$;

CREATE FUNCTION public.open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    DELETE FROM sign_ins WHERE expires_at < now();
    INSERT INTO sign_ins (token_hash, user_id, expires_at, user_agent)
    VALUES (p_token_hash, p_user, now() + p_lifetime, left(p_user_agent, 400));
$$;

CREATE FUNCTION public.page_key(p_url text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN p_url IS NULL THEN '' ELSE
    left(coalesce(nullif(regexp_replace(split_part(split_part(p_url, '#', 1), '?', 1), '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/]*', ''), ''), '/'), 120) END $$;

CREATE FUNCTION public.place_key(p_city text, p_district text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN p_city IS NULL AND p_district IS NULL THEN ''
    ELSE translate(coalesce(p_city, ''), '/', '-') || '/' || translate(coalesce(p_district, ''), '/', '-') END $$;

CREATE FUNCTION public.plain_case(p_text text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT lower(translate(p_text, 'Iİı', 'iii')) $$;

CREATE FUNCTION public.rebuild_counters(p_site uuid, p_from date DEFAULT NULL::date, p_to date DEFAULT NULL::date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_zone text;
    v_currency text;
    v_from date := coalesce(p_from, '-infinity');
    v_to date := coalesce(p_to, 'infinity');
    v_count integer;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_counters(p_site);
    SELECT s.time_zone, s.currency INTO v_zone, v_currency FROM sites s WHERE s.id = p_site;
    WITH cells AS (
        SELECT r.*, 1 AS sign FROM recount(p_site, coalesce(p_from::timestamp AT TIME ZONE 'UTC' - interval '2 days', '-infinity'),
            coalesce(p_to::timestamp AT TIME ZONE 'UTC' + interval '3 days', 'infinity'), v_zone, v_currency) r
        UNION ALL
        SELECT u.*, -1 FROM unfolded_cells(p_site, v_zone, v_currency) u
    ), sums AS (
        SELECT day, dimension, key, is_paid,
            sum(sign * sessions)::integer AS sessions, sum(sign * click_sessions)::integer AS click_sessions, sum(sign * visitors)::integer AS visitors, sum(sign * events)::integer AS events, sum(sign * conversions)::integer AS conversions, sum(sign * forms)::integer AS forms, sum(sign * leads)::integer AS leads, sum(sign * click_leads)::integer AS click_leads, sum(sign * sealed)::integer AS sealed, sum(sign * junk)::integer AS junk, sum(sign * amount) AS amount, sum(sign * scroll)::bigint AS scroll, sum(sign * scrolled)::integer AS scrolled, sum(sign * seconds)::bigint AS seconds
        FROM cells WHERE day BETWEEN v_from AND v_to GROUP BY day, dimension, key, is_paid
    ), written AS (
        INSERT INTO counter_days AS y (site_id, day, main, sources, hours, details)
        SELECT p_site, w.day, coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'main'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'sources'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'hours'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'details'), '{}')
        FROM (SELECT z.day, z.dimension, z.key, z.is_paid, ROW(z.dimension, z.key, z.is_paid, nullif(z.sessions, 0), nullif(z.click_sessions, 0), nullif(z.visitors, 0), nullif(z.events, 0), nullif(z.conversions, 0), nullif(z.forms, 0), nullif(z.leads, 0), nullif(z.click_leads, 0), nullif(z.sealed, 0), nullif(z.junk, 0), nullif(z.amount, 0), nullif(z.scroll, 0), nullif(z.scrolled, 0), nullif(z.seconds, 0))::counter_cell AS cell,
                CASE WHEN coalesce(z.sessions, 0) <> 0 OR coalesce(z.click_sessions, 0) <> 0 OR coalesce(z.visitors, 0) <> 0 OR coalesce(z.events, 0) <> 0 OR coalesce(z.conversions, 0) <> 0 OR coalesce(z.forms, 0) <> 0 OR coalesce(z.leads, 0) <> 0 OR coalesce(z.click_leads, 0) <> 0 OR coalesce(z.sealed, 0) <> 0 OR coalesce(z.junk, 0) <> 0 OR coalesce(z.amount, 0) <> 0 OR coalesce(z.scroll, 0) <> 0 OR coalesce(z.scrolled, 0) <> 0 OR coalesce(z.seconds, 0) <> 0 THEN counter_part(z.dimension) END AS part
            FROM sums z) w GROUP BY w.day
        ON CONFLICT (site_id, day) DO UPDATE SET main = excluded.main, sources = excluded.sources,
            hours = excluded.hours, details = excluded.details RETURNING y.day
    ), gone AS (
        DELETE FROM counter_days d WHERE d.site_id = p_site AND d.day BETWEEN v_from AND v_to
          AND d.day NOT IN (SELECT z.day FROM sums z)
    )
    SELECT count(*) INTO v_count FROM written;
    IF p_from IS NULL AND p_to IS NULL THEN
        UPDATE site_pulse SET counted_at = now() WHERE site_id = p_site;
    END IF;
    RETURN v_count;
END
$$;

CREATE FUNCTION public.record_call_v2(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text, p_window_minutes integer, p_repeat_seconds integer, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts public.lead_facts) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_session sessions;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM pg_advisory_xact_lock(hashtextextended(p_site::text || p_number || p_fingerprint, 1));
    SELECT c.id, c.matched_session_id INTO call_id, session_id FROM calls c
    WHERE c.site_id = p_site AND c.matched_fingerprint = p_fingerprint AND c.phone_number = p_number AND c.source = 'api'
      AND c.created_at > now() - make_interval(secs => p_repeat_seconds)
    ORDER BY c.created_at DESC LIMIT 1;
    is_new := NOT FOUND;

    -- A visit that is still going on may have begun last month, or before: its key says in which partition.
    SELECT s.* INTO v_session FROM sessions s
    WHERE s.site_id = p_site AND s.fingerprint = p_fingerprint
      AND s.last_event_at > now() - make_interval(mins => p_window_minutes)
      AND s.created_at > now() - interval '32 days'
      AND s.created_month >= (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month')::date
      AND (is_new OR s.id = record_call_v2.session_id)
    ORDER BY s.last_event_at DESC LIMIT 1;
    IF v_session.id IS NOT NULL THEN
        session_id := v_session.id;
        facts := (p_site, v_session.id, v_session.event_count, v_session.view_count, v_session.conversion_count,
            v_session.intent_count, v_session.total_duration_sec, v_session.total_active_seconds,
            v_session.max_scroll_percentage, v_session.cta_hover_count, v_session.form_focus_duration,
            v_session.previous_visit_count, v_session.has_click_id, v_session.is_paid)::lead_facts;
    END IF;
    IF NOT is_new THEN
        RETURN;
    END IF;

    call_id := p_id;
    -- The visit stays as it is until the lead is counted with it.
    PERFORM FROM sessions s WHERE s.site_id = p_site AND s.created_month = v_session.created_month AND s.id = v_session.id
    FOR SHARE;
    INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, phone_number, currency,
        matched_fingerprint, matched_session_id, matched_session_month, matched_at, click_id, click_id_kind)
    VALUES (p_site, p_id, now(), now(), now(), 'api', p_number, p_currency, p_fingerprint,
        v_session.id, v_session.created_month, CASE WHEN v_session.id IS NOT NULL THEN now() END,
        coalesce(v_session.gclid, v_session.wbraid, v_session.gbraid),
        CASE WHEN v_session.gclid IS NOT NULL THEN 'gclid' WHEN v_session.wbraid IS NOT NULL THEN 'wbraid'
             WHEN v_session.gbraid IS NOT NULL THEN 'gbraid' END);
    INSERT INTO counter_journal (site_id, entries, changed_at, last_intent_at)
    VALUES (p_site, call_entries(p_site, ARRAY[p_id], 1), now(), now());
END
$$;

CREATE FUNCTION public.record_replay(p_site uuid, p_rejected uuid, p_id uuid, p_outcome text, p_error text, p_let_in boolean, OUT replay_count integer, OUT last_replay_at timestamp with time zone, OUT last_replay_error text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_old rejected_events;
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker lets nothing in on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    SELECT r.* INTO v_old FROM rejected_events r WHERE r.site_id = p_site AND r.id = p_rejected FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    replay_count := v_old.replay_count + 1;
    last_replay_at := now();
    last_replay_error := left(p_error, 500);
    UPDATE rejected_events r SET replay_count = record_replay.replay_count, last_replay_at = record_replay.last_replay_at,
        last_replay_error = record_replay.last_replay_error,
        replayed_at = coalesce(r.replayed_at, CASE WHEN p_let_in THEN now() END)
    WHERE r.site_id = p_site AND r.id = p_rejected;
    INSERT INTO replays (site_id, id, rejected_id, actor, actor_email, replay_count, outcome, error)
    SELECT p_site, p_id, p_rejected, u.id, u.email, record_replay.replay_count, p_outcome, left(p_error, 500)
    FROM users u WHERE u.id = v_person;
    IF p_let_in AND v_old.replayed_at IS NULL THEN
        INSERT INTO counter_journal (site_id, tally, changed_at)
        VALUES (p_site, ARRAY[ROW(p_site, v_old.reason, -1, v_old.received_at)::tally_draft], now());
    END IF;
END
$$;

CREATE FUNCTION public.recount(p_site uuid, p_from timestamp with time zone, p_to timestamp with time zone, p_zone text, p_currency text) RETURNS TABLE(day date, dimension text, key text, is_paid boolean, sessions integer, click_sessions integer, visitors integer, events integer, conversions integer, forms integer, leads integer, click_leads integer, sealed integer, junk integer, amount numeric, scroll bigint, scrolled integer, seconds bigint)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
BEGIN
    RETURN QUERY EXECUTE $count$
    WITH visits AS NOT MATERIALIZED (
        SELECT s.* FROM sessions s
        WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_at < $3
          AND s.created_month BETWEEN $6 AND $7
    ), entries AS (
        SELECT session_entry(s, 1) AS entry
        FROM sessions s
        WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_at < $3
          AND s.created_month BETWEEN $6 AND $7
        UNION ALL
        SELECT ROW('events', sum(e.n), max(e.at), e.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            sum(e.conversions), sum(e.forms),
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry
        FROM (
            SELECT (SELECT s.is_paid FROM sessions s
                WHERE s.site_id = $1 AND s.created_month = x.session_month AND s.id = x.session_id), x.*
            FROM (
                SELECT e.session_month, e.session_id, date_bin('15 minutes', e.created_at, 'epoch') AS quarter,
                    max(e.created_at) AS at, count(*) AS n, count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions,
                    count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit') AS forms
                FROM events e
                WHERE e.site_id = $1 AND e.created_at >= $2 AND e.created_at < $3
                  AND e.session_month <= $7
                GROUP BY 1, 2, 3) x) e
        GROUP BY e.is_paid, e.quarter
        UNION ALL
        SELECT call_entry(c, l.visit, 1)
        FROM calls c LEFT JOIN LATERAL (SELECT s AS visit FROM sessions s
            WHERE s.site_id = $1 AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id OFFSET 0) l ON true
        WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.merged_into IS NULL
        UNION ALL
        SELECT decision_entry(c, l.visit, 1)
        FROM calls c LEFT JOIN LATERAL (SELECT s AS visit FROM sessions s
            WHERE s.site_id = $1 AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id OFFSET 0) l ON true
        WHERE c.site_id = $1 AND c.confirmed_at >= $2 AND c.confirmed_at < $3 AND c.merged_into IS NULL
        UNION ALL
        SELECT conversion_entry(v, c, l.visit, 1)
        FROM conversions v JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id
        LEFT JOIN LATERAL (SELECT s AS visit FROM sessions s
            WHERE s.site_id = $1 AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id OFFSET 0) l ON true
        WHERE v.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.merged_into IS NULL
    ), cells (day, dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds) AS (
        SELECT x.day, x.dimension, x.key, x.is_paid, x.sessions, x.click_sessions, NULL::integer, x.events, x.conversions, x.forms, x.leads, x.click_leads, x.sealed, x.junk, x.amount, x.scroll, x.scrolled, x.seconds
        FROM entries CROSS JOIN LATERAL entry_cells(entries.entry, $4, $5) x
        UNION ALL
        SELECT (v.created_at AT TIME ZONE $4)::date, 'visitor', '', w.is_paid,
            NULL, NULL, count(DISTINCT v.fingerprint), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM visits v CROSS JOIN (VALUES (true), (false)) AS w (is_paid) WHERE v.is_paid >= w.is_paid GROUP BY 1, 4
        UNION ALL
        SELECT (v.created_at AT TIME ZONE $4)::date, 'visitor_hour', hour_key(v.created_at, $4), w.is_paid,
            NULL, NULL, count(DISTINCT v.fingerprint), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM visits v CROSS JOIN (VALUES (true), (false)) AS w (is_paid) WHERE v.is_paid >= w.is_paid GROUP BY 1, 3, 4
    )
    SELECT day, dimension, key, is_paid,
        sum(sessions)::integer, sum(click_sessions)::integer, sum(visitors)::integer, sum(events)::integer,
        sum(conversions)::integer, sum(forms)::integer, sum(leads)::integer, sum(click_leads)::integer,
        sum(sealed)::integer, sum(junk)::integer, sum(amount), sum(scroll)::bigint, sum(scrolled)::integer,
        sum(seconds)::bigint
    FROM cells GROUP BY day, dimension, key, is_paid
    $count$ USING p_site, p_from, p_to, p_zone, p_currency,
        date_trunc('month', p_from AT TIME ZONE 'UTC')::date,
        date_trunc('month', (p_to - interval '1 microsecond') AT TIME ZONE 'UTC')::date;
END
$_$;

CREATE FUNCTION public.score_call(p_site uuid, p_call uuid, p_score integer, p_breakdown jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE calls SET lead_score = p_score, lead_score_at_match = p_score, score_breakdown = p_breakdown
    WHERE site_id = p_site AND id = p_call;
END
$$;

CREATE FUNCTION public.score_leads(p_scores public.lead_score_draft[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE calls c SET lead_score = s.lead_score, score_breakdown = s.score_breakdown,
        lead_score_at_match = coalesce(c.lead_score_at_match, s.lead_score)
    FROM unnest(p_scores) s JOIN session_keys k ON k.site_id = s.site_id AND k.id = s.session_id
    WHERE c.site_id = s.site_id AND c.matched_session_month = k.created_month AND c.matched_session_id = s.session_id
      AND (c.lead_score_at_match IS NULL OR c.score_breakdown IS DISTINCT FROM s.score_breakdown);
END
$$;

CREATE FUNCTION public.session_entry(s public.sessions, p_n integer) RETURNS public.counter_entry
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ROW('session', p_n, (s).created_at, (s).is_paid, (s).has_click_id,
    (s).attribution_source, (s).channel, (s).device_type, place_key((s).city, (s).district),
    (s).utm_campaign, (s).utm_term, (s).matchtype, page_key((s).entry_page), (s).fingerprint,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry $$;

CREATE FUNCTION public.signed_in(p_token_hash bytea) RETURNS TABLE(user_id uuid, email text, name text, language text, theme text, is_admin boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT u.id, u.email, u.name, p.language, p.theme, coalesce(p.role = 'admin', false)
    FROM sign_ins s JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL LEFT JOIN profiles p ON p.id = u.id
    WHERE s.token_hash = p_token_hash AND s.expires_at > now()
$$;

CREATE FUNCTION public.site_owners(p_sites uuid[]) RETURNS TABLE(site_id uuid, user_id uuid, email text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT s.id, s.user_id, u.email FROM sites s JOIN users u ON u.id = s.user_id
    WHERE s.id = ANY (p_sites) AND EXISTS (SELECT FROM profiles p JOIN users a ON a.id = p.id AND a.disabled_at IS NULL
        WHERE p.id = nullif(current_setting('app.person', true), '')::uuid AND p.role = 'admin')
$$;

CREATE FUNCTION public.site_role(p_site uuid) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT CASE WHEN p.role = 'admin' THEN 'platform_admin' WHEN s.user_id = u.id THEN 'owner' ELSE m.role END
    FROM sites s
    JOIN users u ON u.id = nullif(current_setting('app.person', true), '')::uuid AND u.disabled_at IS NULL
    LEFT JOIN profiles p ON p.id = u.id
    LEFT JOIN site_members m ON m.site_id = s.id AND m.user_id = u.id
    WHERE s.id = p_site AND s.id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
$$;

CREATE FUNCTION public.site_sequences(p_sites uuid[]) RETURNS TABLE(site_id uuid, sequence bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY SELECT s.site_id, s.sequence FROM site_state s WHERE s.site_id = ANY (p_sites);
END
$$;

CREATE FUNCTION public.sites_to_fold() RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    -- One step of the index a site, however many rows wait.
    RETURN QUERY WITH RECURSIVE next AS (
        (SELECT j.site_id FROM counter_journal j ORDER BY j.site_id LIMIT 1)
        UNION ALL
        SELECT (SELECT j.site_id FROM counter_journal j WHERE j.site_id > n.site_id ORDER BY j.site_id LIMIT 1)
        FROM next n WHERE n.site_id IS NOT NULL)
    SELECT n.site_id FROM next n WHERE n.site_id IS NOT NULL;
END
$$;

CREATE FUNCTION public.suspect_lead(p_site uuid, p_call uuid, p_action uuid, p_reasons text[]) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_before counter_entry[];
    v_version integer;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY[p_call]);
    v_before := call_entries(p_site, ARRAY[p_call], -1);
    UPDATE calls c SET status = 'suspicious', suspicion = p_reasons, version = c.version + 1, updated_at = now()
    WHERE c.site_id = p_site AND c.id = p_call AND c.status = 'intent' AND c.merged_into IS NULL RETURNING c.version INTO v_version;
    IF v_version IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO intent_actions (site_id, id, call_id, actor_kind, action, from_status, to_status, version, before, note)
    VALUES (p_site, p_action, p_call, 'rule', 'suspect', 'intent', 'suspicious', v_version, '{"status": "intent", "suspicion": []}',
        array_to_string(p_reasons, ', '));
    INSERT INTO counter_journal (site_id, entries, changed_at, last_intent_at)
    VALUES (p_site, v_before || call_entries(p_site, ARRAY[p_call], 1), now(), now());
    RETURN true;
END
$$;

CREATE FUNCTION public.suspicion_facts(p_sites uuid[], p_calls uuid[]) RETURNS TABLE(site_id uuid, call_id uuid, tap_id uuid, happened_at timestamp with time zone, session_began_at timestamp with time zone, taps_of_device integer, taps_of_address integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    WITH sites AS (
        SELECT d.site_id, min(t.created_at) - interval '1 minute' AS since, max(t.created_at) AS until
        FROM unnest(p_sites, p_calls) AS d (site_id, id) JOIN calls t ON t.site_id = d.site_id AND t.id = d.id GROUP BY 1
    ), recent AS (
        -- the site's taps of that time, but no more than are needed to see a flood: during one this must stay cheap
        SELECT o.*, v.ip_address, v.started_at FROM sites w
        CROSS JOIN LATERAL (
            SELECT c.* FROM calls c WHERE c.site_id = w.site_id AND c.created_at > w.since AND c.created_at <= w.until
            ORDER BY c.created_at DESC LIMIT 2000) o
        LEFT JOIN sessions v ON v.site_id = o.site_id AND v.created_month = o.matched_session_month AND v.id = o.matched_session_id
    ), counted AS (
        SELECT r.*, count(*) OVER (PARTITION BY r.site_id, coalesce(r.matched_fingerprint, r.matched_session_id::text) ORDER BY r.created_at
                RANGE BETWEEN interval '1 minute' PRECEDING AND CURRENT ROW) AS device,
            count(*) OVER (PARTITION BY r.site_id, r.ip_address ORDER BY r.created_at
                RANGE BETWEEN interval '1 minute' PRECEDING AND CURRENT ROW) AS address
        FROM recent r
    )
    SELECT l.site_id, l.id, t.id, t.occurred_at, t.started_at, t.device::integer,
        CASE WHEN t.ip_address IS NULL THEN 1 ELSE t.address END::integer
    FROM counted t JOIN calls l ON l.site_id = t.site_id AND l.id = coalesce(t.merged_into, t.id) AND l.status = 'intent'
    WHERE t.id = ANY (p_calls);
END
$$;

CREATE FUNCTION public.unfolded_cells(p_site uuid, p_zone text, p_currency text) RETURNS TABLE(day date, dimension text, key text, is_paid boolean, sessions integer, click_sessions integer, visitors integer, events integer, conversions integer, forms integer, leads integer, click_leads integer, sealed integer, junk integer, amount numeric, scroll bigint, scrolled integer, seconds bigint)
    LANGUAGE sql STABLE
    AS $$
    SELECT x.day, x.dimension, x.key, x.is_paid, x.sessions, x.click_sessions, NULL::integer, x.events, x.conversions, x.forms, x.leads, x.click_leads, x.sealed, x.junk, x.amount, x.scroll, x.scrolled, x.seconds
    FROM counter_journal j CROSS JOIN LATERAL unnest(j.entries) e CROSS JOIN LATERAL entry_cells(e, p_zone, p_currency) x
    WHERE j.site_id = p_site
    UNION ALL
    SELECT v.day, v.dimension, v.key, v.is_paid, NULL::integer, NULL::integer, v.visitors, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::numeric, NULL::bigint, NULL::integer, NULL::bigint
    FROM unfolded_visitors(p_site, p_zone) v
$$;

CREATE FUNCTION public.unfolded_visitors(p_site uuid, p_zone text) RETURNS TABLE(day date, dimension text, key text, is_paid boolean, visitors integer)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    v_first date;
    v_last date;
BEGIN
    -- In a function's body of its own, not in the statement of whoever reads: planning it costs ten times what reading
    -- a month of counters does, and most of the time there is nothing here.
    IF NOT EXISTS (SELECT FROM counter_journal j WHERE j.site_id = p_site) THEN
        RETURN;
    END IF;
    -- As values, not as a question in the query: the months are then picked once, not for every visitor.
    SELECT date_trunc('month', (min(e.at) - interval '26 hours') AT TIME ZONE 'UTC')::date,
        date_trunc('month', (max(e.at) + interval '26 hours') AT TIME ZONE 'UTC')::date
    INTO v_first, v_last
    FROM counter_journal j CROSS JOIN LATERAL unnest(j.entries) e WHERE j.site_id = p_site AND e.kind = 'session';
    RETURN QUERY WITH told AS (
        SELECT e.visitor, (e.at AT TIME ZONE p_zone)::date AS day, hour_key(e.at, p_zone) AS hour,
            min(e.at) AS at, sum(e.n) AS n, coalesce(sum(e.n) FILTER (WHERE e.is_paid), 0) AS paid
        FROM counter_journal j CROSS JOIN LATERAL unnest(j.entries) e
        WHERE j.site_id = p_site AND e.kind = 'session' AND e.visitor IS NOT NULL GROUP BY 1, 2, 3
    ), told_days AS (
        SELECT visitor, day, min(at) AS at, sum(n) AS n, sum(paid) AS paid FROM told GROUP BY 1, 2
    ), found AS MATERIALIZED (
        SELECT d.visitor, d.day, hour_key(s.created_at, p_zone) AS hour, count(*) AS n, count(*) FILTER (WHERE s.is_paid) AS paid
        FROM told_days d CROSS JOIN LATERAL (
            -- by the visitor alone, and then the rest: with the time beside it the planner takes the index of times
            SELECT x.created_at, x.is_paid FROM sessions x WHERE x.site_id = p_site AND x.fingerprint = d.visitor
              AND x.created_month BETWEEN v_first AND v_last OFFSET 0) s
        WHERE s.created_at BETWEEN d.at - interval '26 hours' AND d.at + interval '26 hours'
          AND (s.created_at AT TIME ZONE p_zone)::date = d.day
        GROUP BY 1, 2, 3
    ), both_sides AS (
        -- side by side, not joined: the planner cannot know how many these are, and would compare each with each
        SELECT visitor, day, hour, n, paid, 0 AS now_n, 0 AS now_paid FROM told
        UNION ALL SELECT visitor, day, hour, 0, 0, n, paid FROM found
    ), steps AS (
        SELECT day, NULL::text AS hour, sum(n) AS n, sum(paid) AS paid, sum(now_n) AS now_n, sum(now_paid) AS now_paid
        FROM both_sides GROUP BY visitor, day
        UNION ALL
        SELECT day, hour, sum(n), sum(paid), sum(now_n), sum(now_paid) FROM both_sides GROUP BY visitor, day, hour
    )
    SELECT t.day, CASE WHEN t.hour IS NULL THEN 'visitor' ELSE 'visitor_hour' END, coalesce(t.hour, ''), w.is_paid,
        sum(CASE WHEN w.is_paid THEN (t.now_paid > 0)::integer - (t.now_paid - t.paid > 0)::integer
            ELSE (t.now_n > 0)::integer - (t.now_n - t.n > 0)::integer END)::integer
    FROM steps t CROSS JOIN (VALUES (true), (false)) AS w (is_paid) GROUP BY t.day, t.hour, w.is_paid;
END
$$;

CREATE FUNCTION public.unjudged_leads(p_hours integer) RETURNS TABLE(site_id uuid, call_id uuid, session_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY SELECT c.site_id, c.id, c.matched_session_id FROM sites s JOIN calls c ON c.site_id = s.id
    WHERE c.created_at > now() - make_interval(hours => p_hours) AND c.status = 'intent' AND c.suspicion IS NULL
      AND c.merged_into IS NULL;
END
$$;

CREATE FUNCTION public.validate_keys() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_nestloop TO 'off'
    AS $$
BEGIN
    -- Not its copies for the single partitions: PostgreSQL before 18 leaves those unmarked.
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'session_keys'::regclass AND conparentid = 0
                   AND NOT convalidated) THEN
        RETURN false;
    END IF;
    IF current_setting('app.maintenance', true) IS DISTINCT FROM 'on' THEN
        RAISE insufficient_privilege USING MESSAGE = 'validate_keys needs SET LOCAL app.maintenance = ''on''';
    END IF;
    ALTER TABLE session_keys VALIDATE CONSTRAINT session_keys_session_fkey;
    RETURN true;
END
$$;

CREATE TABLE public.events (
    site_id uuid NOT NULL,
    session_month date NOT NULL,
    id uuid NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    event_value numeric,
    event_category text NOT NULL,
    event_action text NOT NULL,
    event_label text,
    url text,
    metadata jsonb,
    flags text[]
)
PARTITION BY RANGE (session_month);

ALTER TABLE ONLY public.events FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.events.flags IS 'What had to be mended on the way in: clock_corrected, clock_clamped, nul_replaced, truncated, ...';

CREATE TABLE parts.events_default (
    site_id uuid CONSTRAINT events_site_id_not_null NOT NULL,
    session_month date CONSTRAINT events_session_month_not_null NOT NULL,
    id uuid CONSTRAINT events_id_not_null NOT NULL,
    session_id uuid CONSTRAINT events_session_id_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT events_created_at_not_null NOT NULL,
    occurred_at timestamp with time zone CONSTRAINT events_occurred_at_not_null NOT NULL,
    event_value numeric,
    event_category text CONSTRAINT events_event_category_not_null NOT NULL,
    event_action text CONSTRAINT events_event_action_not_null NOT NULL,
    event_label text,
    url text,
    metadata jsonb,
    flags text[],
    CONSTRAINT events_default_month CHECK (((EXTRACT(day FROM session_month) = (1)::numeric) AND (created_at >= ((session_month)::timestamp without time zone AT TIME ZONE 'UTC'::text))))
);

ALTER TABLE ONLY parts.events_default FORCE ROW LEVEL SECURITY;

CREATE TABLE parts.sessions_default (
    site_id uuid CONSTRAINT sessions_site_id_not_null NOT NULL,
    created_month date CONSTRAINT sessions_created_month_not_null NOT NULL,
    id uuid CONSTRAINT sessions_id_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT sessions_created_at_not_null NOT NULL,
    started_at timestamp with time zone CONSTRAINT sessions_started_at_not_null NOT NULL,
    last_event_at timestamp with time zone CONSTRAINT sessions_last_event_at_not_null NOT NULL,
    total_duration_sec integer DEFAULT 0 CONSTRAINT sessions_total_duration_sec_not_null NOT NULL,
    event_count integer DEFAULT 0 CONSTRAINT sessions_event_count_not_null NOT NULL,
    view_count integer DEFAULT 0 CONSTRAINT sessions_view_count_not_null NOT NULL,
    conversion_count integer DEFAULT 0 CONSTRAINT sessions_conversion_count_not_null NOT NULL,
    intent_count integer DEFAULT 0 CONSTRAINT sessions_intent_count_not_null NOT NULL,
    max_scroll_percentage integer DEFAULT 0 CONSTRAINT sessions_max_scroll_percentage_not_null NOT NULL,
    cta_hover_count integer DEFAULT 0 CONSTRAINT sessions_cta_hover_count_not_null NOT NULL,
    form_focus_duration integer DEFAULT 0 CONSTRAINT sessions_form_focus_duration_not_null NOT NULL,
    total_active_seconds integer DEFAULT 0 CONSTRAINT sessions_total_active_seconds_not_null NOT NULL,
    previous_visit_count integer DEFAULT 0 CONSTRAINT sessions_previous_visit_count_not_null NOT NULL,
    is_returning boolean DEFAULT false CONSTRAINT sessions_is_returning_not_null NOT NULL,
    fingerprint text,
    first_key bigint CONSTRAINT sessions_first_key_not_null NOT NULL,
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
    is_proxy_detected boolean DEFAULT false CONSTRAINT sessions_is_proxy_detected_not_null NOT NULL,
    exit_key bigint CONSTRAINT sessions_exit_key_not_null NOT NULL,
    exit_page text,
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
    click_key bigint,
    click_at timestamp with time zone,
    gclid text,
    wbraid text,
    gbraid text,
    has_click_id boolean DEFAULT false CONSTRAINT sessions_has_click_id_not_null NOT NULL,
    utm_key bigint,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_term text,
    utm_content text,
    matchtype text,
    ads_network text,
    ads_placement text,
    source_key bigint CONSTRAINT sessions_source_key_not_null NOT NULL,
    attribution_source text CONSTRAINT sessions_attribution_source_not_null NOT NULL,
    channel text CONSTRAINT sessions_channel_not_null NOT NULL,
    is_paid boolean CONSTRAINT sessions_is_paid_not_null NOT NULL,
    attribution jsonb CONSTRAINT sessions_attribution_not_null NOT NULL,
    last_touch_key bigint,
    last_touch jsonb,
    consent_key bigint,
    consent_analytics boolean,
    consent_marketing boolean,
    CONSTRAINT sessions_default_month CHECK ((created_month = (date_trunc('month'::text, (created_at AT TIME ZONE 'UTC'::text)))::date))
)
WITH (fillfactor='75');

ALTER TABLE ONLY parts.sessions_default FORCE ROW LEVEL SECURITY;

CREATE TABLE public.conversion_moves (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    conversion_id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    from_state text,
    to_state text NOT NULL,
    reason text
);

ALTER TABLE ONLY public.conversion_moves FORCE ROW LEVEL SECURITY;

CREATE TABLE public.counter_days (
    site_id uuid NOT NULL,
    day date NOT NULL,
    main public.counter_cell[] DEFAULT '{}'::public.counter_cell[] NOT NULL,
    sources public.counter_cell[] DEFAULT '{}'::public.counter_cell[] NOT NULL,
    hours public.counter_cell[] DEFAULT '{}'::public.counter_cell[] NOT NULL,
    details public.counter_cell[] DEFAULT '{}'::public.counter_cell[] NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000', toast_tuple_target='8160');

ALTER TABLE ONLY public.counter_days FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.counter_days.day IS 'A day of the site, in its own time zone.';

COMMENT ON COLUMN public.counter_days.main IS 'Totals and statuses. In parts (see counter_part), so that a tile need not unpack every keyword.';

CREATE TABLE public.counter_journal (
    site_id uuid NOT NULL,
    id bigint NOT NULL,
    entries public.counter_entry[] DEFAULT '{}'::public.counter_entry[] NOT NULL,
    tally public.tally_draft[] DEFAULT '{}'::public.tally_draft[] NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    last_event_at timestamp with time zone,
    last_intent_at timestamp with time zone
)
WITH (toast_tuple_target='8160', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_insert_scale_factor='0', autovacuum_vacuum_insert_threshold='20000');

ALTER TABLE ONLY public.counter_journal FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.counter_journal IS 'One row a transaction and site: what it changes in the counters. Rows live for about a second.';

ALTER TABLE public.counter_journal ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.counter_journal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.sites (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    public_id text NOT NULL,
    name text NOT NULL,
    domain text NOT NULL,
    time_zone text DEFAULT 'Europe/Istanbul'::text NOT NULL,
    region text DEFAULT 'TR'::text NOT NULL,
    currency text DEFAULT 'TRY'::text NOT NULL,
    assumed_cpc numeric DEFAULT 0 NOT NULL,
    consent_mode text DEFAULT 'implied'::text NOT NULL,
    attribution_window_days integer DEFAULT 90 NOT NULL,
    config jsonb DEFAULT '{}'::jsonb NOT NULL,
    disabled_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    undo_minutes integer DEFAULT 10 NOT NULL,
    auto_approve_hours integer,
    auto_junk_days integer DEFAULT 90,
    conversion_time text DEFAULT 'intent'::text NOT NULL,
    CONSTRAINT sites_assumed_cpc_check CHECK ((assumed_cpc >= (0)::numeric)),
    CONSTRAINT sites_attribution_window_days_check CHECK (((attribution_window_days >= 1) AND (attribution_window_days <= 184))),
    CONSTRAINT sites_auto_approve_hours_check CHECK (((auto_approve_hours >= 1) AND (auto_approve_hours <= 168))),
    CONSTRAINT sites_auto_junk_days_check CHECK (((auto_junk_days >= 7) AND (auto_junk_days <= 184))),
    CONSTRAINT sites_consent_mode_check CHECK ((consent_mode = ANY (ARRAY['required'::text, 'implied'::text, 'legacy'::text]))),
    CONSTRAINT sites_conversion_time_check CHECK ((conversion_time = ANY (ARRAY['intent'::text, 'decision'::text]))),
    CONSTRAINT sites_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT sites_domain_check CHECK (((length(domain) >= 1) AND (length(domain) <= 253))),
    CONSTRAINT sites_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT sites_public_id_check CHECK ((public_id ~ '^[0-9a-f]{32}$'::text)),
    CONSTRAINT sites_region_check CHECK ((region ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT sites_undo_minutes_check CHECK (((undo_minutes >= 0) AND (undo_minutes <= 1440)))
);

ALTER TABLE ONLY public.sites FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.sites.public_id IS 'The id in the snippet, 32 hex digits; the UUID spelling with hyphens means the same site.';

COMMENT ON COLUMN public.sites.region IS 'ISO 3166 region in which a number without a country code is read.';

COMMENT ON COLUMN public.sites.undo_minutes IS 'How long a conversion is held before it may be sent.';

COMMENT ON COLUMN public.sites.auto_approve_hours IS 'Leads that waited so long and carry no risk are sealed by rule; null: never, until somebody switches it on.';

COMMENT ON COLUMN public.sites.auto_junk_days IS 'Leads that nobody touched for so long become junk; null: never.';

COMMENT ON COLUMN public.sites.conversion_time IS 'The moment that a conversion without a sale date is reported with: the tap, or the decision about it.';

CREATE VIEW public.counters WITH (security_invoker='true') AS
 SELECT d.site_id,
    d.day,
    'main'::text AS part,
    c.dimension,
    c.key,
    c.is_paid,
    c.sessions,
    c.click_sessions,
    c.visitors,
    c.events,
    c.conversions,
    c.forms,
    c.leads,
    c.click_leads,
    c.sealed,
    c.junk,
    c.amount,
    c.scroll,
    c.scrolled,
    c.seconds
   FROM (public.counter_days d
     CROSS JOIN LATERAL unnest(d.main) c(dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds))
UNION ALL
 SELECT d.site_id,
    d.day,
    'sources'::text AS part,
    c.dimension,
    c.key,
    c.is_paid,
    c.sessions,
    c.click_sessions,
    c.visitors,
    c.events,
    c.conversions,
    c.forms,
    c.leads,
    c.click_leads,
    c.sealed,
    c.junk,
    c.amount,
    c.scroll,
    c.scrolled,
    c.seconds
   FROM (public.counter_days d
     CROSS JOIN LATERAL unnest(d.sources) c(dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds))
UNION ALL
 SELECT d.site_id,
    d.day,
    'hours'::text AS part,
    c.dimension,
    c.key,
    c.is_paid,
    c.sessions,
    c.click_sessions,
    c.visitors,
    c.events,
    c.conversions,
    c.forms,
    c.leads,
    c.click_leads,
    c.sealed,
    c.junk,
    c.amount,
    c.scroll,
    c.scrolled,
    c.seconds
   FROM (public.counter_days d
     CROSS JOIN LATERAL unnest(d.hours) c(dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds))
UNION ALL
 SELECT d.site_id,
    d.day,
    'details'::text AS part,
    c.dimension,
    c.key,
    c.is_paid,
    c.sessions,
    c.click_sessions,
    c.visitors,
    c.events,
    c.conversions,
    c.forms,
    c.leads,
    c.click_leads,
    c.sealed,
    c.junk,
    c.amount,
    c.scroll,
    c.scrolled,
    c.seconds
   FROM (public.counter_days d
     CROSS JOIN LATERAL unnest(d.details) c(dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds))
UNION ALL
 SELECT s.id AS site_id,
    u.day,
    public.counter_part(u.dimension) AS part,
    u.dimension,
    u.key,
    u.is_paid,
    u.sessions,
    u.click_sessions,
    u.visitors,
    u.events,
    u.conversions,
    u.forms,
    u.leads,
    u.click_leads,
    u.sealed,
    u.junk,
    u.amount,
    u.scroll,
    u.scrolled,
    u.seconds
   FROM (public.sites s
     CROSS JOIN LATERAL public.unfolded_cells(s.id, s.time_zone, s.currency) u(day, dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds));

CREATE TABLE public.ingest_tally (
    site_id uuid NOT NULL,
    hour timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    n bigint NOT NULL
);

ALTER TABLE ONLY public.ingest_tally FORCE ROW LEVEL SECURITY;

CREATE VIEW public.ingest_counts WITH (security_invoker='true') AS
 SELECT site_id,
    hour,
    outcome,
    (sum(n))::bigint AS n
   FROM ( SELECT t.site_id,
            t.hour,
            t.outcome,
            t.n
           FROM public.ingest_tally t
        UNION ALL
         SELECT j.site_id,
            date_trunc('hour'::text, COALESCE(o.received_at, j.changed_at)) AS date_trunc,
            o.outcome,
            o.n
           FROM (public.counter_journal j
             CROSS JOIN LATERAL unnest(j.tally) o(site_id, outcome, n, received_at))) b
  GROUP BY site_id, hour, outcome
 HAVING (sum(n) <> (0)::numeric);

CREATE TABLE public.intent_actions (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    call_id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor uuid,
    actor_kind text NOT NULL,
    action text NOT NULL,
    from_status text NOT NULL,
    to_status text NOT NULL,
    version integer NOT NULL,
    before jsonb NOT NULL,
    note text,
    undoes uuid,
    CONSTRAINT intent_actions_action_check CHECK (((length(action) >= 1) AND (length(action) <= 40))),
    CONSTRAINT intent_actions_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['person'::text, 'rule'::text, 'key'::text])))
);

ALTER TABLE ONLY public.intent_actions FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.intent_actions.version IS 'The lead''s version after the act.';

COMMENT ON COLUMN public.intent_actions.before IS 'The columns that the act changed, as they were.';

CREATE VIEW public.lead_rows WITH (security_invoker='true') AS
 SELECT c.site_id,
    c.id,
    c.created_at,
    c.occurred_at,
    c.updated_at,
    c.status,
    c.version,
    c.is_automatic,
    c.stage,
    c.quality,
    c.note,
    c.junk_reason,
    c.suspicion,
    c.confirmed_at AS decided_at,
    c.confirmed_by AS decided_by,
    c.source AS captured_by,
    c.intent_action AS action,
    c.intent_target AS target,
    c.intent_stamp AS stamp,
    c.phone_number,
    c.intent_page_url AS page_url,
    c.matched_fingerprint AS visitor,
    c.matched_session_id AS session_id,
    c.lead_score,
    c.score_breakdown,
    c.click_id,
    c.click_id_kind,
    ((c.click_id IS NOT NULL) OR COALESCE(s.has_click_id, false)) AS has_click_id,
    COALESCE(s.is_paid, false) AS is_paid,
    c.sale_amount,
    c.sale_at,
    c.estimated_value,
    c.currency,
    c.merged_into,
    ( SELECT (count(*) + 1)
           FROM public.calls m
          WHERE ((m.site_id = c.site_id) AND (m.merged_into = c.id))) AS tap_count,
    v.state AS conversion_state,
    v.reason AS conversion_reason,
    v.due_at AS conversion_due_at,
    v.value AS conversion_value,
    v.currency AS conversion_currency,
    v.updated_at AS conversion_updated_at,
        CASE
            WHEN (v.state = ANY (ARRAY['sent'::text, 'accepted'::text, 'matched'::text, 'failed'::text])) THEN ( SELECT max(m.at) AS max
               FROM public.conversion_moves m
              WHERE ((m.site_id = v.site_id) AND (m.conversion_id = v.id) AND (m.to_state = 'sent'::text)))
            ELSE NULL::timestamp with time zone
        END AS conversion_sent_at,
    s.created_at AS session_created_at,
    s.started_at AS session_started_at,
    s.last_event_at AS session_last_event_at,
    s.total_duration_sec,
    s.event_count,
    s.view_count,
    s.conversion_count,
    s.intent_count,
    s.max_scroll_percentage,
    s.cta_hover_count,
    s.form_focus_duration,
    s.total_active_seconds,
    s.previous_visit_count,
    s.is_returning,
    s.fingerprint,
    s.entry_page,
    s.exit_page,
    s.referrer_host,
    s.device_type,
    s.device_os,
    s.browser,
    s.browser_language,
    s.time_zone,
    s.country,
    s.city,
    s.district,
    s.place_source,
    s.telco_carrier,
    s.isp_asn,
    s.is_proxy_detected,
    s.device_memory,
    s.hardware_concurrency,
    s.screen_width,
    s.screen_height,
    s.pixel_ratio,
    s.gpu_renderer,
    s.connection_type,
    s.gclid,
    s.wbraid,
    s.gbraid,
    s.has_click_id AS session_has_click_id,
    s.utm_source,
    s.utm_medium,
    s.utm_campaign,
    s.utm_term,
    s.utm_content,
    s.matchtype,
    s.ads_network,
    s.ads_placement,
    s.attribution_source,
    s.channel,
    s.is_paid AS session_is_paid
   FROM ((public.calls c
     LEFT JOIN public.sessions s ON (((s.site_id = c.site_id) AND (s.created_month = c.matched_session_month) AND (s.id = c.matched_session_id))))
     LEFT JOIN public.conversions v ON (((v.site_id = c.site_id) AND (v.call_id = c.id) AND (v.state <> 'retracted'::text))));

CREATE TABLE public.one_time_links (
    token_hash bytea NOT NULL,
    purpose text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT one_time_links_purpose_check CHECK ((purpose = 'first_admin'::text)),
    CONSTRAINT one_time_links_token_hash_check CHECK ((length(token_hash) = 32))
);

ALTER TABLE ONLY public.one_time_links FORCE ROW LEVEL SECURITY;

CREATE TABLE public.profiles (
    id uuid NOT NULL,
    role text DEFAULT 'user'::text NOT NULL,
    language text,
    theme text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT profiles_language_check CHECK ((language = ANY (ARRAY['en'::text, 'tr'::text]))),
    CONSTRAINT profiles_role_check CHECK ((role = ANY (ARRAY['user'::text, 'admin'::text]))),
    CONSTRAINT profiles_theme_check CHECK ((theme = ANY (ARRAY['light'::text, 'dark'::text])))
);

ALTER TABLE ONLY public.profiles FORCE ROW LEVEL SECURITY;

CREATE TABLE public.rejected_events (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    received_at timestamp with time zone NOT NULL,
    door text NOT NULL,
    reason text NOT NULL,
    detail text,
    payload bytea NOT NULL,
    replay_count integer DEFAULT 0 NOT NULL,
    last_replay_at timestamp with time zone,
    last_replay_error text,
    replayed_at timestamp with time zone
);

ALTER TABLE ONLY public.rejected_events FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.rejected_events.replayed_at IS 'Since when its event is stored after all; null: it is not.';

CREATE TABLE public.replays (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    rejected_id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor uuid,
    actor_email text NOT NULL,
    replay_count integer NOT NULL,
    outcome text NOT NULL,
    error text,
    CONSTRAINT replays_error_check CHECK ((length(error) <= 500)),
    CONSTRAINT replays_outcome_check CHECK ((length(outcome) <= 40))
);

ALTER TABLE ONLY public.replays FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.replays.replay_count IS 'How many tries there were, this one included.';

COMMENT ON COLUMN public.replays.outcome IS 'stored, pulse, duplicate, or the reason for which it was refused again; noted: told by a caller.';

CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.schema_migrations FORCE ROW LEVEL SECURITY;

CREATE TABLE public.session_keys (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    created_month date NOT NULL,
    CONSTRAINT session_keys_created_month_check CHECK ((EXTRACT(day FROM created_month) = (1)::numeric))
);

ALTER TABLE ONLY public.session_keys FORCE ROW LEVEL SECURITY;

CREATE TABLE public.sign_ins (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    user_agent text,
    CONSTRAINT sign_ins_token_hash_check CHECK ((length(token_hash) = 32))
);

ALTER TABLE ONLY public.sign_ins FORCE ROW LEVEL SECURITY;

CREATE TABLE public.site_members (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text DEFAULT 'analyst'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT site_members_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'operator'::text, 'analyst'::text])))
);

ALTER TABLE ONLY public.site_members FORCE ROW LEVEL SECURITY;

CREATE TABLE public.site_origins (
    site_id uuid NOT NULL,
    origin text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT site_origins_origin_check CHECK (((origin = 'null'::text) OR (origin ~ '^https?://[^/ ]+$'::text)))
);

ALTER TABLE ONLY public.site_origins FORCE ROW LEVEL SECURITY;

CREATE TABLE public.site_pulse (
    site_id uuid NOT NULL,
    sequence bigint NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    last_event_at timestamp with time zone,
    last_intent_at timestamp with time zone,
    counted_at timestamp with time zone
)
WITH (fillfactor='50');

ALTER TABLE ONLY public.site_pulse FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.site_pulse.counted_at IS 'Since when the site''s counters stand; null: they have to be built from its rows first.';

CREATE VIEW public.site_state WITH (security_invoker='true') AS
 SELECT s.id AS site_id,
    (COALESCE(p.sequence, (0)::bigint) + j.n) AS sequence,
    GREATEST(p.changed_at, j.changed_at) AS changed_at,
    GREATEST(p.last_event_at, j.last_event_at) AS last_event_at,
    GREATEST(p.last_intent_at, j.last_intent_at) AS last_intent_at
   FROM ((public.sites s
     LEFT JOIN public.site_pulse p ON ((p.site_id = s.id)))
     CROSS JOIN LATERAL ( SELECT count(*) AS n,
            max(counter_journal.changed_at) AS changed_at,
            max(counter_journal.last_event_at) AS last_event_at,
            max(counter_journal.last_intent_at) AS last_intent_at
           FROM public.counter_journal
          WHERE (counter_journal.site_id = s.id)) j);

CREATE TABLE public.stray_tally (
    hour timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    n bigint NOT NULL
);

ALTER TABLE ONLY public.stray_tally FORCE ROW LEVEL SECURITY;

CREATE TABLE public.upkeep_runs (
    id bigint NOT NULL,
    job text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    outcome text,
    detail jsonb
);

ALTER TABLE ONLY public.upkeep_runs FORCE ROW LEVEL SECURITY;

ALTER TABLE public.upkeep_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.upkeep_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.user_credentials (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    provider text NOT NULL,
    access_token bytea,
    refresh_token bytea,
    key_id text,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.user_credentials FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.user_credentials.refresh_token IS 'Encrypted by the application; key_id names the key.';

CREATE TABLE public.users (
    id uuid NOT NULL,
    email text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    password_hash text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT users_email_check CHECK ((((length(email) >= 3) AND (length(email) <= 254)) AND (email = lower(email))))
);

ALTER TABLE ONLY public.users FORCE ROW LEVEL SECURITY;

CREATE TABLE public.visitors (
    site_id uuid NOT NULL,
    id text NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    visits integer NOT NULL,
    last_ad_click_at timestamp with time zone,
    CONSTRAINT visitors_id_check CHECK ((length(id) <= 64))
);

ALTER TABLE ONLY public.visitors FORCE ROW LEVEL SECURITY;

ALTER TABLE ONLY public.events ATTACH PARTITION parts.events_default DEFAULT;

ALTER TABLE ONLY public.sessions ATTACH PARTITION parts.sessions_default DEFAULT;

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (site_id, session_month, id);

ALTER TABLE ONLY parts.events_default
    ADD CONSTRAINT events_default_pkey PRIMARY KEY (site_id, session_month, id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (site_id, created_month, id);

ALTER TABLE ONLY parts.sessions_default
    ADD CONSTRAINT sessions_default_pkey PRIMARY KEY (site_id, created_month, id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_site_stamp_key UNIQUE (site_id, intent_stamp);

ALTER TABLE ONLY public.conversion_moves
    ADD CONSTRAINT conversion_moves_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.conversions
    ADD CONSTRAINT conversions_order_key UNIQUE (site_id, order_id);

ALTER TABLE ONLY public.conversions
    ADD CONSTRAINT conversions_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.counter_days
    ADD CONSTRAINT counter_days_pkey PRIMARY KEY (site_id, day);

ALTER TABLE ONLY public.counter_journal
    ADD CONSTRAINT counter_journal_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.ingest_tally
    ADD CONSTRAINT ingest_tally_pkey PRIMARY KEY (site_id, hour, outcome);

ALTER TABLE ONLY public.intent_actions
    ADD CONSTRAINT intent_actions_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.intent_actions
    ADD CONSTRAINT intent_actions_undoes_key UNIQUE (site_id, undoes);

ALTER TABLE ONLY public.one_time_links
    ADD CONSTRAINT one_time_links_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rejected_events
    ADD CONSTRAINT rejected_events_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.replays
    ADD CONSTRAINT replays_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.session_keys
    ADD CONSTRAINT session_keys_month_key UNIQUE (site_id, created_month, id);

ALTER TABLE ONLY public.session_keys
    ADD CONSTRAINT session_keys_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.site_members
    ADD CONSTRAINT site_members_pkey PRIMARY KEY (site_id, user_id);

ALTER TABLE ONLY public.site_origins
    ADD CONSTRAINT site_origins_pkey PRIMARY KEY (site_id, origin);

ALTER TABLE ONLY public.site_pulse
    ADD CONSTRAINT site_pulse_pkey PRIMARY KEY (site_id);

ALTER TABLE ONLY public.sites
    ADD CONSTRAINT sites_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sites
    ADD CONSTRAINT sites_public_id_key UNIQUE (public_id);

ALTER TABLE ONLY public.stray_tally
    ADD CONSTRAINT stray_tally_pkey PRIMARY KEY (hour, outcome);

ALTER TABLE ONLY public.upkeep_runs
    ADD CONSTRAINT upkeep_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_credentials
    ADD CONSTRAINT user_credentials_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_credentials
    ADD CONSTRAINT user_credentials_user_id_provider_key UNIQUE (user_id, provider);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.visitors
    ADD CONSTRAINT visitors_pkey PRIMARY KEY (site_id, id);

CREATE INDEX events_created_idx ON ONLY public.events USING brin (created_at) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX events_default_created_at_idx ON parts.events_default USING brin (created_at) WITH (pages_per_range='32', autosummarize='on');

CREATE INDEX events_conversion_idx ON ONLY public.events USING btree (site_id, created_at DESC, id DESC) WHERE (event_category = 'conversion'::text);

CREATE INDEX events_default_site_id_created_at_id_idx ON parts.events_default USING btree (site_id, created_at DESC, id DESC) WHERE (event_category = 'conversion'::text);

CREATE INDEX events_taps_idx ON ONLY public.events USING btree (site_id, created_at) WHERE (event_action = ANY (ARRAY['phone_call'::text, 'phone_click'::text, 'call_click'::text, 'tel_click'::text, 'whatsapp'::text, 'whatsapp_click'::text, 'wa_click'::text]));

CREATE INDEX events_default_site_id_created_at_idx ON parts.events_default USING btree (site_id, created_at) WHERE (event_action = ANY (ARRAY['phone_call'::text, 'phone_click'::text, 'call_click'::text, 'tel_click'::text, 'whatsapp'::text, 'whatsapp_click'::text, 'wa_click'::text]));

CREATE INDEX events_session_idx ON ONLY public.events USING btree (site_id, session_id, created_at);

CREATE INDEX events_default_site_id_session_id_created_at_idx ON parts.events_default USING btree (site_id, session_id, created_at);

CREATE INDEX sessions_site_created_idx ON ONLY public.sessions USING btree (site_id, created_at);

CREATE INDEX sessions_default_site_id_created_at_idx ON parts.sessions_default USING btree (site_id, created_at);

CREATE INDEX sessions_site_fingerprint_idx ON ONLY public.sessions USING btree (site_id, fingerprint, created_at) WHERE (fingerprint IS NOT NULL);

CREATE INDEX sessions_default_site_id_fingerprint_created_at_idx ON parts.sessions_default USING btree (site_id, fingerprint, created_at) WHERE (fingerprint IS NOT NULL);

CREATE INDEX calls_confirmed_by_idx ON public.calls USING btree (confirmed_by) WHERE (confirmed_by IS NOT NULL);

CREATE INDEX calls_decided_idx ON public.calls USING btree (site_id, confirmed_at) WHERE (confirmed_at IS NOT NULL);

CREATE INDEX calls_forms_idx ON public.calls USING btree (site_id, created_at) WHERE (source = 'form'::text);

CREATE INDEX calls_merged_idx ON public.calls USING btree (site_id, merged_into) WHERE (merged_into IS NOT NULL);

CREATE INDEX calls_session_idx ON public.calls USING btree (site_id, matched_session_month, matched_session_id);

CREATE INDEX calls_site_created_idx ON public.calls USING btree (site_id, created_at DESC, id DESC);

CREATE INDEX calls_site_fingerprint_idx ON public.calls USING btree (site_id, matched_fingerprint) WHERE (matched_fingerprint IS NOT NULL);

CREATE INDEX calls_status_idx ON public.calls USING btree (site_id, status, created_at DESC, id DESC);

CREATE INDEX conversion_moves_conversion_idx ON public.conversion_moves USING btree (site_id, conversion_id, at);

CREATE INDEX conversions_call_idx ON public.conversions USING btree (site_id, call_id);

CREATE UNIQUE INDEX conversions_live_key ON public.conversions USING btree (site_id, call_id) WHERE (state <> 'retracted'::text);

CREATE INDEX conversions_state_idx ON public.conversions USING btree (site_id, state, due_at);

CREATE INDEX intent_actions_actor_idx ON public.intent_actions USING btree (actor) WHERE (actor IS NOT NULL);

CREATE INDEX intent_actions_call_idx ON public.intent_actions USING btree (site_id, call_id, version DESC);

CREATE INDEX intent_actions_site_at_idx ON public.intent_actions USING btree (site_id, at DESC, id DESC);

CREATE INDEX rejected_events_site_received_idx ON public.rejected_events USING btree (site_id, received_at DESC);

CREATE INDEX replays_actor_idx ON public.replays USING btree (actor) WHERE (actor IS NOT NULL);

CREATE INDEX replays_rejected_idx ON public.replays USING btree (site_id, rejected_id, at DESC);

CREATE INDEX sign_ins_user_id_idx ON public.sign_ins USING btree (user_id);

CREATE INDEX site_members_user_id_idx ON public.site_members USING btree (user_id);

CREATE INDEX sites_user_id_idx ON public.sites USING btree (user_id);

CREATE INDEX upkeep_runs_job_idx ON public.upkeep_runs USING btree (job, started_at DESC);

ALTER INDEX public.events_created_idx ATTACH PARTITION parts.events_default_created_at_idx;

ALTER INDEX public.events_pkey ATTACH PARTITION parts.events_default_pkey;

ALTER INDEX public.events_conversion_idx ATTACH PARTITION parts.events_default_site_id_created_at_id_idx;

ALTER INDEX public.events_taps_idx ATTACH PARTITION parts.events_default_site_id_created_at_idx;

ALTER INDEX public.events_session_idx ATTACH PARTITION parts.events_default_site_id_session_id_created_at_idx;

ALTER INDEX public.sessions_pkey ATTACH PARTITION parts.sessions_default_pkey;

ALTER INDEX public.sessions_site_created_idx ATTACH PARTITION parts.sessions_default_site_id_created_at_idx;

ALTER INDEX public.sessions_site_fingerprint_idx ATTACH PARTITION parts.sessions_default_site_id_fingerprint_created_at_idx;

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_confirmed_by_fkey FOREIGN KEY (confirmed_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_merged_into_fkey FOREIGN KEY (site_id, merged_into) REFERENCES public.calls(site_id, id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_session_fkey FOREIGN KEY (site_id, matched_session_month, matched_session_id) REFERENCES public.session_keys(site_id, created_month, id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.conversion_moves
    ADD CONSTRAINT conversion_moves_conversion_fkey FOREIGN KEY (site_id, conversion_id) REFERENCES public.conversions(site_id, id);

ALTER TABLE ONLY public.conversions
    ADD CONSTRAINT conversions_call_fkey FOREIGN KEY (site_id, call_id) REFERENCES public.calls(site_id, id);

ALTER TABLE ONLY public.counter_days
    ADD CONSTRAINT counter_days_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE public.events
    ADD CONSTRAINT events_session_fkey FOREIGN KEY (site_id, session_month, session_id) REFERENCES public.session_keys(site_id, created_month, id);

ALTER TABLE ONLY public.ingest_tally
    ADD CONSTRAINT ingest_tally_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.intent_actions
    ADD CONSTRAINT intent_actions_actor_fkey FOREIGN KEY (actor) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.intent_actions
    ADD CONSTRAINT intent_actions_call_fkey FOREIGN KEY (site_id, call_id) REFERENCES public.calls(site_id, id);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_id_fkey FOREIGN KEY (id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rejected_events
    ADD CONSTRAINT rejected_events_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.replays
    ADD CONSTRAINT replays_actor_fkey FOREIGN KEY (actor) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.replays
    ADD CONSTRAINT replays_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.session_keys
    ADD CONSTRAINT session_keys_session_fkey FOREIGN KEY (site_id, created_month, id) REFERENCES public.sessions(site_id, created_month, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.session_keys
    ADD CONSTRAINT session_keys_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE public.sessions
    ADD CONSTRAINT sessions_key_fkey FOREIGN KEY (site_id, created_month, id) REFERENCES public.session_keys(site_id, created_month, id);

ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.site_members
    ADD CONSTRAINT site_members_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.site_members
    ADD CONSTRAINT site_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.site_origins
    ADD CONSTRAINT site_origins_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.site_pulse
    ADD CONSTRAINT site_pulse_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.sites
    ADD CONSTRAINT sites_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE RESTRICT;

ALTER TABLE ONLY public.user_credentials
    ADD CONSTRAINT user_credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.visitors
    ADD CONSTRAINT visitors_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

CREATE POLICY by_owner_function ON parts.events_default TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON parts.sessions_default TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

ALTER TABLE parts.events_default ENABLE ROW LEVEL SECURITY;

ALTER TABLE parts.sessions_default ENABLE ROW LEVEL SECURITY;

CREATE POLICY by_owner_function ON public.calls TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.conversion_moves TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.conversions TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.counter_days TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.counter_journal TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.events TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.ingest_tally TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.intent_actions TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.rejected_events TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.replays TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.session_keys TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.sessions TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.site_pulse TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.visitors TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

ALTER TABLE public.calls ENABLE ROW LEVEL SECURITY;

CREATE POLICY calls_select_accessible ON public.calls FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.conversion_moves ENABLE ROW LEVEL SECURITY;

CREATE POLICY conversion_moves_select_accessible ON public.conversion_moves FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.conversions ENABLE ROW LEVEL SECURITY;

CREATE POLICY conversions_select_accessible ON public.conversions FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.counter_days ENABLE ROW LEVEL SECURITY;

CREATE POLICY counter_days_select_accessible ON public.counter_days FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.counter_journal ENABLE ROW LEVEL SECURITY;

CREATE POLICY counter_journal_select_accessible ON public.counter_journal FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.events ENABLE ROW LEVEL SECURITY;

CREATE POLICY events_select_accessible ON public.events FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.ingest_tally ENABLE ROW LEVEL SECURITY;

CREATE POLICY ingest_tally_select_accessible ON public.ingest_tally FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.intent_actions ENABLE ROW LEVEL SECURITY;

CREATE POLICY intent_actions_select_accessible ON public.intent_actions FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.one_time_links ENABLE ROW LEVEL SECURITY;

CREATE POLICY owner_functions ON public.one_time_links TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.profiles TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.schema_migrations TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.sign_ins TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.site_members TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.site_origins TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.sites TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.stray_tally TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.upkeep_runs TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.user_credentials TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.users TO opsmantik_owner USING (true) WITH CHECK (true);

ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;

CREATE POLICY profiles_select_self_or_admin ON public.profiles FOR SELECT USING ((id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

CREATE POLICY profiles_update_own ON public.profiles FOR UPDATE USING ((id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid)) WITH CHECK ((id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.rejected_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY rejected_events_select_accessible ON public.rejected_events FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.replays ENABLE ROW LEVEL SECURITY;

CREATE POLICY replays_select_accessible ON public.replays FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.schema_migrations ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.session_keys ENABLE ROW LEVEL SECURITY;

CREATE POLICY session_keys_select_accessible ON public.session_keys FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;

CREATE POLICY sessions_select_accessible ON public.sessions FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.sign_ins ENABLE ROW LEVEL SECURITY;

CREATE POLICY sign_ins_own ON public.sign_ins FOR SELECT USING ((user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.site_members ENABLE ROW LEVEL SECURITY;

CREATE POLICY site_members_select_accessible ON public.site_members FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.site_origins ENABLE ROW LEVEL SECURITY;

CREATE POLICY site_origins_select_accessible ON public.site_origins FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.site_pulse ENABLE ROW LEVEL SECURITY;

CREATE POLICY site_pulse_select_accessible ON public.site_pulse FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.sites ENABLE ROW LEVEL SECURITY;

CREATE POLICY sites_select_accessible ON public.sites FOR SELECT USING ((id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.stray_tally ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.upkeep_runs ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.user_credentials ENABLE ROW LEVEL SECURITY;

CREATE POLICY user_credentials_own ON public.user_credentials FOR SELECT USING ((user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;

CREATE POLICY users_select_self ON public.users FOR SELECT USING ((id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.visitors ENABLE ROW LEVEL SECURITY;

CREATE POLICY visitors_select_accessible ON public.visitors FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

GRANT USAGE ON SCHEMA public TO opsmantik_app;

REVOKE ALL ON FUNCTION public.account_by_email(p_email text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.account_by_email(p_email text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.actor_name(p_site uuid, p_actor uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.actor_name(p_site uuid, p_actor uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.administrators() FROM PUBLIC;
GRANT ALL ON FUNCTION public.administrators() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.attach_month(p_month date, OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.attach_partition(p_parent text, p_partition text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.attach_sessions(p_sessions text, p_month date, p_locked boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.call_entries(p_site uuid, p_calls uuid[], p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.call_entries(p_site uuid, p_calls uuid[], p_n integer) TO opsmantik_app;

GRANT SELECT ON TABLE public.calls TO opsmantik_app;

GRANT SELECT ON TABLE public.sessions TO opsmantik_app;

REVOKE ALL ON FUNCTION public.call_entry(c public.calls, s public.sessions, p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.call_entry(c public.calls, s public.sessions, p_n integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_site_clock(p_site uuid, p_time_zone text, p_currency text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.clear_leads(p_sites uuid[], p_calls uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.clear_leads(p_sites uuid[], p_calls uuid[]) TO opsmantik_app;

GRANT SELECT ON TABLE public.conversions TO opsmantik_app;

REVOKE ALL ON FUNCTION public.conversion_entry(v public.conversions, c public.calls, s public.sessions, p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.conversion_entry(v public.conversions, c public.calls, s public.sessions, p_n integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.copy_month(p_from text, p_to text, p_column text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.counter_differences(p_site uuid, p_from date, p_to date) FROM PUBLIC;
GRANT ALL ON FUNCTION public.counter_differences(p_site uuid, p_from date, p_to date) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.counter_part(p_dimension text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.counter_part(p_dimension text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.create_first_admin(p_link_hash bytea, p_id uuid, p_email text, p_name text, p_password_hash text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.create_first_admin(p_link_hash bytea, p_id uuid, p_email text, p_name text, p_password_hash text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.create_site(p_id uuid, p_public_id text, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_consent_mode text, p_origins text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.create_site(p_id uuid, p_public_id text, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_consent_mode text, p_origins text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.decide_intent(p_site uuid, p_call uuid, p_version integer, p_id uuid, p_kind text, p_action text, p_note text, p_undoes uuid, p_changes jsonb, p_conversion jsonb, OUT version integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.decide_intent(p_site uuid, p_call uuid, p_version integer, p_id uuid, p_kind text, p_action text, p_note text, p_undoes uuid, p_changes jsonb, p_conversion jsonb, OUT version integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.decider(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.decision_entry(c public.calls, s public.sessions, p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.decision_entry(c public.calls, s public.sessions, p_n integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.drain_default_month(p_month date, OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.dress_partition(p_partition text, p_column text, p_month date, p_upper boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.end_sign_in(p_token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_sign_in(p_token_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.enter_user(p_user uuid, OUT sites uuid[], OUT is_admin boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enter_user(p_user uuid, OUT sites uuid[], OUT is_admin boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.entry_cells(e public.counter_entry, p_zone text, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.entry_cells(e public.counter_entry, p_zone text, p_currency text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.figures(p_site uuid, p_first date, p_last date, p_edge_from timestamp with time zone[], p_edge_to timestamp with time zone[], p_parts text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.figures(p_site uuid, p_first date, p_last date, p_edge_from timestamp with time zone[], p_edge_to timestamp with time zone[], p_parts text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.first_admin_link_open(p_link_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.first_admin_link_open(p_link_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.fold_counters(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.fold_counters(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.has_users() FROM PUBLIC;
GRANT ALL ON FUNCTION public.has_users() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.hour_key(p_at timestamp with time zone, p_zone text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.hour_key(p_at timestamp with time zone, p_zone text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ingest_batch_v2(p_sessions public.session_draft[], p_events public.event_draft[], p_intents public.intent_draft[], p_tally public.tally_draft[], p_rejected public.rejected_draft[], OUT duplicates integer[], OUT leads public.lead_facts[], OUT called uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ingest_batch_v2(p_sessions public.session_draft[], p_events public.event_draft[], p_intents public.intent_draft[], p_tally public.tally_draft[], p_rejected public.rejected_draft[], OUT duplicates integer[], OUT leads public.lead_facts[], OUT called uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ingest_sites() FROM PUBLIC;
GRANT ALL ON FUNCTION public.ingest_sites() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.lead_cases(p_site uuid, p_calls uuid[], p_lock boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lead_cases(p_site uuid, p_calls uuid[], p_lock boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.lead_facts_of(p_sites uuid[], p_sessions uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lead_facts_of(p_sites uuid[], p_sessions uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.leads_to_approve(p_site uuid, p_waiting text[], p_hours integer, p_seconds integer, p_events integer, p_limit integer, p_lock boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.leads_to_approve(p_site uuid, p_waiting text[], p_hours integer, p_seconds integer, p_events integer, p_limit integer, p_lock boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.leads_to_junk(p_site uuid, p_waiting text[], p_days integer, p_limit integer, p_lock boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.leads_to_junk(p_site uuid, p_waiting text[], p_days integer, p_limit integer, p_lock boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.leave_default(p_from text, p_to text, p_column text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_counters(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_facts(p_move boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_leads(p_site uuid, p_calls uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_waiting(p_site uuid, p_waiting text[], p_calls uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.make_month(p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.move_conversion(p_site uuid, p_call uuid, p_conversion jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.offer_first_admin(p_link_hash bytea, p_lifetime interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.page_key(p_url text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.page_key(p_url text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.place_key(p_city text, p_district text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.place_key(p_city text, p_district text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.plain_case(p_text text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.plain_case(p_text text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.rebuild_counters(p_site uuid, p_from date, p_to date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.record_call_v2(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text, p_window_minutes integer, p_repeat_seconds integer, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts public.lead_facts) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_call_v2(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text, p_window_minutes integer, p_repeat_seconds integer, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts public.lead_facts) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.record_replay(p_site uuid, p_rejected uuid, p_id uuid, p_outcome text, p_error text, p_let_in boolean, OUT replay_count integer, OUT last_replay_at timestamp with time zone, OUT last_replay_error text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_replay(p_site uuid, p_rejected uuid, p_id uuid, p_outcome text, p_error text, p_let_in boolean, OUT replay_count integer, OUT last_replay_at timestamp with time zone, OUT last_replay_error text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.recount(p_site uuid, p_from timestamp with time zone, p_to timestamp with time zone, p_zone text, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.recount(p_site uuid, p_from timestamp with time zone, p_to timestamp with time zone, p_zone text, p_currency text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.score_call(p_site uuid, p_call uuid, p_score integer, p_breakdown jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.score_call(p_site uuid, p_call uuid, p_score integer, p_breakdown jsonb) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.score_leads(p_scores public.lead_score_draft[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.score_leads(p_scores public.lead_score_draft[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.session_entry(s public.sessions, p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.session_entry(s public.sessions, p_n integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.signed_in(p_token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.signed_in(p_token_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_owners(p_sites uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_owners(p_sites uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_role(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_role(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_sequences(p_sites uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_sequences(p_sites uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.sites_to_fold() FROM PUBLIC;
GRANT ALL ON FUNCTION public.sites_to_fold() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.suspect_lead(p_site uuid, p_call uuid, p_action uuid, p_reasons text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.suspect_lead(p_site uuid, p_call uuid, p_action uuid, p_reasons text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.suspicion_facts(p_sites uuid[], p_calls uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.suspicion_facts(p_sites uuid[], p_calls uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.unfolded_cells(p_site uuid, p_zone text, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unfolded_cells(p_site uuid, p_zone text, p_currency text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.unfolded_visitors(p_site uuid, p_zone text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unfolded_visitors(p_site uuid, p_zone text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.unjudged_leads(p_hours integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unjudged_leads(p_hours integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.validate_keys() FROM PUBLIC;

GRANT SELECT ON TABLE public.events TO opsmantik_app;

GRANT SELECT ON TABLE public.conversion_moves TO opsmantik_app;

GRANT SELECT ON TABLE public.counter_days TO opsmantik_app;

GRANT SELECT ON TABLE public.counter_journal TO opsmantik_app;

GRANT SELECT ON TABLE public.sites TO opsmantik_app;

GRANT SELECT ON TABLE public.counters TO opsmantik_app;

GRANT SELECT ON TABLE public.ingest_tally TO opsmantik_app;

GRANT SELECT ON TABLE public.ingest_counts TO opsmantik_app;

GRANT SELECT ON TABLE public.intent_actions TO opsmantik_app;

GRANT SELECT ON TABLE public.lead_rows TO opsmantik_app;

GRANT SELECT ON TABLE public.profiles TO opsmantik_app;

GRANT UPDATE(language) ON TABLE public.profiles TO opsmantik_app;

GRANT UPDATE(theme) ON TABLE public.profiles TO opsmantik_app;

GRANT SELECT ON TABLE public.rejected_events TO opsmantik_app;

GRANT SELECT ON TABLE public.replays TO opsmantik_app;

GRANT SELECT ON TABLE public.session_keys TO opsmantik_app;

GRANT SELECT(token_hash) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(user_id) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(last_seen_at) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(expires_at) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(user_agent) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT ON TABLE public.site_members TO opsmantik_app;

GRANT SELECT ON TABLE public.site_origins TO opsmantik_app;

GRANT SELECT ON TABLE public.site_pulse TO opsmantik_app;

GRANT SELECT ON TABLE public.site_state TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(email) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(name) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(disabled_at) ON TABLE public.users TO opsmantik_app;

GRANT SELECT ON TABLE public.visitors TO opsmantik_app;
