-- Every event lies in the month of its session.
-- group: integrity
-- level: error
--
-- Whoever reads a visit's events names the visit's month, so that other months are left alone. Here a foreign key over the
-- month makes it impossible; the first generation copied the month by a trigger, which every bulk load went around.
-- Joined by hash, both sides read once: planned row by row it would be one look into an index for each of ten million.
-- when: public.session_keys(site_id, id, created_month); public.events(site_id, session_id, session_month)
SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB';
-- then
SELECT 'event_month_drift' AS name, 'error' AS level, e.tableoid::regclass::text AS object,
    format('%s events of %s sites lie in another month than their session.', count(*), count(DISTINCT e.site_id)) AS detail,
    count(*) AS figure,
    format('SET app.maintenance = ''on''; UPDATE events e SET session_month = k.created_month FROM session_keys k'
        ' WHERE e.tableoid = %L::regclass AND k.site_id = e.site_id AND k.id = e.session_id AND k.created_month <> e.session_month;',
        e.tableoid::regclass) AS remedy,
    'event_month_drift ' || e.tableoid::regclass::text AS cache_key
FROM public.events e JOIN public.session_keys k ON k.site_id = e.site_id AND k.id = e.session_id
WHERE k.created_month <> e.session_month
GROUP BY e.tableoid;
-- when: public.sessions(id, created_month); public.events(session_id, session_month)
SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB';
-- then
-- An id may have a row in each of two months there: then either is right for an event.
SELECT 'event_month_drift' AS name, 'error' AS level, e.tableoid::regclass::text AS object,
    format('%s events lie in another month than their session.', count(*)) AS detail,
    count(*) AS figure,
    format('BEGIN; SET LOCAL session_replication_role = replica; UPDATE public.events e SET session_month = s.created_month'
        ' FROM public.sessions s WHERE e.tableoid = %L::regclass AND s.id = e.session_id AND NOT EXISTS (SELECT FROM public.sessions o'
        ' WHERE o.id = e.session_id AND o.created_month = e.session_month); COMMIT;', e.tableoid::regclass) AS remedy,
    'event_month_drift ' || e.tableoid::regclass::text AS cache_key
FROM public.events e
JOIN (SELECT DISTINCT id FROM public.sessions) k ON k.id = e.session_id
LEFT JOIN public.sessions s ON s.id = e.session_id AND s.created_month = e.session_month
WHERE s.id IS NULL
GROUP BY e.tableoid;
