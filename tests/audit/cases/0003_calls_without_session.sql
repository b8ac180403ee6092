-- broken
SET session_replication_role = replica;
UPDATE calls SET matched_session_id = gen_random_uuid() WHERE created_at < '2026-09-05Z' AND merged_into IS NULL
    AND site_id = (SELECT min(id::text)::uuid FROM sites);
SET session_replication_role = origin;
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
-- broken: in the other month
SET session_replication_role = replica;
UPDATE calls SET matched_session_month = '2026-10-01' WHERE created_at < '2026-09-05Z' AND site_id = (SELECT min(id::text)::uuid FROM sites);
SET session_replication_role = origin;
-- finds: site .*0001
-- fixed
