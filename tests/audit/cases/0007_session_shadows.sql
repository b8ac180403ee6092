-- broken: around the check, which still seems to hold
SET session_replication_role = replica;
CREATE TEMPORARY TABLE held AS SELECT conname, pg_get_constraintdef(oid) AS says FROM pg_constraint
WHERE conrelid = 'parts.sessions_2026_10'::regclass AND conname = 'sessions_2026_10_month';
ALTER TABLE parts.sessions_2026_10 DROP CONSTRAINT sessions_2026_10_month;
CREATE TEMPORARY TABLE doubled AS SELECT * FROM sessions
WHERE created_month = '2026-09-01' AND site_id = (SELECT min(id::text)::uuid FROM sites) ORDER BY created_at LIMIT 3;
UPDATE doubled SET created_month = '2026-10-01', created_at = '2026-10-01 00:10Z';
INSERT INTO sessions SELECT * FROM doubled;
DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE parts.sessions_2026_10 ADD CONSTRAINT %I %s NOT VALID', conname, says) FROM held); END $$;
UPDATE pg_constraint SET convalidated = true WHERE conrelid = 'parts.sessions_2026_10'::regclass;
SET session_replication_role = origin;
-- finds: site .*0001
-- fixed
