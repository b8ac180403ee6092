-- A database of the first generation in miniature: its tables, keys, months as partitions, policies and grants, and those of
-- its functions whose being there matters, with their signatures. Written from its description, for tests that read it.
CREATE SCHEMA auth;
CREATE SCHEMA private;
DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN %s', r, CASE WHEN r = 'service_role' THEN 'BYPASSRLS' ELSE '' END);
        END IF;
    END LOOP;
END $$;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
-- Everything new is given to callers from outside: what made partitions readable by anybody.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;

CREATE TABLE auth.users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aud varchar(255), role varchar(255) DEFAULT 'authenticated', email varchar(255),
    raw_user_meta_data jsonb, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
AS $$ SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
CREATE TABLE private.api_keys (key_name text PRIMARY KEY, key_value text NOT NULL);

CREATE TABLE profiles (
    id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE sites (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    public_id text NOT NULL UNIQUE, domain text, name text, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    assumed_cpc numeric DEFAULT 0, currency text DEFAULT 'TRY', config jsonb NOT NULL DEFAULT '{}');
CREATE TABLE site_members (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), site_id uuid NOT NULL REFERENCES sites ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    role text NOT NULL DEFAULT 'viewer' CHECK (role IN ('viewer', 'editor', 'owner')), created_at timestamptz DEFAULT now(),
    UNIQUE (site_id, user_id));
CREATE TABLE user_credentials (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, provider text NOT NULL,
    access_token text, refresh_token text, expires_at timestamptz, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(), UNIQUE (user_id, provider));

CREATE TABLE sessions (
    id uuid NOT NULL, site_id uuid NOT NULL REFERENCES sites ON DELETE CASCADE, created_month date NOT NULL,
    created_at timestamptz DEFAULT now(), ip_address inet, entry_page text, exit_page text, gclid text, wbraid text, gbraid text,
    total_duration_sec integer DEFAULT 0, event_count integer DEFAULT 0, attribution_source text, device_type text, city text,
    district text, fingerprint text, lead_score integer DEFAULT 0, ai_score integer DEFAULT 0, ai_summary text, ai_tags text[],
    user_journey_path text, utm_term text, utm_source text, utm_medium text, utm_campaign text, utm_content text, matchtype text,
    ads_network text, ads_placement text, device_os text, telco_carrier text, browser text, browser_language text, gpu_renderer text,
    connection_type text, referrer_host text, isp_asn text, visitor_rank text, device_memory integer, hardware_concurrency integer,
    screen_width integer, screen_height integer, pixel_ratio numeric, is_returning boolean DEFAULT false,
    is_proxy_detected boolean DEFAULT false, max_scroll_percentage integer DEFAULT 0, cta_hover_count integer DEFAULT 0,
    form_focus_duration integer DEFAULT 0, total_active_seconds integer DEFAULT 0, engagement_score integer DEFAULT 0,
    previous_visit_count integer DEFAULT 0, PRIMARY KEY (id, created_month)
) PARTITION BY RANGE (created_month);
ALTER TABLE sessions REPLICA IDENTITY FULL;
CREATE INDEX idx_sessions_site_month_date ON sessions (site_id, created_month, created_at);
CREATE INDEX idx_sessions_site_id ON sessions (site_id);
CREATE INDEX idx_sessions_fingerprint ON sessions (fingerprint) WHERE fingerprint IS NOT NULL;

CREATE TABLE events (
    id uuid NOT NULL DEFAULT gen_random_uuid(), session_id uuid NOT NULL, session_month date NOT NULL, url text NOT NULL,
    event_category text NOT NULL, event_action text NOT NULL, event_label text, event_value numeric, metadata jsonb DEFAULT '{}',
    created_at timestamptz DEFAULT now(), site_id uuid REFERENCES sites ON DELETE CASCADE, ingest_dedup_id uuid,
    PRIMARY KEY (id, session_month)
) PARTITION BY RANGE (session_month);
ALTER TABLE events ADD CONSTRAINT events_session_id_fkey FOREIGN KEY (session_id, session_month)
    REFERENCES sessions (id, created_month) ON DELETE CASCADE;
ALTER TABLE events ADD CONSTRAINT fk_events_session FOREIGN KEY (session_id, session_month)
    REFERENCES sessions (id, created_month) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX idx_events_session_id ON events (session_id);
CREATE INDEX idx_events_session_month_date ON events (session_id, session_month, created_at);
CREATE INDEX idx_events_created_at ON events (created_at);
CREATE INDEX idx_events_category ON events (event_category);
CREATE INDEX idx_events_metadata_gin ON events USING gin (metadata);

CREATE TABLE calls (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), site_id uuid NOT NULL REFERENCES sites ON DELETE CASCADE, phone_number text,
    matched_session_id uuid, matched_fingerprint text, matched_at timestamptz, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(), lead_score integer DEFAULT 0, lead_score_at_match integer, score_breakdown jsonb,
    status text DEFAULT 'intent', source text DEFAULT 'click', confirmed_at timestamptz,
    confirmed_by uuid REFERENCES auth.users ON DELETE SET NULL, note text, intent_stamp text, intent_action text, intent_target text,
    intent_page_url text, click_id text, oci_status text, oci_error text, oci_status_updated_at timestamptz,
    oci_uploaded_at timestamptz, oci_matched_at timestamptz, oci_batch_id uuid, sale_amount numeric CHECK (sale_amount >= 0),
    estimated_value numeric CHECK (estimated_value >= 0), currency text NOT NULL DEFAULT 'TRY',
    CONSTRAINT calls_status_check CHECK (status IN ('intent', 'confirmed', 'junk', 'qualified', 'real')),
    CONSTRAINT calls_click_intent_invariants_chk CHECK (source <> 'click' OR (intent_action IN ('phone', 'whatsapp')
        AND intent_action IS NOT NULL AND coalesce(intent_target, '') <> '' AND coalesce(intent_stamp, '') <> '')));
CREATE INDEX idx_calls_site_id ON calls (site_id);
CREATE INDEX idx_calls_site_date ON calls (site_id, created_at DESC);
CREATE INDEX idx_calls_matched_session ON calls (matched_session_id);
CREATE UNIQUE INDEX idx_calls_site_intent_stamp_uniq ON calls (site_id, intent_stamp) WHERE intent_stamp IS NOT NULL;

CREATE TABLE processed_signals (
    event_id uuid PRIMARY KEY, received_at timestamptz DEFAULT now(), site_id uuid NOT NULL REFERENCES sites ON DELETE CASCADE,
    status text DEFAULT 'processed');
CREATE TABLE sync_dlq (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), received_at timestamptz NOT NULL DEFAULT now(),
    site_id uuid REFERENCES sites ON DELETE SET NULL, qstash_message_id text, dedup_event_id uuid, stage text, error text,
    payload jsonb NOT NULL, replay_count integer NOT NULL DEFAULT 0, last_replay_at timestamptz, last_replay_error text);
CREATE TABLE sync_dlq_replay_audit (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), dlq_id uuid NOT NULL REFERENCES sync_dlq ON DELETE CASCADE, replayed_by_user_id uuid,
    replayed_by_email text, replayed_at timestamptz NOT NULL DEFAULT now(), replay_count_after integer NOT NULL, error_if_failed text);

CREATE FUNCTION is_admin(check_user_id uuid DEFAULT auth.uid()) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
AS $$ SELECT EXISTS (SELECT FROM public.profiles WHERE id = check_user_id AND role = 'admin') $$;
CREATE FUNCTION sessions_set_created_month() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_at := coalesce(NEW.created_at, now());
    NEW.created_month := date_trunc('month', NEW.created_at AT TIME ZONE 'UTC')::date;
    RETURN NEW;
END $$;
CREATE FUNCTION events_set_session_month_from_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_site uuid;
    v_month date;
BEGIN
    SELECT site_id, created_month INTO v_site, v_month FROM sessions WHERE id = NEW.session_id LIMIT 1;
    NEW.session_month := coalesce(v_month, NEW.session_month);
    NEW.site_id := coalesce(NEW.site_id, v_site);
    RETURN NEW;
END $$;
CREATE TRIGGER sessions_set_created_month BEFORE INSERT OR UPDATE OF created_at, created_month ON sessions
    FOR EACH ROW EXECUTE FUNCTION sessions_set_created_month();
CREATE TRIGGER events_set_session_month_from_session BEFORE INSERT OR UPDATE OF session_id, session_month, site_id ON events
    FOR EACH ROW EXECUTE FUNCTION events_set_session_month_from_session();
CREATE FUNCTION validate_date_range(p_date_from timestamptz, p_date_to timestamptz) RETURNS void LANGUAGE plpgsql
AS $$ BEGIN IF p_date_from IS NULL OR p_date_to IS NULL THEN RAISE EXCEPTION 'date_from and date_to are required'; END IF; END $$;
CREATE FUNCTION get_dashboard_stats(p_site_id uuid, p_date_from timestamptz, p_date_to timestamptz) RETURNS jsonb LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_object('total_sessions', count(*)) FROM public.sessions
    WHERE site_id = p_site_id AND created_at BETWEEN p_date_from AND p_date_to $$;
CREATE FUNCTION get_dashboard_stats(p_site_id uuid, p_date_from timestamptz, p_date_to timestamptz, p_ads_only boolean DEFAULT true)
RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT jsonb_build_object('total_sessions', count(*)) FROM public.sessions
    WHERE site_id = p_site_id AND created_at >= p_date_from AND created_at < p_date_to $$;
CREATE FUNCTION create_next_month_partitions() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN NULL; END $$;

DO $$
DECLARE
    t text;
    m date;
BEGIN
    FOREACH t IN ARRAY ARRAY['profiles', 'sites', 'site_members', 'user_credentials', 'sessions', 'events', 'calls',
        'processed_signals', 'sync_dlq', 'sync_dlq_replay_audit'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    END LOOP;
    FOR m IN SELECT g::date FROM generate_series(timestamp '2026-01-01', '2026-03-01', '1 month') AS g LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF sessions FOR VALUES FROM (%L) TO (%L)', to_char(m, '"sessions_"YYYY_MM'), m, (m + interval '1 month')::date);
        EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', to_char(m, '"events_"YYYY_MM'), m, (m + interval '1 month')::date);
    END LOOP;
END $$;
-- The rule is written out in each, and two of them ask each other: members get an error on every table.
CREATE POLICY sites_select ON sites FOR SELECT USING (user_id = auth.uid() OR is_admin()
    OR EXISTS (SELECT FROM site_members m WHERE m.site_id = sites.id AND m.user_id = auth.uid()));
CREATE POLICY site_members_all_owner ON site_members USING (EXISTS (SELECT FROM sites s WHERE s.id = site_members.site_id AND s.user_id = auth.uid()));
CREATE POLICY profiles_select ON profiles FOR SELECT USING (id = auth.uid() OR EXISTS (SELECT FROM profiles p WHERE p.id = auth.uid() AND p.role = 'admin'));
CREATE POLICY profiles_update_self ON profiles FOR UPDATE USING (id = auth.uid());
CREATE POLICY sessions_iron_dome ON sessions USING (EXISTS (SELECT FROM sites s WHERE s.id = sessions.site_id AND s.user_id = auth.uid()));
CREATE POLICY events_iron_dome ON events USING (EXISTS (SELECT FROM sites s WHERE s.id = events.site_id AND s.user_id = auth.uid()));
CREATE POLICY calls_select_accessible ON calls FOR SELECT USING (EXISTS (SELECT FROM sites s WHERE s.id = calls.site_id AND s.user_id = auth.uid()));
CREATE POLICY user_credentials_own ON user_credentials USING (user_id = auth.uid());
