-- broken
CREATE SCHEMA spare;
CREATE FUNCTION spare.keep(p_site uuid) RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
    INSERT INTO saved_views (site_id, id, shade) VALUES (p_site, p_site, 'blue');
    UPDATE no_such_table n SET x = 1 WHERE n.site_id = p_site;
END $f$;
CREATE FUNCTION spare.fine(p_site uuid) RETURNS bigint LANGUAGE plpgsql AS $f$
BEGIN
    CREATE TEMPORARY TABLE gathered ON COMMIT DROP AS SELECT 1 AS n;
    INSERT INTO gathered (n) VALUES (2);
    RETURN (WITH few AS (SELECT 1) SELECT extract(day FROM now()) FROM few);
END $f$;
-- finds: spare\.keep\(.+\)
-- fixed
