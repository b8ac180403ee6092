-- broken
CREATE MATERIALIZED VIEW leads_of_sites AS SELECT site_id, count(*) AS n FROM calls GROUP BY 1;
GRANT SELECT ON leads_of_sites TO opsmantik_app;
-- finds: public\.leads_of_sites
-- also: 0040_leaks
-- fixed
