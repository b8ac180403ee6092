-- broken
CREATE TABLE ledger (id integer PRIMARY KEY);
ALTER TABLE ledger ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON ledger TO opsmantik_app;
-- finds: public\.ledger
-- fixed
