"""Sites in the database, as the signed-in person sees them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik import clock
from opsmantik.db.connect import Asker, Database, Person
from opsmantik.db.sql import queries
from opsmantik.errors import Unprocessable
from opsmantik.event import new_id
from opsmantik.sites.domain import origins_of, read_domain

SQL = queries(Path(__file__).with_name("queries.sql"))
LONGEST_NAME = 200


class SiteCard(msgspec.Struct, frozen=True):
    """A site as its people see it."""

    id: UUID
    public_id: str
    name: str
    domain: str
    time_zone: str
    region: str
    currency: str
    created_at: datetime
    disabled_at: datetime | None


class NewSite(msgspec.Struct, frozen=True, kw_only=True):
    """A site to create: checked, so that storing it cannot fail for what a person wrote."""

    name: str
    domain: str
    time_zone: str
    region: str
    currency: str
    consent_mode: str
    origins: tuple[str, ...]


def new_site(
    *,
    name: str,
    domain: str,
    time_zone: str = "Europe/Istanbul",
    region: str = "TR",
    currency: str = "TRY",
    consent_mode: str = "implied",
    origins: Sequence[str] = (),
) -> NewSite:
    """Check what a person wrote. Without ``origins``: the domain's own, with and without ``www.``.

    Raises :class:`~opsmantik.errors.Unprocessable` with the first thing that cannot be taken.
    """
    host = read_domain(domain)
    name = " ".join(name.replace("\x00", "").split())[:LONGEST_NAME] or host
    clock.zone(time_zone)
    if not re.fullmatch(r"[A-Z]{2}", region):
        raise Unprocessable(reason="the country is two letters, as in TR")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise Unprocessable(reason="the currency is three letters, as in TRY")
    if consent_mode not in ("required", "implied", "legacy"):
        raise Unprocessable(reason="consent is required, implied or legacy")
    if not all(re.fullmatch(r"https?://[^/\s]{1,260}", origin) for origin in origins):
        raise Unprocessable(reason="an origin is a scheme and a host, as in https://example.com")
    return NewSite(
        name=name, domain=host, time_zone=time_zone, region=region, currency=currency,
        consent_mode=consent_mode, origins=tuple(origins) or tuple(origins_of(host)),
    )  # fmt: skip


async def create_site(database: Database, who: Asker | UUID, site: NewSite) -> UUID:
    """Store the site with this person as its owner; the ingest doors know it from the commit on."""
    site_id, public_id = new_id(), secrets.token_hex(16)
    async with database.as_person(who, write=True) as (connection, _):
        await connection.execute(
            SQL.create_site, site_id, public_id, site.name, site.domain, site.time_zone, site.region,
            site.currency, site.consent_mode, list(site.origins),
        )  # fmt: skip
    return site_id


async def list_sites(connection: Any, person: Person) -> list[SiteCard]:
    """All sites that this person may see, by name."""
    return [SiteCard(*row) for row in await connection.fetch(SQL.list_sites, list(person.sites))]


class SiteToOpen(msgspec.Struct, frozen=True):
    """A site in a short list to choose from, with the asker's role on it."""

    id: UUID
    name: str
    domain: str
    disabled_at: datetime | None
    role: str


async def sites_to_open(connection: Any, person: Person, limit: int) -> list[SiteToOpen]:
    """The first sites by name."""
    return [SiteToOpen(*row) for row in await connection.fetch(SQL.sites_to_open, list(person.sites), limit)]


async def one_site(connection: Any, person: Person, site_id: UUID) -> SiteCard | None:
    """The site, or ``None`` if there is none that this person may see: they cannot tell which."""
    row = await connection.fetchrow(SQL.one_site, site_id, list(person.sites))
    return SiteCard(*row) if row else None


async def sequences(connection: Any, site_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The number of each site's present state, whoever may see it: for telling screens that they are behind."""
    return {UUID(int=s.int): n for s, n in await connection.fetch(SQL.sequences, list(site_ids))}


async def sequence(connection: Any, site_id: UUID) -> int:
    """The number of the site's present state: it grows with everything that is written for the site."""
    return int(await connection.fetchval(SQL.sequence, site_id))


def snippet(base_url: str, public_id: str) -> str:
    """What goes before ``</head>`` on every page of the site."""
    return f'<script defer src="{base_url}/assets/core.js" data-site-id="{public_id}"></script>'
