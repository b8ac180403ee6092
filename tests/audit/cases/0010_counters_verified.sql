-- broken: they differed
INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail) VALUES ('verify_counters', now(), now(), 'ok', '{"x": 3, "y": 1}');
-- finds: job verify_counters
-- fixed
INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail) VALUES ('verify_counters', clock_timestamp(), now(), 'ok', '{}');
-- broken: it failed
INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail) VALUES ('verify_counters', now(), now(), 'failed', '{"error": "x"}');
-- finds: job verify_counters
-- fixed
INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail) VALUES ('verify_counters', clock_timestamp(), now(), 'ok', '{}');
-- broken: it has not run, and upkeep has
DELETE FROM upkeep_runs WHERE job = 'verify_counters';
INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail)
SELECT 'partitions_ahead', now() - n * interval '1 hour', now() - n * interval '1 hour', 'ok', '{}' FROM generate_series(0, 60) n;
-- finds: job verify_counters
-- fixed
INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail) VALUES ('verify_counters', now(), now(), 'ok', '{}');
