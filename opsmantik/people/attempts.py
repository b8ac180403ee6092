"""Slows down whoever guesses: counted in the database, so a restart forgives nothing and all servers count together.

An attempt is counted before the password is looked at, under three keys, in one step; whichever of them is over what is
free makes it wait, twice as long each time, up to five minutes. An hour of quiet forgives, and so does a right password.

- **The account from this network** (five free): somebody tries passwords on somebody.
- **The network** (thirty free): somebody tries one password on everybody. A right password takes back its own attempt
  alone, so an account of one's own does not help to guess others.
- **The account from anywhere** (fifty free): many machines try passwords on somebody. By the first two rules a thousand
  addresses would have five thousand guesses; by this one they have fifty, and then twelve an hour.

The third rule alone would be a weapon: whoever keeps guessing wrong would keep the account's owner out. So would the first
two, for an office that shares one address. A browser that has signed in to the account before therefore carries a **device
cookie**, signed by us and good for that account only, and is counted by itself: five free, and nobody else's guesses matter
to it. Whoever steals such a cookie gains five guesses and the same waits, and no way in. Only somebody who comes with a new
browser in the middle of an attack has to be patient.

An account that does not exist is counted just like one that does. What is kept is a keyed hash of account and network: a
copy of the table names nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from datetime import timedelta
from typing import Literal, NamedTuple

from opsmantik.db.connect import Database
from opsmantik.people.store import SQL

FREE_BY_ACCOUNT = 5
FREE_BY_ADDRESS = 30
FREE_EVERYWHERE = 50
LONGEST_SECONDS = 300.0
FORGET = timedelta(hours=1)
# So many accounts can be at home in one browser; the one that signed in longest ago is forgotten first.
ACCOUNTS_A_DEVICE = 5


Purpose = Literal["password", "code", "mail"]


class Attempt(NamedTuple):
    """An attempt that has been counted, or that has to wait (``seconds``) and has not."""

    seconds: float
    keys: list[bytes]


class Attempts:
    """Counts attempts; says how long the next one has to wait."""

    def __init__(self, database: Database, secret: str) -> None:
        self._database = database
        self._pepper = hmac.new(secret.encode(), b"sign-in attempts", hashlib.sha256).digest()
        self._devices = hmac.new(secret.encode(), b"device cookie", hashlib.sha256).digest()

    async def begin(
        self, account: str, address: str, device: str = "", purpose: Purpose = "password"
    ) -> Attempt:
        """Count an attempt on this account. ``address``: the browser's whole one. ``device``: its cookie, if it has one.

        Attempts on its password, on its codes, and mails that are asked for are counted apart.
        """
        account, network = _plain(account), _network(address)
        if self._knows(device, account):
            counted = [(f"device|{account}|{device.partition('.')[0]}", FREE_BY_ACCOUNT)]
        else:
            counted = [
                (f"account|{account}|{network}", FREE_BY_ACCOUNT),
                (f"network|{network}", FREE_BY_ADDRESS),
                (f"anywhere|{account}", FREE_EVERYWHERE),
            ]
        keys = [
            hmac.new(self._pepper, f"{purpose}|{name}".encode(), "sha256").digest() for name, _ in counted
        ]
        async with self._database.connection() as connection:
            wait = await connection.fetchval(
                SQL.begin_attempt, keys, [free for _, free in counted], LONGEST_SECONDS, FORGET
            )
        return Attempt(wait, keys)

    async def succeeded(self, attempt: Attempt) -> None:
        """It was right: the account may be mistyped again here, and elsewhere this attempt is taken back."""
        async with self._database.connection() as connection:
            await connection.execute(SQL.forgive_attempt, attempt.keys)

    def remember(self, device: str, account: str) -> str:
        """The device cookie of a browser in which this account has just signed in; ``device``: the one it had."""
        name, *seals = device.split(".")
        own = self._seal(name, _plain(account))
        if len(name) != 32 or not name.isalnum() or not name.isascii():
            name, seals = secrets.token_hex(16), []
            own = self._seal(name, _plain(account))
        others = [seal for seal in seals if len(seal) == len(own) and seal != own and seal.isalnum()]
        return ".".join([name, own, *others[: ACCOUNTS_A_DEVICE - 1]])

    def _knows(self, device: str, account: str) -> bool:
        name, *seals = device.encode("utf-8", "replace").split(b".")
        own = self._seal(name.decode("utf-8", "replace"), account).encode()
        # All are compared, so the time does not tell which account is at home in the browser.
        return sum(hmac.compare_digest(seal, own) for seal in seals[:ACCOUNTS_A_DEVICE]) > 0

    def _seal(self, name: str, account: str) -> str:
        return hmac.new(
            self._devices, f"{name}|{account}".encode("utf-8", "replace"), hashlib.sha256
        ).hexdigest()[:40]


def _plain(account: str) -> str:
    """One account has one spelling; a stray half of a character cannot be hashed, and is nobody's."""
    return account.strip().lower()[:254].encode("utf-8", "replace").decode()


def _network(address: str) -> str:
    """One home has one IPv4 address but 2**64 of IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else address
