-- broken: of what a role is in its whole cluster, test_tenancy.py tries the rest
CREATE SCHEMA spare;
CREATE TABLE spare.mine (id integer PRIMARY KEY);
ALTER TABLE spare.mine OWNER TO opsmantik_app;
-- finds: opsmantik_app
-- fixed
