-- broken
UPDATE pg_proc SET proacl = proacl || makeaclitem(4294960001, proowner, 'EXECUTE', false) WHERE proname = 'signed_in';
-- finds: public\.signed_in\(.+\)
-- fixed
UPDATE pg_proc SET proacl = (SELECT array_agg(a) FROM unnest(proacl) a WHERE a::text NOT LIKE '4294960001=%')
WHERE proname = 'signed_in';
