-- Making, replacing and revoking keys: by people, never by a key, which could otherwise outlive itself. Each act leaves
-- its line in the log. p_act: that line's id.

-- For a site's keys and secrets: the person (acting_person, members.sql), or an error where their role does not manage them.
CREATE OR REPLACE FUNCTION key_manager(p_site uuid) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker manages no keys of this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN acting_person();
END
$$;

-- False: there are fifty already.
CREATE OR REPLACE FUNCTION make_person_key(p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_name text, p_scopes text[],
    p_only uuid, p_expires_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    IF p_only IS NOT NULL AND NOT coalesce(p_only = ANY (nullif(current_setting('app.sites', true), '')::uuid[]), false) THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM FROM users u WHERE u.id = v_person FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM person_keys k WHERE k.user_id = v_person AND is_live_key(k.expires_at, k.revoked_at)) >= 50 THEN
        RETURN false;
    END IF;
    INSERT INTO person_keys (id, user_id, key_hash, last_four, name, scopes, only_site, expires_at)
    VALUES (p_id, v_person, p_hash, p_last_four, p_name, p_scopes, p_only, p_expires_at);
    PERFORM note_act(p_only, p_act, 'keys.make_own', key_label(p_name, p_last_four),
        jsonb_build_object('scopes', p_scopes, 'expires_at', p_expires_at));
    RETURN true;
END
$$;

-- A successor with the same name and scopes, good for as long as the old one was made for. The old one lives on for
-- p_grace, so that programs can be moved one by one. False: there is none to replace, or it has been replaced already.
CREATE OR REPLACE FUNCTION rotate_person_key(p_key uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_grace interval)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
    v_old person_keys;
BEGIN
    SELECT k.* INTO v_old FROM person_keys k WHERE k.id = p_key AND k.user_id = v_person AND k.replaced_by IS NULL
      AND is_live_key(k.expires_at, k.revoked_at) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO person_keys (id, user_id, key_hash, last_four, name, scopes, only_site, expires_at)
    VALUES (p_id, v_old.user_id, p_hash, p_last_four, v_old.name, v_old.scopes, v_old.only_site,
        now() + (v_old.expires_at - v_old.created_at));
    UPDATE person_keys k SET replaced_by = p_id, expires_at = least(k.expires_at, now() + p_grace) WHERE k.id = p_key;
    PERFORM note_act(NULL, p_act, 'keys.rotate_own', key_label(v_old.name, v_old.last_four),
        jsonb_build_object('successor', p_last_four, 'grace', p_grace));
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION revoke_person_key(p_key uuid, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
    v_label text;
BEGIN
    UPDATE person_keys k SET revoked_at = now() WHERE k.id = p_key AND k.user_id = v_person AND k.revoked_at IS NULL
    RETURNING key_label(k.name, k.last_four) INTO v_label;
    IF v_label IS NULL THEN
        RETURN false;
    END IF;
    PERFORM note_act(NULL, p_act, 'keys.revoke_own', v_label, NULL);
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION make_site_key(p_site uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text, p_name text,
    p_scopes text[], p_expires_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := key_manager(p_site);
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM site_keys k WHERE k.site_id = p_site AND is_live_key(k.expires_at, k.revoked_at)) >= 50 THEN
        RETURN false;
    END IF;
    INSERT INTO site_keys (site_id, id, key_hash, last_four, name, scopes, created_by, expires_at)
    VALUES (p_site, p_id, p_hash, p_last_four, p_name, p_scopes, v_person, p_expires_at);
    PERFORM note_act(p_site, p_act, 'keys.make', key_label(p_name, p_last_four),
        jsonb_build_object('scopes', p_scopes, 'expires_at', p_expires_at));
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION rotate_site_key(p_site uuid, p_key uuid, p_id uuid, p_act uuid, p_hash bytea, p_last_four text,
    p_grace interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := key_manager(p_site);
    v_old site_keys;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT k.* INTO v_old FROM site_keys k WHERE k.site_id = p_site AND k.id = p_key AND k.replaced_by IS NULL
      AND is_live_key(k.expires_at, k.revoked_at) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO site_keys (site_id, id, key_hash, last_four, name, scopes, created_by, expires_at)
    VALUES (p_site, p_id, p_hash, p_last_four, v_old.name, v_old.scopes, v_person,
        now() + (v_old.expires_at - v_old.created_at));
    UPDATE site_keys k SET replaced_by = p_id, expires_at = least(k.expires_at, now() + p_grace)
    WHERE k.site_id = p_site AND k.id = p_key;
    PERFORM note_act(p_site, p_act, 'keys.rotate', key_label(v_old.name, v_old.last_four),
        jsonb_build_object('successor', p_last_four, 'grace', p_grace));
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION revoke_site_key(p_site uuid, p_key uuid, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_label text;
BEGIN
    PERFORM key_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE site_keys k SET revoked_at = now() WHERE k.site_id = p_site AND k.id = p_key AND k.revoked_at IS NULL
    RETURNING key_label(k.name, k.last_four) INTO v_label;
    IF v_label IS NULL THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'keys.revoke', v_label, NULL);
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION key_manager, make_person_key, rotate_person_key, revoke_person_key, make_site_key,
    rotate_site_key, revoke_site_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_person_key, rotate_person_key, revoke_person_key, make_site_key, rotate_site_key,
    revoke_site_key TO opsmantik_app;

-- The name of whoever made a key of this site, for those who manage its keys.
CREATE OR REPLACE FUNCTION key_maker_name(p_site uuid, p_maker uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM key_manager(p_site);
    RETURN (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = p_maker
        AND EXISTS (SELECT FROM site_keys k WHERE k.site_id = p_site AND k.created_by = p_maker));
END
$$;
REVOKE EXECUTE ON FUNCTION key_maker_name FROM PUBLIC;
GRANT EXECUTE ON FUNCTION key_maker_name TO opsmantik_app;
