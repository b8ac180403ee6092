-- The asker's own wish on site $1.
-- name: own_wish
SELECT w.pace, w.quiet_from, w.quiet_until FROM notice_wishes w WHERE w.site_id = $1 AND w.user_id = $2;

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
