-- broken
SELECT pg_stat_reset_shared(CASE WHEN current_setting('server_version_num')::integer >= 170000 THEN 'checkpointer' ELSE 'bgwriter' END);
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.statistics_since = %L', current_database(), now() - interval '25 hours'); END $$;
CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT;
CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT;
CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT; CHECKPOINT;
-- finds: server
-- fixed
SELECT pg_stat_reset_shared(CASE WHEN current_setting('server_version_num')::integer >= 170000 THEN 'checkpointer' ELSE 'bgwriter' END);
