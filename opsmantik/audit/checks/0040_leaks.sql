-- Nobody sees another tenant's row: tried, with the application's own role.
-- group: tenancy
-- level: error
--
-- First, as whoever runs the audit: who asks, as what role, and whose rows they must not see. Then each asker takes their
-- role on and counts others' rows in every table, view and partition that the role may read. All of it is local to this
-- transaction, which is rolled back. Of rows that are seen at most a thousand are counted. The sites that are looked for
-- are named in the query, beside the policy's own condition on the same key: an index says at once that both cannot hold,
-- so a healthy database reads nothing; the planner is told so, since it expects a thousand rows at once from anywhere.
-- Row security is the thing tried here: it is on for each of them. ts_stat() runs the query that it is given, as no other function does that every server has.
-- when: role opsmantik_app; public.session_keys; public.site_pulse(site_id, sequence); public.sites(id, user_id)
SELECT set_config('enable_seqscan', 'off', true), set_config('row_security', 'on', true), set_config('audit.askers', jsonb_build_object(
    'may', pg_has_role('opsmantik_app', CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END),
    'remedy', format('GRANT opsmantik_app TO %I WITH INHERIT FALSE, SET TRUE', current_user),
    'askers', (
        WITH known AS (
            SELECT s.id, s.user_id, row_number() OVER (ORDER BY coalesce(p.sequence, 0) DESC, s.id) AS n
            FROM public.sites s LEFT JOIN public.site_pulse p ON p.site_id = s.id ORDER BY n LIMIT 1000
        ), asker AS (
            SELECT 'nobody' AS who, '' AS sites, '' AS person, NULL::uuid AS own
            UNION ALL
            SELECT 'somebody without a site', '{}', '00000000-0000-0000-0000-000000000001', NULL
            UNION ALL
            SELECT 'somebody of site ' || id, format('{%s}', id), user_id::text, id FROM known WHERE n <= 2
        )
        SELECT coalesce(jsonb_agg(jsonb_build_object('who', a.who, 'role', 'opsmantik_app', 'sites', a.sites, 'person', a.person,
            'claims', '', 'others', (SELECT coalesce(array_agg(k.id), '{}') FROM known k WHERE k.id IS DISTINCT FROM a.own)::text)), '[]')
        FROM asker a)
    )::text, true)
-- then
WITH given AS MATERIALIZED (
    SELECT current_setting('audit.askers')::jsonb AS given
), asker AS MATERIALIZED (
    SELECT a.* FROM given CROSS JOIN LATERAL jsonb_to_recordset(CASE WHEN (given ->> 'may')::boolean THEN given -> 'askers' ELSE '[]' END)
        AS a (who text, role text, sites text, person text, claims text, others text)
), relation AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, k.is_site, a.attname, format_type(a.atttypid, NULL) AS type
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
        CROSS JOIN LATERAL (SELECT a.attname = 'site_id' OR a.attname = 'id' AND c.relname = 'sites' AS is_site,
            a.attname = 'user_id' AND NOT EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attname = 'site_id')
                AND c.relname <> 'sites' OR a.attname = 'id' AND c.relname IN ('users', 'profiles') AS is_person) k
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND (k.is_site OR k.is_person) AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
), readable AS MATERIALIZED (
    SELECT a.*, r.nspname, r.relname,
        CASE WHEN r.is_site THEN format('%I = ANY (%L::%s[])', r.attname, a.others, r.type)
            WHEN a.person = '' THEN format('%I IS NOT NULL', r.attname)
            ELSE format('%I <> %L', r.attname, a.person) END AS condition
    FROM asker a CROSS JOIN relation r
    WHERE has_schema_privilege(a.role, r.nspname::text, 'USAGE') AND has_column_privilege(a.role, r.oid, r.attname::text, 'SELECT')
), tried AS MATERIALIZED (
    SELECT r.who, r.nspname, r.relname, found.word::bigint AS n
    FROM readable r
        CROSS JOIN LATERAL (
            SELECT concat(set_config('role', r.role, true), set_config('app.sites', r.sites, true), set_config('app.person', r.person, true),
                set_config('request.jwt.claims', r.claims, true)) AS done OFFSET 0) entered
        CROSS JOIN LATERAL ts_stat(format('SELECT array_to_tsvector(ARRAY[count(*)::text]) FROM (SELECT FROM %I.%I WHERE %s LIMIT 1000) x %s',
            r.nspname, r.relname, r.condition, left(entered.done, 0))) found
)
SELECT 'leaks' AS name, 'error' AS level, format('%I.%I', nspname, relname) AS object,
    format('%s%s rows of others are seen by %s.', CASE WHEN max(n) = 1000 THEN 'At least ' ELSE '' END, max(n),
        string_agg(who, ', ' ORDER BY who)) AS detail,
    max(n) AS figure,
    format('Read what guards it, in pg_policies and \d+ %I.%I, and what the other tenancy checks say of it.', nspname, relname) AS remedy,
    format('leaks %I.%I', nspname, relname) AS cache_key
FROM tried
WHERE n > 0
GROUP BY nspname, relname
UNION ALL
SELECT 'leaks', 'warn', 'opsmantik_app', 'Could not be tried: whoever runs the audit may not take this role on.', NULL,
    given ->> 'remedy', 'leaks untried'
FROM given WHERE NOT (given ->> 'may')::boolean
ORDER BY 3;
-- when: role anon; role authenticated; public.sites(id, user_id); public.site_members(site_id, user_id); public.profiles(id, role)
SELECT set_config('enable_seqscan', 'off', true), set_config('row_security', 'on', true), set_config('audit.askers', jsonb_build_object(
    'may', (SELECT bool_and(pg_has_role(r.rolname, CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END))
        FROM pg_roles r WHERE rolname IN ('anon', 'authenticated')),
    'remedy', format('GRANT anon, authenticated TO %I', current_user),
    'askers', (
        WITH known AS (
            SELECT id, user_id FROM public.sites ORDER BY id LIMIT 1000
        ), owner AS (
            SELECT DISTINCT k.user_id FROM known k
            WHERE NOT EXISTS (SELECT FROM public.profiles p WHERE p.id = k.user_id AND p.role = 'admin') ORDER BY 1 LIMIT 2
        ), asker AS (
            SELECT 'whoever has not signed in' AS who, 'anon' AS role, '' AS person, '{"role": "anon"}'::jsonb AS claims
            UNION ALL
            SELECT 'somebody without a site', 'authenticated', '00000000-0000-0000-0000-000000000001',
                '{"role": "authenticated", "sub": "00000000-0000-0000-0000-000000000001"}'
            UNION ALL
            SELECT 'the owner of ' || (SELECT min(k.id::text) FROM known k WHERE k.user_id = o.user_id), 'authenticated', o.user_id::text,
                jsonb_build_object('role', 'authenticated', 'sub', o.user_id)
            FROM owner o
        )
        SELECT coalesce(jsonb_agg(jsonb_build_object('who', a.who, 'role', a.role, 'person', a.person, 'claims', a.claims::text,
            'others', (SELECT coalesce(array_agg(k.id), '{}') FROM known k WHERE a.person = '' OR k.user_id::text <> a.person
                AND NOT EXISTS (SELECT FROM public.site_members m WHERE m.site_id = k.id AND m.user_id::text = a.person))::text)), '[]')
        FROM asker a)
    )::text, true)
-- then
-- Where policies refer to each other in a circle every query fails, and shows nothing: those are left out (0041).
WITH RECURSIVE refers AS (
    SELECT DISTINCT p.polrelid AS from_oid, m[1]::oid AS to_oid
    FROM pg_policy p CROSS JOIN LATERAL regexp_matches(concat_ws(' ', p.polqual::text, p.polwithcheck::text), ':relid (\d+)', 'g') m
        JOIN pg_class t ON t.oid = m[1]::oid AND t.relrowsecurity
), reached AS (
    SELECT from_oid, to_oid FROM refers
    UNION
    SELECT r.from_oid, f.to_oid FROM reached r JOIN refers f ON f.from_oid = r.to_oid
), failing AS MATERIALIZED (
    SELECT DISTINCT from_oid FROM reached r
    WHERE EXISTS (SELECT FROM reached c WHERE c.from_oid = c.to_oid AND (c.from_oid = r.to_oid OR c.from_oid = r.from_oid))
), given AS MATERIALIZED (
    SELECT current_setting('audit.askers')::jsonb AS given
), asker AS MATERIALIZED (
    SELECT a.* FROM given CROSS JOIN LATERAL jsonb_to_recordset(CASE WHEN (given ->> 'may')::boolean THEN given -> 'askers' ELSE '[]' END)
        AS a (who text, role text, person text, claims text, others text)
), relation AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, a.attname, format_type(a.atttypid, NULL) AS type
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND (a.attname = 'site_id' OR a.attname = 'id' AND c.relname = 'sites')
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        AND NOT EXISTS (SELECT FROM failing f WHERE f.from_oid = c.oid AND c.relrowsecurity)
        AND NOT EXISTS (SELECT FROM failing f JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = f.from_oid
            JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass WHERE w.ev_class = c.oid)
), readable AS MATERIALIZED (
    SELECT a.*, r.nspname, r.relname, format('%I = ANY (%L::%s[])', r.attname, a.others, r.type) AS condition
    FROM asker a CROSS JOIN relation r
    WHERE has_schema_privilege(a.role, r.nspname::text, 'USAGE') AND has_column_privilege(a.role, r.oid, r.attname::text, 'SELECT')
), tried AS MATERIALIZED (
    SELECT r.who, r.nspname, r.relname, found.word::bigint AS n
    FROM readable r
        CROSS JOIN LATERAL (
            SELECT concat(set_config('role', r.role, true), set_config('request.jwt.claims', r.claims, true),
                set_config('request.jwt.claim.sub', r.person, true), set_config('request.jwt.claim.role', r.role, true)) AS done OFFSET 0) entered
        CROSS JOIN LATERAL ts_stat(format('SELECT array_to_tsvector(ARRAY[count(*)::text]) FROM (SELECT FROM %I.%I WHERE %s LIMIT 1000) x %s',
            r.nspname, r.relname, r.condition, left(entered.done, 0))) found
)
SELECT 'leaks' AS name, 'error' AS level, format('%I.%I', nspname, relname) AS object,
    format('%s%s rows of others are seen by %s.', CASE WHEN max(n) = 1000 THEN 'At least ' ELSE '' END, max(n),
        string_agg(who, ', ' ORDER BY who)) AS detail,
    max(n) AS figure,
    format('Read what guards it, in pg_policies and \d+ %I.%I, and what the other tenancy checks say of it.', nspname, relname) AS remedy,
    format('leaks %I.%I', nspname, relname) AS cache_key
FROM tried
WHERE n > 0
GROUP BY nspname, relname
UNION ALL
SELECT 'leaks', 'warn', 'anon, authenticated', 'Could not be tried: whoever runs the audit may not take these roles on.', NULL,
    given ->> 'remedy', 'leaks untried'
FROM given WHERE NOT (given ->> 'may')::boolean
ORDER BY 3;
