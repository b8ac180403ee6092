-- Keeping the counters: the fold, the check against the rows, the rebuild. All three take the site's counters for
-- themselves (one lock a site); none of them ever makes a writer or a reader wait.
CREATE OR REPLACE FUNCTION lock_counters(p_site uuid) RETURNS void LANGUAGE sql VOLATILE
AS $$ SELECT pg_advisory_xact_lock(hashtextextended('opsmantik: counters ' || p_site, 0)) $$;

-- Moves what the journal holds of a site into its days, and the books with it. Returns how many transactions it
-- moved; -1 where another fold or a rebuild is at it.
CREATE OR REPLACE FUNCTION fold_counters(p_site uuid) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_zone text;
    v_currency text;
    v_count integer;
    v_calls uuid[];
BEGIN
    SET LOCAL app.maintenance = 'on';
    IF NOT pg_try_advisory_xact_lock(hashtextextended('opsmantik: counters ' || p_site, 0)) THEN
        RETURN -1;
    END IF;
    SELECT s.time_zone, s.currency INTO v_zone, v_currency FROM sites s WHERE s.id = p_site;
    -- One statement, so one snapshot: what is taken from the journal is what the visitors are counted against.
    WITH taken AS (
        DELETE FROM counter_journal j WHERE j.site_id = p_site
        RETURNING j.entries, j.tally, j.calls, j.changed_at, j.last_event_at, j.last_intent_at
    ), fresh (day, dimension, key, is_paid, sessions, click_sessions, visitors, events, conversions, forms, leads, click_leads, sealed, junk, amount, scroll, scrolled, seconds) AS MATERIALIZED (
        SELECT x.day, x.dimension, x.key, x.is_paid, x.sessions, x.click_sessions, NULL::integer, x.events, x.conversions, x.forms, x.leads, x.click_leads, x.sealed, x.junk, x.amount, x.scroll, x.scrolled, x.seconds
        FROM taken t CROSS JOIN LATERAL unnest(t.entries) e CROSS JOIN LATERAL entry_cells(e, v_zone, v_currency) x
        UNION ALL
        SELECT v.day, v.dimension, v.key, v.is_paid, NULL::integer, NULL::integer, v.visitors, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::numeric, NULL::bigint, NULL::integer, NULL::bigint
        FROM unfolded_visitors(p_site, v_zone) v
    ), known AS (
        SELECT d.day, c.* FROM counter_days d CROSS JOIN LATERAL unnest(d.main || d.sources || d.hours || d.details) c
        WHERE d.site_id = p_site AND d.day IN (SELECT f.day FROM fresh f)
    ), sums AS (
        SELECT day, dimension, key, is_paid,
            sum(sessions)::integer AS sessions, sum(click_sessions)::integer AS click_sessions, sum(visitors)::integer AS visitors, sum(events)::integer AS events, sum(conversions)::integer AS conversions, sum(forms)::integer AS forms, sum(leads)::integer AS leads, sum(click_leads)::integer AS click_leads, sum(sealed)::integer AS sealed, sum(junk)::integer AS junk, sum(amount) AS amount, sum(scroll)::bigint AS scroll, sum(scrolled)::integer AS scrolled, sum(seconds)::bigint AS seconds
        FROM (SELECT * FROM fresh UNION ALL SELECT * FROM known) b GROUP BY day, dimension, key, is_paid
    ), written AS (
        INSERT INTO counter_days AS y (site_id, day, main, sources, hours, details)
        SELECT p_site, w.day, coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'main'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'sources'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'hours'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'details'), '{}')
        FROM (SELECT z.day, z.dimension, z.key, z.is_paid, ROW(z.dimension, z.key, z.is_paid, nullif(z.sessions, 0), nullif(z.click_sessions, 0), nullif(z.visitors, 0), nullif(z.events, 0), nullif(z.conversions, 0), nullif(z.forms, 0), nullif(z.leads, 0), nullif(z.click_leads, 0), nullif(z.sealed, 0), nullif(z.junk, 0), nullif(z.amount, 0), nullif(z.scroll, 0), nullif(z.scrolled, 0), nullif(z.seconds, 0))::counter_cell AS cell,
                CASE WHEN coalesce(z.sessions, 0) <> 0 OR coalesce(z.click_sessions, 0) <> 0 OR coalesce(z.visitors, 0) <> 0 OR coalesce(z.events, 0) <> 0 OR coalesce(z.conversions, 0) <> 0 OR coalesce(z.forms, 0) <> 0 OR coalesce(z.leads, 0) <> 0 OR coalesce(z.click_leads, 0) <> 0 OR coalesce(z.sealed, 0) <> 0 OR coalesce(z.junk, 0) <> 0 OR coalesce(z.amount, 0) <> 0 OR coalesce(z.scroll, 0) <> 0 OR coalesce(z.scrolled, 0) <> 0 OR coalesce(z.seconds, 0) <> 0 THEN counter_part(z.dimension) END AS part
            FROM sums z) w GROUP BY w.day
        ON CONFLICT (site_id, day) DO UPDATE SET main = excluded.main, sources = excluded.sources,
            hours = excluded.hours, details = excluded.details
    ), tallied AS (
        INSERT INTO ingest_tally AS y (site_id, hour, outcome, n)
        SELECT p_site, date_trunc('hour', coalesce(o.received_at, t.changed_at)), o.outcome, sum(o.n)
        FROM taken t CROSS JOIN LATERAL unnest(t.tally) o GROUP BY 2, 3
        ON CONFLICT (site_id, hour, outcome) DO UPDATE SET n = y.n + excluded.n
    ), pulsed AS (
        INSERT INTO site_pulse AS y (site_id, sequence, changed_at, last_event_at, last_intent_at, counted_at, leads_gathered_at)
        SELECT p_site, count(*), max(t.changed_at), max(t.last_event_at), max(t.last_intent_at), now(), now()
        FROM taken t HAVING count(*) > 0
        ON CONFLICT (site_id) DO UPDATE SET
            sequence = y.sequence + excluded.sequence, changed_at = greatest(y.changed_at, excluded.changed_at),
            last_event_at = greatest(y.last_event_at, excluded.last_event_at),
            last_intent_at = greatest(y.last_intent_at, excluded.last_intent_at)
    )
    SELECT count(*), (SELECT array_agg(DISTINCT c.id) FROM taken x CROSS JOIN LATERAL unnest(x.calls) AS c (id))
    INTO v_count, v_calls FROM taken;
    IF v_calls IS NOT NULL THEN
        PERFORM fold_leads(p_site, v_calls);
    END IF;
    RETURN v_count;
END
$$;

-- Sites whose journal waits to be folded.
CREATE OR REPLACE FUNCTION sites_to_fold() RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    -- One step of the index a site, however many rows wait.
    RETURN QUERY WITH RECURSIVE next AS (
        (SELECT j.site_id FROM counter_journal j ORDER BY j.site_id LIMIT 1)
        UNION ALL
        SELECT (SELECT j.site_id FROM counter_journal j WHERE j.site_id > n.site_id ORDER BY j.site_id LIMIT 1)
        FROM next n WHERE n.site_id IS NOT NULL)
    SELECT n.site_id FROM next n WHERE n.site_id IS NOT NULL;
END
$$;

-- Where counters and rows differ, on the site days p_from to p_to (null: all): nothing, or something is broken. Days
-- before sites.facts_since are left out: their rows have gone (functions/retention.sql), their figures stay.
CREATE OR REPLACE FUNCTION counter_differences(p_site uuid, p_from date, p_to date)
RETURNS TABLE (day date, dimension text, key text, is_paid boolean, measure text, counted numeric, recounted numeric)
LANGUAGE sql STABLE
AS $$
    WITH site AS (SELECT s.id, s.time_zone, s.currency, greatest(s.facts_since, p_from) AS first FROM sites s WHERE s.id = p_site),
    counted AS (
        SELECT c.day, c.dimension, c.key, c.is_paid, m.measure, sum(m.n) AS n
        FROM counters c CROSS JOIN LATERAL (VALUES ('sessions', c.sessions::numeric), ('click_sessions', c.click_sessions::numeric), ('visitors', c.visitors::numeric), ('events', c.events::numeric), ('conversions', c.conversions::numeric), ('forms', c.forms::numeric), ('leads', c.leads::numeric), ('click_leads', c.click_leads::numeric), ('sealed', c.sealed::numeric), ('junk', c.junk::numeric), ('amount', c.amount::numeric), ('scroll', c.scroll::numeric), ('scrolled', c.scrolled::numeric), ('seconds', c.seconds::numeric)) AS m (measure, n)
        WHERE c.site_id = p_site AND c.day BETWEEN coalesce((SELECT site.first FROM site), '-infinity') AND coalesce(p_to, 'infinity') AND m.n <> 0
        GROUP BY 1, 2, 3, 4, 5
    ), recounted AS (
        SELECT r.day, r.dimension, r.key, r.is_paid, m.measure, m.n
        FROM site CROSS JOIN LATERAL recount(site.id,
            coalesce(site.first::timestamp AT TIME ZONE 'UTC' - interval '2 days', '-infinity'),
            coalesce(p_to::timestamp AT TIME ZONE 'UTC' + interval '3 days', 'infinity'), site.time_zone, site.currency) r
        CROSS JOIN LATERAL (VALUES ('sessions', r.sessions::numeric), ('click_sessions', r.click_sessions::numeric), ('visitors', r.visitors::numeric), ('events', r.events::numeric), ('conversions', r.conversions::numeric), ('forms', r.forms::numeric), ('leads', r.leads::numeric), ('click_leads', r.click_leads::numeric), ('sealed', r.sealed::numeric), ('junk', r.junk::numeric), ('amount', r.amount::numeric), ('scroll', r.scroll::numeric), ('scrolled', r.scrolled::numeric), ('seconds', r.seconds::numeric)) AS m (measure, n)
        WHERE r.day BETWEEN coalesce(site.first, '-infinity') AND coalesce(p_to, 'infinity') AND m.n <> 0
    )
    SELECT day, dimension, key, is_paid, measure, coalesce(counted.n, 0), coalesce(recounted.n, 0)
    FROM counted FULL JOIN recounted USING (day, dimension, key, is_paid, measure)
    WHERE coalesce(counted.n, 0) <> coalesce(recounted.n, 0)
$$;

-- Makes the days p_from to p_to (null: all) anew from the rows, while events go on coming in: what is committed later
-- is in the journal, not in the days. Never days before sites.facts_since, whose rows have gone. Returns how many days
-- it wrote.
CREATE OR REPLACE FUNCTION rebuild_counters(p_site uuid, p_from date DEFAULT NULL, p_to date DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_zone text;
    v_currency text;
    v_from date;
    v_to date := coalesce(p_to, 'infinity');
    v_count integer;
BEGIN
    SET LOCAL app.maintenance = 'on';
    PERFORM lock_counters(p_site);
    SELECT s.time_zone, s.currency, coalesce(greatest(s.facts_since, p_from), '-infinity') INTO v_zone, v_currency, v_from
    FROM sites s WHERE s.id = p_site;
    WITH cells AS (
        SELECT r.*, 1 AS sign FROM recount(p_site, CASE WHEN isfinite(v_from) THEN v_from::timestamp AT TIME ZONE 'UTC' - interval '2 days' ELSE '-infinity' END,
            coalesce(p_to::timestamp AT TIME ZONE 'UTC' + interval '3 days', 'infinity'), v_zone, v_currency) r
        UNION ALL
        SELECT u.*, -1 FROM unfolded_cells(p_site, v_zone, v_currency) u
    ), sums AS (
        SELECT day, dimension, key, is_paid,
            sum(sign * sessions)::integer AS sessions, sum(sign * click_sessions)::integer AS click_sessions, sum(sign * visitors)::integer AS visitors, sum(sign * events)::integer AS events, sum(sign * conversions)::integer AS conversions, sum(sign * forms)::integer AS forms, sum(sign * leads)::integer AS leads, sum(sign * click_leads)::integer AS click_leads, sum(sign * sealed)::integer AS sealed, sum(sign * junk)::integer AS junk, sum(sign * amount) AS amount, sum(sign * scroll)::bigint AS scroll, sum(sign * scrolled)::integer AS scrolled, sum(sign * seconds)::bigint AS seconds
        FROM cells WHERE day BETWEEN v_from AND v_to GROUP BY day, dimension, key, is_paid
    ), written AS (
        INSERT INTO counter_days AS y (site_id, day, main, sources, hours, details)
        SELECT p_site, w.day, coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'main'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'sources'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'hours'), '{}'),
            coalesce(array_agg(w.cell ORDER BY w.dimension, w.key, w.is_paid) FILTER (WHERE w.part = 'details'), '{}')
        FROM (SELECT z.day, z.dimension, z.key, z.is_paid, ROW(z.dimension, z.key, z.is_paid, nullif(z.sessions, 0), nullif(z.click_sessions, 0), nullif(z.visitors, 0), nullif(z.events, 0), nullif(z.conversions, 0), nullif(z.forms, 0), nullif(z.leads, 0), nullif(z.click_leads, 0), nullif(z.sealed, 0), nullif(z.junk, 0), nullif(z.amount, 0), nullif(z.scroll, 0), nullif(z.scrolled, 0), nullif(z.seconds, 0))::counter_cell AS cell,
                CASE WHEN coalesce(z.sessions, 0) <> 0 OR coalesce(z.click_sessions, 0) <> 0 OR coalesce(z.visitors, 0) <> 0 OR coalesce(z.events, 0) <> 0 OR coalesce(z.conversions, 0) <> 0 OR coalesce(z.forms, 0) <> 0 OR coalesce(z.leads, 0) <> 0 OR coalesce(z.click_leads, 0) <> 0 OR coalesce(z.sealed, 0) <> 0 OR coalesce(z.junk, 0) <> 0 OR coalesce(z.amount, 0) <> 0 OR coalesce(z.scroll, 0) <> 0 OR coalesce(z.scrolled, 0) <> 0 OR coalesce(z.seconds, 0) <> 0 THEN counter_part(z.dimension) END AS part
            FROM sums z) w GROUP BY w.day
        ON CONFLICT (site_id, day) DO UPDATE SET main = excluded.main, sources = excluded.sources,
            hours = excluded.hours, details = excluded.details RETURNING y.day
    ), gone AS (
        DELETE FROM counter_days d WHERE d.site_id = p_site AND d.day BETWEEN v_from AND v_to
          AND d.day NOT IN (SELECT z.day FROM sums z)
    )
    SELECT count(*) INTO v_count FROM written;
    IF p_from IS NULL AND p_to IS NULL THEN
        UPDATE site_pulse SET counted_at = now() WHERE site_id = p_site;
        PERFORM gather_leads(p_site);
    END IF;
    RETURN v_count;
END
$$;

-- A site's days are cut by its time zone and its money is added up in its currency: changing either makes its counters
-- anew, in the same transaction.
CREATE OR REPLACE FUNCTION change_site_clock(p_site uuid, p_time_zone text, p_currency text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM lock_counters(p_site);
    UPDATE sites SET time_zone = p_time_zone, currency = p_currency, updated_at = clock_timestamp() WHERE id = p_site;
    PERFORM rebuild_counters(p_site);
    PERFORM pg_notify('opsmantik_sites', p_site::text);
END
$$;

-- How many transactions have changed each site: grows with every one that is committed, in no matter which order.
CREATE OR REPLACE VIEW site_state WITH (security_invoker = true) AS
SELECT s.id AS site_id, coalesce(p.sequence, 0) + j.n AS sequence, greatest(p.changed_at, j.changed_at) AS changed_at,
    greatest(p.last_event_at, j.last_event_at) AS last_event_at, greatest(p.last_intent_at, j.last_intent_at) AS last_intent_at
FROM sites s LEFT JOIN site_pulse p ON p.site_id = s.id
CROSS JOIN LATERAL (
    SELECT count(*) AS n, max(changed_at) AS changed_at, max(last_event_at) AS last_event_at, max(last_intent_at) AS last_intent_at
    FROM counter_journal WHERE site_id = s.id) j;

CREATE OR REPLACE FUNCTION site_sequences(p_sites uuid[]) RETURNS TABLE (site_id uuid, sequence bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    RETURN QUERY SELECT s.site_id, s.sequence FROM site_state s WHERE s.site_id = ANY (p_sites);
END
$$;

-- received = stored + pulse + duplicate + refused, by site and hour: what is folded and what is not yet.
CREATE OR REPLACE VIEW ingest_counts WITH (security_invoker = true) AS
SELECT b.site_id, b.hour, b.outcome, sum(b.n)::bigint AS n FROM (
    SELECT t.site_id, t.hour, t.outcome, t.n FROM ingest_tally t
    UNION ALL
    SELECT j.site_id, date_trunc('hour', coalesce(o.received_at, j.changed_at)), o.outcome, o.n
    FROM counter_journal j CROSS JOIN LATERAL unnest(j.tally) o) b
GROUP BY b.site_id, b.hour, b.outcome HAVING sum(b.n) <> 0;

GRANT SELECT ON site_state, ingest_counts TO opsmantik_app;
REVOKE EXECUTE ON FUNCTION lock_counters, fold_counters, sites_to_fold, rebuild_counters, change_site_clock, site_sequences FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fold_counters, sites_to_fold, counter_differences, site_sequences TO opsmantik_app;
