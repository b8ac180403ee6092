-- Who looks at which lead just now, so that two do not do the same work. Forgotten within half a minute, and worth
-- nothing after a crash: not logged.
SET LOCAL lock_timeout = '1200ms';

CREATE UNLOGGED TABLE presences (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    call_id uuid NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, user_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE presences IS 'The one card that somebody has open in the queue; kept by look_at_lead, which also clears what is old.';
-- The table is made here and empty: nothing has to be checked.
-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
ALTER TABLE presences ADD CONSTRAINT presences_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
ALTER TABLE presences ADD CONSTRAINT presences_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
-- No foreign key to the lead: it would be looked up and locked at every look.
CREATE INDEX presences_user_idx ON presences (user_id);

ALTER TABLE presences ENABLE ROW LEVEL SECURITY;
ALTER TABLE presences FORCE ROW LEVEL SECURITY;
CREATE POLICY by_owner_function ON presences TO CURRENT_USER
    USING (current_setting('app.maintenance', true) = 'on') WITH CHECK (current_setting('app.maintenance', true) = 'on');
CREATE POLICY presences_select_accessible ON presences FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
GRANT SELECT ON presences TO opsmantik_app;
