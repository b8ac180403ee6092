"""Who may call which function: what the application's role may execute, and what each asks of whoever's transaction it is.

A function that is new belongs into one of these lists; test_matrix.py tries that it keeps to it.
"""

# ruff: noqa: E501, SIM905 - names alone are read best as words

from __future__ import annotations

from opsmantik.people.capabilities import Capability
from tests.db.function_walls import CALLER, SELF, SERVER

# Nobody is signed in where these are called, or they are about all sites at once: the reason for each is in
# test_schema_walls.py, DEFINERS.
OF_THE_SERVER = """
    account_by_email administrators answer_call begin_attempt claim_deliveries claim_notices claim_summaries clear_leads create_first_admin
    email_link end_notices end_sign_in end_summaries enter_key enter_person_key enter_share_link enter_user enter_user_v2 finish_delivery finish_notices finish_summary
    first_admin_link_open fold_counters forgive_attempt half_sign_in has_users ingest_batch_v2 installation_figures ingest_call_secrets
    ingest_sites ingest_sites_v2 invite_by_link join_by_invite keep_rehash keep_rejected key_holder lead_facts_of leads_to_notice let_in
    offer_password_link open_sign_in origins_seen pass_second_factor password_link quota_use record_call_v2 record_call_v3
    score_call score_leads see_sign_in share_link_by_hash signed_in signed_in_v2 site_sequences sites_to_fold suspect_lead suspicion_facts
    unjudged_leads use_email_link use_identity use_password_link queue_conversions claim_conversions finish_conversions note_provider providers
    pull_route pull_batches note_pull
""".split()
OF_ONESELF = """
    accept_invite answer_ownership ask_for_summary begin_second_factor change_own_email change_own_name change_own_password
    confirm_second_factor confirm_sign_in create_site credential_place drop_credential drop_second_factor end_own_sign_in
    end_own_sign_ins leave_site link_identity make_person_key new_recovery_codes offer_email_link own_second_factor
    change_view keep_view put_credential remove_view revoke_person_key rotate_person_key sealed_credential unlink_identity wish_notices wish_summary
""".split()
OF_THE_CALLER = """
    call_entries call_entry conversion_entry counter_differences counter_part decision_entry entry_cells figures hour_key
    owed_step page_key place_key plain_case recount session_entry unfolded_cells unfolded_visitors
""".split()
WITH: dict[Capability, list[str]] = {
    Capability.READ: "actor_name count_leads note_act ownership_offer search_leads site_audit site_role".split(),
    Capability.DECIDE: "decide_intent lead_cases lead_cases_v2 leads_to_approve leads_to_junk look_at_lead".split(),
    Capability.EXPORT: """
        set_conversion_route switch_conversion_route put_conversion_secret conversion_secret export_conversions reclaim_batch batch_rows
        note_download answer_batch retry_conversions drop_conversions batch_file preview_conversions release_batch
    """.split(),
    Capability.TEND: "lock_rejected record_replay record_replays".split(),
    Capability.WRITE: """
        change_site_general change_site_rules change_site_values change_site_values_v2
        add_origin add_webhook allow_bot change_webhook make_share_link put_webhook_secrets remove_origin remove_test_visits remove_webhook
        revoke_share_link share_maker_name
        replay_delivery set_limits try_webhook webhook_secrets
    """.split(),
    Capability.MEMBERS: """
        invite_member note_invite_sent remove_member resend_invite revoke_invite set_member_role site_invites
        site_people
    """.split(),
    Capability.KEYS: "allow_unsigned_calls key_maker_name make_call_secret make_site_key remove_call_secret revoke_site_key rotate_site_key".split(),
    Capability.ERASE: """
        begin_erasure change_privacy erase_rest erase_visits erasure_row find_person finish_erasure note_privacy person_sizes
        retention_preview
    """.split(),
    Capability.OWN: "offer_ownership switch_site withdraw_ownership".split(),
    Capability.PLATFORM: "ask_for_audit platform_audits platform_jobs platform_log platform_people platform_state set_account_enabled site_owners switch_provider".split(),
}  # fmt: skip

NEEDS: dict[str, Capability | str] = {
    **dict.fromkeys(OF_THE_SERVER, SERVER),
    **dict.fromkeys(OF_ONESELF, SELF),
    **dict.fromkeys(OF_THE_CALLER, CALLER),
    **{name: capability for capability, names in WITH.items() for name in names},
}
