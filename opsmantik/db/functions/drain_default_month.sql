-- Gives a month its partitions and moves the rows that wait for them in the default partitions, in one
-- transaction. PostgreSQL sets the order of the steps (tried on 15 and 18):
--
--   * A month cannot be attached while the default holds a row of it, so its rows must be out of sight of every
--     foreign key for a moment. Deferring the keys does not help: the check after DELETE looks for the row again
--     in the very partition that it left (ri_Check_Pk_Match reads ONLY that one) and would refuse at commit.
--     So what points at the sessions is taken away first, then the sessions; the checks run then and there
--     (SET CONSTRAINTS), find nothing, and what pointed comes back: events by ATTACH, which checks them as one
--     join, calls by UPDATE.
--   * A writer that has already chosen the default partition when the month is attached fails ("violates
--     partition constraint"): its plan is older than the month. So writers are let finish first and the next
--     ones wait at their first statement; ingest_batch begins with session_keys, hence that lock is the first.
--   * Most of the work is copying. It is done before the locks; what has changed since is mended under them.
--
-- A transaction with an older snapshot (REPEATABLE READ) that has not yet touched the default partition may miss
-- moved rows; the server uses READ COMMITTED only, and pg_dump holds its locks from the start, so this waits.

-- All locks that the steps below need, or none: never more than a blink in anybody's way. The later tries wait
-- longer than deadlock_timeout (1 s), because only then does PostgreSQL call off an autovacuum that is in the way.
CREATE OR REPLACE FUNCTION lock_facts() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    FOR v_try IN 1..8 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', CASE WHEN v_try <= 6 THEN '200ms' ELSE '1200ms' END, true);
            LOCK TABLE session_keys, calls, ONLY events, sessions IN EXCLUSIVE MODE;
            LOCK TABLE parts.events_default, parts.sessions_default IN ACCESS EXCLUSIVE MODE;
            LOCK TABLE sites IN SHARE ROW EXCLUSIVE MODE;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            -- The failed try's locks are gone with its savepoint: those who queued behind it move on.
            PERFORM pg_sleep(0.05 * v_try);
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'sessions and events are in use by a long transaction';
END
$$;

CREATE OR REPLACE FUNCTION attach_month(p_month date,
    OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_month date := date_trunc('month', p_month)::date;
    v_sessions text := to_char(v_month, '"sessions_"YYYY_MM');
    v_events text := to_char(v_month, '"events_"YYYY_MM');
    v_no_sessions boolean;
    v_no_events boolean;
    v_lock_timeout text := current_setting('lock_timeout');
BEGIN
    made := '{}';
    sessions_moved := 0;
    events_moved := 0;
    PERFORM pg_advisory_xact_lock(hashtextextended('opsmantik: months', 0));
    v_no_sessions := NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('parts.' || v_sessions) AND relispartition);
    v_no_events := NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('parts.' || v_events) AND relispartition);
    IF NOT v_no_sessions AND NOT v_no_events THEN
        RETURN;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE invalid_transaction_state USING MESSAGE = 'attach_month needs READ COMMITTED: it must see what others commit meanwhile';
    END IF;

    IF v_no_sessions THEN
        made := made || v_sessions;
        -- Rows grow and are updated in place: room on the page keeps those updates off the indexes.
        EXECUTE format('CREATE TABLE parts.%I (LIKE sessions INCLUDING ALL EXCLUDING COMMENTS) WITH (fillfactor = 75)',
            v_sessions);
        PERFORM dress_partition(v_sessions, 'created_month', v_month, true);
        PERFORM copy_month('sessions_default', v_sessions, 'created_month', v_month);
    END IF;
    IF v_no_events THEN
        made := made || v_events;
        EXECUTE format('CREATE TABLE parts.%I (LIKE events INCLUDING ALL EXCLUDING COMMENTS)', v_events);
        PERFORM dress_partition(v_events, 'session_month', v_month, false);
        PERFORM copy_month('events_default', v_events, 'session_month', v_month);
    END IF;

    -- The checks below read by session; without statistics of a default that grew fast they could read by month.
    ANALYZE parts.events_default (site_id, session_month, session_id);
    PERFORM lock_facts();
    IF v_no_events THEN
        events_moved := leave_default('events_default', v_events, 'session_month', v_month);
    END IF;
    IF v_no_sessions THEN
        sessions_moved := attach_sessions(v_sessions, v_events, v_month, NOT v_no_events);
    END IF;
    IF v_no_events THEN
        PERFORM attach_partition('events', v_events, v_month);
    END IF;
    PERFORM set_config('lock_timeout', v_lock_timeout, true);
END
$$;

-- The planner takes the policies' comparison with a setting for a filter that lets one row in 200 through, and
-- would loop over two big tables that it believes small; so the functions below say which joins they want.

-- Before the locks: a first copy. Generated columns are computed anew, to the same values.
CREATE OR REPLACE FUNCTION copy_month(p_from text, p_to text, p_column text, p_month date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_nestloop = off
AS $$
DECLARE
    v_columns text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO v_columns FROM pg_attribute
    WHERE attrelid = to_regclass(format('parts.%I', p_to)) AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format('INSERT INTO parts.%I (%s) SELECT %s FROM parts.%I d WHERE d.%I = %L '
        'AND NOT EXISTS (SELECT FROM parts.%I n WHERE n.site_id = d.site_id AND n.%I = d.%I AND n.id = d.id)',
        p_to, v_columns, v_columns, p_from, p_column, p_month, p_to, p_column, p_column);
END
$$;

-- Under the locks: mends the copy (rows changed, added or erased since, compared byte by byte), then empties the
-- default of the month. Returns how many rows moved; fails if one were neither here nor there.
CREATE OR REPLACE FUNCTION leave_default(p_from text, p_to text, p_column text, p_month date) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_nestloop = off
AS $$
DECLARE
    v_left bigint;
    v_copied bigint;
BEGIN
    EXECUTE format('DELETE FROM parts.%I n WHERE NOT EXISTS (SELECT FROM parts.%I d WHERE d.%I = %L '
        'AND d.site_id = n.site_id AND d.id = n.id AND d *= n)', p_to, p_from, p_column, p_month);
    PERFORM copy_month(p_from, p_to, p_column, p_month);
    EXECUTE format('DELETE FROM parts.%I WHERE %I = %L', p_from, p_column, p_month);
    GET DIAGNOSTICS v_left = ROW_COUNT;
    EXECUTE format('SELECT count(*) FROM parts.%I', p_to) INTO v_copied;
    IF v_left <> v_copied THEN
        RAISE data_corrupted USING MESSAGE = format('%s rows left %s, %s arrived in %s', v_left, p_from, v_copied, p_to);
    END IF;
    RETURN v_left;
END
$$;

-- The part with the foreign keys in it; events of the month are out of the default already.
CREATE OR REPLACE FUNCTION attach_sessions(p_sessions text, p_events text, p_month date, p_events_attached boolean)
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_sites uuid[];
    v_calls uuid[];
    v_matched uuid[];
    v_keys session_keys[];
    v_moved bigint;
BEGIN
    IF p_events_attached THEN
        -- Out of step: events have their month already, sessions do not. The events step aside whole.
        EXECUTE format('ALTER TABLE events DETACH PARTITION parts.%I', p_events);
        EXECUTE format('ALTER TABLE parts.%I DROP CONSTRAINT events_session_fkey', p_events);
    END IF;
    SELECT array_agg(site_id), array_agg(id), array_agg(matched_session_id) INTO v_sites, v_calls, v_matched
    FROM calls WHERE matched_session_month = p_month;
    UPDATE calls SET matched_session_id = NULL, matched_session_month = NULL WHERE matched_session_month = p_month;
    v_moved := leave_default('sessions_default', p_sessions, 'created_month', p_month);
    v_keys := take_keys(p_sessions);

    INSERT INTO session_keys SELECT (unnest(v_keys)).*;
    PERFORM attach_partition('sessions', p_sessions, p_month);
    PERFORM check_keys_now();
    UPDATE calls c SET matched_session_id = m.session_id, matched_session_month = p_month
    FROM unnest(v_sites, v_calls, v_matched) AS m (site_id, id, session_id)
    WHERE c.site_id = m.site_id AND c.id = m.id;
    IF p_events_attached THEN
        PERFORM attach_partition('events', p_events, p_month);
    END IF;
    RETURN v_moved;
END
$$;

-- Takes the keys of the moved sessions away and has the checks on both run while nothing points at anything.
CREATE OR REPLACE FUNCTION take_keys(p_sessions text) RETURNS session_keys[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_material = off
AS $$
DECLARE
    v_keys session_keys[];
BEGIN
    EXECUTE format('WITH gone AS (DELETE FROM session_keys k USING parts.%I n '
        'WHERE k.site_id = n.site_id AND k.id = n.id RETURNING k) SELECT array_agg(k) FROM gone', p_sessions)
    INTO v_keys;
    PERFORM check_keys_now();
    RETURN v_keys;
END
$$;

CREATE OR REPLACE FUNCTION check_keys_now() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
END
$$;

-- Its foreign keys are checked by looking each row up: by what moves, not by all that there is.
CREATE OR REPLACE FUNCTION attach_partition(p_parent text, p_partition text, p_month date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_material = off
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION parts.%I FOR VALUES FROM (%L) TO (%L)',
        p_parent, p_partition, p_month, (p_month + interval '1 month')::date);
END
$$;

-- What upkeep calls. The owner, too, sees facts only after SET LOCAL app.maintenance = 'on'; without it there
-- would seem to be nothing to move, and ATTACH would refuse.
CREATE OR REPLACE FUNCTION drain_default_month(p_month date,
    OUT made text[], OUT sessions_moved bigint, OUT events_moved bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF current_setting('app.maintenance', true) IS DISTINCT FROM 'on' THEN
        RAISE insufficient_privilege USING MESSAGE = 'drain_default_month needs SET LOCAL app.maintenance = ''on''';
    END IF;
    SELECT * INTO made, sessions_moved, events_moved FROM attach_month(p_month);
END
$$;
REVOKE EXECUTE ON FUNCTION lock_facts, attach_month, copy_month, leave_default, attach_sessions, take_keys, check_keys_now, attach_partition,
    drain_default_month FROM PUBLIC;
