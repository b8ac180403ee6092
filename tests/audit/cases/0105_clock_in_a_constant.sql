-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.is_recent(p_at timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS $f$ SELECT p_at > now() - interval '1 day' $f$;
CREATE FUNCTION spare.jitter() RETURNS double precision LANGUAGE plpgsql STABLE AS $f$ BEGIN RETURN random(); END $f$;
CREATE FUNCTION spare.today() RETURNS date LANGUAGE sql STABLE AS $f$ SELECT current_date $f$;
CREATE FUNCTION spare.plain(p_text text) RETURNS text LANGUAGE sql IMMUTABLE AS $f$ SELECT lower(p_text) || ' now()' $f$;
-- finds: spare\.is_recent\(.+\)
-- finds: spare\.jitter\(\)
-- fixed
