-- Three months of one site, with columns that every released schema has. {site} and {zone} are put in.
INSERT INTO users (id, email) VALUES (md5('{site}')::uuid, '{site}@example.com');
INSERT INTO sites (id, user_id, public_id, name, domain, time_zone)
VALUES ('{site}', md5('{site}')::uuid, replace('{site}', '-', ''), 'Shop', 'shop.example', '{zone}');
INSERT INTO site_members (site_id, user_id, role) VALUES ('{site}', md5('{site}')::uuid, 'owner');

CREATE TEMPORARY TABLE visits ON COMMIT DROP AS
SELECT n, md5('s' || n || '{site}')::uuid AS id, timestamptz '2026-08-31 18:00Z' + n * interval '7 hours' AS at,
    date_trunc('month', (timestamptz '2026-08-31 18:00Z' + n * interval '7 hours') AT TIME ZONE 'UTC')::date AS month
FROM generate_series(1, 200) AS n;
INSERT INTO session_keys (site_id, id, created_month) SELECT '{site}', id, month FROM visits;
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, fingerprint,
    first_key, exit_key, source_key, attribution_source, channel, is_paid, attribution, event_count, city,
    device_type, utm_term, gclid, has_click_id, max_scroll_percentage)
SELECT '{site}', month, id, at, at, at, 'v' || n % 50, n, n, n,
    CASE n % 3 WHEN 0 THEN 'Google Ads' ELSE 'Direct' END, CASE n % 3 WHEN 0 THEN 'paid_search' ELSE 'direct' END,
    n % 3 = 0, '[]', 3, 'Antalya', 'mobile', CASE n % 3 WHEN 0 THEN 'vinç' END,
    CASE n % 3 WHEN 0 THEN 'Cj0abc' END, n % 3 = 0, n % 101
FROM visits;
INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, event_category, event_action)
SELECT '{site}', month, md5(id::text || k)::uuid, id, at, at,
    CASE k WHEN 3 THEN 'conversion' ELSE 'interaction' END, CASE k WHEN 3 THEN 'phone_call' ELSE 'view' END
FROM visits CROSS JOIN generate_series(1, 3) AS k;
INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, status, phone_number, matched_session_id,
    matched_session_month, matched_fingerprint, intent_stamp, intent_action, intent_target, currency,
    confirmed_at, sale_amount)
SELECT '{site}', md5('c' || id)::uuid, at, at, at, CASE n % 3 WHEN 0 THEN 'sealed' ELSE 'intent' END, '+905000000012',
    id, month, 'v' || n % 50, id::text, 'phone', '+905000000012', 'TRY',
    CASE n % 3 WHEN 0 THEN at + interval '1 day' END, CASE n % 3 WHEN 0 THEN 1000 END
FROM visits;
INSERT INTO visitors (site_id, id, first_seen_at, last_seen_at, visits) VALUES ('{site}', 'v1', now(), now(), 4);
INSERT INTO rejected_events (site_id, id, received_at, door, reason, payload)
VALUES ('{site}', '{site}', now(), 'v1', 'malformed', '\x7b');
INSERT INTO ingest_tally (site_id, hour, outcome, n) VALUES ('{site}', date_trunc('hour', now()), 'stored', 600);
INSERT INTO site_pulse (site_id, sequence, changed_at, last_event_at) VALUES ('{site}', 77, now(), now());
