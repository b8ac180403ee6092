-- Who belongs to a site. Nobody changes their own role by any of these, nobody here becomes an owner, and an owner is
-- not touched: a site is handed over by ownership.sql. Whoever is here by the platform's own rights holds no row.

-- The person whose transaction it is, or an error. No key's, not even one that asks in somebody's name: a lost one must not
-- be able to outlive itself.
CREATE OR REPLACE FUNCTION acting_person() RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_person IS NULL OR coalesce(current_setting('app.key_name', true), '') <> '' THEN
        RAISE EXCEPTION 'this is for somebody who is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

-- The person who manages the members of this site, or an error if the asker may not. Locks the site's row first: acts on
-- one site's people come one after another, each with the roles as the one before left them.
CREATE OR REPLACE FUNCTION member_manager(p_site uuid) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker manages no members on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

-- The role, if it is one that a manager of members may give.
CREATE OR REPLACE FUNCTION grantable_role(p_role text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(p_role, '') NOT IN ('admin', 'operator', 'analyst') THEN
        RAISE EXCEPTION 'nobody is given this role' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN p_role;
END
$$;

-- The site's people, its owner first. For those who manage members, and nobody else learns an address by it.
CREATE OR REPLACE FUNCTION site_people(p_site uuid)
RETURNS TABLE (user_id uuid, email text, name text, role text, since timestamptz, disabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT u.id, u.email, u.name, h.role, h.since, u.disabled_at IS NOT NULL
    FROM (
        SELECT s.user_id, 'owner' AS role, coalesce(m.created_at, s.created_at) AS since
        FROM sites s LEFT JOIN site_members m ON m.site_id = p_site AND m.user_id = s.user_id WHERE s.id = p_site
        UNION ALL
        SELECT m.user_id, m.role, m.created_at FROM site_members m JOIN sites s ON s.id = m.site_id AND s.user_id <> m.user_id
        WHERE m.site_id = p_site) h
    JOIN users u ON u.id = h.user_id
    WHERE site_role(p_site) IN ('platform_admin', 'owner', 'admin')
    ORDER BY array_position(ARRAY['owner', 'admin', 'operator', 'analyst'], h.role), lower(coalesce(nullif(u.name, ''), u.email)), u.id
$$;

-- Whether this person may be changed by a manager of members: null, or why not. An owner's rights are touched by none.
CREATE OR REPLACE FUNCTION untouchable(p_site uuid, p_asker uuid, p_user uuid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT CASE
        WHEN p_user = p_asker THEN 'oneself'
        WHEN EXISTS (SELECT FROM sites s WHERE s.id = p_site AND s.user_id = p_user) THEN 'owner'
        WHEN m.user_id IS NULL THEN 'gone'
        WHEN m.role = 'owner' AND site_role(p_site) = 'admin' THEN 'owner' END
    FROM (SELECT) one LEFT JOIN site_members m ON m.site_id = p_site AND m.user_id = p_user
$$;

-- Out: changed or unchanged; or why not: oneself, owner, gone.
CREATE OR REPLACE FUNCTION set_member_role(p_site uuid, p_act uuid, p_user uuid, p_role text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := member_manager(p_site);
    v_role text := grantable_role(p_role);
    v_refused text := untouchable(p_site, v_person, p_user);
    v_before text;
BEGIN
    IF v_refused IS NOT NULL THEN
        RETURN v_refused;
    END IF;
    SELECT m.role INTO v_before FROM site_members m WHERE m.site_id = p_site AND m.user_id = p_user;
    IF v_before = v_role THEN
        RETURN 'unchanged';
    END IF;
    SET LOCAL app.maintenance = 'on';
    UPDATE site_members m SET role = v_role WHERE m.site_id = p_site AND m.user_id = p_user;
    DELETE FROM ownership_offers o WHERE o.site_id = p_site AND o.offered_to = p_user AND v_role <> 'admin';
    PERFORM note_act(p_site, p_act, 'members.role', (SELECT u.email FROM users u WHERE u.id = p_user),
        jsonb_build_object('from', v_before, 'to', v_role));
    RETURN 'changed';
END
$$;

-- Out: removed; or why not: oneself, owner, gone. What the person did here stays, under their name.
CREATE OR REPLACE FUNCTION remove_member(p_site uuid, p_act uuid, p_user uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := member_manager(p_site);
    v_refused text := untouchable(p_site, v_person, p_user);
    v_before text;
BEGIN
    IF v_refused IS NOT NULL THEN
        RETURN v_refused;
    END IF;
    SET LOCAL app.maintenance = 'on';  -- an offer to them goes with them
    DELETE FROM site_members m WHERE m.site_id = p_site AND m.user_id = p_user RETURNING m.role INTO v_before;
    PERFORM note_act(p_site, p_act, 'members.remove', (SELECT u.email FROM users u WHERE u.id = p_user),
        jsonb_build_object('role', v_before));
    RETURN 'removed';
END
$$;

-- To go by oneself. Out: left; owner for the one who cannot go before the site is somebody else's; gone for who holds no
-- membership (anymore).
CREATE OR REPLACE FUNCTION leave_site(p_site uuid, p_act uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
    v_before text;
BEGIN
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF site_role(p_site) IS NULL THEN
        RETURN 'gone';
    END IF;
    IF EXISTS (SELECT FROM sites s WHERE s.id = p_site AND s.user_id = v_person) THEN
        RETURN 'owner';
    END IF;
    SET LOCAL app.maintenance = 'on';
    DELETE FROM site_members m WHERE m.site_id = p_site AND m.user_id = v_person RETURNING m.role INTO v_before;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    PERFORM note_act(p_site, p_act, 'members.leave', (SELECT u.email FROM users u WHERE u.id = v_person),
        jsonb_build_object('role', v_before));
    RETURN 'left';
END
$$;
REVOKE EXECUTE ON FUNCTION acting_person, member_manager, grantable_role, site_people, untouchable, set_member_role, remove_member,
    leave_site FROM PUBLIC;
GRANT EXECUTE ON FUNCTION site_people, set_member_role, remove_member, leave_site TO opsmantik_app;
