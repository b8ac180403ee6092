-- broken
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'calls_decided_idx'::regclass;
-- finds: public\.calls_decided_idx
-- fixed
