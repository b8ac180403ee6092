"""Guessing passwords gets slow: by account and network, by network alone, and by account from anywhere; in the database."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from opsmantik.db.connect import Database
from opsmantik.people import attempts as room
from opsmantik.people.attempts import (
    FORGET,
    FREE_BY_ACCOUNT,
    FREE_BY_ADDRESS,
    FREE_EVERYWHERE,
    LONGEST_SECONDS,
    Attempts,
)

pytestmark = pytest.mark.slow

ME, HERE = "a@example.com", "192.0.2.1"
Later = Callable[[float], Awaitable[None]]


@pytest.fixture
async def attempts(app_database: Database, owner: Any) -> Attempts:
    await owner.execute("TRUNCATE sign_in_attempts")
    return Attempts(app_database, "k" * 40)


@pytest.fixture
def later(owner: Any) -> Later:
    """So many seconds go by: everything that was counted is so much older."""

    async def later(seconds: float) -> None:
        past = timedelta(seconds=seconds)
        await owner.execute("UPDATE sign_in_attempts SET allowed_at = allowed_at - $1::interval", past)

    return later


async def wait(attempts: Attempts, account: str = ME, address: str = HERE, device: str = "") -> int:
    """Attempt it; the whole seconds to wait."""
    return math.ceil((await attempts.begin(account, address, device)).seconds)


async def guess(attempts: Attempts, later: Later, times: int, account: str = ME, address: str = HERE) -> int:
    """Guess as fast as allowed; the seconds that the last guess then has to wait."""
    for _ in range(times):
        await later((await attempts.begin(account, address)).seconds)
        await attempts.begin(account, address)
    return await wait(attempts, account, address)


async def sign_in(attempts: Attempts, account: str = ME, address: str = HERE, device: str = "") -> str:
    """Attempt it with the right password; the device cookie that the browser then has."""
    attempt = await attempts.begin(account, address, device)
    assert attempt.seconds == 0
    await attempts.succeeded(attempt)
    return attempts.remember(device, account)


async def test_the_first_attempts_are_free_then_each_waits_twice_as_long(
    attempts: Attempts, later: Later
) -> None:
    waits = []
    for _ in range(FREE_BY_ACCOUNT + 4):
        waits.append(await wait(attempts))
        if waits[-1]:
            await later(waits[-1])
            assert await wait(attempts) == 0
    assert waits == [0] * FREE_BY_ACCOUNT + [1, 2, 4, 8]


async def test_attempts_made_at_once_are_counted_before_any_of_them_is_answered(attempts: Attempts) -> None:
    waits = await asyncio.gather(*(wait(attempts) for _ in range(60)))
    assert waits.count(0) == FREE_BY_ACCOUNT


async def test_many_that_share_some_of_their_keys_never_wait_for_each_other_in_a_circle(
    attempts: Attempts,
) -> None:
    pairs = [(f"{n % 7}@example.com", f"192.0.2.{n % 5}") for n in range(70)]
    waits = await asyncio.gather(*(wait(attempts, *pair) for pair in pairs))
    assert waits.count(0) == 70  # 35 pairs twice each


async def test_another_server_and_one_that_has_started_anew_count_on(
    attempts: Attempts, app_database: Database
) -> None:
    for _ in range(FREE_BY_ACCOUNT):
        assert await wait(attempts) == 0
    assert await wait(Attempts(app_database, "k" * 40)) == 1


async def test_an_attempt_that_has_to_wait_is_not_counted_and_leaves_nothing(
    attempts: Attempts, owner: Any
) -> None:
    for n in range(FREE_BY_ADDRESS):
        await attempts.begin(f"{n}@example.com", HERE)
    rows = await owner.fetch("SELECT * FROM sign_in_attempts ORDER BY key")
    for n in range(20):
        assert await wait(attempts, f"new-{n}@example.com") == 1
    assert await owner.fetch("SELECT * FROM sign_in_attempts ORDER BY key") == rows


async def test_the_wait_has_an_end(attempts: Attempts, later: Later) -> None:
    assert await guess(attempts, later, 40) == LONGEST_SECONDS


async def test_another_account_and_another_address_are_not_made_to_wait(
    attempts: Attempts, later: Later
) -> None:
    await guess(attempts, later, 10)
    assert await wait(attempts, "b@example.com") == 0
    assert await wait(attempts, ME, "192.0.2.2") == 0


async def test_spelling_and_the_lower_half_of_an_ipv6_address_make_no_new_guesser(attempts: Attempts) -> None:
    for n in range(FREE_BY_ACCOUNT):
        await attempts.begin(("A@Example.com ", ME)[n % 2], f"2001:db8::{n:x}")
    assert await wait(attempts, ME, "2001:db8::ffff") > 0
    assert await wait(attempts, ME, "2001:db8:0:1::1") == 0


async def test_one_address_that_tries_many_accounts_is_slowed_too(attempts: Attempts) -> None:
    free = [await wait(attempts, f"{n}@example.com") for n in range(FREE_BY_ADDRESS)]
    assert free == [0] * FREE_BY_ADDRESS
    assert await wait(attempts, "new@example.com") > 0


async def test_the_right_password_forgives_the_account_at_that_address(attempts: Attempts) -> None:
    for _ in range(FREE_BY_ACCOUNT - 1):
        await attempts.begin(ME, HERE)
    await sign_in(attempts)
    assert [await wait(attempts) for _ in range(FREE_BY_ACCOUNT)] == [0] * FREE_BY_ACCOUNT


async def test_an_office_that_signs_in_behind_one_address_is_not_slowed(attempts: Attempts) -> None:
    for n in range(3 * FREE_BY_ADDRESS):
        await sign_in(attempts, f"{n}@example.com")


async def test_an_account_of_ones_own_does_not_help_to_guess_others(attempts: Attempts) -> None:
    guesses = 0
    for n in range(2 * FREE_BY_ADDRESS):
        own = await attempts.begin("own@example.com", HERE)
        if own.seconds == 0:
            await attempts.succeeded(own)
        guesses += await wait(attempts, f"{n}@example.com") == 0
    assert guesses == FREE_BY_ADDRESS


async def test_an_hour_of_quiet_forgives(attempts: Attempts, later: Later) -> None:
    await guess(attempts, later, 12)
    await later(LONGEST_SECONDS + FORGET.total_seconds() + 1)
    assert [await wait(attempts) for _ in range(FREE_BY_ACCOUNT)] == [0] * FREE_BY_ACCOUNT


# Many machines, one account.


async def attacked(attempts: Attempts, times: int = FREE_EVERYWHERE) -> None:
    for n in range(times):
        assert await wait(attempts, ME, f"203.0.{n // 250}.{n % 250}") == 0


async def test_many_machines_that_try_one_account_are_slowed_together(
    attempts: Attempts, later: Later
) -> None:
    await attacked(attempts)
    assert await wait(attempts, ME, "198.51.100.1") == 1
    assert await wait(attempts, "b@example.com", "203.0.0.1") == 0
    for n in range(20):
        await later(LONGEST_SECONDS)
        assert await wait(attempts, ME, f"198.51.100.{n}") == 0
    assert await wait(attempts, ME, "198.51.100.99") == LONGEST_SECONDS


async def test_nobody_is_locked_out_of_a_browser_in_which_they_have_signed_in_before(
    attempts: Attempts,
) -> None:
    device = await sign_in(attempts)
    await attacked(attempts)
    assert await wait(attempts, ME, HERE) == 1, "a new browser has to be patient"
    assert await wait(attempts, ME, HERE, device) == 0


async def test_a_colleague_who_guesses_behind_the_same_address_locks_nobody_out(attempts: Attempts) -> None:
    device = await sign_in(attempts)
    for _ in range(FREE_BY_ACCOUNT):
        await attempts.begin(ME, HERE)
    assert await wait(attempts, ME, HERE) == 1
    assert await wait(attempts, ME, HERE, device) == 0


async def test_a_stolen_device_cookie_is_worth_five_guesses_whatever_the_address(attempts: Attempts) -> None:
    device = await sign_in(attempts)
    waits = [await wait(attempts, ME, f"203.0.113.{n}", device) for n in range(FREE_BY_ACCOUNT + 1)]
    assert waits == [0] * FREE_BY_ACCOUNT + [1]


async def test_one_browser_can_be_home_to_several_accounts(attempts: Attempts) -> None:
    device = ""
    for n in range(room.ACCOUNTS_A_DEVICE + 1):
        device = await sign_in(attempts, f"{n}@example.com", HERE, device)
    assert len(device) < 300
    known = [attempts._knows(device, f"{n}@example.com") for n in range(room.ACCOUNTS_A_DEVICE + 1)]
    assert known == [False] + [True] * room.ACCOUNTS_A_DEVICE


FORGED = {
    "nothing": "",
    "only a name": "0" * 32,
    "a made-up seal": "0" * 32 + "." + "0" * 40,
    "dots": "....",
    "characters that nobody sends": "é☃\ud800." + "☃" * 40,
    "very long": "a" * 10_000,
}


@pytest.mark.parametrize("device", FORGED.values(), ids=FORGED.keys())
async def test_a_device_cookie_that_we_did_not_write_changes_nothing(attempts: Attempts, device: str) -> None:
    for _ in range(FREE_BY_ACCOUNT):
        await attempts.begin(ME, HERE, device)
    assert await wait(attempts, ME, HERE, device) == 1
    fresh = attempts.remember(device, ME)
    assert attempts._knows(fresh, ME)
    assert not attempts._knows(fresh, "b@example.com"), "it is good for that account alone"


async def test_another_installations_device_cookie_is_none_of_ours(
    attempts: Attempts, app_database: Database
) -> None:
    theirs = Attempts(app_database, "x" * 40).remember("", ME)
    assert not attempts._knows(theirs, ME)


async def test_the_table_names_no_account_and_no_address(attempts: Attempts, owner: Any) -> None:
    await attempts.begin(ME, HERE)
    rows = await owner.fetch("SELECT t::text AS text FROM sign_in_attempts t")
    assert len(rows) == 3
    assert not any(
        word in row["text"] for row in rows for word in ("example", "192.0.2", b"a@example.com".hex())
    )
