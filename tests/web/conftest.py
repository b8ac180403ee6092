"""The whole application over a real database, and people who sign in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from opsmantik.people.passwords import Passwords
from tests.web.browsing import PASSWORD, Browser, Running, running
from tests.web.world import MakeWorld, Programs, World, new_reader, new_world


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(database: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The application of this module."""
    async with running(database.app, tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def password_hash() -> str:
    return await Passwords().hash(PASSWORD)


@pytest.fixture
def make_person(owner: Any, password_hash: str) -> Callable[..., Awaitable[tuple[UUID, str]]]:
    """An account that can sign in: its id and e-mail address."""

    async def make(**profile: Any) -> tuple[UUID, str]:
        user_id = uuid4()
        email = f"{user_id.hex}@example.com"
        await owner.execute(
            "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'Ayşe', $3)",
            user_id,
            email,
            password_hash,
        )
        columns = {"id": user_id, **profile}
        places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
        await owner.execute(
            f"INSERT INTO profiles ({', '.join(columns)}) VALUES ({places})", *columns.values()
        )
        return user_id, email

    return make


@pytest.fixture
def signed_in(web: Running, make_person: Any) -> Callable[..., Awaitable[tuple[Browser, UUID]]]:
    """A browser in which somebody has signed in, and who."""

    async def make(headers: dict[str, str] | None = None, **profile: Any) -> tuple[Browser, UUID]:
        user_id, email = await make_person(**profile)
        browser = web.browser(**(headers or {}))
        assert (await browser.sign_in(email)).status_code == 303
        return browser, user_id

    return make


@pytest.fixture
def own_site(owner: Any, make_site: Any, web: Running) -> Callable[..., Awaitable[Any]]:
    """A site of this person, known to the ingest doors."""

    async def make(user_id: UUID, **columns: Any) -> Any:
        site = await make_site(**columns)
        await owner.execute("UPDATE sites SET user_id = $2 WHERE id = $1", site.id, user_id)
        await web.app.collect.registry.refresh()
        return site

    return make


@pytest.fixture
def make_world(owner: Any, web: Running) -> MakeWorld:
    """A site of this person in a new world of its own, filled unless ``empty``."""

    async def make(user_id: UUID, *, empty: bool = False, **columns: Any) -> World:
        return await new_world(owner, web, user_id, empty=empty, **columns)

    return make


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reader(owner: Any, web: Running, password_hash: str) -> tuple[Programs, World]:
    """Somebody signed in, and their filled world: for the tests of this module that only read."""
    return await new_reader(owner, web, password_hash)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def neighbour(owner: Any, web: Running, password_hash: str) -> tuple[Programs, World]:
    """Somebody else with a world of their own, to whom the reader's is none of their business."""
    return await new_reader(owner, web, password_hash)
