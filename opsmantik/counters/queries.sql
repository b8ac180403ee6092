-- As the application's role: the functions name their sites themselves.

-- name: sites_to_fold
SELECT site_id FROM sites_to_fold() AS site_id;

-- name: fold
SELECT fold_counters($1);

-- As the schema's owner, with app.maintenance on.

-- name: sites
SELECT id, name FROM sites WHERE $1::uuid IS NULL OR id = $1 ORDER BY lower(name), id;

-- name: site_by_public_id
SELECT id FROM sites WHERE public_id = $1;

-- One snapshot, so that what comes in meanwhile is on both sides or on neither.
-- name: differences
SELECT day, dimension, key, is_paid, measure, counted, recounted FROM counter_differences($1, $2, $3)
ORDER BY day, dimension, key, is_paid, measure;

-- name: lead_differences
SELECT call_id FROM lead_search_differences($1) AS call_id ORDER BY call_id;

-- name: rebuild
SELECT rebuild_counters($1, $2, $3);

-- Sites whose rows are older than their counters.
-- name: sites_to_build
SELECT site_id FROM site_pulse WHERE counted_at IS NULL ORDER BY site_id;

-- name: change_clock
SELECT change_site_clock($1, $2, $3);
