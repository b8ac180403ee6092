-- The way in to an empty installation: one link, for whoever reads the server's terminal. The link is offered
-- as the owner; opening it is all that the application's role may do (create_first_admin in sign_in.sql).
CREATE OR REPLACE FUNCTION offer_first_admin(p_link_hash bytea, p_lifetime interval) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM users) THEN
        RETURN false;
    END IF;
    -- Links that are still good stay so: several nodes may start at once, and the first link used ends all.
    DELETE FROM one_time_links WHERE purpose = 'first_admin' AND expires_at <= now();
    INSERT INTO one_time_links (token_hash, purpose, expires_at) VALUES (p_link_hash, 'first_admin', now() + p_lifetime);
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION first_admin_link_open(p_link_hash bytea) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT NOT EXISTS (SELECT FROM users) AND EXISTS (SELECT FROM one_time_links
        WHERE token_hash = p_link_hash AND purpose = 'first_admin' AND used_at IS NULL AND expires_at > now())
$$;

CREATE OR REPLACE FUNCTION has_users() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT EXISTS (SELECT FROM users) $$;

-- Who runs the platform, oldest first: for commands on the server itself, where nobody is signed in.
CREATE OR REPLACE FUNCTION administrators() RETURNS TABLE (id uuid, email text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT u.id, u.email FROM users u JOIN profiles p ON p.id = u.id
    WHERE p.role = 'admin' AND u.disabled_at IS NULL ORDER BY u.created_at, u.id
$$;

REVOKE EXECUTE ON FUNCTION offer_first_admin, first_admin_link_open, has_users, administrators FROM PUBLIC;
GRANT EXECUTE ON FUNCTION first_admin_link_open, has_users, administrators TO opsmantik_app;
