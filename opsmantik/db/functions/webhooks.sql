-- What the people of a site do with its webhooks. Every function asks for their role again, and writes its line in the
-- log of acts; secrets come and go sealed, and are in no line.

-- An error unless the asker may change this site's settings.
CREATE OR REPLACE FUNCTION webhook_keeper(p_site uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker may not change this site''s webhooks' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

-- Returns false, with nothing written, if the same form was sent before, or the site has p_most of them.
CREATE OR REPLACE FUNCTION add_webhook(p_site uuid, p_id uuid, p_url text, p_events text[], p_phone boolean, p_click_id boolean,
    p_secret bytea, p_key_id text, p_most integer, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites t WHERE t.id = p_site FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM webhooks w WHERE w.site_id = p_site) >= p_most THEN
        RETURN false;
    END IF;
    INSERT INTO webhooks (site_id, id, url, events, with_phone, with_click_id, secret, key_id, created_by)
    VALUES (p_site, p_id, p_url, p_events, p_phone, p_click_id, p_secret, p_key_id,
        (SELECT u.id FROM users u WHERE u.id = nullif(current_setting('app.person', true), '')::uuid))
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'webhooks.add', webhook_host(p_url),
        jsonb_build_object('events', p_events, 'with_phone', p_phone, 'with_click_id', p_click_id));
    RETURN true;
END
$$;

-- Scheme and host: a whole address often has a secret in its path.
CREATE OR REPLACE FUNCTION webhook_host(p_url text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$ SELECT substring(p_url FROM '^[a-z]+://[^/?#]+') $$;

-- Null leaves a value as it is. What was waiting is sent when a webhook is switched on again; while it is off nothing is
-- added. Returns whether it is there.
CREATE OR REPLACE FUNCTION change_webhook(p_site uuid, p_id uuid, p_url text, p_events text[], p_phone boolean,
    p_click_id boolean, p_is_on boolean, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_old webhooks;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    SELECT w.* INTO v_old FROM webhooks w WHERE w.site_id = p_site AND w.id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE webhooks w SET url = coalesce(p_url, w.url), events = coalesce(p_events, w.events),
        with_phone = coalesce(p_phone, w.with_phone), with_click_id = coalesce(p_click_id, w.with_click_id),
        off_reason = CASE WHEN p_is_on THEN NULL WHEN NOT p_is_on THEN coalesce(w.off_reason, 'paused') ELSE w.off_reason END,
        failing_since = CASE WHEN p_is_on THEN NULL ELSE w.failing_since END, updated_at = now()
    WHERE w.site_id = p_site AND w.id = p_id;
    PERFORM note_act(p_site, p_act, 'webhooks.change', webhook_host(coalesce(p_url, v_old.url)), jsonb_strip_nulls(jsonb_build_object(
        'moved_from', CASE WHEN p_url <> v_old.url THEN webhook_host(v_old.url) END, 'events', p_events, 'with_phone', p_phone,
        'with_click_id', p_click_id, 'is_on', p_is_on)));
    RETURN true;
END
$$;

-- Both secrets, sealed, for whoever is about to replace one; locked, so that two of them do not undo each other.
CREATE OR REPLACE FUNCTION webhook_secrets(p_site uuid, p_id uuid, OUT secret bytea, OUT next_secret bytea, OUT key_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    SELECT w.secret, w.next_secret, w.key_id INTO webhook_secrets.secret, webhook_secrets.next_secret, webhook_secrets.key_id
    FROM webhooks w WHERE w.site_id = p_site AND w.id = p_id FOR NO KEY UPDATE;
END
$$;

-- A second secret begins to sign beside the first (p_next), or takes its place (p_next null).
CREATE OR REPLACE FUNCTION put_webhook_secrets(p_site uuid, p_id uuid, p_secret bytea, p_next bytea, p_key_id text, p_act uuid)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_url text;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE webhooks w SET secret = p_secret, next_secret = p_next, key_id = p_key_id, updated_at = now(),
        rotating_since = CASE WHEN p_next IS NOT NULL THEN now() END
    WHERE w.site_id = p_site AND w.id = p_id RETURNING w.url INTO v_url;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM note_act(p_site, p_act, CASE WHEN p_next IS NULL THEN 'webhooks.retire_secret' ELSE 'webhooks.rotate_secret' END,
        webhook_host(v_url), '{}');
END
$$;

CREATE OR REPLACE FUNCTION remove_webhook(p_site uuid, p_id uuid, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_url text;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    DELETE FROM webhooks w WHERE w.site_id = p_site AND w.id = p_id RETURNING w.url INTO v_url;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'webhooks.remove', webhook_host(v_url), '{}');
    RETURN true;
END
$$;

-- A message about nothing, to see whether it arrives. Null: there is no such webhook, or it is off.
CREATE OR REPLACE FUNCTION try_webhook(p_site uuid, p_id uuid, p_delivery uuid, p_act uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    v_url text;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    INSERT INTO webhook_deliveries (site_id, id, webhook_id, event_id, type, payload)
    SELECT w.site_id, p_delivery, w.id, gen_random_uuid(), 'webhook.test',
        jsonb_build_object('type', 'webhook.test', 'timestamp', now(), 'payload_version', 1, 'data',
            jsonb_build_object('site', t.public_id, 'links', jsonb_build_object('site', '/sites/' || t.id)))
    FROM webhooks w JOIN sites t ON t.id = w.site_id WHERE w.site_id = p_site AND w.id = p_id AND w.off_reason IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT w.url INTO v_url FROM webhooks w WHERE w.site_id = p_site AND w.id = p_id;
    PERFORM note_act(p_site, p_act, 'webhooks.test', webhook_host(v_url), '{}');
    RETURN p_delivery;
END
$$;

-- The same message, with the same id, once more: whatever became of it. Returns whether that is possible.
CREATE OR REPLACE FUNCTION replay_delivery(p_site uuid, p_webhook uuid, p_id uuid, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_type text;
BEGIN
    PERFORM webhook_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE webhook_deliveries d SET state = 'waiting', attempts = 0, next_at = now(), delivered_at = NULL
    WHERE d.site_id = p_site AND d.webhook_id = p_webhook AND d.id = p_id
      AND EXISTS (SELECT FROM webhooks w WHERE w.site_id = p_site AND w.id = p_webhook AND w.off_reason IS NULL)
    RETURNING d.type INTO v_type;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'webhooks.replay', p_id::text, jsonb_build_object('type', v_type));
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION webhook_keeper, webhook_host, add_webhook, change_webhook, webhook_secrets, put_webhook_secrets,
    remove_webhook, try_webhook, replay_delivery FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_webhook, change_webhook, webhook_secrets, put_webhook_secrets, remove_webhook, try_webhook,
    replay_delivery TO opsmantik_app;
