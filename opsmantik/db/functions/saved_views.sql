-- Views of the leads' list that somebody keeps under a name, for themselves or for all people of the site.

-- Whoever keeps a view: somebody who is signed in and may read the site, or an error.
CREATE OR REPLACE FUNCTION view_keeper(p_site uuid) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin', 'operator', 'analyst') THEN
        RAISE EXCEPTION 'the asker sees nothing of this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN v_person;
END
$$;

-- Whether a view may be changed: by its maker, and a shared one by who may change the site.
CREATE OR REPLACE FUNCTION keeps_view(v saved_views, p_person uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT (v).user_id = p_person OR (v).is_shared AND coalesce(site_role((v).site_id), '') IN ('platform_admin', 'owner', 'admin') $$;

-- Returns "kept", "taken" (the person has a view of that name) or "many" (they have p_most already).
CREATE OR REPLACE FUNCTION keep_view(p_site uuid, p_id uuid, p_name text, p_query text, p_shared boolean, p_most integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := view_keeper(p_site);
BEGIN
    SET LOCAL app.maintenance = 'on';
    IF (SELECT count(*) FROM saved_views v WHERE v.site_id = p_site AND v.user_id = v_person) >= p_most THEN
        RETURN 'many';
    END IF;
    INSERT INTO saved_views (site_id, id, user_id, name, query, is_shared) VALUES (p_site, p_id, v_person, p_name, p_query, p_shared)
    ON CONFLICT DO NOTHING;
    RETURN CASE WHEN FOUND THEN 'kept' ELSE 'taken' END;
END
$$;

-- A new name, and whether others see it. Returns "kept", "taken", or "none": there is no such view that the asker may change.
CREATE OR REPLACE FUNCTION change_view(p_site uuid, p_id uuid, p_name text, p_shared boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := view_keeper(p_site);
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE saved_views v SET name = p_name, is_shared = p_shared, updated_at = now()
    WHERE v.site_id = p_site AND v.id = p_id AND keeps_view(v, v_person);
    RETURN CASE WHEN FOUND THEN 'kept' ELSE 'none' END;
EXCEPTION WHEN unique_violation THEN
    RETURN 'taken';
END
$$;

CREATE OR REPLACE FUNCTION remove_view(p_site uuid, p_id uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := view_keeper(p_site);
BEGIN
    SET LOCAL app.maintenance = 'on';
    DELETE FROM saved_views v WHERE v.site_id = p_site AND v.id = p_id AND keeps_view(v, v_person);
    RETURN FOUND;
END
$$;
REVOKE EXECUTE ON FUNCTION view_keeper, keeps_view, keep_view, change_view, remove_view FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_view, change_view, remove_view TO opsmantik_app;
