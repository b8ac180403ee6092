-- broken
DO $$
DECLARE v_part text := 'events' || to_char(now() AT TIME ZONE 'UTC' + interval '3 months', '"_"YYYY"_"MM');
BEGIN
    EXECUTE format('ALTER TABLE events DETACH PARTITION parts.%I', v_part);
    EXECUTE format('DROP TABLE parts.%I', v_part);
END $$;
-- finds: public\.events
-- fixed
SET ROLE opsmantik_owner;
SELECT make_month((now() AT TIME ZONE 'UTC' + interval '3 months')::date);
