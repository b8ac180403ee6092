-- What a site's telephone system signs with: at most a present secret and a next one, both good, so that it can be
-- changed without losing a call. Sealed before they come here. p_act: the id of the act's line in the log.

-- Null: there are two already.
CREATE OR REPLACE FUNCTION make_call_secret(p_site uuid, p_id uuid, p_act uuid, p_secret bytea, p_key_id text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_place text;
BEGIN
    PERFORM key_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    SELECT p INTO v_place FROM unnest(ARRAY['current', 'next']) WITH ORDINALITY AS places (p, n)
    WHERE NOT EXISTS (SELECT FROM call_secrets c WHERE c.site_id = p_site AND c.place = p) ORDER BY n LIMIT 1;
    IF v_place IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO call_secrets (site_id, id, place, secret, key_id) VALUES (p_site, p_id, v_place, p_secret, p_key_id);
    PERFORM note_act(p_site, p_act, 'call_secrets.make', v_place, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN v_place;
END
$$;

-- Where the present one goes and there is a next one, that takes its place. False: there is no such secret.
CREATE OR REPLACE FUNCTION remove_call_secret(p_site uuid, p_id uuid, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_place text;
    v_promoted boolean := false;
BEGIN
    PERFORM key_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    DELETE FROM call_secrets c WHERE c.site_id = p_site AND c.id = p_id RETURNING c.place INTO v_place;
    IF v_place IS NULL THEN
        RETURN false;
    END IF;
    IF v_place = 'current' THEN
        UPDATE call_secrets c SET place = 'current' WHERE c.site_id = p_site AND c.place = 'next';
        v_promoted := FOUND;
    END IF;
    PERFORM note_act(p_site, p_act, CASE WHEN v_promoted THEN 'call_secrets.promote' ELSE 'call_secrets.remove' END,
        v_place, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;

-- Whether calls may be reported without a signature.
CREATE OR REPLACE FUNCTION allow_unsigned_calls(p_site uuid, p_allowed boolean, p_act uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM key_manager(p_site);
    UPDATE sites s SET unsigned_calls = p_allowed, updated_at = now() WHERE s.id = p_site AND s.unsigned_calls <> p_allowed;
    IF FOUND THEN
        PERFORM note_act(p_site, p_act,
            CASE WHEN p_allowed THEN 'call_secrets.allow_unsigned' ELSE 'call_secrets.refuse_unsigned' END, NULL, NULL);
        PERFORM pg_notify('opsmantik_sites', p_site::text);
    END IF;
END
$$;

-- What the door for calls must know: sites that sign, or take signed calls only. Crosses tenants as ingest_sites does;
-- the secrets are sealed, and the key to them is not in the database.
CREATE OR REPLACE FUNCTION ingest_call_secrets()
RETURNS TABLE (site_id uuid, unsigned_calls boolean, id uuid, key_id text, secret bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM see_all_sites();
    RETURN QUERY
    SELECT s.id, s.unsigned_calls, c.id, c.key_id, c.secret FROM sites s LEFT JOIN call_secrets c ON c.site_id = s.id
    WHERE c.id IS NOT NULL OR NOT s.unsigned_calls ORDER BY s.id, c.place;
END
$$;
REVOKE EXECUTE ON FUNCTION make_call_secret, remove_call_secret, allow_unsigned_calls, ingest_call_secrets FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_call_secret, remove_call_secret, allow_unsigned_calls, ingest_call_secrets TO opsmantik_app;
