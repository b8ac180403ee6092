"""Signing in with a password: the same answer and the same work whatever was wrong."""

from __future__ import annotations

import math

from opsmantik.db.connect import Database
from opsmantik.errors import TooManyRequests
from opsmantik.people import store
from opsmantik.people.attempts import Attempts
from opsmantik.people.passwords import Passwords


async def sign_in(
    database: Database,
    passwords: Passwords,
    attempts: Attempts,
    *,
    email: str,
    password: str,
    address: str,
    user_agent: str,
) -> str | None:
    """A fresh token, or ``None`` if account and password do not go together.

    Raises :class:`~opsmantik.errors.TooManyRequests`, with the seconds to wait, for one who guesses.
    """
    wait = attempts.begin(email, address)
    if wait:
        raise TooManyRequests(retry_after=math.ceil(wait))
    account = await store.account_by_email(database, email)
    right = await passwords.verify(account.password_hash if account else None, password)
    if account is None or account.disabled or not right:
        return None
    attempts.succeeded(email, address)
    return await store.open_sign_in(database, account.user_id, user_agent)
