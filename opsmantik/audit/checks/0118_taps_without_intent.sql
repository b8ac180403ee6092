-- Taps on a number or a chat become leads.
-- group: meaning
-- level: error
--
-- Of the last seven days: each tap, and whether its visit has a lead that a tap made. A repeated tap is part of the lead that it
-- repeats, so it is not taps and leads that are compared. Ingest marks the taps that lead nowhere: those on a share button or an
-- invitation are no enquiry and are left out; one whose link cannot be read is lost. Fewer than twenty taps say nothing. Site by
-- site, by the index that taps have: nothing but taps is read, and of each its visit's leads.
-- when: public.events(site_id, session_month, session_id, created_at, event_action, flags); public.calls(site_id, matched_session_month, matched_session_id, source); public.sites(id, disabled_at)
WITH taps AS MATERIALIZED (
    SELECT s.id, count(*) AS n, count(*) FILTER (WHERE t.flag IN ('no_lead_target', 'no_lead_no_number', 'no_lead_empty_number', 'no_lead_impossible_number')) AS unreadable,
        count(*) FILTER (WHERE EXISTS (SELECT FROM public.calls c WHERE c.site_id = s.id AND c.matched_session_month = t.session_month
            AND c.matched_session_id = t.session_id AND c.source = 'click')) AS known
    FROM public.sites s
    CROSS JOIN LATERAL (
        SELECT e.session_month, e.session_id, (SELECT min(f) FROM unnest(e.flags) f WHERE f LIKE 'no\_lead\_%') AS flag FROM public.events e
        WHERE e.site_id = s.id AND e.created_at >= now() - interval '7 days'
            AND e.session_month >= date_trunc('month', now() AT TIME ZONE 'UTC' - interval '2 months')::date
            AND e.event_action IN ('phone_call', 'phone_click', 'call_click', 'tel_click', 'whatsapp', 'whatsapp_click', 'wa_click')) t
    WHERE s.disabled_at IS NULL
        AND coalesce(t.flag, '') NOT IN ('no_lead_share_link', 'no_lead_group_invite', 'no_lead_channel_link', 'no_lead_call_link', 'no_lead_service_code')
    GROUP BY s.id
)
SELECT 'taps_without_intent' AS name, CASE WHEN t.n < 20 OR t.known >= 0.5 * t.n THEN 'info' WHEN t.known = 0 THEN 'error' ELSE 'warn' END AS level,
    'site ' || t.id AS object,
    format('%s of %s taps of seven days belong to a visit with a lead%s.', t.known, t.n,
        CASE WHEN t.unreadable > 0 THEN format('; the link of %s could not be read', t.unreadable) ELSE '' END) AS detail,
    round(1.0 * t.known / t.n, 3) AS figure,
    CASE WHEN t.n < 20 OR t.known >= 0.5 * t.n THEN 'Nothing.'
        WHEN t.unreadable >= 0.5 * (t.n - t.known) THEN 'Let the pages send the link itself as the tap''s label, tel:… or https://wa.me/…, as the tracker does of its own accord.'
        ELSE 'Look into the server''s log for what failed while events came in, and report it: a tap and its lead are written in one transaction.' END AS remedy,
    'taps_without_intent ' || t.id AS cache_key
FROM taps t;
-- when: public.events(site_id, session_id, session_month, created_at, event_action); public.calls(site_id, matched_session_id, source)
WITH taps AS MATERIALIZED (
    SELECT e.site_id AS id, count(*) AS n, count(*) FILTER (WHERE EXISTS (SELECT FROM public.calls c WHERE c.site_id = e.site_id
        AND c.matched_session_id = e.session_id AND c.source = 'click')) AS known
    FROM public.events e
    WHERE e.created_at >= now() - interval '7 days' AND e.session_month >= date_trunc('month', now() AT TIME ZONE 'UTC' - interval '2 months')::date
        AND e.event_action IN ('phone_call', 'phone_click', 'call_click', 'whatsapp') AND e.site_id IS NOT NULL
    GROUP BY 1
)
SELECT 'taps_without_intent' AS name, CASE WHEN t.n < 20 OR t.known >= 0.5 * t.n THEN 'info' WHEN t.known = 0 THEN 'error' ELSE 'warn' END AS level,
    'site ' || t.id AS object, format('%s of %s taps of seven days belong to a visit with a lead.', t.known, t.n) AS detail,
    round(1.0 * t.known / t.n, 3) AS figure,
    CASE WHEN t.n < 20 OR t.known >= 0.5 * t.n THEN 'Nothing.' ELSE 'Look at what the server logs when it writes a call: there an event is stored first, and its call in a second step that may fail.' END AS remedy,
    'taps_without_intent ' || t.id AS cache_key
FROM taps t;
