-- There is room for more connections.
-- group: performance
-- level: error
--
-- Against what the server takes in all, what the database takes, and what each role may open. At four fifths a warning, at
-- nineteen twentieths an error: the next one is refused soon.
WITH open AS (
    SELECT a.datname, a.usename FROM pg_stat_activity a WHERE a.backend_type = 'client backend'
), limits AS (
    SELECT 'server' AS object, (SELECT count(*) FROM open) AS n,
        current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer AS most
    UNION ALL
    SELECT 'database ' || datname, (SELECT count(*) FROM open o WHERE o.datname = d.datname), datconnlimit
    FROM pg_database d WHERE datname = current_database() AND datconnlimit > 0
    UNION ALL
    SELECT 'role ' || rolname, (SELECT count(*) FROM open o WHERE o.usename = r.rolname), rolconnlimit
    FROM pg_roles r WHERE rolconnlimit > 0 AND NOT rolsuper
)
SELECT 'connections' AS name, CASE WHEN n >= 0.95 * most THEN 'error' WHEN n >= 0.8 * most THEN 'warn' ELSE 'info' END AS level, object,
    format('%s of %s connections are open.', n, most) AS detail, round(100.0 * n / most) AS figure,
    'Put a pooler in front, or raise the limit; pg_stat_activity says who holds them' AS remedy, 'connections ' || object AS cache_key
FROM limits;
