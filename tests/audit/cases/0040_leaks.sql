-- broken: a policy that reads well and is wrong
ALTER POLICY calls_select_accessible ON calls USING (site_id IS NOT NULL);
-- finds: public\.calls
-- finds: public\.lead_rows
-- fixed
ALTER POLICY calls_select_accessible ON calls
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
-- broken: people, who belong to no site
ALTER POLICY users_select_self ON users USING (id IS NOT NULL);
-- finds: public\.users
-- fixed
ALTER POLICY users_select_self ON users USING (id = nullif(current_setting('app.person', true), '')::uuid);
