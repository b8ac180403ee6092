-- What is known of one person on one site. The functions check besides that the asker may know; the reads are under row
-- security. Ids come from find_person.

-- Reading all texts of a large site takes its time.
-- name: patience
SET LOCAL statement_timeout = '300s';

-- name: find_person
SELECT sessions, months, calls, visitors, rejected FROM find_person($1, $2, $3, $4, $5);

-- name: person_sizes
SELECT name, month, n FROM person_sizes($1, $2, $3, $4, $5, $6) ORDER BY name, month;

-- Those who tapped this number, by their visits: it is not theirs.
-- name: tapped_by
SELECT count(DISTINCT c.matched_session_id) FROM calls c
WHERE c.site_id = $1 AND c.phone_number = $2 AND c.source = 'click';

-- name: begin_erasure
SELECT begin_erasure($1, $2, $3, $4, $5, $6, $7, $8);

-- name: note_export
SELECT note_privacy($1, $2, 'privacy.export', $3, $4);

-- name: erase_visits
SELECT erase_visits($1, $2, $3, $4);

-- name: erase_rest
SELECT erase_rest($1, $2, $3, $4, $5, $6);

-- name: erasure_row
SELECT (r).id, (r).at, (r).requested_name, (r).kind, (r).subject_hash, (r).with_taps, (r).subject, (r).key_id, (r).parts,
    (r).sent_orders, (r).finished_at, (r).certificate, now() AS now,
    EXISTS (SELECT FROM archive_erasures a WHERE a.site_id = $1 AND a.erasure_id = $2) AS archived
FROM erasure_row($1, $2) AS r;

-- name: finish_erasure
SELECT finish_erasure($1, $2, $3);

-- name: erasures
SELECT e.id, e.at, e.requested_name, e.kind, encode(e.subject_hash, 'hex') AS subject_hash, e.finished_at
FROM erasures e WHERE e.site_id = $1 ORDER BY e.at DESC, e.id DESC LIMIT $2;

-- name: certificate
SELECT e.certificate FROM erasures e WHERE e.site_id = $1 AND e.id = $2;

-- As the schema's owner: what was cut off, of all sites.
-- name: unfinished
SELECT site_id, id FROM erasures WHERE finished_at IS NULL AND at < now() - $1::interval ORDER BY at;

-- name: site_privacy
SELECT s.id, s.public_id, s.name, s.domain, s.region, s.consent_mode, s.keep_ip, s.ip_forgotten, s.retention_months, s.facts_since
FROM sites s WHERE s.id = $1;

-- name: site_named
SELECT s.id FROM sites s WHERE s.id = $1 OR s.public_id = $2;

-- name: change_privacy
SELECT change_privacy($1, $2, $3, $4, $5);

-- name: retention_preview
SELECT before, sessions, calls, kept_calls, visitors FROM retention_preview($1, $2);

-- The export.

-- name: sessions
SELECT s.* FROM session_keys k JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
WHERE k.site_id = $1 AND k.id = ANY ($2) ORDER BY s.created_at, s.id;

-- name: events
SELECT e.* FROM events e WHERE e.site_id = $1 AND e.session_month = ANY ($3) AND e.session_id = ANY ($2)
ORDER BY e.created_at, e.id LIMIT $4;

-- name: calls
SELECT c.* FROM calls c WHERE c.site_id = $1 AND c.id = ANY ($2) ORDER BY c.created_at, c.id;

-- name: decisions
SELECT a.* FROM intent_actions a WHERE a.site_id = $1 AND a.call_id = ANY ($2) ORDER BY a.at, a.id;

-- name: conversions
SELECT v.* FROM conversions v WHERE v.site_id = $1 AND v.call_id = ANY ($2) ORDER BY v.created_at, v.id;

-- name: conversion_moves
SELECT m.* FROM conversion_moves m JOIN conversions v ON v.site_id = m.site_id AND v.id = m.conversion_id
WHERE m.site_id = $1 AND v.site_id = $1 AND v.call_id = ANY ($2) ORDER BY m.at, m.id;

-- name: visitors
SELECT v.* FROM visitors v WHERE v.site_id = $1 AND v.id = ANY ($2) ORDER BY v.id;

-- name: rejected
SELECT r.* FROM rejected_events r WHERE r.site_id = $1 AND r.id = ANY ($2) ORDER BY r.received_at, r.id;

-- name: deliveries
SELECT d.id, d.created_at, d.type, d.call_id, d.payload, d.state, d.delivered_at FROM webhook_deliveries d
WHERE d.site_id = $1 AND d.call_id = ANY ($2) ORDER BY d.created_at, d.id;
