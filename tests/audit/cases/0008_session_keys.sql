-- broken
SET session_replication_role = replica;
DELETE FROM session_keys k WHERE k.site_id = (SELECT min(id::text)::uuid FROM sites) AND k.id = (
    SELECT s.id FROM sessions s WHERE s.site_id = k.site_id ORDER BY s.created_at LIMIT 1);
SET session_replication_role = origin;
-- finds: public\.sessions of site .*0001
-- also: 0003_calls_without_session
-- also: 0004_events_without_session
-- fixed
-- broken: the reverse
SET session_replication_role = replica;
INSERT INTO session_keys (site_id, id, created_month) SELECT min(id::text)::uuid, gen_random_uuid(), '2026-09-01' FROM sites;
SET session_replication_role = origin;
-- finds: public\.session_keys of site .*0001
-- fixed
