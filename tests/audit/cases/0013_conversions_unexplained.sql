-- broken: no move
DELETE FROM conversion_moves m USING conversions v WHERE v.site_id = m.site_id AND v.id = m.conversion_id AND v.state = 'skipped'
    AND m.site_id = (SELECT min(id::text)::uuid FROM sites);
-- finds: site .*0001
-- fixed
-- broken: it stands elsewhere
UPDATE conversions SET state = 'skipped', reason = 'no_consent' WHERE state = 'held' AND site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
-- broken: no reason
ALTER TABLE conversions DROP CONSTRAINT conversions_reason;
UPDATE conversions SET reason = NULL WHERE state = 'skipped' AND site_id = (SELECT min(id::text)::uuid FROM sites);
-- finds: site .*0001
-- fixed
UPDATE conversions SET reason = 'too_old' WHERE reason IS NULL AND state = 'skipped';
-- broken: moves that do not follow
UPDATE conversion_moves SET from_state = 'accepted' WHERE from_state = 'held' AND to_state = 'retracted'
    AND site_id = (SELECT min(id::text)::uuid FROM sites);
-- finds: site .*0001
-- fixed
UPDATE conversion_moves SET from_state = 'held' WHERE from_state = 'accepted';
-- broken: others are sent
WITH gone AS (UPDATE conversions SET state = 'sent' WHERE id = (SELECT min(id::text)::uuid FROM conversions WHERE state = 'held')
    RETURNING site_id, id)
INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state)
SELECT g.site_id, gen_random_uuid(), g.id, s.was, s.becomes FROM gone g CROSS JOIN (VALUES ('held', 'queued', 1), ('queued', 'sent', 2)) AS s (was, becomes, n);
UPDATE conversions SET updated_at = now() WHERE state = 'sent';
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*000[12]
-- fixed
UPDATE conversions SET due_at = now() WHERE state = 'held';
-- broken: on its way for a month
WITH gone AS (UPDATE conversions SET state = 'queued' WHERE state = 'held' AND site_id = (SELECT min(id::text)::uuid FROM sites) RETURNING site_id, id)
INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state)
SELECT g.site_id, gen_random_uuid(), g.id, 'held', 'queued' FROM gone g;
INSERT INTO conversion_routes (site_id, adapter) SELECT min(id::text)::uuid, 'data_manager' FROM sites;
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE conversion_routes SET adapter = 'file';
-- broken: a batch that no sender comes for
INSERT INTO conversion_routes (site_id, adapter) SELECT min(id::text)::uuid, 'data_manager' FROM sites;
INSERT INTO conversion_batches (site_id, id, kind, adapter, destination, size, attempts, next_at)
SELECT site_id, gen_random_uuid(), 'new', adapter, '{}', 1, 1, now() - interval '2 hours' FROM conversion_routes;
-- finds: site .*0001
-- fixed
UPDATE conversion_routes SET is_on = false;
