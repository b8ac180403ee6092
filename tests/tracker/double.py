"""A site and a collector for the browser script to live between: real HTTP on loopback, one server for all.

The site answers on 127.0.0.1 and the collector on localhost, so every post is cross-origin, as in the field.
Each test gets a `Case`: pages of its own, and a collector that remembers what came and answers as it is told.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "tracker" / "dist" / "core.js"
SITE = "11111111-2222-4333-8444-555555555555"

# A phone link; once everybody has heard the tap, the browser is kept from asking which program shall dial.
CALL = """<a id=call href="tel:112">Call</a>
  <script>addEventListener("click", (e) => e.target.id === "call" && e.preventDefault())</script>"""

Event = dict[str, Any]
Answer = tuple[int, dict[str, str]]


@dataclass
class Post:
    """One request the collector saw, and the status it answered (0: it hung up without an answer)."""

    path: str
    type: str
    text: str
    at: float  # monotonic, in s
    status: int = 0

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def events(self) -> list[Event]:
        return list(self.body.get("events", []))


@dataclass
class Case:
    """What one test serves, and what its collector received."""

    number: int
    origin: str
    collector: str
    pages: dict[str, str] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    preflights: int = 0
    # (the batch) -> status and headers; None hangs up. By default everything is stored.
    answer: Callable[[Post], Answer | None] = lambda post: (200, {})
    delay: float = 0.0

    @property
    def api(self) -> str:
        return f"{self.collector}/c/{self.number}/v1/events"

    @property
    def stored(self) -> list[Event]:
        """The events the collector answered 2xx for, in order of arrival, repeats and all."""
        return [event for post in list(self.posts) if 200 <= post.status < 300 for event in post.events]

    def acts(self, *wanted: str) -> list[Event]:
        """The stored events of these kinds, each once and in order of arrival: as the server keeps them."""
        once = {event["id"]: event for event in reversed(self.stored) if event["act"] in wanted}
        return list(reversed(once.values()))

    def url(self, path: str = "") -> str:
        return f"{self.origin}/p/{self.number}/{path}"

    def page(self, body: str = "", *, path: str = "", attributes: str | None = None, head: str = "") -> str:
        """Serves a page with the script on it; returns its URL. `attributes` replaces the tag's own."""
        tag = f'data-site-id="{SITE}" data-api="{self.api}"' if attributes is None else attributes
        self.pages[path] = (
            f"<!doctype html><html><head><title>Page {path}</title><link rel=icon href=data:,>{head}"
            f'<script defer src="{self.collector}/core.js" {tag}></script></head><body>{body}</body></html>'
        )
        return self.url(path)


class Double:
    """The server. A case's number is in its paths, so a late request never reaches another test."""

    def __init__(self) -> None:
        self.cases: dict[int, Case] = {}
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                path = self.path.split("?")[0]
                if path == "/core.js":
                    self.reply(200, {"Content-Type": "text/javascript"}, SCRIPT.read_bytes())
                    return
                _, _, number, name = path.split("/", 3)
                html = double.cases[int(number)].pages.get(name)
                self.reply(
                    200 if html else 404, {"Content-Type": "text/html; charset=utf-8"}, (html or "").encode()
                )

            def do_OPTIONS(self) -> None:
                double.case_of(self.path).preflights += 1
                self.reply(200, {"Access-Control-Allow-Headers": "*"}, b"")

            def do_POST(self) -> None:
                case = double.case_of(self.path)
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                post = Post(self.path, self.headers["Content-Type"] or "", text, time.monotonic())
                answer = case.answer(post)
                time.sleep(case.delay)
                post.status = answer[0] if answer else 0
                case.posts.append(post)
                if answer is None:
                    self.close_connection = True
                    return
                body: dict[str, Any] = {"ok": post.status < 300}
                if post.status == 200:
                    body["results"] = [
                        {"index": at, "id": event.get("id"), "status": "accepted"}
                        for at, event in enumerate(post.events)
                    ]
                self.reply(post.status, answer[1], json.dumps(body).encode())

            def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                if origin := self.headers["Origin"]:
                    self.send_header("Access-Control-Allow-Origin", origin)
                    self.send_header("Access-Control-Allow-Credentials", "true")
                    self.send_header("Access-Control-Expose-Headers", "Retry-After")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128  # a browser opens connections in bursts

            def handle_error(self, request: object, client_address: object) -> None:
                """A browser that closes its connections at the end of a test is no news."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def case_of(self, path: str) -> Case:
        """The case whose path it is; what goes to an address without a number is for nobody."""
        parts = path.split("/")
        return self.cases[int(parts[2])] if parts[1] == "c" else Case(0, "", "")

    def new_case(self) -> Case:
        number = len(self.cases) + 1
        case = Case(number, f"http://127.0.0.1:{self.port}", f"http://localhost:{self.port}")
        self.cases[number] = case
        return case

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


async def eventually(check: Callable[[], Any], *, within: float = 6.0) -> Any:
    """Waits until check() is truthy and returns it; fails with its last value."""
    deadline = time.monotonic() + within
    while not (value := check()):
        assert time.monotonic() < deadline, f"still {value!r} after {within} s"
        await asyncio.sleep(0.02)
    return value


async def quiet(case: Case, *, seconds: float = 0.25, within: float = 8.0) -> None:
    """Waits until the collector has heard nothing for a while: what would come, has come."""
    deadline = time.monotonic() + within
    heard = -1
    while heard != len(case.posts):
        assert time.monotonic() < deadline, f"{heard} posts and no end"
        heard = len(case.posts)
        await asyncio.sleep(seconds)
