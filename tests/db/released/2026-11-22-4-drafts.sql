-- The database as it is: made by migrations and functions, written by `make schema`. Do not edit.

CREATE SCHEMA parts;

COMMENT ON SCHEMA parts IS 'Monthly partitions. Nothing in here is granted to anybody: rows are reached through their parents.';

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
	currency text
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
	intents integer
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

CREATE FUNCTION public.first_admin_link_open(p_link_hash bytea) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT NOT EXISTS (SELECT FROM users) AND EXISTS (SELECT FROM one_time_links
        WHERE token_hash = p_link_hash AND purpose = 'first_admin' AND used_at IS NULL AND expires_at > now())
$$;

CREATE FUNCTION public.has_users() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT EXISTS (SELECT FROM users) $$;

CREATE FUNCTION public.ingest_batch(p_sessions public.session_draft[], p_events public.event_draft[], p_intents public.intent_draft[], p_tally public.tally_draft[], p_rejected public.rejected_draft[], OUT duplicates integer[], OUT leads public.lead_facts[], OUT pulses public.pulse_fact[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    v_now timestamptz := now();
    v_this date := date_trunc('month', v_now AT TIME ZONE 'UTC')::date;
    v_month date;
    v_months date[];      -- of each session, by its place
    v_born boolean[];     -- whether this batch begins it
    v_timed boolean;      -- whether any event is told from its repeats by time
    v_repeats uuid[];     -- events whose body was seen a moment ago
    v_stored uuid[];      -- events that were new
    v_events integer[];   -- by session's place, where not all were new: how many were
    v_views integer[];
    v_conversions integer[];
    v_intents integer[];
    v_called uuid[];      -- sites that have a new intent
    v_count bigint;
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

        WITH born AS (
            INSERT INTO session_keys (site_id, id, created_month)
            SELECT d.site_id, d.id, coalesce(date_trunc('month', d.received_at AT TIME ZONE 'UTC')::date, v_this)
            FROM unnest(p_sessions) d
            ON CONFLICT DO NOTHING RETURNING 1)
        SELECT array_agg(coalesce(k.created_month, date_trunc('month', d.received_at AT TIME ZONE 'UTC')::date, v_this)
                         ORDER BY d.place),
               array_agg(k.id IS NULL ORDER BY d.place),
               count(*) FILTER (WHERE k.id IS NULL) - (SELECT count(*) FROM born)
        INTO v_months, v_born, v_count
        FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
        LEFT JOIN session_keys k ON k.site_id = d.site_id AND k.id = d.id;
        IF v_count > 0 THEN
            -- Somebody else began one of them while we waited for its key: look again, now that it is committed.
            SELECT array_agg(k.created_month ORDER BY d.place),
                   array_agg(k.xmin = pg_current_xact_id()::xid ORDER BY d.place)
            INTO v_months, v_born
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
                   array_agg(coalesce(c.conversions, 0) ORDER BY p.place)
            INTO v_events, v_views, v_conversions
            FROM generate_series(1, cardinality(p_sessions)) AS p (place)
            LEFT JOIN (
                SELECT e.session_place AS place, count(*) AS events,
                    count(*) FILTER (WHERE e.event_action = 'view') AS views,
                    count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions
                FROM unnest(p_events) e WHERE e.id = ANY (v_stored) GROUP BY 1) c USING (place);
            -- An event of one session sent again under another session's id begins no session.
            DELETE FROM session_keys k
            USING (SELECT x.site_id, x.id, x.pulse, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            WHERE k.site_id = d.site_id AND k.id = d.id AND v_born[d.place] AND v_events[d.place] = 0 AND NOT d.pulse;
        END IF;

        IF p_intents <> '{}' THEN
            WITH called AS (
                INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, phone_number,
                    matched_session_id, matched_session_month, matched_fingerprint, matched_at, event_id, intent_stamp,
                    intent_action, intent_target, intent_page_url, click_id, click_id_kind, currency)
                SELECT i.site_id, i.id, coalesce(i.received_at, v_now), i.occurred_at, coalesce(i.received_at, v_now),
                    i.source, i.phone_number, i.session_id, v_months[i.session_place], i.fingerprint,
                    coalesce(i.received_at, v_now), i.event_id, i.intent_stamp,
                    i.intent_action, i.intent_target, i.intent_page_url, i.click_id, i.click_id_kind, i.currency
                FROM unnest(p_intents) i WHERE v_events IS NULL OR i.event_id = ANY (v_stored)
                ON CONFLICT DO NOTHING RETURNING site_id, id)
            SELECT count(*), array_agg(DISTINCT c.site_id),
                CASE WHEN count(*) < cardinality(p_intents) THEN (
                    SELECT array_agg((SELECT count(*)::integer FROM unnest(p_intents) i JOIN called k ON k.id = i.id
                                      WHERE i.session_place = p.place) ORDER BY p.place)
                    FROM generate_series(1, cardinality(p_sessions)) AS p (place)) END
            INTO v_count, v_called, v_intents FROM called c;
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
                RETURNING s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count, s.total_duration_sec,
                s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count, s.form_focus_duration,
                s.previous_visit_count, s.has_click_id, s.is_paid
            )
            SELECT array_agg(s::lead_facts) INTO leads FROM made s WHERE s.intent_count > 0;
        END IF;

        -- One month at a time, so that each update opens one partition: this month's, now and then the last one's.
        FOR v_month IN SELECT DISTINCT m FROM unnest(v_months, v_born) AS x (m, b) WHERE NOT b ORDER BY 1 LOOP
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
                  AND v_months[d.place] = v_month AND NOT v_born[d.place]
                  AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
                RETURNING s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count, s.total_duration_sec,
                s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count, s.form_focus_duration,
                s.previous_visit_count, s.has_click_id, s.is_paid
            )
            SELECT array_agg(s::lead_facts) INTO v_leads FROM changed s WHERE s.intent_count > 0;
            leads := leads || v_leads;
        END LOOP;

        -- Now rather than at commit: the check is planned once that way, not each time.
        SET CONSTRAINTS session_keys_session_fkey IMMEDIATE;

        IF duplicates IS NOT NULL THEN
            INSERT INTO ingest_tally AS y (site_id, hour, outcome, n)
            SELECT e.site_id, date_trunc('hour', coalesce(e.received_at, v_now)), o.outcome, sum(o.n)
            FROM unnest(duplicates) AS x (place)
            CROSS JOIN LATERAL (SELECT (p_events[x.place]).site_id, (p_events[x.place]).received_at) e
            CROSS JOIN (VALUES ('duplicate', 1), ('stored', -1)) AS o (outcome, n)
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = y.n + excluded.n;
        END IF;

        WITH pulsed AS (
            INSERT INTO site_pulse AS y (site_id, sequence, changed_at, last_event_at, last_intent_at)
            SELECT d.site_id, 1, v_now, max(coalesce(d.received_at, v_now)),
                CASE WHEN d.site_id = ANY (v_called) THEN max(coalesce(d.received_at, v_now)) END
            FROM unnest(p_sessions) d GROUP BY d.site_id ORDER BY d.site_id
            ON CONFLICT (site_id) DO UPDATE SET
                sequence = y.sequence + 1, changed_at = v_now,
                last_event_at = greatest(y.last_event_at, excluded.last_event_at),
                last_intent_at = greatest(y.last_intent_at, excluded.last_intent_at)
            RETURNING y.site_id, y.sequence, coalesce(y.site_id = ANY (v_called), false) AS intents)
        SELECT array_agg(p::pulse_fact) INTO pulses FROM pulsed p;
    END IF;

    IF p_tally <> '{}' THEN
        INSERT INTO ingest_tally AS y (site_id, hour, outcome, n)
        SELECT t.site_id, date_trunc('hour', coalesce(t.received_at, v_now)), t.outcome, sum(t.n)
        FROM unnest(p_tally) t WHERE t.site_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = y.n + excluded.n;
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

CREATE FUNCTION public.make_month(p_month date) RETURNS text[]
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT made FROM attach_month(p_month) $$;

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

CREATE FUNCTION public.record_call(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text, p_window_minutes integer, p_repeat_seconds integer, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT sequence bigint, OUT facts public.lead_facts) RETURNS record
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
      AND (is_new OR s.id = record_call.session_id)
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
    INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, phone_number, currency,
        matched_fingerprint, matched_session_id, matched_session_month, matched_at, click_id, click_id_kind)
    VALUES (p_site, p_id, now(), now(), now(), 'api', p_number, p_currency, p_fingerprint,
        v_session.id, v_session.created_month, CASE WHEN v_session.id IS NOT NULL THEN now() END,
        coalesce(v_session.gclid, v_session.wbraid, v_session.gbraid),
        CASE WHEN v_session.gclid IS NOT NULL THEN 'gclid' WHEN v_session.wbraid IS NOT NULL THEN 'wbraid'
             WHEN v_session.gbraid IS NOT NULL THEN 'gbraid' END);
    INSERT INTO site_pulse AS y (site_id, sequence, changed_at, last_intent_at) VALUES (p_site, 1, now(), now())
    ON CONFLICT (site_id) DO UPDATE SET sequence = y.sequence + 1, changed_at = now(), last_intent_at = now()
    RETURNING y.sequence INTO record_call.sequence;
END
$$;

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

CREATE FUNCTION public.signed_in(p_token_hash bytea) RETURNS TABLE(user_id uuid, email text, name text, language text, theme text, is_admin boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT u.id, u.email, u.name, p.language, p.theme, coalesce(p.role = 'admin', false)
    FROM sign_ins s JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL LEFT JOIN profiles p ON p.id = u.id
    WHERE s.token_hash = p_token_hash AND s.expires_at > now()
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
    CONSTRAINT calls_click_id_kind_check CHECK ((click_id_kind = ANY (ARRAY['gclid'::text, 'wbraid'::text, 'gbraid'::text]))),
    CONSTRAINT calls_click_id_whole CHECK (((click_id IS NULL) = (click_id_kind IS NULL))),
    CONSTRAINT calls_click_invariants CHECK (((source <> 'click'::text) OR ((intent_action = ANY (ARRAY['phone'::text, 'whatsapp'::text])) AND (intent_action IS NOT NULL) AND (intent_target <> ''::text) AND (intent_target IS NOT NULL) AND (intent_stamp <> ''::text) AND (intent_stamp IS NOT NULL)))),
    CONSTRAINT calls_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT calls_estimated_value_check CHECK ((estimated_value >= (0)::numeric)),
    CONSTRAINT calls_intent_action_check CHECK ((intent_action = ANY (ARRAY['phone'::text, 'whatsapp'::text, 'form'::text]))),
    CONSTRAINT calls_intent_stamp_check CHECK ((length(intent_stamp) <= 128)),
    CONSTRAINT calls_lead_score_check CHECK (((lead_score >= 0) AND (lead_score <= 100))),
    CONSTRAINT calls_sale_amount_check CHECK ((sale_amount >= (0)::numeric)),
    CONSTRAINT calls_session_whole CHECK (((matched_session_id IS NULL) = (matched_session_month IS NULL))),
    CONSTRAINT calls_source_check CHECK ((source = ANY (ARRAY['click'::text, 'form'::text, 'api'::text, 'manual'::text]))),
    CONSTRAINT calls_status_check CHECK ((status = ANY (ARRAY['intent'::text, 'pending'::text, 'sealed'::text, 'junk'::text, 'suspicious'::text, 'conversion'::text])))
);

ALTER TABLE ONLY public.calls FORCE ROW LEVEL SECURITY;

CREATE TABLE public.ingest_tally (
    site_id uuid NOT NULL,
    hour timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    n bigint NOT NULL
);

ALTER TABLE ONLY public.ingest_tally FORCE ROW LEVEL SECURITY;

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
    payload bytea NOT NULL
);

ALTER TABLE ONLY public.rejected_events FORCE ROW LEVEL SECURITY;

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
    last_intent_at timestamp with time zone
)
WITH (fillfactor='50');

ALTER TABLE ONLY public.site_pulse FORCE ROW LEVEL SECURITY;

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
    CONSTRAINT sites_assumed_cpc_check CHECK ((assumed_cpc >= (0)::numeric)),
    CONSTRAINT sites_attribution_window_days_check CHECK (((attribution_window_days >= 1) AND (attribution_window_days <= 184))),
    CONSTRAINT sites_consent_mode_check CHECK ((consent_mode = ANY (ARRAY['required'::text, 'implied'::text, 'legacy'::text]))),
    CONSTRAINT sites_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT sites_domain_check CHECK (((length(domain) >= 1) AND (length(domain) <= 253))),
    CONSTRAINT sites_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT sites_public_id_check CHECK ((public_id ~ '^[0-9a-f]{32}$'::text)),
    CONSTRAINT sites_region_check CHECK ((region ~ '^[A-Z]{2}$'::text))
);

ALTER TABLE ONLY public.sites FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.sites.public_id IS 'The id in the snippet, 32 hex digits; the UUID spelling with hyphens means the same site.';

COMMENT ON COLUMN public.sites.region IS 'ISO 3166 region in which a number without a country code is read.';

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

ALTER TABLE ONLY public.ingest_tally
    ADD CONSTRAINT ingest_tally_pkey PRIMARY KEY (site_id, hour, outcome);

ALTER TABLE ONLY public.one_time_links
    ADD CONSTRAINT one_time_links_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rejected_events
    ADD CONSTRAINT rejected_events_pkey PRIMARY KEY (site_id, id);

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

CREATE INDEX events_session_idx ON ONLY public.events USING btree (site_id, session_id, created_at);

CREATE INDEX events_default_site_id_session_id_created_at_idx ON parts.events_default USING btree (site_id, session_id, created_at);

CREATE INDEX sessions_site_created_idx ON ONLY public.sessions USING btree (site_id, created_at);

CREATE INDEX sessions_default_site_id_created_at_idx ON parts.sessions_default USING btree (site_id, created_at);

CREATE INDEX sessions_site_fingerprint_idx ON ONLY public.sessions USING btree (site_id, fingerprint, created_at) WHERE (fingerprint IS NOT NULL);

CREATE INDEX sessions_default_site_id_fingerprint_created_at_idx ON parts.sessions_default USING btree (site_id, fingerprint, created_at) WHERE (fingerprint IS NOT NULL);

CREATE INDEX calls_confirmed_by_idx ON public.calls USING btree (confirmed_by) WHERE (confirmed_by IS NOT NULL);

CREATE INDEX calls_session_idx ON public.calls USING btree (site_id, matched_session_month, matched_session_id);

CREATE INDEX calls_site_created_idx ON public.calls USING btree (site_id, created_at DESC, id DESC);

CREATE INDEX calls_site_fingerprint_idx ON public.calls USING btree (site_id, matched_fingerprint) WHERE (matched_fingerprint IS NOT NULL);

CREATE INDEX calls_site_status_idx ON public.calls USING btree (site_id, status, created_at DESC);

CREATE INDEX rejected_events_site_received_idx ON public.rejected_events USING btree (site_id, received_at DESC);

CREATE INDEX sign_ins_user_id_idx ON public.sign_ins USING btree (user_id);

CREATE INDEX site_members_user_id_idx ON public.site_members USING btree (user_id);

CREATE INDEX sites_user_id_idx ON public.sites USING btree (user_id);

CREATE INDEX upkeep_runs_job_idx ON public.upkeep_runs USING btree (job, started_at DESC);

ALTER INDEX public.events_pkey ATTACH PARTITION parts.events_default_pkey;

ALTER INDEX public.events_session_idx ATTACH PARTITION parts.events_default_site_id_session_id_created_at_idx;

ALTER INDEX public.sessions_pkey ATTACH PARTITION parts.sessions_default_pkey;

ALTER INDEX public.sessions_site_created_idx ATTACH PARTITION parts.sessions_default_site_id_created_at_idx;

ALTER INDEX public.sessions_site_fingerprint_idx ATTACH PARTITION parts.sessions_default_site_id_fingerprint_created_at_idx;

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_confirmed_by_fkey FOREIGN KEY (confirmed_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_session_fkey FOREIGN KEY (site_id, matched_session_month, matched_session_id) REFERENCES public.session_keys(site_id, created_month, id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE public.events
    ADD CONSTRAINT events_session_fkey FOREIGN KEY (site_id, session_month, session_id) REFERENCES public.session_keys(site_id, created_month, id);

ALTER TABLE ONLY public.ingest_tally
    ADD CONSTRAINT ingest_tally_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_id_fkey FOREIGN KEY (id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rejected_events
    ADD CONSTRAINT rejected_events_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

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

CREATE POLICY by_owner_function ON public.events TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.ingest_tally TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.rejected_events TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.session_keys TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.sessions TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.site_pulse TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.visitors TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

ALTER TABLE public.calls ENABLE ROW LEVEL SECURITY;

CREATE POLICY calls_select_accessible ON public.calls FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.events ENABLE ROW LEVEL SECURITY;

CREATE POLICY events_select_accessible ON public.events FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.ingest_tally ENABLE ROW LEVEL SECURITY;

CREATE POLICY ingest_tally_select_accessible ON public.ingest_tally FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

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

REVOKE ALL ON FUNCTION public.administrators() FROM PUBLIC;
GRANT ALL ON FUNCTION public.administrators() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.attach_month(p_month date, OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.attach_partition(p_parent text, p_partition text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.attach_sessions(p_sessions text, p_month date, p_locked boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.copy_month(p_from text, p_to text, p_column text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.create_first_admin(p_link_hash bytea, p_id uuid, p_email text, p_name text, p_password_hash text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.create_first_admin(p_link_hash bytea, p_id uuid, p_email text, p_name text, p_password_hash text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.create_site(p_id uuid, p_public_id text, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_consent_mode text, p_origins text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.create_site(p_id uuid, p_public_id text, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_consent_mode text, p_origins text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.drain_default_month(p_month date, OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.dress_partition(p_partition text, p_column text, p_month date, p_upper boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.end_sign_in(p_token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_sign_in(p_token_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.enter_user(p_user uuid, OUT sites uuid[], OUT is_admin boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enter_user(p_user uuid, OUT sites uuid[], OUT is_admin boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.first_admin_link_open(p_link_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.first_admin_link_open(p_link_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.has_users() FROM PUBLIC;
GRANT ALL ON FUNCTION public.has_users() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ingest_batch(p_sessions public.session_draft[], p_events public.event_draft[], p_intents public.intent_draft[], p_tally public.tally_draft[], p_rejected public.rejected_draft[], OUT duplicates integer[], OUT leads public.lead_facts[], OUT pulses public.pulse_fact[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ingest_batch(p_sessions public.session_draft[], p_events public.event_draft[], p_intents public.intent_draft[], p_tally public.tally_draft[], p_rejected public.rejected_draft[], OUT duplicates integer[], OUT leads public.lead_facts[], OUT pulses public.pulse_fact[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ingest_sites() FROM PUBLIC;
GRANT ALL ON FUNCTION public.ingest_sites() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.leave_default(p_from text, p_to text, p_column text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_facts(p_move boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.make_month(p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.offer_first_admin(p_link_hash bytea, p_lifetime interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.record_call(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text, p_window_minutes integer, p_repeat_seconds integer, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT sequence bigint, OUT facts public.lead_facts) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_call(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text, p_window_minutes integer, p_repeat_seconds integer, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT sequence bigint, OUT facts public.lead_facts) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.score_call(p_site uuid, p_call uuid, p_score integer, p_breakdown jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.score_call(p_site uuid, p_call uuid, p_score integer, p_breakdown jsonb) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.score_leads(p_scores public.lead_score_draft[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.score_leads(p_scores public.lead_score_draft[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.signed_in(p_token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.signed_in(p_token_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.validate_keys() FROM PUBLIC;

GRANT SELECT ON TABLE public.events TO opsmantik_app;

GRANT SELECT ON TABLE public.sessions TO opsmantik_app;

GRANT SELECT ON TABLE public.calls TO opsmantik_app;

GRANT SELECT ON TABLE public.ingest_tally TO opsmantik_app;

GRANT SELECT ON TABLE public.profiles TO opsmantik_app;

GRANT UPDATE(language) ON TABLE public.profiles TO opsmantik_app;

GRANT UPDATE(theme) ON TABLE public.profiles TO opsmantik_app;

GRANT SELECT ON TABLE public.rejected_events TO opsmantik_app;

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

GRANT SELECT ON TABLE public.sites TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(email) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(name) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(disabled_at) ON TABLE public.users TO opsmantik_app;

GRANT SELECT ON TABLE public.visitors TO opsmantik_app;
