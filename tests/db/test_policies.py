"""docs/security/policies.md is what the database says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "security" / "policies.md").read_text()
POLICIES = """
    SELECT c.relname::text AS table, p.polname::text AS name, n.nspname = 'parts' AS is_part, p.polcmd::text AS command,
        p.polroles = ARRAY[c.relowner] AS for_owner,
        coalesce(pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)) AS text
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
"""
SETTINGS = {
    "by_owner_function": "app.maintenance",
    "_select_accessible": "app.sites",
    "_own": "app.person",
    "_self": "app.person",
}


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def table(title: str) -> list[list[str]]:
    """The cells of the section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


async def test_what_is_said_of_the_first_generation_s_policies_is_so(owner: Any) -> None:
    standing = {(row["table"], row["name"]) for row in await owner.fetch(POLICIES)}
    functions = {row[0] for row in await owner.fetch("SELECT proname::text FROM pg_proc")}
    rows = table("The first generation's policies")
    assert len(rows) == 12
    for then, where, now, why in rows:
        name, place = then.strip("`"), where.strip("`")
        assert ((place, name) in standing) == now.startswith("same name"), name
        assert now.startswith(("same name", "replaced by", "designed away")) and why.endswith("."), name
        named = set(re.findall(r"`(\w+)\(\)`", now))
        assert named <= functions and bool(named) == now.startswith("replaced by"), name


async def test_every_policy_is_on_the_page(owner: Any) -> None:
    named = [name for row in table("Those that stand") for name in re.findall(r"`([^`]+)`", row[0])]
    for row in await owner.fetch(POLICIES):
        patterns = [name.replace("<table>", re.escape(row["table"])) for name in named]
        assert any(re.fullmatch(pattern, row["name"]) for pattern in patterns), (row["table"], row["name"])
    known = {row["name"] for row in await owner.fetch(POLICIES)}
    for name in named:
        if "<table>" not in name:
            assert name in known, f"{name} stands no more"


async def test_a_policy_s_name_says_what_it_compares_and_for_whom(owner: Any) -> None:
    for row in await owner.fetch(POLICIES):
        assert row["for_owner"] == ("by_owner_function" in row["name"] or row["name"] == "owner_functions"), (
            row["name"]
        )
        for ending, setting in SETTINGS.items():
            if row["name"].endswith(ending):
                assert setting in row["text"], (row["table"], row["name"])
        assert not row["is_part"] or row["name"] == "by_owner_function", row["table"]
