"""What a request is about: the site, as the asker may see it, and the range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from opsmantik.clock import Period, Range
from opsmantik.db.connect import Person
from opsmantik.db.sql import queries
from opsmantik.errors import Forbidden

SQL = queries(Path(__file__).with_suffix(".sql"))
TOO_SMALL = "your role on this site does not allow it"
_HEX = re.compile(r"[0-9a-f]{32}")


class AskedSite(msgspec.Struct, frozen=True):
    """A site, the asker's role on it, and the state that it was in when the request came."""

    id: UUID
    public_id: str
    name: str
    domain: str
    time_zone: str
    currency: str
    assumed_cpc: Decimal
    updated_at: datetime
    role: str
    """platform_admin, owner, admin, operator or analyst; empty for whoever holds a link to figures."""
    sequence: int
    """How many transactions have changed the site. An answer carries the number of its own moment, this or a later."""
    config: Mapping[str, Any]
    """What the site's people have set; sites/values.py reads the amounts that a seal is offered with."""


class Over(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """The range that an answer is about: [from, to), and the zone by whose clock its days are cut."""

    start: datetime
    end: datetime
    time_zone: str


def over(site: AskedSite, asked: Period | Range) -> Over:
    """The range as it is said in the answer."""
    start, end = asked.over if isinstance(asked, Period) else asked
    return Over(start, end, site.time_zone)


async def asked_site(connection: Any, person: Person, name: str) -> AskedSite | None:
    """The site by its id or its public id, each with or without hyphens.

    ``None`` where there is none that the asker may see: they cannot tell which. Otherwise the rest of the transaction
    sees this site alone. Raises :class:`~opsmantik.errors.Forbidden` for a site of theirs on which their role does not
    allow what the transaction is for.
    """
    plain = name.replace("-", "").lower()
    if not _HEX.fullmatch(plain):
        return None
    row = await connection.fetchrow(SQL.asked_site, UUID(plain), plain, list(person.sites))
    if row is None:
        if len(person.known) > len(person.sites):
            await refuse_known(connection, person, plain)
        return None
    site = AskedSite(*row)
    # From here on the transaction is about this site alone. Row security sees no other, and compares with one id, not with
    # a list that it would read anew for every row. What follows is planned once a connection and not each time: the
    # contracts' statements are made to have one good plan, and to plan one over every month's partition takes longer than
    # to run it.
    await connection.execute(
        f"SET LOCAL app.sites = '{{{site.id}}}'; SET LOCAL plan_cache_mode = force_generic_plan"
    )
    return site


async def refuse_known(connection: Any, person: Person, plain: str) -> None:
    """Raise :class:`~opsmantik.errors.Forbidden` if the name is that of a site on which the asker's role is too small."""
    others = ",".join(str(site_id) for site_id in person.known if site_id not in person.sites)
    await connection.execute(f"SET LOCAL app.sites = '{{{others}}}'")
    found = await connection.fetchval(SQL.is_site, UUID(plain), plain)
    await connection.execute("SET LOCAL app.sites = ''")
    if found:
        raise Forbidden(reason=TOO_SMALL)


async def site_of_lead(connection: Any, person: Person, lead_id: UUID) -> UUID | None:
    """The site of a lead, among those that the asker may see."""
    found: UUID | None = await connection.fetchval(SQL.site_of_lead, list(person.sites), lead_id)
    return found
