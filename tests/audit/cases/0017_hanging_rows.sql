-- broken
UPDATE webhook_deliveries SET state = 'failed', next_at = now() - interval '2 hours', delivered_at = NULL
WHERE site_id = (SELECT min(id::text)::uuid FROM sites);
UPDATE lead_notices SET sent_at = NULL;
UPDATE notice_wishes SET next_at = now() - interval '2 hours';
INSERT INTO summary_wishes (site_id, user_id, pace, next_at) SELECT id, user_id, 'daily', now() - interval '2 hours' FROM sites;
INSERT INTO erasures (site_id, id, at, requested_name, kind, subject_hash)
SELECT id, gen_random_uuid(), now() - interval '1 day', 'x', 'visitor', decode(repeat('00', 32), 'hex') FROM sites;
INSERT INTO erasures (site_id, id, at, requested_name, kind, subject_hash, finished_at, certificate)
SELECT id, id, now() - interval '2 days', 'x', 'visitor', decode(repeat('00', 32), 'hex'), now() - interval '2 days', '{}' FROM sites;
INSERT INTO archive_erasures (site_id, erasure_id, month) SELECT id, id, '2024-01-01' FROM sites;
INSERT INTO archived_months (month, sites, begun_at) SELECT '2024-01-01', array_agg(id), now() - interval '2 days' FROM sites;
INSERT INTO upkeep_runs (job, started_at) VALUES ('purge', now() - interval '2 hours'), ('retention', now() - interval '2 hours');
INSERT INTO counter_journal (site_id, changed_at) SELECT id, now() - interval '1 hour' FROM sites;
UPDATE rejected_events SET replay_count = 1;
-- finds: public\.webhook_deliveries
-- finds: public\.lead_notices
-- finds: public\.summary_wishes
-- finds: public\.erasures
-- finds: public\.archive_erasures
-- finds: public\.archived_months
-- finds: public\.upkeep_runs
-- finds: public\.counter_journal
-- finds: public\.replays
-- fixed
UPDATE webhook_deliveries SET state = 'given_up';
UPDATE lead_notices SET sent_at = now();
UPDATE summary_wishes SET next_at = now() + interval '1 day';
DELETE FROM archive_erasures;
DELETE FROM archived_months;
DELETE FROM erasures;
UPDATE upkeep_runs SET finished_at = now(), outcome = 'lost' WHERE finished_at IS NULL;
SELECT fold_counters(site_id) FROM sites_to_fold() AS site_id;
UPDATE rejected_events SET replay_count = 0;
