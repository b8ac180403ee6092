-- name: leads_of_day
-- The site's leads captured on one of its days, from the counters: the rows of dimension 'all', paid and other traffic
-- added up, in the snapshot of this one statement. Site $1, day $2.
SELECT coalesce(sum(leads), 0)::bigint AS captured, coalesce(sum(click_leads), 0)::bigint AS gclid,
    coalesce(sum(junk), 0)::bigint AS junk
FROM counters WHERE site_id = $1 AND day = $2 AND dimension = 'all';

-- name: differences
-- Cells of a site's day in which the counters say other than its rows. Site $1, day $2.
SELECT dimension, key, is_paid, measure, counted, recounted
FROM counter_differences($1, $2, $2) ORDER BY dimension, key, is_paid, measure;
