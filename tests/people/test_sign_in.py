"""Accounts, sign-ins and the first administrator, in a real database as the application's role."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from argon2 import PasswordHasher

from opsmantik.db.connect import Database
from opsmantik.errors import TooManyRequests, Unprocessable
from opsmantik.people import store
from opsmantik.people.attempts import FREE_BY_ACCOUNT, Attempts
from opsmantik.people.first_admin import create_first_admin, setup_link
from opsmantik.people.passwords import Passwords
from opsmantik.people.sign_in import Client, sign_in

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
Enter = Callable[..., Awaitable[str | None]]


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


@pytest.fixture
async def enter(app_database: Database, owner: Any, passwords: Passwords) -> Enter:
    await owner.execute("TRUNCATE sign_in_attempts")
    attempts = Attempts(app_database, "k" * 40)

    async def enter(email: str, password: str = PASSWORD, address: str = "192.0.2.1") -> str | None:
        client = Client(address, place="192.0.2.0", user_agent="Test\x00Browser")
        entry = await sign_in(
            app_database, passwords, attempts, email=email, password=password, client=client
        )
        assert entry is None or entry.whole
        return entry.token if entry else None

    return enter


async def make_user(owner: Any, passwords: Passwords, **columns: Any) -> tuple[Any, str]:
    user_id, email = uuid4(), f"{uuid4().hex}@example.com"
    await owner.execute(
        "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ayşe', $3)",
        user_id, email, columns.get("password_hash", await passwords.hash(PASSWORD)),
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO profiles (id, role) VALUES ($1, $2)", user_id, columns.get("role", "user")
    )
    return user_id, email


# The first administrator: these come first, while the module's database has no users.


async def test_without_any_user_there_is_a_link_and_it_works_once(
    database: Any, app_database: Database, owner: Any, passwords: Passwords, enter: Enter
) -> None:
    assert not await store.has_users(app_database)
    address = await setup_link(database.owner, "https://leads.example")
    again = await setup_link(database.owner, "https://leads.example")
    assert address is not None and again is not None
    assert address.startswith("https://leads.example/set-up/")
    link, other = address.rsplit("/", 1)[1], again.rsplit("/", 1)[1]
    assert await store.first_admin_link_open(app_database, link)
    assert not await store.first_admin_link_open(app_database, "guessed")

    assert await setup_link(database.owner, "https://leads.example") is not None, "open links stay open"
    await owner.execute(
        "INSERT INTO one_time_links (token_hash, purpose, expires_at) VALUES ($1, 'first_admin', now() - interval '1 s')",
        store.token_hash("late"),
    )
    assert not await store.first_admin_link_open(app_database, "late")

    made = {"email": " Ayse@Example.com ", "name": "Ayşe\x00 ", "password": PASSWORD}
    with pytest.raises(Unprocessable):
        await create_first_admin(app_database, passwords, link=link, **{**made, "password": "short"})
    with pytest.raises(Unprocessable):
        await create_first_admin(app_database, passwords, link=link, **{**made, "email": "nobody"})
    assert await create_first_admin(app_database, passwords, link="guessed", **made) is None
    assert await create_first_admin(app_database, passwords, link="late", **made) is None
    user_id = await create_first_admin(app_database, passwords, link=link, **made)
    assert user_id is not None

    assert await store.has_users(app_database)
    assert await create_first_admin(app_database, passwords, link=link, **made) is None
    assert await create_first_admin(app_database, passwords, link=other, **made) is None, (
        "any other link is closed"
    )
    assert not await store.first_admin_link_open(app_database, other)
    assert await setup_link(database.owner, "https://leads.example") is None
    assert await store.administrators(app_database) == [(user_id, "ayse@example.com")]

    token = await enter("AYSE@example.com")
    assert token is not None
    person = await store.signed_in(app_database, token)
    assert person is not None
    assert (person.user_id, person.name, person.is_admin) == (user_id, "Ayşe", True)


async def test_the_application_may_open_such_a_link_but_not_make_one(app_database: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app_database.connection() as connection:
            await connection.execute(store.SQL.offer_first_admin, b"x" * 32, timedelta(hours=1))


# Signing in.


async def test_the_database_keeps_a_hash_of_the_cookie_and_not_the_cookie(
    app_database: Database, owner: Any, passwords: Passwords, enter: Enter
) -> None:
    user_id, email = await make_user(owner, passwords)
    token = await enter(email)
    assert token is not None and len(token) >= 43
    row = await owner.fetchrow("SELECT * FROM sign_ins WHERE user_id = $1", user_id)
    assert row["token_hash"] == hashlib.sha256(token.encode()).digest()
    assert row["expires_at"] - row["created_at"] == store.LIFETIME
    assert (row["user_agent"], row["address"], row["method"]) == ("TestBrowser", "192.0.2.0", "password")


async def test_wrong_password_unknown_account_disabled_account_and_no_password_all_get_the_same_answer(
    app_database: Database, owner: Any, passwords: Passwords, enter: Enter
) -> None:
    _, email = await make_user(owner, passwords)
    disabled_id, disabled = await make_user(owner, passwords)
    await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", disabled_id)
    _, without = await make_user(owner, passwords, password_hash=None)
    assert await enter(email, "Correct horse battery") is None
    assert await enter("nobody@example.com") is None
    assert await enter(disabled) is None
    assert await enter(without) is None
    assert await enter("nul\x00@example.com") is None


async def test_guessing_is_slowed_and_says_for_how_long(
    owner: Any, passwords: Passwords, enter: Enter
) -> None:
    _, email = await make_user(owner, passwords)
    for _ in range(FREE_BY_ACCOUNT):
        assert await enter(email, "wrong") is None
    with pytest.raises(TooManyRequests) as slow:
        await enter(email)
    assert slow.value.retry_after == 1
    assert await enter(email, address="198.51.100.7") is not None


async def test_a_token_ends_by_signing_out_by_expiry_and_with_the_account(
    app_database: Database, owner: Any, passwords: Passwords, enter: Enter
) -> None:
    user_id, email = await make_user(owner, passwords)
    signed_out, expired, orphaned = [str(await enter(email)) for _ in range(3)]
    await store.end_sign_in(app_database, signed_out)
    assert await store.signed_in(app_database, signed_out) is None
    await owner.execute(
        "UPDATE sign_ins SET expires_at = now() - interval '1 s' WHERE token_hash = $1",
        store.token_hash(expired),
    )
    assert await store.signed_in(app_database, expired) is None
    assert await store.signed_in(app_database, orphaned) is not None
    await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", user_id)
    assert await store.signed_in(app_database, orphaned) is None
    assert await store.signed_in(app_database, "never issued") is None


async def test_a_browser_that_was_not_seen_for_a_week_is_signed_out(
    app_database: Database, owner: Any, passwords: Passwords, enter: Enter
) -> None:
    _, email = await make_user(owner, passwords)
    token = str(await enter(email))
    for ago, stays in ((store.IDLE - timedelta(minutes=1), True), (store.IDLE + timedelta(minutes=1), False)):
        await owner.execute(
            "UPDATE sign_ins SET last_seen_at = now() - $2::interval WHERE token_hash = $1",
            store.token_hash(token), ago,
        )  # fmt: skip
        assert (await store.signed_in(app_database, token) is not None) is stays


async def test_that_a_browser_was_seen_is_written_every_five_minutes_and_not_every_request(
    app_database: Database, owner: Any, passwords: Passwords, enter: Enter
) -> None:
    _, email = await make_user(owner, passwords)
    token = str(await enter(email))

    async def row() -> Any:
        kept = store.token_hash(token)
        return await owner.fetchrow("SELECT xmin, last_seen_at FROM sign_ins WHERE token_hash = $1", kept)

    first = await row()
    for _ in range(3):
        assert await store.signed_in(app_database, token) is not None
    assert await row() == first
    await owner.execute(
        "UPDATE sign_ins SET last_seen_at = now() - $2::interval WHERE token_hash = $1",
        store.token_hash(token), store.SEEN_EVERY + timedelta(seconds=1),
    )  # fmt: skip
    assert await store.signed_in(app_database, token) is not None
    second = await row()
    assert second["last_seen_at"] > first["last_seen_at"]
    assert await store.signed_in(app_database, token) is not None
    assert await row() == second


async def test_a_hash_made_with_other_parameters_is_made_anew_at_the_next_sign_in(
    owner: Any, passwords: Passwords, enter: Enter
) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    user_id, email = await make_user(owner, passwords, password_hash=weak)
    kept = "SELECT password_hash FROM users WHERE id = $1"
    assert await enter(email, "wrong") is None
    assert await owner.fetchval(kept, user_id) == weak
    assert await enter(email) is not None
    strong = await owner.fetchval(kept, user_id)
    assert strong.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await enter(email) is not None
    assert await owner.fetchval(kept, user_id) == strong, "and then it stays"


async def test_a_password_that_was_changed_meanwhile_is_not_overwritten_by_the_old_one(
    app_database: Database, owner: Any, passwords: Passwords
) -> None:
    user_id, _ = await make_user(owner, passwords, password_hash="changed")
    await store.keep_rehash(app_database, user_id, "was", "now")
    assert await owner.fetchval("SELECT password_hash FROM users WHERE id = $1", user_id) == "changed"


async def test_whoever_is_switched_off_at_that_moment_is_not_let_in(
    app_database: Database, owner: Any, passwords: Passwords
) -> None:
    user_id, _ = await make_user(owner, passwords)
    await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", user_id)
    for who in (user_id, uuid4()):
        entry = await store.let_in(app_database, who, method="oidc", user_agent="", address=None)
        assert entry is None


async def test_an_account_that_does_not_exist_is_slowed_like_one_that_does(
    owner: Any, passwords: Passwords, enter: Enter
) -> None:
    _, known = await make_user(owner, passwords)
    for email in (known, f"{uuid4().hex}@example.com"):
        answers = [await enter(email, "wrong", "198.51.100.20") for _ in range(FREE_BY_ACCOUNT)]
        assert answers == [None] * FREE_BY_ACCOUNT
        with pytest.raises(TooManyRequests) as slow:
            await enter(email, "wrong", "198.51.100.20")
        assert slow.value.retry_after == 1


async def test_a_person_changes_their_own_language_and_theme_and_nobody_elses(
    app_database: Database, owner: Any, passwords: Passwords, enter: Enter
) -> None:
    one, email = await make_user(owner, passwords)
    other, _ = await make_user(owner, passwords)
    token = str(await enter(email))
    await store.set_language(app_database, one, "tr")
    await store.set_theme(app_database, one, "dark")
    person = await store.signed_in(app_database, token)
    assert person is not None
    assert (person.language, person.theme) == ("tr", "dark")
    async with app_database.as_person(one, write=True) as (connection, _):
        assert (
            await connection.execute("UPDATE profiles SET language = 'en' WHERE id = $1", other) == "UPDATE 0"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE profiles SET role = 'admin' WHERE id = $1", one)
