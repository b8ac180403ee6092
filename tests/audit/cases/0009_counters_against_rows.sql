-- broken
INSERT INTO counter_days (site_id, day, main)
SELECT s.id, (now() AT TIME ZONE s.time_zone)::date - 1,
    ARRAY[(jsonb_populate_record(NULL::counter_cell, '{"dimension": "session", "key": "", "is_paid": true, "sessions": 5}'))]
FROM sites s WHERE s.id = (SELECT min(id::text)::uuid FROM sites)
ON CONFLICT (site_id, day) DO UPDATE SET main = excluded.main;
-- finds: site .*0001 on \d{4}-\d\d-\d\d
-- fixed
-- broken: rows that nobody counted
SET app.maintenance = 'on';
INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, event_category, event_action)
SELECT e.site_id, e.session_month, gen_random_uuid(), e.session_id, x.at, x.at, 'interaction', 'view'
FROM (SELECT * FROM events WHERE site_id = (SELECT max(id::text)::uuid FROM sites) LIMIT 1) e JOIN sites s ON s.id = e.site_id
CROSS JOIN LATERAL (SELECT ((now() AT TIME ZONE s.time_zone)::date - 31)::timestamp AT TIME ZONE s.time_zone + interval '1 hour' AS at) AS x;
-- finds: site .*0002 on \d{4}-\d\d-\d\d
-- fixed
