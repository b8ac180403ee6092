-- What a site tells other programs (webhooks), and its people by mail. Both are outboxes: what is to be told is written
-- in the transaction that makes it true, and sent afterwards.
SET LOCAL lock_timeout = '1200ms';

CREATE TABLE webhooks (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    url text NOT NULL CHECK (length(url) BETWEEN 10 AND 2000),
    events text[] NOT NULL CHECK (cardinality(events) > 0
        AND events <@ ARRAY['lead.created', 'lead.decided', 'conversion.state_changed']),
    with_phone boolean NOT NULL DEFAULT false,
    with_click_id boolean NOT NULL DEFAULT false,
    secret bytea NOT NULL,
    next_secret bytea,
    key_id text NOT NULL,
    rotating_since timestamptz,
    off_reason text CHECK (off_reason IN ('paused', 'gone', 'failing')),
    failing_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, id),
    CONSTRAINT webhooks_rotating CHECK ((next_secret IS NULL) = (rotating_since IS NULL))
);
COMMENT ON COLUMN webhooks.secret IS 'Sealed by the application; key_id names the key, the row''s id belongs to the seal.';
COMMENT ON COLUMN webhooks.next_secret IS 'While a secret is being replaced both sign.';
COMMENT ON COLUMN webhooks.off_reason IS 'Why nothing is sent there; null: it is on.';
COMMENT ON COLUMN webhooks.failing_since IS 'The first failure since the last success.';
ALTER TABLE webhooks ADD CONSTRAINT webhooks_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE webhooks ADD CONSTRAINT webhooks_created_by_fkey
    FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX webhooks_created_by_idx ON webhooks (created_by) WHERE created_by IS NOT NULL;

CREATE TABLE webhook_deliveries (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    webhook_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL CHECK (length(type) <= 60),
    call_id uuid,
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed', 'given_up')),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    tries jsonb NOT NULL DEFAULT '[]',
    response text CHECK (length(response) <= 1024),
    created_at timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    PRIMARY KEY (site_id, id)
);
COMMENT ON COLUMN webhook_deliveries.event_id IS 'The webhook-id of the message: the same at every try, and for every webhook of the site.';
COMMENT ON COLUMN webhook_deliveries.attempts IS 'Tries begun, the one under way included; a replay begins anew.';
COMMENT ON COLUMN webhook_deliveries.next_at IS 'When it is due. Whoever takes it moves this on first: should they die, it is due again then.';
COMMENT ON COLUMN webhook_deliveries.tries IS 'The latest tries: when, answered what, or failed how, and in how many milliseconds.';
-- A lead that is erased takes with it what is still to be told about it, and what was.
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_webhook_fkey
    FOREIGN KEY (site_id, webhook_id) REFERENCES webhooks (site_id, id) ON DELETE CASCADE;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_call_fkey
    FOREIGN KEY (site_id, call_id) REFERENCES calls (site_id, id) ON DELETE CASCADE;
CREATE INDEX webhook_deliveries_log_idx ON webhook_deliveries (site_id, webhook_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (site_id, webhook_id, next_at)
    WHERE state IN ('waiting', 'failed');
CREATE INDEX webhook_deliveries_call_idx ON webhook_deliveries (site_id, call_id) WHERE call_id IS NOT NULL;
-- A lead is new once.
CREATE UNIQUE INDEX webhook_deliveries_created_key ON webhook_deliveries (site_id, webhook_id, call_id)
    WHERE type = 'lead.created';

-- Who of a site's people wants to be told of new leads by mail, and how often.
CREATE TABLE notice_wishes (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    pace text NOT NULL CHECK (pace IN ('off', 'every', 'quarter_hour', 'hour')),
    quiet_from time,
    quiet_until time,
    language text NOT NULL DEFAULT 'en',
    next_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, user_id),
    CONSTRAINT notice_wishes_quiet_whole
        CHECK ((quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from <> quiet_until)
);
COMMENT ON COLUMN notice_wishes.quiet_from IS 'By the site''s clock; past midnight where it is after quiet_until.';
COMMENT ON COLUMN notice_wishes.next_at IS 'When to see whether a mail is due; null: nothing waits.';
ALTER TABLE notice_wishes ADD CONSTRAINT notice_wishes_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE notice_wishes ADD CONSTRAINT notice_wishes_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX notice_wishes_user_idx ON notice_wishes (user_id);
CREATE INDEX notice_wishes_due_idx ON notice_wishes (next_at) WHERE next_at IS NOT NULL;

-- The new leads that somebody is to be told of, or was told of lately.
CREATE TABLE lead_notices (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    call_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    PRIMARY KEY (site_id, user_id, call_id)
);
ALTER TABLE lead_notices ADD CONSTRAINT lead_notices_wish_fkey
    FOREIGN KEY (site_id, user_id) REFERENCES notice_wishes (site_id, user_id) ON DELETE CASCADE;
ALTER TABLE lead_notices ADD CONSTRAINT lead_notices_call_fkey
    FOREIGN KEY (site_id, call_id) REFERENCES calls (site_id, id) ON DELETE CASCADE;
CREATE INDEX lead_notices_call_idx ON lead_notices (site_id, call_id);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['webhooks', 'webhook_deliveries', 'notice_wishes', 'lead_notices'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_owner_function ON %I TO CURRENT_USER '
            'USING (current_setting(''app.maintenance'', true) = ''on'') '
            'WITH CHECK (current_setting(''app.maintenance'', true) = ''on'')', t);
    END LOOP;
END $$;
CREATE POLICY webhooks_select_accessible ON webhooks FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
CREATE POLICY webhook_deliveries_select_accessible ON webhook_deliveries FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
-- Of wishes, and of what is to be told, everybody sees their own.
CREATE POLICY notice_wishes_select_own ON notice_wishes FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
        AND user_id = nullif(current_setting('app.person', true), '')::uuid);
CREATE POLICY lead_notices_select_own ON lead_notices FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
        AND user_id = nullif(current_setting('app.person', true), '')::uuid);
-- No secret: the sender gets those from a function, still sealed.
GRANT SELECT (site_id, id, url, events, with_phone, with_click_id, rotating_since, off_reason,
    failing_since, created_at, created_by, updated_at)
    ON webhooks TO opsmantik_app;
GRANT SELECT ON webhook_deliveries, notice_wishes, lead_notices TO opsmantik_app;
