-- broken
ALTER TABLE calls DROP CONSTRAINT calls_status_check;
UPDATE calls SET status = 'confirmed' WHERE status = 'intent' AND merged_into IS NULL AND version = 1
    AND site_id = (SELECT min(id::text)::uuid FROM sites);
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE calls SET status = 'intent' WHERE status = 'confirmed';
-- broken: none at all
ALTER TABLE calls ALTER status DROP NOT NULL;
UPDATE calls SET status = NULL WHERE status = 'intent' AND merged_into IS NOT NULL AND site_id = (SELECT min(id::text)::uuid FROM sites);
-- finds: site .*0001
-- fixed
UPDATE calls SET status = 'intent' WHERE status IS NULL;
