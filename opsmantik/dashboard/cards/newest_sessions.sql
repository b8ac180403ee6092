-- name: newest_sessions
-- The newest visits of site $1 that began in [$2, $3), in pages: those after the row ($4, $5), at most $6; with $7 only
-- paid ones. The months $8 to $9 say the same as the range, so that the others' partitions are left alone by any plan.
-- $10 to $20 each narrow down where they are not null, by the keys that the counters have; $21 is the site's zone, for
-- the last two. A walk of the index in its order, until there are enough: what few visits have is looked for in all of
-- the range.
WITH picked AS MATERIALIZED (
    SELECT s.*
    FROM sessions s
    WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_at < $3 AND s.created_month BETWEEN $8::date AND $9::date
      AND s.created_at <= $4::timestamptz AND (s.created_at, s.id) < ($4::timestamptz, $5::uuid)
      AND (NOT $7::boolean OR s.is_paid)
      AND ($10::text IS NULL OR s.attribution_source = $10)
      AND ($11::text IS NULL OR s.channel = $11)
      AND ($12::text IS NULL OR left(coalesce(s.utm_campaign, ''), 200) = $12)
      AND ($13::text IS NULL OR left(coalesce(s.utm_term, ''), 200) = $13)
      AND ($14::text IS NULL OR coalesce(s.matchtype, '') = $14)
      AND ($15::text IS NULL OR $15 IN (left(place_key(s.city, s.district), 200), split_part(place_key(s.city, s.district), '/', 1)))
      AND ($16::text IS NULL OR coalesce(s.device_type, '') = $16)
      AND ($17::text IS NULL OR page_key(s.entry_page) = $17)
      AND ($18::boolean IS NULL OR s.has_click_id = $18)
      AND ($19::integer IS NULL OR extract(isodow FROM s.created_at AT TIME ZONE $21::text) = $19)
      AND ($20::integer IS NULL OR extract(hour FROM s.created_at AT TIME ZONE $21::text) = $20)
    ORDER BY s.created_at DESC, s.id DESC LIMIT $6
)
SELECT now() AS as_of, st.sequence, p.*,
    (SELECT max(c.lead_score) FROM calls c WHERE c.site_id = $1 AND c.matched_session_month = p.created_month
         AND c.matched_session_id = p.id) AS lead_score
FROM site_state st LEFT JOIN picked p ON true
WHERE st.site_id = $1
ORDER BY p.created_at DESC, p.id DESC;

-- name: newest_sessions_count
-- How many visits of site $1 there are over a range ($2 to $5, as the function figures is asked), from the counters: all
-- of them, or those of one key ($8) of a dimension ($7: 'all' has the one key ''); with $6 only paid ones, with $9 only
-- those with a click id. $10 is the part of the counters that holds the dimension.
SELECT coalesce(sum(CASE WHEN $9::boolean THEN f.click_sessions ELSE f.sessions END), 0)::bigint
FROM figures($1, $2, $3, $4, $5, ARRAY[$10::text]) f
WHERE f.dimension = $7::text AND (f.key = $8::text OR $7 = 'place' AND split_part(f.key, '/', 1) = $8)
  AND (f.is_paid OR NOT $6::boolean);
