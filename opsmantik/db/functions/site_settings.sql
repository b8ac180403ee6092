-- What a site's people set about it: its name and clock, its money, and the rules about leads that nobody decides about.
-- p_seen is sites.updated_at as the form was shown: whoever changed the site in between is not written over. Out:
-- changed, unchanged, or stale: it is another site by now. p_act: the id of the act's line in the log.

-- An error, unless the asker may change the site's settings.
CREATE OR REPLACE FUNCTION settings_keeper(p_site uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin') THEN
        RAISE EXCEPTION 'the asker changes nothing on this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

-- The line in the log: of each thing that differs what it was and what it is, by the columns' names.
CREATE OR REPLACE FUNCTION note_settings(p_site uuid, p_act uuid, p_action text, p_before jsonb, p_after jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_names text[] := ARRAY(SELECT a.key FROM jsonb_each(p_after) a WHERE a.value IS DISTINCT FROM p_before -> a.key);
BEGIN
    PERFORM note_act(p_site, p_act, p_action, NULL, jsonb_build_object(
        'before', (SELECT jsonb_object_agg(b.key, b.value) FROM jsonb_each(p_before) b WHERE b.key = ANY (v_names)),
        'after', (SELECT jsonb_object_agg(a.key, a.value) FROM jsonb_each(p_after) a WHERE a.key = ANY (v_names))));
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;

-- The general settings. Another zone or currency makes the site's counters anew, in the same transaction: figures are
-- never cut by a clock that the site does not have.
CREATE OR REPLACE FUNCTION change_site_general(p_site uuid, p_act uuid, p_seen timestamptz, p_name text, p_domain text,
    p_time_zone text, p_region text, p_currency text, p_cpc numeric, p_window integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_old sites;
    v_before jsonb;
    v_after jsonb := jsonb_build_object('name', p_name, 'domain', p_domain, 'time_zone', p_time_zone, 'region', p_region,
        'currency', p_currency, 'assumed_cpc', trim_scale(p_cpc), 'attribution_window_days', p_window);
BEGIN
    PERFORM settings_keeper(p_site);
    PERFORM now() AT TIME ZONE p_time_zone;  -- an error for a zone that there is not
    -- Before the site's row, as retention does it: whoever takes both takes them in this order.
    IF EXISTS (SELECT FROM sites s WHERE s.id = p_site AND (s.time_zone, s.currency) <> (p_time_zone, p_currency)) THEN
        PERFORM lock_counters(p_site);
    END IF;
    -- Not FOR UPDATE: the counters may take a while, and events go on naming the site meanwhile.
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF v_old.updated_at <> p_seen THEN
        RETURN 'stale';
    END IF;
    v_before := jsonb_build_object('name', v_old.name, 'domain', v_old.domain, 'time_zone', v_old.time_zone,
        'region', v_old.region, 'currency', v_old.currency, 'assumed_cpc', trim_scale(v_old.assumed_cpc),
        'attribution_window_days', v_old.attribution_window_days);
    IF v_before = v_after THEN
        RETURN 'unchanged';
    END IF;
    UPDATE sites s SET name = p_name, domain = p_domain, region = p_region, assumed_cpc = p_cpc,
        attribution_window_days = p_window, updated_at = clock_timestamp()
    WHERE s.id = p_site;
    PERFORM note_settings(p_site, p_act, 'settings.general', v_before, v_after);
    IF (v_old.time_zone, v_old.currency) <> (p_time_zone, p_currency) THEN
        PERFORM change_site_clock(p_site, p_time_zone, p_currency);
    END IF;
    RETURN 'changed';
END
$$;

-- The amounts that a seal is offered with (null: the usual ones), what stands in for an amount by stage (null: the usual
-- weights), which moment a conversion is reported with, and for how many minutes it is held. Conversions that are there
-- already keep theirs.
CREATE OR REPLACE FUNCTION change_site_values_v2(p_site uuid, p_act uuid, p_seen timestamptz, p_chips jsonb, p_weights jsonb,
    p_conversion_time text, p_undo_minutes integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_old sites;
    v_before jsonb;
    v_after jsonb := jsonb_build_object('bounty_chips', p_chips, 'stage_weights', p_weights, 'conversion_time', p_conversion_time,
        'undo_minutes', p_undo_minutes);
BEGIN
    PERFORM settings_keeper(p_site);
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF v_old.updated_at <> p_seen THEN
        RETURN 'stale';
    END IF;
    v_before := jsonb_build_object('bounty_chips', v_old.config -> 'bounty_chips', 'stage_weights', v_old.config -> 'stage_weights',
        'conversion_time', v_old.conversion_time, 'undo_minutes', v_old.undo_minutes);
    IF v_before = v_after THEN
        RETURN 'unchanged';
    END IF;
    UPDATE sites s SET conversion_time = p_conversion_time, undo_minutes = p_undo_minutes, updated_at = clock_timestamp(),
        config = s.config - 'bounty_chips' - 'stage_weights'
            || CASE WHEN p_chips IS NULL THEN '{}' ELSE jsonb_build_object('bounty_chips', p_chips) END
            || CASE WHEN p_weights IS NULL THEN '{}' ELSE jsonb_build_object('stage_weights', p_weights) END
    WHERE s.id = p_site;
    PERFORM note_settings(p_site, p_act, 'settings.values', v_before, v_after);
    RETURN 'changed';
END
$$;

-- The same for servers of an older version, which know no weights and leave them as they are.
CREATE OR REPLACE FUNCTION change_site_values(p_site uuid, p_act uuid, p_seen timestamptz, p_chips jsonb, p_conversion_time text,
    p_undo_minutes integer) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT change_site_values_v2(p_site, p_act, p_seen, p_chips, (SELECT s.config -> 'stage_weights' FROM sites s WHERE s.id = p_site),
        p_conversion_time, p_undo_minutes)
$$;

-- After how many hours a rule seals, after how many days one junks; null: never.
CREATE OR REPLACE FUNCTION change_site_rules(p_site uuid, p_act uuid, p_seen timestamptz, p_approve_hours integer, p_junk_days integer)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_old sites;
    v_before jsonb;
    v_after jsonb := jsonb_build_object('auto_approve_hours', p_approve_hours, 'auto_junk_days', p_junk_days);
BEGIN
    PERFORM settings_keeper(p_site);
    SELECT s.* INTO v_old FROM sites s WHERE s.id = p_site FOR NO KEY UPDATE;
    IF v_old.updated_at <> p_seen THEN
        RETURN 'stale';
    END IF;
    v_before := jsonb_build_object('auto_approve_hours', v_old.auto_approve_hours, 'auto_junk_days', v_old.auto_junk_days);
    IF v_before = v_after THEN
        RETURN 'unchanged';
    END IF;
    UPDATE sites s SET auto_approve_hours = p_approve_hours, auto_junk_days = p_junk_days, updated_at = clock_timestamp()
    WHERE s.id = p_site;
    PERFORM note_settings(p_site, p_act, 'settings.rules', v_before, v_after);
    RETURN 'changed';
END
$$;
REVOKE EXECUTE ON FUNCTION settings_keeper, note_settings, change_site_general, change_site_values, change_site_values_v2, change_site_rules
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION change_site_general, change_site_values, change_site_values_v2, change_site_rules TO opsmantik_app;
