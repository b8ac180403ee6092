"""What a reader sees when something is refused or breaks: words, never a trace.

Programs get ``application/problem+json`` (RFC 9457), with our stable ``code`` beside what the standard names and, for
scripts of the first generation, the words once more as ``error``. Its calls (/api/rpc) get the shape that their own
server gave them.
"""

from __future__ import annotations

from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import structlog
from litestar import MediaType, Response, get
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from opsmantik.dashboard.asked import TOO_SMALL
from opsmantik.errors import (
    BadRange,
    ConfirmFirst,
    Conflict,
    Forbidden,
    KeyRefused,
    NotFound,
    NotSignedIn,
    OpsMantikError,
    OutOfScope,
)
from opsmantik.people.capabilities import PLATFORM_ADMIN, Capability, is_of_a_site, roles_with
from opsmantik.web import watch
from opsmantik.web.guard import NOT_PLATFORM
from opsmantik.web.login import confirm_address, sign_in_address
from opsmantik.web.rendering import PageRequest, page

log = structlog.get_logger()

WORDS = {
    400: "malformed", 403: "forbidden", 404: "not_found", 405: "method", 413: "malformed", 422: "malformed",
    429: "too_many", 503: "unavailable",
}  # fmt: skip
PROGRAMS = ("/api/", "/v1/", "/healthz", "/readyz")
# What the framework refuses goes by our words too.
CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
CALLS = "/api/rpc/"
# What an exception that a function raised itself was called there.
RAISED = "P0001"


def refused(request: PageRequest, error: OpsMantikError) -> Response[Any]:
    """One of our own errors."""
    if error.status >= 500 and error.retry_after is None:
        log.error("web.failed", code=error.code, error=str(error), path=request.url.path)
    watch.refused(request, error)
    if isinstance(error, NotSignedIn) and not _is_program(request):
        return _to_sign_in(request)
    if isinstance(error, ConfirmFirst) and not _is_program(request):
        return Redirect(confirm_address(str(error.details["back"])), status_code=303)
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
    headers |= _challenge(error)
    if request.url.path.startswith(CALLS):
        return call_refused(error.status, *first_generation(error), headers)
    lost = {name: value for name, value in error.details.items() if name != "reason"}
    more: dict[str, Any] = {"conflict": lost} if isinstance(error, Conflict) and lost else {}
    if "kind" in error.details:  # for screens that say it in another language
        more["kind"] = error.details["kind"]
    words = "bad_range" if isinstance(error, BadRange) else _role_words(error)
    return _answer(request, error.status, error.code, error.message, headers, more, words)


@get("/{anything:path}", opt={"public": True})
async def nowhere(request: PageRequest) -> None:
    """Every address that is no page. As a handler, so that it is known who asks and in which language."""
    raise NotFound(what="page")


def framework_refused(request: PageRequest, error: HTTPException) -> Response[Any]:
    """The framework's: no such route, wrong method, body too large, form not readable."""
    headers = dict(error.headers or {})
    detail = f"{request.method} is not answered here." if error.status_code == 405 else ""
    code = CODES.get(error.status_code, f"http_{error.status_code}")
    return _answer(request, error.status_code, code, detail, headers)


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


def _challenge(error: OpsMantikError) -> dict[str, str]:
    """What a program is told about the key that it should have come with (RFC 6750)."""
    match error:
        case NotSignedIn():
            return {"www-authenticate": "Bearer"}
        case KeyRefused():
            return {"www-authenticate": 'Bearer error="invalid_token"'}
        case OutOfScope():
            scope = error.details["scope"]
            return {"www-authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
    return {}


def _is_program(request: PageRequest) -> bool:
    return bool(request.url.path.startswith(PROGRAMS) or request.state.get("by_key"))


def _answer(
    request: PageRequest,
    status: int,
    code: str,
    detail: str,
    headers: dict[str, str],
    more: Any = MappingProxyType({}),
    words: str = "",
) -> Response[Any]:
    detail = detail or HTTPStatus(status).description
    if request.url.path.startswith(CALLS):
        return call_refused(status, code, detail, None, headers)
    if _is_program(request):
        problem = {
            "type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail,
            "instance": request.url.path, "code": code, "error": detail, **more,
        }  # fmt: skip
        return Response(problem, status_code=status, media_type="application/problem+json", headers=headers)
    if request.headers.get("hx-request"):  # the page keeps its old figures; nobody reads this
        return Response(b"", status_code=status, media_type=MediaType.TEXT, headers=headers)
    words = words or WORDS.get(status, "broken" if status >= 500 else "malformed")
    needed: Capability | None = request.state.get("needs")
    roles = roles_with(needed) if needed is not None and is_of_a_site(needed) else ()
    return page(
        request, "error.html", status=status, headers=headers, words=words, again=_here(request),
        roles=[role for role in roles if role != PLATFORM_ADMIN], site_id=request.path_params.get("site_id"),
        wait=int(headers.get("retry-after", "0")),
    )  # fmt: skip


def _role_words(error: OpsMantikError) -> str:
    """Which words tell somebody that it is their role, and not their form, that is not accepted."""
    if not isinstance(error, Forbidden):
        return ""
    return {TOO_SMALL: "too_small", NOT_PLATFORM: "not_platform"}.get(str(error.details.get("reason")), "")


def _here(request: PageRequest) -> str:
    """What to ask for again: the same address, where it was a page that was asked for."""
    query = f"?{request.url.query}" if request.url.query else ""
    return request.url.path + query if request.method == "GET" else "/sites"


def first_generation(error: OpsMantikError) -> tuple[str, str, str | None]:
    """Code, message and details of one of our errors as a call's refusal: what its functions raised themselves keeps
    the words that programs compare."""
    if isinstance(error, NotSignedIn):
        return RAISED, "not_authenticated", "User must be authenticated"
    if isinstance(error, BadRange):
        return RAISED, error.message, None
    return error.code, error.message, None


def call_refused(
    status: int, code: str, message: str, details: str | None = None, headers: dict[str, str] | None = None
) -> Response[Any]:
    """The refusal of a call of the first generation."""
    body = {"code": code, "message": message, "details": details, "hint": None}
    return Response(body, status_code=status, media_type=MediaType.JSON, headers=headers)
