-- No row can point at another tenant's row.
-- group: tenancy
-- level: error
--
-- A foreign key is checked past row security. Only one that carries the site on both sides keeps the tenants apart, and
-- only one that begins with it is found by the site's own keys.
WITH tenant AS (
    SELECT c.oid, a.attnum FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p')
), keys AS (
    SELECT k.conname, n.nspname, c.relname, k.confrelid,
        EXISTS (SELECT FROM unnest(k.conkey, k.confkey) AS p (here, there) WHERE p.here = f.attnum AND p.there = t.attnum) AS carries,
        k.conkey[1] = f.attnum AND k.confkey[1] = t.attnum AS leads,
        (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.i) FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n) AS columns
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN tenant f ON f.oid = k.conrelid JOIN tenant t ON t.oid = k.confrelid
    WHERE k.contype = 'f' AND k.conparentid = 0
)
SELECT 'references_without_site' AS name,
    CASE WHEN NOT carries OR to_regclass('public.session_keys') IS NOT NULL THEN 'error' ELSE 'warn' END AS level,
    format('%I.%I.%I', nspname, relname, conname) AS object,
    CASE WHEN carries THEN format('(%s) points at %s, and does not begin with the site.', columns, confrelid::regclass)
        ELSE format('(%s) points at %s without the site: a row of one site can belong to another''s.', columns, confrelid::regclass)
    END AS detail,
    NULL AS figure,
    format('Add one that begins with the site on both sides (NOT VALID, then VALIDATE), then: ALTER TABLE %I.%I DROP CONSTRAINT %I.',
        nspname, relname, conname) AS remedy,
    format('references_without_site %I.%I.%I', nspname, relname, conname) AS cache_key
FROM keys
WHERE NOT leads
ORDER BY 2, 3;
