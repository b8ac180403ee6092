-- name: lead_list
-- Leads and conversion events of site $1 in [$2, $3), newest first, in pages: those after the row ($4, $5), at most $6.
-- With $7 only of paid visits; $8: leads of these statuses; $9: whether conversion events are wanted; $10: a part of the
-- page's address. Each half walks its own index in the order of the list and stops, so a page costs its rows. A visit's
-- month is the one that it began in, so its events may lie one month before the range: months $11 to $12.
WITH found AS MATERIALIZED (
    (SELECT 'call' AS type, c.id, c.created_at, c.status, c.confirmed_at AS decided_at, s.entry_page AS page_url, s.city,
        s.district, s.device_type, c.matched_session_id AS session_id, c.lead_score::numeric AS score, c.phone_number,
        c.intent_action AS action, c.intent_target AS target, c.source AS captured_by, NULL::text AS event_category,
        NULL::text AS event_action
    FROM calls c LEFT JOIN LATERAL (
        SELECT x.* FROM sessions x WHERE x.site_id = c.site_id AND x.created_month = c.matched_session_month
          AND x.id = c.matched_session_id OFFSET 0) s ON true
    WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND (c.created_at, c.id) < ($4::timestamptz, $5::uuid)
      AND c.merged_into IS NULL AND ($8::text[] IS NULL OR c.status = ANY ($8))
      AND (NOT $7::boolean OR s.is_paid)
      AND ($10::text IS NULL OR strpos(plain_case(coalesce(s.entry_page, '')), plain_case($10)) > 0)
    ORDER BY c.created_at DESC, c.id DESC LIMIT $6)
    UNION ALL
    (SELECT 'conversion', e.id, e.created_at, NULL, NULL, e.url, s.city, s.district, s.device_type,
        e.session_id, coalesce(e.event_value, 0), NULL, NULL, NULL, NULL, e.event_category, e.event_action
    FROM events e LEFT JOIN LATERAL (
        SELECT x.* FROM sessions x WHERE x.site_id = e.site_id AND x.created_month = e.session_month
          AND x.id = e.session_id OFFSET 0) s ON true
    WHERE $9::boolean AND e.site_id = $1 AND e.event_category = 'conversion' AND e.created_at >= $2 AND e.created_at < $3
      AND e.session_month BETWEEN $11::date AND $12::date
      AND e.created_at <= $4::timestamptz AND (e.created_at, e.id) < ($4::timestamptz, $5::uuid)
      AND (NOT $7::boolean OR s.is_paid)
      AND ($10::text IS NULL OR strpos(plain_case(coalesce(e.url, '')), plain_case($10)) > 0)
    ORDER BY e.created_at DESC, e.id DESC LIMIT $6)
    ORDER BY 3 DESC, 2 DESC LIMIT $6
)
SELECT now() AS as_of, st.sequence, f.*
FROM site_state st LEFT JOIN found f ON true
WHERE st.site_id = $1
ORDER BY f.created_at DESC, f.id DESC;
