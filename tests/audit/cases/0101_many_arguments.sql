-- broken
CREATE SCHEMA spare;
DO $$
BEGIN
    EXECUTE format('CREATE FUNCTION spare.keep_visit(%s) RETURNS void LANGUAGE sql AS ''''',
        (SELECT string_agg('p_' || n || ' text', ', ') FROM generate_series(1, 31) n));
    EXECUTE format('CREATE FUNCTION spare.keep_visits(%s) RETURNS void LANGUAGE sql AS ''''',
        (SELECT string_agg('p_' || n || ' text[]', ', ') FROM generate_series(1, 40) n));
END $$;
-- finds: spare\.keep_visit
-- fixed
DROP SCHEMA spare CASCADE;
