-- No function names a table or column that does not exist.
-- group: contracts
-- level: warn
--
-- A body is text: what it names may be gone, and that shows when somebody calls it. Looked at is what can be read without
-- doubt: the target of INSERT INTO with its columns, of DELETE FROM and of UPDATE … SET, and tables named with a schema
-- after FROM and JOIN. Names that are made in the body (temporary tables, WITH) or put in by format() are left out. A bare
-- name is looked up in the function's own search_path, or in its schema and public.
WITH body AS (
    SELECT p.oid, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments,
        regexp_replace(regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', ' ', 'g'), '''(?:[^'']|'''')*''', ' ', 'g') AS text,
        ARRAY(SELECT btrim(s, ' "') FROM regexp_split_to_table(concat_ws(',',
            (SELECT substr(c, 13) FROM unnest(p.proconfig) c WHERE c LIKE 'search\_path=%'), n.nspname, 'public', 'pg_catalog'), ',') s) AS path
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname IN ('sql', 'plpgsql') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND pg_get_userbyid(p.proowner) !~ '^supabase_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
), named AS (
    SELECT b.oid, lower(m[1]) AS schema, lower(m[2]) AS name,
        -- More brackets than one pair are no list of columns.
        CASE WHEN m[3] !~ '[^a-z0-9_, \s]' THEN regexp_split_to_array(btrim(m[3]), '\s*,\s*') END AS columns
    FROM body b CROSS JOIN LATERAL regexp_matches(b.text,
        '\mINSERT\s+INTO\s+(?:([a-z_]\w*)\.)?([a-z_]\w*)(?:\s+AS\s+\w+)?\s*(?:\(([^()]*)\))?', 'gi') m
    UNION ALL
    SELECT b.oid, lower(m[1]), lower(m[2]), NULL
    FROM body b CROSS JOIN LATERAL regexp_matches(b.text,
        '\m(?:DELETE\s+FROM|UPDATE(?=\s+(?:ONLY\s+)?[\w.]+(?:\s+(?:AS\s+)?\w+)?\s+SET\M))\s+(?:ONLY\s+)?(?:([a-z_]\w*)\.)?([a-z_]\w*)', 'gi') m
    UNION ALL
    SELECT b.oid, lower(m[1]), lower(m[2]), NULL
    FROM body b CROSS JOIN LATERAL regexp_matches(b.text,
        '\m(?:FROM|JOIN)\s+(?:ONLY\s+)?([a-z_]\w*)\.([a-z_]\w*)(?!\w)(?!\s*\()', 'gi') m
    WHERE to_regnamespace(m[1]) IS NOT NULL
), known AS (
    SELECT n.*, b.nspname, b.proname, b.arguments, (
        SELECT c.oid FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
        WHERE c.relname = n.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND (s.nspname = n.schema OR n.schema IS NULL AND s.nspname = ANY (b.path)) LIMIT 1) AS relation
    FROM named n JOIN body b USING (oid)
    WHERE n.schema IS NOT NULL OR b.text !~* ('\mTEMP(ORARY)?\s+TABLE\s+(IF\s+NOT\s+EXISTS\s+)?' || n.name || '\M')
        AND b.text !~* ('\m' || n.name || '\s*(\([^()]*\)\s*)?\mAS\s+(NOT\s+)?(MATERIALIZED\s*)?\(')
), missing AS (
    SELECT nspname, proname, arguments, format('the table %s', concat_ws('.', schema, name)) AS what FROM known WHERE relation IS NULL
    UNION
    SELECT k.nspname, k.proname, k.arguments, format('the column %s of %s', lower(c), k.name)
    FROM known k CROSS JOIN LATERAL unnest(k.columns) c
    WHERE k.relation IS NOT NULL AND c ~ '^[A-Za-z_]\w*$'
        AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.relation AND a.attname = lower(c) AND NOT a.attisdropped)
)
SELECT 'missing_objects' AS name, 'warn' AS level, format('%I.%I(%s)', nspname, proname, arguments) AS object,
    format('It names %s: not there.', string_agg(what, ', ' ORDER BY what)) AS detail, count(*) AS figure,
    format('DROP FUNCTION %I.%I(%s)', nspname, proname, arguments) AS remedy,
    format('missing_objects %I.%I(%s)', nspname, proname, arguments) AS cache_key
FROM missing
GROUP BY nspname, proname, arguments
ORDER BY 3;
