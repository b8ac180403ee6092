-- Every statement names its site; the functions check besides that the asker may decide there.

-- name: site_role
SELECT site_role($1);

-- name: lead_cases
SELECT * FROM lead_cases_v2($1, $2, $3);

-- name: decide_intent
SELECT decide_intent($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- How many transactions have changed the site, this one included.
-- name: sequence
SELECT sequence FROM site_sequences(ARRAY[$1::uuid]);

-- The site's rules about leads that nobody decides about.
-- name: site_rules
SELECT auto_approve_hours, auto_junk_days FROM sites WHERE id = $1;

-- name: sites_with_rule
SELECT id FROM sites
WHERE CASE $1 WHEN 'approve' THEN auto_approve_hours ELSE auto_junk_days END IS NOT NULL AND disabled_at IS NULL
ORDER BY id;

-- name: leads_to_approve
SELECT leads_to_approve($1, $2, $3, $4, $5, $6, $7);

-- name: leads_to_junk
SELECT leads_to_junk($1, $2, $3, $4, $5);

-- What keeps the rule from sealing, of the oldest $6 leads that have waited for $3 hours: how many for which first reason;
-- null: nothing does. The same conditions as leads_to_approve's (functions/stale_leads.sql), one by one.
-- name: approve_risks
SELECT CASE
        WHEN c.source <> 'click' THEN 'no_tap'
        WHEN coalesce(cardinality(c.suspicion), 0) > 0 THEN 'suspicion'
        WHEN s.id IS NULL OR NOT s.is_paid THEN 'not_paid'
        WHEN NOT s.has_click_id THEN 'no_click_id'
        WHEN s.total_duration_sec < $4 THEN 'glance'
        WHEN s.event_count < $5 THEN 'single_event'
        WHEN EXISTS (SELECT FROM intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id AND a.actor_kind <> 'rule') THEN 'touched'
    END AS reason, count(*)::integer AS n
FROM (SELECT x.site_id, x.id, x.source, x.suspicion, x.matched_session_month, x.matched_session_id FROM calls x
      WHERE x.site_id = $1 AND x.status = ANY ($2) AND x.merged_into IS NULL AND x.created_at < now() - make_interval(hours => $3)
      ORDER BY x.created_at, x.id LIMIT $6) c
LEFT JOIN LATERAL (
    -- One look at the key of one month's partition a lead, never a scan of them all.
    SELECT v.id, v.is_paid, v.has_click_id, v.total_duration_sec, v.event_count FROM sessions v
    WHERE v.site_id = c.site_id AND v.created_month = c.matched_session_month AND v.id = c.matched_session_id LIMIT 1) s ON true
GROUP BY 1 ORDER BY 2 DESC, 1;

-- What a person needs to know a lead by, for a short list of them.
-- name: leads_named
SELECT c.id, c.created_at, c.intent_action, c.intent_target, c.phone_number, s.utm_term, s.utm_campaign
FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
WHERE c.site_id = $1 AND c.id = ANY ($2) ORDER BY c.created_at, c.id;
