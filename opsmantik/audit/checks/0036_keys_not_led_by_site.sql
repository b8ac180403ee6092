-- Every unique key of a table with tenants' rows begins with the site.
-- group: tenancy
-- level: error
-- given: house
--
-- What is unique over all sites answers a question that nobody may ask: "duplicate key" says that another tenant has it.
-- It also keeps the table from being distributed by site. Keys that are meant to be so, and why, are only told; so are the
-- keys of people, which are no tenant's. In other databases it is advice.
WITH house AS (
    SELECT $1::jsonb AS house
), keys AS (
    SELECT c.oid AS table_oid, n.nspname, c.relname, x.relname AS index, i.indisprimary, o.conname,
        (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = i.indkey[0]) AS first,
        EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped) AS is_tenant
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid AND o.contype IN ('p', 'u') AND o.conrelid = c.oid
    WHERE i.indisunique AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
)
SELECT 'keys_not_led_by_site' AS name,
    CASE WHEN house -> 'keys' ? k.index THEN 'info' WHEN house ? 'ours' THEN 'error' ELSE 'warn' END AS level,
    format('%I.%I', k.nspname, k.index) AS object,
    coalesce(house -> 'keys' ->> k.index, format('The %s of %I begins with %s: unique over all sites together.',
        CASE WHEN k.indisprimary THEN 'primary key' ELSE 'unique key' END, k.relname, coalesce(quote_ident(k.first), 'an expression'))) AS detail,
    NULL AS figure,
    CASE WHEN house -> 'keys' ? k.index THEN 'None is needed.'
        ELSE format('Build one that begins with the site (CREATE UNIQUE INDEX CONCURRENTLY), let what points at the old one point there, then: %s.',
            CASE WHEN k.conname IS NOT NULL THEN format('ALTER TABLE %I.%I DROP CONSTRAINT %I', k.nspname, k.relname, k.conname)
                ELSE format('DROP INDEX CONCURRENTLY %I.%I', k.nspname, k.index) END) END AS remedy,
    format('keys_not_led_by_site %I.%I', k.nspname, k.index) AS cache_key
FROM keys k CROSS JOIN house
WHERE k.is_tenant AND k.first IS DISTINCT FROM 'site_id' OR house -> 'keys' ? k.index
ORDER BY 2, 3;
