-- Sealed leads and their conversions, as rows, quickly: ten thousand that are to leave, and a million of two years as they
-- stand in a ledger. As the superuser, with session_replication_role = replica. leads.sql lays what they come from.

-- name: site
INSERT INTO sites (id, user_id, public_id, name, domain, undo_minutes) VALUES ($1, $2, md5($1::uuid::text), 'Ledger', 'ledger.example', 0);

-- name: route
INSERT INTO conversion_routes (site_id, adapter, destination)
VALUES ($1, 'data_manager', '{"account_id": "1234567890", "action_id": "77"}');

-- $2 leads of site $1, the last one a moment ago, each of a visit of its own.
-- name: due
CREATE TEMP TABLE due AS
SELECT n, gen_random_uuid() AS visit, gen_random_uuid() AS lead, gen_random_uuid() AS conversion,
    now() - interval '1 hour' - n * interval '1 second' AS at, 'Cj0KCQ' || md5($1::text || n) || md5(n::text || $1) AS click
FROM generate_series(1, $2::integer) n;

-- name: due_keys
INSERT INTO session_keys (site_id, id, created_month) SELECT $1, visit, date_trunc('month', at AT TIME ZONE 'UTC')::date FROM due;

-- name: due_visits
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, total_duration_sec, event_count, first_key,
    exit_key, source_key, attribution_source, channel, is_paid, attribution, gclid, click_at, has_click_id)
SELECT $1, date_trunc('month', at AT TIME ZONE 'UTC')::date, visit, at, at, at, 60, 4, 1, 1, 1, 'First Click (Paid)', 'paid_search',
    true, '{}', click, at - interval '1 minute', true FROM due;

-- name: due_leads
INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, intent_action, intent_target, intent_stamp, currency,
    matched_session_id, matched_session_month, status, confirmed_at, sale_amount)
SELECT $1, lead, at, at, at, 'phone', 'tel:+902125550101', lead::text, 'TRY', visit,
    date_trunc('month', at AT TIME ZONE 'UTC')::date, 'sealed', now(), 1500.50 FROM due;

-- name: due_conversions
INSERT INTO conversions (site_id, id, call_id, order_id, state, due_at, occurred_at, value, currency, click_id, click_id_kind,
    clicked_at, consent, consent_at)
SELECT $1, conversion, lead, 'om-' || replace(lead::text, '-', '') || '-1', 'held', now(), at, 1500.50, 'TRY', click, 'gclid',
    at - interval '1 minute', 'implied', now() FROM due;

-- name: due_moves
INSERT INTO conversion_moves (site_id, id, conversion_id, to_state) SELECT $1, gen_random_uuid(), conversion, 'held' FROM due;

-- name: standing
SELECT count(*) FILTER (WHERE state = 'accepted') AS accepted, count(*) AS n FROM conversions WHERE site_id = $1;

-- A million leads, all sealed (leads.sql's "laid" decides about each): a third seven hours after the tap, as people work.
-- name: leads
INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, status, source, matched_session_id, matched_session_month,
    intent_stamp, intent_action, intent_target, phone_number, currency, confirmed_at, sale_amount)
SELECT $1, lead, at, at, at, CASE WHEN r < 700 THEN 'conversion' ELSE 'sealed' END, 'click', visit,
    date_trunc('month', at AT TIME ZONE 'UTC')::date, n::text, CASE WHEN q % 4 = 0 THEN 'whatsapp' ELSE 'phone' END,
    'tel:+90532' || lpad((n * 7919 % 10000000)::text, 7, '0'), '+90532' || lpad((n * 7919 % 10000000)::text, 7, '0'), 'TRY',
    at + (q % 3) * interval '7 hours', CASE WHEN q % 5 > 0 THEN 500 + q END
FROM laid;

-- Seven in ten arrived, a sixth has no click, three in a hundred were refused; few are under way, and those are the newest.
-- One reason in ten thousand is there for the rare case.
-- name: conversions
INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, detail, due_at, next_at, occurred_at, value, currency, click_id,
    click_id_kind, clicked_at, created_at, updated_at, consent, consent_at, batch_id, sent_at, sent_to, platform_value, platform_currency, taken_back_at)
SELECT $1, md5('conversion ' || l.n)::uuid, l.lead, 'om-' || replace(l.lead::text, '-', '') || '-1', s.state,
    CASE WHEN s.state = 'skipped' THEN CASE WHEN l.n % 10000 = 77 THEN 'test_click' WHEN l.r < 860 THEN 'no_click_id' ELSE 'no_consent' END
        WHEN s.state = 'failed' THEN CASE WHEN l.q < 900 THEN 'click_not_found' ELSE 'too_recent_event' END
        WHEN s.state = 'retracted' THEN 'junked_after_sending' WHEN l.q % 5 = 0 THEN 'stage_weight' END,
    CASE WHEN s.state = 'failed' THEN 'The click cannot be found.' END,
    t.at, CASE WHEN s.state = 'queued' THEN t.at END, l.at, 500 + l.q, 'TRY', CASE WHEN s.kind IS NOT NULL THEN 'Cj0KCQ' || l.n END, s.kind,
    CASE WHEN s.kind IS NOT NULL THEN l.at END, t.at, t.at, CASE WHEN s.state = 'skipped' AND l.r >= 860 THEN 'denied' ELSE 'implied' END, t.at,
    CASE WHEN s.state = 'sent' THEN md5('batch ' || (l.n / 2000))::uuid END, CASE WHEN s.went THEN t.at END,
    CASE WHEN s.went THEN '{"adapter": "data_manager", "destination": {"account_id": "1234567890", "action_id": "77"}}'::jsonb END,
    CASE WHEN s.went AND s.state <> 'sent' THEN CASE WHEN s.state = 'retracted' THEN 0 ELSE 500 + l.q END END,
    CASE WHEN s.went AND s.state <> 'sent' THEN 'TRY' END, CASE WHEN s.state = 'retracted' THEN t.at END
FROM laid l CROSS JOIN LATERAL (SELECT l.at + (l.q % 3) * interval '7 hours' AS at) t
CROSS JOIN LATERAL (SELECT CASE WHEN l.n > $2::integer - 300 THEN 'held' WHEN l.n > $2::integer - 2300 THEN 'queued' WHEN l.n > $2::integer - 4300 THEN 'sent'
    WHEN l.n % 10000 = 77 THEN 'skipped' WHEN l.r < 550 THEN 'accepted' WHEN l.r < 700 THEN 'matched' WHEN l.r < 950 THEN 'skipped'
    WHEN l.r < 980 THEN 'failed' ELSE 'retracted' END AS state) o
CROSS JOIN LATERAL (SELECT o.state, o.state IN ('sent', 'accepted', 'matched', 'retracted') AS went,
    CASE WHEN o.state = 'skipped' AND (l.r < 860 OR l.n % 10000 = 77) THEN NULL WHEN l.q % 500 = 3 THEN 'gbraid' WHEN l.q % 20 = 3 THEN 'wbraid' ELSE 'gclid' END AS kind) s;

-- name: moves
INSERT INTO conversion_moves (site_id, id, conversion_id, at, from_state, to_state)
SELECT v.site_id, md5('move ' || v.id || m.n)::uuid, v.id, v.created_at + m.n * interval '10 minutes', m.from_state, m.to_state
FROM conversions v CROSS JOIN (VALUES (0, NULL, 'held'), (1, 'held', 'queued'), (2, 'queued', 'sent')) AS m (n, from_state, to_state)
WHERE v.site_id = $1 AND (m.n = 0 OR v.sent_at IS NOT NULL);

-- name: batches
INSERT INTO conversion_batches (site_id, id, kind, adapter, destination, state, size, attempts, created_at, sent_at, finished_at)
SELECT $1, md5('batch ' || b)::uuid, 'new', 'data_manager', '{"account_id": "1234567890", "action_id": "77"}', 'done', 2000, 2,
    now() - interval '730 days' + b * interval '1 hour', now(), now()
FROM generate_series(0, $2::integer / 2000) b;

-- name: items
INSERT INTO conversion_batch_items (site_id, batch_id, position, conversion_id, order_id, occurred_at, value, currency, outcome)
SELECT $1, md5('batch ' || (l.n / 2000))::uuid, 1 + l.n % 2000, v.id, v.order_id, v.occurred_at, v.value, v.currency,
    CASE WHEN v.state <> 'sent' THEN 'accepted' END
FROM laid l JOIN conversions v ON v.site_id = $1 AND v.id = md5('conversion ' || l.n)::uuid WHERE v.sent_at IS NOT NULL;

-- Of site $1: one from the middle of its time that arrived.
-- name: somebody
SELECT v.id, v.call_id AS lead, v.order_id, md5('batch ' || (l.n / 2000))::uuid AS batch
FROM laid l JOIN conversions v ON v.site_id = $1 AND v.call_id = l.lead WHERE l.n > $2::integer / 2 AND v.state = 'accepted' ORDER BY l.n LIMIT 1;
