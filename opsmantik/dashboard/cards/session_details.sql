-- name: session_details
-- Visit $2 of site $1, in whichever month it began: the registry knows. With the state of the site.
SELECT now() AS as_of, st.sequence, s.*, t.attribution_window_days AS window_days,
    (SELECT max(c.lead_score) FROM calls c WHERE c.site_id = s.site_id AND c.matched_session_month = s.created_month
         AND c.matched_session_id = s.id) AS lead_score,
    (SELECT jsonb_agg(jsonb_build_object('id', c.id, 'occurred_at', c.occurred_at, 'action', c.intent_action,
             'captured_by', c.source, 'status', c.status, 'lead_score', c.lead_score) ORDER BY c.occurred_at, c.id)
     FROM calls c WHERE c.site_id = s.site_id AND c.matched_session_month = s.created_month
         AND c.matched_session_id = s.id AND c.merged_into IS NULL) AS leads
FROM site_state st
JOIN sites t ON t.id = st.site_id
JOIN session_keys k ON k.site_id = $1 AND k.id = $2
JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
WHERE st.site_id = $1;
