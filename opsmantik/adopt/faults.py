"""What may be wrong in a database of the first generation, and what becomes of it here.

A list, in the order in which it is told. A fault is counted by the question of its name in ``faults.sql``; each has its
place in the tests, planted alone. ``harmless`` ones are no faults but facts that a reader of the report wants to know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from opsmantik.adopt.leads import KNOWN_STATUSES
from opsmantik.adopt.old import Old
from opsmantik.db.sql import queries

SQL = queries(Path(__file__).with_suffix(".sql"))


class Fault(NamedTuple):
    """A kind of fault: its name, what it says of so many things, and what the import does about each."""

    name: str
    what: str
    becomes: str
    harmless: bool = False
    needs: tuple[str, ...] = ()


class Found(NamedTuple):
    """How often a fault is there."""

    fault: Fault
    n: int


FAULTS: Final = (
    Fault(
        "session_month_drift",
        "visits lie in another month than they began in",
        "they get the UTC month they began in",
    ),
    Fault("event_month_drift", "events lie in another month than their visit", "they go with their visit"),
    Fault(
        "sessions_in_two_months",
        "visits have a row in more than one month",
        "one visit is made of them, in the first month; what both counted is joined",
    ),
    Fault(
        "sessions_on_two_sites",
        "session ids are used by more than one site",
        "each site has a visit of its own",
    ),
    Fault(
        "sessions_after_their_events",
        "visits begin in a later month than their events",
        "they begin with their first event",
    ),
    Fault("orphaned_events", "events have no visit", "a visit is made of them, so that none is lost"),
    Fault(
        "events_of_another_site",
        "events name another site than their visit",
        "they stay with the site that they name, in a visit of its own; no other site sees them",
    ),
    Fault("events_without_site", "events name no site", "they get their visit's"),
    Fault(
        "events_of_nobody",
        "events name no site and have no visit",
        "left out: nobody can tell whose they are",
    ),
    Fault("doubled_event_ids", "events have an id twice within one visit", "the first month's row is kept"),
    Fault(
        "repeated_events", "conversions came again within the same second", "kept, so that figures stay", True
    ),
    Fault(
        "heartbeats", "heartbeats are stored as events", "they move the visit's end; no event is kept", True
    ),
    Fault(
        "goodbyes", "ends of visits are stored as events", "they move the visit's end; no event is kept", True
    ),
    Fault(
        "rewritten_categories",
        "interactions of paid visits are called acquisition",
        "they are interactions again",
        True,
    ),
    Fault(
        "unfit_click_ids",
        "click ids of visits cannot be real",
        "left out of their columns; kept in the visit's explanation",
    ),
    Fault(
        "whole_addresses",
        "visits hold a whole network address",
        "cut to the network: IPv4 /24, IPv6 /48",
        True,
    ),
    Fault("leads_without_status", "leads have no status", "they wait, as intent"),
    Fault(
        "unknown_statuses",
        "leads have a status outside the model",
        "they wait, as pending; the old word is in the log",
    ),
    Fault(
        "leads_without_visit",
        "leads name a visit that is not there",
        "the link goes; where events made that visit, it holds",
    ),
    Fault(
        "leads_of_another_site",
        "leads name a visit of another site",
        "the link goes; the lead stays with its site",
    ),
    Fault(
        "doubled_stamps",
        "leads repeat the stamp of another",
        "one that nobody decided becomes a repeated tap of it; a decided one stays a lead, under a stamp of its own",
    ),
    Fault(
        "repeated_taps",
        "leads repeat a tap of the same visit within half an hour",
        "one that waits is folded into the other; decided ones stay, and the audit names them",
    ),
    Fault(
        "clicks_without_facts",
        "clicks lack action, target or stamp",
        "worked out from the number; else the lead is an api one",
    ),
    Fault(
        "click_ids_of_unknown_kind",
        "click ids of leads are of no known kind",
        "of the kind that the visit has; without one they are kept in the score's breakdown",
    ),
    Fault(
        "sent_conversions",
        "sealed leads were sent to the ad platform",
        "the ledger says so: they are never sent again",
        True,
    ),
    Fault(
        "unsent_conversions",
        "sealed leads were never sent",
        "the ledger says why not, and holds them back; --queue-unsent queues those that still can go",
        True,
    ),
    Fault(
        "junk_that_was_sent",
        "leads were sent to the ad platform and are not sealed",
        "the ledger says that they must be taken back there",
    ),
    Fault(
        "administrators",
        "people call themselves administrators of the platform",
        "ordinary accounts, as anybody could make himself one; --admins keeps them",
    ),
    Fault(
        "people_without_address",
        "accounts have no e-mail address",
        "switched off, under an address that nobody has",
    ),
    Fault("doubled_addresses", "accounts share an address", "one account, which gets what all of them had"),
    Fault(
        "unfit_public_ids",
        "sites have a public id that no tracker can name",
        "a new one is made; their pages need the new snippet",
    ),
    Fault(
        "doubled_public_ids",
        "sites share a public id in two spellings",
        "the oldest keeps it, others get a new one",
    ),
    Fault(
        "two_currencies",
        "sites name two currencies",
        "the one that their people saw, that of the configuration",
    ),
    Fault(
        "plain_tokens",
        "tokens of other services lie open",
        "not taken over: revoke them, and connect anew here",
        False,
        ("public.user_credentials",),
    ),
    Fault(
        "plain_keys",
        "keys of the platform lie open in a table",
        "not read; revoke them when it is switched off",
        False,
        ("private.api_keys",),
    ),
    Fault(
        "refused_events",
        "refused events were kept",
        "kept here too, to be looked at and let in",
        True,
        ("public.sync_dlq",),
    ),
    Fault("refused_events_of_nobody", "refused events name no site", "left out", True, ("public.sync_dlq",)),
    Fault(
        "dead_grants",
        "grants to callers from outside open nothing, as no policy of the table does",
        "nothing of them: here the application's role owns nothing, and partitions carry no grant",
    ),
    Fault(
        "open_functions",
        "functions that run as their owner can be called by anybody",
        "nothing of them: here functions are closed unless their own file opens them",
    ),
    Fault("open_partitions", "partitions have no row security", "nothing of it: here every partition has it"),
)


async def look(old: Old) -> list[Found]:
    """Count every fault that can be there."""
    found = []
    for fault in FAULTS:
        if old.has(*fault.needs):
            arguments: tuple[Any, ...] = (KNOWN_STATUSES,) if fault.name == "unknown_statuses" else ()
            rows = await old.rows(getattr(SQL, fault.name), *arguments)
            found.append(Found(fault, rows[0]["n"]))
    return found
