-- On what ground a conversion may go to an ad platform. Worked out here, from the visit and the site, each time that it
-- matters; no caller tells it. A constraint (conversions_need_consent) refuses a row that goes out without such a ground.

-- What the visitor said about marketing, and where they said nothing, what the site's policy makes of that.
-- The same rule as conversions/ledger.py, which words it for screens; a test compares the two.
CREATE OR REPLACE FUNCTION consent_basis(p_marketing boolean, p_mode text) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN p_marketing THEN 'granted' WHEN p_marketing = false THEN 'denied'
    WHEN p_mode = 'required' THEN 'missing' ELSE p_mode END $$;

-- The ground for each of these leads, as of now. A later "no" of the same visitor counts against their earlier "yes", also
-- from another visit; a later "yes" says nothing about what was there before.
CREATE OR REPLACE FUNCTION calls_consent(p_site uuid, p_calls uuid[]) RETURNS TABLE (call_id uuid, consent text) LANGUAGE sql STABLE
AS $$
    SELECT c.id, consent_basis(CASE WHEN later.marketing = false THEN false ELSE s.consent_marketing END, t.consent_mode)
    FROM calls c JOIN sites t ON t.id = c.site_id
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    LEFT JOIN LATERAL (
        SELECT x.consent_marketing AS marketing FROM sessions x
        WHERE x.site_id = p_site AND x.fingerprint = coalesce(s.fingerprint, c.matched_fingerprint)
          AND x.consent_key > coalesce(s.consent_key, 0)
        ORDER BY x.consent_key DESC LIMIT 1) later ON true
    WHERE c.site_id = p_site AND c.id = ANY (p_calls)
$$;

-- The same for one lead.
CREATE OR REPLACE FUNCTION call_consent(p_site uuid, p_call uuid) RETURNS text LANGUAGE sql STABLE
AS $$ SELECT k.consent FROM calls_consent(p_site, ARRAY[p_call]) k $$;

-- Whether a conversion of this lead may go out. Null: there is no such lead.
CREATE OR REPLACE FUNCTION consent_allows(p_site uuid, p_call uuid) RETURNS boolean LANGUAGE sql STABLE
AS $$ SELECT call_consent(p_site, p_call) IN ('granted', 'implied', 'legacy') $$;

-- For whoever claims conversions to send them, in the same transaction: asks about consent anew, stops those that must
-- not go out any more (skipped, no_consent, without their click id), and returns those that may. Without this the
-- constraint lets none of them pass: the ground must have been worked out after the row was due.
-- Planned each time: by a plan made for a handful, two thousand would be compared with each row of the site.
CREATE OR REPLACE FUNCTION refresh_consent(p_site uuid, p_conversions uuid[]) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_calls uuid[] := ARRAY(SELECT v.call_id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_conversions)
        AND v.state IN ('held', 'queued', 'failed'));
    v_ids uuid[];
    v_grounds text[];
    v_stopped uuid[];
    v_entries counter_entry[];
    v_was conversions[];
BEGIN
    PERFORM lock_leads(p_site, v_calls);
    PERFORM FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_conversions) ORDER BY v.id FOR UPDATE;
    SELECT array_agg(v.id), array_agg(k.consent) INTO v_ids, v_grounds
    FROM calls_consent(p_site, v_calls) k JOIN conversions v ON v.site_id = p_site AND v.call_id = k.call_id
    WHERE v.id = ANY (p_conversions) AND v.state IN ('held', 'queued', 'failed');
    v_was := ARRAY(SELECT v FROM unnest(v_ids, v_grounds) AS k (id, consent) JOIN conversions v ON v.site_id = p_site AND v.id = k.id
        WHERE k.consent NOT IN ('granted', 'implied', 'legacy'));
    v_stopped := ARRAY(SELECT (w).call_id FROM unnest(v_was) w);
    IF v_stopped <> '{}' THEN
        v_entries := call_entries(p_site, v_stopped, -1);
        INSERT INTO conversion_moves (site_id, id, conversion_id, from_state, to_state, reason)
        SELECT p_site, gen_random_uuid(), (w).id, (w).state, 'skipped', 'no_consent' FROM unnest(v_was) w;
        UPDATE conversions v SET state = 'skipped', reason = 'no_consent', next_at = NULL, click_id = NULL, click_id_kind = NULL,
            updated_at = now()
        FROM unnest(v_was) w WHERE v.site_id = p_site AND v.id = (w).id;
    END IF;
    UPDATE conversions v SET consent = k.consent, consent_at = now()
    FROM unnest(v_ids, v_grounds) AS k (id, consent) WHERE v.site_id = p_site AND v.id = k.id;
    IF v_stopped <> '{}' THEN
        INSERT INTO counter_journal (site_id, entries, changed_at)
        VALUES (p_site, v_entries || call_entries(p_site, v_stopped, 1), now());
        PERFORM offer_move(p_site, (w).call_id, (w).id, (w).state, 'no_consent') FROM unnest(v_was) w;
    END IF;
    RETURN ARRAY(SELECT v.id FROM conversions v WHERE v.site_id = p_site AND v.id = ANY (p_conversions)
        AND v.state IN ('held', 'queued', 'failed') ORDER BY v.id);
END
$$;
REVOKE EXECUTE ON FUNCTION consent_basis, calls_consent, call_consent, consent_allows, refresh_consent FROM PUBLIC;
