-- Writes one batch of events: sessions, events, intents, visitors and tallies, all or nothing.
--
-- In:  drafts: at most one a session, no event id twice, each list sorted by its key (so that two writers never
--      wait for each other in a circle). An event and an intent name their session by its place in p_sessions.
--      A session's own counts (events, views, ...) suppose that all of its events are new; where some are not,
--      they are counted again here.
-- Out: duplicates = places (from 1) in p_events that were there already;
--      leads = the facts to score, for each touched session that has an intent;
--      pulses = each touched site's new sequence number, and whether there is a new intent in it.
--
-- Shaped for speed: every event costs one insert and one check against session_keys, every session one insert or
-- one update. Plans are kept for good (the lists' lengths vary, the best plan does not).
CREATE OR REPLACE FUNCTION ingest_batch(
    p_sessions session_draft[], p_events event_draft[], p_intents intent_draft[],
    p_tally tally_draft[], p_rejected rejected_draft[],
    OUT duplicates integer[], OUT leads lead_facts[], OUT pulses pulse_fact[]
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_now timestamptz := now();
    v_this date := date_trunc('month', v_now AT TIME ZONE 'UTC')::date;
    v_month date;
    v_months date[];      -- of each session, by its place
    v_born boolean[];     -- whether this batch begins it
    v_timed boolean;      -- whether any event is told from its repeats by time
    v_repeats uuid[];     -- events whose body was seen a moment ago
    v_stored uuid[];      -- events that were new
    v_events integer[];   -- by session's place, where not all were new: how many were
    v_views integer[];
    v_conversions integer[];
    v_intents integer[];
    v_called uuid[];      -- sites that have a new intent
    v_count bigint;
    v_leads lead_facts[];
BEGIN
    SET LOCAL app.maintenance = 'on';  -- every row below names its site itself

    IF p_sessions <> '{}' THEN
        -- Events without an id of their own (first-generation trackers) are told apart by time. The same
        -- body in two transactions at once would not see each other: those wait here, by session.
        v_timed := EXISTS (SELECT FROM unnest(p_events) e WHERE e.near_ids IS NOT NULL);
        IF v_timed THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(w.session, 0)) FROM (
                SELECT DISTINCT e.site_id::text || e.session_id::text AS session FROM unnest(p_events) e
                WHERE e.near_ids IS NOT NULL ORDER BY 1) w;
        END IF;

        WITH born AS (
            INSERT INTO session_keys (site_id, id, created_month)
            SELECT d.site_id, d.id, coalesce(date_trunc('month', d.received_at AT TIME ZONE 'UTC')::date, v_this)
            FROM unnest(p_sessions) d
            ON CONFLICT DO NOTHING RETURNING 1)
        SELECT array_agg(coalesce(k.created_month, date_trunc('month', d.received_at AT TIME ZONE 'UTC')::date, v_this)
                         ORDER BY d.place),
               array_agg(k.id IS NULL ORDER BY d.place),
               count(*) FILTER (WHERE k.id IS NULL) - (SELECT count(*) FROM born)
        INTO v_months, v_born, v_count
        FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
        LEFT JOIN session_keys k ON k.site_id = d.site_id AND k.id = d.id;
        IF v_count > 0 THEN
            -- Somebody else began one of them while we waited for its key: look again, now that it is committed.
            SELECT array_agg(k.created_month ORDER BY d.place),
                   array_agg(k.xmin = pg_current_xact_id()::xid ORDER BY d.place)
            INTO v_months, v_born
            FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN session_keys k ON k.site_id = d.site_id AND k.id = d.id;
        END IF;

        IF v_timed THEN
            SELECT array_agg(e.id) INTO v_repeats FROM unnest(p_events) e
            WHERE e.near_ids IS NOT NULL AND EXISTS (
                SELECT FROM events p
                WHERE p.site_id = e.site_id AND p.session_month = v_months[e.session_place] AND p.id = ANY (e.near_ids)
                  AND p.created_at > coalesce(e.received_at, v_now) - make_interval(secs => e.repeat_sec));
        END IF;

        WITH stored AS (
            INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, url,
                event_category, event_action, event_label, event_value, metadata, flags)
            SELECT d.site_id, v_months[d.session_place], d.id, d.session_id, coalesce(d.received_at, v_now),
                d.occurred_at, d.url, d.event_category, d.event_action, d.event_label, d.event_value, d.metadata, d.flags
            FROM unnest(p_events) d WHERE v_repeats IS NULL OR d.id <> ALL (v_repeats)
            ON CONFLICT DO NOTHING RETURNING id)
        SELECT array_agg(id) INTO v_stored FROM stored;

        IF coalesce(cardinality(v_stored), 0) < cardinality(p_events) THEN
            -- The rare way: somebody sent again what is there.
            SELECT array_agg(e.place::integer ORDER BY e.place) INTO duplicates
            FROM (SELECT x.id, row_number() OVER () AS place FROM unnest(p_events) x) e
            WHERE e.id <> ALL (coalesce(v_stored, '{}'));
            SELECT array_agg(coalesce(c.events, 0) ORDER BY p.place),
                   array_agg(coalesce(c.views, 0) ORDER BY p.place),
                   array_agg(coalesce(c.conversions, 0) ORDER BY p.place)
            INTO v_events, v_views, v_conversions
            FROM generate_series(1, cardinality(p_sessions)) AS p (place)
            LEFT JOIN (
                SELECT e.session_place AS place, count(*) AS events,
                    count(*) FILTER (WHERE e.event_action = 'view') AS views,
                    count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions
                FROM unnest(p_events) e WHERE e.id = ANY (v_stored) GROUP BY 1) c USING (place);
            -- An event of one session sent again under another session's id begins no session.
            DELETE FROM session_keys k
            USING (SELECT x.site_id, x.id, x.pulse, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            WHERE k.site_id = d.site_id AND k.id = d.id AND v_born[d.place] AND v_events[d.place] = 0 AND NOT d.pulse;
        END IF;

        IF p_intents <> '{}' THEN
            WITH called AS (
                INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, source, phone_number,
                    matched_session_id, matched_session_month, matched_fingerprint, matched_at, event_id, intent_stamp,
                    intent_action, intent_target, intent_page_url, click_id, click_id_kind, currency)
                SELECT i.site_id, i.id, coalesce(i.received_at, v_now), i.occurred_at, coalesce(i.received_at, v_now),
                    i.source, i.phone_number, i.session_id, v_months[i.session_place], i.fingerprint,
                    coalesce(i.received_at, v_now), i.event_id, i.intent_stamp,
                    i.intent_action, i.intent_target, i.intent_page_url, i.click_id, i.click_id_kind, i.currency
                FROM unnest(p_intents) i WHERE v_events IS NULL OR i.event_id = ANY (v_stored)
                ON CONFLICT DO NOTHING RETURNING site_id, id)
            SELECT count(*), array_agg(DISTINCT c.site_id),
                CASE WHEN count(*) < cardinality(p_intents) THEN (
                    SELECT array_agg((SELECT count(*)::integer FROM unnest(p_intents) i JOIN called k ON k.id = i.id
                                      WHERE i.session_place = p.place) ORDER BY p.place)
                    FROM generate_series(1, cardinality(p_sessions)) AS p (place)) END
            INTO v_count, v_called, v_intents FROM called c;
        END IF;

        IF true = ANY (v_born) OR EXISTS (SELECT FROM unnest(p_sessions) d WHERE d.fresh_click_at IS NOT NULL) THEN
            WITH drafts AS (
                -- a draft of nothing but repeats changes nothing
                SELECT d.*, coalesce(v_events[d.place], d.events) AS new_events, v_born[d.place] AS is_new
                FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
                WHERE (v_born[d.place] OR d.fresh_click_at IS NOT NULL)
                  AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
            ), seen AS (
                INSERT INTO visitors AS v (site_id, id, first_seen_at, last_seen_at, visits, last_ad_click_at)
                SELECT d.site_id, d.fingerprint, min(d.started_at), max(d.last_event_at),
                    count(*) FILTER (WHERE d.is_new), max(d.fresh_click_at)
                FROM drafts d WHERE d.fingerprint IS NOT NULL
                GROUP BY d.site_id, d.fingerprint ORDER BY d.site_id, d.fingerprint
                ON CONFLICT (site_id, id) DO UPDATE SET
                    first_seen_at = least(v.first_seen_at, excluded.first_seen_at),
                    last_seen_at = greatest(v.last_seen_at, excluded.last_seen_at),
                    visits = v.visits + excluded.visits,
                    last_ad_click_at = greatest(v.last_ad_click_at, excluded.last_ad_click_at)
                RETURNING v.site_id, v.id, v.visits
            ), made AS (
                INSERT INTO sessions AS s (site_id, created_month, id, created_at, started_at, last_event_at, total_duration_sec,
                    is_returning, has_click_id, event_count, view_count, conversion_count, intent_count,
                    max_scroll_percentage, cta_hover_count, form_focus_duration, total_active_seconds,
                    previous_visit_count, fingerprint,
                    first_key, entry_page, referrer, referrer_host, ip_address, user_agent, device_type, device_os,
                    browser, country, city, district, place_source, telco_carrier, isp_asn, is_proxy_detected,
                    exit_key, exit_page,
                    env_key, browser_language, time_zone, device_memory, hardware_concurrency, screen_width,
                    screen_height, pixel_ratio, gpu_renderer, connection_type, tracker,
                    click_key, click_at, gclid, wbraid, gbraid,
                    utm_key, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
                    matchtype, ads_network, ads_placement,
                    source_key, attribution_source, channel, is_paid, attribution,
                    last_touch_key, last_touch, consent_key, consent_analytics, consent_marketing)
                SELECT d.site_id, v_months[d.place], d.id, coalesce(d.received_at, v_now), d.started_at, d.last_event_at,
                    extract(epoch FROM d.last_event_at - d.started_at)::integer,
                    coalesce(n.visits, 1) > 1, d.click_key IS NOT NULL, d.new_events, coalesce(v_views[d.place], d.views), coalesce(v_conversions[d.place], d.conversions),
                    coalesce(v_intents[d.place], d.intents),
                    d.max_scroll, d.cta_hovers, d.form_focus, d.active_seconds,
                    greatest(coalesce(n.visits, 1) - 1, 0), d.fingerprint,
                    d.first_key, d.entry_page, d.referrer, d.referrer_host, d.ip_address::inet, d.user_agent,
                    d.device_type, d.device_os, d.browser, d.country, d.city, d.district, d.place_source,
                    d.telco_carrier, d.isp_asn, d.is_proxy,
                    d.exit_key, d.exit_page,
                    d.env_key, d.browser_language, d.time_zone, d.device_memory, d.hardware_concurrency,
                    d.screen_width, d.screen_height, d.pixel_ratio, d.gpu_renderer, d.connection_type, d.tracker,
                    d.click_key, d.click_at, d.gclid, d.wbraid, d.gbraid,
                    d.utm_key, d.utm_source, d.utm_medium, d.utm_campaign, d.utm_term, d.utm_content,
                    d.matchtype, d.ads_network, d.ads_placement,
                    d.source_key,
                    CASE WHEN a.assisted THEN d.assisted_source ELSE d.attribution_source END,
                    CASE WHEN a.assisted THEN d.assisted_channel ELSE d.channel END,
                    CASE WHEN a.assisted THEN d.assisted_paid ELSE d.is_paid END,
                    CASE WHEN a.assisted THEN d.assisted_attribution ELSE d.attribution END,
                    d.last_touch_key, d.last_touch, d.consent_key, d.consent_analytics, d.consent_marketing
                FROM drafts d
                LEFT JOIN seen n ON n.site_id = d.site_id AND n.id = d.fingerprint
                CROSS JOIN LATERAL (SELECT EXISTS (
                    SELECT FROM visitors v
                    WHERE d.assisted_since IS NOT NULL AND v.site_id = d.site_id AND v.id = d.fingerprint
                      AND v.last_ad_click_at >= d.assisted_since AND v.last_ad_click_at < d.started_at
                ) AS assisted OFFSET 0) a
                WHERE d.is_new
                RETURNING s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count, s.total_duration_sec,
                s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count, s.form_focus_duration,
                s.previous_visit_count, s.has_click_id, s.is_paid
            )
            SELECT array_agg(s::lead_facts) INTO leads FROM made s WHERE s.intent_count > 0;
        END IF;

        -- One month at a time, so that each update opens one partition: this month's, now and then the last one's.
        FOR v_month IN SELECT DISTINCT m FROM unnest(v_months, v_born) AS x (m, b) WHERE NOT b ORDER BY 1 LOOP
            WITH changed AS (
                UPDATE sessions s SET
                    started_at = least(s.started_at, d.started_at),
                    last_event_at = greatest(s.last_event_at, d.last_event_at),
                    total_duration_sec = extract(epoch FROM
                        greatest(s.last_event_at, d.last_event_at) - least(s.started_at, d.started_at))::integer,
                    has_click_id = s.has_click_id OR d.click_key IS NOT NULL,
                    event_count = s.event_count + coalesce(v_events[d.place], d.events),
                    view_count = s.view_count + coalesce(v_views[d.place], d.views),
                    conversion_count = s.conversion_count + coalesce(v_conversions[d.place], d.conversions),
                    intent_count = s.intent_count + coalesce(v_intents[d.place], d.intents),
                    max_scroll_percentage = greatest(s.max_scroll_percentage, d.max_scroll),
                    cta_hover_count = greatest(s.cta_hover_count, d.cta_hovers),
                    form_focus_duration = greatest(s.form_focus_duration, d.form_focus),
                    total_active_seconds = greatest(s.total_active_seconds, d.active_seconds),
                    fingerprint = least(s.fingerprint, d.fingerprint),
                    entry_page = CASE WHEN d.first_key < s.first_key THEN d.entry_page ELSE s.entry_page END,
                    referrer = CASE WHEN d.first_key < s.first_key THEN d.referrer ELSE s.referrer END,
                    referrer_host = CASE WHEN d.first_key < s.first_key THEN d.referrer_host ELSE s.referrer_host END,
                    ip_address = CASE WHEN d.first_key < s.first_key THEN d.ip_address::inet ELSE s.ip_address END,
                    user_agent = CASE WHEN d.first_key < s.first_key THEN d.user_agent ELSE s.user_agent END,
                    device_type = CASE WHEN d.first_key < s.first_key THEN d.device_type ELSE s.device_type END,
                    device_os = CASE WHEN d.first_key < s.first_key THEN d.device_os ELSE s.device_os END,
                    browser = CASE WHEN d.first_key < s.first_key THEN d.browser ELSE s.browser END,
                    country = CASE WHEN d.first_key < s.first_key THEN d.country ELSE s.country END,
                    city = CASE WHEN d.first_key < s.first_key THEN d.city ELSE s.city END,
                    district = CASE WHEN d.first_key < s.first_key THEN d.district ELSE s.district END,
                    place_source = CASE WHEN d.first_key < s.first_key THEN d.place_source ELSE s.place_source END,
                    telco_carrier = CASE WHEN d.first_key < s.first_key THEN d.telco_carrier ELSE s.telco_carrier END,
                    isp_asn = CASE WHEN d.first_key < s.first_key THEN d.isp_asn ELSE s.isp_asn END,
                    is_proxy_detected = CASE WHEN d.first_key < s.first_key THEN d.is_proxy ELSE s.is_proxy_detected END,
                    first_key = least(s.first_key, d.first_key),
                    browser_language = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.browser_language ELSE s.browser_language END,
                    time_zone = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.time_zone ELSE s.time_zone END,
                    device_memory = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.device_memory ELSE s.device_memory END,
                    hardware_concurrency = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.hardware_concurrency ELSE s.hardware_concurrency END,
                    screen_width = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.screen_width ELSE s.screen_width END,
                    screen_height = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.screen_height ELSE s.screen_height END,
                    pixel_ratio = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.pixel_ratio ELSE s.pixel_ratio END,
                    gpu_renderer = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.gpu_renderer ELSE s.gpu_renderer END,
                    connection_type = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.connection_type ELSE s.connection_type END,
                    tracker = CASE WHEN d.env_key < coalesce(s.env_key, 9223372036854775807) THEN d.tracker ELSE s.tracker END,
                    env_key = least(s.env_key, d.env_key),
                    click_at = CASE WHEN d.click_key < coalesce(s.click_key, 9223372036854775807) THEN d.click_at ELSE s.click_at END,
                    gclid = CASE WHEN d.click_key < coalesce(s.click_key, 9223372036854775807) THEN d.gclid ELSE s.gclid END,
                    wbraid = CASE WHEN d.click_key < coalesce(s.click_key, 9223372036854775807) THEN d.wbraid ELSE s.wbraid END,
                    gbraid = CASE WHEN d.click_key < coalesce(s.click_key, 9223372036854775807) THEN d.gbraid ELSE s.gbraid END,
                    click_key = least(s.click_key, d.click_key),
                    utm_source = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_source ELSE s.utm_source END,
                    utm_medium = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_medium ELSE s.utm_medium END,
                    utm_campaign = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_campaign ELSE s.utm_campaign END,
                    utm_term = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_term ELSE s.utm_term END,
                    utm_content = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.utm_content ELSE s.utm_content END,
                    matchtype = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.matchtype ELSE s.matchtype END,
                    ads_network = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.ads_network ELSE s.ads_network END,
                    ads_placement = CASE WHEN d.utm_key < coalesce(s.utm_key, 9223372036854775807) THEN d.ads_placement ELSE s.ads_placement END,
                    utm_key = least(s.utm_key, d.utm_key),
                    attribution_source = CASE WHEN d.source_key >= s.source_key THEN s.attribution_source
                        WHEN a.assisted THEN d.assisted_source ELSE d.attribution_source END,
                    channel = CASE WHEN d.source_key >= s.source_key THEN s.channel
                        WHEN a.assisted THEN d.assisted_channel ELSE d.channel END,
                    is_paid = CASE WHEN d.source_key >= s.source_key THEN s.is_paid
                        WHEN a.assisted THEN d.assisted_paid ELSE d.is_paid END,
                    attribution = CASE WHEN d.source_key >= s.source_key THEN s.attribution
                        WHEN a.assisted THEN d.assisted_attribution ELSE d.attribution END,
                    source_key = least(s.source_key, d.source_key),
                    exit_page = CASE WHEN d.exit_key > s.exit_key THEN d.exit_page ELSE s.exit_page END,
                    exit_key = greatest(s.exit_key, d.exit_key),
                    last_touch = CASE WHEN d.last_touch_key > coalesce(s.last_touch_key, 0) THEN d.last_touch ELSE s.last_touch END,
                    last_touch_key = greatest(s.last_touch_key, d.last_touch_key),
                    consent_analytics = CASE WHEN d.consent_key > coalesce(s.consent_key, 0) THEN d.consent_analytics ELSE s.consent_analytics END,
                    consent_marketing = CASE WHEN d.consent_key > coalesce(s.consent_key, 0) THEN d.consent_marketing ELSE s.consent_marketing END,
                    consent_key = greatest(s.consent_key, d.consent_key)
                FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
                CROSS JOIN LATERAL (SELECT EXISTS (
                    SELECT FROM visitors v
                    WHERE d.assisted_since IS NOT NULL AND v.site_id = d.site_id AND v.id = d.fingerprint
                      AND v.last_ad_click_at >= d.assisted_since AND v.last_ad_click_at < d.started_at
                ) AS assisted OFFSET 0) a
                WHERE s.site_id = d.site_id AND s.created_month = v_month AND s.id = d.id
                  AND v_months[d.place] = v_month AND NOT v_born[d.place]
                  AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
                RETURNING s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count, s.total_duration_sec,
                s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count, s.form_focus_duration,
                s.previous_visit_count, s.has_click_id, s.is_paid
            )
            SELECT array_agg(s::lead_facts) INTO v_leads FROM changed s WHERE s.intent_count > 0;
            leads := leads || v_leads;
        END LOOP;

        -- Now rather than at commit: the check is planned once that way, not each time.
        SET CONSTRAINTS session_keys_session_fkey IMMEDIATE;

        IF duplicates IS NOT NULL THEN
            INSERT INTO ingest_tally AS y (site_id, hour, outcome, n)
            SELECT e.site_id, date_trunc('hour', coalesce(e.received_at, v_now)), o.outcome, sum(o.n)
            FROM unnest(duplicates) AS x (place)
            CROSS JOIN LATERAL (SELECT (p_events[x.place]).site_id, (p_events[x.place]).received_at) e
            CROSS JOIN (VALUES ('duplicate', 1), ('stored', -1)) AS o (outcome, n)
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = y.n + excluded.n;
        END IF;

        WITH pulsed AS (
            INSERT INTO site_pulse AS y (site_id, sequence, changed_at, last_event_at, last_intent_at)
            SELECT d.site_id, 1, v_now, max(coalesce(d.received_at, v_now)),
                CASE WHEN d.site_id = ANY (v_called) THEN max(coalesce(d.received_at, v_now)) END
            FROM unnest(p_sessions) d GROUP BY d.site_id ORDER BY d.site_id
            ON CONFLICT (site_id) DO UPDATE SET
                sequence = y.sequence + 1, changed_at = v_now,
                last_event_at = greatest(y.last_event_at, excluded.last_event_at),
                last_intent_at = greatest(y.last_intent_at, excluded.last_intent_at)
            RETURNING y.site_id, y.sequence, coalesce(y.site_id = ANY (v_called), false) AS intents)
        SELECT array_agg(p::pulse_fact) INTO pulses FROM pulsed p;
    END IF;

    IF p_tally <> '{}' THEN
        INSERT INTO ingest_tally AS y (site_id, hour, outcome, n)
        SELECT t.site_id, date_trunc('hour', coalesce(t.received_at, v_now)), t.outcome, sum(t.n)
        FROM unnest(p_tally) t WHERE t.site_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = y.n + excluded.n;
        INSERT INTO stray_tally AS y (hour, outcome, n)
        SELECT date_trunc('hour', coalesce(t.received_at, v_now)), t.outcome, sum(t.n)
        FROM unnest(p_tally) t WHERE t.site_id IS NULL GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (hour, outcome) DO UPDATE SET n = y.n + excluded.n;
    END IF;
    IF p_rejected <> '{}' THEN
        INSERT INTO rejected_events (site_id, id, received_at, door, reason, detail, payload)
        SELECT r.site_id, r.id, coalesce(r.received_at, v_now), r.door, r.reason, r.detail, r.payload
        FROM unnest(p_rejected) r ON CONFLICT DO NOTHING;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION ingest_batch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest_batch TO opsmantik_app;
