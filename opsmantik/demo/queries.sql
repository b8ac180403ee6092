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
ANALYZE session_keys, sessions, events, calls, visitors, ingest_tally, rejected_events;
