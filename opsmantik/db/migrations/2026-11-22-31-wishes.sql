-- A background job that somebody wants now, and not at its turn.
SET LOCAL lock_timeout = '1200ms';

CREATE TABLE upkeep_wishes (
    job text PRIMARY KEY CHECK (length(job) BETWEEN 1 AND 40),
    asked_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE upkeep_wishes IS 'A job is wished for once; the node that runs it takes the row away.';
ALTER TABLE upkeep_wishes ENABLE ROW LEVEL SECURITY;
ALTER TABLE upkeep_wishes FORCE ROW LEVEL SECURITY;
-- No tenant's rows: the owner's functions and jobs need not ask for them by name.
CREATE POLICY owner_functions ON upkeep_wishes TO CURRENT_USER USING (true) WITH CHECK (true);
