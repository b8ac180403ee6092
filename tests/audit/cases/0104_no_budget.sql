-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.get_everything(p_site uuid, p_from timestamptz, p_to timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $f$
    SELECT count(*) FROM public.events WHERE site_id = p_site AND created_at >= p_from AND created_at < p_to
$f$;
-- finds: spare\.get_everything\(.+\)
-- fixed
DROP SCHEMA spare CASCADE;
