"""Writes opsmantik/db/schema.sql from what migrations and functions make: ``make schema``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from opsmantik.db import roles
from opsmantik.db.dump import dump
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.db.migrate import HERE, migrate
from tests.conftest import SECRET, run

SCHEMA = HERE / "schema.sql"
HEAD = (
    "-- The database as it is: made by migrations and functions, written by `make schema`. Do not edit.\n\n"
)


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="om-"))
    server = EmbeddedServer(home, SECRET)
    server.start()
    try:
        owner = server.role_dsn(roles.OWNER)
        run(
            migrate(
                owner, app_password=roles.role_password(SECRET, roles.APP), on_progress=lambda words: None
            )
        )
        SCHEMA.write_text(HEAD + dump(owner))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
