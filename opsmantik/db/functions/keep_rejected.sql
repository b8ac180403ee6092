-- Keeps refused events with what an examination needs, in the transaction that counts them. However many there are, and
-- however many processes keep them: 2000 a site, reason and hour; the rest is counted only. So a stranger who knows a
-- site's public id cannot fill the disk. The address is kept as the site keeps those of its visits.
CREATE OR REPLACE FUNCTION keep_rejected(p_rejected rejected_row_v2[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    WITH room AS MATERIALIZED (  -- counted once a site and reason, not once a row
        SELECT n.site_id, n.reason, s.keep_ip, (
            SELECT count(*) FROM (
                SELECT FROM rejected_events e WHERE e.site_id = n.site_id AND e.reason = n.reason
                  AND e.received_at > now() - interval '1 hour' LIMIT 2000) k) AS kept
        FROM (SELECT DISTINCT x.site_id, x.reason FROM unnest(p_rejected) x) n JOIN sites s ON s.id = n.site_id
    )
    INSERT INTO rejected_events (site_id, id, received_at, door, reason, detail, payload, origin, user_agent, ip_address,
        sent_ms, tracker)
    SELECT r.site_id, r.id, coalesce(r.received_at, now()), r.door, r.reason, r.detail, r.payload, r.origin, r.user_agent,
        CASE WHEN h.keep_ip THEN r.ip_address::inet END, r.sent_ms, r.tracker
    FROM (SELECT x.*, row_number() OVER (PARTITION BY x.site_id, x.reason) AS place FROM unnest(p_rejected) x) r
    JOIN room h ON h.site_id = r.site_id AND h.reason = r.reason
    WHERE h.kept + r.place <= 2000
    ON CONFLICT DO NOTHING;
END
$$;
REVOKE EXECUTE ON FUNCTION keep_rejected FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_rejected TO opsmantik_app;
