-- Every sealed lead has a row in the ledger, and no other lead has one.
-- group: integrity
-- level: error
-- given: lead_model
--
-- "Sealed = sent + explained" holds for every day only while each sealed lead has exactly one row that is not taken back.
-- Ledger and log of acts came together; so a lead that is sealed without a line in the log was sealed before there was
-- either, or was brought in from elsewhere: that is told, and is no fault. A repeated tap is no lead (merged_chains).
-- when: public.conversions(site_id, call_id, state); public.calls(site_id, id, status, merged_into); public.intent_actions(site_id, call_id)
WITH model AS (SELECT ARRAY(SELECT jsonb_array_elements_text($1::jsonb -> 'sealed')) AS sealed), leads AS (
    SELECT c.site_id, c.id, CASE WHEN v.id IS NOT NULL THEN 'not sealed'
        WHEN EXISTS (SELECT FROM public.intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id AND a.to_status = ANY (m.sealed))
            THEN 'no row' ELSE 'before' END AS kind
    FROM model m CROSS JOIN public.calls c
    LEFT JOIN public.conversions v ON v.site_id = c.site_id AND v.call_id = c.id AND v.state <> 'retracted'
    WHERE c.merged_into IS NULL AND (v.id IS NOT NULL) <> (c.status = ANY (m.sealed))
)
SELECT 'sealed_leads_and_ledger' AS name, CASE kind WHEN 'before' THEN 'info' ELSE 'error' END AS level,
    'site ' || site_id AS object,
    format(CASE kind WHEN 'not sealed' THEN '%s leads have a row in the ledger and are not sealed, the first lead %s.'
        WHEN 'no row' THEN '%s sealed leads have no row in the ledger, the first lead %s.'
        ELSE '%s leads were sealed before there was a ledger, the first lead %s.' END, count(*), min(id::text)) AS detail,
    count(*) AS figure,
    CASE kind WHEN 'before' THEN ''
        WHEN 'no row' THEN 'Put each of them back and seal it again, with its amount: its row is written with the seal.'
        ELSE format('SET app.maintenance = ''on''; WITH gone AS (SELECT v.site_id, v.id, v.state, ''restored'' || CASE WHEN v.state IN'
            ' (''sent'', ''accepted'', ''matched'') THEN ''_after_sending'' ELSE '''' END AS reason FROM conversions v JOIN calls c'
            ' ON c.site_id = v.site_id AND c.id = v.call_id WHERE v.site_id = %1$L AND v.state <> ''retracted'' AND c.merged_into IS NULL'
            ' AND c.status NOT IN (%2$s)), moved AS (INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)'
            ' SELECT site_id, gen_random_uuid(), id, state, ''retracted'', reason FROM gone) UPDATE conversions v SET state = ''retracted'','
            ' reason = gone.reason, updated_at = now() FROM gone WHERE v.site_id = gone.site_id AND v.id = gone.id;'
            ' SELECT rebuild_counters(%1$L);', site_id,
            (SELECT string_agg(quote_literal(s), ', ') FROM model CROSS JOIN unnest(model.sealed) AS s)) END AS remedy,
    format('sealed_leads_and_ledger %s %s', site_id, kind) AS cache_key
FROM leads GROUP BY site_id, kind;
