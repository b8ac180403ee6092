-- Who asks, and the leads that they ask about. Read before anything is decided, by decisions/.

-- The asker's role on a site that their transaction may see: platform_admin, owner, admin, operator or analyst. A site's
-- own key has the one that its scopes need. Null for a stranger, and for a site that is not theirs: they cannot tell which.
CREATE OR REPLACE FUNCTION site_role(p_site uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT CASE WHEN p.role = 'admin' THEN 'platform_admin' WHEN s.user_id = u.id THEN 'owner' ELSE m.role END
    FROM sites s
    JOIN users u ON u.id = nullif(current_setting('app.person', true), '')::uuid AND u.disabled_at IS NULL
    LEFT JOIN profiles p ON p.id = u.id
    LEFT JOIN site_members m ON m.site_id = s.id AND m.user_id = u.id
    WHERE s.id = p_site AND s.id = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
    UNION ALL
    SELECT key_role(k.scopes) FROM site_keys k
    WHERE k.site_id = p_site AND k.id = nullif(current_setting('app.key', true), '')::uuid
      AND coalesce(current_setting('app.person', true), '') = '' AND is_live_key(k.expires_at, k.revoked_at)
      AND p_site = ANY (nullif(current_setting('app.sites', true), '')::uuid[])
$$;

-- The person who decides, or an error if the asker may not. Null for a site's key, which is nobody's, and while the
-- schema's owner works by itself: that is upkeep, which answers to the site's settings. Called from functions that run
-- as the owner, so the two differ whenever the server asks.
CREATE OR REPLACE FUNCTION decider(p_site uuid) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF session_user = current_user THEN
        RETURN NULL;
    END IF;
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin', 'operator') THEN
        RAISE EXCEPTION 'the asker decides nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN nullif(current_setting('app.person', true), '')::uuid;
END
$$;

-- All that a decision about these leads is made from. With p_lock nobody else decides about them until the end of the
-- transaction: who waits for the lock sees what the winner did, because the second statement has a snapshot of its own.
CREATE OR REPLACE FUNCTION lead_cases_v2(p_site uuid, p_calls uuid[], p_lock boolean)
RETURNS TABLE (call_id uuid, version integer, status text, merged_into uuid, occurred_at timestamptz,
    confirmed_at timestamptz, note text, stage text, sale_at timestamptz, sale_amount numeric, currency text,
    click_id text, click_id_kind text, gclid text, wbraid text, gbraid text, clicked_at timestamptz,
    consent_marketing boolean, cycles integer, site_currency text, consent_mode text, conversion_time text,
    undo_minutes integer, latest_action text, latest_kind text, latest_actor uuid, latest_name text, latest_at timestamptz,
    undo_id uuid, undo_action text, undo_before text, now timestamptz, stage_weights jsonb, sends_by text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM decider(p_site);
    SET LOCAL app.maintenance = 'on';
    IF p_lock THEN
        PERFORM lock_leads(p_site, p_calls);
    END IF;
    RETURN QUERY
    SELECT c.id, c.version, c.status, c.merged_into, c.occurred_at,
        c.confirmed_at, c.note, c.stage, c.sale_at, c.sale_amount, c.currency,
        c.click_id, c.click_id_kind, s.gclid, s.wbraid, s.gbraid, coalesce(s.click_at, s.started_at),
        s.consent_marketing,
        (SELECT count(*)::integer FROM conversions v WHERE v.site_id = c.site_id AND v.call_id = c.id),
        t.currency, t.consent_mode, t.conversion_time, t.undo_minutes,
        l.action, l.actor_kind, l.actor, coalesce(nullif(u.name, ''), u.email, l.key_name), l.at,
        d.id, d.action, d.before::text, now(), t.config -> 'stage_weights',
        (SELECT r.adapter FROM conversion_routes r WHERE r.site_id = c.site_id)
    FROM calls c JOIN sites t ON t.id = c.site_id
    LEFT JOIN sessions s
        ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    LEFT JOIN LATERAL (
        SELECT a.* FROM intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id
        ORDER BY a.version DESC LIMIT 1) l ON true
    LEFT JOIN users u ON u.id = l.actor
    -- What the platform answered is no decision that anybody could take back.
    LEFT JOIN LATERAL (
        SELECT a.* FROM intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id AND a.action <> 'convert'
        ORDER BY a.version DESC LIMIT 1) d ON true
    WHERE c.site_id = p_site AND c.id = ANY (p_calls)
    ORDER BY c.created_at, c.id;
END
$$;

-- The same for servers of an older version: without the weights that a site's people have given to its stages.
CREATE OR REPLACE FUNCTION lead_cases(p_site uuid, p_calls uuid[], p_lock boolean)
RETURNS TABLE (call_id uuid, version integer, status text, merged_into uuid, occurred_at timestamptz,
    confirmed_at timestamptz, note text, stage text, sale_at timestamptz, sale_amount numeric, currency text,
    click_id text, click_id_kind text, gclid text, wbraid text, gbraid text, clicked_at timestamptz,
    consent_marketing boolean, cycles integer, site_currency text, consent_mode text, conversion_time text,
    undo_minutes integer, latest_action text, latest_kind text, latest_actor uuid, latest_name text, latest_at timestamptz,
    undo_id uuid, undo_action text, undo_before text, now timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT x.call_id, x.version, x.status, x.merged_into, x.occurred_at, x.confirmed_at, x.note, x.stage, x.sale_at, x.sale_amount,
        x.currency, x.click_id, x.click_id_kind, x.gclid, x.wbraid, x.gbraid, x.clicked_at, x.consent_marketing, x.cycles,
        x.site_currency, x.consent_mode, x.conversion_time, x.undo_minutes, x.latest_action, x.latest_kind, x.latest_actor,
        x.latest_name, x.latest_at, x.undo_id, x.undo_action, x.undo_before, x.now
    FROM lead_cases_v2(p_site, p_calls, p_lock) x
$$;
REVOKE EXECUTE ON FUNCTION site_role, decider, lead_cases, lead_cases_v2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION site_role, lead_cases, lead_cases_v2 TO opsmantik_app;
