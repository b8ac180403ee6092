-- Links that show a site's figures to whoever holds one, and wishes for a summary by mail.
SET LOCAL lock_timeout = '1200ms';

CREATE TABLE share_links (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    paid_only boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid,
    expires_at timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (site_id, id)
);
COMMENT ON TABLE share_links IS 'Who revokes one takes its row away; the log of acts keeps that it was there.';
COMMENT ON COLUMN share_links.token_hash IS 'SHA-256 of what the address ends with; that itself is kept nowhere.';
COMMENT ON COLUMN share_links.paid_only IS 'Whether it shows paid traffic and nothing else.';
COMMENT ON COLUMN share_links.last_used_at IS 'To five minutes: not every look is worth a write.';
ALTER TABLE share_links ADD CONSTRAINT share_links_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;
ALTER TABLE share_links ADD CONSTRAINT share_links_created_by_fkey
    FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;
-- By the hash its site is found; 256 random bits need no unique index to be unique.
CREATE INDEX share_links_token_hash_idx ON share_links (token_hash);
CREATE INDEX share_links_created_by_idx ON share_links (created_by) WHERE created_by IS NOT NULL;

CREATE TABLE summary_wishes (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    pace text NOT NULL DEFAULT 'off' CHECK (pace IN ('off', 'daily', 'weekly')),
    at_hour smallint NOT NULL DEFAULT 8 CHECK (at_hour BETWEEN 0 AND 23),
    language text NOT NULL DEFAULT 'en',
    sent_for date,
    next_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    asked_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, user_id)
);
COMMENT ON COLUMN summary_wishes.at_hour IS 'By the site''s clock.';
COMMENT ON COLUMN summary_wishes.sent_for IS 'The site''s day on which the last one was due: that one is not sent again.';
COMMENT ON COLUMN summary_wishes.next_at IS 'When the next is due, or until when a sender has this wish; null: none is wished for.';
COMMENT ON COLUMN summary_wishes.asked_at IS 'When somebody last had one sent at once.';
ALTER TABLE summary_wishes ADD CONSTRAINT summary_wishes_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;
ALTER TABLE summary_wishes ADD CONSTRAINT summary_wishes_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX summary_wishes_user_idx ON summary_wishes (user_id);
CREATE INDEX summary_wishes_due_idx ON summary_wishes (next_at) WHERE next_at IS NOT NULL;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['share_links', 'summary_wishes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_owner_function ON %I TO CURRENT_USER '
            'USING (current_setting(''app.maintenance'', true) = ''on'') '
            'WITH CHECK (current_setting(''app.maintenance'', true) = ''on'')', t);
    END LOOP;
END $$;
CREATE POLICY share_links_select_accessible ON share_links FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
-- Of wishes everybody sees their own.
CREATE POLICY summary_wishes_select_own ON summary_wishes FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
        AND user_id = nullif(current_setting('app.person', true), '')::uuid);
-- Everything but what opens.
GRANT SELECT (site_id, id, name, paid_only, created_at, created_by, expires_at, last_used_at) ON share_links TO opsmantik_app;
GRANT SELECT ON summary_wishes TO opsmantik_app;
