-- broken
CREATE INDEX calls_again_idx ON calls (site_id, status, created_at DESC, id DESC);
CREATE UNIQUE INDEX users_email_again_idx ON users (email);
-- finds: public\.calls_again_idx
-- finds: public\.users_email_again_idx
-- fixed
