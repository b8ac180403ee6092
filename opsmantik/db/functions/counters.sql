-- What is counted, and how: the one definition behind every figure. An entry says of one row (a session, a lead, a
-- decision, a conversion) or of some events what counts about it; cells are what an entry adds to its day. Writers,
-- readers, the fold, the recount and the rebuild all go through these, so a counter cannot mean two things.
-- Without a search path of their own, so that they dissolve in the statements that use them.

-- Where a visit was, as far as known: "city/district", either may be empty. '' is unknown.
CREATE OR REPLACE FUNCTION place_key(p_city text, p_district text) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN p_city IS NULL AND p_district IS NULL THEN ''
    ELSE translate(coalesce(p_city, ''), '/', '-') || '/' || translate(coalesce(p_district, ''), '/', '-') END $$;

-- The page without its host and query: "/fiyatlar". '' is unknown.
CREATE OR REPLACE FUNCTION page_key(p_url text) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN p_url IS NULL THEN '' ELSE
    left(coalesce(nullif(regexp_replace(split_part(split_part(p_url, '#', 1), '?', 1), '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/]*', ''), ''), '/'), 120) END $$;

CREATE OR REPLACE FUNCTION session_entry(s sessions, p_n integer) RETURNS counter_entry LANGUAGE sql IMMUTABLE
AS $$ SELECT ROW('session', p_n, (s).created_at, (s).is_paid, (s).has_click_id,
    (s).attribution_source, (s).channel, (s).device_type, place_key((s).city, (s).district),
    (s).utm_campaign, (s).utm_term, (s).matchtype, page_key((s).entry_page), (s).fingerprint,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry $$;

-- A lead by the time of its capture. A repeated tap (merged_into) is no lead: leave it out.
CREATE OR REPLACE FUNCTION call_entry(c calls, s sessions, p_n integer) RETURNS counter_entry LANGUAGE sql IMMUTABLE
AS $$ SELECT ROW('call', p_n, (c).created_at, coalesce((s).is_paid, false), (c).click_id IS NOT NULL OR coalesce((s).has_click_id, false),
    (s).attribution_source, (s).channel, (s).device_type, place_key((s).city, (s).district),
    (s).utm_campaign, (s).utm_term, (s).matchtype, page_key((s).entry_page), NULL,
    NULL, NULL, (c).status, (c).intent_action, (c).source, (c).is_automatic, (c).sale_amount, (c).currency,
    (s).max_scroll_percentage, NULL)::counter_entry $$;

-- The same lead by the time at which its present status was decided. Only where one was.
CREATE OR REPLACE FUNCTION decision_entry(c calls, s sessions, p_n integer) RETURNS counter_entry LANGUAGE sql IMMUTABLE
AS $$ SELECT ROW('decision', p_n, (c).confirmed_at, coalesce((s).is_paid, false), (c).click_id IS NOT NULL OR coalesce((s).has_click_id, false),
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, (c).status, (c).intent_action, (c).source, (c).is_automatic, (c).sale_amount, (c).currency,
    NULL, extract(epoch FROM (c).confirmed_at - (c).created_at)::bigint)::counter_entry $$;

-- A conversion by the time of its lead's capture.
CREATE OR REPLACE FUNCTION conversion_entry(v conversions, c calls, s sessions, p_n integer) RETURNS counter_entry LANGUAGE sql IMMUTABLE
AS $$ SELECT ROW('conversion', p_n, (c).created_at, coalesce((s).is_paid, false), (v).click_id IS NOT NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, (v).state, NULL, NULL, NULL, (v).value, (v).currency, NULL, NULL)::counter_entry $$;

-- All that counts about these leads: the lead, its decision, its conversions. For whoever changes them:
-- once before with -1, once after with 1.
CREATE OR REPLACE FUNCTION call_entries(p_site uuid, p_calls uuid[], p_n integer) RETURNS counter_entry[]
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(array_agg(e.entry), '{}') FROM (
        SELECT call_entry(c, s, p_n) AS entry
        FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
            AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) AND c.merged_into IS NULL
        UNION ALL
        SELECT decision_entry(c, s, p_n)
        FROM calls c LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
            AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) AND c.merged_into IS NULL AND c.confirmed_at IS NOT NULL
        UNION ALL
        SELECT conversion_entry(v, c, s, p_n)
        FROM conversions v JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
            AND s.id = c.matched_session_id
        WHERE c.site_id = p_site AND c.id = ANY (p_calls) AND c.merged_into IS NULL) e
$$;

-- The hour that contains an instant, as the site's clock cuts hours, by its beginning in UTC.
CREATE OR REPLACE FUNCTION hour_key(p_at timestamptz, p_zone text) RETURNS text LANGUAGE sql STABLE
AS $$ SELECT to_char(date_trunc('hour', p_at, p_zone) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') $$;

-- Locks leads for a change, each after its visit: who changes a visit (ingest) or a lead (decisions) locks the visit
-- first, so that what one takes back from the counters is what the other added.
CREATE OR REPLACE FUNCTION lock_leads(p_site uuid, p_calls uuid[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM calls c JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month
        AND s.id = c.matched_session_id
    WHERE c.site_id = p_site AND c.id = ANY (p_calls) ORDER BY s.id FOR SHARE OF s;
    PERFORM FROM calls c WHERE c.site_id = p_site AND c.id = ANY (p_calls) ORDER BY c.id FOR NO KEY UPDATE;
END
$$;
REVOKE EXECUTE ON FUNCTION lock_leads FROM PUBLIC;

-- What an entry adds to its day, under each of its keys. 'visitor' is not here: who was counted already is a question
-- about other rows (journal_visitors, recount).
--   all, hour                          everything; hours in UTC, as the site's clock cuts them
--   waiting                            leads that nobody has decided about, by their hour
--   source .. page                     sessions and leads
--   lead, decision                     key "status action captured_by auto"; leads, by capture or by decision
--   currency                           what is sealed, in whichever currency
--   conversion                         key is the state
CREATE OR REPLACE FUNCTION entry_cells(e counter_entry, p_zone text, p_currency text)
RETURNS TABLE (day date, dimension text, key text, is_paid boolean, sessions integer, click_sessions integer, events integer,
    conversions integer, forms integer, leads integer, click_leads integer, sealed integer, junk integer, amount numeric,
    scroll bigint, scrolled integer, seconds bigint)
LANGUAGE sql STABLE
AS $$
    SELECT ((e).at AT TIME ZONE p_zone)::date, d.dimension, left(d.key, 200), (e).is_paid,
        CASE WHEN (e).kind = 'session' THEN (e).n END,
        CASE WHEN (e).kind = 'session' AND (e).has_click_id THEN (e).n END,
        CASE WHEN (e).kind = 'events' THEN (e).n END,
        CASE WHEN (e).kind = 'events' THEN (e).conversions END,
        CASE WHEN (e).kind = 'events' THEN (e).forms END,
        CASE WHEN (e).kind NOT IN ('session', 'events') THEN (e).n END,
        CASE WHEN (e).kind NOT IN ('session', 'events') AND (e).has_click_id THEN (e).n END,
        CASE WHEN (e).kind IN ('call', 'decision') AND (e).status IN ('sealed', 'conversion') THEN (e).n END,
        CASE WHEN (e).kind IN ('call', 'decision') AND (e).status = 'junk' THEN (e).n END,
        CASE WHEN d.dimension = 'currency' OR (e).kind = 'conversion'
                OR (e).currency = p_currency AND (e).status IN ('sealed', 'conversion') THEN (e).n * (e).amount END,
        CASE WHEN (e).kind = 'call' THEN (e).n * (e).scroll END,
        CASE WHEN (e).kind = 'call' AND (e).scroll IS NOT NULL THEN (e).n END,
        CASE WHEN (e).kind = 'decision' THEN (e).n * (e).seconds END
    FROM (VALUES
        ('all', CASE WHEN (e).kind IN ('session', 'events', 'call') THEN '' END),
        ('hour', CASE WHEN (e).kind IN ('session', 'events', 'call') THEN hour_key((e).at, p_zone) END),
        ('waiting', CASE WHEN (e).kind = 'call' AND (e).status IN ('intent', 'pending') THEN hour_key((e).at, p_zone) END),
        ('source', CASE WHEN (e).kind IN ('session', 'call') THEN coalesce((e).source, '') END),
        ('channel', CASE WHEN (e).kind IN ('session', 'call') THEN coalesce((e).channel, '') END),
        ('device', CASE WHEN (e).kind IN ('session', 'call') THEN coalesce((e).device, '') END),
        ('place', CASE WHEN (e).kind IN ('session', 'call') THEN (e).place END),
        ('page', CASE WHEN (e).kind IN ('session', 'call') THEN (e).page END),
        ('campaign', (e).campaign),
        ('keyword', (e).keyword),
        ('matchtype', (e).matchtype),
        (CASE (e).kind WHEN 'call' THEN 'lead' ELSE 'decision' END, CASE WHEN (e).kind IN ('call', 'decision') THEN
            (e).status || ' ' || coalesce((e).action, '-') || ' ' || (e).captured_by || CASE WHEN (e).is_automatic THEN ' auto' ELSE '' END END),
        ('currency', CASE WHEN (e).kind = 'call' AND (e).status IN ('sealed', 'conversion') AND (e).amount IS NOT NULL THEN (e).currency END),
        ('conversion', CASE WHEN (e).kind = 'conversion' THEN (e).status END)
    ) AS d (dimension, key)
    WHERE d.key IS NOT NULL
$$;


-- In which array of a day a dimension lies. Most screens need the first alone.
CREATE OR REPLACE FUNCTION counter_part(p_dimension text) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN p_dimension IN ('hour', 'visitor_hour', 'waiting') THEN 'hours'
    WHEN p_dimension IN ('place', 'page', 'campaign', 'keyword') THEN 'details'
    WHEN p_dimension IN ('source', 'channel', 'device', 'matchtype') THEN 'sources' ELSE 'main' END $$;

-- How many visitors more each day and hour has by what the journal holds. A visitor counts once a day (hour) of the
-- site, so: how many visits of theirs there are now, how many there were without these, and whether that crosses 0.
-- Rows with is_paid count those who came at least once by a paid visit; the others count everybody.
CREATE OR REPLACE FUNCTION unfolded_visitors(p_site uuid, p_zone text)
RETURNS TABLE (day date, dimension text, key text, is_paid boolean, visitors integer)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    v_from timestamptz;
    v_to timestamptz;
    v_first date;
    v_last date;
    v_visitors text[];
BEGIN
    -- In a function's body of its own, not in the statement of whoever reads: planning it costs ten times what reading
    -- a month of counters does, and most of the time there is nothing here.
    IF NOT EXISTS (SELECT FROM counter_journal j WHERE j.site_id = p_site) THEN
        RETURN;
    END IF;
    -- As values, not as questions in the query, and planned each time: a plan that was made for whichever site asked first,
    -- perhaps a new one for which any index will do, would read a large site's whole month, once for every visitor.
    SELECT min(e.at) - interval '26 hours', max(e.at) + interval '26 hours', array_agg(DISTINCT e.visitor)
    INTO v_from, v_to, v_visitors
    FROM counter_journal j CROSS JOIN LATERAL unnest(j.entries) e
    WHERE j.site_id = p_site AND e.kind = 'session' AND e.visitor IS NOT NULL;
    v_first := date_trunc('month', v_from AT TIME ZONE 'UTC')::date;
    v_last := date_trunc('month', v_to AT TIME ZONE 'UTC')::date;
    RETURN QUERY WITH told AS (
        SELECT e.visitor, (e.at AT TIME ZONE p_zone)::date AS day, hour_key(e.at, p_zone) AS hour,
            sum(e.n) AS n, coalesce(sum(e.n) FILTER (WHERE e.is_paid), 0) AS paid
        FROM counter_journal j CROSS JOIN LATERAL unnest(j.entries) e
        WHERE j.site_id = p_site AND e.kind = 'session' AND e.visitor IS NOT NULL GROUP BY 1, 2, 3
    ), found AS MATERIALIZED (
        SELECT s.visitor, (s.created_at AT TIME ZONE p_zone)::date AS day, hour_key(s.created_at, p_zone) AS hour,
            count(*) AS n, count(*) FILTER (WHERE s.is_paid) AS paid
        FROM (
            -- by the visitors alone, and then the rest: with the time beside them the planner takes the index of times
            SELECT x.fingerprint AS visitor, x.created_at, x.is_paid FROM sessions x
            WHERE x.site_id = p_site AND x.fingerprint = ANY (v_visitors) AND x.created_month BETWEEN v_first AND v_last OFFSET 0) s
        WHERE s.created_at BETWEEN v_from AND v_to
        GROUP BY 1, 2, 3
    ), both_sides AS (
        -- side by side, not joined: the planner cannot know how many these are, and would compare each with each
        SELECT visitor, day, hour, n, paid, 0 AS now_n, 0 AS now_paid FROM told
        UNION ALL SELECT visitor, day, hour, 0, 0, n, paid FROM found
    ), steps AS (
        SELECT day, NULL::text AS hour, sum(n) AS n, sum(paid) AS paid, sum(now_n) AS now_n, sum(now_paid) AS now_paid
        FROM both_sides GROUP BY visitor, day HAVING sum(n) <> 0 OR sum(paid) <> 0  -- else nothing has changed there
        UNION ALL
        SELECT day, hour, sum(n), sum(paid), sum(now_n), sum(now_paid) FROM both_sides GROUP BY visitor, day, hour
        HAVING sum(n) <> 0 OR sum(paid) <> 0
    )
    SELECT t.day, CASE WHEN t.hour IS NULL THEN 'visitor' ELSE 'visitor_hour' END, coalesce(t.hour, ''), w.is_paid,
        sum(CASE WHEN w.is_paid THEN (t.now_paid > 0)::integer - (t.now_paid - t.paid > 0)::integer
            ELSE (t.now_n > 0)::integer - (t.now_n - t.n > 0)::integer END)::integer
    FROM steps t CROSS JOIN (VALUES (true), (false)) AS w (is_paid) GROUP BY t.day, t.hour, w.is_paid;
END
$$;

-- What the journal holds and no day does yet.
CREATE OR REPLACE FUNCTION unfolded_cells(p_site uuid, p_zone text, p_currency text)
RETURNS TABLE (day date, dimension text, key text, is_paid boolean,
    sessions integer, click_sessions integer, visitors integer, events integer, conversions integer, forms integer, leads integer, click_leads integer, sealed integer, junk integer, amount numeric, scroll bigint, scrolled integer, seconds bigint)
LANGUAGE sql STABLE
AS $$
    SELECT x.day, x.dimension, x.key, x.is_paid, x.sessions, x.click_sessions, NULL::integer, x.events, x.conversions, x.forms, x.leads, x.click_leads, x.sealed, x.junk, x.amount, x.scroll, x.scrolled, x.seconds
    FROM counter_journal j CROSS JOIN LATERAL unnest(j.entries) e CROSS JOIN LATERAL entry_cells(e, p_zone, p_currency) x
    WHERE j.site_id = p_site
    UNION ALL
    SELECT v.day, v.dimension, v.key, v.is_paid, NULL::integer, NULL::integer, v.visitors, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::numeric, NULL::bigint, NULL::integer, NULL::bigint
    FROM unfolded_visitors(p_site, p_zone) v
$$;

-- The counters, whole: what the days hold and what the journal adds. Add up what you ask for; null stands for 0. Name
-- the parts that you need: the others are not unpacked then.
CREATE OR REPLACE VIEW counters WITH (security_invoker = true) AS
SELECT d.site_id, d.day, 'main'::text AS part, c.dimension, c.key, c.is_paid, c.sessions, c.click_sessions, c.visitors, c.events, c.conversions, c.forms, c.leads, c.click_leads, c.sealed, c.junk, c.amount, c.scroll, c.scrolled, c.seconds
FROM counter_days d CROSS JOIN LATERAL unnest(d.main) c
UNION ALL
SELECT d.site_id, d.day, 'sources'::text AS part, c.dimension, c.key, c.is_paid, c.sessions, c.click_sessions, c.visitors, c.events, c.conversions, c.forms, c.leads, c.click_leads, c.sealed, c.junk, c.amount, c.scroll, c.scrolled, c.seconds
FROM counter_days d CROSS JOIN LATERAL unnest(d.sources) c
UNION ALL
SELECT d.site_id, d.day, 'hours'::text AS part, c.dimension, c.key, c.is_paid, c.sessions, c.click_sessions, c.visitors, c.events, c.conversions, c.forms, c.leads, c.click_leads, c.sealed, c.junk, c.amount, c.scroll, c.scrolled, c.seconds
FROM counter_days d CROSS JOIN LATERAL unnest(d.hours) c
UNION ALL
SELECT d.site_id, d.day, 'details'::text AS part, c.dimension, c.key, c.is_paid, c.sessions, c.click_sessions, c.visitors, c.events, c.conversions, c.forms, c.leads, c.click_leads, c.sealed, c.junk, c.amount, c.scroll, c.scrolled, c.seconds
FROM counter_days d CROSS JOIN LATERAL unnest(d.details) c
UNION ALL
SELECT s.id, u.day, counter_part(u.dimension), u.dimension, u.key, u.is_paid, u.sessions, u.click_sessions, u.visitors, u.events, u.conversions, u.forms, u.leads, u.click_leads, u.sealed, u.junk, u.amount, u.scroll, u.scrolled, u.seconds
FROM sites s CROSS JOIN LATERAL unfolded_cells(s.id, s.time_zone, s.currency) u;
GRANT SELECT ON counters TO opsmantik_app;

-- The same from the rows themselves, of whatever was captured (of decisions: decided) in [p_from, p_to). Planned each
-- time, with the instants and their months at hand: by a plan for any months the planner reads a visit's whole month
-- for half a day of it; and whoever asks for whole days never plans it at all. What belongs to a visit looks it up by
-- its key, one by one: as joins they would read the visits of all months beside them.
CREATE OR REPLACE FUNCTION recount(p_site uuid, p_from timestamptz, p_to timestamptz, p_zone text, p_currency text)
RETURNS TABLE (day date, dimension text, key text, is_paid boolean,
    sessions integer, click_sessions integer, visitors integer, events integer, conversions integer, forms integer, leads integer, click_leads integer, sealed integer, junk integer, amount numeric, scroll bigint, scrolled integer, seconds bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RETURN QUERY EXECUTE $count$
    WITH visits AS NOT MATERIALIZED (
        SELECT s.* FROM sessions s
        WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_at < $3
          AND s.created_month BETWEEN $6 AND $7
    ), entries AS (
        SELECT session_entry(s, 1) AS entry
        FROM sessions s
        WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_at < $3
          AND s.created_month BETWEEN $6 AND $7
        UNION ALL
        SELECT ROW('events', sum(e.n), max(e.at), e.is_paid, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            sum(e.conversions), sum(e.forms),
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::counter_entry
        FROM (
            SELECT (SELECT s.is_paid FROM sessions s
                WHERE s.site_id = $1 AND s.created_month = x.session_month AND s.id = x.session_id), x.*
            FROM (
                SELECT e.session_month, e.session_id, date_bin('15 minutes', e.created_at, 'epoch') AS quarter,
                    max(e.created_at) AS at, count(*) AS n, count(*) FILTER (WHERE e.event_category = 'conversion') AS conversions,
                    count(*) FILTER (WHERE e.event_category = 'conversion' AND e.event_action = 'form_submit') AS forms
                FROM events e
                WHERE e.site_id = $1 AND e.created_at >= $2 AND e.created_at < $3
                  AND e.session_month <= $7
                GROUP BY 1, 2, 3) x) e
        GROUP BY e.is_paid, e.quarter
        UNION ALL
        SELECT call_entry(c, l.visit, 1)
        FROM calls c LEFT JOIN LATERAL (SELECT s AS visit FROM sessions s
            WHERE s.site_id = $1 AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id OFFSET 0) l ON true
        WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.merged_into IS NULL
        UNION ALL
        SELECT decision_entry(c, l.visit, 1)
        FROM calls c LEFT JOIN LATERAL (SELECT s AS visit FROM sessions s
            WHERE s.site_id = $1 AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id OFFSET 0) l ON true
        WHERE c.site_id = $1 AND c.confirmed_at >= $2 AND c.confirmed_at < $3 AND c.merged_into IS NULL
        UNION ALL
        SELECT conversion_entry(v, c, l.visit, 1)
        FROM conversions v JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id
        LEFT JOIN LATERAL (SELECT s AS visit FROM sessions s
            WHERE s.site_id = $1 AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id OFFSET 0) l ON true
        WHERE v.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3 AND c.merged_into IS NULL
    ), cells (day, dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds) AS (
        SELECT x.day, x.dimension, x.key, x.is_paid, x.sessions, x.click_sessions, NULL::integer, x.events, x.conversions, x.forms, x.leads, x.click_leads, x.sealed, x.junk, x.amount, x.scroll, x.scrolled, x.seconds
        FROM entries CROSS JOIN LATERAL entry_cells(entries.entry, $4, $5) x
        UNION ALL
        SELECT (v.created_at AT TIME ZONE $4)::date, 'visitor', '', w.is_paid,
            NULL, NULL, count(DISTINCT v.fingerprint), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM visits v CROSS JOIN (VALUES (true), (false)) AS w (is_paid) WHERE v.is_paid >= w.is_paid GROUP BY 1, 4
        UNION ALL
        SELECT (v.created_at AT TIME ZONE $4)::date, 'visitor_hour', hour_key(v.created_at, $4), w.is_paid,
            NULL, NULL, count(DISTINCT v.fingerprint), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM visits v CROSS JOIN (VALUES (true), (false)) AS w (is_paid) WHERE v.is_paid >= w.is_paid GROUP BY 1, 3, 4
    )
    SELECT day, dimension, key, is_paid,
        sum(sessions)::integer, sum(click_sessions)::integer, sum(visitors)::integer, sum(events)::integer,
        sum(conversions)::integer, sum(forms)::integer, sum(leads)::integer, sum(click_leads)::integer,
        sum(sealed)::integer, sum(junk)::integer, sum(amount), sum(scroll)::bigint, sum(scrolled)::integer,
        sum(seconds)::bigint
    FROM cells GROUP BY day, dimension, key, is_paid
    $count$ USING p_site, p_from, p_to, p_zone, p_currency,
        date_trunc('month', p_from AT TIME ZONE 'UTC')::date,
        date_trunc('month', (p_to - interval '1 microsecond') AT TIME ZONE 'UTC')::date;
END
$$;

-- The figures of a range, as cells: the whole site days p_first to p_last (none: null) from the counters, and what lies
-- before and after them, in [p_edge_from[i], p_edge_to[i]), from the rows: at most two parts of a day. Of each day those
-- arrays alone that p_parts names (counter_part), each row read once.
CREATE OR REPLACE FUNCTION figures(p_site uuid, p_first date, p_last date, p_edge_from timestamptz[], p_edge_to timestamptz[],
    p_parts text[])
RETURNS TABLE (day date, dimension text, key text, is_paid boolean,
    sessions integer, click_sessions integer, visitors integer, events integer, conversions integer, forms integer, leads integer, click_leads integer, sealed integer, junk integer, amount numeric, scroll bigint, scrolled integer, seconds bigint)
LANGUAGE sql STABLE
AS $$
    SELECT d.day, c.dimension, c.key, c.is_paid, c.sessions, c.click_sessions, c.visitors, c.events, c.conversions, c.forms, c.leads, c.click_leads, c.sealed, c.junk, c.amount, c.scroll, c.scrolled, c.seconds
    FROM counter_days d CROSS JOIN LATERAL unnest(CASE WHEN 'main' = ANY (p_parts) THEN d.main END
        || CASE WHEN 'sources' = ANY (p_parts) THEN d.sources END
        || CASE WHEN 'hours' = ANY (p_parts) THEN d.hours END || CASE WHEN 'details' = ANY (p_parts) THEN d.details END) c
    WHERE d.site_id = p_site AND d.day BETWEEN p_first AND p_last
    UNION ALL
    SELECT u.day, u.dimension, u.key, u.is_paid, u.sessions, u.click_sessions, u.visitors, u.events, u.conversions, u.forms, u.leads, u.click_leads, u.sealed, u.junk, u.amount, u.scroll, u.scrolled, u.seconds
    FROM sites s CROSS JOIN LATERAL unfolded_cells(s.id, s.time_zone, s.currency) u
    WHERE s.id = p_site AND u.day BETWEEN p_first AND p_last AND counter_part(u.dimension) = ANY (p_parts)
    UNION ALL
    SELECT r.day, r.dimension, r.key, r.is_paid, r.sessions, r.click_sessions, r.visitors, r.events, r.conversions, r.forms, r.leads, r.click_leads, r.sealed, r.junk, r.amount, r.scroll, r.scrolled, r.seconds
    FROM sites s CROSS JOIN unnest(p_edge_from, p_edge_to) AS e (edge_from, edge_to)
    CROSS JOIN LATERAL recount(s.id, e.edge_from, e.edge_to, s.time_zone, s.currency) r
    WHERE s.id = p_site
      -- Of days whose rows have gone only whole ones are known: a part of such a day is nothing, not what happens to be left.
      AND (s.facts_since IS NULL OR e.edge_from >= s.facts_since::timestamp AT TIME ZONE s.time_zone)
$$;

GRANT EXECUTE ON FUNCTION counter_part, place_key, page_key, session_entry, call_entry, decision_entry, conversion_entry, call_entries,
    hour_key, entry_cells, unfolded_visitors, unfolded_cells, recount, figures TO opsmantik_app;
