-- Every function checks what the asker may do on the site, or on the platform, itself.

-- name: site_people
SELECT user_id, email, name, role, since, disabled FROM site_people($1);

-- name: set_member_role
SELECT set_member_role($1, $2, $3, $4);

-- name: remove_member
SELECT remove_member($1, $2, $3);

-- name: leave_site
SELECT leave_site($1, $2);

-- name: ownership_offer
SELECT offered_to, receiver, giver, offered_at, expires_at FROM ownership_offer($1);

-- name: offer_ownership
SELECT offer_ownership($1, $2, $3);

-- name: withdraw_ownership
SELECT withdraw_ownership($1, $2);

-- name: answer_ownership
SELECT answer_ownership($1, $2, $3);

-- name: switch_site
SELECT switch_site($1, $2, $3);

-- name: switched_off_at
SELECT disabled_at FROM sites WHERE id = $1;

-- name: platform_people
SELECT user_id, email, name, created_at, disabled_at, is_admin, last_seen_at, site_ids, site_names, memberships
FROM platform_people($1, $2);

-- name: set_account_enabled
SELECT set_account_enabled($1, $2, $3);
