-- What must be known before anybody is signed in. Each function answers about one account or one cookie only.
CREATE OR REPLACE FUNCTION account_by_email(p_email text)
RETURNS TABLE (id uuid, password_hash text, disabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT u.id, u.password_hash, u.disabled_at IS NOT NULL FROM users u WHERE u.email = lower(trim(p_email)) $$;

CREATE OR REPLACE FUNCTION open_sign_in(p_token_hash bytea, p_user uuid, p_lifetime interval, p_user_agent text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    DELETE FROM sign_ins WHERE expires_at < now();
    INSERT INTO sign_ins (token_hash, user_id, expires_at, user_agent)
    VALUES (p_token_hash, p_user, now() + p_lifetime, left(p_user_agent, 400));
$$;

CREATE OR REPLACE FUNCTION signed_in(p_token_hash bytea)
RETURNS TABLE (user_id uuid, email text, name text, language text, theme text, is_admin boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT u.id, u.email, u.name, p.language, p.theme, coalesce(p.role = 'admin', false)
    FROM sign_ins s JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL LEFT JOIN profiles p ON p.id = u.id
    WHERE s.token_hash = p_token_hash AND s.expires_at > now()
$$;

CREATE OR REPLACE FUNCTION end_sign_in(p_token_hash bytea) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ DELETE FROM sign_ins WHERE token_hash = p_token_hash $$;

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

REVOKE EXECUTE ON FUNCTION account_by_email, open_sign_in, signed_in, end_sign_in, create_first_admin FROM PUBLIC;
GRANT EXECUTE ON FUNCTION account_by_email, open_sign_in, signed_in, end_sign_in, create_first_admin TO opsmantik_app;
