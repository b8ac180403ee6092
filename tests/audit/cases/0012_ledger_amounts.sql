-- broken
UPDATE conversions SET value = value + 1 WHERE state = 'held' AND site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
-- broken: the currency
UPDATE conversions SET currency = 'EUR' WHERE state = 'skipped' AND site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
-- broken: an amount that the lead does not have
UPDATE calls SET sale_amount = NULL WHERE sale_amount IS NOT NULL AND site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE calls SET sale_amount = 1000 WHERE status = 'sealed';
