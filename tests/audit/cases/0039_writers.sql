-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.tidy_calls(p_site uuid) RETURNS void LANGUAGE sql AS 'DELETE FROM public.calls WHERE site_id = p_site';
CREATE FUNCTION spare.looks_only(p_site uuid) RETURNS bigint LANGUAGE sql
AS 'SELECT count(*) FROM public.calls WHERE site_id = p_site -- never DELETE FROM calls';
-- finds: spare\.tidy_calls\(p_site uuid\)
-- fixed
