
-- What the months above lack to be whole: their decisions, as the log, the ledger and the lead itself tell them alike, and
-- something in every table that a check looks into. For one site, as decide_intent and its kin would have written it.
CREATE TEMPORARY TABLE leads ON COMMIT DROP AS
SELECT c.site_id, c.id, c.created_at, c.confirmed_at, c.sale_amount, c.status, row_number() OVER (ORDER BY c.created_at) AS n,
    md5('{site}')::uuid AS person, s.gclid
FROM calls c JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
WHERE c.site_id = '{site}';

-- Sealed by a person; every fifth after somebody had it in hand, every seventh with a sale that was told later.
INSERT INTO intent_actions (site_id, id, call_id, at, actor, actor_kind, action, from_status, to_status, version, before)
SELECT site_id, md5('pend' || id)::uuid, id, confirmed_at - interval '1 hour', person, 'person', 'pend', 'intent', 'pending', 2,
    '{"status": "intent"}'::jsonb
FROM leads WHERE status = 'sealed' AND n % 5 = 0
UNION ALL
SELECT site_id, md5('seal' || id)::uuid, id, confirmed_at, person, 'person', 'seal', CASE WHEN n % 5 = 0 THEN 'pending' ELSE 'intent' END,
    'sealed', CASE WHEN n % 5 = 0 THEN 3 ELSE 2 END, '{"status": "intent", "confirmed_at": null}'::jsonb
FROM leads WHERE status = 'sealed'
UNION ALL
SELECT site_id, md5('sale' || id)::uuid, id, confirmed_at + interval '1 day', person, 'person', 'sale', 'sealed', 'sealed',
    CASE WHEN n % 5 = 0 THEN 4 ELSE 3 END, '{"sale_amount": null}'::jsonb
FROM leads WHERE status = 'sealed' AND n % 7 = 0;
INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency, click_id,
    click_id_kind, created_at, updated_at, consent)
SELECT site_id, md5('conversion' || id)::uuid, id, 'om-' || replace(id::text, '-', '') || '-1',
    CASE WHEN n % 2 = 0 THEN 'held' ELSE 'skipped' END, CASE WHEN n % 2 = 1 THEN 'too_old' END, confirmed_at + interval '10 minutes',
    created_at, sale_amount, 'TRY', gclid, 'gclid', confirmed_at, confirmed_at, 'implied'
FROM leads WHERE status = 'sealed';
INSERT INTO conversion_moves (site_id, id, conversion_id, at, to_state, reason)
SELECT site_id, md5('move' || id)::uuid, id, created_at, state, reason FROM conversions WHERE site_id = '{site}';
INSERT INTO conversion_moves (site_id, id, conversion_id, at, from_state, to_state, reason)
SELECT v.site_id, md5('revised' || v.id)::uuid, v.id, v.created_at + interval '1 day', v.state, v.state, 'revised'
FROM conversions v JOIN leads l ON l.id = v.call_id WHERE v.site_id = '{site}' AND l.n % 7 = 0;

-- Sealed and taken back within a minute; junk; doubted by a rule.
INSERT INTO intent_actions (site_id, id, call_id, at, actor, actor_kind, action, from_status, to_status, version, before, undoes)
SELECT site_id, md5('seal' || id)::uuid, id, created_at + interval '1 hour', person, 'person', 'seal', 'intent', 'sealed', 2,
    '{"status": "intent"}'::jsonb, NULL::uuid
FROM leads WHERE status = 'intent' AND n % 10 = 1
UNION ALL
SELECT site_id, md5('undo' || id)::uuid, id, created_at + interval '61 minutes', person, 'person', 'undo', 'sealed', 'intent', 3,
    '{"status": "sealed"}'::jsonb, md5('seal' || id)::uuid
FROM leads WHERE status = 'intent' AND n % 10 = 1
UNION ALL
SELECT site_id, md5('junk' || id)::uuid, id, created_at + interval '1 hour', person, 'person', 'junk', 'intent', 'junk', 2,
    '{"status": "intent"}'::jsonb, NULL
FROM leads WHERE status = 'intent' AND n % 10 = 2
UNION ALL
SELECT site_id, md5('suspect' || id)::uuid, id, created_at + interval '1 second', NULL, 'rule', 'suspect', 'intent', 'suspicious', 2,
    '{"status": "intent"}'::jsonb, NULL
FROM leads WHERE status = 'intent' AND n % 10 = 4;
INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency, click_id, click_id_kind,
    created_at, updated_at, consent)
SELECT site_id, md5('conversion' || id)::uuid, id, 'om-' || replace(id::text, '-', '') || '-1', 'retracted', 'undone',
    created_at + interval '70 minutes', created_at, 10, 'TRY', gclid, CASE WHEN gclid <> '' THEN 'gclid' END,
    created_at + interval '1 hour', created_at + interval '61 minutes', 'implied'
FROM leads WHERE status = 'intent' AND n % 10 = 1;
INSERT INTO conversion_moves (site_id, id, conversion_id, at, from_state, to_state, reason)
SELECT site_id, md5('move' || id)::uuid, id, created_at, NULL, 'held', 'stage_weight' FROM conversions WHERE site_id = '{site}' AND state = 'retracted'
UNION ALL
SELECT site_id, md5('back' || id)::uuid, id, updated_at, 'held', 'retracted', 'undone' FROM conversions
WHERE site_id = '{site}' AND state = 'retracted';
UPDATE calls c SET status = latest.to_status, version = latest.version, updated_at = latest.at, suspicion = '{}',
    confirmed_by = CASE WHEN latest.to_status IN ('sealed', 'junk') THEN latest.actor END,
    confirmed_at = CASE WHEN latest.to_status = 'junk' THEN latest.at ELSE c.confirmed_at END,
    junk_reason = CASE WHEN latest.to_status = 'junk' THEN 'spam' END
FROM (SELECT DISTINCT ON (call_id) call_id, to_status, version, at, actor FROM intent_actions
    WHERE site_id = '{site}' ORDER BY call_id, version DESC) latest
WHERE c.site_id = '{site}' AND c.id = latest.call_id;

-- A second tap of the same visit, ten minutes later; and one an hour later, which is a lead of its own.
INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, status, phone_number, matched_session_id,
    matched_session_month, matched_fingerprint, intent_stamp, intent_action, intent_target, currency, merged_into)
SELECT c.site_id, md5('tap' || minutes || c.id)::uuid, at, at, at, 'intent', c.phone_number,
    c.matched_session_id, c.matched_session_month, c.matched_fingerprint, c.intent_stamp || minutes, c.intent_action,
    c.intent_target, c.currency, CASE minutes WHEN 10 THEN c.id END
FROM calls c JOIN leads l ON l.id = c.id CROSS JOIN (VALUES (10), (60)) AS m (minutes)
CROSS JOIN LATERAL (SELECT c.created_at + minutes * interval '1 minute' AS at) AS t
WHERE c.site_id = '{site}' AND l.n % 20 = 3;

-- What goes out about a lead, and what upkeep has done.
INSERT INTO webhooks (site_id, id, url, events, secret, key_id)
VALUES ('{site}', md5('hook{site}')::uuid, 'https://crm.example/hook', '{lead.created,lead.decided}', '\x00', 'k1');
INSERT INTO webhook_deliveries (site_id, id, webhook_id, event_id, type, call_id, payload, state, attempts, created_at, delivered_at)
SELECT site_id, md5('delivery' || id)::uuid, md5('hook{site}')::uuid, md5('told' || id)::uuid, 'lead.created', id, '{}', 'delivered', 1,
    created_at, created_at
FROM leads WHERE n % 10 = 0;
INSERT INTO notice_wishes (site_id, user_id, pace) VALUES ('{site}', md5('{site}')::uuid, 'every');
INSERT INTO lead_notices (site_id, user_id, call_id, created_at, sent_at)
SELECT site_id, person, id, created_at, created_at + interval '5 seconds' FROM leads WHERE n % 10 = 0;
INSERT INTO upkeep_runs (job, started_at, finished_at, outcome, detail)
SELECT 'verify_counters', now() - interval '1 hour', now() - interval '1 hour', 'ok', '{}';
