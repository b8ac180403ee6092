-- name: share_links
-- The links to the figures of site $1, newest first, for those who may make one.
SELECT k.id, k.name, k.paid_only, k.created_at, share_maker_name(k.site_id, k.created_by) AS made_by, k.expires_at,
    k.last_used_at, coalesce(k.expires_at > now(), true) AS is_live
FROM share_links k WHERE k.site_id = $1 ORDER BY k.created_at DESC, k.id DESC;

-- name: make_share_link
SELECT make_share_link($1, $2, $3, $4, $5, $6, $7, $8);

-- name: revoke_share_link
SELECT revoke_share_link($1, $2, $3);

-- name: share_link_by_hash
SELECT * FROM share_link_by_hash($1);
