-- broken
ALTER TABLE visitors DROP CONSTRAINT visitors_pkey;
-- finds: public\.visitors
-- also: 0051_unindexed_foreign_keys
-- also: 0052_site_indexes
-- also: 0053_no_primary_key
-- fixed
ALTER TABLE visitors ADD PRIMARY KEY (site_id, id);
-- broken: the program asks for a column that is gone
ALTER TABLE visitors RENAME COLUMN last_seen_at TO seen_at;
-- finds: dashboard/cards/visitor_sessions\.visitor
-- also: 0106_missing_objects
-- fixed
ALTER TABLE visitors RENAME COLUMN seen_at TO last_seen_at;
