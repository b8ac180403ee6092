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

CREATE TYPE public.rejected_row_v2 AS (
	site_id uuid,
	id uuid,
	received_at timestamp with time zone,
	door text,
	reason text,
	detail text,
	payload bytea,
	origin text,
	user_agent text,
	ip_address text,
	sent_ms bigint,
	tracker text
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

CREATE FUNCTION public.accept_invite(p_hash bytea, p_act uuid, OUT outcome text, OUT site uuid) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
    v_invite invites;
BEGIN
    SET LOCAL app.maintenance = 'on';
    v_invite := lock_invite(p_hash);
    IF v_invite.id IS NULL THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    PERFORM FROM users u WHERE u.id = v_person AND u.email = v_invite.email AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        outcome := 'other';
        RETURN;
    END IF;
    outcome := take_invite(v_invite, v_person, p_act);
    site := CASE WHEN outcome IN ('joined', 'member') THEN v_invite.site_id END;
END
$$;

CREATE FUNCTION public.account_by_email(p_email text) RETURNS TABLE(id uuid, password_hash text, disabled boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT u.id, u.password_hash, u.disabled_at IS NOT NULL FROM users u WHERE u.email = lower(trim(p_email)) $$;

CREATE FUNCTION public.acting_person() RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_person IS NULL OR coalesce(current_setting('app.key_name', true), '') <> '' THEN
        RAISE EXCEPTION 'this is for somebody who is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

CREATE FUNCTION public.actor_name(p_site uuid, p_actor uuid) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF p_actor IS NULL OR site_role(p_site) IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM see_all_sites();
    RETURN (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = p_actor
        AND EXISTS (SELECT FROM intent_actions a WHERE a.site_id = p_site AND a.actor = p_actor));
END
$$;

CREATE FUNCTION public.add_erased(p_site uuid, p_erasure uuid, p_month date, p_counts jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_counts jsonb := (SELECT jsonb_object_agg(k, v) FROM jsonb_each(p_counts) AS c (k, v) WHERE v <> '0');
BEGIN
    UPDATE erasures e SET parts = e.parts || jsonb_build_object('month', p_month, 'counts', v_counts)
    WHERE e.site_id = p_site AND e.id = p_erasure AND v_counts IS NOT NULL;
END
$$;

CREATE FUNCTION public.add_origin(p_site uuid, p_act uuid, p_origin text, p_most integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM FROM sites s WHERE s.id = p_site FOR UPDATE;  -- so that two at once do not go past the limit
    IF EXISTS (SELECT FROM site_origins o WHERE o.site_id = p_site AND o.origin = p_origin) THEN
        RETURN false;
    END IF;
    IF (SELECT count(*) FROM site_origins o WHERE o.site_id = p_site) >= p_most THEN
        RAISE EXCEPTION 'the site has as many origins as it can' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO site_origins (site_id, origin) VALUES (p_site, p_origin);
    PERFORM note_act(p_site, p_act, 'origins.add', p_origin, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;

CREATE FUNCTION public.add_user(p_id uuid, p_email text, p_name text, p_is_admin boolean, p_note uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO users (id, email, name) VALUES (p_id, p_email, p_name) ON CONFLICT (email) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO profiles (id, role) VALUES (p_id, CASE WHEN p_is_admin THEN 'admin' ELSE 'user' END);
    PERFORM note_act(NULL, p_note, 'users.add', p_email, jsonb_build_object('admin', p_is_admin, 'by', 'command line'));
    RETURN true;
END
$$;

CREATE FUNCTION public.add_webhook(p_site uuid, p_id uuid, p_url text, p_events text[], p_phone boolean, p_click_id boolean, p_secret bytea, p_key_id text, p_most integer, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites t WHERE t.id = p_site FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM webhooks w WHERE w.site_id = p_site) >= p_most THEN
        RETURN false;
    END IF;
    INSERT INTO webhooks (site_id, id, url, events, with_phone, with_click_id, secret, key_id, created_by)
    VALUES (p_site, p_id, p_url, p_events, p_phone, p_click_id, p_secret, p_key_id,
        (SELECT u.id FROM users u WHERE u.id = nullif(current_setting('app.person', true), '')::uuid))
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'webhooks.add', webhook_host(p_url),
        jsonb_build_object('events', p_events, 'with_phone', p_phone, 'with_click_id', p_click_id));
    RETURN true;
END
$$;

CREATE FUNCTION public.administrators() RETURNS TABLE(id uuid, email text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT u.id, u.email FROM users u JOIN profiles p ON p.id = u.id
    WHERE p.role = 'admin' AND u.disabled_at IS NULL ORDER BY u.created_at, u.id
$$;

CREATE FUNCTION public.allow_bot(p_site uuid, p_act uuid, p_name text, p_allowed boolean) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_known text[];
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT s.allowed_bots INTO v_known FROM sites s WHERE s.id = p_site FOR UPDATE;
    IF (p_name = ANY (v_known)) = p_allowed THEN
        RETURN false;
    END IF;
    UPDATE sites s SET updated_at = now(),
        allowed_bots = CASE WHEN p_allowed THEN s.allowed_bots || p_name ELSE array_remove(s.allowed_bots, p_name) END
    WHERE s.id = p_site;
    PERFORM note_act(p_site, p_act, CASE WHEN p_allowed THEN 'bots.allow' ELSE 'bots.refuse' END, p_name, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;

CREATE FUNCTION public.allow_unsigned_calls(p_site uuid, p_allowed boolean, p_act uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM key_manager(p_site);
    UPDATE sites s SET unsigned_calls = p_allowed, updated_at = now() WHERE s.id = p_site AND s.unsigned_calls <> p_allowed;
    IF FOUND THEN
        PERFORM note_act(p_site, p_act,
            CASE WHEN p_allowed THEN 'call_secrets.allow_unsigned' ELSE 'call_secrets.refuse_unsigned' END, NULL, NULL);
        PERFORM pg_notify('opsmantik_sites', p_site::text);
    END IF;
END
$$;

CREATE FUNCTION public.announce_lead(p_site uuid, p_call uuid, p_is_suspicious boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM offer_webhooks(p_site, 'lead.created', p_call, NULL);
    IF p_is_suspicious OR NOT EXISTS (SELECT FROM notice_wishes n WHERE n.site_id = p_site AND n.pace <> 'off') THEN
        RETURN;
    END IF;
    -- The wishes first: the sender, about to find that nothing is left, waits until this is committed.
    PERFORM FROM notice_wishes n WHERE n.site_id = p_site AND n.pace <> 'off' ORDER BY n.user_id FOR NO KEY UPDATE;
    INSERT INTO lead_notices (site_id, user_id, call_id)
    SELECT n.site_id, n.user_id, p_call FROM notice_wishes n WHERE n.site_id = p_site AND n.pace <> 'off'
    ON CONFLICT DO NOTHING;
    UPDATE notice_wishes n SET next_at = now() WHERE n.site_id = p_site AND n.pace <> 'off' AND n.next_at IS NULL;
END
$$;

CREATE FUNCTION public.answer_batch(p_site uuid, p_batch uuid, p_state text, p_outcomes jsonb, p_rest text, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_outcomes jsonb := p_outcomes;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    PERFORM FROM conversion_batches b WHERE b.site_id = p_site AND b.id = p_batch AND b.state IN ('open', 'sent')
        AND b.adapter IN ('file', 'script') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Whoever has said no since was in no file that was fetched after that. Whether an earlier one was carried nobody knows here:
    -- it is taken back.
    IF p_state = 'done' AND EXISTS (SELECT FROM conversion_batches b WHERE b.site_id = p_site AND b.id = p_batch AND b.kind = 'new') THEN
        PERFORM withhold_items(p_site, p_batch);
    END IF;
    IF p_rest IS NOT NULL THEN
        v_outcomes := v_outcomes || coalesce((SELECT jsonb_agg(jsonb_build_object('position', i.position, 'outcome', p_rest))
            FROM conversion_batch_items i WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL
              AND NOT EXISTS (SELECT FROM jsonb_array_elements(p_outcomes) o WHERE (o ->> 'position')::integer = i.position)), '[]');
    END IF;
    IF p_state = 'done' AND EXISTS (SELECT FROM conversion_batch_items i WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(v_outcomes) o WHERE (o ->> 'position')::integer = i.position)) THEN
        -- An answer about some of them leaves the others where they are.
        PERFORM settle_batch(p_site, p_batch, 'open', NULL, NULL, NULL, v_outcomes);
    ELSE
        PERFORM settle_batch(p_site, p_batch, p_state, 0, NULL, NULL, v_outcomes);
    END IF;
    PERFORM note_act(p_site, p_act, 'conversions.answer', p_batch::text, jsonb_build_object('state', p_state));
    RETURN true;
END
$$;

CREATE FUNCTION public.answer_call(p_site uuid, p_signature bytea, p_answer jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE call_signatures s SET answer = p_answer
    WHERE s.site_id = p_site AND s.signature = p_signature AND s.answer IS NULL;
END
$$;

CREATE FUNCTION public.answer_ownership(p_site uuid, p_act uuid, p_accept boolean) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
    v_offer ownership_offers;
    v_before uuid;
    v_may boolean;
BEGIN
    SELECT s.user_id INTO v_before FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF site_role(p_site) IS NULL THEN
        RETURN 'gone';
    END IF;
    SET LOCAL app.maintenance = 'on';
    DELETE FROM ownership_offers o WHERE o.site_id = p_site AND o.offered_to = v_person RETURNING o.* INTO v_offer;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    IF NOT coalesce(p_accept, false) THEN
        PERFORM note_act(p_site, p_act, 'ownership.decline', (SELECT u.email FROM users u WHERE u.id = v_offer.offered_by), '{}');
        RETURN 'declined';
    END IF;
    SELECT v_offer.expires_at > now() AND v_before <> v_person
        AND EXISTS (SELECT FROM site_members m WHERE m.site_id = p_site AND m.user_id = v_person AND m.role = 'admin')
        AND EXISTS (SELECT FROM users u LEFT JOIN profiles p ON p.id = u.id
            WHERE u.id = v_offer.offered_by AND u.disabled_at IS NULL AND (u.id = v_before OR p.role = 'admin'))
    INTO v_may;
    IF NOT v_may THEN
        RETURN 'gone';
    END IF;
    UPDATE sites s SET user_id = v_person, updated_at = now() WHERE s.id = p_site;
    INSERT INTO site_members (site_id, user_id, role) VALUES (p_site, v_before, 'admin')
    ON CONFLICT (site_id, user_id) DO UPDATE SET role = 'admin';
    UPDATE site_members m SET role = 'owner' WHERE m.site_id = p_site AND m.user_id = v_person;
    PERFORM note_act(p_site, p_act, 'ownership.accept', (SELECT u.email FROM users u WHERE u.id = v_before), '{}');
    RETURN 'accepted';
END
$$;

CREATE FUNCTION public.ask_for_audit(p_act uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_began timestamptz;
    v_ended timestamptz;
BEGIN
    PERFORM platform_keeper();
    SELECT u.started_at, u.finished_at INTO v_began, v_ended FROM upkeep_runs u WHERE u.job = 'audit' ORDER BY u.started_at DESC LIMIT 1;
    IF v_began > now() - interval '1 hour' AND v_ended IS NULL THEN
        RETURN 'under_way';
    ELSIF v_began > now() - interval '5 minutes' THEN
        RETURN 'lately';
    END IF;
    INSERT INTO upkeep_wishes (job) VALUES ('audit') ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM note_act(NULL, p_act, 'audit.ask', NULL, '{}');
    END IF;
    RETURN 'asked';
END
$$;

CREATE FUNCTION public.ask_for_summary(p_site uuid, p_language text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_person IS NULL OR site_role(p_site) IS NULL THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO summary_wishes (site_id, user_id, language, asked_at) VALUES (p_site, v_person, p_language, now())
    ON CONFLICT (site_id, user_id) DO UPDATE SET asked_at = now()
        WHERE coalesce(summary_wishes.asked_at < now() - interval '1 minute', true);
    RETURN FOUND;
END
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

CREATE FUNCTION public.batch_contents(p_site uuid, p_batch uuid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
    SELECT jsonb_build_object(
        'site_id', b.site_id, 'id', b.id, 'kind', b.kind, 'adapter', b.adapter, 'destination', b.destination,
        'state', b.state, 'attempts', b.attempts, 'request_id', b.request_id, 'created_at', b.created_at,
        'site_name', t.name, 'public_id', t.public_id, 'time_zone', t.time_zone, 'with_hashes', r.with_hashes,
        'items', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'position', i.position, 'conversion_id', i.conversion_id, 'order_id', i.order_id, 'occurred_at', i.occurred_at,
                'value', i.value::text, 'currency', i.currency, 'click_id', v.click_id, 'click_id_kind', v.click_id_kind,
                'clicked_at', v.clicked_at, 'consent', v.consent, 'sent_at', v.sent_at, 'attempts', v.attempts, 'action', c.intent_action,
                'phone', CASE WHEN r.with_hashes AND v.consent = 'granted' AND c.source = 'api' THEN c.phone_number END)
                ORDER BY i.position), '[]')
            FROM conversion_batch_items i
            JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
            JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id
            WHERE i.site_id = b.site_id AND i.batch_id = b.id AND i.outcome IS NULL))
    FROM conversion_batches b JOIN sites t ON t.id = b.site_id LEFT JOIN conversion_routes r ON r.site_id = b.site_id
    WHERE b.site_id = p_site AND b.id = p_batch
$$;

CREATE FUNCTION public.batch_file(p_site uuid, p_batch uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    PERFORM see_all_sites();
    RETURN carried_contents(p_site, p_batch);
END
$$;

CREATE FUNCTION public.batch_rows(p_site uuid, p_batch uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    PERFORM see_all_sites();
    RETURN batch_contents(p_site, p_batch);
END
$$;

CREATE FUNCTION public.begin_archive(p_month date) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_sites uuid[];
    v_since timestamptz;
BEGIN
    IF EXISTS (SELECT FROM archived_months a WHERE a.month = p_month) THEN
        RETURN false;
    END IF;
    SELECT x.sites, x.since INTO v_sites, v_since FROM month_expiry(p_month) x;
    IF v_sites = '{}' OR v_since IS NULL THEN
        RETURN false;
    END IF;
    -- Erasures that are just beginning write themselves down first, or see this month.
    PERFORM pg_advisory_xact_lock(hashtextextended('opsmantik: archive', 0));
    INSERT INTO archived_months (month, sites) VALUES (p_month, v_sites) ON CONFLICT DO NOTHING;
    INSERT INTO archive_erasures (site_id, erasure_id, month)
    SELECT e.site_id, e.id, p_month FROM erasures e WHERE e.finished_at IS NULL AND e.site_id = ANY (v_sites)
    ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;

CREATE FUNCTION public.begin_attempt(p_keys bytea[], p_free integer[], p_longest double precision, p_forget interval) RETURNS double precision
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_allowed timestamptz;
BEGIN
    -- Whoever has to wait writes nothing: a flood of names makes no rows.
    SELECT max(a.allowed_at) INTO v_allowed FROM sign_in_attempts a WHERE a.key = ANY (p_keys);
    IF v_allowed > v_now THEN
        RETURN extract(epoch FROM v_allowed - v_now);
    END IF;
    -- Always in one order: two attempts that share keys wait for each other, and never in a circle.
    INSERT INTO sign_in_attempts (key, n, allowed_at) SELECT k, 0, v_now FROM unnest(p_keys) k ORDER BY k ON CONFLICT DO NOTHING;
    PERFORM FROM sign_in_attempts a WHERE a.key = ANY (p_keys) ORDER BY a.key FOR UPDATE;
    v_now := clock_timestamp();
    SELECT max(a.allowed_at) INTO v_allowed FROM sign_in_attempts a WHERE a.key = ANY (p_keys);
    IF v_allowed > v_now THEN
        RETURN extract(epoch FROM v_allowed - v_now);
    END IF;
    UPDATE sign_in_attempts a SET n = c.n,
        allowed_at = v_now + make_interval(secs => CASE WHEN c.n >= c.free THEN least(2.0 ^ least(c.n - c.free, 60), p_longest) ELSE 0 END)
    FROM (SELECT b.key, k.free, CASE WHEN b.allowed_at < v_now - p_forget THEN 1 ELSE b.n + 1 END AS n
        FROM unnest(p_keys, p_free) k (key, free) JOIN sign_in_attempts b ON b.key = k.key) c
    WHERE a.key = c.key;
    RETURN 0;
END
$$;

CREATE FUNCTION public.begin_erasure(p_site uuid, p_id uuid, p_kind text, p_hash bytea, p_taps boolean, p_subject bytea, p_key_id text, p_most integer) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := privacy_keeper(p_site);
    v_name text;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM note_privacy(p_site, p_id, 'privacy.erase', p_kind || ' ' || left(encode(p_hash, 'hex'), 12), p_most);
    SELECT a.actor_name INTO v_name FROM site_acts a WHERE a.site_id = p_site AND a.id = p_id;
    INSERT INTO erasures (site_id, id, requested_by, requested_name, kind, subject_hash, with_taps, subject, key_id)
    VALUES (p_site, p_id, v_person, v_name, p_kind, p_hash, p_taps, p_subject, p_key_id);
    PERFORM mind_archive(p_site, p_id);
    RETURN now();
END
$$;

CREATE FUNCTION public.begin_second_factor(p_id uuid, p_secret bytea, p_key_id text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    INSERT INTO second_factors (id, user_id, secret, key_id) VALUES (p_id, v_user, p_secret, p_key_id)
    ON CONFLICT (user_id) DO UPDATE SET id = excluded.id, secret = excluded.secret, key_id = excluded.key_id, last_step = 0,
        created_at = now()
    WHERE second_factors.confirmed_at IS NULL;
    RETURN FOUND;
END
$$;

CREATE FUNCTION public.by_tokens(p_site uuid, p_where text, p_at text, p_limit integer, OUT calls uuid[], OUT ats timestamp with time zone[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_indexscan TO 'off'
    SET enable_indexonlyscan TO 'off'
    SET work_mem TO '16MB'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    AS $$
BEGIN
    EXECUTE format('SELECT coalesce(array_agg(f.call_id), ''{}''), coalesce(array_agg(f.at), ''{}'') FROM ('
        'SELECT l.call_id, %s AS at FROM lead_search l WHERE l.site_id = %L AND %s ORDER BY %s DESC, l.call_id DESC LIMIT %s) f',
        p_at, p_site, p_where, p_at, p_limit) INTO calls, ats;
END
$$;

CREATE FUNCTION public.call_consent(p_site uuid, p_call uuid) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT k.consent FROM calls_consent(p_site, ARRAY[p_call]) k $$;

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
    call_direction text,
    call_outcome text,
    call_seconds integer,
    CONSTRAINT calls_call_direction_check CHECK ((call_direction = ANY (ARRAY['inbound'::text, 'outbound'::text]))),
    CONSTRAINT calls_call_outcome_check CHECK ((call_outcome = ANY (ARRAY['answered'::text, 'missed'::text, 'busy'::text, 'voicemail'::text, 'failed'::text]))),
    CONSTRAINT calls_call_seconds_check CHECK (((call_seconds >= 0) AND (call_seconds <= 86400))),
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

COMMENT ON COLUMN public.calls.call_outcome IS 'What the telephone system says became of the call; null where none reported it.';

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

CREATE FUNCTION public.calls_consent(p_site uuid, p_calls uuid[]) RETURNS TABLE(call_id uuid, consent text)
    LANGUAGE sql STABLE
    AS $$
    SELECT c.id, consent_basis(CASE WHEN later.marketing = false THEN false ELSE s.consent_marketing END, t.consent_mode)
    FROM calls c JOIN sites t ON t.id = c.site_id
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    LEFT JOIN LATERAL (
        SELECT x.consent_marketing AS marketing FROM sessions x
        WHERE x.site_id = p_site AND x.fingerprint = coalesce(s.fingerprint, c.matched_fingerprint)
          AND x.consent_key > coalesce(s.consent_key, 0)
        ORDER BY x.consent_key DESC LIMIT 1) later ON true
    WHERE c.site_id = p_site AND c.id = ANY (p_calls)
$$;

CREATE FUNCTION public.carried_contents(p_site uuid, p_batch uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
BEGIN
    RETURN (SELECT batch_contents(p_site, p_batch) || jsonb_build_object('size', b.size, 'digest', encode(b.digest, 'hex'),
        'time_zone', coalesce(b.destination ->> 'time_zone', t.time_zone),
        'items', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'position', i.position, 'conversion_id', i.conversion_id, 'order_id', i.order_id, 'occurred_at', i.occurred_at,
                'value', i.value::text, 'currency', i.currency, 'click_id', v.click_id, 'click_id_kind', v.click_id_kind,
                'consent', v.consent) ORDER BY i.position), '[]')
            FROM conversion_batch_items i
            JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
            WHERE i.site_id = b.site_id AND i.batch_id = b.id AND coalesce(i.outcome, '') <> 'withheld'
              AND (b.kind <> 'new' OR consent_allows(i.site_id, v.call_id))))
    FROM conversion_batches b JOIN sites t ON t.id = b.site_id
    WHERE b.site_id = p_site AND b.id = p_batch);
END
$$;

CREATE FUNCTION public.change_own_email(p_email text, p_note uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
    v_old text;
BEGIN
    SELECT u.email INTO v_old FROM users u WHERE u.id = v_user FOR NO KEY UPDATE;
    UPDATE users SET email = p_email, updated_at = now() WHERE id = v_user;
    -- What was sent to the old address is worth nothing any more.
    DELETE FROM one_time_links WHERE user_id = v_user;
    PERFORM note_act(NULL, p_note, 'account.email', p_email, jsonb_build_object('before', v_old));
    RETURN true;
EXCEPTION WHEN unique_violation THEN
    RETURN false;
END
$$;

CREATE FUNCTION public.change_own_name(p_name text, p_note uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    UPDATE users SET name = p_name, updated_at = now() WHERE id = v_user AND name <> p_name;
    IF FOUND THEN
        PERFORM note_act(NULL, p_note, 'account.name', NULL, '{}');
    END IF;
END
$$;

CREATE FUNCTION public.change_own_password(p_was text, p_hash text, p_old bytea, p_new bytea, p_note uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    UPDATE users SET password_hash = p_hash, updated_at = now() WHERE id = v_user AND password_hash = p_was;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM half_sign_ins WHERE user_id = v_user;
    DELETE FROM sign_ins WHERE user_id = v_user AND token_hash <> p_old;
    DELETE FROM one_time_links WHERE user_id = v_user AND purpose = 'password';
    PERFORM renew_sign_in(v_user, p_old, p_new, false);
    PERFORM note_act(NULL, p_note, 'account.password', NULL, '{}');
    RETURN true;
END
$$;

CREATE FUNCTION public.change_privacy(p_site uuid, p_act uuid, p_consent_mode text, p_keep_ip boolean, p_retention_months integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_old sites;
BEGIN
    PERFORM privacy_keeper(p_site);
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR UPDATE;
    UPDATE sites s SET consent_mode = p_consent_mode, keep_ip = p_keep_ip, retention_months = p_retention_months,
        ip_forgotten = CASE WHEN p_keep_ip THEN true WHEN s.keep_ip THEN false ELSE s.ip_forgotten END, updated_at = now()
    WHERE s.id = p_site;
    PERFORM note_act(p_site, p_act, 'privacy.change', NULL, (
        SELECT coalesce(jsonb_object_agg(x.name, jsonb_build_array(x.was, x.now)), '{}') FROM (VALUES
            ('consent_mode', to_jsonb(v_old.consent_mode), to_jsonb(p_consent_mode)),
            ('keep_ip', to_jsonb(v_old.keep_ip), to_jsonb(p_keep_ip)),
            ('retention_months', to_jsonb(v_old.retention_months), to_jsonb(p_retention_months))) AS x (name, was, now)
        WHERE x.was IS DISTINCT FROM x.now));
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;

CREATE FUNCTION public.change_site_clock(p_site uuid, p_time_zone text, p_currency text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM lock_counters(p_site);
    UPDATE sites SET time_zone = p_time_zone, currency = p_currency, updated_at = clock_timestamp() WHERE id = p_site;
    PERFORM rebuild_counters(p_site);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;

CREATE FUNCTION public.change_site_general(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_cpc numeric, p_window integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_old sites;
    v_before jsonb;
    v_after jsonb := jsonb_build_object('name', p_name, 'domain', p_domain, 'time_zone', p_time_zone, 'region', p_region,
        'currency', p_currency, 'assumed_cpc', trim_scale(p_cpc), 'attribution_window_days', p_window);
BEGIN
    PERFORM settings_keeper(p_site);
    PERFORM now() AT TIME ZONE p_time_zone;  -- an error for a zone that there is not
    -- Before the site's row, as retention does it: whoever takes both takes them in this order.
    IF EXISTS (SELECT FROM sites s WHERE s.id = p_site AND (s.time_zone, s.currency) <> (p_time_zone, p_currency)) THEN
        PERFORM lock_counters(p_site);
    END IF;
    -- Not FOR UPDATE: the counters may take a while, and events go on naming the site meanwhile.
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF v_old.updated_at <> p_seen THEN
        RETURN 'stale';
    END IF;
    v_before := jsonb_build_object('name', v_old.name, 'domain', v_old.domain, 'time_zone', v_old.time_zone,
        'region', v_old.region, 'currency', v_old.currency, 'assumed_cpc', trim_scale(v_old.assumed_cpc),
        'attribution_window_days', v_old.attribution_window_days);
    IF v_before = v_after THEN
        RETURN 'unchanged';
    END IF;
    UPDATE sites s SET name = p_name, domain = p_domain, region = p_region, assumed_cpc = p_cpc,
        attribution_window_days = p_window, updated_at = clock_timestamp()
    WHERE s.id = p_site;
    PERFORM note_settings(p_site, p_act, 'settings.general', v_before, v_after);
    IF (v_old.time_zone, v_old.currency) <> (p_time_zone, p_currency) THEN
        PERFORM change_site_clock(p_site, p_time_zone, p_currency);
    END IF;
    RETURN 'changed';
END
$$;

CREATE FUNCTION public.change_site_rules(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_approve_hours integer, p_junk_days integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_old sites;
    v_before jsonb;
    v_after jsonb := jsonb_build_object('auto_approve_hours', p_approve_hours, 'auto_junk_days', p_junk_days);
BEGIN
    PERFORM settings_keeper(p_site);
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF v_old.updated_at <> p_seen THEN
        RETURN 'stale';
    END IF;
    v_before := jsonb_build_object('auto_approve_hours', v_old.auto_approve_hours, 'auto_junk_days', v_old.auto_junk_days);
    IF v_before = v_after THEN
        RETURN 'unchanged';
    END IF;
    UPDATE sites s SET auto_approve_hours = p_approve_hours, auto_junk_days = p_junk_days, updated_at = clock_timestamp()
    WHERE s.id = p_site;
    PERFORM note_settings(p_site, p_act, 'settings.rules', v_before, v_after);
    RETURN 'changed';
END
$$;

CREATE FUNCTION public.change_site_values(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_chips jsonb, p_conversion_time text, p_undo_minutes integer) RETURNS text
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT change_site_values_v2(p_site, p_act, p_seen, p_chips, (SELECT s.config -> 'stage_weights' FROM sites s WHERE s.id = p_site),
        p_conversion_time, p_undo_minutes)
$$;

CREATE FUNCTION public.change_site_values_v2(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_chips jsonb, p_weights jsonb, p_conversion_time text, p_undo_minutes integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_old sites;
    v_before jsonb;
    v_after jsonb := jsonb_build_object('bounty_chips', p_chips, 'stage_weights', p_weights, 'conversion_time', p_conversion_time,
        'undo_minutes', p_undo_minutes);
BEGIN
    PERFORM settings_keeper(p_site);
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF v_old.updated_at <> p_seen THEN
        RETURN 'stale';
    END IF;
    v_before := jsonb_build_object('bounty_chips', v_old.config -> 'bounty_chips', 'stage_weights', v_old.config -> 'stage_weights',
        'conversion_time', v_old.conversion_time, 'undo_minutes', v_old.undo_minutes);
    IF v_before = v_after THEN
        RETURN 'unchanged';
    END IF;
    UPDATE sites s SET conversion_time = p_conversion_time, undo_minutes = p_undo_minutes, updated_at = clock_timestamp(),
        config = s.config - 'bounty_chips' - 'stage_weights'
            || CASE WHEN p_chips IS NULL THEN '{}' ELSE jsonb_build_object('bounty_chips', p_chips) END
            || CASE WHEN p_weights IS NULL THEN '{}' ELSE jsonb_build_object('stage_weights', p_weights) END
    WHERE s.id = p_site;
    PERFORM note_settings(p_site, p_act, 'settings.values', v_before, v_after);
    RETURN 'changed';
END
$$;

CREATE FUNCTION public.change_view(p_site uuid, p_id uuid, p_name text, p_shared boolean) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := view_keeper(p_site);
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE saved_views v SET name = p_name, is_shared = p_shared, updated_at = now()
    WHERE v.site_id = p_site AND v.id = p_id AND keeps_view(v, v_person);
    RETURN CASE WHEN FOUND THEN 'kept' ELSE 'none' END;
EXCEPTION WHEN unique_violation THEN
    RETURN 'taken';
END
$$;

CREATE FUNCTION public.change_webhook(p_site uuid, p_id uuid, p_url text, p_events text[], p_phone boolean, p_click_id boolean, p_is_on boolean, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_old webhooks;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    SELECT w.* INTO v_old FROM webhooks w WHERE w.site_id = p_site AND w.id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE webhooks w SET url = coalesce(p_url, w.url), events = coalesce(p_events, w.events),
        with_phone = coalesce(p_phone, w.with_phone), with_click_id = coalesce(p_click_id, w.with_click_id),
        off_reason = CASE WHEN p_is_on THEN NULL WHEN NOT p_is_on THEN coalesce(w.off_reason, 'paused') ELSE w.off_reason END,
        failing_since = CASE WHEN p_is_on THEN NULL ELSE w.failing_since END, updated_at = now()
    WHERE w.site_id = p_site AND w.id = p_id;
    PERFORM note_act(p_site, p_act, 'webhooks.change', webhook_host(coalesce(p_url, v_old.url)), jsonb_strip_nulls(jsonb_build_object(
        'moved_from', CASE WHEN p_url <> v_old.url THEN webhook_host(v_old.url) END, 'events', p_events, 'with_phone', p_phone,
        'with_click_id', p_click_id, 'is_on', p_is_on)));
    RETURN true;
END
$$;

CREATE FUNCTION public.claim_conversions(p_adapters jsonb, p_lease integer, p_batch uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_open text[];
    v_route conversion_routes;
    v_batch conversion_batches;
BEGIN
    SET LOCAL app.maintenance = 'on';
    v_open := ARRAY(SELECT a.key FROM jsonb_each(p_adapters) a WHERE is_provider_open(a.value ->> 'provider'));
    SELECT b.* INTO v_batch FROM conversion_routes r CROSS JOIN LATERAL (
        SELECT b.* FROM conversion_batches b
        WHERE b.site_id = r.site_id AND b.state IN ('open', 'sent') AND b.next_at <= now() AND b.adapter = ANY (v_open)
        ORDER BY b.next_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) b
    WHERE r.is_on AND r.trouble IS NULL AND r.not_before <= now() LIMIT 1;
    IF v_batch.id IS NOT NULL THEN
        UPDATE conversion_batches b SET attempts = b.attempts + 1, next_at = now() + make_interval(secs => p_lease)
        WHERE b.site_id = v_batch.site_id AND b.id = v_batch.id;
        IF v_batch.state = 'open' AND v_batch.kind = 'new' THEN
            PERFORM withhold_items(v_batch.site_id, v_batch.id);
        END IF;
        SELECT r.* INTO v_route FROM conversion_routes r WHERE r.site_id = v_batch.site_id;
    ELSE
        SELECT r.* INTO v_route FROM conversion_routes r
        WHERE r.is_on AND r.adapter = ANY (v_open) AND r.trouble IS NULL AND r.not_before <= now()
          AND EXISTS (SELECT FROM conversions v WHERE v.site_id = r.site_id AND v.next_at <= now() AND v.batch_id IS NULL
              AND (owed_step(v) = 'new' OR owed_step(v) IS NOT NULL AND v.sent_to ->> 'adapter' = r.adapter))
        ORDER BY r.claimed_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        UPDATE conversion_routes r SET claimed_at = clock_timestamp() WHERE r.site_id = v_route.site_id;
        IF fill_batch(v_route.site_id, p_batch, NULL, (p_adapters -> v_route.adapter ->> 'most')::integer, p_lease, NULL, NULL) = 0 THEN
            RETURN jsonb_build_object('items', '[]'::jsonb);
        END IF;
        v_batch.site_id := v_route.site_id;
        v_batch.id := p_batch;
    END IF;
    RETURN batch_contents(v_batch.site_id, v_batch.id) || jsonb_build_object('secret', encode(v_route.secret, 'base64'),
        'key_id', v_route.key_id, 'connected_by', v_route.connected_by);
END
$$;

CREATE FUNCTION public.claim_deliveries(p_limit integer, p_each integer, p_seconds integer, p_busy uuid[]) RETURNS TABLE(site_id uuid, id uuid, webhook_id uuid, event_id uuid, type text, payload jsonb, attempts integer, url text, secret bytea, next_secret bytea, key_id text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.site_id, o.id, w.url, w.secret, w.next_secret, w.key_id
        FROM webhooks w CROSS JOIN LATERAL (
            SELECT d.id, d.next_at FROM webhook_deliveries d
            WHERE d.site_id = w.site_id AND d.webhook_id = w.id AND d.state IN ('waiting', 'failed') AND d.next_at <= now()
            ORDER BY d.next_at LIMIT p_each FOR NO KEY UPDATE SKIP LOCKED) o
        WHERE w.off_reason IS NULL AND w.id <> ALL (p_busy)
        ORDER BY o.next_at LIMIT p_limit
    )
    UPDATE webhook_deliveries d SET attempts = d.attempts + 1, next_at = now() + make_interval(secs => p_seconds)
    FROM due WHERE d.site_id = due.site_id AND d.id = due.id
    RETURNING d.site_id, d.id, d.webhook_id, d.event_id, d.type, d.payload, d.attempts, due.url, due.secret, due.next_secret,
        due.key_id;
END
$$;

CREATE FUNCTION public.claim_notices(p_limit integer, p_seconds integer) RETURNS TABLE(site_id uuid, user_id uuid, pace text, quiet_from time without time zone, quiet_until time without time zone, failures integer, oldest timestamp with time zone, email text, language text, time_zone text, site_name text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    DELETE FROM notice_wishes w USING sites t, users u
    WHERE w.next_at <= now() AND t.id = w.site_id AND u.id = w.user_id AND (u.disabled_at IS NOT NULL OR NOT (
        t.user_id = u.id OR EXISTS (SELECT FROM site_members m WHERE m.site_id = w.site_id AND m.user_id = w.user_id)
        OR EXISTS (SELECT FROM profiles p WHERE p.id = w.user_id AND p.role = 'admin')));
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.site_id, w.user_id FROM notice_wishes w WHERE w.next_at <= now()
        ORDER BY w.next_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE notice_wishes w SET next_at = now() + make_interval(secs => p_seconds)
    FROM due, sites t, users u
    WHERE w.site_id = due.site_id AND w.user_id = due.user_id AND t.id = w.site_id AND u.id = w.user_id
    RETURNING w.site_id, w.user_id, w.pace, w.quiet_from, w.quiet_until, w.failures,
        (SELECT min(n.created_at) FROM lead_notices n
         WHERE n.site_id = w.site_id AND n.user_id = w.user_id AND n.sent_at IS NULL),
        u.email, w.language, t.time_zone, t.name;
END
$$;

CREATE FUNCTION public.claim_summaries(p_limit integer, p_seconds integer) RETURNS TABLE(site_id uuid, user_id uuid, pace text, at_hour smallint, language text, sent_for date, failures integer, taken_until timestamp with time zone, email text, time_zone text, site_name text, switched_off boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    DELETE FROM summary_wishes w USING sites t, users u
    WHERE w.next_at <= now() AND t.id = w.site_id AND u.id = w.user_id AND (u.disabled_at IS NOT NULL OR NOT (
        t.user_id = u.id OR EXISTS (SELECT FROM site_members m WHERE m.site_id = w.site_id AND m.user_id = w.user_id)
        OR EXISTS (SELECT FROM profiles p WHERE p.id = w.user_id AND p.role = 'admin')));
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.site_id, w.user_id FROM summary_wishes w WHERE w.next_at <= now()
        ORDER BY w.next_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE summary_wishes w SET next_at = now() + make_interval(secs => p_seconds)
    FROM due, sites t, users u
    WHERE w.site_id = due.site_id AND w.user_id = due.user_id AND t.id = w.site_id AND u.id = w.user_id
    RETURNING w.site_id, w.user_id, w.pace, w.at_hour, w.language, w.sent_for, w.failures, w.next_at, u.email, t.time_zone,
        t.name, t.disabled_at IS NOT NULL;
END
$$;

CREATE FUNCTION public.clear_leads(p_sites uuid[], p_calls uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_lead record;
BEGIN
    SET LOCAL app.maintenance = 'on';
    FOR v_lead IN
        WITH judged AS (
            UPDATE calls c SET suspicion = '{}' FROM unnest(p_sites, p_calls) AS d (site_id, id)
            WHERE c.site_id = d.site_id AND c.id = d.id AND c.suspicion IS NULL RETURNING c.site_id, c.id
        )
        SELECT j.site_id, j.id FROM judged j WHERE has_listeners(j.site_id) ORDER BY 1, 2
    LOOP
        PERFORM announce_lead(v_lead.site_id, v_lead.id, false);
    END LOOP;
END
$$;

CREATE FUNCTION public.confirm_second_factor(p_id uuid, p_step bigint, p_code_hashes bytea[], p_old bytea, p_new bytea, p_note uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    PERFORM FROM users u WHERE u.id = v_user FOR NO KEY UPDATE;  -- a sign-in at this moment is whole before, or half after
    UPDATE second_factors SET confirmed_at = now(), last_step = p_step
    WHERE id = p_id AND user_id = v_user AND confirmed_at IS NULL AND last_step < p_step;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM recovery_codes WHERE user_id = v_user;
    INSERT INTO recovery_codes (user_id, code_hash) SELECT v_user, h FROM unnest(p_code_hashes) h;
    PERFORM renew_sign_in(v_user, p_old, p_new, true);
    PERFORM note_act(NULL, p_note, 'account.second_factor_on', NULL, '{}');
    RETURN true;
END
$$;

CREATE FUNCTION public.confirm_sign_in(p_old bytea, p_new bytea, p_step bigint, p_code_hash bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
    v_has boolean := EXISTS (SELECT FROM second_factors f WHERE f.user_id = v_user AND f.confirmed_at IS NOT NULL);
BEGIN
    IF v_has AND NOT take_code(v_user, p_step, p_code_hash) THEN
        RETURN false;
    END IF;
    PERFORM renew_sign_in(v_user, p_old, p_new, v_has);
    RETURN true;
END
$$;

CREATE FUNCTION public.consent_allows(p_site uuid, p_call uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ SELECT call_consent(p_site, p_call) IN ('granted', 'implied', 'legacy') $$;

CREATE FUNCTION public.consent_basis(p_marketing boolean, p_mode text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN p_marketing THEN 'granted' WHEN p_marketing = false THEN 'denied'
    WHEN p_mode = 'required' THEN 'missing' ELSE p_mode END $$;

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
    consent text DEFAULT 'missing'::text NOT NULL,
    consent_at timestamp with time zone DEFAULT now() NOT NULL,
    clicked_at timestamp with time zone,
    next_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    detail text,
    batch_id uuid,
    sent_at timestamp with time zone,
    sent_to jsonb,
    platform_value numeric,
    platform_currency text,
    taken_back_at timestamp with time zone,
    CONSTRAINT conversions_click_id_kind_check CHECK ((click_id_kind = ANY (ARRAY['gclid'::text, 'wbraid'::text, 'gbraid'::text]))),
    CONSTRAINT conversions_click_id_whole CHECK (((click_id IS NULL) = (click_id_kind IS NULL))),
    CONSTRAINT conversions_consent_known CHECK ((consent = ANY (ARRAY['granted'::text, 'implied'::text, 'legacy'::text, 'denied'::text, 'missing'::text]))),
    CONSTRAINT conversions_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT conversions_detail_length CHECK ((length(detail) <= 500)),
    CONSTRAINT conversions_need_consent CHECK (((state <> ALL (ARRAY['queued'::text, 'sent'::text, 'accepted'::text, 'matched'::text])) OR ((consent = ANY (ARRAY['granted'::text, 'implied'::text, 'legacy'::text])) AND (consent_at >= due_at)))),
    CONSTRAINT conversions_order_id_check CHECK (((length(order_id) >= 1) AND (length(order_id) <= 64))),
    CONSTRAINT conversions_reason CHECK (((state <> ALL (ARRAY['failed'::text, 'skipped'::text])) OR (reason IS NOT NULL))),
    CONSTRAINT conversions_sent_whole CHECK (((sent_to IS NULL) = (sent_at IS NULL))),
    CONSTRAINT conversions_state_check CHECK ((state = ANY (ARRAY['held'::text, 'queued'::text, 'sent'::text, 'accepted'::text, 'matched'::text, 'failed'::text, 'retracted'::text, 'skipped'::text]))),
    CONSTRAINT conversions_value_check CHECK ((value >= (0)::numeric))
);

ALTER TABLE ONLY public.conversions FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.conversions.order_id IS 'The exactly-once key towards the platform: says nothing about any person.';

COMMENT ON COLUMN public.conversions.due_at IS 'Not before: the time in which a seal can be taken back unseen.';

COMMENT ON COLUMN public.conversions.consent IS 'Worked out by the database from the visit and the site (consent_basis), never told by a caller.';

COMMENT ON COLUMN public.conversions.consent_at IS 'When it was worked out. What goes out was asked about after the time for taking it back had ended.';

COMMENT ON COLUMN public.conversions.clicked_at IS 'When the click was made that it names; platforms take none that is older than 90 days.';

COMMENT ON COLUMN public.conversions.next_at IS 'When its next step is due (owed_step); null: there is none. While it is held, due_at says when that ends.';

COMMENT ON COLUMN public.conversions.attempts IS 'How often the platform refused it for now.';

COMMENT ON COLUMN public.conversions.detail IS 'The platform''s own words about its latest refusal.';

COMMENT ON COLUMN public.conversions.batch_id IS 'The batch that carries it at this moment.';

COMMENT ON COLUMN public.conversions.sent_to IS 'Adapter and destination to which it went, and where it is put right or taken back.';

COMMENT ON COLUMN public.conversions.platform_value IS 'What the platform is known, or has to be feared, to hold of it; null: nothing, or nobody here knows.';

COMMENT ON COLUMN public.conversions.taken_back_at IS 'When the platform confirmed that it was taken back there.';

CREATE FUNCTION public.conversion_entry(v public.conversions, c public.calls, s public.sessions, p_n integer) RETURNS public.counter_entry
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ROW('conversion', p_n, (c).created_at, coalesce((s).is_paid, false), (v).click_id IS NOT NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, (v).state, NULL, NULL, NULL, (v).value, (v).currency, NULL, NULL)::counter_entry $$;

CREATE FUNCTION public.conversion_keeper(p_site uuid) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker may not hand over this site''s conversions' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

CREATE FUNCTION public.conversion_secret(p_site uuid, OUT secret bytea, OUT key_id text, OUT connected_by uuid) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    PERFORM see_all_sites();
    SELECT r.secret, r.key_id, r.connected_by INTO conversion_secret.secret, conversion_secret.key_id, conversion_secret.connected_by
    FROM conversion_routes r WHERE r.site_id = p_site;
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

CREATE FUNCTION public.count_by_tokens(p_site uuid, p_where text, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_indexscan TO 'off'
    SET enable_indexonlyscan TO 'off'
    SET work_mem TO '16MB'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    AS $$
DECLARE
    v_n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT FROM lead_search l WHERE l.site_id = %L AND %s LIMIT %s) f', p_site, p_where, p_limit) INTO v_n;
    RETURN v_n;
END
$$;

CREATE FUNCTION public.count_leads(p_site uuid, p_wanted jsonb, p_decided boolean, p_zone text, p_from timestamp with time zone, p_to timestamp with time zone, p_most integer) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    AS $_$
DECLARE
    v_walk constant integer := 30000;
    v_at constant text := CASE WHEN p_decided THEN 'l.decided_at' ELSE 'l.created_at' END;
    v_unfolded uuid[];
    v_in text;
    v_not text := '';
    v_asked record;
    v_n bigint;
    v_fresh bigint := 0;
BEGIN
    PERFORM search_reader(p_site);
    v_unfolded := unfolded_leads(p_site);
    v_asked := search_conditions(p_site, p_wanted, v_at, p_zone, p_from);
    v_in := format('%1$s >= %2$L AND %1$s < %3$L', v_at, p_from, p_to);
    IF v_unfolded <> '{}' THEN
        v_not := format(' AND l.call_id <> ALL (%L::uuid[])', v_unfolded);
        EXECUTE format('SELECT count(*) FROM lead_search_rows(%L, %L::uuid[]) l WHERE %s', p_site, v_unfolded, v_in || ' AND ' || v_asked.conditions)
        INTO v_fresh;
    END IF;
    IF v_asked.tokens <> 'true' THEN
        EXECUTE format('SELECT count(*) FROM (SELECT FROM lead_search l WHERE l.site_id = %L AND %s LIMIT %s) f', p_site, v_in, v_walk + 1) INTO v_n;
    END IF;
    IF v_n > v_walk THEN
        v_n := count_by_tokens(p_site, v_in || ' AND ' || v_asked.tokens || ' AND ' || v_asked.conditions || v_not, p_most + 1);
    ELSE
        EXECUTE format('SELECT count(*) FROM (SELECT FROM lead_search l WHERE l.site_id = %L AND %s LIMIT %s) f', p_site,
            v_in || ' AND ' || v_asked.conditions || v_not, p_most + 1) INTO v_n;
    END IF;
    RETURN least(v_n + v_fresh, p_most + 1);
END
$_$;

CREATE FUNCTION public.counter_differences(p_site uuid, p_from date, p_to date) RETURNS TABLE(day date, dimension text, key text, is_paid boolean, measure text, counted numeric, recounted numeric)
    LANGUAGE sql STABLE
    AS $$
    WITH site AS (SELECT s.id, s.time_zone, s.currency, greatest(s.facts_since, p_from) AS first FROM sites s WHERE s.id = p_site),
    counted AS (
        SELECT c.day, c.dimension, c.key, c.is_paid, m.measure, sum(m.n) AS n
        FROM counters c CROSS JOIN LATERAL (VALUES ('sessions', c.sessions::numeric), ('click_sessions', c.click_sessions::numeric), ('visitors', c.visitors::numeric), ('events', c.events::numeric), ('conversions', c.conversions::numeric), ('forms', c.forms::numeric), ('leads', c.leads::numeric), ('click_leads', c.click_leads::numeric), ('sealed', c.sealed::numeric), ('junk', c.junk::numeric), ('amount', c.amount::numeric), ('scroll', c.scroll::numeric), ('scrolled', c.scrolled::numeric), ('seconds', c.seconds::numeric)) AS m (measure, n)
        WHERE c.site_id = p_site AND c.day BETWEEN coalesce((SELECT site.first FROM site), '-infinity') AND coalesce(p_to, 'infinity') AND m.n <> 0
        GROUP BY 1, 2, 3, 4, 5
    ), recounted AS (
        SELECT r.day, r.dimension, r.key, r.is_paid, m.measure, m.n
        FROM site CROSS JOIN LATERAL recount(site.id,
            coalesce(site.first::timestamp AT TIME ZONE 'UTC' - interval '2 days', '-infinity'),
            coalesce(p_to::timestamp AT TIME ZONE 'UTC' + interval '3 days', 'infinity'), site.time_zone, site.currency) r
        CROSS JOIN LATERAL (VALUES ('sessions', r.sessions::numeric), ('click_sessions', r.click_sessions::numeric), ('visitors', r.visitors::numeric), ('events', r.events::numeric), ('conversions', r.conversions::numeric), ('forms', r.forms::numeric), ('leads', r.leads::numeric), ('click_leads', r.click_leads::numeric), ('sealed', r.sealed::numeric), ('junk', r.junk::numeric), ('amount', r.amount::numeric), ('scroll', r.scroll::numeric), ('scrolled', r.scrolled::numeric), ('seconds', r.seconds::numeric)) AS m (measure, n)
        WHERE r.day BETWEEN coalesce(site.first, '-infinity') AND coalesce(p_to, 'infinity') AND m.n <> 0
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
    -- From here on the site is one of the asker's, also to the log.
    EXECUTE format('SET LOCAL app.sites = %L',
        coalesce(nullif(current_setting('app.sites', true), ''), '{}')::uuid[] || p_id);
    PERFORM note_act(p_id, gen_random_uuid(), 'site.create', p_name, jsonb_build_object('domain', p_domain));
    RETURN p_id;
END
$$;

CREATE FUNCTION public.credential_place(p_id uuid, p_provider text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_id uuid;
BEGIN
    PERFORM 1 FROM users u WHERE u.id = v_person AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nobody is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO user_credentials (id, user_id, provider) VALUES (p_id, v_person, p_provider)
    ON CONFLICT (user_id, provider) DO NOTHING;
    SELECT c.id INTO v_id FROM user_credentials c WHERE c.user_id = v_person AND c.provider = p_provider FOR NO KEY UPDATE;
    RETURN v_id;
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
    v_key text := nullif(current_setting('app.key_name', true), '');
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
    -- Decided in the second before the review has looked at it: nobody has been told yet that it is there.
    IF v_old.suspicion IS NULL THEN
        PERFORM offer_webhooks(p_site, 'lead.created', p_call, NULL);
    END IF;

    UPDATE calls c SET status = v_new.status, confirmed_at = v_new.confirmed_at, confirmed_by = v_new.confirmed_by,
        note = v_new.note, quality = v_new.quality, stage = v_new.stage, sale_at = v_new.sale_at,
        sale_amount = v_new.sale_amount, currency = v_new.currency, junk_reason = v_new.junk_reason,
        suspicion = v_new.suspicion, is_automatic = v_new.is_automatic, version = c.version + 1, updated_at = now()
    WHERE c.site_id = p_site AND c.id = p_call RETURNING c.version INTO decide_intent.version;

    INSERT INTO intent_actions (site_id, id, call_id, at, actor, actor_kind, action, from_status, to_status, version,
        before, note, undoes, key_name)
    VALUES (p_site, p_id, p_call, now(), v_person,
        CASE WHEN p_kind = 'person' AND v_key IS NOT NULL THEN 'key' ELSE p_kind END, p_action, v_old.status,
        v_new.status, decide_intent.version,
        -- As text, because 10.5 and 10.50 are equal and yet not the same.
        (SELECT coalesce(jsonb_object_agg(k, to_jsonb(v_old) -> k), '{}') FROM jsonb_object_keys(p_changes) k
         WHERE (to_jsonb(v_old) -> k)::text IS DISTINCT FROM (to_jsonb(v_new) -> k)::text),
        p_note, p_undoes, v_key);
    IF (v_old.status, v_old.stage, v_old.sale_amount, v_old.currency, v_old.sale_at)
        IS DISTINCT FROM (v_new.status, v_new.stage, v_new.sale_amount, v_new.currency, v_new.sale_at) THEN
        PERFORM offer_webhooks(p_site, 'lead.decided', p_call, jsonb_build_object('decision', jsonb_build_object(
            'action', p_action, 'by', CASE WHEN p_kind = 'person' AND v_key IS NOT NULL THEN 'key' ELSE p_kind END,
            'from_status', v_old.status, 'to_status', v_new.status)));
    END IF;
    PERFORM move_conversion(p_site, p_call, p_conversion);

    INSERT INTO counter_journal (site_id, entries, calls, changed_at)
    VALUES (p_site, v_entries || call_entries(p_site, ARRAY[p_call], 1), ARRAY[p_call], now());
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
    RETURN nullif(current_setting('app.person', true), '')::uuid;
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

CREATE FUNCTION public.drop_conversions(p_site uuid, p_ids uuid[], p_act uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_ids uuid[];
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_ids)));
    v_ids := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_ids) AND v.batch_id IS NULL
        AND v.state IN ('held', 'queued', 'failed') ORDER BY v.id FOR UPDATE);
    IF v_ids <> '{}' THEN
        PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', i, 'state', 'skipped', 'reason', 'dropped', 'move', 'dropped',
            'next_at', NULL)) FROM unnest(v_ids) i));
        PERFORM note_act(p_site, p_act, 'conversions.drop', NULL, jsonb_build_object('count', cardinality(v_ids)));
    END IF;
    RETURN cardinality(v_ids);
END
$$;

CREATE FUNCTION public.drop_credential(p_provider text, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM user_credentials c
    WHERE c.user_id = nullif(current_setting('app.person', true), '')::uuid AND c.provider = p_provider;
    IF FOUND THEN
        PERFORM note_act(NULL, p_act, 'credentials.forget', p_provider, '{}');
        RETURN true;
    END IF;
    RETURN false;
END
$$;

CREATE FUNCTION public.drop_month_of_events(p_month date) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_part text := to_char(p_month, '"events_"YYYY_MM');
    v_end timestamptz := (p_month + interval '1 month') AT TIME ZONE 'UTC';
    v_first timestamptz;
    v_looked timestamptz := clock_timestamp();
    v_sites uuid[];
BEGIN
    IF to_regclass(format('parts.%I', v_part)) IS NULL OR stays_for_archive(p_month) THEN
        RETURN false;
    END IF;
    -- One look into the index for each site: who has events in it.
    v_sites := ARRAY(SELECT s.id FROM sites s WHERE EXISTS (
        SELECT FROM events e WHERE e.site_id = s.id AND e.session_month = p_month));
    SELECT min(kept_since(s.retention_months)) INTO v_first FROM sites s WHERE s.id = ANY (v_sites);
    IF v_sites = '{}' THEN
        v_first := v_end;  -- empty, and so nobody's
    END IF;
    IF p_month >= date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months' OR v_first < v_end
        OR EXISTS (SELECT FROM sites s WHERE s.id = ANY (v_sites) AND s.retention_months IS NULL)
        OR EXISTS (SELECT FROM events e WHERE e.session_month = p_month AND e.created_at >= v_first + interval '7 days') THEN
        RETURN false;
    END IF;
    PERFORM forget_facts_before(s.id, kept_since(s.retention_months)) FROM sites s WHERE s.id = ANY (v_sites);
    PERFORM lock_month('events');
    IF EXISTS (SELECT FROM events e WHERE e.session_month = p_month AND e.created_at >= v_looked) THEN
        RAISE lock_not_available USING MESSAGE = 'an event came for a month that was about to go';
    END IF;
    EXECUTE format('DROP TABLE parts.%I', v_part);
    RETURN true;
END
$$;

CREATE FUNCTION public.drop_month_of_visits(p_month date) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    SET enable_material TO 'off'
    AS $$
DECLARE
    v_part text := to_char(p_month, '"sessions_"YYYY_MM');
BEGIN
    IF to_regclass(format('parts.%I', v_part)) IS NULL OR p_month >= date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months'
        OR stays_for_archive(p_month) OR to_regclass(format('parts.%I', to_char(p_month, '"events_"YYYY_MM'))) IS NOT NULL
        OR EXISTS (SELECT FROM sessions s WHERE s.created_month = p_month) THEN
        RETURN false;
    END IF;
    PERFORM lock_month('sessions');
    IF EXISTS (SELECT FROM sessions s WHERE s.created_month = p_month) THEN
        RETURN false;
    END IF;
    -- session_keys points at it, so it cannot be dropped as it hangs.
    EXECUTE format('ALTER TABLE sessions DETACH PARTITION parts.%I', v_part);
    EXECUTE format('DROP TABLE parts.%I', v_part);
    RETURN true;
END
$$;

CREATE FUNCTION public.drop_second_factor(p_step bigint, p_code_hash bytea, p_note uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    IF NOT take_code(v_user, p_step, p_code_hash) THEN
        RETURN false;
    END IF;
    DELETE FROM recovery_codes WHERE user_id = v_user;
    DELETE FROM half_sign_ins WHERE user_id = v_user;
    DELETE FROM second_factors WHERE user_id = v_user;
    PERFORM note_act(NULL, p_note, 'account.second_factor_off', NULL, '{}');
    RETURN true;
END
$$;

CREATE FUNCTION public.drop_visits(p_site uuid, p_erasure uuid, p_month date, p_sessions uuid[]) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_calls uuid[];
    v_counts jsonb;
    v_entries counter_entry[];
    v_more counter_entry[];
    v_sessions bigint;
    v_events bigint;
BEGIN
    PERFORM lock_counters(p_site);
    PERFORM FROM session_keys k WHERE k.site_id = p_site AND k.created_month = p_month AND k.id = ANY (p_sessions) ORDER BY k.id FOR UPDATE;
    PERFORM FROM sessions s WHERE s.site_id = p_site AND s.created_month = p_month AND s.id = ANY (p_sessions) ORDER BY s.id FOR UPDATE;
    v_calls := ARRAY(SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.matched_session_month = p_month AND c.matched_session_id = ANY (p_sessions));
    v_counts := erase_calls(p_site, p_erasure, v_calls);

    SELECT coalesce(array_agg(session_entry(s, -1)), '{}') INTO v_entries
    FROM sessions s WHERE s.site_id = p_site AND s.created_month = p_month AND s.id = ANY (p_sessions);
    -- By the quarter of an hour, as they are recounted: no zone's day begins within one.
    SELECT coalesce(array_agg(ROW('events', -x.n, x.at, x.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        -x.conversions, -x.forms, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry), '{}') INTO v_more
    FROM (
        SELECT s.is_paid, max(e.created_at) AS at, count(*) AS n, count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions,
            count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit') AS forms
        FROM events e JOIN sessions s ON s.site_id = e.site_id AND s.created_month = e.session_month AND s.id = e.session_id
        WHERE e.site_id = p_site AND e.session_month = p_month AND e.session_id = ANY (p_sessions)
        GROUP BY s.is_paid, date_bin('15 minutes', e.created_at, 'epoch')) x;

    DELETE FROM events e WHERE e.site_id = p_site AND e.session_month = p_month AND e.session_id = ANY (p_sessions);
    GET DIAGNOSTICS v_events = ROW_COUNT;
    DELETE FROM sessions s WHERE s.site_id = p_site AND s.created_month = p_month AND s.id = ANY (p_sessions);
    GET DIAGNOSTICS v_sessions = ROW_COUNT;
    DELETE FROM session_keys k WHERE k.site_id = p_site AND k.created_month = p_month AND k.id = ANY (p_sessions);
    IF v_sessions > 0 THEN
        INSERT INTO counter_journal (site_id, entries, changed_at) VALUES (p_site, v_entries || v_more, now());
    END IF;
    PERFORM fold_counters(p_site);
    RETURN v_counts || jsonb_build_object('sessions', v_sessions, 'session_keys', v_sessions, 'events', v_events);
END
$$;

CREATE FUNCTION public.email_link(p_link_hash bytea) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT l.email FROM one_time_links l
    WHERE l.token_hash = p_link_hash AND l.purpose = 'email' AND l.used_at IS NULL AND l.expires_at > now()
      AND l.user_id = nullif(current_setting('app.person', true), '')::uuid
$$;

CREATE FUNCTION public.end_archive_erasure(p_site uuid, p_erasure uuid, p_month date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM FROM erasures e WHERE e.site_id = p_site AND e.id = p_erasure FOR UPDATE;
    DELETE FROM archive_erasures a WHERE a.site_id = p_site AND a.erasure_id = p_erasure AND a.month = p_month;
    UPDATE erasures e SET subject = NULL, key_id = NULL
    WHERE e.site_id = p_site AND e.id = p_erasure AND e.finished_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM archive_erasures a WHERE a.site_id = p_site AND a.erasure_id = p_erasure);
END
$$;

CREATE FUNCTION public.end_notices(p_site uuid, p_user uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE notice_wishes w SET pace = 'off', next_at = NULL, updated_at = now() WHERE w.site_id = p_site AND w.user_id = p_user;
    DELETE FROM lead_notices n WHERE n.site_id = p_site AND n.user_id = p_user AND n.sent_at IS NULL;
END
$$;

CREATE FUNCTION public.end_own_sign_in(p_id uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM sign_ins WHERE id = p_id AND user_id = acting_person();
    RETURN FOUND;
END
$$;

CREATE FUNCTION public.end_own_sign_ins(p_note uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
    v_ended integer;
BEGIN
    DELETE FROM half_sign_ins WHERE user_id = v_user;
    DELETE FROM sign_ins WHERE user_id = v_user;
    GET DIAGNOSTICS v_ended = ROW_COUNT;
    PERFORM note_act(NULL, p_note, 'account.sign_out_everywhere', NULL, jsonb_build_object('ended', v_ended));
    RETURN v_ended;
END
$$;

CREATE FUNCTION public.end_sign_in(p_token_hash bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ DELETE FROM sign_ins WHERE token_hash = p_token_hash $$;

CREATE FUNCTION public.end_summaries(p_site uuid, p_user uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE summary_wishes w SET pace = 'off', next_at = NULL, updated_at = now() WHERE w.site_id = p_site AND w.user_id = p_user;
END
$$;

CREATE FUNCTION public.enter_key(p_site uuid, p_key uuid, p_roles text[], p_address text, OUT sites uuid[], OUT known uuid[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_role text;
    v_label text;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT key_role(k.scopes), key_label(k.name, k.last_four) INTO v_role, v_label FROM site_keys k
    WHERE k.site_id = p_site AND k.id = p_key AND is_live_key(k.expires_at, k.revoked_at);
    known := CASE WHEN v_role IS NULL THEN '{}' ELSE ARRAY[p_site] END;
    sites := CASE WHEN v_role = ANY (p_roles) THEN known ELSE '{}' END;
    SET LOCAL app.person = '';
    EXECUTE format('SET LOCAL app.key = %L', p_key);
    EXECUTE format('SET LOCAL app.key_name = %L', coalesce(v_label, 'gone'));
    EXECUTE format('SET LOCAL app.sites = %L', sites);
    EXECUTE format('SET LOCAL app.address = %L', coalesce(p_address, ''));
END
$$;

CREATE FUNCTION public.enter_person_key(p_user uuid, p_key uuid, p_roles text[], p_address text, OUT sites uuid[], OUT known uuid[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_key person_keys;
BEGIN
    SELECT k.* INTO v_key FROM person_keys k
    WHERE k.id = p_key AND k.user_id = p_user AND is_live_key(k.expires_at, k.revoked_at);
    -- Where the key is gone: as nobody, who sees nothing.
    SELECT e.sites, e.known INTO enter_person_key.sites, enter_person_key.known
    FROM enter_user_v2(coalesce(v_key.user_id, '00000000-0000-0000-0000-000000000000'), p_roles, v_key.only_site, p_address) e;
    EXECUTE format('SET LOCAL app.key_name = %L', coalesce(key_label(v_key.name, v_key.last_four), 'gone'));
END
$$;

CREATE FUNCTION public.enter_share_link(p_site uuid, p_share uuid, OUT sites uuid[], OUT known uuid[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT coalesce(array_agg(k.site_id), '{}') INTO enter_share_link.sites
    FROM share_links k JOIN sites s ON s.id = k.site_id AND s.disabled_at IS NULL
    WHERE k.site_id = p_site AND k.id = p_share AND coalesce(k.expires_at > now(), true);
    known := sites;
    SET LOCAL app.person = '';
    SET LOCAL app.key = '';
    SET LOCAL app.key_name = '';
    SET LOCAL app.address = '';
    EXECUTE format('SET LOCAL app.sites = %L', sites);
END
$$;

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

CREATE FUNCTION public.enter_user_v2(p_user uuid, p_roles text[], p_only uuid, p_address text, OUT sites uuid[], OUT known uuid[], OUT is_admin boolean) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_enabled boolean;
BEGIN
    SELECT u.disabled_at IS NULL, u.disabled_at IS NULL AND coalesce(p.role = 'admin', false) INTO v_enabled, is_admin
    FROM users u LEFT JOIN profiles p ON p.id = u.id WHERE u.id = p_user;
    is_admin := coalesce(is_admin, false);
    IF is_admin THEN
        SELECT coalesce(array_agg(s.id), '{}') INTO known FROM sites s WHERE p_only IS NULL OR s.id = p_only;
        sites := CASE WHEN 'platform_admin' = ANY (p_roles) THEN known ELSE '{}' END;
    ELSIF v_enabled THEN
        SELECT coalesce(array_agg(h.id), '{}'), coalesce(array_agg(h.id) FILTER (WHERE h.role = ANY (p_roles)), '{}')
        INTO known, sites
        FROM (
            SELECT s.id, 'owner' AS role FROM sites s WHERE s.user_id = p_user
            UNION ALL
            SELECT m.site_id, m.role FROM site_members m JOIN sites s ON s.id = m.site_id AND s.user_id <> p_user
            WHERE m.user_id = p_user) h
        WHERE p_only IS NULL OR h.id = p_only;
    ELSE
        sites := '{}';
        known := '{}';
    END IF;
    EXECUTE format('SET LOCAL app.person = %L', p_user);
    EXECUTE format('SET LOCAL app.sites = %L', sites);
    EXECUTE format('SET LOCAL app.address = %L', coalesce(p_address, ''));
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

CREATE FUNCTION public.erase_calls(p_site uuid, p_erasure uuid, p_calls uuid[]) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_calls uuid[];
    v_entries counter_entry[];
    v_moves bigint;
    v_items bigint;
    v_conversions bigint;
    v_actions bigint;
    v_deliveries bigint;
    v_notices bigint;
    v_found bigint;
    v_count bigint;
BEGIN
    v_calls := ARRAY(SELECT c.id FROM calls c WHERE c.site_id = p_site AND (c.id = ANY (p_calls) OR c.merged_into = ANY (p_calls)));
    PERFORM lock_leads(p_site, v_calls);
    PERFORM FROM calls c WHERE c.site_id = p_site AND c.id = ANY (v_calls) ORDER BY c.id FOR UPDATE;
    v_entries := call_entries(p_site, v_calls, -1);
    -- Those that the platform has, or had: it has to be asked there.
    UPDATE erasures e SET sent_orders = ARRAY(SELECT unnest(e.sent_orders) UNION SELECT v.order_id FROM conversions v
        WHERE v.site_id = p_site AND v.call_id = ANY (v_calls)
          AND (v.state IN ('sent', 'accepted', 'matched') OR v.platform_value IS NOT NULL OR v.reason LIKE '%\_after\_sending')
        ORDER BY 1)
    WHERE e.site_id = p_site AND e.id = p_erasure;
    DELETE FROM conversion_moves m USING conversions v
    WHERE v.site_id = p_site AND v.call_id = ANY (v_calls) AND m.site_id = v.site_id AND m.conversion_id = v.id;
    GET DIAGNOSTICS v_moves = ROW_COUNT;
    DELETE FROM conversion_batch_items i USING conversions v
    WHERE v.site_id = p_site AND v.call_id = ANY (v_calls) AND i.site_id = v.site_id AND i.conversion_id = v.id;
    GET DIAGNOSTICS v_items = ROW_COUNT;
    DELETE FROM conversions v WHERE v.site_id = p_site AND v.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_conversions = ROW_COUNT;
    DELETE FROM intent_actions a WHERE a.site_id = p_site AND a.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_actions = ROW_COUNT;
    DELETE FROM webhook_deliveries d WHERE d.site_id = p_site AND d.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_deliveries = ROW_COUNT;
    DELETE FROM lead_notices n WHERE n.site_id = p_site AND n.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_notices = ROW_COUNT;
    DELETE FROM lead_search l WHERE l.site_id = p_site AND l.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_found = ROW_COUNT;
    DELETE FROM calls c WHERE c.site_id = p_site AND c.id = ANY (v_calls);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_entries <> '{}' THEN
        INSERT INTO counter_journal (site_id, entries, changed_at) VALUES (p_site, v_entries, now());
    END IF;
    RETURN jsonb_build_object('calls', v_count, 'intent_actions', v_actions, 'conversions', v_conversions,
        'conversion_moves', v_moves, 'conversion_batch_items', v_items, 'webhook_deliveries', v_deliveries, 'lead_notices', v_notices, 'lead_search', v_found);
END
$$;

CREATE FUNCTION public.erase_rest(p_site uuid, p_erasure uuid, p_sessions uuid[], p_calls uuid[], p_visitors text[], p_rejected uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_counts jsonb;
    v_gone bigint;
    v_rejected bigint;
    v_replays bigint;
    v_answers bigint;
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM open_erasure(p_site, p_erasure);
    PERFORM lock_counters(p_site);
    v_counts := erase_calls(p_site, p_erasure, p_calls);
    v_gone := settle_visitors(p_site, p_visitors);
    DELETE FROM replays r WHERE r.site_id = p_site AND r.rejected_id = ANY (p_rejected);
    GET DIAGNOSTICS v_replays = ROW_COUNT;
    DELETE FROM rejected_events r WHERE r.site_id = p_site AND r.id = ANY (p_rejected);
    GET DIAGNOSTICS v_rejected = ROW_COUNT;
    -- The signature stays, so that the same report cannot come in again; what it was answered goes.
    UPDATE call_signatures g SET answer = '{"status": "erased"}' WHERE g.site_id = p_site
      AND (g.answer ->> 'call_id' = ANY (p_calls::text[]) OR g.answer ->> 'session_id' = ANY (p_sessions::text[]));
    GET DIAGNOSTICS v_answers = ROW_COUNT;
    PERFORM fold_counters(p_site);
    PERFORM add_erased(p_site, p_erasure, NULL, v_counts || jsonb_build_object('visitors', v_gone, 'rejected_events', v_rejected,
        'replays', v_replays, 'call_signatures', v_answers));
END
$$;

CREATE FUNCTION public.erase_visits(p_site uuid, p_erasure uuid, p_month date, p_sessions uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM open_erasure(p_site, p_erasure);
    PERFORM add_erased(p_site, p_erasure, p_month, drop_visits(p_site, p_erasure, p_month, p_sessions));
END
$$;

CREATE TABLE public.erasures (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    requested_by uuid,
    requested_name text NOT NULL,
    kind text NOT NULL,
    subject_hash bytea NOT NULL,
    with_taps boolean DEFAULT false NOT NULL,
    subject bytea,
    key_id text,
    parts jsonb DEFAULT '[]'::jsonb NOT NULL,
    sent_orders text[] DEFAULT '{}'::text[] NOT NULL,
    finished_at timestamp with time zone,
    certificate bytea,
    CONSTRAINT erasures_finished CHECK (((finished_at IS NULL) = (certificate IS NULL))),
    CONSTRAINT erasures_kind_check CHECK ((kind = ANY (ARRAY['phone'::text, 'email'::text, 'visitor'::text, 'session'::text]))),
    CONSTRAINT erasures_sealed CHECK (((subject IS NULL) = (key_id IS NULL))),
    CONSTRAINT erasures_subject_hash_check CHECK ((length(subject_hash) = 32))
);

ALTER TABLE ONLY public.erasures FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.erasures.parts IS 'What each transaction took away: [{"month": "2026-11-01" or null, "counts": {table: rows}}].';

COMMENT ON COLUMN public.erasures.sent_orders IS 'Order ids of erased conversions that an ad platform has: there they have to be asked for.';

COMMENT ON COLUMN public.erasures.certificate IS 'Signed JSON, byte for byte as it was signed.';

CREATE FUNCTION public.erasure_row(p_site uuid, p_id uuid) RETURNS public.erasures
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_row erasures;
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    SELECT e.* INTO v_row FROM erasures e WHERE e.site_id = p_site AND e.id = p_id FOR UPDATE;
    RETURN v_row;
END
$$;

CREATE FUNCTION public.expire_calls(p_site uuid, p_before timestamp with time zone, p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_calls uuid[];
BEGIN
    PERFORM forget_facts_before(p_site, p_before);
    PERFORM lock_counters(p_site);  -- so that no fold puts back what is taken away here
    v_calls := ARRAY(
        SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.created_at < p_before AND c.merged_into IS NULL
          AND coalesce(c.confirmed_at, c.created_at) < p_before + interval '7 days'
          AND NOT EXISTS (SELECT FROM conversions v WHERE v.site_id = p_site AND v.call_id = c.id AND needs_call(v))
        ORDER BY c.created_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    v_calls := v_calls || ARRAY(SELECT c.id FROM calls c WHERE c.site_id = p_site AND c.merged_into = ANY (v_calls));
    DELETE FROM conversion_moves m USING conversions v
    WHERE v.site_id = p_site AND v.call_id = ANY (v_calls) AND m.site_id = v.site_id AND m.conversion_id = v.id;
    DELETE FROM conversions v WHERE v.site_id = p_site AND v.call_id = ANY (v_calls);
    DELETE FROM intent_actions a WHERE a.site_id = p_site AND a.call_id = ANY (v_calls);
    DELETE FROM lead_search l WHERE l.site_id = p_site AND l.call_id = ANY (v_calls);
    DELETE FROM calls c WHERE c.site_id = p_site AND c.id = ANY (v_calls);
    RETURN cardinality(v_calls);
END
$$;

CREATE FUNCTION public.expire_rejected(p_site uuid, p_before timestamp with time zone, p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_ids uuid[];
BEGIN
    v_ids := ARRAY(SELECT r.id FROM rejected_events r WHERE r.site_id = p_site AND r.received_at < p_before
        ORDER BY r.received_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    DELETE FROM rejected_events r WHERE r.site_id = p_site AND r.id = ANY (v_ids);
    DELETE FROM replays r WHERE r.site_id = p_site AND r.at < p_before;
    RETURN cardinality(v_ids);
END
$$;

CREATE FUNCTION public.expire_visitors(p_site uuid, p_before timestamp with time zone, p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_ids text[];
BEGIN
    v_ids := ARRAY(SELECT v.id FROM visitors v WHERE v.site_id = p_site AND v.last_seen_at < p_before LIMIT p_limit FOR UPDATE SKIP LOCKED);
    DELETE FROM visitors v WHERE v.site_id = p_site AND v.id = ANY (v_ids);
    RETURN cardinality(v_ids);
END
$$;

CREATE FUNCTION public.expire_visits(p_site uuid, p_month date, p_before timestamp with time zone, p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_sessions uuid[];
BEGIN
    PERFORM forget_facts_before(p_site, p_before);
    v_sessions := ARRAY(
        SELECT k.id FROM session_keys k WHERE k.site_id = p_site AND k.created_month = p_month AND is_over(p_site, p_month, k.id, p_before)
        ORDER BY k.id LIMIT p_limit FOR UPDATE SKIP LOCKED);
    -- Asked again now that nothing can be added to them.
    v_sessions := ARRAY(SELECT k.id FROM unnest(v_sessions) AS k (id) WHERE is_over(p_site, p_month, k.id, p_before));
    DELETE FROM events e WHERE e.site_id = p_site AND e.session_month = p_month AND e.session_id = ANY (v_sessions);
    DELETE FROM sessions s WHERE s.site_id = p_site AND s.created_month = p_month AND s.id = ANY (v_sessions);
    DELETE FROM session_keys k WHERE k.site_id = p_site AND k.created_month = p_month AND k.id = ANY (v_sessions);
    RETURN cardinality(v_sessions);
END
$$;

CREATE FUNCTION public.export_conversions(p_site uuid, p_batch uuid, p_kind text, p_most integer, p_lease integer, p_act uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_count integer;
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    -- What a worker sends is carried by nobody else.
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site AND r.adapter IN ('file', 'script') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    v_count := fill_batch(p_site, p_batch, p_kind, p_most, p_lease, (SELECT u.id FROM users u WHERE u.id = v_person),
        (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = v_person UNION ALL
         SELECT nullif(current_setting('app.key_name', true), '') WHERE v_person IS NULL LIMIT 1));
    IF v_count > 0 THEN
        PERFORM note_act(p_site, p_act, 'conversions.export', p_batch::text, jsonb_build_object('size', v_count));
    END IF;
    RETURN v_count;
END
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
      -- Of days whose rows have gone only whole ones are known: a part of such a day is nothing, not what happens to be left.
      AND (s.facts_since IS NULL OR e.edge_from >= s.facts_since::timestamp AT TIME ZONE s.time_zone)
$$;

CREATE FUNCTION public.fill_batch(p_site uuid, p_batch uuid, p_kind text, p_most integer, p_lease integer, p_by uuid, p_by_name text) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_route conversion_routes;
    v_to jsonb;
    v_first record;
    v_ids uuid[];
BEGIN
    SELECT r.* INTO v_route FROM conversion_routes r WHERE r.site_id = p_site;
    SELECT owed_step(v) AS kind, v.sent_to INTO v_first FROM conversions v
    WHERE v.site_id = p_site AND v.next_at <= now() AND v.batch_id IS NULL
      AND (owed_step(v) = 'new' OR owed_step(v) IS NOT NULL AND v.sent_to ->> 'adapter' = v_route.adapter)
      AND (p_kind IS NULL OR owed_step(v) = p_kind)
    ORDER BY v.next_at LIMIT 1;
    IF v_first.kind IS NULL OR NOT coalesce(v_route.is_on, false) THEN
        RETURN 0;
    END IF;
    v_to := CASE WHEN v_first.kind = 'new' THEN jsonb_build_object('adapter', v_route.adapter, 'destination', v_route.destination)
        ELSE v_first.sent_to END;
    v_ids := ARRAY(SELECT v.id FROM conversions v
        WHERE v.site_id = p_site AND v.next_at <= now() AND v.batch_id IS NULL AND owed_step(v) = v_first.kind
          AND (v_first.kind = 'new' OR v.sent_to = v_to)
        ORDER BY v.next_at, v.id LIMIT p_most);
    IF v_first.kind = 'new' THEN
        v_ids := ready_conversions(p_site, v_ids);
    ELSE
        PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids)));
        PERFORM FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids) ORDER BY v.id FOR UPDATE;
    END IF;
    -- Somebody may have decided otherwise before the locks were ours.
    v_ids := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids) AND v.batch_id IS NULL
        AND v.next_at <= now() AND owed_step(v) = v_first.kind AND (v_first.kind = 'new' OR v.sent_to = v_to));
    IF v_ids = '{}' THEN
        RETURN 0;
    END IF;
    INSERT INTO conversion_batches (site_id, id, kind, adapter, destination, size, attempts, next_at, created_by, created_name)
    VALUES (p_site, p_batch, v_first.kind, v_to ->> 'adapter', (v_to -> 'destination')
        -- A file tells times by the site's clock, and must come out the same when that has been set to another zone.
        || CASE WHEN v_to ->> 'adapter' IN ('file', 'script')
            THEN jsonb_build_object('time_zone', (SELECT t.time_zone FROM sites t WHERE t.id = p_site)) ELSE '{}' END, cardinality(v_ids), 1,
        now() + make_interval(secs => p_lease), p_by, p_by_name);
    INSERT INTO conversion_batch_items (site_id, batch_id, position, conversion_id, order_id, occurred_at, value, currency)
    SELECT p_site, p_batch, row_number() OVER (ORDER BY v.occurred_at, v.id), v.id, v.order_id, v.occurred_at,
        CASE v_first.kind WHEN 'retract' THEN 0 ELSE v.value END,
        CASE v_first.kind WHEN 'retract' THEN v.platform_currency ELSE v.currency END
    FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids);
    PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', v.id, 'batch_id', p_batch, 'next_at', NULL)
        || CASE v_first.kind WHEN 'new' THEN jsonb_build_object('state', 'sent', 'move', NULL, 'sent_at', now(), 'sent_to', v_to,
            -- What had failed says no longer why, but again what its value is.
            'detail', NULL, 'reason', CASE WHEN c.sale_amount IS NULL THEN 'stage_weight' END) ELSE '{}' END)
        FROM conversions v JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id WHERE v.site_id = p_site AND v.id = ANY (v_ids)));
    RETURN cardinality(v_ids);
END
$$;

CREATE FUNCTION public.find_archived(p_site uuid, p_kind text, p_value text, p_pattern text, p_taps boolean, p_sessions uuid[], p_visitors text[], OUT sessions uuid[], OUT visitors text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_sessions uuid[] := p_sessions;
    v_visitors text[] := p_visitors;
    v_count integer := -1;
BEGIN
    IF p_kind = 'session' THEN
        v_sessions := v_sessions || p_value::uuid;
    ELSIF p_kind = 'visitor' THEN
        v_visitors := v_visitors || p_value;
    ELSE
        v_sessions := ARRAY(
            SELECT unnest(v_sessions) UNION
            SELECT e.session_id FROM pg_temp.archived_events e
            WHERE e.site_id = p_site AND concat_ws(' ', e.url, e.metadata::text, CASE WHEN p_taps
                OR e.event_action !~* '^(phone|call|tel|whatsapp|wa)' AND e.event_label !~* '^(tel:|callto:|whatsapp:|(https?:)?//[^/]*(wa\.me|whatsapp\.))'
                THEN e.event_label END) ~* p_pattern
            UNION
            SELECT s.id FROM pg_temp.archived_sessions s
            WHERE s.site_id = p_site AND concat_ws(' ', s.entry_page, s.exit_page, s.referrer, s.utm_source, s.utm_medium,
                s.utm_campaign, s.utm_term, s.utm_content, s.ads_placement, s.last_touch::text, s.attribution::text) ~* p_pattern);
    END IF;
    WHILE p_kind <> 'session' AND v_count < cardinality(v_sessions) + cardinality(v_visitors) LOOP
        v_count := cardinality(v_sessions) + cardinality(v_visitors);
        v_visitors := ARRAY(SELECT unnest(v_visitors) UNION SELECT s.fingerprint FROM pg_temp.archived_sessions s
            WHERE s.site_id = p_site AND s.id = ANY (v_sessions) AND s.fingerprint <> '');
        v_sessions := ARRAY(SELECT unnest(v_sessions) UNION SELECT s.id FROM pg_temp.archived_sessions s
            WHERE s.site_id = p_site AND s.fingerprint = ANY (v_visitors));
    END LOOP;
    sessions := ARRAY(SELECT s.id FROM pg_temp.archived_sessions s WHERE s.site_id = p_site AND s.id = ANY (v_sessions) UNION
        SELECT e.session_id FROM pg_temp.archived_events e WHERE e.site_id = p_site AND e.session_id = ANY (v_sessions));
    visitors := v_visitors;
END
$$;

CREATE FUNCTION public.find_person(p_site uuid, p_kind text, p_value text, p_pattern text, p_taps boolean, OUT sessions uuid[], OUT months date[], OUT calls uuid[], OUT visitors text[], OUT rejected uuid[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    v_sessions uuid[] := '{}';
    v_months date[];
    v_calls uuid[] := '{}';
    v_visitors text[] := '{}';
    v_needles text[];
    v_count integer := -1;
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    IF p_kind = 'session' THEN
        v_sessions := ARRAY[p_value::uuid];
    ELSIF p_kind = 'visitor' THEN
        v_visitors := ARRAY[p_value];
    ELSE
        v_calls := ARRAY(
            SELECT c.id FROM calls c
            WHERE c.site_id = p_site AND (
                c.phone_number = p_value AND (p_taps OR c.source <> 'click')
                OR concat_ws(' ', c.note, c.junk_reason, c.intent_page_url,
                    CASE WHEN p_taps OR c.source <> 'click' THEN c.intent_target END) ~* p_pattern)
            UNION
            SELECT a.call_id FROM intent_actions a
            WHERE a.site_id = p_site AND concat_ws(' ', a.note, a.before::text) ~* p_pattern);
        v_sessions := ARRAY(
            SELECT e.session_id FROM events e
            WHERE e.site_id = p_site AND concat_ws(' ', e.url, e.metadata::text, CASE WHEN p_taps
                OR e.event_action !~* '^(phone|call|tel|whatsapp|wa)' AND e.event_label !~* '^(tel:|callto:|whatsapp:|(https?:)?//[^/]*(wa\.me|whatsapp\.))'
                THEN e.event_label END) ~* p_pattern
            UNION
            SELECT s.id FROM sessions s
            WHERE s.site_id = p_site AND concat_ws(' ', s.entry_page, s.exit_page, s.referrer, s.utm_source, s.utm_medium,
                s.utm_campaign, s.utm_term, s.utm_content, s.ads_placement, s.last_touch::text, s.attribution::text) ~* p_pattern);
    END IF;

    WHILE v_count < cardinality(v_sessions) + cardinality(v_calls) + cardinality(v_visitors) LOOP
        v_count := cardinality(v_sessions) + cardinality(v_calls) + cardinality(v_visitors);
        v_sessions := ARRAY(
            SELECT unnest(v_sessions) UNION
            SELECT c.matched_session_id FROM calls c
            WHERE c.site_id = p_site AND c.id = ANY (v_calls) AND c.matched_session_id IS NOT NULL);
        IF p_kind <> 'session' THEN
            v_visitors := ARRAY(
                SELECT unnest(v_visitors) UNION
                SELECT s.fingerprint FROM session_keys k JOIN sessions s
                    ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
                WHERE k.site_id = p_site AND k.id = ANY (v_sessions) AND s.fingerprint <> '' UNION
                SELECT c.matched_fingerprint FROM calls c
                WHERE c.site_id = p_site AND c.id = ANY (v_calls) AND c.matched_fingerprint <> '');
            v_sessions := ARRAY(
                SELECT unnest(v_sessions) UNION
                SELECT s.id FROM sessions s WHERE s.site_id = p_site AND s.fingerprint = ANY (v_visitors));
            v_calls := ARRAY(
                SELECT unnest(v_calls) UNION
                SELECT c.id FROM calls c WHERE c.site_id = p_site AND c.matched_fingerprint = ANY (v_visitors));
        END IF;
        v_calls := ARRAY(
            SELECT unnest(v_calls) UNION
            SELECT c.id FROM session_keys k JOIN calls c ON c.site_id = k.site_id
                AND c.matched_session_month = k.created_month AND c.matched_session_id = k.id
            WHERE k.site_id = p_site AND k.id = ANY (v_sessions) UNION
            SELECT c.id FROM calls c WHERE c.site_id = p_site AND c.merged_into = ANY (v_calls));
    END LOOP;

    -- What was refused is told by the names in it: of visits, of the visitor, of their ad clicks.
    v_needles := ARRAY(
        SELECT unnest(v_sessions)::text UNION SELECT replace(unnest(v_sessions)::text, '-', '') UNION
        SELECT '"' || unnest(v_visitors) || '"' UNION
        SELECT x.id FROM session_keys k JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
            CROSS JOIN LATERAL unnest(ARRAY[s.gclid, s.wbraid, s.gbraid]) AS x (id)
        WHERE k.site_id = p_site AND k.id = ANY (v_sessions) AND length(x.id) >= 10);
    rejected := ARRAY(
        SELECT r.id FROM rejected_events r
        CROSS JOIN LATERAL (SELECT encode(r.payload, 'escape') || ' ' || concat_ws(' ', r.detail, r.last_replay_error) OFFSET 0) AS t (words)
        WHERE r.site_id = p_site AND (t.words ~* p_pattern
            OR EXISTS (SELECT FROM unnest(v_needles) n WHERE position(n IN t.words) > 0)));

    SELECT coalesce(array_agg(k.id ORDER BY k.created_month, k.id), '{}'), coalesce(array_agg(k.created_month ORDER BY k.created_month, k.id), '{}')
    INTO sessions, months FROM session_keys k WHERE k.site_id = p_site AND k.id = ANY (v_sessions);
    calls := ARRAY(SELECT c.id FROM calls c WHERE c.site_id = p_site AND c.id = ANY (v_calls) ORDER BY c.id);
    visitors := ARRAY(
        SELECT v.id FROM visitors v WHERE v.site_id = p_site AND (v.id = ANY (v_visitors) OR v.id IN (
            SELECT s.fingerprint FROM session_keys k JOIN sessions s
                ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
            WHERE k.site_id = p_site AND k.id = ANY (v_sessions))) ORDER BY v.id);
END
$$;

CREATE FUNCTION public.finish_conversions(p_site uuid, p_batch uuid, p_attempts integer, p_state text, p_seconds double precision, p_request_id text, p_error text, p_outcomes jsonb, p_trouble text, p_pause double precision) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    -- First, and only where it changes: whoever gathers the site's next batch holds it meanwhile.
    IF p_trouble IS NOT NULL OR p_pause IS NOT NULL THEN
        PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    END IF;
    PERFORM FROM conversion_batches b
    WHERE b.site_id = p_site AND b.id = p_batch AND b.attempts = p_attempts AND b.state IN ('open', 'sent') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM settle_batch(p_site, p_batch, p_state, p_seconds, p_request_id, p_error, p_outcomes);
    UPDATE conversion_routes r SET trouble = coalesce(left(p_trouble, 300), r.trouble),
        trouble_at = CASE WHEN p_trouble IS NULL THEN r.trouble_at ELSE now() END,
        not_before = CASE WHEN p_pause IS NULL THEN r.not_before ELSE now() + make_interval(secs => p_pause) END
    WHERE r.site_id = p_site AND (p_trouble IS NOT NULL OR p_pause IS NOT NULL);
    RETURN true;
END
$$;

CREATE FUNCTION public.finish_delivery(p_site uuid, p_id uuid, p_attempts integer, p_state text, p_seconds double precision, p_try jsonb, p_response text, p_gone boolean, p_failing_days integer, p_act uuid) RETURNS TABLE(off_reason text, host text, site_name text, email text, language text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_webhook webhooks;
    v_off text;
BEGIN
    SET LOCAL app.maintenance = 'on';
    -- The webhook first, as whoever removes one locks it.
    SELECT w.* INTO v_webhook FROM webhooks w JOIN webhook_deliveries d ON d.site_id = w.site_id AND d.webhook_id = w.id
    WHERE w.site_id = p_site AND d.site_id = p_site AND d.id = p_id FOR NO KEY UPDATE OF w;
    UPDATE webhook_deliveries d SET state = p_state, next_at = now() + make_interval(secs => p_seconds),
        tries = CASE WHEN jsonb_array_length(d.tries) >= 20 THEN d.tries - 0 ELSE d.tries END || jsonb_build_array(p_try),
        response = left(p_response, 1024), delivered_at = CASE WHEN p_state = 'delivered' THEN now() END
    WHERE d.site_id = p_site AND d.id = p_id AND d.attempts = p_attempts AND d.state IN ('waiting', 'failed');
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF p_state = 'delivered' THEN
        UPDATE webhooks w SET failing_since = NULL
        WHERE w.site_id = p_site AND w.id = v_webhook.id AND w.failing_since IS NOT NULL;
        RETURN;
    END IF;
    v_off := CASE WHEN v_webhook.off_reason IS NOT NULL THEN NULL WHEN p_gone THEN 'gone'
        WHEN v_webhook.failing_since < now() - make_interval(days => p_failing_days) THEN 'failing' END;
    UPDATE webhooks w SET failing_since = coalesce(w.failing_since, now()), off_reason = coalesce(w.off_reason, v_off)
    WHERE w.site_id = p_site AND w.id = v_webhook.id;
    IF v_off IS NULL THEN
        RETURN;
    END IF;
    -- Nobody is signed in here, so note_act would refuse; upkeep is who did it.
    INSERT INTO site_acts (site_id, id, actor_name, action, subject, detail)
    VALUES (p_site, p_act, 'upkeep', 'webhooks.switch_off', webhook_host(v_webhook.url), jsonb_build_object('reason', v_off));
    RETURN QUERY
    SELECT v_off, webhook_host(v_webhook.url), t.name, u.email, coalesce(p.language, 'en')
    FROM sites t
    JOIN users u ON u.disabled_at IS NULL AND (u.id = t.user_id
        OR EXISTS (SELECT FROM site_members m WHERE m.site_id = p_site AND m.user_id = u.id AND m.role = 'admin'))
    LEFT JOIN profiles p ON p.id = u.id
    WHERE t.id = p_site;
END
$$;

CREATE FUNCTION public.finish_erasure(p_site uuid, p_id uuid, p_certificate bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM open_erasure(p_site, p_id);
    UPDATE erasures e SET finished_at = now(), certificate = p_certificate,
        subject = CASE WHEN w.waits THEN e.subject END, key_id = CASE WHEN w.waits THEN e.key_id END
    FROM (SELECT EXISTS (SELECT FROM archive_erasures a WHERE a.site_id = p_site AND a.erasure_id = p_id) AS waits) w
    WHERE e.site_id = p_site AND e.id = p_id;
END
$$;

CREATE FUNCTION public.finish_notices(p_site uuid, p_user uuid, p_calls uuid[], p_failed boolean, p_seconds double precision) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    -- The wish first, as whoever announces a lead locks it.
    PERFORM FROM notice_wishes w WHERE w.site_id = p_site AND w.user_id = p_user FOR NO KEY UPDATE;
    IF p_failed AND p_seconds IS NULL THEN
        DELETE FROM lead_notices n WHERE n.site_id = p_site AND n.user_id = p_user AND n.sent_at IS NULL;
    END IF;
    UPDATE lead_notices n SET sent_at = now()
    WHERE n.site_id = p_site AND n.user_id = p_user AND n.call_id = ANY (p_calls) AND n.sent_at IS NULL;
    UPDATE notice_wishes w SET failures = CASE WHEN p_failed AND p_seconds IS NOT NULL THEN w.failures + 1 ELSE 0 END,
        next_at = CASE WHEN EXISTS (SELECT FROM lead_notices n
            WHERE n.site_id = p_site AND n.user_id = p_user AND n.sent_at IS NULL) AND w.pace <> 'off'
            THEN now() + make_interval(secs => coalesce(p_seconds, 0)) END
    WHERE w.site_id = p_site AND w.user_id = p_user;
END
$$;

CREATE FUNCTION public.finish_summary(p_site uuid, p_user uuid, p_taken_until timestamp with time zone, p_sent_for date, p_failed boolean, p_next_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE summary_wishes w SET sent_for = greatest(w.sent_for, p_sent_for),
        failures = CASE WHEN p_failed THEN w.failures + 1 ELSE 0 END,
        next_at = CASE WHEN w.next_at = p_taken_until THEN p_next_at ELSE w.next_at END
    WHERE w.site_id = p_site AND w.user_id = p_user;
END
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
    v_calls uuid[];
BEGIN
    SET LOCAL app.maintenance = 'on';
    IF NOT pg_try_advisory_xact_lock(hashtextextended('opsmantik: counters ' || p_site, 0)) THEN
        RETURN -1;
    END IF;
    SELECT s.time_zone, s.currency INTO v_zone, v_currency FROM sites s WHERE s.id = p_site;
    -- One statement, so one snapshot: what is taken from the journal is what the visitors are counted against.
    WITH taken AS (
        DELETE FROM counter_journal j WHERE j.site_id = p_site
        RETURNING j.entries, j.tally, j.calls, j.changed_at, j.last_event_at, j.last_intent_at
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
        INSERT INTO site_pulse AS y (site_id, sequence, changed_at, last_event_at, last_intent_at, counted_at, leads_gathered_at)
        SELECT p_site, count(*), max(t.changed_at), max(t.last_event_at), max(t.last_intent_at), now(), now()
        FROM taken t HAVING count(*) > 0
        ON CONFLICT (site_id) DO UPDATE SET
            sequence = y.sequence + excluded.sequence, changed_at = greatest(y.changed_at, excluded.changed_at),
            last_event_at = greatest(y.last_event_at, excluded.last_event_at),
            last_intent_at = greatest(y.last_intent_at, excluded.last_intent_at)
    )
    SELECT count(*), (SELECT array_agg(DISTINCT c.id) FROM taken x CROSS JOIN LATERAL unnest(x.calls) AS c (id))
    INTO v_count, v_calls FROM taken;
    IF v_calls IS NOT NULL THEN
        PERFORM fold_leads(p_site, v_calls);
    END IF;
    RETURN v_count;
END
$$;

CREATE FUNCTION public.fold_leads(p_site uuid, p_calls uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM lead_search l WHERE l.site_id = p_site AND l.call_id = ANY (p_calls)
      AND NOT EXISTS (SELECT FROM calls c WHERE c.site_id = p_site AND c.id = l.call_id AND c.merged_into IS NULL);
    INSERT INTO lead_search AS l (site_id, call_id, created_at, decided_at, status, action, captured_by, is_paid, has_click_id, source,
        channel, campaign, keyword, matchtype, place, device, page, words)
    SELECT r.site_id, r.call_id, r.created_at, r.decided_at, r.status, r.action, r.captured_by, r.is_paid, r.has_click_id, r.source,
        r.channel, r.campaign, r.keyword, r.matchtype, r.place, r.device, r.page, r.words
    FROM lead_search_rows(p_site, p_calls) r
    ON CONFLICT (site_id, call_id) DO UPDATE SET created_at = excluded.created_at, decided_at = excluded.decided_at,
        status = excluded.status, action = excluded.action, captured_by = excluded.captured_by, is_paid = excluded.is_paid,
        has_click_id = excluded.has_click_id, source = excluded.source, channel = excluded.channel, campaign = excluded.campaign,
        keyword = excluded.keyword, matchtype = excluded.matchtype, place = excluded.place, device = excluded.device,
        page = excluded.page, words = excluded.words
    WHERE l IS DISTINCT FROM excluded;
END
$$;

CREATE FUNCTION public.forget_addresses(p_site uuid, p_limit integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_count integer;
    v_more integer;
BEGIN
    UPDATE sessions s SET ip_address = NULL
    FROM (SELECT x.created_month, x.id FROM sessions x WHERE x.site_id = p_site AND x.ip_address IS NOT NULL
        ORDER BY x.created_month, x.id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) o
    WHERE s.site_id = p_site AND s.created_month = o.created_month AND s.id = o.id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    UPDATE rejected_events r SET ip_address = NULL
    WHERE r.site_id = p_site AND r.id IN (SELECT x.id FROM rejected_events x WHERE x.site_id = p_site AND x.ip_address IS NOT NULL LIMIT p_limit);
    GET DIAGNOSTICS v_more = ROW_COUNT;
    IF v_count + v_more = 0 THEN
        UPDATE sites s SET ip_forgotten = true WHERE s.id = p_site AND NOT s.keep_ip AND NOT EXISTS (
            SELECT FROM sessions x WHERE x.site_id = p_site AND x.ip_address IS NOT NULL);
    END IF;
    RETURN v_count + v_more;
END
$$;

CREATE FUNCTION public.forget_archive(p_month date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    UPDATE archived_months a SET forgotten_at = now(), files = NULL WHERE a.month = p_month;
    PERFORM end_archive_erasure(e.site_id, e.erasure_id, e.month)
    FROM (SELECT * FROM archive_erasures x WHERE x.month = p_month) e;
END
$$;

CREATE FUNCTION public.forget_facts_before(p_site uuid, p_before timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_since date := ((p_before + interval '7 days') AT TIME ZONE 'UTC')::date + 2;
BEGIN
    IF EXISTS (SELECT FROM sites s WHERE s.id = p_site AND s.facts_since >= v_since) THEN
        RETURN;
    END IF;
    PERFORM lock_counters(p_site);
    UPDATE sites s SET facts_since = greatest(s.facts_since, v_since) WHERE s.id = p_site;
END
$$;

CREATE FUNCTION public.forgive_attempt(p_keys bytea[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM FROM sign_in_attempts a WHERE a.key = ANY (p_keys) ORDER BY a.key FOR UPDATE;
    DELETE FROM sign_in_attempts a WHERE a.key = p_keys[1];
    UPDATE sign_in_attempts a SET n = greatest(a.n - 1, 0), allowed_at = least(a.allowed_at, clock_timestamp())
    WHERE a.key = ANY (p_keys[2:]);
END
$$;

CREATE FUNCTION public.gather_leads(p_site uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_calls uuid[];
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_counters(p_site);
    v_calls := ARRAY(
        SELECT coalesce(l.call_id, r.call_id)
        FROM (SELECT x.* FROM lead_search x WHERE x.site_id = p_site) l FULL JOIN lead_search_rows(p_site, NULL) r ON r.call_id = l.call_id
        WHERE (l.site_id, l.call_id, l.created_at, l.decided_at, l.status, l.action, l.captured_by, l.is_paid, l.has_click_id,
            l.source, l.channel, l.campaign, l.keyword, l.matchtype, l.place, l.device, l.page, l.words)
          IS DISTINCT FROM (r.site_id, r.call_id, r.created_at, r.decided_at, r.status, r.action, r.captured_by, r.is_paid, r.has_click_id,
            r.source, r.channel, r.campaign, r.keyword, r.matchtype, r.place, r.device, r.page, r.words));
    PERFORM fold_leads(p_site, v_calls);
    UPDATE site_pulse p SET leads_gathered_at = now() WHERE p.site_id = p_site AND p.leads_gathered_at IS NULL;
    RETURN cardinality(v_calls);
END
$$;

CREATE FUNCTION public.gather_pull(p_site uuid, p_most integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_route conversion_routes;
    v_kind text;
    v_count integer := 0;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT r.* INTO v_route FROM conversion_routes r WHERE r.site_id = p_site AND r.adapter = 'file' AND r.is_on
        AND r.destination ? 'pull' FOR NO KEY UPDATE;
    -- Five minutes early is in time: the job comes round every few minutes, and should not fall behind by as much each day.
    IF NOT FOUND OR EXISTS (SELECT FROM conversion_batches b
        WHERE b.site_id = p_site AND b.adapter = 'file' AND b.created_name IS NULL
          AND b.created_at > now() + interval '5 minutes' - CASE v_route.destination ->> 'pull' WHEN 'hourly' THEN interval '1 hour' ELSE interval '1 day' END) THEN
        RETURN 0;
    END IF;
    FOREACH v_kind IN ARRAY ARRAY['new', 'restate', 'retract'] LOOP
        v_count := v_count + fill_batch(p_site, gen_random_uuid(), v_kind, p_most, NULL, NULL, NULL);
    END LOOP;
    RETURN v_count;
END
$$;

CREATE FUNCTION public.grantable_role(p_role text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(p_role, '') NOT IN ('admin', 'operator', 'analyst') THEN
        RAISE EXCEPTION 'nobody is given this role' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN p_role;
END
$$;

CREATE FUNCTION public.half_sign_in(p_half_hash bytea) RETURNS TABLE(user_id uuid, email text, id uuid, secret bytea, key_id text, last_step bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT f.user_id, u.email, f.id, f.secret, f.key_id, f.last_step
    FROM half_sign_ins h JOIN users u ON u.id = h.user_id AND u.disabled_at IS NULL JOIN second_factors f ON f.user_id = h.user_id
    WHERE h.token_hash = p_half_hash AND h.expires_at > now() AND f.confirmed_at IS NOT NULL
$$;

CREATE FUNCTION public.has_listeners(p_site uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT EXISTS (SELECT FROM webhooks w WHERE w.site_id = p_site AND w.off_reason IS NULL)
        OR EXISTS (SELECT FROM notice_wishes n WHERE n.site_id = p_site AND n.pace <> 'off')
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
    SET enable_seqscan TO 'off'
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
            -- OFFSET 0: by the key, one by one
            LEFT JOIN LATERAL (SELECT x.created_month FROM session_keys x WHERE x.site_id = d.site_id AND x.id = d.id OFFSET 0) k ON true
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
            SELECT e.site_id, e.entry, NULL::tally_draft AS tally, NULL::timestamptz AS event_at, NULL::uuid AS call_id FROM unnest(v_entries) e
            UNION ALL
            SELECT t.site_id, ROW('events', sum(t.events), v_now, t.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, sum(t.conversions), sum(t.forms), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry, NULL, NULL, NULL
            FROM touched t WHERE NOT t.is_history AND t.events > 0 GROUP BY t.site_id, t.is_paid
            UNION ALL
            -- History that is written afterwards: each event at its own time.
            SELECT t.site_id, ROW('events', count(*), max(e.received_at), t.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, count(*) FILTER (WHERE e.event_category = 'conversion'),
                count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit'),
                NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry, NULL, NULL, NULL
            FROM touched t JOIN unnest(p_events) e ON e.session_place = t.place
            WHERE t.is_history AND (v_events IS NULL OR e.id = ANY (v_stored))
            GROUP BY t.site_id, t.is_paid, date_bin('15 minutes', e.received_at, 'epoch')
            UNION ALL
            SELECT t.site_id, NULL, NULL, max(t.received_at), NULL FROM touched t GROUP BY t.site_id
            UNION ALL
            SELECT y.site_id, NULL, y, NULL, NULL FROM unnest(p_tally) y WHERE y.site_id IS NOT NULL
            UNION ALL
            SELECT e.site_id, NULL, ROW(e.site_id, o.outcome, sum(o.n), date_trunc('hour', e.received_at))::tally_draft, NULL, NULL
            FROM unnest(duplicates) AS x (place)
            CROSS JOIN LATERAL (SELECT (p_events[x.place]).site_id, (p_events[x.place]).received_at) e
            CROSS JOIN (VALUES ('duplicate', 1), ('stored', -1)) AS o (outcome, n) GROUP BY e.site_id, o.outcome, date_trunc('hour', e.received_at)
            UNION ALL
            -- Leads that are new, and those whose visits were merged anew: the fold looks at them (lead_search.sql).
            SELECT i.site_id, NULL, NULL, NULL, i.id FROM unnest(p_intents) i
            UNION ALL
            SELECT c.site_id, NULL, NULL, NULL, c.id FROM (SELECT DISTINCT d.site_id FROM unnest(p_sessions) d) x
            JOIN calls c ON c.site_id = x.site_id AND c.id = ANY (v_calls) WHERE v_calls IS NOT NULL
        )
        INSERT INTO counter_journal (site_id, entries, tally, calls, changed_at, last_event_at, last_intent_at)
        SELECT p.site_id, coalesce(array_agg(p.entry) FILTER (WHERE p.entry IS DISTINCT FROM NULL), '{}'),
            coalesce(array_agg(p.tally) FILTER (WHERE p.tally IS DISTINCT FROM NULL), '{}'),
            coalesce(array_agg(p.call_id) FILTER (WHERE p.call_id IS NOT NULL), '{}'),
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

CREATE FUNCTION public.ingest_call_secrets() RETURNS TABLE(site_id uuid, unsigned_calls boolean, id uuid, key_id text, secret bytea)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM see_all_sites();
    RETURN QUERY
    SELECT s.id, s.unsigned_calls, c.id, c.key_id, c.secret FROM sites s LEFT JOIN call_secrets c ON c.site_id = s.id
    WHERE c.id IS NOT NULL OR NOT s.unsigned_calls ORDER BY s.id, c.place;
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

CREATE FUNCTION public.ingest_sites_v2() RETURNS TABLE(id uuid, public_id text, domain text, time_zone text, region text, currency text, consent_mode text, attribution_window_days integer, disabled boolean, origins text[], bots text[], rate_per_minute integer, monthly_quota bigint, keep_ip boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT s.id, s.public_id, s.domain, s.time_zone, s.region, s.currency, s.consent_mode, s.attribution_window_days,
        s.disabled_at IS NOT NULL,
        coalesce((SELECT array_agg(o.origin ORDER BY o.origin) FROM site_origins o WHERE o.site_id = s.id), '{}'),
        s.allowed_bots, s.rate_per_minute, s.monthly_quota, s.keep_ip
    FROM sites s
$$;

CREATE FUNCTION public.installation_figures() RETURNS TABLE(name text, label text, figure double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    -- What is counted is counted to here.
    v_most constant integer := 100000;
    v_now constant timestamptz := clock_timestamp();
    v_month constant text := to_char(v_now AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
        SELECT v.name, ''::text, v.figure::double precision FROM (
            SELECT count(*) FILTER (WHERE s.disabled_at IS NULL) AS sites,
                count(*) FILTER (WHERE s.disabled_at IS NOT NULL) AS sites_off,
                count(*) FILTER (WHERE s.disabled_at IS NULL AND p.last_event_at < v_now - interval '1 day') AS sites_silent
            FROM sites s LEFT JOIN site_pulse p ON p.site_id = s.id) f
        CROSS JOIN LATERAL (VALUES ('sites', f.sites), ('sites_off', f.sites_off), ('sites_silent', f.sites_silent)) v (name, figure);
    -- What no fold has taken up yet: its length, and the age of its oldest row.
    RETURN QUERY
        SELECT 'journal_rows', ''::text, count(*)::double precision FROM (SELECT FROM counter_journal LIMIT v_most) j
        UNION ALL
        SELECT 'journal_age', '', coalesce(extract(epoch FROM v_now - min(j.changed_at)), 0)::double precision
        FROM sites s CROSS JOIN LATERAL (
            SELECT c.changed_at FROM counter_journal c WHERE c.site_id = s.id ORDER BY c.id LIMIT 1) j;
    -- Outboxes: how many wait, how old the oldest is, and how long the most belated one has been due.
    RETURN QUERY
        SELECT v.name, ''::text, v.figure::double precision FROM (
            SELECT count(*) AS n, min(d.created_at) AS oldest, min(d.next_at) AS due
            FROM webhooks w CROSS JOIN LATERAL (
                SELECT e.created_at, e.next_at FROM webhook_deliveries e
                WHERE e.site_id = w.site_id AND e.webhook_id = w.id AND e.state IN ('waiting', 'failed')
                ORDER BY e.next_at LIMIT v_most) d
            WHERE w.off_reason IS NULL) f
        CROSS JOIN LATERAL (VALUES
            ('deliveries_waiting', f.n::double precision),
            ('deliveries_age', coalesce(extract(epoch FROM v_now - f.oldest), 0)),
            ('deliveries_late', greatest(coalesce(extract(epoch FROM v_now - f.due), 0), 0))) v (name, figure)
        UNION ALL
        SELECT v.name, '', v.figure::double precision FROM (
            SELECT count(*) AS n, min(u.next_at) AS due, sum(u.failing) AS failing FROM (
                SELECT n.next_at, (n.failures > 0)::integer AS failing FROM notice_wishes n WHERE n.next_at IS NOT NULL
                UNION ALL
                SELECT s.next_at, (s.failures > 0)::integer FROM summary_wishes s WHERE s.next_at <= v_now) u) f
        CROSS JOIN LATERAL (VALUES
            ('mails_waiting', f.n::double precision),
            ('mails_late', greatest(coalesce(extract(epoch FROM v_now - f.due), 0), 0)),
            ('mails_failing', coalesce(f.failing, 0)::double precision)) v (name, figure);
    RETURN QUERY
        SELECT v.name, ''::text, v.figure::double precision FROM (
            SELECT count(*) FILTER (WHERE w.off_reason IS NULL AND w.failing_since IS NOT NULL) AS failing,
                count(*) FILTER (WHERE w.off_reason IN ('gone', 'failing')) AS off,
                extract(epoch FROM v_now - min(w.failing_since) FILTER (WHERE w.off_reason IS NULL)) AS since
            FROM webhooks w) f
        CROSS JOIN LATERAL (VALUES ('webhooks_failing', f.failing::double precision), ('webhooks_off', f.off::double precision),
            ('webhooks_failing_age', coalesce(f.since, 0))) v (name, figure);
    -- Months after this one that have both their partitions, in a row; and what waits for one.
    RETURN QUERY
        SELECT 'months_ahead', ''::text, count(*)::double precision FROM generate_series(1, 24) n
        WHERE NOT EXISTS (
            SELECT FROM generate_series(1, n) m CROSS JOIN unnest(ARRAY['sessions_', 'events_']) t
            WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'parts'::regnamespace
                AND c.relname = t || to_char(to_date(v_month, 'YYYY_MM') + make_interval(months => m), 'YYYY_MM')))
        UNION ALL
        SELECT 'default_rows', '', count(*)::double precision FROM (
            (SELECT FROM parts.sessions_default LIMIT v_most) UNION ALL (SELECT FROM parts.events_default LIMIT v_most)) d
        UNION ALL
        SELECT 'database_bytes', '', pg_database_size(current_database())::double precision;
    RETURN QUERY
        SELECT v.name, ''::text, v.figure::double precision
        FROM (SELECT * FROM audit_runs a ORDER BY a.started_at DESC LIMIT 1) f
        CROSS JOIN LATERAL (VALUES ('audit_errors', f.errors::double precision), ('audit_warnings', f.warnings),
            ('audit_unknown', f.unknown), ('audit_age', extract(epoch FROM v_now - f.started_at))) v (name, figure);
    -- What it found that nobody has accepted, by the checks' group and the findings' level: nothing is a figure too.
    RETURN QUERY
        SELECT 'audit_findings', (r.result ->> 'group') || ' ' || l.level,
            count(*) FILTER (WHERE f.finding ->> 'level' = l.level AND f.finding ->> 'accepted' IS NULL)::double precision
        FROM (SELECT * FROM audit_runs a ORDER BY a.started_at DESC LIMIT 1) n
        CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(n.report -> 'results') WHEN 'array' THEN n.report -> 'results' END) AS r (result)
        CROSS JOIN (VALUES ('error'), ('warn')) AS l (level)
        LEFT JOIN LATERAL jsonb_array_elements(r.result -> 'findings') AS f (finding) ON true
        WHERE r.result ->> 'group' ~ '^[a-z]{1,20}$'
        GROUP BY r.result ->> 'group', l.level;
    -- One step of the index a job, however many runs are kept.
    RETURN QUERY WITH RECURSIVE jobs AS (
            (SELECT u.job FROM upkeep_runs u ORDER BY u.job LIMIT 1)
            UNION ALL
            SELECT (SELECT u.job FROM upkeep_runs u WHERE u.job > j.job ORDER BY u.job LIMIT 1) FROM jobs j WHERE j.job IS NOT NULL),
        state AS (
            SELECT j.job, l.outcome, l.detail,
                (SELECT o.started_at FROM upkeep_runs o WHERE o.job = j.job AND o.outcome = 'ok' ORDER BY o.started_at DESC LIMIT 1) AS ok_at
            FROM jobs j CROSS JOIN LATERAL (
                SELECT u.outcome, u.detail FROM upkeep_runs u WHERE u.job = j.job ORDER BY u.started_at DESC LIMIT 1) l
            -- Names as the program gives them: they become labels, and those are for no other words.
            WHERE j.job ~ '^[a-z_]{1,40}$')
        SELECT 'job_age', s.job, extract(epoch FROM v_now - s.ok_at)::double precision FROM state s WHERE s.ok_at IS NOT NULL
        UNION ALL
        SELECT 'job_failed', s.job, (s.outcome IN ('failed', 'lost'))::integer FROM state s WHERE s.outcome IS NOT NULL
        UNION ALL
        -- What the newest comparison of every figure with its rows found: sites that differ.
        SELECT 'counters_differ', '', (SELECT count(*) FROM jsonb_object_keys(s.detail)) FROM state s
        WHERE s.job = 'verify_counters' AND s.outcome = 'ok' AND jsonb_typeof(s.detail) = 'object';
    RETURN QUERY
        SELECT 'alerts', ''::text, count(*)::double precision FROM watch_alerts w WHERE w.ended_at IS NULL;
END
$_$;

CREATE FUNCTION public.invite_by_link(p_hash bytea) RETURNS TABLE(site_name text, email text, role text, inviter text, expires_at timestamp with time zone, state text, has_account boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_invite invites;
BEGIN
    PERFORM see_all_sites();
    v_invite := invite_of(p_hash);
    RETURN QUERY
        SELECT s.name, v_invite.email, v_invite.role, coalesce(nullif(u.name, ''), u.email), v_invite.expires_at,
            invite_state(v_invite), EXISTS (SELECT FROM users a WHERE a.email = v_invite.email)
        FROM sites s JOIN users u ON u.id = v_invite.invited_by WHERE s.id = v_invite.site_id;
END
$$;

CREATE FUNCTION public.invite_member(p_site uuid, p_act uuid, p_id uuid, p_email text, p_role text, p_hash bytea, OUT outcome text, OUT retry_after integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := member_manager(p_site);
    v_role text := grantable_role(p_role);
    v_email text := lower(btrim(p_email));
BEGIN
    SET LOCAL app.maintenance = 'on';
    IF EXISTS (SELECT FROM users u WHERE u.email = v_email
        AND (EXISTS (SELECT FROM sites s WHERE s.id = p_site AND s.user_id = u.id)
          OR EXISTS (SELECT FROM site_members m WHERE m.site_id = p_site AND m.user_id = u.id))) THEN
        outcome := 'member';
        RETURN;
    END IF;
    retry_after := invites_wait(p_site, v_person);
    IF retry_after > 0 THEN
        outcome := 'too_many';
        RETURN;
    END IF;
    UPDATE invites i SET revoked_at = now()
    WHERE i.site_id = p_site AND i.email = v_email AND i.accepted_at IS NULL AND i.revoked_at IS NULL;
    INSERT INTO invites (site_id, id, email, role, invited_by, expires_at, token_hash)
    VALUES (p_site, p_id, v_email, v_role, v_person, now() + interval '7 days', p_hash);
    PERFORM note_act(p_site, p_act, 'members.invite', v_email, jsonb_build_object('role', v_role));
    outcome := 'invited';
END
$$;

CREATE TABLE public.invites (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    invited_by uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    turn integer DEFAULT 1 NOT NULL,
    token_hash bytea NOT NULL,
    sent_at timestamp with time zone,
    sent_count integer DEFAULT 0 NOT NULL,
    accepted_at timestamp with time zone,
    accepted_by uuid,
    revoked_at timestamp with time zone,
    CONSTRAINT invites_email_check CHECK ((((length(email) >= 3) AND (length(email) <= 254)) AND (email = lower(email)))),
    CONSTRAINT invites_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'operator'::text, 'analyst'::text]))),
    CONSTRAINT invites_token_hash_check CHECK ((length(token_hash) = 32)),
    CONSTRAINT invites_turn_check CHECK ((turn >= 1))
);

ALTER TABLE ONLY public.invites FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.invites.invited_by IS 'Who vouches for it: it is void once they may not invite here any more.';

COMMENT ON COLUMN public.invites.sent_at IS 'When a mail server took the link of the present turn; null where it must be copied.';

CREATE FUNCTION public.invite_of(p_hash bytea) RETURNS public.invites
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT i.* FROM invites i WHERE i.token_hash = p_hash $$;

CREATE FUNCTION public.invite_state(p_invite public.invites) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT CASE WHEN p_invite.accepted_at IS NOT NULL THEN 'accepted' WHEN p_invite.revoked_at IS NOT NULL THEN 'revoked'
        WHEN p_invite.expires_at <= now() THEN 'expired'
        WHEN NOT may_invite(p_invite.site_id, p_invite.invited_by) THEN 'void' ELSE 'open' END
$$;

CREATE FUNCTION public.invites_wait(p_site uuid, p_user uuid) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT coalesce((SELECT greatest(1, ceil(extract(epoch FROM a.at + interval '1 hour' - now())))::integer
        FROM site_acts a WHERE a.site_id = p_site AND a.at > now() - interval '1 hour' AND a.actor = p_user
          AND a.action IN ('members.invite', 'members.resend')
        ORDER BY a.at DESC, a.id DESC OFFSET 19 LIMIT 1), 0)
$$;

CREATE FUNCTION public.is_live_key(p_expires_at timestamp with time zone, p_revoked_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ SELECT p_revoked_at IS NULL AND (p_expires_at IS NULL OR p_expires_at > now()) $$;

CREATE FUNCTION public.is_over(p_site uuid, p_month date, p_session uuid, p_before timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT NOT EXISTS (SELECT FROM calls c WHERE c.site_id = p_site AND c.matched_session_month = p_month AND c.matched_session_id = p_session)
      AND NOT EXISTS (SELECT FROM events e WHERE e.site_id = p_site AND e.session_month = p_month AND e.session_id = p_session
          AND e.created_at >= p_before + interval '7 days')
$$;

CREATE FUNCTION public.is_provider_open(p_provider text) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ SELECT coalesce((SELECT p.is_on AND p.open_until <= now() FROM provider_circuits p WHERE p.provider = p_provider), true) $$;

CREATE FUNCTION public.join_by_invite(p_hash bytea, p_act uuid, p_user uuid, p_name text, p_password_hash text, p_address text, OUT outcome text, OUT site uuid) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_invite invites;
BEGIN
    SET LOCAL app.maintenance = 'on';
    v_invite := lock_invite(p_hash);
    IF v_invite.id IS NULL THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    outcome := invite_state(v_invite);
    IF outcome <> 'open' THEN
        RETURN;
    END IF;
    INSERT INTO users (id, email, name, password_hash) VALUES (p_user, v_invite.email, left(p_name, 200), p_password_hash)
    ON CONFLICT (email) DO NOTHING;
    IF NOT FOUND THEN
        outcome := 'account';
        RETURN;
    END IF;
    INSERT INTO profiles (id) VALUES (p_user);
    EXECUTE format('SET LOCAL app.person = %L', p_user);
    EXECUTE format('SET LOCAL app.address = %L', coalesce(p_address, ''));
    outcome := take_invite(v_invite, p_user, p_act);
    site := v_invite.site_id;
END
$$;

CREATE FUNCTION public.keep_rehash(p_user uuid, p_old text, p_new text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ UPDATE users SET password_hash = p_new WHERE id = p_user AND password_hash = p_old $$;

CREATE FUNCTION public.keep_rejected(p_rejected public.rejected_row_v2[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    WITH room AS MATERIALIZED (  -- counted once a site and reason, not once a row
        SELECT n.site_id, n.reason, s.keep_ip, (
            SELECT count(*) FROM (
                SELECT FROM rejected_events e WHERE e.site_id = n.site_id AND e.reason = n.reason
                  AND e.received_at > now() - interval '1 hour' LIMIT 2000) k) AS kept
        FROM (SELECT DISTINCT x.site_id, x.reason FROM unnest(p_rejected) x) n JOIN sites s ON s.id = n.site_id
    )
    INSERT INTO rejected_events (site_id, id, received_at, door, reason, detail, payload, origin, user_agent, ip_address,
        sent_ms, tracker)
    SELECT r.site_id, r.id, coalesce(r.received_at, now()), r.door, r.reason, r.detail, r.payload, r.origin, r.user_agent,
        CASE WHEN h.keep_ip THEN r.ip_address::inet END, r.sent_ms, r.tracker
    FROM (SELECT x.*, row_number() OVER (PARTITION BY x.site_id, x.reason) AS place FROM unnest(p_rejected) x) r
    JOIN room h ON h.site_id = r.site_id AND h.reason = r.reason
    WHERE h.kept + r.place <= 2000
    ON CONFLICT DO NOTHING;
END
$$;

CREATE FUNCTION public.keep_view(p_site uuid, p_id uuid, p_name text, p_query text, p_shared boolean, p_most integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := view_keeper(p_site);
BEGIN
    SET LOCAL app.maintenance = 'on';
    IF (SELECT count(*) FROM saved_views v WHERE v.site_id = p_site AND v.user_id = v_person) >= p_most THEN
        RETURN 'many';
    END IF;
    INSERT INTO saved_views (site_id, id, user_id, name, query, is_shared) VALUES (p_site, p_id, v_person, p_name, p_query, p_shared)
    ON CONFLICT DO NOTHING;
    RETURN CASE WHEN FOUND THEN 'kept' ELSE 'taken' END;
END
$$;

CREATE TABLE public.saved_views (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    query text NOT NULL,
    is_shared boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT saved_views_name_check CHECK (((length(name) >= 1) AND (length(name) <= 60))),
    CONSTRAINT saved_views_query_check CHECK ((length(query) <= 4000))
);

ALTER TABLE ONLY public.saved_views FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.saved_views.is_shared IS 'Seen by all people of the site; changed by its maker, and by who may change the site.';

CREATE FUNCTION public.keeps_view(v public.saved_views, p_person uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT (v).user_id = p_person OR (v).is_shared AND coalesce(site_role((v).site_id), '') IN ('platform_admin', 'owner', 'admin') $$;

CREATE FUNCTION public.kept_since(p_months integer) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$ SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => p_months)) AT TIME ZONE 'UTC' $$;

CREATE FUNCTION public.key_holder(p_kind text, p_hash bytea) RETURNS TABLE(key_id uuid, label text, scopes text[], site_id uuid, user_id uuid, email text, name text, language text, theme text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF p_kind = 'person' THEN
        UPDATE person_keys k SET last_used_at = now()
        WHERE k.key_hash = p_hash AND coalesce(k.last_used_at < now() - interval '5 minutes', true)
          AND is_live_key(k.expires_at, k.revoked_at);
        RETURN QUERY
        SELECT k.id, key_label(k.name, k.last_four), k.scopes, k.only_site, u.id, u.email, u.name, p.language, p.theme
        FROM person_keys k JOIN users u ON u.id = k.user_id AND u.disabled_at IS NULL LEFT JOIN profiles p ON p.id = u.id
        WHERE k.key_hash = p_hash AND is_live_key(k.expires_at, k.revoked_at);
        RETURN;
    END IF;
    SET LOCAL app.maintenance = 'on';
    UPDATE site_keys k SET last_used_at = now()
    WHERE k.key_hash = p_hash AND coalesce(k.last_used_at < now() - interval '5 minutes', true)
      AND is_live_key(k.expires_at, k.revoked_at);
    RETURN QUERY
    SELECT k.id, key_label(k.name, k.last_four), k.scopes, k.site_id, NULL::uuid, NULL::text, NULL::text, NULL::text, NULL::text
    FROM site_keys k WHERE k.key_hash = p_hash AND is_live_key(k.expires_at, k.revoked_at);
END
$$;

CREATE FUNCTION public.key_label(p_name text, p_last_four text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT p_name || ' …' || p_last_four $$;

CREATE FUNCTION public.key_maker_name(p_site uuid, p_maker uuid) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM key_manager(p_site);
    RETURN (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = p_maker
        AND EXISTS (SELECT FROM site_keys k WHERE k.site_id = p_site AND k.created_by = p_maker));
END
$$;

CREATE FUNCTION public.key_manager(p_site uuid) RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker manages no keys of this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN acting_person();
END
$$;

CREATE FUNCTION public.key_role(p_scopes text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE WHEN p_scopes && ARRAY['site:write', 'refused:tend', 'privacy:manage', 'conversions:export'] THEN 'admin'
        WHEN 'leads:decide' = ANY (p_scopes) THEN 'operator' WHEN 'site:read' = ANY (p_scopes) THEN 'analyst' END
$$;

CREATE FUNCTION public.lead_cases(p_site uuid, p_calls uuid[], p_lock boolean) RETURNS TABLE(call_id uuid, version integer, status text, merged_into uuid, occurred_at timestamp with time zone, confirmed_at timestamp with time zone, note text, stage text, sale_at timestamp with time zone, sale_amount numeric, currency text, click_id text, click_id_kind text, gclid text, wbraid text, gbraid text, clicked_at timestamp with time zone, consent_marketing boolean, cycles integer, site_currency text, consent_mode text, conversion_time text, undo_minutes integer, latest_action text, latest_kind text, latest_actor uuid, latest_name text, latest_at timestamp with time zone, undo_id uuid, undo_action text, undo_before text, now timestamp with time zone)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT x.call_id, x.version, x.status, x.merged_into, x.occurred_at, x.confirmed_at, x.note, x.stage, x.sale_at, x.sale_amount,
        x.currency, x.click_id, x.click_id_kind, x.gclid, x.wbraid, x.gbraid, x.clicked_at, x.consent_marketing, x.cycles,
        x.site_currency, x.consent_mode, x.conversion_time, x.undo_minutes, x.latest_action, x.latest_kind, x.latest_actor,
        x.latest_name, x.latest_at, x.undo_id, x.undo_action, x.undo_before, x.now
    FROM lead_cases_v2(p_site, p_calls, p_lock) x
$$;

CREATE FUNCTION public.lead_cases_v2(p_site uuid, p_calls uuid[], p_lock boolean) RETURNS TABLE(call_id uuid, version integer, status text, merged_into uuid, occurred_at timestamp with time zone, confirmed_at timestamp with time zone, note text, stage text, sale_at timestamp with time zone, sale_amount numeric, currency text, click_id text, click_id_kind text, gclid text, wbraid text, gbraid text, clicked_at timestamp with time zone, consent_marketing boolean, cycles integer, site_currency text, consent_mode text, conversion_time text, undo_minutes integer, latest_action text, latest_kind text, latest_actor uuid, latest_name text, latest_at timestamp with time zone, undo_id uuid, undo_action text, undo_before text, now timestamp with time zone, stage_weights jsonb, sends_by text)
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
        l.action, l.actor_kind, l.actor, coalesce(nullif(u.name, ''), u.email, l.key_name), l.at,
        d.id, d.action, d.before::text, now(), t.config -> 'stage_weights',
        (SELECT r.adapter FROM conversion_routes r WHERE r.site_id = c.site_id)
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

CREATE FUNCTION public.lead_search_differences(p_site uuid) RETURNS SETOF uuid
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(l.call_id, r.call_id)
    FROM (SELECT x.* FROM lead_search x WHERE x.site_id = p_site) l FULL JOIN lead_search_rows(p_site, NULL) r ON r.call_id = l.call_id
    WHERE (l.site_id, l.call_id, l.created_at, l.decided_at, l.status, l.action, l.captured_by, l.is_paid, l.has_click_id,
        l.source, l.channel, l.campaign, l.keyword, l.matchtype, l.place, l.device, l.page, l.words)
      IS DISTINCT FROM (r.site_id, r.call_id, r.created_at, r.decided_at, r.status, r.action, r.captured_by, r.is_paid, r.has_click_id,
        r.source, r.channel, r.campaign, r.keyword, r.matchtype, r.place, r.device, r.page, r.words)
      AND coalesce(l.call_id, r.call_id) <> ALL (unfolded_leads(p_site))
$$;

CREATE TABLE public.lead_search (
    site_id uuid NOT NULL,
    call_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    status text NOT NULL,
    action text NOT NULL,
    captured_by text NOT NULL,
    is_paid boolean NOT NULL,
    has_click_id boolean NOT NULL,
    source text NOT NULL,
    channel text NOT NULL,
    campaign text NOT NULL,
    keyword text NOT NULL,
    matchtype text NOT NULL,
    place text NOT NULL,
    device text NOT NULL,
    page text NOT NULL,
    words text NOT NULL
)
WITH (fillfactor='90', autovacuum_vacuum_scale_factor='0.02', autovacuum_analyze_scale_factor='0.05');

ALTER TABLE ONLY public.lead_search FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.lead_search IS 'What leads are searched and narrowed down by; made from calls and sessions, and can be made anew.';

COMMENT ON COLUMN public.lead_search.words IS 'What people type to find it, in the plain letters of search_text: numbers, words, pages.';

CREATE FUNCTION public.lead_search_rows(p_site uuid, p_calls uuid[]) RETURNS SETOF public.lead_search
    LANGUAGE sql STABLE
    AS $$
    SELECT c.site_id, c.id, c.created_at, c.confirmed_at, c.status, coalesce(c.intent_action, ''), c.source,
        coalesce(s.is_paid, false), c.click_id IS NOT NULL OR coalesce(s.has_click_id, false),
        left(coalesce(s.attribution_source, ''), 200), left(coalesce(s.channel, ''), 200), left(coalesce(s.utm_campaign, ''), 200),
        left(coalesce(s.utm_term, ''), 200), left(coalesce(s.matchtype, ''), 200), left(place_key(s.city, s.district), 200),
        left(coalesce(s.device_type, ''), 200), page_key(s.entry_page),
        search_text(regexp_replace(concat_ws(' ', c.intent_target,
            -- a number once is enough: it mostly stands in the target as it is
            CASE WHEN strpos(c.intent_target, search_digits(c.intent_target)) > 0 THEN NULL ELSE search_digits(c.intent_target) END,
            CASE WHEN strpos(c.intent_target, search_digits(c.phone_number)) > 0 THEN NULL ELSE search_digits(c.phone_number) END,
            c.note, search_digits(c.note), s.utm_term, s.utm_campaign, s.city, s.district,
            page_key(s.entry_page), nullif(page_key(c.intent_page_url), page_key(s.entry_page))), '\s+', ' ', 'g'))
    FROM calls c
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    WHERE c.site_id = p_site AND (p_calls IS NULL OR c.id = ANY (p_calls)) AND c.merged_into IS NULL
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

CREATE FUNCTION public.leads_to_notice(p_site uuid, p_user uuid, p_limit integer) RETURNS TABLE(call_id uuid, captured_at timestamp with time zone, action text, source text, channel text, campaign text, keyword text, score integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    SELECT c.id, c.created_at, c.intent_action, s.attribution_source, s.channel, s.utm_campaign, s.utm_term, c.lead_score
    FROM lead_notices n JOIN calls c ON c.site_id = n.site_id AND c.id = n.call_id
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    WHERE n.site_id = p_site AND n.user_id = p_user AND n.sent_at IS NULL
    ORDER BY n.created_at, n.call_id LIMIT p_limit;
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

CREATE FUNCTION public.leave_site(p_site uuid, p_act uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
    v_before text;
BEGIN
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF site_role(p_site) IS NULL THEN
        RETURN 'gone';
    END IF;
    IF EXISTS (SELECT FROM sites s WHERE s.id = p_site AND s.user_id = v_person) THEN
        RETURN 'owner';
    END IF;
    SET LOCAL app.maintenance = 'on';
    DELETE FROM site_members m WHERE m.site_id = p_site AND m.user_id = v_person RETURNING m.role INTO v_before;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    PERFORM note_act(p_site, p_act, 'members.leave', (SELECT u.email FROM users u WHERE u.id = v_person),
        jsonb_build_object('role', v_before));
    RETURN 'left';
END
$$;

CREATE FUNCTION public.let_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_half interval, p_method text, p_user_agent text, p_address text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    -- Whoever is being switched off at this moment, or has the second factor switched on, is waited for.
    PERFORM FROM users u WHERE u.id = p_user AND u.disabled_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM second_factors f WHERE f.user_id = p_user AND f.confirmed_at IS NOT NULL) THEN
        INSERT INTO half_sign_ins (token_hash, user_id, method, expires_at, user_agent, address)
        VALUES (p_token_hash, p_user, p_method, now() + p_half, left(p_user_agent, 400), p_address);
        RETURN false;
    END IF;
    INSERT INTO sign_ins (token_hash, user_id, expires_at, method, confirmed_at, user_agent, address)
    VALUES (p_token_hash, p_user, now() + p_lifetime, p_method, now(), left(p_user_agent, 400), p_address);
    RETURN true;
END
$$;

CREATE FUNCTION public.link_identity(p_id uuid, p_issuer text, p_subject text, p_email text, p_act uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_address text;
    v_holder uuid;
BEGIN
    SELECT u.email INTO v_address FROM users u WHERE u.id = v_person AND u.disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nobody is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO user_identities (id, user_id, issuer, subject, email)
    VALUES (p_id, v_person, p_issuer, p_subject, left(p_email, 254)) ON CONFLICT (issuer, subject) DO NOTHING;
    IF FOUND THEN
        PERFORM note_act(NULL, p_act, 'identities.link', v_address, jsonb_build_object('issuer', p_issuer));
        RETURN 'linked';
    END IF;
    SELECT i.user_id INTO v_holder FROM user_identities i WHERE i.issuer = p_issuer AND i.subject = p_subject;
    RETURN CASE WHEN v_holder = v_person THEN 'already' ELSE 'taken' END;
END
$$;

CREATE FUNCTION public.list_users() RETURNS TABLE(id uuid, email text, name text, is_admin boolean, created_at timestamp with time zone, disabled_at timestamp with time zone, has_password boolean, has_second_factor boolean, last_seen_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT u.id, u.email, u.name, coalesce(p.role = 'admin', false), u.created_at, u.disabled_at, u.password_hash IS NOT NULL,
        EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL),
        (SELECT max(s.last_seen_at) FROM sign_ins s WHERE s.user_id = u.id)
    FROM users u LEFT JOIN profiles p ON p.id = u.id ORDER BY u.created_at, u.id
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

CREATE FUNCTION public.lock_invite(p_hash bytea) RETURNS public.invites
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_invite invites := invite_of(p_hash);
BEGIN
    PERFORM FROM sites s WHERE s.id = v_invite.site_id FOR NO KEY UPDATE;
    SELECT i.* INTO v_invite FROM invites i
    WHERE i.site_id = v_invite.site_id AND i.id = v_invite.id AND i.token_hash = p_hash FOR UPDATE;
    RETURN v_invite;
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

CREATE FUNCTION public.lock_month(p_parent text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_lock_timeout text := current_setting('lock_timeout');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('opsmantik: months', 0));
    FOR v_try IN 1..20 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', CASE WHEN v_try <= 17 THEN '150ms' ELSE '1100ms' END, true);
            LOCK TABLE session_keys IN ACCESS EXCLUSIVE MODE;
            PERFORM set_config('lock_timeout', '150ms', true);
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', p_parent);
            PERFORM set_config('lock_timeout', v_lock_timeout, true);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.05 * v_try);
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'sessions or events are in use by a long transaction';
END
$$;

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
    replayed_at timestamp with time zone,
    origin text,
    user_agent text,
    ip_address inet,
    sent_ms bigint,
    tracker text
);

ALTER TABLE ONLY public.rejected_events FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.rejected_events.replayed_at IS 'Since when its event is stored after all; null: it is not.';

COMMENT ON COLUMN public.rejected_events.user_agent IS 'Null: not kept, as in rows of before; an empty one was sent so.';

COMMENT ON COLUMN public.rejected_events.ip_address IS 'Cut to its network, as in sessions; null where the site keeps none.';

CREATE FUNCTION public.lock_rejected(p_site uuid, p_ids uuid[]) RETURNS SETOF public.rejected_events
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker lets nothing in on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY SELECT r.* FROM rejected_events r WHERE r.site_id = p_site AND r.id = ANY (p_ids)
        ORDER BY r.received_at, r.id FOR UPDATE;
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

CREATE FUNCTION public.look_at_lead(p_site uuid, p_call uuid) RETURNS TABLE(call_id uuid, user_id uuid, name text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := decider(p_site);
    v_call uuid;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT c.id INTO v_call FROM calls c WHERE c.site_id = p_site AND c.id = p_call;
    IF v_call IS NULL THEN
        DELETE FROM presences p WHERE p.site_id = p_site AND p.user_id = v_person;
    ELSIF v_person IS NOT NULL THEN
        INSERT INTO presences AS p (site_id, user_id, call_id) VALUES (p_site, v_person, v_call)
        ON CONFLICT ON CONSTRAINT presences_pkey DO UPDATE SET call_id = excluded.call_id, seen_at = excluded.seen_at;
    END IF;
    DELETE FROM presences p USING (
        SELECT o.user_id FROM presences o WHERE o.site_id = p_site AND o.seen_at < now() - interval '30 seconds'
        FOR UPDATE SKIP LOCKED) old
    WHERE p.site_id = p_site AND p.user_id = old.user_id;
    RETURN QUERY
    SELECT p.call_id, p.user_id, coalesce(nullif(u.name, ''), u.email)
    FROM presences p JOIN users u ON u.id = p.user_id
    WHERE p.site_id = p_site AND p.user_id IS DISTINCT FROM v_person AND p.seen_at >= now() - interval '30 seconds'
    ORDER BY p.call_id, p.user_id;
END
$$;

CREATE FUNCTION public.make_call_secret(p_site uuid, p_id uuid, p_act uuid, p_secret bytea, p_key_id text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_place text;
BEGIN
    PERFORM key_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    SELECT p INTO v_place FROM unnest(ARRAY['current', 'next']) WITH ORDINALITY AS places (p, n)
    WHERE NOT EXISTS (SELECT FROM call_secrets c WHERE c.site_id = p_site AND c.place = p) ORDER BY n LIMIT 1;
    IF v_place IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO call_secrets (site_id, id, place, secret, key_id) VALUES (p_site, p_id, v_place, p_secret, p_key_id);
    PERFORM note_act(p_site, p_act, 'call_secrets.make', v_place, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN v_place;
END
$$;

CREATE FUNCTION public.make_month(p_month date) RETURNS text[]
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT made FROM attach_month(p_month) $$;

CREATE FUNCTION public.make_person_key(p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_name text, p_scopes text[], p_only uuid, p_expires_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    IF p_only IS NOT NULL AND NOT coalesce(p_only = ANY (nullif(current_setting('app.sites', true), '')::uuid[]), false) THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM FROM users u WHERE u.id = v_person FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM person_keys k WHERE k.user_id = v_person AND is_live_key(k.expires_at, k.revoked_at)) >= 50 THEN
        RETURN false;
    END IF;
    INSERT INTO person_keys (id, user_id, key_hash, last_four, name, scopes, only_site, expires_at)
    VALUES (p_id, v_person, p_hash, p_last_four, p_name, p_scopes, p_only, p_expires_at);
    PERFORM note_act(p_only, p_act, 'keys.make_own', key_label(p_name, p_last_four),
        jsonb_build_object('scopes', p_scopes, 'expires_at', p_expires_at));
    RETURN true;
END
$$;

CREATE FUNCTION public.make_share_link(p_site uuid, p_id uuid, p_act uuid, p_hash bytea, p_name text, p_paid_only boolean, p_expires_at timestamp with time zone, p_most integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM share_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM share_links k WHERE k.site_id = p_site) >= p_most THEN
        RETURN false;
    END IF;
    INSERT INTO share_links (site_id, id, token_hash, name, paid_only, created_by, expires_at)
    VALUES (p_site, p_id, p_hash, p_name, p_paid_only,
        (SELECT u.id FROM users u WHERE u.id = nullif(current_setting('app.person', true), '')::uuid), p_expires_at);
    PERFORM note_act(p_site, p_act, 'sharing.make', p_name,
        jsonb_build_object('paid_only', p_paid_only, 'expires_at', p_expires_at));
    RETURN true;
END
$$;

CREATE FUNCTION public.make_site_key(p_site uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_name text, p_scopes text[], p_expires_at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := key_manager(p_site);
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM site_keys k WHERE k.site_id = p_site AND is_live_key(k.expires_at, k.revoked_at)) >= 50 THEN
        RETURN false;
    END IF;
    INSERT INTO site_keys (site_id, id, key_hash, last_four, name, scopes, created_by, expires_at)
    VALUES (p_site, p_id, p_hash, p_last_four, p_name, p_scopes, v_person, p_expires_at);
    PERFORM note_act(p_site, p_act, 'keys.make', key_label(p_name, p_last_four),
        jsonb_build_object('scopes', p_scopes, 'expires_at', p_expires_at));
    RETURN true;
END
$$;

CREATE FUNCTION public.may_invite(p_site uuid, p_user uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT EXISTS (SELECT FROM sites s
        JOIN users u ON u.id = p_user AND u.disabled_at IS NULL
        LEFT JOIN profiles p ON p.id = u.id
        LEFT JOIN site_members m ON m.site_id = p_site AND m.user_id = u.id
        WHERE s.id = p_site AND (p.role = 'admin' OR s.user_id = u.id OR m.role IN ('owner', 'admin')))
$$;

CREATE FUNCTION public.member_manager(p_site uuid) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker manages no members on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

CREATE FUNCTION public.mind_archive(p_site uuid, p_erasure uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('opsmantik: archive', 0));
    INSERT INTO archive_erasures (site_id, erasure_id, month)
    SELECT p_site, p_erasure, a.month FROM archived_months a WHERE a.forgotten_at IS NULL AND p_site = ANY (a.sites);
END
$$;

CREATE FUNCTION public.month_expiry(p_month date, OUT sites uuid[], OUT since timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_end timestamptz := (p_month + interval '1 month') AT TIME ZONE 'UTC';
    v_sites uuid[];
BEGIN
    v_sites := ARRAY(SELECT s.id FROM sites s WHERE EXISTS (
            SELECT FROM events e WHERE e.site_id = s.id AND e.session_month = p_month)
        OR EXISTS (SELECT FROM session_keys k WHERE k.site_id = s.id AND k.created_month = p_month));
    sites := v_sites;
    IF p_month >= date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months'
        OR EXISTS (SELECT FROM sites s WHERE s.id = ANY (v_sites) AND s.retention_months IS NULL) THEN
        RETURN;
    END IF;
    SELECT min(kept_since(s.retention_months)) INTO since FROM sites s WHERE s.id = ANY (v_sites);
    IF since < v_end THEN
        since := NULL;
    END IF;
END
$$;

CREATE FUNCTION public.month_number(p_at timestamp with time zone) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT (extract(year FROM p_at AT TIME ZONE 'UTC') * 12 + extract(month FROM p_at AT TIME ZONE 'UTC') - 1)::integer $$;

CREATE FUNCTION public.months_before(p_site uuid, p_before timestamp with time zone) RETURNS SETOF date
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    WITH RECURSIVE next AS (
        SELECT (SELECT min(k.created_month) FROM session_keys k WHERE k.site_id = p_site) AS month
        UNION ALL
        SELECT (SELECT min(k.created_month) FROM session_keys k WHERE k.site_id = p_site AND k.created_month > n.month)
        FROM next n WHERE n.month IS NOT NULL)
    SELECT n.month FROM next n WHERE n.month < (p_before AT TIME ZONE 'UTC')::date AND NOT stays_for_archive(n.month)
$$;

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
        -- Its ground is worked out here, whatever the caller says; without one the row is stopped at once.
        v_new.consent := call_consent(p_site, p_call);
        IF v_new.state = 'held' AND NOT consent_allows(p_site, p_call) THEN
            v_new.state := 'skipped';
            v_new.reason := 'no_consent';
            v_new.click_id := NULL;
            v_new.click_id_kind := NULL;
        END IF;
        INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency,
            click_id, click_id_kind, clicked_at, consent, consent_at)
        VALUES (p_site, v_new.id, p_call, v_new.order_id, v_new.state, v_new.reason, v_new.due_at, v_new.occurred_at,
            v_new.value, v_new.currency, v_new.click_id, v_new.click_id_kind, v_new.clicked_at, v_new.consent, now());
        INSERT INTO conversion_moves (site_id, id, conversion_id, to_state, reason)
        VALUES (p_site, gen_random_uuid(), v_new.id, v_new.state, v_new.reason);
        PERFORM offer_move(p_site, p_call, v_new.id, NULL, v_new.reason);
        RETURN;
    END IF;

    -- The row may be on its way to the platform: whoever sends it holds its lock for as long as it changes state.
    SELECT v.* INTO v_old FROM conversions v
    WHERE v.site_id = p_site AND v.call_id = p_call AND v.state <> 'retracted' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;  -- sealed before there was a ledger
    END IF;
    v_sent := v_old.state IN ('sent', 'accepted', 'matched') OR v_old.platform_value IS NOT NULL;
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
        v_new.due_at := v_old.due_at;
        IF v_new.value IS NULL AND v_sent THEN
            -- Nobody says any more what it is worth: the platform keeps what it was told.
            v_new.value := v_old.value;
            v_new.currency := v_old.currency;
            v_new.reason := v_old.reason;
        ELSIF v_new.value IS NULL AND v_old.state IN ('held', 'queued', 'failed') THEN
            v_new.state := 'skipped';
            v_new.reason := p_conversion ->> 'reason';
        ELSIF v_new.value IS NOT NULL AND v_old.value IS NULL AND v_old.state = 'skipped' AND v_old.reason = 'value_unknown' THEN
            -- It was stopped for want of an amount alone, and goes on as if it had been sealed now.
            v_new.consent := call_consent(p_site, p_call);
            v_new.consent_at := now();
            v_new.due_at := (p_conversion ->> 'due_at')::timestamptz;
            v_new.state := CASE WHEN consent_allows(p_site, p_call) THEN 'held' ELSE 'skipped' END;
            v_new.reason := CASE v_new.state WHEN 'held' THEN p_conversion ->> 'reason' ELSE 'no_consent' END;
            v_new.click_id := CASE v_new.state WHEN 'held' THEN v_old.click_id END;
            v_new.click_id_kind := CASE v_new.state WHEN 'held' THEN v_old.click_id_kind END;
        END IF;
        IF v_new IS NOT DISTINCT FROM v_old THEN
            RETURN;
        END IF;
        INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
        VALUES (p_site, gen_random_uuid(), v_old.id, v_old.state, v_new.state,
            CASE v_new.state WHEN 'skipped' THEN CASE v_old.state WHEN 'skipped' THEN p_conversion ->> 'move' ELSE v_new.reason END
                ELSE p_conversion ->> 'move' END);
    END IF;
    UPDATE conversions v SET state = v_new.state, reason = v_new.reason, occurred_at = v_new.occurred_at, due_at = v_new.due_at,
        value = v_new.value, currency = v_new.currency, click_id = v_new.click_id, click_id_kind = v_new.click_id_kind,
        consent = v_new.consent, consent_at = v_new.consent_at, updated_at = now()
    WHERE v.site_id = p_site AND v.id = v_old.id;
    -- What the platform has is to be put right or taken back there; what is on its way, after that is known.
    UPDATE conversions v SET next_at = CASE WHEN v.batch_id IS NULL AND v.state <> 'held' THEN owed_at(v) END
    WHERE v.site_id = p_site AND v.id = v_old.id AND v.state NOT IN ('queued', 'failed');
    PERFORM offer_move(p_site, p_call, v_old.id, v_old.state,
        CASE WHEN v_step = 'withdraw' THEN v_new.reason ELSE p_conversion ->> 'move' END);
END
$$;

CREATE FUNCTION public.needs_call(v public.conversions) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT (v).state IN ('held', 'queued') OR (v).batch_id IS NOT NULL OR (v).updated_at > now() - interval '90 days'
        AND ((v).state IN ('sent', 'accepted', 'matched', 'failed') OR (v).reason LIKE '%\_after\_sending')
$$;

CREATE FUNCTION public.new_recovery_codes(p_step bigint, p_code_hash bytea, p_code_hashes bytea[], p_note uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    IF NOT take_code(v_user, p_step, p_code_hash) THEN
        RETURN false;
    END IF;
    DELETE FROM recovery_codes WHERE user_id = v_user;
    INSERT INTO recovery_codes (user_id, code_hash) SELECT v_user, h FROM unnest(p_code_hashes) h;
    PERFORM note_act(NULL, p_note, 'account.recovery_codes', NULL, '{}');
    RETURN true;
END
$$;

CREATE FUNCTION public.note_act(p_site uuid, p_id uuid, p_action text, p_subject text, p_detail jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_actor uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_name text;
    v_before text := current_setting('app.maintenance', true);
BEGIN
    SELECT coalesce(nullif(u.name, '') || ' <' || u.email || '>', u.email) INTO v_name FROM users u WHERE u.id = v_actor;
    v_name := nullif(concat_ws(', ', v_name, 'key ' || nullif(current_setting('app.key_name', true), '')), '');
    IF v_name IS NULL AND session_user <> current_user THEN
        RAISE EXCEPTION 'nobody is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF p_site IS NULL THEN
        INSERT INTO platform_acts (id, actor, actor_name, address, action, subject, detail)
        VALUES (p_id, v_actor, coalesce(v_name, 'upkeep'), nullif(current_setting('app.address', true), ''), p_action,
            left(p_subject, 300), coalesce(p_detail, '{}'));
        RETURN;
    END IF;
    IF session_user <> current_user AND NOT coalesce(p_site = ANY (nullif(current_setting('app.sites', true), '')::uuid[]), false) THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO site_acts (site_id, id, actor, actor_name, address, action, subject, detail)
    VALUES (p_site, p_id, v_actor, coalesce(v_name, 'upkeep'), nullif(current_setting('app.address', true), ''), p_action,
        left(p_subject, 300), coalesce(p_detail, '{}'));
    EXECUTE format('SET LOCAL app.maintenance = %L', coalesce(v_before, ''));
END
$$;

CREATE FUNCTION public.note_download(p_site uuid, p_batch uuid, p_file_name text, p_digest bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE conversion_batches b SET file_name = coalesce(b.file_name, p_file_name), digest = coalesce(b.digest, p_digest),
        downloads = b.downloads + 1
    WHERE b.site_id = p_site AND b.id = p_batch;
END
$$;

CREATE FUNCTION public.note_invite_sent(p_site uuid, p_id uuid, p_turn integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM member_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE invites i SET sent_at = now(), sent_count = i.sent_count + 1
    WHERE i.site_id = p_site AND i.id = p_id AND i.turn = p_turn;
END
$$;

CREATE FUNCTION public.note_privacy(p_site uuid, p_id uuid, p_action text, p_subject text, p_most integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := privacy_keeper(p_site);
BEGIN
    IF p_action NOT IN ('privacy.erase', 'privacy.export') THEN
        RAISE EXCEPTION 'no such act' USING ERRCODE = 'check_violation';
    END IF;
    SET LOCAL app.maintenance = 'on';
    IF session_user <> current_user THEN
        -- one at a time, so that none is overlooked
        PERFORM pg_advisory_xact_lock(hashtextextended('opsmantik: privacy ' || coalesce(v_person, p_site), 0));
        IF (SELECT count(*) FROM recent_privacy_acts(v_person, p_site)) >= p_most THEN
            RAISE EXCEPTION 'too often' USING ERRCODE = 'program_limit_exceeded';
        END IF;
    END IF;
    PERFORM note_act(p_site, p_id, p_action, p_subject, '{}');
END
$$;

CREATE FUNCTION public.note_provider(p_provider text, p_answered boolean, p_reason text, p_most integer, p_seconds double precision, p_longest double precision) RETURNS double precision
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_failures integer;
    v_wait double precision;
BEGIN
    IF p_answered THEN
        UPDATE provider_circuits p SET failures = 0, open_until = '-infinity', reason = NULL, changed_at = now()
        WHERE p.provider = p_provider AND p.failures > 0;
        RETURN 0;
    END IF;
    INSERT INTO provider_circuits (provider, failures, reason) VALUES (p_provider, 1, left(p_reason, 300))
    ON CONFLICT (provider) DO UPDATE SET failures = provider_circuits.failures + 1, reason = left(p_reason, 300), changed_at = now()
    RETURNING failures INTO v_failures;
    IF v_failures < p_most THEN
        RETURN 0;
    END IF;
    v_wait := least(p_seconds * 2 ^ least(v_failures - p_most, 30), p_longest);
    UPDATE provider_circuits p SET open_until = now() + make_interval(secs => v_wait) WHERE p.provider = p_provider;
    RETURN v_wait;
END
$$;

CREATE FUNCTION public.note_pull(p_site uuid, p_batches uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_batches b WHERE b.site_id = p_site AND b.id = ANY (p_batches) ORDER BY b.id FOR NO KEY UPDATE;
    UPDATE conversion_batches b SET downloads = b.downloads + 1, state = 'sent', sent_at = coalesce(b.sent_at, now()),
        next_at = coalesce(b.next_at, now() + interval '1 day')
    WHERE b.site_id = p_site AND b.id = ANY (p_batches) AND b.adapter = 'file' AND b.created_name IS NULL AND b.state IN ('open', 'sent');
END
$$;

CREATE FUNCTION public.note_quotas() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_row record;
    v_count integer := 0;
BEGIN
    FOR v_row IN
        SELECT s.id, u.quota, u.used, m.month, p.percent
        FROM quota_use() u JOIN sites s ON s.id = u.site_id
        CROSS JOIN LATERAL (SELECT date_trunc('month', now() AT TIME ZONE s.time_zone)::date AS month) m
        CROSS JOIN LATERAL (SELECT max(x) AS percent FROM unnest(ARRAY[80, 100, 200]) x WHERE u.used * 100 >= u.quota * x) p
        WHERE p.percent IS NOT NULL
          AND (s.quota_noted_month IS DISTINCT FROM m.month OR s.quota_noted_percent < p.percent)
        ORDER BY s.id
    LOOP
        UPDATE sites s SET quota_noted_month = v_row.month, quota_noted_percent = v_row.percent WHERE s.id = v_row.id;
        PERFORM note_act(v_row.id, gen_random_uuid(), 'quota.reached', v_row.percent || ' %',
            jsonb_build_object('quota', v_row.quota, 'used', v_row.used));
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END
$$;

CREATE FUNCTION public.note_settings(p_site uuid, p_act uuid, p_action text, p_before jsonb, p_after jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_names text[] := ARRAY(SELECT a.key FROM jsonb_each(p_after) a WHERE a.value IS DISTINCT FROM p_before -> a.key);
BEGIN
    PERFORM note_act(p_site, p_act, p_action, NULL, jsonb_build_object(
        'before', (SELECT jsonb_object_agg(b.key, b.value) FROM jsonb_each(p_before) b WHERE b.key = ANY (v_names)),
        'after', (SELECT jsonb_object_agg(a.key, a.value) FROM jsonb_each(p_after) a WHERE a.key = ANY (v_names))));
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;

CREATE FUNCTION public.offer_email_link(p_link_hash bytea, p_email text, p_lifetime interval) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    DELETE FROM one_time_links WHERE user_id = v_user AND purpose = 'email';
    IF EXISTS (SELECT FROM users u WHERE u.email = p_email) THEN
        RETURN false;
    END IF;
    INSERT INTO one_time_links (token_hash, purpose, expires_at, user_id, email)
    VALUES (p_link_hash, 'email', now() + p_lifetime, v_user, p_email);
    RETURN true;
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

CREATE FUNCTION public.offer_move(p_site uuid, p_call uuid, p_conversion uuid, p_from text, p_reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM offer_webhooks(p_site, 'conversion.state_changed', p_call, jsonb_build_object('conversion',
        jsonb_build_object('id', p_conversion, 'from_state', p_from, 'reason', p_reason)));
END
$$;

CREATE FUNCTION public.offer_ownership(p_site uuid, p_act uuid, p_user uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := site_keeper(p_site);
    v_email text;
BEGIN
    SELECT u.email INTO v_email FROM site_members m
    JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL JOIN sites s ON s.id = m.site_id AND s.user_id <> m.user_id
    WHERE m.site_id = p_site AND m.user_id = p_user AND m.role = 'admin';
    IF NOT FOUND THEN
        RETURN 'not_admin';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO ownership_offers (site_id, offered_to, offered_by, expires_at)
    VALUES (p_site, p_user, v_person, now() + interval '7 days')
    ON CONFLICT (site_id) DO UPDATE SET offered_to = EXCLUDED.offered_to, offered_by = EXCLUDED.offered_by,
        offered_at = now(), expires_at = EXCLUDED.expires_at;
    PERFORM note_act(p_site, p_act, 'ownership.offer', v_email, '{}');
    RETURN 'offered';
END
$$;

CREATE FUNCTION public.offer_password_link(p_email text, p_link_hash bytea, p_lifetime interval) RETURNS TABLE(email text, language text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid;
BEGIN
    SELECT u.id, u.email, p.language INTO v_user, email, language
    FROM users u LEFT JOIN profiles p ON p.id = u.id WHERE u.email = lower(trim(p_email)) AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO one_time_links (token_hash, purpose, expires_at, user_id)
    VALUES (p_link_hash, 'password', now() + p_lifetime, v_user);
    RETURN NEXT;
END
$$;

CREATE FUNCTION public.offer_user_link(p_user uuid, p_link_hash bytea, p_lifetime interval, p_note uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_email text;
BEGIN
    INSERT INTO one_time_links (token_hash, purpose, expires_at, user_id)
    VALUES (p_link_hash, 'password', now() + p_lifetime, p_user);
    SELECT u.email INTO v_email FROM users u WHERE u.id = p_user;
    PERFORM note_act(NULL, p_note, 'users.reset_link', v_email, '{"by": "command line"}');
END
$$;

CREATE FUNCTION public.offer_webhooks(p_site uuid, p_type text, p_call uuid, p_more jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_event uuid := gen_random_uuid();
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks w WHERE w.site_id = p_site AND w.off_reason IS NULL AND p_type = ANY (w.events)) THEN
        RETURN;
    END IF;
    INSERT INTO webhook_deliveries (site_id, id, webhook_id, event_id, type, call_id, payload)
    SELECT w.site_id, gen_random_uuid(), w.id, v_event, p_type, p_call,
        webhook_payload(p_site, p_type, p_call, p_more, w.with_phone, w.with_click_id)
    FROM webhooks w JOIN calls c ON c.site_id = w.site_id AND c.id = p_call
    -- A lead that was there before the webhook is not news to it.
    WHERE w.site_id = p_site AND w.off_reason IS NULL AND p_type = ANY (w.events)
      AND (p_type <> 'lead.created' OR w.created_at <= c.created_at)
    ON CONFLICT (site_id, webhook_id, call_id) WHERE type = 'lead.created' DO NOTHING;
END
$$;

CREATE FUNCTION public.open_erasure(p_site uuid, p_erasure uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM FROM erasures e WHERE e.site_id = p_site AND e.id = p_erasure AND e.finished_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such erasure is under way' USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

CREATE FUNCTION public.open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    INSERT INTO sign_ins (token_hash, user_id, expires_at, user_agent, confirmed_at)
    SELECT p_token_hash, p_user, now() + p_lifetime, left(p_user_agent, 400), now()
    WHERE NOT EXISTS (SELECT FROM second_factors f WHERE f.user_id = p_user AND f.confirmed_at IS NOT NULL);
$$;

CREATE FUNCTION public.origins_seen(p_sites uuid[], p_origins text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    WITH seen AS MATERIALIZED (
        SELECT o.site_id, o.origin FROM unnest(p_sites, p_origins) AS n (site_id, origin)
        JOIN site_origins o ON o.site_id = n.site_id AND o.origin = n.origin
        ORDER BY o.site_id, o.origin FOR NO KEY UPDATE OF o)
    UPDATE site_origins o SET verified_at = coalesce(o.verified_at, now()), last_seen_at = now()
    FROM seen n WHERE o.site_id = n.site_id AND o.origin = n.origin
$$;

CREATE FUNCTION public.owed_at(v public.conversions) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$ SELECT CASE WHEN owed_step(v) IS NOT NULL AND (v).state <> 'failed' THEN now() END $$;

CREATE FUNCTION public.owed_step(v public.conversions) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE
    WHEN (v).state IN ('queued', 'failed') THEN 'new'
    WHEN (v).platform_value IS NULL THEN NULL
    WHEN (v).state IN ('accepted', 'matched') AND ((v).platform_value, (v).platform_currency) IS DISTINCT FROM ((v).value, (v).currency) THEN 'restate'
    WHEN (v).state IN ('retracted', 'skipped') AND (v).taken_back_at IS NULL THEN 'retract' END $$;

CREATE FUNCTION public.own_second_factor() RETURNS TABLE(id uuid, secret bytea, key_id text, last_step bigint, confirmed_at timestamp with time zone, codes_left integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT f.id, f.secret, f.key_id, f.last_step, f.confirmed_at,
        (SELECT count(*)::integer FROM recovery_codes c WHERE c.user_id = f.user_id AND c.used_at IS NULL)
    FROM second_factors f WHERE f.user_id = nullif(current_setting('app.person', true), '')::uuid
$$;

CREATE FUNCTION public.ownership_offer(p_site uuid) RETURNS TABLE(offered_to uuid, receiver text, giver text, offered_at timestamp with time zone, expires_at timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_role text := coalesce(site_role(p_site), '');
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    PERFORM see_all_sites();
    RETURN QUERY
        SELECT o.offered_to, coalesce(nullif(t.name, ''), t.email), coalesce(nullif(f.name, ''), f.email), o.offered_at, o.expires_at
        FROM ownership_offers o JOIN users t ON t.id = o.offered_to JOIN users f ON f.id = o.offered_by
        WHERE o.site_id = p_site AND o.expires_at > now()
          AND (v_role IN ('platform_admin', 'owner') OR (v_role <> '' AND o.offered_to = v_person));
END
$$;

CREATE FUNCTION public.page_key(p_url text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN p_url IS NULL THEN '' ELSE
    left(coalesce(nullif(regexp_replace(split_part(split_part(p_url, '#', 1), '?', 1), '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/]*', ''), ''), '/'), 120) END $$;

CREATE FUNCTION public.pass_second_factor(p_half_hash bytea, p_token_hash bytea, p_lifetime interval, p_step bigint, p_code_hash bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_half half_sign_ins;
BEGIN
    SELECT h.* INTO v_half FROM half_sign_ins h JOIN users u ON u.id = h.user_id AND u.disabled_at IS NULL
    WHERE h.token_hash = p_half_hash AND h.expires_at > now() FOR UPDATE OF h FOR SHARE OF u;
    IF NOT FOUND OR NOT take_code(v_half.user_id, p_step, p_code_hash) THEN
        RETURN false;
    END IF;
    DELETE FROM half_sign_ins WHERE token_hash = p_half_hash;
    INSERT INTO sign_ins (token_hash, user_id, expires_at, method, confirmed_at, second_factor_at, user_agent, address)
    VALUES (p_token_hash, v_half.user_id, now() + p_lifetime, v_half.method, now(), now(), v_half.user_agent, v_half.address);
    RETURN true;
END
$$;

CREATE FUNCTION public.password_link(p_link_hash bytea) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT u.email FROM one_time_links l JOIN users u ON u.id = l.user_id AND u.disabled_at IS NULL
    WHERE l.token_hash = p_link_hash AND l.purpose = 'password' AND l.used_at IS NULL AND l.expires_at > now()
$$;

CREATE FUNCTION public.person_sizes(p_site uuid, p_sessions uuid[], p_months date[], p_calls uuid[], p_visitors text[], p_rejected uuid[]) RETURNS TABLE(name text, month date, n bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM privacy_keeper(p_site);
    PERFORM see_all_sites();
    RETURN QUERY
    SELECT 'sessions', k.created_month, count(*) FROM session_keys k WHERE k.site_id = p_site AND k.id = ANY (p_sessions) GROUP BY 2
    UNION ALL
    SELECT 'events', e.session_month, count(*) FROM events e
    WHERE e.site_id = p_site AND e.session_month = ANY (p_months) AND e.session_id = ANY (p_sessions) GROUP BY 2
    UNION ALL
    SELECT 'calls', c.matched_session_month, count(*) FROM calls c WHERE c.site_id = p_site AND c.id = ANY (p_calls) GROUP BY 2
    UNION ALL
    SELECT 'conversions', NULL, count(*) FROM conversions v WHERE v.site_id = p_site AND v.call_id = ANY (p_calls) HAVING count(*) > 0
    UNION ALL
    SELECT 'visitors', NULL, cardinality(p_visitors)::bigint WHERE p_visitors <> '{}'
    UNION ALL
    SELECT 'rejected_events', NULL, cardinality(p_rejected)::bigint WHERE p_rejected <> '{}';
END
$$;

CREATE FUNCTION public.place_key(p_city text, p_district text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE WHEN p_city IS NULL AND p_district IS NULL THEN ''
    ELSE translate(coalesce(p_city, ''), '/', '-') || '/' || translate(coalesce(p_district, ''), '/', '-') END $$;

CREATE FUNCTION public.plain_case(p_text text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT lower(translate(p_text, 'Iİı', 'iii')) $$;

CREATE FUNCTION public.platform_audits(p_limit integer) RETURNS TABLE(report jsonb, asked_at timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM platform_keeper();
    RETURN QUERY SELECT r.report, w.asked_at
        FROM (VALUES ('audit')) AS j (job) LEFT JOIN upkeep_wishes w ON w.job = j.job
        LEFT JOIN (SELECT a.report FROM audit_runs a ORDER BY a.started_at DESC, a.id DESC LIMIT least(p_limit, 10)) r ON true;
END
$$;

CREATE FUNCTION public.platform_jobs() RETURNS TABLE(job text, started_at timestamp with time zone, finished_at timestamp with time zone, outcome text, detail jsonb, last_ok_at timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM platform_keeper();
    -- One step of the index a job, however many runs are kept.
    RETURN QUERY WITH RECURSIVE names AS (
        (SELECT u.job FROM upkeep_runs u ORDER BY u.job LIMIT 1)
        UNION ALL
        SELECT (SELECT u.job FROM upkeep_runs u WHERE u.job > n.job ORDER BY u.job LIMIT 1) FROM names n WHERE n.job IS NOT NULL)
    SELECT n.job, l.started_at, l.finished_at, l.outcome, l.detail,
        (SELECT o.started_at FROM upkeep_runs o WHERE o.job = n.job AND o.outcome = 'ok' ORDER BY o.started_at DESC LIMIT 1)
    FROM names n CROSS JOIN LATERAL (
        SELECT u.* FROM upkeep_runs u WHERE u.job = n.job ORDER BY u.started_at DESC LIMIT 1) l
    ORDER BY n.job;
END
$$;

CREATE FUNCTION public.platform_keeper() RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    IF NOT EXISTS (SELECT FROM profiles p JOIN users u ON u.id = p.id AND u.disabled_at IS NULL
        WHERE p.id = v_person AND p.role = 'admin') THEN
        RAISE EXCEPTION 'the asker does not run this installation' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

CREATE FUNCTION public.platform_log(p_before uuid, p_limit integer) RETURNS TABLE(id uuid, at timestamp with time zone, actor_name text, address text, action text, subject text, detail jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT a.id, a.at, a.actor_name, a.address, a.action, a.subject, a.detail FROM platform_acts a
    WHERE (p_before IS NULL OR a.id < p_before) AND EXISTS (SELECT FROM profiles p JOIN users u ON u.id = p.id AND u.disabled_at IS NULL
        WHERE p.id = nullif(current_setting('app.person', true), '')::uuid AND p.role = 'admin')
    ORDER BY a.id DESC LIMIT least(p_limit, 200)
$$;

CREATE FUNCTION public.platform_people(p_after uuid, p_limit integer) RETURNS TABLE(user_id uuid, email text, name text, created_at timestamp with time zone, disabled_at timestamp with time zone, is_admin boolean, last_seen_at timestamp with time zone, site_ids uuid[], site_names text[], memberships integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM platform_keeper();
    RETURN QUERY
        SELECT u.id, u.email, u.name, u.created_at, u.disabled_at, coalesce(p.role = 'admin', false),
            (SELECT max(i.last_seen_at) FROM sign_ins i WHERE i.user_id = u.id),
            coalesce(o.ids, '{}'), coalesce(o.names, '{}'),
            (SELECT count(*)::integer FROM site_members m JOIN sites s ON s.id = m.site_id AND s.user_id <> u.id
             WHERE m.user_id = u.id)
        FROM users u LEFT JOIN profiles p ON p.id = u.id
        CROSS JOIN LATERAL (SELECT array_agg(s.id ORDER BY lower(s.name), s.id) AS ids,
            array_agg(s.name ORDER BY lower(s.name), s.id) AS names FROM sites s WHERE s.user_id = u.id) o
        WHERE p_after IS NULL OR (u.created_at, u.id) < (SELECT a.created_at, a.id FROM users a WHERE a.id = p_after)
        ORDER BY u.created_at DESC, u.id DESC LIMIT least(p_limit, 200);
END
$$;

CREATE FUNCTION public.platform_state(p_most integer) RETURNS TABLE(database_bytes bigint, version text, default_sessions bigint, default_events bigint, sites bigint, sites_off bigint, silent bigint, never bigint, refused bigint, waiting bigint, webhooks_failing bigint, mails_failing bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM platform_keeper();
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    SELECT pg_database_size(current_database()), current_setting('server_version'),
        (SELECT count(*) FROM (SELECT FROM parts.sessions_default LIMIT p_most) d),
        (SELECT count(*) FROM (SELECT FROM parts.events_default LIMIT p_most) d),
        s.sites, s.sites_off, s.silent, s.never, r.refused, r.waiting,
        (SELECT count(*) FROM webhooks w WHERE w.failing_since IS NOT NULL OR w.off_reason IN ('gone', 'failing')),
        (SELECT count(*) FROM notice_wishes n WHERE n.failures > 0)
    FROM (
        SELECT count(*) AS sites, count(*) FILTER (WHERE x.disabled_at IS NOT NULL) AS sites_off,
            count(*) FILTER (WHERE x.disabled_at IS NULL AND p.last_event_at < now() - interval '1 day') AS silent,
            count(*) FILTER (WHERE x.disabled_at IS NULL AND p.last_event_at IS NULL) AS never
        FROM sites x LEFT JOIN site_state p ON p.site_id = x.id) s
    CROSS JOIN (
        -- Site by site, each by its own index, over a day.
        SELECT coalesce(sum(k.refused), 0)::bigint AS refused, coalesce(sum(k.waiting), 0)::bigint AS waiting
        FROM sites x CROSS JOIN LATERAL (
            SELECT count(*) AS refused, count(*) FILTER (WHERE e.replayed_at IS NULL) AS waiting FROM (
                SELECT y.replayed_at FROM rejected_events y
                WHERE y.site_id = x.id AND y.received_at >= now() - interval '1 day' LIMIT p_most) e) k) r;
END
$$;

CREATE FUNCTION public.preview_conversions(p_site uuid, p_kind text, p_most integer, p_at timestamp with time zone, p_id uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
DECLARE
    v_route conversion_routes;
    v_first record;
BEGIN
    PERFORM conversion_keeper(p_site);
    PERFORM see_all_sites();
    SELECT r.* INTO v_route FROM conversion_routes r WHERE r.site_id = p_site;
    SELECT owed_step(v) AS kind, CASE WHEN owed_step(v) <> 'new' THEN v.sent_to END AS sent_to INTO v_first FROM conversions v
    WHERE v.site_id = p_site AND v.next_at <= now() AND v.batch_id IS NULL
      AND (owed_step(v) = 'new' OR owed_step(v) IS NOT NULL AND v.sent_to ->> 'adapter' = v_route.adapter)
      AND (p_kind IS NULL OR owed_step(v) = p_kind)
    ORDER BY v.next_at LIMIT 1;
    IF v_first.kind IS NULL OR NOT coalesce(v_route.is_on, false) THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT jsonb_build_object(
        'site_id', p_site, 'id', '00000000-0000-0000-0000-000000000000', 'kind', v_first.kind, 'adapter', v_route.adapter,
        'destination', coalesce(v_first.sent_to -> 'destination', v_route.destination), 'state', 'open', 'attempts', 0,
        'request_id', NULL, 'created_at', now(), 'site_name', t.name, 'public_id', t.public_id, 'time_zone', t.time_zone,
        'with_hashes', v_route.with_hashes,
        'items', (SELECT coalesce(jsonb_agg(jsonb_build_object('position', n.position, 'conversion_id', n.id, 'order_id', n.order_id,
                'occurred_at', n.occurred_at, 'value', (CASE v_first.kind WHEN 'retract' THEN 0 ELSE n.value END)::text,
                'currency', CASE v_first.kind WHEN 'retract' THEN n.platform_currency ELSE n.currency END, 'click_id', n.click_id,
                'click_id_kind', n.click_id_kind, 'clicked_at', n.clicked_at, 'consent', n.consent, 'next_at', n.next_at)
                ORDER BY n.position), '[]')
            FROM (SELECT v.*, row_number() OVER (ORDER BY v.next_at, v.id) AS position FROM conversions v
                WHERE v.site_id = p_site AND v.next_at <= now() AND v.batch_id IS NULL AND owed_step(v) = v_first.kind
                  AND (v.next_at, v.id) > (coalesce(p_at, '-infinity'), coalesce(p_id, '00000000-0000-0000-0000-000000000000'))
                  AND CASE v_first.kind WHEN 'new' THEN consent_allows(p_site, v.call_id)
                      AND coalesce(v.clicked_at, v.occurred_at) >= now() - interval '90 days' ELSE v.sent_to = v_first.sent_to END
                ORDER BY v.next_at, v.id LIMIT p_most) n))
    FROM sites t WHERE t.id = p_site);
END
$$;

CREATE FUNCTION public.privacy_keeper(p_site uuid) RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF session_user = current_user THEN
        RETURN NULL;
    END IF;
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker keeps nobody''s privacy on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN nullif(current_setting('app.person', true), '')::uuid;
END
$$;

CREATE FUNCTION public.providers() RETURNS TABLE(provider text, failures integer, open_until timestamp with time zone, reason text, is_on boolean, changed_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ SELECT p.provider, p.failures, p.open_until, p.reason, p.is_on, p.changed_at FROM provider_circuits p ORDER BY p.provider $$;

CREATE FUNCTION public.pull_batches(p_site uuid) RETURNS SETOF jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM see_all_sites();
    RETURN QUERY SELECT carried_contents(b.site_id, b.id) FROM conversion_batches b
    WHERE b.site_id = p_site AND b.adapter = 'file' AND b.created_name IS NULL AND b.state IN ('open', 'sent')
    ORDER BY b.created_at, b.id;
END
$$;

CREATE FUNCTION public.pull_route(p_public_id text, OUT site_id uuid, OUT secret bytea, OUT key_id text, OUT is_on boolean) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM see_all_sites();
    SELECT r.site_id, r.secret, r.key_id, r.is_on AND t.disabled_at IS NULL
    INTO pull_route.site_id, pull_route.secret, pull_route.key_id, pull_route.is_on
    FROM sites t JOIN conversion_routes r ON r.site_id = t.id
    WHERE t.public_id = p_public_id AND r.adapter = 'file' AND r.destination ? 'pull';
END
$$;

CREATE FUNCTION public.pull_sites() RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM see_all_sites();
    RETURN QUERY SELECT r.site_id FROM conversion_routes r WHERE r.adapter = 'file' AND (r.destination ? 'pull' OR EXISTS (
        SELECT FROM conversion_batches b WHERE b.site_id = r.site_id AND b.state = 'sent' AND b.adapter = 'file'));
END
$$;

CREATE FUNCTION public.put_back_events(p_columns text[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_nestloop TO 'off'
    AS $$
DECLARE
    v_columns text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(p_columns) c);
    v_back bigint;
BEGIN
    EXECUTE format('INSERT INTO events (%s) SELECT %s FROM pg_temp.archived_events a WHERE EXISTS (SELECT FROM session_keys k '
        'WHERE k.site_id = a.site_id AND k.id = a.session_id AND k.created_month = a.session_month) ON CONFLICT DO NOTHING',
        v_columns, v_columns);
    GET DIAGNOSTICS v_back = ROW_COUNT;
    RETURN v_back;
END
$$;

CREATE FUNCTION public.put_back_visits(p_columns text[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_nestloop TO 'off'
    AS $$
DECLARE
    v_columns text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(p_columns) c);
    v_back bigint;
BEGIN
    INSERT INTO session_keys (site_id, id, created_month)
    SELECT a.site_id, a.id, a.created_month FROM pg_temp.archived_sessions a JOIN sites s ON s.id = a.site_id
    ON CONFLICT DO NOTHING;
    EXECUTE format('INSERT INTO sessions (%s) SELECT %s FROM pg_temp.archived_sessions a WHERE EXISTS (SELECT FROM session_keys k '
        'WHERE k.site_id = a.site_id AND k.id = a.id AND k.created_month = a.created_month) ON CONFLICT DO NOTHING',
        v_columns, v_columns);
    GET DIAGNOSTICS v_back = ROW_COUNT;
    RETURN v_back;
END
$$;

CREATE FUNCTION public.put_conversion_secret(p_site uuid, p_secret bytea, p_key_id text, p_mine boolean, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_adapter text;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE conversion_routes r SET secret = p_secret, key_id = p_key_id, trouble = NULL, trouble_at = NULL, not_before = '-infinity',
        connected_by = CASE WHEN p_mine THEN (SELECT u.id FROM users u WHERE u.id = nullif(current_setting('app.person', true), '')::uuid) END,
        updated_at = now()
    WHERE r.site_id = p_site RETURNING r.adapter INTO v_adapter;
    IF v_adapter IS NULL THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'conversions.connect', v_adapter,
        jsonb_build_object('by', CASE WHEN p_mine THEN 'person' WHEN p_secret IS NULL THEN 'nothing' ELSE 'secret' END));
    RETURN true;
END
$$;

CREATE FUNCTION public.put_credential(p_id uuid, p_access_token bytea, p_refresh_token bytea, p_key_id text, p_expires_at timestamp with time zone, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_provider text;
BEGIN
    UPDATE user_credentials c SET access_token = p_access_token, refresh_token = p_refresh_token, key_id = p_key_id,
        expires_at = p_expires_at, updated_at = now()
    WHERE c.id = p_id AND c.user_id = nullif(current_setting('app.person', true), '')::uuid
    RETURNING c.provider INTO v_provider;
    IF v_provider IS NOT NULL AND p_act IS NOT NULL THEN
        PERFORM note_act(NULL, p_act, 'credentials.keep', v_provider, '{}');
    END IF;
    RETURN v_provider IS NOT NULL;
END
$$;

CREATE FUNCTION public.put_webhook_secrets(p_site uuid, p_id uuid, p_secret bytea, p_next bytea, p_key_id text, p_act uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_url text;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE webhooks w SET secret = p_secret, next_secret = p_next, key_id = p_key_id, updated_at = now(),
        rotating_since = CASE WHEN p_next IS NOT NULL THEN now() END
    WHERE w.site_id = p_site AND w.id = p_id RETURNING w.url INTO v_url;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM note_act(p_site, p_act, CASE WHEN p_next IS NULL THEN 'webhooks.retire_secret' ELSE 'webhooks.rotate_secret' END,
        webhook_host(v_url), '{}');
END
$$;

CREATE FUNCTION public.queue_conversions(p_limit integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_site uuid;
    v_ids uuid[];
    v_ready uuid[];
BEGIN
    SET LOCAL app.maintenance = 'on';
    FOR v_site IN SELECT t.id FROM sites t
        WHERE EXISTS (SELECT FROM conversions v WHERE v.site_id = t.id AND v.state = 'held' AND v.due_at <= now()) LOOP
        -- Whoever is at it already goes on alone.
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended('opsmantik queue ' || v_site, 0));
        v_ids := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = v_site AND v.state = 'held' AND v.due_at <= now()
            ORDER BY v.due_at LIMIT p_limit);
        v_ready := ready_conversions(v_site, v_ids);
        v_ready := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = v_site AND v.id = ANY (v_ready) AND v.state = 'held');
        IF v_ready <> '{}' THEN
            PERFORM shift_conversions(v_site, (SELECT jsonb_agg(jsonb_build_object('id', r, 'state', 'queued', 'move', NULL,
                'next_at', now())) FROM unnest(v_ready) r));
        END IF;
        IF v_ids <> '{}' THEN
            RETURN cardinality(v_ids);
        END IF;
    END LOOP;
    RETURN 0;
END
$$;

CREATE FUNCTION public.quota_use() RETURNS TABLE(site_id uuid, quota bigint, used bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    SELECT s.id, s.monthly_quota, coalesce(u.n, 0)
    FROM sites s CROSS JOIN LATERAL (
        SELECT sum(c.n)::bigint AS n FROM ingest_counts c
        WHERE c.site_id = s.id AND c.outcome = 'stored'
          AND c.hour >= date_trunc('hour', date_trunc('month', now() AT TIME ZONE s.time_zone) AT TIME ZONE s.time_zone)) u
    WHERE s.monthly_quota IS NOT NULL;
END
$$;

CREATE FUNCTION public.ready_conversions(p_site uuid, p_ids uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_ready uuid[] := refresh_consent(p_site, p_ids);
    v_old uuid[] := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ready)
        AND coalesce(v.clicked_at, v.occurred_at) < now() - interval '90 days');
BEGIN
    IF v_old <> '{}' THEN
        PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', o, 'state', 'skipped', 'reason', 'too_old',
            'move', 'too_old', 'next_at', NULL)) FROM unnest(v_old) o));
    END IF;
    RETURN ARRAY(SELECT r FROM unnest(v_ready) r WHERE r <> ALL (v_old));
END
$$;

CREATE FUNCTION public.rebuild_counters(p_site uuid, p_from date DEFAULT NULL::date, p_to date DEFAULT NULL::date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_zone text;
    v_currency text;
    v_from date;
    v_to date := coalesce(p_to, 'infinity');
    v_count integer;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_counters(p_site);
    SELECT s.time_zone, s.currency, coalesce(greatest(s.facts_since, p_from), '-infinity') INTO v_zone, v_currency, v_from
    FROM sites s WHERE s.id = p_site;
    WITH cells AS (
        SELECT r.*, 1 AS sign FROM recount(p_site, CASE WHEN isfinite(v_from) THEN v_from::timestamp AT TIME ZONE 'UTC' - interval '2 days' ELSE '-infinity' END,
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
        PERFORM gather_leads(p_site);
    END IF;
    RETURN v_count;
END
$$;

CREATE FUNCTION public.recent_privacy_acts(p_person uuid, p_site uuid) RETURNS SETOF uuid
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT a.id FROM site_acts a WHERE (a.actor = p_person OR p_person IS NULL AND a.actor IS NULL AND a.site_id = p_site)
      AND a.at > now() - interval '1 hour' AND a.action IN ('privacy.erase', 'privacy.export')
$$;

CREATE FUNCTION public.reclaim_batch(p_site uuid, p_adapter text, p_lease integer) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_batch uuid;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    SELECT b.id INTO v_batch FROM conversion_batches b
    WHERE b.site_id = p_site AND b.adapter = p_adapter AND b.state = 'open' AND b.next_at <= now()
    ORDER BY b.next_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF v_batch IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE conversion_batches b SET attempts = b.attempts + 1, next_at = now() + make_interval(secs => p_lease)
    WHERE b.site_id = p_site AND b.id = v_batch;
    -- What is put right or taken back names nobody.
    IF EXISTS (SELECT FROM conversion_batches b WHERE b.site_id = p_site AND b.id = v_batch AND b.kind = 'new') THEN
        PERFORM withhold_items(p_site, v_batch);
    END IF;
    RETURN v_batch;
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
    INSERT INTO counter_journal (site_id, entries, calls, changed_at, last_intent_at)
    VALUES (p_site, call_entries(p_site, ARRAY[p_id], 1), ARRAY[p_id], now(), now());
END
$$;

CREATE FUNCTION public.record_call_v3(p_site uuid, p_id uuid, p_signature bytea, p_number text, p_fingerprint text, p_click_kind text, p_click_id text, p_event_id text, p_called_at timestamp with time zone, p_direction text, p_outcome text, p_seconds integer, p_currency text, p_window_minutes integer, p_click_days integer, p_repeat_seconds integer, OUT answer jsonb, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts public.lead_facts) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_session sessions;
    v_at timestamptz := coalesce(p_called_at, now());
    v_stamp text := 'call:' || p_event_id;
BEGIN
    SET LOCAL app.maintenance = 'on';
    is_new := false;
    INSERT INTO call_signatures (site_id, signature) VALUES (p_site, p_signature) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT s.answer INTO record_call_v3.answer FROM call_signatures s
        WHERE s.site_id = p_site AND s.signature = p_signature;
        RETURN;
    END IF;

    -- Without an event id by the same name as unsigned reports, so that one of each is one call.
    PERFORM pg_advisory_xact_lock(hashtextextended(
        p_site::text || coalesce(v_stamp, p_number || coalesce(p_fingerprint, '')), 1));
    IF v_stamp IS NOT NULL THEN
        SELECT c.id, c.matched_session_id INTO call_id, session_id FROM calls c
        WHERE c.site_id = p_site AND c.intent_stamp = v_stamp;
    ELSE
        SELECT c.id, c.matched_session_id INTO call_id, session_id FROM calls c
        WHERE c.site_id = p_site AND c.phone_number = p_number AND c.source = 'api'
          AND (p_fingerprint IS NULL OR c.matched_fingerprint = p_fingerprint)
          AND c.created_at > now() - make_interval(secs => p_repeat_seconds)
        ORDER BY c.created_at DESC LIMIT 1;
    END IF;
    is_new := call_id IS NULL;

    IF NOT is_new THEN
        SELECT s.* INTO v_session FROM calls c JOIN sessions s ON s.site_id = c.site_id
            AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = call_id;
    END IF;
    IF is_new AND p_click_id IS NOT NULL THEN
        SELECT s.* INTO v_session FROM sessions s
        WHERE s.site_id = p_site AND p_click_id IN (s.gclid, s.wbraid, s.gbraid)
          AND s.created_at > v_at - make_interval(days => p_click_days) AND s.started_at < v_at + interval '2 minutes'
          AND s.created_month >= date_trunc('month', (v_at - make_interval(days => p_click_days)) AT TIME ZONE 'UTC')::date
        ORDER BY s.created_at DESC LIMIT 1;
    END IF;
    IF is_new AND v_session.id IS NULL AND p_fingerprint IS NOT NULL THEN
        -- A visit that is still going on may have begun last month, or before: its key says in which partition.
        SELECT s.* INTO v_session FROM sessions s
        WHERE s.site_id = p_site AND s.fingerprint = p_fingerprint
          AND s.last_event_at > v_at - make_interval(mins => p_window_minutes) AND s.started_at < v_at + interval '2 minutes'
          AND s.created_at > v_at - interval '32 days'
          AND s.created_month >= (date_trunc('month', v_at AT TIME ZONE 'UTC') - interval '1 month')::date
        ORDER BY s.last_event_at DESC LIMIT 1;
    END IF;
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
    INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, phone_number, currency, intent_stamp,
        matched_fingerprint, matched_session_id, matched_session_month, matched_at, click_id, click_id_kind,
        call_direction, call_outcome, call_seconds)
    VALUES (p_site, p_id, now(), v_at, now(), 'api', p_number, p_currency, v_stamp,
        coalesce(p_fingerprint, v_session.fingerprint), v_session.id, v_session.created_month,
        CASE WHEN v_session.id IS NOT NULL THEN now() END,
        coalesce(p_click_id, v_session.gclid, v_session.wbraid, v_session.gbraid),
        CASE WHEN p_click_id IS NOT NULL THEN p_click_kind WHEN v_session.gclid IS NOT NULL THEN 'gclid'
             WHEN v_session.wbraid IS NOT NULL THEN 'wbraid' WHEN v_session.gbraid IS NOT NULL THEN 'gbraid' END,
        p_direction, p_outcome, p_seconds);
    INSERT INTO counter_journal (site_id, entries, calls, changed_at, last_intent_at)
    VALUES (p_site, call_entries(p_site, ARRAY[p_id], 1), ARRAY[p_id], now(), now());
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
    SELECT p_site, p_id, p_rejected, u.id, coalesce(u.email, current_setting('app.key_name', true)),
        record_replay.replay_count, p_outcome, left(p_error, 500)
    FROM (SELECT v_person AS id) w LEFT JOIN users u ON u.id = w.id;
    IF p_let_in AND v_old.replayed_at IS NULL THEN
        INSERT INTO counter_journal (site_id, tally, changed_at)
        VALUES (p_site, ARRAY[ROW(p_site, v_old.reason, -1, v_old.received_at)::tally_draft], now());
    END IF;
END
$$;

CREATE FUNCTION public.record_replays(p_site uuid, p_rejected uuid[], p_ids uuid[], p_outcomes text[], p_errors text[]) RETURNS TABLE(rejected_id uuid, replay_count integer, last_replay_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker lets nothing in on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO counter_journal (site_id, tally, changed_at)
    SELECT p_site, array_agg(ROW(p_site, x.reason, -x.n, x.hour)::tally_draft), now()
    FROM (SELECT r.reason, date_trunc('hour', r.received_at) AS hour, count(*) AS n
        FROM unnest(p_rejected, p_errors) AS t (id, error)
        JOIN rejected_events r ON r.site_id = p_site AND r.id = t.id AND r.replayed_at IS NULL
        WHERE t.error IS NULL GROUP BY 1, 2) x
    HAVING count(*) > 0;
    UPDATE rejected_events r SET replay_count = r.replay_count + 1, last_replay_at = now(),
        last_replay_error = left(t.error, 500),
        replayed_at = coalesce(r.replayed_at, CASE WHEN t.error IS NULL THEN now() END)
    FROM unnest(p_rejected, p_errors) AS t (id, error)
    WHERE r.site_id = p_site AND r.id = t.id;
    INSERT INTO replays (site_id, id, rejected_id, actor, actor_email, replay_count, outcome, error)
    SELECT p_site, t.id, r.id, u.id, coalesce(u.email, current_setting('app.key_name', true)), r.replay_count, t.outcome,
        left(t.error, 500)
    FROM unnest(p_rejected, p_ids, p_outcomes, p_errors) AS t (rejected_id, id, outcome, error)
    JOIN rejected_events r ON r.site_id = p_site AND r.id = t.rejected_id
    LEFT JOIN users u ON u.id = v_person;
    RETURN QUERY SELECT r.id, r.replay_count, r.last_replay_at FROM unnest(p_rejected) WITH ORDINALITY AS t (id, place)
        JOIN rejected_events r ON r.site_id = p_site AND r.id = t.id ORDER BY t.place;
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

CREATE FUNCTION public.refresh_consent(p_site uuid, p_conversions uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
    v_calls uuid[] := ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_conversions)
        AND v.state IN ('held', 'queued', 'failed'));
    v_ids uuid[];
    v_grounds text[];
    v_stopped uuid[];
    v_entries counter_entry[];
    v_was conversions[];
BEGIN
    PERFORM lock_leads(p_site, v_calls);
    PERFORM FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_conversions) ORDER BY v.id FOR UPDATE;
    SELECT array_agg(v.id), array_agg(k.consent) INTO v_ids, v_grounds
    FROM calls_consent(p_site, v_calls) k JOIN conversions v ON v.site_id = p_site AND v.call_id = k.call_id
    WHERE v.id = ANY (p_conversions) AND v.state IN ('held', 'queued', 'failed');
    v_was := ARRAY(SELECT v FROM unnest(v_ids, v_grounds) AS k (id, consent) JOIN conversions v ON v.site_id = p_site AND v.id = k.id
        WHERE k.consent NOT IN ('granted', 'implied', 'legacy'));
    v_stopped := ARRAY(SELECT (w).call_id FROM unnest(v_was) w);
    IF v_stopped <> '{}' THEN
        v_entries := call_entries(p_site, v_stopped, -1);
        INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
        SELECT p_site, gen_random_uuid(), (w).id, (w).state, 'skipped', 'no_consent' FROM unnest(v_was) w;
        UPDATE conversions v SET state = 'skipped', reason = 'no_consent', next_at = NULL, click_id = NULL, click_id_kind = NULL,
            updated_at = now()
        FROM unnest(v_was) w WHERE v.site_id = p_site AND v.id = (w).id;
    END IF;
    UPDATE conversions v SET consent = k.consent, consent_at = now()
    FROM unnest(v_ids, v_grounds) AS k (id, consent) WHERE v.site_id = p_site AND v.id = k.id;
    IF v_stopped <> '{}' THEN
        INSERT INTO counter_journal (site_id, entries, changed_at)
        VALUES (p_site, v_entries || call_entries(p_site, v_stopped, 1), now());
        PERFORM offer_move(p_site, (w).call_id, (w).id, (w).state, 'no_consent') FROM unnest(v_was) w;
    END IF;
    RETURN ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_conversions)
        AND v.state IN ('held', 'queued', 'failed') ORDER BY v.id);
END
$$;

CREATE FUNCTION public.release_batch(p_site uuid, p_batch uuid, p_seconds double precision) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    UPDATE conversion_batches b SET next_at = now() + make_interval(secs => p_seconds)
    WHERE b.site_id = p_site AND b.id = p_batch AND b.state = 'open' AND b.adapter = 'script';
    RETURN FOUND;
END
$$;

CREATE FUNCTION public.remove_call_secret(p_site uuid, p_id uuid, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_place text;
    v_promoted boolean := false;
BEGIN
    PERFORM key_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    DELETE FROM call_secrets c WHERE c.site_id = p_site AND c.id = p_id RETURNING c.place INTO v_place;
    IF v_place IS NULL THEN
        RETURN false;
    END IF;
    IF v_place = 'current' THEN
        UPDATE call_secrets c SET place = 'current' WHERE c.site_id = p_site AND c.place = 'next';
        v_promoted := FOUND;
    END IF;
    PERFORM note_act(p_site, p_act, CASE WHEN v_promoted THEN 'call_secrets.promote' ELSE 'call_secrets.remove' END,
        v_place, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;

CREATE FUNCTION public.remove_member(p_site uuid, p_act uuid, p_user uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := member_manager(p_site);
    v_refused text := untouchable(p_site, v_person, p_user);
    v_before text;
BEGIN
    IF v_refused IS NOT NULL THEN
        RETURN v_refused;
    END IF;
    SET LOCAL app.maintenance = 'on';  -- an offer to them goes with them
    DELETE FROM site_members m WHERE m.site_id = p_site AND m.user_id = p_user RETURNING m.role INTO v_before;
    PERFORM note_act(p_site, p_act, 'members.remove', (SELECT u.email FROM users u WHERE u.id = p_user),
        jsonb_build_object('role', v_before));
    RETURN 'removed';
END
$$;

CREATE FUNCTION public.remove_origin(p_site uuid, p_act uuid, p_origin text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM site_origins o WHERE o.site_id = p_site AND o.origin = p_origin;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'origins.remove', p_origin, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;

CREATE FUNCTION public.remove_test_visits(p_site uuid, p_act uuid, p_pattern text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_month date;
    v_sessions uuid[];
    v_visitors text[];
    v_calls uuid[];
    v_count integer := 0;
BEGIN
    IF session_user <> current_user AND coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- Whatever the caller asks for: nothing but what was never a customer's.
    IF p_pattern NOT LIKE 'test-opsmantik-%' THEN
        RAISE EXCEPTION 'these are no test visits' USING ERRCODE = 'check_violation';
    END IF;
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_counters(p_site);
    FOR v_month, v_sessions, v_visitors IN
        SELECT s.created_month, array_agg(s.id ORDER BY s.id),
            coalesce(array_agg(DISTINCT s.fingerprint) FILTER (WHERE s.fingerprint <> ''), '{}')
        FROM sessions s
        WHERE s.site_id = p_site AND s.created_at >= now() - interval '7 days'
          AND s.created_month >= date_trunc('month', (now() - interval '7 days') AT TIME ZONE 'UTC')::date AND s.gclid LIKE p_pattern
        GROUP BY s.created_month ORDER BY s.created_month
    LOOP
        PERFORM drop_visits(p_site, NULL, v_month, v_sessions);
        PERFORM settle_visitors(p_site, v_visitors);
        v_count := v_count + cardinality(v_sessions);
    END LOOP;
    -- A test tap within a visit that had begun otherwise: the visit stays, and has one lead less.
    v_calls := ARRAY(SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.created_at >= now() - interval '7 days' AND c.click_id LIKE p_pattern);
    IF v_calls <> '{}' THEN
        UPDATE sessions s SET intent_count = greatest(0, s.intent_count - x.n) FROM (
            SELECT c.matched_session_month AS month, c.matched_session_id AS id, count(*)::integer AS n FROM calls c
            WHERE c.site_id = p_site AND c.id = ANY (v_calls) AND c.matched_session_id IS NOT NULL GROUP BY 1, 2) x
        WHERE s.site_id = p_site AND s.created_month = x.month AND s.id = x.id;
        PERFORM erase_calls(p_site, NULL, v_calls);
        v_count := v_count + cardinality(v_calls);
    END IF;
    IF v_count > 0 THEN
        PERFORM fold_counters(p_site);
        PERFORM note_act(p_site, p_act, 'install.remove_tests', NULL, jsonb_build_object('visits', v_count));
    END IF;
    RETURN v_count;
END
$$;

CREATE FUNCTION public.remove_view(p_site uuid, p_id uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := view_keeper(p_site);
BEGIN
    SET LOCAL app.maintenance = 'on';
    DELETE FROM saved_views v WHERE v.site_id = p_site AND v.id = p_id AND keeps_view(v, v_person);
    RETURN FOUND;
END
$$;

CREATE FUNCTION public.remove_webhook(p_site uuid, p_id uuid, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_url text;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    DELETE FROM webhooks w WHERE w.site_id = p_site AND w.id = p_id RETURNING w.url INTO v_url;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'webhooks.remove', webhook_host(v_url), '{}');
    RETURN true;
END
$$;

CREATE FUNCTION public.renew_sign_in(p_user uuid, p_old bytea, p_new bytea, p_with_code boolean) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    UPDATE sign_ins SET token_hash = p_new, confirmed_at = now(), last_seen_at = now(),
        second_factor_at = CASE WHEN p_with_code THEN now() ELSE second_factor_at END
    WHERE token_hash = p_old AND user_id = p_user
$$;

CREATE FUNCTION public.replay_delivery(p_site uuid, p_webhook uuid, p_id uuid, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_type text;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE webhook_deliveries d SET state = 'waiting', attempts = 0, next_at = now(), delivered_at = NULL
    WHERE d.site_id = p_site AND d.webhook_id = p_webhook AND d.id = p_id
      AND EXISTS (SELECT FROM webhooks w WHERE w.site_id = p_site AND w.id = p_webhook AND w.off_reason IS NULL)
    RETURNING d.type INTO v_type;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'webhooks.replay', p_id::text, jsonb_build_object('type', v_type));
    RETURN true;
END
$$;

CREATE FUNCTION public.resend_invite(p_site uuid, p_act uuid, p_id uuid, p_turn integer, p_hash bytea, OUT outcome text, OUT retry_after integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := member_manager(p_site);
    v_invite invites;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT i.* INTO v_invite FROM invites i
    WHERE i.site_id = p_site AND i.id = p_id AND i.accepted_at IS NULL AND i.revoked_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'gone';
        RETURN;
    END IF;
    IF p_turn IS DISTINCT FROM v_invite.turn + 1 THEN
        outcome := 'again';
        RETURN;
    END IF;
    retry_after := invites_wait(p_site, v_person);
    IF retry_after > 0 THEN
        outcome := 'too_many';
        RETURN;
    END IF;
    UPDATE invites i SET turn = p_turn, token_hash = p_hash, invited_by = v_person, sent_at = NULL,
        expires_at = now() + interval '7 days'
    WHERE i.site_id = p_site AND i.id = p_id;
    PERFORM note_act(p_site, p_act, 'members.resend', v_invite.email, jsonb_build_object('role', v_invite.role));
    outcome := 'resent';
END
$$;

CREATE FUNCTION public.reset_second_factor(p_user uuid, p_note uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_email text;
BEGIN
    SELECT u.email INTO v_email FROM users u WHERE u.id = p_user FOR NO KEY UPDATE;
    DELETE FROM half_sign_ins WHERE user_id = p_user;
    DELETE FROM recovery_codes WHERE user_id = p_user;
    DELETE FROM second_factors WHERE user_id = p_user;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(NULL, p_note, 'users.reset_second_factor', v_email, '{"by": "command line"}');
    RETURN true;
END
$$;

CREATE FUNCTION public.retention_preview(p_site uuid, p_months integer) RETURNS TABLE(before timestamp with time zone, sessions bigint, calls bigint, kept_calls bigint, visitors bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_before timestamptz := kept_since(p_months);
BEGIN
    PERFORM privacy_keeper(p_site);
    PERFORM see_all_sites();
    RETURN QUERY SELECT v_before,
        (SELECT count(*) FROM session_keys k WHERE k.site_id = p_site AND k.created_month < (v_before AT TIME ZONE 'UTC')::date),
        (SELECT count(*) FROM calls c WHERE c.site_id = p_site AND c.created_at < v_before),
        (SELECT count(*) FROM calls c WHERE c.site_id = p_site AND c.created_at < v_before AND (
            c.confirmed_at >= v_before + interval '7 days' OR EXISTS (
                SELECT FROM conversions v WHERE v.site_id = p_site AND v.call_id = c.id AND needs_call(v)))),
        (SELECT count(*) FROM visitors v WHERE v.site_id = p_site AND v.last_seen_at < v_before);
END
$$;

CREATE FUNCTION public.retry_conversions(p_site uuid, p_ids uuid[], p_act uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_ids uuid[];
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_ids)));
    -- What was to be put right or taken back and was refused for good is tried again as well.
    v_ids := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_ids) AND v.batch_id IS NULL
        AND owed_step(v) IS NOT NULL AND (v.next_at IS NULL OR v.next_at > now()) ORDER BY v.id FOR UPDATE);
    IF v_ids <> '{}' THEN
        PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', i, 'next_at', now(), 'move', 'tried_again')) FROM unnest(v_ids) i));
        PERFORM note_act(p_site, p_act, 'conversions.retry', NULL, jsonb_build_object('count', cardinality(v_ids)));
    END IF;
    RETURN cardinality(v_ids);
END
$$;

CREATE FUNCTION public.revoke_invite(p_site uuid, p_act uuid, p_id uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_invite invites;
BEGIN
    PERFORM member_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE invites i SET revoked_at = now()
    WHERE i.site_id = p_site AND i.id = p_id AND i.accepted_at IS NULL AND i.revoked_at IS NULL
    RETURNING i.* INTO v_invite;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    PERFORM note_act(p_site, p_act, 'members.revoke', v_invite.email, jsonb_build_object('role', v_invite.role));
    RETURN 'revoked';
END
$$;

CREATE FUNCTION public.revoke_person_key(p_key uuid, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
    v_label text;
BEGIN
    UPDATE person_keys k SET revoked_at = now() WHERE k.id = p_key AND k.user_id = v_person AND k.revoked_at IS NULL
    RETURNING key_label(k.name, k.last_four) INTO v_label;
    IF v_label IS NULL THEN
        RETURN false;
    END IF;
    PERFORM note_act(NULL, p_act, 'keys.revoke_own', v_label, NULL);
    RETURN true;
END
$$;

CREATE FUNCTION public.revoke_share_link(p_site uuid, p_share uuid, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_name text;
BEGIN
    PERFORM share_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    DELETE FROM share_links k WHERE k.site_id = p_site AND k.id = p_share RETURNING k.name INTO v_name;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'sharing.revoke', v_name, NULL);
    RETURN true;
END
$$;

CREATE FUNCTION public.revoke_site_key(p_site uuid, p_key uuid, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_label text;
BEGIN
    PERFORM key_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE site_keys k SET revoked_at = now() WHERE k.site_id = p_site AND k.id = p_key AND k.revoked_at IS NULL
    RETURNING key_label(k.name, k.last_four) INTO v_label;
    IF v_label IS NULL THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'keys.revoke', v_label, NULL);
    RETURN true;
END
$$;

CREATE FUNCTION public.rotate_person_key(p_key uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_grace interval) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
    v_old person_keys;
BEGIN
    SELECT k.* INTO v_old FROM person_keys k WHERE k.id = p_key AND k.user_id = v_person AND k.replaced_by IS NULL
      AND is_live_key(k.expires_at, k.revoked_at) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO person_keys (id, user_id, key_hash, last_four, name, scopes, only_site, expires_at)
    VALUES (p_id, v_old.user_id, p_hash, p_last_four, v_old.name, v_old.scopes, v_old.only_site,
        now() + (v_old.expires_at - v_old.created_at));
    UPDATE person_keys k SET replaced_by = p_id, expires_at = least(k.expires_at, now() + p_grace) WHERE k.id = p_key;
    PERFORM note_act(NULL, p_act, 'keys.rotate_own', key_label(v_old.name, v_old.last_four),
        jsonb_build_object('successor', p_last_four, 'grace', p_grace));
    RETURN true;
END
$$;

CREATE FUNCTION public.rotate_site_key(p_site uuid, p_key uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_grace interval) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := key_manager(p_site);
    v_old site_keys;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT k.* INTO v_old FROM site_keys k WHERE k.site_id = p_site AND k.id = p_key AND k.replaced_by IS NULL
      AND is_live_key(k.expires_at, k.revoked_at) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO site_keys (site_id, id, key_hash, last_four, name, scopes, created_by, expires_at)
    VALUES (p_site, p_id, p_hash, p_last_four, v_old.name, v_old.scopes, v_person,
        now() + (v_old.expires_at - v_old.created_at));
    UPDATE site_keys k SET replaced_by = p_id, expires_at = least(k.expires_at, now() + p_grace)
    WHERE k.site_id = p_site AND k.id = p_key;
    PERFORM note_act(p_site, p_act, 'keys.rotate', key_label(v_old.name, v_old.last_four),
        jsonb_build_object('successor', p_last_four, 'grace', p_grace));
    RETURN true;
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
    IF has_listeners(p_site) THEN
        PERFORM announce_lead(p_site, p_call, false);
    END IF;
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

CREATE FUNCTION public.sealed_credential(p_provider text) RETURNS TABLE(id uuid, access_token bytea, refresh_token bytea, key_id text, expires_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT c.id, c.access_token, c.refresh_token, c.key_id, c.expires_at
    FROM user_credentials c JOIN users u ON u.id = c.user_id AND u.disabled_at IS NULL
    WHERE c.user_id = nullif(current_setting('app.person', true), '')::uuid AND c.provider = p_provider
      AND c.key_id IS NOT NULL
$$;

CREATE FUNCTION public.search_conditions(p_site uuid, p_wanted jsonb, p_at text, p_zone text, p_from timestamp with time zone, OUT conditions text, OUT tokens text, OUT tokens_of text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_row text := 'search_tokens(l.site_id, l.created_at, l.decided_at, l.status, l.action, l.captured_by, l.is_paid, '
        'l.has_click_id, l.source, l.channel, l.campaign, l.keyword, l.matchtype, l.place, l.device, l.page, l.words)';
    v_key record;
    v_all text[] := '{}';
    v_words text[];
    v_ways text[] := '{}';
    v_parts text[];
BEGIN
    conditions := 'true';
    tokens := 'true';
    tokens_of := v_row;
    FOR v_key IN SELECT k, v FROM jsonb_each_text(p_wanted) AS w (k, v) WHERE k = ANY (ARRAY['action', 'captured_by', 'is_paid',
        'has_click_id', 'source', 'channel', 'campaign', 'keyword', 'matchtype', 'place', 'device', 'page'])
    LOOP
        conditions := conditions || format(' AND l.%I = %L', v_key.k, v_key.v);
        v_all := v_all || (v_key.k || ':' || v_key.v);
    END LOOP;
    IF v_all <> '{}' THEN
        tokens := tokens || format(' AND %s @> %L::bigint[]', v_row, ARRAY(SELECT search_token(p_site, n) FROM unnest(v_all) n));
    END IF;
    IF p_wanted ? 'status' THEN
        v_words := ARRAY(SELECT jsonb_array_elements_text(p_wanted -> 'status'));
        conditions := conditions || format(' AND l.status = ANY (%L::text[])', v_words);
        tokens := tokens || format(' AND %s && %L::bigint[]', v_row,
            ARRAY(SELECT search_token(p_site, 'status:' || n) FROM unnest(v_words) n));
    END IF;
    IF p_wanted ?| ARRAY['weekday', 'hour'] THEN
        IF p_wanted ? 'weekday' THEN
            conditions := conditions || format(' AND extract(isodow FROM %s AT TIME ZONE %L) = %s', p_at, p_zone, (p_wanted ->> 'weekday')::integer);
        END IF;
        IF p_wanted ? 'hour' THEN
            conditions := conditions || format(' AND extract(hour FROM %s AT TIME ZONE %L) = %s', p_at, p_zone, (p_wanted ->> 'hour')::integer);
        END IF;
        -- The hours in UTC that these are, with every offset that the site's clock has had in that time.
        tokens := tokens || format(' AND %s && %L::bigint[]', v_row, ARRAY(
            SELECT DISTINCT search_token(p_site, CASE p_at WHEN 'l.created_at' THEN 'u' ELSE 'v' END
                || mod(floor((((w - 1) * 24 + h) * 3600 - o.seconds + edge) / 3600)::integer + 336, 168))
            FROM (SELECT DISTINCT extract(epoch FROM (d AT TIME ZONE p_zone) - (d AT TIME ZONE 'UTC')) AS seconds
                FROM generate_series(greatest(p_from, coalesce((SELECT min(x.created_at) FROM lead_search x WHERE x.site_id = p_site), now()))
                    - interval '7 days', now() + interval '7 days', interval '7 days') d) o,
                generate_series(1, 7) w, generate_series(0, 23) h, (VALUES (0), (3599)) AS e (edge)
            WHERE w = coalesce((p_wanted ->> 'weekday')::integer, w) AND h = coalesce((p_wanted ->> 'hour')::integer, h)));
    END IF;
    v_words := ARRAY(SELECT search_text(n) FROM jsonb_array_elements_text(coalesce(p_wanted -> 'words', '[]')) n);
    IF v_words <> '{}' THEN
        v_ways := v_ways || ('(' || (SELECT string_agg(CASE WHEN length(n) < 3 THEN format('strpos('' '' || l.words, %L) > 0', ' ' || n)
            ELSE format('strpos(l.words, %L) > 0', n) END, ' AND ') FROM unnest(v_words) n) || ')');
        v_parts := v_parts || format('%s @> %L::bigint[]', v_row,
            ARRAY(SELECT DISTINCT search_token(p_site, part) FROM unnest(v_words) n CROSS JOIN LATERAL unnest(search_parts(n)) part));
        IF p_wanted ? 'number' THEN
            v_ways := v_ways || format('strpos(l.words, %L) > 0', p_wanted ->> 'number');
            v_parts := v_parts || format('%s @> %L::bigint[]', v_row,
                ARRAY(SELECT DISTINCT search_token(p_site, part) FROM unnest(search_parts(p_wanted ->> 'number')) part));
        END IF;
        conditions := conditions || ' AND (' || array_to_string(v_ways, ' OR ') || ')';
        tokens := tokens || ' AND (' || array_to_string(v_parts, ' OR ') || ')';
    END IF;
END
$$;

CREATE FUNCTION public.search_digits(p_text text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN length(regexp_replace(p_text, '\D', '', 'g')) >= 7 THEN regexp_replace(p_text, '\D', '', 'g') END $$;

CREATE FUNCTION public.search_leads(p_site uuid, p_wanted jsonb, p_decided boolean, p_zone text, p_from timestamp with time zone, p_to timestamp with time zone, p_before timestamp with time zone, p_before_call uuid, p_limit integer) RETURNS TABLE(call_id uuid, at timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET jit TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    AS $_$
DECLARE
    v_walk constant integer := 4000;
    v_few constant integer := 5000;
    v_at constant text := CASE WHEN p_decided THEN 'l.decided_at' ELSE 'l.created_at' END;
    v_unfolded uuid[];
    v_in text;     -- which rows come into question by their time
    v_where text;  -- and by all else
    v_not text := '';
    v_asked record;
    v_calls uuid[];
    v_ats timestamptz[];
    v_more boolean;
    v_last integer;
    v_found record;
BEGIN
    PERFORM search_reader(p_site);
    v_unfolded := unfolded_leads(p_site);
    v_asked := search_conditions(p_site, p_wanted, v_at, p_zone, p_from);
    v_in := format('%1$s >= %2$L AND %1$s < %3$L AND (%1$s, l.call_id) < (%4$L, %5$L)', v_at, p_from, p_to, p_before, p_before_call);
    IF v_unfolded <> '{}' THEN
        v_not := format(' AND l.call_id <> ALL (%L::uuid[])', v_unfolded);
    END IF;
    EXECUTE format('SELECT coalesce(array_agg(f.call_id), ''{}''), coalesce(array_agg(f.at), ''{}'') FROM ('
        'SELECT l.call_id, %s AS at FROM (SELECT l.* FROM lead_search l WHERE l.site_id = %L AND %s ORDER BY %s DESC, l.call_id DESC LIMIT %s) l '
        'WHERE %s LIMIT %s) f', v_at, p_site, v_in, v_at, v_walk, v_asked.conditions || v_not, p_limit) INTO v_calls, v_ats;
    IF cardinality(v_calls) < p_limit AND v_asked.tokens <> 'true' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM lead_search l WHERE l.site_id = %L AND %s ORDER BY %s DESC, l.call_id DESC OFFSET %s LIMIT 1)',
            p_site, v_in, v_at, v_walk) INTO v_more;
        IF v_more THEN
            v_where := v_in || ' AND ' || v_asked.tokens || ' AND ' || v_asked.conditions || v_not;
            v_calls := '{}';
            v_ats := '{}';
            IF count_by_tokens(p_site, v_where, v_few) < v_few THEN
                SELECT b.calls, b.ats INTO v_calls, v_ats FROM by_tokens(p_site, v_where, v_at, p_limit) b;
            ELSE
                v_last := month_number(greatest(p_from, (SELECT min(l.created_at) FROM lead_search l WHERE l.site_id = p_site)));
                FOR v_month IN REVERSE month_number(least(p_before, p_to, now() + interval '1 day')) .. v_last LOOP
                    SELECT b.calls, b.ats INTO v_found FROM by_tokens(p_site, v_where || format(' AND %s @> ARRAY[%s]', v_asked.tokens_of,
                        search_token(p_site, CASE WHEN p_decided THEN 'n' ELSE 'm' END || v_month)), v_at, p_limit) b;
                    v_calls := v_calls || v_found.calls;
                    v_ats := v_ats || v_found.ats;
                    EXIT WHEN cardinality(v_calls) >= p_limit;
                END LOOP;
                v_calls := v_calls[1:p_limit];
                v_ats := v_ats[1:p_limit];
            END IF;
        END IF;
    END IF;
    IF v_unfolded = '{}' THEN
        RETURN QUERY SELECT f.id, f.t FROM unnest(v_calls, v_ats) AS f (id, t);
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format('SELECT f.call_id, f.at FROM (SELECT * FROM unnest(%L::uuid[], %L::timestamptz[]) AS g (call_id, at) UNION ALL '
        'SELECT l.call_id, %s FROM lead_search_rows(%L, %L::uuid[]) l WHERE %s) f ORDER BY f.at DESC, f.call_id DESC LIMIT %s',
        v_calls, v_ats, v_at, p_site, v_unfolded, v_in || ' AND ' || v_asked.conditions, p_limit);
END
$_$;

CREATE FUNCTION public.search_parts(p_word text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN length(p_word) < 3 THEN ARRAY['^' || p_word]
    ELSE ARRAY(SELECT 'q' || substr(p_word, i, 3) FROM generate_series(1, length(p_word) - 2) i) END $$;

CREATE FUNCTION public.search_reader(p_site uuid) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin', 'operator', 'analyst') THEN
        RAISE EXCEPTION 'the asker sees nothing of this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM see_all_sites();
END
$$;

CREATE FUNCTION public.search_text(p_text text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT lower(translate(p_text, E'IİıŞşÇçĞğÖöÜüÂâÎîÛû\u0307\u0327\u0306\u0308\u0302', 'iiissccggoouuaaiiuu')) $$;

CREATE FUNCTION public.search_token(p_site uuid, p_name text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT hashtextextended(p_name, uuid_hash_extended(p_site, 0)) $$;

CREATE FUNCTION public.search_tokens(p_site uuid, p_created_at timestamp with time zone, p_decided_at timestamp with time zone, p_status text, p_action text, p_captured_by text, p_is_paid boolean, p_has_click_id boolean, p_source text, p_channel text, p_campaign text, p_keyword text, p_matchtype text, p_place text, p_device text, p_page text, p_words text) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE COST 10000 PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT array_agg(search_token(p_site, t.name)) FROM (
        SELECT unnest(ARRAY['status:' || p_status, 'action:' || p_action, 'captured_by:' || p_captured_by,
            'is_paid:' || p_is_paid, 'has_click_id:' || p_has_click_id, 'source:' || p_source, 'channel:' || p_channel,
            'campaign:' || p_campaign, 'keyword:' || p_keyword, 'matchtype:' || p_matchtype, 'place:' || p_place,
            'device:' || p_device, 'page:' || p_page, 'u' || week_hour(p_created_at), 'v' || week_hour(p_decided_at),
            'm' || month_number(p_created_at), 'n' || month_number(p_decided_at)]) AS name
        UNION ALL
        SELECT 'q' || substr(w.word, i, 3)
        FROM unnest(string_to_array(p_words, ' ')) AS w (word), generate_series(1, length(w.word) - 2) i
        UNION ALL
        SELECT '^' || left(w.word, n)
        FROM unnest(string_to_array(p_words, ' ')) AS w (word), generate_series(1, least(2, length(w.word))) n) t
    WHERE t.name IS NOT NULL
$$;

CREATE FUNCTION public.see_all_sites() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
END
$$;

CREATE FUNCTION public.see_sign_in(p_token_hash bytea, p_due interval) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$ UPDATE sign_ins SET last_seen_at = now() WHERE token_hash = p_token_hash AND last_seen_at < now() - p_due $$;

CREATE FUNCTION public.session_entry(s public.sessions, p_n integer) RETURNS public.counter_entry
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ROW('session', p_n, (s).created_at, (s).is_paid, (s).has_click_id,
    (s).attribution_source, (s).channel, (s).device_type, place_key((s).city, (s).district),
    (s).utm_campaign, (s).utm_term, (s).matchtype, page_key((s).entry_page), (s).fingerprint,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry $$;

CREATE FUNCTION public.set_account_enabled(p_act uuid, p_user uuid, p_enabled boolean) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid;
    v_email text;
BEGIN
    -- One after another: two administrators who close each other's account must not both succeed.
    PERFORM FROM profiles p WHERE p.role = 'admin' ORDER BY p.id FOR UPDATE;
    v_person := platform_keeper();
    IF p_user = v_person THEN
        RETURN 'oneself';
    END IF;
    IF NOT p_enabled AND NOT EXISTS (SELECT FROM profiles p JOIN users u ON u.id = p.id AND u.disabled_at IS NULL
        WHERE p.role = 'admin' AND p.id <> p_user) THEN
        RETURN 'last';
    END IF;
    UPDATE users u SET disabled_at = CASE WHEN NOT p_enabled THEN now() END, updated_at = now()
    WHERE u.id = p_user AND (u.disabled_at IS NULL) <> p_enabled RETURNING u.email INTO v_email;
    IF NOT FOUND THEN
        RETURN CASE WHEN EXISTS (SELECT FROM users u WHERE u.id = p_user) THEN 'unchanged' ELSE 'gone' END;
    END IF;
    IF NOT p_enabled THEN
        DELETE FROM half_sign_ins h WHERE h.user_id = p_user;
        DELETE FROM sign_ins i WHERE i.user_id = p_user;
        DELETE FROM one_time_links l WHERE l.user_id = p_user;
    END IF;
    PERFORM note_act(NULL, p_act, CASE WHEN p_enabled THEN 'users.enable' ELSE 'users.disable' END, v_email, '{}');
    RETURN 'changed';
END
$$;

CREATE FUNCTION public.set_conversion_route(p_site uuid, p_adapter text, p_destination jsonb, p_with_hashes boolean, p_is_on boolean, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites t WHERE t.id = p_site FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM conversion_batches b WHERE b.site_id = p_site AND b.state IN ('open', 'sent') AND b.adapter <> p_adapter) THEN
        RETURN false;
    END IF;
    INSERT INTO conversion_routes AS r (site_id, adapter, destination, with_hashes, is_on)
    VALUES (p_site, p_adapter, p_destination, p_with_hashes, p_is_on)
    ON CONFLICT (site_id) DO UPDATE SET adapter = p_adapter, destination = p_destination, with_hashes = p_with_hashes, is_on = p_is_on,
        -- A secret is one adapter's; it opens nothing for another.
        secret = CASE WHEN r.adapter = p_adapter THEN r.secret END, key_id = CASE WHEN r.adapter = p_adapter THEN r.key_id END,
        trouble = NULL, trouble_at = NULL, not_before = '-infinity', updated_at = now();
    PERFORM note_act(p_site, p_act, 'conversions.route', p_adapter,
        jsonb_build_object('destination', p_destination, 'with_hashes', p_with_hashes, 'is_on', p_is_on));
    RETURN true;
END
$$;

CREATE FUNCTION public.set_limits(p_site uuid, p_act uuid, p_quota bigint, p_rate integer, p_quarantine integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_old sites;
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR UPDATE;
    IF (v_old.monthly_quota, v_old.rate_per_minute, v_old.quarantine_days) IS NOT DISTINCT FROM (p_quota, p_rate, p_quarantine) THEN
        RETURN;
    END IF;
    -- Another quota is reached anew.
    UPDATE sites s SET monthly_quota = p_quota, rate_per_minute = p_rate, quarantine_days = p_quarantine, updated_at = now(),
        quota_noted_percent = CASE WHEN s.monthly_quota IS NOT DISTINCT FROM p_quota THEN s.quota_noted_percent ELSE 0 END
    WHERE s.id = p_site;
    PERFORM note_act(p_site, p_act, 'limits.change', NULL, jsonb_build_object(
        'before', jsonb_build_object('monthly_quota', v_old.monthly_quota, 'rate_per_minute', v_old.rate_per_minute,
            'quarantine_days', v_old.quarantine_days),
        'after', jsonb_build_object('monthly_quota', p_quota, 'rate_per_minute', p_rate, 'quarantine_days', p_quarantine)));
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;

CREATE FUNCTION public.set_member_role(p_site uuid, p_act uuid, p_user uuid, p_role text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := member_manager(p_site);
    v_role text := grantable_role(p_role);
    v_refused text := untouchable(p_site, v_person, p_user);
    v_before text;
BEGIN
    IF v_refused IS NOT NULL THEN
        RETURN v_refused;
    END IF;
    SELECT m.role INTO v_before FROM site_members m WHERE m.site_id = p_site AND m.user_id = p_user;
    IF v_before = v_role THEN
        RETURN 'unchanged';
    END IF;
    SET LOCAL app.maintenance = 'on';
    UPDATE site_members m SET role = v_role WHERE m.site_id = p_site AND m.user_id = p_user;
    DELETE FROM ownership_offers o WHERE o.site_id = p_site AND o.offered_to = p_user AND v_role <> 'admin';
    PERFORM note_act(p_site, p_act, 'members.role', (SELECT u.email FROM users u WHERE u.id = p_user),
        jsonb_build_object('from', v_before, 'to', v_role));
    RETURN 'changed';
END
$$;

CREATE FUNCTION public.settings_keeper(p_site uuid) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

CREATE FUNCTION public.settle_batch(p_site uuid, p_batch uuid, p_state text, p_seconds double precision, p_request_id text, p_error text, p_outcomes jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_batch conversion_batches;
    v_ids uuid[];
    v_positions integer[];
    v_outcomes jsonb[];
    v_steps jsonb;
    v_changed uuid[];
BEGIN
    SELECT b.* INTO v_batch FROM conversion_batches b WHERE b.site_id = p_site AND b.id = p_batch;
    v_ids := ARRAY(SELECT i.conversion_id FROM conversion_batch_items i WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL);
    PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids)));
    PERFORM FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids) ORDER BY v.id FOR UPDATE;

    SELECT array_agg((o ->> 'position')::integer), array_agg(o) INTO v_positions, v_outcomes
    FROM jsonb_array_elements(CASE p_state WHEN 'cancelled' THEN '[]' ELSE p_outcomes END) o;
    UPDATE conversion_batch_items i SET outcome = o.said ->> 'outcome', reason = left(o.said ->> 'reason', 100), detail = left(o.said ->> 'detail', 500)
    FROM unnest(v_positions, v_outcomes) AS o (position, said)
    WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.position = o.position AND i.outcome IS NULL;
    IF p_state = 'cancelled' THEN
        UPDATE conversion_batch_items i SET outcome = 'cancelled' WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL;
    ELSIF p_state = 'done' AND EXISTS (SELECT FROM conversion_batch_items i WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL) THEN
        RAISE EXCEPTION 'a batch is done when each of its conversions has an outcome' USING ERRCODE = 'check_violation';
    END IF;

    SELECT jsonb_agg(settled_step(v, i, v_batch.kind, make_interval(secs => coalesce((o.said ->> 'seconds')::double precision,
        CASE WHEN i.outcome = 'cancelled' THEN p_seconds END)))) INTO v_steps
    FROM conversion_batch_items i JOIN conversions v ON v.site_id = p_site AND v.id = i.conversion_id AND v.batch_id = p_batch
    LEFT JOIN unnest(v_positions, v_outcomes) AS o (position, said) ON o.position = i.position
    WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NOT NULL;
    PERFORM shift_conversions(p_site, coalesce(v_steps, '[]'));
    -- What was corrected meanwhile is owed from now on.
    v_changed := ARRAY(SELECT (s ->> 'id')::uuid FROM jsonb_array_elements(v_steps) s WHERE NOT s ? 'next_at');
    UPDATE conversions v SET next_at = owed_at(v)
    WHERE v.site_id = p_site AND v.id = ANY (v_changed) AND v.next_at IS DISTINCT FROM owed_at(v);

    UPDATE conversion_batches b SET state = p_state, request_id = coalesce(p_request_id, b.request_id), error = left(p_error, 500),
        next_at = CASE WHEN p_state IN ('open', 'sent') THEN coalesce(now() + make_interval(secs => p_seconds), b.next_at) END,
        sent_at = CASE WHEN p_state IN ('sent', 'done') THEN coalesce(b.sent_at, now()) ELSE b.sent_at END,
        finished_at = CASE WHEN p_state IN ('done', 'cancelled') THEN now() END
    WHERE b.site_id = p_site AND b.id = p_batch;
END
$$;

CREATE FUNCTION public.settle_pulls(p_site uuid) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    v_batch conversion_batches;
    v_count integer := 0;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    FOR v_batch IN SELECT b.* FROM conversion_batches b WHERE b.site_id = p_site AND b.adapter = 'file' AND b.created_name IS NULL
            AND b.state IN ('open', 'sent') ORDER BY b.id FOR NO KEY UPDATE LOOP
        IF v_batch.kind = 'new' THEN
            PERFORM withhold_items(p_site, v_batch.id);
        END IF;
        IF v_batch.state = 'sent' AND v_batch.next_at <= now() THEN
            PERFORM settle_batch(p_site, v_batch.id, 'done', 0, NULL, NULL, (SELECT coalesce(jsonb_agg(jsonb_build_object('position', i.position)
                    -- What no platform can have made was in no file (conversions/google_ads_csv.py).
                    || CASE WHEN v_batch.kind = 'new' AND coalesce(v.click_id, '') !~ '^[A-Za-z0-9_.~-]+$'
                        THEN jsonb_build_object('outcome', 'failed', 'reason', 'bad_click_id')
                        ELSE jsonb_build_object('outcome', 'accepted', 'reason', 'unconfirmed', 'detail', 'unconfirmed') END), '[]')
                FROM conversion_batch_items i JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
                WHERE i.site_id = p_site AND i.batch_id = v_batch.id AND i.outcome IS NULL));
            v_count := v_count + 1;
        END IF;
    END LOOP;
    RETURN v_count;
END
$_$;

CREATE FUNCTION public.settle_visitors(p_site uuid, p_visitors text[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM visitors v WHERE v.site_id = p_site AND v.id = ANY (p_visitors)
      AND NOT EXISTS (SELECT FROM sessions s WHERE s.site_id = p_site AND s.fingerprint = v.id);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    UPDATE visitors v SET visits = x.visits, first_seen_at = x.first_at, last_seen_at = x.last_at, last_ad_click_at = x.click_at
    FROM (SELECT s.fingerprint, count(*)::integer AS visits, min(s.started_at) AS first_at, max(s.last_event_at) AS last_at,
            max(s.click_at) AS click_at
        FROM sessions s WHERE s.site_id = p_site AND s.fingerprint = ANY (p_visitors) GROUP BY 1) x
    WHERE v.site_id = p_site AND v.id = x.fingerprint;
    RETURN v_gone;
END
$$;

CREATE TABLE public.conversion_batch_items (
    site_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    "position" integer NOT NULL,
    conversion_id uuid NOT NULL,
    order_id text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    value numeric NOT NULL,
    currency text NOT NULL,
    outcome text,
    reason text,
    detail text,
    CONSTRAINT conversion_batch_items_detail_check CHECK ((length(detail) <= 500)),
    CONSTRAINT conversion_batch_items_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'matched'::text, 'failed'::text, 'gone'::text, 'withheld'::text, 'cancelled'::text]))),
    CONSTRAINT conversion_batch_items_reason_check CHECK ((length(reason) <= 100))
);

ALTER TABLE ONLY public.conversion_batch_items FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.conversion_batch_items.value IS 'As it was sent; 0 where it was taken back.';

COMMENT ON COLUMN public.conversion_batch_items.outcome IS 'gone: there was nothing to change or to take back. withheld: it was not sent again, because consent was withdrawn meanwhile.';

CREATE FUNCTION public.settled_step(v public.conversions, i public.conversion_batch_items, p_kind text, p_again interval) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT jsonb_build_object('id', (v).id, 'batch_id', NULL) || CASE
        WHEN (i).outcome = 'cancelled' THEN
            CASE WHEN p_kind <> 'new' THEN jsonb_build_object('next_at', now() + p_again)
                WHEN (v).state = 'sent' THEN jsonb_build_object('state', 'queued', 'move', 'not_arrived', 'sent_at', NULL, 'sent_to', NULL, 'next_at', now() + p_again)
                ELSE jsonb_build_object('move', 'not_arrived', 'sent_at', NULL, 'sent_to', NULL, 'next_at', NULL) END
        WHEN p_kind = 'new' AND (i).outcome IN ('accepted', 'matched') THEN
            jsonb_build_object('platform_value', (i).value, 'platform_currency', (i).currency, 'detail', (i).detail, 'attempts', 0,
                'state', CASE (v).state WHEN 'sent' THEN (i).outcome ELSE (v).state END, 'move', (i).reason)
        WHEN p_kind = 'new' THEN
            jsonb_build_object('detail', (i).detail, 'sent_at', NULL, 'sent_to', NULL, 'attempts', (v).attempts + 1, 'move', (i).reason)
            || CASE (v).state WHEN 'sent' THEN jsonb_build_object('state', 'failed', 'reason', (i).reason, 'next_at', now() + p_again)
                ELSE jsonb_build_object('next_at', NULL) END
        WHEN (i).outcome = 'failed' THEN
            jsonb_build_object('detail', (i).detail, 'attempts', (v).attempts + 1, 'next_at', now() + p_again, 'move', (i).reason)
        WHEN p_kind = 'restate' THEN
            jsonb_build_object('platform_value', CASE (i).outcome WHEN 'gone' THEN NULL ELSE (i).value END,
                'platform_currency', CASE (i).outcome WHEN 'gone' THEN NULL ELSE (i).currency END, 'detail', (i).detail, 'attempts', 0,
                'move', CASE (i).outcome WHEN 'gone' THEN 'gone' ELSE 'restated' END)
        ELSE jsonb_build_object('platform_value', CASE (i).outcome WHEN 'gone' THEN NULL ELSE 0 END, 'taken_back_at', now(), 'detail', (i).detail,
            'attempts', 0, 'next_at', NULL, 'move', CASE (i).outcome WHEN 'gone' THEN 'gone' ELSE 'taken_back' END) END
$$;

CREATE FUNCTION public.share_keeper(p_site uuid) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker may not share this site''s figures' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

CREATE FUNCTION public.share_link_by_hash(p_hash bytea) RETURNS TABLE(site_id uuid, link_id uuid, paid_only boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE share_links k SET last_used_at = now()
    WHERE k.token_hash = p_hash AND coalesce(k.last_used_at < now() - interval '5 minutes', true)
      AND coalesce(k.expires_at > now(), true);
    RETURN QUERY
    SELECT k.site_id, k.id, k.paid_only FROM share_links k JOIN sites s ON s.id = k.site_id AND s.disabled_at IS NULL
    WHERE k.token_hash = p_hash AND coalesce(k.expires_at > now(), true);
END
$$;

CREATE FUNCTION public.share_maker_name(p_site uuid, p_maker uuid) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM share_keeper(p_site);
    PERFORM see_all_sites();
    RETURN (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = p_maker
        AND EXISTS (SELECT FROM share_links k WHERE k.site_id = p_site AND k.created_by = p_maker));
END
$$;

CREATE FUNCTION public.shift_conversions(p_site uuid, p_steps jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    -- Arrays, because the planner sees how long they are; of a jsonb it believes that it has a hundred elements. Joined to
    -- them, a row is looked up by its key: an "= ANY" beside that would be sorted anew for each row.
    v_ids uuid[];
    v_steps jsonb[];
    v_calls uuid[];
    v_entries counter_entry[];
    v_moved uuid[];
    v_moved_calls uuid[];
    v_from text[];
    v_to text[];
    v_reasons text[];
    v_taken uuid[];
BEGIN
    SELECT array_agg((s ->> 'id')::uuid), array_agg(s) INTO v_ids, v_steps FROM jsonb_array_elements(p_steps) s;
    v_calls := ARRAY(SELECT DISTINCT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids));
    IF v_calls = '{}' THEN
        RETURN;
    END IF;
    v_entries := call_entries(p_site, v_calls, -1);
    SELECT array_agg(v.id), array_agg(v.call_id), array_agg(v.state), array_agg(coalesce(s.step ->> 'state', v.state)), array_agg(s.step ->> 'move')
    INTO v_moved, v_moved_calls, v_from, v_to, v_reasons
    FROM unnest(v_ids, v_steps) AS s (id, step) JOIN conversions v ON v.site_id = p_site AND v.id = s.id
    WHERE s.step ? 'move';
    UPDATE conversions v SET state = n.state, reason = n.reason, detail = left(n.detail, 500), next_at = n.next_at,
        attempts = n.attempts, batch_id = n.batch_id, sent_at = n.sent_at, sent_to = n.sent_to, click_id = n.click_id,
        click_id_kind = n.click_id_kind, platform_value = n.platform_value, platform_currency = n.platform_currency,
        taken_back_at = n.taken_back_at, updated_at = now()
    FROM (
        SELECT o.id AS changed, r.* FROM unnest(v_ids, v_steps) AS s (id, step) JOIN conversions o ON o.site_id = p_site AND o.id = s.id
        CROSS JOIN LATERAL jsonb_populate_record(o, s.step - 'id') r) n
    WHERE v.site_id = p_site AND v.id = n.changed;
    INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
    SELECT p_site, gen_random_uuid(), m.id, m.from_state, m.to_state, m.reason
    FROM unnest(v_moved, v_from, v_to, v_reasons) AS m (id, from_state, to_state, reason);

    WITH taken AS (
        UPDATE calls c SET status = 'conversion', version = c.version + 1, updated_at = now()
        FROM conversions v
        WHERE v.site_id = p_site AND v.id = ANY (v_ids) AND v.state IN ('accepted', 'matched')
          AND c.site_id = p_site AND c.id = v.call_id AND c.status = 'sealed'
        RETURNING c.id, c.version
    ), told AS (
        INSERT INTO intent_actions (site_id, id, call_id, actor_kind, action, from_status, to_status, version, before)
        SELECT p_site, gen_random_uuid(), t.id, 'rule', 'convert', 'sealed', 'conversion', t.version, '{"status": "sealed"}' FROM taken t)
    SELECT array_agg(t.id) INTO v_taken FROM taken t;
    PERFORM offer_webhooks(p_site, 'lead.decided', t, jsonb_build_object('decision', jsonb_build_object(
        'action', 'convert', 'by', 'rule', 'from_status', 'sealed', 'to_status', 'conversion'))) FROM unnest(v_taken) t;

    INSERT INTO counter_journal (site_id, entries, calls, changed_at)
    VALUES (p_site, v_entries || call_entries(p_site, v_calls, 1), v_calls, now());
    IF EXISTS (SELECT FROM webhooks w WHERE w.site_id = p_site AND w.off_reason IS NULL) THEN
        PERFORM offer_move(p_site, m.call_id, m.id, m.from_state, m.reason)
        FROM unnest(v_moved, v_moved_calls, v_from, v_reasons) AS m (id, call_id, from_state, reason);
    END IF;
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

CREATE FUNCTION public.signed_in_v2(p_token_hash bytea, p_idle interval, p_due interval, OUT user_id uuid, OUT email text, OUT name text, OUT language text, OUT theme text, OUT is_admin boolean, OUT sign_in_id uuid, OUT confirmed_at timestamp with time zone, OUT is_due boolean) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    SELECT u.id, u.email, u.name, p.language, p.theme, coalesce(p.role = 'admin', false),
        s.id, coalesce(s.confirmed_at, s.created_at), s.last_seen_at < now() - p_due
    INTO user_id, email, name, language, theme, is_admin, sign_in_id, confirmed_at, is_due
    FROM sign_ins s JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL LEFT JOIN profiles p ON p.id = u.id
    WHERE s.token_hash = p_token_hash AND s.expires_at > now() AND s.last_seen_at > now() - p_idle;
END
$$;

CREATE FUNCTION public.site_audit(p_site uuid) RETURNS TABLE(started_at timestamp with time zone, findings jsonb)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin', 'operator', 'analyst') THEN
        RAISE EXCEPTION 'the asker sees nothing of this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    SELECT a.started_at, coalesce((
        SELECT jsonb_agg(jsonb_build_object('stem', r ->> 'stem', 'name', r ->> 'name', 'group', r ->> 'group', 'title', r ->> 'title',
            'level', f ->> 'level', 'detail', CASE WHEN NOT o.names_another THEN f ->> 'detail' END,
            'remedy', CASE WHEN NOT o.names_another AND r ->> 'group' = 'meaning' THEN f ->> 'remedy' END)
            ORDER BY f ->> 'level' = 'error' DESC, r ->> 'stem')
        FROM jsonb_array_elements(CASE jsonb_typeof(a.report -> 'results') WHEN 'array' THEN a.report -> 'results' END) r
        CROSS JOIN LATERAL jsonb_array_elements(r -> 'findings') f
        CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM sites s WHERE s.id <> p_site AND strpos(f::text, s.id::text) > 0) AS names_another) o
        WHERE f ->> 'level' IN ('error', 'warn') AND f ->> 'accepted' IS NULL AND f ->> 'object' ~ ('(^| )site ' || p_site || '( |$)')), '[]')
    FROM audit_runs a ORDER BY a.started_at DESC, a.id DESC LIMIT 1;
END
$_$;

CREATE FUNCTION public.site_invites(p_site uuid) RETURNS TABLE(id uuid, email text, role text, turn integer, created_at timestamp with time zone, expires_at timestamp with time zone, sent_at timestamp with time zone, sent_count integer, inviter text, state text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RETURN;
    END IF;
    PERFORM see_all_sites();
    RETURN QUERY
        SELECT i.id, i.email, i.role, i.turn, i.created_at, i.expires_at, i.sent_at, i.sent_count,
            coalesce(nullif(u.name, ''), u.email), invite_state(i)
        FROM invites i JOIN users u ON u.id = i.invited_by
        WHERE i.site_id = p_site AND i.accepted_at IS NULL AND i.revoked_at IS NULL
        ORDER BY i.created_at DESC, i.id DESC LIMIT 200;
END
$$;

CREATE FUNCTION public.site_keeper(p_site uuid) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner') THEN
        RAISE EXCEPTION 'the asker does not own this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

CREATE FUNCTION public.site_owners(p_sites uuid[]) RETURNS TABLE(site_id uuid, user_id uuid, email text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT s.id, s.user_id, u.email FROM sites s JOIN users u ON u.id = s.user_id
    WHERE s.id = ANY (p_sites) AND EXISTS (SELECT FROM profiles p JOIN users a ON a.id = p.id AND a.disabled_at IS NULL
        WHERE p.id = nullif(current_setting('app.person', true), '')::uuid AND p.role = 'admin')
$$;

CREATE FUNCTION public.site_people(p_site uuid) RETURNS TABLE(user_id uuid, email text, name text, role text, since timestamp with time zone, disabled boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT u.id, u.email, u.name, h.role, h.since, u.disabled_at IS NOT NULL
    FROM (
        SELECT s.user_id, 'owner' AS role, coalesce(m.created_at, s.created_at) AS since
        FROM sites s LEFT JOIN site_members m ON m.site_id = p_site AND m.user_id = s.user_id WHERE s.id = p_site
        UNION ALL
        SELECT m.user_id, m.role, m.created_at FROM site_members m JOIN sites s ON s.id = m.site_id AND s.user_id <> m.user_id
        WHERE m.site_id = p_site) h
    JOIN users u ON u.id = h.user_id
    WHERE site_role(p_site) IN ('platform_admin', 'owner', 'admin')
    ORDER BY array_position(ARRAY['owner', 'admin', 'operator', 'analyst'], h.role), lower(coalesce(nullif(u.name, ''), u.email)), u.id
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
    UNION ALL
    SELECT key_role(k.scopes) FROM site_keys k
    WHERE k.site_id = p_site AND k.id = nullif(current_setting('app.key', true), '')::uuid
      AND coalesce(current_setting('app.person', true), '') = '' AND is_live_key(k.expires_at, k.revoked_at)
      AND p_site = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
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

CREATE FUNCTION public.stays_for_archive(p_month date) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM archived_months a WHERE a.month = p_month AND (a.archived_at IS NULL OR a.restored_until > now()))
$$;

CREATE FUNCTION public.suspect_lead(p_site uuid, p_call uuid, p_action uuid, p_reasons text[]) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_before counter_entry[];
    v_version integer;
    v_is_new boolean;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY[p_call]);
    SELECT c.suspicion IS NULL INTO v_is_new FROM calls c WHERE c.site_id = p_site AND c.id = p_call;
    v_before := call_entries(p_site, ARRAY[p_call], -1);
    UPDATE calls c SET status = 'suspicious', suspicion = p_reasons, version = c.version + 1, updated_at = now()
    WHERE c.site_id = p_site AND c.id = p_call AND c.status = 'intent' AND c.merged_into IS NULL RETURNING c.version INTO v_version;
    IF v_version IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO intent_actions (site_id, id, call_id, actor_kind, action, from_status, to_status, version, before, note)
    VALUES (p_site, p_action, p_call, 'rule', 'suspect', 'intent', 'suspicious', v_version, '{"status": "intent", "suspicion": []}',
        array_to_string(p_reasons, ', '));
    INSERT INTO counter_journal (site_id, entries, calls, changed_at, last_intent_at)
    VALUES (p_site, v_before || call_entries(p_site, ARRAY[p_call], 1), ARRAY[p_call], now(), now());
    IF v_is_new THEN
        PERFORM announce_lead(p_site, p_call, true);
    ELSE
        PERFORM offer_webhooks(p_site, 'lead.decided', p_call, jsonb_build_object('decision', jsonb_build_object(
            'action', 'suspect', 'by', 'rule', 'from_status', 'intent', 'to_status', 'suspicious')));
    END IF;
    RETURN true;
END
$$;

CREATE FUNCTION public.suspicion_facts(p_sites uuid[], p_calls uuid[]) RETURNS TABLE(site_id uuid, call_id uuid, tap_id uuid, happened_at timestamp with time zone, session_began_at timestamp with time zone, taps_of_device integer, taps_of_address integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET enable_seqscan TO 'off'
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

CREATE FUNCTION public.switch_conversion_route(p_site uuid, p_is_on boolean, p_act uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_adapter text;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE conversion_routes r SET is_on = p_is_on, trouble = NULL, trouble_at = NULL, not_before = '-infinity', updated_at = now()
    WHERE r.site_id = p_site RETURNING r.adapter INTO v_adapter;
    IF v_adapter IS NULL THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'conversions.switch', v_adapter, jsonb_build_object('is_on', p_is_on));
    RETURN true;
END
$$;

CREATE FUNCTION public.switch_provider(p_provider text, p_is_on boolean, p_act uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM platform_keeper();
    INSERT INTO provider_circuits (provider, is_on) VALUES (p_provider, p_is_on)
    ON CONFLICT (provider) DO UPDATE SET is_on = p_is_on, failures = 0, open_until = '-infinity', reason = NULL, changed_at = now();
    PERFORM note_act(NULL, p_act, 'conversions.provider', p_provider, jsonb_build_object('is_on', p_is_on));
END
$$;

CREATE FUNCTION public.switch_site(p_site uuid, p_act uuid, p_on boolean) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM site_keeper(p_site);
    UPDATE sites s SET disabled_at = CASE WHEN NOT p_on THEN now() END, updated_at = now()
    WHERE s.id = p_site AND (s.disabled_at IS NULL) <> p_on;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, CASE WHEN p_on THEN 'site.switch_on' ELSE 'site.switch_off' END, NULL, '{}');
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;

CREATE FUNCTION public.switch_user(p_user uuid, p_on boolean, p_note uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_email text;
BEGIN
    UPDATE users SET disabled_at = CASE WHEN NOT p_on THEN coalesce(disabled_at, now()) END, updated_at = now() WHERE id = p_user
    RETURNING email INTO v_email;
    IF NOT p_on THEN
        DELETE FROM sign_ins WHERE user_id = p_user;
        DELETE FROM half_sign_ins WHERE user_id = p_user;
        DELETE FROM one_time_links WHERE user_id = p_user;
    END IF;
    PERFORM note_act(NULL, p_note, CASE WHEN p_on THEN 'users.enable' ELSE 'users.disable' END, v_email, '{"by": "command line"}');
END
$$;

CREATE FUNCTION public.take_code(p_user uuid, p_step bigint, p_code_hash bytea) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF p_step IS NOT NULL THEN
        UPDATE second_factors SET last_step = p_step
        WHERE user_id = p_user AND confirmed_at IS NOT NULL AND last_step < p_step;
    ELSE
        UPDATE recovery_codes SET used_at = now() WHERE user_id = p_user AND code_hash = p_code_hash AND used_at IS NULL;
    END IF;
    RETURN FOUND;
END
$$;

CREATE FUNCTION public.take_invite(p_invite public.invites, p_person uuid, p_act uuid) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_state text := invite_state(p_invite);
BEGIN
    IF v_state <> 'open' THEN
        RETURN v_state;
    END IF;
    UPDATE invites i SET accepted_at = now(), accepted_by = p_person
    WHERE i.site_id = p_invite.site_id AND i.id = p_invite.id;
    IF EXISTS (SELECT FROM sites s WHERE s.id = p_invite.site_id AND s.user_id = p_person) THEN
        RETURN 'member';
    END IF;
    INSERT INTO site_members (site_id, user_id, role) VALUES (p_invite.site_id, p_person, p_invite.role)
    ON CONFLICT (site_id, user_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'member';
    END IF;
    -- From here on the site is one of theirs, also to the log.
    EXECUTE format('SET LOCAL app.sites = %L', ARRAY[p_invite.site_id]);
    PERFORM note_act(p_invite.site_id, p_act, 'members.join', p_invite.email, jsonb_build_object('role', p_invite.role,
        'invited_by', (SELECT u.email FROM users u WHERE u.id = p_invite.invited_by)));
    RETURN 'joined';
END
$$;

CREATE FUNCTION public.try_webhook(p_site uuid, p_id uuid, p_delivery uuid, p_act uuid) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
DECLARE
    v_url text;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    INSERT INTO webhook_deliveries (site_id, id, webhook_id, event_id, type, payload)
    SELECT w.site_id, p_delivery, w.id, gen_random_uuid(), 'webhook.test',
        jsonb_build_object('type', 'webhook.test', 'timestamp', now(), 'payload_version', 1, 'data',
            jsonb_build_object('site', t.public_id, 'links', jsonb_build_object('site', '/sites/' || t.id)))
    FROM webhooks w JOIN sites t ON t.id = w.site_id WHERE w.site_id = p_site AND w.id = p_id AND w.off_reason IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT w.url INTO v_url FROM webhooks w WHERE w.site_id = p_site AND w.id = p_id;
    PERFORM note_act(p_site, p_act, 'webhooks.test', webhook_host(v_url), '{}');
    RETURN p_delivery;
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

CREATE FUNCTION public.unfolded_leads(p_site uuid) RETURNS uuid[]
    LANGUAGE sql STABLE
    AS $$ SELECT coalesce(array_agg(DISTINCT c.id), '{}') FROM counter_journal j CROSS JOIN LATERAL unnest(j.calls) AS c (id) WHERE j.site_id = p_site $$;

CREATE FUNCTION public.unfolded_visitors(p_site uuid, p_zone text) RETURNS TABLE(day date, dimension text, key text, is_paid boolean, visitors integer)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
DECLARE
    v_from timestamptz;
    v_to timestamptz;
    v_first date;
    v_last date;
    v_visitors text[];
BEGIN
    -- In a function's body of its own, not in the statement of whoever reads: planning it costs ten times what reading
    -- a month of counters does, and most of the time there is nothing here.
    IF NOT EXISTS (SELECT FROM counter_journal j WHERE j.site_id = p_site) THEN
        RETURN;
    END IF;
    -- As values, not as questions in the query, and planned each time: a plan that was made for whichever site asked first,
    -- perhaps a new one for which any index will do, would read a large site's whole month, once for every visitor.
    SELECT min(e.at) - interval '26 hours', max(e.at) + interval '26 hours', array_agg(DISTINCT e.visitor)
    INTO v_from, v_to, v_visitors
    FROM counter_journal j CROSS JOIN LATERAL unnest(j.entries) e
    WHERE j.site_id = p_site AND e.kind = 'session' AND e.visitor IS NOT NULL;
    v_first := date_trunc('month', v_from AT TIME ZONE 'UTC')::date;
    v_last := date_trunc('month', v_to AT TIME ZONE 'UTC')::date;
    RETURN QUERY WITH told AS (
        SELECT e.visitor, (e.at AT TIME ZONE p_zone)::date AS day, hour_key(e.at, p_zone) AS hour,
            sum(e.n) AS n, coalesce(sum(e.n) FILTER (WHERE e.is_paid), 0) AS paid
        FROM counter_journal j CROSS JOIN LATERAL unnest(j.entries) e
        WHERE j.site_id = p_site AND e.kind = 'session' AND e.visitor IS NOT NULL GROUP BY 1, 2, 3
    ), found AS MATERIALIZED (
        SELECT s.visitor, (s.created_at AT TIME ZONE p_zone)::date AS day, hour_key(s.created_at, p_zone) AS hour,
            count(*) AS n, count(*) FILTER (WHERE s.is_paid) AS paid
        FROM (
            -- by the visitors alone, and then the rest: with the time beside them the planner takes the index of times
            SELECT x.fingerprint AS visitor, x.created_at, x.is_paid FROM sessions x
            WHERE x.site_id = p_site AND x.fingerprint = ANY (v_visitors) AND x.created_month BETWEEN v_first AND v_last OFFSET 0) s
        WHERE s.created_at BETWEEN v_from AND v_to
        GROUP BY 1, 2, 3
    ), both_sides AS (
        -- side by side, not joined: the planner cannot know how many these are, and would compare each with each
        SELECT visitor, day, hour, n, paid, 0 AS now_n, 0 AS now_paid FROM told
        UNION ALL SELECT visitor, day, hour, 0, 0, n, paid FROM found
    ), steps AS (
        SELECT day, NULL::text AS hour, sum(n) AS n, sum(paid) AS paid, sum(now_n) AS now_n, sum(now_paid) AS now_paid
        FROM both_sides GROUP BY visitor, day HAVING sum(n) <> 0 OR sum(paid) <> 0  -- else nothing has changed there
        UNION ALL
        SELECT day, hour, sum(n), sum(paid), sum(now_n), sum(now_paid) FROM both_sides GROUP BY visitor, day, hour
        HAVING sum(n) <> 0 OR sum(paid) <> 0
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

CREATE FUNCTION public.unlink_identity(p_id uuid, p_issuers text[], p_act uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_user record;
    v_issuer text;
BEGIN
    -- Two at once would each see the other's identity as the way that is left.
    SELECT u.email, u.password_hash IS NOT NULL AS has_password INTO v_user FROM users u WHERE u.id = v_person FOR NO KEY UPDATE;
    SELECT i.issuer INTO v_issuer FROM user_identities i WHERE i.id = p_id AND i.user_id = v_person;
    IF NOT FOUND THEN
        RETURN 'missing';
    END IF;
    IF NOT v_user.has_password AND NOT EXISTS (SELECT FROM user_identities i
            WHERE i.user_id = v_person AND i.id <> p_id AND i.issuer = ANY (p_issuers)) THEN
        RETURN 'last';
    END IF;
    DELETE FROM user_identities i WHERE i.id = p_id AND i.user_id = v_person;
    PERFORM note_act(NULL, p_act, 'identities.unlink', v_user.email, jsonb_build_object('issuer', v_issuer));
    RETURN 'unlinked';
END
$$;

CREATE FUNCTION public.untouchable(p_site uuid, p_asker uuid, p_user uuid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT CASE
        WHEN p_user = p_asker THEN 'oneself'
        WHEN EXISTS (SELECT FROM sites s WHERE s.id = p_site AND s.user_id = p_user) THEN 'owner'
        WHEN m.user_id IS NULL THEN 'gone'
        WHEN m.role = 'owner' AND site_role(p_site) = 'admin' THEN 'owner' END
    FROM (SELECT) one LEFT JOIN site_members m ON m.site_id = p_site AND m.user_id = p_user
$$;

CREATE FUNCTION public.use_email_link(p_link_hash bytea, p_note uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_new text;
    v_old text;
BEGIN
    UPDATE one_time_links SET used_at = now()
    WHERE token_hash = p_link_hash AND purpose = 'email' AND used_at IS NULL AND expires_at > now() AND user_id = v_user
    RETURNING email INTO v_new;
    IF v_new IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT u.email INTO v_old FROM users u WHERE u.id = v_user;
    RETURN CASE WHEN change_own_email(v_new, p_note) THEN v_old END;
END
$$;

CREATE FUNCTION public.use_identity(p_issuer text, p_subject text) RETURNS TABLE(user_id uuid, disabled boolean)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    UPDATE user_identities i SET last_used_at = now() FROM users u
    WHERE i.issuer = p_issuer AND i.subject = p_subject AND u.id = i.user_id
    RETURNING u.id, u.disabled_at IS NOT NULL
$$;

CREATE FUNCTION public.use_password_link(p_link_hash bytea, p_hash text, p_address text, p_note uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_user uuid;
BEGIN
    UPDATE one_time_links l SET used_at = now() FROM users u
    WHERE l.token_hash = p_link_hash AND l.purpose = 'password' AND l.used_at IS NULL AND l.expires_at > now()
      AND u.id = l.user_id AND u.disabled_at IS NULL
    RETURNING l.user_id INTO v_user;
    IF v_user IS NULL THEN
        RETURN false;
    END IF;
    UPDATE users SET password_hash = p_hash, updated_at = now() WHERE id = v_user;
    DELETE FROM half_sign_ins WHERE user_id = v_user;
    DELETE FROM sign_ins WHERE user_id = v_user;
    DELETE FROM one_time_links WHERE user_id = v_user AND token_hash <> p_link_hash;
    -- The link says who acts.
    EXECUTE format('SET LOCAL app.person = %L', v_user);
    EXECUTE format('SET LOCAL app.address = %L', coalesce(p_address, ''));
    PERFORM note_act(NULL, p_note, 'account.password_reset', NULL, '{}');
    RETURN true;
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

CREATE FUNCTION public.view_keeper(p_site uuid) RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin', 'operator', 'analyst') THEN
        RAISE EXCEPTION 'the asker sees nothing of this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

CREATE FUNCTION public.webhook_host(p_url text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT substring(p_url FROM '^[a-z]+://[^/?#]+') $$;

CREATE FUNCTION public.webhook_keeper(p_site uuid) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker may not change this site''s webhooks' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

CREATE FUNCTION public.webhook_payload(p_site uuid, p_type text, p_call uuid, p_more jsonb, p_phone boolean, p_click_id boolean) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
    SELECT jsonb_build_object('type', p_type, 'timestamp', now(), 'payload_version', 1, 'data',
        jsonb_build_object(
            'site', t.public_id, 'lead_id', c.id, 'version', c.version, 'status', c.status, 'captured_at', c.created_at,
            'captured_by', c.source, 'action', c.intent_action, 'source', s.attribution_source, 'channel', s.channel,
            'campaign', s.utm_campaign, 'keyword', s.utm_term, 'is_paid', coalesce(s.is_paid, false),
            'click_id_kind', coalesce(c.click_id_kind, CASE WHEN s.gclid IS NOT NULL THEN 'gclid'
                WHEN s.wbraid IS NOT NULL THEN 'wbraid' WHEN s.gbraid IS NOT NULL THEN 'gbraid' END),
            'score', c.lead_score, 'suspicion', to_jsonb(coalesce(c.suspicion, '{}')), 'stage', c.stage,
            'amount', c.sale_amount, 'currency', c.currency, 'decided_at', c.confirmed_at)
        -- Each is in the message only where the site has switched it on; a click id besides only where the visitor has not
        -- said no to marketing, by the same rule by which conversions are handed to the ad platform.
        || CASE WHEN p_phone THEN jsonb_build_object('phone_number', c.phone_number) ELSE '{}' END
        || CASE WHEN p_click_id THEN jsonb_build_object('click_id',
            CASE WHEN coalesce(s.consent_marketing, t.consent_mode <> 'required')
                THEN coalesce(c.click_id, s.gclid, s.wbraid, s.gbraid) END) ELSE '{}' END
        || coalesce(p_more, '{}')
        || CASE WHEN v.id IS NULL THEN '{}' ELSE jsonb_build_object('conversion', p_more -> 'conversion' || jsonb_build_object(
            'order_id', v.order_id, 'state', v.state, 'value', v.value, 'currency', v.currency,
            'occurred_at', v.occurred_at, 'due_at', v.due_at)) END
        || jsonb_build_object('links', jsonb_build_object('site', '/sites/' || t.id,
            'lead', '/api/v1/sites/' || t.public_id || '/intents/' || c.id)))
    FROM calls c JOIN sites t ON t.id = c.site_id
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    LEFT JOIN conversions v ON v.site_id = c.site_id AND v.id = (p_more #>> '{conversion,id}')::uuid
    WHERE c.site_id = p_site AND c.id = p_call
$$;

CREATE FUNCTION public.webhook_secrets(p_site uuid, p_id uuid, OUT secret bytea, OUT next_secret bytea, OUT key_id text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    SELECT w.secret, w.next_secret, w.key_id INTO webhook_secrets.secret, webhook_secrets.next_secret, webhook_secrets.key_id
    FROM webhooks w WHERE w.site_id = p_site AND w.id = p_id FOR NO KEY UPDATE;
END
$$;

CREATE FUNCTION public.week_hour(p_at timestamp with time zone) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT (extract(isodow FROM p_at AT TIME ZONE 'UTC') * 24 - 24 + extract(hour FROM p_at AT TIME ZONE 'UTC'))::integer $$;

CREATE FUNCTION public.wish_notices(p_site uuid, p_pace text, p_quiet_from time without time zone, p_quiet_until time without time zone, p_language text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_person IS NULL OR site_role(p_site) IS NULL THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO notice_wishes (site_id, user_id, pace, quiet_from, quiet_until, language)
    VALUES (p_site, v_person, p_pace, p_quiet_from, p_quiet_until, p_language)
    ON CONFLICT (site_id, user_id) DO UPDATE SET pace = excluded.pace, quiet_from = excluded.quiet_from,
        quiet_until = excluded.quiet_until, language = excluded.language, updated_at = now(),
        -- What waits is looked at again, by the new wish.
        next_at = CASE WHEN excluded.pace <> 'off' AND notice_wishes.next_at IS NOT NULL THEN now() END;
    IF p_pace = 'off' THEN
        DELETE FROM lead_notices n WHERE n.site_id = p_site AND n.user_id = v_person AND n.sent_at IS NULL;
    END IF;
END
$$;

CREATE FUNCTION public.wish_summary(p_site uuid, p_pace text, p_hour smallint, p_language text, p_next_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_person IS NULL OR site_role(p_site) IS NULL THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO summary_wishes (site_id, user_id, pace, at_hour, language, next_at)
    VALUES (p_site, v_person, p_pace, p_hour, p_language, CASE WHEN p_pace <> 'off' THEN p_next_at END)
    ON CONFLICT (site_id, user_id) DO UPDATE SET pace = excluded.pace, at_hour = excluded.at_hour,
        language = excluded.language, next_at = excluded.next_at, failures = 0, updated_at = now();
END
$$;

CREATE FUNCTION public.withdraw_ownership(p_site uuid, p_act uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_to uuid;
BEGIN
    PERFORM site_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    DELETE FROM ownership_offers o WHERE o.site_id = p_site RETURNING o.offered_to INTO v_to;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    PERFORM note_act(p_site, p_act, 'ownership.withdraw', (SELECT u.email FROM users u WHERE u.id = v_to), '{}');
    RETURN 'withdrawn';
END
$$;

CREATE FUNCTION public.withhold_items(p_site uuid, p_batch uuid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    v_ids uuid[];
BEGIN
    PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversion_batch_items i JOIN conversions v
        ON v.site_id = i.site_id AND v.id = i.conversion_id WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL));
    v_ids := ARRAY(SELECT v.id FROM conversion_batch_items i JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
        WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL AND NOT consent_allows(p_site, v.call_id)
        ORDER BY v.id FOR UPDATE OF v);
    IF v_ids = '{}' THEN
        RETURN;
    END IF;
    PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', i.conversion_id, 'batch_id', NULL, 'next_at', now(),
            'click_id', NULL, 'click_id_kind', NULL, 'platform_value', i.value, 'platform_currency', i.currency,
            'state', CASE v.state WHEN 'sent' THEN 'skipped' ELSE v.state END,
            'reason', CASE v.state WHEN 'sent' THEN 'no_consent' ELSE v.reason END, 'move', 'no_consent'))
        FROM conversion_batch_items i JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
        WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.conversion_id = ANY (v_ids)));
    UPDATE conversion_batch_items i SET outcome = 'withheld', reason = 'no_consent'
    WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.conversion_id = ANY (v_ids);
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

CREATE TABLE public.archive_erasures (
    site_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    month date NOT NULL
);

ALTER TABLE ONLY public.archive_erasures FORCE ROW LEVEL SECURITY;

CREATE TABLE public.archived_months (
    month date NOT NULL,
    sites uuid[] NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    archived_at timestamp with time zone,
    node text,
    files jsonb,
    restored_until timestamp with time zone,
    forgotten_at timestamp with time zone,
    CONSTRAINT archived_months_files CHECK (((files IS NOT NULL) = ((archived_at IS NOT NULL) AND (forgotten_at IS NULL)))),
    CONSTRAINT archived_months_month_check CHECK ((EXTRACT(day FROM month) = (1)::numeric))
);

ALTER TABLE ONLY public.archived_months FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.archived_months.sites IS 'Whose rows are in it. Committed before the rows are read: an erasure that begins later knows of it.';

COMMENT ON COLUMN public.archived_months.archived_at IS 'When the files were whole and read back. Until then nothing of the month is forgotten.';

COMMENT ON COLUMN public.archived_months.files IS '{"sessions": {"file", "sha256", "bytes", "rows", "checksum"}, "events": ...}: no other files are this month''s.';

COMMENT ON COLUMN public.archived_months.restored_until IS 'Retention leaves the month alone until then.';

COMMENT ON COLUMN public.archived_months.forgotten_at IS 'When its files were removed for good.';

CREATE TABLE public.audit_runs (
    id bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    seconds numeric NOT NULL,
    errors integer NOT NULL,
    warnings integer NOT NULL,
    unknown integer NOT NULL,
    report jsonb NOT NULL
);

ALTER TABLE ONLY public.audit_runs FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.audit_runs.report IS 'The whole report. Of the tables and sites it names, never of what a visitor sent.';

ALTER TABLE public.audit_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.call_secrets (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    place text NOT NULL,
    secret bytea NOT NULL,
    key_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT call_secrets_place_check CHECK ((place = ANY (ARRAY['current'::text, 'next'::text])))
);

ALTER TABLE ONLY public.call_secrets FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.call_secrets.secret IS 'Sealed by the application (keyring.py); key_id names the key.';

CREATE TABLE public.call_signatures (
    site_id uuid NOT NULL,
    signature bytea NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    answer jsonb,
    CONSTRAINT call_signatures_signature_check CHECK ((length(signature) = 32))
);

ALTER TABLE ONLY public.call_signatures FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.call_signatures.signature IS 'SHA-256 of the signature.';

COMMENT ON COLUMN public.call_signatures.answer IS 'What was answered; null only inside the transaction that stores the call.';

CREATE TABLE public.conversion_batches (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    adapter text NOT NULL,
    destination jsonb NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    size integer NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone,
    request_id text,
    error text,
    file_name text,
    digest bytea,
    downloads integer DEFAULT 0 NOT NULL,
    created_by uuid,
    created_name text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT conversion_batches_digest_check CHECK ((length(digest) = 32)),
    CONSTRAINT conversion_batches_error_check CHECK ((length(error) <= 500)),
    CONSTRAINT conversion_batches_file_name_check CHECK ((length(file_name) <= 200)),
    CONSTRAINT conversion_batches_finished CHECK (((finished_at IS NULL) = (state = ANY (ARRAY['open'::text, 'sent'::text])))),
    CONSTRAINT conversion_batches_kind_check CHECK ((kind = ANY (ARRAY['new'::text, 'restate'::text, 'retract'::text]))),
    CONSTRAINT conversion_batches_request_id_check CHECK ((length(request_id) <= 20000)),
    CONSTRAINT conversion_batches_size_check CHECK ((size > 0)),
    CONSTRAINT conversion_batches_state_check CHECK ((state = ANY (ARRAY['open'::text, 'sent'::text, 'done'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY public.conversion_batches FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.conversion_batches.state IS 'open: it may have arrived although nobody heard so; it is sent again as it is, and nothing else is done about its conversions before. sent: the platform has it, what it made of it is still to be heard. done: each conversion has its answer. cancelled: it certainly did not arrive, and its conversions wait as before.';

COMMENT ON COLUMN public.conversion_batches.attempts IS 'Counts claims: an answer is taken only from whoever claimed it last.';

COMMENT ON COLUMN public.conversion_batches.next_at IS 'When it is due again. Whoever claims it moves this on first: should they die, it is due again then. Null: a person or a program elsewhere is to say what became of it.';

COMMENT ON COLUMN public.conversion_batches.request_id IS 'The platform''s name for it.';

COMMENT ON COLUMN public.conversion_batches.digest IS 'SHA-256 of the file, which is made anew from the rows at every download and must come out the same.';

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

CREATE TABLE public.conversion_routes (
    site_id uuid NOT NULL,
    adapter text NOT NULL,
    is_on boolean DEFAULT true NOT NULL,
    destination jsonb DEFAULT '{}'::jsonb NOT NULL,
    with_hashes boolean DEFAULT false NOT NULL,
    secret bytea,
    key_id text,
    has_grant boolean GENERATED ALWAYS AS ((secret IS NOT NULL)) STORED,
    connected_by uuid,
    trouble text,
    trouble_at timestamp with time zone,
    not_before timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    claimed_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT conversion_routes_adapter_check CHECK ((adapter = ANY (ARRAY['data_manager'::text, 'google_ads'::text, 'file'::text, 'script'::text, 'meta'::text, 'webhook'::text]))),
    CONSTRAINT conversion_routes_destination_check CHECK ((jsonb_typeof(destination) = 'object'::text)),
    CONSTRAINT conversion_routes_sealed CHECK (((secret IS NULL) = (key_id IS NULL))),
    CONSTRAINT conversion_routes_trouble CHECK (((trouble IS NULL) = (trouble_at IS NULL))),
    CONSTRAINT conversion_routes_trouble_check CHECK ((length(trouble) <= 300))
);

ALTER TABLE ONLY public.conversion_routes FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.conversion_routes.is_on IS 'The site''s switch: off, and nothing of it leaves, whatever is due.';

COMMENT ON COLUMN public.conversion_routes.destination IS 'Account and conversion action, by the adapter''s own names. Copied into each batch: what was sent is put right where it was sent.';

COMMENT ON COLUMN public.conversion_routes.with_hashes IS 'Whether hashed contact data goes along (enhanced conversions for leads), where the visitor agreed.';

COMMENT ON COLUMN public.conversion_routes.secret IS 'What opens the platform, sealed by the application; key_id names the key.';

COMMENT ON COLUMN public.conversion_routes.connected_by IS 'Whose connection to the platform is used, where there is no secret of the site''s own.';

COMMENT ON COLUMN public.conversion_routes.trouble IS 'What somebody has to put right before anything can leave; null: nothing.';

COMMENT ON COLUMN public.conversion_routes.not_before IS 'The platform has asked for patience until then.';

COMMENT ON COLUMN public.conversion_routes.claimed_at IS 'Sites take turns by this.';

CREATE VIEW public.conversion_rows WITH (security_invoker='true') AS
 SELECT v.site_id,
    v.id,
    v.created_at,
    v.updated_at,
    v.call_id AS lead_id,
    v.order_id,
    v.state,
    v.reason,
    v.detail,
    v.due_at,
    v.next_at,
    v.attempts,
    v.occurred_at,
    v.value,
    v.currency,
    ((v.value IS NOT NULL) AND (((v.reason = 'stage_weight'::text) OR ((v.state <> 'retracted'::text) AND (c.sale_amount IS NULL))) IS TRUE)) AS is_weight,
    v.click_id_kind,
    v.clicked_at,
    v.consent,
    v.batch_id,
    v.sent_at,
    (v.sent_to ->> 'adapter'::text) AS sent_by,
    v.platform_value,
    v.platform_currency,
    v.taken_back_at,
    public.owed_step(v.*) AS owed,
    c.created_at AS captured_at,
    c.confirmed_at AS decided_at,
    c.status AS lead_status,
    c.stage,
    c.intent_action AS action,
    c.intent_target AS target,
    c.source AS captured_by,
    c.phone_number
   FROM (public.conversions v
     JOIN public.calls c ON (((c.site_id = v.site_id) AND (c.id = v.call_id))));

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
    last_intent_at timestamp with time zone,
    calls uuid[] DEFAULT '{}'::uuid[] NOT NULL
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
    unsigned_calls boolean DEFAULT true NOT NULL,
    monthly_quota bigint,
    rate_per_minute integer,
    quarantine_days integer DEFAULT 30 NOT NULL,
    allowed_bots text[] DEFAULT '{}'::text[] NOT NULL,
    quota_noted_month date,
    quota_noted_percent integer,
    keep_ip boolean DEFAULT true NOT NULL,
    ip_forgotten boolean DEFAULT true NOT NULL,
    retention_months integer DEFAULT 25,
    facts_since date,
    CONSTRAINT sites_allowed_bots_check CHECK ((cardinality(allowed_bots) <= 100)),
    CONSTRAINT sites_assumed_cpc_check CHECK ((assumed_cpc >= (0)::numeric)),
    CONSTRAINT sites_attribution_window_days_check CHECK (((attribution_window_days >= 1) AND (attribution_window_days <= 184))),
    CONSTRAINT sites_auto_approve_hours_check CHECK (((auto_approve_hours >= 1) AND (auto_approve_hours <= 168))),
    CONSTRAINT sites_auto_junk_days_check CHECK (((auto_junk_days >= 7) AND (auto_junk_days <= 184))),
    CONSTRAINT sites_consent_mode_check CHECK ((consent_mode = ANY (ARRAY['required'::text, 'implied'::text, 'legacy'::text]))),
    CONSTRAINT sites_conversion_time_check CHECK ((conversion_time = ANY (ARRAY['intent'::text, 'decision'::text]))),
    CONSTRAINT sites_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT sites_domain_check CHECK (((length(domain) >= 1) AND (length(domain) <= 253))),
    CONSTRAINT sites_monthly_quota_check CHECK (((monthly_quota >= 1) AND (monthly_quota <= '1000000000000'::bigint))),
    CONSTRAINT sites_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT sites_public_id_check CHECK ((public_id ~ '^[0-9a-f]{32}$'::text)),
    CONSTRAINT sites_quarantine_days_check CHECK (((quarantine_days >= 1) AND (quarantine_days <= 90))),
    CONSTRAINT sites_rate_per_minute_check CHECK (((rate_per_minute >= 1) AND (rate_per_minute <= 100000))),
    CONSTRAINT sites_region_check CHECK ((region ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT sites_retention_months_check CHECK (((retention_months >= 2) AND (retention_months <= 60))),
    CONSTRAINT sites_undo_minutes_check CHECK (((undo_minutes >= 0) AND (undo_minutes <= 1440)))
);

ALTER TABLE ONLY public.sites FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.sites.public_id IS 'The id in the snippet, 32 hex digits; the UUID spelling with hyphens means the same site.';

COMMENT ON COLUMN public.sites.region IS 'ISO 3166 region in which a number without a country code is read.';

COMMENT ON COLUMN public.sites.undo_minutes IS 'How long a conversion is held before it may be sent.';

COMMENT ON COLUMN public.sites.auto_approve_hours IS 'Leads that waited so long and carry no risk are sealed by rule; null: never, until somebody switches it on.';

COMMENT ON COLUMN public.sites.auto_junk_days IS 'Leads that nobody touched for so long become junk; null: never.';

COMMENT ON COLUMN public.sites.conversion_time IS 'The moment that a conversion without a sale date is reported with: the tap, or the decision about it.';

COMMENT ON COLUMN public.sites.unsigned_calls IS 'Whether calls may be reported without a signature, as the first generation did.';

COMMENT ON COLUMN public.sites.monthly_quota IS 'Stored events in a calendar month of the site; null: no quota. From 200 % on all but leads are refused.';

COMMENT ON COLUMN public.sites.rate_per_minute IS 'Events a minute that one client may send for this site; null: as the installation has it.';

COMMENT ON COLUMN public.sites.quarantine_days IS 'How long refused events are kept.';

COMMENT ON COLUMN public.sites.allowed_bots IS 'Automatic visitors, by the name that ingest gives them, whose events are taken.';

COMMENT ON COLUMN public.sites.quota_noted_percent IS 'The highest share of the quota that was noted in quota_noted_month: 80, 100 or 200.';

COMMENT ON COLUMN public.sites.keep_ip IS 'Whether the network that a visitor came from (IPv4 /24, IPv6 /48) is stored; the whole address never is.';

COMMENT ON COLUMN public.sites.ip_forgotten IS 'False from when keep_ip is switched off until upkeep has wiped what was stored before.';

COMMENT ON COLUMN public.sites.retention_months IS 'How many months visits and leads are kept; null: for ever. Figures stay.';

COMMENT ON COLUMN public.sites.facts_since IS 'The first day of which all rows are there: figures of days before cannot be counted again. Null: all can.';

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

CREATE TABLE public.frozen_parts (
    name text NOT NULL,
    frozen_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.frozen_parts FORCE ROW LEVEL SECURITY;

CREATE TABLE public.half_sign_ins (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    method text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    user_agent text,
    address text,
    CONSTRAINT half_sign_ins_method_check CHECK ((method = ANY (ARRAY['password'::text, 'oidc'::text, 'invite'::text, 'link'::text]))),
    CONSTRAINT half_sign_ins_token_hash_check CHECK ((length(token_hash) = 32))
);

ALTER TABLE ONLY public.half_sign_ins FORCE ROW LEVEL SECURITY;

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
    key_name text,
    CONSTRAINT intent_actions_action_check CHECK (((length(action) >= 1) AND (length(action) <= 40))),
    CONSTRAINT intent_actions_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['person'::text, 'rule'::text, 'key'::text])))
);

ALTER TABLE ONLY public.intent_actions FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.intent_actions.version IS 'The lead''s version after the act.';

COMMENT ON COLUMN public.intent_actions.before IS 'The columns that the act changed, as they were.';

COMMENT ON COLUMN public.intent_actions.key_name IS 'The key that acted, by its name and last four characters as they were then.';

CREATE TABLE public.lead_notices (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    call_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone
);

ALTER TABLE ONLY public.lead_notices FORCE ROW LEVEL SECURITY;

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

CREATE TABLE public.notice_wishes (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    pace text NOT NULL,
    quiet_from time without time zone,
    quiet_until time without time zone,
    language text DEFAULT 'en'::text NOT NULL,
    next_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT notice_wishes_pace_check CHECK ((pace = ANY (ARRAY['off'::text, 'every'::text, 'quarter_hour'::text, 'hour'::text]))),
    CONSTRAINT notice_wishes_quiet_whole CHECK ((((quiet_from IS NULL) = (quiet_until IS NULL)) AND (quiet_from <> quiet_until)))
);

ALTER TABLE ONLY public.notice_wishes FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.notice_wishes.quiet_from IS 'By the site''s clock; past midnight where it is after quiet_until.';

COMMENT ON COLUMN public.notice_wishes.next_at IS 'When to see whether a mail is due; null: nothing waits.';

CREATE TABLE public.one_time_links (
    token_hash bytea NOT NULL,
    purpose text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    user_id uuid,
    email text,
    CONSTRAINT one_time_links_purpose_check CHECK ((purpose = ANY (ARRAY['first_admin'::text, 'password'::text, 'email'::text]))),
    CONSTRAINT one_time_links_token_hash_check CHECK ((length(token_hash) = 32)),
    CONSTRAINT one_time_links_whose_check CHECK ((((purpose <> ALL (ARRAY['password'::text, 'email'::text])) OR (user_id IS NOT NULL)) AND ((purpose <> 'email'::text) OR (email IS NOT NULL))))
);

ALTER TABLE ONLY public.one_time_links FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.one_time_links.email IS 'The address that a person wants to have, until the link sent there is opened.';

CREATE TABLE public.ownership_offers (
    site_id uuid NOT NULL,
    offered_to uuid NOT NULL,
    offered_by uuid NOT NULL,
    offered_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.ownership_offers FORCE ROW LEVEL SECURITY;

CREATE TABLE public.person_keys (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    key_hash bytea NOT NULL,
    last_four text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    only_site uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    replaced_by uuid,
    CONSTRAINT person_keys_key_hash_check CHECK ((length(key_hash) = 32)),
    CONSTRAINT person_keys_last_four_check CHECK ((length(last_four) = 4)),
    CONSTRAINT person_keys_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT person_keys_scopes CHECK (((cardinality(scopes) > 0) AND (scopes <@ ARRAY['site:read'::text, 'leads:decide'::text, 'conversions:export'::text, 'refused:tend'::text, 'site:write'::text, 'privacy:manage'::text])))
);

ALTER TABLE ONLY public.person_keys FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.person_keys.only_site IS 'The one site that it is good for; null: all sites of its person.';

COMMENT ON COLUMN public.person_keys.last_used_at IS 'To five minutes: not every use is worth a write.';

COMMENT ON COLUMN public.person_keys.replaced_by IS 'Its successor; both are good until this one expires.';

CREATE TABLE public.platform_acts (
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor uuid,
    actor_name text NOT NULL,
    address text,
    action text NOT NULL,
    subject text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT platform_acts_action_check CHECK ((action ~ '^[a-z_]+\.[a-z_]+$'::text))
);

ALTER TABLE ONLY public.platform_acts FORCE ROW LEVEL SECURITY;

CREATE UNLOGGED TABLE public.presences (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    call_id uuid NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='50');

ALTER TABLE ONLY public.presences FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.presences IS 'The one card that somebody has open in the queue; kept by look_at_lead, which also clears what is old.';

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

CREATE TABLE public.provider_circuits (
    provider text NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    open_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    reason text,
    is_on boolean DEFAULT true NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT provider_circuits_provider_check CHECK ((length(provider) <= 60)),
    CONSTRAINT provider_circuits_reason_check CHECK ((length(reason) <= 300))
);

ALTER TABLE ONLY public.provider_circuits FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.provider_circuits.failures IS 'Calls in a row that were not answered.';

COMMENT ON COLUMN public.provider_circuits.is_on IS 'The installation''s switch: off, and nothing goes there from any site.';

CREATE TABLE public.recovery_codes (
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT recovery_codes_code_hash_check CHECK ((length(code_hash) = 32))
);

ALTER TABLE ONLY public.recovery_codes FORCE ROW LEVEL SECURITY;

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

CREATE TABLE public.second_factors (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    secret bytea NOT NULL,
    key_id text NOT NULL,
    last_step bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    confirmed_at timestamp with time zone
);

ALTER TABLE ONLY public.second_factors FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.second_factors.secret IS 'Encrypted by the application; key_id names the key.';

COMMENT ON COLUMN public.second_factors.last_step IS 'The newest half minute whose code was taken: no code is good twice, nor one before it.';

CREATE TABLE public.session_keys (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    created_month date NOT NULL,
    CONSTRAINT session_keys_created_month_check CHECK ((EXTRACT(day FROM created_month) = (1)::numeric))
);

ALTER TABLE ONLY public.session_keys FORCE ROW LEVEL SECURITY;

CREATE TABLE public.share_links (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    name text NOT NULL,
    paid_only boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by uuid,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT share_links_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT share_links_token_hash_check CHECK ((length(token_hash) = 32))
);

ALTER TABLE ONLY public.share_links FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.share_links IS 'Who revokes one takes its row away; the log of acts keeps that it was there.';

COMMENT ON COLUMN public.share_links.token_hash IS 'SHA-256 of what the address ends with; that itself is kept nowhere.';

COMMENT ON COLUMN public.share_links.paid_only IS 'Whether it shows paid traffic and nothing else.';

COMMENT ON COLUMN public.share_links.last_used_at IS 'To five minutes: not every look is worth a write.';

CREATE TABLE public.sign_in_attempts (
    key bytea NOT NULL,
    n integer NOT NULL,
    allowed_at timestamp with time zone NOT NULL,
    CONSTRAINT sign_in_attempts_key_check CHECK ((length(key) = 32))
);

ALTER TABLE ONLY public.sign_in_attempts FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.sign_in_attempts.allowed_at IS 'When the next attempt may be made; an hour of quiet after that forgives.';

CREATE TABLE public.sign_ins (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    user_agent text,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    method text DEFAULT 'password'::text NOT NULL,
    second_factor_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    address text,
    CONSTRAINT sign_ins_method_check CHECK ((method = ANY (ARRAY['password'::text, 'oidc'::text, 'invite'::text, 'link'::text]))),
    CONSTRAINT sign_ins_token_hash_check CHECK ((length(token_hash) = 32))
);

ALTER TABLE ONLY public.sign_ins FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.sign_ins.confirmed_at IS 'When this browser last proved who it is: at the sign-in, or since, before something dangerous.';

COMMENT ON COLUMN public.sign_ins.address IS 'Cut short (IPv4 /24, IPv6 /48) before it comes here.';

CREATE TABLE public.site_acts (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor uuid,
    actor_name text NOT NULL,
    address text,
    action text NOT NULL,
    subject text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT site_acts_action_check CHECK ((action ~ '^[a-z_]+\.[a-z_]+$'::text))
);

ALTER TABLE ONLY public.site_acts FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.site_acts.actor_name IS 'As it was then: an account that is gone must still be named. "upkeep" where nobody asked.';

COMMENT ON COLUMN public.site_acts.action IS 'room.act, as in members.invite; the words for it are the screens''.';

COMMENT ON COLUMN public.site_acts.subject IS 'Whom or what it was done to. Never a secret, and never a visitor''s data.';

CREATE TABLE public.site_keys (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    key_hash bytea NOT NULL,
    last_four text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by uuid,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    replaced_by uuid,
    CONSTRAINT site_keys_key_hash_check CHECK ((length(key_hash) = 32)),
    CONSTRAINT site_keys_last_four_check CHECK ((length(last_four) = 4)),
    CONSTRAINT site_keys_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT site_keys_scopes CHECK (((cardinality(scopes) > 0) AND (scopes <@ ARRAY['site:read'::text, 'leads:decide'::text, 'conversions:export'::text, 'refused:tend'::text, 'site:write'::text, 'privacy:manage'::text])))
);

ALTER TABLE ONLY public.site_keys FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.site_keys.created_by IS 'Who made it. The key is the site''s: it lives on when they leave.';

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
    verified_at timestamp with time zone,
    last_seen_at timestamp with time zone,
    CONSTRAINT site_origins_origin_check CHECK (((origin = 'null'::text) OR (origin ~ '^https?://[^/ ]+$'::text)))
);

ALTER TABLE ONLY public.site_origins FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.site_origins.origin IS 'Scheme, host and port as browsers write them in Origin; https://*.example.com: every name below example.com, not itself; null: pages without an origin.';

COMMENT ON COLUMN public.site_origins.verified_at IS 'When the first event from there was stored.';

CREATE TABLE public.site_pulse (
    site_id uuid NOT NULL,
    sequence bigint NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    last_event_at timestamp with time zone,
    last_intent_at timestamp with time zone,
    counted_at timestamp with time zone,
    leads_gathered_at timestamp with time zone
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

CREATE TABLE public.summary_wishes (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    pace text DEFAULT 'off'::text NOT NULL,
    at_hour smallint DEFAULT 8 NOT NULL,
    language text DEFAULT 'en'::text NOT NULL,
    sent_for date,
    next_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    asked_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT summary_wishes_at_hour_check CHECK (((at_hour >= 0) AND (at_hour <= 23))),
    CONSTRAINT summary_wishes_pace_check CHECK ((pace = ANY (ARRAY['off'::text, 'daily'::text, 'weekly'::text])))
);

ALTER TABLE ONLY public.summary_wishes FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.summary_wishes.at_hour IS 'By the site''s clock.';

COMMENT ON COLUMN public.summary_wishes.sent_for IS 'The site''s day on which the last one was due: that one is not sent again.';

COMMENT ON COLUMN public.summary_wishes.next_at IS 'When the next is due, or until when a sender has this wish; null: none is wished for.';

COMMENT ON COLUMN public.summary_wishes.asked_at IS 'When somebody last had one sent at once.';

CREATE TABLE public.upkeep_runs (
    id bigint NOT NULL,
    job text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    outcome text,
    detail jsonb,
    node text
);

ALTER TABLE ONLY public.upkeep_runs FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.upkeep_runs.node IS 'The machine and the process that ran it.';

ALTER TABLE public.upkeep_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.upkeep_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.upkeep_wishes (
    job text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT upkeep_wishes_job_check CHECK (((length(job) >= 1) AND (length(job) <= 40)))
);

ALTER TABLE ONLY public.upkeep_wishes FORCE ROW LEVEL SECURITY;

COMMENT ON TABLE public.upkeep_wishes IS 'A job is wished for once; the node that runs it takes the row away.';

CREATE TABLE public.user_credentials (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    provider text NOT NULL,
    access_token bytea,
    refresh_token bytea,
    key_id text,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT user_credentials_sealed_check CHECK ((((access_token IS NULL) AND (refresh_token IS NULL)) OR (key_id IS NOT NULL)))
);

ALTER TABLE ONLY public.user_credentials FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.user_credentials.access_token IS 'Encrypted by the application; key_id names the key.';

COMMENT ON COLUMN public.user_credentials.refresh_token IS 'Encrypted by the application; key_id names the key.';

CREATE TABLE public.user_identities (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    email text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    CONSTRAINT user_identities_email_check CHECK ((length(email) <= 254)),
    CONSTRAINT user_identities_issuer_check CHECK (((length(issuer) >= 8) AND (length(issuer) <= 500))),
    CONSTRAINT user_identities_subject_check CHECK (((length(subject) >= 1) AND (length(subject) <= 255)))
);

ALTER TABLE ONLY public.user_identities FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.user_identities.email IS 'As the provider had it when it was linked: to be recognised by, not to sign in by.';

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

CREATE TABLE public.watch_alerts (
    id bigint NOT NULL,
    name text NOT NULL,
    says text NOT NULL,
    began_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    mailed text,
    posted text,
    CONSTRAINT watch_alerts_mailed_check CHECK ((mailed = ANY (ARRAY['began'::text, 'ended'::text]))),
    CONSTRAINT watch_alerts_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT watch_alerts_posted_check CHECK ((posted = ANY (ARRAY['began'::text, 'ended'::text]))),
    CONSTRAINT watch_alerts_says_check CHECK ((length(says) <= 1000))
);

ALTER TABLE ONLY public.watch_alerts FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.watch_alerts.seen_at IS 'When some node last saw it; it is over when none has for a while.';

COMMENT ON COLUMN public.watch_alerts.mailed IS 'What people were told last; null: nothing yet.';

COMMENT ON COLUMN public.watch_alerts.posted IS 'What the webhook was told last; null: nothing yet.';

ALTER TABLE public.watch_alerts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.watch_alerts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhook_deliveries (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    webhook_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    call_id uuid,
    payload jsonb NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    tries jsonb DEFAULT '[]'::jsonb NOT NULL,
    response text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    delivered_at timestamp with time zone,
    CONSTRAINT webhook_deliveries_response_check CHECK ((length(response) <= 1024)),
    CONSTRAINT webhook_deliveries_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'failed'::text, 'given_up'::text]))),
    CONSTRAINT webhook_deliveries_type_check CHECK ((length(type) <= 60))
);

ALTER TABLE ONLY public.webhook_deliveries FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.webhook_deliveries.event_id IS 'The webhook-id of the message: the same at every try, and for every webhook of the site.';

COMMENT ON COLUMN public.webhook_deliveries.attempts IS 'Tries begun, the one under way included; a replay begins anew.';

COMMENT ON COLUMN public.webhook_deliveries.next_at IS 'When it is due. Whoever takes it moves this on first: should they die, it is due again then.';

COMMENT ON COLUMN public.webhook_deliveries.tries IS 'The latest tries: when, answered what, or failed how, and in how many milliseconds.';

CREATE TABLE public.webhooks (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    with_phone boolean DEFAULT false NOT NULL,
    with_click_id boolean DEFAULT false NOT NULL,
    secret bytea NOT NULL,
    next_secret bytea,
    key_id text NOT NULL,
    rotating_since timestamp with time zone,
    off_reason text,
    failing_since timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by uuid,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT webhooks_events_check CHECK (((cardinality(events) > 0) AND (events <@ ARRAY['lead.created'::text, 'lead.decided'::text, 'conversion.state_changed'::text]))),
    CONSTRAINT webhooks_off_reason_check CHECK ((off_reason = ANY (ARRAY['paused'::text, 'gone'::text, 'failing'::text]))),
    CONSTRAINT webhooks_rotating CHECK (((next_secret IS NULL) = (rotating_since IS NULL))),
    CONSTRAINT webhooks_url_check CHECK (((length(url) >= 10) AND (length(url) <= 2000)))
);

ALTER TABLE ONLY public.webhooks FORCE ROW LEVEL SECURITY;

COMMENT ON COLUMN public.webhooks.secret IS 'Sealed by the application; key_id names the key, the row''s id belongs to the seal.';

COMMENT ON COLUMN public.webhooks.next_secret IS 'While a secret is being replaced both sign.';

COMMENT ON COLUMN public.webhooks.off_reason IS 'Why nothing is sent there; null: it is on.';

COMMENT ON COLUMN public.webhooks.failing_since IS 'The first failure since the last success.';

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

ALTER TABLE ONLY public.archive_erasures
    ADD CONSTRAINT archive_erasures_pkey PRIMARY KEY (site_id, erasure_id, month);

ALTER TABLE ONLY public.archived_months
    ADD CONSTRAINT archived_months_pkey PRIMARY KEY (month);

ALTER TABLE ONLY public.audit_runs
    ADD CONSTRAINT audit_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.call_secrets
    ADD CONSTRAINT call_secrets_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.call_secrets
    ADD CONSTRAINT call_secrets_place_key UNIQUE (site_id, place);

ALTER TABLE ONLY public.call_signatures
    ADD CONSTRAINT call_signatures_pkey PRIMARY KEY (site_id, signature);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_site_stamp_key UNIQUE (site_id, intent_stamp);

ALTER TABLE ONLY public.conversion_batch_items
    ADD CONSTRAINT conversion_batch_items_once UNIQUE (site_id, batch_id, conversion_id);

ALTER TABLE ONLY public.conversion_batch_items
    ADD CONSTRAINT conversion_batch_items_pkey PRIMARY KEY (site_id, batch_id, "position");

ALTER TABLE ONLY public.conversion_batches
    ADD CONSTRAINT conversion_batches_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.conversion_moves
    ADD CONSTRAINT conversion_moves_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.conversion_routes
    ADD CONSTRAINT conversion_routes_pkey PRIMARY KEY (site_id);

ALTER TABLE ONLY public.conversions
    ADD CONSTRAINT conversions_order_key UNIQUE (site_id, order_id);

ALTER TABLE ONLY public.conversions
    ADD CONSTRAINT conversions_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.counter_days
    ADD CONSTRAINT counter_days_pkey PRIMARY KEY (site_id, day);

ALTER TABLE ONLY public.counter_journal
    ADD CONSTRAINT counter_journal_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.frozen_parts
    ADD CONSTRAINT frozen_parts_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.half_sign_ins
    ADD CONSTRAINT half_sign_ins_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.ingest_tally
    ADD CONSTRAINT ingest_tally_pkey PRIMARY KEY (site_id, hour, outcome);

ALTER TABLE ONLY public.intent_actions
    ADD CONSTRAINT intent_actions_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.intent_actions
    ADD CONSTRAINT intent_actions_undoes_key UNIQUE (site_id, undoes);

ALTER TABLE ONLY public.invites
    ADD CONSTRAINT invites_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.lead_notices
    ADD CONSTRAINT lead_notices_pkey PRIMARY KEY (site_id, user_id, call_id);

ALTER TABLE ONLY public.lead_search
    ADD CONSTRAINT lead_search_pkey PRIMARY KEY (site_id, call_id);

ALTER TABLE ONLY public.notice_wishes
    ADD CONSTRAINT notice_wishes_pkey PRIMARY KEY (site_id, user_id);

ALTER TABLE ONLY public.one_time_links
    ADD CONSTRAINT one_time_links_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.ownership_offers
    ADD CONSTRAINT ownership_offers_pkey PRIMARY KEY (site_id);

ALTER TABLE ONLY public.person_keys
    ADD CONSTRAINT person_keys_key_hash_key UNIQUE (key_hash);

ALTER TABLE ONLY public.person_keys
    ADD CONSTRAINT person_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.platform_acts
    ADD CONSTRAINT platform_acts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.presences
    ADD CONSTRAINT presences_pkey PRIMARY KEY (site_id, user_id);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.provider_circuits
    ADD CONSTRAINT provider_circuits_pkey PRIMARY KEY (provider);

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_hash);

ALTER TABLE ONLY public.rejected_events
    ADD CONSTRAINT rejected_events_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.replays
    ADD CONSTRAINT replays_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.saved_views
    ADD CONSTRAINT saved_views_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.saved_views
    ADD CONSTRAINT saved_views_site_id_user_id_name_key UNIQUE (site_id, user_id, name);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT second_factors_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT second_factors_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY public.session_keys
    ADD CONSTRAINT session_keys_month_key UNIQUE (site_id, created_month, id);

ALTER TABLE ONLY public.session_keys
    ADD CONSTRAINT session_keys_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.share_links
    ADD CONSTRAINT share_links_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.sign_in_attempts
    ADD CONSTRAINT sign_in_attempts_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_id_key UNIQUE (id);

ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.site_acts
    ADD CONSTRAINT site_acts_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.site_keys
    ADD CONSTRAINT site_keys_pkey PRIMARY KEY (site_id, id);

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

ALTER TABLE ONLY public.summary_wishes
    ADD CONSTRAINT summary_wishes_pkey PRIMARY KEY (site_id, user_id);

ALTER TABLE ONLY public.upkeep_runs
    ADD CONSTRAINT upkeep_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.upkeep_wishes
    ADD CONSTRAINT upkeep_wishes_pkey PRIMARY KEY (job);

ALTER TABLE ONLY public.user_credentials
    ADD CONSTRAINT user_credentials_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_credentials
    ADD CONSTRAINT user_credentials_user_id_provider_key UNIQUE (user_id, provider);

ALTER TABLE ONLY public.user_identities
    ADD CONSTRAINT user_identities_issuer_subject_key UNIQUE (issuer, subject);

ALTER TABLE ONLY public.user_identities
    ADD CONSTRAINT user_identities_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.visitors
    ADD CONSTRAINT visitors_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.watch_alerts
    ADD CONSTRAINT watch_alerts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (site_id, id);

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (site_id, id);

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

CREATE INDEX audit_runs_started_idx ON public.audit_runs USING btree (started_at DESC);

CREATE INDEX call_signatures_received_idx ON public.call_signatures USING btree (site_id, received_at);

CREATE INDEX calls_confirmed_by_idx ON public.calls USING btree (confirmed_by) WHERE (confirmed_by IS NOT NULL);

CREATE INDEX calls_decided_idx ON public.calls USING btree (site_id, confirmed_at) WHERE (confirmed_at IS NOT NULL);

CREATE INDEX calls_forms_idx ON public.calls USING btree (site_id, created_at) WHERE (source = 'form'::text);

CREATE INDEX calls_merged_idx ON public.calls USING btree (site_id, merged_into) WHERE (merged_into IS NOT NULL);

CREATE INDEX calls_session_idx ON public.calls USING btree (site_id, matched_session_month, matched_session_id);

CREATE INDEX calls_site_created_idx ON public.calls USING btree (site_id, created_at DESC, id DESC);

CREATE INDEX calls_site_fingerprint_idx ON public.calls USING btree (site_id, matched_fingerprint) WHERE (matched_fingerprint IS NOT NULL);

CREATE INDEX calls_status_idx ON public.calls USING btree (site_id, status, created_at DESC, id DESC);

CREATE INDEX conversion_batch_items_conversion_idx ON public.conversion_batch_items USING btree (site_id, conversion_id);

CREATE INDEX conversion_batches_created_by_idx ON public.conversion_batches USING btree (created_by) WHERE (created_by IS NOT NULL);

CREATE INDEX conversion_batches_due_idx ON public.conversion_batches USING btree (site_id, next_at) WHERE ((next_at IS NOT NULL) AND (state = ANY (ARRAY['open'::text, 'sent'::text])));

CREATE INDEX conversion_batches_list_idx ON public.conversion_batches USING btree (site_id, created_at DESC, id DESC);

CREATE INDEX conversion_moves_conversion_idx ON public.conversion_moves USING btree (site_id, conversion_id, at);

CREATE INDEX conversion_routes_connected_by_idx ON public.conversion_routes USING btree (connected_by) WHERE (connected_by IS NOT NULL);

CREATE INDEX conversions_call_idx ON public.conversions USING btree (site_id, call_id);

CREATE INDEX conversions_held_idx ON public.conversions USING btree (site_id, due_at) WHERE (state = 'held'::text);

CREATE INDEX conversions_list_idx ON public.conversions USING btree (site_id, created_at DESC) INCLUDE (call_id, state, reason);

CREATE UNIQUE INDEX conversions_live_key ON public.conversions USING btree (site_id, call_id) WHERE (state <> 'retracted'::text);

CREATE INDEX conversions_next_idx ON public.conversions USING btree (site_id, next_at) WHERE ((next_at IS NOT NULL) AND (batch_id IS NULL));

CREATE INDEX conversions_reason_list_idx ON public.conversions USING btree (site_id, reason, state, (
CASE
    WHEN (click_id_kind IS NULL) THEN 'none'::text
    ELSE click_id_kind
END), created_at DESC, id DESC) INCLUDE (click_id_kind, call_id) WHERE (reason IS NOT NULL);

CREATE INDEX conversions_state_list_idx ON public.conversions USING btree (site_id, state, (
CASE
    WHEN (click_id_kind IS NULL) THEN 'none'::text
    ELSE click_id_kind
END), created_at DESC, id DESC) INCLUDE (click_id_kind, call_id);

CREATE INDEX erasures_requested_by_idx ON public.erasures USING btree (requested_by) WHERE (requested_by IS NOT NULL);

CREATE INDEX erasures_site_at_idx ON public.erasures USING btree (site_id, at DESC, id DESC);

CREATE INDEX half_sign_ins_user_id_idx ON public.half_sign_ins USING btree (user_id);

CREATE INDEX intent_actions_actor_idx ON public.intent_actions USING btree (actor) WHERE (actor IS NOT NULL);

CREATE INDEX intent_actions_call_idx ON public.intent_actions USING btree (site_id, call_id, version DESC);

CREATE INDEX intent_actions_site_at_idx ON public.intent_actions USING btree (site_id, at DESC, id DESC);

CREATE INDEX invites_accepted_by_idx ON public.invites USING btree (accepted_by) WHERE (accepted_by IS NOT NULL);

CREATE INDEX invites_invited_by_idx ON public.invites USING btree (invited_by);

CREATE UNIQUE INDEX invites_open_key ON public.invites USING btree (site_id, email) WHERE ((accepted_at IS NULL) AND (revoked_at IS NULL));

CREATE INDEX invites_token_idx ON public.invites USING btree (token_hash);

CREATE INDEX lead_notices_call_idx ON public.lead_notices USING btree (site_id, call_id);

CREATE INDEX lead_search_captured_idx ON public.lead_search USING btree (site_id, created_at DESC, call_id DESC);

CREATE INDEX lead_search_decided_idx ON public.lead_search USING btree (site_id, decided_at DESC, call_id DESC) WHERE (decided_at IS NOT NULL);

CREATE INDEX lead_search_tokens_idx ON public.lead_search USING gin (public.search_tokens(site_id, created_at, decided_at, status, action, captured_by, is_paid, has_click_id, source, channel, campaign, keyword, matchtype, place, device, page, words));

CREATE INDEX notice_wishes_due_idx ON public.notice_wishes USING btree (next_at) WHERE (next_at IS NOT NULL);

CREATE INDEX notice_wishes_user_idx ON public.notice_wishes USING btree (user_id);

CREATE INDEX one_time_links_user_id_idx ON public.one_time_links USING btree (user_id);

CREATE INDEX ownership_offers_offered_by_idx ON public.ownership_offers USING btree (offered_by);

CREATE INDEX person_keys_only_site_idx ON public.person_keys USING btree (only_site) WHERE (only_site IS NOT NULL);

CREATE INDEX person_keys_user_id_idx ON public.person_keys USING btree (user_id);

CREATE INDEX platform_acts_at_idx ON public.platform_acts USING btree (at DESC, id DESC);

CREATE INDEX presences_user_idx ON public.presences USING btree (user_id);

CREATE INDEX rejected_events_reason_idx ON public.rejected_events USING btree (site_id, reason, received_at DESC, id DESC);

CREATE INDEX rejected_events_site_received_idx ON public.rejected_events USING btree (site_id, received_at DESC);

CREATE INDEX replays_actor_idx ON public.replays USING btree (actor) WHERE (actor IS NOT NULL);

CREATE INDEX replays_rejected_idx ON public.replays USING btree (site_id, rejected_id, at DESC);

CREATE INDEX saved_views_user_idx ON public.saved_views USING btree (user_id);

CREATE INDEX share_links_created_by_idx ON public.share_links USING btree (created_by) WHERE (created_by IS NOT NULL);

CREATE INDEX share_links_token_hash_idx ON public.share_links USING btree (token_hash);

CREATE INDEX sign_in_attempts_allowed_at_idx ON public.sign_in_attempts USING btree (allowed_at);

CREATE INDEX sign_ins_user_id_idx ON public.sign_ins USING btree (user_id);

CREATE INDEX site_acts_privacy_idx ON public.site_acts USING btree (actor, at) WHERE (action = ANY (ARRAY['privacy.erase'::text, 'privacy.export'::text]));

CREATE INDEX site_acts_site_at_idx ON public.site_acts USING btree (site_id, at DESC, id DESC);

CREATE INDEX site_keys_created_by_idx ON public.site_keys USING btree (created_by) WHERE (created_by IS NOT NULL);

CREATE INDEX site_keys_key_hash_idx ON public.site_keys USING btree (key_hash);

CREATE INDEX site_members_user_id_idx ON public.site_members USING btree (user_id);

CREATE INDEX sites_user_id_idx ON public.sites USING btree (user_id);

CREATE INDEX summary_wishes_due_idx ON public.summary_wishes USING btree (next_at) WHERE (next_at IS NOT NULL);

CREATE INDEX summary_wishes_user_idx ON public.summary_wishes USING btree (user_id);

CREATE INDEX upkeep_runs_job_idx ON public.upkeep_runs USING btree (job, started_at DESC);

CREATE INDEX user_identities_user_id_idx ON public.user_identities USING btree (user_id);

CREATE INDEX watch_alerts_ended_idx ON public.watch_alerts USING btree (ended_at) WHERE (ended_at IS NOT NULL);

CREATE UNIQUE INDEX watch_alerts_open_key ON public.watch_alerts USING btree (name) WHERE (ended_at IS NULL);

CREATE INDEX webhook_deliveries_call_idx ON public.webhook_deliveries USING btree (site_id, call_id) WHERE (call_id IS NOT NULL);

CREATE UNIQUE INDEX webhook_deliveries_created_key ON public.webhook_deliveries USING btree (site_id, webhook_id, call_id) WHERE (type = 'lead.created'::text);

CREATE INDEX webhook_deliveries_due_idx ON public.webhook_deliveries USING btree (site_id, webhook_id, next_at) WHERE (state = ANY (ARRAY['waiting'::text, 'failed'::text]));

CREATE INDEX webhook_deliveries_log_idx ON public.webhook_deliveries USING btree (site_id, webhook_id, created_at DESC, id DESC);

CREATE INDEX webhooks_created_by_idx ON public.webhooks USING btree (created_by) WHERE (created_by IS NOT NULL);

ALTER INDEX public.events_created_idx ATTACH PARTITION parts.events_default_created_at_idx;

ALTER INDEX public.events_pkey ATTACH PARTITION parts.events_default_pkey;

ALTER INDEX public.events_conversion_idx ATTACH PARTITION parts.events_default_site_id_created_at_id_idx;

ALTER INDEX public.events_taps_idx ATTACH PARTITION parts.events_default_site_id_created_at_idx;

ALTER INDEX public.events_session_idx ATTACH PARTITION parts.events_default_site_id_session_id_created_at_idx;

ALTER INDEX public.sessions_pkey ATTACH PARTITION parts.sessions_default_pkey;

ALTER INDEX public.sessions_site_created_idx ATTACH PARTITION parts.sessions_default_site_id_created_at_idx;

ALTER INDEX public.sessions_site_fingerprint_idx ATTACH PARTITION parts.sessions_default_site_id_fingerprint_created_at_idx;

ALTER TABLE ONLY public.archive_erasures
    ADD CONSTRAINT archive_erasures_erasure_fkey FOREIGN KEY (site_id, erasure_id) REFERENCES public.erasures(site_id, id);

ALTER TABLE ONLY public.call_secrets
    ADD CONSTRAINT call_secrets_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.call_signatures
    ADD CONSTRAINT call_signatures_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_confirmed_by_fkey FOREIGN KEY (confirmed_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_merged_into_fkey FOREIGN KEY (site_id, merged_into) REFERENCES public.calls(site_id, id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_session_fkey FOREIGN KEY (site_id, matched_session_month, matched_session_id) REFERENCES public.session_keys(site_id, created_month, id);

ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.conversion_batch_items
    ADD CONSTRAINT conversion_batch_items_batch_fkey FOREIGN KEY (site_id, batch_id) REFERENCES public.conversion_batches(site_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.conversion_batch_items
    ADD CONSTRAINT conversion_batch_items_conversion_fkey FOREIGN KEY (site_id, conversion_id) REFERENCES public.conversions(site_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.conversion_batches
    ADD CONSTRAINT conversion_batches_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.conversion_batches
    ADD CONSTRAINT conversion_batches_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.conversion_moves
    ADD CONSTRAINT conversion_moves_conversion_fkey FOREIGN KEY (site_id, conversion_id) REFERENCES public.conversions(site_id, id);

ALTER TABLE ONLY public.conversion_routes
    ADD CONSTRAINT conversion_routes_connected_by_fkey FOREIGN KEY (connected_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.conversion_routes
    ADD CONSTRAINT conversion_routes_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.conversions
    ADD CONSTRAINT conversions_call_fkey FOREIGN KEY (site_id, call_id) REFERENCES public.calls(site_id, id);

ALTER TABLE ONLY public.counter_days
    ADD CONSTRAINT counter_days_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_requested_by_fkey FOREIGN KEY (requested_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE public.events
    ADD CONSTRAINT events_session_fkey FOREIGN KEY (site_id, session_month, session_id) REFERENCES public.session_keys(site_id, created_month, id);

ALTER TABLE ONLY public.half_sign_ins
    ADD CONSTRAINT half_sign_ins_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ingest_tally
    ADD CONSTRAINT ingest_tally_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.intent_actions
    ADD CONSTRAINT intent_actions_actor_fkey FOREIGN KEY (actor) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.intent_actions
    ADD CONSTRAINT intent_actions_call_fkey FOREIGN KEY (site_id, call_id) REFERENCES public.calls(site_id, id);

ALTER TABLE ONLY public.invites
    ADD CONSTRAINT invites_accepted_by_fkey FOREIGN KEY (accepted_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.invites
    ADD CONSTRAINT invites_invited_by_fkey FOREIGN KEY (invited_by) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.invites
    ADD CONSTRAINT invites_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.lead_notices
    ADD CONSTRAINT lead_notices_call_fkey FOREIGN KEY (site_id, call_id) REFERENCES public.calls(site_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.lead_notices
    ADD CONSTRAINT lead_notices_wish_fkey FOREIGN KEY (site_id, user_id) REFERENCES public.notice_wishes(site_id, user_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.lead_search
    ADD CONSTRAINT lead_search_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.notice_wishes
    ADD CONSTRAINT notice_wishes_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.notice_wishes
    ADD CONSTRAINT notice_wishes_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.one_time_links
    ADD CONSTRAINT one_time_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ownership_offers
    ADD CONSTRAINT ownership_offers_member_fkey FOREIGN KEY (site_id, offered_to) REFERENCES public.site_members(site_id, user_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ownership_offers
    ADD CONSTRAINT ownership_offers_offered_by_fkey FOREIGN KEY (offered_by) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.person_keys
    ADD CONSTRAINT person_keys_only_site_fkey FOREIGN KEY (only_site) REFERENCES public.sites(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.person_keys
    ADD CONSTRAINT person_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.presences
    ADD CONSTRAINT presences_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.presences
    ADD CONSTRAINT presences_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_id_fkey FOREIGN KEY (id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT recovery_codes_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rejected_events
    ADD CONSTRAINT rejected_events_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.replays
    ADD CONSTRAINT replays_actor_fkey FOREIGN KEY (actor) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.replays
    ADD CONSTRAINT replays_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.saved_views
    ADD CONSTRAINT saved_views_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.saved_views
    ADD CONSTRAINT saved_views_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT second_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.session_keys
    ADD CONSTRAINT session_keys_session_fkey FOREIGN KEY (site_id, created_month, id) REFERENCES public.sessions(site_id, created_month, id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.session_keys
    ADD CONSTRAINT session_keys_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE public.sessions
    ADD CONSTRAINT sessions_key_fkey FOREIGN KEY (site_id, created_month, id) REFERENCES public.session_keys(site_id, created_month, id);

ALTER TABLE ONLY public.share_links
    ADD CONSTRAINT share_links_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.share_links
    ADD CONSTRAINT share_links_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.site_acts
    ADD CONSTRAINT site_acts_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.site_keys
    ADD CONSTRAINT site_keys_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.site_keys
    ADD CONSTRAINT site_keys_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id) ON DELETE CASCADE;

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

ALTER TABLE ONLY public.summary_wishes
    ADD CONSTRAINT summary_wishes_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.summary_wishes
    ADD CONSTRAINT summary_wishes_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_credentials
    ADD CONSTRAINT user_credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_identities
    ADD CONSTRAINT user_identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.visitors
    ADD CONSTRAINT visitors_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_call_fkey FOREIGN KEY (site_id, call_id) REFERENCES public.calls(site_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_webhook_fkey FOREIGN KEY (site_id, webhook_id) REFERENCES public.webhooks(site_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_site_id_fkey FOREIGN KEY (site_id) REFERENCES public.sites(id);

CREATE POLICY by_owner_function ON parts.events_default TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON parts.sessions_default TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

ALTER TABLE parts.events_default ENABLE ROW LEVEL SECURITY;

ALTER TABLE parts.sessions_default ENABLE ROW LEVEL SECURITY;

CREATE POLICY added_by_owner_function ON public.site_acts FOR INSERT TO opsmantik_owner WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY added_by_owner_functions ON public.platform_acts FOR INSERT TO opsmantik_owner WITH CHECK (true);

ALTER TABLE public.archive_erasures ENABLE ROW LEVEL SECURITY;

CREATE POLICY archive_erasures_select_accessible ON public.archive_erasures FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.archived_months ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_runs ENABLE ROW LEVEL SECURITY;

CREATE POLICY by_owner_function ON public.archive_erasures TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.call_secrets TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.call_signatures TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.calls TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.conversion_batch_items TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.conversion_batches TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.conversion_moves TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.conversion_routes TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.conversions TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.counter_days TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.counter_journal TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.erasures TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.events TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.ingest_tally TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.intent_actions TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.invites TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.lead_notices TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.notice_wishes TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.ownership_offers TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.presences TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.rejected_events TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.replays TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.saved_views TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.session_keys TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.sessions TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.share_links TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.site_acts FOR SELECT TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.site_keys TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.site_pulse TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.summary_wishes TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.visitors TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.webhook_deliveries TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

CREATE POLICY by_owner_function ON public.webhooks TO opsmantik_owner USING ((current_setting('app.maintenance'::text, true) = 'on'::text)) WITH CHECK ((current_setting('app.maintenance'::text, true) = 'on'::text));

ALTER TABLE public.call_secrets ENABLE ROW LEVEL SECURITY;

CREATE POLICY call_secrets_select_accessible ON public.call_secrets FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.call_signatures ENABLE ROW LEVEL SECURITY;

CREATE POLICY call_signatures_select_accessible ON public.call_signatures FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.calls ENABLE ROW LEVEL SECURITY;

CREATE POLICY calls_select_accessible ON public.calls FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.conversion_batch_items ENABLE ROW LEVEL SECURITY;

CREATE POLICY conversion_batch_items_select_accessible ON public.conversion_batch_items FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.conversion_batches ENABLE ROW LEVEL SECURITY;

CREATE POLICY conversion_batches_select_accessible ON public.conversion_batches FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.conversion_moves ENABLE ROW LEVEL SECURITY;

CREATE POLICY conversion_moves_select_accessible ON public.conversion_moves FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.conversion_routes ENABLE ROW LEVEL SECURITY;

CREATE POLICY conversion_routes_select_accessible ON public.conversion_routes FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.conversions ENABLE ROW LEVEL SECURITY;

CREATE POLICY conversions_select_accessible ON public.conversions FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.counter_days ENABLE ROW LEVEL SECURITY;

CREATE POLICY counter_days_select_accessible ON public.counter_days FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.counter_journal ENABLE ROW LEVEL SECURITY;

CREATE POLICY counter_journal_select_accessible ON public.counter_journal FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.erasures ENABLE ROW LEVEL SECURITY;

CREATE POLICY erasures_select_accessible ON public.erasures FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.events ENABLE ROW LEVEL SECURITY;

CREATE POLICY events_select_accessible ON public.events FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.frozen_parts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.half_sign_ins ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ingest_tally ENABLE ROW LEVEL SECURITY;

CREATE POLICY ingest_tally_select_accessible ON public.ingest_tally FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.intent_actions ENABLE ROW LEVEL SECURITY;

CREATE POLICY intent_actions_select_accessible ON public.intent_actions FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.invites ENABLE ROW LEVEL SECURITY;

CREATE POLICY invites_select_accessible ON public.invites FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.lead_notices ENABLE ROW LEVEL SECURITY;

CREATE POLICY lead_notices_select_own ON public.lead_notices FOR SELECT USING (((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])) AND (user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid)));

ALTER TABLE public.lead_search ENABLE ROW LEVEL SECURITY;

CREATE POLICY lead_search_select_accessible ON public.lead_search FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.notice_wishes ENABLE ROW LEVEL SECURITY;

CREATE POLICY notice_wishes_select_own ON public.notice_wishes FOR SELECT USING (((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])) AND (user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid)));

ALTER TABLE public.one_time_links ENABLE ROW LEVEL SECURITY;

CREATE POLICY owner_functions ON public.archived_months TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.audit_runs TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.frozen_parts TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.half_sign_ins TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.lead_search TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.one_time_links TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.person_keys TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.profiles TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.provider_circuits TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.recovery_codes TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.schema_migrations TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.second_factors TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.sign_in_attempts TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.sign_ins TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.site_members TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.site_origins TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.sites TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.stray_tally TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.upkeep_runs TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.upkeep_wishes TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.user_credentials TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.user_identities TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.users TO opsmantik_owner USING (true) WITH CHECK (true);

CREATE POLICY owner_functions ON public.watch_alerts TO opsmantik_owner USING (true) WITH CHECK (true);

ALTER TABLE public.ownership_offers ENABLE ROW LEVEL SECURITY;

CREATE POLICY ownership_offers_select_accessible ON public.ownership_offers FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.person_keys ENABLE ROW LEVEL SECURITY;

CREATE POLICY person_keys_own ON public.person_keys FOR SELECT USING ((user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.platform_acts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.presences ENABLE ROW LEVEL SECURITY;

CREATE POLICY presences_select_accessible ON public.presences FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;

CREATE POLICY profiles_select_self_or_admin ON public.profiles FOR SELECT USING ((id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

CREATE POLICY profiles_update_own ON public.profiles FOR UPDATE USING ((id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid)) WITH CHECK ((id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.provider_circuits ENABLE ROW LEVEL SECURITY;

CREATE POLICY read_by_owner_functions ON public.platform_acts FOR SELECT TO opsmantik_owner USING (true);

ALTER TABLE public.recovery_codes ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.rejected_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY rejected_events_select_accessible ON public.rejected_events FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.replays ENABLE ROW LEVEL SECURITY;

CREATE POLICY replays_select_accessible ON public.replays FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.saved_views ENABLE ROW LEVEL SECURITY;

CREATE POLICY saved_views_select_accessible ON public.saved_views FOR SELECT USING (((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])) AND (is_shared OR (user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid))));

ALTER TABLE public.schema_migrations ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.second_factors ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.session_keys ENABLE ROW LEVEL SECURITY;

CREATE POLICY session_keys_select_accessible ON public.session_keys FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;

CREATE POLICY sessions_select_accessible ON public.sessions FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.share_links ENABLE ROW LEVEL SECURITY;

CREATE POLICY share_links_select_accessible ON public.share_links FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.sign_in_attempts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.sign_ins ENABLE ROW LEVEL SECURITY;

CREATE POLICY sign_ins_own ON public.sign_ins FOR SELECT USING ((user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.site_acts ENABLE ROW LEVEL SECURITY;

CREATE POLICY site_acts_select_accessible ON public.site_acts FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.site_keys ENABLE ROW LEVEL SECURITY;

CREATE POLICY site_keys_select_accessible ON public.site_keys FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.site_members ENABLE ROW LEVEL SECURITY;

CREATE POLICY site_members_select_accessible ON public.site_members FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.site_origins ENABLE ROW LEVEL SECURITY;

CREATE POLICY site_origins_select_accessible ON public.site_origins FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.site_pulse ENABLE ROW LEVEL SECURITY;

CREATE POLICY site_pulse_select_accessible ON public.site_pulse FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.sites ENABLE ROW LEVEL SECURITY;

CREATE POLICY sites_select_accessible ON public.sites FOR SELECT USING ((id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.stray_tally ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.summary_wishes ENABLE ROW LEVEL SECURITY;

CREATE POLICY summary_wishes_select_own ON public.summary_wishes FOR SELECT USING (((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])) AND (user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid)));

ALTER TABLE public.upkeep_runs ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.upkeep_wishes ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.user_credentials ENABLE ROW LEVEL SECURITY;

CREATE POLICY user_credentials_own ON public.user_credentials FOR SELECT USING ((user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.user_identities ENABLE ROW LEVEL SECURITY;

CREATE POLICY user_identities_own ON public.user_identities FOR SELECT USING ((user_id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;

CREATE POLICY users_select_self ON public.users FOR SELECT USING ((id = (NULLIF(current_setting('app.person'::text, true), ''::text))::uuid));

ALTER TABLE public.visitors ENABLE ROW LEVEL SECURITY;

CREATE POLICY visitors_select_accessible ON public.visitors FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.watch_alerts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_deliveries ENABLE ROW LEVEL SECURITY;

CREATE POLICY webhook_deliveries_select_accessible ON public.webhook_deliveries FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

ALTER TABLE public.webhooks ENABLE ROW LEVEL SECURITY;

CREATE POLICY webhooks_select_accessible ON public.webhooks FOR SELECT USING ((site_id = ANY ((NULLIF(current_setting('app.sites'::text, true), ''::text))::uuid[])));

GRANT USAGE ON SCHEMA public TO opsmantik_app;

REVOKE ALL ON FUNCTION public.accept_invite(p_hash bytea, p_act uuid, OUT outcome text, OUT site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.accept_invite(p_hash bytea, p_act uuid, OUT outcome text, OUT site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.account_by_email(p_email text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.account_by_email(p_email text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.acting_person() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.actor_name(p_site uuid, p_actor uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.actor_name(p_site uuid, p_actor uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.add_erased(p_site uuid, p_erasure uuid, p_month date, p_counts jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.add_origin(p_site uuid, p_act uuid, p_origin text, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_origin(p_site uuid, p_act uuid, p_origin text, p_most integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.add_user(p_id uuid, p_email text, p_name text, p_is_admin boolean, p_note uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.add_webhook(p_site uuid, p_id uuid, p_url text, p_events text[], p_phone boolean, p_click_id boolean, p_secret bytea, p_key_id text, p_most integer, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_webhook(p_site uuid, p_id uuid, p_url text, p_events text[], p_phone boolean, p_click_id boolean, p_secret bytea, p_key_id text, p_most integer, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.administrators() FROM PUBLIC;
GRANT ALL ON FUNCTION public.administrators() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.allow_bot(p_site uuid, p_act uuid, p_name text, p_allowed boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.allow_bot(p_site uuid, p_act uuid, p_name text, p_allowed boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.allow_unsigned_calls(p_site uuid, p_allowed boolean, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.allow_unsigned_calls(p_site uuid, p_allowed boolean, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.announce_lead(p_site uuid, p_call uuid, p_is_suspicious boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.answer_batch(p_site uuid, p_batch uuid, p_state text, p_outcomes jsonb, p_rest text, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.answer_batch(p_site uuid, p_batch uuid, p_state text, p_outcomes jsonb, p_rest text, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.answer_call(p_site uuid, p_signature bytea, p_answer jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.answer_call(p_site uuid, p_signature bytea, p_answer jsonb) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.answer_ownership(p_site uuid, p_act uuid, p_accept boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.answer_ownership(p_site uuid, p_act uuid, p_accept boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ask_for_audit(p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ask_for_audit(p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ask_for_summary(p_site uuid, p_language text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ask_for_summary(p_site uuid, p_language text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.attach_month(p_month date, OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.attach_partition(p_parent text, p_partition text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.attach_sessions(p_sessions text, p_month date, p_locked boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.batch_contents(p_site uuid, p_batch uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.batch_file(p_site uuid, p_batch uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.batch_file(p_site uuid, p_batch uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.batch_rows(p_site uuid, p_batch uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.batch_rows(p_site uuid, p_batch uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.begin_archive(p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.begin_attempt(p_keys bytea[], p_free integer[], p_longest double precision, p_forget interval) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_attempt(p_keys bytea[], p_free integer[], p_longest double precision, p_forget interval) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.begin_erasure(p_site uuid, p_id uuid, p_kind text, p_hash bytea, p_taps boolean, p_subject bytea, p_key_id text, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_erasure(p_site uuid, p_id uuid, p_kind text, p_hash bytea, p_taps boolean, p_subject bytea, p_key_id text, p_most integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.begin_second_factor(p_id uuid, p_secret bytea, p_key_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_second_factor(p_id uuid, p_secret bytea, p_key_id text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.by_tokens(p_site uuid, p_where text, p_at text, p_limit integer, OUT calls uuid[], OUT ats timestamp with time zone[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.call_consent(p_site uuid, p_call uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.call_entries(p_site uuid, p_calls uuid[], p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.call_entries(p_site uuid, p_calls uuid[], p_n integer) TO opsmantik_app;

GRANT SELECT ON TABLE public.calls TO opsmantik_app;

GRANT SELECT ON TABLE public.sessions TO opsmantik_app;

REVOKE ALL ON FUNCTION public.call_entry(c public.calls, s public.sessions, p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.call_entry(c public.calls, s public.sessions, p_n integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.calls_consent(p_site uuid, p_calls uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.carried_contents(p_site uuid, p_batch uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.change_own_email(p_email text, p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_own_email(p_email text, p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_own_name(p_name text, p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_own_name(p_name text, p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_own_password(p_was text, p_hash text, p_old bytea, p_new bytea, p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_own_password(p_was text, p_hash text, p_old bytea, p_new bytea, p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_privacy(p_site uuid, p_act uuid, p_consent_mode text, p_keep_ip boolean, p_retention_months integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_privacy(p_site uuid, p_act uuid, p_consent_mode text, p_keep_ip boolean, p_retention_months integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_site_clock(p_site uuid, p_time_zone text, p_currency text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.change_site_general(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_cpc numeric, p_window integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_site_general(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_cpc numeric, p_window integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_site_rules(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_approve_hours integer, p_junk_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_site_rules(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_approve_hours integer, p_junk_days integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_site_values(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_chips jsonb, p_conversion_time text, p_undo_minutes integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_site_values(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_chips jsonb, p_conversion_time text, p_undo_minutes integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_site_values_v2(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_chips jsonb, p_weights jsonb, p_conversion_time text, p_undo_minutes integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_site_values_v2(p_site uuid, p_act uuid, p_seen timestamp with time zone, p_chips jsonb, p_weights jsonb, p_conversion_time text, p_undo_minutes integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_view(p_site uuid, p_id uuid, p_name text, p_shared boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_view(p_site uuid, p_id uuid, p_name text, p_shared boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.change_webhook(p_site uuid, p_id uuid, p_url text, p_events text[], p_phone boolean, p_click_id boolean, p_is_on boolean, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.change_webhook(p_site uuid, p_id uuid, p_url text, p_events text[], p_phone boolean, p_click_id boolean, p_is_on boolean, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.claim_conversions(p_adapters jsonb, p_lease integer, p_batch uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_conversions(p_adapters jsonb, p_lease integer, p_batch uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.claim_deliveries(p_limit integer, p_each integer, p_seconds integer, p_busy uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_deliveries(p_limit integer, p_each integer, p_seconds integer, p_busy uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.claim_notices(p_limit integer, p_seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_notices(p_limit integer, p_seconds integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.claim_summaries(p_limit integer, p_seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_summaries(p_limit integer, p_seconds integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.clear_leads(p_sites uuid[], p_calls uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.clear_leads(p_sites uuid[], p_calls uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.confirm_second_factor(p_id uuid, p_step bigint, p_code_hashes bytea[], p_old bytea, p_new bytea, p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.confirm_second_factor(p_id uuid, p_step bigint, p_code_hashes bytea[], p_old bytea, p_new bytea, p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.confirm_sign_in(p_old bytea, p_new bytea, p_step bigint, p_code_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.confirm_sign_in(p_old bytea, p_new bytea, p_step bigint, p_code_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.consent_allows(p_site uuid, p_call uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.consent_basis(p_marketing boolean, p_mode text) FROM PUBLIC;

GRANT SELECT ON TABLE public.conversions TO opsmantik_app;

REVOKE ALL ON FUNCTION public.conversion_entry(v public.conversions, c public.calls, s public.sessions, p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.conversion_entry(v public.conversions, c public.calls, s public.sessions, p_n integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.conversion_keeper(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.conversion_secret(p_site uuid, OUT secret bytea, OUT key_id text, OUT connected_by uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.conversion_secret(p_site uuid, OUT secret bytea, OUT key_id text, OUT connected_by uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.copy_month(p_from text, p_to text, p_column text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.count_by_tokens(p_site uuid, p_where text, p_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.count_leads(p_site uuid, p_wanted jsonb, p_decided boolean, p_zone text, p_from timestamp with time zone, p_to timestamp with time zone, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.count_leads(p_site uuid, p_wanted jsonb, p_decided boolean, p_zone text, p_from timestamp with time zone, p_to timestamp with time zone, p_most integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.counter_differences(p_site uuid, p_from date, p_to date) FROM PUBLIC;
GRANT ALL ON FUNCTION public.counter_differences(p_site uuid, p_from date, p_to date) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.counter_part(p_dimension text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.counter_part(p_dimension text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.create_first_admin(p_link_hash bytea, p_id uuid, p_email text, p_name text, p_password_hash text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.create_first_admin(p_link_hash bytea, p_id uuid, p_email text, p_name text, p_password_hash text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.create_site(p_id uuid, p_public_id text, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_consent_mode text, p_origins text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.create_site(p_id uuid, p_public_id text, p_name text, p_domain text, p_time_zone text, p_region text, p_currency text, p_consent_mode text, p_origins text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.credential_place(p_id uuid, p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.credential_place(p_id uuid, p_provider text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.decide_intent(p_site uuid, p_call uuid, p_version integer, p_id uuid, p_kind text, p_action text, p_note text, p_undoes uuid, p_changes jsonb, p_conversion jsonb, OUT version integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.decide_intent(p_site uuid, p_call uuid, p_version integer, p_id uuid, p_kind text, p_action text, p_note text, p_undoes uuid, p_changes jsonb, p_conversion jsonb, OUT version integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.decider(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.decision_entry(c public.calls, s public.sessions, p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.decision_entry(c public.calls, s public.sessions, p_n integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.drain_default_month(p_month date, OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.dress_partition(p_partition text, p_column text, p_month date, p_upper boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.drop_conversions(p_site uuid, p_ids uuid[], p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.drop_conversions(p_site uuid, p_ids uuid[], p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.drop_credential(p_provider text, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.drop_credential(p_provider text, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.drop_month_of_events(p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.drop_month_of_visits(p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.drop_second_factor(p_step bigint, p_code_hash bytea, p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.drop_second_factor(p_step bigint, p_code_hash bytea, p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.drop_visits(p_site uuid, p_erasure uuid, p_month date, p_sessions uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.email_link(p_link_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.email_link(p_link_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.end_archive_erasure(p_site uuid, p_erasure uuid, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.end_notices(p_site uuid, p_user uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_notices(p_site uuid, p_user uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.end_own_sign_in(p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_own_sign_in(p_id uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.end_own_sign_ins(p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_own_sign_ins(p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.end_sign_in(p_token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_sign_in(p_token_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.end_summaries(p_site uuid, p_user uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.end_summaries(p_site uuid, p_user uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.enter_key(p_site uuid, p_key uuid, p_roles text[], p_address text, OUT sites uuid[], OUT known uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enter_key(p_site uuid, p_key uuid, p_roles text[], p_address text, OUT sites uuid[], OUT known uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.enter_person_key(p_user uuid, p_key uuid, p_roles text[], p_address text, OUT sites uuid[], OUT known uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enter_person_key(p_user uuid, p_key uuid, p_roles text[], p_address text, OUT sites uuid[], OUT known uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.enter_share_link(p_site uuid, p_share uuid, OUT sites uuid[], OUT known uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enter_share_link(p_site uuid, p_share uuid, OUT sites uuid[], OUT known uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.enter_user(p_user uuid, OUT sites uuid[], OUT is_admin boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enter_user(p_user uuid, OUT sites uuid[], OUT is_admin boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.enter_user_v2(p_user uuid, p_roles text[], p_only uuid, p_address text, OUT sites uuid[], OUT known uuid[], OUT is_admin boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.enter_user_v2(p_user uuid, p_roles text[], p_only uuid, p_address text, OUT sites uuid[], OUT known uuid[], OUT is_admin boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.entry_cells(e public.counter_entry, p_zone text, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.entry_cells(e public.counter_entry, p_zone text, p_currency text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.erase_calls(p_site uuid, p_erasure uuid, p_calls uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.erase_rest(p_site uuid, p_erasure uuid, p_sessions uuid[], p_calls uuid[], p_visitors text[], p_rejected uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.erase_rest(p_site uuid, p_erasure uuid, p_sessions uuid[], p_calls uuid[], p_visitors text[], p_rejected uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.erase_visits(p_site uuid, p_erasure uuid, p_month date, p_sessions uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.erase_visits(p_site uuid, p_erasure uuid, p_month date, p_sessions uuid[]) TO opsmantik_app;

GRANT SELECT(site_id) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(at) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(requested_by) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(requested_name) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(kind) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(subject_hash) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(with_taps) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(parts) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(sent_orders) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(finished_at) ON TABLE public.erasures TO opsmantik_app;

GRANT SELECT(certificate) ON TABLE public.erasures TO opsmantik_app;

REVOKE ALL ON FUNCTION public.erasure_row(p_site uuid, p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.erasure_row(p_site uuid, p_id uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.expire_calls(p_site uuid, p_before timestamp with time zone, p_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.expire_rejected(p_site uuid, p_before timestamp with time zone, p_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.expire_visitors(p_site uuid, p_before timestamp with time zone, p_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.expire_visits(p_site uuid, p_month date, p_before timestamp with time zone, p_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.export_conversions(p_site uuid, p_batch uuid, p_kind text, p_most integer, p_lease integer, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.export_conversions(p_site uuid, p_batch uuid, p_kind text, p_most integer, p_lease integer, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.figures(p_site uuid, p_first date, p_last date, p_edge_from timestamp with time zone[], p_edge_to timestamp with time zone[], p_parts text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.figures(p_site uuid, p_first date, p_last date, p_edge_from timestamp with time zone[], p_edge_to timestamp with time zone[], p_parts text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.fill_batch(p_site uuid, p_batch uuid, p_kind text, p_most integer, p_lease integer, p_by uuid, p_by_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.find_archived(p_site uuid, p_kind text, p_value text, p_pattern text, p_taps boolean, p_sessions uuid[], p_visitors text[], OUT sessions uuid[], OUT visitors text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.find_person(p_site uuid, p_kind text, p_value text, p_pattern text, p_taps boolean, OUT sessions uuid[], OUT months date[], OUT calls uuid[], OUT visitors text[], OUT rejected uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.find_person(p_site uuid, p_kind text, p_value text, p_pattern text, p_taps boolean, OUT sessions uuid[], OUT months date[], OUT calls uuid[], OUT visitors text[], OUT rejected uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.finish_conversions(p_site uuid, p_batch uuid, p_attempts integer, p_state text, p_seconds double precision, p_request_id text, p_error text, p_outcomes jsonb, p_trouble text, p_pause double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_conversions(p_site uuid, p_batch uuid, p_attempts integer, p_state text, p_seconds double precision, p_request_id text, p_error text, p_outcomes jsonb, p_trouble text, p_pause double precision) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.finish_delivery(p_site uuid, p_id uuid, p_attempts integer, p_state text, p_seconds double precision, p_try jsonb, p_response text, p_gone boolean, p_failing_days integer, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_delivery(p_site uuid, p_id uuid, p_attempts integer, p_state text, p_seconds double precision, p_try jsonb, p_response text, p_gone boolean, p_failing_days integer, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.finish_erasure(p_site uuid, p_id uuid, p_certificate bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_erasure(p_site uuid, p_id uuid, p_certificate bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.finish_notices(p_site uuid, p_user uuid, p_calls uuid[], p_failed boolean, p_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_notices(p_site uuid, p_user uuid, p_calls uuid[], p_failed boolean, p_seconds double precision) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.finish_summary(p_site uuid, p_user uuid, p_taken_until timestamp with time zone, p_sent_for date, p_failed boolean, p_next_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_summary(p_site uuid, p_user uuid, p_taken_until timestamp with time zone, p_sent_for date, p_failed boolean, p_next_at timestamp with time zone) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.first_admin_link_open(p_link_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.first_admin_link_open(p_link_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.fold_counters(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.fold_counters(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.fold_leads(p_site uuid, p_calls uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.forget_addresses(p_site uuid, p_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.forget_archive(p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.forget_facts_before(p_site uuid, p_before timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.forgive_attempt(p_keys bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.forgive_attempt(p_keys bytea[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.gather_leads(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.gather_pull(p_site uuid, p_most integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.grantable_role(p_role text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.half_sign_in(p_half_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.half_sign_in(p_half_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.has_listeners(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.has_users() FROM PUBLIC;
GRANT ALL ON FUNCTION public.has_users() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.hour_key(p_at timestamp with time zone, p_zone text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.hour_key(p_at timestamp with time zone, p_zone text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ingest_batch_v2(p_sessions public.session_draft[], p_events public.event_draft[], p_intents public.intent_draft[], p_tally public.tally_draft[], p_rejected public.rejected_draft[], OUT duplicates integer[], OUT leads public.lead_facts[], OUT called uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ingest_batch_v2(p_sessions public.session_draft[], p_events public.event_draft[], p_intents public.intent_draft[], p_tally public.tally_draft[], p_rejected public.rejected_draft[], OUT duplicates integer[], OUT leads public.lead_facts[], OUT called uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ingest_call_secrets() FROM PUBLIC;
GRANT ALL ON FUNCTION public.ingest_call_secrets() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ingest_sites() FROM PUBLIC;
GRANT ALL ON FUNCTION public.ingest_sites() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ingest_sites_v2() FROM PUBLIC;
GRANT ALL ON FUNCTION public.ingest_sites_v2() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.installation_figures() FROM PUBLIC;
GRANT ALL ON FUNCTION public.installation_figures() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.invite_by_link(p_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.invite_by_link(p_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.invite_member(p_site uuid, p_act uuid, p_id uuid, p_email text, p_role text, p_hash bytea, OUT outcome text, OUT retry_after integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.invite_member(p_site uuid, p_act uuid, p_id uuid, p_email text, p_role text, p_hash bytea, OUT outcome text, OUT retry_after integer) TO opsmantik_app;

GRANT SELECT(site_id) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(email) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(role) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(invited_by) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(expires_at) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(turn) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(sent_at) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(sent_count) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(accepted_at) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(accepted_by) ON TABLE public.invites TO opsmantik_app;

GRANT SELECT(revoked_at) ON TABLE public.invites TO opsmantik_app;

REVOKE ALL ON FUNCTION public.invite_of(p_hash bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.invite_state(p_invite public.invites) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.invites_wait(p_site uuid, p_user uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.is_live_key(p_expires_at timestamp with time zone, p_revoked_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.is_over(p_site uuid, p_month date, p_session uuid, p_before timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.is_provider_open(p_provider text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.join_by_invite(p_hash bytea, p_act uuid, p_user uuid, p_name text, p_password_hash text, p_address text, OUT outcome text, OUT site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.join_by_invite(p_hash bytea, p_act uuid, p_user uuid, p_name text, p_password_hash text, p_address text, OUT outcome text, OUT site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.keep_rehash(p_user uuid, p_old text, p_new text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.keep_rehash(p_user uuid, p_old text, p_new text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.keep_rejected(p_rejected public.rejected_row_v2[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.keep_rejected(p_rejected public.rejected_row_v2[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.keep_view(p_site uuid, p_id uuid, p_name text, p_query text, p_shared boolean, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.keep_view(p_site uuid, p_id uuid, p_name text, p_query text, p_shared boolean, p_most integer) TO opsmantik_app;

GRANT SELECT ON TABLE public.saved_views TO opsmantik_app;

REVOKE ALL ON FUNCTION public.keeps_view(v public.saved_views, p_person uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.kept_since(p_months integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.key_holder(p_kind text, p_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.key_holder(p_kind text, p_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.key_label(p_name text, p_last_four text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.key_maker_name(p_site uuid, p_maker uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.key_maker_name(p_site uuid, p_maker uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.key_manager(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.key_role(p_scopes text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lead_cases(p_site uuid, p_calls uuid[], p_lock boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lead_cases(p_site uuid, p_calls uuid[], p_lock boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.lead_cases_v2(p_site uuid, p_calls uuid[], p_lock boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lead_cases_v2(p_site uuid, p_calls uuid[], p_lock boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.lead_facts_of(p_sites uuid[], p_sessions uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lead_facts_of(p_sites uuid[], p_sessions uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.lead_search_differences(p_site uuid) FROM PUBLIC;

GRANT SELECT ON TABLE public.lead_search TO opsmantik_app;

REVOKE ALL ON FUNCTION public.lead_search_rows(p_site uuid, p_calls uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.leads_to_approve(p_site uuid, p_waiting text[], p_hours integer, p_seconds integer, p_events integer, p_limit integer, p_lock boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.leads_to_approve(p_site uuid, p_waiting text[], p_hours integer, p_seconds integer, p_events integer, p_limit integer, p_lock boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.leads_to_junk(p_site uuid, p_waiting text[], p_days integer, p_limit integer, p_lock boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.leads_to_junk(p_site uuid, p_waiting text[], p_days integer, p_limit integer, p_lock boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.leads_to_notice(p_site uuid, p_user uuid, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.leads_to_notice(p_site uuid, p_user uuid, p_limit integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.leave_default(p_from text, p_to text, p_column text, p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.leave_site(p_site uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.leave_site(p_site uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.let_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_half interval, p_method text, p_user_agent text, p_address text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.let_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_half interval, p_method text, p_user_agent text, p_address text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.link_identity(p_id uuid, p_issuer text, p_subject text, p_email text, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.link_identity(p_id uuid, p_issuer text, p_subject text, p_email text, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.list_users() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_counters(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_facts(p_move boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_invite(p_hash bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_leads(p_site uuid, p_calls uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.lock_month(p_parent text) FROM PUBLIC;

GRANT SELECT ON TABLE public.rejected_events TO opsmantik_app;

REVOKE ALL ON FUNCTION public.lock_rejected(p_site uuid, p_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.lock_rejected(p_site uuid, p_ids uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.lock_waiting(p_site uuid, p_waiting text[], p_calls uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.look_at_lead(p_site uuid, p_call uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.look_at_lead(p_site uuid, p_call uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.make_call_secret(p_site uuid, p_id uuid, p_act uuid, p_secret bytea, p_key_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.make_call_secret(p_site uuid, p_id uuid, p_act uuid, p_secret bytea, p_key_id text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.make_month(p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.make_person_key(p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_name text, p_scopes text[], p_only uuid, p_expires_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.make_person_key(p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_name text, p_scopes text[], p_only uuid, p_expires_at timestamp with time zone) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.make_share_link(p_site uuid, p_id uuid, p_act uuid, p_hash bytea, p_name text, p_paid_only boolean, p_expires_at timestamp with time zone, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.make_share_link(p_site uuid, p_id uuid, p_act uuid, p_hash bytea, p_name text, p_paid_only boolean, p_expires_at timestamp with time zone, p_most integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.make_site_key(p_site uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_name text, p_scopes text[], p_expires_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.make_site_key(p_site uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_name text, p_scopes text[], p_expires_at timestamp with time zone) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.may_invite(p_site uuid, p_user uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.member_manager(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.mind_archive(p_site uuid, p_erasure uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.month_expiry(p_month date, OUT sites uuid[], OUT since timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.month_number(p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.months_before(p_site uuid, p_before timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.move_conversion(p_site uuid, p_call uuid, p_conversion jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.needs_call(v public.conversions) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.new_recovery_codes(p_step bigint, p_code_hash bytea, p_code_hashes bytea[], p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.new_recovery_codes(p_step bigint, p_code_hash bytea, p_code_hashes bytea[], p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.note_act(p_site uuid, p_id uuid, p_action text, p_subject text, p_detail jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_act(p_site uuid, p_id uuid, p_action text, p_subject text, p_detail jsonb) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.note_download(p_site uuid, p_batch uuid, p_file_name text, p_digest bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_download(p_site uuid, p_batch uuid, p_file_name text, p_digest bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.note_invite_sent(p_site uuid, p_id uuid, p_turn integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_invite_sent(p_site uuid, p_id uuid, p_turn integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.note_privacy(p_site uuid, p_id uuid, p_action text, p_subject text, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_privacy(p_site uuid, p_id uuid, p_action text, p_subject text, p_most integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.note_provider(p_provider text, p_answered boolean, p_reason text, p_most integer, p_seconds double precision, p_longest double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_provider(p_provider text, p_answered boolean, p_reason text, p_most integer, p_seconds double precision, p_longest double precision) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.note_pull(p_site uuid, p_batches uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_pull(p_site uuid, p_batches uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.note_quotas() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.note_settings(p_site uuid, p_act uuid, p_action text, p_before jsonb, p_after jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.offer_email_link(p_link_hash bytea, p_email text, p_lifetime interval) FROM PUBLIC;
GRANT ALL ON FUNCTION public.offer_email_link(p_link_hash bytea, p_email text, p_lifetime interval) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.offer_first_admin(p_link_hash bytea, p_lifetime interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.offer_move(p_site uuid, p_call uuid, p_conversion uuid, p_from text, p_reason text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.offer_ownership(p_site uuid, p_act uuid, p_user uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.offer_ownership(p_site uuid, p_act uuid, p_user uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.offer_password_link(p_email text, p_link_hash bytea, p_lifetime interval) FROM PUBLIC;
GRANT ALL ON FUNCTION public.offer_password_link(p_email text, p_link_hash bytea, p_lifetime interval) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.offer_user_link(p_user uuid, p_link_hash bytea, p_lifetime interval, p_note uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.offer_webhooks(p_site uuid, p_type text, p_call uuid, p_more jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.open_erasure(p_site uuid, p_erasure uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.origins_seen(p_sites uuid[], p_origins text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.origins_seen(p_sites uuid[], p_origins text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.owed_at(v public.conversions) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.owed_step(v public.conversions) FROM PUBLIC;
GRANT ALL ON FUNCTION public.owed_step(v public.conversions) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.own_second_factor() FROM PUBLIC;
GRANT ALL ON FUNCTION public.own_second_factor() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ownership_offer(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.ownership_offer(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.page_key(p_url text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.page_key(p_url text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.pass_second_factor(p_half_hash bytea, p_token_hash bytea, p_lifetime interval, p_step bigint, p_code_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.pass_second_factor(p_half_hash bytea, p_token_hash bytea, p_lifetime interval, p_step bigint, p_code_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.password_link(p_link_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.password_link(p_link_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.person_sizes(p_site uuid, p_sessions uuid[], p_months date[], p_calls uuid[], p_visitors text[], p_rejected uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.person_sizes(p_site uuid, p_sessions uuid[], p_months date[], p_calls uuid[], p_visitors text[], p_rejected uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.place_key(p_city text, p_district text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.place_key(p_city text, p_district text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.plain_case(p_text text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.plain_case(p_text text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.platform_audits(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.platform_audits(p_limit integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.platform_jobs() FROM PUBLIC;
GRANT ALL ON FUNCTION public.platform_jobs() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.platform_keeper() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.platform_log(p_before uuid, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.platform_log(p_before uuid, p_limit integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.platform_people(p_after uuid, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.platform_people(p_after uuid, p_limit integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.platform_state(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.platform_state(p_most integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.preview_conversions(p_site uuid, p_kind text, p_most integer, p_at timestamp with time zone, p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.preview_conversions(p_site uuid, p_kind text, p_most integer, p_at timestamp with time zone, p_id uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.privacy_keeper(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.providers() FROM PUBLIC;
GRANT ALL ON FUNCTION public.providers() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.pull_batches(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.pull_batches(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.pull_route(p_public_id text, OUT site_id uuid, OUT secret bytea, OUT key_id text, OUT is_on boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.pull_route(p_public_id text, OUT site_id uuid, OUT secret bytea, OUT key_id text, OUT is_on boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.pull_sites() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.put_back_events(p_columns text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.put_back_visits(p_columns text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.put_conversion_secret(p_site uuid, p_secret bytea, p_key_id text, p_mine boolean, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.put_conversion_secret(p_site uuid, p_secret bytea, p_key_id text, p_mine boolean, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.put_credential(p_id uuid, p_access_token bytea, p_refresh_token bytea, p_key_id text, p_expires_at timestamp with time zone, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.put_credential(p_id uuid, p_access_token bytea, p_refresh_token bytea, p_key_id text, p_expires_at timestamp with time zone, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.put_webhook_secrets(p_site uuid, p_id uuid, p_secret bytea, p_next bytea, p_key_id text, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.put_webhook_secrets(p_site uuid, p_id uuid, p_secret bytea, p_next bytea, p_key_id text, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.queue_conversions(p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.queue_conversions(p_limit integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.quota_use() FROM PUBLIC;
GRANT ALL ON FUNCTION public.quota_use() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.ready_conversions(p_site uuid, p_ids uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.rebuild_counters(p_site uuid, p_from date, p_to date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.recent_privacy_acts(p_person uuid, p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.reclaim_batch(p_site uuid, p_adapter text, p_lease integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.reclaim_batch(p_site uuid, p_adapter text, p_lease integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.record_call_v2(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text, p_window_minutes integer, p_repeat_seconds integer, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts public.lead_facts) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_call_v2(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text, p_window_minutes integer, p_repeat_seconds integer, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts public.lead_facts) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.record_call_v3(p_site uuid, p_id uuid, p_signature bytea, p_number text, p_fingerprint text, p_click_kind text, p_click_id text, p_event_id text, p_called_at timestamp with time zone, p_direction text, p_outcome text, p_seconds integer, p_currency text, p_window_minutes integer, p_click_days integer, p_repeat_seconds integer, OUT answer jsonb, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts public.lead_facts) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_call_v3(p_site uuid, p_id uuid, p_signature bytea, p_number text, p_fingerprint text, p_click_kind text, p_click_id text, p_event_id text, p_called_at timestamp with time zone, p_direction text, p_outcome text, p_seconds integer, p_currency text, p_window_minutes integer, p_click_days integer, p_repeat_seconds integer, OUT answer jsonb, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts public.lead_facts) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.record_replay(p_site uuid, p_rejected uuid, p_id uuid, p_outcome text, p_error text, p_let_in boolean, OUT replay_count integer, OUT last_replay_at timestamp with time zone, OUT last_replay_error text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_replay(p_site uuid, p_rejected uuid, p_id uuid, p_outcome text, p_error text, p_let_in boolean, OUT replay_count integer, OUT last_replay_at timestamp with time zone, OUT last_replay_error text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.record_replays(p_site uuid, p_rejected uuid[], p_ids uuid[], p_outcomes text[], p_errors text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_replays(p_site uuid, p_rejected uuid[], p_ids uuid[], p_outcomes text[], p_errors text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.recount(p_site uuid, p_from timestamp with time zone, p_to timestamp with time zone, p_zone text, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.recount(p_site uuid, p_from timestamp with time zone, p_to timestamp with time zone, p_zone text, p_currency text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.refresh_consent(p_site uuid, p_conversions uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.release_batch(p_site uuid, p_batch uuid, p_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION public.release_batch(p_site uuid, p_batch uuid, p_seconds double precision) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.remove_call_secret(p_site uuid, p_id uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.remove_call_secret(p_site uuid, p_id uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.remove_member(p_site uuid, p_act uuid, p_user uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.remove_member(p_site uuid, p_act uuid, p_user uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.remove_origin(p_site uuid, p_act uuid, p_origin text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.remove_origin(p_site uuid, p_act uuid, p_origin text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.remove_test_visits(p_site uuid, p_act uuid, p_pattern text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.remove_test_visits(p_site uuid, p_act uuid, p_pattern text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.remove_view(p_site uuid, p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.remove_view(p_site uuid, p_id uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.remove_webhook(p_site uuid, p_id uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.remove_webhook(p_site uuid, p_id uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.renew_sign_in(p_user uuid, p_old bytea, p_new bytea, p_with_code boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.replay_delivery(p_site uuid, p_webhook uuid, p_id uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.replay_delivery(p_site uuid, p_webhook uuid, p_id uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.resend_invite(p_site uuid, p_act uuid, p_id uuid, p_turn integer, p_hash bytea, OUT outcome text, OUT retry_after integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.resend_invite(p_site uuid, p_act uuid, p_id uuid, p_turn integer, p_hash bytea, OUT outcome text, OUT retry_after integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.reset_second_factor(p_user uuid, p_note uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.retention_preview(p_site uuid, p_months integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.retention_preview(p_site uuid, p_months integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.retry_conversions(p_site uuid, p_ids uuid[], p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.retry_conversions(p_site uuid, p_ids uuid[], p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.revoke_invite(p_site uuid, p_act uuid, p_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.revoke_invite(p_site uuid, p_act uuid, p_id uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.revoke_person_key(p_key uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.revoke_person_key(p_key uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.revoke_share_link(p_site uuid, p_share uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.revoke_share_link(p_site uuid, p_share uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.revoke_site_key(p_site uuid, p_key uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.revoke_site_key(p_site uuid, p_key uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.rotate_person_key(p_key uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_grace interval) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rotate_person_key(p_key uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_grace interval) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.rotate_site_key(p_site uuid, p_key uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_grace interval) FROM PUBLIC;
GRANT ALL ON FUNCTION public.rotate_site_key(p_site uuid, p_key uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_grace interval) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.score_call(p_site uuid, p_call uuid, p_score integer, p_breakdown jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.score_call(p_site uuid, p_call uuid, p_score integer, p_breakdown jsonb) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.score_leads(p_scores public.lead_score_draft[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.score_leads(p_scores public.lead_score_draft[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.sealed_credential(p_provider text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.sealed_credential(p_provider text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.search_conditions(p_site uuid, p_wanted jsonb, p_at text, p_zone text, p_from timestamp with time zone, OUT conditions text, OUT tokens text, OUT tokens_of text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.search_digits(p_text text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.search_leads(p_site uuid, p_wanted jsonb, p_decided boolean, p_zone text, p_from timestamp with time zone, p_to timestamp with time zone, p_before timestamp with time zone, p_before_call uuid, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.search_leads(p_site uuid, p_wanted jsonb, p_decided boolean, p_zone text, p_from timestamp with time zone, p_to timestamp with time zone, p_before timestamp with time zone, p_before_call uuid, p_limit integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.search_parts(p_word text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.search_reader(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.search_text(p_text text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.search_token(p_site uuid, p_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.search_tokens(p_site uuid, p_created_at timestamp with time zone, p_decided_at timestamp with time zone, p_status text, p_action text, p_captured_by text, p_is_paid boolean, p_has_click_id boolean, p_source text, p_channel text, p_campaign text, p_keyword text, p_matchtype text, p_place text, p_device text, p_page text, p_words text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.see_all_sites() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.see_sign_in(p_token_hash bytea, p_due interval) FROM PUBLIC;
GRANT ALL ON FUNCTION public.see_sign_in(p_token_hash bytea, p_due interval) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.session_entry(s public.sessions, p_n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.session_entry(s public.sessions, p_n integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.set_account_enabled(p_act uuid, p_user uuid, p_enabled boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_account_enabled(p_act uuid, p_user uuid, p_enabled boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.set_conversion_route(p_site uuid, p_adapter text, p_destination jsonb, p_with_hashes boolean, p_is_on boolean, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_conversion_route(p_site uuid, p_adapter text, p_destination jsonb, p_with_hashes boolean, p_is_on boolean, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.set_limits(p_site uuid, p_act uuid, p_quota bigint, p_rate integer, p_quarantine integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_limits(p_site uuid, p_act uuid, p_quota bigint, p_rate integer, p_quarantine integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.set_member_role(p_site uuid, p_act uuid, p_user uuid, p_role text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.set_member_role(p_site uuid, p_act uuid, p_user uuid, p_role text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.settings_keeper(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.settle_batch(p_site uuid, p_batch uuid, p_state text, p_seconds double precision, p_request_id text, p_error text, p_outcomes jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.settle_pulls(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.settle_visitors(p_site uuid, p_visitors text[]) FROM PUBLIC;

GRANT SELECT ON TABLE public.conversion_batch_items TO opsmantik_app;

REVOKE ALL ON FUNCTION public.settled_step(v public.conversions, i public.conversion_batch_items, p_kind text, p_again interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.share_keeper(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.share_link_by_hash(p_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.share_link_by_hash(p_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.share_maker_name(p_site uuid, p_maker uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.share_maker_name(p_site uuid, p_maker uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.shift_conversions(p_site uuid, p_steps jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.signed_in(p_token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION public.signed_in(p_token_hash bytea) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.signed_in_v2(p_token_hash bytea, p_idle interval, p_due interval, OUT user_id uuid, OUT email text, OUT name text, OUT language text, OUT theme text, OUT is_admin boolean, OUT sign_in_id uuid, OUT confirmed_at timestamp with time zone, OUT is_due boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.signed_in_v2(p_token_hash bytea, p_idle interval, p_due interval, OUT user_id uuid, OUT email text, OUT name text, OUT language text, OUT theme text, OUT is_admin boolean, OUT sign_in_id uuid, OUT confirmed_at timestamp with time zone, OUT is_due boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_audit(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_audit(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_invites(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_invites(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_keeper(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.site_owners(p_sites uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_owners(p_sites uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_people(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_people(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_role(p_site uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_role(p_site uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.site_sequences(p_sites uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.site_sequences(p_sites uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.sites_to_fold() FROM PUBLIC;
GRANT ALL ON FUNCTION public.sites_to_fold() TO opsmantik_app;

REVOKE ALL ON FUNCTION public.stays_for_archive(p_month date) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.suspect_lead(p_site uuid, p_call uuid, p_action uuid, p_reasons text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.suspect_lead(p_site uuid, p_call uuid, p_action uuid, p_reasons text[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.suspicion_facts(p_sites uuid[], p_calls uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.suspicion_facts(p_sites uuid[], p_calls uuid[]) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.switch_conversion_route(p_site uuid, p_is_on boolean, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.switch_conversion_route(p_site uuid, p_is_on boolean, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.switch_provider(p_provider text, p_is_on boolean, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.switch_provider(p_provider text, p_is_on boolean, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.switch_site(p_site uuid, p_act uuid, p_on boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.switch_site(p_site uuid, p_act uuid, p_on boolean) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.switch_user(p_user uuid, p_on boolean, p_note uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.take_code(p_user uuid, p_step bigint, p_code_hash bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.take_invite(p_invite public.invites, p_person uuid, p_act uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.try_webhook(p_site uuid, p_id uuid, p_delivery uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.try_webhook(p_site uuid, p_id uuid, p_delivery uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.unfolded_cells(p_site uuid, p_zone text, p_currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unfolded_cells(p_site uuid, p_zone text, p_currency text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.unfolded_leads(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.unfolded_visitors(p_site uuid, p_zone text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unfolded_visitors(p_site uuid, p_zone text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.unjudged_leads(p_hours integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unjudged_leads(p_hours integer) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.unlink_identity(p_id uuid, p_issuers text[], p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.unlink_identity(p_id uuid, p_issuers text[], p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.untouchable(p_site uuid, p_asker uuid, p_user uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.use_email_link(p_link_hash bytea, p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_email_link(p_link_hash bytea, p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.use_identity(p_issuer text, p_subject text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_identity(p_issuer text, p_subject text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.use_password_link(p_link_hash bytea, p_hash text, p_address text, p_note uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.use_password_link(p_link_hash bytea, p_hash text, p_address text, p_note uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.validate_keys() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.view_keeper(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.webhook_host(p_url text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.webhook_keeper(p_site uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.webhook_payload(p_site uuid, p_type text, p_call uuid, p_more jsonb, p_phone boolean, p_click_id boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.webhook_secrets(p_site uuid, p_id uuid, OUT secret bytea, OUT next_secret bytea, OUT key_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.webhook_secrets(p_site uuid, p_id uuid, OUT secret bytea, OUT next_secret bytea, OUT key_id text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.week_hour(p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.wish_notices(p_site uuid, p_pace text, p_quiet_from time without time zone, p_quiet_until time without time zone, p_language text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.wish_notices(p_site uuid, p_pace text, p_quiet_from time without time zone, p_quiet_until time without time zone, p_language text) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.wish_summary(p_site uuid, p_pace text, p_hour smallint, p_language text, p_next_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.wish_summary(p_site uuid, p_pace text, p_hour smallint, p_language text, p_next_at timestamp with time zone) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.withdraw_ownership(p_site uuid, p_act uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.withdraw_ownership(p_site uuid, p_act uuid) TO opsmantik_app;

REVOKE ALL ON FUNCTION public.withhold_items(p_site uuid, p_batch uuid) FROM PUBLIC;

GRANT SELECT ON TABLE public.events TO opsmantik_app;

GRANT SELECT ON TABLE public.archive_erasures TO opsmantik_app;

GRANT SELECT(site_id) ON TABLE public.call_secrets TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.call_secrets TO opsmantik_app;

GRANT SELECT(place) ON TABLE public.call_secrets TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.call_secrets TO opsmantik_app;

GRANT SELECT(site_id) ON TABLE public.call_signatures TO opsmantik_app;

GRANT SELECT(received_at) ON TABLE public.call_signatures TO opsmantik_app;

GRANT SELECT ON TABLE public.conversion_batches TO opsmantik_app;

GRANT SELECT ON TABLE public.conversion_moves TO opsmantik_app;

GRANT SELECT(site_id) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(adapter) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(is_on) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(destination) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(with_hashes) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(has_grant) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(connected_by) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(trouble) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(trouble_at) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(not_before) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(claimed_at) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT(updated_at) ON TABLE public.conversion_routes TO opsmantik_app;

GRANT SELECT ON TABLE public.conversion_rows TO opsmantik_app;

GRANT SELECT ON TABLE public.counter_days TO opsmantik_app;

GRANT SELECT ON TABLE public.counter_journal TO opsmantik_app;

GRANT SELECT ON TABLE public.sites TO opsmantik_app;

GRANT SELECT ON TABLE public.counters TO opsmantik_app;

GRANT SELECT ON TABLE public.ingest_tally TO opsmantik_app;

GRANT SELECT ON TABLE public.ingest_counts TO opsmantik_app;

GRANT SELECT ON TABLE public.intent_actions TO opsmantik_app;

GRANT SELECT ON TABLE public.lead_notices TO opsmantik_app;

GRANT SELECT ON TABLE public.lead_rows TO opsmantik_app;

GRANT SELECT ON TABLE public.notice_wishes TO opsmantik_app;

GRANT SELECT ON TABLE public.ownership_offers TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(user_id) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(last_four) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(name) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(scopes) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(only_site) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(expires_at) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(last_used_at) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(revoked_at) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT(replaced_by) ON TABLE public.person_keys TO opsmantik_app;

GRANT SELECT ON TABLE public.presences TO opsmantik_app;

GRANT SELECT ON TABLE public.profiles TO opsmantik_app;

GRANT UPDATE(language) ON TABLE public.profiles TO opsmantik_app;

GRANT UPDATE(theme) ON TABLE public.profiles TO opsmantik_app;

GRANT SELECT ON TABLE public.replays TO opsmantik_app;

GRANT SELECT ON TABLE public.session_keys TO opsmantik_app;

GRANT SELECT(site_id) ON TABLE public.share_links TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.share_links TO opsmantik_app;

GRANT SELECT(name) ON TABLE public.share_links TO opsmantik_app;

GRANT SELECT(paid_only) ON TABLE public.share_links TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.share_links TO opsmantik_app;

GRANT SELECT(created_by) ON TABLE public.share_links TO opsmantik_app;

GRANT SELECT(expires_at) ON TABLE public.share_links TO opsmantik_app;

GRANT SELECT(last_used_at) ON TABLE public.share_links TO opsmantik_app;

GRANT SELECT(user_id) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(last_seen_at) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(expires_at) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(user_agent) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(method) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(second_factor_at) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(confirmed_at) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT(address) ON TABLE public.sign_ins TO opsmantik_app;

GRANT SELECT ON TABLE public.site_acts TO opsmantik_app;

GRANT SELECT(site_id) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(last_four) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(name) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(scopes) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(created_by) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(expires_at) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(last_used_at) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(revoked_at) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT(replaced_by) ON TABLE public.site_keys TO opsmantik_app;

GRANT SELECT ON TABLE public.site_members TO opsmantik_app;

GRANT SELECT ON TABLE public.site_origins TO opsmantik_app;

GRANT SELECT ON TABLE public.site_pulse TO opsmantik_app;

GRANT SELECT ON TABLE public.site_state TO opsmantik_app;

GRANT SELECT ON TABLE public.summary_wishes TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.user_credentials TO opsmantik_app;

GRANT SELECT(user_id) ON TABLE public.user_credentials TO opsmantik_app;

GRANT SELECT(provider) ON TABLE public.user_credentials TO opsmantik_app;

GRANT SELECT(expires_at) ON TABLE public.user_credentials TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.user_credentials TO opsmantik_app;

GRANT SELECT(updated_at) ON TABLE public.user_credentials TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.user_identities TO opsmantik_app;

GRANT SELECT(user_id) ON TABLE public.user_identities TO opsmantik_app;

GRANT SELECT(issuer) ON TABLE public.user_identities TO opsmantik_app;

GRANT SELECT(email) ON TABLE public.user_identities TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.user_identities TO opsmantik_app;

GRANT SELECT(last_used_at) ON TABLE public.user_identities TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(email) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(name) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.users TO opsmantik_app;

GRANT SELECT(disabled_at) ON TABLE public.users TO opsmantik_app;

GRANT SELECT ON TABLE public.visitors TO opsmantik_app;

GRANT SELECT ON TABLE public.webhook_deliveries TO opsmantik_app;

GRANT SELECT(site_id) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(id) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(url) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(events) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(with_phone) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(with_click_id) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(rotating_since) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(off_reason) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(failing_since) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(created_at) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(created_by) ON TABLE public.webhooks TO opsmantik_app;

GRANT SELECT(updated_at) ON TABLE public.webhooks TO opsmantik_app;
