-- No policy lets everything through.
-- group: tenancy
-- level: error
--
-- Policies for the owner alone, or for roles that bypass row security, are not meant. What shows rows that belong to
-- nobody is only told; what lets them be changed by everybody is not.
WITH policy AS (
    SELECT n.nspname, c.relname, p.polname, p.polcmd,
        coalesce(pg_get_expr(p.polqual, c.oid), 'true') AS sees, pg_get_expr(p.polwithcheck, c.oid) AS writes,
        EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
            AND a.attname IN ('site_id', 'user_id')) OR c.relname IN ('sites', 'users', 'profiles') AS is_somebodys
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE p.polpermissive AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        AND EXISTS (SELECT FROM unnest(p.polroles) o LEFT JOIN pg_roles r ON r.oid = o
            WHERE o <> c.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false))
), open AS (
    SELECT *, polcmd <> 'a' AND sees = 'true' AS shows,
        polcmd IN ('a', 'w', '*') AND coalesce(writes, CASE WHEN polcmd = 'a' THEN 'true' ELSE sees END) = 'true'
            OR polcmd = 'd' AND sees = 'true' AS changes
    FROM policy
)
SELECT 'open_policies' AS name,
    CASE WHEN is_somebodys THEN 'error' WHEN changes THEN 'warn' ELSE 'info' END AS level,
    format('%I.%I.%I', nspname, relname, polname) AS object,
    format('The policy for %s is always true: %s.',
        CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'everything' END,
        concat_ws(' and ', CASE WHEN shows AND polcmd <> 'd' THEN 'it shows every row' END,
            CASE WHEN changes THEN 'it lets any row be written or taken away' END)) AS detail,
    NULL AS figure, format('DROP POLICY %I ON %I.%I', polname, nspname, relname) AS remedy,
    format('open_policies %I.%I.%I', nspname, relname, polname) AS cache_key
FROM open
WHERE shows OR changes
ORDER BY 2, 3;
