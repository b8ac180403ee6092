"""How Google's APIs say no: https://google.aip.dev/193."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.conversions.google.server import Response

STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


class Violation(Exception):  # noqa: N818 - what is wrong with a field
    """One field of a request is wrong. ``reason`` is a word of the API's own list; none for what no parser can read."""

    def __init__(self, field: str, reason: str | None, description: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.detail = {"field": field, "description": description} | ({"reason": reason} if reason else {})


def no(
    code: int,
    message: str,
    *,
    reason: str | None = None,
    domain: str = "datamanager.googleapis.com",
    violations: Sequence[Violation] = (),
    metadata: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An answer that says why not."""
    details: list[dict[str, Any]] = []
    if reason:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain,
                "metadata": metadata or {},
            }
        )  # fmt: skip
    if violations:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [violation.detail for violation in violations],
            }
        )
    details.append({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "t-000"})
    error = {"code": code, "message": message, "status": STATUS[code], "details": details}
    return Response(code, {"error": error}, headers or {})
