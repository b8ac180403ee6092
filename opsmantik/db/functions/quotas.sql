-- How much of its quota each site has used: the events that were stored since its month began, by its own clock. The
-- books count by whole UTC hours, so where a month begins within one, that hour counts with it. For the doors, once a
-- minute and not an event; nothing personal is in the answer.
CREATE OR REPLACE FUNCTION quota_use() RETURNS TABLE (site_id uuid, quota bigint, used bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    SELECT s.id, s.monthly_quota, coalesce(u.n, 0)
    FROM sites s CROSS JOIN LATERAL (
        SELECT sum(c.n)::bigint AS n FROM ingest_counts c
        WHERE c.site_id = s.id AND c.outcome = 'stored'
          AND c.hour >= date_trunc('hour', date_trunc('month', now() AT TIME ZONE s.time_zone) AT TIME ZONE s.time_zone)) u
    WHERE s.monthly_quota IS NOT NULL;
END
$$;

-- Writes into each site's log that it has reached 80, 100 or 200 % of its quota: once a month and share. Returns how many.
CREATE OR REPLACE FUNCTION note_quotas() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_row record;
    v_count integer := 0;
BEGIN
    FOR v_row IN
        SELECT s.id, u.quota, u.used, m.month, p.percent
        FROM quota_use() u JOIN sites s ON s.id = u.site_id
        CROSS JOIN LATERAL (SELECT date_trunc('month', now() AT TIME ZONE s.time_zone)::date AS month) m
        CROSS JOIN LATERAL (SELECT max(x) AS percent FROM unnest(ARRAY[80, 100, 200]) x WHERE u.used * 100 >= u.quota * x) p
        WHERE p.percent IS NOT NULL
          AND (s.quota_noted_month IS DISTINCT FROM m.month OR s.quota_noted_percent < p.percent)
        ORDER BY s.id
    LOOP
        UPDATE sites s SET quota_noted_month = v_row.month, quota_noted_percent = v_row.percent WHERE s.id = v_row.id;
        PERFORM note_act(v_row.id, gen_random_uuid(), 'quota.reached', v_row.percent || ' %',
            jsonb_build_object('quota', v_row.quota, 'used', v_row.used));
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END
$$;

-- The limits of a site: events a month, events a minute for one client, and for how many days refused events are kept.
CREATE OR REPLACE FUNCTION set_limits(p_site uuid, p_act uuid, p_quota bigint, p_rate integer, p_quarantine integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_old sites;
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR UPDATE;
    IF (v_old.monthly_quota, v_old.rate_per_minute, v_old.quarantine_days) IS NOT DISTINCT FROM (p_quota, p_rate, p_quarantine) THEN
        RETURN;
    END IF;
    -- Another quota is reached anew.
    UPDATE sites s SET monthly_quota = p_quota, rate_per_minute = p_rate, quarantine_days = p_quarantine, updated_at = now(),
        quota_noted_percent = CASE WHEN s.monthly_quota IS NOT DISTINCT FROM p_quota THEN s.quota_noted_percent ELSE 0 END
    WHERE s.id = p_site;
    PERFORM note_act(p_site, p_act, 'limits.change', NULL, jsonb_build_object(
        'before', jsonb_build_object('monthly_quota', v_old.monthly_quota, 'rate_per_minute', v_old.rate_per_minute,
            'quarantine_days', v_old.quarantine_days),
        'after', jsonb_build_object('monthly_quota', p_quota, 'rate_per_minute', p_rate, 'quarantine_days', p_quarantine)));
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;
REVOKE EXECUTE ON FUNCTION quota_use, note_quotas, set_limits FROM PUBLIC;
GRANT EXECUTE ON FUNCTION quota_use, set_limits TO opsmantik_app;
