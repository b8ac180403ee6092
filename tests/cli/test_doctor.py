"""`opsmantik doctor` says what is unfit, and what to do about it."""

from __future__ import annotations

import ipaddress
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from opsmantik.cli import build, doctor
from opsmantik.settings import Settings
from tests.conftest import SECRET


async def lines(settings: Settings) -> dict[str, list[doctor.Line]]:
    found: dict[str, list[doctor.Line]] = {}
    for line in await doctor.examine(settings):
        found.setdefault(line.what, []).append(line)
    return found


def settings(tmp_path: Path, **more: Any) -> Settings:
    """Far from a database that runs: only what is asked on the spot."""
    return Settings(**{"home": tmp_path / "home", "port": 1, "smtp_url": None, **more})


NETWORK = ipaddress.ip_network
CASES = {
    "too little disk": ({"disk_free_mb": 10**9}, "disk", "bad", "Make room"),
    "a path in the address": ({"public_url": "https://example.com/leads"}, "public address", "bad", "host name"),
    "no TLS": ({"public_url": "http://leads.example.com"}, "public address", "warn", "TLS"),
    "everybody may connect": ({"host": "0.0.0.0"}, "public address", "warn", "OPSMANTIK_PUBLIC_URL"),
    "TLS": ({"public_url": "https://leads.example.com"}, "public address", "ok", ""),
    "a proxy nobody believes": ({"public_url": "https://leads.example.com"}, "trusted proxies", "warn", "rate limit"),
    "everybody is a proxy": ({"trusted_proxies": (NETWORK("0.0.0.0/0"),)}, "trusted proxies", "bad", "alone"),
    "places from nobody": ({"geo_headers": "cloudflare"}, "places", "warn", "OPSMANTIK_TRUSTED_PROXIES"),
    "no place database": ({"geoip_database": Path("/nowhere.mmdb")}, "places", "bad", "OPSMANTIK_GEOIP_DATABASE"),
    "nobody is told": ({}, "alerts", "warn", "OPSMANTIK_ALERT_WEBHOOK"),
    "a webhook in the clear": ({"alert_webhook": "http://chat.example/x"}, "alerts", "bad", "https"),
    "a webhook": ({"alert_webhook": "https://chat.example/x"}, "alerts", "ok", ""),
    "a mail server that is not there": ({"smtp_url": "smtp://127.0.0.1:1"}, "mail", "bad", "OPSMANTIK_SMTP_URL"),
    "a Valkey that is not there": ({"valkey_url": "valkey://127.0.0.1:1"}, "valkey", "bad", "OPSMANTIK_VALKEY_URL"),
    "a standby that is not there": (
        {"read_database_url": "postgresql://n@127.0.0.1:1/n"}, "standby", "bad", "OPSMANTIK_READ_DATABASE_URL",
    ),
    "keys that are none": ({"encryption_keys": ("none",)}, "keys", "bad", ""),
    "a database that is not there": (
        {"database_url": "postgresql://n@127.0.0.1:1/n", "secret_key": "k" * 40}, "database", "bad", "DATABASE_URL",
    ),
    "an embedded server that does not run": ({}, "database", "warn", "opsmantik up"),
}  # fmt: skip


@pytest.mark.parametrize(("more", "what", "level", "do"), CASES.values(), ids=CASES)
async def test_it_says(tmp_path: Path, more: dict[str, Any], what: str, level: str, do: str) -> None:
    (line,) = (await lines(settings(tmp_path, **more)))[what]
    assert line.level == level, line
    assert do in line.do


async def test_files_that_others_may_read_are_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "secret.key").write_text("x")
    (home / "secret.key").chmod(0o644)
    found = (await lines(settings(tmp_path)))["file modes"]
    assert [(line.level, line.do) for line in found] == [
        ("warn", f"chmod go-rwx {home}"), ("bad", f"chmod go-rwx {home / 'secret.key'}"),
    ]  # fmt: skip


@pytest.mark.slow
async def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        (line,) = (await lines(settings(tmp_path, port=other.getsockname()[1])))["port"]
        assert line.level in ("bad", "warn") and line.do


@pytest.mark.slow
async def test_a_database_that_is_well_and_what_can_be_wrong_with_it(
    tmp_path: Path, database: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = settings(tmp_path, database_url=database.owner, app_database_url=database.app, secret_key=SECRET)
    found = await lines(known)
    assert [line for name in ("database", "clock", "migrations", "partitions", "role", "backup") for line in found[name]
            if line.level != "ok"] == []  # fmt: skip
    assert found["time zones"][0].level in ("ok", "warn")

    offset = doctor._offset
    monkeypatch.setattr(
        doctor,
        "_offset",
        lambda name, at: offset(name, at) + 60 * (name in ("Africa/Abidjan", "Europe/Istanbul")),
    )
    (line,) = (await lines(known))["time zones"]
    assert line.level == "warn" and "Africa/Abidjan" in line.says and "no site uses them" in line.says
    await owner.execute(
        "WITH u AS (INSERT INTO users (id, email) VALUES (gen_random_uuid(), 'zone@example.com') RETURNING id)"
        " INSERT INTO sites (id, user_id, public_id, name, domain)"
        " SELECT gen_random_uuid(), id, repeat('a', 32), 'Zone', 'z.example' FROM u"
    )
    (line,) = (await lines(known))["time zones"]
    assert line.level == "bad" and line.says.startswith("Europe/Istanbul ")

    newest = await owner.fetchrow(
        "DELETE FROM schema_migrations WHERE name ~ '-29-' RETURNING name, checksum"
    )
    try:
        (line,) = (await lines(known))["migrations"]
        assert (line.level, line.do) == ("bad", "opsmantik db migrate") and newest["name"] in line.says
    finally:
        await owner.execute("INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", *newest)

    monkeypatch.setattr("opsmantik.cli.doctor.time.time", lambda: 1.0)
    assert (await lines(known))["clock"][0].level == "bad"
    unsafe = settings(
        tmp_path, database_url=database.owner, app_database_url=database.owner, secret_key=SECRET
    )
    assert "not be kept apart" in (await lines(unsafe))["role"][0].says


def test_exit_codes_and_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSMANTIK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPSMANTIK_PORT", "1")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    ran = CliRunner().invoke(build("doctor"), ["doctor", "--json"])
    assert ran.exit_code == 0, ran.output
    assert {"python", "disk", "mail"} <= {line["what"] for line in json.loads(ran.output)}
    monkeypatch.setenv("OPSMANTIK_DISK_FREE_MB", "999999999")
    ran = CliRunner().invoke(build("doctor"), ["doctor"])
    assert ran.exit_code == 1 and "Make room" in ran.output
    monkeypatch.setenv("OPSMANTIK_PORT", "eighty")
    ran = CliRunner().invoke(build("doctor"), ["doctor"])
    assert ran.exit_code == 1 and "OPSMANTIK_PORT" in ran.output


async def test_a_question_that_breaks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("nobody knows")

    monkeypatch.setitem(doctor.ON_THE_SPOT, "memory", broken)
    found = await lines(settings(tmp_path))
    assert found["memory"] == [doctor.Line("bad", "memory", "RuntimeError: nobody knows")] and found["disk"]
