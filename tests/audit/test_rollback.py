"""The way back from each kind of remedy; and that every check of the audit has one."""

from __future__ import annotations

import pytest

from opsmantik.audit.checks import all_checks
from opsmantik.audit.report.facts import Facts, Index, Key, Policy, Table
from opsmantik.audit.report.rollback import BY_HAND, COMMANDS, LOOKS, NOTHING_LOST, is_code, rollback
from opsmantik.audit.report.told import ADVICE

ZERO = dict.fromkeys(
    ("rows", "bytes", "index_bytes", "pages", "columns", "seq_scan", "idx_scan", "added", "changed", "hot", "removed",
     "live", "dead"), 0,
)  # fmt: skip
CALLS = Table(
    oid=1, schema="public", name="calls", kind="r", is_partition=False, root=1, bounds=None, key=None, secured=True,
    forced=True, persistence="p", comment=None, grants=["INSERT to clerk", "SELECT to clerk", "SELECT to everybody"],
    vacuumed=None, analysed=None, **ZERO,  # type: ignore[arg-type]
)  # fmt: skip
STATUS = Index(
    table=1, schema="public", name="calls_status_idx", method="btree", columns=["status"], condition=None,
    is_unique=False, is_primary=False, rule=None, comment=None, bytes=1, scans=0, is_valid=True,
    making="CREATE INDEX calls_status_idx ON ONLY public.calls USING btree (status)",
)  # fmt: skip
FACTS = Facts(
    is_ours=True, server=None, tables=[CALLS], columns={}, functions=[], leans={}, relations={}, hidden=[],  # type: ignore[arg-type]
    audit=None, there=None,  # type: ignore[arg-type]
    indexes={1: [STATUS, Index(**{f: getattr(STATUS, f) for f in STATUS.__struct_fields__} | {
        "name": "calls_stamp_key", "rule": "calls_stamp_key", "is_unique": True, "columns": ["site_id", "stamp"]})]},
    policies={1: [Policy(table=1, name="calls_seen", is_permissive=True, command="SELECT", roles=["clerk"],
        using="site_id = 1", checks=None)]},
    keys={1: [Key(table=1, name="calls_site_fkey", other=2, other_name="sites", is_validated=True,
        columns=["site_id"], others=["id"], on_delete="CASCADE")]},
)  # fmt: skip
BACK = {
    "ALTER TABLE public.calls ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY":
        "ALTER TABLE public.calls NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;",
    "ALTER TABLE public.calls FORCE ROW LEVEL SECURITY": "ALTER TABLE public.calls NO FORCE ROW LEVEL SECURITY;",
    "DROP INDEX CONCURRENTLY public.calls_status_idx":
        "CREATE INDEX calls_status_idx ON public.calls USING btree (status);",
    "ALTER TABLE public.calls DROP CONSTRAINT calls_stamp_key":
        "ALTER TABLE public.calls ADD CONSTRAINT calls_stamp_key UNIQUE (site_id, stamp);",
    "ALTER TABLE public.calls DROP CONSTRAINT calls_site_fkey":
        "ALTER TABLE public.calls ADD CONSTRAINT calls_site_fkey FOREIGN KEY (site_id) REFERENCES sites (id)"
        " ON DELETE CASCADE;",
    "CREATE INDEX CONCURRENTLY ON public.calls (site_id, x)": "DROP INDEX public.calls_site_id_x_idx;",
    "ALTER TABLE public.calls ADD FOREIGN KEY (site_id) REFERENCES public.sites (id) NOT VALID":
        "ALTER TABLE public.calls DROP CONSTRAINT calls_site_id_fkey;",
    "CREATE INDEX calls_x_idx ON public.calls (x)": "DROP INDEX calls_x_idx;",
    "CREATE TABLE public.events_2026_12 PARTITION OF public.events FOR VALUES FROM ('2026-12-01') TO ('2027-01-01')":
        "DROP TABLE public.events_2026_12;",
    "REVOKE ALL ON public.calls FROM clerk": "GRANT INSERT, SELECT ON public.calls TO clerk;",
    "REVOKE ALL ON public.calls FROM PUBLIC": "GRANT SELECT ON public.calls TO PUBLIC;",
    "REVOKE TRUNCATE ON public.calls FROM clerk": "GRANT TRUNCATE ON public.calls TO clerk;",
    "REVOKE EXECUTE ON FUNCTION public.f(a integer, b text) FROM PUBLIC":
        "GRANT EXECUTE ON FUNCTION public.f(a integer, b text) TO PUBLIC;",
    "DROP POLICY calls_seen ON public.calls":
        'CREATE POLICY "calls_seen" ON public.calls FOR SELECT TO clerk USING (site_id = 1);',
    "ALTER VIEW public.v SET (security_invoker = true)": "ALTER VIEW public.v RESET (security_invoker);",
    "ALTER FUNCTION public.f(a integer) SET search_path = pg_catalog, public, pg_temp":
        "ALTER FUNCTION public.f(a integer) RESET search_path;",
    "ALTER ROLE clerk NOBYPASSRLS": "ALTER ROLE clerk BYPASSRLS;",
    "ALTER TABLE public.calls SET LOGGED": "ALTER TABLE public.calls SET UNLOGGED;",
}  # fmt: skip
WORDS = {
    "VACUUM public.calls": NOTHING_LOST,
    "REINDEX INDEX CONCURRENTLY public.calls_status_idx": NOTHING_LOST,
    "opsmantik upkeep run drain_default": COMMANDS["opsmantik upkeep run drain_default"],
    "Look at its plan: EXPLAIN (ANALYZE, BUFFERS)": LOOKS,
    "Look membership up in a SECURITY DEFINER function, or before the query.": BY_HAND,
    "CREATE INDEX ON public.calls, led by site_id, for what they ask by": (
        r"Drop the index by the name that PostgreSQL gave it; `\d public.calls` shows it."
    ),
    "Write them as one policy, or let each command have its own.": BY_HAND,
}


@pytest.mark.parametrize("remedy", BACK, ids=range(len(BACK)))
def test_a_statement_has_one_that_undoes_it(remedy: str) -> None:
    assert rollback(remedy, FACTS) == BACK[remedy]
    assert is_code(rollback(remedy, FACTS))


@pytest.mark.parametrize("remedy", WORDS, ids=range(len(WORDS)))
def test_what_cannot_be_undone_says_what_to_keep(remedy: str) -> None:
    assert rollback(remedy, FACTS) == WORDS[remedy]
    assert not is_code(rollback(remedy, FACTS))


def test_rows_come_back_from_a_backup() -> None:
    remedy = "SET app.maintenance = 'on'; UPDATE calls c SET note = ''; SELECT rebuild_counters('x');"
    assert "`opsmantik backup`" in rollback(remedy, FACTS) and "ROLLBACK" in rollback(remedy, FACTS)


def test_what_is_only_told_has_an_advice_where_a_check_says_so() -> None:
    assert {check.name for check in all_checks()} >= ADVICE
