-- name: site_acts
SELECT id, at, actor_name, address, action, subject, detail FROM site_acts
WHERE site_id = $1 AND (at, id) < ($2, $3) ORDER BY at DESC, id DESC LIMIT $4;

-- name: platform_acts
SELECT id, at, actor_name, address, action, subject, detail FROM platform_log($1, $2);
