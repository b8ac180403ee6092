-- Every statement of the program leaves alone the months that it is not about.
-- group: partitions
-- level: warn
-- given: plans
--
-- By the plan for any values, started and not run: PostgreSQL leaves partitions out as it plans, as it starts (by the range
-- that it is given) or as it goes (by the month that a row beside it names). A plan that joins all months at once shows
-- none of these; on tables of a few rows that is cheaper, so only those of ten thousand rows count.
-- when: public.site_pulse(site_id); public.session_keys(site_id, id, created_month)
WITH planned AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS p (statement text, own jsonb, all_months text)
), places AS (
    SELECT p.statement, p.all_months, m.*, greatest(t.rows, 0) AS rows FROM planned p
    CROSS JOIN LATERAL jsonb_to_recordset(p.own -> 'months') AS m ("table" text, read integer, "left" integer, by text)
    CROSS JOIN LATERAL (SELECT sum(c.reltuples) AS rows FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid AND c.reltuples > 0
        WHERE h.inhparent = to_regclass(m."table")) t
), statements AS (
    SELECT statement, max(all_months) AS all_months, bool_or(by = 'nothing') AS whole,
        bool_or(by = 'nothing' AND rows >= 10000) AS matters,
        string_agg(DISTINCT format('%s by %s', "table", CASE by WHEN 'nothing' THEN 'nothing yet' ELSE by END), ', ') AS how,
        string_agg(DISTINCT "table", ' and ') FILTER (WHERE by = 'nothing') AS tables, max(read) AS read
    FROM places GROUP BY statement
)
SELECT 'contract_pruning' AS name, CASE WHEN matters AND all_months IS NULL THEN 'warn' ELSE 'info' END AS level, statement AS object,
    CASE WHEN whole AND all_months IS NOT NULL THEN format('It means all %s months of %s: %s.', read, tables, all_months)
        WHEN matters THEN format('It reads all %s months of %s.', read, tables)
        ELSE format('It leaves months out: %s.', how) END AS detail,
    read AS figure,
    CASE WHEN matters AND all_months IS NULL THEN 'Bound it by created_month or session_month; see whether enable_partition_pruning is on' ELSE 'Nothing.' END AS remedy,
    'contract_pruning ' || statement AS cache_key
FROM statements
UNION ALL
SELECT 'contract_pruning', 'warn', 'enable_partition_pruning', 'It is off: every statement reads every month.', NULL,
    format('ALTER DATABASE %I RESET enable_partition_pruning', current_database()), 'contract_pruning setting'
WHERE current_setting('enable_partition_pruning') = 'off';
