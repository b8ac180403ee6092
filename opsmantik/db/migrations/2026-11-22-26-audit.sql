-- Runs of the audit over this database: what was found, to compare the next one with.
SET LOCAL lock_timeout = '1200ms';

CREATE TABLE audit_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    seconds numeric NOT NULL,
    errors integer NOT NULL,
    warnings integer NOT NULL,
    unknown integer NOT NULL,
    report jsonb NOT NULL
);
COMMENT ON COLUMN audit_runs.report IS 'The whole report. Of the tables and sites it names, never of what a visitor sent.';
CREATE INDEX audit_runs_started_idx ON audit_runs (started_at DESC);
ALTER TABLE audit_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_runs FORCE ROW LEVEL SECURITY;
-- No tenant's rows: the owner's functions and jobs need not ask for them by name.
CREATE POLICY owner_functions ON audit_runs TO CURRENT_USER USING (true) WITH CHECK (true);
