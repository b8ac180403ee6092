-- broken
GRANT TRUNCATE ON events TO opsmantik_app;
-- finds: public\.events
-- fixed
