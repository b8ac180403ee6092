-- Letting refused events in, in one transaction with the events themselves: whoever is counted as stored is no longer
-- counted as refused, whatever breaks in between, and of two who let the same one in the second finds it done.

-- The refused events of these ids, locked; those that are in already are among them. An error: the asker may not.
CREATE OR REPLACE FUNCTION lock_rejected(p_site uuid, p_ids uuid[]) RETURNS SETOF rejected_events
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker lets nothing in on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY SELECT r.* FROM rejected_events r WHERE r.site_id = p_site AND r.id = ANY (p_ids)
        ORDER BY r.received_at, r.id FOR UPDATE;
END
$$;

-- Remembers how each try ended and who made it; the books move what is in from the reason for which it had been refused
-- to what became of it. The lists belong together, place by place. Returns the tallies of tries in the same order.
CREATE OR REPLACE FUNCTION record_replays(p_site uuid, p_rejected uuid[], p_ids uuid[], p_outcomes text[], p_errors text[])
RETURNS TABLE (rejected_id uuid, replay_count integer, last_replay_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker lets nothing in on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    INSERT INTO counter_journal (site_id, tally, changed_at)
    SELECT p_site, array_agg(ROW(p_site, x.reason, -x.n, x.hour)::tally_draft), now()
    FROM (SELECT r.reason, date_trunc('hour', r.received_at) AS hour, count(*) AS n
        FROM unnest(p_rejected, p_errors) AS t (id, error)
        JOIN rejected_events r ON r.site_id = p_site AND r.id = t.id AND r.replayed_at IS NULL
        WHERE t.error IS NULL GROUP BY 1, 2) x
    HAVING count(*) > 0;
    UPDATE rejected_events r SET replay_count = r.replay_count + 1, last_replay_at = now(),
        last_replay_error = left(t.error, 500),
        replayed_at = coalesce(r.replayed_at, CASE WHEN t.error IS NULL THEN now() END)
    FROM unnest(p_rejected, p_errors) AS t (id, error)
    WHERE r.site_id = p_site AND r.id = t.id;
    INSERT INTO replays (site_id, id, rejected_id, actor, actor_email, replay_count, outcome, error)
    SELECT p_site, t.id, r.id, u.id, coalesce(u.email, current_setting('app.key_name', true)), r.replay_count, t.outcome,
        left(t.error, 500)
    FROM unnest(p_rejected, p_ids, p_outcomes, p_errors) AS t (rejected_id, id, outcome, error)
    JOIN rejected_events r ON r.site_id = p_site AND r.id = t.rejected_id
    LEFT JOIN users u ON u.id = v_person;
    RETURN QUERY SELECT r.id, r.replay_count, r.last_replay_at FROM unnest(p_rejected) WITH ORDINALITY AS t (id, place)
        JOIN rejected_events r ON r.site_id = p_site AND r.id = t.id ORDER BY t.place;
END
$$;
REVOKE EXECUTE ON FUNCTION lock_rejected, record_replays FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_rejected, record_replays TO opsmantik_app;
