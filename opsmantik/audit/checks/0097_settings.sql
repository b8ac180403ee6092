-- Settings keep what was promised to be kept.
-- group: performance
-- level: error
--
-- What loses data when the machine stops is an error, whoever it is set for. What makes the database slow is a warning; what
-- was chosen for the machine, and which extensions could be newer, is only told.
WITH chosen AS (
    SELECT name, setting, 'this session' AS whom FROM pg_settings
    UNION ALL
    SELECT split_part(c, '=', 1), substr(c, strpos(c, '=') + 1),
        concat_ws(' in ', CASE WHEN s.setrole = 0 THEN NULL ELSE 'role ' || s.setrole::regrole::text END, (SELECT 'database ' || d.datname FROM pg_database d WHERE d.oid = s.setdatabase))
    FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c
    WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
), unsafe AS (
    SELECT c.name, c.setting, string_agg(DISTINCT c.whom, ', ') AS whom,
        CASE c.name WHEN 'synchronous_commit' THEN 'what was answered with "stored" can be lost when the machine stops'
            WHEN 'zero_damaged_pages' THEN 'a damaged page is emptied instead of told'
            WHEN 'ignore_checksum_failure' THEN 'a damaged page is used as if it were whole'
            ELSE 'the whole database can be lost when the machine stops' END AS why
    FROM chosen c
    WHERE (c.name, c.setting) IN (('fsync', 'off'), ('full_page_writes', 'off'), ('synchronous_commit', 'off'), ('zero_damaged_pages', 'on'), ('ignore_checksum_failure', 'on'))
    GROUP BY c.name, c.setting
), told (level, object, detail, figure, remedy) AS (
    SELECT 'error', u.name, format('It is %s for %s: %s.', u.setting, u.whom, u.why), NULL::numeric,
        format('ALTER SYSTEM SET %1$s = %2$s, and RESET it for the role or database that has its own', u.name, CASE u.setting WHEN 'off' THEN 'on' ELSE 'off' END)
    FROM unsafe u
    UNION ALL
    SELECT 'warn', c.name, format('It is off%s: %s.', CASE c.whom WHEN 'this session' THEN '' ELSE ' for ' || c.whom END, CASE c.name WHEN 'autovacuum' THEN 'nothing is cleared away and nothing analysed'
        ELSE 'autovacuum does not know what was written' END), NULL, format('ALTER SYSTEM SET %s = on', c.name)
    FROM chosen c WHERE c.name IN ('autovacuum', 'track_counts') AND c.setting = 'off'
    UNION ALL
    SELECT 'warn', format('%I.%I', n.nspname, t.relname), 'Autovacuum is switched off for it.', NULL, format('ALTER TABLE %I.%I RESET (autovacuum_enabled)', n.nspname, t.relname)
    FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE t.relkind = 'r' AND array_to_string(t.reloptions, ' ') ~ 'autovacuum_enabled=(false|off|0|no)' AND n.nspname NOT LIKE 'pg\_%'
    UNION ALL
    SELECT CASE WHEN pg_database_size(current_database()) > 16 * 128 * 1024 * 1024::bigint THEN 'warn' ELSE 'info' END, s.name,
        format('It is as PostgreSQL comes, 128 MB, for a database of %s.', pg_size_pretty(pg_database_size(current_database()))), NULL,
        'A quarter of the machine''s memory: ALTER SYSTEM SET shared_buffers, and restart'
    FROM pg_settings s WHERE s.name = 'shared_buffers' AND s.setting::bigint <= 16384
    UNION ALL
    SELECT 'info', s.name, format('%s%s.', current_setting(s.name), CASE WHEN s.source = 'default' THEN ', as PostgreSQL comes' ELSE '' END), NULL, 'Nothing.'
    FROM pg_settings s
    WHERE s.name IN ('effective_cache_size', 'random_page_cost', 'work_mem', 'maintenance_work_mem', 'max_wal_size', 'checkpoint_timeout', 'wal_level',
        'max_connections', 'statement_timeout', 'idle_in_transaction_session_timeout', 'lock_timeout', 'jit', 'track_io_timing', 'data_checksums')
      OR s.name = 'shared_buffers' AND s.setting::bigint > 16384
    UNION ALL
    SELECT 'info', 'extension ' || e.name, format('%s is installed; %s comes with this server.', e.installed_version, e.default_version), NULL,
        format('ALTER EXTENSION %I UPDATE', e.name)
    FROM pg_available_extensions e WHERE e.installed_version <> e.default_version
)
SELECT 'settings' AS name, level, object, detail, figure, remedy, 'settings ' || object AS cache_key FROM (
    SELECT *, row_number() OVER (PARTITION BY object ORDER BY level) AS place FROM told) t WHERE place = 1 ORDER BY level, object;
