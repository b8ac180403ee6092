-- Events that were refused and kept. They hold what a visitor's browser sent, so only who runs a site may look.

-- name: sites_to_tend
SELECT coalesce(array_agg(s.id), '{}') FROM sites s
WHERE s.id = ANY ($1) AND site_role(s.id) IN ('platform_admin', 'owner', 'admin');

-- name: dead_letters
SELECT r.site_id, r.id, r.received_at, r.door, r.reason, r.detail, r.payload, r.replay_count, r.last_replay_at,
    r.last_replay_error, r.replayed_at, r.origin, r.user_agent, host(r.ip_address) AS ip, r.sent_ms, r.tracker
FROM rejected_events r WHERE r.site_id = ANY ($1) ORDER BY r.received_at DESC, r.id DESC LIMIT $2 OFFSET $3;

-- name: dead_letter
SELECT r.site_id, r.id, r.received_at, r.door, r.reason, r.detail, r.payload, r.replay_count, r.last_replay_at,
    r.last_replay_error, r.replayed_at, r.origin, r.user_agent, host(r.ip_address) AS ip, r.sent_ms, r.tracker
FROM rejected_events r WHERE r.site_id = ANY ($1) AND r.id = $2;

-- Who tried to let what in, newest first; of one event where $2 names it.
-- name: replays
SELECT p.site_id, p.id, p.rejected_id, p.at, p.actor, p.actor_email, p.replay_count, p.outcome, p.error
FROM replays p WHERE p.site_id = ANY ($1) AND ($2::uuid IS NULL OR p.rejected_id = $2)
ORDER BY p.at DESC, p.id DESC LIMIT $3;

-- name: record_replay
SELECT replay_count, last_replay_at, last_replay_error FROM record_replay($1, $2, $3, $4, $5, $6);

-- name: lock_rejected
SELECT r.site_id, r.id, r.received_at, r.door, r.reason, r.detail, r.payload, r.replay_count, r.last_replay_at,
    r.last_replay_error, r.replayed_at, r.origin, r.user_agent, host(r.ip_address) AS ip, r.sent_ms, r.tracker
FROM lock_rejected($1, $2) r;

-- name: record_replays
SELECT rejected_id, replay_count, last_replay_at FROM record_replays($1, $2, $3, $4, $5);

-- Of a site's refused events those of one reason, and of one bot or origin where $3 names it, that are not in yet. The
-- least tried come first, so that those that are refused again are in nobody's way; $5: tried before this moment.
-- name: to_let_in
SELECT r.id FROM rejected_events r
WHERE r.site_id = $1 AND r.reason = $2 AND ($3::text IS NULL OR r.detail = $3) AND r.replayed_at IS NULL
  AND (r.last_replay_at IS NULL OR r.last_replay_at < $5)
ORDER BY r.replay_count, r.received_at, r.id LIMIT $4;

-- How many more there are.
-- name: left_to_let_in
SELECT count(*) FROM (SELECT FROM rejected_events r
WHERE r.site_id = $1 AND r.reason = $2 AND ($3::text IS NULL OR r.detail = $3) AND r.replayed_at IS NULL
  AND (r.last_replay_at IS NULL OR r.last_replay_at < $4) LIMIT 100000) x;
