-- A site with its owner and the origins that may post for it, in one step. The caller is the signed-in person.
CREATE OR REPLACE FUNCTION create_site(p_id uuid, p_public_id text, p_name text, p_domain text, p_time_zone text,
    p_region text, p_currency text, p_consent_mode text, p_origins text[]) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF v_user IS NULL THEN
        RAISE EXCEPTION 'nobody is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO sites (id, user_id, public_id, name, domain, time_zone, region, currency, consent_mode)
    VALUES (p_id, v_user, p_public_id, p_name, p_domain, p_time_zone, p_region, p_currency, p_consent_mode);
    INSERT INTO site_members (site_id, user_id, role) VALUES (p_id, v_user, 'owner');
    INSERT INTO site_origins (site_id, origin) SELECT p_id, o FROM unnest(p_origins) o ON CONFLICT DO NOTHING;
    PERFORM pg_notify('opsmantik_sites', p_id::text);
    -- From here on the site is one of the asker's, also to the log.
    EXECUTE format('SET LOCAL app.sites = %L',
        coalesce(nullif(current_setting('app.sites', true), ''), '{}')::uuid[] || p_id);
    PERFORM note_act(p_id, gen_random_uuid(), 'site.create', p_name, jsonb_build_object('domain', p_domain));
    RETURN p_id;
END
$$;
REVOKE EXECUTE ON FUNCTION create_site FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_site TO opsmantik_app;
