-- broken
ALTER TABLE webhooks ADD CONSTRAINT webhooks_id_key UNIQUE (id);
ALTER TABLE share_links ADD COLUMN webhook uuid REFERENCES webhooks (id);
CREATE INDEX share_links_webhook_idx ON share_links (webhook);
-- finds: public\.share_links\.share_links_webhook_fkey
-- also: 0036_keys_not_led_by_site
-- fixed
ALTER TABLE share_links DROP COLUMN webhook;
ALTER TABLE webhooks DROP CONSTRAINT webhooks_id_key;
