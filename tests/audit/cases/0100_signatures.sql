-- broken
ALTER FUNCTION site_role(uuid) VOLATILE;
GRANT EXECUTE ON FUNCTION drop_visits TO opsmantik_app;
CREATE FUNCTION extra_of_somebody(p_site uuid) RETURNS integer LANGUAGE sql AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION extra_of_somebody FROM PUBLIC;
-- finds: site_role\(p_site uuid\)
-- finds: drop_visits\(.+\)
-- finds: extra_of_somebody\(p_site uuid\)
-- fixed
ALTER FUNCTION site_role(uuid) STABLE;
REVOKE EXECUTE ON FUNCTION drop_visits FROM opsmantik_app;
DROP FUNCTION extra_of_somebody;
