-- The asker's own wish on site $1.
-- name: own_summary
SELECT w.pace, w.at_hour FROM summary_wishes w WHERE w.site_id = $1 AND w.user_id = $2;

-- name: wish_summary
SELECT wish_summary($1, $2, $3, $4, $5);

-- name: ask_for_summary
SELECT ask_for_summary($1, $2);

-- name: end_summaries
SELECT end_summaries($1, $2);

-- name: claim_summaries
SELECT * FROM claim_summaries($1, $2);

-- name: finish_summary
SELECT finish_summary($1, $2, $3, $4, $5, $6);
