-- broken: a commit that does not wait, for whoever signs in here
DO $$ BEGIN EXECUTE format('ALTER ROLE opsmantik_app IN DATABASE %I SET synchronous_commit = off', current_database()); END $$;
ALTER TABLE calls SET (autovacuum_enabled = off);
-- finds: synchronous_commit
-- finds: public\.calls
-- fixed
DO $$ BEGIN EXECUTE format('ALTER ROLE opsmantik_app IN DATABASE %I RESET synchronous_commit', current_database()); END $$;
ALTER TABLE calls RESET (autovacuum_enabled);
