-- How conversions leave: where to, in which batches, and what the platform is known to hold of each.
SET LOCAL lock_timeout = '1200ms';
-- Facts bind the owner too; the backfill below reads and writes all sites.
SET LOCAL app.maintenance = 'on';

-- Where a site's conversions go, and how. One place a site: a lead is reported once.
CREATE TABLE conversion_routes (
    site_id uuid NOT NULL,
    adapter text NOT NULL CHECK (adapter IN ('data_manager', 'google_ads', 'file', 'script', 'meta', 'webhook')),
    is_on boolean NOT NULL DEFAULT true,
    destination jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(destination) = 'object'),
    with_hashes boolean NOT NULL DEFAULT false,
    secret bytea,
    key_id text,
    has_grant boolean GENERATED ALWAYS AS (secret IS NOT NULL) STORED,
    connected_by uuid,
    trouble text CHECK (length(trouble) <= 300),
    trouble_at timestamptz,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    claimed_at timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id),
    CONSTRAINT conversion_routes_sealed CHECK ((secret IS NULL) = (key_id IS NULL)),
    CONSTRAINT conversion_routes_trouble CHECK ((trouble IS NULL) = (trouble_at IS NULL))
);
COMMENT ON COLUMN conversion_routes.is_on IS 'The site''s switch: off, and nothing of it leaves, whatever is due.';
COMMENT ON COLUMN conversion_routes.destination IS 'Account and conversion action, by the adapter''s own names. Copied into each batch: what was sent is put right where it was sent.';
COMMENT ON COLUMN conversion_routes.with_hashes IS 'Whether hashed contact data goes along (enhanced conversions for leads), where the visitor agreed.';
COMMENT ON COLUMN conversion_routes.secret IS 'What opens the platform, sealed by the application; key_id names the key.';
COMMENT ON COLUMN conversion_routes.connected_by IS 'Whose connection to the platform is used, where there is no secret of the site''s own.';
COMMENT ON COLUMN conversion_routes.trouble IS 'What somebody has to put right before anything can leave; null: nothing.';
COMMENT ON COLUMN conversion_routes.not_before IS 'The platform has asked for patience until then.';
COMMENT ON COLUMN conversion_routes.claimed_at IS 'Sites take turns by this.';
ALTER TABLE conversion_routes ADD CONSTRAINT conversion_routes_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE conversion_routes ADD CONSTRAINT conversion_routes_connected_by_fkey
    FOREIGN KEY (connected_by) REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX conversion_routes_connected_by_idx ON conversion_routes (connected_by) WHERE connected_by IS NOT NULL;

ALTER TABLE conversions
    ADD COLUMN clicked_at timestamptz,
    ADD COLUMN next_at timestamptz,
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN detail text,
    ADD COLUMN batch_id uuid,
    ADD COLUMN sent_at timestamptz,
    ADD COLUMN sent_to jsonb,
    ADD COLUMN platform_value numeric,
    ADD COLUMN platform_currency text,
    ADD COLUMN taken_back_at timestamptz;
COMMENT ON COLUMN conversions.clicked_at IS 'When the click was made that it names; platforms take none that is older than 90 days.';
COMMENT ON COLUMN conversions.next_at IS 'When its next step is due (owed_step); null: there is none. While it is held, due_at says when that ends.';
COMMENT ON COLUMN conversions.attempts IS 'How often the platform refused it for now.';
COMMENT ON COLUMN conversions.detail IS 'The platform''s own words about its latest refusal.';
COMMENT ON COLUMN conversions.batch_id IS 'The batch that carries it at this moment.';
COMMENT ON COLUMN conversions.sent_to IS 'Adapter and destination to which it went, and where it is put right or taken back.';
COMMENT ON COLUMN conversions.platform_value IS 'What the platform is known, or has to be feared, to hold of it; null: nothing, or nobody here knows.';
COMMENT ON COLUMN conversions.taken_back_at IS 'When the platform confirmed that it was taken back there.';
-- Old and new servers run side by side while this is put in place; neither constraint has rows to refuse.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE conversions ADD CONSTRAINT conversions_detail_length CHECK (length(detail) <= 500);
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE conversions ADD CONSTRAINT conversions_sent_whole CHECK ((sent_to IS NULL) = (sent_at IS NULL));
UPDATE conversions v SET next_at = v.due_at WHERE v.state = 'queued';
-- Sealed leads alone have a row here.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX conversions_next_idx ON conversions (site_id, next_at) WHERE next_at IS NOT NULL AND batch_id IS NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX conversions_held_idx ON conversions (site_id, due_at) WHERE state = 'held';
-- The next ones do what this one did. An expression is only read from an index that has its column too.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX conversions_state_idx;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX conversions_state_list_idx ON conversions (site_id, state, (CASE WHEN click_id_kind IS NULL THEN 'none' ELSE click_id_kind END),
    created_at DESC, id DESC) INCLUDE (click_id_kind, call_id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX conversions_reason_list_idx ON conversions (site_id, reason, state, (CASE WHEN click_id_kind IS NULL THEN 'none' ELSE click_id_kind END),
    created_at DESC, id DESC) INCLUDE (click_id_kind, call_id) WHERE reason IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX conversions_list_idx ON conversions (site_id, created_at DESC) INCLUDE (call_id, state, reason);

-- What left together, or is to: frozen, so that it can be sent again as it was, and looked up for ever.
CREATE TABLE conversion_batches (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('new', 'restate', 'retract')),
    adapter text NOT NULL,
    destination jsonb NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'sent', 'done', 'cancelled')),
    size integer NOT NULL CHECK (size > 0),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz,
    request_id text CHECK (length(request_id) <= 20000),
    error text CHECK (length(error) <= 500),
    file_name text CHECK (length(file_name) <= 200),
    digest bytea CHECK (length(digest) = 32),
    downloads integer NOT NULL DEFAULT 0,
    created_by uuid,
    created_name text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (site_id, id),
    CONSTRAINT conversion_batches_finished CHECK ((finished_at IS NULL) = (state IN ('open', 'sent')))
);
COMMENT ON COLUMN conversion_batches.state IS 'open: it may have arrived although nobody heard so; it is sent again as it is, and nothing else is done about its conversions before. sent: the platform has it, what it made of it is still to be heard. done: each conversion has its answer. cancelled: it certainly did not arrive, and its conversions wait as before.';
COMMENT ON COLUMN conversion_batches.attempts IS 'Counts claims: an answer is taken only from whoever claimed it last.';
COMMENT ON COLUMN conversion_batches.next_at IS 'When it is due again. Whoever claims it moves this on first: should they die, it is due again then. Null: a person or a program elsewhere is to say what became of it.';
COMMENT ON COLUMN conversion_batches.request_id IS 'The platform''s name for it.';
COMMENT ON COLUMN conversion_batches.digest IS 'SHA-256 of the file, which is made anew from the rows at every download and must come out the same.';
ALTER TABLE conversion_batches ADD CONSTRAINT conversion_batches_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE conversion_batches ADD CONSTRAINT conversion_batches_created_by_fkey
    FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX conversion_batches_due_idx ON conversion_batches (site_id, next_at) WHERE next_at IS NOT NULL AND state IN ('open', 'sent');
CREATE INDEX conversion_batches_list_idx ON conversion_batches (site_id, created_at DESC, id DESC);
CREATE INDEX conversion_batches_created_by_idx ON conversion_batches (created_by) WHERE created_by IS NOT NULL;

CREATE TABLE conversion_batch_items (
    site_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    position integer NOT NULL,
    conversion_id uuid NOT NULL,
    order_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    value numeric NOT NULL,
    currency text NOT NULL,
    outcome text CHECK (outcome IN ('accepted', 'matched', 'failed', 'gone', 'withheld', 'cancelled')),
    reason text CHECK (length(reason) <= 100),
    detail text CHECK (length(detail) <= 500),
    PRIMARY KEY (site_id, batch_id, position),
    CONSTRAINT conversion_batch_items_once UNIQUE (site_id, batch_id, conversion_id)
);
COMMENT ON COLUMN conversion_batch_items.value IS 'As it was sent; 0 where it was taken back.';
COMMENT ON COLUMN conversion_batch_items.outcome IS 'gone: there was nothing to change or to take back. withheld: it was not sent again, because consent was withdrawn meanwhile.';
ALTER TABLE conversion_batch_items ADD CONSTRAINT conversion_batch_items_batch_fkey
    FOREIGN KEY (site_id, batch_id) REFERENCES conversion_batches (site_id, id) ON DELETE CASCADE;
-- What is erased is erased here too.
ALTER TABLE conversion_batch_items ADD CONSTRAINT conversion_batch_items_conversion_fkey
    FOREIGN KEY (site_id, conversion_id) REFERENCES conversions (site_id, id) ON DELETE CASCADE;
CREATE INDEX conversion_batch_items_conversion_idx ON conversion_batch_items (site_id, conversion_id);

-- A platform that does not answer is left alone for a while, by all servers and for all sites.
CREATE TABLE provider_circuits (
    provider text PRIMARY KEY CHECK (length(provider) <= 60),
    failures integer NOT NULL DEFAULT 0,
    open_until timestamptz NOT NULL DEFAULT '-infinity',
    reason text CHECK (length(reason) <= 300),
    is_on boolean NOT NULL DEFAULT true,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN provider_circuits.failures IS 'Calls in a row that were not answered.';
COMMENT ON COLUMN provider_circuits.is_on IS 'The installation''s switch: off, and nothing goes there from any site.';
ALTER TABLE provider_circuits ENABLE ROW LEVEL SECURITY;
ALTER TABLE provider_circuits FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_functions ON provider_circuits TO CURRENT_USER USING (true) WITH CHECK (true);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['conversion_routes', 'conversion_batches', 'conversion_batch_items'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_owner_function ON %I TO CURRENT_USER '
            'USING (current_setting(''app.maintenance'', true) = ''on'') '
            'WITH CHECK (current_setting(''app.maintenance'', true) = ''on'')', t);
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT '
            'USING (site_id = ANY (nullif(current_setting(''app.sites'', true), '''')::uuid[]))',
            t || '_select_accessible', t);
    END LOOP;
END $$;
GRANT SELECT ON conversion_batches, conversion_batch_items TO opsmantik_app;
-- All but the sealed secret.
GRANT SELECT (site_id, adapter, is_on, destination, with_hashes, has_grant, connected_by, trouble, trouble_at, not_before, claimed_at,
    created_at, updated_at) ON conversion_routes TO opsmantik_app;
