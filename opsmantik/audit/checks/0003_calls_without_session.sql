-- Every lead that names a session has one, on its own site.
-- group: integrity
-- level: error
--
-- A lead whose visit is not there has no ad click, no keyword and no place: it counts as unpaid, and cannot be reported.
-- Here a foreign key over site, month and id makes it impossible; the first generation had none.
-- when: public.session_keys(site_id, id, created_month); public.calls(site_id, matched_session_id, matched_session_month); function public.rebuild_counters
SELECT 'calls_without_session' AS name, 'error' AS level, 'site ' || c.site_id AS object,
    format('%s leads name a session that is not there, the first lead %s.', count(*), min(c.id::text)) AS detail,
    count(*) AS figure,
    format('SET app.maintenance = ''on''; UPDATE calls c SET matched_session_month = k.created_month FROM session_keys k'
        ' WHERE c.site_id = %1$L AND k.site_id = c.site_id AND k.id = c.matched_session_id AND k.created_month <> c.matched_session_month;'
        ' UPDATE calls c SET matched_session_id = NULL, matched_session_month = NULL WHERE c.site_id = %1$L'
        ' AND c.matched_session_id IS NOT NULL AND NOT EXISTS (SELECT FROM session_keys k WHERE k.site_id = c.site_id'
        ' AND k.id = c.matched_session_id); SELECT rebuild_counters(%1$L);', c.site_id) AS remedy,
    'calls_without_session ' || c.site_id AS cache_key
FROM public.calls c
LEFT JOIN public.session_keys k
    ON k.site_id = c.site_id AND k.created_month = c.matched_session_month AND k.id = c.matched_session_id
WHERE c.matched_session_id IS NOT NULL AND k.id IS NULL
GROUP BY c.site_id;
-- when: public.sessions(id, site_id); public.calls(id, site_id, matched_session_id)
SELECT 'calls_without_session' AS name, 'error' AS level, 'site ' || c.site_id AS object,
    format('%s leads name a session that is not there, the first lead %s.', count(*), min(c.id::text)) AS detail,
    count(*) AS figure,
    format('Find out how they lost it before anything is written; no lead may be deleted. Where the visit cannot be brought back:'
        ' UPDATE public.calls c SET matched_session_id = NULL WHERE c.site_id = %L AND NOT EXISTS (SELECT FROM public.sessions s'
        ' WHERE s.id = c.matched_session_id AND s.site_id = c.site_id);', c.site_id) AS remedy,
    'calls_without_session ' || c.site_id AS cache_key
FROM public.calls c
LEFT JOIN (SELECT DISTINCT site_id, id FROM public.sessions) s ON s.site_id = c.site_id AND s.id = c.matched_session_id
WHERE c.matched_session_id IS NOT NULL AND s.id IS NULL
GROUP BY c.site_id;
