"""Sites: what a person may write for one, and who sees it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from opsmantik.cli import site as site_command
from opsmantik.db.connect import Database
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.sites import store as sites
from opsmantik.sites.domain import origins_of, read_domain

DOMAINS = {
    "bare": ("example.com", "example.com"),
    "as pasted from a browser": ("https://www.Example.com/contact?x=1#top", "example.com"),
    "with a port": ("http://example.com:8080", "example.com"),
    "with blanks around": ("  example.com\n", "example.com"),
    "a subdomain stays": ("shop.example.co.uk", "shop.example.co.uk"),
    "Turkish letters become ASCII": ("çiçekçi.example", "xn--ieki-zoabc.example"),
    "the root's dot goes": ("example.com.", "example.com"),
    "a user in front is no host": ("user@example.com", "example.com"),
    "hyphens inside": ("vinc-kiralama-34.com", "vinc-kiralama-34.com"),
}


@pytest.mark.parametrize(("written", "kept"), DOMAINS.values(), ids=DOMAINS.keys())
def test_a_domain_is_read_from_whatever_is_pasted(written: str, kept: str) -> None:
    assert read_domain(written) == kept


NO_DOMAINS = {
    "nothing": "",
    "one label": "localhost",
    "an address": "192.0.2.1",
    "an IPv6 address": "http://[2001:db8::1]/",
    "a blank inside": "exa mple.com",
    "an underscore": "_dmarc.example.com",
    "a hyphen at the edge": "-example.com",
    "an empty label": "example..com",
    "a label of 64": "a" * 64 + ".com",
    "254 characters": ".".join(["a" * 49] * 5) + ".toolong",
    "a path alone": "/contact",
    "a script": "<script>alert(1)</script>",
    "NUL": "exam\x00ple.com",
    "broken brackets": "http://[example.com",
}


@pytest.mark.parametrize("written", NO_DOMAINS.values(), ids=NO_DOMAINS.keys())
def test_what_no_browser_would_find_is_refused(written: str) -> None:
    with pytest.raises(Unprocessable):
        read_domain(written)


def test_a_domains_origins_are_with_and_without_www_over_tls() -> None:
    assert origins_of("example.com") == ["https://example.com", "https://www.example.com"]


BAD_SITES: dict[str, dict[str, Any]] = {
    "time zone": {"time_zone": "Europe/Atlantis"},
    "country": {"region": "tr"},
    "currency": {"currency": "Lira"},
    "consent": {"consent_mode": "maybe"},
    "origin with a path": {"origins": ["https://example.com/"]},
    "origin without a scheme": {"origins": ["example.com"]},
}


@pytest.mark.parametrize("changes", BAD_SITES.values(), ids=BAD_SITES.keys())
def test_a_site_that_could_not_be_stored_is_refused_before(changes: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable):
        sites.new_site(**({"name": "Shop", "domain": "example.com"} | changes))


def test_a_name_is_tidied_and_is_the_domain_where_there_is_none() -> None:
    assert sites.new_site(name="  Vinç \x00  Kiralama ", domain="example.com").name == "Vinç Kiralama"
    assert sites.new_site(name=" ", domain="www.example.com").name == "example.com"
    assert len(sites.new_site(name="x" * 999, domain="example.com").name) == 200


def test_the_snippet_is_one_line_with_the_sites_public_id() -> None:
    line = sites.snippet("https://leads.example", "ab" * 16)
    assert (
        line
        == f'<script defer src="https://leads.example/assets/core.js" data-site-id="{"ab" * 16}"></script>'
    )


async def make_user(owner: Any, role: str = "user") -> Any:
    user_id = uuid4()
    await owner.execute(
        "INSERT INTO users (id, email) VALUES ($1, $2)", user_id, f"{user_id.hex}@example.com"
    )
    await owner.execute("INSERT INTO profiles (id, role) VALUES ($1, $2)", user_id, role)
    return user_id


async def test_a_new_site_is_its_makers_with_origins_and_is_told_to_the_doors(
    app_database: Database, owner: Any
) -> None:
    user_id = await make_user(owner)
    told: list[str] = []
    await owner.add_listener("opsmantik_sites", lambda *notice: told.append(notice[3]))
    site_id = await sites.create_site(
        app_database,
        user_id,
        sites.new_site(name="Vinç", domain="https://www.vinc.example/", time_zone="Asia/Kathmandu"),
    )
    origins = await owner.fetchval(
        "SELECT array_agg(origin ORDER BY origin) FROM site_origins WHERE site_id = $1", site_id
    )
    assert origins == ["https://vinc.example", "https://www.vinc.example"]
    role = await owner.fetchval(
        "SELECT role FROM site_members WHERE site_id = $1 AND user_id = $2", site_id, user_id
    )
    assert role == "owner"
    async with app_database.as_person(user_id) as (connection, person):
        found = await sites.one_site(connection, person, site_id)
        assert found is not None
        assert (found.name, found.domain, found.time_zone) == ("Vinç", "vinc.example", "Asia/Kathmandu")
        assert len(found.public_id) == 32
        assert await sites.sequence(connection, site_id) == 0
    assert told == [str(site_id)]


async def test_a_person_sees_their_own_sites_an_administrator_all_a_stranger_none(
    app_database: Database, owner: Any
) -> None:
    one, other, stranger, admin = [await make_user(owner, r) for r in ("user", "user", "user", "admin")]
    ours = await sites.create_site(app_database, one, sites.new_site(name="b", domain="b.example"))
    also = await sites.create_site(app_database, one, sites.new_site(name="A", domain="a.example"))
    theirs = await sites.create_site(app_database, other, sites.new_site(name="c", domain="c.example"))
    seen = {}
    for user_id in (one, other, stranger, admin):
        async with app_database.as_person(user_id) as (connection, person):
            seen[user_id] = [site.id for site in await sites.list_sites(connection, person)]
            known = await sites.one_site(connection, person, theirs)
            assert (known is not None) == (user_id in (other, admin))
            assert (await sites.one_site(connection, person, uuid4())) is None
    assert seen[one] == [also, ours], "by name, whatever its case"
    assert seen[other] == [theirs]
    assert seen[stranger] == []
    assert set(seen[admin]) >= {ours, also, theirs}


def test_the_command_creates_and_lists_sites_as_the_oldest_administrator(
    database: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.owner)
    monkeypatch.setenv("OPSMANTIK_APP_DATABASE_URL", database.app)
    monkeypatch.setenv("OPSMANTIK_HOME", str(tmp_path))
    monkeypatch.setenv("OPSMANTIK_PUBLIC_URL", "https://leads.example")
    made = CliRunner().invoke(site_command.app, ["create", "https://www.Shop.example/", "--currency", "eur"])
    assert made.exit_code == 0, made.output
    snippet = re.search(
        r'src="https://leads.example/assets/core.js" data-site-id="([0-9a-f]{32})"', made.output
    )
    assert snippet
    listed = CliRunner().invoke(site_command.app, ["list"])
    assert "shop.example" in listed.output
    assert snippet[1] in listed.output, "whole, so that it can be copied"
    refused = CliRunner().invoke(
        site_command.app, ["create", "shop.example", "--owner", "nobody@example.com"]
    )
    assert isinstance(refused.exception, NotFound)
