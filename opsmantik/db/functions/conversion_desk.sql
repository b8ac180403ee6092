-- What the people of a site, and their programs, do with its conversions. Every function asks for their role again, and
-- writes its line in the log of acts; a secret comes sealed, and is in no line.

-- An error unless the asker may hand conversions to a platform.
CREATE OR REPLACE FUNCTION conversion_keeper(p_site uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker may not hand over this site''s conversions' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

-- Sets where the site's conversions go. Whatever somebody had to put right counts as put right: it is tried again. False,
-- with nothing written, while a batch is under way by another adapter: what was sent is followed where it was sent.
CREATE OR REPLACE FUNCTION set_conversion_route(p_site uuid, p_adapter text, p_destination jsonb, p_with_hashes boolean, p_is_on boolean,
    p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM sites t WHERE t.id = p_site FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM conversion_batches b WHERE b.site_id = p_site AND b.state IN ('open', 'sent') AND b.adapter <> p_adapter) THEN
        RETURN false;
    END IF;
    INSERT INTO conversion_routes AS r (site_id, adapter, destination, with_hashes, is_on)
    VALUES (p_site, p_adapter, p_destination, p_with_hashes, p_is_on)
    ON CONFLICT (site_id) DO UPDATE SET adapter = p_adapter, destination = p_destination, with_hashes = p_with_hashes, is_on = p_is_on,
        -- A secret is one adapter's; it opens nothing for another.
        secret = CASE WHEN r.adapter = p_adapter THEN r.secret END, key_id = CASE WHEN r.adapter = p_adapter THEN r.key_id END,
        trouble = NULL, trouble_at = NULL, not_before = '-infinity', updated_at = now();
    PERFORM note_act(p_site, p_act, 'conversions.route', p_adapter,
        jsonb_build_object('destination', p_destination, 'with_hashes', p_with_hashes, 'is_on', p_is_on));
    RETURN true;
END
$$;

-- The site's switch alone. Returns whether there is a route.
CREATE OR REPLACE FUNCTION switch_conversion_route(p_site uuid, p_is_on boolean, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_adapter text;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE conversion_routes r SET is_on = p_is_on, trouble = NULL, trouble_at = NULL, not_before = '-infinity', updated_at = now()
    WHERE r.site_id = p_site RETURNING r.adapter INTO v_adapter;
    IF v_adapter IS NULL THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'conversions.switch', v_adapter, jsonb_build_object('is_on', p_is_on));
    RETURN true;
END
$$;

-- What opens the platform: a secret of the site's own (sealed; null takes it away), or the asker's connection (p_mine).
CREATE OR REPLACE FUNCTION put_conversion_secret(p_site uuid, p_secret bytea, p_key_id text, p_mine boolean, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_adapter text;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE conversion_routes r SET secret = p_secret, key_id = p_key_id, trouble = NULL, trouble_at = NULL, not_before = '-infinity',
        connected_by = CASE WHEN p_mine THEN (SELECT u.id FROM users u WHERE u.id = nullif(current_setting('app.person', true), '')::uuid) END,
        updated_at = now()
    WHERE r.site_id = p_site RETURNING r.adapter INTO v_adapter;
    IF v_adapter IS NULL THEN
        RETURN false;
    END IF;
    PERFORM note_act(p_site, p_act, 'conversions.connect', v_adapter,
        jsonb_build_object('by', CASE WHEN p_mine THEN 'person' WHEN p_secret IS NULL THEN 'nothing' ELSE 'secret' END));
    RETURN true;
END
$$;

-- The site's secret, sealed, for those who may use it: to try the connection.
CREATE OR REPLACE FUNCTION conversion_secret(p_site uuid, OUT secret bytea, OUT key_id text, OUT connected_by uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    PERFORM see_all_sites();
    SELECT r.secret, r.key_id, r.connected_by INTO conversion_secret.secret, conversion_secret.key_id, conversion_secret.connected_by
    FROM conversion_routes r WHERE r.site_id = p_site;
END
$$;

-- A batch for whoever carries it themselves: a file, or a program that asks for it. Of one kind (p_kind; null: whichever
-- waits longest). p_lease: seconds after which it is handed out again as it is; null: never by itself. How many; 0: nothing is due.
CREATE OR REPLACE FUNCTION export_conversions(p_site uuid, p_batch uuid, p_kind text, p_most integer, p_lease integer, p_act uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_count integer;
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    -- What a worker sends is carried by nobody else.
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site AND r.adapter IN ('file', 'script') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    v_count := fill_batch(p_site, p_batch, p_kind, p_most, p_lease, (SELECT u.id FROM users u WHERE u.id = v_person),
        (SELECT coalesce(nullif(u.name, ''), u.email) FROM users u WHERE u.id = v_person UNION ALL
         SELECT nullif(current_setting('app.key_name', true), '') WHERE v_person IS NULL LIMIT 1));
    IF v_count > 0 THEN
        PERFORM note_act(p_site, p_act, 'conversions.export', p_batch::text, jsonb_build_object('size', v_count));
    END IF;
    RETURN v_count;
END
$$;

-- The oldest batch of this adapter that was handed out, had no answer in time, and is to be handed out again as it is. Null: none.
CREATE OR REPLACE FUNCTION reclaim_batch(p_site uuid, p_adapter text, p_lease integer) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_batch uuid;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    SELECT b.id INTO v_batch FROM conversion_batches b
    WHERE b.site_id = p_site AND b.adapter = p_adapter AND b.state = 'open' AND b.next_at <= now()
    ORDER BY b.next_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF v_batch IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE conversion_batches b SET attempts = b.attempts + 1, next_at = now() + make_interval(secs => p_lease)
    WHERE b.site_id = p_site AND b.id = v_batch;
    -- What is put right or taken back names nobody.
    IF EXISTS (SELECT FROM conversion_batches b WHERE b.site_id = p_site AND b.id = v_batch AND b.kind = 'new') THEN
        PERFORM withhold_items(p_site, v_batch);
    END IF;
    RETURN v_batch;
END
$$;

-- The rows of a batch as they are sent, for those who carry them. Null: no such batch.
CREATE OR REPLACE FUNCTION batch_rows(p_site uuid, p_batch uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    PERFORM see_all_sites();
    RETURN batch_contents(p_site, p_batch);
END
$$;

-- That a file was handed over: its name and digest with the first download, and the count of them.
CREATE OR REPLACE FUNCTION note_download(p_site uuid, p_batch uuid, p_file_name text, p_digest bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE conversion_batches b SET file_name = coalesce(b.file_name, p_file_name), digest = coalesce(b.digest, p_digest),
        downloads = b.downloads + 1
    WHERE b.site_id = p_site AND b.id = p_batch;
END
$$;

-- What became of a batch that a person or a program carried (settle_batch), once: a second answer changes nothing. With
-- 'cancelled' its conversions are due again at once. Items that p_outcomes does not name have p_rest, where that is given.
-- Returns whether there was such a batch without an answer.
CREATE OR REPLACE FUNCTION answer_batch(p_site uuid, p_batch uuid, p_state text, p_outcomes jsonb, p_rest text, p_act uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_outcomes jsonb := p_outcomes;
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    PERFORM FROM conversion_batches b WHERE b.site_id = p_site AND b.id = p_batch AND b.state IN ('open', 'sent')
        AND b.adapter IN ('file', 'script') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Whoever has said no since was in no file that was fetched after that. Whether an earlier one was carried nobody knows here:
    -- it is taken back.
    IF p_state = 'done' AND EXISTS (SELECT FROM conversion_batches b WHERE b.site_id = p_site AND b.id = p_batch AND b.kind = 'new') THEN
        PERFORM withhold_items(p_site, p_batch);
    END IF;
    IF p_rest IS NOT NULL THEN
        v_outcomes := v_outcomes || coalesce((SELECT jsonb_agg(jsonb_build_object('position', i.position, 'outcome', p_rest))
            FROM conversion_batch_items i WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL
              AND NOT EXISTS (SELECT FROM jsonb_array_elements(p_outcomes) o WHERE (o ->> 'position')::integer = i.position)), '[]');
    END IF;
    IF p_state = 'done' AND EXISTS (SELECT FROM conversion_batch_items i WHERE i.site_id = p_site AND i.batch_id = p_batch AND i.outcome IS NULL
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(v_outcomes) o WHERE (o ->> 'position')::integer = i.position)) THEN
        -- An answer about some of them leaves the others where they are.
        PERFORM settle_batch(p_site, p_batch, 'open', NULL, NULL, NULL, v_outcomes);
    ELSE
        PERFORM settle_batch(p_site, p_batch, p_state, 0, NULL, NULL, v_outcomes);
    END IF;
    PERFORM note_act(p_site, p_act, 'conversions.answer', p_batch::text, jsonb_build_object('state', p_state));
    RETURN true;
END
$$;

-- Failed ones are tried again at once. How many.
CREATE OR REPLACE FUNCTION retry_conversions(p_site uuid, p_ids uuid[], p_act uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_ids uuid[];
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_ids)));
    -- What was to be put right or taken back and was refused for good is tried again as well.
    v_ids := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_ids) AND v.batch_id IS NULL
        AND owed_step(v) IS NOT NULL AND (v.next_at IS NULL OR v.next_at > now()) ORDER BY v.id FOR UPDATE);
    IF v_ids <> '{}' THEN
        PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', i, 'next_at', now(), 'move', 'tried_again')) FROM unnest(v_ids) i));
        PERFORM note_act(p_site, p_act, 'conversions.retry', NULL, jsonb_build_object('count', cardinality(v_ids)));
    END IF;
    RETURN cardinality(v_ids);
END
$$;

-- What has not left is not to leave any more. How many.
CREATE OR REPLACE FUNCTION drop_conversions(p_site uuid, p_ids uuid[], p_act uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_ids uuid[];
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_leads(p_site, ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_ids)));
    v_ids := ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_ids) AND v.batch_id IS NULL
        AND v.state IN ('held', 'queued', 'failed') ORDER BY v.id FOR UPDATE);
    IF v_ids <> '{}' THEN
        PERFORM shift_conversions(p_site, (SELECT jsonb_agg(jsonb_build_object('id', i, 'state', 'skipped', 'reason', 'dropped', 'move', 'dropped',
            'next_at', NULL)) FROM unnest(v_ids) i));
        PERFORM note_act(p_site, p_act, 'conversions.drop', NULL, jsonb_build_object('count', cardinality(v_ids)));
    END IF;
    RETURN cardinality(v_ids);
END
$$;

-- The installation's switch for a provider, and how its circuit stands; for platform administrators.
CREATE OR REPLACE FUNCTION switch_provider(p_provider text, p_is_on boolean, p_act uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM platform_keeper();
    INSERT INTO provider_circuits (provider, is_on) VALUES (p_provider, p_is_on)
    ON CONFLICT (provider) DO UPDATE SET is_on = p_is_on, failures = 0, open_until = '-infinity', reason = NULL, changed_at = now();
    PERFORM note_act(NULL, p_act, 'conversions.provider', p_provider, jsonb_build_object('is_on', p_is_on));
END
$$;

-- How the providers answer, for everybody: nothing of a tenant is in it.
CREATE OR REPLACE FUNCTION providers()
RETURNS TABLE (provider text, failures integer, open_until timestamptz, reason text, is_on boolean, changed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT p.provider, p.failures, p.open_until, p.reason, p.is_on, p.changed_at FROM provider_circuits p ORDER BY p.provider $$;

REVOKE EXECUTE ON FUNCTION conversion_keeper, set_conversion_route, switch_conversion_route, put_conversion_secret, conversion_secret,
    export_conversions, reclaim_batch, batch_rows, note_download, answer_batch, retry_conversions, drop_conversions, switch_provider,
    providers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION set_conversion_route, switch_conversion_route, put_conversion_secret, conversion_secret, export_conversions,
    reclaim_batch, batch_rows, note_download, answer_batch, retry_conversions, drop_conversions, switch_provider, providers
    TO opsmantik_app;
