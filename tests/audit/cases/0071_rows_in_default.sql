-- broken: visits of a month that nobody has made, counted as they should be
INSERT INTO session_keys (site_id, id, created_month) SELECT id, md5('early' || id)::uuid, '2026-07-01' FROM sites;
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key, source_key,
    attribution_source, channel, is_paid, attribution)
SELECT site_id, created_month, id, at, at, at, 1, 1, 1, 'Direct', 'direct', false, '[]'
FROM session_keys CROSS JOIN (SELECT timestamptz '2026-07-15 12:00Z' AS at) t WHERE created_month = '2026-07-01';
INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, event_category, event_action)
SELECT site_id, created_month, id, id, '2026-07-15 12:00Z', '2026-07-15 12:00Z', 'interaction', 'view'
FROM session_keys WHERE created_month = '2026-07-01';
UPDATE sessions SET event_count = 1 WHERE created_month = '2026-07-01';
SELECT rebuild_counters(id) FROM sites;
-- finds: parts\.sessions_default
-- finds: parts\.events_default
-- fixed
SET ROLE opsmantik_owner;
SET app.maintenance = 'on';
SELECT drain_default_month('2026-07-01');
SELECT validate_keys();
