-- Keys for programs, of a person and of a site, and what telephone systems sign with. Of a key the database knows a hash;
-- what signs must be read again, so it is sealed with a key that is not in the database.
SET LOCAL lock_timeout = '1200ms';

CREATE TABLE person_keys (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
    last_four text NOT NULL CHECK (length(last_four) = 4),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    scopes text[] NOT NULL CONSTRAINT person_keys_scopes CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['site:read',
        'leads:decide', 'conversions:export', 'refused:tend', 'site:write', 'privacy:manage']),
    only_site uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    replaced_by uuid,
    CONSTRAINT person_keys_key_hash_key UNIQUE (key_hash)
);
COMMENT ON COLUMN person_keys.only_site IS 'The one site that it is good for; null: all sites of its person.';
COMMENT ON COLUMN person_keys.last_used_at IS 'To five minutes: not every use is worth a write.';
COMMENT ON COLUMN person_keys.replaced_by IS 'Its successor; both are good until this one expires.';
ALTER TABLE person_keys ADD CONSTRAINT person_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE person_keys ADD CONSTRAINT person_keys_only_site_fkey
    FOREIGN KEY (only_site) REFERENCES sites (id) ON DELETE CASCADE;
CREATE INDEX person_keys_user_id_idx ON person_keys (user_id);
CREATE INDEX person_keys_only_site_idx ON person_keys (only_site) WHERE only_site IS NOT NULL;

CREATE TABLE site_keys (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
    last_four text NOT NULL CHECK (length(last_four) = 4),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    scopes text[] NOT NULL CONSTRAINT site_keys_scopes CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['site:read',
        'leads:decide', 'conversions:export', 'refused:tend', 'site:write', 'privacy:manage']),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    replaced_by uuid,
    PRIMARY KEY (site_id, id)
);
COMMENT ON COLUMN site_keys.created_by IS 'Who made it. The key is the site''s: it lives on when they leave.';
ALTER TABLE site_keys ADD CONSTRAINT site_keys_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;
ALTER TABLE site_keys ADD CONSTRAINT site_keys_created_by_fkey
    FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;
-- By the hash its site is found; 256 random bits need no unique index to be unique.
CREATE INDEX site_keys_key_hash_idx ON site_keys (key_hash);
CREATE INDEX site_keys_created_by_idx ON site_keys (created_by) WHERE created_by IS NOT NULL;

-- What telephone systems sign their reports with: one that is used, and one that they are moved to.
CREATE TABLE call_secrets (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    place text NOT NULL CHECK (place IN ('current', 'next')),
    secret bytea NOT NULL,
    key_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, id),
    CONSTRAINT call_secrets_place_key UNIQUE (site_id, place)
);
COMMENT ON COLUMN call_secrets.secret IS 'Sealed by the application (keyring.py); key_id names the key.';
ALTER TABLE call_secrets ADD CONSTRAINT call_secrets_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;

-- Signatures that came in within the time for which they are good: the same one again gets the same answer.
CREATE TABLE call_signatures (
    site_id uuid NOT NULL,
    signature bytea NOT NULL CHECK (length(signature) = 32),
    received_at timestamptz NOT NULL DEFAULT now(),
    answer jsonb,
    PRIMARY KEY (site_id, signature)
);
COMMENT ON COLUMN call_signatures.signature IS 'SHA-256 of the signature.';
COMMENT ON COLUMN call_signatures.answer IS 'What was answered; null only inside the transaction that stores the call.';
ALTER TABLE call_signatures ADD CONSTRAINT call_signatures_site_id_fkey
    FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;
CREATE INDEX call_signatures_received_idx ON call_signatures (site_id, received_at);

ALTER TABLE sites ADD COLUMN unsigned_calls boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN sites.unsigned_calls IS 'Whether calls may be reported without a signature, as the first generation did.';

ALTER TABLE calls
    ADD COLUMN call_direction text CHECK (call_direction IN ('inbound', 'outbound')),
    ADD COLUMN call_outcome text CHECK (call_outcome IN ('answered', 'missed', 'busy', 'voicemail', 'failed')),
    ADD COLUMN call_seconds integer CHECK (call_seconds BETWEEN 0 AND 86400);
COMMENT ON COLUMN calls.call_outcome IS 'What the telephone system says became of the call; null where none reported it.';

ALTER TABLE intent_actions ADD COLUMN key_name text;
COMMENT ON COLUMN intent_actions.key_name IS 'The key that acted, by its name and last four characters as they were then.';

DO $$
DECLARE
    t text;
BEGIN
    ALTER TABLE person_keys ENABLE ROW LEVEL SECURITY;
    ALTER TABLE person_keys FORCE ROW LEVEL SECURITY;
    CREATE POLICY owner_functions ON person_keys TO CURRENT_USER USING (true) WITH CHECK (true);
    CREATE POLICY person_keys_own ON person_keys FOR SELECT
        USING (user_id = nullif(current_setting('app.person', true), '')::uuid);
    FOREACH t IN ARRAY ARRAY['site_keys', 'call_secrets', 'call_signatures'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_owner_function ON %I TO CURRENT_USER '
            'USING (current_setting(''app.maintenance'', true) = ''on'') '
            'WITH CHECK (current_setting(''app.maintenance'', true) = ''on'')', t);
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT '
            'USING (site_id = ANY (nullif(current_setting(''app.sites'', true), '''')::uuid[]))',
            t || '_select_accessible', t);
    END LOOP;
END $$;
-- Everything but what opens or signs.
GRANT SELECT (id, user_id, last_four, name, scopes, only_site, created_at, expires_at, last_used_at, revoked_at, replaced_by)
    ON person_keys TO opsmantik_app;
GRANT SELECT (site_id, id, last_four, name, scopes, created_at, created_by, expires_at, last_used_at, revoked_at, replaced_by)
    ON site_keys TO opsmantik_app;
GRANT SELECT (site_id, id, place, created_at) ON call_secrets TO opsmantik_app;
GRANT SELECT (site_id, received_at) ON call_signatures TO opsmantik_app;
