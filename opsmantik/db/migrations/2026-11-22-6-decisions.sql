-- What people decide about leads: the columns of a decision, the log of every act, and the ledger of conversions.
SET LOCAL lock_timeout = '1200ms';

ALTER TABLE calls
    ADD COLUMN merged_into uuid,
    ADD COLUMN quality smallint CHECK (quality BETWEEN 0 AND 100),
    ADD COLUMN stage text CHECK (stage IN ('contacted', 'offered', 'won')),
    ADD COLUMN sale_at timestamptz,
    ADD COLUMN junk_reason text CHECK (length(junk_reason) <= 200),
    ADD COLUMN suspicion text[],
    ADD COLUMN is_automatic boolean NOT NULL DEFAULT false;
ALTER TABLE calls SET (fillfactor = 80);
COMMENT ON COLUMN calls.merged_into IS 'The lead that this tap repeats: same visit, within half an hour. Such a row is a tap, not a lead.';
COMMENT ON COLUMN calls.confirmed_at IS 'When the present status was decided; null while nobody has.';
COMMENT ON COLUMN calls.quality IS 'What the operator thinks of the lead, 0 to 100; five stars are 20 points each.';
COMMENT ON COLUMN calls.suspicion IS 'The rules that found it suspicious.';
COMMENT ON COLUMN calls.is_automatic IS 'Decided by a rule that the site switched on, not by a person.';
-- Over columns that are null in every row yet, or nearly: checking and building takes a moment.
-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
ALTER TABLE calls ADD CONSTRAINT calls_merged_into_fkey FOREIGN KEY (site_id, merged_into) REFERENCES calls (site_id, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX calls_merged_idx ON calls (site_id, merged_into) WHERE merged_into IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX calls_decided_idx ON calls (site_id, confirmed_at) WHERE confirmed_at IS NOT NULL;

-- Every act on a lead, with what was there before it. Only ever added to.
CREATE TABLE intent_actions (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    call_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    actor uuid,
    actor_kind text NOT NULL CHECK (actor_kind IN ('person', 'rule', 'key')),
    action text NOT NULL CHECK (length(action) BETWEEN 1 AND 40),
    from_status text NOT NULL,
    to_status text NOT NULL,
    version integer NOT NULL,
    before jsonb NOT NULL,
    note text,
    undoes uuid,
    PRIMARY KEY (site_id, id)
);
COMMENT ON COLUMN intent_actions.version IS 'The lead''s version after the act.';
COMMENT ON COLUMN intent_actions.before IS 'The columns that the act changed, as they were.';
ALTER TABLE intent_actions ADD CONSTRAINT intent_actions_call_fkey
    FOREIGN KEY (site_id, call_id) REFERENCES calls (site_id, id);
ALTER TABLE intent_actions ADD CONSTRAINT intent_actions_actor_fkey
    FOREIGN KEY (actor) REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE intent_actions ADD CONSTRAINT intent_actions_undoes_key UNIQUE (site_id, undoes);
CREATE INDEX intent_actions_call_idx ON intent_actions (site_id, call_id, version DESC);
CREATE INDEX intent_actions_site_at_idx ON intent_actions (site_id, at DESC, id DESC);
CREATE INDEX intent_actions_actor_idx ON intent_actions (actor) WHERE actor IS NOT NULL;

-- The one ledger of what goes to an ad platform. A sealed lead has a row here: one that will be sent, or one that
-- says why not.
CREATE TABLE conversions (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    call_id uuid NOT NULL,
    order_id text NOT NULL CHECK (length(order_id) BETWEEN 1 AND 64),
    state text NOT NULL CHECK (state IN
        ('held', 'queued', 'sent', 'accepted', 'matched', 'failed', 'retracted', 'skipped')),
    reason text,
    due_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    value numeric CHECK (value >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    click_id text,
    click_id_kind text CHECK (click_id_kind IN ('gclid', 'wbraid', 'gbraid')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, id),
    CONSTRAINT conversions_order_key UNIQUE (site_id, order_id),
    CONSTRAINT conversions_reason CHECK (state NOT IN ('failed', 'skipped') OR reason IS NOT NULL),
    CONSTRAINT conversions_click_id_whole CHECK ((click_id IS NULL) = (click_id_kind IS NULL))
);
COMMENT ON COLUMN conversions.order_id IS 'The exactly-once key towards the platform: says nothing about any person.';
COMMENT ON COLUMN conversions.due_at IS 'Not before: the time in which a seal can be taken back unseen.';
ALTER TABLE conversions ADD CONSTRAINT conversions_call_fkey FOREIGN KEY (site_id, call_id) REFERENCES calls (site_id, id);
CREATE INDEX conversions_call_idx ON conversions (site_id, call_id);
CREATE UNIQUE INDEX conversions_live_key ON conversions (site_id, call_id) WHERE state <> 'retracted';
CREATE INDEX conversions_state_idx ON conversions (site_id, state, due_at);

-- Every move of a conversion. Only ever added to.
CREATE TABLE conversion_moves (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    conversion_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    from_state text,
    to_state text NOT NULL,
    reason text,
    PRIMARY KEY (site_id, id)
);
ALTER TABLE conversion_moves ADD CONSTRAINT conversion_moves_conversion_fkey
    FOREIGN KEY (site_id, conversion_id) REFERENCES conversions (site_id, id);
CREATE INDEX conversion_moves_conversion_idx ON conversion_moves (site_id, conversion_id, at);

ALTER TABLE sites
    ADD COLUMN undo_minutes integer NOT NULL DEFAULT 10 CHECK (undo_minutes BETWEEN 0 AND 1440),
    ADD COLUMN auto_approve_hours integer CHECK (auto_approve_hours BETWEEN 1 AND 168),
    ADD COLUMN auto_junk_days integer DEFAULT 90 CHECK (auto_junk_days BETWEEN 7 AND 184);
COMMENT ON COLUMN sites.undo_minutes IS 'How long a conversion is held before it may be sent.';
COMMENT ON COLUMN sites.auto_approve_hours IS 'Leads that waited so long and carry no risk are sealed by rule; null: never, until somebody switches it on.';
COMMENT ON COLUMN sites.auto_junk_days IS 'Leads that nobody touched for so long become junk; null: never.';

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['intent_actions', 'conversions', 'conversion_moves'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_owner_function ON %I TO CURRENT_USER '
            'USING (current_setting(''app.maintenance'', true) = ''on'') '
            'WITH CHECK (current_setting(''app.maintenance'', true) = ''on'')', t);
        EXECUTE format('CREATE POLICY %I ON %I FOR SELECT '
            'USING (site_id = ANY (nullif(current_setting(''app.sites'', true), '''')::uuid[]))',
            t || '_select_accessible', t);
        EXECUTE format('GRANT SELECT ON %I TO opsmantik_app', t);
    END LOOP;
END $$;
