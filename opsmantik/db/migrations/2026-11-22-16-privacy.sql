-- What a site keeps of its visitors and for how long, on what ground a conversion goes out, and what was erased.
SET LOCAL lock_timeout = '1200ms';
-- Facts bind the owner too; the backfill below reads and writes all sites.
SET LOCAL app.maintenance = 'on';

ALTER TABLE sites
    ADD COLUMN keep_ip boolean NOT NULL DEFAULT true,
    ADD COLUMN ip_forgotten boolean NOT NULL DEFAULT true,
    ADD COLUMN retention_months integer DEFAULT 25,
    ADD COLUMN facts_since date;
COMMENT ON COLUMN sites.keep_ip IS 'Whether the network that a visitor came from (IPv4 /24, IPv6 /48) is stored; the whole address never is.';
COMMENT ON COLUMN sites.ip_forgotten IS 'False from when keep_ip is switched off until upkeep has wiped what was stored before.';
COMMENT ON COLUMN sites.retention_months IS 'How many months visits and leads are kept; null: for ever. Figures stay.';
COMMENT ON COLUMN sites.facts_since IS 'The first day of which all rows are there: figures of days before cannot be counted again. Null: all can.';
-- Few sites, and the column is new: there is nothing to check.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE sites ADD CONSTRAINT sites_retention_months_check CHECK (retention_months BETWEEN 2 AND 60);

-- The ground on which a conversion may go to an ad platform: what the visitor said about marketing, else the site's policy.
--   granted: said yes.  denied: said no.  Said nothing: implied or legacy, by the site's policy; missing where it asks for a yes.
ALTER TABLE conversions
    ADD COLUMN consent text NOT NULL DEFAULT 'missing',
    ADD COLUMN consent_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN conversions.consent IS 'Worked out by the database from the visit and the site (consent_basis), never told by a caller.';
COMMENT ON COLUMN conversions.consent_at IS 'When it was worked out. What goes out was asked about after the time for taking it back had ended.';
UPDATE conversions v SET consent_at = greatest(v.due_at, v.updated_at), consent = w.consent
FROM (
    SELECT o.site_id, o.id, CASE
        WHEN s.consent_marketing THEN 'granted'
        -- From before there was this column: the ledger had asked when it let it go.
        WHEN o.state IN ('queued', 'sent', 'accepted', 'matched') AND (s.consent_marketing = false OR t.consent_mode = 'required') THEN 'legacy'
        WHEN s.consent_marketing = false THEN 'denied'
        WHEN t.consent_mode = 'required' THEN 'missing'
        ELSE t.consent_mode END AS consent
    FROM conversions o JOIN sites t ON t.id = o.site_id JOIN calls c ON c.site_id = o.site_id AND c.id = o.call_id
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id) w
WHERE w.site_id = v.site_id AND w.id = v.id;
ALTER TABLE conversions ADD CONSTRAINT conversions_consent_known
    CHECK (consent IN ('granted', 'implied', 'legacy', 'denied', 'missing')) NOT VALID;
ALTER TABLE conversions ADD CONSTRAINT conversions_need_consent CHECK (state NOT IN ('queued', 'sent', 'accepted', 'matched')
    OR consent IN ('granted', 'implied', 'legacy') AND consent_at >= due_at) NOT VALID;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE conversions VALIDATE CONSTRAINT conversions_consent_known;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE conversions VALIDATE CONSTRAINT conversions_need_consent;

-- One request to erase, and after it the certificate. Whom it was about is kept as a keyed hash alone; until the work is
-- done, sealed besides (keyring.py), so that it can go on after an interruption.
CREATE TABLE erasures (
    site_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    requested_by uuid,
    requested_name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('phone', 'email', 'visitor', 'session')),
    subject_hash bytea NOT NULL CHECK (length(subject_hash) = 32),
    with_taps boolean NOT NULL DEFAULT false,
    subject bytea,
    key_id text,
    parts jsonb NOT NULL DEFAULT '[]',
    sent_orders text[] NOT NULL DEFAULT '{}',
    finished_at timestamptz,
    certificate bytea,
    PRIMARY KEY (site_id, id),
    CONSTRAINT erasures_sealed CHECK ((subject IS NULL) = (key_id IS NULL)),
    CONSTRAINT erasures_finished CHECK ((finished_at IS NULL) = (certificate IS NULL) AND (finished_at IS NULL OR subject IS NULL))
);
COMMENT ON COLUMN erasures.parts IS 'What each transaction took away: [{"month": "2026-11-01" or null, "counts": {table: rows}}].';
COMMENT ON COLUMN erasures.sent_orders IS 'Order ids of erased conversions that an ad platform has: there they have to be asked for.';
COMMENT ON COLUMN erasures.certificate IS 'Signed JSON, byte for byte as it was signed.';
ALTER TABLE erasures ADD CONSTRAINT erasures_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites (id);
ALTER TABLE erasures ADD CONSTRAINT erasures_requested_by_fkey FOREIGN KEY (requested_by) REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX erasures_site_at_idx ON erasures (site_id, at DESC, id DESC);
CREATE INDEX erasures_requested_by_idx ON erasures (requested_by) WHERE requested_by IS NOT NULL;
-- How often somebody asked of late. The log has a few lines a day.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX site_acts_privacy_idx ON site_acts (actor, at) WHERE action IN ('privacy.erase', 'privacy.export');

ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasures FORCE ROW LEVEL SECURITY;
CREATE POLICY by_owner_function ON erasures TO CURRENT_USER
    USING (current_setting('app.maintenance', true) = 'on') WITH CHECK (current_setting('app.maintenance', true) = 'on');
CREATE POLICY erasures_select_accessible ON erasures FOR SELECT
    USING (site_id = ANY (nullif(current_setting('app.sites', true), '')::uuid[]));
-- All but the sealed subject.
GRANT SELECT (site_id, id, at, requested_by, requested_name, kind, subject_hash, with_taps, parts, sent_orders, finished_at, certificate)
    ON erasures TO opsmantik_app;
