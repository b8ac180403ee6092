-- Signing in: what is known of each signed-in browser, second factors, the brake on guessing, and more one-time links.
SET LOCAL lock_timeout = '1200ms';

-- Each has a name of its own that may be shown, unlike the hash; a volatile default rewrites a table of a few rows.
ALTER TABLE sign_ins
    -- squawk-ignore adding-field-with-default
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN method text NOT NULL DEFAULT 'password',
    ADD COLUMN second_factor_at timestamptz,
    ADD COLUMN confirmed_at timestamptz,
    ADD COLUMN address text;
-- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint
ALTER TABLE sign_ins ADD CONSTRAINT sign_ins_id_key UNIQUE (id);
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE sign_ins ADD CONSTRAINT sign_ins_method_check CHECK (method IN ('password', 'oidc', 'invite', 'link'));
COMMENT ON COLUMN sign_ins.address IS 'Cut short (IPv4 /24, IPv6 /48) before it comes here.';
COMMENT ON COLUMN sign_ins.confirmed_at IS 'When this browser last proved who it is: at the sign-in, or since, before something dangerous.';
GRANT SELECT (id, method, second_factor_at, confirmed_at, address) ON sign_ins TO opsmantik_app;
REVOKE SELECT (token_hash) ON sign_ins FROM opsmantik_app;

-- Between the password and the code. Kept apart, so that nothing that looks for a sign-in can take one for whole.
CREATE TABLE half_sign_ins (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id uuid NOT NULL,
    method text NOT NULL CHECK (method IN ('password', 'oidc', 'invite', 'link')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    user_agent text,
    address text
);
ALTER TABLE half_sign_ins ADD CONSTRAINT half_sign_ins_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX half_sign_ins_user_id_idx ON half_sign_ins (user_id);

-- One authenticator for a person. Until a code of it has been seen, it is asked for nowhere.
CREATE TABLE second_factors (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    secret bytea NOT NULL,
    key_id text NOT NULL,
    last_step bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    CONSTRAINT second_factors_user_id_key UNIQUE (user_id)
);
ALTER TABLE second_factors ADD CONSTRAINT second_factors_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
COMMENT ON COLUMN second_factors.secret IS 'Encrypted by the application; key_id names the key.';
COMMENT ON COLUMN second_factors.last_step IS 'The newest half minute whose code was taken: no code is good twice, nor one before it.';

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);
ALTER TABLE recovery_codes ADD CONSTRAINT recovery_codes_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;

-- Who is guessing. The key is a keyed hash: nobody can read out of a copy which accounts were tried, or from where.
CREATE TABLE sign_in_attempts (
    key bytea PRIMARY KEY CHECK (length(key) = 32),
    n integer NOT NULL,
    allowed_at timestamptz NOT NULL
);
CREATE INDEX sign_in_attempts_allowed_at_idx ON sign_in_attempts (allowed_at);
COMMENT ON COLUMN sign_in_attempts.allowed_at IS 'When the next attempt may be made; an hour of quiet after that forgives.';

ALTER TABLE one_time_links
    ADD COLUMN user_id uuid,
    ADD COLUMN email text;
-- squawk-ignore constraint-missing-not-valid, adding-foreign-key-constraint
ALTER TABLE one_time_links ADD CONSTRAINT one_time_links_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
-- squawk-ignore ban-drop-constraint
ALTER TABLE one_time_links DROP CONSTRAINT one_time_links_purpose_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE one_time_links ADD CONSTRAINT one_time_links_purpose_check
    CHECK (purpose IN ('first_admin', 'password', 'email'));
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE one_time_links ADD CONSTRAINT one_time_links_whose_check
    CHECK ((purpose NOT IN ('password', 'email') OR user_id IS NOT NULL) AND (purpose <> 'email' OR email IS NOT NULL));
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX one_time_links_user_id_idx ON one_time_links (user_id);
COMMENT ON COLUMN one_time_links.email IS 'The address that a person wants to have, until the link sent there is opened.';

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['half_sign_ins', 'second_factors', 'recovery_codes', 'sign_in_attempts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY owner_functions ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', t);
    END LOOP;
END $$;
