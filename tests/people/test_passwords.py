"""Passwords: argon2id at OWASP's minimum, off the loop, two at a time, as much work for nobody as for somebody."""

import asyncio
import threading
import time

import pytest

from opsmantik.errors import Unavailable, Unprocessable
from opsmantik.people import passwords as room
from opsmantik.people.passwords import Passwords, check_new_password


async def test_a_hash_is_argon2id_with_owasps_parameters_and_a_salt_of_its_own() -> None:
    passwords = Passwords()
    first, second = await passwords.hash("correct horse"), await passwords.hash("correct horse")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert await passwords.verify(first, "correct horse")
    assert await passwords.verify(second, "correct horse")


async def test_a_wrong_password_a_broken_hash_and_no_account_are_all_just_no() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse")
    assert not await passwords.verify(kept, "Correct horse")
    assert not await passwords.verify("not a hash", "correct horse")
    assert not await passwords.verify(None, "correct horse")
    assert not await passwords.verify(None, "")


async def test_no_account_costs_as_much_work_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse")
    worked: list[str] = []
    honest = passwords._check
    monkeypatch.setattr(passwords, "_check", lambda h, p: (worked.append(h.split("$")[3]), honest(h, p))[1])
    await passwords.verify(kept, "wrong")
    await passwords.verify(None, "wrong")
    assert worked == ["m=19456,t=2,p=1"] * 2


async def test_at_most_two_hashes_are_made_at_once_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords = Passwords()
    lock, now, most = threading.Lock(), 0, 0

    def slow(*_: str) -> bool:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.03)
        with lock:
            now -= 1
        return False

    monkeypatch.setattr(passwords, "_check", slow)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(passwords.verify("x", "y") for _ in range(8)))
    ticking.cancel()
    assert most == 2
    assert ticks > 5


async def test_a_queue_that_is_too_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LONGEST_QUEUE", 3)
    passwords = Passwords()
    monkeypatch.setattr(passwords, "_check", lambda *_: time.sleep(0.02))
    results = await asyncio.gather(*(passwords.verify("x", "y") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(r, Unavailable) for r in results) == 3
    assert not await passwords.verify(None, "later")  # and the places are free again


REFUSED = {
    "eleven characters": ("elevenchars", ""),
    "201 characters": ("ab3de" * 40 + "x", ""),
    "one character over and over": ("aaaaaaaaaaaaaaaa", ""),
    "one of the commonest, made longer": ("password1234", ""),
    "another": ("iloveyou12345", ""),
    "a walk over the keyboard": ("qwertyuiop12", ""),
    "the alphabet": ("abcdefghijkl", ""),
    "this program's name and a year": ("opsmantik2026", ""),
    "the address's own words": ("kepezvinc2026", "kepezvinc@example.com"),
    "the e-mail address itself": ("operator@example.com", "Operator@Example.com"),
}


@pytest.mark.parametrize(("password", "email"), REFUSED.values(), ids=REFUSED.keys())
def test_such_a_new_password_is_refused(password: str, email: str) -> None:
    with pytest.raises(Unprocessable):
        check_new_password(password, email=email)


@pytest.mark.parametrize(
    "password", ["vinç üç kürek", "ünlü şarkılar çalıyor", "zK9#mP2$vL5q", "correct horse battery"]
)
def test_such_a_new_password_is_taken(password: str) -> None:
    check_new_password(password, email="operator@example.com")
