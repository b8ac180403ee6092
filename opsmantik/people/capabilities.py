"""Who may do what: the one table. Every route names what it needs, and is refused here, not on a screen.

A role is held on one site. Whoever runs the platform holds ``platform_admin`` on every site, and what belongs to no
site besides. Pure: the role itself is looked up by the database, at the start of the transaction (``enter_user_v2``),
which then shows only the sites on which the asker may do what the route needs.
"""

from __future__ import annotations

import enum
from typing import Final


class Capability(enum.StrEnum):
    """Something that a person, or a key, may be allowed to do. The value is its name as a key's scope."""

    ACCOUNT = "account"
    """One's own account: everybody's, and nobody else's."""
    SITES = "sites:create"
    READ = "site:read"
    """See leads, visits and figures."""
    DECIDE = "leads:decide"
    """Seal, junk, undo, note, and whatever else is decided about a lead."""
    WRITE = "site:write"
    """Change settings, origins, quotas, webhooks and rules; read the log of such changes."""
    TEND = "refused:tend"
    """Look at what was refused or set aside, and let it in."""
    MEMBERS = "members:manage"
    KEYS = "keys:manage"
    ERASE = "privacy:manage"
    """Hand out or erase what is known of one person, and say how long it is kept."""
    EXPORT = "conversions:export"
    """Hand conversions to an ad platform."""
    OWN = "site:own"
    """Hand the site to somebody else; switch it off."""
    PLATFORM = "platform:run"
    """What concerns all sites or none."""


Role = str
PLATFORM_ADMIN: Final[Role] = "platform_admin"
MEMBER_ROLES: Final[tuple[Role, ...]] = ("owner", "admin", "operator", "analyst")
# Those whom a manager of members may make; a site has one owner, who hands it over himself.
GRANTABLE: Final[tuple[Role, ...]] = ("admin", "operator", "analyst")

_OF_NO_SITE: Final = frozenset({Capability.ACCOUNT, Capability.SITES, Capability.PLATFORM})
_EVERY: Final = frozenset(Capability)
ROLES: Final[dict[Role, frozenset[Capability]]] = {
    PLATFORM_ADMIN: _EVERY - _OF_NO_SITE,
    "owner": _EVERY - _OF_NO_SITE,
    "admin": _EVERY - _OF_NO_SITE - {Capability.OWN},
    "operator": frozenset({Capability.READ, Capability.DECIDE}),
    "analyst": frozenset({Capability.READ}),
}
# What a key can be given. A key never manages people or other keys: a lost one must not be able to outlive itself.
SCOPES: Final[tuple[Capability, ...]] = (
    Capability.READ, Capability.DECIDE, Capability.EXPORT, Capability.TEND, Capability.WRITE, Capability.ERASE,
)  # fmt: skip


def is_of_a_site(capability: Capability) -> bool:
    """Whether it is held on a site, and not by an account."""
    return capability not in _OF_NO_SITE


def roles_with(capability: Capability) -> tuple[Role, ...]:
    """The roles that have it; all of them where it is held by an account and the site does not matter."""
    return tuple(role for role, held in ROLES.items() if capability in held or not is_of_a_site(capability))


def has_platform(capability: Capability, *, is_admin: bool) -> bool:
    """Whether an account as such may do this. What is held on a site is asked there."""
    return capability is not Capability.PLATFORM or is_admin
