-- name: newest_sessions
-- The newest visits of site $1 that began in [$2, $3), in pages: those after the row ($4, $5), at most $6; with $7 only
-- paid ones. The months $8 to $9 say the same as the range, so that the others' partitions are left alone by any plan.
WITH picked AS MATERIALIZED (
    SELECT s.*
    FROM sessions s
    WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_at < $3 AND s.created_month BETWEEN $8::date AND $9::date
      AND s.created_at <= $4::timestamptz AND (s.created_at, s.id) < ($4::timestamptz, $5::uuid)
      AND (NOT $7::boolean OR s.is_paid)
    ORDER BY s.created_at DESC, s.id DESC LIMIT $6
)
SELECT now() AS as_of, st.sequence, p.*,
    (SELECT max(c.lead_score) FROM calls c WHERE c.site_id = $1 AND c.matched_session_month = p.created_month
         AND c.matched_session_id = p.id) AS lead_score
FROM site_state st LEFT JOIN picked p ON true
WHERE st.site_id = $1
ORDER BY p.created_at DESC, p.id DESC;
