"""Passwords, as argon2id hashes.

Hashing is slow and hungry on purpose, so it happens in threads (the event loop goes on serving), two at a
time (nobody can fill the machine with sign-ins), and for unknown accounts too (the time tells nothing).
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from opsmantik.errors import Unavailable, Unprocessable

# OWASP's minimum for argon2id: 19 MiB, two passes, one lane.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
AT_ONCE = 2
# Those who would wait longer than this many hashes are better told to come back.
LONGEST_QUEUE = 40

T = TypeVar("T")

SHORTEST = 12
LONGEST = 200
# What zxcvbn calls "safely unguessable": some hundred million guesses and more. Its lists hold the commonest of the
# passwords that have leaked, names, words and keyboard walks.
STRENGTH = 3
# The rest of a long one only makes it stronger, and reading it would take seconds.
READ_OF_IT = 72
OUR_WORDS = ("opsmantik", "mantik")


def check_new_password(password: str, *, email: str = "") -> None:
    """How hard it is to guess is what counts; rules about digits and capitals only make passwords worse.

    Raises :class:`~opsmantik.errors.Unprocessable`.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise Unprocessable(reason=f"a password has {SHORTEST} to {LONGEST} characters")
    about = [part for part in re.split(r"[^a-z0-9]+", email.lower()) if part]
    if (email and password.strip().lower() == email.strip().lower()) or not _is_strong(password, about):
        raise Unprocessable(reason="that password is too easy to guess")


def _is_strong(password: str, about: list[str]) -> bool:
    from zxcvbn import zxcvbn  # its lists take 20 MB, and passwords are rarely chosen

    score: int = zxcvbn(password[:READ_OF_IT], user_inputs=[*OUR_WORDS, *about])["score"]
    return score >= STRENGTH


class Passwords:
    """Makes and checks hashes; one for a process."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._queued = 0
        # What unknown accounts are checked against: as much work, and nobody knows its password.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        """The hash to keep: PHC format, with its own salt and parameters."""
        return await self._in_thread(self._hasher.hash, password)

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether it is the password of this hash. ``None`` (no account): never, after the same work."""
        right = await self._in_thread(self._check, kept or self._nobody, password[: LONGEST + 1])
        return right and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether this hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def _check(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[..., T], *args: str) -> T:
        if self._queued >= LONGEST_QUEUE:
            raise Unavailable
        self._queued += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work, *args)
        finally:
            self._queued -= 1
