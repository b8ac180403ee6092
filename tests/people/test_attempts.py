"""Guessing passwords gets slow: by account and address, and by address alone."""

from opsmantik.people import attempts as room
from opsmantik.people.attempts import FREE_BY_ACCOUNT, FREE_BY_ADDRESS, LONGEST_SECONDS, Attempts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def guess(attempts: Attempts, clock: Clock, times: int, account: str, address: str) -> float:
    """Guess as fast as allowed; the seconds that the last guess then has to wait."""
    for _ in range(times):
        clock.now += attempts.begin(account, address)
        attempts.begin(account, address)
    return attempts.begin(account, address)


def test_the_first_attempts_are_free_then_each_waits_twice_as_long() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    waits = []
    for _ in range(FREE_BY_ACCOUNT + 4):
        wait = attempts.begin("a@example.com", "192.0.2.1")
        waits.append(wait)
        if wait:
            clock.now += wait
            assert attempts.begin("a@example.com", "192.0.2.1") == 0
    assert waits[:FREE_BY_ACCOUNT] == [0] * FREE_BY_ACCOUNT
    assert waits[FREE_BY_ACCOUNT:] == [1, 2, 4, 8]


def test_attempts_made_at_once_are_counted_before_any_of_them_is_answered() -> None:
    attempts = Attempts(Clock())
    allowed = [attempts.begin("a@example.com", "192.0.2.1") == 0 for _ in range(100)]
    assert sum(allowed) == FREE_BY_ACCOUNT


def test_an_attempt_that_has_to_wait_does_not_make_the_wait_longer() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(FREE_BY_ACCOUNT):
        attempts.begin("a@example.com", "192.0.2.1")
    assert [attempts.begin("a@example.com", "192.0.2.1") for _ in range(50)] == [1] * 50


def test_the_wait_has_an_end() -> None:
    clock = Clock()
    assert guess(Attempts(clock), clock, 40, "a@example.com", "192.0.2.1") == LONGEST_SECONDS


def test_another_account_and_another_address_are_not_made_to_wait() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    guess(attempts, clock, 10, "a@example.com", "192.0.2.1")
    assert attempts.begin("b@example.com", "192.0.2.1") == 0
    assert attempts.begin("a@example.com", "192.0.2.2") == 0


def test_spelling_and_the_lower_half_of_an_ipv6_address_make_no_new_guesser() -> None:
    attempts = Attempts(Clock())
    for n in range(FREE_BY_ACCOUNT):
        attempts.begin(("A@Example.com ", "a@example.com")[n % 2], f"2001:db8::{n:x}")
    assert attempts.begin("a@example.com", "2001:db8::ffff") > 0
    assert attempts.begin("a@example.com", "2001:db8:0:1::1") == 0


def test_one_address_that_tries_many_accounts_is_slowed_too() -> None:
    attempts = Attempts(Clock())
    free = [attempts.begin(f"{n}@example.com", "192.0.2.1") for n in range(FREE_BY_ADDRESS)]
    assert free == [0] * FREE_BY_ADDRESS
    assert attempts.begin("new@example.com", "192.0.2.1") > 0


def test_the_right_password_forgives_the_account_at_that_address() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(FREE_BY_ACCOUNT):
        attempts.begin("a@example.com", "192.0.2.1")
    attempts.succeeded("a@example.com", "192.0.2.1")
    assert attempts.begin("a@example.com", "192.0.2.1") == 0


def test_an_office_that_signs_in_behind_one_address_is_not_slowed() -> None:
    attempts = Attempts(Clock())
    for n in range(5 * FREE_BY_ADDRESS):
        assert attempts.begin(f"{n}@example.com", "192.0.2.1") == 0
        attempts.succeeded(f"{n}@example.com", "192.0.2.1")


def test_an_account_of_ones_own_does_not_help_to_guess_others() -> None:
    attempts = Attempts(Clock())
    guesses = 0
    for n in range(5 * FREE_BY_ADDRESS):
        if attempts.begin("own@example.com", "192.0.2.1") == 0:
            attempts.succeeded("own@example.com", "192.0.2.1")
        guesses += attempts.begin(f"{n}@example.com", "192.0.2.1") == 0
    assert guesses == FREE_BY_ADDRESS


def test_an_hour_of_quiet_forgives() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    guess(attempts, clock, 12, "a@example.com", "192.0.2.1")
    clock.now += room.FORGET_SECONDS + LONGEST_SECONDS + 1
    assert [attempts.begin("a@example.com", "192.0.2.1") for _ in range(FREE_BY_ACCOUNT)] == [
        0
    ] * FREE_BY_ACCOUNT


def test_memory_is_bounded() -> None:
    attempts = Attempts(Clock())
    for n in range(room.REMEMBERED + 500):
        attempts.begin(f"{n}@example.com", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(attempts._seen) <= room.REMEMBERED
