-- broken
ALTER TABLE stray_tally DROP CONSTRAINT stray_tally_pkey;
-- finds: public\.stray_tally
-- fixed
ALTER TABLE stray_tally ADD PRIMARY KEY (hour, outcome);
