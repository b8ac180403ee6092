"""What our own database was made to be, for the checks that hold it against that: lists, and the reason for each exception.

On a database that is not ours every list is empty, and the checks say what is so without calling it right or wrong.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from opsmantik.audit.needs import Catalogue
from opsmantik.db.migrate import function_files

INGEST, DECISIONS, PRIVACY, UPKEEP = "ingest", "decisions", "privacy", "upkeep"
WRITERS: Final[dict[str, tuple[str, set[str]]]] = {
    "ingest_batch_v2": (INGEST, {"sessions", "events", "calls"}),
    "record_call_v2": (INGEST, {"calls"}),
    "record_call_v3": (INGEST, {"calls"}),
    "score_leads": (INGEST, {"calls"}),
    "score_call": (INGEST, {"calls"}),
    "clear_leads": (INGEST, {"calls"}),
    "suspect_lead": (DECISIONS, {"calls"}),
    "decide_intent": (DECISIONS, {"calls"}),
    "shift_conversions": (UPKEEP, {"calls"}),
    "drop_visits": (PRIVACY, {"sessions", "events"}),
    "remove_test_visits": (PRIVACY, {"sessions"}),
    "erase_calls": (PRIVACY, {"calls"}),
    "expire_calls": (PRIVACY, {"calls"}),
    "expire_visits": (PRIVACY, {"sessions", "events"}),
    "forget_addresses": (PRIVACY, {"sessions"}),
    "drop_month_of_events": (PRIVACY, {"a month"}),
    "drop_month_of_visits": (PRIVACY, {"a month"}),
    "put_back_visits": (UPKEEP, {"sessions"}),
    "put_back_events": (UPKEEP, {"events"}),
    "copy_month": (UPKEEP, {"a month"}),
    "leave_default": (UPKEEP, {"a month"}),
}
"""The functions that write sessions, events or calls: of which flow each is, and which it writes ("a month" stands for a
partition whose name is put in)."""

WRITES: Final[dict[str, str]] = {}
"""Tenants' tables that are written in another way than by functions that run as the owner: how."""

KEYS: Final[dict[str, str]] = {
    "sites_pkey": "The site's own id: what every other key begins with.",
    "sites_public_id_key": "Stands in the page of a site for everybody to read; it opens nothing.",
    "users_email_key": "An address signs in to one account; no answer tells whether there is one.",
    "user_identities_issuer_subject_key": "Who signs in elsewhere has one account here; asked by the server alone.",
    "sign_ins_pkey": "The hash of a secret that nobody can guess.",
    "half_sign_ins_pkey": "The hash of a secret that nobody can guess.",
    "one_time_links_pkey": "The hash of a secret that nobody can guess.",
    "person_keys_key_hash_key": "The hash of a secret that nobody can guess.",
    "sign_ins_id_key": "An id of our making, by which a person ends one of their own sign-ins.",
}
"""Unique keys that do not begin with a site, by their index: why they may."""

REFERENCES: Final[dict[str, str]] = {
    "counter_journal": "A row a transaction, gone within a second or so; the facts that it counts refer to their site.",
}
"""Tenants' tables from which no chain of foreign keys leads to sites: why none need."""

ARGUMENTS: Final[dict[str, str]] = {}
"""Functions with more than thirty arguments: why they may."""

RANGES: Final[dict[str, str]] = {
    "recount": "Counts a site's whole past anew, for upkeep and the audit; no screen calls it with a range of its own.",
    "rebuild_counters": "Upkeep's: days of a site's whole past, one site at a time.",
    "counter_differences": "The same, compared.",
    "figures": "Reads one row a day and dimension; the range comes from the clock, which keeps the budget.",
    "search_leads": "The search reaches as far back as the site does, and stops at its page's last row.",
    "count_leads": "Counts what the search finds up to a number that is told, and then stops.",
}
"""Functions that take a range and do not themselves keep it within six months: why they need not."""

SIGNATURES: Final = Path(__file__).with_name("signatures.txt")
_MADE = re.compile(r"CREATE OR REPLACE FUNCTION (\w+)")


async def house(_: Any, there: Catalogue) -> dict[str, Any]:
    """The lists above, as the checks read them; ``ours`` is there for our own database."""
    if "public.session_keys" not in there.relations:
        return {}
    return {
        "ours": True,
        "writers": {name: sorted(tables) for name, (_, tables) in WRITERS.items()},
        "writes": WRITES,
        "keys": KEYS,
        "references": REFERENCES,
        "arguments": ARGUMENTS,
        "ranges": RANGES,
    }


async def signatures(_: Any, __: Catalogue) -> dict[str, Any]:
    """What each function is called with, answers and is: what callers outside of this database build on. And the names of
    those that the program's files make, the newest of which may not be on that list yet."""
    lines = SIGNATURES.read_text(encoding="utf-8").splitlines()
    made = {name for path in function_files() for name in _MADE.findall(path.read_text(encoding="utf-8"))}
    return {"promised": dict(line.split("\t", 1) for line in lines if line), "made": sorted(made)}
