-- A call reported by a telephone system: stored as a lead of source 'api', joined to the newest visit of that
-- device on that site with an event in the last p_window_minutes, or to none. The same report again within
-- p_repeat_seconds finds the lead that is there; five at once wait for each other and make one.
CREATE OR REPLACE FUNCTION record_call_v2(p_site uuid, p_id uuid, p_number text, p_fingerprint text, p_currency text,
    p_window_minutes integer, p_repeat_seconds integer,
    OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts lead_facts)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_session sessions;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM pg_advisory_xact_lock(hashtextextended(p_site::text || p_number || p_fingerprint, 1));
    SELECT c.id, c.matched_session_id INTO call_id, session_id FROM calls c
    WHERE c.site_id = p_site AND c.matched_fingerprint = p_fingerprint AND c.phone_number = p_number AND c.source = 'api'
      AND c.created_at > now() - make_interval(secs => p_repeat_seconds)
    ORDER BY c.created_at DESC LIMIT 1;
    is_new := NOT FOUND;

    -- A visit that is still going on may have begun last month, or before: its key says in which partition.
    SELECT s.* INTO v_session FROM sessions s
    WHERE s.site_id = p_site AND s.fingerprint = p_fingerprint
      AND s.last_event_at > now() - make_interval(mins => p_window_minutes)
      AND s.created_at > now() - interval '32 days'
      AND s.created_month >= (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month')::date
      AND (is_new OR s.id = record_call_v2.session_id)
    ORDER BY s.last_event_at DESC LIMIT 1;
    IF v_session.id IS NOT NULL THEN
        session_id := v_session.id;
        facts := (p_site, v_session.id, v_session.event_count, v_session.view_count, v_session.conversion_count,
            v_session.intent_count, v_session.total_duration_sec, v_session.total_active_seconds,
            v_session.max_scroll_percentage, v_session.cta_hover_count, v_session.form_focus_duration,
            v_session.previous_visit_count, v_session.has_click_id, v_session.is_paid)::lead_facts;
    END IF;
    IF NOT is_new THEN
        RETURN;
    END IF;

    call_id := p_id;
    -- The visit stays as it is until the lead is counted with it.
    PERFORM FROM sessions s WHERE s.site_id = p_site AND s.created_month = v_session.created_month AND s.id = v_session.id
    FOR SHARE;
    INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, phone_number, currency,
        matched_fingerprint, matched_session_id, matched_session_month, matched_at, click_id, click_id_kind)
    VALUES (p_site, p_id, now(), now(), now(), 'api', p_number, p_currency, p_fingerprint,
        v_session.id, v_session.created_month, CASE WHEN v_session.id IS NOT NULL THEN now() END,
        coalesce(v_session.gclid, v_session.wbraid, v_session.gbraid),
        CASE WHEN v_session.gclid IS NOT NULL THEN 'gclid' WHEN v_session.wbraid IS NOT NULL THEN 'wbraid'
             WHEN v_session.gbraid IS NOT NULL THEN 'gbraid' END);
    INSERT INTO counter_journal (site_id, entries, calls, changed_at, last_intent_at)
    VALUES (p_site, call_entries(p_site, ARRAY[p_id], 1), ARRAY[p_id], now(), now());
END
$$;

-- The score of a call that was just stored. Nobody judges what a telephone system reports, so this is when it is announced.
CREATE OR REPLACE FUNCTION score_call(p_site uuid, p_call uuid, p_score integer, p_breakdown jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE calls SET lead_score = p_score, lead_score_at_match = p_score, score_breakdown = p_breakdown
    WHERE site_id = p_site AND id = p_call;
    IF has_listeners(p_site) THEN
        PERFORM announce_lead(p_site, p_call, false);
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION record_call_v2, score_call FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_call_v2, score_call TO opsmantik_app;
