-- Every function is called and answers as it was promised.
-- group: contracts
-- level: error
-- given: signatures
--
-- The promise is a file of the program (audit/signatures.txt), which a test keeps equal to a fresh database: a change of it
-- shows in review. Here a database is held against it, after a restore, an upgrade that stopped halfway, or a hand's work.
-- A function that a file of the program makes and that is not on the list yet is only told.
-- when: public.session_keys; role opsmantik_app
WITH promised AS (
    SELECT key AS signature, value AS text FROM jsonb_each_text($1::jsonb -> 'promised')
), found AS (
    SELECT format('%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) AS signature,
        p.proname::text AS name, format('FUNCTION public.%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) AS object,
        concat_ws('; ', coalesce(pg_get_function_result(p.oid), 'procedure'),
            CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
            CASE WHEN p.prosecdef THEN 'as its owner' ELSE 'as its caller' END,
            'for ' || coalesce((SELECT string_agg(CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE r.rolname END, ', ' ORDER BY r.rolname)
                FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
                WHERE a.grantee <> p.proowner AND (a.grantee = 0 OR r.oid IS NOT NULL)), 'the owner')) AS text
    FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
)
SELECT 'signatures' AS name,
    CASE WHEN p.signature IS NOT NULL THEN 'error' WHEN $1::jsonb -> 'made' ? f.name THEN 'info' ELSE 'warn' END AS level,
    coalesce(f.signature, p.signature) AS object,
    CASE WHEN p.signature IS NULL THEN format('Nobody promised it. It is: %s.', f.text)
        WHEN f.signature IS NULL THEN format('It is not there%s.', coalesce((SELECT ', but ' || string_agg(o.signature, ' and ')
            FROM found o WHERE o.name = split_part(p.signature, '(', 1)), ''))
        ELSE format('It is: %s. It was promised to be: %s.', f.text, p.text) END AS detail,
    NULL AS figure,
    CASE WHEN p.signature IS NULL THEN 'DROP ' || f.object ELSE 'opsmantik db migrate' END AS remedy,
    format('signatures %s', coalesce(f.signature, p.signature)) AS cache_key
FROM promised p FULL JOIN found f ON f.signature = p.signature
WHERE p.text IS DISTINCT FROM f.text
ORDER BY 2, 3;
