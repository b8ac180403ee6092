-- name: breakdown
-- Visits and leads of site $1 over a range ($2 to $5; with $6 only paid traffic), by the values of each dimension named
-- in $7, as its clock ($8) cuts hours. Of each the $9 values with most visits (null, and of hours: all); the others are one
-- row, whose place is $9 + 1 and whose "others" says how many they are. Places are counted as "city/district", from which cities
-- are added up; not every visit has a campaign, keyword or match type, and those that have none are what is missing from
-- the whole.
WITH c AS MATERIALIZED (
    SELECT f.dimension, f.key, sum(f.sessions) AS sessions, sum(f.sessions) FILTER (WHERE f.is_paid) AS paid_sessions,
        sum(f.click_sessions) AS click_sessions, sum(f.leads) AS leads, sum(f.click_leads) AS click_leads,
        sum(f.sealed) AS sealed, sum(f.junk) AS junk, sum(f.amount) AS amount
    FROM figures($1, $2, $3, $4, $5, ARRAY['main', CASE WHEN 'hour' = ANY ($7) THEN 'hours' END,
        CASE WHEN $7 && ARRAY['source', 'channel', 'device', 'matchtype'] THEN 'sources' END,
        CASE WHEN $7 && ARRAY['place', 'city', 'page', 'campaign', 'keyword'] THEN 'details' END]) f
    WHERE (f.dimension = 'all' OR f.dimension = ANY ($7::text[]) OR f.dimension = 'place' AND 'city' = ANY ($7))
      AND (f.is_paid OR NOT $6::boolean)
    GROUP BY f.dimension, f.key
), named AS (
    SELECT w.name, CASE w.name WHEN 'city' THEN split_part(c.key, '/', 1)
            WHEN 'hour' THEN to_char(c.key::timestamptz AT TIME ZONE $8, 'ID HH24') ELSE c.key END AS value, c.*
    FROM unnest($7) AS w (name) JOIN c ON c.dimension = CASE w.name WHEN 'city' THEN 'place' ELSE w.name END
), summed AS (
    SELECT name, value, coalesce(sum(sessions), 0) AS sessions, coalesce(sum(paid_sessions), 0) AS paid_sessions,
        coalesce(sum(click_sessions), 0) AS click_sessions, coalesce(sum(leads), 0) AS leads,
        coalesce(sum(click_leads), 0) AS click_leads, coalesce(sum(sealed), 0) AS sealed, coalesce(sum(junk), 0) AS junk,
        coalesce(sum(amount), 0) AS amount
    FROM named GROUP BY name, value
    UNION ALL
    SELECT '', '', coalesce(sum(sessions), 0), coalesce(sum(paid_sessions), 0), coalesce(sum(click_sessions), 0),
        coalesce(sum(leads), 0), coalesce(sum(click_leads), 0), coalesce(sum(sealed), 0), coalesce(sum(junk), 0),
        coalesce(sum(amount), 0)
    FROM c WHERE dimension = 'all'
), whole AS (
    SELECT * FROM summed
    UNION ALL
    SELECT w.name, '', t.sessions - coalesce(s.sessions, 0), t.paid_sessions - coalesce(s.paid_sessions, 0),
        t.click_sessions - coalesce(s.click_sessions, 0), t.leads - coalesce(s.leads, 0),
        t.click_leads - coalesce(s.click_leads, 0), t.sealed - coalesce(s.sealed, 0), t.junk - coalesce(s.junk, 0),
        t.amount - coalesce(s.amount, 0)
    FROM unnest($7) AS w (name) JOIN summed t ON t.name = '' LEFT JOIN (
        SELECT name, sum(sessions) AS sessions, sum(paid_sessions) AS paid_sessions, sum(click_sessions) AS click_sessions,
            sum(leads) AS leads, sum(click_leads) AS click_leads, sum(sealed) AS sealed, sum(junk) AS junk, sum(amount) AS amount
        FROM summed GROUP BY name) s ON s.name = w.name
    WHERE w.name IN ('campaign', 'keyword', 'matchtype')
), placed AS (
    SELECT w.*, row_number() OVER (PARTITION BY name ORDER BY sessions DESC, leads DESC, value COLLATE "C") AS place,
        CASE WHEN name NOT IN ('', 'hour') THEN $9::bigint END AS most
    FROM whole w WHERE name = '' OR sessions <> 0 OR leads <> 0
)
SELECT now() AS as_of, st.sequence, r.*
FROM site_state st LEFT JOIN (
    SELECT name, least(place, most + 1) AS place, CASE WHEN place <= most OR most IS NULL THEN value END AS value,
        count(*) AS others, sum(sessions)::bigint AS sessions, sum(paid_sessions)::bigint AS paid_sessions,
        sum(click_sessions)::bigint AS sessions_with_click_id, sum(leads)::bigint AS leads,
        sum(click_leads)::bigint AS leads_with_click_id, sum(sealed)::bigint AS sealed, sum(junk)::bigint AS junk,
        sum(amount) AS sealed_amount
    FROM placed GROUP BY 1, 2, 3) r ON true
WHERE st.site_id = $1 ORDER BY r.name, r.place;
