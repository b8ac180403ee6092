-- Before anybody is signed in no row of these tables can be read; functions of the owner answer about one
-- account or one cookie each.

-- name: account_by_email
SELECT id, password_hash, disabled FROM account_by_email($1);

-- name: let_in
SELECT let_in($1, $2, $3, $4, $5, $6, $7);

-- name: signed_in
SELECT user_id, email, name, language, theme, is_admin, sign_in_id, confirmed_at, is_due FROM signed_in_v2($1, $2, $3);

-- name: see_sign_in
SELECT see_sign_in($1, $2);

-- name: end_sign_in
SELECT end_sign_in($1);

-- name: keep_rehash
SELECT keep_rehash($1, $2, $3);

-- name: begin_attempt
SELECT begin_attempt($1, $2, $3, $4);

-- name: forgive_attempt
SELECT forgive_attempt($1);

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

-- The second factor.

-- name: half_sign_in
SELECT user_id, email, id, secret, key_id, last_step FROM half_sign_in($1);

-- name: pass_second_factor
SELECT pass_second_factor($1, $2, $3, $4, $5);

-- name: own_second_factor
SELECT id, secret, key_id, last_step, confirmed_at, codes_left FROM own_second_factor();

-- name: begin_second_factor
SELECT begin_second_factor($1, $2, $3);

-- name: confirm_second_factor
SELECT confirm_second_factor($1, $2, $3, $4, $5, $6);

-- name: new_recovery_codes
SELECT new_recovery_codes($1, $2, $3, $4);

-- name: drop_second_factor
SELECT drop_second_factor($1, $2, $3);

-- name: confirm_sign_in
SELECT confirm_sign_in($1, $2, $3, $4);

-- One's own account. The rows' own policy shows a person the sign-ins of theirs alone.

-- name: own_sign_ins
SELECT id, method, user_agent, address, created_at, last_seen_at, second_factor_at FROM sign_ins
WHERE user_id = $1 AND expires_at > now() AND last_seen_at > now() - $2::interval ORDER BY last_seen_at DESC, id;

-- name: end_own_sign_in
SELECT end_own_sign_in($1);

-- name: end_own_sign_ins
SELECT end_own_sign_ins($1);

-- name: change_own_name
SELECT change_own_name($1, $2);

-- name: change_own_password
SELECT change_own_password($1, $2, $3, $4, $5);

-- name: change_own_email
SELECT change_own_email($1, $2);

-- name: offer_email_link
SELECT offer_email_link($1, $2, $3);

-- name: email_link
SELECT email_link($1);

-- name: use_email_link
SELECT use_email_link($1, $2);

-- name: offer_password_link
SELECT email, language FROM offer_password_link($1, $2, $3);

-- name: password_link
SELECT password_link($1);

-- name: use_password_link
SELECT use_password_link($1, $2, $3, $4);

-- Accounts, as the owner at the server's command line.

-- name: list_users
SELECT id, email, name, is_admin, created_at, disabled_at, has_password, has_second_factor, last_seen_at FROM list_users();

-- name: add_user
SELECT add_user($1, $2, $3, $4, $5);

-- name: switch_user
SELECT switch_user($1, $2, $3);

-- name: reset_second_factor
SELECT reset_second_factor($1, $2);

-- name: offer_user_link
SELECT offer_user_link($1, $2, $3, $4);
