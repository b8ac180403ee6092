-- All counters were compared with their rows in the last two days, and were right.
-- group: integrity
-- level: error
--
-- A job does it every night (verify_counters). It is missed only where the server was up: where upkeep has run in at least
-- 24 different hours of the last two days.
-- when: public.upkeep_runs(job, started_at, finished_at, outcome, detail)
WITH latest AS (
    SELECT r.* FROM public.upkeep_runs r WHERE r.job = 'verify_counters' AND r.finished_at IS NOT NULL ORDER BY r.started_at DESC LIMIT 1
), up AS (
    SELECT count(DISTINCT date_trunc('hour', r.started_at)) AS hours FROM public.upkeep_runs r
    WHERE r.started_at > now() - interval '2 days' AND r.outcome = 'ok' AND r.job <> 'verify_counters'
), verified AS (
    SELECT max(r.started_at) AS at FROM public.upkeep_runs r WHERE r.job = 'verify_counters' AND r.outcome = 'ok'
)
SELECT 'counters_verified' AS name, x.level, 'job verify_counters' AS object, x.detail, x.figure,
    x.remedy, 'counters_verified ' || x.kind AS cache_key
FROM (
    SELECT 'differ' AS kind, 'error' AS level,
        format('On %s UTC the counters of %s sites were not what the rows say.', to_char(l.started_at, 'YYYY-MM-DD HH24:MI'), n) AS detail,
        n AS figure, 'opsmantik counters rebuild, then opsmantik upkeep run verify_counters' AS remedy
    FROM latest l CROSS JOIN LATERAL (SELECT count(*) AS n FROM jsonb_object_keys(l.detail)) AS k WHERE l.outcome = 'ok' AND n > 0
    UNION ALL
    SELECT 'failed', 'warn', format('Its last run, on %s UTC, ended as %s.', to_char(l.started_at, 'YYYY-MM-DD HH24:MI'), l.outcome),
        NULL, 'opsmantik upkeep run verify_counters; the server''s log says why it failed (upkeep.failed)'
    FROM latest l WHERE l.outcome <> 'ok'
    UNION ALL
    SELECT 'missing', 'warn', CASE WHEN v.at IS NULL THEN 'It has never run to its end.'
            ELSE format('It has not run to its end since %s UTC.', to_char(v.at, 'YYYY-MM-DD HH24:MI')) END,
        NULL, 'opsmantik upkeep run verify_counters'
    FROM verified v CROSS JOIN up
    WHERE up.hours >= 24 AND coalesce(v.at, '-infinity') < now() - interval '2 days' AND NOT EXISTS (SELECT FROM latest l WHERE l.outcome <> 'ok')
) x;
