-- broken
CREATE UNIQUE INDEX webhooks_url_key ON webhooks (url, site_id);
ALTER TABLE calls ADD CONSTRAINT calls_id_key UNIQUE (id);
-- finds: public\.webhooks_url_key
-- finds: public\.calls_id_key
-- fixed
DROP INDEX webhooks_url_key;
ALTER TABLE calls DROP CONSTRAINT calls_id_key;
