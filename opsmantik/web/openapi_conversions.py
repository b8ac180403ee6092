"""The part of the OpenAPI document about conversions that somebody carries: batches, files, and Google's scripts."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from opsmantik.conversions.batches import BatchRow
from opsmantik.upkeep.exporting import Receipt
from opsmantik.web import batches_api, oci, oci_script
from opsmantik.web.openapi_reads import REF, as_sent

_SIGNED_IN: Final[list[dict[str, list[str]]]] = [{"signedIn": []}]
_PASSWORD: Final[list[dict[str, list[str]]]] = [{"pullPassword": []}]
_HERE: Final = "/api/v1/sites/{site}/conversions/batches"
_TYPES: Final = (*batches_api.TYPES, *oci.TYPES, *oci_script.TYPES)
SCHEMES: Final = {
    "pullPassword": {
        "type": "http", "scheme": "basic",
        "description": "The site's public id and the password that its settings showed once: Google's scheduled import.",
    }
}  # fmt: skip
_CSV: Final = {"text/csv": {"schema": {"type": "string"}}}
_FILE: Final = {
    name: {"description": words, "schema": {"type": "string"}}
    for name, words in {
        "ETag": "SHA-256 of the file.",
        "Repr-Digest": "The same, by RFC 9530.",
        "Content-Disposition": "The file's name.",
        "X-OpsMantik-Rows": "Conversions in it.",
        "X-OpsMantik-Missing": "Conversions of the batch that are not in it: erased, withdrawn, or not to be used.",
        "X-OpsMantik-Changed": "Only where the file is not what it was at its first download: why.",
    }.items()
}
_SITE_ID: Final = {"siteId": {"type": "string"}}
_NOT_NOW: Final = {"409": "The site's conversions leave another way, or not now: its words say what to do."}
_UNREADABLE: Final = {"400": "The request cannot be read."}
_SIGNATURE: Final = {
    "name": oci_script.SIGNATURE, "in": "header", "required": False, "schema": {"type": "string"},
    "description": "HMAC-SHA256 of the body with the key, in hexadecimal. Checked where it is sent.",
}  # fmt: skip


@cache
def _known() -> tuple[dict[Any, Any], dict[str, Any]]:
    references, found = msgspec.json.schema_components(_TYPES, ref_template=REF)
    return dict(zip(_TYPES, map(as_sent, references), strict=True)), as_sent(found)


def schemas() -> dict[str, Any]:
    """The types that are named below."""
    return _known()[1]


def paths() -> dict[str, Any]:
    """All paths about batches, Google's fetching, and scripts."""
    one = f"{_HERE}/{{batch_id}}"
    pages = {
        "state": {"type": "string", "enum": list(batches_api.STATES)}, "cursor": {"type": "string"},
        "limit": {"type": "integer", "minimum": 1, "maximum": batches_api.MOST, "default": batches_api.PAGE},
    }  # fmt: skip
    claims = {
        **_SITE_ID, "cursor": {"type": "string"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000},
        "markAsExported": {"type": "string", "enum": ["true", "false"], "default": "false"},
    }  # fmt: skip
    return {
        _HERE: {
            "get": _operation(
                "listBatches", "The site's batches, newest first", batches_api.Batches, ("site",), query=pages,
                more=_UNREADABLE),
            "post": _also_201(_operation(
                "makeBatch", "Make a batch of what is due, or preview it", batches_api.MadeBatch, ("site",),
                body=batches_api.NewBatch, more=_UNREADABLE | _NOT_NOW)),
        },
        one: {"get": _operation(
            "showBatch", "One batch with its conversions", batches_api.OneBatch, ("site", "batch_id"))},
        f"{one}/file": {"get": _file(
            "batchFile", "The batch's file, as often as it is wanted", ("site", "batch_id"),
            more={"409": "The batch was cancelled, or the server itself sends it."})},
        f"{one}/acknowledge": {"post": _operation(
            "acknowledgeBatch", "Say what became of a batch, in whole or one by one", Receipt, ("site", "batch_id"),
            body=batches_api.Acknowledgement,
            more=_UNREADABLE | {"409": "The server itself hears what becomes of it."})},
        f"{one}/cancel": {"post": _operation(
            "cancelBatch", "Nothing of it was carried anywhere: its conversions are due again", BatchRow,
            ("site", "batch_id"), more={"409": "It has its answer, or a part of it."})},
        "/api/oci/pull/{file_name}": {"get": _pull()},
        "/api/oci/export": {
            "get": _file(
                "exportFile", "The file of the latest open batch; marks nothing", query=_SITE_ID,
                more=_UNREADABLE | {"409": "No batch is open, or conversions leave another way; its words say more."}),
            "post": _operation("makeExport", "Make a batch of what is due, or preview it", oci.Export,
                body=oci.ExportBody, more=_UNREADABLE | _NOT_NOW),
        },
        "/api/oci/v2/verify": {"post": _operation(
            "verifyKey", "Swap a key for a token of an hour", oci_script.Token, body=oci_script.SiteBody,
            more=_UNREADABLE)},
        "/api/oci/google-ads-export": {"get": _operation(
            "scriptExport", "A script claims a batch (markAsExported=true), or peeks at what is due",
            oci_script.ScriptExport, query=claims, more=_UNREADABLE | _NOT_NOW)},
        "/api/oci/ack": {"post": _signed(_operation(
            "scriptAck", "What became of what was claimed; said again, it changes nothing", oci_script.Acked,
            body=oci_script.AckBody, more=_UNREADABLE | _NOT_NOW))},
        "/api/oci/ack-failed": {"post": _signed(_operation(
            "scriptAckFailed", "What could not be delivered, and whether it is tried again", oci_script.Acked,
            body=oci_script.AckFailedBody, more=_UNREADABLE | _NOT_NOW))},
    }  # fmt: skip


def _operation(
    name: str, summary: str, answer: Any, path: tuple[str, ...] = (), *, body: Any = None, query: Any = None,
    more: Any = None,
) -> dict[str, Any]:  # fmt: skip
    refusals = {
        "401": "Nobody is signed in.", "403": "The asker may not hand over this site's conversions.",
        "404": "There is no such thing, or it is not the asker's.", **(more or {}),
    }  # fmt: skip
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    done: dict[str, Any] = {"description": "Done."}
    if answer is not None:
        done["content"] = {"application/json": {"schema": _known()[0][answer]}}
    parameters = [{"name": one, "in": "path", "required": True, "schema": {"type": "string"}} for one in path]
    parameters += [
        {"name": one, "in": "query", "required": one == "siteId", "schema": schema}
        for one, schema in (query or {}).items()
    ]
    made: dict[str, Any] = {
        "operationId": name, "tags": ["conversions"], "summary": summary, "security": _SIGNED_IN, "parameters": parameters,
        "responses": {
            "200": done, **{code: {"description": words, "content": problem} for code, words in refusals.items()},
        },
    }  # fmt: skip
    if body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _known()[0][body]}},
        }
    return made


def _file(
    name: str, summary: str, path: tuple[str, ...] = (), *, query: Any = None, more: Any = None
) -> dict[str, Any]:
    made = _operation(name, summary, None, path, query=query, more=more)
    made["responses"]["200"] = {"description": "The file.", "headers": _FILE, "content": _CSV}
    return made


def _also_201(made: dict[str, Any]) -> dict[str, Any]:
    answers = made["responses"]
    answers["201"] = {**answers["200"], "description": "The batch is made."}
    answers["200"] = {
        **answers["200"],
        "description": "What it would hold; or neither, where nothing is due.",
    }
    return made


def _signed(made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "parameters": [*made["parameters"], _SIGNATURE]}


def _pull() -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    return {
        "operationId": "pullFile", "tags": ["conversions"], "security": _PASSWORD,
        "summary": "What Google is to fetch, any number of times: {public id}.csv and {public id}-adjustments.csv",
        "parameters": [{"name": "file_name", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {
                "description": "The file; its headings stand in the first row, also where nothing is due.",
                "headers": {name: _FILE[name] for name in ("Content-Disposition", "X-OpsMantik-Rows")}, "content": _CSV,
            },
            "401": {"description": "The user or the password is not the site's.", "content": problem},
            "404": {"description": "A file's name ends with .csv.", "content": problem},
            "429": {"description": "Too many wrong passwords from this network.", "content": problem},
        },
    }  # fmt: skip
