-- A world: sites with two months of visits behind them, as rows, quickly. A visit's number decides all about it, so a
-- world of the same size is the same world each time, but for where today's clock cuts it off. Rows lie in the order in
-- which they came. As the superuser, with session_replication_role = replica: nothing is checked while rows come in,
-- and all of it afterwards (see broken).

-- A number from 0 to 1 that belongs to a visit: each salt gives another.
-- name: chance
CREATE FUNCTION bench.chance(n bigint, salt integer) RETURNS float8 LANGUAGE sql IMMUTABLE
AS $$ SELECT (hashint8extended(n, salt) & 9007199254740991)::float8 / 9007199254740992 $$;

-- One of a list, the first ones most often.
-- name: pick
CREATE FUNCTION bench.pick(things text[], n bigint, salt integer) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT things[1 + floor(cardinality(things) * power(bench.chance(n, salt), 2))::integer] $$;

-- name: visits_table
CREATE UNLOGGED TABLE bench.visits (
    n bigint, site_id uuid, domain text, id uuid, at timestamptz, month date, visitor text,
    is_paid boolean, source text, channel text, rule text, tapped boolean, twice boolean, sent_form boolean, gclid text
);

-- $2 sites of the person $1, of whom $3 is an operator on all of them.
-- name: sites
WITH made AS (
    INSERT INTO sites (id, user_id, public_id, name, domain, assumed_cpc)
    SELECT md5('site ' || n)::uuid, $1, md5('public ' || n), 'Site ' || n, 'site-' || n || '.example', 12.5
    FROM generate_series(1, $2::integer) n RETURNING id
)
INSERT INTO site_members (site_id, user_id, role) SELECT id, $3, 'operator' FROM made;

-- name: months
SELECT make_month(m::date) FROM generate_series(date_trunc('month', $1::timestamptz AT TIME ZONE 'UTC'),
    date_trunc('month', $2::timestamptz AT TIME ZONE 'UTC'), interval '1 month') m;

-- Visits $4 to $5 of the $1 that fill $3 days from $2 on, what would lie in the future left out. More at noon than at
-- night; two in five on the first site, the others on the other $6 - 1; one in five by somebody who was there before.
-- name: visits
INSERT INTO bench.visits
SELECT v.n, v.site_id, v.domain, v.id, v.at, date_trunc('month', v.at AT TIME ZONE 'UTC')::date,
    md5(v.site || ' ' || floor(bench.chance(v.n, 2) * 2.2 * $1::float8 * CASE WHEN v.site = 1 THEN 0.4 ELSE 0.6 / ($6::integer - 1) END)),
    s.is_paid, s.source, s.channel, s.rule, v.tap < 0.15, v.tap < 0.015, bench.chance(v.n, 5) < 0.04,
    CASE WHEN s.rule IN ('google_click_id', 'google_ad_tag') THEN 'Cj0KCQ' || md5('g' || v.n) || md5('h' || v.n) || left(md5('i' || v.n), 20) END
FROM (
    SELECT o.n, o.site, md5('site ' || o.site)::uuid AS site_id, 'site-' || o.site || '.example' AS domain,
        md5('visit ' || o.n)::uuid AS id, bench.chance(o.n, 4) AS tap,
        $2::timestamptz + floor(o.day) * interval '1 day'
            + (o.day - floor(o.day) + 0.1 * sin(2 * pi() * (o.day - floor(o.day)))) * interval '1 day' AS at
    FROM (
        SELECT n, (n - 0.5) / $1::float8 * $3::integer AS day,
            CASE WHEN bench.chance(n, 1) < 0.4 THEN 1 ELSE 2 + floor(bench.chance(n, 6) * ($6 - 1))::integer END AS site
        FROM generate_series($4::bigint, $5::bigint) n
    ) o
) v
CROSS JOIN LATERAL (SELECT floor(100 * bench.chance(v.n, 3)) AS share OFFSET 0) r
JOIN (VALUES
    (0, 38, 'First Click (Paid)', 'paid_search', true, 'google_click_id'), (38, 43, 'Paid (UTM)', 'paid_search', true, 'paid_utm'),
    (43, 46, 'Paid Social', 'paid_social', true, 'paid_social_utm'), (46, 48, 'Ads Assisted', 'ads_assisted', true, 'ads_assisted'),
    (48, 50, 'Paid (Display)', 'display', true, 'ad_network_referrer'), (50, 72, 'Organic', 'organic_search', false, 'search_referrer'),
    (72, 86, 'Direct', 'direct', false, 'direct'), (86, 92, 'Organic Social', 'organic_social', false, 'social_referrer'),
    (92, 95, 'Referral', 'referral', false, 'referral'), (95, 97, 'Email', 'email', false, 'email_utm'),
    (97, 99, 'Assistant', 'assistant', false, 'assistant_referrer'), (99, 100, 'Affiliate', 'affiliate', false, 'affiliate_utm')
) AS s (least, most, source, channel, is_paid, rule) ON r.share >= s.least AND r.share < s.most
WHERE v.at < now() - interval '5 minutes' ORDER BY v.n;

-- name: session_keys
INSERT INTO session_keys (site_id, id, created_month) SELECT site_id, id, month FROM bench.visits ORDER BY n;

-- name: visitors
INSERT INTO visitors (site_id, id, first_seen_at, last_seen_at, visits, last_ad_click_at)
SELECT site_id, visitor, min(at), max(at), count(*), max(at) FILTER (WHERE gclid IS NOT NULL) FROM bench.visits GROUP BY 1, 2;

-- Visits of the month $1, numbers $2 to $3.
-- name: sessions
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, total_duration_sec, event_count,
    view_count, conversion_count, intent_count, max_scroll_percentage, cta_hover_count, total_active_seconds,
    previous_visit_count, is_returning, fingerprint, first_key, entry_page, referrer, referrer_host, ip_address, user_agent,
    device_type, device_os, browser, country, city, district, place_source, exit_key, exit_page, env_key, browser_language,
    time_zone, hardware_concurrency, screen_width, screen_height, pixel_ratio, connection_type, tracker,
    click_key, click_at, gclid, has_click_id, utm_key, utm_source, utm_medium, utm_campaign, utm_term, matchtype, ads_network,
    source_key, attribution_source, channel, is_paid, attribution)
SELECT v.site_id, v.month, v.id, v.at, v.at, v.at + interval '100 seconds', 100, 6,
    3, v.tapped::integer + v.twice::integer + v.sent_form::integer, v.tapped::integer + v.twice::integer + v.sent_form::integer,
    floor(101 * bench.chance(v.n, 10))::integer, 1, floor(90 * bench.chance(v.n, 11))::integer,
    floor(2 * bench.chance(v.n, 12))::integer, bench.chance(v.n, 12) > 0.5, v.visitor, d.key,
    'https://www.' || v.domain || '/' || d.page, d.referrer, nullif(split_part(d.referrer, '/', 3), ''),
    ('88.' || (160 + v.n % 90) || '.' || v.n % 256 || '.0')::inet,
    'Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36',
    d.device, CASE d.device WHEN 'desktop' THEN 'Windows' WHEN 'tv' THEN 'Linux' ELSE 'Android' END, 'Chrome', 'TR',
    split_part(d.place, '/', 1), nullif(split_part(d.place, '/', 2), ''), 'iptocc',
    d.key + 200, 'https://www.' || v.domain || '/iletisim', d.key, 'tr-TR', 'Europe/Istanbul', 8, 412, 915, 2.625, '4g', '1.0.0',
    CASE WHEN v.gclid IS NOT NULL THEN d.key END, CASE WHEN v.gclid IS NOT NULL THEN v.at END, v.gclid, v.gclid IS NOT NULL,
    CASE WHEN v.is_paid THEN d.key END, CASE WHEN v.is_paid THEN 'google' END, CASE WHEN v.is_paid THEN 'cpc' END,
    CASE WHEN v.is_paid THEN 'campaign-' || floor(12 * power(bench.chance(v.n, 13), 2)) END,
    CASE WHEN v.is_paid THEN 'a keyword of ' || floor(60 * power(bench.chance(v.n, 14), 2)) END,
    CASE WHEN v.is_paid THEN bench.pick('{e,p,b}', v.n, 15) END, CASE WHEN v.is_paid THEN 'g' END,
    d.key, v.source, v.channel, v.is_paid,
    jsonb_build_object('rule', v.rule, 'losers', '[]'::jsonb, 'version', 1, 'evidence',
        CASE WHEN v.gclid IS NULL THEN '{}' ELSE jsonb_build_object('gclid', v.gclid) END)
FROM bench.visits v CROSS JOIN LATERAL (
    SELECT (extract(epoch FROM v.at) * 1000)::bigint << 21 AS key,
        CASE WHEN bench.chance(v.n, 7) < 0.3 THEN '' ELSE 'sayfa/' || 1 + floor(29 * power(bench.chance(v.n, 8), 2)) END AS page,
        CASE v.channel WHEN 'direct' THEN NULL WHEN 'organic_social' THEN 'https://www.instagram.com/' ELSE 'https://www.google.com/' END AS referrer,
        bench.pick('{mobile,mobile,desktop,tablet,tv}', v.n, 9) AS device,
        bench.pick('{Antalya/Kepez,Antalya/Muratpaşa,Antalya/Konyaaltı,Antalya/Alanya,Antalya/Manavgat,İstanbul/Kadıköy,'
            'İstanbul/Beşiktaş,İstanbul/Üsküdar,İstanbul/Şişli,İstanbul/Pendik,Ankara/Çankaya,Ankara/Keçiören,Ankara/Mamak,'
            'İzmir/Bornova,İzmir/Konak,İzmir/Karşıyaka,Bursa/Nilüfer,Bursa/Osmangazi,Adana/Seyhan,Mersin/Yenişehir,Konya/Selçuklu,'
            'Kocaeli/İzmit,Muğla/Bodrum,Denizli/Merkezefendi,Isparta}', v.n, 16) AS place
    OFFSET 0) d
WHERE v.month = $1 AND v.n BETWEEN $2 AND $3 ORDER BY v.n;

-- Six events of each of these visits, twenty seconds apart.
-- name: events
INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, event_category, event_action, event_label,
    url, metadata)
SELECT v.site_id, v.month, md5('event ' || v.n || ' ' || e.step)::uuid, v.id, v.at + e.step * interval '20 seconds',
    v.at + e.step * interval '20 seconds' - interval '30 milliseconds',
    CASE WHEN e.action IN ('phone_call', 'whatsapp', 'form_submit') THEN 'conversion' ELSE 'interaction' END, e.action,
    CASE e.action WHEN 'view' THEN NULL WHEN 'scroll_depth' THEN '50%' WHEN 'form_submit' THEN 'contact' ELSE 'tel:+905000001006' END,
    'https://www.' || v.domain || '/sayfa/' || e.step, '{"title": "Kiralık vinç | Kepez"}'
FROM bench.visits v CROSS JOIN LATERAL (
    SELECT step, CASE WHEN step = 3 AND v.tapped OR step = 4 AND v.twice THEN CASE v.n % 3 WHEN 0 THEN 'whatsapp' ELSE 'phone_call' END
        WHEN step = 5 AND v.sent_form THEN 'form_submit' WHEN step IN (0, 2, 4) THEN 'view' ELSE 'scroll_depth' END AS action
    FROM generate_series(0, 5) step) e
WHERE v.month = $1 AND v.n BETWEEN $2 AND $3 ORDER BY v.n;

-- Leads: taps, repeated taps (folded into the first), forms. Of those older than two days three in five are decided,
-- of the others one in five. $1 decided.
-- name: calls
INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, status, version, source, phone_number, matched_session_id,
    matched_session_month, matched_fingerprint, matched_at, lead_score, lead_score_at_match, score_breakdown, confirmed_at,
    confirmed_by, event_id, intent_stamp, intent_action, intent_target, intent_page_url, click_id, click_id_kind, sale_amount,
    currency, merged_into, is_automatic)
SELECT v.site_id, md5('lead ' || v.n || ' ' || t.step)::uuid, l.at, l.at, l.at, w.status,
    CASE WHEN w.status = 'intent' THEN 1 ELSE 2 END, CASE WHEN t.step = 5 THEN 'form' ELSE 'click' END,
    CASE WHEN t.step <> 5 THEN '+905000001006' END, v.id, v.month, v.visitor, l.at, floor(101 * l.score)::integer,
    floor(101 * l.score)::integer, '{"scroll": 8, "ad_click": 10, "conversions": 35}',
    CASE WHEN w.status <> 'intent' THEN least(l.at + power(bench.chance(v.n, 22), 3) * interval '2 days', now()) END,
    CASE WHEN w.status <> 'intent' THEN $1::uuid END, md5('event ' || v.n || ' ' || t.step)::uuid,
    md5('event ' || v.n || ' ' || t.step)::uuid::text,
    CASE WHEN t.step = 5 THEN 'form' WHEN v.n % 3 = 0 THEN 'whatsapp' ELSE 'phone' END,
    CASE WHEN t.step = 5 THEN 'contact' ELSE 'tel:+905000001006' END, 'https://www.' || v.domain || '/sayfa/' || t.step,
    v.gclid, CASE WHEN v.gclid IS NOT NULL THEN 'gclid' END,
    CASE WHEN w.status IN ('sealed', 'conversion') AND l.score < 0.7 THEN round((500 + 9500 * l.score)::numeric, 2) END,
    CASE WHEN l.score < 0.02 THEN 'EUR' ELSE 'TRY' END, CASE WHEN t.step = 4 THEN md5('lead ' || v.n || ' 3')::uuid END,
    w.status <> 'intent' AND l.score > 0.95
FROM bench.visits v
CROSS JOIN LATERAL (VALUES (3, v.tapped), (4, v.twice), (5, v.sent_form)) AS t (step, is_one)
CROSS JOIN LATERAL (SELECT v.at + t.step * interval '20 seconds' AS at, bench.chance(v.n, 20 + t.step) AS fate, bench.chance(v.n, 30) AS score OFFSET 0) l
CROSS JOIN LATERAL (
    SELECT CASE WHEN t.step = 4 OR l.fate >= CASE WHEN l.at < now() - interval '2 days' THEN 0.6 ELSE 0.2 END THEN 'intent'
        ELSE (ARRAY['sealed', 'sealed', 'sealed', 'junk', 'junk', 'junk', 'conversion', 'suspicious', 'pending', 'sealed'])[1 + v.n % 10] END AS status OFFSET 0) w
WHERE t.is_one ORDER BY v.n;

-- name: conversions
INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency, click_id,
    click_id_kind, created_at, updated_at, consent, consent_at)
SELECT c.site_id, md5('conversion ' || c.id)::uuid, c.id, md5('order ' || c.id),
    s.state, CASE WHEN s.state IN ('failed', 'skipped') THEN 'no_click_id' END, c.confirmed_at, c.occurred_at, c.sale_amount,
    c.currency, c.click_id, c.click_id_kind, c.confirmed_at, c.confirmed_at, 'granted', c.confirmed_at
FROM calls c CROSS JOIN LATERAL (
    SELECT CASE WHEN c.click_id IS NULL THEN 'skipped' WHEN c.confirmed_at > now() - interval '1 hour' THEN 'queued'
        WHEN c.lead_score % 20 = 0 THEN 'failed' WHEN c.lead_score % 2 = 0 THEN 'matched' ELSE 'accepted' END AS state) s
WHERE c.status IN ('sealed', 'conversion');

-- name: conversion_moves
INSERT INTO conversion_moves (site_id, id, conversion_id, at, from_state, to_state)
SELECT v.site_id, md5('move ' || v.id)::uuid, v.id, v.created_at, 'queued', 'sent'
FROM conversions v WHERE v.state IN ('accepted', 'matched', 'failed');

-- name: intent_actions
INSERT INTO intent_actions (site_id, id, call_id, at, actor, actor_kind, action, from_status, to_status, version, before)
SELECT c.site_id, md5('act ' || c.id)::uuid, c.id, c.confirmed_at, CASE WHEN NOT c.is_automatic THEN c.confirmed_by END,
    CASE WHEN c.is_automatic THEN 'rule' ELSE 'person' END, CASE c.status WHEN 'junk' THEN 'junk' ELSE 'seal' END, 'intent',
    c.status, 2, '{}'
FROM calls c WHERE c.confirmed_at IS NOT NULL;

-- How often each site was written to: as often as it had visits.
-- name: site_pulse
INSERT INTO site_pulse (site_id, sequence, changed_at, last_event_at, last_intent_at, counted_at)
SELECT site_id, count(*), max(at), max(at) + interval '100 seconds', max(at + interval '60 seconds') FILTER (WHERE tapped), now()
FROM bench.visits GROUP BY site_id;

-- Tables to fill, largest first; the partitions by their month.
-- name: tables
SELECT c.oid::regclass::text AS name, p.month
FROM pg_class c LEFT JOIN LATERAL (
    SELECT to_date(substring(c.relname FROM '\d{4}_\d\d$'), 'YYYY_MM') AS month) p ON true
WHERE c.relkind = 'r' AND (c.relnamespace = 'parts'::regnamespace AND c.relname ~ '^(sessions|events)_\d{4}_\d\d$'
    OR c.oid = ANY ('{session_keys,visitors,calls}'::regclass[]));

-- Rows come in several times as fast if indexes are built over all of them at once. REINDEX makes them whole again.
-- name: close_indexes
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = ANY ($1::text[]::regclass[]);

-- name: closed_indexes
SELECT count(*) FROM pg_index WHERE NOT indisready OR NOT indisvalid;

-- What must not be: rows that point at nothing, which the foreign keys would have refused.
-- name: broken
SELECT (SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT FROM session_keys k
        WHERE k.site_id = e.site_id AND k.created_month = e.session_month AND k.id = e.session_id)) AS events,
    (SELECT count(*) FROM sessions s WHERE NOT EXISTS (SELECT FROM session_keys k
        WHERE k.site_id = s.site_id AND k.created_month = s.created_month AND k.id = s.id)) AS sessions,
    (SELECT count(*) FROM session_keys k WHERE NOT EXISTS (SELECT FROM sessions s
        WHERE k.site_id = s.site_id AND k.created_month = s.created_month AND k.id = s.id)) AS session_keys,
    (SELECT count(*) FROM calls c WHERE NOT EXISTS (SELECT FROM session_keys k
        WHERE k.site_id = c.site_id AND k.created_month = c.matched_session_month AND k.id = c.matched_session_id)
        OR c.merged_into IS NOT NULL AND NOT EXISTS (SELECT FROM calls f WHERE f.site_id = c.site_id AND f.id = c.merged_into)) AS calls,
    (SELECT count(*) FROM parts.sessions_default) + (SELECT count(*) FROM parts.events_default) AS without_month;

-- What there is.
-- name: contents
SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM calls) AS leads,
    (SELECT count(*) FROM events WHERE site_id = md5('site 1')::uuid) AS events_of_the_largest, pg_database_size(current_database()) AS bytes;

-- What five transactions of this moment leave in the journal of site $1, until the next fold: a visit and its first events.
-- name: journal
INSERT INTO counter_journal (site_id, entries, changed_at, last_event_at)
SELECT s.site_id, ARRAY[session_entry(s, 1), jsonb_populate_record(NULL::counter_entry,
        jsonb_build_object('kind', 'events', 'n', 3, 'at', s.created_at, 'is_paid', s.is_paid, 'conversions', 0, 'forms', 0))],
    now(), now()
FROM sessions s WHERE s.site_id = $1 ORDER BY s.created_at DESC LIMIT 5;

-- name: no_journal
DELETE FROM counter_journal;

-- Of site $1: a lead that was decided about, its visit and its visitor, none of the newest.
-- name: somebody
SELECT c.id AS intent_id, c.matched_session_id AS session_id, c.matched_fingerprint AS visitor
FROM calls c JOIN conversions v ON v.site_id = c.site_id AND v.call_id = c.id
WHERE c.site_id = $1 AND c.created_at < now() - interval '10 days' AND c.status = 'sealed' ORDER BY c.created_at DESC LIMIT 1;
