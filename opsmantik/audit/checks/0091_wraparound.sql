-- No table is close to the end of transaction numbers.
-- group: performance
-- level: error
--
-- There are two thousand million of them before the oldest must be frozen, and as many of those for shared locks. Autovacuum
-- begins at autovacuum_freeze_max_age whatever else is set; at one and a half times that it is not keeping up, and from 1.2
-- thousand million on it is a matter of days on a busy database. At the end PostgreSQL refuses every write.
WITH ages AS (
    SELECT 'database ' || datname AS object, age(datfrozenxid) AS xids, mxid_age(datminmxid) AS mxids, 'vacuumdb --all --freeze' AS remedy
    FROM pg_database WHERE datname <> current_database() AND datallowconn
    UNION ALL
    -- What lies beside the rows is frozen with its table.
    SELECT format('%I.%I', n.nspname, c.relname), greatest(age(c.relfrozenxid), coalesce(age(t.relfrozenxid), 0)),
        greatest(mxid_age(c.relminmxid), coalesce(mxid_age(t.relminmxid), 0)), format('VACUUM (FREEZE) %I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
    WHERE c.relkind IN ('r', 'm') AND c.relfrozenxid <> '0'
), worst AS (
    SELECT *, greatest(xids, mxids) AS age,
        greatest(xids::numeric / current_setting('autovacuum_freeze_max_age')::bigint,
            mxids::numeric / current_setting('autovacuum_multixact_freeze_max_age')::bigint) AS times
    FROM ages
)
SELECT 'wraparound' AS name, CASE WHEN age > 1200000000 THEN 'error' WHEN times > 1.5 THEN 'warn' ELSE 'info' END AS level, object,
    format('Its oldest row is %s transactions old (%s for shared locks), of 2147 million.', xids, mxids) AS detail,
    age AS figure, remedy, 'wraparound ' || object AS cache_key
FROM (SELECT *, row_number() OVER (ORDER BY age DESC) AS place FROM worst) w
WHERE age > 1200000000 OR times > 1.5 OR place = 1
ORDER BY age DESC LIMIT 50;
