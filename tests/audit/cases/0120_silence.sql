-- broken: a site has gone silent
DELETE FROM ingest_tally;
INSERT INTO ingest_tally (site_id, hour, outcome, n)
SELECT s.id, date_trunc('hour', now()) - make_interval(hours => h + 168 * w), 'stored', 10
FROM sites s CROSS JOIN generate_series(1, 24) h CROSS JOIN generate_series(1, 4) w WHERE s.id = (SELECT min(id::text)::uuid FROM sites);
UPDATE site_pulse SET last_event_at = now() - interval '2 days';
-- finds: site .*0001
-- fixed
INSERT INTO ingest_tally (site_id, hour, outcome, n)
SELECT id, date_trunc('hour', now()) - make_interval(hours => h), 'stored', 10 FROM sites CROSS JOIN generate_series(1, 24) h
ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = excluded.n;
UPDATE site_pulse SET last_event_at = now();
-- broken: a site runs dry
DELETE FROM ingest_tally;
INSERT INTO ingest_tally (site_id, hour, outcome, n)
SELECT s.id, date_trunc('hour', now()) - make_interval(hours => h + 168 * w), 'stored', 10
FROM sites s CROSS JOIN generate_series(1, 24) h CROSS JOIN generate_series(1, 4) w WHERE s.id = (SELECT min(id::text)::uuid FROM sites);
UPDATE site_pulse SET last_event_at = now() - interval '2 days';
INSERT INTO ingest_tally (site_id, hour, outcome, n)
SELECT min(id::text)::uuid, date_trunc('hour', now()) - interval '1 hour', 'stored', 5 FROM sites;
-- finds: site .*0001
-- fixed
INSERT INTO ingest_tally (site_id, hour, outcome, n)
SELECT id, date_trunc('hour', now()) - make_interval(hours => h), 'stored', 10 FROM sites CROSS JOIN generate_series(1, 24) h
ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = excluded.n;
UPDATE site_pulse SET last_event_at = now();
-- broken: nothing comes for any site, each of which is small
DELETE FROM ingest_tally;
INSERT INTO ingest_tally (site_id, hour, outcome, n)
SELECT s.id, date_trunc('hour', now()) - make_interval(hours => h + 168 * w), 'stored', h % 2
FROM sites s CROSS JOIN generate_series(1, 24) h CROSS JOIN generate_series(1, 4) w;
UPDATE site_pulse SET last_event_at = now() - interval '2 days';
-- finds: all sites
-- fixed
INSERT INTO ingest_tally (site_id, hour, outcome, n)
SELECT id, date_trunc('hour', now()) - make_interval(hours => h), 'stored', 1 FROM sites CROSS JOIN generate_series(1, 24) h
ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = excluded.n;
UPDATE site_pulse SET last_event_at = now();
