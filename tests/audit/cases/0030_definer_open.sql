-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.figures_of(p_site uuid, p_day date DEFAULT NULL) RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS 'SELECT count(*) FROM calls WHERE site_id = p_site';
GRANT EXECUTE ON FUNCTION spare.figures_of TO PUBLIC;
-- finds: spare\.figures_of\(p_site uuid, p_day date\)
-- fixed
