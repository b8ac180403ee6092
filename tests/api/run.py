"""``make test-api``: schemathesis against the OpenAPI document, over a real server, a real database and a filled world.

    python -m tests.api.run [--seconds 600] [--only PATH-REGEX]

What it finds is an answer of 5xx, a status, a header or a body that the document does not tell of, or an address that
takes a method it does not name. Half of the generated requests name the site, lead and visit that exist: nothing is
learnt from a hundred sites that do not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from opsmantik.db.connect import prepare_connection
from opsmantik.db.embedded import EmbeddedServer
from opsmantik.people.passwords import Passwords
from tests.conftest import SECRET, Dsns, _make_template, new_database
from tests.web.browsing import PASSWORD, running
from tests.web.world import new_reader

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method"
)
# An answer that goes on for ten minutes is no subject for a thousand short questions.
LEFT_OUT = r"/stream$"
BINARY = Path(sys.executable).parent / "schemathesis"


def hooks(names: dict[str, list[str]]) -> str:
    """Puts what exists into half of the path parameters, query parameters and arguments of that name."""
    return f"""
import random
import schemathesis

NAMES = {names!r}


@schemathesis.hook
def before_call(context, case, kwargs):
    for given in (case.path_parameters, case.query, case.body):
        if isinstance(given, dict):
            for name in NAMES.keys() & given.keys():
                if random.random() < 0.5:
                    given[name] = random.choice(NAMES[name])
"""


async def search(server: EmbeddedServer, home: Path, seconds: int, only: str | None) -> int:
    """Serve, and let schemathesis ask for so long; returns its exit code."""
    database: Dsns = await new_database(server)
    owner: Any = await asyncpg.connect(database.owner)
    await prepare_connection(owner)
    await owner.execute("SET app.maintenance = 'on'")
    async with running(database.app, home / "app") as web:
        programs, world = await new_reader(owner, web, await Passwords().hash(PASSWORD))
        cookie = "; ".join(f"{c.name}={c.value}" for c in programs.http.cookies.jar)
        ids = {name: str(one) for name, one in world.ids.items()}
        leads = [ids[name] for name in ids if await is_row(owner, "calls", world.ids[name])]
        visits = [ids[name] for name in ids if await is_row(owner, "sessions", world.ids[name])]
        site = [str(world.site.id), world.site.public_id]
        known = {
            "site": site, "siteId": site, "site_id": site[:1], "p_site_id": site[:1], "intent_id": leads, "call_id": leads,
            "p_session_id": visits, "session_id": visits, "visitor": ["visitor-1"], "p_fingerprint": ["visitor-1"],
        }  # fmt: skip
        (home / "hooks.py").write_text(hooks({name: values for name, values in known.items() if values}))
        command = [
            str(BINARY), "run", f"{web.base_url}/api/openapi.json", "--url", web.base_url, "--checks", CHECKS,
            "--max-time", str(seconds), "--exclude-path-regex", LEFT_OUT, "--phases", "examples,coverage,fuzzing",
            "--header", f"Cookie:{cookie}", "--continue-on-failure", "--request-timeout", "20", "--warnings", "off",
            "--suppress-health-check", "all", "--no-color", *(["--include-path-regex", only] if only else []),
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, cwd=home, env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks"}
        )
        try:
            code = await asyncio.wait_for(process.wait(), seconds * 2 + 120)
        finally:
            if process.returncode is None:
                process.kill()
        await owner.close()
    return code


async def is_row(owner: Any, table: str, identity: Any) -> bool:
    """Whether the id is one of this table's."""
    return bool(await owner.fetchval(f"SELECT EXISTS (SELECT FROM {table} WHERE id = $1)", identity))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--only")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="om-"))
    server = EmbeddedServer(home, SECRET)
    server.start()
    try:
        asyncio.run(_make_template(server))
        return asyncio.run(search(server, home, asked.seconds, asked.only))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
