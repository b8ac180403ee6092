-- What reading the figures needs.
SET LOCAL lock_timeout = '1200ms';

-- Days lie in the table, not beside it: a month of a site is thirty pages then, a quarter of what it is in chunks.
ALTER TABLE counter_days SET (toast_tuple_target = 8160);

-- Taps as events, for the watchdog that asks whether each became a lead: a few in a thousand events.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX events_taps_idx ON events (site_id, created_at) WHERE event_action IN
    ('phone_call', 'phone_click', 'call_click', 'tel_click', 'whatsapp', 'whatsapp_click', 'wa_click');

-- Whether a site has forms, without looking for them among its events of a year.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX calls_forms_idx ON calls (site_id, created_at) WHERE source = 'form';
