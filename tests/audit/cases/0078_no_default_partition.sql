-- broken
CREATE TABLE parts.things (at date NOT NULL, n integer NOT NULL, PRIMARY KEY (at, n)) PARTITION BY RANGE (at);
-- finds: parts\.things
-- fixed
