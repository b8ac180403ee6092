-- The asker's own wish on site $1.
-- name: own_wish
SELECT w.pace, w.quiet_from, w.quiet_until FROM notice_wishes w WHERE w.site_id = $1 AND w.user_id = $2;

-- The asker's own wishes, of the sites ($1) that the transaction sees.
-- name: own_wishes
SELECT w.site_id, s.name AS site_name, w.pace FROM notice_wishes w JOIN sites s ON s.id = w.site_id
WHERE w.site_id = ANY ($1) AND w.user_id = $2 AND w.pace <> 'off' ORDER BY lower(s.name), s.id;

-- name: wish_notices
SELECT wish_notices($1, $2, $3, $4, $5);

-- name: end_notices
SELECT end_notices($1, $2);

-- name: claim_notices
SELECT * FROM claim_notices($1, $2);

-- name: leads_to_notice
SELECT * FROM leads_to_notice($1, $2, $3);

-- name: finish_notices
SELECT finish_notices($1, $2, $3, $4, $5);
