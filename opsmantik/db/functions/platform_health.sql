-- How the installation fares, for whoever runs it: figures of all sites together and of the database itself, nobody's rows.

-- The newest run of each job, when it last went well, and since when it has not.
CREATE OR REPLACE FUNCTION platform_jobs()
RETURNS TABLE (job text, started_at timestamptz, finished_at timestamptz, outcome text, detail jsonb, last_ok_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM platform_keeper();
    -- One step of the index a job, however many runs are kept.
    RETURN QUERY WITH RECURSIVE names AS (
        (SELECT u.job FROM upkeep_runs u ORDER BY u.job LIMIT 1)
        UNION ALL
        SELECT (SELECT u.job FROM upkeep_runs u WHERE u.job > n.job ORDER BY u.job LIMIT 1) FROM names n WHERE n.job IS NOT NULL)
    SELECT n.job, l.started_at, l.finished_at, l.outcome, l.detail,
        (SELECT o.started_at FROM upkeep_runs o WHERE o.job = n.job AND o.outcome = 'ok' ORDER BY o.started_at DESC LIMIT 1)
    FROM names n CROSS JOIN LATERAL (
        SELECT u.* FROM upkeep_runs u WHERE u.job = n.job ORDER BY u.started_at DESC LIMIT 1) l
    ORDER BY n.job;
END
$$;

-- p_most bounds what is counted: "1000" then means at least so many.
CREATE OR REPLACE FUNCTION platform_state(p_most integer)
RETURNS TABLE (database_bytes bigint, version text, default_sessions bigint, default_events bigint, sites bigint,
    sites_off bigint, silent bigint, never bigint, refused bigint, waiting bigint, webhooks_failing bigint, mails_failing bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM platform_keeper();
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    SELECT pg_database_size(current_database()), current_setting('server_version'),
        (SELECT count(*) FROM (SELECT FROM parts.sessions_default LIMIT p_most) d),
        (SELECT count(*) FROM (SELECT FROM parts.events_default LIMIT p_most) d),
        s.sites, s.sites_off, s.silent, s.never, r.refused, r.waiting,
        (SELECT count(*) FROM webhooks w WHERE w.failing_since IS NOT NULL OR w.off_reason IN ('gone', 'failing')),
        (SELECT count(*) FROM notice_wishes n WHERE n.failures > 0)
    FROM (
        SELECT count(*) AS sites, count(*) FILTER (WHERE x.disabled_at IS NOT NULL) AS sites_off,
            count(*) FILTER (WHERE x.disabled_at IS NULL AND p.last_event_at < now() - interval '1 day') AS silent,
            count(*) FILTER (WHERE x.disabled_at IS NULL AND p.last_event_at IS NULL) AS never
        FROM sites x LEFT JOIN site_state p ON p.site_id = x.id) s
    CROSS JOIN (
        -- Site by site, each by its own index, over a day.
        SELECT coalesce(sum(k.refused), 0)::bigint AS refused, coalesce(sum(k.waiting), 0)::bigint AS waiting
        FROM sites x CROSS JOIN LATERAL (
            SELECT count(*) AS refused, count(*) FILTER (WHERE e.replayed_at IS NULL) AS waiting FROM (
                SELECT y.replayed_at FROM rejected_events y
                WHERE y.site_id = x.id AND y.received_at >= now() - interval '1 day' LIMIT p_most) e) k) r;
END
$$;
REVOKE EXECUTE ON FUNCTION platform_jobs, platform_state FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform_jobs, platform_state TO opsmantik_app;
