-- What is read from the first generation's database. Its tables have the names of ours and other keys: a session is found
-- by its id alone there, an event's site may be missing, and nothing guarantees that they agree.

-- name: tables
SELECT n.nspname || '.' || c.relname AS name, array_agg(a.attname::text) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname IN ('public', 'auth', 'private') AND c.relkind IN ('r', 'p') GROUP BY 1;

-- name: people
SELECT to_jsonb(u) || jsonb_build_object('role', p.role) AS row
FROM auth.users u LEFT JOIN public.profiles p ON p.id = u.id ORDER BY u.created_at, u.id;

-- name: sites
SELECT to_jsonb(s) AS row FROM public.sites s ORDER BY s.created_at, s.id;

-- name: site_names
SELECT s.id, to_jsonb(s) ->> 'name' AS name FROM public.sites s;

-- name: members
SELECT m.site_id, m.user_id, m.role, m.created_at FROM public.site_members m ORDER BY m.created_at, m.user_id;

-- The months in which visits begin, those included that are made from events without one.
-- name: months
SELECT DISTINCT date_trunc('month', x.at AT TIME ZONE 'UTC')::date AS month FROM (
    SELECT coalesce(s.created_at, s.created_month::timestamp AT TIME ZONE 'UTC') AS at FROM public.sessions s
    UNION ALL
    SELECT min(coalesce(e.created_at, e.session_month::timestamp AT TIME ZONE 'UTC')) FROM public.events e GROUP BY e.session_id) x
ORDER BY 1;

-- Every visit with what its events say of it, in the order of its name, so that rows of one visit in two months lie side by
-- side. An event is its own site's; one that names none is its session's, where that can only be one. Events without a
-- visit on their site come with no session: one is made of them.
-- name: visits
WITH happened AS (
    SELECT coalesce(e.site_id, (
            SELECT CASE WHEN count(DISTINCT s.site_id) = 1 THEN min(s.site_id::text)
                ELSE min(s.site_id::text) FILTER (WHERE s.created_month = e.session_month) END::uuid
            FROM public.sessions s WHERE s.id = e.session_id)) AS site_id,
        e.session_id, coalesce(e.created_at, e.session_month::timestamp AT TIME ZONE 'UTC') AS at, e.id, e.url,
        e.event_category, e.event_action, e.metadata ->> 'referrer' AS referrer,
        coalesce(e.metadata ->> 'user_agent', e.metadata ->> 'ua') AS agent, coalesce(e.metadata ->> 'fingerprint', e.metadata ->> 'fp') AS fingerprint
    FROM public.events e OFFSET 0
), facts AS (
    SELECT h.site_id, h.session_id, min(h.at) AS first_at, max(h.at) AS last_at,
        count(*) FILTER (WHERE h.event_action NOT IN ('heartbeat', 'session_end') AND h.event_category <> 'heartbeat') AS events,
        count(*) FILTER (WHERE h.event_action = 'view') AS views,
        count(*) FILTER (WHERE h.event_category = 'conversion') AS conversions,
        (array_agg(jsonb_build_object('url', h.url, 'referrer', h.referrer, 'agent', h.agent, 'fingerprint', h.fingerprint) ORDER BY h.at, h.id))[1] AS first
    FROM happened h WHERE h.site_id IS NOT NULL GROUP BY h.site_id, h.session_id
), taps AS (
    SELECT c.site_id, c.matched_session_id AS session_id, count(*) AS taps FROM public.calls c
    WHERE c.matched_session_id IS NOT NULL GROUP BY 1, 2
)
SELECT coalesce(s.site_id, f.site_id) AS site_id, coalesce(s.id, f.session_id) AS id, to_jsonb(s) AS row,
    f.first_at, f.last_at, coalesce(f.events, 0) AS events, coalesce(f.views, 0) AS views,
    coalesce(f.conversions, 0) AS conversions, coalesce(t.taps, 0) AS taps, f.first
FROM public.sessions s FULL JOIN facts f ON f.site_id = s.site_id AND f.session_id = s.id
LEFT JOIN taps t ON t.site_id = coalesce(s.site_id, f.site_id) AND t.session_id = coalesce(s.id, f.session_id)
ORDER BY 1, 2, s.created_month;

-- How many events lie on which day, for pieces of bounded size.
-- name: event_days
SELECT e.session_month, date_trunc('day', e.created_at, 'UTC') AS day, count(*) AS n FROM public.events e GROUP BY 1, 2 ORDER BY 1, 2;

-- One piece of the events, as they go to our side. What has a column of its own is not kept a second time among the
-- metadata. $2 null: those without a time.
-- name: events
SELECT coalesce(e.site_id, (
        SELECT CASE WHEN count(DISTINCT s.site_id) = 1 THEN min(s.site_id::text)
            ELSE min(s.site_id::text) FILTER (WHERE s.created_month = e.session_month) END::uuid
        FROM public.sessions s WHERE s.id = e.session_id)) AS site_id,
    e.id, e.session_id, coalesce(e.created_at, e.session_month::timestamp AT TIME ZONE 'UTC') AS created_at, e.url,
    CASE e.event_category WHEN 'acquisition' THEN 'interaction' ELSE e.event_category END AS event_category, e.event_action,
    e.event_label, e.event_value,
    nullif(e.metadata - '{referrer,sid,fingerprint,fp,user_agent,ua,ip,ip_address,device,device_type,os,browser,geo,city,district,country,gclid,wbraid,gbraid,lan,mem,con,sw,sh,dpr,gpu,con_type,scroll_pct,cta_hovers,focus_dur,active_sec,intent_stamp,intent_action,lead_score,attribution_source}'::text[], '{}') AS metadata,
    e.site_id IS NULL AS site_given
FROM public.events e
WHERE e.session_month = $1 AND (e.created_at >= $2 AND e.created_at < $3 OR $2::timestamptz IS NULL AND e.created_at IS NULL)
  AND e.event_action NOT IN ('heartbeat', 'session_end') AND e.event_category <> 'heartbeat';

-- name: calls
-- What was decided comes first: what waits may repeat one of those.
SELECT to_jsonb(c) AS row FROM public.calls c
ORDER BY coalesce(c.status, 'intent') = 'intent', coalesce(c.created_at, '2020-01-01Z'), c.id;

-- name: dead_letters
SELECT d.id, d.site_id, d.received_at, d.stage, d.error, d.payload::text AS payload, d.replay_count, d.last_replay_at,
    d.last_replay_error
FROM public.sync_dlq d WHERE d.site_id IS NOT NULL ORDER BY d.received_at;

-- name: replays
SELECT a.id, d.site_id, a.dlq_id, a.replayed_by_user_id AS user_id, a.replayed_by_email AS email, a.replayed_at,
    a.replay_count_after AS n, a.error_if_failed AS error
FROM public.sync_dlq_replay_audit a JOIN public.sync_dlq d ON d.id = a.dlq_id WHERE d.site_id IS NOT NULL;

-- What there is, by site and month of the day on which it happened.
-- name: count_visits
SELECT s.site_id, date_trunc('month', coalesce(s.created_at, s.created_month::timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::date AS month,
    count(*) AS n FROM public.sessions s GROUP BY 1, 2;

-- name: count_events
SELECT coalesce(e.site_id, (
        SELECT CASE WHEN count(DISTINCT s.site_id) = 1 THEN min(s.site_id::text)
            ELSE min(s.site_id::text) FILTER (WHERE s.created_month = e.session_month) END::uuid
        FROM public.sessions s WHERE s.id = e.session_id)) AS site_id,
    date_trunc('month', coalesce(e.created_at, e.session_month::timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::date AS month,
    count(*) AS n, count(*) FILTER (WHERE e.event_action = 'session_end') AS goodbyes
FROM public.events e WHERE e.event_category <> 'heartbeat' AND e.event_action <> 'heartbeat' GROUP BY 1, 2;

-- An event's id twice within one visit, which in the first generation can lie in two months: the later rows.
-- name: count_doubled_events
SELECT d.site_id, date_trunc('month', d.at AT TIME ZONE 'UTC')::date AS month, count(*) AS n FROM (
    SELECT e.site_id, e.created_at AS at,
        first_value(e.created_at) OVER (PARTITION BY e.site_id, e.session_id, e.id ORDER BY e.session_month, e.created_at) AS first_at
    FROM public.events e
    WHERE e.event_action NOT IN ('heartbeat', 'session_end') AND e.event_category <> 'heartbeat'
      AND e.id IN (SELECT x.id FROM public.events x GROUP BY x.id HAVING count(*) > 1)) d
WHERE d.at <> d.first_at GROUP BY 1, 2;

-- name: count_calls
SELECT c.site_id, date_trunc('month', coalesce(c.created_at, '2020-01-01Z') AT TIME ZONE 'UTC')::date AS month, c.status, count(*) AS n,
    coalesce(sum(c.sale_amount), 0) AS amount FROM public.calls c GROUP BY 1, 2, 3;

-- name: size
SELECT (SELECT count(*) FROM public.sessions) AS visits, (SELECT count(*) FROM public.events) AS events, (SELECT count(*) FROM public.calls) AS calls;
