-- name: queue
-- Leads of site $1 that wait: of the statuses $2 and in [$3, $4) where these are given, and narrowed down by $5 to $16,
-- each of which may be null. How many there are, and $21 of them with all that is known: those after the lead
-- ($19, $20, and for the score $18), in the order that $17 names, oldest or best; with $22 of those alone that came since.
-- Which ones they are is settled over the narrow rows of the leads alone: the visit is looked up for each of them only
-- where something of it is asked for, and once more for the few that are shown.
WITH waiting AS MATERIALIZED (
    SELECT c.id, c.created_at, c.lead_score
    FROM calls c
    WHERE c.site_id = $1 AND c.status = ANY ($2) AND c.merged_into IS NULL
      AND ($3::timestamptz IS NULL OR c.created_at >= $3) AND ($4::timestamptz IS NULL OR c.created_at < $4)
      AND ($5::text IS NULL OR c.intent_action = $5) AND ($6::text IS NULL OR c.source = $6)
      AND (num_nonnulls($7::boolean, $8::boolean, $9::text, $10::text, $11::text, $12::text, $13::text, $14::text, $15::text,
              $16::text) = 0
           OR EXISTS (
               SELECT FROM (SELECT) one LEFT JOIN sessions s ON s.site_id = $1 AND s.created_month = c.matched_session_month
                   AND s.id = c.matched_session_id
               WHERE ($7 IS NULL OR coalesce(s.is_paid, false) = $7)
                 AND ($8 IS NULL OR (c.click_id IS NOT NULL OR coalesce(s.has_click_id, false)) = $8)
                 AND ($9 IS NULL OR coalesce(s.attribution_source, '') = $9) AND ($10 IS NULL OR coalesce(s.channel, '') = $10)
                 AND ($11 IS NULL OR coalesce(s.utm_campaign, '') = $11) AND ($12 IS NULL OR coalesce(s.utm_term, '') = $12)
                 AND ($13 IS NULL OR coalesce(s.matchtype, '') = $13) AND ($14 IS NULL OR coalesce(s.device_type, '') = $14)
                 AND ($15 IS NULL OR coalesce(place_key(s.city, s.district), '') = $15)
                 AND ($16 IS NULL OR coalesce(page_key(s.entry_page), '') = $16)))
), shown AS (
    (SELECT w.* FROM waiting w
     WHERE $17 = 'oldest' AND ($22::timestamptz IS NULL OR w.created_at >= $22) AND ($20::uuid IS NULL OR (w.created_at, w.id) > ($19::timestamptz, $20))
     ORDER BY w.created_at, w.id LIMIT $21)
    UNION ALL
    (SELECT w.* FROM waiting w
     WHERE $17 = 'best' AND ($22 IS NULL OR w.created_at >= $22) AND ($20::uuid IS NULL OR (-w.lead_score, w.created_at, w.id) > (-$18::integer, $19::timestamptz, $20))
     ORDER BY w.lead_score DESC, w.created_at, w.id LIMIT $21)
)
SELECT now() AS as_of, (SELECT count(*) FROM waiting) AS waiting, l.*, x.call_direction, x.call_outcome, x.call_seconds,
    s.referrer, s.consent_marketing
FROM site_state st
LEFT JOIN shown w ON true
LEFT JOIN lead_rows l ON l.site_id = $1 AND l.id = w.id
LEFT JOIN calls x ON x.site_id = $1 AND x.id = w.id
LEFT JOIN sessions s ON s.site_id = $1 AND s.created_month = x.matched_session_month AND s.id = x.matched_session_id
WHERE st.site_id = $1
ORDER BY CASE WHEN $17 = 'best' THEN -w.lead_score END, w.created_at, w.id;

-- name: queue_leads
-- The leads $2 of site $1 as the queue shows them, whatever has become of them.
SELECT l.*, x.call_direction, x.call_outcome, x.call_seconds, s.referrer, s.consent_marketing
FROM unnest($2::uuid[]) WITH ORDINALITY AS asked (id, place)
JOIN lead_rows l ON l.site_id = $1 AND l.id = asked.id AND l.merged_into IS NULL
JOIN calls x ON x.site_id = $1 AND x.id = asked.id
LEFT JOIN sessions s ON s.site_id = $1 AND s.created_month = x.matched_session_month AND s.id = x.matched_session_id
ORDER BY asked.place;

-- name: queue_states
-- How the leads $2 of site $1 stand, with what was done to them last and by whom.
SELECT c.id, c.status, c.version, a.action, a.actor_kind, a.actor, actor_name($1, a.actor) AS actor_name, a.at
FROM unnest($2::uuid[]) AS asked (id)
JOIN calls c ON c.site_id = $1 AND c.id = asked.id
LEFT JOIN LATERAL (
    SELECT n.action, n.actor_kind, n.actor, n.at FROM intent_actions n WHERE n.site_id = $1 AND n.call_id = c.id
    ORDER BY n.version DESC LIMIT 1) a ON true;

-- name: looked_at
-- The leads of site $1 that others than $2 look at just now.
SELECT p.call_id FROM presences p
WHERE p.site_id = $1 AND p.user_id <> $2 AND p.seen_at >= now() - interval '30 seconds';

-- name: look_at_lead
-- Who else looks at which lead, while the asker looks at $2.
SELECT call_id, name FROM look_at_lead($1, $2);
