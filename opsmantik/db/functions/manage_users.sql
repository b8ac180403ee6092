-- Accounts, for whoever runs the server and sits at its command line; called as the owner, and by nobody else.
CREATE OR REPLACE FUNCTION list_users()
RETURNS TABLE (id uuid, email text, name text, is_admin boolean, created_at timestamptz, disabled_at timestamptz,
    has_password boolean, has_second_factor boolean, last_seen_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT u.id, u.email, u.name, coalesce(p.role = 'admin', false), u.created_at, u.disabled_at, u.password_hash IS NOT NULL,
        EXISTS (SELECT FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL),
        (SELECT max(s.last_seen_at) FROM sign_ins s WHERE s.user_id = u.id)
    FROM users u LEFT JOIN profiles p ON p.id = u.id ORDER BY u.created_at, u.id
$$;

-- An account without a password, which a link will give it. False: somebody has this address.
CREATE OR REPLACE FUNCTION add_user(p_id uuid, p_email text, p_name text, p_is_admin boolean, p_note uuid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO users (id, email, name) VALUES (p_id, p_email, p_name) ON CONFLICT (email) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO profiles (id, role) VALUES (p_id, CASE WHEN p_is_admin THEN 'admin' ELSE 'user' END);
    PERFORM note_act(NULL, p_note, 'users.add', p_email, jsonb_build_object('admin', p_is_admin, 'by', 'command line'));
    RETURN true;
END
$$;

-- Switched off, an account signs in nowhere and is signed in nowhere; what it owns and has done stays.
CREATE OR REPLACE FUNCTION switch_user(p_user uuid, p_on boolean, p_note uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_email text;
BEGIN
    UPDATE users SET disabled_at = CASE WHEN NOT p_on THEN coalesce(disabled_at, now()) END, updated_at = now() WHERE id = p_user
    RETURNING email INTO v_email;
    IF NOT p_on THEN
        DELETE FROM sign_ins WHERE user_id = p_user;
        DELETE FROM half_sign_ins WHERE user_id = p_user;
        DELETE FROM one_time_links WHERE user_id = p_user;
    END IF;
    PERFORM note_act(NULL, p_note, CASE WHEN p_on THEN 'users.enable' ELSE 'users.disable' END, v_email, '{"by": "command line"}');
END
$$;

-- For somebody who has lost it: the next sign-in asks for the password alone. False: there was none.
CREATE OR REPLACE FUNCTION reset_second_factor(p_user uuid, p_note uuid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_email text;
BEGIN
    SELECT u.email INTO v_email FROM users u WHERE u.id = p_user FOR NO KEY UPDATE;
    DELETE FROM half_sign_ins WHERE user_id = p_user;
    DELETE FROM recovery_codes WHERE user_id = p_user;
    DELETE FROM second_factors WHERE user_id = p_user;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(NULL, p_note, 'users.reset_second_factor', v_email, '{"by": "command line"}');
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION offer_user_link(p_user uuid, p_link_hash bytea, p_lifetime interval, p_note uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_email text;
BEGIN
    INSERT INTO one_time_links (token_hash, purpose, expires_at, user_id)
    VALUES (p_link_hash, 'password', now() + p_lifetime, p_user);
    SELECT u.email INTO v_email FROM users u WHERE u.id = p_user;
    PERFORM note_act(NULL, p_note, 'users.reset_link', v_email, '{"by": "command line"}');
END
$$;

REVOKE EXECUTE ON FUNCTION list_users, add_user, switch_user, reset_second_factor, offer_user_link FROM PUBLIC;
