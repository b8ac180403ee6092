-- No policy works anew for every row.
-- group: tenancy
-- level: warn
--
-- A function that is called bare is called for each row, unless the planner can write its body in its place (plain SQL
-- that is not volatile, runs as its caller and sets nothing); wrapped as (select f()) it is called once. A sub-select
-- that names the row's own columns is run for each row. Sub-selects are peeled off from within, so that what is left are
-- the bare calls: brackets that are no sub-select become braces.
WITH RECURSIVE policy AS (
    SELECT p.oid, n.nspname, c.relname, p.polname,
        concat_ws(' ', pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)) AS text,
        concat_ws(' ', p.polqual::text, p.polwithcheck::text) ~ ':varlevelsup 1' AS is_correlated
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
), peeled AS (
    SELECT oid, text, 0 AS step FROM policy
    UNION ALL
    SELECT oid, regexp_replace(regexp_replace(text, '\(\s*SELECT\M[^()]*\)', ' ', 'g'),
        '\((?!\s*SELECT\M)([^()]*)\)', '{\1}', 'g'), step + 1
    FROM peeled WHERE text LIKE '%(%' AND step < 40
), bare AS (
    SELECT DISTINCT ON (oid) oid, text FROM peeled ORDER BY oid, step DESC
), called AS (
    SELECT b.oid, format('%I()', f.proname) AS function
    FROM bare b JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = b.oid
            AND d.refclassid = 'pg_proc'::regclass
        JOIN pg_proc f ON f.oid = d.refobjid JOIN pg_language l ON l.oid = f.prolang
    WHERE b.text ~ ('\m' || f.proname || '\s*\{')
        AND (f.provolatile = 'v' OR l.lanname <> 'sql' OR f.prosecdef OR f.proconfig IS NOT NULL)
    UNION
    SELECT b.oid, m[1] || '()'
    FROM bare b CROSS JOIN LATERAL regexp_matches(b.text,
        '\m(random|clock_timestamp|timeofday|gen_random_uuid|nextval|set_config|pg_sleep)\s*\{', 'g') AS m
)
SELECT 'policies_by_row' AS name, 'warn' AS level, format('%I.%I.%I', p.nspname, p.relname, p.polname) AS object,
    concat_ws(' ',
        CASE WHEN c.functions IS NOT NULL THEN format('Calls %s for every row.', c.functions) END,
        CASE WHEN p.is_correlated THEN 'Runs a sub-select for every row, since it names the row''s own columns.' END) AS detail,
    coalesce(c.n, 0) + p.is_correlated::integer AS figure,
    'Compare the key with a setting of the transaction, or wrap what does not depend on the row: site_id IN (SELECT f()).' AS remedy,
    format('policies_by_row %I.%I.%I', p.nspname, p.relname, p.polname) AS cache_key
FROM policy p LEFT JOIN (SELECT oid, string_agg(function, ', ' ORDER BY function) AS functions, count(*) AS n
    FROM called GROUP BY oid) c ON c.oid = p.oid
WHERE c.oid IS NOT NULL OR p.is_correlated
ORDER BY 3;
