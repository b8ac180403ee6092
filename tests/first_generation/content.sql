-- Two sites with three months of sound data: what every fault is planted beside. Names are numbers that say what they are:
-- a… people, b… sites, c… visits, d… events, e… leads.
INSERT INTO auth.users (id, email, raw_user_meta_data, created_at) VALUES
    ('a0000000-0000-4000-8000-000000000001', 'Owner@First.example', '{"full_name": "Ayla Owner"}', '2025-12-01Z'),
    ('a0000000-0000-4000-8000-000000000002', 'other@first.example', '{}', '2025-12-02Z'),
    ('a0000000-0000-4000-8000-000000000003', 'editor@first.example', NULL, '2025-12-03Z'),
    ('a0000000-0000-4000-8000-000000000004', 'viewer@first.example', NULL, '2025-12-04Z');
INSERT INTO profiles (id) SELECT id FROM auth.users;
INSERT INTO sites (id, user_id, public_id, domain, name, created_at, assumed_cpc, currency, config) VALUES
    ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', '5f0c9a52-7d1e-4b38-9a61-0c1d2e3f4a5b',
        'https://www.crane.example/', 'Crane hire', '2025-12-05Z', 12.5, 'TRY', '{"bounty_chips": {"a": 500, "b": 100}, "currency": "TRY"}'),
    ('b0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002', '6a1dab637e2f4c499b720d1e2f3a4b5c',
        'locks.example', 'Locksmith', '2025-12-06Z', 0, 'EUR', '{}');
INSERT INTO site_members (site_id, user_id, role, created_at) VALUES
    ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000003', 'editor', '2025-12-07Z'),
    ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000004', 'viewer', '2025-12-08Z'),
    ('b0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000003', 'owner', '2025-12-09Z');

-- Sixty visits a site, every 34 hours from the new year on: a third by an ad, a third by a search, the others direct.
INSERT INTO sessions (id, site_id, created_month, created_at, entry_page, exit_page, gclid, wbraid, attribution_source, device_type,
    city, district, fingerprint, utm_source, utm_medium, utm_term, matchtype, referrer_host, device_os, browser, browser_language,
    screen_width, screen_height, pixel_ratio, max_scroll_percentage, cta_hover_count, total_active_seconds)
SELECT ('c0000000-0000-4000-8000-' || lpad((site * 1000 + n)::text, 12, '0'))::uuid, ('b0000000-0000-4000-8000-00000000000' || site)::uuid,
    date_trunc('month', at AT TIME ZONE 'UTC')::date, at, 'https://shop.example/fiyatlar?x=' || n, 'https://shop.example/iletisim',
    CASE WHEN n % 6 = 0 THEN 'Cj0KCQiA-first-' || n END, CASE WHEN n % 6 = 3 THEN 'Cj8KCQiA-braid-' || n END,
    CASE n % 3 WHEN 0 THEN 'First Click (Paid)' WHEN 1 THEN 'Organic' ELSE 'Organic' END, CASE WHEN n % 4 = 0 THEN 'desktop' ELSE 'mobile' END,
    CASE WHEN n % 5 = 0 THEN 'Unknown' ELSE 'K%C3%BC%C3%A7%C3%BCk%C3%A7ekmece' END, 'Merkez', 'fp' || n % 20,
    CASE WHEN n % 3 = 0 THEN 'google' END, CASE WHEN n % 3 = 0 THEN 'cpc' END, CASE WHEN n % 3 = 0 THEN 'vinç kiralama' END,
    CASE WHEN n % 3 = 0 THEN 'p' END, CASE WHEN n % 3 = 1 THEN 'www.google.com' END, 'Android', 'Chrome', 'tr-TR', 390, 844, 3, n % 101, 1, 30
FROM generate_series(1, 2) AS site CROSS JOIN generate_series(1, 60) AS n
CROSS JOIN LATERAL (SELECT timestamptz '2026-01-01 03:00Z' + n * interval '34 hours' AS at) t;
-- Of each visit a view, a scroll, a heartbeat and a goodbye; of every second a tap.
INSERT INTO events (id, session_id, session_month, url, event_category, event_action, event_label, event_value, metadata, created_at, site_id)
SELECT ('d0000000-0000-4000-8000-' || lpad((k * 100000 + substr(s.id::text, 25)::integer)::text, 12, '0'))::uuid, s.id, s.created_month,
    s.entry_page, (ARRAY['interaction', 'interaction', 'system', 'conversion', 'system'])[k],
    (ARRAY['view', 'scroll_depth', 'heartbeat', 'phone_call', 'session_end'])[k],
    CASE k WHEN 2 THEN '50%' WHEN 4 THEN 'tel:0500 000 00 12' END, CASE k WHEN 2 THEN 57 END,
    jsonb_build_object('referrer', CASE WHEN s.referrer_host IS NOT NULL THEN 'https://' || s.referrer_host || '/' END, 'sid', s.id,
        'fingerprint', s.fingerprint, 'user_agent', 'Mozilla/5.0 (Linux; Android 10; K)', 'ip', '203.0.113.0', 'own', k),
    s.created_at + k * interval '20 seconds', s.site_id
FROM sessions s CROSS JOIN generate_series(1, 5) AS k WHERE k <> 4 OR substr(s.id::text, 25)::integer % 2 = 0;
INSERT INTO calls (id, site_id, phone_number, matched_session_id, matched_fingerprint, matched_at, created_at, updated_at, lead_score,
    lead_score_at_match, status, source, confirmed_at, confirmed_by, note, intent_stamp, intent_action, intent_target,
    intent_page_url, click_id, oci_status, oci_uploaded_at, oci_matched_at, sale_amount, currency, score_breakdown)
SELECT ('e0000000-0000-4000-8000-' || substr(s.id::text, 25))::uuid, s.site_id, 'tel:+905000000012', s.id, s.fingerprint, e.created_at, e.created_at,
    e.created_at + interval '1 hour', CASE WHEN n % 10 IN (2, 4) THEN 80 ELSE 55 END, 55,
    (ARRAY['intent', 'confirmed', 'junk', 'confirmed', 'real'])[n / 2 % 5 + 1], 'click',
    CASE WHEN n / 2 % 5 IN (1, 3, 4) THEN e.created_at + interval '1 hour' END,
    CASE WHEN n / 2 % 5 IN (1, 3) THEN 'a0000000-0000-4000-8000-000000000003'::uuid END, CASE WHEN n / 2 % 5 = 1 THEN 'Called back' END,
    to_char(extract(epoch FROM e.created_at) * 1000, 'FM0000000000000') || '-ab12-tel-00ff00', 'phone', 'tel:0500 000 00 12', s.entry_page,
    coalesce(s.gclid, s.wbraid), CASE n / 2 % 5 WHEN 1 THEN 'sealed' WHEN 3 THEN 'uploaded' WHEN 4 THEN 'uploaded' END,
    CASE WHEN n / 2 % 5 IN (3, 4) THEN e.created_at + interval '1 day' END, CASE WHEN n / 2 % 5 = 4 THEN e.created_at + interval '2 days' END,
    CASE WHEN n / 2 % 5 IN (1, 3) THEN 1000 + n END, CASE WHEN s.site_id::text LIKE '%1' THEN 'TRY' ELSE 'EUR' END,
    CASE WHEN n / 2 % 5 = 4 THEN '{"auto_approved": true, "qualified_by": "auto"}'::jsonb END
FROM sessions s JOIN events e ON e.session_id = s.id AND e.event_action = 'phone_call'
CROSS JOIN LATERAL (SELECT substr(s.id::text, 25)::integer % 1000 AS n) x;
INSERT INTO sync_dlq (id, received_at, site_id, stage, error, payload) VALUES
    ('f0000000-0000-4000-8000-000000000001', '2026-03-01 10:00Z', 'b0000000-0000-4000-8000-000000000001', 'session', 'no partition',
        '{"s": "5f0c9a527d1e4b389a610c1d2e3f4a5b", "u": "https://crane.example/", "sid": "c0000000-0000-4000-8000-000000009999", "sm": "2026-09-01", "ec": "interaction", "ea": "view", "ip": "203.0.113.77", "ua": "Mozilla/5.0"}');
INSERT INTO sync_dlq_replay_audit (dlq_id, replayed_by_user_id, replayed_by_email, replay_count_after, error_if_failed) VALUES
    ('f0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'owner@first.example', 1, 'again');
