-- What each index is for, how large it is and how often it is read.
-- group: indexes
-- level: info
-- given: index_purposes
--
-- An index of a partitioned table has the size and the readings of all of its parts. What it is for is its own comment, or
-- what the program says of it, or the rule that it keeps.
WITH own AS (
    SELECT coalesce(pg_partition_root(i.indexrelid)::oid, i.indexrelid) AS root, coalesce(s.idx_scan, 0) AS scans,
        pg_relation_size(i.indexrelid) AS bytes
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indrelid AND d.deptype = 'e')
), whole AS (
    SELECT root, sum(scans) AS scans, sum(bytes) AS bytes, count(*) FILTER (WHERE bytes > 0) AS parts FROM own GROUP BY root
)
SELECT 'index_figures' AS name, 'info' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('%s (%s)%s: %s, read %s times. %s.', i.indrelid::regclass,
        (SELECT string_agg(pg_get_indexdef(w.root, k, true), ', ' ORDER BY k) FROM generate_series(1, i.indnkeyatts) k),
        ' where ' || pg_get_expr(i.indpred, i.indrelid, true),
        pg_size_pretty(w.bytes), w.scans,
        coalesce(obj_description(w.root, 'pg_class'),
            CASE WHEN to_regclass('public.site_pulse') IS NOT NULL THEN p.purpose END,
            CASE WHEN i.indisprimary THEN 'Names a row' WHEN i.indisunique THEN 'Keeps rows apart'
                ELSE 'Nobody has said what it is for' END)) AS detail,
    w.bytes AS figure, 'Nothing.' AS remedy, format('index_figures %s.%s', n.nspname, c.relname) AS cache_key
FROM whole w JOIN pg_index i ON i.indexrelid = w.root JOIN pg_class c ON c.oid = w.root JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN jsonb_each_text($1::jsonb) AS p (key, purpose) ON p.key = c.relname
ORDER BY w.bytes DESC, 3;
