-- Most visits that a search network's ads brought carry its click id.
-- group: meaning
-- level: warn
--
-- Without the id a sale cannot be told to the network. Visits by social networks and by Microsoft have ids of other kinds, and
-- those that an ad brought at an earlier time need none: they are left out, by the name of their source. A site is judged from a
-- hundred such visits in four weeks on. One row a site and day is read.
-- when: public.counter_days(site_id, day, sources); public.sites(id, time_zone, disabled_at)
WITH told AS (
    SELECT s.id, sum(c.sessions) AS paid, coalesce(sum(c.click_sessions), 0) AS with_id
    FROM public.sites s CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE s.time_zone)::date AS today) t
    JOIN public.counter_days d ON d.site_id = s.id AND d.day >= t.today - 28 AND d.day < t.today
    CROSS JOIN LATERAL unnest(d.sources) c
    WHERE s.disabled_at IS NULL AND c.is_paid AND c.dimension = 'source' AND c.key NOT IN ('Paid Social', 'Paid (Microsoft)', 'Ads Assisted')
    GROUP BY s.id HAVING sum(c.sessions) > 0
)
SELECT 'click_id_coverage' AS name, CASE WHEN paid >= 100 AND with_id < 0.5 * paid THEN 'warn' ELSE 'info' END AS level, 'site ' || id AS object,
    format('%s of %s visits of four weeks that its search ads brought carry a click id, %s %%.', with_id, paid, round(100.0 * with_id / paid)) AS detail,
    round(100.0 * with_id / paid, 1) AS figure,
    CASE WHEN paid >= 100 AND with_id < 0.5 * paid THEN 'Switch automatic tagging on in the ad account, and follow an ad: a redirect or a consent tool may take'
            ' the id off the address. Where visitors say no to marketing it is not kept, as they wish.' ELSE 'Nothing.' END AS remedy,
    'click_id_coverage ' || id AS cache_key
FROM (SELECT * FROM told ORDER BY paid DESC, id LIMIT 1000) x;
-- when: public.sessions(site_id, created_at, created_month, attribution_source, gclid, wbraid, gbraid)
WITH told AS (
    SELECT s.site_id AS id, count(*) AS paid, count(*) FILTER (WHERE k.has_id) AS with_id
    FROM public.sessions s
    CROSS JOIN LATERAL (SELECT coalesce(nullif(trim(s.gclid), ''), nullif(trim(s.wbraid), ''), nullif(trim(s.gbraid), '')) IS NOT NULL AS has_id) k
    WHERE s.created_at >= now() - interval '28 days' AND s.created_month >= (now() - interval '28 days' - interval '1 month')::date
        AND (k.has_id OR s.attribution_source ~* '\m(paid|ads|cpc|ppc)\M' AND s.attribution_source !~* 'social|assisted')
    GROUP BY 1
)
SELECT 'click_id_coverage' AS name, CASE WHEN paid >= 100 AND with_id < 0.5 * paid THEN 'warn' ELSE 'info' END AS level, 'site ' || id AS object,
    format('%s of %s visits of four weeks that its search ads brought carry a click id, %s %%.', with_id, paid, round(100.0 * with_id / paid)) AS detail,
    round(100.0 * with_id / paid, 1) AS figure,
    CASE WHEN paid >= 100 AND with_id < 0.5 * paid THEN 'Switch automatic tagging on in the ad account, and follow an ad: a redirect or a consent tool may take'
            ' the id off the address.' ELSE 'Nothing.' END AS remedy,
    'click_id_coverage ' || id AS cache_key
FROM (SELECT * FROM told ORDER BY paid DESC, id LIMIT 1000) x;
