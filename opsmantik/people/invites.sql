-- Every function checks the asker's role on the site itself, or the link that they hold.

-- name: site_invites
SELECT id, email, role, turn, created_at, expires_at, sent_at, sent_count, inviter, state FROM site_invites($1);

-- The turn that a new one comes after.
-- name: open_invite
SELECT turn, email, role FROM invites WHERE site_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL;

-- name: invite_member
SELECT outcome, retry_after FROM invite_member($1, $2, $3, $4, $5, $6);

-- name: resend_invite
SELECT outcome, retry_after FROM resend_invite($1, $2, $3, $4, $5);

-- name: revoke_invite
SELECT revoke_invite($1, $2, $3) AS outcome;

-- name: note_invite_sent
SELECT note_invite_sent($1, $2, $3);

-- name: invite_by_link
SELECT site_name, email, role, inviter, expires_at, state, has_account FROM invite_by_link($1);

-- name: accept_invite
SELECT outcome, site FROM accept_invite($1, $2);

-- name: join_by_invite
SELECT outcome, site FROM join_by_invite($1, $2, $3, $4, $5, $6);
