-- The second factor. What is sealed and what is hashed leaves the database only for the account that a half sign-in, or the
-- transaction, is about; which half minute a code belongs to the application has found out (people/second_factor.py).

-- Takes a code: the one of this half minute, or a recovery code by its hash. No code is good twice, and no older one after
-- a newer: a code that was looked at over a shoulder, or on its way, is worth nothing any more.
CREATE OR REPLACE FUNCTION take_code(p_user uuid, p_step bigint, p_code_hash bytea) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF p_step IS NOT NULL THEN
        UPDATE second_factors SET last_step = p_step
        WHERE user_id = p_user AND confirmed_at IS NOT NULL AND last_step < p_step;
    ELSE
        UPDATE recovery_codes SET used_at = now() WHERE user_id = p_user AND code_hash = p_code_hash AND used_at IS NULL;
    END IF;
    RETURN FOUND;
END
$$;

-- The browser's token for another one, when what it may do has grown: whoever had the old one gains nothing.
CREATE OR REPLACE FUNCTION renew_sign_in(p_user uuid, p_old bytea, p_new bytea, p_with_code boolean) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp
AS $$
    UPDATE sign_ins SET token_hash = p_new, confirmed_at = now(), last_seen_at = now(),
        second_factor_at = CASE WHEN p_with_code THEN now() ELSE second_factor_at END
    WHERE token_hash = p_old AND user_id = p_user
$$;

-- Whose code is waited for, and what it is compared with. No row: the password was too long ago, or it was none.
CREATE OR REPLACE FUNCTION half_sign_in(p_half_hash bytea)
RETURNS TABLE (user_id uuid, email text, id uuid, secret bytea, key_id text, last_step bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT f.user_id, u.email, f.id, f.secret, f.key_id, f.last_step
    FROM half_sign_ins h JOIN users u ON u.id = h.user_id AND u.disabled_at IS NULL JOIN second_factors f ON f.user_id = h.user_id
    WHERE h.token_hash = p_half_hash AND h.expires_at > now() AND f.confirmed_at IS NOT NULL
$$;

-- The code was right: the half sign-in becomes a whole one, under a token that has been nowhere yet.
CREATE OR REPLACE FUNCTION pass_second_factor(p_half_hash bytea, p_token_hash bytea, p_lifetime interval, p_step bigint,
    p_code_hash bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_half half_sign_ins;
BEGIN
    SELECT h.* INTO v_half FROM half_sign_ins h JOIN users u ON u.id = h.user_id AND u.disabled_at IS NULL
    WHERE h.token_hash = p_half_hash AND h.expires_at > now() FOR UPDATE OF h FOR SHARE OF u;
    IF NOT FOUND OR NOT take_code(v_half.user_id, p_step, p_code_hash) THEN
        RETURN false;
    END IF;
    DELETE FROM half_sign_ins WHERE token_hash = p_half_hash;
    INSERT INTO sign_ins (token_hash, user_id, expires_at, method, confirmed_at, second_factor_at, user_agent, address)
    VALUES (p_token_hash, v_half.user_id, now() + p_lifetime, v_half.method, now(), now(), v_half.user_agent, v_half.address);
    RETURN true;
END
$$;

-- The rest is about the account whose transaction it is.
CREATE OR REPLACE FUNCTION own_second_factor()
RETURNS TABLE (id uuid, secret bytea, key_id text, last_step bigint, confirmed_at timestamptz, codes_left integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT f.id, f.secret, f.key_id, f.last_step, f.confirmed_at,
        (SELECT count(*)::integer FROM recovery_codes c WHERE c.user_id = f.user_id AND c.used_at IS NULL)
    FROM second_factors f WHERE f.user_id = nullif(current_setting('app.person', true), '')::uuid
$$;

-- A new secret that nothing asks for yet; false where one is in use, which has to be switched off first.
CREATE OR REPLACE FUNCTION begin_second_factor(p_id uuid, p_secret bytea, p_key_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    INSERT INTO second_factors (id, user_id, secret, key_id) VALUES (p_id, v_user, p_secret, p_key_id)
    ON CONFLICT (user_id) DO UPDATE SET id = excluded.id, secret = excluded.secret, key_id = excluded.key_id, last_step = 0,
        created_at = now()
    WHERE second_factors.confirmed_at IS NULL;
    RETURN FOUND;
END
$$;

-- A code of it has been seen: from now on it is asked for.
CREATE OR REPLACE FUNCTION confirm_second_factor(p_id uuid, p_step bigint, p_code_hashes bytea[], p_old bytea, p_new bytea,
    p_note uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    PERFORM FROM users u WHERE u.id = v_user FOR NO KEY UPDATE;  -- a sign-in at this moment is whole before, or half after
    UPDATE second_factors SET confirmed_at = now(), last_step = p_step
    WHERE id = p_id AND user_id = v_user AND confirmed_at IS NULL AND last_step < p_step;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM recovery_codes WHERE user_id = v_user;
    INSERT INTO recovery_codes (user_id, code_hash) SELECT v_user, h FROM unnest(p_code_hashes) h;
    PERFORM renew_sign_in(v_user, p_old, p_new, true);
    PERFORM note_act(NULL, p_note, 'account.second_factor_on', NULL, '{}');
    RETURN true;
END
$$;

-- Ten new codes in the place of those that there were, against a code.
CREATE OR REPLACE FUNCTION new_recovery_codes(p_step bigint, p_code_hash bytea, p_code_hashes bytea[], p_note uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    IF NOT take_code(v_user, p_step, p_code_hash) THEN
        RETURN false;
    END IF;
    DELETE FROM recovery_codes WHERE user_id = v_user;
    INSERT INTO recovery_codes (user_id, code_hash) SELECT v_user, h FROM unnest(p_code_hashes) h;
    PERFORM note_act(NULL, p_note, 'account.recovery_codes', NULL, '{}');
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION drop_second_factor(p_step bigint, p_code_hash bytea, p_note uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
BEGIN
    IF NOT take_code(v_user, p_step, p_code_hash) THEN
        RETURN false;
    END IF;
    DELETE FROM recovery_codes WHERE user_id = v_user;
    DELETE FROM half_sign_ins WHERE user_id = v_user;
    DELETE FROM second_factors WHERE user_id = v_user;
    PERFORM note_act(NULL, p_note, 'account.second_factor_off', NULL, '{}');
    RETURN true;
END
$$;

-- Somebody who is signed in has proved again who they are, before something dangerous. False: they have a second factor,
-- and this was no code of it.
CREATE OR REPLACE FUNCTION confirm_sign_in(p_old bytea, p_new bytea, p_step bigint, p_code_hash bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_user uuid := acting_person();
    v_has boolean := EXISTS (SELECT FROM second_factors f WHERE f.user_id = v_user AND f.confirmed_at IS NOT NULL);
BEGIN
    IF v_has AND NOT take_code(v_user, p_step, p_code_hash) THEN
        RETURN false;
    END IF;
    PERFORM renew_sign_in(v_user, p_old, p_new, v_has);
    RETURN true;
END
$$;

REVOKE EXECUTE ON FUNCTION take_code, renew_sign_in, half_sign_in, pass_second_factor, own_second_factor, begin_second_factor,
    confirm_second_factor, new_recovery_codes, drop_second_factor, confirm_sign_in FROM PUBLIC;
GRANT EXECUTE ON FUNCTION half_sign_in, pass_second_factor, own_second_factor, begin_second_factor, confirm_second_factor,
    new_recovery_codes, drop_second_factor, confirm_sign_in TO opsmantik_app;
