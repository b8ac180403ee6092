-- broken
ALTER TABLE visitors SET UNLOGGED;
-- finds: public\.visitors
-- fixed
