-- No site has gone silent that used to send at this time of the week.
-- group: meaning
-- level: warn
--
-- A site is compared with itself: its last 24 whole hours with the same hours of each of the four weeks before, of which the
-- middle is the usual. It is silent where the newest whole hours brought nothing and 20 events or more would have been usual in
-- them; it runs dry where the day brought less than a tenth of 200. A small site is never judged, nor one that is younger than
-- two weeks; and after some weeks of silence silence is the usual. All sites together are judged alike: a server that nothing
-- reaches shows there first, however small its sites are. Read from the books: a row an hour and outcome.
-- when: public.ingest_tally(site_id, hour, outcome, n); public.sites(id, disabled_at); public.site_state(site_id, last_event_at)
WITH books AS MATERIALIZED (
    SELECT b.site_id, b.ago % 168 AS ago, b.ago / 168 AS weeks, sum(b.n) AS n
    FROM (SELECT t.site_id, t.n, (extract(epoch FROM date_trunc('hour', now()) - t.hour) / 3600)::integer AS ago FROM public.ingest_tally t
        WHERE t.hour >= date_trunc('hour', now()) - interval '29 days' AND t.outcome IN ('stored', 'pulse')) b
    WHERE b.ago % 168 BETWEEN 1 AND 24 AND b.ago < 5 * 168 GROUP BY 1, 2, 3
), active AS MATERIALIZED (
    SELECT s.id, p.last_event_at AS last_at FROM public.sites s JOIN public.site_state p ON p.site_id = s.id
    WHERE s.disabled_at IS NULL AND EXISTS (SELECT FROM books b WHERE b.site_id = s.id AND b.weeks > 0)
), asked AS (
    SELECT 'site ' || a.id AS object, a.last_at, b.ago, b.weeks, b.n FROM active a JOIN books b ON b.site_id = a.id
    UNION ALL
    SELECT 'all sites', a.last_at, b.ago, b.weeks, b.n FROM active a JOIN books b ON b.site_id = a.id WHERE (SELECT count(*) > 1 FROM active)
), objects AS (
    SELECT object, max(last_at) AS last_at FROM asked GROUP BY 1
), sums AS (
    SELECT object, ago, weeks, sum(n) AS n FROM asked GROUP BY 1, 2, 3
), hours AS (
    SELECT o.object, o.last_at, h.ago, sum(coalesce(x.n, 0)) FILTER (WHERE w.weeks = 0) AS stored,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY coalesce(x.n, 0)) FILTER (WHERE w.weeks > 0) AS usual
    FROM objects o CROSS JOIN generate_series(1, 24) AS h (ago) CROSS JOIN generate_series(0, 4) AS w (weeks)
    LEFT JOIN sums x ON x.object = o.object AND x.ago = h.ago AND x.weeks = w.weeks
    GROUP BY 1, 2, 3
), days AS (
    SELECT object, last_at, coalesce(min(ago) FILTER (WHERE stored > 0) - 1, 24) AS silent, sum(stored) AS stored, sum(usual) AS usual FROM hours GROUP BY 1, 2
), judged AS (
    SELECT d.*, CASE WHEN coalesce(d.last_at, '-infinity') < date_trunc('hour', now())
        THEN (SELECT coalesce(sum(h.usual), 0) FROM hours h WHERE h.object = d.object AND h.ago <= d.silent) ELSE 0 END AS missed FROM days d
)
SELECT 'silence' AS name, 'warn' AS level, object,
    CASE WHEN missed >= 20 THEN format('Nothing has come for %s hours%s; about %s events would have been usual.', silent, CASE WHEN silent = 24 THEN ' or more' ELSE '' END, round(missed))
        ELSE format('%s events came in the last 24 whole hours; about %s would have been usual.', stored, round(usual)) END AS detail,
    CASE WHEN missed >= 20 THEN round(missed) ELSE stored END AS figure,
    CASE WHEN object = 'all sites' THEN 'Ask the server from outside: opsmantik smoke --url; then its proxy, its name and its certificate.'
        ELSE 'Open the site and look whether the line of the tracker is on its pages and what the browser says of it: the site''s page Install. A site that has left is switched off.' END AS remedy,
    'silence ' || object AS cache_key
FROM judged WHERE missed >= 20 OR usual >= 200 AND stored < 0.1 * usual;
-- when: public.sessions(site_id, created_at, created_month)
WITH books AS MATERIALIZED (
    SELECT b.site_id, b.ago % 168 AS ago, b.ago / 168 AS weeks, count(*) AS n, max(b.created_at) AS last_at
    FROM (SELECT s.site_id, s.created_at, ceil(extract(epoch FROM date_trunc('hour', now()) - date_trunc('hour', s.created_at)) / 3600)::integer AS ago
        FROM public.sessions s WHERE s.created_at >= date_trunc('hour', now()) - interval '29 days' AND s.created_month >= (now() - interval '60 days')::date) b
    WHERE b.ago % 168 BETWEEN 0 AND 24 AND b.ago < 5 * 168 GROUP BY 1, 2, 3
), asked AS (
    SELECT 'site ' || b.site_id AS object, b.last_at, b.ago, b.weeks, b.n FROM books b
    UNION ALL
    SELECT 'all sites', b.last_at, b.ago, b.weeks, b.n FROM books b WHERE (SELECT count(DISTINCT x.site_id) > 1 FROM books x)
), objects AS (
    SELECT object, max(last_at) AS last_at FROM asked GROUP BY 1
), sums AS (
    SELECT object, ago, weeks, sum(n) AS n FROM asked GROUP BY 1, 2, 3
), hours AS (
    SELECT o.object, o.last_at, h.ago, sum(coalesce(x.n, 0)) FILTER (WHERE w.weeks = 0) AS stored,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY coalesce(x.n, 0)) FILTER (WHERE w.weeks > 0) AS usual
    FROM objects o CROSS JOIN generate_series(1, 24) AS h (ago) CROSS JOIN generate_series(0, 4) AS w (weeks)
    LEFT JOIN sums x ON x.object = o.object AND x.ago = h.ago AND x.weeks = w.weeks
    GROUP BY 1, 2, 3
), days AS (
    SELECT object, last_at, coalesce(min(ago) FILTER (WHERE stored > 0) - 1, 24) AS silent, sum(stored) AS stored, sum(usual) AS usual FROM hours GROUP BY 1, 2
), judged AS (
    SELECT d.*, CASE WHEN coalesce(d.last_at, '-infinity') < date_trunc('hour', now())
        THEN (SELECT coalesce(sum(h.usual), 0) FROM hours h WHERE h.object = d.object AND h.ago <= d.silent) ELSE 0 END AS missed FROM days d
)
SELECT 'silence' AS name, 'warn' AS level, object,
    CASE WHEN missed >= 20 THEN format('Nothing has come for %s hours%s; about %s visits would have been usual.', silent, CASE WHEN silent = 24 THEN ' or more' ELSE '' END, round(missed))
        ELSE format('%s visits came in the last 24 whole hours; about %s would have been usual.', stored, round(usual)) END AS detail,
    CASE WHEN missed >= 20 THEN round(missed) ELSE stored END AS figure,
    CASE WHEN object = 'all sites' THEN 'Ask the server from outside: opsmantik smoke --url; then its proxy, its name and its certificate.'
        ELSE 'Open the site and look whether the tracker is on its pages and what the browser says of it.' END AS remedy,
    'silence ' || object AS cache_key
FROM judged WHERE missed >= 20 OR usual >= 200 AND stored < 0.1 * usual;
