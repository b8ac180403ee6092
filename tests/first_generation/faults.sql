-- Every fault that is known of a database of the first generation, planted into the sound one one by one, by its name in
-- opsmantik/adopt/faults.py. Triggers and foreign keys sleep while this runs.

-- A visit that began in February lies in January, with its events: inserted into the partition by hand.
-- name: session_month_drift
INSERT INTO sessions (id, site_id, created_month, created_at, attribution_source)
VALUES ('c1000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001', '2026-01-01', '2026-02-01 00:30Z', 'Organic');
INSERT INTO events (session_id, session_month, url, event_category, event_action, created_at, site_id) VALUES
    ('c1000000-0000-4000-8000-000000000001', '2026-01-01', 'https://crane.example/', 'interaction', 'view', '2026-02-01 00:30Z', 'b0000000-0000-4000-8000-000000000001');

-- name: event_month_drift
UPDATE events SET session_month = '2026-02-01' WHERE id = 'd0000000-0000-4000-8000-000000101007';

-- A visit over midnight of a new month: both rows counted something.
-- name: sessions_in_two_months
INSERT INTO sessions (id, site_id, created_month, created_at, exit_page, utm_campaign, max_scroll_percentage)
SELECT id, site_id, '2026-02-01', '2026-02-01 00:01Z', 'https://crane.example/son', 'kis', 99 FROM sessions
WHERE id = 'c0000000-0000-4000-8000-000000001021';
INSERT INTO events (session_id, session_month, url, event_category, event_action, created_at, site_id) VALUES
    ('c0000000-0000-4000-8000-000000001021', '2026-02-01', 'https://crane.example/son', 'interaction', 'view', '2026-02-01 00:01Z', 'b0000000-0000-4000-8000-000000000001');

-- name: sessions_on_two_sites
INSERT INTO sessions (id, site_id, created_month, created_at)
VALUES ('c0000000-0000-4000-8000-000000001002', 'b0000000-0000-4000-8000-000000000002', '2026-03-01', '2026-03-02 09:00Z');
INSERT INTO events (session_id, session_month, url, event_category, event_action, created_at, site_id) VALUES
    ('c0000000-0000-4000-8000-000000001002', '2026-03-01', 'https://locks.example/', 'interaction', 'view', '2026-03-02 09:00Z', 'b0000000-0000-4000-8000-000000000002');

-- name: sessions_after_their_events
INSERT INTO sessions (id, site_id, created_month, created_at)
VALUES ('c1000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000001', '2026-02-01', '2026-02-02 09:00Z');
INSERT INTO events (session_id, session_month, url, event_category, event_action, created_at, site_id) VALUES
    ('c1000000-0000-4000-8000-000000000002', '2026-02-01', 'https://crane.example/', 'interaction', 'view', '2026-01-30 09:00Z', 'b0000000-0000-4000-8000-000000000001');

-- name: orphaned_events
INSERT INTO events (session_id, session_month, url, event_category, event_action, event_label, metadata, created_at, site_id) VALUES
    ('c1000000-0000-4000-8000-000000000003', '2026-01-01', 'https://crane.example/?gclid=Cj0KCQiA-orphan-1', 'acquisition', 'view', 'Start', '{"referrer": "https://www.google.com/"}', '2026-01-10 09:00Z', 'b0000000-0000-4000-8000-000000000001'),
    ('c1000000-0000-4000-8000-000000000003', '2026-01-01', 'https://crane.example/', 'conversion', 'whatsapp', 'https://wa.me/905000000012', '{}', '2026-01-10 09:01Z', 'b0000000-0000-4000-8000-000000000001');

-- The second site's tracker sent an id that the first site has.
-- name: events_of_another_site
INSERT INTO events (session_id, session_month, url, event_category, event_action, created_at, site_id) VALUES
    ('c0000000-0000-4000-8000-000000001003', '2026-01-01', 'https://locks.example/', 'interaction', 'view', '2026-01-06 09:00Z', 'b0000000-0000-4000-8000-000000000002');

-- name: events_without_site
UPDATE events SET site_id = NULL WHERE id = 'd0000000-0000-4000-8000-000000101004';

-- name: events_of_nobody
INSERT INTO events (session_id, session_month, url, event_category, event_action, created_at)
VALUES ('c1000000-0000-4000-8000-000000000004', '2026-01-01', 'https://crane.example/', 'interaction', 'view', '2026-01-11 09:00Z');

-- name: doubled_event_ids
INSERT INTO events (id, session_id, session_month, url, event_category, event_action, created_at, site_id)
SELECT id, session_id, '2026-02-01', url, event_category, event_action, '2026-02-01 00:00:20Z', site_id FROM events
WHERE id = 'd0000000-0000-4000-8000-000000101001';

-- name: repeated_events
INSERT INTO events (session_id, session_month, url, event_category, event_action, event_label, created_at, site_id)
SELECT session_id, session_month, url, event_category, event_action, event_label, created_at, site_id FROM events
WHERE id = 'd0000000-0000-4000-8000-000000401002';

-- name: heartbeats
INSERT INTO events (session_id, session_month, url, event_category, event_action, created_at, site_id)
SELECT session_id, session_month, url, 'system', 'heartbeat', created_at + interval '5 minutes', site_id FROM events
WHERE id = 'd0000000-0000-4000-8000-000000101001';

-- name: goodbyes
INSERT INTO events (session_id, session_month, url, event_category, event_action, created_at, site_id)
SELECT session_id, session_month, url, 'system', 'session_end', created_at + interval '6 minutes', site_id FROM events
WHERE id = 'd0000000-0000-4000-8000-000000101001';

-- name: rewritten_categories
UPDATE events SET event_category = 'acquisition' WHERE id = 'd0000000-0000-4000-8000-000000101006';

-- name: unfit_click_ids
UPDATE sessions SET gclid = '{gclid}' WHERE id = 'c0000000-0000-4000-8000-000000001005';

-- name: whole_addresses
UPDATE sessions SET ip_address = '203.0.113.77' WHERE id = 'c0000000-0000-4000-8000-000000001005';

-- name: leads_without_status
UPDATE calls SET status = NULL WHERE id = 'e0000000-0000-4000-8000-000000001010';

-- name: unknown_statuses
ALTER TABLE calls DROP CONSTRAINT calls_status_check;
UPDATE calls SET status = 'called_twice' WHERE id = 'e0000000-0000-4000-8000-000000001010';

-- name: leads_without_visit
UPDATE calls SET matched_session_id = 'c1000000-0000-4000-8000-000000000005', click_id = NULL WHERE id = 'e0000000-0000-4000-8000-000000001010';

-- name: leads_of_another_site
UPDATE calls SET matched_session_id = 'c0000000-0000-4000-8000-000000002001', click_id = NULL WHERE id = 'e0000000-0000-4000-8000-000000001010';

-- One that nobody decided, and one that was sealed with an amount of its own.
-- name: doubled_stamps
DROP INDEX idx_calls_site_intent_stamp_uniq;
INSERT INTO calls (id, site_id, created_at, status, phone_number, matched_session_id, intent_stamp, intent_action, intent_target)
SELECT 'e1000000-0000-4000-8000-000000000001', site_id, created_at + interval '1 second', 'intent', phone_number, matched_session_id, intent_stamp, intent_action, intent_target
FROM calls WHERE id = 'e0000000-0000-4000-8000-000000001010';
INSERT INTO calls (id, site_id, created_at, status, confirmed_at, phone_number, matched_session_id, intent_stamp, intent_action, intent_target, sale_amount)
SELECT 'e1000000-0000-4000-8000-000000000002', site_id, created_at + interval '2 seconds', 'confirmed', created_at + interval '1 day', phone_number, matched_session_id, intent_stamp, intent_action, intent_target, 77
FROM calls WHERE id = 'e0000000-0000-4000-8000-000000001012';

-- name: repeated_taps
INSERT INTO calls (id, site_id, created_at, status, phone_number, matched_session_id, intent_stamp, intent_action, intent_target)
SELECT 'e1000000-0000-4000-8000-000000000005', site_id, created_at + interval '11 seconds', NULL, phone_number, matched_session_id,
    'a-stamp-of-its-own', intent_action, 'tel:+905000000012'
FROM calls WHERE id = 'e0000000-0000-4000-8000-000000001010';
INSERT INTO calls (id, site_id, created_at, status, phone_number, matched_session_id, intent_stamp, intent_action, intent_target)
SELECT 'e1000000-0000-4000-8000-000000000006', site_id, created_at + interval '12 minutes', 'intent', phone_number, matched_session_id,
    'another-stamp-of-its-own', intent_action, intent_target
FROM calls WHERE id = 'e0000000-0000-4000-8000-000000001012';

-- As the endpoint for calls wrote them, before the check came.
-- name: clicks_without_facts
ALTER TABLE calls DROP CONSTRAINT calls_click_intent_invariants_chk;
INSERT INTO calls (id, site_id, created_at, status, phone_number) VALUES
    ('e1000000-0000-4000-8000-000000000003', 'b0000000-0000-4000-8000-000000000001', '2026-02-03 09:00Z', 'junk', '0500 000 00 34'),
    ('e1000000-0000-4000-8000-000000000004', 'b0000000-0000-4000-8000-000000000001', '2026-02-03 09:05Z', 'intent', NULL);

-- name: click_ids_of_unknown_kind
UPDATE calls SET click_id = 'Cj0KCQiA-nobody-knows' WHERE id = 'e0000000-0000-4000-8000-000000001010';

-- name: sent_conversions
UPDATE calls SET status = 'qualified', oci_uploaded_at = '2026-02-20Z', confirmed_at = '2026-02-19Z' WHERE id = 'e0000000-0000-4000-8000-000000001010';

-- name: unsent_conversions
UPDATE calls SET status = 'qualified', confirmed_at = '2026-02-19Z' WHERE id = 'e0000000-0000-4000-8000-000000001010';

-- name: junk_that_was_sent
UPDATE calls SET oci_status = 'uploaded', oci_uploaded_at = '2026-02-20Z' WHERE id = 'e0000000-0000-4000-8000-000000001004';

-- name: administrators
UPDATE profiles SET role = 'admin' WHERE id = 'a0000000-0000-4000-8000-000000000004';

-- name: people_without_address
INSERT INTO auth.users (id, email) VALUES ('a1000000-0000-4000-8000-000000000001', NULL);
INSERT INTO site_members (site_id, user_id, role) VALUES ('b0000000-0000-4000-8000-000000000002', 'a1000000-0000-4000-8000-000000000001', 'viewer');

-- name: doubled_addresses
INSERT INTO auth.users (id, email) VALUES ('a1000000-0000-4000-8000-000000000002', 'VIEWER@first.example');
INSERT INTO site_members (site_id, user_id, role) VALUES ('b0000000-0000-4000-8000-000000000002', 'a1000000-0000-4000-8000-000000000002', 'viewer');

-- name: unfit_public_ids
INSERT INTO sites (id, user_id, public_id, domain, name) VALUES
    ('b1000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'test-site', 'not a domain', NULL);

-- name: doubled_public_ids
INSERT INTO sites (id, user_id, public_id, domain, name) VALUES
    ('b1000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', '5F0C9A527D1E4B389A610C1D2E3F4A5B', 'copy.example', 'Copy');

-- name: two_currencies
UPDATE sites SET config = '{"currency": "usd"}' WHERE id = 'b0000000-0000-4000-8000-000000000002';

-- name: plain_tokens
INSERT INTO user_credentials (user_id, provider, refresh_token) VALUES ('a0000000-0000-4000-8000-000000000001', 'google', 'plain-refresh-token');

-- name: plain_keys
INSERT INTO private.api_keys VALUES ('service_role_key', 'plain-service-key');

-- name: refused_events
INSERT INTO sync_dlq (received_at, site_id, stage, error, payload) VALUES ('2026-03-02Z', 'b0000000-0000-4000-8000-000000000002', 'event', 'timeout', '[]');

-- name: refused_events_of_nobody
INSERT INTO sync_dlq (received_at, stage, error, payload) VALUES ('2026-03-02Z', 'site', 'unknown site', '{}');

-- name: dead_grants
CREATE TABLE leftover (id uuid PRIMARY KEY);
ALTER TABLE leftover ENABLE ROW LEVEL SECURITY;

-- name: open_functions
CREATE FUNCTION backfill_utm() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT';

-- name: open_partitions
CREATE TABLE sessions_2026_04 PARTITION OF sessions FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
