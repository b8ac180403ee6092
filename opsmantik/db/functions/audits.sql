-- Runs of the audit, for the screens: whole ones for whoever runs the platform; for a site's people what concerns their site.

-- The newest runs, and when somebody asked for another that has not begun. One row at least: without a report where there is none.
CREATE OR REPLACE FUNCTION platform_audits(p_limit integer) RETURNS TABLE (report jsonb, asked_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM platform_keeper();
    RETURN QUERY SELECT r.report, w.asked_at
        FROM (VALUES ('audit')) AS j (job) LEFT JOIN upkeep_wishes w ON w.job = j.job
        LEFT JOIN (SELECT a.report FROM audit_runs a ORDER BY a.started_at DESC, a.id DESC LIMIT least(p_limit, 10)) r ON true;
END
$$;

-- One whole audit as soon as the jobs' next round begins: "asked", or why not: "lately" (one began less than five minutes
-- ago), "under_way".
CREATE OR REPLACE FUNCTION ask_for_audit(p_act uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_began timestamptz;
    v_ended timestamptz;
BEGIN
    PERFORM platform_keeper();
    SELECT u.started_at, u.finished_at INTO v_began, v_ended FROM upkeep_runs u WHERE u.job = 'audit' ORDER BY u.started_at DESC LIMIT 1;
    IF v_began > now() - interval '1 hour' AND v_ended IS NULL THEN
        RETURN 'under_way';
    ELSIF v_began > now() - interval '5 minutes' THEN
        RETURN 'lately';
    END IF;
    INSERT INTO upkeep_wishes (job) VALUES ('audit') ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM note_act(NULL, p_act, 'audit.ask', NULL, '{}');
    END IF;
    RETURN 'asked';
END
$$;

-- What the newest run found about one site, for everybody who sees it; no row: there was none yet. Of each finding the check,
-- the level and the sentence, and what to do where that is the site's to do. A finding is about a site if its object says so;
-- one that names another site as well comes without its sentence.
CREATE OR REPLACE FUNCTION site_audit(p_site uuid) RETURNS TABLE (started_at timestamptz, findings jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin', 'operator', 'analyst') THEN
        RAISE EXCEPTION 'the asker sees nothing of this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    SELECT a.started_at, coalesce((
        SELECT jsonb_agg(jsonb_build_object('stem', r ->> 'stem', 'name', r ->> 'name', 'group', r ->> 'group', 'title', r ->> 'title',
            'level', f ->> 'level', 'detail', CASE WHEN NOT o.names_another THEN f ->> 'detail' END,
            'remedy', CASE WHEN NOT o.names_another AND r ->> 'group' = 'meaning' THEN f ->> 'remedy' END)
            ORDER BY f ->> 'level' = 'error' DESC, r ->> 'stem')
        FROM jsonb_array_elements(CASE jsonb_typeof(a.report -> 'results') WHEN 'array' THEN a.report -> 'results' END) r
        CROSS JOIN LATERAL jsonb_array_elements(r -> 'findings') f
        CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM sites s WHERE s.id <> p_site AND strpos(f::text, s.id::text) > 0) AS names_another) o
        WHERE f ->> 'level' IN ('error', 'warn') AND f ->> 'accepted' IS NULL AND f ->> 'object' ~ ('(^| )site ' || p_site || '( |$)')), '[]')
    FROM audit_runs a ORDER BY a.started_at DESC, a.id DESC LIMIT 1;
END
$$;
REVOKE EXECUTE ON FUNCTION platform_audits, ask_for_audit, site_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform_audits, ask_for_audit, site_audit TO opsmantik_app;
