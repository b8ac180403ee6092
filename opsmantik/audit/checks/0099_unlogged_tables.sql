-- What tenants own survives a crash.
-- group: performance
-- level: error
-- given: fleeting_tables
--
-- An unlogged table is emptied when the server did not stop in order, and no copy of the server has its rows. Fit for what
-- can be made again: of this program's own the reason is told.
SELECT 'unlogged_tables' AS name, CASE WHEN t.is_tenant AND r.reason IS NULL THEN 'error' ELSE 'info' END AS level, format('%I.%I', t.nspname, t.relname) AS object,
    CASE WHEN r.reason IS NOT NULL THEN format('A crash empties it, and may: %s.', r.reason)
        WHEN t.is_tenant THEN 'A crash empties it of every tenant''s rows.' ELSE 'A crash empties it.' END AS detail,
    greatest(t.reltuples, 0) AS figure, format('ALTER TABLE %I.%I SET LOGGED', t.nspname, t.relname) AS remedy,
    format('unlogged_tables %s.%s', t.nspname, t.relname) AS cache_key
FROM (SELECT c.*, n.nspname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped) AS is_tenant
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND n.nspname NOT LIKE 'pg\_%') t
    LEFT JOIN jsonb_each_text($1::jsonb) AS r (key, reason) ON r.key = t.relname AND to_regclass('public.site_pulse') IS NOT NULL;
