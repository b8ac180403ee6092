-- broken
CREATE INDEX calls_site_status_idx ON calls (site_id, status);
-- finds: public\.calls_site_status_idx
-- fixed
