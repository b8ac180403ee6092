-- broken
DO $$
DECLARE v_name text;
BEGIN
    FOR v_name IN SELECT conname FROM pg_constraint WHERE conrelid = 'webhooks'::regclass AND confrelid = 'sites'::regclass LOOP
        EXECUTE format('ALTER TABLE webhooks DROP CONSTRAINT %I', v_name);
    END LOOP;
END $$;
-- finds: public\.webhooks
-- fixed
ALTER TABLE webhooks ADD FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;
