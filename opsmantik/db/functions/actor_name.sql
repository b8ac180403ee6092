-- The name of somebody who has acted on a lead of this site, for those who hold a role there: a link to figures holds none.
-- Of nobody else: accounts are not to be found out by their ids.
CREATE OR REPLACE FUNCTION actor_name(p_site uuid, p_actor uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF p_actor IS NULL OR site_role(p_site) IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM see_all_sites();
    RETURN (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = p_actor
        AND EXISTS (SELECT FROM intent_actions a WHERE a.site_id = p_site AND a.actor = p_actor));
END
$$;
REVOKE EXECUTE ON FUNCTION actor_name FROM PUBLIC;
GRANT EXECUTE ON FUNCTION actor_name TO opsmantik_app;
