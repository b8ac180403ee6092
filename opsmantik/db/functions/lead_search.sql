-- Finding leads among all that a site ever had. What is searched lies in lead_search, one narrow row a lead, kept by the
-- fold (counters_upkeep.sql) from what writers say they have changed (counter_journal.calls). Whoever searches reads that
-- table and, in its place, the leads that wait to be folded as they are now: so an own decision is seen at once, and
-- folding changes no answer. It costs a writer no more than a name in a row that it writes anyway.

-- A text as people search for it: small letters, without the marks that keyboards leave out, so that KIRALIK VİNÇ,
-- kiralık vinç and kiralik vinc are one. Turkish has two letters i, in both cases, and machines mix them up.
CREATE OR REPLACE FUNCTION search_text(p_text text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT lower(translate(p_text, E'IİıŞşÇçĞğÖöÜüÂâÎîÛû\u0307\u0327\u0306\u0308\u0302', 'iiissccggoouuaaiiuu')) $$;

-- The digits of something that may be a number, else nothing: "2 kez aradı" is none.
CREATE OR REPLACE FUNCTION search_digits(p_text text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN length(regexp_replace(p_text, '\D', '', 'g')) >= 7 THEN regexp_replace(p_text, '\D', '', 'g') END $$;

-- The hour of the week in UTC: 0 is Monday's first.
CREATE OR REPLACE FUNCTION week_hour(p_at timestamptz) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (extract(isodow FROM p_at AT TIME ZONE 'UTC') * 24 - 24 + extract(hour FROM p_at AT TIME ZONE 'UTC'))::integer $$;

-- The month in UTC, counted from the year 0.
CREATE OR REPLACE FUNCTION month_number(p_at timestamptz) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (extract(year FROM p_at AT TIME ZONE 'UTC') * 12 + extract(month FROM p_at AT TIME ZONE 'UTC') - 1)::integer $$;

-- The name under which something is found in the index: the site's own, so that one index serves all sites. Two may fall
-- together; what is found by them is always compared with the row itself.
CREATE OR REPLACE FUNCTION search_token(p_site uuid, p_name text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT hashtextextended(p_name, uuid_hash_extended(p_site, 0)) $$;

-- What finds a word of a text: every three letters in a row, or if it has fewer, that a word begins so.
CREATE OR REPLACE FUNCTION search_parts(p_word text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN length(p_word) < 3 THEN ARRAY['^' || p_word]
    ELSE ARRAY(SELECT 'q' || substr(p_word, i, 3) FROM generate_series(1, length(p_word) - 2) i) END $$;

-- All names of a lead: of its keys, of the hours of the week and the months (u and m of the capture, v and n of the
-- decision), of its words. The index
-- holds what this makes of a row: a changed one takes a new name, and an index of its own. Dear, and said to be so: it is
-- for the index, and no row that is read should be put through it.
CREATE OR REPLACE FUNCTION search_tokens(p_site uuid, p_created_at timestamptz, p_decided_at timestamptz, p_status text,
    p_action text, p_captured_by text, p_is_paid boolean, p_has_click_id boolean, p_source text, p_channel text, p_campaign text,
    p_keyword text, p_matchtype text, p_place text, p_device text, p_page text, p_words text) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10000 SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT array_agg(search_token(p_site, t.name)) FROM (
        SELECT unnest(ARRAY['status:' || p_status, 'action:' || p_action, 'captured_by:' || p_captured_by,
            'is_paid:' || p_is_paid, 'has_click_id:' || p_has_click_id, 'source:' || p_source, 'channel:' || p_channel,
            'campaign:' || p_campaign, 'keyword:' || p_keyword, 'matchtype:' || p_matchtype, 'place:' || p_place,
            'device:' || p_device, 'page:' || p_page, 'u' || week_hour(p_created_at), 'v' || week_hour(p_decided_at),
            'm' || month_number(p_created_at), 'n' || month_number(p_decided_at)]) AS name
        UNION ALL
        SELECT 'q' || substr(w.word, i, 3)
        FROM unnest(string_to_array(p_words, ' ')) AS w (word), generate_series(1, length(w.word) - 2) i
        UNION ALL
        SELECT '^' || left(w.word, n)
        FROM unnest(string_to_array(p_words, ' ')) AS w (word), generate_series(1, least(2, length(w.word))) n) t
    WHERE t.name IS NOT NULL
$$;

-- Here and not in a migration: it needs the function.
CREATE INDEX IF NOT EXISTS lead_search_tokens_idx ON lead_search USING gin (search_tokens(site_id, created_at, decided_at, status, action,
    captured_by, is_paid, has_click_id, source, channel, campaign, keyword, matchtype, place, device, page, words));

-- Leads as they are now, as the table holds them: these, or all (null). A repeated tap is no lead.
CREATE OR REPLACE FUNCTION lead_search_rows(p_site uuid, p_calls uuid[]) RETURNS SETOF lead_search LANGUAGE sql STABLE
AS $$
    SELECT c.site_id, c.id, c.created_at, c.confirmed_at, c.status, coalesce(c.intent_action, ''), c.source,
        coalesce(s.is_paid, false), c.click_id IS NOT NULL OR coalesce(s.has_click_id, false),
        left(coalesce(s.attribution_source, ''), 200), left(coalesce(s.channel, ''), 200), left(coalesce(s.utm_campaign, ''), 200),
        left(coalesce(s.utm_term, ''), 200), left(coalesce(s.matchtype, ''), 200), left(place_key(s.city, s.district), 200),
        left(coalesce(s.device_type, ''), 200), page_key(s.entry_page),
        search_text(regexp_replace(concat_ws(' ', c.intent_target,
            -- a number once is enough: it mostly stands in the target as it is
            CASE WHEN strpos(c.intent_target, search_digits(c.intent_target)) > 0 THEN NULL ELSE search_digits(c.intent_target) END,
            CASE WHEN strpos(c.intent_target, search_digits(c.phone_number)) > 0 THEN NULL ELSE search_digits(c.phone_number) END,
            c.note, search_digits(c.note), s.utm_term, s.utm_campaign, s.city, s.district,
            page_key(s.entry_page), nullif(page_key(c.intent_page_url), page_key(s.entry_page))), '\s+', ' ', 'g'))
    FROM calls c
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    WHERE c.site_id = p_site AND (p_calls IS NULL OR c.id = ANY (p_calls)) AND c.merged_into IS NULL
$$;

-- Leads that writers may have changed and that are not folded yet.
CREATE OR REPLACE FUNCTION unfolded_leads(p_site uuid) RETURNS uuid[] LANGUAGE sql STABLE
AS $$ SELECT coalesce(array_agg(DISTINCT c.id), '{}') FROM counter_journal j CROSS JOIN LATERAL unnest(j.calls) AS c (id) WHERE j.site_id = p_site $$;

-- The fold's part, under the lock of the site's counters: nobody else writes here, but those who take leads away.
CREATE OR REPLACE FUNCTION fold_leads(p_site uuid, p_calls uuid[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    DELETE FROM lead_search l WHERE l.site_id = p_site AND l.call_id = ANY (p_calls)
      AND NOT EXISTS (SELECT FROM calls c WHERE c.site_id = p_site AND c.id = l.call_id AND c.merged_into IS NULL);
    INSERT INTO lead_search AS l (site_id, call_id, created_at, decided_at, status, action, captured_by, is_paid, has_click_id, source,
        channel, campaign, keyword, matchtype, place, device, page, words)
    SELECT r.site_id, r.call_id, r.created_at, r.decided_at, r.status, r.action, r.captured_by, r.is_paid, r.has_click_id, r.source,
        r.channel, r.campaign, r.keyword, r.matchtype, r.place, r.device, r.page, r.words
    FROM lead_search_rows(p_site, p_calls) r
    ON CONFLICT (site_id, call_id) DO UPDATE SET created_at = excluded.created_at, decided_at = excluded.decided_at,
        status = excluded.status, action = excluded.action, captured_by = excluded.captured_by, is_paid = excluded.is_paid,
        has_click_id = excluded.has_click_id, source = excluded.source, channel = excluded.channel, campaign = excluded.campaign,
        keyword = excluded.keyword, matchtype = excluded.matchtype, place = excluded.place, device = excluded.device,
        page = excluded.page, words = excluded.words
    WHERE l IS DISTINCT FROM excluded;
END
$$;

-- Makes a site's rows anew from its leads, beside whatever comes in. Writes only what differs; returns how many rows that was.
CREATE OR REPLACE FUNCTION gather_leads(p_site uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_calls uuid[];
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_counters(p_site);
    v_calls := ARRAY(
        SELECT coalesce(l.call_id, r.call_id)
        FROM (SELECT x.* FROM lead_search x WHERE x.site_id = p_site) l FULL JOIN lead_search_rows(p_site, NULL) r ON r.call_id = l.call_id
        WHERE (l.site_id, l.call_id, l.created_at, l.decided_at, l.status, l.action, l.captured_by, l.is_paid, l.has_click_id,
            l.source, l.channel, l.campaign, l.keyword, l.matchtype, l.place, l.device, l.page, l.words)
          IS DISTINCT FROM (r.site_id, r.call_id, r.created_at, r.decided_at, r.status, r.action, r.captured_by, r.is_paid, r.has_click_id,
            r.source, r.channel, r.campaign, r.keyword, r.matchtype, r.place, r.device, r.page, r.words));
    PERFORM fold_leads(p_site, v_calls);
    UPDATE site_pulse p SET leads_gathered_at = now() WHERE p.site_id = p_site AND p.leads_gathered_at IS NULL;
    RETURN cardinality(v_calls);
END
$$;

-- Leads whose rows are not what they should be, but for those that wait to be folded: none, or something is broken.
CREATE OR REPLACE FUNCTION lead_search_differences(p_site uuid) RETURNS SETOF uuid LANGUAGE sql STABLE
AS $$
    SELECT coalesce(l.call_id, r.call_id)
    FROM (SELECT x.* FROM lead_search x WHERE x.site_id = p_site) l FULL JOIN lead_search_rows(p_site, NULL) r ON r.call_id = l.call_id
    WHERE (l.site_id, l.call_id, l.created_at, l.decided_at, l.status, l.action, l.captured_by, l.is_paid, l.has_click_id,
        l.source, l.channel, l.campaign, l.keyword, l.matchtype, l.place, l.device, l.page, l.words)
      IS DISTINCT FROM (r.site_id, r.call_id, r.created_at, r.decided_at, r.status, r.action, r.captured_by, r.is_paid, r.has_click_id,
        r.source, r.channel, r.campaign, r.keyword, r.matchtype, r.place, r.device, r.page, r.words)
      AND coalesce(l.call_id, r.call_id) <> ALL (unfolded_leads(p_site))
$$;

-- What p_wanted asks of a row l, as SQL: conditions, which decide, and tokens, by which the index finds the few rows worth
-- asking. Only words of ours and quoted literals go into it.
--
-- In:  p_wanted   keys: {"campaign": "istanbul"}, of any column that is a key ("" is not known); {"status": ["intent", "pending"]};
--                 {"is_paid": true}; {"weekday": 1 to 7, "hour": 0 to 23} by the clock of p_zone;
--                 {"words": ["kiralık", "vinç"], "number": "5321234567"}: all of the words, or the number.
--      p_at       the column whose time counts.
-- Out: tokens_of  what tokens are asked of, for more of them.
CREATE OR REPLACE FUNCTION search_conditions(p_site uuid, p_wanted jsonb, p_at text, p_zone text, p_from timestamptz,
    OUT conditions text, OUT tokens text, OUT tokens_of text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_row text := 'search_tokens(l.site_id, l.created_at, l.decided_at, l.status, l.action, l.captured_by, l.is_paid, '
        'l.has_click_id, l.source, l.channel, l.campaign, l.keyword, l.matchtype, l.place, l.device, l.page, l.words)';
    v_key record;
    v_all text[] := '{}';
    v_words text[];
    v_ways text[] := '{}';
    v_parts text[];
BEGIN
    conditions := 'true';
    tokens := 'true';
    tokens_of := v_row;
    FOR v_key IN SELECT k, v FROM jsonb_each_text(p_wanted) AS w (k, v) WHERE k = ANY (ARRAY['action', 'captured_by', 'is_paid',
        'has_click_id', 'source', 'channel', 'campaign', 'keyword', 'matchtype', 'place', 'device', 'page'])
    LOOP
        conditions := conditions || format(' AND l.%I = %L', v_key.k, v_key.v);
        v_all := v_all || (v_key.k || ':' || v_key.v);
    END LOOP;
    IF v_all <> '{}' THEN
        tokens := tokens || format(' AND %s @> %L::bigint[]', v_row, ARRAY(SELECT search_token(p_site, n) FROM unnest(v_all) n));
    END IF;
    IF p_wanted ? 'status' THEN
        v_words := ARRAY(SELECT jsonb_array_elements_text(p_wanted -> 'status'));
        conditions := conditions || format(' AND l.status = ANY (%L::text[])', v_words);
        tokens := tokens || format(' AND %s && %L::bigint[]', v_row,
            ARRAY(SELECT search_token(p_site, 'status:' || n) FROM unnest(v_words) n));
    END IF;
    IF p_wanted ?| ARRAY['weekday', 'hour'] THEN
        IF p_wanted ? 'weekday' THEN
            conditions := conditions || format(' AND extract(isodow FROM %s AT TIME ZONE %L) = %s', p_at, p_zone, (p_wanted ->> 'weekday')::integer);
        END IF;
        IF p_wanted ? 'hour' THEN
            conditions := conditions || format(' AND extract(hour FROM %s AT TIME ZONE %L) = %s', p_at, p_zone, (p_wanted ->> 'hour')::integer);
        END IF;
        -- The hours in UTC that these are, with every offset that the site's clock has had in that time.
        tokens := tokens || format(' AND %s && %L::bigint[]', v_row, ARRAY(
            SELECT DISTINCT search_token(p_site, CASE p_at WHEN 'l.created_at' THEN 'u' ELSE 'v' END
                || mod(floor((((w - 1) * 24 + h) * 3600 - o.seconds + edge) / 3600)::integer + 336, 168))
            FROM (SELECT DISTINCT extract(epoch FROM (d AT TIME ZONE p_zone) - (d AT TIME ZONE 'UTC')) AS seconds
                FROM generate_series(greatest(p_from, coalesce((SELECT min(x.created_at) FROM lead_search x WHERE x.site_id = p_site), now()))
                    - interval '7 days', now() + interval '7 days', interval '7 days') d) o,
                generate_series(1, 7) w, generate_series(0, 23) h, (VALUES (0), (3599)) AS e (edge)
            WHERE w = coalesce((p_wanted ->> 'weekday')::integer, w) AND h = coalesce((p_wanted ->> 'hour')::integer, h)));
    END IF;
    v_words := ARRAY(SELECT search_text(n) FROM jsonb_array_elements_text(coalesce(p_wanted -> 'words', '[]')) n);
    IF v_words <> '{}' THEN
        v_ways := v_ways || ('(' || (SELECT string_agg(CASE WHEN length(n) < 3 THEN format('strpos('' '' || l.words, %L) > 0', ' ' || n)
            ELSE format('strpos(l.words, %L) > 0', n) END, ' AND ') FROM unnest(v_words) n) || ')');
        v_parts := v_parts || format('%s @> %L::bigint[]', v_row,
            ARRAY(SELECT DISTINCT search_token(p_site, part) FROM unnest(v_words) n CROSS JOIN LATERAL unnest(search_parts(n)) part));
        IF p_wanted ? 'number' THEN
            v_ways := v_ways || format('strpos(l.words, %L) > 0', p_wanted ->> 'number');
            v_parts := v_parts || format('%s @> %L::bigint[]', v_row,
                ARRAY(SELECT DISTINCT search_token(p_site, part) FROM unnest(search_parts(p_wanted ->> 'number')) part));
        END IF;
        conditions := conditions || ' AND (' || array_to_string(v_ways, ' OR ') || ')';
        tokens := tokens || ' AND (' || array_to_string(v_parts, ' OR ') || ')';
    END IF;
END
$$;

-- Rows that are to be found by their tokens: nothing else may tempt the planner, which cannot know how often words and keys
-- come together. One that it takes for a filter would be worked out for every row. Nor by several workers: to call them in
-- takes longer than the work. p_where and p_at are made by those who call it, of words of ours and quoted literals.
CREATE OR REPLACE FUNCTION by_tokens(p_site uuid, p_where text, p_at text, p_limit integer, OUT calls uuid[], OUT ats timestamptz[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off SET enable_indexscan = off
SET enable_indexonlyscan = off SET work_mem = '16MB' SET jit = off SET max_parallel_workers_per_gather = 0
AS $$
BEGIN
    EXECUTE format('SELECT coalesce(array_agg(f.call_id), ''{}''), coalesce(array_agg(f.at), ''{}'') FROM ('
        'SELECT l.call_id, %s AS at FROM lead_search l WHERE l.site_id = %L AND %s ORDER BY %s DESC, l.call_id DESC LIMIT %s) f',
        p_at, p_site, p_where, p_at, p_limit) INTO calls, ats;
END
$$;

-- How many of them there are, up to p_limit.
CREATE OR REPLACE FUNCTION count_by_tokens(p_site uuid, p_where text, p_limit integer) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off SET enable_indexscan = off
SET enable_indexonlyscan = off SET work_mem = '16MB' SET jit = off SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    v_n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT FROM lead_search l WHERE l.site_id = %L AND %s LIMIT %s) f', p_site, p_where, p_limit) INTO v_n;
    RETURN v_n;
END
$$;

CREATE OR REPLACE FUNCTION search_reader(p_site uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF coalesce(site_role(p_site), '') NOT IN ('platform_admin', 'owner', 'admin', 'operator', 'analyst') THEN
        RAISE EXCEPTION 'the asker sees nothing of this site' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM see_all_sites();
END
$$;

-- A page of the leads that p_wanted describes (see search_conditions), newest first: at most p_limit of those captured (or
-- p_decided) in [p_from, p_to) that come after the row (p_before, p_before_call).
--
-- Where many leads are wanted they are mostly among the newest: so those are looked through first, in their order. Where they
-- are not, few are wanted, and the index has their names; or many of long ago, and it has those month by month.
CREATE OR REPLACE FUNCTION search_leads(p_site uuid, p_wanted jsonb, p_decided boolean, p_zone text, p_from timestamptz, p_to timestamptz,
    p_before timestamptz, p_before_call uuid, p_limit integer) RETURNS TABLE (call_id uuid, at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 SET search_path = pg_catalog, public, pg_temp SET jit = off SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    v_walk constant integer := 4000;
    v_few constant integer := 5000;
    v_at constant text := CASE WHEN p_decided THEN 'l.decided_at' ELSE 'l.created_at' END;
    v_unfolded uuid[];
    v_in text;     -- which rows come into question by their time
    v_where text;  -- and by all else
    v_not text := '';
    v_asked record;
    v_calls uuid[];
    v_ats timestamptz[];
    v_more boolean;
    v_last integer;
    v_found record;
BEGIN
    PERFORM search_reader(p_site);
    v_unfolded := unfolded_leads(p_site);
    v_asked := search_conditions(p_site, p_wanted, v_at, p_zone, p_from);
    v_in := format('%1$s >= %2$L AND %1$s < %3$L AND (%1$s, l.call_id) < (%4$L, %5$L)', v_at, p_from, p_to, p_before, p_before_call);
    IF v_unfolded <> '{}' THEN
        v_not := format(' AND l.call_id <> ALL (%L::uuid[])', v_unfolded);
    END IF;
    EXECUTE format('SELECT coalesce(array_agg(f.call_id), ''{}''), coalesce(array_agg(f.at), ''{}'') FROM ('
        'SELECT l.call_id, %s AS at FROM (SELECT l.* FROM lead_search l WHERE l.site_id = %L AND %s ORDER BY %s DESC, l.call_id DESC LIMIT %s) l '
        'WHERE %s LIMIT %s) f', v_at, p_site, v_in, v_at, v_walk, v_asked.conditions || v_not, p_limit) INTO v_calls, v_ats;
    IF cardinality(v_calls) < p_limit AND v_asked.tokens <> 'true' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM lead_search l WHERE l.site_id = %L AND %s ORDER BY %s DESC, l.call_id DESC OFFSET %s LIMIT 1)',
            p_site, v_in, v_at, v_walk) INTO v_more;
        IF v_more THEN
            v_where := v_in || ' AND ' || v_asked.tokens || ' AND ' || v_asked.conditions || v_not;
            v_calls := '{}';
            v_ats := '{}';
            IF count_by_tokens(p_site, v_where, v_few) < v_few THEN
                SELECT b.calls, b.ats INTO v_calls, v_ats FROM by_tokens(p_site, v_where, v_at, p_limit) b;
            ELSE
                v_last := month_number(greatest(p_from, (SELECT min(l.created_at) FROM lead_search l WHERE l.site_id = p_site)));
                FOR v_month IN REVERSE month_number(least(p_before, p_to, now() + interval '1 day')) .. v_last LOOP
                    SELECT b.calls, b.ats INTO v_found FROM by_tokens(p_site, v_where || format(' AND %s @> ARRAY[%s]', v_asked.tokens_of,
                        search_token(p_site, CASE WHEN p_decided THEN 'n' ELSE 'm' END || v_month)), v_at, p_limit) b;
                    v_calls := v_calls || v_found.calls;
                    v_ats := v_ats || v_found.ats;
                    EXIT WHEN cardinality(v_calls) >= p_limit;
                END LOOP;
                v_calls := v_calls[1:p_limit];
                v_ats := v_ats[1:p_limit];
            END IF;
        END IF;
    END IF;
    IF v_unfolded = '{}' THEN
        RETURN QUERY SELECT f.id, f.t FROM unnest(v_calls, v_ats) AS f (id, t);
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format('SELECT f.call_id, f.at FROM (SELECT * FROM unnest(%L::uuid[], %L::timestamptz[]) AS g (call_id, at) UNION ALL '
        'SELECT l.call_id, %s FROM lead_search_rows(%L, %L::uuid[]) l WHERE %s) f ORDER BY f.at DESC, f.call_id DESC LIMIT %s',
        v_calls, v_ats, v_at, p_site, v_unfolded, v_in || ' AND ' || v_asked.conditions, p_limit);
END
$$;

-- How many leads that are: exactly, up to p_most; beyond it, p_most + 1.
CREATE OR REPLACE FUNCTION count_leads(p_site uuid, p_wanted jsonb, p_decided boolean, p_zone text, p_from timestamptz, p_to timestamptz,
    p_most integer) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET jit = off SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    v_walk constant integer := 30000;
    v_at constant text := CASE WHEN p_decided THEN 'l.decided_at' ELSE 'l.created_at' END;
    v_unfolded uuid[];
    v_in text;
    v_not text := '';
    v_asked record;
    v_n bigint;
    v_fresh bigint := 0;
BEGIN
    PERFORM search_reader(p_site);
    v_unfolded := unfolded_leads(p_site);
    v_asked := search_conditions(p_site, p_wanted, v_at, p_zone, p_from);
    v_in := format('%1$s >= %2$L AND %1$s < %3$L', v_at, p_from, p_to);
    IF v_unfolded <> '{}' THEN
        v_not := format(' AND l.call_id <> ALL (%L::uuid[])', v_unfolded);
        EXECUTE format('SELECT count(*) FROM lead_search_rows(%L, %L::uuid[]) l WHERE %s', p_site, v_unfolded, v_in || ' AND ' || v_asked.conditions)
        INTO v_fresh;
    END IF;
    IF v_asked.tokens <> 'true' THEN
        EXECUTE format('SELECT count(*) FROM (SELECT FROM lead_search l WHERE l.site_id = %L AND %s LIMIT %s) f', p_site, v_in, v_walk + 1) INTO v_n;
    END IF;
    IF v_n > v_walk THEN
        v_n := count_by_tokens(p_site, v_in || ' AND ' || v_asked.tokens || ' AND ' || v_asked.conditions || v_not, p_most + 1);
    ELSE
        EXECUTE format('SELECT count(*) FROM (SELECT FROM lead_search l WHERE l.site_id = %L AND %s LIMIT %s) f', p_site,
            v_in || ' AND ' || v_asked.conditions || v_not, p_most + 1) INTO v_n;
    END IF;
    RETURN least(v_n + v_fresh, p_most + 1);
END
$$;

REVOKE EXECUTE ON FUNCTION search_text, search_digits, week_hour, month_number, search_token, search_parts, search_tokens, lead_search_rows, unfolded_leads,
    fold_leads, gather_leads, lead_search_differences, search_conditions, by_tokens, count_by_tokens, search_reader, search_leads, count_leads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_leads, count_leads TO opsmantik_app;
