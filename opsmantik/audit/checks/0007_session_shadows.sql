-- A session exists once.
-- group: integrity
-- level: error
--
-- Where a visit goes on into the next month and the month is part of its identity, it gets a second row: every join by its
-- id doubles. Here a registry fixes a visit's month at its first event (session_keys).
-- when: public.session_keys(site_id, id, created_month); public.sessions(site_id, id, created_month); function public.rebuild_counters
SET LOCAL work_mem = '128MB';
-- then
SELECT 'session_shadows' AS name, 'error' AS level, 'site ' || s.site_id AS object,
    format('%s sessions have a row in more than one month.', count(*)) AS detail, count(*) AS figure,
    format('SET app.maintenance = ''on''; UPDATE events e SET session_month = k.created_month FROM session_keys k WHERE e.site_id = %1$L'
        ' AND k.site_id = e.site_id AND k.id = e.session_id AND k.created_month <> e.session_month; UPDATE calls c'
        ' SET matched_session_month = k.created_month FROM session_keys k WHERE c.site_id = %1$L AND k.site_id = c.site_id'
        ' AND k.id = c.matched_session_id AND k.created_month <> c.matched_session_month; DELETE FROM sessions s USING session_keys k'
        ' WHERE s.site_id = %1$L AND k.site_id = s.site_id AND k.id = s.id AND k.created_month <> s.created_month'
        ' AND EXISTS (SELECT FROM sessions o WHERE o.site_id = k.site_id AND o.created_month = k.created_month AND o.id = k.id);'
        ' SELECT rebuild_counters(%1$L);', s.site_id) AS remedy,
    'session_shadows ' || s.site_id AS cache_key
FROM (SELECT site_id, id FROM public.sessions GROUP BY site_id, id HAVING count(*) > 1) s
GROUP BY s.site_id;
-- when: public.sessions(id, site_id, created_month)
SET LOCAL work_mem = '128MB';
-- then
SELECT 'session_shadows' AS name, 'error' AS level, 'site ' || s.site_id AS object,
    format('%s sessions have a row in more than one month; %s rows are too many.', count(*), sum(s.n) - count(*)) AS detail,
    sum(s.n) - count(*) AS figure,
    'Keep the row of the first month: point the events of the later one at it (their session_month, in the same transaction as the'
        ' rest), add up what both have counted, then remove the later one.' AS remedy,
    'session_shadows ' || s.site_id AS cache_key
FROM (SELECT site_id, id, count(*) AS n FROM public.sessions GROUP BY site_id, id HAVING count(*) > 1) s
GROUP BY s.site_id;
