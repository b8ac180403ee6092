-- One act on a lead, whole: the row, the line in the log, the row of the ledger and the counters, or nothing of it.
-- What the act means is decided before (decisions/plan.py); this remembers it.
--
-- In:  p_version     the version that the act was decided on; the row must still have it.
--      p_kind        person or rule; what a person's or a site's key does is logged as the key's.
--      p_changes     the columns that change, by name; those of a decision and no others.
--      p_conversion  what becomes of the ledger's row ({"step": "open" | "revise" | "withdraw", ...}), or null.
-- Out: the new version. Null, and nothing written: the lead is not there, is folded into another, or has moved on.
CREATE OR REPLACE FUNCTION decide_intent(p_site uuid, p_call uuid, p_version integer, p_id uuid, p_kind text,
    p_action text, p_note text, p_undoes uuid, p_changes jsonb, p_conversion jsonb, OUT version integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_columns constant text[] := ARRAY['status', 'confirmed_at', 'confirmed_by', 'note', 'quality', 'stage', 'sale_at',
        'sale_amount', 'currency', 'junk_reason', 'suspicion', 'is_automatic'];
    v_person uuid := decider(p_site);
    v_key text := nullif(current_setting('app.key_name', true), '');
    v_old calls;
    v_new calls;
    v_entries counter_entry[];
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY[p_call]);
    SELECT c.* INTO v_old FROM calls c WHERE c.site_id = p_site AND c.id = p_call;
    IF NOT FOUND OR v_old.merged_into IS NOT NULL OR v_old.version IS DISTINCT FROM p_version THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM jsonb_object_keys(p_changes) k WHERE k <> ALL (v_columns)) THEN
        RAISE EXCEPTION 'a decision changes its own columns only' USING ERRCODE = 'check_violation';
    END IF;
    v_new := jsonb_populate_record(v_old, p_changes);
    -- An undo may bring back the decision of somebody whose account is gone since.
    v_new.confirmed_by := (SELECT u.id FROM users u WHERE u.id = v_new.confirmed_by);
    v_entries := call_entries(p_site, ARRAY[p_call], -1);
    -- Decided in the second before the review has looked at it: nobody has been told yet that it is there.
    IF v_old.suspicion IS NULL THEN
        PERFORM offer_webhooks(p_site, 'lead.created', p_call, NULL);
    END IF;

    UPDATE calls c SET status = v_new.status, confirmed_at = v_new.confirmed_at, confirmed_by = v_new.confirmed_by,
        note = v_new.note, quality = v_new.quality, stage = v_new.stage, sale_at = v_new.sale_at,
        sale_amount = v_new.sale_amount, currency = v_new.currency, junk_reason = v_new.junk_reason,
        suspicion = v_new.suspicion, is_automatic = v_new.is_automatic, version = c.version + 1, updated_at = now()
    WHERE c.site_id = p_site AND c.id = p_call RETURNING c.version INTO decide_intent.version;

    INSERT INTO intent_actions (site_id, id, call_id, at, actor, actor_kind, action, from_status, to_status, version,
        before, note, undoes, key_name)
    VALUES (p_site, p_id, p_call, now(), v_person,
        CASE WHEN p_kind = 'person' AND v_key IS NOT NULL THEN 'key' ELSE p_kind END, p_action, v_old.status,
        v_new.status, decide_intent.version,
        -- As text, because 10.5 and 10.50 are equal and yet not the same.
        (SELECT coalesce(jsonb_object_agg(k, to_jsonb(v_old) -> k), '{}') FROM jsonb_object_keys(p_changes) k
         WHERE (to_jsonb(v_old) -> k)::text IS DISTINCT FROM (to_jsonb(v_new) -> k)::text),
        p_note, p_undoes, v_key);
    IF (v_old.status, v_old.stage, v_old.sale_amount, v_old.currency, v_old.sale_at)
        IS DISTINCT FROM (v_new.status, v_new.stage, v_new.sale_amount, v_new.currency, v_new.sale_at) THEN
        PERFORM offer_webhooks(p_site, 'lead.decided', p_call, jsonb_build_object('decision', jsonb_build_object(
            'action', p_action, 'by', CASE WHEN p_kind = 'person' AND v_key IS NOT NULL THEN 'key' ELSE p_kind END,
            'from_status', v_old.status, 'to_status', v_new.status)));
    END IF;
    PERFORM move_conversion(p_site, p_call, p_conversion);

    INSERT INTO counter_journal (site_id, entries, calls, changed_at)
    VALUES (p_site, v_entries || call_entries(p_site, ARRAY[p_call], 1), ARRAY[p_call], now());
END
$$;

-- The ledger's part of an act. A lead has one row that is not taken back, at most (conversions_live_key).
CREATE OR REPLACE FUNCTION move_conversion(p_site uuid, p_call uuid, p_conversion jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_step text := p_conversion ->> 'step';
    v_old conversions;
    v_new conversions;
    v_sent boolean;
BEGIN
    IF v_step IS NULL THEN
        RETURN;
    END IF;
    IF v_step = 'open' THEN
        v_new := jsonb_populate_record(NULL::conversions, p_conversion);
        -- Its ground is worked out here, whatever the caller says; without one the row is stopped at once.
        v_new.consent := call_consent(p_site, p_call);
        IF v_new.state = 'held' AND NOT consent_allows(p_site, p_call) THEN
            v_new.state := 'skipped';
            v_new.reason := 'no_consent';
            v_new.click_id := NULL;
            v_new.click_id_kind := NULL;
        END IF;
        INSERT INTO conversions (site_id, id, call_id, order_id, state, reason, due_at, occurred_at, value, currency,
            click_id, click_id_kind, clicked_at, consent, consent_at)
        VALUES (p_site, v_new.id, p_call, v_new.order_id, v_new.state, v_new.reason, v_new.due_at, v_new.occurred_at,
            v_new.value, v_new.currency, v_new.click_id, v_new.click_id_kind, v_new.clicked_at, v_new.consent, now());
        INSERT INTO conversion_moves (site_id, id, conversion_id, to_state, reason)
        VALUES (p_site, gen_random_uuid(), v_new.id, v_new.state, v_new.reason);
        PERFORM offer_move(p_site, p_call, v_new.id, NULL, v_new.reason);
        RETURN;
    END IF;

    -- The row may be on its way to the platform: whoever sends it holds its lock for as long as it changes state.
    SELECT v.* INTO v_old FROM conversions v
    WHERE v.site_id = p_site AND v.call_id = p_call AND v.state <> 'retracted' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;  -- sealed before there was a ledger
    END IF;
    v_sent := v_old.state IN ('sent', 'accepted', 'matched') OR v_old.platform_value IS NOT NULL;
    v_new := jsonb_populate_record(v_old, p_conversion);
    IF v_step = 'withdraw' THEN
        v_new.state := 'retracted';
        IF v_sent THEN
            v_new.reason := v_new.reason || (p_conversion ->> 'after_sending');
        END IF;
        INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
        VALUES (p_site, gen_random_uuid(), v_old.id, v_old.state, v_new.state, v_new.reason);
    ELSE
        -- What was sent keeps its moment: the platform lets the value be changed, not the time. What is skipped or
        -- has failed keeps its reason.
        v_new.occurred_at := CASE WHEN v_sent THEN v_old.occurred_at ELSE v_new.occurred_at END;
        v_new.reason := CASE WHEN v_old.state IN ('skipped', 'failed') THEN v_old.reason ELSE v_new.reason END;
        v_new.due_at := v_old.due_at;
        IF v_new.value IS NULL AND v_sent THEN
            -- Nobody says any more what it is worth: the platform keeps what it was told.
            v_new.value := v_old.value;
            v_new.currency := v_old.currency;
            v_new.reason := v_old.reason;
        ELSIF v_new.value IS NULL AND v_old.state IN ('held', 'queued', 'failed') THEN
            v_new.state := 'skipped';
            v_new.reason := p_conversion ->> 'reason';
        ELSIF v_new.value IS NOT NULL AND v_old.value IS NULL AND v_old.state = 'skipped' AND v_old.reason = 'value_unknown' THEN
            -- It was stopped for want of an amount alone, and goes on as if it had been sealed now.
            v_new.consent := call_consent(p_site, p_call);
            v_new.consent_at := now();
            v_new.due_at := (p_conversion ->> 'due_at')::timestamptz;
            v_new.state := CASE WHEN consent_allows(p_site, p_call) THEN 'held' ELSE 'skipped' END;
            v_new.reason := CASE v_new.state WHEN 'held' THEN p_conversion ->> 'reason' ELSE 'no_consent' END;
            v_new.click_id := CASE v_new.state WHEN 'held' THEN v_old.click_id END;
            v_new.click_id_kind := CASE v_new.state WHEN 'held' THEN v_old.click_id_kind END;
        END IF;
        IF v_new IS NOT DISTINCT FROM v_old THEN
            RETURN;
        END IF;
        INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
        VALUES (p_site, gen_random_uuid(), v_old.id, v_old.state, v_new.state,
            CASE v_new.state WHEN 'skipped' THEN CASE v_old.state WHEN 'skipped' THEN p_conversion ->> 'move' ELSE v_new.reason END
                ELSE p_conversion ->> 'move' END);
    END IF;
    UPDATE conversions v SET state = v_new.state, reason = v_new.reason, occurred_at = v_new.occurred_at, due_at = v_new.due_at,
        value = v_new.value, currency = v_new.currency, click_id = v_new.click_id, click_id_kind = v_new.click_id_kind,
        consent = v_new.consent, consent_at = v_new.consent_at, updated_at = now()
    WHERE v.site_id = p_site AND v.id = v_old.id;
    -- What the platform has is to be put right or taken back there; what is on its way, after that is known.
    UPDATE conversions v SET next_at = CASE WHEN v.batch_id IS NULL AND v.state <> 'held' THEN owed_at(v) END
    WHERE v.site_id = p_site AND v.id = v_old.id AND v.state NOT IN ('queued', 'failed');
    PERFORM offer_move(p_site, p_call, v_old.id, v_old.state,
        CASE WHEN v_step = 'withdraw' THEN v_new.reason ELSE p_conversion ->> 'move' END);
END
$$;

-- Whoever moves a conversion offers it here, after the row has changed. The reason is the move's.
CREATE OR REPLACE FUNCTION offer_move(p_site uuid, p_call uuid, p_conversion uuid, p_from text, p_reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM offer_webhooks(p_site, 'conversion.state_changed', p_call, jsonb_build_object('conversion',
        jsonb_build_object('id', p_conversion, 'from_state', p_from, 'reason', p_reason)));
END
$$;
REVOKE EXECUTE ON FUNCTION decide_intent, move_conversion, offer_move FROM PUBLIC;
GRANT EXECUTE ON FUNCTION decide_intent TO opsmantik_app;
