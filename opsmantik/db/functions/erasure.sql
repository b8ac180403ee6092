-- Finding all that is known of one person on a site, and erasing it: a transaction a month, each whole. What the work is
-- and in which order it goes is privacy/erasure.py's; which tables hold what, privacy/registry.py's.

-- Who may hand out or erase what is known of a person, or an error. Null while the schema's owner works by itself.
CREATE OR REPLACE FUNCTION privacy_keeper(p_site uuid) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF session_user = current_user THEN
        RETURN NULL;
    END IF;
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker keeps nobody''s privacy on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN nullif(current_setting('app.person', true), '')::uuid;
END
$$;

-- All that belongs to one person.
--
-- In:  p_kind     phone, email, visitor, session.
--      p_value    the number as E.164, the address' hash, the visitor's id, the session's id.
--      p_pattern  how it is written in texts, as a regular expression; null for visitors and sessions.
--      p_taps     phone: whether taps on that number count. They are of whoever tapped it, mostly on the client's own number.
-- Out: sessions with their months; calls; visitors that are in the table; refused events.
--
-- A number or an address leads to the visits that mention it, a visit to its visitor, a visitor to all their visits. A
-- session stands for itself alone.
CREATE OR REPLACE FUNCTION find_person(p_site uuid, p_kind text, p_value text, p_pattern text, p_taps boolean,
    OUT sessions uuid[], OUT months date[], OUT calls uuid[], OUT visitors text[], OUT rejected uuid[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_sessions uuid[] := '{}';
    v_months date[];
    v_calls uuid[] := '{}';
    v_visitors text[] := '{}';
    v_needles text[];
    v_count integer := -1;
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    IF p_kind = 'session' THEN
        v_sessions := ARRAY[p_value::uuid];
    ELSIF p_kind = 'visitor' THEN
        v_visitors := ARRAY[p_value];
    ELSE
        v_calls := ARRAY(
            SELECT c.id FROM calls c
            WHERE c.site_id = p_site AND (
                c.phone_number = p_value AND (p_taps OR c.source <> 'click')
                OR concat_ws(' ', c.note, c.junk_reason, c.intent_page_url,
                    CASE WHEN p_taps OR c.source <> 'click' THEN c.intent_target END) ~* p_pattern)
            UNION
            SELECT a.call_id FROM intent_actions a
            WHERE a.site_id = p_site AND concat_ws(' ', a.note, a.before::text) ~* p_pattern);
        v_sessions := ARRAY(
            SELECT e.session_id FROM events e
            WHERE e.site_id = p_site AND concat_ws(' ', e.url, e.metadata::text, CASE WHEN p_taps
                OR e.event_action !~* '^(phone|call|tel|whatsapp|wa)' AND e.event_label !~* '^(tel:|callto:|whatsapp:|(https?:)?//[^/]*(wa\.me|whatsapp\.))'
                THEN e.event_label END) ~* p_pattern
            UNION
            SELECT s.id FROM sessions s
            WHERE s.site_id = p_site AND concat_ws(' ', s.entry_page, s.exit_page, s.referrer, s.utm_source, s.utm_medium,
                s.utm_campaign, s.utm_term, s.utm_content, s.ads_placement, s.last_touch::text, s.attribution::text) ~* p_pattern);
    END IF;

    WHILE v_count < cardinality(v_sessions) + cardinality(v_calls) + cardinality(v_visitors) LOOP
        v_count := cardinality(v_sessions) + cardinality(v_calls) + cardinality(v_visitors);
        v_sessions := ARRAY(
            SELECT unnest(v_sessions) UNION
            SELECT c.matched_session_id FROM calls c
            WHERE c.site_id = p_site AND c.id = ANY (v_calls) AND c.matched_session_id IS NOT NULL);
        IF p_kind <> 'session' THEN
            v_visitors := ARRAY(
                SELECT unnest(v_visitors) UNION
                SELECT s.fingerprint FROM session_keys k JOIN sessions s
                    ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
                WHERE k.site_id = p_site AND k.id = ANY (v_sessions) AND s.fingerprint <> '' UNION
                SELECT c.matched_fingerprint FROM calls c
                WHERE c.site_id = p_site AND c.id = ANY (v_calls) AND c.matched_fingerprint <> '');
            v_sessions := ARRAY(
                SELECT unnest(v_sessions) UNION
                SELECT s.id FROM sessions s WHERE s.site_id = p_site AND s.fingerprint = ANY (v_visitors));
            v_calls := ARRAY(
                SELECT unnest(v_calls) UNION
                SELECT c.id FROM calls c WHERE c.site_id = p_site AND c.matched_fingerprint = ANY (v_visitors));
        END IF;
        v_calls := ARRAY(
            SELECT unnest(v_calls) UNION
            SELECT c.id FROM session_keys k JOIN calls c ON c.site_id = k.site_id
                AND c.matched_session_month = k.created_month AND c.matched_session_id = k.id
            WHERE k.site_id = p_site AND k.id = ANY (v_sessions) UNION
            SELECT c.id FROM calls c WHERE c.site_id = p_site AND c.merged_into = ANY (v_calls));
    END LOOP;

    -- What was refused is told by the names in it: of visits, of the visitor, of their ad clicks.
    v_needles := ARRAY(
        SELECT unnest(v_sessions)::text UNION SELECT replace(unnest(v_sessions)::text, '-', '') UNION
        SELECT '"' || unnest(v_visitors) || '"' UNION
        SELECT x.id FROM session_keys k JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
            CROSS JOIN LATERAL unnest(ARRAY[s.gclid, s.wbraid, s.gbraid]) AS x (id)
        WHERE k.site_id = p_site AND k.id = ANY (v_sessions) AND length(x.id) >= 10);
    rejected := ARRAY(
        SELECT r.id FROM rejected_events r
        CROSS JOIN LATERAL (SELECT encode(r.payload, 'escape') || ' ' || concat_ws(' ', r.detail, r.last_replay_error) OFFSET 0) AS t (words)
        WHERE r.site_id = p_site AND (t.words ~* p_pattern
            OR EXISTS (SELECT FROM unnest(v_needles) n WHERE position(n IN t.words) > 0)));

    SELECT coalesce(array_agg(k.id ORDER BY k.created_month, k.id), '{}'), coalesce(array_agg(k.created_month ORDER BY k.created_month, k.id), '{}')
    INTO sessions, months FROM session_keys k WHERE k.site_id = p_site AND k.id = ANY (v_sessions);
    calls := ARRAY(SELECT c.id FROM calls c WHERE c.site_id = p_site AND c.id = ANY (v_calls) ORDER BY c.id);
    visitors := ARRAY(
        SELECT v.id FROM visitors v WHERE v.site_id = p_site AND (v.id = ANY (v_visitors) OR v.id IN (
            SELECT s.fingerprint FROM session_keys k JOIN sessions s
                ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
            WHERE k.site_id = p_site AND k.id = ANY (v_sessions))) ORDER BY v.id);
END
$$;

-- How many rows that is, by table and month; months of rows that have none are null.
CREATE OR REPLACE FUNCTION person_sizes(p_site uuid, p_sessions uuid[], p_months date[], p_calls uuid[], p_visitors text[], p_rejected uuid[])
RETURNS TABLE (name text, month date, n bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM privacy_keeper(p_site);
    PERFORM see_all_sites();
    RETURN QUERY
    SELECT 'sessions', k.created_month, count(*) FROM session_keys k WHERE k.site_id = p_site AND k.id = ANY (p_sessions) GROUP BY 2
    UNION ALL
    SELECT 'events', e.session_month, count(*) FROM events e
    WHERE e.site_id = p_site AND e.session_month = ANY (p_months) AND e.session_id = ANY (p_sessions) GROUP BY 2
    UNION ALL
    SELECT 'calls', c.matched_session_month, count(*) FROM calls c WHERE c.site_id = p_site AND c.id = ANY (p_calls) GROUP BY 2
    UNION ALL
    SELECT 'conversions', NULL, count(*) FROM conversions v WHERE v.site_id = p_site AND v.call_id = ANY (p_calls) HAVING count(*) > 0
    UNION ALL
    SELECT 'visitors', NULL, cardinality(p_visitors)::bigint WHERE p_visitors <> '{}'
    UNION ALL
    SELECT 'rejected_events', NULL, cardinality(p_rejected)::bigint WHERE p_rejected <> '{}';
END
$$;

-- Writes down that somebody wants it erased. At most p_most times an hour and person, exports included.
CREATE OR REPLACE FUNCTION begin_erasure(p_site uuid, p_id uuid, p_kind text, p_hash bytea, p_taps boolean, p_subject bytea,
    p_key_id text, p_most integer) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := privacy_keeper(p_site);
    v_name text;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM note_privacy(p_site, p_id, 'privacy.erase', p_kind || ' ' || left(encode(p_hash, 'hex'), 12), p_most);
    SELECT a.actor_name INTO v_name FROM site_acts a WHERE a.site_id = p_site AND a.id = p_id;
    INSERT INTO erasures (site_id, id, requested_by, requested_name, kind, subject_hash, with_taps, subject, key_id)
    VALUES (p_site, p_id, v_person, v_name, p_kind, p_hash, p_taps, p_subject, p_key_id);
    PERFORM mind_archive(p_site, p_id);
    RETURN now();
END
$$;

-- A line in the log for an erasure or an export. An error (program_limit_exceeded) where the person did so p_most times
-- within the last hour.
CREATE OR REPLACE FUNCTION note_privacy(p_site uuid, p_id uuid, p_action text, p_subject text, p_most integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := privacy_keeper(p_site);
BEGIN
    IF p_action NOT IN ('privacy.erase', 'privacy.export') THEN
        RAISE EXCEPTION 'no such act' USING ERRCODE = 'check_violation';
    END IF;
    SET LOCAL app.maintenance = 'on';
    IF session_user <> current_user THEN
        -- one at a time, so that none is overlooked
        PERFORM pg_advisory_xact_lock(hashtextextended('opsmantik: privacy ' || coalesce(v_person, p_site), 0));
        IF (SELECT count(*) FROM recent_privacy_acts(v_person, p_site)) >= p_most THEN
            RAISE EXCEPTION 'too often' USING ERRCODE = 'program_limit_exceeded';
        END IF;
    END IF;
    PERFORM note_act(p_site, p_id, p_action, p_subject, '{}');
END
$$;

-- Of all sites: the limit is the person's. A site's own key is nobody's, and has the site's.
CREATE OR REPLACE FUNCTION recent_privacy_acts(p_person uuid, p_site uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT a.id FROM site_acts a WHERE (a.actor = p_person OR p_person IS NULL AND a.actor IS NULL AND a.site_id = p_site)
      AND a.at > now() - interval '1 hour' AND a.action IN ('privacy.erase', 'privacy.export')
$$;

-- Erases visits of one month with all that hangs on them, and takes back what they counted; folded at once, so that no
-- key of a counter that only they had stays behind. Ingest waits at the visits' keys for as long, and then finds them gone.
CREATE OR REPLACE FUNCTION erase_visits(p_site uuid, p_erasure uuid, p_month date, p_sessions uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM open_erasure(p_site, p_erasure);
    PERFORM add_erased(p_site, p_erasure, p_month, drop_visits(p_site, p_erasure, p_month, p_sessions));
END
$$;

-- The work itself: for an erasure, or for none (null). Returns how many rows of what.
CREATE OR REPLACE FUNCTION drop_visits(p_site uuid, p_erasure uuid, p_month date, p_sessions uuid[]) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_calls uuid[];
    v_counts jsonb;
    v_entries counter_entry[];
    v_more counter_entry[];
    v_sessions bigint;
    v_events bigint;
BEGIN
    PERFORM lock_counters(p_site);
    PERFORM FROM session_keys k WHERE k.site_id = p_site AND k.created_month = p_month AND k.id = ANY (p_sessions) ORDER BY k.id FOR UPDATE;
    PERFORM FROM sessions s WHERE s.site_id = p_site AND s.created_month = p_month AND s.id = ANY (p_sessions) ORDER BY s.id FOR UPDATE;
    v_calls := ARRAY(SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.matched_session_month = p_month AND c.matched_session_id = ANY (p_sessions));
    v_counts := erase_calls(p_site, p_erasure, v_calls);

    SELECT coalesce(array_agg(session_entry(s, -1)), '{}') INTO v_entries
    FROM sessions s WHERE s.site_id = p_site AND s.created_month = p_month AND s.id = ANY (p_sessions);
    -- By the quarter of an hour, as they are recounted: no zone's day begins within one.
    SELECT coalesce(array_agg(ROW('events', -x.n, x.at, x.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        -x.conversions, -x.forms, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry), '{}') INTO v_more
    FROM (
        SELECT s.is_paid, max(e.created_at) AS at, count(*) AS n, count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions,
            count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit') AS forms
        FROM events e JOIN sessions s ON s.site_id = e.site_id AND s.created_month = e.session_month AND s.id = e.session_id
        WHERE e.site_id = p_site AND e.session_month = p_month AND e.session_id = ANY (p_sessions)
        GROUP BY s.is_paid, date_bin('15 minutes', e.created_at, 'epoch')) x;

    DELETE FROM events e WHERE e.site_id = p_site AND e.session_month = p_month AND e.session_id = ANY (p_sessions);
    GET DIAGNOSTICS v_events = ROW_COUNT;
    DELETE FROM sessions s WHERE s.site_id = p_site AND s.created_month = p_month AND s.id = ANY (p_sessions);
    GET DIAGNOSTICS v_sessions = ROW_COUNT;
    DELETE FROM session_keys k WHERE k.site_id = p_site AND k.created_month = p_month AND k.id = ANY (p_sessions);
    IF v_sessions > 0 THEN
        INSERT INTO counter_journal (site_id, entries, changed_at) VALUES (p_site, v_entries || v_more, now());
    END IF;
    PERFORM fold_counters(p_site);
    RETURN v_counts || jsonb_build_object('sessions', v_sessions, 'session_keys', v_sessions, 'events', v_events);
END
$$;

-- What lies in no month: leads without a visit, visitors, refused events, what telephone systems were answered.
CREATE OR REPLACE FUNCTION erase_rest(p_site uuid, p_erasure uuid, p_sessions uuid[], p_calls uuid[], p_visitors text[], p_rejected uuid[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_counts jsonb;
    v_gone bigint;
    v_rejected bigint;
    v_replays bigint;
    v_answers bigint;
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM open_erasure(p_site, p_erasure);
    PERFORM lock_counters(p_site);
    v_counts := erase_calls(p_site, p_erasure, p_calls);
    v_gone := settle_visitors(p_site, p_visitors);
    DELETE FROM replays r WHERE r.site_id = p_site AND r.rejected_id = ANY (p_rejected);
    GET DIAGNOSTICS v_replays = ROW_COUNT;
    DELETE FROM rejected_events r WHERE r.site_id = p_site AND r.id = ANY (p_rejected);
    GET DIAGNOSTICS v_rejected = ROW_COUNT;
    -- The signature stays, so that the same report cannot come in again; what it was answered goes.
    UPDATE call_signatures g SET answer = '{"status": "erased"}' WHERE g.site_id = p_site
      AND (g.answer ->> 'call_id' = ANY (p_calls::text[]) OR g.answer ->> 'session_id' = ANY (p_sessions::text[]));
    GET DIAGNOSTICS v_answers = ROW_COUNT;
    PERFORM fold_counters(p_site);
    PERFORM add_erased(p_site, p_erasure, NULL, v_counts || jsonb_build_object('visitors', v_gone, 'rejected_events', v_rejected,
        'replays', v_replays, 'call_signatures', v_answers));
END
$$;

-- Visitors some of whose visits went: those without any go as well, and are counted. Where one visit of several went, the
-- others are left, and what is known of them.
CREATE OR REPLACE FUNCTION settle_visitors(p_site uuid, p_visitors text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM visitors v WHERE v.site_id = p_site AND v.id = ANY (p_visitors)
      AND NOT EXISTS (SELECT FROM sessions s WHERE s.site_id = p_site AND s.fingerprint = v.id);
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    UPDATE visitors v SET visits = x.visits, first_seen_at = x.first_at, last_seen_at = x.last_at, last_ad_click_at = x.click_at
    FROM (SELECT s.fingerprint, count(*)::integer AS visits, min(s.started_at) AS first_at, max(s.last_event_at) AS last_at,
            max(s.click_at) AS click_at
        FROM sessions s WHERE s.site_id = p_site AND s.fingerprint = ANY (p_visitors) GROUP BY 1) x
    WHERE v.site_id = p_site AND v.id = x.fingerprint;
    RETURN v_gone;
END
$$;

-- Leads, with the taps that repeat them, their log and their conversions. Returns how many rows of what.
CREATE OR REPLACE FUNCTION erase_calls(p_site uuid, p_erasure uuid, p_calls uuid[]) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_calls uuid[];
    v_entries counter_entry[];
    v_moves bigint;
    v_items bigint;
    v_conversions bigint;
    v_actions bigint;
    v_deliveries bigint;
    v_notices bigint;
    v_found bigint;
    v_count bigint;
BEGIN
    v_calls := ARRAY(SELECT c.id FROM calls c WHERE c.site_id = p_site AND (c.id = ANY (p_calls) OR c.merged_into = ANY (p_calls)));
    PERFORM lock_leads(p_site, v_calls);
    PERFORM FROM calls c WHERE c.site_id = p_site AND c.id = ANY (v_calls) ORDER BY c.id FOR UPDATE;
    v_entries := call_entries(p_site, v_calls, -1);
    -- Those that the platform has, or had: it has to be asked there.
    UPDATE erasures e SET sent_orders = ARRAY(SELECT unnest(e.sent_orders) UNION SELECT v.order_id FROM conversions v
        WHERE v.site_id = p_site AND v.call_id = ANY (v_calls)
          AND (v.state IN ('sent', 'accepted', 'matched') OR v.platform_value IS NOT NULL OR v.reason LIKE '%\_after\_sending')
        ORDER BY 1)
    WHERE e.site_id = p_site AND e.id = p_erasure;
    DELETE FROM conversion_moves m USING conversions v
    WHERE v.site_id = p_site AND v.call_id = ANY (v_calls) AND m.site_id = v.site_id AND m.conversion_id = v.id;
    GET DIAGNOSTICS v_moves = ROW_COUNT;
    DELETE FROM conversion_batch_items i USING conversions v
    WHERE v.site_id = p_site AND v.call_id = ANY (v_calls) AND i.site_id = v.site_id AND i.conversion_id = v.id;
    GET DIAGNOSTICS v_items = ROW_COUNT;
    DELETE FROM conversions v WHERE v.site_id = p_site AND v.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_conversions = ROW_COUNT;
    DELETE FROM intent_actions a WHERE a.site_id = p_site AND a.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_actions = ROW_COUNT;
    DELETE FROM webhook_deliveries d WHERE d.site_id = p_site AND d.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_deliveries = ROW_COUNT;
    DELETE FROM lead_notices n WHERE n.site_id = p_site AND n.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_notices = ROW_COUNT;
    DELETE FROM lead_search l WHERE l.site_id = p_site AND l.call_id = ANY (v_calls);
    GET DIAGNOSTICS v_found = ROW_COUNT;
    DELETE FROM calls c WHERE c.site_id = p_site AND c.id = ANY (v_calls);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_entries <> '{}' THEN
        INSERT INTO counter_journal (site_id, entries, changed_at) VALUES (p_site, v_entries, now());
    END IF;
    RETURN jsonb_build_object('calls', v_count, 'intent_actions', v_actions, 'conversions', v_conversions,
        'conversion_moves', v_moves, 'conversion_batch_items', v_items, 'webhook_deliveries', v_deliveries, 'lead_notices', v_notices, 'lead_search', v_found);
END
$$;

-- The erasure that a step belongs to, locked: two who go on with the same one take turns.
CREATE OR REPLACE FUNCTION open_erasure(p_site uuid, p_erasure uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM erasures e WHERE e.site_id = p_site AND e.id = p_erasure AND e.finished_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such erasure is under way' USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION add_erased(p_site uuid, p_erasure uuid, p_month date, p_counts jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_counts jsonb := (SELECT jsonb_object_agg(k, v) FROM jsonb_each(p_counts) AS c (k, v) WHERE v <> '0');
BEGIN
    UPDATE erasures e SET parts = e.parts || jsonb_build_object('month', p_month, 'counts', v_counts)
    WHERE e.site_id = p_site AND e.id = p_erasure AND v_counts IS NOT NULL;
END
$$;

-- What a certificate says, and what goes on after an interruption: the row as it is, locked, with the sealed subject.
CREATE OR REPLACE FUNCTION erasure_row(p_site uuid, p_id uuid) RETURNS erasures
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_row erasures;
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    SELECT e.* INTO v_row FROM erasures e WHERE e.site_id = p_site AND e.id = p_id FOR UPDATE;
    RETURN v_row;
END
$$;

-- Signs it off: the certificate stays, the subject goes, unless archived months are still to be gone through.
CREATE OR REPLACE FUNCTION finish_erasure(p_site uuid, p_id uuid, p_certificate bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM privacy_keeper(p_site);
    SET LOCAL app.maintenance = 'on';
    PERFORM open_erasure(p_site, p_id);
    UPDATE erasures e SET finished_at = now(), certificate = p_certificate,
        subject = CASE WHEN w.waits THEN e.subject END, key_id = CASE WHEN w.waits THEN e.key_id END
    FROM (SELECT EXISTS (SELECT FROM archive_erasures a WHERE a.site_id = p_site AND a.erasure_id = p_id) AS waits) w
    WHERE e.site_id = p_site AND e.id = p_id;
END
$$;

-- A site's consent, addresses and retention, with their line in the log.
CREATE OR REPLACE FUNCTION change_privacy(p_site uuid, p_act uuid, p_consent_mode text, p_keep_ip boolean, p_retention_months integer)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_old sites;
BEGIN
    PERFORM privacy_keeper(p_site);
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR UPDATE;
    UPDATE sites s SET consent_mode = p_consent_mode, keep_ip = p_keep_ip, retention_months = p_retention_months,
        ip_forgotten = CASE WHEN p_keep_ip THEN true WHEN s.keep_ip THEN false ELSE s.ip_forgotten END, updated_at = now()
    WHERE s.id = p_site;
    PERFORM note_act(p_site, p_act, 'privacy.change', NULL, (
        SELECT coalesce(jsonb_object_agg(x.name, jsonb_build_array(x.was, x.now)), '{}') FROM (VALUES
            ('consent_mode', to_jsonb(v_old.consent_mode), to_jsonb(p_consent_mode)),
            ('keep_ip', to_jsonb(v_old.keep_ip), to_jsonb(p_keep_ip)),
            ('retention_months', to_jsonb(v_old.retention_months), to_jsonb(p_retention_months))) AS x (name, was, now)
        WHERE x.was IS DISTINCT FROM x.now));
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;

REVOKE EXECUTE ON FUNCTION privacy_keeper, find_person, person_sizes, begin_erasure, note_privacy, recent_privacy_acts,
    erase_visits, drop_visits, erase_rest, settle_visitors, erase_calls, open_erasure, add_erased, erasure_row, finish_erasure, change_privacy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_person, person_sizes, begin_erasure, note_privacy, erase_visits, erase_rest, erasure_row,
    finish_erasure, change_privacy TO opsmantik_app;
