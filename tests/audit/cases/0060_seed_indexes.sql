-- broken
DROP INDEX calls_forms_idx;
-- finds: public\.calls\.idx_calls_source
-- fixed
-- broken: another one by its name
DROP INDEX events_session_idx;
CREATE INDEX events_session_idx ON events (site_id, created_at);
-- finds: public\.events\.idx_events_session_created
-- finds: public\.events\.idx_events_atomic_filter
-- fixed
DROP INDEX events_session_idx;
CREATE INDEX events_session_idx ON events (site_id, session_id, created_at);
