-- broken: on months that the planner takes for large
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET enable_partition_pruning = off', current_database()); END $$;
UPDATE pg_class SET reltuples = 100000 WHERE relnamespace = 'parts'::regnamespace AND relkind = 'r';
-- finds: enable_partition_pruning
-- finds: dashboard/cards/newest_sessions\.newest_sessions
-- finds: (dashboard|decisions|privacy|counters)/[a-z_/]+\.[a-z_]+
-- fixed
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET enable_partition_pruning', current_database()); END $$;
ANALYZE sessions, events;
