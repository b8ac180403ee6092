-- The first generation's facts in miniature: its tables, keys and partitions, as far as the checks ask for them. Nothing is
-- wrong with these rows.
CREATE TABLE sites (id uuid PRIMARY KEY, user_id uuid NOT NULL, public_id text NOT NULL UNIQUE, currency text DEFAULT 'TRY');
CREATE TABLE sessions (id uuid NOT NULL, site_id uuid NOT NULL REFERENCES sites ON DELETE CASCADE, created_month date NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), gclid text, event_count integer DEFAULT 0,
    PRIMARY KEY (id, created_month)) PARTITION BY RANGE (created_month);
CREATE TABLE events (id uuid NOT NULL DEFAULT gen_random_uuid(), session_id uuid NOT NULL, session_month date NOT NULL, site_id uuid,
    created_at timestamptz DEFAULT now(), event_category text NOT NULL, event_action text NOT NULL, PRIMARY KEY (id, session_month),
    CONSTRAINT events_session_fkey FOREIGN KEY (session_id, session_month) REFERENCES sessions (id, created_month) ON DELETE CASCADE
) PARTITION BY RANGE (session_month);
CREATE TABLE sessions_2026_01 PARTITION OF sessions FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE sessions_2026_02 PARTITION OF sessions FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE events_2026_01 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_2026_02 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE calls (id uuid PRIMARY KEY, site_id uuid NOT NULL REFERENCES sites ON DELETE CASCADE, phone_number text,
    matched_session_id uuid, created_at timestamptz DEFAULT now(), status text DEFAULT 'intent', source text DEFAULT 'click',
    intent_stamp text, intent_action text, intent_target text, sale_amount numeric, currency text NOT NULL DEFAULT 'TRY');

INSERT INTO sites SELECT md5('site' || n)::uuid, md5('user')::uuid, n FROM generate_series(1, 2) n;
INSERT INTO sessions (id, site_id, created_month, created_at)
SELECT md5('visit' || n)::uuid, md5('site' || 1 + n % 2)::uuid, date_trunc('month', at AT TIME ZONE 'UTC'), at
FROM generate_series(1, 80) n CROSS JOIN LATERAL (SELECT timestamptz '2026-01-01 10:00Z' + n * interval '17 hours' AS at) t;
INSERT INTO events (session_id, session_month, site_id, created_at, event_category, event_action)
SELECT id, created_month, site_id, created_at, 'interaction', 'view' FROM sessions CROSS JOIN generate_series(1, 3);
INSERT INTO calls (id, site_id, phone_number, matched_session_id, created_at, intent_stamp, intent_action, intent_target)
SELECT md5('call' || id)::uuid, site_id, '+905000000012', id, created_at, id::text, 'phone', '+905000000012' FROM sessions;
UPDATE calls SET status = 'confirmed', sale_amount = 100 WHERE created_at < '2026-01-10Z';
