-- Remembers that somebody has tried to let a rejected event in again: how it ended, when, and who it was. Where it is
-- stored now, the books move it from the reason for which it had been refused to what became of it.
-- Null: there is no such rejected event. An error: the asker may not.
CREATE OR REPLACE FUNCTION record_replay(p_site uuid, p_rejected uuid, p_id uuid, p_outcome text, p_error text, p_let_in boolean,
    OUT replay_count integer, OUT last_replay_at timestamptz, OUT last_replay_error text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_old rejected_events;
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker lets nothing in on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SET LOCAL app.maintenance = 'on';
    SELECT r.* INTO v_old FROM rejected_events r WHERE r.site_id = p_site AND r.id = p_rejected FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    replay_count := v_old.replay_count + 1;
    last_replay_at := now();
    last_replay_error := left(p_error, 500);
    UPDATE rejected_events r SET replay_count = record_replay.replay_count, last_replay_at = record_replay.last_replay_at,
        last_replay_error = record_replay.last_replay_error,
        replayed_at = coalesce(r.replayed_at, CASE WHEN p_let_in THEN now() END)
    WHERE r.site_id = p_site AND r.id = p_rejected;
    INSERT INTO replays (site_id, id, rejected_id, actor, actor_email, replay_count, outcome, error)
    SELECT p_site, p_id, p_rejected, u.id, coalesce(u.email, current_setting('app.key_name', true)),
        record_replay.replay_count, p_outcome, left(p_error, 500)
    FROM (SELECT v_person AS id) w LEFT JOIN users u ON u.id = w.id;
    IF p_let_in AND v_old.replayed_at IS NULL THEN
        INSERT INTO counter_journal (site_id, tally, changed_at)
        VALUES (p_site, ARRAY[ROW(p_site, v_old.reason, -1, v_old.received_at)::tally_draft], now());
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION record_replay FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_replay TO opsmantik_app;
