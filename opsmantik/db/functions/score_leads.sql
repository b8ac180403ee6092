-- Stores the scores of the leads of the given sessions (computed by intents/score.py from what
-- ingest_batch_v2 returned, in the same transaction). The first score of a lead is kept as lead_score_at_match.
CREATE OR REPLACE FUNCTION score_leads(p_scores lead_score_draft[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    SET LOCAL app.maintenance = 'on';
    UPDATE calls c SET lead_score = s.lead_score, score_breakdown = s.score_breakdown,
        lead_score_at_match = coalesce(c.lead_score_at_match, s.lead_score)
    FROM unnest(p_scores) s JOIN session_keys k ON k.site_id = s.site_id AND k.id = s.session_id
    WHERE c.site_id = s.site_id AND c.matched_session_month = k.created_month AND c.matched_session_id = s.session_id
      AND (c.lead_score_at_match IS NULL OR c.score_breakdown IS DISTINCT FROM s.score_breakdown);
END
$$;
REVOKE EXECUTE ON FUNCTION score_leads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION score_leads TO opsmantik_app;
