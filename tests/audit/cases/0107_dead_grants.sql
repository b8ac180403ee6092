-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.secure() RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
    EXECUTE 'REVOKE EXECUTE ON FUNCTION public.get_dashboard_stats(uuid, int) FROM PUBLIC';
    EXECUTE 'GRANT EXECUTE ON FUNCTION public.site_role(uuid) TO opsmantik_app';
END $f$;
-- finds: spare\.secure\(\)
-- fixed
