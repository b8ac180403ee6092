-- A repeated tap belongs to a lead of its own site that is a lead itself, and is never decided.
-- group: integrity
-- level: error
-- given: lead_model
--
-- Lists and figures look one step from a tap to its lead. A tap that belongs to a tap, or to nothing, is seen nowhere; one
-- with a decision or a conversion of its own would be reported beside its lead's.
-- when: public.calls(site_id, id, merged_into, status); public.conversions(site_id, call_id, state); function public.rebuild_counters
WITH taps AS (
    SELECT c.site_id, c.id, c.status, CASE WHEN l.id IS NULL OR l.id = c.id THEN 'lost' WHEN l.merged_into IS NOT NULL THEN 'chain' END AS kind
    FROM public.calls c LEFT JOIN public.calls l ON l.site_id = c.site_id AND l.id = c.merged_into
    WHERE c.merged_into IS NOT NULL
), found AS (
    SELECT t.site_id, t.id, t.kind FROM taps t WHERE t.kind IS NOT NULL
    UNION ALL
    SELECT t.site_id, t.id, 'decided' FROM taps t
    WHERE $1::jsonb -> 'sealed' ? t.status OR EXISTS (SELECT FROM public.conversions v
        WHERE v.site_id = t.site_id AND v.call_id = t.id AND v.state <> 'retracted')
)
SELECT 'merged_chains' AS name, 'error' AS level, 'site ' || f.site_id AS object,
    format(CASE f.kind WHEN 'lost' THEN '%s taps belong to a lead that is not there, or to themselves'
        WHEN 'chain' THEN '%s taps belong to a tap that belongs to another'
        ELSE '%s taps that belong to a lead are sealed, or have a conversion of their own' END || ', the first tap %s.', count(*), min(f.id::text)) AS detail,
    count(*) AS figure,
    CASE f.kind WHEN 'lost' THEN format('SET app.maintenance = ''on''; UPDATE calls c SET merged_into = NULL WHERE c.site_id = %1$L'
            ' AND c.merged_into IS NOT NULL AND (c.merged_into = c.id OR NOT EXISTS (SELECT FROM calls l WHERE l.site_id = c.site_id AND l.id = c.merged_into));'
            ' SELECT rebuild_counters(%1$L);', f.site_id)
        WHEN 'chain' THEN format('SET app.maintenance = ''on''; WITH RECURSIVE up AS (SELECT c.id, c.merged_into AS lead, 1 AS steps FROM calls c'
            ' WHERE c.site_id = %1$L AND c.merged_into IS NOT NULL UNION ALL SELECT u.id, l.merged_into, u.steps + 1 FROM up u JOIN calls l'
            ' ON l.site_id = %1$L AND l.id = u.lead WHERE l.merged_into IS NOT NULL AND u.steps < 100) UPDATE calls c SET merged_into = u.lead'
            ' FROM (SELECT DISTINCT ON (id) id, lead FROM up ORDER BY id, steps DESC) u WHERE c.site_id = %1$L AND c.id = u.id'
            ' AND c.merged_into <> u.lead AND u.lead <> c.id;', f.site_id)
        ELSE format('Make them leads again: SET app.maintenance = ''on''; UPDATE calls SET merged_into = NULL WHERE site_id = %1$L AND id = ''…'';'
            ' SELECT rebuild_counters(%1$L); then decide which of the two it is.', f.site_id) END AS remedy,
    format('merged_chains %s %s', f.site_id, f.kind) AS cache_key
FROM found f GROUP BY f.site_id, f.kind;
