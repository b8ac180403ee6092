-- broken
CREATE TEMPORARY TABLE planted AS
SELECT site_id, id FROM conversions WHERE state = 'held' AND site_id = (SELECT min(id::text)::uuid FROM sites);
UPDATE conversions v SET state = 'failed', reason = 'click_too_old', updated_at = now() FROM planted p WHERE v.site_id = p.site_id AND v.id = p.id;
INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
SELECT p.site_id, gen_random_uuid(), p.id, m.was, m.becomes, m.reason FROM planted p
CROSS JOIN (VALUES ('held', 'queued', NULL), ('queued', 'sent', NULL), ('sent', 'failed', 'click_too_old')) AS m (was, becomes, reason);
UPDATE conversions SET due_at = now() WHERE state = 'held';
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE conversions SET updated_at = now() - interval '40 days' WHERE state = 'failed';
