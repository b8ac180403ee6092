-- Who owns these sites, for whoever runs the platform; nobody else learns an address by it.
CREATE OR REPLACE FUNCTION site_owners(p_sites uuid[]) RETURNS TABLE (site_id uuid, user_id uuid, email text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.id, s.user_id, u.email FROM sites s JOIN users u ON u.id = s.user_id
    WHERE s.id = ANY (p_sites) AND EXISTS (SELECT FROM profiles p JOIN users a ON a.id = p.id AND a.disabled_at IS NULL
        WHERE p.id = nullif(current_setting('app.person', true), '')::uuid AND p.role = 'admin')
$$;
REVOKE EXECUTE ON FUNCTION site_owners FROM PUBLIC;
GRANT EXECUTE ON FUNCTION site_owners TO opsmantik_app;
