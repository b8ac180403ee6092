-- No large index is mostly air.
-- group: indexes
-- level: warn
--
-- An estimate: how many pages its rows would take if they were packed as its fill factor says, against how many it has. Of
-- columns whose width the statistics hide or do not know, forty bytes are assumed. B-trees above 10 MB that are more than
-- half empty; the same value many times takes less than is reckoned here, so it errs on the quiet side.
WITH trees AS (
    SELECT i.indexrelid, i.indrelid, n.nspname, c.relname, c.relpages, c.reltuples, pg_relation_size(c.oid) AS bytes,
        coalesce(substring(array_to_string(c.reloptions, ' ') FROM 'fillfactor=([0-9]+)')::numeric, 90) / 100 AS fill,
        (SELECT sum(coalesce(s.avg_width * (1 - s.null_frac), CASE WHEN t.typlen > 0 THEN t.typlen END, 40))
         FROM unnest(i.indkey::int2[]) AS k (n) LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n AND k.n <> 0
             LEFT JOIN pg_type t ON t.oid = a.atttypid
             LEFT JOIN pg_stats s ON s.schemaname = tn.nspname AND s.tablename = tc.relname AND s.attname = a.attname AND NOT s.inherited) AS width
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
        JOIN pg_class tc ON tc.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = tc.relnamespace
    WHERE i.indisvalid AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' AND c.reltuples >= 0
), reckoned AS (
    -- 8 bytes of header, 4 of pointer, rounded to 8; 8152 bytes of a page can be used; one page is the root's.
    SELECT *, 1 + ceil(reltuples * (ceil((width + 8) / 8) * 8 + 4) / (8152 * fill)) AS pages FROM trees
)
SELECT 'bloated_indexes' AS name, 'warn' AS level, format('%I.%I', nspname, relname) AS object,
    format('Of its %s about %s %% is air; its %s rows would take %s.', pg_size_pretty(bytes),
        round((100 * (1 - pages * 8192 / bytes))::numeric), reltuples::bigint, pg_size_pretty((pages * 8192)::bigint)) AS detail,
    round((bytes - pages * 8192)::numeric) AS figure, format('REINDEX INDEX CONCURRENTLY %I.%I', nspname, relname) AS remedy,
    format('bloated_indexes %s.%s', nspname, relname) AS cache_key
FROM reckoned
WHERE bytes > 10 * 1024 * 1024 AND pages * 8192 < bytes / 2.0
  -- Counted since it was last changed much: an old count makes a full index look empty.
  AND NOT EXISTS (SELECT FROM pg_stat_all_tables s WHERE s.relid = indrelid AND s.n_mod_since_analyze > greatest(reltuples, 1000) / 2);
