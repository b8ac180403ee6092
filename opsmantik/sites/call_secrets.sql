-- What a site's telephone system signs with. The secret itself can be read by no query: the page shows it when it is made.

-- name: call_secrets
SELECT c.id, c.place, c.created_at FROM call_secrets c WHERE c.site_id = $1 ORDER BY c.place;

-- name: takes_unsigned_calls
SELECT unsigned_calls FROM sites WHERE id = $1;

-- name: make_call_secret
SELECT make_call_secret($1, $2, $3, $4, $5);

-- name: remove_call_secret
SELECT remove_call_secret($1, $2, $3);

-- name: allow_unsigned_calls
SELECT allow_unsigned_calls($1, $2, $3);
