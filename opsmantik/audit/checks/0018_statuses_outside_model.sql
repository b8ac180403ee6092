-- Every lead has a status that there is.
-- group: integrity
-- level: error
-- given: lead_model
--
-- Here the column has a constraint and is never empty. In the first generation nothing stood for "nobody has looked at it",
-- and programs sent words that no screen knew: such leads are in no list and in no figure.
-- when: public.calls(site_id, id, status, merged_into)
SELECT 'statuses_outside_model' AS name, 'error' AS level, 'site ' || c.site_id AS object,
    format('%s leads have no status, %s one that there is not; the first lead %s.', count(*) FILTER (WHERE c.status IS NULL), count(c.status), min(c.id::text))
        AS detail,
    count(*) AS figure,
    'Find out what wrote them around the constraint (calls_status_check), give each the status that its log of acts ends with'
        ' (intent_actions), or intent where it has none, and put the constraint back.' AS remedy,
    'statuses_outside_model ' || c.site_id AS cache_key
FROM public.calls c WHERE NOT coalesce($1::jsonb -> 'statuses' ? c.status, false)
GROUP BY c.site_id;
-- when: public.calls(site_id, id, status)
SELECT 'statuses_outside_model' AS name, CASE WHEN c.status IS NULL THEN 'warn' ELSE 'error' END AS level, 'site ' || c.site_id AS object,
    CASE WHEN c.status IS NULL THEN format('%s leads have no status: nobody has looked at them.', count(*))
        ELSE format('%s leads have a status that there is not, the first lead %s.', count(*), min(c.id::text)) END AS detail,
    count(*) AS figure,
    CASE WHEN c.status IS NULL THEN format('UPDATE public.calls SET status = ''intent'' WHERE site_id = %L AND status IS NULL;', c.site_id)
        ELSE format('See which: SELECT status, count(*) FROM public.calls WHERE site_id = %L GROUP BY 1; then give each the status that its client means.',
            c.site_id) END AS remedy,
    format('statuses_outside_model %s %s', c.site_id, CASE WHEN c.status IS NULL THEN 'none' ELSE 'unknown' END) AS cache_key
FROM public.calls c WHERE c.status IS NULL OR NOT $1::jsonb -> 'first' ? c.status
GROUP BY c.site_id, c.status IS NULL;
