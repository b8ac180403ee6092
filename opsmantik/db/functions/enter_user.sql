-- Opens a transaction for a person: resolves once which sites they may see and sets that for this transaction
-- alone. Policies compare with the setting, so membership is looked up once and not per row.
CREATE OR REPLACE FUNCTION enter_user(p_user uuid, OUT sites uuid[], OUT is_admin boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SELECT coalesce(bool_or(p.role = 'admin'), false) INTO is_admin
    FROM profiles p JOIN users u ON u.id = p.id AND u.disabled_at IS NULL WHERE p.id = p_user;
    SELECT coalesce(array_agg(s.id), '{}') INTO sites FROM sites s
    WHERE is_admin OR (EXISTS (SELECT FROM users u WHERE u.id = p_user AND u.disabled_at IS NULL)
        AND (s.user_id = p_user
             OR EXISTS (SELECT FROM site_members m WHERE m.site_id = s.id AND m.user_id = p_user)));
    EXECUTE format('SET LOCAL app.person = %L', p_user);
    EXECUTE format('SET LOCAL app.sites = %L', sites);
END
$$;
REVOKE EXECUTE ON FUNCTION enter_user FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enter_user TO opsmantik_app;
