-- broken
GRANT INSERT, UPDATE (note) ON calls TO opsmantik_app;
-- finds: public\.calls
-- fixed
REVOKE INSERT, UPDATE ON calls FROM opsmantik_app;
REVOKE UPDATE (note) ON calls FROM opsmantik_app;
-- broken: a grant that shows nothing
DROP POLICY visitors_select_accessible ON visitors;
-- finds: public\.visitors
-- fixed
CREATE POLICY visitors_select_accessible ON visitors FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
-- broken: a table that nothing writes, and nobody has said why
CREATE TABLE notes_of_sites (site_id uuid NOT NULL REFERENCES sites (id), id uuid NOT NULL, PRIMARY KEY (site_id, id));
ALTER TABLE notes_of_sites ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes_of_sites FOR SELECT USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
-- finds: public\.notes_of_sites
-- fixed
DROP TABLE notes_of_sites;
