-- broken: as old as a table can say
UPDATE pg_class SET relfrozenxid = ((txid_current() % 4294967296 + 4294967296 - 1300000000) % 4294967296)::text::xid WHERE oid = 'visitors'::regclass;
UPDATE pg_class SET relfrozenxid = ((txid_current() % 4294967296 + 4294967296 - 400000000) % 4294967296)::text::xid WHERE oid = 'webhooks'::regclass;
-- finds: public\.visitors
-- finds: public\.webhooks
-- fixed
