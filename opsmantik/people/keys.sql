-- Keys for programs. The application can read all of a key's row but its hash, and write none of it.

-- Who holds the key with this hash; the same work for a key that nobody has.
-- name: key_holder
SELECT key_id, label, scopes, site_id, user_id, email, name, language, theme FROM key_holder($1, $2);

-- name: person_keys
SELECT k.id, k.name, k.last_four, k.scopes, k.only_site, k.created_at, k.expires_at, k.last_used_at, k.revoked_at, k.replaced_by,
    NULL::text AS made_by, k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AS is_live
FROM person_keys k WHERE k.user_id = $1 ORDER BY is_live DESC, k.created_at DESC, k.id LIMIT 200;

-- name: site_keys
SELECT k.id, k.name, k.last_four, k.scopes, k.site_id AS only_site, k.created_at, k.expires_at, k.last_used_at, k.revoked_at,
    k.replaced_by, key_maker_name(k.site_id, k.created_by) AS made_by,
    k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AS is_live
FROM site_keys k WHERE k.site_id = $1 ORDER BY is_live DESC, k.created_at DESC, k.id LIMIT 200;

-- name: make_person_key
SELECT make_person_key($1, $2, $3, $4, $5, $6, $7, $8);

-- name: rotate_person_key
SELECT rotate_person_key($1, $2, $3, $4, $5, $6);

-- name: revoke_person_key
SELECT revoke_person_key($1, $2);

-- name: make_site_key
SELECT make_site_key($1, $2, $3, $4, $5, $6, $7, $8);

-- name: rotate_site_key
SELECT rotate_site_key($1, $2, $3, $4, $5, $6, $7);

-- name: revoke_site_key
SELECT revoke_site_key($1, $2, $3);
