-- What must be known before anybody is signed in. Each function answers about one account or one cookie only.
CREATE OR REPLACE FUNCTION account_by_email(p_email text)
RETURNS TABLE (id uuid, password_hash text, disabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT u.id, u.password_hash, u.disabled_at IS NOT NULL FROM users u WHERE u.email = lower(trim(p_email)) $$;

-- Lets somebody in whose account has been checked. True: the token is a sign-in from now on. False: the account has a
-- second factor, and the token only says that the first one was right, for p_half (pass_second_factor). Null: there is
-- no such account, or it is switched off.
CREATE OR REPLACE FUNCTION let_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_half interval, p_method text,
    p_user_agent text, p_address text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    -- Whoever is being switched off at this moment, or has the second factor switched on, is waited for.
    PERFORM FROM users u WHERE u.id = p_user AND u.disabled_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM second_factors f WHERE f.user_id = p_user AND f.confirmed_at IS NOT NULL) THEN
        INSERT INTO half_sign_ins (token_hash, user_id, method, expires_at, user_agent, address)
        VALUES (p_token_hash, p_user, p_method, now() + p_half, left(p_user_agent, 400), p_address);
        RETURN false;
    END IF;
    INSERT INTO sign_ins (token_hash, user_id, expires_at, method, confirmed_at, user_agent, address)
    VALUES (p_token_hash, p_user, now() + p_lifetime, p_method, now(), left(p_user_agent, 400), p_address);
    RETURN true;
END
$$;

-- As older servers call it, which know of no second factor: to an account that has one they open nothing.
CREATE OR REPLACE FUNCTION open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    INSERT INTO sign_ins (token_hash, user_id, expires_at, user_agent, confirmed_at)
    SELECT p_token_hash, p_user, now() + p_lifetime, left(p_user_agent, 400), now()
    WHERE NOT EXISTS (SELECT FROM second_factors f WHERE f.user_id = p_user AND f.confirmed_at IS NOT NULL);
$$;

-- As older servers ask it.
CREATE OR REPLACE FUNCTION signed_in(p_token_hash bytea)
RETURNS TABLE (user_id uuid, email text, name text, language text, theme text, is_admin boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT u.id, u.email, u.name, p.language, p.theme, coalesce(p.role = 'admin', false)
    FROM sign_ins s JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL LEFT JOIN profiles p ON p.id = u.id
    WHERE s.token_hash = p_token_hash AND s.expires_at > now()
$$;

-- Asked with every request of whoever is signed in: three rows by their keys. In PL/pgSQL because its plan is kept by
-- the connection, where PostgreSQL before 18 plans a function in SQL anew each time. It only reads; that the browser was
-- seen is written by see_sign_in when it is due. All null: nobody.
CREATE OR REPLACE FUNCTION signed_in_v2(p_token_hash bytea, p_idle interval, p_due interval,
    OUT user_id uuid, OUT email text, OUT name text, OUT language text, OUT theme text, OUT is_admin boolean,
    OUT sign_in_id uuid, OUT confirmed_at timestamptz, OUT is_due boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SELECT u.id, u.email, u.name, p.language, p.theme, coalesce(p.role = 'admin', false),
        s.id, coalesce(s.confirmed_at, s.created_at), s.last_seen_at < now() - p_due
    INTO user_id, email, name, language, theme, is_admin, sign_in_id, confirmed_at, is_due
    FROM sign_ins s JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL LEFT JOIN profiles p ON p.id = u.id
    WHERE s.token_hash = p_token_hash AND s.expires_at > now() AND s.last_seen_at > now() - p_idle;
END
$$;

CREATE OR REPLACE FUNCTION see_sign_in(p_token_hash bytea, p_due interval) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ UPDATE sign_ins SET last_seen_at = now() WHERE token_hash = p_token_hash AND last_seen_at < now() - p_due $$;

CREATE OR REPLACE FUNCTION end_sign_in(p_token_hash bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ DELETE FROM sign_ins WHERE token_hash = p_token_hash $$;

-- A password that was right, hashed again with today's parameters; not if it was changed meanwhile.
CREATE OR REPLACE FUNCTION keep_rehash(p_user uuid, p_old text, p_new text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ UPDATE users SET password_hash = p_new WHERE id = p_user AND password_hash = p_old $$;

-- The first administrator: only with an unused, unexpired link, and only while there is no user at all.
CREATE OR REPLACE FUNCTION create_first_admin(p_link_hash bytea, p_id uuid, p_email text, p_name text, p_password_hash text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE one_time_links SET used_at = now()
    WHERE token_hash = p_link_hash AND purpose = 'first_admin' AND used_at IS NULL AND expires_at > now()
      AND NOT EXISTS (SELECT FROM users);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO users (id, email, name, password_hash) VALUES (p_id, lower(trim(p_email)), p_name, p_password_hash);
    INSERT INTO profiles (id, role) VALUES (p_id, 'admin');
    RETURN true;
END
$$;

REVOKE EXECUTE ON FUNCTION account_by_email, let_in, open_sign_in, signed_in, signed_in_v2, see_sign_in, end_sign_in, keep_rehash,
    create_first_admin FROM PUBLIC;
GRANT EXECUTE ON FUNCTION account_by_email, let_in, open_sign_in, signed_in, signed_in_v2, see_sign_in, end_sign_in, keep_rehash,
    create_first_admin TO opsmantik_app;
