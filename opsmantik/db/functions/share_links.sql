-- Links by which whoever holds one sees a site's figures, without an account. Making and revoking them is for those who
-- may change the site's settings, and is in the log of acts; looking is for the holder, who is nobody.

-- An error unless the asker may change this site's settings.
CREATE OR REPLACE FUNCTION share_keeper(p_site uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker may not share this site''s figures' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

-- False, with nothing written, where the site has p_most of them, expired ones included.
CREATE OR REPLACE FUNCTION make_share_link(p_site uuid, p_id uuid, p_act uuid, p_hash bytea, p_name text, p_paid_only boolean,
    p_expires_at timestamptz, p_most integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM share_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM share_links k WHERE k.site_id = p_site) >= p_most THEN
        RETURN false;
    END IF;
    INSERT INTO share_links (site_id, id, token_hash, name, paid_only, created_by, expires_at)
    VALUES (p_site, p_id, p_hash, p_name, p_paid_only,
        (SELECT u.id FROM users u WHERE u.id = nullif(current_setting('app.person', true), '')::uuid), p_expires_at);
    PERFORM note_act(p_site, p_act, 'sharing.make', p_name,
        jsonb_build_object('paid_only', p_paid_only, 'expires_at', p_expires_at));
    RETURN true;
END
$$;

-- False: there is none.
CREATE OR REPLACE FUNCTION revoke_share_link(p_site uuid, p_share uuid, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_name text;
BEGIN
    PERFORM share_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    DELETE FROM share_links k WHERE k.site_id = p_site AND k.id = p_share RETURNING k.name INTO v_name;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'sharing.revoke', v_name, NULL);
    RETURN true;
END
$$;

-- Before anybody is known: one link, by its hash; none of a site that is switched off. The same work for one that nobody
-- has as for one that has expired.
CREATE OR REPLACE FUNCTION share_link_by_hash(p_hash bytea) RETURNS TABLE (site_id uuid, link_id uuid, paid_only boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE share_links k SET last_used_at = now()
    WHERE k.token_hash = p_hash AND coalesce(k.last_used_at < now() - interval '5 minutes', true)
      AND coalesce(k.expires_at > now(), true);
    RETURN QUERY
    SELECT k.site_id, k.id, k.paid_only FROM share_links k JOIN sites s ON s.id = k.site_id AND s.disabled_at IS NULL
    WHERE k.token_hash = p_hash AND coalesce(k.expires_at > now(), true);
END
$$;

-- Opens a transaction for a link's holder, as enter_user_v2 does for a person: it sees the link's site and no other, and
-- acts for nobody: no person, no key, no role, so that every function which asks for one of them refuses. Asked anew each
-- time, so a link that is revoked meanwhile sees nothing.
CREATE OR REPLACE FUNCTION enter_share_link(p_site uuid, p_share uuid, OUT sites uuid[], OUT known uuid[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT coalesce(array_agg(k.site_id), '{}') INTO enter_share_link.sites
    FROM share_links k JOIN sites s ON s.id = k.site_id AND s.disabled_at IS NULL
    WHERE k.site_id = p_site AND k.id = p_share AND coalesce(k.expires_at > now(), true);
    known := sites;
    SET LOCAL app.person = '';
    SET LOCAL app.key = '';
    SET LOCAL app.key_name = '';
    SET LOCAL app.address = '';
    EXECUTE format('SET LOCAL app.sites = %L', sites);
END
$$;
REVOKE EXECUTE ON FUNCTION share_keeper, make_share_link, revoke_share_link, share_link_by_hash, enter_share_link FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_share_link, revoke_share_link, share_link_by_hash, enter_share_link TO opsmantik_app;

-- The name of whoever made a link of this site, for those who may make one.
CREATE OR REPLACE FUNCTION share_maker_name(p_site uuid, p_maker uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM share_keeper(p_site);
    PERFORM see_all_sites();
    RETURN (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = p_maker
        AND EXISTS (SELECT FROM share_links k WHERE k.site_id = p_site AND k.created_by = p_maker));
END
$$;
REVOKE EXECUTE ON FUNCTION share_maker_name FROM PUBLIC;
GRANT EXECUTE ON FUNCTION share_maker_name TO opsmantik_app;
