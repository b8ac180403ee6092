"""The one table: who may do what."""

from __future__ import annotations

import pytest

from opsmantik.people.capabilities import (
    GRANTABLE,
    MEMBER_ROLES,
    ROLES,
    SCOPES,
    Capability,
    has_platform,
    is_of_a_site,
    roles_with,
)

# What each role adds to the one before it.
LADDER = {
    "analyst": {"site:read"},
    "operator": {"leads:decide"},
    "admin": {
        "site:write", "refused:tend", "members:manage", "keys:manage", "privacy:manage", "conversions:export",
    },
    "owner": {"site:own"},
    "platform_admin": set(),
}  # fmt: skip


def test_each_role_has_what_the_smaller_one_has_and_its_own() -> None:
    held: set[str] = set()
    for role, more in LADDER.items():
        held |= more
        assert set(ROLES[role]) == held, role


@pytest.mark.parametrize("capability", Capability)
def test_the_roles_that_have_a_capability_are_those_of_the_table(capability: Capability) -> None:
    if is_of_a_site(capability):
        assert set(roles_with(capability)) == {role for role, held in ROLES.items() if capability in held}
    else:
        assert set(roles_with(capability)) == set(ROLES)  # which sites are seen is another question


def test_only_the_platform_is_kept_from_an_ordinary_account() -> None:
    refused = {c for c in Capability if not has_platform(c, is_admin=False)}
    assert refused == {Capability.PLATFORM}
    assert all(has_platform(c, is_admin=True) for c in Capability)


def test_nobody_is_made_owner_or_platform_administrator_by_a_manager_of_members() -> None:
    assert set(GRANTABLE) == set(MEMBER_ROLES) - {"owner"}


def test_a_key_can_neither_outlive_itself_nor_let_people_in() -> None:
    never = {
        Capability.KEYS, Capability.MEMBERS, Capability.OWN, Capability.PLATFORM, Capability.ACCOUNT, Capability.SITES,
    }  # fmt: skip
    assert never == set(Capability) - set(SCOPES)
