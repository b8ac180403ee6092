"""Writes the parts of the documentation that are made from the code: ``make docs``."""

from __future__ import annotations

import ast
import inspect
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

from opsmantik import settings
from opsmantik.audit.checks import GROUPS, all_checks
from opsmantik.dashboard.contracts import CONTRACTS, PROCEDURES, SITES, Contract
from opsmantik.people.capabilities import ROLES, SCOPES, Capability, has_platform, is_of_a_site
from opsmantik.web.app import create_app
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


AUTHORIZATION_LEAD = """# Who may do what

One table decides, `opsmantik/people/capabilities.py`; this page is written from it, and from the routes, by `make docs`.
Every route names what it needs, or that it is public: a server with a route that does neither does not start. The
transaction that answers sees only the sites on which the asker's role allows what the route needs; row security holds it to
that, and the functions that write ask for the role once more. Who lacks it on a site of theirs is answered 403; a site
that is not theirs is answered as one that does not exist, 404. A change of a role counts from the next transaction on.

Fields that a role may see or change are those of the answers and bodies in [openapi.json](../openapi.json): no body holds a
role, an owner or a site's id, so that none can be set in passing. Addresses of owners are for platform administrators
only; another person's address is shown to those who manage members of a site that both are on.
"""


def authorization_page() -> str:
    lines = [AUTHORIZATION_LEAD, "## Roles", ""]
    lines.append(
        "| Capability | What it is | " + " | ".join(role.replace("_", " ") for role in ROLES) + " | a key |"
    )
    lines.append("|---|---|" + "---|" * (len(ROLES) + 1))
    words = _member_words(Capability)
    for capability in Capability:
        by_role = ["yes" if capability in held else "" for held in ROLES.values()]
        if not is_of_a_site(capability):
            account = "as an account" if has_platform(capability, is_admin=False) else ""
            by_role = ["as an account", *[account] * (len(ROLES) - 1)]
        lines.append(
            f"| `{capability}` | {words.get(capability.name, '')} | {' | '.join(by_role)} |"
            f" {'as a scope' if capability in SCOPES else ''} |"
        )
    lines += [
        "",
        "A manager of members makes administrators, operators and analysts; a site has one owner, who hands it over.",
        "",
    ]
    lines += ["## Routes", "", "| Route | Needs |", "|---|---|"]
    for path, methods, needed in sorted(_routes()):
        lines.append(f"| `{methods} {path}` | {needed} |")
    return "\n".join(lines) + "\n"


CHECKS_LEAD = """# Checks

What `opsmantik audit` asks a database, this system's or any other. One page each: what it looks for, why it matters, how to
mend it. The level is the highest that a finding of it can have: *error* and *warn* say that something is wrong, *info* is a
figure that is only told. Written from `opsmantik/audit/checks` by `make docs`.
"""


def checks_page() -> str:
    lines = [CHECKS_LEAD]
    for group in GROUPS:
        checks = [check for check in all_checks() if check.group == group]
        if checks:
            lines += [
                f"## {group.capitalize()}",
                "",
                "| Number | Check | It says | Level |",
                "|---|---|---|---|",
            ]
            lines += [
                f"| {check.number:04} | [{check.name}]({check.stem}.md) | {check.title} | {check.level} |"
                for check in checks
            ]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _member_words(kind: type) -> dict[str, str]:
    """The docstrings of an enum's members, in one line each."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body  # type: ignore[attr-defined]
    return {
        field.targets[0].id: " ".join(doc.value.value.split())  # type: ignore[attr-defined]
        for field, doc in pairwise(body)
        if isinstance(field, ast.Assign) and isinstance(doc, ast.Expr)
    }


def _routes() -> Iterator[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as home:
        app = create_app(
            settings.Settings(home=Path(home), secret_key="x" * 40), app_dsn="postgresql://nowhere"
        )
        for route in app.routes:
            for handler in getattr(route, "route_handlers", ()):
                methods = sorted(set(handler.http_methods) - {"OPTIONS", "HEAD"})
                if methods:
                    needed = handler.opt.get("needs")
                    yield route.path, " ".join(methods), f"`{needed}`" if needed else "public"


PAGES = {
    "openapi.json": openapi, "settings.md": settings_page, "contracts.md": contracts_page,
    "security/authorization.md": authorization_page, "checks/README.md": checks_page,
}  # fmt: skip


def main() -> None:
    for name, make in PAGES.items():
        (HERE / name).write_text(make())
        print(f"docs/{name}", file=sys.stderr)


if __name__ == "__main__":
    main()
