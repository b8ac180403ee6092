-- Row security shows only what the asker may see; each query names its sites as well, so that a mistake in one
-- of the two walls is not yet a leak.

-- name: list_sites
SELECT id, public_id, name, domain, time_zone, region, currency, created_at, disabled_at
FROM sites WHERE id = ANY ($1) ORDER BY lower(name), id;

-- name: sites_to_open
SELECT x.id, x.name, x.domain, x.disabled_at, site_role(x.id) AS role
FROM (SELECT s.id, s.name, s.domain, s.disabled_at FROM sites s WHERE s.id = ANY ($1) ORDER BY lower(s.name), s.id LIMIT $2) x
ORDER BY lower(x.name), x.id;

-- name: one_site
SELECT id, public_id, name, domain, time_zone, region, currency, created_at, disabled_at
FROM sites WHERE id = $1 AND id = ANY ($2);

-- name: create_site
SELECT create_site($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- How often the site has been written to. 0 before its first event.
-- name: sequence
SELECT coalesce((SELECT sequence FROM site_state WHERE site_id = $1), 0);

-- The same of many sites, for whoever tells screens that something changed.
-- name: sequences
SELECT site_id, sequence FROM site_sequences($1);
