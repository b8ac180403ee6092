-- The newest leads of site $1 in [$2, $3), in pages: those after the row ($4, $5), at most $6. With $7 only of paid
-- visits; with $8 only captured so; with $9 only where this stands in what people search by. First the keys, by the
-- index that has their order, then the rows of those keys: a page costs its rows, however many leads there are. What a
-- visit must be is asked in a subquery, lead by lead: as a join the planner would begin with the visits, of which there
-- are many more. The state of the site comes with every row, and alone if there is none: one statement, one snapshot.

-- name: recent_intents
WITH picked AS MATERIALIZED (
    SELECT c.id, c.created_at
    FROM calls c
    WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND (c.created_at, c.id) < ($4::timestamptz, $5::uuid)
      AND c.merged_into IS NULL AND ($8::text[] IS NULL OR c.source = ANY ($8))
      AND (NOT $7::boolean OR (SELECT s.is_paid FROM sessions s
          WHERE s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id))
      AND ($9::text IS NULL OR strpos(plain_case(concat_ws(' ', c.phone_number, c.intent_target, c.intent_page_url, c.note,
          (SELECT concat_ws(' ', s.utm_term, s.utm_campaign, s.city, s.district) FROM sessions s
           WHERE s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id))),
          plain_case($9)) > 0)
    ORDER BY c.created_at DESC, c.id DESC LIMIT $6
)
SELECT now() AS as_of, st.sequence, l.*
FROM site_state st
LEFT JOIN (picked p JOIN lead_rows l ON l.site_id = $1 AND l.id = p.id) ON true
WHERE st.site_id = $1
ORDER BY p.created_at DESC, p.id DESC;

-- The same of some statuses ($10): one walk of the index for each, since leads that wait may be few among many.
-- name: recent_intents_by_status
WITH picked AS MATERIALIZED (
    SELECT x.id, x.created_at
    FROM unnest($10::text[]) AS w (status) CROSS JOIN LATERAL (
        SELECT c.id, c.created_at
        FROM calls c
        WHERE c.site_id = $1 AND c.status = w.status AND c.created_at >= $2 AND c.created_at < $3
          AND (c.created_at, c.id) < ($4::timestamptz, $5::uuid)
          AND c.merged_into IS NULL AND ($8::text[] IS NULL OR c.source = ANY ($8))
          AND (NOT $7::boolean OR (SELECT s.is_paid FROM sessions s
              WHERE s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id))
          AND ($9::text IS NULL OR strpos(plain_case(concat_ws(' ', c.phone_number, c.intent_target, c.intent_page_url, c.note,
              (SELECT concat_ws(' ', s.utm_term, s.utm_campaign, s.city, s.district) FROM sessions s
               WHERE s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id))),
              plain_case($9)) > 0)
        ORDER BY c.created_at DESC, c.id DESC LIMIT $6) x
    ORDER BY x.created_at DESC, x.id DESC LIMIT $6
)
SELECT now() AS as_of, st.sequence, l.*
FROM site_state st
LEFT JOIN (picked p JOIN lead_rows l ON l.site_id = $1 AND l.id = p.id) ON true
WHERE st.site_id = $1
ORDER BY p.created_at DESC, p.id DESC;
