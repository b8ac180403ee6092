-- broken
ALTER TABLE parts.sessions_default NO FORCE ROW LEVEL SECURITY;
ALTER TABLE sites NO FORCE ROW LEVEL SECURITY;
-- finds: parts\.sessions_default
-- finds: public\.sites
-- also: 0077_partition_drift
-- fixed
