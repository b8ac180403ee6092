-- A tap that repeats another is not a lead of its own.
-- group: integrity
-- level: warn
-- given: lead_model
--
-- Ingest folds a tap into the lead of the same visit that is at most half an hour away. Two leads of one visit and one
-- number within that time were not folded, and count twice. What somebody has called junk does not.
--
-- The first generation had two ways to know a repeat, the tap's stamp and ten seconds of the same visit and number; its unique index
-- on the stamp was partial, so that every insert took the slower way, which two at once get past.
-- when: public.calls(site_id, id, matched_session_month, matched_session_id, source, intent_action, intent_target, occurred_at, merged_into, status); function public.rebuild_counters
WITH taps AS (
    SELECT c.site_id, c.id, c.status, c.occurred_at - lag(c.occurred_at) OVER visit AS since
    FROM public.calls c
    WHERE c.merged_into IS NULL AND c.source = 'click' AND c.matched_session_id IS NOT NULL AND c.status <> 'junk'
    WINDOW visit AS (PARTITION BY c.site_id, c.matched_session_month, c.matched_session_id, c.intent_action, c.intent_target
        ORDER BY c.occurred_at, c.id)
), found AS (
    SELECT t.site_id, t.id, $1::jsonb -> 'waiting' ? t.status AS waits FROM taps t WHERE t.since <= interval '30 minutes'
)
SELECT 'duplicated_intents' AS name, 'warn' AS level, 'site ' || f.site_id AS object,
    format(CASE WHEN f.waits THEN '%s leads that wait repeat a tap of the same visit within half an hour, the first lead %s.'
        ELSE '%s leads that were decided repeat a tap of the same visit within half an hour, the first lead %s.' END, count(*), min(f.id::text)) AS detail,
    count(*) AS figure,
    CASE WHEN f.waits THEN format('SET app.maintenance = ''on''; UPDATE calls c SET merged_into = (SELECT o.id FROM calls o WHERE o.site_id = c.site_id'
            ' AND o.matched_session_month = c.matched_session_month AND o.matched_session_id = c.matched_session_id AND o.source = ''click'''
            ' AND o.intent_action = c.intent_action AND o.intent_target = c.intent_target AND o.merged_into IS NULL AND o.status <> ''junk'''
            ' AND (o.occurred_at, o.id) < (c.occurred_at, c.id) AND o.occurred_at >= c.occurred_at - interval ''30 minutes'''
            ' ORDER BY o.occurred_at, o.id LIMIT 1) WHERE c.site_id = %1$L AND c.source = ''click'' AND c.merged_into IS NULL'
            ' AND c.status IN (%2$s) AND NOT EXISTS (SELECT FROM calls m WHERE m.site_id = c.site_id AND m.merged_into = c.id)'
            ' AND EXISTS (SELECT FROM calls o WHERE o.site_id = c.site_id AND o.matched_session_month = c.matched_session_month'
            ' AND o.matched_session_id = c.matched_session_id AND o.source = ''click'' AND o.intent_action = c.intent_action'
            ' AND o.intent_target = c.intent_target AND o.merged_into IS NULL AND o.status <> ''junk'' AND (o.occurred_at, o.id) < (c.occurred_at, c.id)'
            ' AND o.occurred_at >= c.occurred_at - interval ''30 minutes'' AND NOT EXISTS (SELECT FROM calls e WHERE e.site_id = o.site_id'
            ' AND e.matched_session_month = o.matched_session_month AND e.matched_session_id = o.matched_session_id AND e.source = ''click'''
            ' AND e.intent_action = o.intent_action AND e.intent_target = o.intent_target AND e.merged_into IS NULL AND e.status <> ''junk'''
            ' AND (e.occurred_at, e.id) < (o.occurred_at, o.id) AND e.occurred_at >= o.occurred_at - interval ''30 minutes''));'
            ' SELECT rebuild_counters(%1$L); -- again until it finds none, where more than two follow one another', f.site_id,
            (SELECT string_agg(quote_literal(w), ', ') FROM jsonb_array_elements_text($1::jsonb -> 'waiting') w))
        ELSE 'Mark the later of each two as junk, with the reason "duplicate": its sale is then not reported a second time.' END AS remedy,
    format('duplicated_intents %s %s', f.site_id, CASE WHEN f.waits THEN 'waiting' ELSE 'decided' END) AS cache_key
FROM found f GROUP BY f.site_id, f.waits;
-- when: public.calls(site_id, id, intent_stamp, matched_session_id, intent_action, intent_target, created_at, status)
WITH taps AS (
    SELECT c.site_id, c.id, c.created_at - lag(c.created_at) OVER visit AS since,
        c.intent_stamp <> '' AND row_number() OVER (PARTITION BY c.site_id, c.intent_stamp ORDER BY c.created_at, c.id) > 1 AS same_stamp,
        c.matched_session_id IS NOT NULL AND c.intent_target IS NOT NULL AS has_visit
    FROM public.calls c WHERE c.status IS DISTINCT FROM 'junk' AND jsonb_typeof($1::jsonb) = 'object'
    WINDOW visit AS (PARTITION BY c.site_id, c.matched_session_id, c.intent_action, c.intent_target ORDER BY c.created_at, c.id)
)
SELECT 'duplicated_intents' AS name, 'warn' AS level, 'site ' || t.site_id AS object,
    format('%s leads repeat another: %s by their stamp, the others by visit, act and number within ten seconds; the first lead %s.', count(*),
        count(*) FILTER (WHERE t.same_stamp), min(t.id::text)) AS detail,
    count(*) AS figure,
    'Mark the later of each two as junk. A unique index over (site_id, intent_stamp), without a condition, keeps new ones out.' AS remedy,
    'duplicated_intents ' || t.site_id AS cache_key
FROM taps t WHERE t.same_stamp OR t.has_visit AND t.since <= interval '10 seconds'
GROUP BY t.site_id;
