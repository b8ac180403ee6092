-- Conversions that are reported are taken.
-- group: meaning
-- level: warn
--
-- Told: where all conversions stand. Wrong: of those of a site that were sent in the last four weeks and got an answer, at least
-- twenty, one in five or more failed. One that waits for too long is another check's (conversions_unexplained).
-- when: public.conversions(site_id, state, updated_at)
WITH told AS MATERIALIZED (
    SELECT c.site_id, c.state, count(*) AS n, count(*) FILTER (WHERE c.updated_at > now() - interval '28 days') AS lately
    FROM public.conversions c GROUP BY 1, 2
), answered AS (
    SELECT t.site_id, sum(t.lately) AS n, coalesce(sum(t.lately) FILTER (WHERE t.state = 'failed'), 0) AS failed
    FROM told t WHERE t.state IN ('accepted', 'matched', 'failed') GROUP BY 1
)
SELECT 'conversion_states' AS name, 'info' AS level, 'state ' || t.state AS object,
    format('%s conversions of %s sites; %s came there in the last four weeks.', sum(t.n), count(*), sum(t.lately)) AS detail,
    sum(t.n) AS figure, 'Nothing.' AS remedy, 'conversion_states ' || t.state AS cache_key
FROM told t GROUP BY t.state
UNION ALL
SELECT 'conversion_states', 'warn', 'site ' || a.site_id, format('Of %s conversions that were answered in four weeks %s failed, %s %%.', a.n, a.failed, round(100 * a.failed / a.n)),
    a.failed, 'Read the reasons of those that failed, on the pages of their leads; a click that is too old and an account that is not linked are the two most common.',
    'conversion_states ' || a.site_id
FROM answered a WHERE a.n >= 20 AND a.failed >= 0.2 * a.n;
-- when: public.calls(site_id, oci_status, oci_status_updated_at)
WITH told AS MATERIALIZED (
    SELECT c.site_id, c.oci_status AS state, count(*) AS n, count(*) FILTER (WHERE c.oci_status_updated_at > now() - interval '28 days') AS lately
    FROM public.calls c WHERE c.oci_status IS NOT NULL GROUP BY 1, 2
), answered AS (
    SELECT t.site_id, sum(t.lately) AS n, coalesce(sum(t.lately) FILTER (WHERE t.state = 'failed'), 0) AS failed
    FROM told t WHERE t.state IN ('uploaded', 'failed') GROUP BY 1
)
SELECT 'conversion_states' AS name, 'info' AS level, 'state ' || CASE WHEN t.state ~ '^[a-z_]{1,40}$' THEN t.state ELSE '(another)' END AS object,
    format('%s leads of %s sites; %s came there in the last four weeks.', sum(t.n), count(DISTINCT t.site_id), sum(t.lately)) AS detail,
    sum(t.n) AS figure, 'Nothing.' AS remedy, 'conversion_states ' || CASE WHEN t.state ~ '^[a-z_]{1,40}$' THEN t.state ELSE '(another)' END AS cache_key
FROM told t GROUP BY 3, 7
UNION ALL
SELECT 'conversion_states', 'warn', 'site ' || a.site_id, format('Of %s leads that were sent in four weeks %s failed, %s %%.', a.n, a.failed, round(100 * a.failed / a.n)),
    a.failed, 'Read their column oci_error; a click that is too old and an account that is not linked are the two most common.', 'conversion_states ' || a.site_id
FROM answered a WHERE a.n >= 20 AND a.failed >= 0.2 * a.n;
