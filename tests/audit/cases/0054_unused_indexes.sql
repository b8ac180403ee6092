-- broken
INSERT INTO sign_in_attempts (key, n, allowed_at)
SELECT sha256(n::text::bytea), 1, now() - n * interval '1 s' FROM generate_series(1, 12000) n;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.statistics_since = %L', current_database(), now() - interval '30 days'); END $$;
SELECT pg_stat_force_next_flush();
-- finds: public\.sign_in_attempts_allowed_at_idx
-- beside
ANALYZE sign_in_attempts;
-- fixed
