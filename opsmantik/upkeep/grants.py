"""What opens a platform for a site's conversions: the site's own secret, or the connection of the person who connected it.

Enters: a claimed batch, with the secret still sealed.  Leaves: a :class:`~opsmantik.conversions.adapters.Grant`.

A person's connection is used as that person, in a transaction in which row security knows them: whoever has no role on the
site any more that may hand out conversions lends it nothing, though nobody has thought of disconnecting it.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from opsmantik.conversions import store
from opsmantik.conversions.adapters import Grant, Trouble, Why
from opsmantik.conversions.google_auth import GoogleAuth, is_good, read_service_account
from opsmantik.conversions.store import Claimed
from opsmantik.db.connect import Asker, Database
from opsmantik.errors import SealBroken, Unprocessable
from opsmantik.keyring import Keyring, Sealed
from opsmantik.people import credentials
from opsmantik.people.capabilities import Capability, roles_with

PROVIDER: Final = "google_ads"
"""By which name people's connections with Google are kept."""


class Grants:
    """Makes them."""

    def __init__(self, database: Database, keyring: Keyring, auth: GoogleAuth) -> None:
        self.database = database
        self.keyring = keyring
        self.auth = auth
        self._locks: dict[UUID, asyncio.Lock] = {}

    def __call__(self, claimed: Claimed) -> Grant:
        """For a claimed batch."""
        return self.of(claimed.batch.site_id, claimed.secret, claimed.connected_by)

    def of(self, site_id: UUID, secret: Sealed | None, connected_by: UUID | None) -> Grant:
        """For a site whose route has this secret, or none and this person's connection."""
        return _SiteGrant(self, site_id, secret, connected_by)

    def lock(self, person: UUID) -> asyncio.Lock:
        """One renews a person's token; the others wait for it and use the same."""
        return self._locks.setdefault(person, asyncio.Lock())


class _SiteGrant:
    def __init__(
        self, grants: Grants, site_id: UUID, secret: Sealed | None, connected_by: UUID | None
    ) -> None:
        self._grants = grants
        self._site = site_id
        self._secret = secret
        self._person = connected_by

    def secret(self) -> str:
        if self._secret is None:
            raise Trouble(Why.NOT_CONNECTED, "not_connected", "the site has no secret of its own")
        try:
            return self._grants.keyring.open(self._secret, store.SECRET, self._site).decode()
        except SealBroken:
            raise Trouble(Why.NOT_CONNECTED, "seal_broken", "the secret cannot be opened") from None

    async def token(self, *, fresh: bool = False) -> str:
        if self._secret is not None:
            try:
                account = read_service_account(self.secret())
            except Unprocessable:
                raise Trouble(
                    Why.NOT_CONNECTED, "key_refused", "the secret is no service account's key"
                ) from None
            return (await self._grants.auth.of_service_account(account, fresh=fresh)).access
        if self._person is None:
            raise Trouble(Why.NOT_CONNECTED, "not_connected", "nobody has connected it")
        async with self._grants.lock(self._person):
            return await self._of_person(self._person, fresh=fresh)

    async def _of_person(self, person: UUID, *, fresh: bool) -> str:
        grants = self._grants
        who = Asker(person, roles_with(Capability.EXPORT), only=self._site)
        async with grants.database.as_person(who) as (_, seen):
            if self._site not in seen.sites:
                raise Trouble(
                    Why.NOT_CONNECTED, "no_longer_member", "who connected it may not do so any more"
                )
        try:
            tokens = await credentials.read(grants.database, grants.keyring, who, PROVIDER)
        except SealBroken:
            raise Trouble(Why.NOT_CONNECTED, "seal_broken", "the connection cannot be opened") from None
        if tokens is None or tokens.refresh is None:
            raise Trouble(Why.NOT_CONNECTED, "not_connected", "who connected it has ended the connection")
        if tokens.access is not None and is_good(tokens.expires_at) and not fresh:
            return tokens.access
        token = await grants.auth.renew(tokens.refresh)
        await credentials.renew(
            grants.database, grants.keyring, who, PROVIDER, token.access, token.expires_at
        )
        return token.access
