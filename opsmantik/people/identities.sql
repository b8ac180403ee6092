-- Accounts elsewhere. The first is asked before anybody is signed in; the others about the person whose transaction it is.

-- name: use_identity
SELECT user_id, disabled FROM use_identity($1, $2);

-- name: own_identities
SELECT id, issuer, email, created_at, last_used_at FROM user_identities WHERE user_id = $1 ORDER BY created_at, id;

-- name: link_identity
SELECT link_identity($1, $2, $3, $4, $5);

-- name: unlink_identity
SELECT unlink_identity($1, $2, $3);
