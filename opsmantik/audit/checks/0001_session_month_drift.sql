-- Every session lies in the month in which it began.
-- group: integrity
-- level: error
--
-- A session's month is in the key of everything that points at it. Where the two differ, a query that is bounded by months
-- leaves the session out, and what points at it cannot be found. Here each partition's own CHECK makes it impossible; the
-- first generation had triggers, and they could be dropped.
--
-- The remedy moves the session and all that names its month in one statement: keys are compared at its end, so none is
-- broken on the way. In the first generation triggers would undo it row by row; without them it is two statements.
-- when: public.session_keys(site_id, id, created_month); public.sessions(site_id, id, created_month, created_at); public.events(site_id, session_id, session_month); public.calls(site_id, matched_session_id, matched_session_month)
SELECT 'session_month_drift' AS name, 'error' AS level, s.tableoid::regclass::text AS object,
    format('%s sessions lie in another month than they began in.', count(*)) AS detail,
    count(*) AS figure,
    format('SET app.maintenance = ''on''; WITH wrong AS (SELECT site_id, id, created_month AS was, date_trunc(''month'', created_at AT TIME ZONE ''UTC'')::date'
        ' AS month FROM %s WHERE created_month <> date_trunc(''month'', created_at AT TIME ZONE ''UTC'')::date),'
        ' keys AS (UPDATE session_keys k SET created_month = w.month FROM wrong w WHERE k.site_id = w.site_id AND k.id = w.id),'
        ' happened AS (UPDATE events e SET session_month = w.month FROM wrong w WHERE e.site_id = w.site_id AND e.session_month = w.was'
        ' AND e.session_id = w.id),'
        ' leads AS (UPDATE calls c SET matched_session_month = w.month FROM wrong w WHERE c.site_id = w.site_id'
        ' AND c.matched_session_month = w.was AND c.matched_session_id = w.id)'
        ' UPDATE sessions s SET created_month = w.month FROM wrong w WHERE s.site_id = w.site_id AND s.created_month = w.was AND s.id = w.id;',
        s.tableoid::regclass) AS remedy,
    'session_month_drift ' || s.tableoid::regclass::text AS cache_key
FROM public.sessions s
WHERE s.created_month <> date_trunc('month', s.created_at AT TIME ZONE 'UTC')::date
GROUP BY s.tableoid;
-- when: public.sessions(id, created_month, created_at); public.events(session_id, session_month)
SELECT 'session_month_drift' AS name, 'error' AS level, s.tableoid::regclass::text AS object,
    format('%s sessions lie in another month than they began in.', count(*)) AS detail,
    count(*) AS figure,
    format('BEGIN; SET LOCAL session_replication_role = replica;'
        ' UPDATE public.events e SET session_month = date_trunc(''month'', s.created_at AT TIME ZONE ''UTC'')::date FROM %1$s s'
        ' WHERE e.session_id = s.id AND e.session_month = s.created_month'
        ' AND s.created_month <> date_trunc(''month'', s.created_at AT TIME ZONE ''UTC'')::date;'
        ' UPDATE public.sessions s SET created_month = date_trunc(''month'', s.created_at AT TIME ZONE ''UTC'')::date'
        ' WHERE s.tableoid = %1$L::regclass AND s.created_month <> date_trunc(''month'', s.created_at AT TIME ZONE ''UTC'')::date; COMMIT;',
        s.tableoid::regclass) AS remedy,
    'session_month_drift ' || s.tableoid::regclass::text AS cache_key
FROM public.sessions s
WHERE s.created_month <> date_trunc('month', s.created_at AT TIME ZONE 'UTC')::date
GROUP BY s.tableoid;
