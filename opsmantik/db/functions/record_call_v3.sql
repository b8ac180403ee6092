-- A signed report of a call: the signature is remembered, and the lead is stored, in one transaction. The same signature
-- again, also at the same moment, waits for the first and finds its answer; the same event id again, signed anew, finds
-- the lead that is there. The visit is the newest one of the caller's click id in p_click_days, or else of the device
-- with an event in the p_window_minutes before the call; never one that began after it.
--
-- Out: answer, and nothing else, where the signature has been seen; otherwise answer is null and the caller writes it
-- (answer_call) before the commit.
CREATE OR REPLACE FUNCTION record_call_v3(p_site uuid, p_id uuid, p_signature bytea, p_number text, p_fingerprint text,
    p_click_kind text, p_click_id text, p_event_id text, p_called_at timestamptz, p_direction text, p_outcome text,
    p_seconds integer, p_currency text, p_window_minutes integer, p_click_days integer, p_repeat_seconds integer,
    OUT answer jsonb, OUT call_id uuid, OUT session_id uuid, OUT is_new boolean, OUT facts lead_facts)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_session sessions;
    v_at timestamptz := coalesce(p_called_at, now());
    v_stamp text := 'call:' || p_event_id;
BEGIN
    SET LOCAL app.maintenance = 'on';
    is_new := false;
    INSERT INTO call_signatures (site_id, signature) VALUES (p_site, p_signature) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT s.answer INTO record_call_v3.answer FROM call_signatures s
        WHERE s.site_id = p_site AND s.signature = p_signature;
        RETURN;
    END IF;

    -- Without an event id by the same name as unsigned reports, so that one of each is one call.
    PERFORM pg_advisory_xact_lock(hashtextextended(
        p_site::text || coalesce(v_stamp, p_number || coalesce(p_fingerprint, '')), 1));
    IF v_stamp IS NOT NULL THEN
        SELECT c.id, c.matched_session_id INTO call_id, session_id FROM calls c
        WHERE c.site_id = p_site AND c.intent_stamp = v_stamp;
    ELSE
        SELECT c.id, c.matched_session_id INTO call_id, session_id FROM calls c
        WHERE c.site_id = p_site AND c.phone_number = p_number AND c.source = 'api'
          AND (p_fingerprint IS NULL OR c.matched_fingerprint = p_fingerprint)
          AND c.created_at > now() - make_interval(secs => p_repeat_seconds)
        ORDER BY c.created_at DESC LIMIT 1;
    END IF;
    is_new := call_id IS NULL;

    IF NOT is_new THEN
        SELECT s.* INTO v_session FROM calls c JOIN sessions s ON s.site_id = c.site_id
            AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = call_id;
    END IF;
    IF is_new AND p_click_id IS NOT NULL THEN
        SELECT s.* INTO v_session FROM sessions s
        WHERE s.site_id = p_site AND p_click_id IN (s.gclid, s.wbraid, s.gbraid)
          AND s.created_at > v_at - make_interval(days => p_click_days) AND s.started_at < v_at + interval '2 minutes'
          AND s.created_month >= date_trunc('month', (v_at - make_interval(days => p_click_days)) AT TIME ZONE 'UTC')::date
        ORDER BY s.created_at DESC LIMIT 1;
    END IF;
    IF is_new AND v_session.id IS NULL AND p_fingerprint IS NOT NULL THEN
        -- A visit that is still going on may have begun last month, or before: its key says in which partition.
        SELECT s.* INTO v_session FROM sessions s
        WHERE s.site_id = p_site AND s.fingerprint = p_fingerprint
          AND s.last_event_at > v_at - make_interval(mins => p_window_minutes) AND s.started_at < v_at + interval '2 minutes'
          AND s.created_at > v_at - interval '32 days'
          AND s.created_month >= (date_trunc('month', v_at AT TIME ZONE 'UTC') - interval '1 month')::date
        ORDER BY s.last_event_at DESC LIMIT 1;
    END IF;
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
    INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, phone_number, currency, intent_stamp,
        matched_fingerprint, matched_session_id, matched_session_month, matched_at, click_id, click_id_kind,
        call_direction, call_outcome, call_seconds)
    VALUES (p_site, p_id, now(), v_at, now(), 'api', p_number, p_currency, v_stamp,
        coalesce(p_fingerprint, v_session.fingerprint), v_session.id, v_session.created_month,
        CASE WHEN v_session.id IS NOT NULL THEN now() END,
        coalesce(p_click_id, v_session.gclid, v_session.wbraid, v_session.gbraid),
        CASE WHEN p_click_id IS NOT NULL THEN p_click_kind WHEN v_session.gclid IS NOT NULL THEN 'gclid'
             WHEN v_session.wbraid IS NOT NULL THEN 'wbraid' WHEN v_session.gbraid IS NOT NULL THEN 'gbraid' END,
        p_direction, p_outcome, p_seconds);
    INSERT INTO counter_journal (site_id, entries, calls, changed_at, last_intent_at)
    VALUES (p_site, call_entries(p_site, ARRAY[p_id], 1), ARRAY[p_id], now(), now());
END
$$;

CREATE OR REPLACE FUNCTION answer_call(p_site uuid, p_signature bytea, p_answer jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE call_signatures s SET answer = p_answer
    WHERE s.site_id = p_site AND s.signature = p_signature AND s.answer IS NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION record_call_v3, answer_call FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_call_v3, answer_call TO opsmantik_app;
