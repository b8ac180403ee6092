-- A line in the log of administrative acts, in the transaction of the act itself: no act without its line, no line
-- without its act. About a site, or with no site about the installation. Called by the functions that act, and by the
-- application for what it changes itself; the actor is whoever's transaction it is, a person, a key, or both.
CREATE OR REPLACE FUNCTION note_act(p_site uuid, p_id uuid, p_action text, p_subject text, p_detail jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_actor uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_name text;
    v_before text := current_setting('app.maintenance', true);
BEGIN
    SELECT coalesce(nullif(u.name, '') || ' <' || u.email || '>', u.email) INTO v_name FROM users u WHERE u.id = v_actor;
    v_name := nullif(concat_ws(', ', v_name, 'key ' || nullif(current_setting('app.key_name', true), '')), '');
    IF v_name IS NULL AND session_user <> current_user THEN
        RAISE EXCEPTION 'nobody is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF p_site IS NULL THEN
        INSERT INTO platform_acts (id, actor, actor_name, address, action, subject, detail)
        VALUES (p_id, v_actor, coalesce(v_name, 'upkeep'), nullif(current_setting('app.address', true), ''), p_action,
            left(p_subject, 300), coalesce(p_detail, '{}'));
        RETURN;
    END IF;
    IF session_user <> current_user AND NOT coalesce(p_site = ANY (nullif(current_setting('app.sites', true), '')::uuid[]), false) THEN
        RAISE EXCEPTION 'not a site of the asker''s' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO site_acts (site_id, id, actor, actor_name, address, action, subject, detail)
    VALUES (p_site, p_id, v_actor, coalesce(v_name, 'upkeep'), nullif(current_setting('app.address', true), ''), p_action,
        left(p_subject, 300), coalesce(p_detail, '{}'));
    EXECUTE format('SET LOCAL app.maintenance = %L', coalesce(v_before, ''));
END
$$;

-- The newest lines about the installation, for whoever runs it.
CREATE OR REPLACE FUNCTION platform_log(p_before uuid, p_limit integer)
RETURNS TABLE (id uuid, at timestamptz, actor_name text, address text, action text, subject text, detail jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT a.id, a.at, a.actor_name, a.address, a.action, a.subject, a.detail FROM platform_acts a
    WHERE (p_before IS NULL OR a.id < p_before) AND EXISTS (SELECT FROM profiles p JOIN users u ON u.id = p.id AND u.disabled_at IS NULL
        WHERE p.id = nullif(current_setting('app.person', true), '')::uuid AND p.role = 'admin')
    ORDER BY a.id DESC LIMIT least(p_limit, 200)
$$;
REVOKE EXECUTE ON FUNCTION note_act, platform_log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_act, platform_log TO opsmantik_app;
