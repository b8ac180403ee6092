"""What accounts, sites and members of the first generation are here: pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.errors import Unprocessable
from opsmantik.sites.domain import origins_of, read_domain

ROLES: Final = {"owner": "owner", "editor": "operator", "viewer": "analyst", "admin": "admin"}
"""Roles there, and here. The weakest for a word that nobody knows."""
CONSENT_MODE: Final = "legacy"
"""What sites were under until now: their trackers ask nobody. Whose tracker can ask is asked from here on."""
_EMAIL = re.compile(r"[^@\s\x00]{1,64}@[^@\s\x00]{1,189}")
_PUBLIC_ID = re.compile(r"[0-9a-f]{32}")


class OldPerson(msgspec.Struct, frozen=True, kw_only=True):
    """An account there, with its role on the platform."""

    id: UUID
    email: str | None = None
    created_at: datetime | None = None
    raw_user_meta_data: Any = None
    role: str | None = None


class OldSite(msgspec.Struct, frozen=True, kw_only=True):
    """A site there."""

    id: UUID
    user_id: UUID
    public_id: str
    domain: str | None = None
    name: str | None = None
    created_at: datetime | None = None
    assumed_cpc: Decimal | None = None
    currency: str | None = None
    config: Any = None


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """An account to make."""

    id: UUID
    email: str
    name: str
    created_at: datetime
    is_admin: bool
    is_off: bool


class NewSite(msgspec.Struct, frozen=True, kw_only=True):
    """A site to make."""

    id: UUID
    user_id: UUID
    public_id: str
    name: str
    domain: str
    currency: str
    assumed_cpc: Decimal
    config: dict[str, Any]
    created_at: datetime
    origins: tuple[str, ...]
    has_new_public_id: bool


def accounts(
    old: Iterable[OldPerson], here: Mapping[str, UUID], *, keep_admins: bool
) -> tuple[list[NewPerson], dict[UUID, UUID]]:
    """The accounts to make, and for each old id the id here: whoever has an account as that address already keeps it.

    ``here``: address to id, of the accounts that are here.
    """
    new: dict[str, NewPerson] = {}
    known, ids = set(here.values()), {}
    for person in old:
        email = (person.email or "").strip().lower()
        fits = _EMAIL.fullmatch(email) is not None
        if fits and email in here:
            ids[person.id] = here[email]
            continue
        admin = keep_admins and person.role == "admin"
        if fits and email in new:
            ids[person.id] = new[email].id
            if admin:
                new[email] = msgspec.structs.replace(new[email], is_admin=True)
            continue
        ids[person.id] = person.id
        if person.id in known:
            continue
        email = email if fits else f"{person.id.hex}@adopted.invalid"
        new[email] = NewPerson(
            id=person.id, email=email, name=_name(person.raw_user_meta_data),
            created_at=person.created_at or datetime.now(UTC),
            is_admin=admin, is_off=not fits,
        )  # fmt: skip
    return list(new.values()), ids


def sites(old: Iterable[OldSite], people: Mapping[UUID, UUID], taken: Iterable[str] = ()) -> list[NewSite]:
    """The sites to make, oldest first; ``taken``: public ids that other sites here have."""
    used, found = set(taken), []
    for site in old:
        given = site.public_id.replace("-", "").strip().lower()
        public_id = given if _PUBLIC_ID.fullmatch(given) and given not in used else _made_id(site.id)
        used.add(public_id)
        config = site.config if isinstance(site.config, dict) else {}
        domain = _domain(site)
        found.append(
            NewSite(
                id=site.id, user_id=people[site.user_id], public_id=public_id,
                name=" ".join((site.name or "").split())[:200] or domain, domain=domain,
                currency=_currency(config.get("currency")) or _currency(site.currency) or "TRY",
                assumed_cpc=_cost(site.assumed_cpc) or _cost(config.get("assumed_cpc")) or Decimal(0),
                config=_chips(config),
                created_at=site.created_at or datetime.now(UTC), origins=tuple(origins_of(domain)),
                has_new_public_id=public_id != given,
            )
        )  # fmt: skip
    return found


def _name(meta: Any) -> str:
    if not isinstance(meta, dict):
        return ""
    found = meta.get("full_name") or meta.get("name") or ""
    return " ".join(found.split())[:200] if isinstance(found, str) else ""


def _made_id(site_id: UUID) -> str:
    """The same each time, so that a second run finds the site as the first made it."""
    return hashlib.blake2b(b"public id of " + site_id.bytes, digest_size=16).hexdigest()


def _domain(site: OldSite) -> str:
    try:
        return read_domain(site.domain or "")
    except Unprocessable:
        return f"{site.id.hex}.invalid"


def _currency(code: Any) -> str | None:
    found = code.strip().upper() if isinstance(code, str) else ""
    return found if len(found) == 3 and found.isascii() and found.isalpha() else None


def _cost(value: Any) -> Decimal | None:
    try:
        found = Decimal(str(value)) if value is not None else None
    except ArithmeticError:
        return None
    return found if found is not None and found.is_finite() and found >= 0 else None


def _chips(config: Mapping[str, Any]) -> dict[str, Any]:
    """Amounts to offer: a list, or an object of them, which has no order."""
    given = config.get("bounty_chips")
    listed = sorted(given.values(), key=lambda v: _cost(v) or 0) if isinstance(given, dict) else given
    if not isinstance(listed, list):
        return {}
    return {"bounty_chips": [value for value in listed if not isinstance(value, bool) and _cost(value)]}
