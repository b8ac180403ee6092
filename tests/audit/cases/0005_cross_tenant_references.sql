-- broken
SET session_replication_role = replica;
UPDATE calls c SET matched_session_id = k.id, matched_session_month = k.created_month FROM session_keys k
WHERE c.site_id = (SELECT min(id::text)::uuid FROM sites) AND k.site_id = (SELECT max(id::text)::uuid FROM sites)
  AND c.created_at < '2026-09-02Z' AND k.id = (SELECT min(x.id::text)::uuid FROM session_keys x WHERE x.site_id = k.site_id);
SET session_replication_role = origin;
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- also: 0003_calls_without_session
-- fixed
