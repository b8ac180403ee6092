-- name: refused_counts
-- By reason: what the books say, and what is kept. Everything else that the books know was stored in some way.
SELECT coalesce(c.outcome, k.reason) AS reason, coalesce(c.n, 0) AS refused, coalesce(k.kept, 0) AS kept,
    coalesce(k.waiting, 0) AS waiting
FROM (SELECT b.outcome, sum(b.n)::bigint AS n FROM ingest_counts b
    WHERE b.site_id = $1 AND b.hour >= $2 AND b.outcome NOT IN ('stored', 'pulse', 'duplicate')
    GROUP BY b.outcome HAVING sum(b.n) > 0) c
FULL JOIN (SELECT r.reason, count(*) AS kept, count(*) FILTER (WHERE r.replayed_at IS NULL) AS waiting
    FROM rejected_events r WHERE r.site_id = $1 AND r.received_at >= $2 GROUP BY r.reason) k ON k.reason = c.outcome
ORDER BY 2 DESC, 1;

-- name: groups
-- The bots and origins whose events can be let in, most first.
SELECT r.reason, r.detail AS name, count(*) AS waiting, max(r.received_at) AS last_at FROM rejected_events r
WHERE r.site_id = $1 AND r.received_at >= $2 AND r.reason IN ('bot', 'origin_refused') AND r.detail IS NOT NULL
  AND r.replayed_at IS NULL
GROUP BY r.reason, r.detail ORDER BY 3 DESC, 4 DESC, 2 LIMIT $3;

-- name: examples
SELECT r.id, r.received_at, r.door, r.reason, r.detail, r.origin, r.user_agent, host(r.ip_address) AS ip, r.payload,
    r.replay_count, r.last_replay_error, r.replayed_at
FROM rejected_events r
WHERE r.site_id = $1 AND r.received_at >= $2 AND ($3::text IS NULL OR r.reason = $3) AND (r.received_at, r.id) < ($4, $5)
ORDER BY r.received_at DESC, r.id DESC LIMIT $6;
