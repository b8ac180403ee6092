-- broken
SET session_replication_role = replica;
UPDATE events SET session_id = '00000000-0000-0000-0000-000000000001' WHERE created_at < '2026-09-05Z'
    AND site_id = (SELECT min(id::text)::uuid FROM sites);
SET session_replication_role = origin;
-- finds: site .*0001
-- fixed
DELETE FROM events e WHERE NOT EXISTS (SELECT FROM session_keys k WHERE k.site_id = e.site_id AND k.id = e.session_id);
