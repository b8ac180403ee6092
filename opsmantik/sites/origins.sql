-- name: origins
SELECT o.origin, o.created_at, o.verified_at, o.last_seen_at FROM site_origins o WHERE o.site_id = $1
ORDER BY o.created_at, o.origin;

-- name: add_origin
SELECT add_origin($1, $2, $3, $4);

-- name: remove_origin
SELECT remove_origin($1, $2, $3);
