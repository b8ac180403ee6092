-- Every event has its session, on its own site.
-- group: integrity
-- level: error
--
-- An event without its visit is counted by nobody and shown nowhere. Here a foreign key over site, month and id makes it
-- impossible. Joined by hash, both sides read once.
-- when: public.session_keys(site_id, id); public.events(site_id, session_id)
SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB';
-- then
SELECT 'events_without_session' AS name, 'error' AS level, 'site ' || lost.site_id AS object,
    format('%s events belong to %s sessions that are not there; %s of these are sessions of another site.',
        sum(lost.n), count(*), count(*) FILTER (WHERE lost.elsewhere)) AS detail,
    sum(lost.n) AS figure,
    format('Bring the sessions back from a backup. Where there is none, nothing shows these events any more, and they may go:'
        ' DELETE FROM events e WHERE e.site_id = %L AND NOT EXISTS (SELECT FROM session_keys k WHERE k.site_id = e.site_id'
        ' AND k.id = e.session_id);', lost.site_id) AS remedy,
    'events_without_session ' || lost.site_id AS cache_key
FROM (
    SELECT e.site_id, e.n, EXISTS (SELECT FROM public.session_keys o WHERE o.id = e.session_id AND o.site_id <> e.site_id) AS elsewhere
    FROM (
        SELECT v.site_id, v.session_id, count(*) AS n
        FROM public.events v LEFT JOIN public.session_keys k ON k.site_id = v.site_id AND k.id = v.session_id
        WHERE k.id IS NULL
        GROUP BY v.site_id, v.session_id) e) lost
GROUP BY lost.site_id;
-- when: public.sessions(id); public.events(session_id)
SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '128MB';
-- then
SELECT 'events_without_session' AS name, 'error' AS level, e.part::regclass::text AS object,
    format('%s events belong to %s sessions that are not there.', sum(e.n), count(*)) AS detail,
    sum(e.n) AS figure,
    'Mend the months first, if they drift: what looks like a lost session may lie in another month. Bring the others back from'
        ' a backup; nothing shows these events until then.' AS remedy,
    'events_without_session ' || e.part::regclass::text AS cache_key
FROM (SELECT tableoid AS part, session_id, count(*) AS n FROM public.events GROUP BY 1, 2) e
LEFT JOIN (SELECT DISTINCT id FROM public.sessions) s ON s.id = e.session_id
WHERE s.id IS NULL
GROUP BY e.part;
