-- The sender's side of the ledger (upkeep/sending.py). It works for all sites, and nobody is signed in there.
--
-- Locks are taken in one order everywhere: the site's route, the batch, the leads (lock_leads), their conversions. Who
-- decides about a lead locks no route and no batch.
--
--   held → queued (queue_conversions) → sent, in a batch (claim_conversions) → accepted | matched | failed (settle_batch)
--
-- A batch that may have arrived although nobody heard so stays open and is sent again as it is; its conversions wait for
-- that. One that certainly did not arrive is cancelled, and its conversions are gathered anew, as they are then.

-- What is owed to the platform about this row: its first report, another amount, or that it is taken back; null: nothing.
CREATE OR REPLACE FUNCTION owed_step(v conversions) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE
    WHEN (v).state IN ('queued', 'failed') THEN 'new'
    WHEN (v).platform_value IS NULL THEN NULL
    WHEN (v).state IN ('accepted', 'matched') AND ((v).platform_value, (v).platform_currency) IS DISTINCT FROM ((v).value, (v).currency) THEN 'restate'
    WHEN (v).state IN ('retracted', 'skipped') AND (v).taken_back_at IS NULL THEN 'retract' END $$;

-- When that is due; null where nothing is.
CREATE OR REPLACE FUNCTION owed_at(v conversions) RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT CASE WHEN owed_step(v) IS NOT NULL AND (v).state <> 'failed' THEN now() END $$;

-- Changes conversions whose leads and rows are locked, with all that hangs on them: a line for each move, the counters,
-- the webhooks, and the status of a lead that the platform has taken.
-- p_steps: [{"id": ..., "move": the reason in the line, or absent for no line, and the columns that change}].
CREATE OR REPLACE FUNCTION shift_conversions(p_site uuid, p_steps jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    -- Arrays, because the planner sees how long they are; of a jsonb it believes that it has a hundred elements. Joined to
    -- them, a row is looked up by its key: an "= ANY" beside that would be sorted anew for each row.
    v_ids uuid[];
    v_steps jsonb[];
    v_calls uuid[];
    v_entries counter_entry[];
    v_moved uuid[];
    v_moved_calls uuid[];
    v_from text[];
    v_to text[];
    v_reasons text[];
    v_taken uuid[];
BEGIN
    SELECT array_agg((s ->> 'id')::uuid), array_agg(s) INTO v_ids, v_steps FROM jsonb_array_elements(p_steps) s;
    v_calls := ARRAY(SELECT DISTINCT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids));
    IF v_calls = '{}' THEN
        RETURN;
    END IF;
    v_entries := call_entries(p_site, v_calls, -1);
    SELECT array_agg(v.id), array_agg(v.call_id), array_agg(v.state), array_agg(coalesce(s.step ->> 'state', v.state)), array_agg(s.step ->> 'move')
    INTO v_moved, v_moved_calls, v_from, v_to, v_reasons
    FROM unnest(v_ids, v_steps) AS s (id, step) JOIN conversions v ON v.site_id = p_site AND v.id = s.id
    WHERE s.step ? 'move';
    UPDATE conversions v SET state = n.state, reason = n.reason, detail = left(n.detail, 500), next_at = n.next_at,
        attempts = n.attempts, batch_id = n.batch_id, sent_at = n.sent_at, sent_to = n.sent_to, click_id = n.click_id,
        click_id_kind = n.click_id_kind, platform_value = n.platform_value, platform_currency = n.platform_currency,
        taken_back_at = n.taken_back_at, updated_at = now()
    FROM (
        SELECT o.id AS changed, r.* FROM unnest(v_ids, v_steps) AS s (id, step) JOIN conversions o ON o.site_id = p_site AND o.id = s.id
        CROSS JOIN LATERAL jsonb_populate_record(o, s.step - 'id') r) n
    WHERE v.site_id = p_site AND v.id = n.changed;
    INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
    SELECT p_site, gen_random_uuid(), m.id, m.from_state, m.to_state, m.reason
    FROM unnest(v_moved, v_from, v_to, v_reasons) AS m (id, from_state, to_state, reason);

    WITH taken AS (
        UPDATE calls c SET status = 'conversion', version = c.version + 1, updated_at = now()
        FROM conversions v
        WHERE v.site_id = p_site AND v.id = ANY (v_ids) AND v.state IN ('accepted', 'matched')
          AND c.site_id = p_site AND c.id = v.call_id AND c.status = 'sealed'
        RETURNING c.id, c.version
    ), told AS (
        INSERT INTO intent_actions (site_id, id, call_id, actor_kind, action, from_status, to_status, version, before)
        SELECT p_site, gen_random_uuid(), t.id, 'rule', 'convert', 'sealed', 'conversion', t.version, '{"status": "sealed"}' FROM taken t)
    SELECT array_agg(t.id) INTO v_taken FROM taken t;
    PERFORM offer_webhooks(p_site, 'lead.decided', t, jsonb_build_object('decision', jsonb_build_object(
        'action', 'convert', 'by', 'rule', 'from_status', 'sealed', 'to_status', 'conversion'))) FROM unnest(v_taken) t;

    INSERT INTO counter_journal (site_id, entries, calls, changed_at)
    VALUES (p_site, v_entries || call_entries(p_site, v_calls, 1), v_calls, now());
    IF EXISTS (SELECT FROM webhooks w WHERE w.site_id = p_site AND w.off_reason IS NULL) THEN
        PERFORM offer_move(p_site, m.call_id, m.id, m.from_state, m.reason)
        FROM unnest(v_moved, v_moved_calls, v_from, v_reasons) AS m (id, call_id, from_state, reason);
    END IF;
END
$$;

-- Of these conversions, those that may leave now: consent is asked about anew (refresh_consent), and what names a click of
-- more than 90 days ago is stopped, for good. Leads and rows are locked afterwards.
CREATE OR REPLACE FUNCTION ready_conversions(p_site uuid, p_ids uuid[]) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_ready uuid[] := refresh_consent(p_site, p_ids);
    v_old uuid[] := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ready)
        AND coalesce(v.clicked_at, v.occurred_at) < now() - interval '90 days');
BEGIN
    IF v_old <> '{}' THEN
        PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', o, 'state', 'skipped', 'reason', 'too_old',
            'move', 'too_old', 'next_at', NULL)) FROM unnest(v_old) o));
    END IF;
    RETURN ARRAY(SELECT r FROM unnest(v_ready) r WHERE r <> ALL (v_old));
END
$$;

-- Lets go what was held long enough: of one site that has such rows, at most p_limit. How many were looked at.
CREATE OR REPLACE FUNCTION queue_conversions(p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_site uuid;
    v_ids uuid[];
    v_ready uuid[];
BEGIN
    SET LOCAL app.maintenance = 'on';
    FOR v_site IN SELECT t.id FROM sites t
        WHERE EXISTS (SELECT FROM conversions v WHERE v.site_id = t.id AND v.state = 'held' AND v.due_at <= now()) LOOP
        -- Whoever is at it already goes on alone.
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended('opsmantik queue ' || v_site, 0));
        v_ids := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = v_site AND v.state = 'held' AND v.due_at <= now()
            ORDER BY v.due_at LIMIT p_limit);
        v_ready := ready_conversions(v_site, v_ids);
        v_ready := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = v_site AND v.id = ANY (v_ready) AND v.state = 'held');
        IF v_ready <> '{}' THEN
            PERFORM shift_conversions(v_site, (SELECT jsonb_agg(jsonb_build_object('id', r, 'state', 'queued', 'move', NULL,
                'next_at', now())) FROM unnest(v_ready) r));
        END IF;
        IF v_ids <> '{}' THEN
            RETURN cardinality(v_ids);
        END IF;
    END LOOP;
    RETURN 0;
END
$$;

-- Gathers what is due of a site into a batch: of one kind (p_kind, or whichever waits longest), at most p_most, each kind of
-- correction for the place where its conversion went. How many; 0, and no batch, where nothing may leave.
-- p_lease: seconds after which it is due again by itself; null where a person or a program elsewhere says what became of it.
CREATE OR REPLACE FUNCTION fill_batch(p_site uuid, p_batch uuid, p_kind text, p_most integer, p_lease integer, p_by uuid, p_by_name text)
RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_route conversion_routes;
    v_to jsonb;
    v_first record;
    v_ids uuid[];
BEGIN
    SELECT r.* INTO v_route FROM conversion_routes r WHERE r.site_id = p_site;
    SELECT owed_step(v) AS kind, v.sent_to INTO v_first FROM conversions v
    WHERE v.site_id = p_site AND v.next_at <= now() AND v.batch_id IS NULL
      AND (owed_step(v) = 'new' OR owed_step(v) IS NOT NULL AND v.sent_to ->> 'adapter' = v_route.adapter)
      AND (p_kind IS NULL OR owed_step(v) = p_kind)
    ORDER BY v.next_at LIMIT 1;
    IF v_first.kind IS NULL OR NOT coalesce(v_route.is_on, false) THEN
        RETURN 0;
    END IF;
    v_to := CASE WHEN v_first.kind = 'new' THEN jsonb_build_object('adapter', v_route.adapter, 'destination', v_route.destination)
        ELSE v_first.sent_to END;
    v_ids := ARRAY(SELECT v.id FROM conversions v
        WHERE v.site_id = p_site AND v.next_at <= now() AND v.batch_id IS NULL AND owed_step(v) = v_first.kind
          AND (v_first.kind = 'new' OR v.sent_to = v_to)
        ORDER BY v.next_at, v.id LIMIT p_most);
    IF v_first.kind = 'new' THEN
        v_ids := ready_conversions(p_site, v_ids);
    ELSE
        PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids)));
        PERFORM FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids) ORDER BY v.id FOR UPDATE;
    END IF;
    -- Somebody may have decided otherwise before the locks were ours.
    v_ids := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids) AND v.batch_id IS NULL
        AND v.next_at <= now() AND owed_step(v) = v_first.kind AND (v_first.kind = 'new' OR v.sent_to = v_to));
    IF v_ids = '{}' THEN
        RETURN 0;
    END IF;
    INSERT INTO conversion_batches (site_id, id, kind, adapter, destination, size, attempts, next_at, created_by, created_name)
    VALUES (p_site, p_batch, v_first.kind, v_to ->> 'adapter', (v_to -> 'destination')
        -- A file tells times by the site's clock, and must come out the same when that has been set to another zone.
        || CASE WHEN v_to ->> 'adapter' IN ('file', 'script')
            THEN jsonb_build_object('time_zone', (SELECT t.time_zone FROM sites t WHERE t.id = p_site)) ELSE '{}' END, cardinality(v_ids), 1,
        now() + make_interval(secs => p_lease), p_by, p_by_name);
    INSERT INTO conversion_batch_items (site_id, batch_id, position, conversion_id, order_id, occurred_at, value, currency)
    SELECT p_site, p_batch, row_number() OVER (ORDER BY v.occurred_at, v.id), v.id, v.order_id, v.occurred_at,
        CASE v_first.kind WHEN 'retract' THEN 0 ELSE v.value END,
        CASE v_first.kind WHEN 'retract' THEN v.platform_currency ELSE v.currency END
    FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids);
    PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', v.id, 'batch_id', p_batch, 'next_at', NULL)
        || CASE v_first.kind WHEN 'new' THEN jsonb_build_object('state', 'sent', 'move', NULL, 'sent_at', now(), 'sent_to', v_to,
            -- What had failed says no longer why, but again what its value is.
            'detail', NULL, 'reason', CASE WHEN c.sale_amount IS NULL THEN 'stage_weight' END) ELSE '{}' END)
        FROM conversions v JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id WHERE v.site_id = p_site AND v.id = ANY (v_ids)));
    RETURN cardinality(v_ids);
END
$$;

-- What a batch carries, as it is sent. Click ids and contact data come from the rows as they are now: a visitor who said no
-- since has none there. Contact data goes along where the site wants that, and only of who agreed themselves.
CREATE OR REPLACE FUNCTION batch_contents(p_site uuid, p_batch uuid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET TimeZone = 'UTC'
AS $$
    SELECT jsonb_build_object(
        'site_id', b.site_id, 'id', b.id, 'kind', b.kind, 'adapter', b.adapter, 'destination', b.destination,
        'state', b.state, 'attempts', b.attempts, 'request_id', b.request_id, 'created_at', b.created_at,
        'site_name', t.name, 'public_id', t.public_id, 'time_zone', t.time_zone, 'with_hashes', r.with_hashes,
        'items', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'position', i.position, 'conversion_id', i.conversion_id, 'order_id', i.order_id, 'occurred_at', i.occurred_at,
                'value', i.value::text, 'currency', i.currency, 'click_id', v.click_id, 'click_id_kind', v.click_id_kind,
                'clicked_at', v.clicked_at, 'consent', v.consent, 'sent_at', v.sent_at, 'attempts', v.attempts, 'action', c.intent_action,
                'phone', CASE WHEN r.with_hashes AND v.consent = 'granted' AND c.source = 'api' THEN c.phone_number END)
                ORDER BY i.position), '[]')
            FROM conversion_batch_items i
            JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
            JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id
            WHERE i.site_id = b.site_id AND i.batch_id = b.id AND i.outcome IS NULL))
    FROM conversion_batches b JOIN sites t ON t.id = b.site_id LEFT JOIN conversion_routes r ON r.site_id = b.site_id
    WHERE b.site_id = p_site AND b.id = p_batch
$$;

-- Whether calls may go to this provider now.
CREATE OR REPLACE FUNCTION is_provider_open(p_provider text) RETURNS boolean LANGUAGE sql STABLE
AS $$ SELECT coalesce((SELECT p.is_on AND p.open_until <= now() FROM provider_circuits p WHERE p.provider = p_provider), true) $$;

-- Takes one batch for p_lease seconds: one that is due again, else what is due of the site whose turn it is. Null: nothing.
-- p_adapters: {adapter: {"provider": name, "most": how many conversions a batch}}, those that the caller can serve.
CREATE OR REPLACE FUNCTION claim_conversions(p_adapters jsonb, p_lease integer, p_batch uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_open text[];
    v_route conversion_routes;
    v_batch conversion_batches;
BEGIN
    SET LOCAL app.maintenance = 'on';
    v_open := ARRAY(SELECT a.key FROM jsonb_each(p_adapters) a WHERE is_provider_open(a.value ->> 'provider'));
    SELECT b.* INTO v_batch FROM conversion_routes r CROSS JOIN LATERAL (
        SELECT b.* FROM conversion_batches b
        WHERE b.site_id = r.site_id AND b.state IN ('open', 'sent') AND b.next_at <= now() AND b.adapter = ANY (v_open)
        ORDER BY b.next_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) b
    WHERE r.is_on AND r.trouble IS NULL AND r.not_before <= now() LIMIT 1;
    IF v_batch.id IS NOT NULL THEN
        UPDATE conversion_batches b SET attempts = b.attempts + 1, next_at = now() + make_interval(secs => p_lease)
        WHERE b.site_id = v_batch.site_id AND b.id = v_batch.id;
        IF v_batch.state = 'open' AND v_batch.kind = 'new' THEN
            PERFORM withhold_items(v_batch.site_id, v_batch.id);
        END IF;
        SELECT r.* INTO v_route FROM conversion_routes r WHERE r.site_id = v_batch.site_id;
    ELSE
        SELECT r.* INTO v_route FROM conversion_routes r
        WHERE r.is_on AND r.adapter = ANY (v_open) AND r.trouble IS NULL AND r.not_before <= now()
          AND EXISTS (SELECT FROM conversions v WHERE v.site_id = r.site_id AND v.next_at <= now() AND v.batch_id IS NULL
              AND (owed_step(v) = 'new' OR owed_step(v) IS NOT NULL AND v.sent_to ->> 'adapter' = r.adapter))
        ORDER BY r.claimed_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        UPDATE conversion_routes r SET claimed_at = clock_timestamp() WHERE r.site_id = v_route.site_id;
        IF fill_batch(v_route.site_id, p_batch, NULL, (p_adapters -> v_route.adapter ->> 'most')::integer, p_lease, NULL, NULL) = 0 THEN
            RETURN jsonb_build_object('items', '[]'::jsonb);
        END IF;
        v_batch.site_id := v_route.site_id;
        v_batch.id := p_batch;
    END IF;
    RETURN batch_contents(v_batch.site_id, v_batch.id) || jsonb_build_object('secret', encode(v_route.secret, 'base64'),
        'key_id', v_route.key_id, 'connected_by', v_route.connected_by);
END
$$;

-- Before a batch is sent again: what names a visitor who has said no since does not go out another time. The platform may
-- have it from the first time, so it is to be taken back there, which needs the order id alone.
CREATE OR REPLACE FUNCTION withhold_items(p_site uuid, p_batch uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_ids uuid[];
BEGIN
    PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversion_batch_items i JOIN conversions v
        ON v.site_id = i.site_id AND v.id = i.conversion_id WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL));
    v_ids := ARRAY(SELECT v.id FROM conversion_batch_items i JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
        WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL AND NOT consent_allows(p_site, v.call_id)
        ORDER BY v.id FOR UPDATE OF v);
    IF v_ids = '{}' THEN
        RETURN;
    END IF;
    PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', i.conversion_id, 'batch_id', NULL, 'next_at', now(),
            'click_id', NULL, 'click_id_kind', NULL, 'platform_value', i.value, 'platform_currency', i.currency,
            'state', CASE v.state WHEN 'sent' THEN 'skipped' ELSE v.state END,
            'reason', CASE v.state WHEN 'sent' THEN 'no_consent' ELSE v.reason END, 'move', 'no_consent'))
        FROM conversion_batch_items i JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
        WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.conversion_id = ANY (v_ids)));
    UPDATE conversion_batch_items i SET outcome = 'withheld', reason = 'no_consent'
    WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.conversion_id = ANY (v_ids);
END
$$;

-- What became of a batch. p_state:
--   open       nobody knows whether it arrived: again in p_seconds
--   sent       it arrived; what became of it is asked in p_seconds
--   done       each conversion that had no outcome yet has one in p_outcomes
--   cancelled  it certainly did not arrive: its conversions are due again in p_seconds
-- p_outcomes: [{"position", "outcome", "reason", "detail", "seconds"}]; of a failed one seconds until it is tried again, or
-- null if it never is. They are taken with open and sent too.
CREATE OR REPLACE FUNCTION settle_batch(p_site uuid, p_batch uuid, p_state text, p_seconds double precision, p_request_id text,
    p_error text, p_outcomes jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_batch conversion_batches;
    v_ids uuid[];
    v_positions integer[];
    v_outcomes jsonb[];
    v_steps jsonb;
    v_changed uuid[];
BEGIN
    SELECT b.* INTO v_batch FROM conversion_batches b WHERE b.site_id = p_site AND b.id = p_batch;
    v_ids := ARRAY(SELECT i.conversion_id FROM conversion_batch_items i WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL);
    PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids)));
    PERFORM FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (v_ids) ORDER BY v.id FOR UPDATE;

    SELECT array_agg((o ->> 'position')::integer), array_agg(o) INTO v_positions, v_outcomes
    FROM jsonb_array_elements(CASE p_state WHEN 'cancelled' THEN '[]' ELSE p_outcomes END) o;
    UPDATE conversion_batch_items i SET outcome = o.said ->> 'outcome', reason = left(o.said ->> 'reason', 100), detail = left(o.said ->> 'detail', 500)
    FROM unnest(v_positions, v_outcomes) AS o (position, said)
    WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.position = o.position AND i.outcome IS NULL;
    IF p_state = 'cancelled' THEN
        UPDATE conversion_batch_items i SET outcome = 'cancelled' WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL;
    ELSIF p_state = 'done' AND EXISTS (SELECT FROM conversion_batch_items i WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL) THEN
        RAISE EXCEPTION 'a batch is done when each of its conversions has an outcome' USING ERRCODE = 'check_violation';
    END IF;

    SELECT jsonb_agg(settled_step(v, i, v_batch.kind, make_interval(secs => coalesce((o.said ->> 'seconds')::double precision,
        CASE WHEN i.outcome = 'cancelled' THEN p_seconds END)))) INTO v_steps
    FROM conversion_batch_items i JOIN conversions v ON v.site_id = p_site AND v.id = i.conversion_id AND v.batch_id = p_batch
    LEFT JOIN unnest(v_positions, v_outcomes) AS o (position, said) ON o.position = i.position
    WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NOT NULL;
    PERFORM shift_conversions(p_site, coalesce(v_steps, '[]'));
    -- What was corrected meanwhile is owed from now on.
    v_changed := ARRAY(SELECT (s ->> 'id')::uuid FROM jsonb_array_elements(v_steps) s WHERE NOT s ? 'next_at');
    UPDATE conversions v SET next_at = owed_at(v)
    WHERE v.site_id = p_site AND v.id = ANY (v_changed) AND v.next_at IS DISTINCT FROM owed_at(v);

    UPDATE conversion_batches b SET state = p_state, request_id = coalesce(p_request_id, b.request_id), error = left(p_error, 500),
        next_at = CASE WHEN p_state IN ('open', 'sent') THEN coalesce(now() + make_interval(secs => p_seconds), b.next_at) END,
        sent_at = CASE WHEN p_state IN ('sent', 'done') THEN coalesce(b.sent_at, now()) ELSE b.sent_at END,
        finished_at = CASE WHEN p_state IN ('done', 'cancelled') THEN now() END
    WHERE b.site_id = p_site AND b.id = p_batch;
END
$$;

-- What an item's outcome makes of its conversion. p_again: when a failed one is tried again; null: never.
-- A row that was withdrawn while it was on its way stays so; it is owed to the platform to be taken back, if it arrived.
CREATE OR REPLACE FUNCTION settled_step(v conversions, i conversion_batch_items, p_kind text, p_again interval) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
    SELECT jsonb_build_object('id', (v).id, 'batch_id', NULL) || CASE
        WHEN (i).outcome = 'cancelled' THEN
            CASE WHEN p_kind <> 'new' THEN jsonb_build_object('next_at', now() + p_again)
                WHEN (v).state = 'sent' THEN jsonb_build_object('state', 'queued', 'move', 'not_arrived', 'sent_at', NULL, 'sent_to', NULL, 'next_at', now() + p_again)
                ELSE jsonb_build_object('move', 'not_arrived', 'sent_at', NULL, 'sent_to', NULL, 'next_at', NULL) END
        WHEN p_kind = 'new' AND (i).outcome IN ('accepted', 'matched') THEN
            jsonb_build_object('platform_value', (i).value, 'platform_currency', (i).currency, 'detail', (i).detail, 'attempts', 0,
                'state', CASE (v).state WHEN 'sent' THEN (i).outcome ELSE (v).state END, 'move', (i).reason)
        WHEN p_kind = 'new' THEN
            jsonb_build_object('detail', (i).detail, 'sent_at', NULL, 'sent_to', NULL, 'attempts', (v).attempts + 1, 'move', (i).reason)
            || CASE (v).state WHEN 'sent' THEN jsonb_build_object('state', 'failed', 'reason', (i).reason, 'next_at', now() + p_again)
                ELSE jsonb_build_object('next_at', NULL) END
        WHEN (i).outcome = 'failed' THEN
            jsonb_build_object('detail', (i).detail, 'attempts', (v).attempts + 1, 'next_at', now() + p_again, 'move', (i).reason)
        WHEN p_kind = 'restate' THEN
            jsonb_build_object('platform_value', CASE (i).outcome WHEN 'gone' THEN NULL ELSE (i).value END,
                'platform_currency', CASE (i).outcome WHEN 'gone' THEN NULL ELSE (i).currency END, 'detail', (i).detail, 'attempts', 0,
                'move', CASE (i).outcome WHEN 'gone' THEN 'gone' ELSE 'restated' END)
        ELSE jsonb_build_object('platform_value', CASE (i).outcome WHEN 'gone' THEN NULL ELSE 0 END, 'taken_back_at', now(), 'detail', (i).detail,
            'attempts', 0, 'next_at', NULL, 'move', CASE (i).outcome WHEN 'gone' THEN 'gone' ELSE 'taken_back' END) END
$$;

-- The same for whoever claimed it: an answer that comes after somebody else has claimed the batch changes nothing.
-- p_trouble: what somebody has to put right at this site before anything leaves it again. p_pause: seconds for which the
-- platform wants to be left alone by this site.
CREATE OR REPLACE FUNCTION finish_conversions(p_site uuid, p_batch uuid, p_attempts integer, p_state text, p_seconds double precision,
    p_request_id text, p_error text, p_outcomes jsonb, p_trouble text, p_pause double precision) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    -- First, and only where it changes: whoever gathers the site's next batch holds it meanwhile.
    IF p_trouble IS NOT NULL OR p_pause IS NOT NULL THEN
        PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    END IF;
    PERFORM FROM conversion_batches b
    WHERE b.site_id = p_site AND b.id = p_batch AND b.attempts = p_attempts AND b.state IN ('open', 'sent') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM settle_batch(p_site, p_batch, p_state, p_seconds, p_request_id, p_error, p_outcomes);
    UPDATE conversion_routes r SET trouble = coalesce(left(p_trouble, 300), r.trouble),
        trouble_at = CASE WHEN p_trouble IS NULL THEN r.trouble_at ELSE now() END,
        not_before = CASE WHEN p_pause IS NULL THEN r.not_before ELSE now() + make_interval(secs => p_pause) END
    WHERE r.site_id = p_site AND (p_trouble IS NOT NULL OR p_pause IS NOT NULL);
    RETURN true;
END
$$;

-- How a call to a provider ended. After p_most failures in a row it is left alone for p_seconds, which doubles with each
-- further failure up to p_longest; one answer closes the circuit. How many seconds it is left alone.
CREATE OR REPLACE FUNCTION note_provider(p_provider text, p_answered boolean, p_reason text, p_most integer, p_seconds double precision,
    p_longest double precision) RETURNS double precision
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_failures integer;
    v_wait double precision;
BEGIN
    IF p_answered THEN
        UPDATE provider_circuits p SET failures = 0, open_until = '-infinity', reason = NULL, changed_at = now()
        WHERE p.provider = p_provider AND p.failures > 0;
        RETURN 0;
    END IF;
    INSERT INTO provider_circuits (provider, failures, reason) VALUES (p_provider, 1, left(p_reason, 300))
    ON CONFLICT (provider) DO UPDATE SET failures = provider_circuits.failures + 1, reason = left(p_reason, 300), changed_at = now()
    RETURNING failures INTO v_failures;
    IF v_failures < p_most THEN
        RETURN 0;
    END IF;
    v_wait := least(p_seconds * 2 ^ least(v_failures - p_most, 30), p_longest);
    UPDATE provider_circuits p SET open_until = now() + make_interval(secs => v_wait) WHERE p.provider = p_provider;
    RETURN v_wait;
END
$$;

REVOKE EXECUTE ON FUNCTION owed_step, owed_at, shift_conversions, ready_conversions, queue_conversions, fill_batch, batch_contents,
    is_provider_open, claim_conversions, withhold_items, settle_batch, settled_step, finish_conversions, note_provider FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queue_conversions, claim_conversions, finish_conversions, note_provider TO opsmantik_app;
