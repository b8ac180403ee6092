-- Tokens of other services. The application may not read the sealed columns, so each of these is a function of the owner
-- that answers about the person whose transaction it is.

-- name: credential_place
SELECT credential_place($1, $2);

-- name: put_credential
SELECT put_credential($1, $2, $3, $4, $5, $6);

-- name: sealed_credential
SELECT id, access_token, refresh_token, key_id, expires_at FROM sealed_credential($1);

-- name: drop_credential
SELECT drop_credential($1, $2);
