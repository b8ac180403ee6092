-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.get_calls(p_site uuid, p_date_from timestamptz, p_date_to timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $f$
    SELECT count(*) FROM public.calls WHERE site_id = p_site AND created_at BETWEEN p_date_from AND p_date_to
        AND p_date_to <= p_date_from + interval '184 days'
$f$;
CREATE FUNCTION spare.get_events(p_site uuid, p_from timestamptz, p_to timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $f$
    SELECT count(*) FROM public.events WHERE site_id = p_site AND created_at >= p_from AND created_at <= p_to
        AND p_to - p_from < interval '184 days'
$f$;
CREATE FUNCTION spare.get_right(p_site uuid, p_from timestamptz, p_to timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $f$
    SELECT count(*) FROM public.events WHERE site_id = p_site AND created_at >= p_from AND created_at < p_to -- never BETWEEN
        AND p_to - p_from < interval '184 days'
$f$;
-- finds: spare\.get_calls\(.+\)
-- finds: spare\.get_events\(.+\)
-- fixed
DROP SCHEMA spare CASCADE;
