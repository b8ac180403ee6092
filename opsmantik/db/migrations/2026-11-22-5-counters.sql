-- Counters: what every figure on a screen is added up from. A write says what it changes, in its own transaction, as
-- entries of counter_journal; a fold moves them into one row a site and day within a second or so. Whoever reads adds
-- both (view counters, functions/counters.sql), so no figure runs ahead of the data or behind it, and no two writers
-- ever wait for the same counter row.
SET LOCAL lock_timeout = '1200ms';

-- One fact that is counted (n = 1), no longer counted (n = -1), or counted at once with others of its kind.
-- Holds instants, never days: which day an instant belongs to is the site's time zone's business, when it is folded.
CREATE TYPE counter_entry AS (
    kind text,             -- session, events, call, decision, conversion
    n integer,
    at timestamptz,        -- when it was captured; of a decision: when it was taken
    is_paid boolean,       -- of the session that it belongs to
    has_click_id boolean,
    source text, channel text, device text, place text, campaign text, keyword text, matchtype text, page text,
    visitor text,          -- of a session
    conversions integer,   -- of events: how many of the n are conversions,
    forms integer,         -- and how many are forms sent
    status text,           -- of a call, a decision, a conversion
    action text, captured_by text, is_automatic boolean,
    amount numeric, currency text,
    scroll integer,        -- of a call: how far its session scrolled, in percent
    seconds bigint         -- of a decision: how long the lead had waited
);

CREATE TYPE site_entry AS (site_id uuid, entry counter_entry);

-- Forms are counted apart. A server that still calls the functions of before is told to try again (503): what
-- they write would not be counted.
DROP FUNCTION IF EXISTS ingest_batch(session_draft[], event_draft[], intent_draft[], tally_draft[], rejected_draft[]);
DROP FUNCTION IF EXISTS record_call(uuid, uuid, text, text, text, integer, integer);
ALTER TYPE session_draft ADD ATTRIBUTE forms integer;
-- The tap of the same batch and visit that this one repeats.
ALTER TYPE intent_draft ADD ATTRIBUTE repeats uuid;

CREATE TABLE counter_journal (
    site_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    entries counter_entry[] NOT NULL DEFAULT '{}',
    tally tally_draft[] NOT NULL DEFAULT '{}',
    changed_at timestamptz NOT NULL,
    last_event_at timestamptz,
    last_intent_at timestamptz,
    PRIMARY KEY (site_id, id)
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000);
COMMENT ON TABLE counter_journal IS 'One row a transaction and site: what it changes in the counters. Rows live for about a second.';

-- A number of things that have a dimension's key in common, on one day of the site. Null stands for 0.
CREATE TYPE counter_cell AS (
    dimension text, key text, is_paid boolean,
    sessions integer, click_sessions integer, visitors integer,
    events integer, conversions integer, forms integer,
    leads integer, click_leads integer, sealed integer, junk integer,
    amount numeric,        -- of what is sealed, in the site's currency
    scroll bigint, scrolled integer,
    seconds bigint
);

-- One row a site and day, whatever happened on it: reading a range costs its days. Room is left on each page, since
-- today's row grows all day.
CREATE TABLE counter_days (
    site_id uuid NOT NULL,
    day date NOT NULL,
    main counter_cell[] NOT NULL DEFAULT '{}',
    sources counter_cell[] NOT NULL DEFAULT '{}',
    hours counter_cell[] NOT NULL DEFAULT '{}',
    details counter_cell[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (site_id, day)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON COLUMN counter_days.main IS 'Totals and statuses. In parts (see counter_part), so that a tile need not unpack every keyword.';
COMMENT ON COLUMN counter_days.day IS 'A day of the site, in its own time zone.';

ALTER TABLE counter_days ADD CONSTRAINT counter_days_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
-- Parts of a day are counted from the rows, which lie in the order in which they came.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX events_created_idx ON events USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);

-- No foreign key from the journal: its rows live for a second, and the rows that they tell of have one.

ALTER TABLE site_pulse ADD COLUMN counted_at timestamptz;
COMMENT ON COLUMN site_pulse.counted_at IS 'Since when the site''s counters stand; null: they have to be built from its rows first.';

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['counter_journal', 'counter_days'] LOOP
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
