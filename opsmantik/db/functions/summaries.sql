-- Summaries by mail: who wants one, and the sender's side of it (upkeep/summarizing.py). Which day a summary is due for,
-- and when the next one is, the application says: it knows the site's clock.

-- The asker's own wish on a site that they may see. p_next_at: when the first is due, null where none is wished for.
CREATE OR REPLACE FUNCTION wish_summary(p_site uuid, p_pace text, p_hour smallint, p_language text, p_next_at timestamptz)
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
    INSERT INTO summary_wishes (site_id, user_id, pace, at_hour, language, next_at)
    VALUES (p_site, v_person, p_pace, p_hour, p_language, CASE WHEN p_pace <> 'off' THEN p_next_at END)
    ON CONFLICT (site_id, user_id) DO UPDATE SET pace = excluded.pace, at_hour = excluded.at_hour,
        language = excluded.language, next_at = excluded.next_at, failures = 0, updated_at = now();
END
$$;

-- Whether the asker may have one sent at once: once a minute, whatever they wish otherwise.
CREATE OR REPLACE FUNCTION ask_for_summary(p_site uuid, p_language text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_person IS NULL OR site_role(p_site) IS NULL THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO summary_wishes (site_id, user_id, language, asked_at) VALUES (p_site, v_person, p_language, now())
    ON CONFLICT (site_id, user_id) DO UPDATE SET asked_at = now()
        WHERE coalesce(summary_wishes.asked_at < now() - interval '1 minute', true);
    RETURN FOUND;
END
$$;

-- No more summaries to this person about this site: whoever holds the signed link of one of those mails says so. The
-- signature is the application's to check.
CREATE OR REPLACE FUNCTION end_summaries(p_site uuid, p_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE summary_wishes w SET pace = 'off', next_at = NULL, updated_at = now() WHERE w.site_id = p_site AND w.user_id = p_user;
END
$$;

-- Takes wishes that are due, each for one sender until taken_until; then another takes it, should this one have died.
-- Whoever may not see the site any more has no wish about it either.
CREATE OR REPLACE FUNCTION claim_summaries(p_limit integer, p_seconds integer)
RETURNS TABLE (site_id uuid, user_id uuid, pace text, at_hour smallint, language text, sent_for date, failures integer,
    taken_until timestamptz, email text, time_zone text, site_name text, switched_off boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    DELETE FROM summary_wishes w USING sites t, users u
    WHERE w.next_at <= now() AND t.id = w.site_id AND u.id = w.user_id AND (u.disabled_at IS NOT NULL OR NOT (
        t.user_id = u.id OR EXISTS (SELECT FROM site_members m WHERE m.site_id = w.site_id AND m.user_id = w.user_id)
        OR EXISTS (SELECT FROM profiles p WHERE p.id = w.user_id AND p.role = 'admin')));
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.site_id, w.user_id FROM summary_wishes w WHERE w.next_at <= now()
        ORDER BY w.next_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE summary_wishes w SET next_at = now() + make_interval(secs => p_seconds)
    FROM due, sites t, users u
    WHERE w.site_id = due.site_id AND w.user_id = due.user_id AND t.id = w.site_id AND u.id = w.user_id
    RETURNING w.site_id, w.user_id, w.pace, w.at_hour, w.language, w.sent_for, w.failures, w.next_at, u.email, t.time_zone,
        t.name, t.disabled_at IS NOT NULL;
END
$$;

-- What became of it: the day that is done with (null: it is tried again), and when to look next. The wish may have been
-- changed, or taken by another, since it was taken: then its next_at is theirs and stays.
CREATE OR REPLACE FUNCTION finish_summary(p_site uuid, p_user uuid, p_taken_until timestamptz, p_sent_for date, p_failed boolean,
    p_next_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE summary_wishes w SET sent_for = greatest(w.sent_for, p_sent_for),
        failures = CASE WHEN p_failed THEN w.failures + 1 ELSE 0 END,
        next_at = CASE WHEN w.next_at = p_taken_until THEN p_next_at ELSE w.next_at END
    WHERE w.site_id = p_site AND w.user_id = p_user;
END
$$;
REVOKE EXECUTE ON FUNCTION wish_summary, ask_for_summary, end_summaries, claim_summaries, finish_summary FROM PUBLIC;
GRANT EXECUTE ON FUNCTION wish_summary, ask_for_summary, end_summaries, claim_summaries, finish_summary TO opsmantik_app;
