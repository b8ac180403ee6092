-- broken: a month without its check
ALTER TABLE parts.events_2026_10 DROP CONSTRAINT events_2026_10_month;
-- finds: parts\.events_2026_10
-- fixed
ALTER TABLE parts.events_2026_10 ADD CONSTRAINT events_2026_10_month
    CHECK (session_month = '2026-10-01' AND created_at >= '2026-10-01 00:00:00+00');
-- broken: an index in one month only, and other storage
CREATE INDEX one_month_idx ON parts.sessions_2026_09 (site_id, city);
ALTER TABLE parts.sessions_2026_10 SET (fillfactor = 90);
-- finds: parts\.sessions_2026_09
-- finds: parts\.sessions_2026_10
-- fixed
DROP INDEX parts.one_month_idx;
ALTER TABLE parts.sessions_2026_10 SET (fillfactor = 75);
