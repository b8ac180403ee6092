-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.bare() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.users';
CREATE FUNCTION spare.first_come(p_site uuid) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog
AS 'SELECT count(*) FROM calls WHERE site_id = p_site';
CREATE FUNCTION spare.empty() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT count(*) FROM public.users';
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA spare FROM PUBLIC;
-- finds: spare\.bare\(\)
-- finds: spare\.first_come\(p_site uuid\)
-- fixed
