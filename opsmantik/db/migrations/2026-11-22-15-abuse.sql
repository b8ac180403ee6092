-- Who may post for a site and how much; and what is kept of that which was refused, so that it can be let in as it came.
SET LOCAL lock_timeout = '1200ms';

ALTER TABLE site_origins
    ADD COLUMN verified_at timestamptz,
    ADD COLUMN last_seen_at timestamptz;
COMMENT ON COLUMN site_origins.origin IS 'Scheme, host and port as browsers write them in Origin; https://*.example.com: every name below example.com, not itself; null: pages without an origin.';
COMMENT ON COLUMN site_origins.verified_at IS 'When the first event from there was stored.';

ALTER TABLE sites
    ADD COLUMN monthly_quota bigint,
    ADD COLUMN rate_per_minute integer,
    ADD COLUMN quarantine_days integer NOT NULL DEFAULT 30,
    ADD COLUMN allowed_bots text[] NOT NULL DEFAULT '{}',
    ADD COLUMN quota_noted_month date,
    ADD COLUMN quota_noted_percent integer;
COMMENT ON COLUMN sites.monthly_quota IS 'Stored events in a calendar month of the site; null: no quota. From 200 % on all but leads are refused.';
COMMENT ON COLUMN sites.rate_per_minute IS 'Events a minute that one client may send for this site; null: as the installation has it.';
COMMENT ON COLUMN sites.quarantine_days IS 'How long refused events are kept.';
COMMENT ON COLUMN sites.allowed_bots IS 'Automatic visitors, by the name that ingest gives them, whose events are taken.';
COMMENT ON COLUMN sites.quota_noted_percent IS 'The highest share of the quota that was noted in quota_noted_month: 80, 100 or 200.';
-- Few sites, and the columns are new: there is nothing to check.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE sites ADD CONSTRAINT sites_monthly_quota_check CHECK (monthly_quota BETWEEN 1 AND 1000000000000);
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE sites ADD CONSTRAINT sites_rate_per_minute_check CHECK (rate_per_minute BETWEEN 1 AND 100000);
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE sites ADD CONSTRAINT sites_quarantine_days_check CHECK (quarantine_days BETWEEN 1 AND 90);
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE sites ADD CONSTRAINT sites_allowed_bots_check CHECK (cardinality(allowed_bots) <= 100);

-- What the steps of the pipeline look at, and the clock that the sender said it had: an event that is let in later goes
-- the way that it would have gone.
ALTER TABLE rejected_events
    ADD COLUMN origin text,
    ADD COLUMN user_agent text,
    ADD COLUMN ip_address inet,
    ADD COLUMN sent_ms bigint,
    ADD COLUMN tracker text;
COMMENT ON COLUMN rejected_events.user_agent IS 'Null: not kept, as in rows of before; an empty one was sent so.';
COMMENT ON COLUMN rejected_events.ip_address IS 'Cut to its network, as in sessions; null where the site keeps none.';
-- A table of what went wrong is small: at most a few thousand rows a site and reason.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX rejected_events_reason_idx ON rejected_events (site_id, reason, received_at DESC, id DESC);

CREATE TYPE rejected_row_v2 AS (
    site_id uuid, id uuid, received_at timestamptz, door text, reason text, detail text, payload bytea,
    origin text, user_agent text, ip_address text, sent_ms bigint, tracker text
);
