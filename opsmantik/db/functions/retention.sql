-- Forgetting what a site keeps no longer than it says: whole months of events by dropping their partition, the rest in
-- batches, each a transaction of its own. Figures stay, as they hold nobody. In which order: upkeep/retention.py.
--
-- With N months, p_before is the beginning (UTC) of the month N months ago. What began earlier goes, unless
--   * a lead or an event of it was decided, or came, a week or more after that (p_decided, p_before + 7 days): figures of
--     those days can still be counted again, from sites.facts_since on;
--   * a conversion still needs it: one that is not sent yet, or may still be corrected at the platform (needs_call).

CREATE OR REPLACE FUNCTION kept_since(p_months integer) RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => p_months)) AT TIME ZONE 'UTC' $$;

-- Whether a conversion still needs its lead, and the visit with its click: until it is sent, and then for 90 days, in
-- which the platform takes corrections and retractions. What was skipped or taken back before it was sent needs nothing.
CREATE OR REPLACE FUNCTION needs_call(v conversions) RETURNS boolean LANGUAGE sql STABLE
AS $$
    SELECT (v).state IN ('held', 'queued') OR (v).batch_id IS NOT NULL OR (v).updated_at > now() - interval '90 days'
        AND ((v).state IN ('sent', 'accepted', 'matched', 'failed') OR (v).reason LIKE '%\_after\_sending')
$$;

-- Says of which day on the rows are whole, before any goes. Two days after the week that rows of the last month may reach
-- into: so it is true by the clock of any zone. A rebuild of the counters is over by then, or begins afterwards.
CREATE OR REPLACE FUNCTION forget_facts_before(p_site uuid, p_before timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_since date := ((p_before + interval '7 days') AT TIME ZONE 'UTC')::date + 2;
BEGIN
    IF EXISTS (SELECT FROM sites s WHERE s.id = p_site AND s.facts_since >= v_since) THEN
        RETURN;
    END IF;
    PERFORM lock_counters(p_site);
    UPDATE sites s SET facts_since = greatest(s.facts_since, v_since) WHERE s.id = p_site;
END
$$;

-- The oldest leads that nothing needs, with the taps that repeat them, their log and their conversions. Returns how many.
CREATE OR REPLACE FUNCTION expire_calls(p_site uuid, p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_calls uuid[];
BEGIN
    PERFORM forget_facts_before(p_site, p_before);
    PERFORM lock_counters(p_site);  -- so that no fold puts back what is taken away here
    v_calls := ARRAY(
        SELECT c.id FROM calls c
        WHERE c.site_id = p_site AND c.created_at < p_before AND c.merged_into IS NULL
          AND coalesce(c.confirmed_at, c.created_at) < p_before + interval '7 days'
          AND NOT EXISTS (SELECT FROM conversions v WHERE v.site_id = p_site AND v.call_id = c.id AND needs_call(v))
        ORDER BY c.created_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    v_calls := v_calls || ARRAY(SELECT c.id FROM calls c WHERE c.site_id = p_site AND c.merged_into = ANY (v_calls));
    DELETE FROM conversion_moves m USING conversions v
    WHERE v.site_id = p_site AND v.call_id = ANY (v_calls) AND m.site_id = v.site_id AND m.conversion_id = v.id;
    DELETE FROM conversions v WHERE v.site_id = p_site AND v.call_id = ANY (v_calls);
    DELETE FROM intent_actions a WHERE a.site_id = p_site AND a.call_id = ANY (v_calls);
    DELETE FROM lead_search l WHERE l.site_id = p_site AND l.call_id = ANY (v_calls);
    DELETE FROM calls c WHERE c.site_id = p_site AND c.id = ANY (v_calls);
    RETURN cardinality(v_calls);
END
$$;

-- The months before an instant in which a site has visits, the oldest first: one step of the index each.
CREATE OR REPLACE FUNCTION months_before(p_site uuid, p_before timestamptz) RETURNS SETOF date
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH RECURSIVE next AS (
        SELECT (SELECT min(k.created_month) FROM session_keys k WHERE k.site_id = p_site) AS month
        UNION ALL
        SELECT (SELECT min(k.created_month) FROM session_keys k WHERE k.site_id = p_site AND k.created_month > n.month)
        FROM next n WHERE n.month IS NOT NULL)
    SELECT n.month FROM next n WHERE n.month < (p_before AT TIME ZONE 'UTC')::date AND NOT stays_for_archive(n.month)
$$;

-- Visits of a month that no lead is left of and that had ended in time, with their events. Returns how many.
CREATE OR REPLACE FUNCTION expire_visits(p_site uuid, p_month date, p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_sessions uuid[];
BEGIN
    PERFORM forget_facts_before(p_site, p_before);
    v_sessions := ARRAY(
        SELECT k.id FROM session_keys k WHERE k.site_id = p_site AND k.created_month = p_month AND is_over(p_site, p_month, k.id, p_before)
        ORDER BY k.id LIMIT p_limit FOR UPDATE SKIP LOCKED);
    -- Asked again now that nothing can be added to them.
    v_sessions := ARRAY(SELECT k.id FROM unnest(v_sessions) AS k (id) WHERE is_over(p_site, p_month, k.id, p_before));
    DELETE FROM events e WHERE e.site_id = p_site AND e.session_month = p_month AND e.session_id = ANY (v_sessions);
    DELETE FROM sessions s WHERE s.site_id = p_site AND s.created_month = p_month AND s.id = ANY (v_sessions);
    DELETE FROM session_keys k WHERE k.site_id = p_site AND k.created_month = p_month AND k.id = ANY (v_sessions);
    RETURN cardinality(v_sessions);
END
$$;

CREATE OR REPLACE FUNCTION is_over(p_site uuid, p_month date, p_session uuid, p_before timestamptz) RETURNS boolean
LANGUAGE sql STABLE
AS $$
    SELECT NOT EXISTS (SELECT FROM calls c WHERE c.site_id = p_site AND c.matched_session_month = p_month AND c.matched_session_id = p_session)
      AND NOT EXISTS (SELECT FROM events e WHERE e.site_id = p_site AND e.session_month = p_month AND e.session_id = p_session
          AND e.created_at >= p_before + interval '7 days')
$$;

-- Visitors who have not come since. Returns how many.
CREATE OR REPLACE FUNCTION expire_visitors(p_site uuid, p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_ids text[];
BEGIN
    v_ids := ARRAY(SELECT v.id FROM visitors v WHERE v.site_id = p_site AND v.last_seen_at < p_before LIMIT p_limit FOR UPDATE SKIP LOCKED);
    DELETE FROM visitors v WHERE v.site_id = p_site AND v.id = ANY (v_ids);
    RETURN cardinality(v_ids);
END
$$;

-- Refused events, and the tries to let some in. Returns how many events.
CREATE OR REPLACE FUNCTION expire_rejected(p_site uuid, p_before timestamptz, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_ids uuid[];
BEGIN
    v_ids := ARRAY(SELECT r.id FROM rejected_events r WHERE r.site_id = p_site AND r.received_at < p_before
        ORDER BY r.received_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    DELETE FROM rejected_events r WHERE r.site_id = p_site AND r.id = ANY (v_ids);
    DELETE FROM replays r WHERE r.site_id = p_site AND r.at < p_before;
    RETURN cardinality(v_ids);
END
$$;

-- Wipes addresses that were stored before a site said that it keeps none; when nothing is left it says so. Returns how many.
CREATE OR REPLACE FUNCTION forget_addresses(p_site uuid, p_limit integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_count integer;
    v_more integer;
BEGIN
    UPDATE sessions s SET ip_address = NULL
    FROM (SELECT x.created_month, x.id FROM sessions x WHERE x.site_id = p_site AND x.ip_address IS NOT NULL
        ORDER BY x.created_month, x.id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) o
    WHERE s.site_id = p_site AND s.created_month = o.created_month AND s.id = o.id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    UPDATE rejected_events r SET ip_address = NULL
    WHERE r.site_id = p_site AND r.id IN (SELECT x.id FROM rejected_events x WHERE x.site_id = p_site AND x.ip_address IS NOT NULL LIMIT p_limit);
    GET DIAGNOSTICS v_more = ROW_COUNT;
    IF v_count + v_more = 0 THEN
        UPDATE sites s SET ip_forgotten = true WHERE s.id = p_site AND NOT s.keep_ip AND NOT EXISTS (
            SELECT FROM sessions x WHERE x.site_id = p_site AND x.ip_address IS NOT NULL);
    END IF;
    RETURN v_count + v_more;
END
$$;

-- Drops the events of a month, if it has expired for every site that has any in it, and none of them came late. Returns
-- whether it did. Nobody waits for it longer than two short lock timeouts: the work is a directory entry.
CREATE OR REPLACE FUNCTION drop_month_of_events(p_month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_part text := to_char(p_month, '"events_"YYYY_MM');
    v_end timestamptz := (p_month + interval '1 month') AT TIME ZONE 'UTC';
    v_first timestamptz;
    v_looked timestamptz := clock_timestamp();
    v_sites uuid[];
BEGIN
    IF to_regclass(format('parts.%I', v_part)) IS NULL OR stays_for_archive(p_month) THEN
        RETURN false;
    END IF;
    -- One look into the index for each site: who has events in it.
    v_sites := ARRAY(SELECT s.id FROM sites s WHERE EXISTS (
        SELECT FROM events e WHERE e.site_id = s.id AND e.session_month = p_month));
    SELECT min(kept_since(s.retention_months)) INTO v_first FROM sites s WHERE s.id = ANY (v_sites);
    IF v_sites = '{}' THEN
        v_first := v_end;  -- empty, and so nobody's
    END IF;
    IF p_month >= date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months' OR v_first < v_end
        OR EXISTS (SELECT FROM sites s WHERE s.id = ANY (v_sites) AND s.retention_months IS NULL)
        OR EXISTS (SELECT FROM events e WHERE e.session_month = p_month AND e.created_at >= v_first + interval '7 days') THEN
        RETURN false;
    END IF;
    PERFORM forget_facts_before(s.id, kept_since(s.retention_months)) FROM sites s WHERE s.id = ANY (v_sites);
    PERFORM lock_month('events');
    IF EXISTS (SELECT FROM events e WHERE e.session_month = p_month AND e.created_at >= v_looked) THEN
        RAISE lock_not_available USING MESSAGE = 'an event came for a month that was about to go';
    END IF;
    EXECUTE format('DROP TABLE parts.%I', v_part);
    RETURN true;
END
$$;

-- Drops a month of visits that holds none any more: they go in batches, since their keys lie in one table for all months.
CREATE OR REPLACE FUNCTION drop_month_of_visits(p_month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_material = off
AS $$
DECLARE
    v_part text := to_char(p_month, '"sessions_"YYYY_MM');
BEGIN
    IF to_regclass(format('parts.%I', v_part)) IS NULL OR p_month >= date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months'
        OR stays_for_archive(p_month) OR to_regclass(format('parts.%I', to_char(p_month, '"events_"YYYY_MM'))) IS NOT NULL
        OR EXISTS (SELECT FROM sessions s WHERE s.created_month = p_month) THEN
        RETURN false;
    END IF;
    PERFORM lock_month('sessions');
    IF EXISTS (SELECT FROM sessions s WHERE s.created_month = p_month) THEN
        RETURN false;
    END IF;
    -- session_keys points at it, so it cannot be dropped as it hangs.
    EXECUTE format('ALTER TABLE sessions DETACH PARTITION parts.%I', v_part);
    EXECUTE format('DROP TABLE parts.%I', v_part);
    RETURN true;
END
$$;

-- The locks that dropping a partition needs, or none: in the order in which ingest takes its own, and never waited for so
-- long that those behind would notice.
CREATE OR REPLACE FUNCTION lock_month(p_parent text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_lock_timeout text := current_setting('lock_timeout');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('opsmantik: months', 0));
    FOR v_try IN 1..20 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', CASE WHEN v_try <= 17 THEN '150ms' ELSE '1100ms' END, true);
            LOCK TABLE session_keys IN ACCESS EXCLUSIVE MODE;
            PERFORM set_config('lock_timeout', '150ms', true);
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', p_parent);
            PERFORM set_config('lock_timeout', v_lock_timeout, true);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.05 * v_try);
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'sessions or events are in use by a long transaction';
END
$$;

-- What would go if a site kept its rows for so many months: for its settings page.
CREATE OR REPLACE FUNCTION retention_preview(p_site uuid, p_months integer)
RETURNS TABLE (before timestamptz, sessions bigint, calls bigint, kept_calls bigint, visitors bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_before timestamptz := kept_since(p_months);
BEGIN
    PERFORM privacy_keeper(p_site);
    PERFORM see_all_sites();
    RETURN QUERY SELECT v_before,
        (SELECT count(*) FROM session_keys k WHERE k.site_id = p_site AND k.created_month < (v_before AT TIME ZONE 'UTC')::date),
        (SELECT count(*) FROM calls c WHERE c.site_id = p_site AND c.created_at < v_before),
        (SELECT count(*) FROM calls c WHERE c.site_id = p_site AND c.created_at < v_before AND (
            c.confirmed_at >= v_before + interval '7 days' OR EXISTS (
                SELECT FROM conversions v WHERE v.site_id = p_site AND v.call_id = c.id AND needs_call(v)))),
        (SELECT count(*) FROM visitors v WHERE v.site_id = p_site AND v.last_seen_at < v_before);
END
$$;
REVOKE EXECUTE ON FUNCTION kept_since, needs_call, forget_facts_before, expire_calls, months_before, expire_visits, is_over,
    expire_visitors, expire_rejected, forget_addresses, drop_month_of_events, drop_month_of_visits, lock_month, retention_preview FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_preview TO opsmantik_app;
