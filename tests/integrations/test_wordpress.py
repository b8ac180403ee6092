"""The plugin for WordPress: real PHP over small stand-ins for WordPress, against the running server."""

from __future__ import annotations

import asyncio
import hashlib
import io
import ipaddress
import json
import re
import shutil
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from opsmantik.db.connect import Asker
from opsmantik.people.capabilities import Capability, roles_with
from opsmantik.sites import call_secrets
from opsmantik.web import integrations
from tests.browser import PHONE
from tests.web.browsing import running

PHP = shutil.which("php")
PLUGIN = integrations.FOLDER / "wordpress" / "opsmantik"
HERE = Path(__file__).parent / "wordpress"
VISITOR = "203.0.113.77"
ORIGIN = "https://shop.example"
SECONDS = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PHP is None, reason="no PHP here: apt-get install php-cli (tests/need_php.sh)"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(database: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """The server, which trusts this machine: WordPress runs here."""
    trusted = (ipaddress.ip_network("127.0.0.1/32"),)
    async with running(database.app, tmp_path_factory.mktemp("home"), trusted_proxies=trusted) as found:
        yield found


class WordPress:
    """A site with the plugin; every call is a process of its own, as every request is to PHP."""

    def __init__(self, server: str, site: Any) -> None:
        self.plugin = PLUGIN
        self.options: dict[str, Any] = {
            "opsmantik": {"server": server, "site": site.public_id, "skip_admins": True, "proxy": True}
        }

    async def do(self, *what: tuple[str, Any], **more: Any) -> Any:
        asked = {
            "plugin": str(self.plugin), "options": self.options, "do": what,
            "server": {"REMOTE_ADDR": VISITOR}, **more,
        }  # fmt: skip
        assert PHP is not None
        process = await asyncio.create_subprocess_exec(
            PHP, "-d", "display_errors=stderr", str(HERE / "run.php"),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate(json.dumps(asked).encode())
        assert process.returncode == 0, (out, err)
        assert err == b"", err
        return json.loads(out)

    async def head(self, **more: Any) -> str:
        return str((await self.do(("head", None), **more))["came"][0]["printed"])

    async def send(self, body: Any, **headers: str) -> Any:
        """A visitor's browser posts events to the plugin; the answer, and what was printed."""
        text = body if isinstance(body, str) else json.dumps(body)
        sent = {"origin": ORIGIN, "user-agent": PHONE, "cookie": "wordpress_logged_in=secret", **headers}
        told = await self.do(("rest", {"route": "POST /opsmantik/v1/events", "body": text, "headers": sent}))
        return {**told["came"][0]["result"], "printed": told["came"][0]["printed"], "went": told["went"]}


@pytest.fixture
async def site(own_site: Any, make_person: Any) -> Any:
    user_id, _ = await make_person()
    return await own_site(user_id)


@pytest.fixture
def wordpress(web: Any, site: Any) -> WordPress:
    return WordPress(web.base_url, site)


def events(site: Any, **changes: Any) -> dict[str, Any]:
    now = int(time.time() * 1000)
    event = {
        "id": str(uuid4()), "ts": now, "sid": str(uuid4()), "cat": "interaction", "act": "view", "url": f"{ORIGIN}/",
    }  # fmt: skip
    return {"site": site.public_id, "sent": now, "v": "1.0.0", "events": [event], **changes}


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.php")), ids=lambda path: path.name)
async def test_every_file_is_php(path: Path) -> None:
    assert PHP is not None
    process = await asyncio.create_subprocess_exec(
        PHP, "-l", str(path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    assert re.search(r"defined\( '(ABSPATH|WP_UNINSTALL_PLUGIN)' \) \|\| exit;", path.read_text())


def test_nothing_newer_than_its_oldest_php_is_used() -> None:
    """PHP 7.4 has no match, no ?->, no named arguments, no union types; what WordPress itself adds later is not used."""
    for path in PLUGIN.rglob("*.php"):
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(
            r"\?->|\bmatch\s*\(|\benum\b|\breadonly\b|\bstr_(contains|starts_with|ends_with)\b", code
        )


def test_licence_and_versions_agree() -> None:
    head, readme = (PLUGIN / "opsmantik.php").read_text(), (PLUGIN / "readme.txt").read_text()
    for name, other in {
        "License": "License",
        "License URI": "License URI",
        "Requires PHP": "Requires PHP",
        "Requires at least": "Requires at least",
        "Version": "Stable tag",
    }.items():
        found = re.search(rf"^ \* {name}:\s+(.+)$", head, re.MULTILINE)
        assert found and f"\n{other}: {found[1]}\n" in readme, name
    assert "GPL-2.0-or-later" in head
    assert (PLUGIN / "LICENSE").read_text().lstrip().startswith("GNU GENERAL PUBLIC LICENSE")


# The tag.


async def test_the_tag_is_on_the_page(wordpress: WordPress, web: Any, site: Any) -> None:
    wordpress.options["opsmantik"]["proxy"] = False
    assert await wordpress.head() == (
        f'<script src="{web.base_url}/assets/core.js" defer data-site-id="{site.public_id}"></script>\n'
    )


async def test_through_the_own_address_both_addresses_are_the_sites(wordpress: WordPress, site: Any) -> None:
    wordpress.options["opsmantik"]["consent"] = "required"
    assert await wordpress.head() == (
        f'<script src="{ORIGIN}/wp-json/opsmantik/v1/core.js" defer data-site-id="{site.public_id}"'
        f' data-api="{ORIGIN}/wp-json/opsmantik/v1/events" data-consent="required"></script>\n'
    )


async def test_administrators_are_left_out_if_one_likes(wordpress: WordPress) -> None:
    admin = {"can": ["manage_options"]}
    assert await wordpress.head(user=admin) == ""
    wordpress.options["opsmantik"]["skip_admins"] = False
    assert "<script" in await wordpress.head(user=admin)


@pytest.mark.parametrize(
    "changes",
    [{"server": ""}, {"site": "x"}, {"server": "javascript:alert(1)"}, {"server": "https://a b/"}],
    ids=str,
)
async def test_without_a_usable_server_or_site_nothing_is_printed(
    wordpress: WordPress, changes: dict[str, Any]
) -> None:
    wordpress.options["opsmantik"] |= changes
    assert await wordpress.head() == ""


async def test_a_download_knows_its_site_before_anything_is_saved(
    web: Any, site: Any, tmp_path: Path
) -> None:
    packed = integrations.wordpress(web.base_url, site.public_id, ask_consent=True)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path)
    wordpress = WordPress("", site)
    wordpress.plugin, wordpress.options = tmp_path / "opsmantik", {}
    tag = await wordpress.head()
    assert f'src="{web.base_url}/assets/core.js"' in tag
    assert f'data-site-id="{site.public_id}" data-consent="required"' in tag


# The settings.

WRITTEN = {
    "as it should be": ({"server": "https://om.example.com/", "site": "AB" * 16}, "https://om.example.com", "ab" * 16),
    "without a scheme": ({"server": "Leads.example.com"}, "https://leads.example.com", ""),
    "with a path": ({"server": "https://leads.example.com/x?y"}, "https://leads.example.com", ""),
    "with a port": ({"server": "http://127.0.0.1:8000"}, "http://127.0.0.1:8000", ""),
    "with a password": ({"server": "https://a:b@leads.example.com"}, "", ""),
    "with markup": ({"server": 'https://"><script>', "site": "<b>"}, "", ""),
    "another scheme": ({"server": "file:///etc/passwd"}, "", ""),
    "nothing": ({}, "", ""),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "address", "site_id"), WRITTEN.values(), ids=WRITTEN.keys())
async def test_what_is_saved_is_clean(
    wordpress: WordPress, fields: dict[str, str], address: str, site_id: str
) -> None:
    saved = (await wordpress.do(("save", fields), user={"in_admin": True}))["options"]["opsmantik"]
    assert (saved["server"], saved["site"]) == (address, site_id)
    assert (saved["skip_admins"], saved["proxy"], saved["consent"]) == (False, False, "policy")


async def test_the_page_shows_no_secret_and_escapes_what_is_saved(wordpress: WordPress) -> None:
    wordpress.options |= {"opsmantik_call_secret": "om_calls_TOPSECRET"}
    admin = {"in_admin": True, "can": ["manage_options"]}
    told = await wordpress.do(("page", None), ("head", None), user=admin)
    page = told["came"][0]["printed"]
    assert told["came"][0]["result"] == "manage_options"
    assert "A secret is set." in page
    assert "TOPSECRET" not in page
    assert page.count("_wpnonce") == 2
    assert "TOPSECRET" not in json.dumps(told["came"])
    nobody = await wordpress.do(("page", None), user={"in_admin": True})
    assert nobody["came"][0]["printed"] == ""


NONCE = "good:opsmantik_secret"
SECRETS: dict[str, tuple[list[str], dict[str, str], dict[str, Any], str | None]] = {
    "saved": (["manage_options"], {"_wpnonce": NONCE, "secret": " om_calls_new "}, {"redirected": True}, "om_calls_new"),
    "left as it is": (["manage_options"], {"_wpnonce": NONCE, "secret": ""}, {"redirected": True}, "om_calls_old"),
    "removed": (["manage_options"], {"_wpnonce": NONCE, "secret": "", "remove": "1"}, {"redirected": True}, None),
    "by somebody who may not": (["edit_posts"], {"_wpnonce": NONCE, "secret": "x"}, {"died": True}, "om_calls_old"),
    "from elsewhere": (["manage_options"], {"secret": "x"}, {"died": True}, "om_calls_old"),
}  # fmt: skip


@pytest.mark.parametrize(("can", "fields", "came", "kept"), SECRETS.values(), ids=SECRETS.keys())
async def test_the_secret_is_changed_by_those_who_may_from_their_own_page(
    wordpress: WordPress, can: list[str], fields: dict[str, str], came: dict[str, Any], kept: str | None
) -> None:
    wordpress.options["opsmantik_call_secret"] = "om_calls_old"
    told = await wordpress.do(("secret", None), user={"in_admin": True, "can": can}, post=fields)
    assert told["came"][0]["result"].keys() == came.keys()
    assert told["options"].get("opsmantik_call_secret") == kept
    assert not any(told["autoload"].values())  # it is not read into every page


async def test_nothing_is_left_behind(wordpress: WordPress) -> None:
    wordpress.options |= {"opsmantik_call_secret": "x", "other": "stays"}
    server = wordpress.options["opsmantik"]["server"]
    key = f"opsmantik_script_{hashlib.md5(server.encode()).hexdigest()}"
    told = await wordpress.do(
        ("uninstall", None), only_uninstall=True, transients={key: "script", "other": "stays"}
    )
    assert told["options"] == {"other": "stays"}
    assert told["transients"] == {"other": "stays"}


# The way through.


async def test_events_pass_through_with_the_visitors_address(
    wordpress: WordPress, site: Any, owner: Any
) -> None:
    answer = await wordpress.send(events(site))
    assert answer["status"] == 200
    assert json.loads(answer["printed"])["results"][0]["status"] == "accepted"
    assert answer["served"] is True
    assert answer["headers"]["Content-Type"] == "application/json"
    row = await owner.fetchrow(
        "SELECT host(ip_address) AS ip, user_agent FROM sessions WHERE site_id = $1", site.id
    )
    assert row["ip"] == "203.0.113.0"
    assert "iPhone" in row["user_agent"]
    [went] = answer["went"]
    assert went["timeout"] == SECONDS
    assert went["headers"].keys() == {"Content-Type", "X-Forwarded-For", "Origin"}  # no cookie
    assert went["headers"]["X-Forwarded-For"] == VISITOR


async def test_what_the_visitor_claims_to_be_is_not_believed(
    wordpress: WordPress, site: Any, owner: Any
) -> None:
    await wordpress.send(events(site), **{"x-forwarded-for": "198.51.100.9", "host": "evil.example"})
    assert (
        await owner.fetchval("SELECT host(ip_address) FROM sessions WHERE site_id = $1", site.id)
        == "203.0.113.0"
    )


async def test_the_origin_is_judged_by_the_server(wordpress: WordPress, site: Any) -> None:
    answer = await wordpress.send(events(site), origin="https://other.example")
    assert answer["status"] == 403
    assert json.loads(answer["printed"])["results"][0]["reason"] == "origin_refused"


BODIES = {
    "another site's": ({"site": "f" * 32, "events": []}, 403),
    "no site's": ({"events": []}, 403),
    "no object": ("[]", 403),
    "no JSON": ("x", 403),
    "a site that is no text": ({"site": ["x"]}, 403),
    "too long": ("x" * 65_537, 413),
    "nothing": ("", 403),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
async def test_nothing_else_goes_out(wordpress: WordPress, body: Any, status: int) -> None:
    answer = await wordpress.send(body)
    assert answer["status"] == status
    assert answer["went"] == []


async def test_without_a_server_the_tracker_is_asked_to_come_again(wordpress: WordPress, site: Any) -> None:
    wordpress.options["opsmantik"]["server"] = "http://127.0.0.1:1"
    answer = await wordpress.send(events(site))
    assert (answer["status"], answer["headers"]["Retry-After"]) == (503, "30")


async def test_a_server_that_says_nothing_costs_four_seconds_and_no_more(
    wordpress: WordPress, site: Any
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    wordpress.options["opsmantik"]["server"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    began = time.monotonic()
    answer = await wordpress.send(events(site))
    server.close()
    assert answer["status"] == 503
    assert SECONDS - 0.5 < time.monotonic() - began < SECONDS + 3


async def test_a_redirect_leads_nowhere(wordpress: WordPress, site: Any) -> None:
    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(elsewhere, "127.0.0.1", 0) as server:
        wordpress.options["opsmantik"]["server"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert (await wordpress.send(events(site)))["status"] == 502


async def test_the_script_comes_from_the_server_once_an_hour(wordpress: WordPress, web: Any) -> None:
    route = {"route": "GET /opsmantik/v1/core\\.js"}
    told = await wordpress.do(("rest", route), ("rest", route))
    script = (await web.browser().get("/assets/core.js")).text
    for came in told["came"]:
        assert came["result"]["status"] == 200
        assert came["result"]["headers"]["Content-Type"] == "text/javascript; charset=utf-8"
        assert came["printed"] == script
    assert len(told["went"]) == 1


async def test_the_routes_are_there_only_where_they_are_wanted(wordpress: WordPress) -> None:
    assert len((await wordpress.do())["routes"]) == 3
    wordpress.options["opsmantik"]["proxy"] = False
    assert (await wordpress.do())["routes"] == ["POST /opsmantik/v1/call-event"]


# Signed reports of calls.


@pytest.fixture
async def secret(web: Any, app_database: Any, site: Any, owner: Any) -> str:
    user_id = await owner.fetchval("SELECT user_id FROM sites WHERE id = $1", site.id)
    who = Asker(user_id, roles_with(Capability.KEYS))
    async with app_database.as_person(who, write=True) as (connection, _):
        made = await call_secrets.make_call_secret(connection, web.app._keyring, site.id)
    await web.app.collect.registry.refresh()
    return made


async def test_a_signed_call_becomes_a_lead(wordpress: WordPress, secret: str, site: Any, owner: Any) -> None:
    call = {
        "phone_number": "0532 123 45 67",
        "event_id": "pbx-1",
        "status": "answered",
        "duration_seconds": "95",
        "evil": "x",
    }
    told = await wordpress.do(("report", call), ("act", call), constants={"OPSMANTIK_CALL_SECRET": secret})
    assert told["came"][0]["result"]["status"] == "unmatched"
    rows = await owner.fetch("SELECT phone_number, source FROM calls WHERE site_id = $1", site.id)
    assert [tuple(row) for row in rows] == [("+905321234567", "api")]  # the same event_id twice is one call
    assert secret not in json.dumps(told)
    assert all(went["url"].endswith("/api/call-event/v2") for went in told["went"])


async def test_by_the_route_only_somebody_who_is_known_may_report(
    wordpress: WordPress, secret: str, site: Any, owner: Any
) -> None:
    wordpress.options["opsmantik_call_secret"] = secret
    asked = {"route": "POST /opsmantik/v1/call-event", "body": json.dumps({"phone_number": "0532 765 43 21"})}
    stranger = await wordpress.do(("rest", asked))
    assert stranger["came"][0]["result"] == {"status": 401}
    assert stranger["went"] == []
    known = await wordpress.do(("rest", asked), user={"can": ["edit_posts"]})
    assert known["came"][0]["result"]["status"] == 200
    assert known["came"][0]["result"]["data"]["status"] == "unmatched"
    assert await owner.fetchval("SELECT count(*) FROM calls WHERE site_id = $1", site.id) == 1


REFUSED: dict[str, tuple[str, dict[str, Any], int]] = {
    "a wrong secret": ("om_calls_wrong", {"phone_number": "0532 123 45 67"}, 401),
    "no secret": ("", {"phone_number": "0532 123 45 67"}, 409),
    "no number": ("om_calls_wrong", {"event_id": "x"}, 400),
}


@pytest.mark.parametrize(("wrong", "call", "status"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_reported_says_why(
    wordpress: WordPress, secret: str, wrong: str, call: dict[str, Any], status: int
) -> None:
    told = await wordpress.do(("report", call), constants={"OPSMANTIK_CALL_SECRET": wrong})
    assert told["came"][0]["result"]["status"] == status
