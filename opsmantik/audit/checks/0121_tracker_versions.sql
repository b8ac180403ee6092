-- Sites' pages carry a tracker that sees all that this server can keep.
-- group: meaning
-- level: warn
-- given: trackers
--
-- Of the newest two hundred visits of each site, of seven days at most, those with a page view: which version sent them. Told:
-- every version that is seen. A site is named where most of at least twenty such visits come by an old one; the first
-- generation's tracker names none, and works, but says nothing of consent, of scrolling or of time spent. Site by site, as many
-- steps of its index as visits are looked at.
-- when: public.sessions(site_id, created_month, created_at, tracker, view_count); public.sites(id, disabled_at)
WITH visits AS MATERIALIZED (
    SELECT s.id, CASE WHEN v.tracker ~ '^\d{1,6}(\.\d{1,6}){0,3}$' THEN v.tracker WHEN v.tracker IS NULL THEN 'without a name' ELSE 'of another name' END AS version,
        CASE WHEN v.tracker ~ '^\d{1,6}(\.\d{1,6}){0,3}$' THEN string_to_array(v.tracker, '.')::integer[] < string_to_array($1::jsonb ->> 'oldest', '.')::integer[]
            ELSE true END AS is_old, count(*) AS n
    FROM public.sites s
    CROSS JOIN LATERAL (
        SELECT x.tracker, x.view_count FROM public.sessions x WHERE x.site_id = s.id AND x.created_at >= now() - interval '7 days'
            AND x.created_month >= date_trunc('month', now() AT TIME ZONE 'UTC' - interval '7 days')::date
        ORDER BY x.created_at DESC LIMIT 200) v
    WHERE s.disabled_at IS NULL AND v.view_count > 0 GROUP BY 1, 2, 3
), told AS (
    SELECT id, sum(n) AS n, coalesce(sum(n) FILTER (WHERE is_old), 0) AS old, string_agg(DISTINCT version, ', ') FILTER (WHERE is_old) AS versions FROM visits GROUP BY id
)
SELECT 'tracker_versions' AS name, 'info' AS level, 'tracker ' || version AS object,
    format('It sent %s of the newest visits, of %s sites%s.', sum(n), count(*), CASE WHEN is_old THEN format('; older than %s', $1::jsonb ->> 'oldest') ELSE '' END) AS detail,
    sum(n) AS figure, 'Nothing.' AS remedy, 'tracker_versions ' || version AS cache_key
FROM visits GROUP BY version, is_old
UNION ALL
SELECT 'tracker_versions', 'warn', 'site ' || id, format('%s of its newest %s visits come by an old tracker (%s).', old, n, versions), old,
    'Put the present line on its pages: the site''s page Install has it. The old one goes on working until then.', 'tracker_versions site ' || id
FROM told WHERE n >= 20 AND 2 * old > n;
