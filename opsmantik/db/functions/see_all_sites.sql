-- From here to the transaction's end the owner's functions see all sites' rows. For functions that only read: SET is no
-- statement of theirs, and set_config() would stay on this server, where other servers hold the rows (docs/scale.md).
CREATE OR REPLACE FUNCTION see_all_sites() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
END
$$;
REVOKE EXECUTE ON FUNCTION see_all_sites FROM PUBLIC;
