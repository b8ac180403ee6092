-- A lead with the visit that it came from and what became of its conversion, for the lists and the single view. The
-- joins go by whole keys, one row each; who orders by (created_at, id) and stops after fifty pays for fifty. Columns
-- are added at the end.
CREATE OR REPLACE VIEW lead_rows WITH (security_invoker = true) AS
SELECT c.site_id, c.id, c.created_at, c.occurred_at, c.updated_at, c.status, c.version, c.is_automatic, c.stage, c.quality,
    c.note, c.junk_reason, c.suspicion, c.confirmed_at AS decided_at, c.confirmed_by AS decided_by,
    c.source AS captured_by, c.intent_action AS action, c.intent_target AS target, c.intent_stamp AS stamp,
    c.phone_number, c.intent_page_url AS page_url, c.matched_fingerprint AS visitor, c.matched_session_id AS session_id,
    c.lead_score, c.score_breakdown, c.click_id, c.click_id_kind,
    c.click_id IS NOT NULL OR coalesce(s.has_click_id, false) AS has_click_id, coalesce(s.is_paid, false) AS is_paid,
    c.sale_amount, c.sale_at, c.estimated_value, c.currency, c.merged_into,
    (SELECT count(*) + 1 FROM calls m WHERE m.site_id = c.site_id AND m.merged_into = c.id) AS tap_count,
    v.state AS conversion_state, v.reason AS conversion_reason, v.due_at AS conversion_due_at, v.value AS conversion_value,
    v.currency AS conversion_currency, v.updated_at AS conversion_updated_at,
    CASE WHEN v.state IN ('sent', 'accepted', 'matched', 'failed') THEN
        (SELECT max(m.at) FROM conversion_moves m
         WHERE m.site_id = v.site_id AND m.conversion_id = v.id AND m.to_state = 'sent') END AS conversion_sent_at,
    s.created_at AS session_created_at, s.started_at AS session_started_at, s.last_event_at AS session_last_event_at,
    s.total_duration_sec, s.event_count, s.view_count, s.conversion_count, s.intent_count, s.max_scroll_percentage,
    s.cta_hover_count, s.form_focus_duration, s.total_active_seconds, s.previous_visit_count, s.is_returning, s.fingerprint,
    s.entry_page, s.exit_page, s.referrer_host, s.device_type, s.device_os, s.browser, s.browser_language, s.time_zone,
    s.country, s.city, s.district, s.place_source, s.telco_carrier, s.isp_asn, s.is_proxy_detected, s.device_memory,
    s.hardware_concurrency, s.screen_width, s.screen_height, s.pixel_ratio, s.gpu_renderer, s.connection_type,
    s.gclid, s.wbraid, s.gbraid, s.has_click_id AS session_has_click_id, s.utm_source, s.utm_medium, s.utm_campaign,
    s.utm_term, s.utm_content, s.matchtype, s.ads_network, s.ads_placement, s.attribution_source, s.channel,
    s.is_paid AS session_is_paid
FROM calls c
LEFT JOIN sessions s
    ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
LEFT JOIN conversions v ON v.site_id = c.site_id AND v.call_id = c.id AND v.state <> 'retracted';
GRANT SELECT ON lead_rows TO opsmantik_app;
