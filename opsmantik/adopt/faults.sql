-- What may be wrong in a database of the first generation. Each question has one row with one number, n. Whoever asks knows
-- which tables there are (faults.py).

-- name: session_month_drift
SELECT count(*) AS n FROM public.sessions s WHERE s.created_month <> date_trunc('month', s.created_at AT TIME ZONE 'UTC')::date;

-- name: event_month_drift
SELECT count(*) AS n FROM public.events e
WHERE NOT EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id AND s.created_month = e.session_month)
  AND EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id);

-- name: sessions_in_two_months
SELECT count(*) AS n FROM (SELECT FROM public.sessions s GROUP BY s.site_id, s.id HAVING count(*) > 1) x;

-- name: sessions_on_two_sites
SELECT count(*) AS n FROM (SELECT FROM public.sessions s GROUP BY s.id HAVING count(DISTINCT s.site_id) > 1) x;

-- name: sessions_after_their_events
SELECT count(*) AS n FROM public.sessions s JOIN (
    SELECT e.site_id, e.session_id, min(e.created_at) AS at FROM public.events e GROUP BY 1, 2) e ON e.site_id = s.site_id AND e.session_id = s.id
WHERE e.at < date_trunc('month', s.created_at, 'UTC')
  AND NOT EXISTS (SELECT FROM public.sessions o WHERE o.site_id = s.site_id AND o.id = s.id AND o.created_at < s.created_at);

-- name: orphaned_events
SELECT count(*) AS n FROM public.events e WHERE e.site_id IS NOT NULL AND NOT EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id);

-- name: events_of_another_site
SELECT count(*) AS n FROM public.events e
WHERE NOT EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id AND s.site_id = e.site_id)
  AND EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id AND s.site_id <> e.site_id);

-- name: events_without_site
SELECT count(*) AS n FROM public.events e WHERE e.site_id IS NULL AND EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id);

-- name: events_of_nobody
SELECT count(*) AS n FROM public.events e WHERE e.site_id IS NULL AND NOT EXISTS (SELECT FROM public.sessions s WHERE s.id = e.session_id);

-- name: doubled_event_ids
SELECT count(*) AS n FROM (SELECT FROM public.events e GROUP BY e.site_id, e.session_id, e.id HAVING count(*) > 1) x;

-- name: repeated_events
SELECT coalesce(sum(x.n - 1), 0)::bigint AS n FROM (
    SELECT count(*) AS n FROM public.events e WHERE e.event_category = 'conversion'
    GROUP BY e.site_id, e.session_id, e.event_action, e.event_label, e.url, date_trunc('second', e.created_at) HAVING count(*) > 1) x;

-- name: heartbeats
SELECT count(*) AS n FROM public.events e WHERE e.event_action = 'heartbeat' OR e.event_category = 'heartbeat';

-- name: goodbyes
SELECT count(*) AS n FROM public.events e WHERE e.event_action = 'session_end';

-- name: rewritten_categories
SELECT count(*) AS n FROM public.events e WHERE e.event_category = 'acquisition';

-- name: unfit_click_ids
SELECT count(*) AS n FROM public.sessions s CROSS JOIN LATERAL (VALUES (to_jsonb(s) ->> 'gclid'), (to_jsonb(s) ->> 'wbraid'), (to_jsonb(s) ->> 'gbraid')) AS x (id)
WHERE nullif(trim(x.id), '') IS NOT NULL AND (trim(x.id) !~ '^[A-Za-z0-9_.~-]{10,}$' OR length(trim(x.id)) > 512);

-- name: whole_addresses
SELECT count(*) AS n FROM public.sessions s WHERE to_jsonb(s) ->> 'ip_address' IS NOT NULL;

-- name: leads_without_status
SELECT count(*) AS n FROM public.calls c WHERE c.status IS NULL;

-- name: unknown_statuses
SELECT count(*) AS n FROM public.calls c WHERE c.status <> ALL ($1::text[]);

-- name: leads_without_visit
SELECT count(*) AS n FROM public.calls c WHERE c.matched_session_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM public.sessions s WHERE s.id = c.matched_session_id);

-- name: leads_of_another_site
SELECT count(*) AS n FROM public.calls c
WHERE NOT EXISTS (SELECT FROM public.sessions s WHERE s.id = c.matched_session_id AND s.site_id = c.site_id)
  AND EXISTS (SELECT FROM public.sessions s WHERE s.id = c.matched_session_id);

-- name: doubled_stamps
SELECT coalesce(sum(x.n - 1), 0)::bigint AS n FROM (
    SELECT count(*) AS n FROM public.calls c WHERE nullif(c.intent_stamp, '') IS NOT NULL GROUP BY c.site_id, c.intent_stamp HAVING count(*) > 1) x;

-- name: repeated_taps
SELECT count(*) AS n FROM (
    SELECT c.status, c.created_at - lag(c.created_at) OVER (PARTITION BY c.site_id, c.matched_session_id, c.intent_action, c.intent_target
        ORDER BY c.created_at) AS since
    FROM public.calls c WHERE c.matched_session_id IS NOT NULL AND coalesce(c.source, 'click') = 'click' AND c.intent_target <> ''
      AND c.status IS DISTINCT FROM 'junk'
      AND NOT EXISTS (SELECT FROM public.calls o WHERE o.site_id = c.site_id AND o.intent_stamp = c.intent_stamp AND o.id <> c.id)) x
WHERE x.since <= interval '30 minutes';

-- name: clicks_without_facts
SELECT count(*) AS n FROM public.calls c WHERE coalesce(c.source, 'click') = 'click' AND (coalesce(c.intent_action, '') NOT IN ('phone', 'whatsapp')
    OR coalesce(c.intent_target, '') = '' OR coalesce(c.intent_stamp, '') = '');

-- name: click_ids_of_unknown_kind
SELECT count(*) AS n FROM public.calls c WHERE nullif(trim(c.click_id), '') IS NOT NULL AND NOT EXISTS (
    SELECT FROM public.sessions s WHERE s.id = c.matched_session_id AND s.site_id = c.site_id
      AND trim(c.click_id) IN (trim(to_jsonb(s) ->> 'gclid'), trim(to_jsonb(s) ->> 'wbraid'), trim(to_jsonb(s) ->> 'gbraid')));

-- name: sent_conversions
SELECT count(*) AS n FROM public.calls c WHERE c.status IN ('confirmed', 'qualified', 'real') AND (c.oci_uploaded_at IS NOT NULL OR c.oci_status = 'uploaded');

-- name: unsent_conversions
SELECT count(*) AS n FROM public.calls c WHERE c.status IN ('confirmed', 'qualified', 'real') AND c.oci_uploaded_at IS NULL AND c.oci_status IS DISTINCT FROM 'uploaded';

-- name: junk_that_was_sent
SELECT count(*) AS n FROM public.calls c WHERE c.status NOT IN ('confirmed', 'qualified', 'real') AND (c.oci_uploaded_at IS NOT NULL OR c.oci_status = 'uploaded');

-- name: administrators
SELECT count(*) AS n FROM public.profiles p WHERE p.role = 'admin';

-- name: people_without_address
SELECT count(*) AS n FROM auth.users u WHERE coalesce(u.email, '') !~ '^[^@[:space:]]{1,64}@[^@[:space:]]{1,189}$';

-- name: doubled_addresses
SELECT coalesce(sum(x.n - 1), 0)::bigint AS n FROM (SELECT count(*) AS n FROM auth.users u WHERE u.email <> '' GROUP BY lower(trim(u.email)) HAVING count(*) > 1) x;

-- name: unfit_public_ids
SELECT count(*) AS n FROM public.sites s WHERE lower(replace(s.public_id, '-', '')) !~ '^[0-9a-f]{32}$';

-- name: doubled_public_ids
SELECT coalesce(sum(x.n - 1), 0)::bigint AS n FROM (SELECT count(*) AS n FROM public.sites s GROUP BY lower(replace(s.public_id, '-', '')) HAVING count(*) > 1) x;

-- name: two_currencies
SELECT count(*) AS n FROM public.sites s WHERE upper(trim(to_jsonb(s) -> 'config' ->> 'currency')) <> upper(trim(to_jsonb(s) ->> 'currency'));

-- name: plain_tokens
SELECT count(*) AS n FROM public.user_credentials c WHERE c.access_token IS NOT NULL OR c.refresh_token IS NOT NULL;

-- name: plain_keys
SELECT count(*) AS n FROM private.api_keys;

-- name: refused_events
SELECT count(*) AS n FROM public.sync_dlq d WHERE d.site_id IS NOT NULL;

-- name: refused_events_of_nobody
SELECT count(*) AS n FROM public.sync_dlq d WHERE d.site_id IS NULL;

-- Rights of roles that stand for whoever calls from outside, on tables whose row security lets nobody through.
-- name: dead_grants
SELECT count(DISTINCT (c.oid, a.grantee)) AS n FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND (a.grantee = 0 OR r.rolname IN ('anon', 'authenticated'))
  AND c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid);

-- name: open_functions
SELECT count(*) AS n FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      WHERE a.privilege_type = 'EXECUTE' AND (a.grantee = 0 OR r.rolname = 'anon'));

-- name: open_partitions
SELECT count(*) AS n FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relispartition AND c.relkind = 'r' AND NOT c.relrowsecurity;
