-- Other services' tokens of the person whose transaction it is. They come in sealed and go out sealed; the row's id is part
-- of the seal, so it is settled before the tokens are.
CREATE OR REPLACE FUNCTION credential_place(p_id uuid, p_provider text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_id uuid;
BEGIN
    PERFORM 1 FROM users u WHERE u.id = v_person AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nobody is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO user_credentials (id, user_id, provider) VALUES (p_id, v_person, p_provider)
    ON CONFLICT (user_id, provider) DO NOTHING;
    SELECT c.id INTO v_id FROM user_credentials c WHERE c.user_id = v_person AND c.provider = p_provider FOR NO KEY UPDATE;
    RETURN v_id;
END
$$;

-- p_act: the line in the log; null where an access token is only replaced by a newer one of the same grant.
CREATE OR REPLACE FUNCTION put_credential(p_id uuid, p_access_token bytea, p_refresh_token bytea, p_key_id text,
    p_expires_at timestamptz, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_provider text;
BEGIN
    UPDATE user_credentials c SET access_token = p_access_token, refresh_token = p_refresh_token, key_id = p_key_id,
        expires_at = p_expires_at, updated_at = now()
    WHERE c.id = p_id AND c.user_id = nullif(current_setting('app.person', true), '')::uuid
    RETURNING c.provider INTO v_provider;
    IF v_provider IS NOT NULL AND p_act IS NOT NULL THEN
        PERFORM note_act(NULL, p_act, 'credentials.keep', v_provider, '{}');
    END IF;
    RETURN v_provider IS NOT NULL;
END
$$;

CREATE OR REPLACE FUNCTION sealed_credential(p_provider text)
RETURNS TABLE (id uuid, access_token bytea, refresh_token bytea, key_id text, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT c.id, c.access_token, c.refresh_token, c.key_id, c.expires_at
    FROM user_credentials c JOIN users u ON u.id = c.user_id AND u.disabled_at IS NULL
    WHERE c.user_id = nullif(current_setting('app.person', true), '')::uuid AND c.provider = p_provider
      AND c.key_id IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION drop_credential(p_provider text, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    DELETE FROM user_credentials c
    WHERE c.user_id = nullif(current_setting('app.person', true), '')::uuid AND c.provider = p_provider;
    IF FOUND THEN
        PERFORM note_act(NULL, p_act, 'credentials.forget', p_provider, '{}');
        RETURN true;
    END IF;
    RETURN false;
END
$$;

REVOKE EXECUTE ON FUNCTION credential_place, put_credential, sealed_credential, drop_credential FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credential_place, put_credential, sealed_credential, drop_credential TO opsmantik_app;
