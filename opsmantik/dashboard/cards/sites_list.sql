-- name: sites_list
-- Of the sites that the asker may see ($1) those whose name, domain or public id holds $2, newest first, $3 of them after
-- the first $4; each with the asker's role, its state, and for whoever runs the platform its owner.
SELECT now() AS as_of, t.id, t.public_id, t.name, t.domain, t.time_zone, t.currency, t.created_at, t.disabled_at,
    site_role(t.id) AS role, st.sequence, st.last_event_at, st.last_intent_at, t.owner_id, t.owner_email
FROM (
    SELECT x.*, o.user_id AS owner_id, o.email AS owner_email FROM (
        SELECT s.* FROM sites s
        WHERE s.id = ANY ($1) AND ($2::text IS NULL
            OR strpos(plain_case(concat_ws(' ', s.name, s.domain, s.public_id)), plain_case($2)) > 0)
        ORDER BY s.created_at DESC, s.id DESC LIMIT $3 OFFSET $4) x
    LEFT JOIN site_owners(ARRAY[x.id]) o ON true) t
JOIN site_state st ON st.site_id = t.id
ORDER BY t.created_at DESC, t.id DESC;
