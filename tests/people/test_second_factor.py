"""The second factor: which codes are right, that none is right twice, and what is kept of them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from base64 import b32encode
from typing import Any
from uuid import UUID, uuid4

import pyotp
import pytest

from opsmantik.db.connect import Asker, Database
from opsmantik.errors import SealBroken
from opsmantik.keyring import Keyring, Sealed, key_of
from opsmantik.people import second_factor as room
from opsmantik.people import second_factor_store as factors
from opsmantik.people import store
from opsmantik.people.second_factor import Code

# RFC 6238, appendix B, of whose eight digits authenticators show the last six.
RFC_SECRET = b"12345678901234567890"
RFC = {59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"}


@pytest.mark.parametrize(("now", "code"), RFC.items())
def test_codes_are_those_of_the_standard(now: int, code: str) -> None:
    assert room.read(code, RFC_SECRET, now, 0) == Code(now // 30, None)


WINDOW = {
    "two too early": (-2, False),
    "the one before": (-1, True),
    "this": (0, True),
    "the next": (1, True),
    "too new": (2, False),
}


@pytest.mark.parametrize(("off", "right"), WINDOW.values(), ids=WINDOW.keys())
def test_a_clock_may_be_half_a_minute_off(off: int, right: bool) -> None:
    now = 1_800_000_000
    code = pyotp.TOTP(b32encode(RFC_SECRET).decode()).at(now + 30 * off)
    assert (room.read(code, RFC_SECRET, now, 0) == Code(now // 30 + off, None)) is right


def test_no_code_is_right_after_itself_or_a_newer_one() -> None:
    step = 59 // 30
    assert room.read("287082", RFC_SECRET, 59, step - 1) == Code(step, None)
    assert room.read("287082", RFC_SECRET, 59, step) is None
    assert room.read("287082", RFC_SECRET, 59, step + 1) is None


TYPED = {
    "with a space": ("287 082", True),
    "with blanks around": (" 287082\n", True),
    "five digits": ("28708", False),
    "seven digits": ("2870820", False),
    "other digits": ("٢٨٧٠٨٢", False),
    "a wrong one": ("287083", False),
    "nothing": ("", False),
    "a flood": ("2" * 100_000, False),
    "NUL": ("\x00" * 6, False),
}


@pytest.mark.parametrize(("typed", "right"), TYPED.values(), ids=TYPED.keys())
def test_what_is_typed(typed: str, right: bool) -> None:
    assert (room.read(typed, RFC_SECRET, 59, 0) is not None) is right


def test_recovery_codes_are_ten_of_a_hundred_and_twenty_bits_and_read_in_any_spelling() -> None:
    codes = room.new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(code.replace("-", "")) * 5 == 120 for code in codes)
    kept = Code(None, room.recovery_hash(codes[0]))
    for typed in (codes[0], codes[0].lower(), codes[0].replace("-", " "), codes[0].replace("-", "")):
        assert room.read(typed, RFC_SECRET, 59, 10**9) == kept


def test_the_picture_is_a_drawing_with_nothing_to_run_or_fetch() -> None:
    svg = room.picture(RFC_SECRET, "ayşe@example.com", "leads.example")
    assert svg.startswith(b"<?xml") and b"<svg" in svg
    assert not any(word in svg for word in (b"style=", b"<style", b"<script", b"href", b"data:"))


# In the database.


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([key_of(b"k" * 32)])


@pytest.fixture
def person(owner: Any) -> Any:
    async def make() -> Asker:
        user_id = uuid4()
        await owner.execute(
            "INSERT INTO users (id, email) VALUES ($1, $2)", user_id, f"{user_id.hex}@example.com"
        )
        await owner.execute("INSERT INTO profiles (id) VALUES ($1)", user_id)
        return Asker(user_id, ("owner",))

    return make


def code_of(factor: factors.Factor, steps: int = 0) -> str:
    return pyotp.TOTP(b32encode(factor.secret).decode()).at(int(time.time()) + 30 * steps)


async def half(database: Database, user_id: UUID) -> str:
    entry = await store.let_in(database, user_id, method="password", user_agent="Test", address="192.0.2.0")
    assert entry is not None and not entry.whole
    return entry.token


async def switched_on(
    database: Database, keyring: Keyring, who: Asker
) -> tuple[factors.Factor, list[str], str]:
    """Its factor, the recovery codes, and the token of the browser that did it. Confirmed by the code before the present
    one, so that the present one is still good."""
    entry = await store.let_in(database, who.user_id, method="password", user_agent="", address=None)
    assert entry is not None and entry.whole
    assert await factors.begin(database, keyring, who)
    factor = await factors.own(database, keyring, who)
    assert factor is not None and factor.confirmed_at is None
    codes = room.new_recovery_codes()
    read = factor.read(code_of(factor, -1))
    assert read is not None
    token = await factors.confirm(database, who, factor, read, codes, entry.token)
    assert token is not None
    assert await store.signed_in(database, entry.token) is None, "the token from before is worth nothing"
    assert await store.signed_in(database, token) is not None
    found = await factors.own(database, keyring, who)
    assert found is not None and found.confirmed_at is not None and found.codes_left == 10
    return found, codes, token


async def test_the_secret_is_sealed_for_its_row_and_the_codes_are_hashed(
    app_database: Database, owner: Any, keyring: Keyring, person: Any
) -> None:
    who = await person()
    factor, codes, _ = await switched_on(app_database, keyring, who)
    row = await owner.fetchrow("SELECT * FROM second_factors WHERE user_id = $1", who.user_id)
    assert factor.secret not in row["secret"]
    with pytest.raises(SealBroken):
        keyring.open(Sealed(row["key_id"], row["secret"]), factors.COLUMN, uuid4())
    kept = {
        r["code_hash"]
        for r in await owner.fetch("SELECT code_hash FROM recovery_codes WHERE user_id = $1", who.user_id)
    }
    assert kept == {hashlib.sha256(b"recovery code:" + c.replace("-", "").encode()).digest() for c in codes}


async def test_while_it_is_being_set_up_it_is_asked_for_nowhere(
    app_database: Database, keyring: Keyring, person: Any
) -> None:
    who = await person()
    assert await factors.begin(app_database, keyring, who)
    first = await factors.own(app_database, keyring, who)
    assert await factors.begin(app_database, keyring, who), "one may begin again"
    second = await factors.own(app_database, keyring, who)
    assert first is not None and second is not None and first.secret != second.secret
    entry = await store.let_in(app_database, who.user_id, method="password", user_agent="", address=None)
    assert entry is not None and entry.whole


async def test_one_in_use_cannot_be_replaced_only_switched_off(
    app_database: Database, keyring: Keyring, person: Any
) -> None:
    who = await person()
    factor, _, _ = await switched_on(app_database, keyring, who)
    assert not await factors.begin(app_database, keyring, who)
    assert not await factors.drop(app_database, who, Code(factor.last_step, None)), "a used code"
    assert not await factors.drop(app_database, who, Code(None, b"x" * 32))
    assert not await factors.drop(app_database, who, Code(None, None))
    read = factor.read(code_of(factor))
    assert read is not None and await factors.drop(app_database, who, read)
    assert await factors.own(app_database, keyring, who) is None


async def test_a_half_sign_in_opens_nothing_but_the_question_for_the_code(
    app_database: Database, keyring: Keyring, person: Any
) -> None:
    who = await person()
    await switched_on(app_database, keyring, who)
    token = await half(app_database, who.user_id)
    assert await store.signed_in(app_database, token) is None
    waiting = await factors.waiting(app_database, keyring, token)
    assert waiting is not None and waiting.user_id == who.user_id
    assert await factors.waiting(app_database, keyring, "guessed") is None


async def test_the_right_code_makes_it_whole_under_another_token_once(
    app_database: Database, owner: Any, keyring: Keyring, person: Any
) -> None:
    who = await person()
    await switched_on(app_database, keyring, who)
    first, second = await half(app_database, who.user_id), await half(app_database, who.user_id)
    waiting = await factors.waiting(app_database, keyring, first)
    assert waiting is not None
    code = waiting.factor.read(code_of(waiting.factor))
    assert code is not None
    tokens = await asyncio.gather(
        *(factors.pass_with(app_database, h, code) for h in (first, second, first, second))
    )
    (token,) = [t for t in tokens if t]
    assert token not in (first, second), (
        "and the same code at the same time, from another browser, is a used one"
    )
    assert (await store.signed_in(app_database, token)) is not None
    row = await owner.fetchrow("SELECT * FROM sign_ins WHERE token_hash = $1", store.token_hash(token))
    assert (row["method"], row["address"], row["user_agent"]) == ("password", "192.0.2.0", "Test")
    assert row["second_factor_at"] is not None and row["confirmed_at"] is not None


async def test_five_minutes_later_it_is_over(
    app_database: Database, owner: Any, keyring: Keyring, person: Any
) -> None:
    who = await person()
    factor, _, _ = await switched_on(app_database, keyring, who)
    token = await half(app_database, who.user_id)
    left = await owner.fetchval(
        "SELECT expires_at - created_at FROM half_sign_ins WHERE token_hash = $1", store.token_hash(token)
    )
    assert left == store.HALF
    await owner.execute(
        "UPDATE half_sign_ins SET expires_at = now() WHERE token_hash = $1", store.token_hash(token)
    )
    assert await factors.waiting(app_database, keyring, token) is None
    code = factor.read(code_of(factor))
    assert code is not None and await factors.pass_with(app_database, token, code) is None


async def test_a_recovery_code_opens_once_and_only_its_own_account(
    app_database: Database, keyring: Keyring, person: Any
) -> None:
    who, other = await person(), await person()
    _, codes, _ = await switched_on(app_database, keyring, who)
    await switched_on(app_database, keyring, other)
    code = Code(None, room.recovery_hash(codes[3]))
    assert await factors.pass_with(app_database, await half(app_database, other.user_id), code) is None
    assert await factors.pass_with(app_database, await half(app_database, who.user_id), code) is not None
    assert await factors.pass_with(app_database, await half(app_database, who.user_id), code) is None
    left = await factors.own(app_database, keyring, who)
    assert left is not None and left.codes_left == 9


async def test_new_recovery_codes_make_the_old_ones_worthless(
    app_database: Database, keyring: Keyring, person: Any
) -> None:
    who = await person()
    factor, old, _ = await switched_on(app_database, keyring, who)
    new, read = room.new_recovery_codes(), factor.read(code_of(factor))
    assert read is not None
    assert await factors.renew_codes(app_database, who, read, new)
    assert not await factors.renew_codes(app_database, who, read, room.new_recovery_codes()), "a used code"
    for code, opens in ((old[0], False), (new[0], True)):
        passed = await factors.pass_with(
            app_database, await half(app_database, who.user_id), Code(None, room.recovery_hash(code))
        )
        assert (passed is not None) is opens


async def test_an_older_server_opens_nothing_past_the_second_factor(
    app_database: Database, keyring: Keyring, person: Any
) -> None:
    who = await person()
    await switched_on(app_database, keyring, who)
    token = store.new_token()
    async with app_database.connection() as connection:
        await connection.execute(
            "SELECT open_sign_in($1, $2, $3, 'old')", store.token_hash(token), who.user_id, store.LIFETIME
        )
    assert await store.signed_in(app_database, token) is None


async def test_nobody_reaches_the_tables_of_the_second_factor(app_database: Database) -> None:
    async with app_database.connection() as connection:
        for table in (
            "second_factors",
            "recovery_codes",
            "half_sign_ins",
            "sign_in_attempts",
            "one_time_links",
        ):
            held = await connection.fetchval(
                "SELECT bool_or(has_table_privilege($1, p)) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p",
                table,
            )
            assert not held, table
        assert not await connection.fetchval(
            "SELECT has_column_privilege('sign_ins', 'token_hash', 'SELECT')"
        )
