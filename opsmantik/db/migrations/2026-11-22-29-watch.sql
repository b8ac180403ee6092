-- What is wrong with the installation at this moment, and who has been told of it: each trouble is told once when it begins
-- and once when it ends.
SET LOCAL lock_timeout = '1200ms';

CREATE TABLE watch_alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    says text NOT NULL CHECK (length(says) <= 1000),
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    mailed text CHECK (mailed IN ('began', 'ended')),
    posted text CHECK (posted IN ('began', 'ended'))
);
COMMENT ON COLUMN watch_alerts.seen_at IS 'When some node last saw it; it is over when none has for a while.';
COMMENT ON COLUMN watch_alerts.mailed IS 'What people were told last; null: nothing yet.';
COMMENT ON COLUMN watch_alerts.posted IS 'What the webhook was told last; null: nothing yet.';
-- A trouble is there once.
CREATE UNIQUE INDEX watch_alerts_open_key ON watch_alerts (name) WHERE ended_at IS NULL;
CREATE INDEX watch_alerts_ended_idx ON watch_alerts (ended_at) WHERE ended_at IS NOT NULL;
ALTER TABLE watch_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE watch_alerts FORCE ROW LEVEL SECURITY;
-- No tenant's rows: the owner's functions and jobs need not ask for them by name.
CREATE POLICY owner_functions ON watch_alerts TO CURRENT_USER USING (true) WITH CHECK (true);
