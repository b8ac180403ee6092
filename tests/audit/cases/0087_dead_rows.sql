-- broken
ALTER TABLE sign_in_attempts SET (autovacuum_vacuum_threshold = 1000000000, autovacuum_analyze_threshold = 1000000000);
INSERT INTO sign_in_attempts (key, n, allowed_at)
SELECT sha256(n::text::bytea), 1, now() - n * interval '1 s' FROM generate_series(1, 25000) n;
DELETE FROM sign_in_attempts WHERE n = 1 AND allowed_at < now() - interval '10000 s';
SELECT pg_stat_force_next_flush();
-- finds: public\.sign_in_attempts
-- beside
ANALYZE sign_in_attempts;
-- fixed
