-- All of these run as the schema's owner, with app.maintenance on: the demo is set up from the server itself,
-- where nobody is signed in.

-- One set-up at a time; the second waits and finds nothing to do.
-- name: lock
SELECT pg_advisory_lock(hashtextextended('opsmantik: demo', 0));

-- The demo's user runs the platform only where there is nobody else: beside real tenants it must not see them.
-- name: save_user
WITH saved AS (
    INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, $4)
    ON CONFLICT (email) DO UPDATE SET password_hash = excluded.password_hash, updated_at = now(), disabled_at = NULL
    RETURNING id
), profile AS (
    INSERT INTO profiles (id, role)
    SELECT id, CASE WHEN EXISTS (SELECT FROM users u WHERE u.email <> $2) THEN 'user' ELSE 'admin' END FROM saved
    ON CONFLICT (id) DO NOTHING
)
SELECT id FROM saved;

-- name: user_by_email
SELECT id, password_hash, disabled_at IS NOT NULL AS disabled FROM users WHERE email = $1;

-- Whose site the one made next in this transaction will be.
-- name: act_as
SELECT set_config('app.person', $1, true);

-- name: site_by_public_id
SELECT id FROM sites WHERE public_id = $1;

-- The sites look as old as their history.
-- name: backdate_site
UPDATE sites SET created_at = least(created_at, $2) WHERE id = $1;

-- name: add_origins
INSERT INTO site_origins (site_id, origin) SELECT $1, o FROM unnest($2::text[]) AS o ON CONFLICT DO NOTHING;

-- History goes in by the time at which visits began, so the newest session says how far it reaches.
-- name: newest_session
SELECT max(created_at) FROM sessions WHERE site_id = $1;

-- name: make_months
SELECT make_month(month::date) FROM generate_series(
    date_trunc('month', $1::timestamptz AT TIME ZONE 'UTC'), $2::timestamptz AT TIME ZONE 'UTC', '1 month') AS month;

-- name: analyze
ANALYZE session_keys, sessions, events, calls, visitors, ingest_tally, rejected_events, counter_journal, counter_days;

-- What an operator would have decided about leads of site $1 that came in from $2 to $3: warm ones are sealed rather,
-- within some hours; a few wait. Not through the decisions' own door, since there an act happens now. The rows
-- are those that it would have written; nothing is sent, for the clicks of the demo are made up.
-- name: decide_history
WITH dice AS (
    SELECT c.*, ('x' || substr(md5(c.id::text), 1, 6))::bit(24)::integer % 100 AS n,
        ('x' || substr(md5(c.id::text), 7, 6))::bit(24)::integer AS m
    FROM calls c
    WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.status = 'intent' AND c.merged_into IS NULL
), chosen AS (
    SELECT d.*, CASE WHEN d.n < 20 + d.lead_score / 2 THEN 'sealed' WHEN d.n < 88 THEN 'junk'
                     WHEN d.n < 94 THEN 'pending' END AS verdict,
        d.created_at + make_interval(mins => 2 + d.m % 170) AS decided_at
    FROM dice d
), decided AS (
    UPDATE calls c SET status = o.verdict, version = c.version + 1, updated_at = o.decided_at,
        confirmed_at = CASE WHEN o.verdict <> 'pending' THEN o.decided_at END,
        confirmed_by = CASE WHEN o.verdict <> 'pending' THEN $4::uuid END,
        sale_amount = CASE WHEN o.verdict = 'sealed' AND o.m % 5 > 0 THEN (ARRAY[1000, 2500, 5000, 10000, 25000])[1 + o.m % 4] END,
        quality = CASE WHEN o.verdict = 'sealed' THEN 40 + 20 * (o.m % 4) END,
        junk_reason = CASE WHEN o.verdict = 'junk' THEN (ARRAY['wrong_number', 'no_answer', 'not_interested'])[1 + o.m % 3] END
    FROM chosen o WHERE c.site_id = $1 AND c.id = o.id AND o.verdict IS NOT NULL
    RETURNING c.*
), logged AS (
    INSERT INTO intent_actions (site_id, id, call_id, at, actor, actor_kind, action, from_status, to_status, version, before)
    SELECT d.site_id, gen_random_uuid(), d.id, d.updated_at, $4, 'person',
        CASE d.status WHEN 'sealed' THEN 'seal' WHEN 'junk' THEN 'junk' ELSE 'pend' END, 'intent', d.status, d.version,
        '{"status": "intent"}' FROM decided d
), ledger AS (
    INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency, created_at, updated_at)
    SELECT d.site_id, gen_random_uuid(), d.id, replace(d.id::text, '-', '') || '-1', 'skipped', 'test_click', d.confirmed_at,
        d.occurred_at, d.sale_amount, d.currency, d.confirmed_at, d.confirmed_at FROM decided d WHERE d.status = 'sealed'
    RETURNING *
), moved AS (
    INSERT INTO conversion_moves (site_id, id, conversion_id, at, to_state, reason)
    SELECT l.site_id, gen_random_uuid(), l.id, l.created_at, l.state, l.reason FROM ledger l
)
SELECT count(*) FROM decided;

-- name: rebuild_counters
SELECT rebuild_counters($1);
