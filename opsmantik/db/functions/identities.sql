-- Accounts elsewhere, with which people sign in here. Which of them somebody holds was proved to the application by the
-- provider; whose account it opens is decided here.

-- Before anybody is signed in: whose identity this is, and that it was used. Nobody's: no row.
CREATE OR REPLACE FUNCTION use_identity(p_issuer text, p_subject text) RETURNS TABLE (user_id uuid, disabled boolean)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    UPDATE user_identities i SET last_used_at = now() FROM users u
    WHERE i.issuer = p_issuer AND i.subject = p_subject AND u.id = i.user_id
    RETURNING u.id, u.disabled_at IS NOT NULL
$$;

-- linked: it opens the asker's account from now on; already: it did before; taken: it opens somebody else's.
CREATE OR REPLACE FUNCTION link_identity(p_id uuid, p_issuer text, p_subject text, p_email text, p_act uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_address text;
    v_holder uuid;
BEGIN
    SELECT u.email INTO v_address FROM users u WHERE u.id = v_person AND u.disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nobody is signed in' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO user_identities (id, user_id, issuer, subject, email)
    VALUES (p_id, v_person, p_issuer, p_subject, left(p_email, 254)) ON CONFLICT (issuer, subject) DO NOTHING;
    IF FOUND THEN
        PERFORM note_act(NULL, p_act, 'identities.link', v_address, jsonb_build_object('issuer', p_issuer));
        RETURN 'linked';
    END IF;
    SELECT i.user_id INTO v_holder FROM user_identities i WHERE i.issuer = p_issuer AND i.subject = p_subject;
    RETURN CASE WHEN v_holder = v_person THEN 'already' ELSE 'taken' END;
END
$$;

-- unlinked; last: without it the asker could not come in any more; missing: not the asker's. p_issuers: the providers with
-- which one can sign in at present: an identity of another is no way in.
CREATE OR REPLACE FUNCTION unlink_identity(p_id uuid, p_issuers text[], p_act uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := nullif(current_setting('app.person', true), '')::uuid;
    v_user record;
    v_issuer text;
BEGIN
    -- Two at once would each see the other's identity as the way that is left.
    SELECT u.email, u.password_hash IS NOT NULL AS has_password INTO v_user FROM users u WHERE u.id = v_person FOR NO KEY UPDATE;
    SELECT i.issuer INTO v_issuer FROM user_identities i WHERE i.id = p_id AND i.user_id = v_person;
    IF NOT FOUND THEN
        RETURN 'missing';
    END IF;
    IF NOT v_user.has_password AND NOT EXISTS (SELECT FROM user_identities i
            WHERE i.user_id = v_person AND i.id <> p_id AND i.issuer = ANY (p_issuers)) THEN
        RETURN 'last';
    END IF;
    DELETE FROM user_identities i WHERE i.id = p_id AND i.user_id = v_person;
    PERFORM note_act(NULL, p_act, 'identities.unlink', v_user.email, jsonb_build_object('issuer', v_issuer));
    RETURN 'unlinked';
END
$$;

REVOKE EXECUTE ON FUNCTION use_identity, link_identity, unlink_identity FROM PUBLIC;
GRANT EXECUTE ON FUNCTION use_identity, link_identity, unlink_identity TO opsmantik_app;
