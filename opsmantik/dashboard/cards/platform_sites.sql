-- name: platform_sites
-- Of the sites that the asker may see ($1), who runs the platform, those whose name, domain, public id or owner's address
-- holds $2, and that are $3 (off, never, silent; null: all), by name, $4 of them after the first $5; with their owners, and
-- what they have used of their quotas, as the doors count it, and the leads of their own day.
SELECT now() AS as_of, t.*, (
    SELECT coalesce(sum(c.n), 0)::bigint FROM ingest_counts c
    WHERE t.monthly_quota IS NOT NULL AND c.site_id = t.id AND c.outcome = 'stored'
      AND c.hour >= date_trunc('hour', date_trunc('month', now() AT TIME ZONE t.time_zone) AT TIME ZONE t.time_zone)) AS used, (
    SELECT coalesce(sum(c.leads), 0)::integer FROM counters c
    WHERE c.site_id = t.id AND c.day = (now() AT TIME ZONE t.time_zone)::date AND c.part = 'main' AND c.dimension = 'all') AS leads
FROM (
    SELECT s.id, s.name, s.domain, s.public_id, s.time_zone, s.created_at, s.disabled_at, s.monthly_quota, st.last_event_at,
        o.email AS owner_email, count(*) OVER () AS found
    FROM sites s JOIN site_state st ON st.site_id = s.id LEFT JOIN site_owners($1) o ON o.site_id = s.id
    WHERE s.id = ANY ($1)
      AND ($2::text IS NULL OR strpos(plain_case(concat_ws(' ', s.name, s.domain, s.public_id, o.email)), plain_case($2)) > 0)
      AND CASE $3::text WHEN 'off' THEN s.disabled_at IS NOT NULL
          WHEN 'never' THEN s.disabled_at IS NULL AND st.last_event_at IS NULL
          WHEN 'silent' THEN s.disabled_at IS NULL AND st.last_event_at < now() - interval '1 day' ELSE true END
    ORDER BY lower(s.name), s.id LIMIT $4 OFFSET $5) t
ORDER BY lower(t.name), t.id;
