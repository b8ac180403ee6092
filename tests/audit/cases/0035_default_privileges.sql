-- broken
ALTER DEFAULT PRIVILEGES FOR ROLE opsmantik_owner IN SCHEMA public GRANT SELECT ON TABLES TO opsmantik_app;
ALTER DEFAULT PRIVILEGES FOR ROLE opsmantik_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
-- finds: new tables of opsmantik_owner in public
-- finds: new functions of opsmantik_owner
-- fixed
