-- broken: sealed, and no row
DELETE FROM conversion_moves m USING conversions v WHERE v.state = 'held' AND m.site_id = v.site_id AND m.conversion_id = v.id
    AND v.site_id = (SELECT min(id::text)::uuid FROM sites);
DELETE FROM conversions v WHERE v.state = 'held' AND v.site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
INSERT INTO conversions (site_id, id, call_id, order_id, state, due_at, occurred_at, value, currency)
SELECT c.site_id, c.id, c.id, c.id::text, 'held', now(), now(), c.sale_amount, c.currency FROM calls c
WHERE c.status = 'sealed' AND NOT EXISTS (SELECT FROM conversions v WHERE v.site_id = c.site_id AND v.call_id = c.id);
INSERT INTO conversion_moves (site_id, id, conversion_id, to_state)
SELECT v.site_id, gen_random_uuid(), v.id, 'held' FROM conversions v
WHERE NOT EXISTS (SELECT FROM conversion_moves m WHERE m.site_id = v.site_id AND m.conversion_id = v.id);
-- broken: a row, and not sealed
INSERT INTO conversions (site_id, id, call_id, order_id, state, due_at, occurred_at, value, currency, reason)
SELECT c.site_id, c.id, c.id, c.id::text, 'held', now(), now(), 10, c.currency, 'stage_weight' FROM calls c
WHERE c.status = 'intent' AND c.merged_into IS NULL AND c.created_at < '2026-09-05Z' AND c.site_id = (SELECT min(id::text)::uuid FROM sites);
INSERT INTO conversion_moves (site_id, id, conversion_id, to_state)
SELECT v.site_id, gen_random_uuid(), v.id, 'held' FROM conversions v
WHERE NOT EXISTS (SELECT FROM conversion_moves m WHERE m.site_id = v.site_id AND m.conversion_id = v.id);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
