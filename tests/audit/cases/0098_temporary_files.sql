-- broken: thirty sorts that do not fit
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.statistics_since = %L', current_database(), now() - interval '25 hours'); END $$;
SET work_mem = '64kB';
DO $$ BEGIN FOR i IN 1..30 LOOP PERFORM count(*) FROM (SELECT FROM generate_series(1, 60000) n ORDER BY repeat(md5((n + i)::text), 2) OFFSET 1) x; END LOOP; END $$;
SELECT pg_stat_force_next_flush();
-- finds: database
-- fixed
SELECT pg_stat_reset();
