-- broken
CREATE POLICY by_person ON site_members FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
        AND user_id = nullif(current_setting('app.person', true), '')::uuid);
-- finds: public\.site_members
-- fixed
DROP POLICY by_person ON site_members;
