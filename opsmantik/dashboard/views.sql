-- Views of the leads' list, and what leaves it as a file.

-- name: saved_views
SELECT v.id, v.name, v.query, v.is_shared, v.user_id = $2 AS is_own FROM saved_views v WHERE v.site_id = $1
ORDER BY lower(v.name), v.id;

-- name: keep_view
SELECT keep_view($1, $2, $3, $4, $5, $6);

-- name: change_view
SELECT change_view($1, $2, $3, $4);

-- name: remove_view
SELECT remove_view($1, $2);

-- name: note_export
SELECT note_act($1, $2, 'leads.export', NULL, $3);
