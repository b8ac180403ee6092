-- Every table of a tenant that a statement of the program reads has an index for it.
-- group: indexes
-- level: error
-- given: plans
--
-- The program's own statements, planned for any values and not run. A tiny table is always read whole, so what counts is
-- the plan that is left when reading whole tables is made dear: where it still does, there is no way by any index. What
-- the planner itself prefers is told of tables that are large enough for it to matter.
-- when: public.site_pulse(site_id); public.session_keys(site_id, id, created_month)
WITH planned AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS p (statement text, own jsonb, bound jsonb, error text)
), tables AS (
    SELECT n.nspname || '.' || c.relname AS place, greatest(c.reltuples, 0) AS rows,
        coalesce((SELECT format('%I.%I', pn.nspname, pc.relname) FROM pg_inherits h JOIN pg_class pc ON pc.oid = h.inhparent
            JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE h.inhrelid = c.oid), format('%I.%I', n.nspname, c.relname)) AS whole
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%'
      AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped)
), ways AS (
    -- Of an index that is led by the site, or is a summary of blocks, nothing is said.
    SELECT format('%I.%I', n.nspname, c.relname) AS place
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_am m ON m.oid = c.relam
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE m.amname = 'btree' AND a.attname IS DISTINCT FROM 'site_id' AND i.indkey[0] <> 0
), scans AS (
    SELECT p.statement, x.plan, s.kind, s.index, s.is_bounded, t.whole, t.rows
    FROM planned p CROSS JOIN LATERAL (VALUES ('own', p.own), ('bound', p.bound)) AS x (plan, body)
    CROSS JOIN LATERAL jsonb_to_recordset(x.body -> 'scans') AS s (relation text, kind text, index text, is_bounded boolean)
    JOIN tables t ON t.place = s.relation
), none AS (
    SELECT whole, count(DISTINCT statement) AS n, min(statement) AS first FROM scans
    WHERE plan = 'bound' AND kind = 'Seq Scan' GROUP BY whole
), aslant AS (
    SELECT s.whole, s.index, count(DISTINCT s.statement) AS n, min(s.statement) AS first, max(s.rows) AS rows
    FROM scans s JOIN ways w ON w.place = s.index
    WHERE s.plan = 'own' AND s.rows >= 10000 GROUP BY s.whole, s.index
), dear AS (
    SELECT s.whole, count(DISTINCT s.statement) AS n, min(s.statement) AS first, max(s.rows) AS rows FROM scans s
    WHERE s.plan = 'own' AND s.kind = 'Seq Scan' AND s.rows >= 10000 AND s.whole NOT IN (SELECT whole FROM none)
    GROUP BY s.whole
)
SELECT 'contract_paths' AS name, 'error' AS level, whole AS object,
    format('No index helps %s of the program''s statements to read it; the first is %s.', n, first) AS detail, n AS figure,
    format('CREATE INDEX ON %s (site_id), with what those statements ask by behind it', whole) AS remedy,
    'contract_paths none ' || whole AS cache_key
FROM none
UNION ALL
SELECT 'contract_paths', 'warn', whole, format('%s of the program''s statements read it, %s rows, by %s, which is not led by the site; the first is %s.',
        n, rows, index, first), n, format('CREATE INDEX ON %s, led by site_id, for what they ask by', whole),
    'contract_paths aslant ' || whole || ' ' || index
FROM aslant
UNION ALL
SELECT 'contract_paths', 'info', whole, format('%s of the program''s statements would read all of its %s rows, though an index could be used; the first is %s.',
        n, rows, first), n, 'Nothing, where one site has most of the rows.', 'contract_paths dear ' || whole
FROM dear
UNION ALL
SELECT 'contract_paths', 'error', statement, format('It cannot be planned: %s.', error), NULL,
    'opsmantik db migrate', 'contract_paths failed ' || statement
FROM planned WHERE error IS NOT NULL;
