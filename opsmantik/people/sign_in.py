"""Signing in with a password: the same answer and the same work whatever was wrong."""

from __future__ import annotations

import math

import msgspec

from opsmantik.db.connect import Database
from opsmantik.errors import TooManyRequests
from opsmantik.people import store
from opsmantik.people.attempts import Attempt, Attempts, Purpose
from opsmantik.people.passwords import Passwords


class Client(msgspec.Struct, frozen=True):
    """The browser that asks. ``address`` is whole, to tell who guesses; ``place`` is cut short, to be kept."""

    address: str
    place: str | None = None
    user_agent: str = ""
    device: str = ""
    """Its device cookie (see ``attempts.py``)."""


async def counted(attempts: Attempts, account: str, client: Client, purpose: Purpose = "password") -> Attempt:
    """Count an attempt before anything is looked at.

    Raises :class:`~opsmantik.errors.TooManyRequests`, with the seconds to wait, for one who guesses.
    """
    attempt = await attempts.begin(account, client.address, client.device, purpose)
    if attempt.seconds:
        raise TooManyRequests(retry_after=math.ceil(attempt.seconds))
    return attempt


async def sign_in(
    database: Database, passwords: Passwords, attempts: Attempts, *, email: str, password: str, client: Client
) -> store.Entry | None:
    """A fresh token, or ``None`` if account and password do not go together.

    Raises :class:`~opsmantik.errors.TooManyRequests`, with the seconds to wait, for one who guesses.
    """
    attempt = await counted(attempts, email, client)
    account = await store.account_by_email(database, email)
    kept = account.password_hash if account else None
    right = await passwords.verify(kept, password)
    if account is None or kept is None or account.disabled or not right:
        return None
    await attempts.succeeded(attempt)
    if passwords.is_outdated(kept):
        await store.keep_rehash(database, account.user_id, kept, await passwords.hash(password))
    return await store.let_in(
        database, account.user_id, method="password", user_agent=client.user_agent, address=client.place
    )


async def is_own_password(
    database: Database,
    passwords: Passwords,
    attempts: Attempts,
    person: store.SignedIn,
    password: str,
    client: Client,
) -> str | None:
    """The hash that it matches, if it is the password of whoever is signed in; guessing is slowed as at the sign-in.

    Raises :class:`~opsmantik.errors.TooManyRequests`.
    """
    attempt = await counted(attempts, person.email, client)
    account = await store.account_by_email(database, person.email)
    kept = account.password_hash if account else None
    if not await passwords.verify(kept, password):
        return None
    await attempts.succeeded(attempt)
    return kept
