-- broken
ALTER TABLE parts.events_2026_10 DISABLE ROW LEVEL SECURITY;
ALTER TABLE parts.events_2026_10 NO FORCE ROW LEVEL SECURITY;
-- finds: parts\.events_2026_10
-- also: 0022_policy_without_row_security
-- also: 0077_partition_drift
-- fixed
-- broken: a partitioned parent, whose policies then mean nothing
ALTER TABLE events DISABLE ROW LEVEL SECURITY;
-- finds: public\.events
-- also: 0022_policy_without_row_security
-- also: 0040_leaks
-- fixed
-- broken: a new table that nobody thought of
CREATE TABLE fresh (site_id uuid NOT NULL REFERENCES sites (id), id uuid NOT NULL, PRIMARY KEY (site_id, id));
-- finds: public\.fresh
-- fixed
DROP TABLE fresh;
