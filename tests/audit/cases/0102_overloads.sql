-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.stats(p_site uuid, p_day date) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION spare.stats(p_site uuid, p_day date, p_ads_only boolean DEFAULT true) RETURNS integer LANGUAGE sql AS 'SELECT 2';
-- finds: spare\.stats
-- fixed
DROP SCHEMA spare CASCADE;
