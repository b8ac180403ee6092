-- Writing what is taken over, as the owner. Every statement is safe to repeat: what is there already stays as it is.

-- name: lock
SELECT pg_try_advisory_lock(hashtextextended('opsmantik: adopt', 0));

-- Staging, for this connection alone: COPY cannot write into a table under row security.
-- name: staging
CREATE TEMPORARY TABLE adopt_visits ON COMMIT DELETE ROWS AS SELECT * FROM sessions s WHERE s.site_id IS NULL WITH NO DATA;
CREATE TEMPORARY TABLE adopt_events (site_id uuid, id uuid, session_id uuid, created_at timestamptz, url text, event_category text,
    event_action text, event_label text, event_value numeric, metadata jsonb, site_given boolean) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE adopt_calls ON COMMIT DELETE ROWS AS SELECT * FROM calls c WHERE c.site_id IS NULL WITH NO DATA;
CREATE TEMPORARY TABLE adopt_actions ON COMMIT DELETE ROWS AS SELECT * FROM intent_actions a WHERE a.site_id IS NULL WITH NO DATA;
CREATE TEMPORARY TABLE adopt_conversions ON COMMIT DELETE ROWS AS SELECT * FROM conversions v WHERE v.site_id IS NULL WITH NO DATA;

-- name: accounts
SELECT email, id FROM users;

-- name: add_person
WITH made AS (
    INSERT INTO users (id, email, name, created_at, disabled_at) VALUES ($1, $2, $3, $4, CASE WHEN $6 THEN now() END)
    ON CONFLICT DO NOTHING RETURNING id)
INSERT INTO profiles (id, role, created_at) SELECT m.id, CASE WHEN $5 THEN 'admin' ELSE 'user' END, $4 FROM made m;

-- name: keep_admin
UPDATE profiles SET role = 'admin', updated_at = now() WHERE id = $1 AND role <> 'admin';

-- name: taken_public_ids
SELECT public_id FROM sites WHERE id <> ALL ($1);

-- name: add_site
INSERT INTO sites (id, user_id, public_id, name, domain, currency, assumed_cpc, config, created_at, consent_mode)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING RETURNING id;

-- name: add_origins
INSERT INTO site_origins (site_id, origin) SELECT $1, o FROM unnest($2::text[]) o ON CONFLICT DO NOTHING;

-- name: add_member
INSERT INTO site_members (site_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (site_id, user_id) DO NOTHING;

-- name: note_site
SELECT note_act($1, $2, 'site.create', $3, $4), pg_notify('opsmantik_sites', $1::text);

-- name: sites
SELECT s.id, s.domain, s.region, s.currency, s.consent_mode, s.conversion_time, s.undo_minutes, s.keep_ip,
    s.config -> 'stage_weights' AS stage_weights
FROM sites s WHERE s.id = ANY ($1);

-- name: make_month
SELECT make_month($1);

-- The names of visits that are new; what is there already keeps its month.
-- name: add_keys
INSERT INTO session_keys (site_id, id, created_month)
SELECT v.site_id, v.id, v.created_month FROM adopt_visits v ON CONFLICT DO NOTHING RETURNING site_id, id;

-- name: add_visits
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, total_duration_sec, event_count, view_count,
    conversion_count, intent_count, max_scroll_percentage, cta_hover_count, form_focus_duration, total_active_seconds,
    previous_visit_count, is_returning, fingerprint, first_key, entry_page, referrer, referrer_host, ip_address, user_agent,
    device_type, device_os, browser, city, district, telco_carrier, isp_asn, is_proxy_detected, exit_key, exit_page, env_key,
    browser_language, device_memory, hardware_concurrency, screen_width, screen_height, pixel_ratio, gpu_renderer,
    connection_type, click_key, click_at, gclid, wbraid, gbraid, has_click_id, utm_key, utm_source, utm_medium, utm_campaign,
    utm_term, utm_content, matchtype, ads_network, ads_placement, source_key, attribution_source, channel, is_paid, attribution)
SELECT v.site_id, v.created_month, v.id, v.created_at, v.started_at, v.last_event_at, v.total_duration_sec, v.event_count, v.view_count,
    v.conversion_count, v.intent_count, v.max_scroll_percentage, v.cta_hover_count, v.form_focus_duration, v.total_active_seconds,
    v.previous_visit_count, v.is_returning, v.fingerprint, v.first_key, v.entry_page, v.referrer, v.referrer_host, v.ip_address, v.user_agent,
    v.device_type, v.device_os, v.browser, v.city, v.district, v.telco_carrier, v.isp_asn, v.is_proxy_detected, v.exit_key, v.exit_page, v.env_key,
    v.browser_language, v.device_memory, v.hardware_concurrency, v.screen_width, v.screen_height, v.pixel_ratio, v.gpu_renderer,
    v.connection_type, v.click_key, v.click_at, v.gclid, v.wbraid, v.gbraid, v.has_click_id, v.utm_key, v.utm_source, v.utm_medium, v.utm_campaign,
    v.utm_term, v.utm_content, v.matchtype, v.ads_network, v.ads_placement, v.source_key, v.attribution_source, v.channel, v.is_paid, v.attribution
FROM adopt_visits v JOIN unnest($1::uuid[], $2::uuid[]) AS n (site_id, id) ON n.site_id = v.site_id AND n.id = v.id;

-- name: count_visits
SELECT s.site_id, date_trunc('month', s.created_at AT TIME ZONE 'UTC')::date AS month, count(*) AS n
FROM adopt_visits v JOIN session_keys k ON k.site_id = v.site_id AND k.id = v.id
JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id GROUP BY 1, 2;

-- A visit that somebody began here before the event was read there may have a later month than the event.
-- name: add_events
INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, url, event_category, event_action,
    event_label, event_value, metadata, flags)
SELECT t.site_id, k.created_month, t.id, t.session_id, greatest(t.created_at, k.created_month::timestamp AT TIME ZONE 'UTC'),
    t.created_at, t.url, t.event_category, t.event_action, t.event_label, t.event_value, t.metadata,
    CASE WHEN t.site_given THEN '{site_given}'::text[] END
FROM adopt_events t JOIN session_keys k ON k.site_id = t.site_id AND k.id = t.session_id
ON CONFLICT DO NOTHING;

-- name: count_events
SELECT e.site_id, date_trunc('month', e.created_at AT TIME ZONE 'UTC')::date AS month, count(*) AS n
FROM adopt_events t JOIN session_keys k ON k.site_id = t.site_id AND k.id = t.session_id
JOIN events e ON e.site_id = k.site_id AND e.session_month = k.created_month AND e.id = t.id
    AND e.session_id = t.session_id AND e.created_at = t.created_at GROUP BY 1, 2;

-- name: visits_of_leads
SELECT k.site_id, k.id, k.created_month AS month, s.gclid, s.wbraid, s.gbraid, coalesce(s.click_at, s.started_at) AS clicked_at,
    s.consent_marketing
FROM unnest($1::uuid[], $2::uuid[]) AS w (site_id, id) JOIN session_keys k ON k.site_id = w.site_id AND k.id = w.id
JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id;

-- Stamps that another lead here has.
-- name: taken_stamps
SELECT c.site_id, c.intent_stamp FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS w (site_id, id, stamp)
JOIN calls c ON c.site_id = w.site_id AND c.intent_stamp = w.stamp AND c.id <> w.id;

-- A lead that nobody has touched here, and somebody has decided there since, becomes decided.
-- name: add_calls
INSERT INTO calls AS c (site_id, id, created_at, occurred_at, updated_at, status, version, source, phone_number, matched_session_id,
    matched_session_month, matched_fingerprint, matched_at, lead_score, lead_score_at_match, score_breakdown, confirmed_at,
    confirmed_by, note, intent_stamp, intent_action, intent_target, intent_page_url, click_id, click_id_kind, sale_amount,
    estimated_value, currency, merged_into, quality, stage, junk_reason, suspicion, is_automatic)
SELECT t.site_id, t.id, t.created_at, t.occurred_at, t.updated_at, t.status, t.version, t.source, t.phone_number, t.matched_session_id,
    t.matched_session_month, t.matched_fingerprint, t.matched_at, t.lead_score, t.lead_score_at_match, t.score_breakdown, t.confirmed_at,
    t.confirmed_by, t.note, t.intent_stamp, t.intent_action, t.intent_target, t.intent_page_url, t.click_id, t.click_id_kind, t.sale_amount,
    t.estimated_value, t.currency, t.merged_into, t.quality, t.stage, t.junk_reason, t.suspicion, t.is_automatic
FROM adopt_calls t
ON CONFLICT (site_id, id) DO UPDATE SET status = excluded.status, version = excluded.version, confirmed_at = excluded.confirmed_at,
    confirmed_by = excluded.confirmed_by, note = excluded.note, sale_amount = excluded.sale_amount, currency = excluded.currency,
    quality = excluded.quality, stage = excluded.stage, junk_reason = excluded.junk_reason, is_automatic = excluded.is_automatic,
    updated_at = excluded.updated_at
WHERE c.version = 1 AND excluded.version > 1 AND c.merged_into IS NULL
RETURNING c.id;

-- name: add_actions
INSERT INTO intent_actions (site_id, id, call_id, at, actor, actor_kind, action, from_status, to_status, version, before, note)
SELECT t.site_id, t.id, t.call_id, t.at, t.actor, t.actor_kind, t.action, t.from_status, t.to_status, t.version, t.before, t.note
FROM adopt_actions t WHERE t.call_id = ANY ($1);

-- name: add_conversions
WITH made AS (
    INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency, click_id,
        click_id_kind, created_at, updated_at, consent, consent_at)
    SELECT t.site_id, t.id, t.call_id, t.order_id, t.state, t.reason, t.due_at, t.occurred_at, t.value, t.currency, t.click_id,
        t.click_id_kind, t.created_at, t.updated_at, t.consent, t.consent_at
    FROM adopt_conversions t WHERE t.call_id = ANY ($1) ON CONFLICT DO NOTHING RETURNING site_id, id, created_at, state, reason)
INSERT INTO conversion_moves (site_id, id, conversion_id, at, to_state, reason)
SELECT m.site_id, gen_random_uuid(), m.id, m.created_at, m.state, m.reason FROM made m;

-- name: leads_here
SELECT c.site_id, c.id, c.created_at, c.status, c.version, coalesce(c.sale_amount, 0) AS amount, c.merged_into IS NOT NULL AS is_tap
FROM adopt_calls t JOIN calls c ON c.site_id = t.site_id AND c.id = t.id;

-- name: add_rejected
INSERT INTO rejected_events (site_id, id, received_at, door, reason, detail, payload, user_agent, ip_address, replay_count,
    last_replay_at, last_replay_error)
SELECT s.id, $2, $3, 'sync', $4, $5, $6, $7, CASE WHEN s.keep_ip THEN $8::text::inet END, $9, $10, $11 FROM sites s WHERE s.id = $1
ON CONFLICT DO NOTHING;

-- name: add_replay
INSERT INTO replays (site_id, id, rejected_id, at, actor, actor_email, replay_count, outcome, error)
VALUES ($1, $2, $3, $4, (SELECT u.id FROM users u WHERE u.id = $5), $6, $7, $8, $9) ON CONFLICT DO NOTHING;

-- What visits hold is what their events and leads say: also where a second run brought more of them, or an id was there twice.
-- name: settle
UPDATE sessions s SET event_count = n.events, view_count = n.views, conversion_count = n.conversions, intent_count = n.taps
FROM (
    SELECT x.id, coalesce(e.events, 0) AS events, coalesce(e.views, 0) AS views, coalesce(e.conversions, 0) AS conversions,
        coalesce(c.taps, 0) AS taps
    FROM session_keys x
    LEFT JOIN (
        SELECT e.session_id, count(*) AS events, count(*) FILTER (WHERE e.event_action = 'view') AS views,
            count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions
        FROM events e WHERE e.site_id = $1 AND e.session_month = $2 GROUP BY 1) e ON e.session_id = x.id
    LEFT JOIN (
        SELECT c.matched_session_id, count(*) AS taps FROM calls c
        WHERE c.site_id = $1 AND c.matched_session_month = $2 GROUP BY 1) c ON c.matched_session_id = x.id
    WHERE x.site_id = $1 AND x.created_month = $2) n
WHERE s.site_id = $1 AND s.created_month = $2 AND s.id = n.id AND s.attribution ->> 'rule' = 'adopted'
  AND (s.event_count, s.view_count, s.conversion_count, s.intent_count) IS DISTINCT FROM (n.events, n.views, n.conversions, n.taps);

-- name: months_of_site
SELECT DISTINCT k.created_month FROM session_keys k WHERE k.site_id = $1 ORDER BY 1;

-- name: add_visitors
INSERT INTO visitors AS v (site_id, id, first_seen_at, last_seen_at, visits, last_ad_click_at)
SELECT s.site_id, s.fingerprint, min(s.started_at), max(s.last_event_at), count(*), max(s.click_at)
FROM sessions s WHERE s.site_id = $1 AND s.fingerprint IS NOT NULL GROUP BY s.site_id, s.fingerprint
ON CONFLICT (site_id, id) DO UPDATE SET first_seen_at = least(v.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(v.last_seen_at, excluded.last_seen_at), visits = excluded.visits,
    last_ad_click_at = greatest(v.last_ad_click_at, excluded.last_ad_click_at);

-- name: pulse
INSERT INTO site_pulse AS y (site_id, sequence, changed_at, last_event_at, last_intent_at)
SELECT $1, 1, now(), (SELECT max(s.last_event_at) FROM sessions s WHERE s.site_id = $1),
    (SELECT max(c.created_at) FROM calls c WHERE c.site_id = $1)
ON CONFLICT (site_id) DO UPDATE SET sequence = y.sequence + 1, changed_at = now(),
    last_event_at = greatest(y.last_event_at, excluded.last_event_at), last_intent_at = greatest(y.last_intent_at, excluded.last_intent_at);

-- name: rebuild
SELECT rebuild_counters($1);

-- name: analyze
ANALYZE session_keys, sessions, events, calls, visitors, conversions, intent_actions;
