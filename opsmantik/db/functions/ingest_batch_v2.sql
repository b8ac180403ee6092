-- Writes one batch of events: sessions, events, intents, visitors, and what they change in the counters and the books:
-- all or nothing.
--
-- In:  drafts: at most one a session, no event id twice, each list sorted by its key (so that two writers never
--      wait for each other in a circle). An event and an intent name their session by its place in p_sessions.
--      A session's own counts (events, views, ...) suppose that all of its events are new; where some are not,
--      they are counted again here.
-- Out: duplicates = places (from 1) in p_events that were there already;
--      leads = the facts to score, for each touched session that has an intent;
--      called = the sites that have a new lead.
--
-- Shaped for speed. Every event costs one insert and one check against session_keys, every session one insert or one
-- update, every site one insert into the journal: no row is shared by two sessions, so two batches hardly ever wait for
-- each other. Most events change little of their session: those take the light update; the one that knows how to merge
-- everything is for the few that come late, or first. Plans are kept for good (the lists' lengths vary, the best plan
-- does not), and must be good for tables of any size: one made while a table was small would read all of it ever after.
CREATE OR REPLACE FUNCTION ingest_batch_v2(
    p_sessions session_draft[], p_events event_draft[], p_intents intent_draft[],
    p_tally tally_draft[], p_rejected rejected_draft[],
    OUT duplicates integer[], OUT leads lead_facts[], OUT called uuid[]
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    v_now timestamptz := now();
    v_this date := date_trunc('month', v_now AT TIME ZONE 'UTC')::date;
    v_month date;
    v_months date[];        -- of each session, by its place
    v_known_months date[];  -- in which sessions that go on were born
    v_born boolean[];       -- whether this batch begins it
    v_timed boolean;        -- whether any event is told from its repeats by time
    v_repeats uuid[];       -- events whose body was seen a moment ago
    v_stored uuid[];        -- events that were new
    v_events integer[];     -- by session's place, where not all were new: how many were
    v_views integer[];
    v_conversions integer[];
    v_forms integer[];
    v_intents integer[];
    v_touched integer[];    -- places of the sessions written to, and whether each is a paid one
    v_paid boolean[];
    v_places integer[];
    v_heavy integer[];      -- places of the sessions that took the heavy way
    v_flags boolean[];
    v_count bigint;
    v_calls uuid[];         -- leads of sessions that are merged anew
    v_entries site_entry[];
    v_more site_entry[];
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

        -- Looked for first, so that only what is missing is tried to be inserted.
        WITH known AS MATERIALIZED (
            SELECT d.site_id, d.id, d.place, k.created_month AS month,
                coalesce(date_trunc('month', d.received_at AT TIME ZONE 'UTC')::date, v_this) AS first_month
            FROM (SELECT x.site_id, x.id, x.received_at, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            -- OFFSET 0: by the key, one by one
            LEFT JOIN LATERAL (SELECT x.created_month FROM session_keys x WHERE x.site_id = d.site_id AND x.id = d.id OFFSET 0) k ON true
        ), born AS (
            INSERT INTO session_keys (site_id, id, created_month)
            SELECT k.site_id, k.id, k.first_month FROM known k WHERE k.month IS NULL
            ON CONFLICT DO NOTHING RETURNING 1)
        SELECT array_agg(coalesce(k.month, k.first_month) ORDER BY k.place), array_agg(k.month IS NULL ORDER BY k.place),
            count(*) FILTER (WHERE k.month IS NULL) - (SELECT count(*) FROM born),
            array_agg(DISTINCT k.month) FILTER (WHERE k.month IS NOT NULL)
        INTO v_months, v_born, v_count, v_known_months FROM known k;
        IF v_count > 0 THEN
            -- Somebody else began one of them while we waited for its key: look again, now that it is committed.
            SELECT array_agg(k.created_month ORDER BY d.place),
                   array_agg(k.xmin = pg_current_xact_id()::xid ORDER BY d.place),
                   array_agg(DISTINCT k.created_month) FILTER (WHERE k.xmin <> pg_current_xact_id()::xid)
            INTO v_months, v_born, v_known_months
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
                   array_agg(coalesce(c.conversions, 0) ORDER BY p.place),
                   array_agg(coalesce(c.forms, 0) ORDER BY p.place),
                   array_agg(coalesce(i.intents, 0) ORDER BY p.place)
            INTO v_events, v_views, v_conversions, v_forms, v_intents
            FROM generate_series(1, cardinality(p_sessions)) AS p (place)
            LEFT JOIN (
                SELECT e.session_place AS place, count(*) AS events,
                    count(*) FILTER (WHERE e.event_action = 'view') AS views,
                    count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions,
                    count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit') AS forms
                FROM unnest(p_events) e WHERE e.id = ANY (v_stored) GROUP BY 1) c USING (place)
            LEFT JOIN (
                SELECT i.session_place AS place, count(*) AS intents
                FROM unnest(p_intents) i WHERE i.event_id = ANY (v_stored) GROUP BY 1) i USING (place);
            -- An event of one session sent again under another session's id begins no session.
            DELETE FROM session_keys k
            USING (SELECT x.site_id, x.id, x.pulse, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            WHERE k.site_id = d.site_id AND k.id = d.id AND v_born[d.place] AND v_events[d.place] = 0 AND NOT d.pulse;
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
                RETURNING s.site_id, s.id, s.is_paid, session_entry(s, 1) AS entry
            )
            SELECT array_agg(d.place::integer), array_agg(m.is_paid), array_agg(ROW(m.site_id, m.entry)::site_entry)
            INTO v_touched, v_paid, v_entries
            FROM made m JOIN drafts d ON d.site_id = m.site_id AND d.id = m.id;
        END IF;

        -- Where any visit has to be merged the heavy way, all are locked first, in the order of their names: a light update
        -- of some and a heavy one of others would be two turns, and two batches could wait for each other in a circle.
        IF v_known_months IS NOT NULL AND EXISTS (
            SELECT FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.place] AND s.id = d.id
            WHERE NOT v_born[d.place] AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
              AND (d.first_key < s.first_key OR d.source_key < s.source_key
                    OR d.env_key < coalesce(s.env_key, 9223372036854775807)
                    OR d.click_key < coalesce(s.click_key, 9223372036854775807)
                    OR d.utm_key < coalesce(s.utm_key, 9223372036854775807)
                    OR d.fingerprint < s.fingerprint OR s.fingerprint IS NULL AND d.fingerprint IS NOT NULL
                    OR s.intent_count > 0 AND d.max_scroll > s.max_scroll_percentage)
        ) THEN
            PERFORM FROM (SELECT x.site_id, x.id, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.place] AND s.id = d.id
            WHERE NOT v_born[d.place] ORDER BY d.place FOR NO KEY UPDATE OF s;
        END IF;

        -- One month at a time, so that each update opens one partition: this month's, now and then the last one's.
        FOREACH v_month IN ARRAY coalesce(v_known_months, '{}') LOOP
            WITH changed AS (
                UPDATE sessions s SET
                    last_event_at = greatest(s.last_event_at, d.last_event_at),
                    total_duration_sec = extract(epoch FROM greatest(s.last_event_at, d.last_event_at) - s.started_at)::integer,
                    event_count = s.event_count + coalesce(v_events[d.place], d.events),
                    view_count = s.view_count + coalesce(v_views[d.place], d.views),
                    conversion_count = s.conversion_count + coalesce(v_conversions[d.place], d.conversions),
                    intent_count = s.intent_count + coalesce(v_intents[d.place], d.intents),
                    max_scroll_percentage = greatest(s.max_scroll_percentage, d.max_scroll),
                    cta_hover_count = greatest(s.cta_hover_count, d.cta_hovers),
                    form_focus_duration = greatest(s.form_focus_duration, d.form_focus),
                    total_active_seconds = greatest(s.total_active_seconds, d.active_seconds),
                    exit_page = CASE WHEN d.exit_key > s.exit_key THEN d.exit_page ELSE s.exit_page END,
                    exit_key = greatest(s.exit_key, d.exit_key),
                    last_touch = CASE WHEN d.last_touch_key > coalesce(s.last_touch_key, 0) THEN d.last_touch ELSE s.last_touch END,
                    last_touch_key = greatest(s.last_touch_key, d.last_touch_key),
                    consent_analytics = CASE WHEN d.consent_key > coalesce(s.consent_key, 0) THEN d.consent_analytics ELSE s.consent_analytics END,
                    consent_marketing = CASE WHEN d.consent_key > coalesce(s.consent_key, 0) THEN d.consent_marketing ELSE s.consent_marketing END,
                    consent_key = greatest(s.consent_key, d.consent_key)
                FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
                WHERE s.site_id = d.site_id AND s.created_month = v_month AND s.id = d.id
                  AND v_months[d.place] = v_month AND NOT v_born[d.place]
                  AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
                  -- nothing comes first that was not first before, and nothing changes that is counted
                  AND (d.first_key < s.first_key OR d.source_key < s.source_key
                    OR d.env_key < coalesce(s.env_key, 9223372036854775807)
                    OR d.click_key < coalesce(s.click_key, 9223372036854775807)
                    OR d.utm_key < coalesce(s.utm_key, 9223372036854775807)
                    OR d.fingerprint < s.fingerprint OR s.fingerprint IS NULL AND d.fingerprint IS NOT NULL
                    OR s.intent_count > 0 AND d.max_scroll > s.max_scroll_percentage) IS NOT TRUE
                RETURNING d.place::integer AS place, s.is_paid, s.intent_count,
                    ROW(s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count,
                    s.total_duration_sec, s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count,
                    s.form_focus_duration, s.previous_visit_count, s.has_click_id, s.is_paid)::lead_facts AS facts
            )
            SELECT array_agg(c.place), array_agg(c.is_paid), array_agg(c.facts) FILTER (WHERE c.intent_count > 0)
            INTO v_places, v_flags, v_leads FROM changed c;
            v_touched := v_touched || v_places;
            v_paid := v_paid || v_flags;
            leads := leads || v_leads;
        END LOOP;

        -- The heavy way, for sessions that are left. What counted about them, and about their leads, counts no longer as
        -- it did; locked first, so that it is what the update will find.
        SELECT count(*) INTO v_count FROM unnest(p_sessions) WITH ORDINALITY AS d
        WHERE d.ordinality <> ALL (coalesce(v_touched, '{}')) AND (d.pulse OR coalesce(v_events[d.ordinality], d.events) > 0);
        IF v_count > 0 THEN
            v_places := v_touched;
            PERFORM FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.place] AND s.id = d.id
            WHERE d.place <> ALL (coalesce(v_places, '{}')) AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
            FOR NO KEY UPDATE OF s;
            SELECT array_agg(ROW(s.site_id, session_entry(s, -1))::site_entry), array_agg(d.place::integer), array_agg(s.is_paid)
            INTO v_more, v_heavy, v_flags
            FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.place] AND s.id = d.id
            WHERE d.place <> ALL (coalesce(v_places, '{}')) AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0);
            v_entries := v_entries || v_more;
            SELECT array_agg(c.id) INTO v_calls FROM (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d
            JOIN calls c ON c.site_id = d.site_id AND c.matched_session_month = v_months[d.place] AND c.matched_session_id = d.id
            WHERE d.place <> ALL (coalesce(v_places, '{}')) AND c.merged_into IS NULL;
            IF v_calls IS NOT NULL THEN
                SELECT v_entries || array_agg(ROW(x.site_id, e)::site_entry) INTO v_entries
                FROM (SELECT DISTINCT d.site_id FROM unnest(p_sessions) d) x
                CROSS JOIN LATERAL unnest(call_entries(x.site_id, v_calls, -1)) e;
            END IF;
            FOREACH v_month IN ARRAY v_known_months LOOP
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
                      AND v_months[d.place] = v_month AND d.place <> ALL (coalesce(v_places, '{}'))
                      AND (d.pulse OR coalesce(v_events[d.place], d.events) > 0)
                    RETURNING d.place::integer AS place, s.site_id, s.is_paid, s.intent_count, session_entry(s, 1) AS entry,
                        ROW(s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count,
                    s.total_duration_sec, s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count,
                    s.form_focus_duration, s.previous_visit_count, s.has_click_id, s.is_paid)::lead_facts AS facts
                )
                SELECT v_touched || array_agg(c.place), v_paid || array_agg(c.is_paid),
                    v_entries || array_agg(ROW(c.site_id, c.entry)::site_entry),
                    leads || array_agg(c.facts) FILTER (WHERE c.intent_count > 0)
                INTO v_touched, v_paid, v_entries, leads FROM changed c;
            END LOOP;
            -- Where a visit became a paid one, or ceased to be, its events of before go with it.
            SELECT v_entries || array_agg(ROW(x.site_id, x.entry)::site_entry) INTO v_entries FROM (
                SELECT d.site_id, ROW('events', g.sign * count(*), max(e.created_at), CASE WHEN g.sign > 0 THEN n.is_paid ELSE o.is_paid END,
                    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                    g.sign * count(*) FILTER (WHERE e.event_category = 'conversion'),
                    g.sign * count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit'),
                    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry AS entry
                FROM unnest(v_heavy, v_flags) AS o (place, is_paid)
                JOIN unnest(v_touched, v_paid) AS n (place, is_paid) ON n.place = o.place AND n.is_paid <> o.is_paid
                JOIN (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d ON d.place = o.place
                JOIN events e ON e.site_id = d.site_id AND e.session_month = v_months[d.place] AND e.session_id = d.id
                    AND e.id <> ALL (coalesce(v_stored, '{}'))
                CROSS JOIN (VALUES (-1), (1)) AS g (sign)
                GROUP BY d.site_id, g.sign, o.is_paid, n.is_paid, date_bin('15 minutes', e.created_at, 'epoch')) x;
            IF v_calls IS NOT NULL THEN
                SELECT v_entries || array_agg(ROW(x.site_id, e)::site_entry) INTO v_entries
                FROM (SELECT DISTINCT d.site_id FROM unnest(p_sessions) d) x
                CROSS JOIN LATERAL unnest(call_entries(x.site_id, v_calls, 1)) e;
            END IF;
        END IF;

        IF p_intents <> '{}' THEN
            -- A tap within half an hour of another of the same visit is the same lead once more. By visit, not by device:
            -- the first generation's hash names a model of telephone, not a person.
            WITH wanted AS MATERIALIZED (
                SELECT i.*, v_months[i.session_place] AS month, e.id AS earlier
                FROM unnest(p_intents) i LEFT JOIN LATERAL (
                    SELECT c.id FROM calls c
                    WHERE i.source = 'click' AND NOT v_born[i.session_place]
                      AND c.site_id = i.site_id AND c.matched_session_month = v_months[i.session_place]
                      AND c.matched_session_id = i.session_id AND c.source = 'click' AND c.merged_into IS NULL
                      AND c.occurred_at BETWEEN i.occurred_at - interval '30 minutes' AND i.occurred_at + interval '30 minutes'
                    ORDER BY c.occurred_at LIMIT 1) e ON true
                WHERE (v_events IS NULL OR i.event_id = ANY (v_stored))
                  AND NOT EXISTS (SELECT FROM calls c WHERE c.site_id = i.site_id AND c.intent_stamp = i.intent_stamp)
            ), made AS (
                INSERT INTO calls AS c (site_id, id, created_at, occurred_at, updated_at, source, phone_number,
                    matched_session_id, matched_session_month, matched_fingerprint, matched_at, event_id, intent_stamp,
                    intent_action, intent_target, intent_page_url, click_id, click_id_kind, currency, merged_into)
                SELECT i.site_id, i.id, coalesce(i.received_at, v_now), i.occurred_at, coalesce(i.received_at, v_now),
                    i.source, i.phone_number, i.session_id, i.month, i.fingerprint,
                    coalesce(i.received_at, v_now), i.event_id, i.intent_stamp,
                    i.intent_action, i.intent_target, i.intent_page_url, i.click_id, i.click_id_kind, i.currency,
                    -- what it repeats may itself repeat one that is there, or be there already and so not wanted
                    coalesce(i.earlier, (SELECT coalesce(w.earlier, w.id) FROM wanted w WHERE w.id = i.repeats))
                FROM wanted i
                ON CONFLICT DO NOTHING RETURNING c AS call
            )
            SELECT count(*), array_agg(DISTINCT (m.call).site_id) FILTER (WHERE (m.call).merged_into IS NULL),
                array_agg(ROW((m.call).site_id, call_entry(m.call, s, 1))::site_entry) FILTER (WHERE (m.call).merged_into IS NULL)
            INTO v_count, called, v_more
            FROM made m JOIN sessions s ON s.site_id = (m.call).site_id AND s.created_month = (m.call).matched_session_month
                AND s.id = (m.call).matched_session_id;
            v_entries := v_entries || v_more;
            IF v_count < cardinality(p_intents) THEN
                -- Some were there already, by their stamp: their visit has counted them too often.
                UPDATE sessions s SET intent_count = n.intents
                FROM (SELECT DISTINCT i.site_id, i.session_id, v_months[i.session_place] AS month FROM unnest(p_intents) i) d
                CROSS JOIN LATERAL (
                    SELECT count(*) AS intents FROM calls c WHERE c.site_id = d.site_id
                      AND c.matched_session_month = d.month AND c.matched_session_id = d.session_id) n
                WHERE s.site_id = d.site_id AND s.created_month = d.month AND s.id = d.session_id AND s.intent_count <> n.intents;
            END IF;
            -- The facts of visits that begin with a tap, and of all where some were counted too often.
            SELECT leads || array_agg(ROW(s.site_id, s.id, s.event_count, s.view_count, s.conversion_count, s.intent_count,
                    s.total_duration_sec, s.total_active_seconds, s.max_scroll_percentage, s.cta_hover_count,
                    s.form_focus_duration, s.previous_visit_count, s.has_click_id, s.is_paid)::lead_facts) INTO leads
            FROM (SELECT DISTINCT i.site_id, i.session_id, i.session_place FROM unnest(p_intents) i
                WHERE v_born[i.session_place] OR v_count < cardinality(p_intents)) d
            JOIN sessions s ON s.site_id = d.site_id AND s.created_month = v_months[d.session_place] AND s.id = d.session_id
            WHERE s.intent_count > 0;
        END IF;

        -- Now rather than at commit: the check is planned once that way, not each time.
        IF true = ANY (v_born) THEN
            SET CONSTRAINTS session_keys_session_fkey IMMEDIATE;
        END IF;
    END IF;

    -- What this batch changes in the counters, and its books: one row a site.
    IF p_sessions <> '{}' OR p_tally <> '{}' THEN
        WITH touched AS (
            SELECT d.site_id, t.is_paid, d.place, coalesce(v_events[d.place], d.events) AS events,
                coalesce(v_conversions[d.place], d.conversions) AS conversions, coalesce(v_forms[d.place], d.forms) AS forms,
                coalesce(d.received_at, v_now) AS received_at, d.received_at IS NOT NULL AS is_history
            FROM unnest(v_touched, v_paid) AS t (place, is_paid)
            JOIN (SELECT x.*, row_number() OVER () AS place FROM unnest(p_sessions) x) d ON d.place = t.place
        ), parts AS (
            SELECT e.site_id, e.entry, NULL::tally_draft AS tally, NULL::timestamptz AS event_at, NULL::uuid AS call_id FROM unnest(v_entries) e
            UNION ALL
            SELECT t.site_id, ROW('events', sum(t.events), v_now, t.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, sum(t.conversions), sum(t.forms), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry, NULL, NULL, NULL
            FROM touched t WHERE NOT t.is_history AND t.events > 0 GROUP BY t.site_id, t.is_paid
            UNION ALL
            -- History that is written afterwards: each event at its own time.
            SELECT t.site_id, ROW('events', count(*), max(e.received_at), t.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, count(*) FILTER (WHERE e.event_category = 'conversion'),
                count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit'),
                NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry, NULL, NULL, NULL
            FROM touched t JOIN unnest(p_events) e ON e.session_place = t.place
            WHERE t.is_history AND (v_events IS NULL OR e.id = ANY (v_stored))
            GROUP BY t.site_id, t.is_paid, date_bin('15 minutes', e.received_at, 'epoch')
            UNION ALL
            SELECT t.site_id, NULL, NULL, max(t.received_at), NULL FROM touched t GROUP BY t.site_id
            UNION ALL
            SELECT y.site_id, NULL, y, NULL, NULL FROM unnest(p_tally) y WHERE y.site_id IS NOT NULL
            UNION ALL
            SELECT e.site_id, NULL, ROW(e.site_id, o.outcome, sum(o.n), date_trunc('hour', e.received_at))::tally_draft, NULL, NULL
            FROM unnest(duplicates) AS x (place)
            CROSS JOIN LATERAL (SELECT (p_events[x.place]).site_id, (p_events[x.place]).received_at) e
            CROSS JOIN (VALUES ('duplicate', 1), ('stored', -1)) AS o (outcome, n) GROUP BY e.site_id, o.outcome, date_trunc('hour', e.received_at)
            UNION ALL
            -- Leads that are new, and those whose visits were merged anew: the fold looks at them (lead_search.sql).
            SELECT i.site_id, NULL, NULL, NULL, i.id FROM unnest(p_intents) i
            UNION ALL
            SELECT c.site_id, NULL, NULL, NULL, c.id FROM (SELECT DISTINCT d.site_id FROM unnest(p_sessions) d) x
            JOIN calls c ON c.site_id = x.site_id AND c.id = ANY (v_calls) WHERE v_calls IS NOT NULL
        )
        INSERT INTO counter_journal (site_id, entries, tally, calls, changed_at, last_event_at, last_intent_at)
        SELECT p.site_id, coalesce(array_agg(p.entry) FILTER (WHERE p.entry IS DISTINCT FROM NULL), '{}'),
            coalesce(array_agg(p.tally) FILTER (WHERE p.tally IS DISTINCT FROM NULL), '{}'),
            coalesce(array_agg(p.call_id) FILTER (WHERE p.call_id IS NOT NULL), '{}'),
            v_now, max(p.event_at), CASE WHEN p.site_id = ANY (called) THEN max(coalesce(p.event_at, v_now)) END
        FROM parts p GROUP BY p.site_id;
    END IF;
    IF EXISTS (SELECT FROM unnest(p_tally) t WHERE t.site_id IS NULL) THEN
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
REVOKE EXECUTE ON FUNCTION ingest_batch_v2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest_batch_v2 TO opsmantik_app;
