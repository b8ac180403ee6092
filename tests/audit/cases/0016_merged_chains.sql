-- broken
UPDATE calls c SET merged_into = (SELECT min(m.id::text)::uuid FROM calls m WHERE m.site_id = c.site_id AND m.merged_into IS NOT NULL)
WHERE c.intent_stamp LIKE '%60' AND c.site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
-- broken: to another site
SET session_replication_role = replica;
UPDATE calls c SET merged_into = (SELECT max(m.id::text)::uuid FROM calls m WHERE m.site_id <> c.site_id)
WHERE c.intent_stamp LIKE '%60' AND c.site_id = (SELECT min(id::text)::uuid FROM sites);
SET session_replication_role = origin;
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
-- broken: decided
UPDATE calls SET status = 'sealed' WHERE merged_into IS NOT NULL AND site_id = (SELECT min(id::text)::uuid FROM sites);
-- finds: site .*0001
-- fixed
UPDATE calls SET status = 'intent' WHERE merged_into IS NOT NULL;
