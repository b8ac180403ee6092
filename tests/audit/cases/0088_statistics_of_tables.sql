-- broken: rows since it was analysed
ALTER TABLE sign_in_attempts SET (autovacuum_analyze_threshold = 1000000000);
INSERT INTO sign_in_attempts (key, n, allowed_at)
SELECT sha256(n::text::bytea), 1, now() - n * interval '1 s' FROM generate_series(1, 12000) n;
SELECT pg_stat_force_next_flush();
-- finds: public\.sign_in_attempts
-- fixed
-- broken: never
CREATE TABLE parts.things (n integer PRIMARY KEY) WITH (autovacuum_analyze_threshold = 1000000000);
ALTER TABLE parts.things OWNER TO opsmantik_owner;
INSERT INTO parts.things SELECT generate_series(1, 12000);
SELECT pg_stat_force_next_flush();
-- finds: parts\.things
-- fixed
