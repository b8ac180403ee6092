"""The configurations for nginx and Caddy, as the install page hands them out, in the real nginx and Caddy."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from opsmantik.sites import snippets
from opsmantik.web import integrations
from tests.browser import PHONE
from tests.web.browsing import running

FOUND = {
    "nginx": shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"),
    "caddy": shutil.which("caddy"),
}
# The visitor is on this machine too, at an address of its own; 127.0.0.0/8 is all loopback on Linux.
VISITOR = "127.77.77.77"
ORIGIN = "https://shop.example"

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(database: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """The server, which trusts the proxy's address alone."""
    trusted = (ipaddress.ip_network("127.0.0.1/32"),)
    async with running(database.app, tmp_path_factory.mktemp("home"), trusted_proxies=trusted) as found:
        yield found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nginx_files(folder: Path, base_url: str, port: int) -> list[str]:
    """A whole nginx around the block that the page hands out."""
    block = integrations.proxy("nginx", base_url, "shop.example")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off; {paths}"
        f"server {{ listen 127.0.0.1:{port};\n{block}\nlocation / {{ return 200 'the site itself'; }} }} }}\n"
    )
    return [str(FOUND["nginx"]), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy_files(folder: Path, base_url: str, port: int) -> list[str]:
    """The file that the page hands out, without certificates, on loopback."""
    text = integrations.proxy("caddy", base_url, f"http://127.0.0.1:{port}")
    text = text.replace("# … what is here already stays", 'respond "the site itself"')
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    return [str(FOUND["caddy"]), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


FILES = {"nginx": nginx_files, "caddy": caddy_files}


@asynccontextmanager
async def proxy(name: str, folder: Path, base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The proxy at work; a client of the site, at the visitor's address. Ended by its own process id."""
    port = free_port()
    command = FILES[name](folder, base_url, port)
    process = await asyncio.create_subprocess_exec(
        *command, stderr=(folder / "log").open("wb"), env={"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    )
    transport = httpx.AsyncHTTPTransport(local_address=VISITOR)
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=10)
    try:
        end = time.monotonic() + 10
        while True:
            assert process.returncode is None, (folder / "log").read_text()
            try:
                assert (await client.get("/")).text == "the site itself"
                break
            except httpx.ConnectError:
                assert time.monotonic() < end, (folder / "log").read_text()
                await asyncio.sleep(0.05)
        yield client
    finally:
        await client.aclose()
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 10)


@pytest.mark.parametrize("name", FILES)
async def test_script_and_events_pass_through_the_sites_own_domain(
    web: Any, own_site: Any, make_person: Any, owner: Any, tmp_path: Path, name: str
) -> None:
    if FOUND[name] is None:
        pytest.skip(f"no {name} here: tests/need_proxies.sh")
    user_id, _ = await make_person()
    site = await own_site(user_id)
    event = {
        "id": str(uuid4()), "ts": int(time.time() * 1000), "sid": str(uuid4()), "cat": "interaction", "act": "view",
        "url": f"{ORIGIN}/",
    }  # fmt: skip
    body = {"site": site.public_id, "sent": event["ts"], "v": "1.0.0", "events": [event]}
    # What a visitor could write to be taken for somebody else.
    claims = {"x-forwarded-for": "198.51.100.9", "x-real-ip": "198.51.100.9", "cookie": "session=secret"}
    headers = {"origin": ORIGIN, "user-agent": PHONE, "content-type": "text/plain", **claims}
    async with proxy(name, tmp_path, web.base_url) as client:
        script = await client.get(snippets.FIRST_PARTY_SCRIPT)
        assert script.status_code == 200
        assert script.text == (await web.browser().get("/assets/core.js")).text
        assert script.headers["content-type"].startswith("text/javascript")

        answer = await client.post(snippets.FIRST_PARTY_EVENTS, content=json.dumps(body), headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["status"] == "accepted"
        row = await owner.fetchrow("SELECT host(ip_address) AS ip FROM sessions WHERE site_id = $1", site.id)
        assert row["ip"] == "127.77.77.0"

        other = await client.post(
            snippets.FIRST_PARTY_EVENTS,
            content=json.dumps(body),
            headers={**headers, "origin": "https://other.example"},
        )
        assert other.status_code == 403
        large = await client.post(snippets.FIRST_PARTY_EVENTS, content="x" * 70_000, headers=headers)
        assert large.status_code in (413, 502)
        for path in ("/om/", "/om/events/x", "/om/core.js/../../sign-in", "/v1/events", "/sign-in"):
            assert (await client.get(path)).text == "the site itself", path


def test_every_file_names_the_paths_of_the_snippet() -> None:
    for name in integrations.PROXIES:
        text = integrations.proxy(name, "https://leads.example.org", "shop.example")
        assert snippets.FIRST_PARTY_SCRIPT in text and snippets.FIRST_PARTY_EVENTS in text
        assert "https://leads.example.org" in text
        assert "stats.example.com" not in text
