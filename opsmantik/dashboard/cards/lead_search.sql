-- Leads of site $1: which ones ($2 to $6, see search_leads) and in pages. First the keys, by the function that knows how;
-- then the rows of those keys, each by its own key and under the asker's row security. OFFSET 0: one by one, or the planner
-- would read all of a site's leads rather than look up a thousand.

-- After the row ($7, $8), at most $9. The state of the site comes with every row, and alone if there is none.
-- name: lead_search
WITH picked AS MATERIALIZED (
    SELECT s.call_id, s.at FROM search_leads($1, $2, $3, $4, coalesce($5::timestamptz, '-infinity'), coalesce($6::timestamptz, 'infinity'), $7, $8, $9) s
)
SELECT now() AS as_of, st.sequence, p.at, l.id, l.created_at, l.occurred_at, l.status, l.version, l.is_automatic, l.note, l.junk_reason, l.quality,
    l.stage, l.decided_at, l.decided_by, l.captured_by, l.action, l.target, l.phone_number, l.page_url, l.lead_score, l.click_id, l.click_id_kind,
    l.has_click_id, l.is_paid, l.sale_amount, l.sale_at, l.currency, l.utm_term AS keyword, l.utm_campaign AS campaign, l.matchtype,
    l.attribution_source, l.channel, l.referrer_host, l.entry_page, l.city, l.district, l.country, l.device_type
FROM site_state st
LEFT JOIN (picked p CROSS JOIN LATERAL (SELECT x.* FROM lead_rows x WHERE x.site_id = $1 AND x.id = p.call_id OFFSET 0) l) ON true
WHERE st.site_id = $1
ORDER BY p.at DESC, p.call_id DESC;

-- name: lead_count
SELECT count_leads($1, $2, $3, $4, coalesce($5::timestamptz, '-infinity'), coalesce($6::timestamptz, 'infinity'), $7);

-- name: lead_rows
SELECT now() AS as_of, st.sequence, l.created_at AS at, l.id, l.created_at, l.occurred_at, l.status, l.version, l.is_automatic, l.note, l.junk_reason, l.quality,
    l.stage, l.decided_at, l.decided_by, l.captured_by, l.action, l.target, l.phone_number, l.page_url, l.lead_score, l.click_id, l.click_id_kind,
    l.has_click_id, l.is_paid, l.sale_amount, l.sale_at, l.currency, l.utm_term AS keyword, l.utm_campaign AS campaign, l.matchtype,
    l.attribution_source, l.channel, l.referrer_host, l.entry_page, l.city, l.district, l.country, l.device_type
FROM site_state st
LEFT JOIN lead_rows l ON l.site_id = $1 AND l.id = ANY ($2::uuid[]) AND l.merged_into IS NULL
WHERE st.site_id = $1
ORDER BY l.created_at DESC, l.id DESC;

-- At most $9 of those that came until $10, with the versions that a decision about them is made on.
-- name: matching
WITH picked AS MATERIALIZED (
    SELECT s.call_id, s.at FROM search_leads($1, $2, $3, $4, coalesce($5::timestamptz, '-infinity'), coalesce($6::timestamptz, 'infinity'), $7, $8, $9) s
)
SELECT c.id, c.version FROM picked p
CROSS JOIN LATERAL (SELECT x.id, x.version FROM calls x WHERE x.site_id = $1 AND x.id = p.call_id AND x.created_at <= $10 OFFSET 0) c
ORDER BY p.at DESC, p.call_id DESC;

-- name: deciders
SELECT x.id, actor_name($1, x.id) AS name FROM unnest($2::uuid[]) AS x (id);
