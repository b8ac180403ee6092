-- broken: a table that is far larger than the memory for it, read again and again
SET temp_buffers = '800kB';
CREATE TEMPORARY TABLE large (n integer, words text);
ALTER TABLE large ALTER COLUMN words SET STORAGE PLAIN;
INSERT INTO large SELECT n, repeat('x', 5000) FROM generate_series(1, 4000) n;
DO $$ BEGIN FOR i IN 1..280 LOOP PERFORM count(*) FROM large WHERE n > i; END LOOP; END $$;
SELECT pg_stat_force_next_flush();
-- finds: database
-- fixed
SELECT pg_stat_reset();
