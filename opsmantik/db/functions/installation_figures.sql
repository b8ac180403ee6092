-- How the installation fares, in numbers without anybody's name: for /metrics and for the watchdog. One row a figure; where
-- something can be told of many (jobs), each has its label. Ages are seconds; what cannot be told has no row.
CREATE OR REPLACE FUNCTION installation_figures() RETURNS TABLE (name text, label text, figure double precision)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    -- What is counted is counted to here.
    v_most constant integer := 100000;
    v_now constant timestamptz := clock_timestamp();
    v_month constant text := to_char(v_now AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
        SELECT v.name, ''::text, v.figure::double precision FROM (
            SELECT count(*) FILTER (WHERE s.disabled_at IS NULL) AS sites,
                count(*) FILTER (WHERE s.disabled_at IS NOT NULL) AS sites_off,
                count(*) FILTER (WHERE s.disabled_at IS NULL AND p.last_event_at < v_now - interval '1 day') AS sites_silent
            FROM sites s LEFT JOIN site_pulse p ON p.site_id = s.id) f
        CROSS JOIN LATERAL (VALUES ('sites', f.sites), ('sites_off', f.sites_off), ('sites_silent', f.sites_silent)) v (name, figure);
    -- What no fold has taken up yet: its length, and the age of its oldest row.
    RETURN QUERY
        SELECT 'journal_rows', ''::text, count(*)::double precision FROM (SELECT FROM counter_journal LIMIT v_most) j
        UNION ALL
        SELECT 'journal_age', '', coalesce(extract(epoch FROM v_now - min(j.changed_at)), 0)::double precision
        FROM sites s CROSS JOIN LATERAL (
            SELECT c.changed_at FROM counter_journal c WHERE c.site_id = s.id ORDER BY c.id LIMIT 1) j;
    -- Outboxes: how many wait, how old the oldest is, and how long the most belated one has been due.
    RETURN QUERY
        SELECT v.name, ''::text, v.figure::double precision FROM (
            SELECT count(*) AS n, min(d.created_at) AS oldest, min(d.next_at) AS due
            FROM webhooks w CROSS JOIN LATERAL (
                SELECT e.created_at, e.next_at FROM webhook_deliveries e
                WHERE e.site_id = w.site_id AND e.webhook_id = w.id AND e.state IN ('waiting', 'failed')
                ORDER BY e.next_at LIMIT v_most) d
            WHERE w.off_reason IS NULL) f
        CROSS JOIN LATERAL (VALUES
            ('deliveries_waiting', f.n::double precision),
            ('deliveries_age', coalesce(extract(epoch FROM v_now - f.oldest), 0)),
            ('deliveries_late', greatest(coalesce(extract(epoch FROM v_now - f.due), 0), 0))) v (name, figure)
        UNION ALL
        SELECT v.name, '', v.figure::double precision FROM (
            SELECT count(*) AS n, min(u.next_at) AS due, sum(u.failing) AS failing FROM (
                SELECT n.next_at, (n.failures > 0)::integer AS failing FROM notice_wishes n WHERE n.next_at IS NOT NULL
                UNION ALL
                SELECT s.next_at, (s.failures > 0)::integer FROM summary_wishes s WHERE s.next_at <= v_now) u) f
        CROSS JOIN LATERAL (VALUES
            ('mails_waiting', f.n::double precision),
            ('mails_late', greatest(coalesce(extract(epoch FROM v_now - f.due), 0), 0)),
            ('mails_failing', coalesce(f.failing, 0)::double precision)) v (name, figure);
    RETURN QUERY
        SELECT v.name, ''::text, v.figure::double precision FROM (
            SELECT count(*) FILTER (WHERE w.off_reason IS NULL AND w.failing_since IS NOT NULL) AS failing,
                count(*) FILTER (WHERE w.off_reason IN ('gone', 'failing')) AS off,
                extract(epoch FROM v_now - min(w.failing_since) FILTER (WHERE w.off_reason IS NULL)) AS since
            FROM webhooks w) f
        CROSS JOIN LATERAL (VALUES ('webhooks_failing', f.failing::double precision), ('webhooks_off', f.off::double precision),
            ('webhooks_failing_age', coalesce(f.since, 0))) v (name, figure);
    -- Months after this one that have both their partitions, in a row; and what waits for one.
    RETURN QUERY
        SELECT 'months_ahead', ''::text, count(*)::double precision FROM generate_series(1, 24) n
        WHERE NOT EXISTS (
            SELECT FROM generate_series(1, n) m CROSS JOIN unnest(ARRAY['sessions_', 'events_']) t
            WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'parts'::regnamespace
                AND c.relname = t || to_char(to_date(v_month, 'YYYY_MM') + make_interval(months => m), 'YYYY_MM')))
        UNION ALL
        SELECT 'default_rows', '', count(*)::double precision FROM (
            (SELECT FROM parts.sessions_default LIMIT v_most) UNION ALL (SELECT FROM parts.events_default LIMIT v_most)) d
        UNION ALL
        SELECT 'database_bytes', '', pg_database_size(current_database())::double precision;
    RETURN QUERY
        SELECT v.name, ''::text, v.figure::double precision
        FROM (SELECT * FROM audit_runs a ORDER BY a.started_at DESC LIMIT 1) f
        CROSS JOIN LATERAL (VALUES ('audit_errors', f.errors::double precision), ('audit_warnings', f.warnings),
            ('audit_unknown', f.unknown), ('audit_age', extract(epoch FROM v_now - f.started_at))) v (name, figure);
    -- What it found that nobody has accepted, by the checks' group and the findings' level: nothing is a figure too.
    RETURN QUERY
        SELECT 'audit_findings', (r.result ->> 'group') || ' ' || l.level,
            count(*) FILTER (WHERE f.finding ->> 'level' = l.level AND f.finding ->> 'accepted' IS NULL)::double precision
        FROM (SELECT * FROM audit_runs a ORDER BY a.started_at DESC LIMIT 1) n
        CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(n.report -> 'results') WHEN 'array' THEN n.report -> 'results' END) AS r (result)
        CROSS JOIN (VALUES ('error'), ('warn')) AS l (level)
        LEFT JOIN LATERAL jsonb_array_elements(r.result -> 'findings') AS f (finding) ON true
        WHERE r.result ->> 'group' ~ '^[a-z]{1,20}$'
        GROUP BY r.result ->> 'group', l.level;
    -- One step of the index a job, however many runs are kept.
    RETURN QUERY WITH RECURSIVE jobs AS (
            (SELECT u.job FROM upkeep_runs u ORDER BY u.job LIMIT 1)
            UNION ALL
            SELECT (SELECT u.job FROM upkeep_runs u WHERE u.job > j.job ORDER BY u.job LIMIT 1) FROM jobs j WHERE j.job IS NOT NULL),
        state AS (
            SELECT j.job, l.outcome, l.detail,
                (SELECT o.started_at FROM upkeep_runs o WHERE o.job = j.job AND o.outcome = 'ok' ORDER BY o.started_at DESC LIMIT 1) AS ok_at
            FROM jobs j CROSS JOIN LATERAL (
                SELECT u.outcome, u.detail FROM upkeep_runs u WHERE u.job = j.job ORDER BY u.started_at DESC LIMIT 1) l
            -- Names as the program gives them: they become labels, and those are for no other words.
            WHERE j.job ~ '^[a-z_]{1,40}$')
        SELECT 'job_age', s.job, extract(epoch FROM v_now - s.ok_at)::double precision FROM state s WHERE s.ok_at IS NOT NULL
        UNION ALL
        SELECT 'job_failed', s.job, (s.outcome IN ('failed', 'lost'))::integer FROM state s WHERE s.outcome IS NOT NULL
        UNION ALL
        -- What the newest comparison of every figure with its rows found: sites that differ.
        SELECT 'counters_differ', '', (SELECT count(*) FROM jsonb_object_keys(s.detail)) FROM state s
        WHERE s.job = 'verify_counters' AND s.outcome = 'ok' AND jsonb_typeof(s.detail) = 'object';
    RETURN QUERY
        SELECT 'alerts', ''::text, count(*)::double precision FROM watch_alerts w WHERE w.ended_at IS NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION installation_figures FROM PUBLIC;
GRANT EXECUTE ON FUNCTION installation_figures TO opsmantik_app;
