-- name: closed
-- Partitions whose month ended two days ago or more, and that have not been frozen since: they hardly change any more.
SELECT format('%I.%I', n.nspname, c.relname) AS place, c.relname::text AS name
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([0-9-]+)''\)')::date AS upper) b
WHERE i.inhparent IN ('public.sessions'::regclass, 'public.events'::regclass)
  AND b.upper <= (now() AT TIME ZONE 'UTC')::date - 2
  AND NOT EXISTS (SELECT FROM frozen_parts f WHERE f.name = c.relname)
ORDER BY b.upper, c.relname;

-- name: frozen
INSERT INTO frozen_parts (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET frozen_at = now();

-- name: forget_frozen
-- A month that came back is not the one that was frozen.
DELETE FROM frozen_parts f WHERE to_regclass(format('parts.%I', f.name)) IS NULL;

-- name: to_vacuum
-- Tables of ours with dead rows, a tenth of them and ten thousand: autovacuum waits for a fifth, and comes late to large
-- tables. Those with as many new rows since the last time that no index alone can answer. Those whose statistics are old:
-- never made, or a fifth of the rows written since; these need no vacuum.
SELECT format('%I.%I', s.schemaname, s.relname) AS place,
    CASE WHEN d.dead OR d.grown THEN 'VACUUM (ANALYZE, TRUNCATE false)' ELSE 'ANALYZE' END AS what
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid AND c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
CROSS JOIN LATERAL (SELECT s.n_dead_tup >= 10000 AND s.n_dead_tup > 0.1 * s.n_live_tup AS dead,
    s.n_ins_since_vacuum >= 1000000 AND s.n_ins_since_vacuum > 0.5 * s.n_live_tup AS grown,
    s.n_live_tup >= 1000 AND (c.reltuples < 0 OR s.n_mod_since_analyze > 0.2 * s.n_live_tup) AS stale) d
WHERE s.schemaname IN ('public', 'parts') AND pg_has_role(c.relowner, 'USAGE') AND (d.dead OR d.grown OR d.stale)
ORDER BY s.n_dead_tup DESC, s.relname;

-- name: parents
-- Of a partitioned table as a whole nobody else makes statistics: autovacuum knows its partitions only.
SELECT format('%I.%I', n.nspname, c.relname) AS place
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'p' AND NOT c.relispartition AND n.nspname = 'public' AND pg_has_role(c.relowner, 'USAGE')
  AND (s.last_analyze IS NULL OR s.last_analyze < now() - interval '7 days')
  AND EXISTS (SELECT FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid WHERE i.inhparent = c.oid AND p.reltuples >= 1000)
ORDER BY 1;

-- name: left_behind
-- What a rebuilding that was cut off left: PostgreSQL keeps it up to date and reads it never.
SELECT format('%I.%I', n.nspname, c.relname) AS place, c.relname ~ '_cc(new|old)[0-9]*$' AS is_copy
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'parts') AND pg_has_role(c.relowner, 'USAGE') AND NOT (i.indisvalid AND i.indisready AND i.indislive)
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.datname = current_database() AND p.relid = i.indrelid)
ORDER BY 1;

-- name: sizes
-- Of indexes that are ours, not of a constraint that cannot be rebuilt beside its table's writers, and of one table alone.
SELECT format('%I.%I', n.nspname, c.relname) AS place, pg_relation_size(c.oid) AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'i' AND n.nspname IN ('public', 'parts') AND pg_has_role(c.relowner, 'USAGE')
  AND format('%I.%I', n.nspname, c.relname) = ANY ($1)
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype = 'x')
ORDER BY 2 DESC, 1;

-- name: rebuilt_lately
SELECT r.detail -> 'rebuilt' AS rebuilt FROM upkeep_runs r
WHERE r.job = 'reindex' AND r.started_at > now() - interval '30 days' AND r.detail ? 'rebuilt';
