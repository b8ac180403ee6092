-- broken: two tables that nobody may read, so that nothing else is in its way
CREATE TABLE one (id uuid PRIMARY KEY, other uuid);
CREATE TABLE two (id uuid PRIMARY KEY, other uuid);
ALTER TABLE one ENABLE ROW LEVEL SECURITY;
ALTER TABLE two ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_two ON one USING (id IN (SELECT other FROM two));
CREATE POLICY by_one ON two USING (id IN (SELECT other FROM one));
-- finds: public\.one
-- finds: public\.two
-- fixed
DROP TABLE one, two;
