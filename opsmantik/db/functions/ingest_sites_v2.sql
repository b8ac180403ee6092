-- Every site as the ingest doors must know it. Crosses tenants on purpose: nobody is signed in at those doors, and
-- nothing personal is in the answer.
CREATE OR REPLACE FUNCTION ingest_sites_v2()
RETURNS TABLE (id uuid, public_id text, domain text, time_zone text, region text, currency text, consent_mode text,
    attribution_window_days integer, disabled boolean, origins text[], bots text[], rate_per_minute integer,
    monthly_quota bigint, keep_ip boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.id, s.public_id, s.domain, s.time_zone, s.region, s.currency, s.consent_mode, s.attribution_window_days,
        s.disabled_at IS NOT NULL,
        coalesce((SELECT array_agg(o.origin ORDER BY o.origin) FROM site_origins o WHERE o.site_id = s.id), '{}'),
        s.allowed_bots, s.rate_per_minute, s.monthly_quota, s.keep_ip
    FROM sites s
$$;
REVOKE EXECUTE ON FUNCTION ingest_sites_v2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest_sites_v2 TO opsmantik_app;
