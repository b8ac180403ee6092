-- name: watchdog
-- Taps of site $1 in [$2, $3) as events, of visits that began in that range (months $4 to $5; with $6 only paid ones),
-- beside the leads that taps made. The actions are those of the index events_taps_idx, so this reads taps and nothing
-- else. Both from the rows: figures made of the same entry could not contradict each other.
SELECT now() AS as_of, st.sequence, t.tap_events, i.tap_intents, i.waiting_intents
FROM site_state st
CROSS JOIN (
    SELECT count(*) AS tap_events FROM (
        SELECT e.session_month, e.session_id FROM events e
        WHERE e.site_id = $1 AND e.session_month BETWEEN $4 AND $5 AND e.created_at >= $2 AND e.created_at < $3
          AND e.event_action IN ('phone_call', 'phone_click', 'call_click', 'tel_click', 'whatsapp', 'whatsapp_click', 'wa_click')
        OFFSET 0) e
    -- by the visit's key alone, and then the rest of it: with the time beside the key the planner takes the wrong index
    WHERE (SELECT s.created_at >= $2 AND s.created_at < $3 AND (s.is_paid OR NOT $6::boolean) FROM sessions s
        WHERE s.site_id = $1 AND s.created_month = e.session_month AND s.id = e.session_id)) t
CROSS JOIN (
    SELECT count(*) AS tap_intents,
        count(*) FILTER (WHERE c.status IN ('intent', 'pending') AND c.merged_into IS NULL) AS waiting_intents
    FROM calls c
    WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.source = 'click'
      AND (NOT $6 OR (SELECT s.created_at >= $2 AND s.created_at < $3 AND s.is_paid FROM sessions s
        WHERE s.site_id = $1 AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id))
) i
WHERE st.site_id = $1;
