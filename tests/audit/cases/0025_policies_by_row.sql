-- broken: a function that is no plain SQL, bare
CREATE SCHEMA spare;
CREATE FUNCTION spare.site_of_asker() RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = ''
AS $$ BEGIN RETURN nullif(current_setting('app.person', true), '')::uuid; END $$;
ALTER POLICY calls_select_accessible ON calls USING (site_id = spare.site_of_asker());
ALTER POLICY visitors_select_accessible ON visitors USING (site_id = (SELECT spare.site_of_asker()));
-- finds: public\.calls\.calls_select_accessible
-- fixed
ALTER POLICY calls_select_accessible ON calls
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
-- broken: a sub-select that is run for every row
ALTER POLICY visitors_select_accessible ON visitors
    USING (EXISTS (SELECT FROM sites s WHERE s.id = visitors.site_id
        AND s.id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])));
-- finds: public\.visitors\.visitors_select_accessible
-- fixed
ALTER POLICY visitors_select_accessible ON visitors
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
