-- Before anybody is signed in no row of these tables can be read; functions of the owner answer about one
-- account or one cookie each.

-- name: account_by_email
SELECT id, password_hash, disabled FROM account_by_email($1);

-- name: open_sign_in
SELECT open_sign_in($1, $2, $3, $4);

-- name: signed_in
SELECT user_id, email, name, language, theme, is_admin FROM signed_in($1);

-- name: end_sign_in
SELECT end_sign_in($1);

-- name: create_first_admin
SELECT create_first_admin($1, $2, $3, $4, $5);

-- name: first_admin_link_open
SELECT first_admin_link_open($1);

-- name: has_users
SELECT has_users();

-- name: administrators
SELECT id, email FROM administrators();

-- The row's own policy lets a person change only their own profile, and the grant only these two columns.
-- name: set_language
UPDATE profiles SET language = $2 WHERE id = $1;

-- name: set_theme
UPDATE profiles SET theme = $2 WHERE id = $1;

-- name: offer_first_admin
SELECT offer_first_admin($1, $2);
