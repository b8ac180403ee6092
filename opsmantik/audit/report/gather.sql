-- name: database
-- What it is as a whole, and since when it has counted.
SELECT current_database() AS name, current_setting('server_version') AS server, current_user::text AS role,
    pg_database_size(current_database()) AS bytes, now() AS at, d.blks_hit AS hit, d.blks_read AS read,
    d.xact_commit AS commits, d.xact_rollback AS rollbacks, d.deadlocks, d.temp_bytes, d.stats_reset AS since
FROM pg_stat_database d WHERE d.datname = current_database();

-- name: tables
-- Every table of a user, partitions too, without what an extension has made. Rows are what the planner believes; where it
-- was never told, what was counted since the counters began.
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.relispartition AS is_partition,
    coalesce(pg_partition_root(c.oid)::oid, c.oid) AS root, pg_get_expr(c.relpartbound, c.oid) AS bounds,
    CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS key,
    CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE coalesce(s.n_live_tup, 0) END AS rows,
    CASE WHEN c.relkind <> 'p' THEN pg_total_relation_size(c.oid) ELSE 0 END AS bytes,
    CASE WHEN c.relkind <> 'p' THEN pg_indexes_size(c.oid) ELSE 0 END AS index_bytes,
    CASE WHEN c.relkind <> 'p' THEN pg_relation_size(c.oid) / current_setting('block_size')::integer ELSE 0 END AS pages,
    c.relrowsecurity AS secured, c.relforcerowsecurity AS forced, c.relpersistence::text AS persistence,
    obj_description(c.oid, 'pg_class') AS comment,
    (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    ARRAY(SELECT DISTINCT format('%s to %s', g.privilege_type, CASE g.grantee WHEN 0 THEN 'everybody' ELSE g.grantee::regrole::text END)
        FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner ORDER BY 1) AS grants,
    coalesce(s.seq_scan, 0) AS seq_scan, coalesce(s.idx_scan, 0) AS idx_scan, coalesce(s.n_tup_ins, 0) AS added,
    coalesce(s.n_tup_upd, 0) AS changed, coalesce(s.n_tup_hot_upd, 0) AS hot, coalesce(s.n_tup_del, 0) AS removed,
    coalesce(s.n_live_tup, 0) AS live, coalesce(s.n_dead_tup, 0) AS dead,
    greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed, greatest(s.last_analyze, s.last_autoanalyze) AS analysed
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname <> 'public', n.nspname, c.relname;

-- name: columns
-- Columns of whole tables, and how filled they are as far as the planner's statistics may be seen: a partitioned table's are
-- those of its parts, each with the weight of its rows. How many values there are cannot be added up: of the parts the most
-- counts, unless the whole was analysed itself.
WITH leaves AS (
    SELECT coalesce(pg_partition_root(c.oid)::oid, c.oid) AS root, n.nspname, c.relname, c.relkind, greatest(c.reltuples, 0)::numeric AS rows
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
), known AS (
    SELECT l.root, t.attname,
        sum(t.null_frac::numeric * l.rows) FILTER (WHERE l.relkind <> 'p') / nullif(sum(l.rows) FILTER (WHERE l.relkind <> 'p'), 0) AS nulls,
        max(CASE WHEN t.n_distinct >= 0 THEN t.n_distinct::numeric ELSE -t.n_distinct::numeric * l.rows END) FILTER (WHERE l.relkind <> 'p') AS most,
        max(t.n_distinct::numeric) FILTER (WHERE t.inherited AND t.n_distinct >= 0) AS whole
    FROM leaves l JOIN pg_stats t ON t.schemaname = l.nspname AND t.tablename = l.relname AND t.inherited = (l.relkind = 'p')
    GROUP BY l.root, t.attname
)
SELECT c.oid AS "table", a.attnum AS place, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS is_required,
    a.attgenerated <> '' AS is_generated, col_description(c.oid, a.attnum) AS comment,
    round(k.nulls, 6)::float8 AS nulls, round(coalesce(k.whole, k.most))::bigint AS distinct_values
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN known k ON k.root = c.oid AND k.attname = a.attname
WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
ORDER BY c.oid, a.attnum;

-- name: samples
-- Statements that take some pages of a table each: how many rows, and of each column how many are filled and how many
-- values there are. Row security hides statistics even from a table's owner; its rows he may count.
SELECT t.oid AS "table", format('SELECT ARRAY[count(*), %s] FROM %s TABLESAMPLE SYSTEM (%s)',
    (SELECT string_agg(format('count(%1$I), count(DISTINCT md5(%1$I::text))', a.attname), ', ' ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
    t.oid::regclass, least(100, greatest(0.001, round(100.0 * $3::bigint / greatest(1, t.pages), 4)))) AS statement
FROM unnest($1::oid[], $2::bigint[]) AS t (oid, pages)
WHERE EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped);

-- name: indexes
-- Indexes of whole tables: those of a partitioned table with the size and the scans of all of their parts.
WITH own AS (
    SELECT coalesce(pg_partition_root(i.indexrelid)::oid, i.indexrelid) AS root, coalesce(s.idx_scan, 0) AS scans,
        pg_relation_size(i.indexrelid) AS bytes, i.indisvalid AS is_valid, s.last_idx_scan AS used
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
)
SELECT i.indrelid AS "table", n.nspname AS schema, c.relname AS name, m.amname AS method,
    ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnkeyatts) k) AS columns,
    pg_get_expr(i.indpred, i.indrelid, true) AS condition, i.indisunique AS is_unique, i.indisprimary AS is_primary,
    (SELECT o.conname::text FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x') LIMIT 1) AS rule,
    pg_get_indexdef(i.indexrelid) AS making, obj_description(i.indexrelid, 'pg_class') AS comment,
    sum(w.bytes)::bigint AS bytes, sum(w.scans)::bigint AS scans, bool_and(w.is_valid) AS is_valid
FROM own w JOIN pg_index i ON i.indexrelid = w.root JOIN pg_class c ON c.oid = w.root JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_am m ON m.oid = c.relam
GROUP BY i.indexrelid, i.indrelid, i.indnkeyatts, i.indisunique, i.indisprimary, i.indpred, n.nspname, c.relname, m.amname
ORDER BY c.relname;

-- name: policies
SELECT p.polrelid AS "table", p.polname::text AS name, p.polpermissive AS is_permissive,
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
    ARRAY(SELECT CASE r WHEN 0 THEN 'everybody' ELSE r::regrole::text END FROM unnest(p.polroles) r ORDER BY 1) AS roles,
    pg_get_expr(p.polqual, p.polrelid, true) AS using, pg_get_expr(p.polwithcheck, p.polrelid, true) AS checks
FROM pg_policy p ORDER BY p.polname;

-- name: keys
-- Foreign keys of whole tables; a partition has its table's.
SELECT k.conrelid AS "table", k.conname::text AS name, k.confrelid AS other, k.confrelid::regclass::text AS other_name, k.convalidated AS is_validated,
    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (n, i) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i) AS columns,
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (n, i) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i) AS others,
    CASE k.confdeltype WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END AS on_delete
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
ORDER BY k.conname;

-- name: functions
SELECT n.nspname AS schema, p.proname AS name, l.lanname AS language, pg_get_function_arguments(p.oid) AS arguments,
    coalesce(p.proargnames, '{}') AS names, p.proargmodes::text[] AS modes,
    CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_function_sqlbody(p.oid) END AS body,
    CASE WHEN p.prokind = 'p' OR p.prorettype = 'void'::regtype THEN 'void' WHEN p.prorettype = 'trigger'::regtype THEN 'trigger'
        WHEN p.proretset THEN 'set' ELSE 'value' END AS kind, p.pronargs AS arguments_given,
    ARRAY(SELECT DISTINCT t.tgrelid::regclass::text FROM pg_trigger t WHERE t.tgfoid = p.oid AND NOT t.tgisinternal ORDER BY 1) AS triggers
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' AND l.lanname IN ('sql', 'plpgsql')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY n.nspname, p.proname, p.oid;

-- name: leans
-- What in the database itself stands on a column: views, policies, checks, triggers, columns made of it. Keys and indexes
-- are told elsewhere.
SELECT d.refobjid AS "table", a.attname AS name, x.what
FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND NOT a.attisdropped
    JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        SELECT format('view %s', w.ev_class::regclass) FROM pg_rewrite w WHERE d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.ev_class <> c.oid
        UNION ALL SELECT format('policy %s', p.polname) FROM pg_policy p WHERE d.classid = 'pg_policy'::regclass AND p.oid = d.objid
        UNION ALL SELECT format('check %s', k.conname) FROM pg_constraint k WHERE d.classid = 'pg_constraint'::regclass AND k.oid = d.objid AND k.contype = 'c'
        UNION ALL SELECT format('trigger %s', g.tgname) FROM pg_trigger g WHERE d.classid = 'pg_trigger'::regclass AND g.oid = d.objid AND NOT g.tgisinternal
    ) AS x (what)
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- name: column_sets
-- Columns of tables and views, by schema and name, as a statement can name them.
SELECT format('%s.%s', n.nspname, c.relname) AS relation, array_agg(a.attname::text) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
GROUP BY 1;
