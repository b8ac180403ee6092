-- Who may post for a site from a browser. The doors hear of a change at once and read all sites anew.

-- Adds an origin. False: it was there.
CREATE OR REPLACE FUNCTION add_origin(p_site uuid, p_act uuid, p_origin text, p_most integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM FROM sites s WHERE s.id = p_site FOR UPDATE;  -- so that two at once do not go past the limit
    IF EXISTS (SELECT FROM site_origins o WHERE o.site_id = p_site AND o.origin = p_origin) THEN
        RETURN false;
    END IF;
    IF (SELECT count(*) FROM site_origins o WHERE o.site_id = p_site) >= p_most THEN
        RAISE EXCEPTION 'the site has as many origins as it can' USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO site_origins (site_id, origin) VALUES (p_site, p_origin);
    PERFORM note_act(p_site, p_act, 'origins.add', p_origin, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;

-- Takes an origin away. False: it was not there.
CREATE OR REPLACE FUNCTION remove_origin(p_site uuid, p_act uuid, p_origin text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM site_origins o WHERE o.site_id = p_site AND o.origin = p_origin;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'origins.remove', p_origin, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;

-- Events from these origins were stored a moment ago: the first one verifies its origin. Told by the doors, at most once
-- a minute and origin.
CREATE OR REPLACE FUNCTION origins_seen(p_sites uuid[], p_origins text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH seen AS MATERIALIZED (
        SELECT o.site_id, o.origin FROM unnest(p_sites, p_origins) AS n (site_id, origin)
        JOIN site_origins o ON o.site_id = n.site_id AND o.origin = n.origin
        ORDER BY o.site_id, o.origin FOR NO KEY UPDATE OF o)
    UPDATE site_origins o SET verified_at = coalesce(o.verified_at, now()), last_seen_at = now()
    FROM seen n WHERE o.site_id = n.site_id AND o.origin = n.origin
$$;

-- Takes an automatic visitor's events on this site from now on, or no longer.
CREATE OR REPLACE FUNCTION allow_bot(p_site uuid, p_act uuid, p_name text, p_allowed boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_known text[];
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT s.allowed_bots INTO v_known FROM sites s WHERE s.id = p_site FOR UPDATE;
    IF (p_name = ANY (v_known)) = p_allowed THEN
        RETURN false;
    END IF;
    UPDATE sites s SET updated_at = now(),
        allowed_bots = CASE WHEN p_allowed THEN s.allowed_bots || p_name ELSE array_remove(s.allowed_bots, p_name) END
    WHERE s.id = p_site;
    PERFORM note_act(p_site, p_act, CASE WHEN p_allowed THEN 'bots.allow' ELSE 'bots.refuse' END, p_name, NULL);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION add_origin, remove_origin, origins_seen, allow_bot FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_origin, remove_origin, origins_seen, allow_bot TO opsmantik_app;
