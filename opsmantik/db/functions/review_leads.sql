-- What the review of leads reads and writes, a moment after they came in (ingest/review.py): their scores as their
-- visits go on, and whether a rule finds them suspicious.

-- The facts of these visits as they are now, of those that have an intent.
CREATE OR REPLACE FUNCTION lead_facts_of(p_sites uuid[], p_sessions uuid[]) RETURNS SETOF lead_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY SELECT s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count,
        s.total_duration_sec, s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count,
        s.form_focus_duration, s.previous_visit_count, s.has_click_id, s.is_paid
    FROM unnest(p_sites, p_sessions) AS d (site_id, session_id)
    JOIN session_keys k ON k.site_id = d.site_id AND k.id = d.session_id
    JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
    WHERE s.intent_count > 0;
END
$$;

-- For each of these taps the lead that it belongs to, if nobody has decided it: what its suspicion is judged by.
CREATE OR REPLACE FUNCTION suspicion_facts(p_sites uuid[], p_calls uuid[])
RETURNS TABLE (site_id uuid, call_id uuid, tap_id uuid, happened_at timestamptz, session_began_at timestamptz,
    taps_of_device integer, taps_of_address integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    WITH sites AS (
        SELECT d.site_id, min(t.created_at) - interval '1 minute' AS since, max(t.created_at) AS until
        FROM unnest(p_sites, p_calls) AS d (site_id, id) JOIN calls t ON t.site_id = d.site_id AND t.id = d.id GROUP BY 1
    ), recent AS (
        -- the site's taps of that time, but no more than are needed to see a flood: during one this must stay cheap
        SELECT o.*, v.ip_address, v.started_at FROM sites w
        CROSS JOIN LATERAL (
            SELECT c.* FROM calls c WHERE c.site_id = w.site_id AND c.created_at > w.since AND c.created_at <= w.until
            ORDER BY c.created_at DESC LIMIT 2000) o
        LEFT JOIN sessions v ON v.site_id = o.site_id AND v.created_month = o.matched_session_month AND v.id = o.matched_session_id
    ), counted AS (
        SELECT r.*, count(*) OVER (PARTITION BY r.site_id, coalesce(r.matched_fingerprint, r.matched_session_id::text) ORDER BY r.created_at
                RANGE BETWEEN interval '1 minute' PRECEDING AND CURRENT ROW) AS device,
            count(*) OVER (PARTITION BY r.site_id, r.ip_address ORDER BY r.created_at
                RANGE BETWEEN interval '1 minute' PRECEDING AND CURRENT ROW) AS address
        FROM recent r
    )
    SELECT l.site_id, l.id, t.id, t.occurred_at, t.started_at, t.device::integer,
        CASE WHEN t.ip_address IS NULL THEN 1 ELSE t.address END::integer
    FROM counted t JOIN calls l ON l.site_id = t.site_id AND l.id = coalesce(t.merged_into, t.id) AND l.status = 'intent'
    WHERE t.id = ANY (p_calls);
END
$$;

-- Marks leads as judged, with nothing found, and tells those who want to hear of them.
CREATE OR REPLACE FUNCTION clear_leads(p_sites uuid[], p_calls uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_lead record;
BEGIN
    SET LOCAL app.maintenance = 'on';
    FOR v_lead IN
        WITH judged AS (
            UPDATE calls c SET suspicion = '{}' FROM unnest(p_sites, p_calls) AS d (site_id, id)
            WHERE c.site_id = d.site_id AND c.id = d.id AND c.suspicion IS NULL RETURNING c.site_id, c.id
        )
        SELECT j.site_id, j.id FROM judged j WHERE has_listeners(j.site_id) ORDER BY 1, 2
    LOOP
        PERFORM announce_lead(v_lead.site_id, v_lead.id, false);
    END LOOP;
END
$$;

-- Makes a lead suspicious for these reasons, unless somebody has decided it meanwhile. Returns whether it became so.
CREATE OR REPLACE FUNCTION suspect_lead(p_site uuid, p_call uuid, p_action uuid, p_reasons text[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_before counter_entry[];
    v_version integer;
    v_is_new boolean;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY[p_call]);
    SELECT c.suspicion IS NULL INTO v_is_new FROM calls c WHERE c.site_id = p_site AND c.id = p_call;
    v_before := call_entries(p_site, ARRAY[p_call], -1);
    UPDATE calls c SET status = 'suspicious', suspicion = p_reasons, version = c.version + 1, updated_at = now()
    WHERE c.site_id = p_site AND c.id = p_call AND c.status = 'intent' AND c.merged_into IS NULL RETURNING c.version INTO v_version;
    IF v_version IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO intent_actions (site_id, id, call_id, actor_kind, action, from_status, to_status, version, before, note)
    VALUES (p_site, p_action, p_call, 'rule', 'suspect', 'intent', 'suspicious', v_version, '{"status": "intent", "suspicion": []}',
        array_to_string(p_reasons, ', '));
    INSERT INTO counter_journal (site_id, entries, calls, changed_at, last_intent_at)
    VALUES (p_site, v_before || call_entries(p_site, ARRAY[p_call], 1), ARRAY[p_call], now(), now());
    IF v_is_new THEN
        PERFORM announce_lead(p_site, p_call, true);
    ELSE
        PERFORM offer_webhooks(p_site, 'lead.decided', p_call, jsonb_build_object('decision', jsonb_build_object(
            'action', 'suspect', 'by', 'rule', 'from_status', 'intent', 'to_status', 'suspicious')));
    END IF;
    RETURN true;
END
$$;

-- Leads of the last hours that nobody judged, because the process that took them ended too early.
CREATE OR REPLACE FUNCTION unjudged_leads(p_hours integer) RETURNS TABLE (site_id uuid, call_id uuid, session_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY SELECT c.site_id, c.id, c.matched_session_id FROM sites s JOIN calls c ON c.site_id = s.id
    WHERE c.created_at > now() - make_interval(hours => p_hours) AND c.status = 'intent' AND c.suspicion IS NULL
      AND c.merged_into IS NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION lead_facts_of, suspicion_facts, clear_leads, suspect_lead, unjudged_leads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lead_facts_of, suspicion_facts, clear_leads, suspect_lead, unjudged_leads TO opsmantik_app;
