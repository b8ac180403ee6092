-- What will be reported of a sale is what its lead says.
-- group: integrity
-- level: error
-- given: lead_model
--
-- While a conversion has not been sent, its value and currency are the lead's: a sale that is told later revises the row.
-- Where the lead has no amount, the row carries a weight that stands in for one, and says so. What was skipped will not be
-- reported; its value is compared all the same, because figures are made of it.
-- when: public.conversions(site_id, call_id, state, value, currency, reason); public.calls(site_id, id, sale_amount, currency)
SELECT 'ledger_amounts' AS name, 'error' AS level, 'site ' || v.site_id AS object,
    format('%s conversions that are not sent differ from their lead in amount or currency, the first of lead %s.', count(*), min(c.id::text))
        AS detail,
    count(*) AS figure,
    format('SET app.maintenance = ''on''; WITH wrong AS (SELECT v.site_id, v.id, v.state, c.sale_amount, c.currency FROM conversions v JOIN calls c'
        ' ON c.site_id = v.site_id AND c.id = v.call_id WHERE v.site_id = %1$L AND v.state IN (''held'', ''queued'', ''failed'', ''skipped'')'
        ' AND (v.currency <> c.currency OR v.value IS DISTINCT FROM c.sale_amount) AND c.sale_amount IS NOT NULL), moved AS (INSERT INTO'
        ' conversion_moves (site_id, id, conversion_id, from_state, to_state, reason) SELECT site_id, gen_random_uuid(), id, state, state,'
        ' ''revised'' FROM wrong) UPDATE conversions v SET value = w.sale_amount, currency = w.currency, reason = nullif(v.reason, %2$L),'
        ' updated_at = now() FROM wrong w WHERE v.site_id = w.site_id AND v.id = w.id; SELECT rebuild_counters(%1$L);'
        ' -- an amount that only the ledger has: tell it of the lead, or take it away there', v.site_id,
        $1::jsonb ->> 'stage_weight') AS remedy,
    'ledger_amounts ' || v.site_id AS cache_key
FROM public.conversions v JOIN public.calls c ON c.site_id = v.site_id AND c.id = v.call_id
WHERE v.state IN ('held', 'queued', 'failed', 'skipped') AND (
    c.sale_amount IS NOT NULL AND (v.value IS DISTINCT FROM c.sale_amount OR v.currency <> c.currency)
    OR c.sale_amount IS NULL AND v.state IN ('held', 'queued') AND v.reason IS DISTINCT FROM $1::jsonb ->> 'stage_weight')
GROUP BY v.site_id;
