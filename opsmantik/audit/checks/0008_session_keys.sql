-- Every session is in the registry of sessions, and everything there is a session.
-- group: integrity
-- level: error
--
-- session_keys says in which month a visit lies; events and leads hold on to it. Two foreign keys hold both together.
-- A visit with a row in a second month is session_shadows' to find.
-- when: public.session_keys(site_id, id, created_month); public.sessions(site_id, id, created_month)
SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB';
-- then
SELECT 'session_keys' AS name, 'error' AS level, format('public.%s of site %s', x.what, x.site_id) AS object,
    CASE x.what WHEN 'sessions' THEN format('%s sessions are not in the registry: no event can be added to them.', x.n)
    ELSE format('%s entries of the registry have no session in their month.', x.n) END AS detail,
    x.n AS figure,
    CASE x.what WHEN 'sessions' THEN format('SET app.maintenance = ''on''; INSERT INTO session_keys (site_id, id, created_month)'
        ' SELECT s.site_id, s.id, s.created_month FROM sessions s WHERE s.site_id = %L ON CONFLICT DO NOTHING;', x.site_id)
    ELSE format('SET app.maintenance = ''on''; UPDATE session_keys k SET created_month = s.created_month FROM sessions s WHERE k.site_id = %1$L'
        ' AND s.site_id = k.site_id AND s.id = k.id AND s.created_month <> k.created_month AND NOT EXISTS (SELECT FROM sessions o'
        ' WHERE o.site_id = k.site_id AND o.created_month = k.created_month AND o.id = k.id); DELETE FROM session_keys k'
        ' WHERE k.site_id = %1$L AND NOT EXISTS (SELECT FROM sessions s WHERE s.site_id = k.site_id AND s.created_month = k.created_month'
        ' AND s.id = k.id); -- refused while events or leads name one: then bring its session back from a backup', x.site_id) END AS remedy,
    format('session_keys %s %s', x.what, x.site_id) AS cache_key
FROM (
    SELECT coalesce(s.site_id, k.site_id) AS site_id, CASE WHEN k.id IS NULL THEN 'sessions' ELSE 'session_keys' END AS what, count(*) AS n
    FROM (SELECT site_id, id, created_month FROM public.sessions) s
    FULL JOIN public.session_keys k ON k.site_id = s.site_id AND k.id = s.id
    WHERE k.id IS NULL OR s.id IS NULL OR s.created_month <> k.created_month AND NOT EXISTS (SELECT FROM public.sessions o
        WHERE o.site_id = k.site_id AND o.created_month = k.created_month AND o.id = k.id)
    GROUP BY 1, 2) x;
