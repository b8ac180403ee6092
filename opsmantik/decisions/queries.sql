-- Every statement names its site; the functions check besides that the asker may decide there.

-- name: site_role
SELECT site_role($1);

-- name: lead_cases
SELECT * FROM lead_cases($1, $2, $3);

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
