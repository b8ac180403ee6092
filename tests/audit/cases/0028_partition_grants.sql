-- broken
GRANT SELECT ON parts.events_2026_09 TO opsmantik_app;
-- finds: parts\.events_2026_09
-- also: 0077_partition_drift
-- fixed
