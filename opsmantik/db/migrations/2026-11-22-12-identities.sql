-- Accounts that people hold elsewhere (Google, another OIDC provider) and sign in with; and other services' tokens, of
-- which the database has the ciphertext only.
SET LOCAL lock_timeout = '1200ms';

-- A provider vouches for (issuer, subject) and for nothing else for ever: an e-mail address may pass to somebody else.
CREATE TABLE user_identities (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    issuer text NOT NULL CHECK (length(issuer) BETWEEN 8 AND 500),
    subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    email text NOT NULL DEFAULT '' CHECK (length(email) <= 254),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    CONSTRAINT user_identities_issuer_subject_key UNIQUE (issuer, subject)
);
ALTER TABLE user_identities ADD CONSTRAINT user_identities_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX user_identities_user_id_idx ON user_identities (user_id);
COMMENT ON COLUMN user_identities.email IS 'As the provider had it when it was linked: to be recognised by, not to sign in by.';

ALTER TABLE user_identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_identities FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_functions ON user_identities TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY user_identities_own ON user_identities FOR SELECT
    USING (user_id = nullif(current_setting('app.person', true), '')::uuid);
GRANT SELECT (id, user_id, issuer, email, created_at, last_used_at) ON user_identities TO opsmantik_app;

-- No release has written a row here yet.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE user_credentials ADD CONSTRAINT user_credentials_sealed_check
    CHECK ((access_token IS NULL AND refresh_token IS NULL) OR key_id IS NOT NULL);
COMMENT ON COLUMN user_credentials.access_token IS 'Encrypted by the application; key_id names the key.';
-- What is held for whom may be shown; the tokens, sealed as they are, are handed out by a function only.
GRANT SELECT (id, user_id, provider, expires_at, created_at, updated_at) ON user_credentials TO opsmantik_app;
