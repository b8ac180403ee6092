"""Every query names its site: each statement of the product, wherever it stands."""

# ruff: noqa: E501 - a row a line

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import opsmantik
from tests.sql_places import statements
from tests.tenancy import tenant_relations

# What reads or writes across tenants, and why it may. None of it answers a person with rows of another's.
EXCEPTIONS = {
    "db/functions/deliver_webhooks.sql: claim_deliveries": "the sender takes what is due of all sites' webhooks",
    "db/functions/notices.sql: claim_notices": "the sender takes what is due of all sites' mails, each to its own person",
    "db/functions/summaries.sql: claim_summaries": "the sender takes what is due of all sites' mails, each to its own person",
    "db/functions/carried_batches.sql: pull_sites": "upkeep asks which sites Google fetches from: ids only",
    "db/functions/share_links.sql: share_link_by_hash": "whose figures a link shows is found by its hash; nobody is known before",
    "db/functions/enter_user.sql: enter_user": "finds out which sites a person may see at all",
    "db/functions/enter_user_v2.sql: enter_user_v2": "finds out which sites a person may see at all",
    "db/functions/key_holder.sql: key_holder": "whose a key is, is found by its hash; nobody is known before",
    "db/functions/call_secrets.sql: ingest_call_secrets": "the door for calls knows every site's secrets, sealed",
    "db/functions/ingest_sites.sql: ingest_sites": "the ingest doors know every site; nothing personal is in it",
    "db/functions/ingest_sites_v2.sql: ingest_sites_v2": "the ingest doors know every site; nothing personal is in it",
    "db/functions/send_conversions.sql: queue_conversions": "the sender looks for a site with something due: the rows are asked for by site",
    "db/functions/send_conversions.sql: claim_conversions": "the sender takes the batch whose turn it is, of whichever site: one site's",
    "db/functions/quotas.sql: quota_use": "the ingest doors know how much of its quota each site has used: counts only",
    "db/functions/counters_upkeep.sql: sites_to_fold": "the fold asks which sites have something to fold: ids only",
    "db/functions/review_leads.sql: unjudged_leads": "after a crash, the leads of all sites still to judge: ids only",
    "db/functions/make_month.sql: dress_partition": "upkeep: makes a partition of all sites",
    "db/functions/drain_default_month.sql: copy_month": "upkeep: a month moves, of all sites at once",
    "db/functions/drain_default_month.sql: leave_default": "upkeep: a month moves, of all sites at once",
    "db/functions/drain_default_month.sql: attach_sessions": "upkeep: a month moves, of all sites at once",
    "adopt/old.py": "an adoption reads another database, as a whole: the questions stand in old.sql and faults.sql",
    "adopt/store.py": "an adoption, as the owner: all sites of another database at once, each row with its own",
    "adopt/queries.sql: staging": "an adoption's staging: copies without a row, for one connection alone",
    "adopt/queries.sql: add_keys": "an adoption: what lies in its staging, each row with its own site",
    "adopt/queries.sql: count_visits": "an adoption: what lies in its staging, each row with its own site; counts only",
    "adopt/queries.sql: add_events": "an adoption: what lies in its staging, each row with its own site",
    "adopt/queries.sql: count_events": "an adoption: what lies in its staging, each row with its own site; counts only",
    "adopt/queries.sql: add_calls": "an adoption: what lies in its staging, each row with its own site",
    "adopt/queries.sql: add_actions": "an adoption: what lies in its staging, each row with its own site",
    "adopt/queries.sql: add_conversions": "an adoption: what lies in its staging, each row with its own site",
    "adopt/queries.sql: leads_here": "an adoption: what lies in its staging, each row with its own site",
    "audit/run.py": "the audit asks about all sites, as the owner; what it tells is counts, and names of tables",
    "audit/crossings.py": "the audit, as above: counts of what points from one tenant to another",
    "audit/plans.py": "the audit, as above: how the program's own statements are planned, none is run",
    "audit/spread.py": "the audit, as above: how the contracts are planned, none is run",
    "audit/report/gather.py": "the audit, as above: how filled columns are, by a sample; counts only",
    "audit/statistics.py": "the audit, as above: since when the server has counted",
    "db/migrate.py": "deploys: runs the files that are read here one by one, and counts what no counter has counted yet",
    "db/distribute.py": "an administrator spreads whole tables over servers; no row is read",
    "db/forecast.py": "before a deploy: what the migrations will count and gather, of all sites; numbers only",
    "db/functions/invites.sql: invite_of": "one invite, by the link of whoever may not belong to any site yet",
    "db/functions/platform_people.sql: platform_people": "who runs the platform sees to how many sites an account belongs",
    "db/functions/platform_health.sql: platform_state": "who runs the platform sees figures of all sites together",
    "db/functions/erasure.sql: recent_privacy_acts": "how often a person erased or exported of late, on any site: ids only",
    "upkeep/retention.py": "upkeep: what sites keep no longer, site by site, but of all sites",
    "db/functions/retention.sql: drop_month_of_events": "upkeep: a month goes, of all sites at once",
    "db/functions/archive.sql: month_expiry": "upkeep: who has rows in a month, of all sites: ids only",
    "db/functions/archive.sql: forget_archive": "upkeep: a month's files go, of all sites at once",
    "db/functions/archive.sql: put_back_visits": "upkeep: a month comes back, each row with its own site",
    "db/functions/archive.sql: put_back_events": "upkeep: a month comes back, each row with its own site",
    "upkeep/archive.py": "upkeep: a month goes into files, of all sites at once, and its erasures are counted",
    "upkeep/archive_erasing.py": "upkeep: which erasures wait for which archived month, of all sites: ids only",
    "upkeep/parquet.py": "upkeep: whole tables go into files",
    "upkeep/tending.py": "upkeep: VACUUM, ANALYZE and REINDEX by name; no row is read",
    "cli/upkeep.py": "the lease of a job",
    "db/functions/retention.sql: drop_month_of_visits": "upkeep: a month that is empty goes, of all sites at once",
    "privacy/queries.sql: unfinished": "upkeep: erasures that were cut off, of all sites: ids only",
    "upkeep/partitions.py": "upkeep: how many rows wait in the default partitions, of all sites",
    "upkeep/sealing.py": "a new key: every row that an old one sealed, of all sites; nothing of it is shown",
    "db/functions/installation_figures.sql: installation_figures": "numbers of all sites together, of nobody in particular",
    "db/backup.py": "a copy holds every table whole, and counts what is in it",
    "upkeep/watching.sql: silent": "the watchdog asks which sites have gone silent: names and counts, for the administrators",
    "upkeep/watching.sql: taps": "the watchdog asks which sites' taps make no leads: names and counts, for the administrators",
    "upkeep/purge.py": "upkeep: what has run out goes, site by site, but of all sites",
    "counters/queries.sql: sites_to_build": "the owner asks which sites have no counters yet: ids only",
}


def test_every_statement_names_its_site() -> None:
    wrong = [
        f"{s.place}: {words}" for s in statements() if s.place not in EXCEPTIONS for words in s.complaints
    ]
    assert not wrong, "row security is one wall, the site's name in the statement the other:\n" + "\n".join(
        wrong
    )


@pytest.mark.parametrize("place", EXCEPTIONS)
def test_each_exception_is_still_one(place: str) -> None:
    assert any(s.complaints for s in statements() if s.place == place), "take it off the list"


def test_the_lint_reads_what_there_is() -> None:
    places = {s.place for s in statements()}
    assert {
        "dashboard/cards/waiting_leads.sql: waiting_leads",
        "sites/queries.sql: list_sites",
        "db/functions/record_call_v2.sql: record_call_v2",
        "db/functions/sign_in.sql: account_by_email",
        "ingest/writer.py",
    } <= places
    assert len(places) > 60


async def test_the_lint_knows_every_table_and_view_of_tenants(owner: Any) -> None:
    """By the database: every one with a site_id, outside the schema of the partitions."""
    rows = await owner.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'site_id'"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')"
    )
    assert {row["relname"] for row in rows} == tenant_relations()
    assert {
        "session_keys", "sessions", "events", "calls", "visitors", "rejected_events", "ingest_tally", "site_pulse",
        "counter_journal", "counter_days", "counters", "site_state", "ingest_counts", "intent_actions", "conversions",
        "conversion_moves", "site_members", "site_origins",
    } <= tenant_relations()  # fmt: skip


async def test_no_view_hides_whose_rows_it_shows(owner: Any) -> None:
    """A view without a site_id could not be asked for one site only."""
    rows = await owner.fetch(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')"
        " AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id')"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
    )
    assert [row["relname"] for row in rows] == []


# What would stay with a pooled connection: going back, it is only told to forget its settings.
LASTING = re.compile(r"\bpg_(?:try_)?advisory_lock\(|\bLISTEN\s|\bDECLARE\s+\w+\s+CURSOR\s+WITH\s+HOLD")
OWN_CONNECTIONS = {
    "adopt/queries.sql": "the owner's connection of one command",
    "cli/keys.py": "the owner's connection of one command",
    "web/live.py": "words about db/listen.py",
    "db/listen.py": "a connection of its own, which listens and does nothing else",
    "db/migrate.py": "the owner's connection of one migration",
    "demo/store.py": "the owner's connection of one command",
    "demo/queries.sql": "the owner's connection of one command",
    "upkeep/runner.py": "the owner's connection of one job",
}


def test_nothing_stays_with_a_pooled_connection() -> None:
    """``db.connect.leave_nothing`` relies on it."""
    home = Path(opsmantik.__file__).parent
    paths = [*home.rglob("*.py"), *home.rglob("*.sql")]
    found = {
        str(path.relative_to(home))
        for path in paths
        if "migrations" not in path.parts and path.name != "schema.sql" and LASTING.search(path.read_text())
    }
    assert found - OWN_CONNECTIONS.keys() == set()
    assert LASTING.search("SELECT pg_advisory_lock(1)") and not LASTING.search(
        "SELECT pg_advisory_xact_lock(1)"
    )
