-- Visits that ads brought still say which keyword it was.
-- group: meaning
-- level: warn
--
-- How many do depends on the campaigns: those for pictures and for films have none. So a site is compared with itself: three in
-- ten of its paid visits had one over four weeks, and of at least fifty in the last whole week not one has. One row a site and
-- day is read.
-- when: public.counter_days(site_id, day, main, details); public.sites(id, time_zone, disabled_at)
WITH told AS MATERIALIZED (
    SELECT s.id, d.day >= t.today - 7 AS is_recent,
        (SELECT coalesce(sum(c.sessions), 0) FROM unnest(d.main) c WHERE c.dimension = 'all' AND c.is_paid) AS paid,
        (SELECT coalesce(sum(c.sessions), 0) FROM unnest(d.details) c WHERE c.dimension = 'keyword' AND c.key <> '' AND c.is_paid) AS with_keyword
    FROM public.sites s CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE s.time_zone)::date AS today) t
    JOIN public.counter_days d ON d.site_id = s.id AND d.day >= t.today - 35 AND d.day < t.today
    WHERE s.disabled_at IS NULL
), sums AS (
    SELECT id, coalesce(sum(paid) FILTER (WHERE NOT is_recent), 0) AS paid_before, coalesce(sum(with_keyword) FILTER (WHERE NOT is_recent), 0) AS known_before,
        coalesce(sum(paid) FILTER (WHERE is_recent), 0) AS paid_now, coalesce(sum(with_keyword) FILTER (WHERE is_recent), 0) AS known_now
    FROM told GROUP BY id
)
SELECT 'keyword_coverage' AS name, x.level, 'site ' || s.id AS object, x.detail, x.figure, x.remedy, format('keyword_coverage %s %s', s.id, x.kind) AS cache_key
FROM (SELECT * FROM sums WHERE paid_before + paid_now > 0 ORDER BY paid_before + paid_now DESC, id LIMIT 1000) s
CROSS JOIN LATERAL (
    SELECT 'share' AS kind, 'info' AS level,
        format('%s of %s paid visits of five weeks carry a keyword; in the last week %s of %s.', s.known_before + s.known_now, s.paid_before + s.paid_now,
            s.known_now, s.paid_now) AS detail,
        round(100 * (s.known_before + s.known_now) / (s.paid_before + s.paid_now), 1) AS figure, 'Nothing.' AS remedy
    UNION ALL
    SELECT 'vanished', 'warn',
        format('Of %s paid visits of the last week none carries a keyword; in the four weeks before %s of %s did.', s.paid_now, s.known_before, s.paid_before),
        0, 'Look at the account''s tracking template: utm_term={keyword} has gone from it, or from one of its campaigns. The site''s page Install has it whole.'
    WHERE s.paid_now >= 50 AND s.known_now = 0 AND s.paid_before >= 100 AND s.known_before >= 0.3 * s.paid_before
) x;
-- when: public.sessions(site_id, created_at, created_month, attribution_source, gclid, utm_term)
WITH sums AS (
    SELECT s.site_id AS id, count(*) FILTER (WHERE NOT k.is_recent) AS paid_before, count(*) FILTER (WHERE NOT k.is_recent AND k.is_known) AS known_before,
        count(*) FILTER (WHERE k.is_recent) AS paid_now, count(*) FILTER (WHERE k.is_recent AND k.is_known) AS known_now
    FROM public.sessions s
    CROSS JOIN LATERAL (SELECT s.created_at >= now() - interval '7 days' AS is_recent, coalesce(trim(s.utm_term), '') <> '' AS is_known) k
    WHERE s.created_at >= now() - interval '35 days' AND s.created_month >= (now() - interval '35 days' - interval '1 month')::date
        AND (coalesce(trim(s.gclid), '') <> '' OR s.attribution_source ~* '\m(paid|ads|cpc|ppc)\M')
    GROUP BY 1
)
SELECT 'keyword_coverage' AS name, x.level, 'site ' || s.id AS object, x.detail, x.figure, x.remedy, format('keyword_coverage %s %s', s.id, x.kind) AS cache_key
FROM (SELECT * FROM sums ORDER BY paid_before + paid_now DESC, id LIMIT 1000) s
CROSS JOIN LATERAL (
    SELECT 'share' AS kind, 'info' AS level,
        format('%s of %s paid visits of five weeks carry a keyword; in the last week %s of %s.', s.known_before + s.known_now, s.paid_before + s.paid_now,
            s.known_now, s.paid_now) AS detail,
        round(100.0 * (s.known_before + s.known_now) / (s.paid_before + s.paid_now), 1) AS figure, 'Nothing.' AS remedy
    UNION ALL
    SELECT 'vanished', 'warn',
        format('Of %s paid visits of the last week none carries a keyword; in the four weeks before %s of %s did.', s.paid_now, s.known_before, s.paid_before),
        0, 'Look at the account''s tracking template: utm_term={keyword} has gone from it, or from one of its campaigns.'
    WHERE s.paid_now >= 50 AND s.known_now = 0 AND s.paid_before >= 100 AND s.known_before >= 0.3 * s.paid_before
) x;
