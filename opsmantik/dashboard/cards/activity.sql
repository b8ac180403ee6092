-- name: activity
-- Acts on the leads of site $1 from $2 until $3, newest first, in pages: those after the row ($4, $5), at most $6. $7
-- narrows to one person's, $8 to what people, rules or keys did, $9 to some kinds of act, $10 to what can be taken back:
-- a lead's latest act that is neither an undo nor the platform's answer. The index (site_id, at, id) gives the order; a
-- range holds some thousands of acts, so what is narrowed down is looked at one by one.
SELECT now() AS as_of, st.sequence, x.*
FROM site_state st LEFT JOIN LATERAL (
    SELECT a.id, a.at, a.action, a.actor_kind, a.actor, actor_name(a.site_id, a.actor) AS actor_name, a.from_status,
        a.to_status, a.version, a.before, a.note, a.undoes, a.key_name,
        (SELECT jsonb_object_agg(k, coalesce(
             (SELECT l.before -> k FROM intent_actions l WHERE l.site_id = a.site_id AND l.call_id = a.call_id
                  AND l.version > a.version AND l.before ? k ORDER BY l.version LIMIT 1), to_jsonb(c) -> k))
         FROM jsonb_object_keys(a.before) k) AS after,
        c.id AS lead_id, c.version AS lead_version, c.status AS lead_status, c.intent_action AS lead_action,
        c.source AS lead_captured_by, c.intent_target AS lead_target, c.phone_number AS lead_phone_number,
        c.occurred_at AS lead_occurred_at, c.currency AS lead_currency, u.is_undoable
    FROM intent_actions a
    JOIN calls c ON c.site_id = a.site_id AND c.id = a.call_id
    CROSS JOIN LATERAL (SELECT a.action NOT IN ('undo', 'convert') AND c.merged_into IS NULL AND NOT EXISTS (
        SELECT FROM intent_actions l WHERE l.site_id = a.site_id AND l.call_id = a.call_id AND l.version > a.version
            AND l.action <> 'convert') AS is_undoable) u
    WHERE a.site_id = $1 AND a.at >= $2::timestamptz AND a.at < $3::timestamptz
      AND (a.at, a.id) < ($4::timestamptz, $5::uuid)
      AND ($7::uuid IS NULL OR a.actor = $7) AND ($8::text IS NULL OR a.actor_kind = $8)
      AND ($9::text[] IS NULL OR a.action = ANY ($9)) AND (NOT $10::boolean OR u.is_undoable)
    ORDER BY a.at DESC, a.id DESC LIMIT $6) x ON true
WHERE st.site_id = $1
ORDER BY x.at DESC, x.id DESC;

-- Which people acted, among the newest 2,000 acts of the range.
-- name: actors
SELECT x.actor, actor_name($1, x.actor) AS name
FROM (SELECT DISTINCT n.actor FROM (
    SELECT a.actor FROM intent_actions a
    WHERE a.site_id = $1 AND a.at >= $2::timestamptz AND a.at < $3::timestamptz
    ORDER BY a.at DESC, a.id DESC LIMIT 2000) n WHERE n.actor IS NOT NULL) x
ORDER BY 2, 1 LIMIT 100;
