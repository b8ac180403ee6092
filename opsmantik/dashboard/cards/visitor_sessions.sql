-- name: visitor_sessions
-- The newest visits of visitor $2 of site $1 in the last six months, in pages: those after the row ($3, $4), at most $5;
-- with $6 only paid ones. Each month's partition is one look into the index of visitors, and the months are bounded.
WITH picked AS MATERIALIZED (
    SELECT s.*
    -- by the visitor alone, and then the rest: with the time beside it the planner takes the index of times
    FROM (SELECT x.* FROM sessions x WHERE x.site_id = $1 AND x.fingerprint = $2
          AND x.created_month BETWEEN date_trunc('month', (now() - interval '184 days') AT TIME ZONE 'UTC')::date
              AND date_trunc('month', now() AT TIME ZONE 'UTC')::date OFFSET 0) s
    WHERE s.created_at >= now() - interval '184 days'
      AND s.created_at <= $3::timestamptz AND (s.created_at, s.id) < ($3::timestamptz, $4::uuid)
      AND (NOT $6::boolean OR s.is_paid)
    ORDER BY s.created_at DESC, s.id DESC LIMIT $5
)
SELECT now() AS as_of, st.sequence, p.*,
    (SELECT max(c.lead_score) FROM calls c WHERE c.site_id = $1 AND c.matched_session_month = p.created_month
         AND c.matched_session_id = p.id) AS lead_score,
    (SELECT jsonb_agg(jsonb_build_object('id', c.id, 'occurred_at', c.occurred_at, 'action', c.intent_action,
             'captured_by', c.source, 'status', c.status, 'lead_score', c.lead_score) ORDER BY c.occurred_at, c.id)
     FROM calls c WHERE c.site_id = $1 AND c.matched_session_month = p.created_month
         AND c.matched_session_id = p.id AND c.merged_into IS NULL) AS leads
FROM site_state st LEFT JOIN picked p ON true
WHERE st.site_id = $1
ORDER BY p.created_at DESC, p.id DESC;

-- What is remembered of the visitor beyond their visits.
-- name: visitor
SELECT v.first_seen_at, v.last_seen_at, v.visits, v.last_ad_click_at FROM visitors v WHERE v.site_id = $1 AND v.id = $2;
