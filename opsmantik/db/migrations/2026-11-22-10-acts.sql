-- The log of administrative acts: who changed what about a site, or about the installation. Only ever added to: the
-- application may read it, a function of the owner adds a line, and no grant and no policy lets anybody change one.
SET LOCAL lock_timeout = '1200ms';

CREATE TABLE site_acts (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    actor uuid,
    actor_name text NOT NULL,
    address text,
    action text NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
    subject text,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (site_id, id)
);
COMMENT ON COLUMN site_acts.actor_name IS 'As it was then: an account that is gone must still be named. "upkeep" where nobody asked.';
COMMENT ON COLUMN site_acts.action IS 'room.act, as in members.invite; the words for it are the screens''.';
COMMENT ON COLUMN site_acts.subject IS 'Whom or what it was done to. Never a secret, and never a visitor''s data.';
ALTER TABLE site_acts ADD CONSTRAINT site_acts_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
CREATE INDEX site_acts_site_at_idx ON site_acts (site_id, at DESC, id DESC);

CREATE TABLE platform_acts (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor uuid,
    actor_name text NOT NULL,
    address text,
    action text NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
    subject text,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX platform_acts_at_idx ON platform_acts (at DESC, id DESC);

ALTER TABLE site_acts ENABLE ROW LEVEL SECURITY;
ALTER TABLE site_acts FORCE ROW LEVEL SECURITY;
CREATE POLICY by_owner_function ON site_acts FOR SELECT TO CURRENT_USER
    USING (current_setting('app.maintenance', true) = 'on');
CREATE POLICY added_by_owner_function ON site_acts FOR INSERT TO CURRENT_USER
    WITH CHECK (current_setting('app.maintenance', true) = 'on');
CREATE POLICY site_acts_select_accessible ON site_acts FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
ALTER TABLE platform_acts ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_acts FORCE ROW LEVEL SECURITY;
CREATE POLICY read_by_owner_functions ON platform_acts FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY added_by_owner_functions ON platform_acts FOR INSERT TO CURRENT_USER WITH CHECK (true);
GRANT SELECT ON site_acts TO opsmantik_app;
