-- broken: next month is there, and nothing after it
DO $$
DECLARE
    v_table text;
    v_part text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['events', 'sessions'] LOOP
        FOR v_part IN SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
            WHERE h.inhparent = to_regclass(v_table) AND c.relname > v_table || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', '"_"YYYY"_"MM')
              AND c.relname ~ '[0-9]$' ORDER BY 1
        LOOP
            EXECUTE format('ALTER TABLE %I DETACH PARTITION parts.%I', v_table, v_part);
            EXECUTE format('DROP TABLE parts.%I', v_part);
        END LOOP;
    END LOOP;
END $$;
-- finds: public\.sessions
-- finds: public\.events
-- fixed
SET ROLE opsmantik_owner;
SELECT make_month((now() AT TIME ZONE 'UTC' + make_interval(months => n))::date) FROM generate_series(0, 3) n;
