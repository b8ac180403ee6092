"""``opsmantik smoke``: does a running server do what it promises, seen from outside? For after a deployment, from anywhere.

Nothing of it counts for any site, unless ``--send``: then one test visit goes to the site that is named, with a click id
that no ad platform ever gave; the site's install page knows it, shows it as a test, and removes it. Ends with 1 where
something is not as it should be, with 2 where there is no server at all.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

import httpx
import msgspec
import typer

from opsmantik import clock
from opsmantik.dashboard.cards.install_state import TEST_SENT
from opsmantik.errors import Unprocessable
from opsmantik.sites.trackers import TRACKER

SECONDS: Final = 15.0
ELSEWHERE: Final = "https://elsewhere.example"
BROWSER: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
TAP: Final = "tel:+12025550123"
NO_SERVER: Final = 2
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Seen(msgspec.Struct, frozen=True):
    """One thing that was looked at; ``wrong`` is empty where it is as it should be."""

    what: str
    says: str
    wrong: str = ""


class NoServer(Exception):  # noqa: N818 - what was found, not a mistake of ours
    """Nothing answers at that address."""


def smoke(
    url: Annotated[str, typer.Option(help="The server's public address.")],
    site: Annotated[str, typer.Option(help="A site by its id or public id, to ask about with --key.")] = "",
    key: Annotated[
        str, typer.Option(envvar="OPSMANTIK_SMOKE_KEY", help="A key that may read that site's figures.")
    ] = "",
    send: Annotated[
        bool, typer.Option("--send", help="Send a test visit with a test lead to that site.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look at a running server from outside."""
    if (key or send) and not site:
        raise Unprocessable(reason="--key and --send need --site")
    try:
        found = list(look(url.rstrip("/"), site=site, key=key, send=send))
    except NoServer as nobody:
        typer.echo(f"opsmantik: {nobody}", err=True)
        raise typer.Exit(NO_SERVER) from None
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    for seen in () if as_json else found:
        typer.echo(f"{'bad' if seen.wrong else 'ok ':3}  {seen.what}: {seen.wrong or seen.says}")
    if any(seen.wrong for seen in found):
        raise typer.Exit(1)


def look(url: str, *, site: str = "", key: str = "", send: bool = False) -> Iterator[Seen]:
    """Everything, one after the other. Raises :class:`NoServer` where the first question has no answer."""
    headers = {"user-agent": BROWSER}
    with httpx.Client(base_url=url, timeout=SECONDS, headers=headers, trust_env=False) as http:
        try:
            http.get("/healthz")
        except httpx.HTTPError as failed:
            raise NoServer(f"nothing answers at {url}: {failed or type(failed).__name__}") from None
        for what, ask in QUESTIONS.items():
            yield _seen(what, ask, http)
        public_id = site
        if key:
            asked = _Site(http, site, key)
            for what, look_at in asked.questions().items():
                yield _seen(what, lambda _, look_at=look_at: look_at(), http)  # type: ignore[misc]
            public_id = asked.public_id or site
        if send:
            yield _seen("test visit", lambda http: _send(http, public_id), http)


class _Wrong(Exception):  # noqa: N818 - what is wrong with the server
    pass


def _seen(what: str, ask: Callable[[httpx.Client], str], http: httpx.Client) -> Seen:
    try:
        return Seen(what, ask(http))
    except _Wrong as wrong:
        return Seen(what, "", str(wrong))
    except (httpx.HTTPError, KeyError, TypeError, ValueError, msgspec.MsgspecError) as failed:
        return Seen(what, "", f"{type(failed).__name__}: {failed}"[:300])


def _want(right: bool, words: str) -> None:
    if not right:
        raise _Wrong(words)


def _answers(answer: httpx.Response, status: int) -> None:
    _want(answer.status_code == status, f"it answers {answer.status_code} instead of {status}")


def _health(http: httpx.Client) -> str:
    answer = http.get("/healthz", headers={"x-request-id": "smoke-request-id"})
    _answers(answer, 200)
    _want(answer.json() == {"status": "ok"}, "that is not OpsMantik")
    _want(answer.headers.get("x-request-id") == "smoke-request-id", "a request's id does not come back")
    return "it lives"


def _ready(http: httpx.Client) -> str:
    answer = http.get("/readyz")
    reasons = "; ".join(reason["message"] for reason in answer.json().get("reasons", []))
    _want(answer.status_code == 200, reasons or f"it answers {answer.status_code}")
    return "it takes traffic"


def _tracker(http: httpx.Client) -> str:
    answer = http.get("/assets/core.js")
    _answers(answer, 200)
    headers = answer.headers
    _want(
        headers.get("content-type", "").startswith("text/javascript"), "it is no script by its content type"
    )
    for name, value in (
        ("access-control-allow-origin", "*"), ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
    ):  # fmt: skip
        _want(headers.get(name) == value, f"{name} is {headers.get(name)!r} instead of {value!r}")
    _want("public" in headers.get("cache-control", ""), "browsers may not keep it")
    _want(bool(answer.content), "it is empty")
    again = http.get("/assets/core.js", headers={"if-none-match": headers.get("etag", "")})
    _want(again.status_code == 304, "a browser that has it is sent it again (a proxy changes its ETag?)")
    return f"{len(answer.content):,} bytes"


def _pages(http: httpx.Client) -> str:
    answer = http.get("/sign-in")
    _answers(answer, 200)
    for name in ("content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"):
        _want(name in answer.headers, f"{name} is missing")
    if http.base_url.scheme == "https":
        _want(
            "strict-transport-security" in answer.headers,
            "strict-transport-security is missing: is OPSMANTIK_PUBLIC_URL https?",
        )
    return "with their protection"


def _allowed(http: httpx.Client) -> str:
    asks = {
        "origin": ELSEWHERE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    answer = http.request("OPTIONS", "/v1/events", headers=asks)
    _answers(answer, 204)
    _want(answer.headers.get("access-control-allow-origin") == ELSEWHERE, "no page elsewhere may send events")
    _want("POST" in answer.headers.get("access-control-allow-methods", ""), "no page may post")
    return "events may come from the pages of sites"


def _refused(http: httpx.Client) -> str:
    asks = {
        "origin": ELSEWHERE,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
    }
    for answer in (
        http.get("/api/v1/sites", headers=asks),
        http.request("OPTIONS", "/api/v1/sites", headers=asks),
    ):
        _want(
            "access-control-allow-origin" not in answer.headers,
            "pages elsewhere may read figures with a visitor's cookie",
        )
    _answers(http.get("/api/v1/sites"), 401)
    return "figures are for those who sign in"


def _malformed(http: httpx.Client) -> str:
    headers = {"origin": ELSEWHERE, "content-type": "text/plain"}
    answer = http.post("/v1/events", content=b'{"site":', headers=headers)
    _answers(answer, 400)
    _want(answer.json()["code"] == "malformed", f"its code is {answer.json()['code']}")
    _want(
        answer.headers.get("access-control-allow-origin") == ELSEWHERE,
        "the page cannot read the answer, and tries for ever",
    )
    old = http.post("/api/sync", content=b'{"site":', headers=headers)
    _answers(old, 200)
    _want(old.json()["ok"] is False, "an old tracker would think it was stored")
    return "400, and 200 with ok: false for the first generation"


def _unknown(http: httpx.Client) -> str:
    body = msgspec.json.encode(
        {"site": uuid4().hex, "sent": int(time.time() * 1000), "events": [_event("view")]}
    )
    answer = http.post(
        "/v1/events", content=body, headers={"origin": ELSEWHERE, "content-type": "text/plain"}
    )
    _answers(answer, 404)
    _want(answer.json()["code"] == "unknown_site", f"its code is {answer.json()['code']}")
    return "404"


def _metrics(http: httpx.Client) -> str:
    status = http.get("/metrics").status_code
    if urlsplit(str(http.base_url)).hostname in LOOPBACK:
        return f"it answers {status} on this machine"
    _want(status in (401, 403, 404), f"everybody may read /metrics: it answers {status}")
    return "closed"


QUESTIONS: Final[dict[str, Callable[[httpx.Client], str]]] = {
    "health": _health, "readiness": _ready, "tracker": _tracker, "pages": _pages, "events from elsewhere": _allowed,
    "figures from elsewhere": _refused, "a malformed event": _malformed, "an event of an unknown site": _unknown,
    "metrics": _metrics,
}  # fmt: skip


class _Site:
    """What a key tells about a site."""

    def __init__(self, http: httpx.Client, site: str, key: str) -> None:
        self._http = http
        self._name = site.replace("-", "").lower()
        self._headers = {"authorization": f"Bearer {key}"}
        self._id = site
        self.public_id: str | None = None

    def questions(self) -> dict[str, Callable[[], str]]:
        return {"the site": self._known, "its today": self._today, "its ranges": self._ranges}

    def _get(self, path: str, **query: str) -> httpx.Response:
        return self._http.get(path, params=query, headers=self._headers)

    def _known(self) -> str:
        answer = self._get("/api/v1/sites")
        _answers(answer, 200)
        for each in answer.json()["items"]:
            if self._name in (each["public_id"].lower(), UUID(each["id"]).hex):
                self._id, self.public_id = each["id"], each["public_id"]
                return str(each["name"])
        raise _Wrong("this key does not open that site")

    def _figures(self, **query: str) -> Any:
        answer = self._get(f"/api/v1/sites/{self._id}/command-centre", **query)
        _want(answer.status_code == 200, f"it answers {answer.status_code}: {answer.text[:200]}")
        return answer.json()

    def _today(self) -> str:
        found = self._figures(day="today")
        zone, as_of = found["range"]["time_zone"], _instant(found["as_of"])
        day = clock.today(zone, as_of)
        begins = clock.site_day(zone, day).start
        _want(
            _instant(found["range"]["from"]) == begins,
            f"today begins at {found['range']['from']}, and in {zone} at {begins}",
        )
        apart = abs((as_of - datetime.now(UTC)).total_seconds())
        _want(apart < 60, f"its clock is {apart:.0f} s from ours")
        told = {name: found["figures"][name] for name in ("sessions", "leads", "sealed", "junk")}
        return f"{day} in {zone}: " + ", ".join(f"{n} {name}" for name, n in told.items())

    def _ranges(self) -> str:
        whole = self._figures(day="yesterday")
        start, end = _instant(whole["range"]["from"]), _instant(whole["range"]["to"])
        middle = start + (end - start) / 2
        parts = [
            self._figures(**{"from": a.isoformat(), "to": b.isoformat()})
            for a, b in ((start, middle), (middle, end))
        ]
        for name in ("sessions", "leads", "events"):
            halves = sum(part["figures"][name] for part in parts)
            _want(
                halves == whole["figures"][name],
                f"{name} of yesterday are {whole['figures'][name]}, and of its two halves {halves}:"
                " an instant counts twice, or not at all",
            )
        long = {"from": (end - timedelta(days=200)).isoformat(), "to": end.isoformat()}
        status = self._get(f"/api/v1/sites/{self._id}/command-centre", **long).status_code
        _want(status == 400, f"a range of 200 days is answered with {status} instead of 400")
        return "half-open, six months at most"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _event(action: str, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "ts": int(time.time() * 1000), "sid": str(uuid4()), "cat": "interaction", "act": action,
        "url": f"{ELSEWHERE}/", **more,
    }  # fmt: skip


def _send(http: httpx.Client, public_id: str) -> str:
    click = f"{TEST_SENT}{secrets.token_hex(6)}"
    campaign = {
        "gclid": click,
        "utm_source": "opsmantik",
        "utm_medium": "test",
        "utm_campaign": "OpsMantik test",
    }
    tap = _event(
        "phone_call", cat="conversion", label=TAP, url=f"{ELSEWHERE}/?{urlencode(campaign)}",
        consent={"analytics": True, "marketing": True},
    )  # fmt: skip
    body = {"site": public_id, "sent": int(time.time() * 1000), "v": TRACKER, "events": [tap]}
    # No page sent it, so it names none: a server's event needs no allowed origin.
    answer = http.post(
        "/v1/events", content=msgspec.json.encode(body), headers={"content-type": "text/plain"}
    )
    _want(answer.status_code == 200, f"it answers {answer.status_code}: {answer.text[:200]}")
    _want(answer.json()["results"][0]["status"] == "accepted", f"it is {answer.json()['results'][0]}")
    return f"stored, with a lead; its click id is {click}. The site's install page removes it."
