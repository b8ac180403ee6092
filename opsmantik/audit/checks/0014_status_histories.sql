-- Every lead's log of acts is one unbroken story of allowed moves, which ends where the lead stands.
-- group: integrity
-- level: error
-- given: lead_model
--
-- The moves are those of the program's one table (intents/status.py). An undo leads back to whatever was before the act that
-- it names. Where a lead began is not judged, nor a lead without a log: those of before there was one, or from elsewhere.
-- when: public.intent_actions(site_id, id, call_id, action, from_status, to_status, version, undoes); public.calls(site_id, id, status, version)
SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB';
-- then
WITH moves AS MATERIALIZED (
    SELECT m.action, m.was, m.becomes FROM jsonb_to_recordset($1::jsonb -> 'moves') AS m (action text, was text, becomes text)
), acts AS (
    SELECT a.site_id, a.call_id, a.id, a.action, a.from_status, a.to_status, a.version, a.undoes,
        lag(a.to_status) OVER story AS before, lag(a.version) OVER story AS before_version, lead(a.id) OVER story IS NULL AS is_last
    FROM public.intent_actions a WINDOW story AS (PARTITION BY a.site_id, a.call_id ORDER BY a.version, a.at, a.id)
), judged AS (
    SELECT a.site_id, a.call_id, k.kind
    FROM acts a
    LEFT JOIN moves m ON m.action = a.action AND m.was = a.from_status AND m.becomes = a.to_status
    LEFT JOIN public.intent_actions u ON u.site_id = a.site_id AND u.id = a.undoes AND u.call_id = a.call_id AND u.version < a.version
    LEFT JOIN public.calls c ON a.is_last AND c.site_id = a.site_id AND c.id = a.call_id
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN a.from_status <> a.before THEN 'gap' END),
        (CASE WHEN a.version <= a.before_version THEN 'version' END),
        (CASE WHEN a.action <> 'undo' AND m.action IS NULL THEN 'move'
            WHEN a.action = 'undo' AND (u.id IS NULL OR a.to_status <> CASE WHEN u.from_status = u.to_status THEN a.from_status ELSE u.from_status END)
                THEN 'undo' END),
        (CASE WHEN c.status <> a.to_status THEN 'end' WHEN c.version < a.version THEN 'version' END)
    ) AS k (kind)
    WHERE k.kind IS NOT NULL
)
SELECT 'status_histories' AS name, 'error' AS level, 'site ' || j.site_id AS object,
    format(CASE j.kind WHEN 'gap' THEN 'The acts on %s leads do not follow one from another'
        WHEN 'version' THEN 'The versions of %s leads do not rise with their acts'
        WHEN 'move' THEN '%s leads were moved in a way that there is not'
        WHEN 'undo' THEN 'Acts on %s leads were taken back to something that was not before them'
        ELSE '%s leads stand elsewhere than their last act led' END || ', the first lead %s.', count(DISTINCT j.call_id), min(j.call_id::text)) AS detail,
    count(DISTINCT j.call_id) AS figure,
    CASE j.kind WHEN 'end' THEN 'Whatever changed these leads went around decide_intent. Decide each of them anew, from the status that it shows: figures'
            ' and ledger follow.'
        ELSE format('See what happened: SELECT version, at, actor_kind, action, from_status, to_status FROM intent_actions WHERE site_id = %L'
            ' AND call_id = %L ORDER BY version; and compare with a backup. A log is not rewritten: accept in the baseline what is understood.',
            j.site_id, min(j.call_id::text)) END AS remedy,
    format('status_histories %s %s', j.site_id, j.kind) AS cache_key
FROM judged j GROUP BY j.site_id, j.kind;
