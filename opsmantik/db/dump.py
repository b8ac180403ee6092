"""The schema as text, so that what migrations and functions make can be read in one place and compared."""

from __future__ import annotations

import re
import subprocess

from opsmantik.db import binaries

# Months come and go; their partitions are all made alike by make_month.
MONTHS = "parts.*_20[0-9][0-9]_[0-9][0-9]"
# What differs from server to server, or from one pg_dump to the next, and says nothing of the schema.
_NOISE = re.compile(
    r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(?:un)?restrict .*|ALTER .* OWNER TO .*|"
    r"(?:CREATE|COMMENT ON) EXTENSION .*|CREATE SCHEMA public;|ALTER DEFAULT PRIVILEGES .*)\n",
    re.MULTILINE,
)


def dump(dsn: str) -> str:
    """The schema at `dsn`, as pg_dump writes it, without months, owners and comments of the tool."""
    programs = binaries.find()
    text = subprocess.run(  # noqa: S603 - the program that came with the server
        [
            programs["pg_dump"],
            "--schema-only",
            "--no-owner",
            "--no-tablespaces",
            f"--exclude-table={MONTHS}",
            f"--dbname={dsn}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return re.sub(r"\n{2,}", "\n\n", _NOISE.sub("", text)).strip() + "\n"
