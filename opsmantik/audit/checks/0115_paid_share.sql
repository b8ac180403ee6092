-- Visits that ads brought are known as such, and have not vanished.
-- group: meaning
-- level: warn
--
-- Two things are wrong: visits with an ad's click id that are counted as unpaid; and a site to which ads brought visits all
-- the time and in the last whole week not one, while others came as before. A campaign that was paused looks the same, so it
-- is asked for, not asserted. A site with fewer than a hundred visits a week is never judged. One row a site and day is read.
-- when: public.counter_days(site_id, day, main); public.sites(id, time_zone, disabled_at)
WITH told AS MATERIALIZED (
    SELECT s.id, d.day >= t.today - 7 AS is_recent, c.is_paid, sum(c.sessions) AS visits, sum(c.click_sessions) AS clicks
    FROM public.sites s CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE s.time_zone)::date AS today) t
    JOIN public.counter_days d ON d.site_id = s.id AND d.day >= t.today - 35 AND d.day < t.today
    CROSS JOIN LATERAL unnest(d.main) c
    WHERE s.disabled_at IS NULL AND c.dimension = 'all' GROUP BY 1, 2, 3
), sums AS (
    SELECT id, coalesce(sum(visits), 0) AS visits, coalesce(sum(visits) FILTER (WHERE is_paid), 0) AS paid,
        coalesce(sum(visits) FILTER (WHERE is_recent), 0) AS visits_now, coalesce(sum(visits) FILTER (WHERE is_recent AND is_paid), 0) AS paid_now,
        coalesce(sum(clicks), 0) AS clicks, coalesce(sum(clicks) FILTER (WHERE NOT is_paid), 0) AS unpaid_clicks
    FROM told GROUP BY id
)
SELECT 'paid_share' AS name, x.level, 'site ' || s.id AS object, x.detail, x.figure, x.remedy, format('paid_share %s %s', s.id, x.kind) AS cache_key
FROM (SELECT * FROM sums WHERE visits > 0 ORDER BY visits DESC, id LIMIT 1000) s
CROSS JOIN LATERAL (
    SELECT 'share' AS kind, 'info' AS level,
        format('Ads brought %s of its %s visits of five weeks, %s %%; in the last week %s of %s.', s.paid, s.visits, round(100 * s.paid / s.visits),
            s.paid_now, s.visits_now) AS detail,
        round(100 * s.paid / s.visits, 1) AS figure, 'Nothing.' AS remedy
    UNION ALL
    SELECT 'vanished', 'warn',
        format('Of %s visits of the last week none was brought by an ad; in the four weeks before it were %s of %s.', s.visits_now, s.paid,
            s.visits - s.visits_now),
        0, 'Ask whether its ads run. If they do, follow one of them: a redirect or a consent tool takes the click id and the tags off the'
        ' address. The site''s page Install tries it out.'
    WHERE s.visits_now >= 100 AND s.paid_now = 0 AND s.paid >= 100 AND s.paid >= 0.1 * (s.visits - s.visits_now)
    UNION ALL
    SELECT 'unpaid clicks', 'warn', format('%s of %s visits with an ad''s click id are counted as unpaid.', s.unpaid_clicks, s.clicks), s.unpaid_clicks,
        'Look at such a visit: its page says which rule won and which lost. Where the pages'' own links carry campaign tags, take those off.'
    WHERE s.unpaid_clicks >= 20 AND s.unpaid_clicks >= 0.05 * s.clicks
) x;
-- when: public.sessions(site_id, created_at, created_month, attribution_source, gclid, wbraid, gbraid)
WITH visits AS (
    SELECT s.site_id, s.created_at >= now() - interval '7 days' AS is_recent,
        coalesce(nullif(trim(s.gclid), ''), nullif(trim(s.wbraid), ''), nullif(trim(s.gbraid), '')) IS NOT NULL AS has_click_id,
        coalesce(s.attribution_source ~* '\m(paid|ads|cpc|ppc)\M', false) AS is_called_paid
    FROM public.sessions s WHERE s.created_at >= now() - interval '35 days' AND s.created_month >= (now() - interval '35 days' - interval '1 month')::date
), sums AS (
    SELECT site_id AS id, count(*) AS visits, count(*) FILTER (WHERE has_click_id OR is_called_paid) AS paid,
        count(*) FILTER (WHERE is_recent) AS visits_now, count(*) FILTER (WHERE is_recent AND (has_click_id OR is_called_paid)) AS paid_now,
        count(*) FILTER (WHERE has_click_id) AS clicks, count(*) FILTER (WHERE has_click_id AND NOT is_called_paid) AS unpaid_clicks
    FROM visits GROUP BY 1
)
SELECT 'paid_share' AS name, x.level, 'site ' || s.id AS object, x.detail, x.figure, x.remedy, format('paid_share %s %s', s.id, x.kind) AS cache_key
FROM (SELECT * FROM sums ORDER BY visits DESC, id LIMIT 1000) s
CROSS JOIN LATERAL (
    SELECT 'share' AS kind, 'info' AS level,
        format('Ads brought %s of its %s visits of five weeks, %s %%; in the last week %s of %s.', s.paid, s.visits, round(100.0 * s.paid / s.visits),
            s.paid_now, s.visits_now) AS detail,
        round(100.0 * s.paid / s.visits, 1) AS figure, 'Nothing.' AS remedy
    UNION ALL
    SELECT 'vanished', 'warn',
        format('Of %s visits of the last week none was brought by an ad; in the four weeks before it were %s of %s.', s.visits_now, s.paid,
            s.visits - s.visits_now),
        0, 'Ask whether its ads run. If they do, follow one of them: a redirect or a consent tool takes the click id and the tags off the address.'
    WHERE s.visits_now >= 100 AND s.paid_now = 0 AND s.paid >= 100 AND s.paid >= 0.1 * (s.visits - s.visits_now)
    UNION ALL
    SELECT 'unpaid clicks', 'warn', format('%s of %s visits with an ad''s click id have a source that says unpaid.', s.unpaid_clicks, s.clicks), s.unpaid_clicks,
        'Let every figure ask for the click id before the words of the source: a visit with one was paid for.'
    WHERE s.unpaid_clicks >= 20 AND s.unpaid_clicks >= 0.05 * s.clicks
) x;
