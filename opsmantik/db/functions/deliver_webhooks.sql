-- The sender's side of webhooks (upkeep/delivering.py). It works for all sites, and nobody is signed in there.

-- Takes what is due, oldest first: at most p_limit, and of one webhook at most p_each, so that one that hangs does not
-- hold up the others; none of those in p_busy. What is taken is due again after p_seconds, should the taker die; several
-- takers never get the same. Secrets come sealed.
CREATE OR REPLACE FUNCTION claim_deliveries(p_limit integer, p_each integer, p_seconds integer, p_busy uuid[])
RETURNS TABLE (site_id uuid, id uuid, webhook_id uuid, event_id uuid, type text, payload jsonb, attempts integer, url text,
    secret bytea, next_secret bytea, key_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.site_id, o.id, w.url, w.secret, w.next_secret, w.key_id
        FROM webhooks w CROSS JOIN LATERAL (
            SELECT d.id, d.next_at FROM webhook_deliveries d
            WHERE d.site_id = w.site_id AND d.webhook_id = w.id AND d.state IN ('waiting', 'failed') AND d.next_at <= now()
            ORDER BY d.next_at LIMIT p_each FOR NO KEY UPDATE SKIP LOCKED) o
        WHERE w.off_reason IS NULL AND w.id <> ALL (p_busy)
        ORDER BY o.next_at LIMIT p_limit
    )
    UPDATE webhook_deliveries d SET attempts = d.attempts + 1, next_at = now() + make_interval(secs => p_seconds)
    FROM due WHERE d.site_id = due.site_id AND d.id = due.id
    RETURNING d.site_id, d.id, d.webhook_id, d.event_id, d.type, d.payload, d.attempts, due.url, due.secret, due.next_secret,
        due.key_id;
END
$$;

-- How a try ended. p_state: delivered, failed (again in p_seconds) or given_up. p_try: the line in the log. p_gone: the
-- receiver says that it is there no more. A result that comes after somebody else has taken the delivery changes nothing.
--
-- A webhook that is gone, or to which nothing was delivered for p_failing_days, is switched off. Then the addresses are
-- returned of those who keep the site's settings, to be told, with the languages that they read.
CREATE OR REPLACE FUNCTION finish_delivery(p_site uuid, p_id uuid, p_attempts integer, p_state text, p_seconds double precision,
    p_try jsonb, p_response text, p_gone boolean, p_failing_days integer, p_act uuid)
RETURNS TABLE (off_reason text, host text, site_name text, email text, language text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_webhook webhooks;
    v_off text;
BEGIN
    SET LOCAL app.maintenance = 'on';
    -- The webhook first, as whoever removes one locks it.
    SELECT w.* INTO v_webhook FROM webhooks w JOIN webhook_deliveries d ON d.site_id = w.site_id AND d.webhook_id = w.id
    WHERE w.site_id = p_site AND d.site_id = p_site AND d.id = p_id FOR NO KEY UPDATE OF w;
    UPDATE webhook_deliveries d SET state = p_state, next_at = now() + make_interval(secs => p_seconds),
        tries = CASE WHEN jsonb_array_length(d.tries) >= 20 THEN d.tries - 0 ELSE d.tries END || jsonb_build_array(p_try),
        response = left(p_response, 1024), delivered_at = CASE WHEN p_state = 'delivered' THEN now() END
    WHERE d.site_id = p_site AND d.id = p_id AND d.attempts = p_attempts AND d.state IN ('waiting', 'failed');
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF p_state = 'delivered' THEN
        UPDATE webhooks w SET failing_since = NULL
        WHERE w.site_id = p_site AND w.id = v_webhook.id AND w.failing_since IS NOT NULL;
        RETURN;
    END IF;
    v_off := CASE WHEN v_webhook.off_reason IS NOT NULL THEN NULL WHEN p_gone THEN 'gone'
        WHEN v_webhook.failing_since < now() - make_interval(days => p_failing_days) THEN 'failing' END;
    UPDATE webhooks w SET failing_since = coalesce(w.failing_since, now()), off_reason = coalesce(w.off_reason, v_off)
    WHERE w.site_id = p_site AND w.id = v_webhook.id;
    IF v_off IS NULL THEN
        RETURN;
    END IF;
    -- Nobody is signed in here, so note_act would refuse; upkeep is who did it.
    INSERT INTO site_acts (site_id, id, actor_name, action, subject, detail)
    VALUES (p_site, p_act, 'upkeep', 'webhooks.switch_off', webhook_host(v_webhook.url), jsonb_build_object('reason', v_off));
    RETURN QUERY
    SELECT v_off, webhook_host(v_webhook.url), t.name, u.email, coalesce(p.language, 'en')
    FROM sites t
    JOIN users u ON u.disabled_at IS NULL AND (u.id = t.user_id
        OR EXISTS (SELECT FROM site_members m WHERE m.site_id = p_site AND m.user_id = u.id AND m.role = 'admin'))
    LEFT JOIN profiles p ON p.id = u.id
    WHERE t.id = p_site;
END
$$;
REVOKE EXECUTE ON FUNCTION claim_deliveries, finish_delivery FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_deliveries, finish_delivery TO opsmantik_app;
