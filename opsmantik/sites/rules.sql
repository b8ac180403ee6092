-- name: rules
SELECT s.auto_approve_hours, s.auto_junk_days, s.allowed_bots, s.unsigned_calls, s.updated_at FROM sites s WHERE s.id = $1;

-- name: change_rules
SELECT change_site_rules($1, $2, $3, $4, $5);
