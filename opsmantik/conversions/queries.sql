-- The sender's own: it works for all sites, through functions of the schema's owner.

-- name: queue
SELECT queue_conversions($1);

-- name: claim
SELECT claim_conversions($1, $2, $3);

-- name: finish
SELECT finish_conversions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: note_provider
SELECT note_provider($1, $2, $3, $4, $5, $6);

-- name: providers
SELECT * FROM providers();

-- name: switch_provider
SELECT switch_provider($1, $2, $3);

-- People's and programs': row security shows only the asker's sites, and each query names its site as well.

-- name: route
SELECT r.adapter, r.is_on, r.destination, r.with_hashes, r.has_grant AS has_secret, r.connected_by, r.trouble, r.trouble_at,
    r.not_before, r.updated_at
FROM conversion_routes r WHERE r.site_id = $1;

-- name: set_route
SELECT set_conversion_route($1, $2, $3, $4, $5, $6);

-- name: switch_route
SELECT switch_conversion_route($1, $2, $3);

-- name: put_secret
SELECT put_conversion_secret($1, $2, $3, $4, $5);

-- name: secret
SELECT secret, key_id, connected_by FROM conversion_secret($1);

-- name: lends
-- Whether one of these sites uses this person's connection with Google.
SELECT EXISTS (SELECT FROM conversion_routes r WHERE r.site_id = ANY ($1) AND r.connected_by = $2 AND NOT r.has_grant
    AND r.adapter IN ('data_manager', 'google_ads'));

-- name: export
SELECT export_conversions($1, $2, $3, $4, $5, $6);

-- name: reclaim
SELECT reclaim_batch($1, $2, $3);

-- name: batch_rows
SELECT batch_rows($1, $2);

-- name: note_download
SELECT note_download($1, $2, $3, $4);

-- name: answer
SELECT answer_batch($1, $2, $3, $4, $5, $6);

-- name: retry
SELECT retry_conversions($1, $2, $3);

-- name: drop
SELECT drop_conversions($1, $2, $3);
