-- Every table with tenants' rows refers to its sites.
-- group: tenancy
-- level: warn
-- given: house
--
-- By a foreign key of its own, or through a table that does. Those that need not, and why, are told.
WITH RECURSIVE tenant AS (
    SELECT c.oid, n.nspname, c.relname, a.attnum
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
), anchored AS (
    SELECT t.oid FROM tenant t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f' AND t.attnum = ANY (k.conkey)
        JOIN pg_class s ON s.oid = k.confrelid AND s.relname = 'sites'
    UNION
    SELECT t.oid FROM anchored d JOIN pg_constraint k ON k.confrelid = d.oid AND k.contype = 'f'
        JOIN tenant t ON t.oid = k.conrelid JOIN tenant u ON u.oid = d.oid
    WHERE EXISTS (SELECT FROM unnest(k.conkey, k.confkey) AS p (here, there) WHERE p.here = t.attnum AND p.there = u.attnum)
)
SELECT 'site_without_reference' AS name, CASE WHEN $1::jsonb -> 'references' ? relname THEN 'info' ELSE 'warn' END AS level,
    format('%I.%I', nspname, relname) AS object,
    coalesce($1::jsonb -> 'references' ->> relname,
        'No foreign key leads from its site_id to sites: rows of a site that does not exist can be stored, and stay when theirs goes.') AS detail,
    NULL AS figure,
    CASE WHEN $1::jsonb -> 'references' ? relname THEN 'None is needed.'
        ELSE format('ALTER TABLE %I.%I ADD FOREIGN KEY (site_id) REFERENCES public.sites (id) NOT VALID', nspname, relname) END AS remedy,
    format('site_without_reference %I.%I', nspname, relname) AS cache_key
FROM tenant
WHERE oid NOT IN (SELECT oid FROM anchored)
ORDER BY 3;
