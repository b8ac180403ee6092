-- broken: a standby that has gone, and five segments since
SELECT pg_create_physical_replication_slot('gone', true);
DO $$ BEGIN FOR i IN 1..5 LOOP PERFORM pg_logical_emit_message(false, 'audit', 'x'); PERFORM pg_switch_wal(); END LOOP; END $$;
-- finds: slot gone
-- fixed
