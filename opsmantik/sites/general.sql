-- name: general
SELECT s.name, s.domain, s.time_zone, s.region, s.currency, s.assumed_cpc, s.attribution_window_days, s.consent_mode,
    s.public_id, s.created_at, s.updated_at
FROM sites s WHERE s.id = $1;

-- name: reach
SELECT (SELECT count(*)::integer FROM counter_days d WHERE d.site_id = s.id AND (s.facts_since IS NULL OR d.day >= s.facts_since)) AS days,
    s.facts_since
FROM sites s WHERE s.id = $1;

-- By the index of states; only for whoever is about to change the currency.
-- name: sealed_money
SELECT c.currency, count(*)::integer AS leads, sum(c.sale_amount) AS amount FROM calls c
WHERE c.site_id = $1 AND c.status IN ('sealed', 'conversion') AND c.merged_into IS NULL AND c.sale_amount > 0
GROUP BY c.currency ORDER BY 2 DESC, 1;

-- Making the figures of a large site anew takes its time.
-- name: patience
SET LOCAL statement_timeout = '600s';

-- name: change_general
SELECT change_site_general($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
