-- broken
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.long_transaction = ''0 s''', current_database()); END $$;
COMMIT;
BEGIN;
SELECT 1;
-- finds: session \d+
-- fixed
ROLLBACK;
