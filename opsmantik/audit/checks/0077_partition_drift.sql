-- The partitions of a table are alike.
-- group: partitions
-- level: warn
--
-- Each is held against most of its siblings: its owner, grants, row security and policies, checks (whose month is taken
-- for any month), indexes, defaults, triggers and storage. Of the default partition neither checks nor storage are asked:
-- it holds any month.
WITH parts AS (
    SELECT c.oid, h.inhparent AS whole, n.nspname, c.relname, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
        pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' AS is_default
    FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent AND p.relkind = 'p'
        JOIN pg_class c ON c.oid = h.inhrelid AND c.relkind = 'r' AND c.relispartition JOIN pg_namespace n ON n.oid = c.relnamespace
), said AS (
    SELECT oid, whole, 'owner' AS about, relowner::regrole::text AS text FROM parts
    UNION ALL
    SELECT p.oid, p.whole, 'grants', coalesce((SELECT string_agg(format('%s to %s', a.privilege_type,
        CASE a.grantee WHEN 0 THEN 'everybody' ELSE a.grantee::regrole::text END), ', ' ORDER BY a.grantee, a.privilege_type)
        FROM aclexplode(p.relacl) a WHERE a.grantee <> p.relowner), 'none') FROM parts p
    UNION ALL
    SELECT oid, whole, 'row security', CASE WHEN relforcerowsecurity AND relrowsecurity THEN 'forced' WHEN relrowsecurity THEN 'on' ELSE 'off' END FROM parts
    UNION ALL
    SELECT p.oid, p.whole, 'policies', coalesce((SELECT string_agg(concat_ws(' ', y.polname, y.polcmd, y.polpermissive,
        (SELECT string_agg(r::text, ',') FROM unnest(y.polroles) r),
        pg_get_expr(y.polqual, y.polrelid), pg_get_expr(y.polwithcheck, y.polrelid)), '; ' ORDER BY y.polname) FROM pg_policy y WHERE y.polrelid = p.oid), 'none') FROM parts p
    UNION ALL
    SELECT p.oid, p.whole, 'checks', coalesce((SELECT string_agg(text, '; ' ORDER BY text) FROM (
        SELECT regexp_replace(pg_get_constraintdef(k.oid), '''[0-9]{4}-[0-9]{2}-[0-9]{2}[^'']*''', '''a day''', 'g') AS text
        FROM pg_constraint k WHERE k.conrelid = p.oid AND k.contype = 'c') x), 'none') FROM parts p WHERE NOT p.is_default
    UNION ALL
    SELECT p.oid, p.whole, 'foreign keys', coalesce((SELECT string_agg(text, '; ' ORDER BY text) FROM (
        SELECT pg_get_constraintdef(k.oid) AS text
        FROM pg_constraint k WHERE k.conrelid = p.oid AND k.contype = 'f') x), 'none') FROM parts p
    UNION ALL
    SELECT p.oid, p.whole, 'indexes', coalesce((SELECT string_agg(text, '; ' ORDER BY text) FROM (
        SELECT regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .* USING ', '\1') AS text FROM pg_index i WHERE i.indrelid = p.oid) x), 'none') FROM parts p
    UNION ALL
    SELECT p.oid, p.whole, 'columns', (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage,
        pg_get_expr(d.adbin, d.adrelid)), '; ' ORDER BY a.attname)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped) FROM parts p
    UNION ALL
    SELECT p.oid, p.whole, 'triggers', coalesce((SELECT string_agg(concat_ws(' ', t.tgname, t.tgenabled), '; ' ORDER BY t.tgname)
        FROM pg_trigger t WHERE t.tgrelid = p.oid AND NOT t.tgisinternal), 'none') FROM parts p
    UNION ALL
    SELECT oid, whole, 'storage', coalesce(array_to_string(reloptions, ', '), 'as usual') FROM parts WHERE NOT is_default
), usual AS (
    SELECT whole, about, mode() WITHIN GROUP (ORDER BY text) AS text, count(*) AS n FROM said GROUP BY whole, about
)
SELECT 'partition_drift' AS name, 'warn' AS level, format('%I.%I', p.nspname, p.relname) AS object,
    format('Its %s differ from those of most partitions of %s: %s.', s.about, p.whole::regclass,
        CASE WHEN s.about IN ('checks', 'foreign keys', 'indexes', 'columns', 'triggers', 'policies') THEN format('it lacks "%s" and has "%s" of its own',
            coalesce((SELECT string_agg(x, '; ') FROM (SELECT unnest(string_to_array(u.text, '; ')) EXCEPT SELECT unnest(string_to_array(s.text, '; '))) AS l (x)), ''),
            coalesce((SELECT string_agg(x, '; ') FROM (SELECT unnest(string_to_array(s.text, '; ')) EXCEPT SELECT unnest(string_to_array(u.text, '; '))) AS l (x)), ''))
            ELSE format('"%s", not "%s"', s.text, u.text) END) AS detail,
    NULL::numeric AS figure, format('Give it what the others have: \d+ %I.%I shows both', p.nspname, p.relname) AS remedy,
    format('partition_drift %s.%s %s', p.nspname, p.relname, s.about) AS cache_key
FROM said s JOIN usual u ON u.whole = s.whole AND u.about = s.about JOIN parts p ON p.oid = s.oid
WHERE s.text <> u.text AND u.n >= 3;
