-- A million leads of one site over two years, each of a visit of its own, as rows, quickly: a lead's number decides all
-- about it. One campaign had four leads in ten for the first half and ended: what is worst to list by time. As the
-- superuser, with session_replication_role = replica.

-- name: months
SELECT make_month(m::date) FROM generate_series(date_trunc('month', now() - interval '750 days'), now(), interval '1 month') m;

-- name: site
INSERT INTO sites (id, user_id, public_id, name, domain) VALUES ($1, $2, md5('leads'), 'Leads', 'leads.example');

-- name: laid
CREATE UNLOGGED TABLE laid AS
SELECT n, md5('visit ' || n)::uuid AS visit, md5('lead ' || n)::uuid AS lead,
    now() - interval '730 days' + (n::float8 / $1::integer) * interval '729 days' AS at,
    abs(hashint8(n)::bigint) % 1000 AS r, abs(hashint8(n + 7777777)::bigint) % 1000 AS q, n < $1::integer * 0.45 AS early
FROM generate_series(1, $1::integer::bigint) n;

-- name: keys
INSERT INTO session_keys (site_id, id, created_month) SELECT $1, visit, date_trunc('month', at AT TIME ZONE 'UTC')::date FROM laid;

-- name: visits
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key, source_key,
    attribution_source, channel, is_paid, attribution, has_click_id, gclid, utm_term, utm_campaign, matchtype, city, district,
    device_type, entry_page, fingerprint)
SELECT $1, date_trunc('month', at AT TIME ZONE 'UTC')::date, visit, at, at, at, 1, 1, 1,
    (ARRAY['First Click (Paid)', 'Organic', 'Direct', 'Paid Social', 'Referral'])[1 + r * r / 200000],
    (ARRAY['paid_search', 'organic_search', 'direct', 'paid_social', 'referral'])[1 + r * r / 200000],
    r < 600, '{}', r < 600, CASE WHEN r < 600 THEN 'Cj0KCQ' || n END,
    CASE WHEN r < 700 THEN (ARRAY['kiralık vinç', 'sepetli vinç', 'vinç kiralama', 'forklift', 'mobil vinç'])[1 + q % 5] || ' '
        || (ARRAY['istanbul', 'ankara', 'izmir', 'bursa', 'fiyat'])[1 + q / 5 % 5] || CASE WHEN q % 50 = 0 THEN ' ' || n % 997 ELSE '' END END,
    CASE WHEN early AND r < 900 THEN 'ended' WHEN r < 700 THEN 'campaign-' || q % 40 END, (ARRAY['e', 'p', 'b'])[1 + q % 3],
    (ARRAY['İstanbul', 'Ankara', 'İzmir', 'Bursa'])[1 + q % 4],
    (ARRAY['Kadıköy', 'Şişli', 'Çankaya', 'Bornova', 'Ümraniye', 'Nilüfer'])[1 + r % 6],
    (ARRAY['mobile', 'mobile', 'mobile', 'desktop', 'tablet'])[1 + r % 5],
    'https://leads.example/' || (ARRAY['', 'sepetli-vinc', 'forklift', 'iletisim'])[1 + q % 4], 'v' || n % 600000
FROM laid;

-- name: leads
INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, status, source, matched_session_id, matched_session_month,
    intent_stamp, intent_action, intent_target, phone_number, currency, confirmed_at, note, suspicion)
SELECT $1, lead, at, at, at,
    CASE WHEN n > $2::integer - 300 THEN 'intent' WHEN r % 3 = 0 THEN 'sealed' WHEN q = 500 THEN 'suspicious' ELSE 'junk' END, 'click',
    visit, date_trunc('month', at AT TIME ZONE 'UTC')::date, n::text, CASE WHEN q % 4 = 0 THEN 'whatsapp' ELSE 'phone' END,
    'tel:+90532' || lpad((n * 7919 % 10000000)::text, 7, '0'), '+90532' || lpad((n * 7919 % 10000000)::text, 7, '0'), 'TRY',
    CASE WHEN n <= $2::integer - 300 THEN at + r * interval '1 min' END,
    CASE WHEN q % 20 = 0 THEN 'Müşteri ' || n || ' tekrar arayacak' END, '{}'
FROM laid;

-- name: pulse
INSERT INTO site_pulse (site_id, sequence, changed_at, counted_at, last_event_at) VALUES ($1, 1, now(), now(), now());

-- name: gather
SELECT gather_leads($1);

-- name: sizes
SELECT c.relname AS name, pg_relation_size(c.oid) AS bytes FROM pg_class c WHERE c.relname LIKE 'lead\_search%';
