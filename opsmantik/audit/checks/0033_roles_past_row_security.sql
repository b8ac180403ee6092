-- The role that answers the application's users is bound by row security.
-- group: tenancy
-- level: error
--
-- Bound is who is no superuser, has no BYPASSRLS, owns no table and may become nobody who does. The owner of the schema may
-- log in, for migrations; it is the application's role that counts. Where nothing says which one that is, every role that
-- may log in and is not bound is named: it is for their administrator to judge.
-- when: role opsmantik_app; public.session_keys
WITH wanted AS (
    SELECT oid, rolname, 'error' AS level FROM pg_roles WHERE rolname = 'opsmantik_app'
), past AS (
    SELECT w.*, 'is a superuser' AS why, format('ALTER ROLE %I NOSUPERUSER', w.rolname) AS remedy
    FROM wanted w JOIN pg_roles r USING (oid) WHERE r.rolsuper
    UNION ALL
    SELECT w.*, 'bypasses row security', format('ALTER ROLE %I NOBYPASSRLS', w.rolname)
    FROM wanted w JOIN pg_roles r USING (oid) WHERE r.rolbypassrls AND NOT r.rolsuper
    UNION ALL
    SELECT w.*, format('owns %s tables, among them %s', count(*), min(c.oid::regclass::text)),
        format('REASSIGN OWNED BY %I TO opsmantik_owner', w.rolname)
    FROM wanted w JOIN pg_class c ON c.relowner = w.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    GROUP BY w.oid, w.rolname, w.level
    UNION ALL
    SELECT w.*, format('may become %I, which row security does not bind', r.rolname), format('REVOKE %I FROM %I', r.rolname, w.rolname)
    FROM wanted w JOIN pg_roles r ON r.oid <> w.oid AND pg_has_role(w.oid, r.oid, 'MEMBER')
    WHERE NOT (SELECT rolsuper FROM pg_roles o WHERE o.oid = w.oid) AND (r.rolsuper OR r.rolbypassrls
        OR r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
        OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p')))
)
SELECT 'roles_past_row_security' AS name, level, rolname::text AS object, format('%s %s.', rolname, why) AS detail, NULL AS figure,
    remedy, format('roles_past_row_security %s %s', rolname, remedy) AS cache_key
FROM past
ORDER BY 3, 6;
-- when: role anon; role authenticated
WITH wanted AS (
    SELECT oid, rolname, 'error' AS level FROM pg_roles WHERE rolname IN ('anon', 'authenticated')
), past AS (
    SELECT w.*, 'is a superuser' AS why, format('ALTER ROLE %I NOSUPERUSER', w.rolname) AS remedy
    FROM wanted w JOIN pg_roles r USING (oid) WHERE r.rolsuper
    UNION ALL
    SELECT w.*, 'bypasses row security', format('ALTER ROLE %I NOBYPASSRLS', w.rolname)
    FROM wanted w JOIN pg_roles r USING (oid) WHERE r.rolbypassrls AND NOT r.rolsuper
    UNION ALL
    SELECT w.*, format('owns %s tables, among them %s', count(*), min(c.oid::regclass::text)),
        'Give them to the role that owns the others: REASSIGN OWNED BY.'
    FROM wanted w JOIN pg_class c ON c.relowner = w.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    GROUP BY w.oid, w.rolname, w.level
    UNION ALL
    SELECT w.*, format('may become %I, which row security does not bind', r.rolname), format('REVOKE %I FROM %I', r.rolname, w.rolname)
    FROM wanted w JOIN pg_roles r ON r.oid <> w.oid AND pg_has_role(w.oid, r.oid, 'MEMBER')
    WHERE NOT (SELECT rolsuper FROM pg_roles o WHERE o.oid = w.oid) AND (r.rolsuper OR r.rolbypassrls
        OR r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
        OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p')))
)
SELECT 'roles_past_row_security' AS name, level, rolname::text AS object, format('%s %s.', rolname, why) AS detail, NULL AS figure,
    remedy, format('roles_past_row_security %s %s', rolname, remedy) AS cache_key
FROM past
ORDER BY 3, 6;
-- when: server >= 15
SELECT 'roles_past_row_security' AS name, 'info' AS level, r.rolname::text AS object,
    format('%s may log in and %s.', r.rolname, concat_ws(' and ', CASE WHEN r.rolbypassrls THEN 'bypasses row security' END,
        CASE WHEN count(c.oid) > 0 THEN format('owns %s tables whose row security does not bind their owner', count(c.oid)) END)) AS detail,
    count(c.oid) AS figure, 'Let the application connect as a role that owns nothing and bypasses nothing.' AS remedy,
    format('roles_past_row_security %s', r.rolname) AS cache_key
FROM pg_roles r LEFT JOIN pg_class c ON c.relowner = r.oid AND c.relkind IN ('r', 'p') AND NOT c.relforcerowsecurity
    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped)
WHERE r.rolcanlogin AND NOT r.rolsuper
GROUP BY r.oid, r.rolname, r.rolbypassrls
HAVING r.rolbypassrls OR count(c.oid) > 0
ORDER BY 3;
