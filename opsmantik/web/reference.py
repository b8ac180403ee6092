"""The description of the interface: ``/api/openapi.json`` for programs, ``/api/docs`` for people.

The page is made from the document itself, on the server: no viewer, no script, nothing from another host.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Response, get

from opsmantik.web.openapi import document
from opsmantik.web.rendering import PageRequest, page

PUBLIC: Final = {"public": True}
_REF: Final = "#/components/schemas/"
EVENTS: Final = "events"


class Field(NamedTuple):
    """A parameter, or a key of a type: its name, what it holds, whether it must be there, and what it means."""

    name: str
    kind: str
    required: bool
    words: str


class Operation(NamedTuple):
    """One method of one path, as the page shows it."""

    method: str
    path: str
    name: str
    summary: str
    words: list[tuple[str, str]]
    deprecated: bool
    parameters: list[Field]
    body: str
    answers: list[tuple[str, str, str]]


@cache
def encoded() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(), order="deterministic")


@cache
def groups() -> dict[str, list[Operation]]:
    """All operations, by what they are for."""
    found: dict[str, list[Operation]] = {
        "reads": [],
        "decisions": [],
        "conversions": [],
        "webhooks": [],
        EVENTS: [],
        "first generation": [],
    }
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            group = (operation.get("tags") or [EVENTS])[0]
            found.setdefault(group, []).append(_operation(method.upper(), path, operation))
    return found


@cache
def types() -> dict[str, list[Field]]:
    """The keys of every type."""
    schemas = document()["components"]["schemas"]
    return {name: _fields(schema) for name, schema in schemas.items()}


def _operation(method: str, path: str, operation: dict[str, Any]) -> Operation:
    parameters = [
        Field(p["name"], _kind(p["schema"]), p["required"], p.get("description", ""))
        for p in operation.get("parameters", ())
    ]
    contents: list[Any] = list(operation.get("requestBody", {}).get("content", {}).values())
    schema: dict[str, Any] = contents[0]["schema"] if contents else {}
    if "properties" in schema:
        parameters += _fields(schema)
    return Operation(
        method=method,
        path=path,
        name=operation["operationId"],
        summary=operation["summary"],
        words=[_defined(line) for line in operation.get("description", "").splitlines() if line],
        deprecated=operation.get("deprecated", False),
        parameters=parameters,
        body=_kind(schema) if schema and "properties" not in schema else "",
        answers=[
            (status, response["description"], _kind_of_answer(response))
            for status, response in operation["responses"].items()
        ],
    )


def _defined(line: str) -> tuple[str, str]:
    """A key and its definition; without a key where the line defines none."""
    name, colon, words = line.removeprefix("- ").partition("`: ")
    return (name.lstrip("`"), words) if colon else ("", line)


def _kind_of_answer(response: dict[str, Any]) -> str:
    content = response.get("content", {})
    return _kind(next(iter(content.values()))["schema"]) if content else ""


def _fields(schema: dict[str, Any]) -> list[Field]:
    required = schema.get("required", ())
    properties = schema.get("properties") or {}
    return [
        Field(name, _kind(value), name in required, value.get("description", ""))
        for name, value in properties.items()
    ]


def _kind(schema: dict[str, Any]) -> str:
    """What a value is, in a word or two; the name of a type where it is one."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(_kind(part) for part in schema[several]))
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " | ".join(kind)
    if kind == "array":
        return f"{_kind(schema.get('items') or {})}[]"
    return str(schema.get("format", kind))


@get("/api/openapi.json", opt=PUBLIC)
async def show_document(request: PageRequest) -> Response[bytes]:
    """The OpenAPI document."""
    return Response(encoded(), media_type="application/json", headers={"cache-control": "max-age=300"})


@get("/api/docs", opt=PUBLIC)
async def show_reference(request: PageRequest) -> Response[Any]:
    """The same, to read."""
    return page(request, "reference.html", groups=groups(), types=types())


HANDLERS: Final = [show_document, show_reference]
