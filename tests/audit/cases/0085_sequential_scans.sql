-- broken
INSERT INTO sign_in_attempts (key, n, allowed_at)
SELECT sha256(n::text::bytea), 1, now() - n * interval '1 s' FROM generate_series(1, 10500) n;
DO $$ BEGIN FOR i IN 1..1100 LOOP PERFORM count(*) FROM sign_in_attempts WHERE n > i; END LOOP; END $$;
SELECT pg_stat_force_next_flush();
-- finds: public\.sign_in_attempts
-- beside
ANALYZE sign_in_attempts;
-- fixed
SELECT pg_stat_reset_single_table_counters('sign_in_attempts'::regclass);
