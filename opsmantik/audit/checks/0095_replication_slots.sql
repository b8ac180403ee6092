-- No slot that nobody reads holds back the write-ahead log.
-- group: performance
-- level: warn
--
-- A slot keeps every segment that its reader has not fetched, until the disk is full. One that is not read at this moment
-- and holds more than 64 MB is told; one that has lost what it needed serves nobody any more.
SELECT 'replication_slots' AS name, CASE WHEN s.wal_status = 'lost' OR NOT s.active AND s.held > 64 * 1024 * 1024 THEN 'warn' ELSE 'info' END AS level,
    'slot ' || s.slot_name AS object,
    format('%s, %s: it holds back %s of the write-ahead log%s.', s.slot_type, CASE WHEN s.active THEN 'in use' ELSE 'nobody reads it' END,
        pg_size_pretty(s.held), CASE WHEN s.wal_status IN ('unreserved', 'lost') THEN ', and some of what it needs is gone' ELSE '' END) AS detail,
    s.held AS figure, format('SELECT pg_drop_replication_slot(%L)', s.slot_name) AS remedy, 'replication_slots ' || s.slot_name AS cache_key
FROM (SELECT *, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn) AS held
    FROM pg_replication_slots WHERE NOT temporary) s;
