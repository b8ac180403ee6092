-- Invites to a site, and the offer to hand a site over. The application reads them; functions of the owner write.
SET LOCAL lock_timeout = '1200ms';

-- The link's token is made from the id and the turn with a key that is not in the database: it can be shown again as
-- long as the invite is open, and a copy of this table opens nothing. To send it again is a new turn: the old link dies.
CREATE TABLE invites (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254 AND email = lower(email)),
    role text NOT NULL CHECK (role IN ('admin', 'operator', 'analyst')),
    invited_by uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    turn integer NOT NULL DEFAULT 1 CHECK (turn >= 1),
    token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
    sent_at timestamptz,
    sent_count integer NOT NULL DEFAULT 0,
    accepted_at timestamptz,
    accepted_by uuid,
    revoked_at timestamptz,
    PRIMARY KEY (site_id, id)
);
COMMENT ON COLUMN invites.invited_by IS 'Who vouches for it: it is void once they may not invite here any more.';
COMMENT ON COLUMN invites.sent_at IS 'When a mail server took the link of the present turn; null where it must be copied.';
ALTER TABLE invites ADD CONSTRAINT invites_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;
ALTER TABLE invites ADD CONSTRAINT invites_invited_by_fkey
    FOREIGN KEY (invited_by) REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE invites ADD CONSTRAINT invites_accepted_by_fkey
    FOREIGN KEY (accepted_by) REFERENCES users (id) ON DELETE SET NULL;
CREATE UNIQUE INDEX invites_open_key ON invites (site_id, email) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invites_token_idx ON invites (token_hash);
CREATE INDEX invites_invited_by_idx ON invites (invited_by);
CREATE INDEX invites_accepted_by_idx ON invites (accepted_by) WHERE accepted_by IS NOT NULL;

-- At most one a site, to a member: who is removed is not offered it any more.
CREATE TABLE ownership_offers (
    site_id uuid PRIMARY KEY,
    offered_to uuid NOT NULL,
    offered_by uuid NOT NULL,
    offered_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
ALTER TABLE ownership_offers ADD CONSTRAINT ownership_offers_member_fkey
    FOREIGN KEY (site_id, offered_to) REFERENCES site_members (site_id, user_id) ON DELETE CASCADE;
ALTER TABLE ownership_offers ADD CONSTRAINT ownership_offers_offered_by_fkey
    FOREIGN KEY (offered_by) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX ownership_offers_offered_by_idx ON ownership_offers (offered_by);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['invites', 'ownership_offers'] LOOP
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
-- All but the token's hash.
GRANT SELECT (site_id, id, email, role, invited_by, created_at, expires_at, turn, sent_at, sent_count, accepted_at,
    accepted_by, revoked_at) ON invites TO opsmantik_app;
GRANT SELECT ON ownership_offers TO opsmantik_app;
