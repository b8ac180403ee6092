-- The asker looks at lead p_call in the queue (null: at none any more). Answers who else looks at which lead, within the
-- last half minute. For those who decide: an analyst's looking keeps nobody from work. A site's key is nobody, and a
-- look of its own leaves nothing behind.
--
-- One's own row first, then what is old and nobody holds: two who come at once never wait for each other.
CREATE OR REPLACE FUNCTION look_at_lead(p_site uuid, p_call uuid) RETURNS TABLE (call_id uuid, user_id uuid, name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := decider(p_site);
    v_call uuid;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT c.id INTO v_call FROM calls c WHERE c.site_id = p_site AND c.id = p_call;
    IF v_call IS NULL THEN
        DELETE FROM presences p WHERE p.site_id = p_site AND p.user_id = v_person;
    ELSIF v_person IS NOT NULL THEN
        INSERT INTO presences AS p (site_id, user_id, call_id) VALUES (p_site, v_person, v_call)
        ON CONFLICT ON CONSTRAINT presences_pkey DO UPDATE SET call_id = excluded.call_id, seen_at = excluded.seen_at;
    END IF;
    DELETE FROM presences p USING (
        SELECT o.user_id FROM presences o WHERE o.site_id = p_site AND o.seen_at < now() - interval '30 seconds'
        FOR UPDATE SKIP LOCKED) old
    WHERE p.site_id = p_site AND p.user_id = old.user_id;
    RETURN QUERY
    SELECT p.call_id, p.user_id, coalesce(nullif(u.name, ''), u.email)
    FROM presences p JOIN users u ON u.id = p.user_id
    WHERE p.site_id = p_site AND p.user_id IS DISTINCT FROM v_person AND p.seen_at >= now() - interval '30 seconds'
    ORDER BY p.call_id, p.user_id;
END
$$;
REVOKE EXECUTE ON FUNCTION look_at_lead FROM PUBLIC;
GRANT EXECUTE ON FUNCTION look_at_lead TO opsmantik_app;
