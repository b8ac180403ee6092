-- What happened is offered to the site's webhooks in the transaction in which it happens: if that is rolled back nobody is
-- told, and if it is committed the telling is too, whoever dies afterwards. A site without webhooks pays for one look at
-- an index.
--
-- p_type: lead.created, lead.decided or conversion.state_changed. p_more: what the type says beside the lead.
CREATE OR REPLACE FUNCTION offer_webhooks(p_site uuid, p_type text, p_call uuid, p_more jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_event uuid := gen_random_uuid();
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks w WHERE w.site_id = p_site AND w.off_reason IS NULL AND p_type = ANY (w.events)) THEN
        RETURN;
    END IF;
    INSERT INTO webhook_deliveries (site_id, id, webhook_id, event_id, type, call_id, payload)
    SELECT w.site_id, gen_random_uuid(), w.id, v_event, p_type, p_call,
        webhook_payload(p_site, p_type, p_call, p_more, w.with_phone, w.with_click_id)
    FROM webhooks w JOIN calls c ON c.site_id = w.site_id AND c.id = p_call
    -- A lead that was there before the webhook is not news to it.
    WHERE w.site_id = p_site AND w.off_reason IS NULL AND p_type = ANY (w.events)
      AND (p_type <> 'lead.created' OR w.created_at <= c.created_at)
    ON CONFLICT (site_id, webhook_id, call_id) WHERE type = 'lead.created' DO NOTHING;
END
$$;

-- The message: the lead as it stands now, and what the type adds. Its form is described by opsmantik/webhooks/messages.py,
-- and compared with it by a test. Links are paths: the sender knows the address in front of them.
CREATE OR REPLACE FUNCTION webhook_payload(p_site uuid, p_type text, p_call uuid, p_more jsonb, p_phone boolean, p_click_id boolean)
RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET TimeZone = 'UTC'
AS $$
    SELECT jsonb_build_object('type', p_type, 'timestamp', now(), 'payload_version', 1, 'data',
        jsonb_build_object(
            'site', t.public_id, 'lead_id', c.id, 'version', c.version, 'status', c.status, 'captured_at', c.created_at,
            'captured_by', c.source, 'action', c.intent_action, 'source', s.attribution_source, 'channel', s.channel,
            'campaign', s.utm_campaign, 'keyword', s.utm_term, 'is_paid', coalesce(s.is_paid, false),
            'click_id_kind', coalesce(c.click_id_kind, CASE WHEN s.gclid IS NOT NULL THEN 'gclid'
                WHEN s.wbraid IS NOT NULL THEN 'wbraid' WHEN s.gbraid IS NOT NULL THEN 'gbraid' END),
            'score', c.lead_score, 'suspicion', to_jsonb(coalesce(c.suspicion, '{}')), 'stage', c.stage,
            'amount', c.sale_amount, 'currency', c.currency, 'decided_at', c.confirmed_at)
        -- Each is in the message only where the site has switched it on; a click id besides only where the visitor has not
        -- said no to marketing, by the same rule by which conversions are handed to the ad platform.
        || CASE WHEN p_phone THEN jsonb_build_object('phone_number', c.phone_number) ELSE '{}' END
        || CASE WHEN p_click_id THEN jsonb_build_object('click_id',
            CASE WHEN coalesce(s.consent_marketing, t.consent_mode <> 'required')
                THEN coalesce(c.click_id, s.gclid, s.wbraid, s.gbraid) END) ELSE '{}' END
        || coalesce(p_more, '{}')
        || CASE WHEN v.id IS NULL THEN '{}' ELSE jsonb_build_object('conversion', p_more -> 'conversion' || jsonb_build_object(
            'order_id', v.order_id, 'state', v.state, 'value', v.value, 'currency', v.currency,
            'occurred_at', v.occurred_at, 'due_at', v.due_at)) END
        || jsonb_build_object('links', jsonb_build_object('site', '/sites/' || t.id,
            'lead', '/api/v1/sites/' || t.public_id || '/intents/' || c.id)))
    FROM calls c JOIN sites t ON t.id = c.site_id
    LEFT JOIN sessions s ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    LEFT JOIN conversions v ON v.site_id = c.site_id AND v.id = (p_more #>> '{conversion,id}')::uuid
    WHERE c.site_id = p_site AND c.id = p_call
$$;

-- A lead is new, and has been judged: told to webhooks and, unless a rule found it suspicious, to those of the site's
-- people who want a mail.
CREATE OR REPLACE FUNCTION announce_lead(p_site uuid, p_call uuid, p_is_suspicious boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM offer_webhooks(p_site, 'lead.created', p_call, NULL);
    IF p_is_suspicious OR NOT EXISTS (SELECT FROM notice_wishes n WHERE n.site_id = p_site AND n.pace <> 'off') THEN
        RETURN;
    END IF;
    -- The wishes first: the sender, about to find that nothing is left, waits until this is committed.
    PERFORM FROM notice_wishes n WHERE n.site_id = p_site AND n.pace <> 'off' ORDER BY n.user_id FOR NO KEY UPDATE;
    INSERT INTO lead_notices (site_id, user_id, call_id)
    SELECT n.site_id, n.user_id, p_call FROM notice_wishes n WHERE n.site_id = p_site AND n.pace <> 'off'
    ON CONFLICT DO NOTHING;
    UPDATE notice_wishes n SET next_at = now() WHERE n.site_id = p_site AND n.pace <> 'off' AND n.next_at IS NULL;
END
$$;

-- Whether anybody wants to hear of this site's leads.
CREATE OR REPLACE FUNCTION has_listeners(p_site uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT EXISTS (SELECT FROM webhooks w WHERE w.site_id = p_site AND w.off_reason IS NULL)
        OR EXISTS (SELECT FROM notice_wishes n WHERE n.site_id = p_site AND n.pace <> 'off')
$$;
REVOKE EXECUTE ON FUNCTION offer_webhooks, webhook_payload, announce_lead, has_listeners FROM PUBLIC;
