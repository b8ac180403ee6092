-- broken
DROP INDEX calls_confirmed_by_idx;
-- finds: public\.calls\.calls_confirmed_by_fkey
-- fixed
-- broken: one that leaves rows out is none
DROP INDEX erasures_requested_by_idx;
CREATE INDEX some_erasures_idx ON erasures (requested_by) WHERE at > '2026-01-01';
-- finds: public\.erasures\.erasures_requested_by_fkey
-- fixed
