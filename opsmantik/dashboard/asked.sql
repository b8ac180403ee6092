-- name: asked_site
-- The site that a request names, by its id ($1, null where the name cannot be one) or public id ($2), among those that
-- the asker may see ($3); with their role on it, and the number of the state that it is in at this moment.
SELECT t.id, t.public_id, t.name, t.domain, t.time_zone, t.currency, t.assumed_cpc, t.updated_at,
    coalesce(site_role(t.id), '') AS role, st.sequence, t.config
FROM sites t JOIN site_state st ON st.site_id = t.id
WHERE (t.id = $1 OR t.public_id = $2) AND t.id = ANY ($3)
ORDER BY t.id = $1 DESC NULLS LAST LIMIT 1;

-- name: site_of_lead
-- Of the sites that the asker may see ($1) the one that lead $2 belongs to: the first generation named leads by id alone.
SELECT c.site_id FROM calls c WHERE c.site_id = ANY ($1) AND c.id = $2;

-- name: is_site
-- Whether a name is that of a site that this transaction may see.
SELECT EXISTS (SELECT FROM sites t WHERE t.id = $1 OR t.public_id = $2);
