-- A first generation's database of any size: sites, two months of visits, two in five of them of the first site. Names in
-- braces are put in by adopt.py.
INSERT INTO auth.users (id, email) SELECT md5('person ' || n)::uuid, 'person' || n || '@first.example' FROM generate_series(1, {sites}) n;
INSERT INTO profiles (id) SELECT id FROM auth.users;
INSERT INTO sites (id, user_id, public_id, domain, name)
SELECT md5('site ' || n)::uuid, md5('person ' || n)::uuid, md5('public ' || n), 'site' || n || '.example', 'Site ' || n
FROM generate_series(1, {sites}) n;
INSERT INTO sessions (id, site_id, created_month, created_at, ip_address, entry_page, exit_page, gclid, attribution_source, device_type,
    city, district, fingerprint, utm_source, utm_medium, utm_campaign, utm_term, matchtype, referrer_host, device_os, browser,
    browser_language, gpu_renderer, screen_width, screen_height, pixel_ratio, max_scroll_percentage, total_active_seconds)
SELECT md5('visit ' || n)::uuid, md5('site ' || CASE WHEN n % 5 < 2 THEN 1 ELSE 2 + n % ({sites} - 1) END)::uuid,
    date_trunc('month', at AT TIME ZONE 'UTC')::date, at, '203.0.113.77', 'https://site.example/hizmet/' || n % 40, 'https://site.example/iletisim',
    CASE WHEN n % 3 = 0 THEN 'Cj0KCQiA-' || md5('click ' || n) END, CASE WHEN n % 3 = 0 THEN 'First Click (Paid)' ELSE 'Organic' END,
    'mobile', 'Antalya', 'Merkez', md5('device ' || n % 90000), CASE WHEN n % 3 = 0 THEN 'google' END, CASE WHEN n % 3 = 0 THEN 'cpc' END,
    CASE WHEN n % 3 = 0 THEN 'kampanya ' || n % 9 END, CASE WHEN n % 3 = 0 THEN 'kelime ' || n % 300 END, 'p', CASE WHEN n % 3 = 1 THEN 'google.com' END,
    'Android', 'Chrome', 'tr-TR', 'Adreno', 390, 844, 3, n % 101, 40
FROM generate_series(1, {visits}) n CROSS JOIN LATERAL (SELECT timestamptz '2026-01-03Z' + n * interval '61 days' / {visits} AS at) t;
INSERT INTO events (id, session_id, session_month, url, event_category, event_action, event_label, metadata, created_at, site_id)
SELECT md5(s.id::text || k)::uuid, s.id, s.created_month, s.entry_page, CASE WHEN k = {events} THEN 'conversion' ELSE 'interaction' END,
    CASE WHEN k = 1 THEN 'view' WHEN k = {events} THEN 'phone_call' ELSE 'scroll_depth' END, 'tel:+905000000012',
    jsonb_build_object('referrer', 'https://www.google.com/', 'sid', s.id, 'fingerprint', s.fingerprint, 'user_agent',
        'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36',
        'lead_score', 10, 'city', 'Antalya', 'own', k), s.created_at + k * interval '15 seconds', s.site_id
FROM sessions s CROSS JOIN generate_series(1, {events}) k;
INSERT INTO calls (id, site_id, phone_number, matched_session_id, matched_fingerprint, matched_at, created_at, lead_score, status,
    confirmed_at, intent_stamp, intent_action, intent_target, click_id, oci_status, oci_uploaded_at, sale_amount)
SELECT md5('lead ' || s.id)::uuid, s.site_id, 'tel:+905000000012', s.id, s.fingerprint, s.created_at, s.created_at + interval '90 seconds', 55,
    (ARRAY['intent', 'confirmed', 'junk'])[1 + n % 3], CASE WHEN n % 3 = 1 THEN s.created_at + interval '1 hour' END, md5('stamp ' || s.id),
    'phone', 'tel:+905000000012', s.gclid, CASE WHEN n % 6 = 1 THEN 'uploaded' END, CASE WHEN n % 6 = 1 THEN s.created_at + interval '1 day' END,
    CASE WHEN n % 3 = 1 THEN 1000 END
FROM (SELECT x.*, row_number() OVER (ORDER BY x.created_at) AS n FROM sessions x) s WHERE n % {every} = 0;
