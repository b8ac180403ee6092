-- The accounts of the installation, for whoever runs it. Who runs it is decided on the server itself, by no function
-- that the application may call.

-- The asker, if they run the platform; else an error.
CREATE OR REPLACE FUNCTION platform_keeper() RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    IF NOT EXISTS (SELECT FROM profiles p JOIN users u ON u.id = p.id AND u.disabled_at IS NULL
        WHERE p.id = v_person AND p.role = 'admin') THEN
        RAISE EXCEPTION 'the asker does not run this installation' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

-- Accounts by the page, newest first; p_after is the last one of the page before.
CREATE OR REPLACE FUNCTION platform_people(p_after uuid, p_limit integer)
RETURNS TABLE (user_id uuid, email text, name text, created_at timestamptz, disabled_at timestamptz, is_admin boolean,
    last_seen_at timestamptz, site_ids uuid[], site_names text[], memberships integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM platform_keeper();
    RETURN QUERY
        SELECT u.id, u.email, u.name, u.created_at, u.disabled_at, coalesce(p.role = 'admin', false),
            (SELECT max(i.last_seen_at) FROM sign_ins i WHERE i.user_id = u.id),
            coalesce(o.ids, '{}'), coalesce(o.names, '{}'),
            (SELECT count(*)::integer FROM site_members m JOIN sites s ON s.id = m.site_id AND s.user_id <> u.id
             WHERE m.user_id = u.id)
        FROM users u LEFT JOIN profiles p ON p.id = u.id
        CROSS JOIN LATERAL (SELECT array_agg(s.id ORDER BY lower(s.name), s.id) AS ids,
            array_agg(s.name ORDER BY lower(s.name), s.id) AS names FROM sites s WHERE s.user_id = u.id) o
        WHERE p_after IS NULL OR (u.created_at, u.id) < (SELECT a.created_at, a.id FROM users a WHERE a.id = p_after)
        ORDER BY u.created_at DESC, u.id DESC LIMIT least(p_limit, 200);
END
$$;

-- Closes or opens an account. Closing ends all its sign-ins. Out: changed or unchanged; or why not: oneself; last: nobody
-- would run the platform any more; gone.
CREATE OR REPLACE FUNCTION set_account_enabled(p_act uuid, p_user uuid, p_enabled boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid;
    v_email text;
BEGIN
    -- One after another: two administrators who close each other's account must not both succeed.
    PERFORM FROM profiles p WHERE p.role = 'admin' ORDER BY p.id FOR UPDATE;
    v_person := platform_keeper();
    IF p_user = v_person THEN
        RETURN 'oneself';
    END IF;
    IF NOT p_enabled AND NOT EXISTS (SELECT FROM profiles p JOIN users u ON u.id = p.id AND u.disabled_at IS NULL
        WHERE p.role = 'admin' AND p.id <> p_user) THEN
        RETURN 'last';
    END IF;
    UPDATE users u SET disabled_at = CASE WHEN NOT p_enabled THEN now() END, updated_at = now()
    WHERE u.id = p_user AND (u.disabled_at IS NULL) <> p_enabled RETURNING u.email INTO v_email;
    IF NOT FOUND THEN
        RETURN CASE WHEN EXISTS (SELECT FROM users u WHERE u.id = p_user) THEN 'unchanged' ELSE 'gone' END;
    END IF;
    IF NOT p_enabled THEN
        DELETE FROM half_sign_ins h WHERE h.user_id = p_user;
        DELETE FROM sign_ins i WHERE i.user_id = p_user;
        DELETE FROM one_time_links l WHERE l.user_id = p_user;
    END IF;
    PERFORM note_act(NULL, p_act, CASE WHEN p_enabled THEN 'users.enable' ELSE 'users.disable' END, v_email, '{}');
    RETURN 'changed';
END
$$;
REVOKE EXECUTE ON FUNCTION platform_keeper, platform_people, set_account_enabled FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform_people, set_account_enabled TO opsmantik_app;
