"""What a reader sees when something is refused or breaks: words, never a trace; programs get problem+json."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import MediaType, Response, get
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from opsmantik.errors import NotFound, NotSignedIn, OpsMantikError
from opsmantik.web.login import sign_in_address
from opsmantik.web.rendering import PageRequest, page

log = structlog.get_logger()

WORDS = {
    400: "malformed", 403: "forbidden", 404: "not_found", 405: "method", 413: "malformed", 422: "malformed",
    429: "too_many", 503: "unavailable",
}  # fmt: skip
PROGRAMS = ("/api/", "/v1/", "/healthz", "/readyz")


def refused(request: PageRequest, error: OpsMantikError) -> Response[Any]:
    """One of our own errors."""
    if error.status >= 500 and error.retry_after is None:
        log.error("web.failed", code=error.code, error=str(error), path=request.url.path)
    if isinstance(error, NotSignedIn) and not _is_program(request):
        return _to_sign_in(request)
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
    return _answer(request, error.status, error.code, error.message, headers)


@get("/{anything:path}", opt={"public": True})
async def nowhere(request: PageRequest) -> None:
    """Every address that is no page. As a handler, so that it is known who asks and in which language."""
    raise NotFound(what="page")


def framework_refused(request: PageRequest, error: HTTPException) -> Response[Any]:
    """The framework's: no such route, wrong method, body too large, form not readable."""
    return _answer(request, error.status_code, f"http_{error.status_code}", "", dict(error.headers or {}))


def broken(request: PageRequest, error: Exception) -> Response[Any]:
    """A mistake of ours: all of it in the log, none of it on the screen."""
    log.error("web.broken", path=request.url.path, exc_info=error)
    return _answer(request, 500, "internal_error", "", {})


def _to_sign_in(request: PageRequest) -> Response[Any]:
    """A page leads to the sign-in; a part of a page tells its page to go there; a stream ends."""
    if request.headers.get("hx-request"):
        return Response(b"", status_code=401, headers={"hx-refresh": "true"})
    if request.method != "GET" or "text/html" not in request.headers.get("accept", "text/html"):
        return Response(b"", status_code=401)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Redirect(sign_in_address(path), status_code=303)


def _is_program(request: PageRequest) -> bool:
    return request.url.path.startswith(PROGRAMS)


def _answer(
    request: PageRequest, status: int, code: str, detail: str, headers: dict[str, str]
) -> Response[Any]:
    if _is_program(request):
        problem = {"type": "about:blank", "status": status, "code": code, "detail": detail}
        return Response(problem, status_code=status, media_type="application/problem+json", headers=headers)
    if request.headers.get("hx-request"):  # the page keeps its old figures; nobody reads this
        return Response(b"", status_code=status, media_type=MediaType.TEXT, headers=headers)
    words = WORDS.get(status, "broken" if status >= 500 else "malformed")
    return page(request, "error.html", status=status, words=words, headers=headers)
