-- name: keep
INSERT INTO audit_runs (started_at, seconds, errors, warnings, unknown, report) VALUES ($1, $2, $3, $4, $5, $6);

-- name: forget
-- All but the newest so many.
DELETE FROM audit_runs WHERE id NOT IN (SELECT id FROM audit_runs ORDER BY started_at DESC, id DESC LIMIT $1);

-- name: latest
SELECT report FROM audit_runs ORDER BY started_at DESC, id DESC LIMIT 1;
