"""Whatever breaks inside, no answer holds a trace, a path, a statement or a setting: every door, with a broken database."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock
from uuid import uuid4

import asyncpg
import pytest

from opsmantik.db.connect import Database
from opsmantik.web.collect import Collect
from tests.web.browsing import Browser
from tests.web.world import World

pytestmark = pytest.mark.slow

SECRET = "SELECT password_hash FROM users WHERE site_id = $1 -- /srv/opsmantik/secret.key postgresql://opsmantik_app:hunter2@db"
LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|line \d+|SELECT |INSERT |site_id = |postgresql://|hunter2|password_hash|/srv/|/work|/home/"
    r"|asyncpg|Exception|RuntimeError|pg_catalog|opsmantik_app",
)


class Broken:
    """Raises a new error whatever is asked of it."""

    def __init__(self, make: Callable[[], Exception]) -> None:
        self.make = make

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self.make()


def postgres_error() -> Exception:
    error = asyncpg.PostgresError(SECRET)
    error.detail = SECRET  # type: ignore[attr-defined]
    return error


ERRORS = {
    "of the database": postgres_error,
    "of ours": lambda: RuntimeError(SECRET),
    "a key": lambda: KeyError(SECRET),
}


@pytest.fixture(autouse=True)
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is in the log, with its trace, which takes longer to write than the answers."""
    for place in ("web.failures", "web.collect", "ingest.registry", "upkeep.folding"):
        monkeypatch.setattr(f"opsmantik.{place}.log", MagicMock())


@pytest.fixture
async def desk(signed_in: Any, make_world: Any) -> tuple[Browser, World]:
    browser, user_id = await signed_in()
    return browser, await make_world(user_id, empty=True)


def routes(web: Any) -> list[tuple[str, str]]:
    """Method and path of every handler, with something in each place."""
    found = []
    for route in web.app._framework.routes:
        for handler in getattr(route, "route_handlers", ()):
            path = re.sub(r"{[^}:]+:uuid}", str(uuid4()), route.path_format)
            path = re.sub(r"{([^}]+)}", lambda match: str(uuid4()), path)
            found += [
                (method, path) for method in sorted(handler.http_methods) if method not in ("OPTIONS", "HEAD")
            ]
    return sorted(set(found))


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS.keys())
async def test_no_page_and_no_endpoint_says_what_broke(
    desk: tuple[Browser, World], web: Any, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    browser, world = desk
    token = await browser.token("/account")
    monkeypatch.setattr(Database, "as_person", Broken(make))
    tried = broken = 0
    for method, path in routes(web):
        if path in ("/sign-out",) or "stream" in path:
            continue
        for named in {path, re.sub(r"/sites/[0-9a-f-]{36}", f"/sites/{world.site.id}", path)}:
            program = named.startswith("/api/")
            body: Any = {"content": b"{}", "headers": {"content-type": "application/json"}}
            if not program:
                body = {"data": {"form_token": token}}
            answer = await browser.http.request(method, named, **(body if method != "GET" else {}))
            tried += 1
            broken += answer.status_code >= 500
            said = answer.text + " ".join(f"{name}: {value}" for name, value in answer.headers.items())
            assert not LEAKS.search(said), (method, named, LEAKS.search(said))
            assert answer.headers["x-content-type-options"] == "nosniff", named
            assert "default-src 'none'" in answer.headers["content-security-policy"], named
    assert tried > 60 and broken > 30, (tried, broken)


BODIES = {
    "an event": {"id": str(uuid4()), "cat": "interaction", "act": "view", "url": "https://shop.example/"},
    "nothing": {},
    "a call": {"phone_number": "05321234567", "fingerprint": "abc"},
}


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("path", sorted(Collect.paths))
async def test_no_door_for_events_says_what_broke(
    desk: tuple[Browser, World], web: Any, monkeypatch: pytest.MonkeyPatch, make: Any, path: str
) -> None:
    _, world = desk
    monkeypatch.setattr(web.app.collect.writer, "write", Broken(make))
    monkeypatch.setattr(Database, "connection", Broken(make))
    browser = web.browser()
    for body in BODIES.values():
        named = {
            "site": world.site.public_id,
            "s": world.site.public_id,
            "site_id": world.site.public_id,
            **body,
        }
        for method in ("POST", "GET", "OPTIONS"):
            answer = await browser.http.request(method, path, json=named)
            said = answer.text if not path.endswith(".js") else ""
            said += " ".join(f"{name}: {value}" for name, value in answer.headers.items())
            assert not LEAKS.search(said), (method, path, answer.text)
            assert answer.headers["x-content-type-options"] == "nosniff"
            if not path.endswith(".js"):
                assert answer.headers["cache-control"] == "no-store"
                assert (
                    answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
                )


async def test_a_broken_step_of_the_pipeline_is_a_503_that_says_nothing(
    desk: tuple[Browser, World], web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, world = desk
    monkeypatch.setattr(web.app.collect.pipeline, "run", Broken(lambda: RuntimeError(SECRET)))
    event = {"site": world.site.public_id, **BODIES["an event"]}
    for path in ("/v1/events", "/api/sync"):
        answer = await web.browser().http.post(path, json=event, headers={"user-agent": "Mozilla/5.0"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert not LEAKS.search(answer.text) and answer.headers["retry-after"]
