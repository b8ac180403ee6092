-- name: command_centre
-- Every figure of site $1 over a range ($2 to $5) and over the one before ($6 to $9, where $10 says so), as cells to be
-- added up (see figures): one statement, so one snapshot. The range ends at $11; whether the site has forms is asked
-- for the year before that. A form that was sent is a lead, and of those there is an index.
SELECT now() AS as_of, st.sequence, st.last_event_at, st.last_intent_at,
    EXISTS (SELECT FROM calls c WHERE c.site_id = $1 AND c.source = 'form'
        AND c.created_at >= $11::timestamptz - interval '365 days' AND c.created_at < $11) AS forms_enabled,
    x.*
FROM site_state st LEFT JOIN (
    SELECT false AS before, f.dimension, f.key, f.is_paid, sum(f.sessions) AS sessions, sum(f.click_sessions) AS click_sessions,
        sum(f.visitors) AS visitors, sum(f.events) AS events, sum(f.conversions) AS conversions, sum(f.forms) AS forms,
        sum(f.leads) AS leads, sum(f.click_leads) AS click_leads, sum(f.amount) AS amount,
        sum(f.scroll)::bigint AS scroll, sum(f.scrolled) AS scrolled, sum(f.seconds)::bigint AS seconds
    FROM figures($1, $2, $3, $4, $5, ARRAY['main']) f
    WHERE f.dimension IN ('all', 'visitor', 'lead', 'decision', 'currency', 'conversion')
    GROUP BY f.dimension, f.key, f.is_paid
    UNION ALL
    SELECT true, f.dimension, f.key, f.is_paid, sum(f.sessions), sum(f.click_sessions), sum(f.visitors), sum(f.events),
        sum(f.conversions), sum(f.forms), sum(f.leads), sum(f.click_leads), sum(f.amount),
        sum(f.scroll)::bigint, sum(f.scrolled), sum(f.seconds)::bigint
    FROM figures($1, $6, $7, $8, $9, ARRAY['main']) f
    WHERE $10::boolean AND f.dimension IN ('all', 'visitor', 'lead', 'decision', 'currency', 'conversion')
    GROUP BY f.dimension, f.key, f.is_paid) x ON true
WHERE st.site_id = $1;
