-- No table's policies lead back to the table itself.
-- group: tenancy
-- level: error
--
-- A policy with a sub-select is held against the policies of the tables in it. Where that comes back to where it began,
-- PostgreSQL gives up: "infinite recursion detected in policy". The tables are read from the stored expression.
WITH RECURSIVE refers AS (
    SELECT DISTINCT p.polrelid AS from_oid, m[1]::oid AS to_oid
    FROM pg_policy p CROSS JOIN LATERAL regexp_matches(concat_ws(' ', p.polqual::text, p.polwithcheck::text), ':relid (\d+)', 'g') m
        JOIN pg_class t ON t.oid = m[1]::oid AND t.relrowsecurity
), reached AS (
    SELECT from_oid, to_oid FROM refers
    UNION
    SELECT r.from_oid, f.to_oid FROM reached r JOIN refers f ON f.from_oid = r.to_oid
)
SELECT 'policies_in_a_circle' AS name, 'error' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('Its policies lead back to it%s: whoever they bind gets an error instead of rows.',
        coalesce(' by way of ' || (SELECT string_agg(DISTINCT b.to_oid::regclass::text, ', ') FROM reached b
            WHERE b.from_oid = r.from_oid AND b.to_oid <> r.from_oid
                AND EXISTS (SELECT FROM reached d WHERE d.from_oid = b.to_oid AND d.to_oid = r.from_oid)), '')) AS detail,
    NULL AS figure,
    'Look membership up in a SECURITY DEFINER function, or before the query, and compare with what it found.' AS remedy,
    format('policies_in_a_circle %I.%I', n.nspname, c.relname) AS cache_key
FROM reached r JOIN pg_class c ON c.oid = r.from_oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.from_oid = r.to_oid
ORDER BY 3;
