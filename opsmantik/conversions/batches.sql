-- Row security shows only the asker's sites, and each query names its site as well.

-- name: batches
-- Newest first, a page at a time; the counts are read of the page's batches alone.
SELECT b.id, b.kind, b.adapter, b.state, b.size, b.created_at, b.created_name AS made_by, b.sent_at, b.finished_at, b.next_at,
    b.file_name, encode(b.digest, 'hex') AS digest, b.downloads, b.error, n.accepted, n.failed, n.waiting, n.rows
FROM conversion_batches b CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE i.outcome IN ('accepted', 'matched', 'gone')) AS accepted,
        count(*) FILTER (WHERE i.outcome = 'failed') AS failed, count(*) FILTER (WHERE i.outcome IS NULL) AS waiting, count(*) AS rows
    FROM conversion_batch_items i WHERE i.site_id = $1 AND i.batch_id = b.id) n
WHERE b.site_id = $1 AND (b.created_at, b.id) < ($2, $3) AND ($4::text IS NULL OR b.state = $4)
ORDER BY b.created_at DESC, b.id DESC LIMIT $5;

-- name: one_batch
SELECT b.id, b.kind, b.adapter, b.state, b.size, b.created_at, b.created_name AS made_by, b.sent_at, b.finished_at, b.next_at,
    b.file_name, encode(b.digest, 'hex') AS digest, b.downloads, b.error, n.accepted, n.failed, n.waiting, n.rows
FROM conversion_batches b CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE i.outcome IN ('accepted', 'matched', 'gone')) AS accepted,
        count(*) FILTER (WHERE i.outcome = 'failed') AS failed, count(*) FILTER (WHERE i.outcome IS NULL) AS waiting, count(*) AS rows
    FROM conversion_batch_items i WHERE i.site_id = $1 AND i.batch_id = b.id) n
WHERE b.site_id = $1 AND b.id = $2;

-- name: items
SELECT i.position, i.conversion_id, i.order_id, i.occurred_at, i.value, i.currency, i.outcome, i.reason, i.detail, v.call_id AS lead_id
FROM conversion_batch_items i JOIN conversions v ON v.site_id = $1 AND v.id = i.conversion_id
WHERE i.site_id = $1 AND i.batch_id = $2 ORDER BY i.position;

-- name: newest_open
-- What somebody made to carry it themselves; what Google fetches by itself was made by no one.
SELECT b.id FROM conversion_batches b
WHERE b.site_id = $1 AND b.adapter = 'file' AND b.state = 'open' AND b.created_name IS NOT NULL
ORDER BY b.created_at DESC, b.id DESC LIMIT 1;

-- name: places
-- Which conversions of a batch are still without an answer, by place and by order id.
SELECT i.position, i.order_id, i.outcome FROM conversion_batch_items i WHERE i.site_id = $1 AND i.batch_id = $2;

-- name: batch_file
SELECT batch_file($1, $2);

-- name: preview
SELECT preview_conversions($1, $2, $3, $4, $5);

-- name: release
SELECT release_batch($1, $2, $3);

-- Google's own fetching, to which nobody is signed in.

-- name: pull_route
SELECT site_id, secret, key_id, is_on FROM pull_route($1);

-- name: pull_batches
SELECT pull_batches($1);

-- name: note_pull
SELECT note_pull($1, $2);
