-- Gives a month its partitions and moves the rows that wait for them in the default partitions, in one
-- transaction. PostgreSQL sets the order of the steps (each tried on 15 and 18):
--
--   * A month cannot be attached while the default holds a row of it, and a row that leaves the default fails the
--     key that points at it, deferred or not: the check looks for the row again only in the very partition that
--     it left. So session_keys' key to sessions is dropped for the move and put back unvalidated: it binds every
--     row from then on, and validate_keys() reads the old ones later, in nobody's way. Under the locks no key can
--     come or go, and what was counted out of the default is counted in again.
--   * A writer that has already chosen the default partition when the month is attached fails ("violates
--     partition constraint"), which ingest would take for the event's own fault. So writers are let finish first,
--     and the next ones wait at their first statement; ingest_batch_v2 begins with session_keys, hence the first lock.
--   * Most of the work is copying. It is done before the locks; what has changed since is mended under them.
--   * The planner takes the policies' comparison with a setting for a filter that lets one row in 200 through, and
--     would loop over two big tables that it believes small; so the functions say which joins they want.
--
-- A transaction on an older snapshot (REPEATABLE READ) that has not yet touched the default partition may miss
-- moved rows. The server uses READ COMMITTED; pg_dump holds its locks from the start, and a move waits for it.

-- All locks that a month needs, or none. Readers keep reading all but the default partitions, unless sessions have
-- to move. The last tries wait longer than deadlock_timeout (1 s): only then does PostgreSQL call off an
-- autovacuum that is in the way.
CREATE OR REPLACE FUNCTION lock_facts(p_move boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    FOR v_try IN 1..8 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', CASE WHEN v_try <= 6 THEN '200ms' ELSE '1200ms' END, true);
            IF p_move THEN
                LOCK TABLE session_keys, sessions IN ACCESS EXCLUSIVE MODE;
            END IF;
            LOCK TABLE session_keys, ONLY events, sessions IN EXCLUSIVE MODE;
            LOCK TABLE parts.events_default, parts.sessions_default IN ACCESS EXCLUSIVE MODE;
            LOCK TABLE sites IN SHARE ROW EXCLUSIVE MODE;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            -- The failed try's locks are gone with its savepoint: those who queued behind it move on.
            PERFORM pg_sleep(0.05 * v_try);
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'sessions or events are in use by a long transaction';
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
    v_waiting bigint := 0;
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
        RAISE invalid_transaction_state
            USING MESSAGE = 'attach_month needs READ COMMITTED, to see what others commit meanwhile';
    END IF;

    IF v_no_sessions THEN
        made := made || v_sessions;
        -- Rows grow and are updated in place: room on the page keeps those updates off the indexes.
        EXECUTE format('CREATE TABLE parts.%I (LIKE sessions INCLUDING ALL EXCLUDING COMMENTS) WITH (fillfactor = 75)',
            v_sessions);
        PERFORM dress_partition(v_sessions, 'created_month', v_month, true);
        v_waiting := copy_month('sessions_default', v_sessions, 'created_month', v_month);
    END IF;
    IF v_no_events THEN
        made := made || v_events;
        EXECUTE format('CREATE TABLE parts.%I (LIKE events INCLUDING ALL EXCLUDING COMMENTS)', v_events);
        PERFORM dress_partition(v_events, 'session_month', v_month, false);
        PERFORM copy_month('events_default', v_events, 'session_month', v_month);
    END IF;

    PERFORM lock_facts(v_waiting > 0);
    IF v_no_sessions THEN
        sessions_moved := attach_sessions(v_sessions, v_month, v_waiting > 0);
    END IF;
    IF v_no_events THEN
        events_moved := leave_default('events_default', v_events, 'session_month', v_month);
        PERFORM attach_partition('events', v_events, v_month);
    END IF;
    PERFORM set_config('lock_timeout', v_lock_timeout, true);
END
$$;

-- Copies what is not there yet and returns how many rows that were. Generated columns are computed anew.
CREATE OR REPLACE FUNCTION copy_month(p_from text, p_to text, p_column text, p_month date) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_nestloop = off
AS $$
DECLARE
    v_columns text;
    v_copied bigint;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO v_columns FROM pg_attribute
    WHERE attrelid = to_regclass(format('parts.%I', p_to)) AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format('INSERT INTO parts.%I (%s) SELECT %s FROM parts.%I d WHERE d.%I = %L '
        'AND NOT EXISTS (SELECT FROM parts.%I n WHERE n.site_id = d.site_id AND n.%I = d.%I AND n.id = d.id)',
        p_to, v_columns, v_columns, p_from, p_column, p_month, p_to, p_column, p_column);
    GET DIAGNOSTICS v_copied = ROW_COUNT;
    RETURN v_copied;
END
$$;

-- Under the locks: mends the copy (rows changed, added or erased since, compared byte by byte), then empties the
-- default of the month. Returns how many rows moved; fails if as many did not arrive.
CREATE OR REPLACE FUNCTION leave_default(p_from text, p_to text, p_column text, p_month date) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_nestloop = off
AS $$
DECLARE
    v_left bigint;
    v_arrived bigint;
BEGIN
    EXECUTE format('DELETE FROM parts.%I n WHERE NOT EXISTS (SELECT FROM parts.%I d WHERE d.%I = %L '
        'AND d.site_id = n.site_id AND d.id = n.id AND d *= n)', p_to, p_from, p_column, p_month);
    PERFORM copy_month(p_from, p_to, p_column, p_month);
    EXECUTE format('DELETE FROM parts.%I WHERE %I = %L', p_from, p_column, p_month);
    GET DIAGNOSTICS v_left = ROW_COUNT;
    EXECUTE format('SELECT count(*) FROM parts.%I', p_to) INTO v_arrived;
    IF v_left <> v_arrived THEN
        RAISE data_corrupted USING MESSAGE = format('%s rows left %s, %s arrived in %s', v_left, p_from, v_arrived, p_to);
    END IF;
    RETURN v_left;
END
$$;

-- The part with the key that points at sessions in it.
CREATE OR REPLACE FUNCTION attach_sessions(p_sessions text, p_month date, p_locked boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_key text;
    v_moved bigint := 0;
BEGIN
    IF p_locked OR EXISTS (SELECT FROM parts.sessions_default WHERE created_month = p_month) THEN
        IF NOT p_locked THEN
            -- The month's first rows came between the copy and the locks.
            PERFORM lock_facts(true);
        END IF;
        SELECT pg_get_constraintdef(oid) INTO STRICT v_key FROM pg_constraint
        WHERE conrelid = 'session_keys'::regclass AND conname = 'session_keys_session_fkey';
        ALTER TABLE session_keys DROP CONSTRAINT session_keys_session_fkey;
        v_moved := leave_default('sessions_default', p_sessions, 'created_month', p_month);
    END IF;
    PERFORM attach_partition('sessions', p_sessions, p_month);
    IF v_key IS NOT NULL THEN
        EXECUTE 'ALTER TABLE session_keys ADD CONSTRAINT session_keys_session_fkey '
            || replace(v_key, ' NOT VALID', '') || ' NOT VALID';
    END IF;
    RETURN v_moved;
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

-- Afterwards, in a transaction of its own: reads all keys and all sessions once, and holds up neither readers nor
-- writers. Returns whether there was anything to validate.
CREATE OR REPLACE FUNCTION validate_keys() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_nestloop = off
AS $$
BEGIN
    -- Not its copies for the single partitions: PostgreSQL before 18 leaves those unmarked.
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'session_keys'::regclass AND conparentid = 0
                   AND NOT convalidated) THEN
        RETURN false;
    END IF;
    IF current_setting('app.maintenance', true) IS DISTINCT FROM 'on' THEN
        RAISE insufficient_privilege USING MESSAGE = 'validate_keys needs SET LOCAL app.maintenance = ''on''';
    END IF;
    ALTER TABLE session_keys VALIDATE CONSTRAINT session_keys_session_fkey;
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION lock_facts, attach_month, copy_month, leave_default, attach_sessions, attach_partition,
    drain_default_month, validate_keys FROM PUBLIC;
