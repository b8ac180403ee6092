-- Row security and grants. A policy compares the key with a setting that stands for one transaction only
-- (SET LOCAL, see db/connect.py): an index condition, no function per row, and it works on shards too.
-- The setting is '' after the transaction that set it; nullif makes that "no site", not an error.
SET LOCAL lock_timeout = '1200ms';

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['users', 'profiles', 'user_credentials', 'sign_ins', 'one_time_links', 'sites',
        'site_members', 'site_origins', 'stray_tally', 'upkeep_runs', 'schema_migrations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        -- Functions of the owner answer for people: who may sign in, which sites are theirs.
        EXECUTE format('CREATE POLICY owner_functions ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['session_keys', 'sessions', 'events', 'calls', 'visitors', 'rejected_events',
        'ingest_tally', 'site_pulse', 'parts.sessions_default', 'parts.events_default'] LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
        -- Facts bind the owner too. What works across tenants (the functions that write, partition upkeep,
        -- audits, migrations) asks for it by name: SET LOCAL app.maintenance = 'on'. The application's role
        -- gains nothing by setting it. The name sorts first: permissive policies are tried in that order, and
        -- this one is the cheapest to find true for every row that is written.
        EXECUTE format('CREATE POLICY by_owner_function ON %s TO CURRENT_USER '
            'USING (current_setting(''app.maintenance'', true) = ''on'') '
            'WITH CHECK (current_setting(''app.maintenance'', true) = ''on'')', t);
    END LOOP;
END $$;

CREATE POLICY users_select_self ON users FOR SELECT
    USING (id = nullif(current_setting('app.person', true), '')::uuid);
CREATE POLICY profiles_select_self_or_admin ON profiles FOR SELECT
    USING (id = nullif(current_setting('app.person', true), '')::uuid);
CREATE POLICY profiles_update_own ON profiles FOR UPDATE
    USING (id = nullif(current_setting('app.person', true), '')::uuid)
    WITH CHECK (id = nullif(current_setting('app.person', true), '')::uuid);
CREATE POLICY user_credentials_own ON user_credentials FOR SELECT
    USING (user_id = nullif(current_setting('app.person', true), '')::uuid);
CREATE POLICY sign_ins_own ON sign_ins FOR SELECT
    USING (user_id = nullif(current_setting('app.person', true), '')::uuid);
CREATE POLICY sites_select_accessible ON sites FOR SELECT
    USING (id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
CREATE POLICY site_members_select_accessible ON site_members FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
CREATE POLICY site_origins_select_accessible ON site_origins FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));

-- Facts are read by their site's people. They are written by functions that run as the owner, for the sites that
-- those functions name; the application's role holds no write grant.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['session_keys', 'sessions', 'events', 'calls', 'visitors', 'rejected_events',
        'ingest_tally', 'site_pulse'] LOOP
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT '
            'USING (site_id = ANY (nullif(current_setting(''app.sites'', true), '''')::uuid[]))',
            t || '_select_accessible', t);
        EXECUTE format('GRANT SELECT ON %I TO opsmantik_app', t);
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA public TO opsmantik_app;
GRANT SELECT ON profiles, sites, site_members, site_origins TO opsmantik_app;
GRANT SELECT (id, email, name, created_at, disabled_at) ON users TO opsmantik_app;
GRANT SELECT (token_hash, user_id, created_at, last_seen_at, expires_at, user_agent) ON sign_ins TO opsmantik_app;
GRANT UPDATE (language, theme) ON profiles TO opsmantik_app;
-- Functions are closed unless their own file opens them.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
