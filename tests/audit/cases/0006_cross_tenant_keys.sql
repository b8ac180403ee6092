-- broken
ALTER TABLE webhooks ADD CONSTRAINT webhooks_id_key UNIQUE (id);
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_webhook_fkey;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_webhook_fkey FOREIGN KEY (webhook_id) REFERENCES webhooks (id);
UPDATE webhook_deliveries d SET webhook_id = (SELECT w.id FROM webhooks w WHERE w.site_id <> d.site_id)
WHERE d.site_id = (SELECT min(id::text)::uuid FROM sites);
-- finds: webhook_deliveries \(webhook_deliveries_webhook_fkey\)
-- also: 0036_keys_not_led_by_site
-- also: 0037_references_without_site
-- also: 0051_unindexed_foreign_keys
-- fixed
UPDATE webhook_deliveries d SET webhook_id = (SELECT w.id FROM webhooks w WHERE w.site_id = d.site_id);
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_webhook_fkey;
ALTER TABLE webhooks DROP CONSTRAINT webhooks_id_key;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_webhook_fkey FOREIGN KEY (site_id, webhook_id)
    REFERENCES webhooks (site_id, id) ON DELETE CASCADE;
