-- Leads that a site's own rules may decide, oldest first. With p_lock they belong to the caller until the end of the
-- transaction; those that somebody is deciding at the moment are passed over, not waited for.

-- For sealing: taps that waited for p_hours, of a paid visit with a click id that was more than a glance. Nobody has
-- touched them: where a person took an automatic decision back, no rule overrules them.
CREATE OR REPLACE FUNCTION leads_to_approve(p_site uuid, p_waiting text[], p_hours integer, p_seconds integer,
    p_events integer, p_limit integer, p_lock boolean) RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_calls uuid[];
BEGIN
    PERFORM decider(p_site);
    SET LOCAL app.maintenance = 'on';
    v_calls := ARRAY(
        SELECT c.id FROM calls c JOIN sessions s
            ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.status = ANY (p_waiting) AND c.source = 'click' AND c.merged_into IS NULL
          AND coalesce(cardinality(c.suspicion), 0) = 0
          AND c.created_at < now() - make_interval(hours => p_hours)
          AND s.is_paid AND s.has_click_id AND s.total_duration_sec >= p_seconds AND s.event_count >= p_events
          AND NOT EXISTS (SELECT FROM intent_actions a
              WHERE a.site_id = c.site_id AND a.call_id = c.id AND a.actor_kind <> 'rule')
        ORDER BY c.created_at, c.id LIMIT p_limit);
    RETURN CASE WHEN p_lock THEN lock_waiting(p_site, p_waiting, v_calls) ELSE v_calls END;
END
$$;

-- For junk: leads of any kind that waited for p_days, and on which nothing was done in that time.
CREATE OR REPLACE FUNCTION leads_to_junk(p_site uuid, p_waiting text[], p_days integer, p_limit integer, p_lock boolean)
RETURNS uuid[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_calls uuid[];
BEGIN
    PERFORM decider(p_site);
    SET LOCAL app.maintenance = 'on';
    v_calls := ARRAY(
        SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.status = ANY (p_waiting) AND c.merged_into IS NULL
          AND c.created_at < now() - make_interval(days => p_days)
          AND NOT EXISTS (SELECT FROM intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id
              AND a.at >= now() - make_interval(days => p_days))
        ORDER BY c.created_at, c.id LIMIT p_limit);
    RETURN CASE WHEN p_lock THEN lock_waiting(p_site, p_waiting, v_calls) ELSE v_calls END;
END
$$;

-- Those of the leads that still wait and that nobody else holds, in the same order. Each is locked after its visit, as
-- lock_leads does it; but whoever is locked already is passed over.
CREATE OR REPLACE FUNCTION lock_waiting(p_site uuid, p_waiting text[], p_calls uuid[]) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_calls uuid[];
BEGIN
    v_calls := ARRAY(
        SELECT c.id FROM calls c JOIN sessions s
            ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) ORDER BY s.id FOR SHARE OF s SKIP LOCKED);
    RETURN ARRAY(
        SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) AND (c.id = ANY (v_calls) OR c.matched_session_id IS NULL)
          AND c.status = ANY (p_waiting) AND c.merged_into IS NULL
        ORDER BY c.created_at, c.id FOR NO KEY UPDATE SKIP LOCKED);
END
$$;
REVOKE EXECUTE ON FUNCTION leads_to_approve, leads_to_junk, lock_waiting FROM PUBLIC;
GRANT EXECUTE ON FUNCTION leads_to_approve, leads_to_junk TO opsmantik_app;
