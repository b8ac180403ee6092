-- Invites: made, sent again, taken back by those who manage members; taken up by whoever holds the link, as the person
-- whose address it was written to. An invite gives no more than the inviter could give at that moment.

-- Whether this person may invite to this site now, whoever asks.
CREATE OR REPLACE FUNCTION may_invite(p_site uuid, p_user uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM sites s
        JOIN users u ON u.id = p_user AND u.disabled_at IS NULL
        LEFT JOIN profiles p ON p.id = u.id
        LEFT JOIN site_members m ON m.site_id = p_site AND m.user_id = u.id
        WHERE s.id = p_site AND (p.role = 'admin' OR s.user_id = u.id OR m.role IN ('owner', 'admin')))
$$;

-- open, accepted, revoked, expired, or void: whoever vouched for it may not invite here any more.
CREATE OR REPLACE FUNCTION invite_state(p_invite invites) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT CASE WHEN p_invite.accepted_at IS NOT NULL THEN 'accepted' WHEN p_invite.revoked_at IS NOT NULL THEN 'revoked'
        WHEN p_invite.expires_at <= now() THEN 'expired'
        WHEN NOT may_invite(p_invite.site_id, p_invite.invited_by) THEN 'void' ELSE 'open' END
$$;

-- The seconds after which this person may invite to this site again; 0: now. Twenty in any hour, sent again or not.
CREATE OR REPLACE FUNCTION invites_wait(p_site uuid, p_user uuid) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT coalesce((SELECT greatest(1, ceil(extract(epoch FROM a.at + interval '1 hour' - now())))::integer
        FROM site_acts a WHERE a.site_id = p_site AND a.at > now() - interval '1 hour' AND a.actor = p_user
          AND a.action IN ('members.invite', 'members.resend')
        ORDER BY a.at DESC, a.id DESC OFFSET 19 LIMIT 1), 0)
$$;

-- The open invites of a site, newest first.
CREATE OR REPLACE FUNCTION site_invites(p_site uuid)
RETURNS TABLE (id uuid, email text, role text, turn integer, created_at timestamptz, expires_at timestamptz,
    sent_at timestamptz, sent_count integer, inviter text, state text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RETURN;
    END IF;
    PERFORM see_all_sites();
    RETURN QUERY
        SELECT i.id, i.email, i.role, i.turn, i.created_at, i.expires_at, i.sent_at, i.sent_count,
            coalesce(nullif(u.name, ''), u.email), invite_state(i)
        FROM invites i JOIN users u ON u.id = i.invited_by
        WHERE i.site_id = p_site AND i.accepted_at IS NULL AND i.revoked_at IS NULL
        ORDER BY i.created_at DESC, i.id DESC LIMIT 200;
END
$$;

-- Out: invited; member: they are one already; too_many, with the seconds to wait. Whether the address has an account is
-- not said, and changes nothing. An open invite to the same address is taken back by the new one.
CREATE OR REPLACE FUNCTION invite_member(p_site uuid, p_act uuid, p_id uuid, p_email text, p_role text, p_hash bytea,
    OUT outcome text, OUT retry_after integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := member_manager(p_site);
    v_role text := grantable_role(p_role);
    v_email text := lower(btrim(p_email));
BEGIN
    SET LOCAL app.maintenance = 'on';
    IF EXISTS (SELECT FROM users u WHERE u.email = v_email
        AND (EXISTS (SELECT FROM sites s WHERE s.id = p_site AND s.user_id = u.id)
          OR EXISTS (SELECT FROM site_members m WHERE m.site_id = p_site AND m.user_id = u.id))) THEN
        outcome := 'member';
        RETURN;
    END IF;
    retry_after := invites_wait(p_site, v_person);
    IF retry_after > 0 THEN
        outcome := 'too_many';
        RETURN;
    END IF;
    UPDATE invites i SET revoked_at = now()
    WHERE i.site_id = p_site AND i.email = v_email AND i.accepted_at IS NULL AND i.revoked_at IS NULL;
    INSERT INTO invites (site_id, id, email, role, invited_by, expires_at, token_hash)
    VALUES (p_site, p_id, v_email, v_role, v_person, now() + interval '7 days', p_hash);
    PERFORM note_act(p_site, p_act, 'members.invite', v_email, jsonb_build_object('role', v_role));
    outcome := 'invited';
END
$$;

-- A new turn: a new link, seven more days, and whoever sends it vouches for it from now on.
-- Out: resent, with the address; gone: it is open no more; again: somebody else was faster; too_many.
CREATE OR REPLACE FUNCTION resend_invite(p_site uuid, p_act uuid, p_id uuid, p_turn integer, p_hash bytea,
    OUT outcome text, OUT retry_after integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := member_manager(p_site);
    v_invite invites;
BEGIN
    SET LOCAL app.maintenance = 'on';
    SELECT i.* INTO v_invite FROM invites i
    WHERE i.site_id = p_site AND i.id = p_id AND i.accepted_at IS NULL AND i.revoked_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'gone';
        RETURN;
    END IF;
    IF p_turn IS DISTINCT FROM v_invite.turn + 1 THEN
        outcome := 'again';
        RETURN;
    END IF;
    retry_after := invites_wait(p_site, v_person);
    IF retry_after > 0 THEN
        outcome := 'too_many';
        RETURN;
    END IF;
    UPDATE invites i SET turn = p_turn, token_hash = p_hash, invited_by = v_person, sent_at = NULL,
        expires_at = now() + interval '7 days'
    WHERE i.site_id = p_site AND i.id = p_id;
    PERFORM note_act(p_site, p_act, 'members.resend', v_invite.email, jsonb_build_object('role', v_invite.role));
    outcome := 'resent';
END
$$;

-- Out: revoked, or gone.
CREATE OR REPLACE FUNCTION revoke_invite(p_site uuid, p_act uuid, p_id uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_invite invites;
BEGIN
    PERFORM member_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE invites i SET revoked_at = now()
    WHERE i.site_id = p_site AND i.id = p_id AND i.accepted_at IS NULL AND i.revoked_at IS NULL
    RETURNING i.* INTO v_invite;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    PERFORM note_act(p_site, p_act, 'members.revoke', v_invite.email, jsonb_build_object('role', v_invite.role));
    RETURN 'revoked';
END
$$;

-- A mail server has taken the link of this turn.
CREATE OR REPLACE FUNCTION note_invite_sent(p_site uuid, p_id uuid, p_turn integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM member_manager(p_site);
    SET LOCAL app.maintenance = 'on';
    UPDATE invites i SET sent_at = now(), sent_count = i.sent_count + 1
    WHERE i.site_id = p_site AND i.id = p_id AND i.turn = p_turn;
END
$$;

-- The one invite that this link is for, if any.
CREATE OR REPLACE FUNCTION invite_of(p_hash bytea) RETURNS invites
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT i.* FROM invites i WHERE i.token_hash = p_hash $$;

-- What the holder of a link is told: who invites to what. No row for a link that never was, or that a new one replaced.
CREATE OR REPLACE FUNCTION invite_by_link(p_hash bytea)
RETURNS TABLE (site_name text, email text, role text, inviter text, expires_at timestamptz, state text, has_account boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_invite invites;
BEGIN
    PERFORM see_all_sites();
    v_invite := invite_of(p_hash);
    RETURN QUERY
        SELECT s.name, v_invite.email, v_invite.role, coalesce(nullif(u.name, ''), u.email), v_invite.expires_at,
            invite_state(v_invite), EXISTS (SELECT FROM users a WHERE a.email = v_invite.email)
        FROM sites s JOIN users u ON u.id = v_invite.invited_by WHERE s.id = v_invite.site_id;
END
$$;

-- The invite of a link, with its site's people locked; as it is once the lock is held.
CREATE OR REPLACE FUNCTION lock_invite(p_hash bytea) RETURNS invites
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_invite invites := invite_of(p_hash);
BEGIN
    PERFORM FROM sites s WHERE s.id = v_invite.site_id FOR NO KEY UPDATE;
    SELECT i.* INTO v_invite FROM invites i
    WHERE i.site_id = v_invite.site_id AND i.id = v_invite.id AND i.token_hash = p_hash FOR UPDATE;
    RETURN v_invite;
END
$$;

-- Makes a member of whoever's transaction it is. Somebody who belongs to the site already keeps the role that they have.
CREATE OR REPLACE FUNCTION take_invite(p_invite invites, p_person uuid, p_act uuid) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_state text := invite_state(p_invite);
BEGIN
    IF v_state <> 'open' THEN
        RETURN v_state;
    END IF;
    UPDATE invites i SET accepted_at = now(), accepted_by = p_person
    WHERE i.site_id = p_invite.site_id AND i.id = p_invite.id;
    IF EXISTS (SELECT FROM sites s WHERE s.id = p_invite.site_id AND s.user_id = p_person) THEN
        RETURN 'member';
    END IF;
    INSERT INTO site_members (site_id, user_id, role) VALUES (p_invite.site_id, p_person, p_invite.role)
    ON CONFLICT (site_id, user_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'member';
    END IF;
    -- From here on the site is one of theirs, also to the log.
    EXECUTE format('SET LOCAL app.sites = %L', ARRAY[p_invite.site_id]);
    PERFORM note_act(p_invite.site_id, p_act, 'members.join', p_invite.email, jsonb_build_object('role', p_invite.role,
        'invited_by', (SELECT u.email FROM users u WHERE u.id = p_invite.invited_by)));
    RETURN 'joined';
END
$$;

-- Taken up by whoever is signed in. Out: joined, or member; or why not: unknown, other (it was written to somebody
-- else's address), accepted, revoked, expired, void. And the site, for those who belong to it then.
CREATE OR REPLACE FUNCTION accept_invite(p_hash bytea, p_act uuid, OUT outcome text, OUT site uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_person uuid := acting_person();
    v_invite invites;
BEGIN
    SET LOCAL app.maintenance = 'on';
    v_invite := lock_invite(p_hash);
    IF v_invite.id IS NULL THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    PERFORM FROM users u WHERE u.id = v_person AND u.email = v_invite.email AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        outcome := 'other';
        RETURN;
    END IF;
    outcome := take_invite(v_invite, v_person, p_act);
    site := CASE WHEN outcome IN ('joined', 'member') THEN v_invite.site_id END;
END
$$;

-- Taken up by somebody who has no account yet: the account is made for the address that the invite was written to, an
-- ordinary one. Out: as accept_invite, or account: there is one already, so its owner signs in first.
CREATE OR REPLACE FUNCTION join_by_invite(p_hash bytea, p_act uuid, p_user uuid, p_name text, p_password_hash text,
    p_address text, OUT outcome text, OUT site uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_invite invites;
BEGIN
    SET LOCAL app.maintenance = 'on';
    v_invite := lock_invite(p_hash);
    IF v_invite.id IS NULL THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    outcome := invite_state(v_invite);
    IF outcome <> 'open' THEN
        RETURN;
    END IF;
    INSERT INTO users (id, email, name, password_hash) VALUES (p_user, v_invite.email, left(p_name, 200), p_password_hash)
    ON CONFLICT (email) DO NOTHING;
    IF NOT FOUND THEN
        outcome := 'account';
        RETURN;
    END IF;
    INSERT INTO profiles (id) VALUES (p_user);
    EXECUTE format('SET LOCAL app.person = %L', p_user);
    EXECUTE format('SET LOCAL app.address = %L', coalesce(p_address, ''));
    outcome := take_invite(v_invite, p_user, p_act);
    site := v_invite.site_id;
END
$$;
REVOKE EXECUTE ON FUNCTION may_invite, invite_state, invites_wait, site_invites, invite_member, resend_invite, revoke_invite,
    note_invite_sent, invite_of, invite_by_link, lock_invite, take_invite, accept_invite, join_by_invite FROM PUBLIC;
GRANT EXECUTE ON FUNCTION site_invites, invite_member, resend_invite, revoke_invite, note_invite_sent, invite_by_link,
    accept_invite, join_by_invite TO opsmantik_app;
