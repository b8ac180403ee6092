-- broken: a gap
UPDATE intent_actions SET from_status = 'suspicious' WHERE action = 'seal' AND from_status = 'pending'
    AND site_id = (SELECT min(id::text)::uuid FROM sites);
-- finds: site .*0001
-- fixed
UPDATE intent_actions SET from_status = 'pending' WHERE action = 'seal' AND from_status = 'suspicious';
-- broken: no such move
UPDATE intent_actions SET action = 'convert' WHERE action = 'seal' AND to_status = 'sealed' AND undoes IS NULL
    AND site_id = (SELECT min(id::text)::uuid FROM sites);
-- finds: site .*0001
-- fixed
UPDATE intent_actions SET action = 'seal' WHERE action = 'convert';
-- broken: the version
ALTER TABLE intent_actions DROP CONSTRAINT IF EXISTS intent_actions_version_key;
UPDATE intent_actions SET version = 9 WHERE action = 'pend' AND site_id = (SELECT min(id::text)::uuid FROM sites);
UPDATE intent_actions SET version = 9 WHERE (site_id, call_id) IN (SELECT site_id, call_id FROM intent_actions WHERE version = 9);
UPDATE calls SET version = 9 WHERE (site_id, id) IN (SELECT site_id, call_id FROM intent_actions WHERE version = 9);
-- finds: site .*0001
-- fixed
UPDATE intent_actions SET version = CASE action WHEN 'pend' THEN 2 WHEN 'seal' THEN 3 ELSE 4 END WHERE version = 9;
-- broken: an undo to something else
UPDATE intent_actions SET to_status = 'pending' WHERE action = 'undo' AND site_id = (SELECT min(id::text)::uuid FROM sites);
UPDATE calls c SET status = 'pending' FROM intent_actions a WHERE a.action = 'undo' AND a.site_id = c.site_id AND a.call_id = c.id
    AND c.site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE intent_actions SET to_status = 'intent' WHERE action = 'undo';
UPDATE calls SET status = 'intent' WHERE status = 'pending';
-- broken: it stands elsewhere
UPDATE calls SET status = 'pending' WHERE status = 'junk' AND site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE calls SET status = 'junk' WHERE status = 'pending';
