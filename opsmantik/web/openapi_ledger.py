"""The part of the OpenAPI document about the ledger of conversions, and where they go."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from opsmantik.dashboard.cards import ledger
from opsmantik.web import conversions_api as api
from opsmantik.web.ledger_look import BY
from opsmantik.web.openapi_reads import REF, as_sent

_SIGNED_IN: Final[list[dict[str, list[str]]]] = [{"signedIn": []}]
_HERE: Final = "/api/v1/sites/{site}/conversions"
_TYPES: Final = (
    ledger.Conversions, ledger.ConversionDetails, api.NamedConversions, api.DoneConversions, api.ConversionRoute,
    api.NewConversionRoute, api.ConversionCheck,
)  # fmt: skip
_QUERY: Final = {
    "state": {"type": "string", "description": f"One or several, separated by commas: {', '.join(ledger.STATES)}."},
    "reason": {"type": "string"},
    "click": {"type": "string", "enum": list(ledger.KINDS), "description": "The kind of click id; none: without one."},
    "q": {"type": "string", "description": "An order id, or the id of a lead or a conversion."},
    "day": {"type": "string", "enum": ["today", "yesterday"]},
    "range": {"type": "string", "enum": ["7d", "30d", "month", "all"], "default": "all"},
    "from": {"type": "string", "format": "date-time"},
    "to": {"type": "string", "format": "date-time"},
    "by": {
        "type": "string", "enum": list(BY), "default": BY[0],
        "description": "What the range is about: the lead's decision, or its capture.",
    },
    "cursor": {"type": "string"},
    "limit": {"type": "integer", "minimum": 1, "maximum": ledger.MOST, "default": ledger.PAGE},
}  # fmt: skip


@cache
def _known() -> tuple[dict[Any, Any], dict[str, Any]]:
    references, found = msgspec.json.schema_components(_TYPES, ref_template=REF)
    return dict(zip(_TYPES, map(as_sent, references), strict=True)), as_sent(found)


def schemas() -> dict[str, Any]:
    """The types that are named below."""
    return _known()[1]


def paths() -> dict[str, Any]:
    """All paths about the ledger, and about where conversions go."""
    unreadable = {"400": "The request cannot be read."}
    many = unreadable | {"422": "More than 1,000 at once."}
    return {
        _HERE: {"get": _operation(
            "listConversions", "The ledger, newest first", ledger.Conversions, query=_QUERY, more=unreadable)},
        f"{_HERE}/{{conversion_id}}": {"get": _operation(
            "showConversion", "One conversion with its moves and batches", ledger.ConversionDetails,
            ("conversion_id",))},
        f"{_HERE}/retry": {"post": _operation(
            "retryConversions", "Have conversions tried again now", api.DoneConversions, body=api.NamedConversions,
            more=many)},
        f"{_HERE}/drop": {"post": _operation(
            "dropConversions", "Keep conversions from leaving", api.DoneConversions, body=api.NamedConversions,
            more=many)},
        f"{_HERE}/route": {
            "get": _operation("showConversionRoute", "Where the site's conversions go", api.ConversionRoute),
            "put": _operation(
                "putConversionRoute", "Say where the site's conversions go", api.ConversionRoute,
                body=api.NewConversionRoute,
                more=unreadable | {
                    "409": "A batch is under way by another adapter.", "422": "The destination is not that adapter's."}),
        },
        f"{_HERE}/route/check": {"post": _operation(
            "checkConversionRoute", "Try the connection; nothing is sent", api.ConversionCheck)},
    }  # fmt: skip


def _operation(
    name: str, summary: str, answer: Any, path: tuple[str, ...] = (), *, body: Any = None, query: Any = None,
    more: Any = None,
) -> dict[str, Any]:  # fmt: skip
    refusals = {
        "401": "Nobody is signed in.", "403": "The asker's role does not allow it.",
        "404": "There is no such thing, or it is not the asker's.", **(more or {}),
    }  # fmt: skip
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    done = {"description": "Done.", "content": {"application/json": {"schema": _known()[0][answer]}}}
    parameters = [
        {"name": one, "in": "path", "required": True, "schema": {"type": "string"}} for one in ("site", *path)
    ]
    parameters += [
        {
            "name": one, "in": "query", "required": False,
            "schema": {key: value for key, value in schema.items() if key != "description"},
            **({"description": schema["description"]} if "description" in schema else {}),
        }
        for one, schema in (query or {}).items()
    ]  # fmt: skip
    found: dict[str, Any] = {
        "operationId": name, "summary": summary, "tags": ["conversions"], "security": _SIGNED_IN, "parameters": parameters,
        "responses": {
            "200": done,
            **{code: {"description": words, "content": problem} for code, words in refusals.items()},
        },
    }  # fmt: skip
    if body is not None:
        found["requestBody"] = {
            "required": True, "content": {"application/json": {"schema": _known()[0][body]}},
        }  # fmt: skip
    return found
