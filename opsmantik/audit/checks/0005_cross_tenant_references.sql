-- No lead and no event belongs to another site's session.
-- group: integrity
-- level: error
--
-- The first generation named visits by their id alone, so that a visit of one client could be given to another's lead, with
-- its click and its score. Here the site is part of every such key, and an event cannot name a visit of another site (what
-- goes around the key is found by events_without_session).
-- when: public.session_keys(site_id, id); public.calls(site_id, id, matched_session_id)
WITH lost AS MATERIALIZED (
    SELECT c.site_id, c.id, c.matched_session_id
    FROM public.calls c LEFT JOIN public.session_keys k ON k.site_id = c.site_id AND k.id = c.matched_session_id
    WHERE c.matched_session_id IS NOT NULL AND k.id IS NULL
)
SELECT 'cross_tenant_references' AS name, 'error' AS level, 'site ' || c.site_id AS object,
    format('%s leads name a session of another site, the first lead %s.', count(*), min(c.id::text)) AS detail,
    count(*) AS figure,
    format('SET app.maintenance = ''on''; UPDATE calls c SET matched_session_id = NULL, matched_session_month = NULL'
        ' WHERE c.site_id = %1$L AND c.matched_session_id IS NOT NULL AND NOT EXISTS (SELECT FROM session_keys k'
        ' WHERE k.site_id = c.site_id AND k.id = c.matched_session_id); SELECT rebuild_counters(%1$L);', c.site_id) AS remedy,
    'cross_tenant_references ' || c.site_id AS cache_key
FROM lost c
WHERE EXISTS (SELECT FROM public.session_keys k WHERE k.site_id <> c.site_id AND k.id = c.matched_session_id)
GROUP BY c.site_id;
-- when: public.sessions(id, site_id); public.calls(id, site_id, matched_session_id); public.events(session_id, site_id)
SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB';
-- then
SELECT 'cross_tenant_references' AS name, 'error' AS level, format('public.%s of site %s', x.what, x.site_id) AS object,
    format('%s %s belong to a session of another site.', x.n, x.what) AS detail, x.n AS figure,
    CASE x.what WHEN 'calls' THEN format('Look how they were matched. What was matched wrongly is matched to nothing: UPDATE public.calls c'
        ' SET matched_session_id = NULL WHERE c.site_id = %L AND EXISTS (SELECT FROM public.sessions s WHERE s.id = c.matched_session_id'
        ' AND s.site_id <> c.site_id);', x.site_id)
    ELSE 'The session says whose they are: UPDATE public.events e SET site_id = s.site_id FROM public.sessions s WHERE s.id = e.session_id'
        ' AND s.created_month = e.session_month AND s.site_id <> e.site_id;' END AS remedy,
    format('cross_tenant_references %s %s', x.what, x.site_id) AS cache_key
FROM (
    SELECT 'calls' AS what, c.site_id, count(*) AS n FROM public.calls c
    WHERE EXISTS (SELECT FROM public.sessions s WHERE s.id = c.matched_session_id AND s.site_id <> c.site_id)
      AND NOT EXISTS (SELECT FROM public.sessions s WHERE s.id = c.matched_session_id AND s.site_id = c.site_id)
    GROUP BY c.site_id
    UNION ALL
    SELECT 'events', e.site_id, count(*) FROM public.events e
    WHERE EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id AND s.site_id <> e.site_id)
      AND NOT EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id AND s.site_id = e.site_id)
    GROUP BY e.site_id) x;
