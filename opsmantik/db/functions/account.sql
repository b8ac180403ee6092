-- One's own account: each function changes that of the person whose transaction it is, or the one that a link was made for.
CREATE OR REPLACE FUNCTION end_own_sign_in(p_id uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    DELETE FROM sign_ins WHERE id = p_id AND user_id = acting_person();
    RETURN FOUND;
END
$$;

CREATE OR REPLACE FUNCTION end_own_sign_ins(p_note uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
    v_ended integer;
BEGIN
    DELETE FROM half_sign_ins WHERE user_id = v_user;
    DELETE FROM sign_ins WHERE user_id = v_user;
    GET DIAGNOSTICS v_ended = ROW_COUNT;
    PERFORM note_act(NULL, p_note, 'account.sign_out_everywhere', NULL, jsonb_build_object('ended', v_ended));
    RETURN v_ended;
END
$$;

CREATE OR REPLACE FUNCTION change_own_name(p_name text, p_note uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    UPDATE users SET name = p_name, updated_at = now() WHERE id = v_user AND name <> p_name;
    IF FOUND THEN
        PERFORM note_act(NULL, p_note, 'account.name', NULL, '{}');
    END IF;
END
$$;

-- A new password ends every sign-in but the one that asks, which gets another token, and every open link to a new one.
-- p_was: the hash that the old password was checked against; if it is another by now, somebody else was faster.
CREATE OR REPLACE FUNCTION change_own_password(p_was text, p_hash text, p_old bytea, p_new bytea, p_note uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    UPDATE users SET password_hash = p_hash, updated_at = now() WHERE id = v_user AND password_hash = p_was;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM half_sign_ins WHERE user_id = v_user;
    DELETE FROM sign_ins WHERE user_id = v_user AND token_hash <> p_old;
    DELETE FROM one_time_links WHERE user_id = v_user AND purpose = 'password';
    PERFORM renew_sign_in(v_user, p_old, p_new, false);
    PERFORM note_act(NULL, p_note, 'account.password', NULL, '{}');
    RETURN true;
END
$$;

-- Another address at once, where no mail can be sent to prove it. False: somebody has it.
CREATE OR REPLACE FUNCTION change_own_email(p_email text, p_note uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
    v_old text;
BEGIN
    SELECT u.email INTO v_old FROM users u WHERE u.id = v_user FOR NO KEY UPDATE;
    UPDATE users SET email = p_email, updated_at = now() WHERE id = v_user;
    -- What was sent to the old address is worth nothing any more.
    DELETE FROM one_time_links WHERE user_id = v_user;
    PERFORM note_act(NULL, p_note, 'account.email', p_email, jsonb_build_object('before', v_old));
    RETURN true;
EXCEPTION WHEN unique_violation THEN
    RETURN false;
END
$$;

-- A link for the new address of a person. False, and no link: somebody has that address.
CREATE OR REPLACE FUNCTION offer_email_link(p_link_hash bytea, p_email text, p_lifetime interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    DELETE FROM one_time_links WHERE user_id = v_user AND purpose = 'email';
    IF EXISTS (SELECT FROM users u WHERE u.email = p_email) THEN
        RETURN false;
    END IF;
    INSERT INTO one_time_links (token_hash, purpose, expires_at, user_id, email)
    VALUES (p_link_hash, 'email', now() + p_lifetime, v_user, p_email);
    RETURN true;
END
$$;

-- The address that this link of the person's would give them; null if it is used, expired, or somebody else's.
CREATE OR REPLACE FUNCTION email_link(p_link_hash bytea) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT l.email FROM one_time_links l
    WHERE l.token_hash = p_link_hash AND l.purpose = 'email' AND l.used_at IS NULL AND l.expires_at > now()
      AND l.user_id = nullif(current_setting('app.person', true), '')::uuid
$$;

-- Opens it; the address before, which is told. Null: the link is not good, or somebody has the address by now.
CREATE OR REPLACE FUNCTION use_email_link(p_link_hash bytea, p_note uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_new text;
    v_old text;
BEGIN
    UPDATE one_time_links SET used_at = now()
    WHERE token_hash = p_link_hash AND purpose = 'email' AND used_at IS NULL AND expires_at > now() AND user_id = v_user
    RETURNING email INTO v_new;
    IF v_new IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT u.email INTO v_old FROM users u WHERE u.id = v_user;
    RETURN CASE WHEN change_own_email(v_new, p_note) THEN v_old END;
END
$$;

-- A link to a new password, for whoever reads this account's mail. No row: nobody signs in with this address.
CREATE OR REPLACE FUNCTION offer_password_link(p_email text, p_link_hash bytea, p_lifetime interval)
RETURNS TABLE (email text, language text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid;
BEGIN
    SELECT u.id, u.email, p.language INTO v_user, email, language
    FROM users u LEFT JOIN profiles p ON p.id = u.id WHERE u.email = lower(trim(p_email)) AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO one_time_links (token_hash, purpose, expires_at, user_id)
    VALUES (p_link_hash, 'password', now() + p_lifetime, v_user);
    RETURN NEXT;
END
$$;

-- The address of the account that this link gives a password; null if it is used or expired.
CREATE OR REPLACE FUNCTION password_link(p_link_hash bytea) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT u.email FROM one_time_links l JOIN users u ON u.id = l.user_id AND u.disabled_at IS NULL
    WHERE l.token_hash = p_link_hash AND l.purpose = 'password' AND l.used_at IS NULL AND l.expires_at > now()
$$;

-- Sets the password and ends every sign-in: whoever had the old one is out. The second factor stays.
CREATE OR REPLACE FUNCTION use_password_link(p_link_hash bytea, p_hash text, p_address text, p_note uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid;
BEGIN
    UPDATE one_time_links l SET used_at = now() FROM users u
    WHERE l.token_hash = p_link_hash AND l.purpose = 'password' AND l.used_at IS NULL AND l.expires_at > now()
      AND u.id = l.user_id AND u.disabled_at IS NULL
    RETURNING l.user_id INTO v_user;
    IF v_user IS NULL THEN
        RETURN false;
    END IF;
    UPDATE users SET password_hash = p_hash, updated_at = now() WHERE id = v_user;
    DELETE FROM half_sign_ins WHERE user_id = v_user;
    DELETE FROM sign_ins WHERE user_id = v_user;
    DELETE FROM one_time_links WHERE user_id = v_user AND token_hash <> p_link_hash;
    -- The link says who acts.
    EXECUTE format('SET LOCAL app.person = %L', v_user);
    EXECUTE format('SET LOCAL app.address = %L', coalesce(p_address, ''));
    PERFORM note_act(NULL, p_note, 'account.password_reset', NULL, '{}');
    RETURN true;
END
$$;

REVOKE EXECUTE ON FUNCTION end_own_sign_in, end_own_sign_ins, change_own_name, change_own_password, change_own_email,
    offer_email_link, email_link, use_email_link, offer_password_link, password_link, use_password_link FROM PUBLIC;
GRANT EXECUTE ON FUNCTION end_own_sign_in, end_own_sign_ins, change_own_name, change_own_password, change_own_email,
    offer_email_link, email_link, use_email_link, offer_password_link, password_link, use_password_link TO opsmantik_app;
