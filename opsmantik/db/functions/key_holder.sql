-- Who holds a key, and what a transaction in its name may see. A person's key acts as that person, within its scopes,
-- and dies with the person's access; a site's key acts for the site and is nobody's.

-- A key as logs name it: its holder's word for it, and the end of it, by which it is told from others.
CREATE OR REPLACE FUNCTION key_label(p_name text, p_last_four text) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT p_name || ' …' || p_last_four $$;

-- The role that a site's key acts with: the least that has all its scopes (people/capabilities.py).
CREATE OR REPLACE FUNCTION key_role(p_scopes text[]) RETURNS text LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN p_scopes && ARRAY['site:write', 'refused:tend', 'privacy:manage', 'conversions:export'] THEN 'admin'
        WHEN 'leads:decide' = ANY (p_scopes) THEN 'operator' WHEN 'site:read' = ANY (p_scopes) THEN 'analyst' END
$$;

CREATE OR REPLACE FUNCTION is_live_key(p_expires_at timestamptz, p_revoked_at timestamptz) RETURNS boolean LANGUAGE sql STABLE
AS $$ SELECT p_revoked_at IS NULL AND (p_expires_at IS NULL OR p_expires_at > now()) $$;

-- Before anybody is known: one key, by its hash. The same work for one that nobody has as for one that has expired.
-- p_kind: person or site, as the key itself says. Uses are noted every five minutes: a write per request would be waste.
CREATE OR REPLACE FUNCTION key_holder(p_kind text, p_hash bytea)
RETURNS TABLE (key_id uuid, label text, scopes text[], site_id uuid, user_id uuid, email text, name text, language text, theme text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF p_kind = 'person' THEN
        UPDATE person_keys k SET last_used_at = now()
        WHERE k.key_hash = p_hash AND coalesce(k.last_used_at < now() - interval '5 minutes', true)
          AND is_live_key(k.expires_at, k.revoked_at);
        RETURN QUERY
        SELECT k.id, key_label(k.name, k.last_four), k.scopes, k.only_site, u.id, u.email, u.name, p.language, p.theme
        FROM person_keys k JOIN users u ON u.id = k.user_id AND u.disabled_at IS NULL LEFT JOIN profiles p ON p.id = u.id
        WHERE k.key_hash = p_hash AND is_live_key(k.expires_at, k.revoked_at);
        RETURN;
    END IF;
    SET LOCAL app.maintenance = 'on';
    UPDATE site_keys k SET last_used_at = now()
    WHERE k.key_hash = p_hash AND coalesce(k.last_used_at < now() - interval '5 minutes', true)
      AND is_live_key(k.expires_at, k.revoked_at);
    RETURN QUERY
    SELECT k.id, key_label(k.name, k.last_four), k.scopes, k.site_id, NULL::uuid, NULL::text, NULL::text, NULL::text, NULL::text
    FROM site_keys k WHERE k.key_hash = p_hash AND is_live_key(k.expires_at, k.revoked_at);
END
$$;

-- Opens a transaction for a site's key, as enter_user_v2 does for a person: it sees its site, if its role is one of
-- p_roles, and no other. Asked anew each time, so a key that is revoked meanwhile sees nothing.
CREATE OR REPLACE FUNCTION enter_key(p_site uuid, p_key uuid, p_roles text[], p_address text,
    OUT sites uuid[], OUT known uuid[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_role text;
    v_label text;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT key_role(k.scopes), key_label(k.name, k.last_four) INTO v_role, v_label FROM site_keys k
    WHERE k.site_id = p_site AND k.id = p_key AND is_live_key(k.expires_at, k.revoked_at);
    known := CASE WHEN v_role IS NULL THEN '{}' ELSE ARRAY[p_site] END;
    sites := CASE WHEN v_role = ANY (p_roles) THEN known ELSE '{}' END;
    SET LOCAL app.person = '';
    EXECUTE format('SET LOCAL app.key = %L', p_key);
    EXECUTE format('SET LOCAL app.key_name = %L', coalesce(v_label, 'gone'));
    EXECUTE format('SET LOCAL app.sites = %L', sites);
    EXECUTE format('SET LOCAL app.address = %L', coalesce(p_address, ''));
END
$$;

-- The same for a person's key: what its person may see, and of that only its one site where it has one.
CREATE OR REPLACE FUNCTION enter_person_key(p_user uuid, p_key uuid, p_roles text[], p_address text,
    OUT sites uuid[], OUT known uuid[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_key person_keys;
BEGIN
    SELECT k.* INTO v_key FROM person_keys k
    WHERE k.id = p_key AND k.user_id = p_user AND is_live_key(k.expires_at, k.revoked_at);
    -- Where the key is gone: as nobody, who sees nothing.
    SELECT e.sites, e.known INTO enter_person_key.sites, enter_person_key.known
    FROM enter_user_v2(coalesce(v_key.user_id, '00000000-0000-0000-0000-000000000000'), p_roles, v_key.only_site, p_address) e;
    EXECUTE format('SET LOCAL app.key_name = %L', coalesce(key_label(v_key.name, v_key.last_four), 'gone'));
END
$$;
REVOKE EXECUTE ON FUNCTION key_label, key_role, is_live_key, key_holder, enter_key, enter_person_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION key_holder, enter_key, enter_person_key TO opsmantik_app;
