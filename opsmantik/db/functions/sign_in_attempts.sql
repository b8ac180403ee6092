-- The brake on guessing: one attempt, counted under each of its keys before anything is looked at, so that many at once
-- gain nothing. Returns 0 if it may go on, else the seconds to wait; then it is not counted, and the wait gets no longer.
--
-- p_free: how many attempts of that key go unbraked, in the order of p_keys; each further one doubles the wait.
CREATE OR REPLACE FUNCTION begin_attempt(p_keys bytea[], p_free integer[], p_longest double precision, p_forget interval)
RETURNS double precision
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_allowed timestamptz;
BEGIN
    -- Whoever has to wait writes nothing: a flood of names makes no rows.
    SELECT max(a.allowed_at) INTO v_allowed FROM sign_in_attempts a WHERE a.key = ANY (p_keys);
    IF v_allowed > v_now THEN
        RETURN extract(epoch FROM v_allowed - v_now);
    END IF;
    -- Always in one order: two attempts that share keys wait for each other, and never in a circle.
    INSERT INTO sign_in_attempts (key, n, allowed_at) SELECT k, 0, v_now FROM unnest(p_keys) k ORDER BY k ON CONFLICT DO NOTHING;
    PERFORM FROM sign_in_attempts a WHERE a.key = ANY (p_keys) ORDER BY a.key FOR UPDATE;
    v_now := clock_timestamp();
    SELECT max(a.allowed_at) INTO v_allowed FROM sign_in_attempts a WHERE a.key = ANY (p_keys);
    IF v_allowed > v_now THEN
        RETURN extract(epoch FROM v_allowed - v_now);
    END IF;
    UPDATE sign_in_attempts a SET n = c.n,
        allowed_at = v_now + make_interval(secs => CASE WHEN c.n >= c.free THEN least(2.0 ^ least(c.n - c.free, 60), p_longest) ELSE 0 END)
    FROM (SELECT b.key, k.free, CASE WHEN b.allowed_at < v_now - p_forget THEN 1 ELSE b.n + 1 END AS n
        FROM unnest(p_keys, p_free) k (key, free) JOIN sign_in_attempts b ON b.key = k.key) c
    WHERE a.key = c.key;
    RETURN 0;
END
$$;

-- It was right: the first key (this account from here) starts afresh, of the others this one attempt is taken back.
CREATE OR REPLACE FUNCTION forgive_attempt(p_keys bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM sign_in_attempts a WHERE a.key = ANY (p_keys) ORDER BY a.key FOR UPDATE;
    DELETE FROM sign_in_attempts a WHERE a.key = p_keys[1];
    UPDATE sign_in_attempts a SET n = greatest(a.n - 1, 0), allowed_at = least(a.allowed_at, clock_timestamp())
    WHERE a.key = ANY (p_keys[2:]);
END
$$;

REVOKE EXECUTE ON FUNCTION begin_attempt, forgive_attempt FROM PUBLIC;
GRANT EXECUTE ON FUNCTION begin_attempt, forgive_attempt TO opsmantik_app;
