-- broken
INSERT INTO sign_in_attempts (key, n, allowed_at)
SELECT sha256(n::text::bytea), 1, now() - n * interval '1 s' FROM generate_series(1, 60000) n;
ALTER INDEX sign_in_attempts_allowed_at_idx SET (fillfactor = 10);
REINDEX INDEX sign_in_attempts_allowed_at_idx;
ALTER INDEX sign_in_attempts_allowed_at_idx RESET (fillfactor);
SELECT pg_stat_force_next_flush();
-- finds: public\.sign_in_attempts_allowed_at_idx
-- beside
ANALYZE sign_in_attempts;
-- fixed
