-- Removes the visits that somebody made to try an installation, of the last seven days: they carry a click id that begins as
-- p_pattern says, which no ad platform ever gave. With all that hangs on them, as if they had never been; what they counted
-- is taken back. Returns how many visits that were. Their leads are never exported, so no platform has to be told.
CREATE OR REPLACE FUNCTION remove_test_visits(p_site uuid, p_act uuid, p_pattern text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_month date;
    v_sessions uuid[];
    v_visitors text[];
    v_calls uuid[];
    v_count integer := 0;
BEGIN
    IF session_user <> current_user AND coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- Whatever the caller asks for: nothing but what was never a customer's.
    IF p_pattern NOT LIKE 'test-opsmantik-%' THEN
        RAISE EXCEPTION 'these are no test visits' USING ERRCODE = 'check_violation';
    END IF;
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_counters(p_site);
    FOR v_month, v_sessions, v_visitors IN
        SELECT s.created_month, array_agg(s.id ORDER BY s.id),
            coalesce(array_agg(DISTINCT s.fingerprint) FILTER (WHERE s.fingerprint <> ''), '{}')
        FROM sessions s
        WHERE s.site_id = p_site AND s.created_at >= now() - interval '7 days'
          AND s.created_month >= date_trunc('month', (now() - interval '7 days') AT TIME ZONE 'UTC')::date AND s.gclid LIKE p_pattern
        GROUP BY s.created_month ORDER BY s.created_month
    LOOP
        PERFORM drop_visits(p_site, NULL, v_month, v_sessions);
        PERFORM settle_visitors(p_site, v_visitors);
        v_count := v_count + cardinality(v_sessions);
    END LOOP;
    -- A test tap within a visit that had begun otherwise: the visit stays, and has one lead less.
    v_calls := ARRAY(SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.created_at >= now() - interval '7 days' AND c.click_id LIKE p_pattern);
    IF v_calls <> '{}' THEN
        UPDATE sessions s SET intent_count = greatest(0, s.intent_count - x.n) FROM (
            SELECT c.matched_session_month AS month, c.matched_session_id AS id, count(*)::integer AS n FROM calls c
            WHERE c.site_id = p_site AND c.id = ANY (v_calls) AND c.matched_session_id IS NOT NULL GROUP BY 1, 2) x
        WHERE s.site_id = p_site AND s.created_month = x.month AND s.id = x.id;
        PERFORM erase_calls(p_site, NULL, v_calls);
        v_count := v_count + cardinality(v_calls);
    END IF;
    IF v_count > 0 THEN
        PERFORM fold_counters(p_site);
        PERFORM note_act(p_site, p_act, 'install.remove_tests', NULL, jsonb_build_object('visits', v_count));
    END IF;
    RETURN v_count;
END
$$;
REVOKE EXECUTE ON FUNCTION remove_test_visits FROM PUBLIC;
GRANT EXECUTE ON FUNCTION remove_test_visits TO opsmantik_app;
