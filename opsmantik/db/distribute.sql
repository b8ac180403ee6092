-- What the catalogue says about each table, key, constraint, policy and function, for distributing it by site.

-- name: tables
-- Every table of ours but partitions: whether it carries a site, and of which type.
SELECT c.oid::int8 AS oid, c.oid::regclass::text AS name, c.relkind = 'p' AS is_partitioned,
    (SELECT a.attnotnull FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped) AS has_site,
    (SELECT a.atttypid::regtype::text FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped) AS site_type,
    EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid OR (h.inhparent = c.oid AND c.relkind = 'r')) AS inherits
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'parts') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 2;

-- name: keys
-- Unique indexes, with those behind constraints.
SELECT i.indrelid::int8 AS oid, i.indexrelid::regclass::text AS name, i.indisprimary AS is_primary,
    ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnkeyatts) AS n ORDER BY n) AS columns,
    i.indisexclusion AS is_exclusion
FROM pg_index i WHERE (i.indisunique OR i.indisexclusion) AND i.indrelid = ANY ($1::int8[]::oid[])
ORDER BY 2;

-- name: references
-- Foreign keys as they were declared: no partition's copy of one.
SELECT con.conrelid::int8 AS oid, con.confrelid::int8 AS target, con.conname AS name, pg_get_constraintdef(con.oid) AS definition,
    con.convalidated AS is_validated,
    ARRAY(SELECT a.attname::text FROM unnest(con.conkey) WITH ORDINALITY AS k (n, o)
        JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.n ORDER BY k.o) AS columns,
    ARRAY(SELECT a.attname::text FROM unnest(con.confkey) WITH ORDINALITY AS k (n, o)
        JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.n ORDER BY k.o) AS target_columns,
    con.confdeltype IN ('n', 'd') AS sets_null,
    ARRAY(SELECT a.attname::text FROM unnest(con.confdelsetcols) AS k (n)
        JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.n) AS set_columns
FROM pg_constraint con WHERE con.contype = 'f' AND con.conparentid = 0 AND con.conrelid = ANY ($1::int8[]::oid[])
ORDER BY con.conrelid::regclass::text, con.conname;

-- name: parent_checks
SELECT con.conrelid::int8 AS oid, con.conname AS name FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid
WHERE con.contype = 'c' AND c.relkind = 'p' AND con.conrelid = ANY ($1::int8[]::oid[])
ORDER BY 1, 2;

-- name: policies
SELECT p.polrelid::int8 AS oid, p.polname AS name,
    concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS expression
FROM pg_policy p WHERE p.polrelid = ANY ($1::int8[]::oid[])
ORDER BY 1, 2;

-- name: triggers
SELECT t.tgrelid::int8 AS oid, t.tgname AS name FROM pg_trigger t
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgrelid = ANY ($1::int8[]::oid[])
ORDER BY 1, 2;

-- name: rules
SELECT r.ev_class::int8 AS oid, r.rulename AS name FROM pg_rewrite r WHERE r.ev_class = ANY ($1::int8[]::oid[])
ORDER BY 1, 2;

-- name: functions
SELECT p.oid::regprocedure::text AS name, l.lanname AS language, p.prosrc AS body, p.prosecdef AS is_definer,
    coalesce(p.proconfig, '{}') AS settings, 'p_site' = ANY (coalesce(p.proargnames, '{}')) AS has_site
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname = 'public' AND p.prokind IN ('f', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1;

-- name: setting
SELECT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = $1) AS app_may_log_in,
    (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'citus') AS citus,
    EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = 'citus') AS is_available;
