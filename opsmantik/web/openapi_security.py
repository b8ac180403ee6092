"""Who may call what, in the OpenAPI document: taken from the handlers themselves, so that it cannot say anything else."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar.handlers import BaseRouteHandler

from opsmantik.people.capabilities import SCOPES, Capability
from opsmantik.web import (
    acts,
    api,
    batches_api,
    conversions_api,
    customers,
    dead_letters,
    decisions,
    legacy,
    oci,
    oci_script,
    privacy,
    refused,
    stats,
    stream,
    webhooks_api,
)
from opsmantik.web.procedures import TOOLS

_HANDLERS: Final[tuple[BaseRouteHandler, ...]] = (
    *acts.HANDLERS, *api.HANDLERS, *customers.HANDLERS, *dead_letters.HANDLERS, *decisions.HANDLERS, *legacy.HANDLERS,
    *batches_api.HANDLERS, *conversions_api.HANDLERS, *oci.HANDLERS,
    *oci_script.HANDLERS, *privacy.HANDLERS, *refused.HANDLERS, *stats.HANDLERS, *stream.HANDLERS, *webhooks_api.HANDLERS,
)  # fmt: skip
_CALL: Final = "/api/rpc/"

SCHEMES: Final = {
    "key": {
        "type": "http", "scheme": "bearer", "bearerFormat": "om_person_… or om_site_…",
        "description": "A key, made under Account or in a site's settings; the scopes that a call needs are named with it.",
    },
    "keyHeader": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key."},
}  # fmt: skip
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_REFUSAL: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/CallRefusal"}}}
_AGAIN: Final = {
    "Retry-After": {
        "description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 1},
    }
}  # fmt: skip
_ANSWERS: Final = {
    "401": ("Nobody is signed in, or the key is not good.", False),
    "403": ("The asker's role, or the key's scopes, do not allow it.", False),
    "429": ("Too many requests with keys that are none, from this network.", True),
    "503": ("The database does not answer now; nothing was stored.", True),
}


def secured(paths: dict[str, Any]) -> dict[str, Any]:
    """The same paths, each operation with the keys that open it, and with the refusals that all of them share."""
    needs = _needs()
    return {
        path: {method: _secured(path, needs.get((path, method)), one) for method, one in operations.items()}
        for path, operations in paths.items()
    }


def _secured(path: str, needed: Capability | None, operation: dict[str, Any]) -> dict[str, Any]:
    if not operation.get("security"):
        return operation
    is_call = path.startswith(_CALL)
    scopes = [Capability.READ] if is_call else [needed] if needed is not None else []
    tool = TOOLS.get(path.removeprefix(_CALL))
    if tool is not None and tool.needs not in scopes:
        scopes.append(tool.needs)
    more: list[dict[str, Any]] = []
    if scopes and all(scope in SCOPES for scope in scopes):
        more = [{name: [str(scope) for scope in scopes]} for name in SCHEMES]
    shared: dict[str, Any] = {
        status: {"description": words, "content": _REFUSAL if is_call else _PROBLEM}
        | ({"headers": _AGAIN} if again else {})
        for status, (words, again) in _ANSWERS.items()
    }
    responses = {**shared, **operation["responses"]}
    return {
        **operation, "security": [*operation["security"], *more], "responses": dict(sorted(responses.items())),
    }  # fmt: skip


def _needs() -> dict[tuple[str, str], Capability]:
    found = {}
    for handler in _HANDLERS:
        for path in handler.paths:
            described = re.sub(r"\{([a-z_]+):[a-z]+\}", r"{\1}", path).replace("{site_name}", "{site}")
            for method in handler.http_methods:  # type: ignore[attr-defined]
                if isinstance(handler.opt.get("needs"), Capability):
                    found[described, method.lower()] = handler.opt["needs"]
    return found
