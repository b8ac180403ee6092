-- What only a site's owner may do, or whoever runs the platform: offer the site to one of its administrators, who takes
-- it or not, and switch it off and on. A site has one owner; the one who handed it over stays as an administrator.

-- The person who may, or an error. Locks the site's row, as member_manager does.
CREATE OR REPLACE FUNCTION site_keeper(p_site uuid) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner') THEN
        RAISE EXCEPTION 'the asker does not own this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

-- The open offer of a site: for those who could make it, and for the one whom it is made to.
CREATE OR REPLACE FUNCTION ownership_offer(p_site uuid)
RETURNS TABLE (offered_to uuid, receiver text, giver text, offered_at timestamptz, expires_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_role text := coalesce(site_role(p_site), '');
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    PERFORM see_all_sites();
    RETURN QUERY
        SELECT o.offered_to, coalesce(nullif(t.name, ''), t.email), coalesce(nullif(f.name, ''), f.email), o.offered_at, o.expires_at
        FROM ownership_offers o JOIN users t ON t.id = o.offered_to JOIN users f ON f.id = o.offered_by
        WHERE o.site_id = p_site AND o.expires_at > now()
          AND (v_role IN ('platform_admin', 'owner') OR (v_role <> '' AND o.offered_to = v_person));
END
$$;

-- Out: offered; or not_admin: only an administrator of the site whose account is open can take it. A new offer replaces
-- an open one.
CREATE OR REPLACE FUNCTION offer_ownership(p_site uuid, p_act uuid, p_user uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := site_keeper(p_site);
    v_email text;
BEGIN
    SELECT u.email INTO v_email FROM site_members m
    JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL JOIN sites s ON s.id = m.site_id AND s.user_id <> m.user_id
    WHERE m.site_id = p_site AND m.user_id = p_user AND m.role = 'admin';
    IF NOT FOUND THEN
        RETURN 'not_admin';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO ownership_offers (site_id, offered_to, offered_by, expires_at)
    VALUES (p_site, p_user, v_person, now() + interval '7 days')
    ON CONFLICT (site_id) DO UPDATE SET offered_to = EXCLUDED.offered_to, offered_by = EXCLUDED.offered_by,
        offered_at = now(), expires_at = EXCLUDED.expires_at;
    PERFORM note_act(p_site, p_act, 'ownership.offer', v_email, '{}');
    RETURN 'offered';
END
$$;

-- Out: withdrawn, or gone.
CREATE OR REPLACE FUNCTION withdraw_ownership(p_site uuid, p_act uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_to uuid;
BEGIN
    PERFORM site_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    DELETE FROM ownership_offers o WHERE o.site_id = p_site RETURNING o.offered_to INTO v_to;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    PERFORM note_act(p_site, p_act, 'ownership.withdraw', (SELECT u.email FROM users u WHERE u.id = v_to), '{}');
    RETURN 'withdrawn';
END
$$;

-- The answer of the one whom it was offered to. Out: accepted or declined; gone: there is no such offer to them, it has
-- run out, they are no administrator of the site any more, or whoever made it no longer could.
CREATE OR REPLACE FUNCTION answer_ownership(p_site uuid, p_act uuid, p_accept boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
    v_offer ownership_offers;
    v_before uuid;
    v_may boolean;
BEGIN
    SELECT s.user_id INTO v_before FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF site_role(p_site) IS NULL THEN
        RETURN 'gone';
    END IF;
    SET LOCAL app.maintenance = 'on';
    DELETE FROM ownership_offers o WHERE o.site_id = p_site AND o.offered_to = v_person RETURNING o.* INTO v_offer;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    IF NOT coalesce(p_accept, false) THEN
        PERFORM note_act(p_site, p_act, 'ownership.decline', (SELECT u.email FROM users u WHERE u.id = v_offer.offered_by), '{}');
        RETURN 'declined';
    END IF;
    SELECT v_offer.expires_at > now() AND v_before <> v_person
        AND EXISTS (SELECT FROM site_members m WHERE m.site_id = p_site AND m.user_id = v_person AND m.role = 'admin')
        AND EXISTS (SELECT FROM users u LEFT JOIN profiles p ON p.id = u.id
            WHERE u.id = v_offer.offered_by AND u.disabled_at IS NULL AND (u.id = v_before OR p.role = 'admin'))
    INTO v_may;
    IF NOT v_may THEN
        RETURN 'gone';
    END IF;
    UPDATE sites s SET user_id = v_person, updated_at = now() WHERE s.id = p_site;
    INSERT INTO site_members (site_id, user_id, role) VALUES (p_site, v_before, 'admin')
    ON CONFLICT (site_id, user_id) DO UPDATE SET role = 'admin';
    UPDATE site_members m SET role = 'owner' WHERE m.site_id = p_site AND m.user_id = v_person;
    PERFORM note_act(p_site, p_act, 'ownership.accept', (SELECT u.email FROM users u WHERE u.id = v_before), '{}');
    RETURN 'accepted';
END
$$;

-- A site that is off takes no events: its doors answer 403 as soon as they have heard. Out: whether that is a change.
CREATE OR REPLACE FUNCTION switch_site(p_site uuid, p_act uuid, p_on boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM site_keeper(p_site);
    UPDATE sites s SET disabled_at = CASE WHEN NOT p_on THEN now() END, updated_at = now()
    WHERE s.id = p_site AND (s.disabled_at IS NULL) <> p_on;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, CASE WHEN p_on THEN 'site.switch_on' ELSE 'site.switch_off' END, NULL, '{}');
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION site_keeper, ownership_offer, offer_ownership, withdraw_ownership, answer_ownership, switch_site
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ownership_offer, offer_ownership, withdraw_ownership, answer_ownership, switch_site TO opsmantik_app;
