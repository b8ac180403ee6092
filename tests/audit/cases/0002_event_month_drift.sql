-- broken
SET session_replication_role = replica;
UPDATE events SET session_month = '2026-09-01' WHERE session_month = '2026-10-01' AND created_at < '2026-10-05Z';
SET session_replication_role = origin;
-- finds: parts\.events_2026_09
-- fixed
