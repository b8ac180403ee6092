-- broken
ALTER TABLE visitors DROP CONSTRAINT visitors_pkey;
CREATE INDEX some_visitors_idx ON visitors (site_id, id) WHERE visits > 1;
-- finds: public\.visitors
-- also: 0050_contract_paths
-- also: 0051_unindexed_foreign_keys
-- also: 0053_no_primary_key
-- fixed
ALTER TABLE visitors ADD PRIMARY KEY (site_id, id);
