-- broken
CREATE VIEW leads_by_day AS SELECT site_id, created_at::date AS day, count(*) AS n FROM calls GROUP BY 1, 2;
GRANT SELECT ON leads_by_day TO opsmantik_app;
CREATE VIEW people AS SELECT u.id, p.role FROM users u JOIN profiles p USING (id);
-- finds: public\.leads_by_day
-- finds: public\.people
-- also: 0040_leaks
-- fixed
