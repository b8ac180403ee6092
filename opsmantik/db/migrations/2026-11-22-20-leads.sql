-- Every lead of a site, found in milliseconds: what it is searched and narrowed down by, in one narrow row. Most of it lies
-- in the lead's visit, in one of many months, where no index can bring it together with the lead. Kept by the fold, a
-- second behind the leads; what is changed since is in the journal, and whoever searches reads both (functions/lead_search.sql).
SET LOCAL lock_timeout = '1200ms';

-- Which leads a transaction may have changed, or the visits they come from.
ALTER TABLE counter_journal ADD COLUMN calls uuid[] NOT NULL DEFAULT '{}';

CREATE TABLE lead_search (
    site_id uuid NOT NULL,
    call_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    decided_at timestamptz,
    status text NOT NULL,
    action text NOT NULL,
    captured_by text NOT NULL,
    is_paid boolean NOT NULL,
    has_click_id boolean NOT NULL,
    -- Keys as the counters have them; '' is not known.
    source text NOT NULL,
    channel text NOT NULL,
    campaign text NOT NULL,
    keyword text NOT NULL,
    matchtype text NOT NULL,
    place text NOT NULL,
    device text NOT NULL,
    page text NOT NULL,
    words text NOT NULL,
    PRIMARY KEY (site_id, call_id)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
COMMENT ON TABLE lead_search IS 'What leads are searched and narrowed down by; made from calls and sessions, and can be made anew.';
COMMENT ON COLUMN lead_search.words IS 'What people type to find it, in the plain letters of search_text: numbers, words, pages.';

ALTER TABLE lead_search ADD CONSTRAINT lead_search_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
-- No foreign key to the lead: each row would be looked up and locked there, and whoever takes a lead away takes this too.
CREATE INDEX lead_search_captured_idx ON lead_search (site_id, created_at DESC, call_id DESC);
CREATE INDEX lead_search_decided_idx ON lead_search (site_id, decided_at DESC, call_id DESC) WHERE decided_at IS NOT NULL;
-- A third index, over what search_tokens makes of a row, comes with that function: functions/lead_search.sql.

-- Null: the site's leads have to be gathered first.
ALTER TABLE site_pulse ADD COLUMN leads_gathered_at timestamptz;

ALTER TABLE lead_search ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_search FORCE ROW LEVEL SECURITY;
-- Open to the owner without app.maintenance: a condition on a policy's side of the wall has to be asked before any that is
-- not leakproof, and no index of words or tokens could be used. The functions that read it ask for the asker's role.
CREATE POLICY owner_functions ON lead_search TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY lead_search_select_accessible ON lead_search FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
GRANT SELECT ON lead_search TO opsmantik_app;

-- Views of the list that somebody wants to come back to: a name for what an address says (web/looking.py).
CREATE TABLE saved_views (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    query text NOT NULL CHECK (length(query) <= 4000),
    is_shared boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, id),
    UNIQUE (site_id, user_id, name)
);
COMMENT ON COLUMN saved_views.is_shared IS 'Seen by all people of the site; changed by its maker, and by who may change the site.';
ALTER TABLE saved_views ADD CONSTRAINT saved_views_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE saved_views ADD CONSTRAINT saved_views_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX saved_views_user_idx ON saved_views (user_id);

ALTER TABLE saved_views ENABLE ROW LEVEL SECURITY;
ALTER TABLE saved_views FORCE ROW LEVEL SECURITY;
CREATE POLICY by_owner_function ON saved_views TO CURRENT_USER
    USING (current_setting('app.maintenance', true) = 'on') WITH CHECK (current_setting('app.maintenance', true) = 'on');
CREATE POLICY saved_views_select_accessible ON saved_views FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
        AND (is_shared OR user_id = nullif(current_setting('app.person', true), '')::uuid));
GRANT SELECT ON saved_views TO opsmantik_app;
