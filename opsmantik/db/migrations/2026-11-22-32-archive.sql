-- Months that left the database for files, who is still to be taken out of these, and what upkeep has done once.
SET LOCAL lock_timeout = '1200ms';

-- Beyond the month itself: how its files are, by what they are known, and how long it may be back in the database.
CREATE TABLE archived_months (
    month date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    sites uuid[] NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,
    node text,
    files jsonb,
    restored_until timestamptz,
    forgotten_at timestamptz,
    CONSTRAINT archived_months_files CHECK ((files IS NOT NULL) = (archived_at IS NOT NULL AND forgotten_at IS NULL))
);
COMMENT ON COLUMN archived_months.sites IS 'Whose rows are in it. Committed before the rows are read: an erasure that begins later knows of it.';
COMMENT ON COLUMN archived_months.archived_at IS 'When the files were whole and read back. Until then nothing of the month is forgotten.';
COMMENT ON COLUMN archived_months.files IS '{"sessions": {"file", "sha256", "bytes", "rows", "checksum"}, "events": ...}: no other files are this month''s.';
COMMENT ON COLUMN archived_months.restored_until IS 'Retention leaves the month alone until then.';
COMMENT ON COLUMN archived_months.forgotten_at IS 'When its files were removed for good.';
ALTER TABLE archived_months ENABLE ROW LEVEL SECURITY;
ALTER TABLE archived_months FORCE ROW LEVEL SECURITY;
-- No tenant's rows: the owner's functions and jobs need not ask for them by name.
CREATE POLICY owner_functions ON archived_months TO CURRENT_USER USING (true) WITH CHECK (true);

-- An archived month that an erasure has still to be carried out in. The subject stays sealed in the erasure until none is left.
CREATE TABLE archive_erasures (
    site_id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    month date NOT NULL,
    PRIMARY KEY (site_id, erasure_id, month)
);
ALTER TABLE archive_erasures ADD CONSTRAINT archive_erasures_erasure_fkey
    FOREIGN KEY (site_id, erasure_id) REFERENCES erasures (site_id, id);
ALTER TABLE archive_erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE archive_erasures FORCE ROW LEVEL SECURITY;
CREATE POLICY by_owner_function ON archive_erasures TO CURRENT_USER
    USING (current_setting('app.maintenance', true) = 'on') WITH CHECK (current_setting('app.maintenance', true) = 'on');
CREATE POLICY archive_erasures_select_accessible ON archive_erasures FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
GRANT SELECT ON archive_erasures TO opsmantik_app;

-- Put back in the next statement, but for its last part.
-- squawk-ignore ban-drop-constraint
ALTER TABLE erasures DROP CONSTRAINT erasures_finished;
-- Few rows, each held to it from now on.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE erasures ADD CONSTRAINT erasures_finished CHECK ((finished_at IS NULL) = (certificate IS NULL));

-- Partitions that were frozen after their month had ended: once is enough.
CREATE TABLE frozen_parts (
    name text PRIMARY KEY,
    frozen_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE frozen_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE frozen_parts FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_functions ON frozen_parts TO CURRENT_USER USING (true) WITH CHECK (true);

ALTER TABLE upkeep_runs ADD COLUMN node text;
COMMENT ON COLUMN upkeep_runs.node IS 'The machine and the process that ran it.';
