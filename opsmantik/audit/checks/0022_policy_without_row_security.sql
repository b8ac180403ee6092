-- No table has policies that are not in force.
-- group: tenancy
-- level: error
SELECT 'policy_without_row_security' AS name, 'error' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('%s policies are written and none is in force, since row security is off.', count(*)) AS detail,
    count(*) AS figure, format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', n.nspname, c.relname) AS remedy,
    format('policy_without_row_security %I.%I', n.nspname, c.relname) AS cache_key
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT c.relrowsecurity AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
GROUP BY n.nspname, c.relname
ORDER BY 3;
