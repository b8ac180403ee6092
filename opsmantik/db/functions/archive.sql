-- Months on their way out of the database, and back. A month is archived as it was when it had expired for every site that
-- has rows in it; what a site's own shorter retention took before is not in it, and no file holds more than the rows did.
-- What is written when, and in which order: upkeep/archive.py.

-- Who has rows in a month, and whether it has expired for all of them: then the earliest day from which one of them keeps
-- its rows, else null. One look into the index for each site.
CREATE OR REPLACE FUNCTION month_expiry(p_month date, OUT sites uuid[], OUT since timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_end timestamptz := (p_month + interval '1 month') AT TIME ZONE 'UTC';
    v_sites uuid[];
BEGIN
    v_sites := ARRAY(SELECT s.id FROM sites s WHERE EXISTS (
            SELECT FROM events e WHERE e.site_id = s.id AND e.session_month = p_month)
        OR EXISTS (SELECT FROM session_keys k WHERE k.site_id = s.id AND k.created_month = p_month));
    sites := v_sites;
    IF p_month >= date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months'
        OR EXISTS (SELECT FROM sites s WHERE s.id = ANY (v_sites) AND s.retention_months IS NULL) THEN
        RETURN;
    END IF;
    SELECT min(kept_since(s.retention_months)) INTO since FROM sites s WHERE s.id = ANY (v_sites);
    IF since < v_end THEN
        since := NULL;
    END IF;
END
$$;

-- Notes that a month is being archived, before a row of it is read. From then on nothing of it is forgotten until its files
-- are whole; erasures that are under way, or begin later, have to be carried out in the files as well. Returns whether there
-- is anything to archive: false for a month that has not expired for everybody, is empty, or was archived before.
CREATE OR REPLACE FUNCTION begin_archive(p_month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_sites uuid[];
    v_since timestamptz;
BEGIN
    IF EXISTS (SELECT FROM archived_months a WHERE a.month = p_month) THEN
        RETURN false;
    END IF;
    SELECT x.sites, x.since INTO v_sites, v_since FROM month_expiry(p_month) x;
    IF v_sites = '{}' OR v_since IS NULL THEN
        RETURN false;
    END IF;
    -- Erasures that are just beginning write themselves down first, or see this month.
    PERFORM pg_advisory_xact_lock(hashtextextended('opsmantik: archive', 0));
    INSERT INTO archived_months (month, sites) VALUES (p_month, v_sites) ON CONFLICT DO NOTHING;
    INSERT INTO archive_erasures (site_id, erasure_id, month)
    SELECT e.site_id, e.id, p_month FROM erasures e WHERE e.finished_at IS NULL AND e.site_id = ANY (v_sites)
    ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;

-- Of a month that is in neither state retention does as it always did.
CREATE OR REPLACE FUNCTION stays_for_archive(p_month date) RETURNS boolean LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (SELECT FROM archived_months a WHERE a.month = p_month AND (a.archived_at IS NULL OR a.restored_until > now()))
$$;

-- What an erasure has to be carried out in besides the database. Called in the transaction that writes it down.
CREATE OR REPLACE FUNCTION mind_archive(p_site uuid, p_erasure uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('opsmantik: archive', 0));
    INSERT INTO archive_erasures (site_id, erasure_id, month)
    SELECT p_site, p_erasure, a.month FROM archived_months a WHERE a.forgotten_at IS NULL AND p_site = ANY (a.sites);
END
$$;

-- One erasure is done in one month's files. When that was the last, and the rest is finished as well, whom it was about is
-- forgotten here, too.
CREATE OR REPLACE FUNCTION end_archive_erasure(p_site uuid, p_erasure uuid, p_month date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM erasures e WHERE e.site_id = p_site AND e.id = p_erasure FOR UPDATE;
    DELETE FROM archive_erasures a WHERE a.site_id = p_site AND a.erasure_id = p_erasure AND a.month = p_month;
    UPDATE erasures e SET subject = NULL, key_id = NULL
    WHERE e.site_id = p_site AND e.id = p_erasure AND e.finished_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM archive_erasures a WHERE a.site_id = p_site AND a.erasure_id = p_erasure);
END
$$;

-- The files of a month are gone for good.
CREATE OR REPLACE FUNCTION forget_archive(p_month date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE archived_months a SET forgotten_at = now(), files = NULL WHERE a.month = p_month;
    PERFORM end_archive_erasure(e.site_id, e.erasure_id, e.month)
    FROM (SELECT * FROM archive_erasures x WHERE x.month = p_month) e;
END
$$;
REVOKE EXECUTE ON FUNCTION month_expiry, begin_archive, stays_for_archive, mind_archive, end_archive_erasure, forget_archive
    FROM PUBLIC;

-- Whom an erasure is about, in the month that lies in the temporary tables archived_sessions and archived_events: as
-- find_person looks for them in the database, and by what it found there (p_sessions, p_visitors).
CREATE OR REPLACE FUNCTION find_archived(p_site uuid, p_kind text, p_value text, p_pattern text, p_taps boolean,
    p_sessions uuid[], p_visitors text[], OUT sessions uuid[], OUT visitors text[])
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_sessions uuid[] := p_sessions;
    v_visitors text[] := p_visitors;
    v_count integer := -1;
BEGIN
    IF p_kind = 'session' THEN
        v_sessions := v_sessions || p_value::uuid;
    ELSIF p_kind = 'visitor' THEN
        v_visitors := v_visitors || p_value;
    ELSE
        v_sessions := ARRAY(
            SELECT unnest(v_sessions) UNION
            SELECT e.session_id FROM pg_temp.archived_events e
            WHERE e.site_id = p_site AND concat_ws(' ', e.url, e.metadata::text, CASE WHEN p_taps
                OR e.event_action !~* '^(phone|call|tel|whatsapp|wa)' AND e.event_label !~* '^(tel:|callto:|whatsapp:|(https?:)?//[^/]*(wa\.me|whatsapp\.))'
                THEN e.event_label END) ~* p_pattern
            UNION
            SELECT s.id FROM pg_temp.archived_sessions s
            WHERE s.site_id = p_site AND concat_ws(' ', s.entry_page, s.exit_page, s.referrer, s.utm_source, s.utm_medium,
                s.utm_campaign, s.utm_term, s.utm_content, s.ads_placement, s.last_touch::text, s.attribution::text) ~* p_pattern);
    END IF;
    WHILE p_kind <> 'session' AND v_count < cardinality(v_sessions) + cardinality(v_visitors) LOOP
        v_count := cardinality(v_sessions) + cardinality(v_visitors);
        v_visitors := ARRAY(SELECT unnest(v_visitors) UNION SELECT s.fingerprint FROM pg_temp.archived_sessions s
            WHERE s.site_id = p_site AND s.id = ANY (v_sessions) AND s.fingerprint <> '');
        v_sessions := ARRAY(SELECT unnest(v_sessions) UNION SELECT s.id FROM pg_temp.archived_sessions s
            WHERE s.site_id = p_site AND s.fingerprint = ANY (v_visitors));
    END LOOP;
    sessions := ARRAY(SELECT s.id FROM pg_temp.archived_sessions s WHERE s.site_id = p_site AND s.id = ANY (v_sessions) UNION
        SELECT e.session_id FROM pg_temp.archived_events e WHERE e.site_id = p_site AND e.session_id = ANY (v_sessions));
    visitors := v_visitors;
END
$$;

-- Puts the visits of an archived month back, with their keys: into the columns (p_columns) that the files and the table have
-- in common. What is there still stays as it is, and a visit whose id has another month by now, or whose site is gone, has no
-- place. Returns how many came back.
CREATE OR REPLACE FUNCTION put_back_visits(p_columns text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
-- The planner believes that a policy lets one row in 200 through, and would loop over two large tables.
SET enable_nestloop = off
AS $$
DECLARE
    v_columns text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(p_columns) c);
    v_back bigint;
BEGIN
    INSERT INTO session_keys (site_id, id, created_month)
    SELECT a.site_id, a.id, a.created_month FROM pg_temp.archived_sessions a JOIN sites s ON s.id = a.site_id
    ON CONFLICT DO NOTHING;
    EXECUTE format('INSERT INTO sessions (%s) SELECT %s FROM pg_temp.archived_sessions a WHERE EXISTS (SELECT FROM session_keys k '
        'WHERE k.site_id = a.site_id AND k.id = a.id AND k.created_month = a.created_month) ON CONFLICT DO NOTHING',
        v_columns, v_columns);
    GET DIAGNOSTICS v_back = ROW_COUNT;
    RETURN v_back;
END
$$;

-- Then the events of those that are there.
CREATE OR REPLACE FUNCTION put_back_events(p_columns text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET enable_nestloop = off
AS $$
DECLARE
    v_columns text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(p_columns) c);
    v_back bigint;
BEGIN
    EXECUTE format('INSERT INTO events (%s) SELECT %s FROM pg_temp.archived_events a WHERE EXISTS (SELECT FROM session_keys k '
        'WHERE k.site_id = a.site_id AND k.id = a.session_id AND k.created_month = a.session_month) ON CONFLICT DO NOTHING',
        v_columns, v_columns);
    GET DIAGNOSTICS v_back = ROW_COUNT;
    RETURN v_back;
END
$$;
REVOKE EXECUTE ON FUNCTION find_archived, put_back_visits, put_back_events FROM PUBLIC;
