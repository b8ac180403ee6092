-- Row security shows only the asker's sites; each query names its site as well. What is written goes through functions,
-- which ask for the role again.

-- name: webhooks
SELECT w.id, w.url, w.events, w.with_phone, w.with_click_id, w.off_reason, w.failing_since, w.rotating_since, w.created_at,
    (SELECT count(*) FROM webhook_deliveries d
     WHERE d.site_id = w.site_id AND d.webhook_id = w.id AND d.state IN ('waiting', 'failed')) AS waiting
FROM webhooks w WHERE w.site_id = $1 ORDER BY w.created_at, w.id;

-- The log of one webhook, newest first, from behind ($3, $4) on; only of state $5 where that is not null.
-- name: deliveries
SELECT d.id, d.webhook_id, d.event_id, d.type, d.state, d.attempts, d.next_at, d.tries, d.response, d.payload, d.created_at,
    d.delivered_at
FROM webhook_deliveries d
WHERE d.site_id = $1 AND d.webhook_id = $2 AND ($3::timestamptz IS NULL OR (d.created_at, d.id) < ($3, $4::uuid))
  AND ($5::text IS NULL OR d.state = $5)
ORDER BY d.created_at DESC, d.id DESC LIMIT $6;

-- name: delivery
SELECT d.id, d.webhook_id, d.event_id, d.type, d.state, d.attempts, d.next_at, d.tries, d.response, d.payload, d.created_at,
    d.delivered_at
FROM webhook_deliveries d WHERE d.site_id = $1 AND d.webhook_id = $2 AND d.id = $3;

-- name: add_webhook
SELECT add_webhook($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: change_webhook
SELECT change_webhook($1, $2, $3, $4, $5, $6, $7, $8);

-- name: webhook_secrets
SELECT secret, next_secret, key_id FROM webhook_secrets($1, $2);

-- name: put_webhook_secrets
SELECT put_webhook_secrets($1, $2, $3, $4, $5, $6);

-- name: remove_webhook
SELECT remove_webhook($1, $2, $3);

-- name: try_webhook
SELECT try_webhook($1, $2, $3, $4);

-- name: replay_delivery
SELECT replay_delivery($1, $2, $3, $4);

-- name: claim_deliveries
SELECT * FROM claim_deliveries($1, $2, $3, $4);

-- name: finish_delivery
SELECT * FROM finish_delivery($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
