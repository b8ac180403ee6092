-- A row of the ledger with the lead that it is about, for the lists, one row's page and the lead's. The join goes by the
-- whole key; who orders by a key of the ledger and stops after fifty pays for fifty. Columns are added at the end.
--
-- is_weight: nobody gave an amount, and a stage's weight stands in for it. Of a row that was taken back the lead no longer
-- says so; there the row's own reason did, if nothing has happened to it since. (In a file that comes after owed_step's.)
CREATE OR REPLACE VIEW conversion_rows WITH (security_invoker = true) AS
SELECT v.site_id, v.id, v.created_at, v.updated_at, v.call_id AS lead_id, v.order_id, v.state, v.reason, v.detail, v.due_at,
    v.next_at, v.attempts, v.occurred_at, v.value, v.currency,
    v.value IS NOT NULL AND (v.reason = 'stage_weight' OR v.state <> 'retracted' AND c.sale_amount IS NULL) IS TRUE AS is_weight,
    v.click_id_kind, v.clicked_at, v.consent, v.batch_id, v.sent_at, v.sent_to ->> 'adapter' AS sent_by, v.platform_value,
    v.platform_currency, v.taken_back_at, owed_step(v) AS owed, c.created_at AS captured_at, c.confirmed_at AS decided_at,
    c.status AS lead_status, c.stage, c.intent_action AS action, c.intent_target AS target, c.source AS captured_by,
    c.phone_number
FROM conversions v JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id;
GRANT SELECT ON conversion_rows TO opsmantik_app;
-- What is owed is worked out from the row alone.
GRANT EXECUTE ON FUNCTION owed_step TO opsmantik_app;
