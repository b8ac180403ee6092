-- name: keep
INSERT INTO audit_runs (started_at, seconds, errors, warnings, unknown, report) VALUES ($1, $2, $3, $4, $5, $6);

-- name: forget
-- All but the newest so many.
DELETE FROM audit_runs WHERE id NOT IN (SELECT id FROM audit_runs ORDER BY started_at DESC, id DESC LIMIT $1);

-- name: latest
SELECT report FROM audit_runs ORDER BY started_at DESC, id DESC LIMIT 1;

-- name: platform
-- The newest $1 runs, for whoever runs the platform.
SELECT report, asked_at FROM platform_audits($1);

-- name: of_site
-- What the newest run found about site $1.
SELECT started_at, findings FROM site_audit($1);

-- name: ask
SELECT ask_for_audit($1);
