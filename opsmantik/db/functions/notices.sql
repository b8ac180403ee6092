-- Mail about new leads: who wants it, and the sender's side of it (upkeep/notifying.py).

-- The asker's own wish on a site that they may see.
CREATE OR REPLACE FUNCTION wish_notices(p_site uuid, p_pace text, p_quiet_from time, p_quiet_until time, p_language text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_person IS NULL OR site_role(p_site) IS NULL THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO notice_wishes (site_id, user_id, pace, quiet_from, quiet_until, language)
    VALUES (p_site, v_person, p_pace, p_quiet_from, p_quiet_until, p_language)
    ON CONFLICT (site_id, user_id) DO UPDATE SET pace = excluded.pace, quiet_from = excluded.quiet_from,
        quiet_until = excluded.quiet_until, language = excluded.language, updated_at = now(),
        -- What waits is looked at again, by the new wish.
        next_at = CASE WHEN excluded.pace <> 'off' AND notice_wishes.next_at IS NOT NULL THEN now() END;
    IF p_pace = 'off' THEN
        DELETE FROM lead_notices n WHERE n.site_id = p_site AND n.user_id = v_person AND n.sent_at IS NULL;
    END IF;
END
$$;

-- No more mail to this person about this site: whoever holds the signed link of one of those mails says so. The signature
-- is the application's to check.
CREATE OR REPLACE FUNCTION end_notices(p_site uuid, p_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE notice_wishes w SET pace = 'off', next_at = NULL, updated_at = now() WHERE w.site_id = p_site AND w.user_id = p_user;
    DELETE FROM lead_notices n WHERE n.site_id = p_site AND n.user_id = p_user AND n.sent_at IS NULL;
END
$$;

-- Takes wishes that are due, with what waits for each; due again after p_seconds, should the taker die. Whoever may not
-- see the site any more has no wish about it either.
CREATE OR REPLACE FUNCTION claim_notices(p_limit integer, p_seconds integer)
RETURNS TABLE (site_id uuid, user_id uuid, pace text, quiet_from time, quiet_until time, failures integer, oldest timestamptz,
    email text, language text, time_zone text, site_name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    DELETE FROM notice_wishes w USING sites t, users u
    WHERE w.next_at <= now() AND t.id = w.site_id AND u.id = w.user_id AND (u.disabled_at IS NOT NULL OR NOT (
        t.user_id = u.id OR EXISTS (SELECT FROM site_members m WHERE m.site_id = w.site_id AND m.user_id = w.user_id)
        OR EXISTS (SELECT FROM profiles p WHERE p.id = w.user_id AND p.role = 'admin')));
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.site_id, w.user_id FROM notice_wishes w WHERE w.next_at <= now()
        ORDER BY w.next_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE notice_wishes w SET next_at = now() + make_interval(secs => p_seconds)
    FROM due, sites t, users u
    WHERE w.site_id = due.site_id AND w.user_id = due.user_id AND t.id = w.site_id AND u.id = w.user_id
    RETURNING w.site_id, w.user_id, w.pace, w.quiet_from, w.quiet_until, w.failures,
        (SELECT min(n.created_at) FROM lead_notices n
         WHERE n.site_id = w.site_id AND n.user_id = w.user_id AND n.sent_at IS NULL),
        u.email, w.language, t.time_zone, t.name;
END
$$;

-- The leads that somebody is still to be told of, oldest first. Nothing in it says who called.
CREATE OR REPLACE FUNCTION leads_to_notice(p_site uuid, p_user uuid, p_limit integer)
RETURNS TABLE (call_id uuid, captured_at timestamptz, action text, source text, channel text, campaign text, keyword text,
    score integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    SELECT c.id, c.created_at, c.intent_action, s.attribution_source, s.channel, s.utm_campaign, s.utm_term, c.lead_score
    FROM lead_notices n JOIN calls c ON c.site_id = n.site_id AND c.id = n.call_id
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    WHERE n.site_id = p_site AND n.user_id = p_user AND n.sent_at IS NULL
    ORDER BY n.created_at, n.call_id LIMIT p_limit;
END
$$;

-- These were told (p_calls; none: it failed). What is left is looked at after p_seconds, or never where p_seconds is null
-- and nothing is left; null with p_failed gives up all that waits.
CREATE OR REPLACE FUNCTION finish_notices(p_site uuid, p_user uuid, p_calls uuid[], p_failed boolean, p_seconds double precision)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    -- The wish first, as whoever announces a lead locks it.
    PERFORM FROM notice_wishes w WHERE w.site_id = p_site AND w.user_id = p_user FOR NO KEY UPDATE;
    IF p_failed AND p_seconds IS NULL THEN
        DELETE FROM lead_notices n WHERE n.site_id = p_site AND n.user_id = p_user AND n.sent_at IS NULL;
    END IF;
    UPDATE lead_notices n SET sent_at = now()
    WHERE n.site_id = p_site AND n.user_id = p_user AND n.call_id = ANY (p_calls) AND n.sent_at IS NULL;
    UPDATE notice_wishes w SET failures = CASE WHEN p_failed AND p_seconds IS NOT NULL THEN w.failures + 1 ELSE 0 END,
        next_at = CASE WHEN EXISTS (SELECT FROM lead_notices n
            WHERE n.site_id = p_site AND n.user_id = p_user AND n.sent_at IS NULL) AND w.pace <> 'off'
            THEN now() + make_interval(secs => coalesce(p_seconds, 0)) END
    WHERE w.site_id = p_site AND w.user_id = p_user;
END
$$;
REVOKE EXECUTE ON FUNCTION wish_notices, end_notices, claim_notices, leads_to_notice, finish_notices FROM PUBLIC;
GRANT EXECUTE ON FUNCTION wish_notices, end_notices, claim_notices, leads_to_notice, finish_notices TO opsmantik_app;
