-- broken
BEGIN;
LOCK TABLE stray_tally IN SHARE ROW EXCLUSIVE MODE;
-- finds: stray_tally
-- beside
BEGIN;
LOCK TABLE stray_tally IN SHARE ROW EXCLUSIVE MODE;
COMMIT;
-- fixed
ROLLBACK;
