-- Which statements take most of the database's time.
-- group: performance
-- level: info
--
-- The ten on which this database has spent most, by the text that PostgreSQL keeps: with $1, $2, … in the place of what was
-- asked for. Statements about the catalogue and utility commands are left out: the latter are kept with their words.
-- when: extension pg_stat_statements
SELECT set_config('search_path', quote_ident(n.nspname), true) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements';
-- then
WITH kept AS (
    SELECT queryid, sum(total_exec_time) AS spent, sum(calls) AS calls, max(max_exec_time) AS longest, sum(rows) AS rows, min(query) AS query
    FROM pg_stat_statements s
    -- Where its library is not loaded it fails to be asked.
    WHERE EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max')
      AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL
      AND query ~* '^\s*(--[^\n]*\n\s*|/\*.*?\*/\s*)*(select|with|insert|update|delete|merge|values)\M'
    GROUP BY queryid
)
SELECT 'slowest_statements' AS name, 'info' AS level, 'statement ' || queryid AS object,
    -- Numbers and texts that were left in it after all are taken out.
    format('%s s in %s calls, %s ms on average, %s at most, %s rows: %s', round((spent / 1000)::numeric, 1), calls,
        round((spent / calls)::numeric, 1), round(longest::numeric), rows,
        left(regexp_replace(regexp_replace(regexp_replace(query, '--[^\n]*', '', 'g'), '''[^'']*''?', '?', 'g'), '\s+', ' ', 'g'), 300)) AS detail,
    round(spent::numeric) AS figure, 'Look at its plan: EXPLAIN (ANALYZE, BUFFERS)' AS remedy, 'slowest_statements ' || queryid AS cache_key
FROM kept WHERE calls > 0 ORDER BY spent DESC LIMIT 10;
