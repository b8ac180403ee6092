"""What is inside: a CycloneDX list of every package that OpsMantik is given to people with, made from the lock alone.

    python requirements/sbom.py             write requirements/sbom.cdx.json
    python requirements/sbom.py --check     end with 1 if that file is not what the lock says

The same lock makes the same bytes: no time, no random number, no registry asked. A package's hashes are those of its
files, of which whoever installs it takes one; its dependencies are those that the lock's resolver wrote beside it.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*(.*?))?\s*\\?$")
# SPDX identifiers as licences.tsv has them; anything else is written as a name.
SPDX = re.compile(r"^[A-Za-z0-9.-]+$")
NOT_SPDX = {"BSD"}
SPACE = uuid.UUID(
    "6f1c7f0e-6a4e-5d5e-9f39-0b6a6c1b6f11"
)  # of our own, so that the same content has the same number


def bill() -> dict[str, Any]:
    """The whole document, of CycloneDX 1.6."""
    about = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    packages = locked((HERE / "run.txt").read_text())
    licences = dict(
        line.split("\t")[:2]
        for line in (HERE / "licences.tsv").read_text().splitlines()
        if line and not line.startswith("#")
    )
    root = f"pkg:pypi/{about['name']}@{about['version']}"
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": root, "name": about["name"], "version": about["version"],
                "purl": root, "licenses": [{"expression": about["license"]}],
            }
        },
        "components": [component(name, package, licences.get(name, "")) for name, package in packages.items()],
        "dependencies": edges(about["name"], root, packages),
    }  # fmt: skip
    number = uuid.uuid5(SPACE, json.dumps(document, sort_keys=True))
    return {**document, "serialNumber": f"urn:uuid:{number}"}


def locked(text: str) -> dict[str, dict[str, Any]]:
    """Of a lock: each package's version, condition, hashes, and who wants it (lower case, dashes)."""
    found: dict[str, dict[str, Any]] = {}
    last: dict[str, Any] = {}
    for line in map(str.strip, text.splitlines()):
        if match := PIN.match(line):
            last = {"version": match[2], "if": match[3] or "", "hashes": [], "wanted by": set()}
            found[re.sub(r"[-_.]+", "-", match[1]).lower()] = last
        elif line.startswith("--hash=sha256:"):
            last["hashes"].append(line.removeprefix("--hash=sha256:").rstrip(" \\"))
        elif (name := re.match(r"#\s+(?:via\s+)?([A-Za-z0-9._-]+)(?:\s+\(.*\))?$", line)) and name[
            1
        ] != "via":
            last["wanted by"].add(re.sub(r"[-_.]+", "-", name[1]).lower())
    return found


def component(name: str, package: dict[str, Any], licence: str) -> dict[str, Any]:
    """One package."""
    purl = f"pkg:pypi/{name}@{package['version']}"
    made: dict[str, Any] = {
        "type": "library", "bom-ref": purl, "name": name, "version": package["version"], "purl": purl,
        "externalReferences": [
            {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-256", "content": h} for h in package["hashes"]]}
        ],
    }  # fmt: skip
    if licence:
        made["licenses"] = [said(licence)]
    if package["if"]:
        made["properties"] = [{"name": "opsmantik:environment-marker", "value": package["if"]}]
    return made


def said(licence: str) -> dict[str, Any]:
    """A licence as CycloneDX has them: an identifier, an expression of several, or a name."""
    if SPDX.match(licence) and licence not in NOT_SPDX:
        return {"license": {"id": licence}}
    words = re.split(r" AND | OR | WITH |[()]", licence)
    if len(words) > 1 and all(
        SPDX.match(w.strip()) and w.strip() not in NOT_SPDX for w in words if w.strip()
    ):
        return {"expression": licence}
    return {"license": {"name": licence}}


def edges(name: str, root: str, packages: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Who needs whom."""
    refs = {name: root} | {n: f"pkg:pypi/{n}@{p['version']}" for n, p in packages.items()}
    return [
        {"ref": ref, "dependsOn": sorted(refs[n] for n, p in packages.items() if wants in p["wanted by"])}
        for wants, ref in refs.items()
    ]


def text() -> str:
    """As it is written."""
    return json.dumps(bill(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    path = HERE / "sbom.cdx.json"
    if "--check" not in sys.argv:
        path.write_text(text())
        return 0
    if not path.exists() or path.read_text() != text():
        print("requirements/sbom.cdx.json is not what the lock says: run `make sbom`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
