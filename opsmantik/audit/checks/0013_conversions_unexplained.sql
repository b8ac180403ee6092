-- Every conversion can be explained: by its reason, and by its moves up to where it stands.
-- group: integrity
-- level: error
--
-- The ledger is what a client is shown when they ask why a sale was not reported. Each row has a line for every state that
-- it has been in (conversion_moves), the first of them from nothing, the last to where it stands.
--
-- What waits too long can be judged only where something is sent: if nothing has gone out in the last week, those that are
-- due are told, and are no fault. Nor is what waits for somebody to say where it goes, or for whoever carries it as a file. A
-- batch that the sender has claimed and not come back to within its lease is due again, to any sender; one that stays so is
-- a fault.
-- when: public.conversions(site_id, id, call_id, state, reason, due_at, updated_at, sent_to); public.conversion_moves(site_id, conversion_id, at, from_state, to_state); public.conversion_routes(site_id, adapter, is_on); public.conversion_batches(site_id, id, state, next_at)
WITH sending AS (
    SELECT EXISTS (SELECT FROM public.conversion_moves m WHERE m.to_state = 'sent' AND m.at > now() - interval '7 days') AS is_on
), moves AS MATERIALIZED (
    SELECT m.site_id, m.conversion_id, m.from_state, m.to_state, m.at = max(m.at) OVER (PARTITION BY m.site_id, m.conversion_id) AS is_last
    FROM public.conversion_moves m
), told AS (
    SELECT m.site_id, m.conversion_id, count(*) FILTER (WHERE m.from_state IS NULL) AS starts,
        array_agg(m.to_state) FILTER (WHERE m.is_last) AS last_states,
        array_remove(array_agg(m.from_state), NULL) <@ array_agg(m.to_state) AS is_whole
    FROM moves m GROUP BY m.site_id, m.conversion_id
), judged AS (
    SELECT v.site_id, v.call_id, k.kind FROM public.conversions v CROSS JOIN sending s
    LEFT JOIN told t ON t.site_id = v.site_id AND t.conversion_id = v.id
    -- Only what the sender itself sends is its to be late with: not what waits for a way, or for somebody who carries it.
    LEFT JOIN public.conversion_routes r ON r.site_id = v.site_id AND r.is_on AND r.adapter NOT IN ('file', 'script')
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN t.conversion_id IS NULL THEN 'no move' WHEN v.state <> ALL (t.last_states) THEN 'other state'
            WHEN t.starts <> 1 OR NOT t.is_whole THEN 'gap' END),
        (CASE WHEN v.state IN ('failed', 'skipped') AND coalesce(v.reason, '') = '' THEN 'no reason' END),
        (CASE WHEN v.updated_at < now() - interval '2 days' AND (v.state = 'queued' AND r.site_id IS NOT NULL
                OR v.state = 'sent' AND coalesce(v.sent_to ->> 'adapter', '') NOT IN ('file', 'script')) THEN 'under way'
            WHEN v.state = 'held' AND v.due_at < now() - interval '1 day' THEN CASE WHEN s.is_on THEN 'held' ELSE 'waiting' END END)
    ) AS k (kind)
    WHERE k.kind IS NOT NULL
), overdue AS (
    SELECT b.site_id, count(*) AS n, min(b.id::text) AS first FROM public.conversion_batches b
    JOIN public.conversion_routes r ON r.site_id = b.site_id
    WHERE b.state IN ('open', 'sent') AND b.next_at < now() - interval '1 hour' AND r.is_on AND b.adapter NOT IN ('file', 'script')
    GROUP BY b.site_id
)
SELECT 'conversions_unexplained' AS name,
    CASE j.kind WHEN 'waiting' THEN 'info' WHEN 'held' THEN 'warn' WHEN 'under way' THEN 'warn' ELSE 'error' END AS level,
    'site ' || j.site_id AS object,
    format(CASE j.kind WHEN 'no move' THEN '%s conversions have no move at all'
        WHEN 'other state' THEN '%s conversions stand elsewhere than their last move led'
        WHEN 'gap' THEN '%s conversions have moves that do not follow one from another'
        WHEN 'no reason' THEN '%s conversions failed or were skipped without a reason'
        WHEN 'under way' THEN '%s conversions have been on their way to the platform for more than two days'
        WHEN 'held' THEN '%s conversions are held for more than a day after they were due, while others are sent'
        ELSE '%s conversions are due; nothing is sent from here' END || ', the first of lead %s.', count(*), min(j.call_id::text)) AS detail,
    count(*) AS figure,
    CASE WHEN j.kind IN ('no move', 'other state') THEN format('SET app.maintenance = ''on''; INSERT INTO conversion_moves (site_id, id, conversion_id,'
            ' from_state, to_state, reason) SELECT v.site_id, gen_random_uuid(), v.id, m.to_state, v.state, ''found by the audit'' FROM conversions v'
            ' LEFT JOIN LATERAL (SELECT l.to_state FROM conversion_moves l WHERE l.site_id = v.site_id AND l.conversion_id = v.id'
            ' ORDER BY l.at DESC LIMIT 1) m ON true WHERE v.site_id = %L AND m.to_state IS DISTINCT FROM v.state;', j.site_id)
        WHEN j.kind = 'gap' THEN 'Compare with a backup: lines of the log are missing, or came in from elsewhere.'
        WHEN j.kind = 'no reason' THEN 'Write the reason down once it is known: the platform''s answer if it failed, what was lacking if it was skipped.'
        WHEN j.kind = 'waiting' THEN '' ELSE 'Look at the sender: its last run, its errors, and whether the platform answers.' END AS remedy,
    format('conversions_unexplained %s %s', j.site_id, j.kind) AS cache_key
FROM judged j GROUP BY j.site_id, j.kind
UNION ALL
SELECT 'conversions_unexplained', 'warn', 'site ' || o.site_id,
    format('%s batches were due again more than an hour ago, and no sender has come for them, the first %s.', o.n, o.first), o.n,
    'Look at the sender: opsmantik serve or opsmantik work has to run, and the platform''s switch under Platform, Health has to be on.',
    'conversions_unexplained overdue ' || o.site_id
FROM overdue o;
-- when: public.conversions(site_id, id, call_id, state, reason, due_at, updated_at); public.conversion_moves(site_id, conversion_id, at, from_state, to_state)
WITH sending AS (
    SELECT EXISTS (SELECT FROM public.conversion_moves m WHERE m.to_state = 'sent' AND m.at > now() - interval '7 days') AS is_on
), moves AS MATERIALIZED (
    SELECT m.site_id, m.conversion_id, m.from_state, m.to_state, m.at = max(m.at) OVER (PARTITION BY m.site_id, m.conversion_id) AS is_last
    FROM public.conversion_moves m
), told AS (
    SELECT m.site_id, m.conversion_id, count(*) FILTER (WHERE m.from_state IS NULL) AS starts,
        array_agg(m.to_state) FILTER (WHERE m.is_last) AS last_states,
        array_remove(array_agg(m.from_state), NULL) <@ array_agg(m.to_state) AS is_whole
    FROM moves m GROUP BY m.site_id, m.conversion_id
), judged AS (
    SELECT v.site_id, v.call_id, k.kind FROM public.conversions v CROSS JOIN sending s
    LEFT JOIN told t ON t.site_id = v.site_id AND t.conversion_id = v.id
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN t.conversion_id IS NULL THEN 'no move' WHEN v.state <> ALL (t.last_states) THEN 'other state'
            WHEN t.starts <> 1 OR NOT t.is_whole THEN 'gap' END),
        (CASE WHEN v.state IN ('failed', 'skipped') AND coalesce(v.reason, '') = '' THEN 'no reason' END),
        (CASE WHEN v.state IN ('queued', 'sent') AND v.updated_at < now() - interval '2 days' THEN 'under way'
            WHEN v.state = 'held' AND v.due_at < now() - interval '1 day' THEN CASE WHEN s.is_on THEN 'held' ELSE 'waiting' END END)
    ) AS k (kind)
    WHERE k.kind IS NOT NULL
)
SELECT 'conversions_unexplained' AS name,
    CASE j.kind WHEN 'waiting' THEN 'info' WHEN 'held' THEN 'warn' WHEN 'under way' THEN 'warn' ELSE 'error' END AS level,
    'site ' || j.site_id AS object,
    format(CASE j.kind WHEN 'no move' THEN '%s conversions have no move at all'
        WHEN 'other state' THEN '%s conversions stand elsewhere than their last move led'
        WHEN 'gap' THEN '%s conversions have moves that do not follow one from another'
        WHEN 'no reason' THEN '%s conversions failed or were skipped without a reason'
        WHEN 'under way' THEN '%s conversions have been on their way to the platform for more than two days'
        WHEN 'held' THEN '%s conversions are held for more than a day after they were due, while others are sent'
        ELSE '%s conversions are due; nothing is sent from here' END || ', the first of lead %s.', count(*), min(j.call_id::text)) AS detail,
    count(*) AS figure,
    CASE WHEN j.kind IN ('no move', 'other state') THEN format('SET app.maintenance = ''on''; INSERT INTO conversion_moves (site_id, id, conversion_id,'
            ' from_state, to_state, reason) SELECT v.site_id, gen_random_uuid(), v.id, m.to_state, v.state, ''found by the audit'' FROM conversions v'
            ' LEFT JOIN LATERAL (SELECT l.to_state FROM conversion_moves l WHERE l.site_id = v.site_id AND l.conversion_id = v.id'
            ' ORDER BY l.at DESC LIMIT 1) m ON true WHERE v.site_id = %L AND m.to_state IS DISTINCT FROM v.state;', j.site_id)
        WHEN j.kind = 'gap' THEN 'Compare with a backup: lines of the log are missing, or came in from elsewhere.'
        WHEN j.kind = 'no reason' THEN 'Write the reason down once it is known: the platform''s answer if it failed, what was lacking if it was skipped.'
        WHEN j.kind = 'waiting' THEN '' ELSE 'Look at the sender: its last run, its errors, and whether the platform answers.' END AS remedy,
    format('conversions_unexplained %s %s', j.site_id, j.kind) AS cache_key
FROM judged j GROUP BY j.site_id, j.kind;
