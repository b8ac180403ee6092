"""Writes the parts of the documentation that are made from the code: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from opsmantik import settings
from opsmantik.dashboard.contracts import CONTRACTS, PROCEDURES, SITES, Contract
from opsmantik.web.openapi import document
from opsmantik.web.procedures import TOOLS

HERE = Path(__file__).parent


def openapi() -> str:
    return (
        msgspec.json.format(msgspec.json.encode(document(), order="deterministic"), indent=2).decode() + "\n"
    )


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable; empty is not set. Written from `opsmantik/settings.py` by `make docs`.",
        "",
        "| Variable | Default | Meaning |",
        "|---|---|---|",
    ]
    for variable in settings.variables():
        default = "" if variable.default in (None, ()) else f"`{variable.default}`"
        lines.append(f"| `{variable.name}` | {default} | {variable.description} |")
    return "\n".join(lines) + "\n"


CONTRACTS_LEAD = """# Contracts

Every figure and every list that OpsMantik answers about a site is defined once, in one sentence, and answered through
two doors: `GET /api/v1/sites/{site}/…` and, by the first generation's names and keys, `POST /api/rpc/{name}`. The test
of a figure quotes its sentence. Written from `opsmantik/dashboard/contracts.py` by `make docs`; the shapes are in
[openapi.json](openapi.json), readable at `/api/docs` of any installation.

What holds everywhere:

- A range is half-open, [from, to), in UTC at the edge; a day is the site's own day, whatever its offset and however many
  hours it has; more than 184 days are refused.
- Heartbeats and goodbyes are no events: they move a visit's duration and activity, and show nowhere else.
- Waiting means intent or pending; sealed means sealed or converted. A repeated tap is a tap of its lead, not a lead.
- Paid traffic (`ads_only`) is what the attribution ladder calls paid: by click ids, by the medium, by hosts.
- `as_of` and `sequence` say which moment, and which state of the site, all figures of an answer are true for.
- Of a site that is not the asker's nothing is answered, as of one that does not exist: 404, or `access_denied`. The first
  generation answered zeros to strangers.
- Times are RFC 3339 in UTC; amounts are JSON numbers with the decimals that they have.
"""


def contracts_page() -> str:
    lines = [CONTRACTS_LEAD]
    for contract in (*CONTRACTS, SITES):
        lines += contract_section(contract)
    lines += [
        "## The first generation's other calls",
        "",
        "| Call | What it answers |",
        "|---|---|",
        *(f"| `{tool.name}` | {tool.summary}. |" for _, tool in sorted(TOOLS.items()) if not tool.contract),
        "",
        "Its database kept months and keys together by triggers, and made one month ahead when somebody called. Here upkeep"
        " makes several months ahead, a session's month is fixed once in a registry, and foreign keys and checks hold what"
        " triggers held; the calls about them answer whether that is so.",
    ]
    return "\n".join(lines) + "\n"


def contract_section(contract: Contract) -> list[str]:
    path = f"/api/v1/sites/{{site}}/{contract.path}" if contract is not SITES else "/api/v1/sites"
    lines = [f"## {contract.name}", "", f"{contract.summary}. `GET {path}`", ""]
    if contract.definitions:
        lines += ["| Figure | Definition |", "|---|---|"]
        lines += [f"| `{name}` | {words} |" for name, words in contract.definitions.items()]
        lines.append("")
    if contract.procedures:
        calls = ", ".join(f"`{name}`{old(name)}" for name in contract.procedures)
        lines += [f"First generation: {calls}.", ""]
    if contract.deviations:
        lines += ["Where the first generation's calls answered otherwise:", ""]
        lines += [f"- {deviation}" for deviation in contract.deviations]
        lines.append("")
    return lines


def old(name: str) -> str:
    successor = PROCEDURES[name].successor if name in PROCEDURES else None
    return f" (replaced by `{successor}`)" if successor else ""


PAGES = {"openapi.json": openapi, "settings.md": settings_page, "contracts.md": contracts_page}


def main() -> None:
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
        print(f"docs/{name}", file=sys.stderr)


if __name__ == "__main__":
    main()
