-- The counters say what a recount of the rows says.
-- group: integrity
-- level: error
--
-- Every figure on every screen is read from the counters. Of the 200 sites that changed last two whole days are counted
-- again from the rows: yesterday, and the one 30 days before it, by the site's own clock. All days of all sites are compared
-- every night (counters_verified); this is the sample that a look at the database can afford. Each day is read exactly, and
-- both sides in one snapshot, so that what comes in meanwhile is on both or on neither.
-- when: public.counters(site_id, day, dimension, key, is_paid, visitors); function public.recount; public.sites(time_zone, currency, facts_since); public.site_state(site_id, changed_at)
WITH days AS MATERIALIZED (
    SELECT s.id, s.time_zone, s.currency, (now() AT TIME ZONE s.time_zone)::date - 1 - back AS day
    FROM (SELECT x.* FROM public.sites x LEFT JOIN public.site_state y ON y.site_id = x.id ORDER BY y.changed_at DESC NULLS LAST, x.id LIMIT 200) s
    CROSS JOIN (VALUES (0), (30)) AS b (back)
    WHERE s.facts_since IS NULL OR (now() AT TIME ZONE s.time_zone)::date - 1 - back > s.facts_since
), cells AS (
    SELECT d.id, d.day, 1 AS sign, c.dimension, c.key, c.is_paid, c.sessions, c.click_sessions, c.visitors, c.events, c.conversions, c.forms,
        c.leads, c.click_leads, c.sealed, c.junk, c.amount, c.scroll, c.scrolled, c.seconds
    FROM days d CROSS JOIN LATERAL (SELECT * FROM public.counters c WHERE c.site_id = d.id AND c.day = d.day) c
    UNION ALL
    SELECT d.id, d.day, -1, r.dimension, r.key, r.is_paid, r.sessions, r.click_sessions, r.visitors, r.events, r.conversions, r.forms,
        r.leads, r.click_leads, r.sealed, r.junk, r.amount, r.scroll, r.scrolled, r.seconds
    FROM days d CROSS JOIN LATERAL public.recount(d.id, d.day::timestamp AT TIME ZONE d.time_zone,
        (d.day + 1)::timestamp AT TIME ZONE d.time_zone, d.time_zone, d.currency) r
    WHERE r.day = d.day
), sums AS (
    SELECT id, day, dimension, key, is_paid, num_nonnulls(
        nullif(sum(sign * sessions), 0), nullif(sum(sign * click_sessions), 0), nullif(sum(sign * visitors), 0),
        nullif(sum(sign * events), 0), nullif(sum(sign * conversions), 0), nullif(sum(sign * forms), 0), nullif(sum(sign * leads), 0),
        nullif(sum(sign * click_leads), 0), nullif(sum(sign * sealed), 0), nullif(sum(sign * junk), 0), nullif(sum(sign * amount), 0),
        nullif(sum(sign * scroll), 0), nullif(sum(sign * scrolled), 0), nullif(sum(sign * seconds), 0)) AS differ
    FROM cells GROUP BY id, day, dimension, key, is_paid
)
SELECT 'counters_against_rows' AS name, 'error' AS level, format('site %s on %s', id, day) AS object,
    format('%s figures are not what the rows say, in the dimensions %s.', sum(differ), string_agg(DISTINCT dimension, ', ')) AS detail,
    sum(differ) AS figure,
    format('SELECT rebuild_counters(%L, %L, %L); -- or: opsmantik counters rebuild --site %s', id, day, day, id) AS remedy,
    format('counters_against_rows %s %s', id, day) AS cache_key
FROM sums WHERE differ > 0 GROUP BY id, day;
