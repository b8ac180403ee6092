-- No function takes more than thirty arguments.
-- group: contracts
-- level: warn
-- given: house
--
-- Arrays are not counted: a function that takes a batch has one for each column, and they come and go together.
SELECT 'many_arguments' AS name, CASE WHEN $1::jsonb -> 'arguments' ? p.proname OR x.n <= 30 THEN 'info' ELSE 'warn' END AS level,
    format('%I.%I', n.nspname, p.proname) AS object,
    coalesce($1::jsonb -> 'arguments' ->> p.proname, CASE WHEN x.n <= 30 THEN format('%s arguments, but only %s that are no arrays.', p.pronargs, x.n)
        ELSE format('%s arguments that are no arrays.', x.n) END) AS detail,
    x.n AS figure, 'Take one jsonb or a composite type instead; PostgreSQL itself stops at a hundred.' AS remedy,
    format('many_arguments %I.%I(%s)', n.nspname, p.proname, md5(p.proargtypes::text)) AS cache_key
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM unnest(p.proargtypes) a JOIN pg_type t ON t.oid = a WHERE t.typcategory <> 'A') x
WHERE p.pronargs > 30 AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
ORDER BY 2, 3;
