-- broken
UPDATE calls SET merged_into = NULL WHERE merged_into IS NOT NULL AND site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
-- broken: and decided
UPDATE calls SET merged_into = NULL, status = 'suspicious' WHERE merged_into IS NOT NULL AND site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE calls SET status = 'junk' WHERE status = 'suspicious';
