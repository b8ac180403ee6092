"""What opens the platform for a batch: the site's own secret, or the connection of whoever connected it, while they may."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from opsmantik.conversions import store
from opsmantik.conversions.adapters import Grant, Trouble, Why
from opsmantik.conversions.google_auth import Client, GoogleAuth
from opsmantik.conversions.http import Http
from opsmantik.db.connect import Asker, Database
from opsmantik.keyring import Keyring, key_of
from opsmantik.outbound import Rules
from opsmantik.people import credentials
from opsmantik.people.capabilities import ROLES, Capability
from opsmantik.people.credentials import Tokens as Kept
from opsmantik.upkeep.grants import PROVIDER, Grants
from tests.conftest import NewSite
from tests.conversions.google.server import Fault, Server
from tests.conversions.google.tokens import Tokens

KEYS = Keyring([key_of(b"\x01" * 32)])


class Desk:
    """Google, a site with its owner, and the grants."""

    def __init__(
        self, tokens: Tokens, server: Server, site: NewSite, owner: Any, database: Database, http: Http
    ) -> None:
        self.tokens, self.server, self.site, self.owner, self.database = tokens, server, site, owner, database
        client = Client(tokens.client_id, tokens.client_secret, f"{server.url}/token", f"{server.url}/revoke")
        self.grants = Grants(database, KEYS, GoogleAuth(http, client))

    async def connect(self, person: UUID | None = None) -> str:
        """Somebody grants access; their refresh token."""
        refresh = self.tokens.refresh()
        who = Asker(person or self.site.user_id, ())
        await credentials.keep(self.database, KEYS, who, PROVIDER, Kept(None, refresh))
        return refresh

    def mine(self, person: UUID | None = None) -> Grant:
        return self.grants.of(self.site.id, None, person or self.site.user_id)

    def with_secret(self, text: str, site: UUID | None = None) -> Grant:
        return self.grants.of(
            self.site.id, KEYS.seal(text.encode(), store.SECRET, site or self.site.id), None
        )

    async def member(self, role: str) -> UUID:
        person = uuid4()
        await self.owner.execute(
            "INSERT INTO users (id, email) VALUES ($1, $2)", person, f"{person.hex}@example.com"
        )
        await self.owner.execute(
            "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, $3)",
            self.site.id,
            person,
            role,
        )
        return person


@pytest.fixture
async def desk(app_database: Database, owner: Any, make_site: Any) -> AsyncIterator[Desk]:
    tokens, http = Tokens(), Http(Rules([ipaddress.ip_network("127.0.0.0/8")]), 5)
    async with Server(tokens.handle) as server:
        yield Desk(tokens, server, await make_site(), owner, app_database, http)
    await http.close()


async def why(grant: Grant) -> str:
    with pytest.raises(Trouble) as trouble:
        await grant.token()
    assert trouble.value.why is Why.NOT_CONNECTED
    return trouble.value.reason


async def test_a_person_s_connection_is_used_renewed_and_kept(desk: Desk) -> None:
    await desk.connect()
    first = await desk.mine().token()
    assert first in desk.tokens.accesses
    assert await desk.mine().token() == first and desk.tokens.asked == ["refresh_token"], (
        "kept for the next batch"
    )
    fresh = await desk.mine().token(fresh=True)
    assert fresh != first and await desk.mine().token() == fresh
    kept = await credentials.read(desk.database, KEYS, Asker(desk.site.user_id, ()), PROVIDER)
    assert kept is not None and kept.access == fresh and kept.refresh in desk.tokens.refreshes


async def test_several_batches_at_once_renew_once(desk: Desk) -> None:
    await desk.connect()
    desk.server.faults.append(Fault("slow", seconds=0.3))
    found = await asyncio.gather(*(desk.mine().token() for _ in range(4)))
    assert len(set(found)) == 1 and len(desk.tokens.asked) == 1


async def test_one_that_ends_within_a_minute_is_renewed(desk: Desk) -> None:
    await desk.connect()
    desk.tokens.seconds = 50
    first = await desk.mine().token()
    assert await desk.mine().token() != first


async def test_consent_taken_back_at_google_is_noticed(desk: Desk) -> None:
    desk.tokens.revoke(await desk.connect())
    assert await why(desk.mine()) == "revoked"


@pytest.mark.parametrize("role", [role for role in ROLES if role not in ("owner", "platform_admin")])
async def test_whoever_may_not_hand_out_conversions_lends_nothing(desk: Desk, role: str) -> None:
    person = await desk.member(role)
    await desk.connect(person)
    if Capability.EXPORT in ROLES[role]:
        assert await desk.mine(person).token() in desk.tokens.accesses
    else:
        assert await why(desk.mine(person)) == "no_longer_member"
        assert not desk.tokens.asked


LEFT = {
    "removed": "DELETE FROM site_members WHERE user_id = $1",
    "made an operator": "UPDATE site_members SET role = 'operator' WHERE user_id = $1",
    "switched off": "UPDATE users SET disabled_at = now() WHERE id = $1",
}


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT.keys())
async def test_whoever_has_left_lends_nothing_any_more(desk: Desk, left: str) -> None:
    person = await desk.member("admin")
    await desk.connect(person)
    await desk.mine(person).token()
    await desk.owner.execute(left, person)
    assert await why(desk.mine(person)) == "no_longer_member"


async def test_a_role_on_another_site_lends_nothing_here(desk: Desk, make_site: Any) -> None:
    stranger = (await make_site()).user_id
    await desk.connect(stranger)
    assert await why(desk.mine(stranger)) == "no_longer_member"


async def test_without_anything_it_is_not_connected(desk: Desk) -> None:
    assert await why(desk.mine()) == "not_connected", "nothing was granted"
    assert await why(desk.grants.of(desk.site.id, None, None)) == "not_connected"
    with pytest.raises(Trouble):
        desk.grants.of(desk.site.id, None, None).secret()


async def test_a_sealed_secret_is_opened_for_its_site_alone(desk: Desk, make_site: Any) -> None:
    assert desk.with_secret("EAAB-token").secret() == "EAAB-token"
    other = (await make_site()).id
    with pytest.raises(Trouble) as trouble:
        desk.with_secret("EAAB-token", other).secret()
    assert (trouble.value.why, trouble.value.reason) == (Why.NOT_CONNECTED, "seal_broken")


async def test_a_service_account_opens_it_whoever_connected_it(desk: Desk) -> None:
    grant = desk.with_secret(desk.tokens.service_account(url=desk.server.url))
    assert await grant.token() in desk.tokens.accesses
    assert await why(desk.with_secret("no key")) == "key_refused"


async def test_a_connection_that_cannot_be_opened_has_to_be_made_again(desk: Desk) -> None:
    await desk.connect()
    broken = "UPDATE user_credentials SET key_id = 'ffffffffffff' WHERE user_id = $1"
    await desk.owner.execute(broken, desk.site.user_id)
    assert await why(desk.mine()) == "seal_broken"
