-- Batches that somebody carries, as files: what stands in one, what the next one would hold, and what Google fetches by
-- itself (its scheduled import), to which nobody is signed in. What becomes of a batch stands in conversion_desk.sql.

-- A batch as its file holds it: also what has its answer already, so that a file can be had again as it was. Without those
-- whose visitor has said no since: they are handed out to nobody any more, and "size" tells that somebody is missing.
CREATE OR REPLACE FUNCTION carried_contents(p_site uuid, p_batch uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp SET TimeZone = 'UTC'
AS $$
BEGIN
    RETURN (SELECT batch_contents(p_site, p_batch) || jsonb_build_object('size', b.size, 'digest', encode(b.digest, 'hex'),
        'time_zone', coalesce(b.destination ->> 'time_zone', t.time_zone),
        'items', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'position', i.position, 'conversion_id', i.conversion_id, 'order_id', i.order_id, 'occurred_at', i.occurred_at,
                'value', i.value::text, 'currency', i.currency, 'click_id', v.click_id, 'click_id_kind', v.click_id_kind,
                'consent', v.consent) ORDER BY i.position), '[]')
            FROM conversion_batch_items i
            JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
            WHERE i.site_id = b.site_id AND i.batch_id = b.id AND coalesce(i.outcome, '') <> 'withheld'
              AND (b.kind <> 'new' OR consent_allows(i.site_id, v.call_id))))
    FROM conversion_batches b JOIN sites t ON t.id = b.site_id
    WHERE b.site_id = p_site AND b.id = p_batch);
END
$$;

-- The same for those who may carry it. Null: no such batch.
CREATE OR REPLACE FUNCTION batch_file(p_site uuid, p_batch uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    PERFORM see_all_sites();
    RETURN carried_contents(p_site, p_batch);
END
$$;

-- What a batch would hold if it were made now (fill_batch), in the same form; nothing is changed. After (p_at, p_id), the
-- time and id of the last one seen; p_kind null: whichever waits longest. Null: nothing is due, or nothing may leave.
CREATE OR REPLACE FUNCTION preview_conversions(p_site uuid, p_kind text, p_most integer, p_at timestamptz, p_id uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET TimeZone = 'UTC'
AS $$
DECLARE
    v_route conversion_routes;
    v_first record;
BEGIN
    PERFORM conversion_keeper(p_site);
    PERFORM see_all_sites();
    SELECT r.* INTO v_route FROM conversion_routes r WHERE r.site_id = p_site;
    SELECT owed_step(v) AS kind, CASE WHEN owed_step(v) <> 'new' THEN v.sent_to END AS sent_to INTO v_first FROM conversions v
    WHERE v.site_id = p_site AND v.next_at <= now() AND v.batch_id IS NULL
      AND (owed_step(v) = 'new' OR owed_step(v) IS NOT NULL AND v.sent_to ->> 'adapter' = v_route.adapter)
      AND (p_kind IS NULL OR owed_step(v) = p_kind)
    ORDER BY v.next_at LIMIT 1;
    IF v_first.kind IS NULL OR NOT coalesce(v_route.is_on, false) THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT jsonb_build_object(
        'site_id', p_site, 'id', '00000000-0000-0000-0000-000000000000', 'kind', v_first.kind, 'adapter', v_route.adapter,
        'destination', coalesce(v_first.sent_to -> 'destination', v_route.destination), 'state', 'open', 'attempts', 0,
        'request_id', NULL, 'created_at', now(), 'site_name', t.name, 'public_id', t.public_id, 'time_zone', t.time_zone,
        'with_hashes', v_route.with_hashes,
        'items', (SELECT coalesce(jsonb_agg(jsonb_build_object('position', n.position, 'conversion_id', n.id, 'order_id', n.order_id,
                'occurred_at', n.occurred_at, 'value', (CASE v_first.kind WHEN 'retract' THEN 0 ELSE n.value END)::text,
                'currency', CASE v_first.kind WHEN 'retract' THEN n.platform_currency ELSE n.currency END, 'click_id', n.click_id,
                'click_id_kind', n.click_id_kind, 'clicked_at', n.clicked_at, 'consent', n.consent, 'next_at', n.next_at)
                ORDER BY n.position), '[]')
            FROM (SELECT v.*, row_number() OVER (ORDER BY v.next_at, v.id) AS position FROM conversions v
                WHERE v.site_id = p_site AND v.next_at <= now() AND v.batch_id IS NULL AND owed_step(v) = v_first.kind
                  AND (v.next_at, v.id) > (coalesce(p_at, '-infinity'), coalesce(p_id, '00000000-0000-0000-0000-000000000000'))
                  AND CASE v_first.kind WHEN 'new' THEN consent_allows(p_site, v.call_id)
                      AND coalesce(v.clicked_at, v.occurred_at) >= now() - interval '90 days' ELSE v.sent_to = v_first.sent_to END
                ORDER BY v.next_at, v.id LIMIT p_most) n))
    FROM sites t WHERE t.id = p_site);
END
$$;

-- A batch that a program took and could not deliver is handed out again after p_seconds, as it is, and not only when its
-- lease ends. Whether there was one without an answer.
CREATE OR REPLACE FUNCTION release_batch(p_site uuid, p_batch uuid, p_seconds double precision) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM conversion_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    UPDATE conversion_batches b SET next_at = now() + make_interval(secs => p_seconds)
    WHERE b.site_id = p_site AND b.id = p_batch AND b.state = 'open' AND b.adapter = 'script';
    RETURN FOUND;
END
$$;

-- What Google fetches by itself. A route for that has "pull" in its destination, hourly or daily: a job makes the batches
-- (gather_pull), the door hands out those without an answer, and a day after a file was fetched whole its conversions count
-- as accepted (settle_pulls): Google tells this way nothing. A batch of the job's has no name of a maker.

-- The route of a site that Google may fetch from, by the name in its address; the password is sealed. Null: none.
CREATE OR REPLACE FUNCTION pull_route(p_public_id text, OUT site_id uuid, OUT secret bytea, OUT key_id text, OUT is_on boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM see_all_sites();
    SELECT r.site_id, r.secret, r.key_id, r.is_on AND t.disabled_at IS NULL
    INTO pull_route.site_id, pull_route.secret, pull_route.key_id, pull_route.is_on
    FROM sites t JOIN conversion_routes r ON r.site_id = t.id
    WHERE t.public_id = p_public_id AND r.adapter = 'file' AND r.destination ? 'pull';
END
$$;

-- The batches that are to be fetched and have no answer, as their files hold them, oldest first.
CREATE OR REPLACE FUNCTION pull_batches(p_site uuid) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM see_all_sites();
    RETURN QUERY SELECT carried_contents(b.site_id, b.id) FROM conversion_batches b
    WHERE b.site_id = p_site AND b.adapter = 'file' AND b.created_name IS NULL AND b.state IN ('open', 'sent')
    ORDER BY b.created_at, b.id;
END
$$;

-- That these were fetched whole. With the first time begins the day after which they count as accepted. No conversion changes.
CREATE OR REPLACE FUNCTION note_pull(p_site uuid, p_batches uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_batches b WHERE b.site_id = p_site AND b.id = ANY (p_batches) ORDER BY b.id FOR NO KEY UPDATE;
    UPDATE conversion_batches b SET downloads = b.downloads + 1, state = 'sent', sent_at = coalesce(b.sent_at, now()),
        next_at = coalesce(b.next_at, now() + interval '1 day')
    WHERE b.site_id = p_site AND b.id = ANY (p_batches) AND b.adapter = 'file' AND b.created_name IS NULL AND b.state IN ('open', 'sent');
END
$$;

-- The sites that Google fetches from, or did: ids only.
CREATE OR REPLACE FUNCTION pull_sites() RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM see_all_sites();
    RETURN QUERY SELECT r.site_id FROM conversion_routes r WHERE r.adapter = 'file' AND (r.destination ? 'pull' OR EXISTS (
        SELECT FROM conversion_batches b WHERE b.site_id = r.site_id AND b.state = 'sent' AND b.adapter = 'file'));
END
$$;

-- Makes the batches that are due, one a kind: at most once an hour or a day, as the site's route says. How many conversions.
CREATE OR REPLACE FUNCTION gather_pull(p_site uuid, p_most integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_route conversion_routes;
    v_kind text;
    v_count integer := 0;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT r.* INTO v_route FROM conversion_routes r WHERE r.site_id = p_site AND r.adapter = 'file' AND r.is_on
        AND r.destination ? 'pull' FOR NO KEY UPDATE;
    -- Five minutes early is in time: the job comes round every few minutes, and should not fall behind by as much each day.
    IF NOT FOUND OR EXISTS (SELECT FROM conversion_batches b
        WHERE b.site_id = p_site AND b.adapter = 'file' AND b.created_name IS NULL
          AND b.created_at > now() + interval '5 minutes' - CASE v_route.destination ->> 'pull' WHEN 'hourly' THEN interval '1 hour' ELSE interval '1 day' END) THEN
        RETURN 0;
    END IF;
    FOREACH v_kind IN ARRAY ARRAY['new', 'restate', 'retract'] LOOP
        v_count := v_count + fill_batch(p_site, gen_random_uuid(), v_kind, p_most, NULL, NULL, NULL);
    END LOOP;
    RETURN v_count;
END
$$;

-- What was fetched whole a day ago, and nobody has answered since, counts as accepted. Who has said no since is withheld
-- from what is still to be fetched. How many batches.
CREATE OR REPLACE FUNCTION settle_pulls(p_site uuid) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_batch conversion_batches;
    v_count integer := 0;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM FROM conversion_routes r WHERE r.site_id = p_site FOR NO KEY UPDATE;
    FOR v_batch IN SELECT b.* FROM conversion_batches b WHERE b.site_id = p_site AND b.adapter = 'file' AND b.created_name IS NULL
            AND b.state IN ('open', 'sent') ORDER BY b.id FOR NO KEY UPDATE LOOP
        IF v_batch.kind = 'new' THEN
            PERFORM withhold_items(p_site, v_batch.id);
        END IF;
        IF v_batch.state = 'sent' AND v_batch.next_at <= now() THEN
            PERFORM settle_batch(p_site, v_batch.id, 'done', 0, NULL, NULL, (SELECT coalesce(jsonb_agg(jsonb_build_object('position', i.position)
                    -- What no platform can have made was in no file (conversions/google_ads_csv.py).
                    || CASE WHEN v_batch.kind = 'new' AND coalesce(v.click_id, '') !~ '^[A-Za-z0-9_.~-]+$'
                        THEN jsonb_build_object('outcome', 'failed', 'reason', 'bad_click_id')
                        ELSE jsonb_build_object('outcome', 'accepted', 'reason', 'unconfirmed', 'detail', 'unconfirmed') END), '[]')
                FROM conversion_batch_items i JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
                WHERE i.site_id = p_site AND i.batch_id = v_batch.id AND i.outcome IS NULL));
            v_count := v_count + 1;
        END IF;
    END LOOP;
    RETURN v_count;
END
$$;

REVOKE EXECUTE ON FUNCTION carried_contents, batch_file, preview_conversions, release_batch, pull_route, pull_batches, note_pull,
    pull_sites, gather_pull, settle_pulls FROM PUBLIC;
GRANT EXECUTE ON FUNCTION batch_file, preview_conversions, release_batch, pull_route, pull_batches, note_pull TO opsmantik_app;
