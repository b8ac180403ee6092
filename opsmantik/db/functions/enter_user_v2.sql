-- Opens a transaction for a person: resolves once on which sites they hold one of these roles, and sets that for this
-- transaction alone. Policies compare with the setting, so membership is looked up once and not per row. With the roles
-- of what is about to be done (people/capabilities.py) a transaction sees only the sites on which they may do it.
--
-- p_only: a key's site, where a key asks in the person's name. p_address: where they are, for the log of acts.
-- Out: sites = where they may; known = where they hold any role, so that "no" can be told from "no such site".
CREATE OR REPLACE FUNCTION enter_user_v2(p_user uuid, p_roles text[], p_only uuid, p_address text,
    OUT sites uuid[], OUT known uuid[], OUT is_admin boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_enabled boolean;
BEGIN
    SELECT u.disabled_at IS NULL, u.disabled_at IS NULL AND coalesce(p.role = 'admin', false) INTO v_enabled, is_admin
    FROM users u LEFT JOIN profiles p ON p.id = u.id WHERE u.id = p_user;
    is_admin := coalesce(is_admin, false);
    IF is_admin THEN
        SELECT coalesce(array_agg(s.id), '{}') INTO known FROM sites s WHERE p_only IS NULL OR s.id = p_only;
        sites := CASE WHEN 'platform_admin' = ANY (p_roles) THEN known ELSE '{}' END;
    ELSIF v_enabled THEN
        SELECT coalesce(array_agg(h.id), '{}'), coalesce(array_agg(h.id) FILTER (WHERE h.role = ANY (p_roles)), '{}')
        INTO known, sites
        FROM (
            SELECT s.id, 'owner' AS role FROM sites s WHERE s.user_id = p_user
            UNION ALL
            SELECT m.site_id, m.role FROM site_members m JOIN sites s ON s.id = m.site_id AND s.user_id <> p_user
            WHERE m.user_id = p_user) h
        WHERE p_only IS NULL OR h.id = p_only;
    ELSE
        sites := '{}';
        known := '{}';
    END IF;
    EXECUTE format('SET LOCAL app.person = %L', p_user);
    EXECUTE format('SET LOCAL app.sites = %L', sites);
    EXECUTE format('SET LOCAL app.address = %L', coalesce(p_address, ''));
END
$$;
REVOKE EXECUTE ON FUNCTION enter_user_v2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enter_user_v2 TO opsmantik_app;
