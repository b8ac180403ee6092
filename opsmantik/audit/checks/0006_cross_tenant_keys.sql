-- No foreign key leads from one site's row to another's.
-- group: integrity
-- level: error
-- given: crossings
--
-- Of every foreign key between two tables that both have a column site_id and that does not hold it: are there rows whose
-- sites differ? A key that holds it cannot lead elsewhere. Of any database; one count a key.
SELECT 'cross_tenant_keys' AS name, 'error' AS level, format('%s (%s)', k.near, k.key) AS object,
    format('%s rows of %s point at a row of %s of another site.', k.rows, k.near, k.far) AS detail, k.rows AS figure,
    format('Decide whose each is: SELECT c.site_id, p.site_id, count(*) FROM %s c JOIN %s p ON %s WHERE p.site_id <> c.site_id'
        ' GROUP BY 1, 2; then put site_id first in the key, so that it cannot happen again.', k.near, k.far, k.matches) AS remedy,
    format('cross_tenant_keys %s %s', k.near, k.key) AS cache_key
FROM jsonb_to_recordset($1::jsonb) AS k (key text, near text, far text, matches text, rows bigint)
WHERE k.rows > 0;
