-- Rejected events that are let in again: how often each was tried, and who did it. And the indexes that lists walk in
-- their own order, so that a page costs its rows.
SET LOCAL lock_timeout = '1200ms';

ALTER TABLE rejected_events
    ADD COLUMN replay_count integer NOT NULL DEFAULT 0,
    ADD COLUMN last_replay_at timestamptz,
    ADD COLUMN last_replay_error text,
    ADD COLUMN replayed_at timestamptz;
COMMENT ON COLUMN rejected_events.replayed_at IS 'Since when its event is stored after all; null: it is not.';

-- One row a try, kept when the event itself has been purged.
CREATE TABLE replays (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    rejected_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    actor uuid,
    actor_email text NOT NULL,
    replay_count integer NOT NULL,
    outcome text NOT NULL CHECK (length(outcome) <= 40),
    error text CHECK (length(error) <= 500),
    PRIMARY KEY (site_id, id)
);
COMMENT ON COLUMN replays.replay_count IS 'How many tries there were, this one included.';
COMMENT ON COLUMN replays.outcome IS 'stored, pulse, duplicate, or the reason for which it was refused again; noted: told by a caller.';
ALTER TABLE replays ADD CONSTRAINT replays_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE replays ADD CONSTRAINT replays_actor_fkey FOREIGN KEY (actor) REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX replays_rejected_idx ON replays (site_id, rejected_id, at DESC);
CREATE INDEX replays_actor_idx ON replays (actor) WHERE actor IS NOT NULL;

-- With the id at its end the index has the order of the pages, and leads that wait are found among any number of others.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX calls_status_idx ON calls (site_id, status, created_at DESC, id DESC);
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX calls_site_status_idx;
-- Conversions are few among events; a list of them must not read the others.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX events_conversion_idx ON events (site_id, created_at DESC, id DESC) WHERE event_category = 'conversion';

ALTER TABLE replays ENABLE ROW LEVEL SECURITY;
ALTER TABLE replays FORCE ROW LEVEL SECURITY;
CREATE POLICY by_owner_function ON replays TO CURRENT_USER
    USING (current_setting('app.maintenance', true) = 'on') WITH CHECK (current_setting('app.maintenance', true) = 'on');
CREATE POLICY replays_select_accessible ON replays FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
GRANT SELECT ON replays TO opsmantik_app;
