-- name: values
SELECT s.config, s.currency, s.conversion_time, s.undo_minutes, s.updated_at FROM sites s WHERE s.id = $1;

-- name: change_values
SELECT change_site_values_v2($1, $2, $3, $4, $5, $6, $7);
