"""The part of the OpenAPI document about privacy: what is known of one person, handed out or erased."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from opsmantik.privacy.certificate import OUTSIDE
from opsmantik.privacy.subject import Kind
from opsmantik.web import privacy
from opsmantik.web.openapi_reads import REF, as_sent

_HERE: Final = "/api/v1/sites/{site}/privacy"
_TYPES: Final = (privacy.SubjectBody, privacy.FoundRows, privacy.Erasures)
_COUNTS: Final = {"type": "object", "additionalProperties": {"type": "integer"}}
_CERTIFICATE: Final = {
    "type": "object",
    "description": "Canonical JSON: sorted keys, no blanks. The signature is HMAC-SHA256 of the same text without it, by a"
    " key of the installation.",
    "required": [
        "version", "id", "site", "requested_by", "requested_at", "finished_at", "subject", "erased", "erased_by_month",
        "sent_conversions", "outside", "signature",
    ],
    "properties": {
        "version": {"const": 1},
        "id": {"type": "string", "format": "uuid"},
        "site": {"type": "object"},
        "requested_by": {"type": "string"},
        "requested_at": {"type": "string", "format": "date-time"},
        "finished_at": {"type": "string", "format": "date-time"},
        "subject": {
            "type": "object",
            "properties": {
                "kind": {"enum": sorted(Kind)},
                "hmac_sha256": {"type": "string", "description": "A keyed hash of the value; the value is not kept."},
                "with_taps": {"type": "boolean"},
            },
        },
        "erased": {**_COUNTS, "description": "Rows by table."},
        "erased_by_month": {
            "type": "object",
            "additionalProperties": _COUNTS,
            "description": "The same by the month of the visit; none: rows that have no month.",
        },
        "sent_conversions": {
            "type": "object",
            "properties": {
                "count": {"type": "integer"}, "order_ids": {"type": "array", "items": {"type": "string"}},
            },
        },
        "outside": {"type": "array", "items": {"enum": list(OUTSIDE)}},
        "signature": {"type": "string"},
    },
}  # fmt: skip
_EXPORT: Final = {
    "type": "object",
    "required": [
        "version", "exported_at", "site", "subject", "visitors", "sessions", "events", "leads", "decisions", "conversions",
        "conversion_moves", "webhook_deliveries", "refused_events",
    ],
}  # fmt: skip


@cache
def _known() -> tuple[dict[Any, Any], dict[str, Any]]:
    references, found = msgspec.json.schema_components(_TYPES, ref_template=REF)
    return dict(zip(_TYPES, map(as_sent, references), strict=True)), as_sent(found)


def schemas() -> dict[str, Any]:
    """The types that are named below."""
    return {**_known()[1], "ErasureCertificate": _CERTIFICATE, "PersonExport": _EXPORT}


def paths() -> dict[str, Any]:
    """All paths about privacy."""
    preview = _known()[0][privacy.FoundRows]
    certificate = {"$ref": REF.format(name="ErasureCertificate")}
    return {
        f"{_HERE}/erasures": {
            "post": _operation(
                "erasePerson", "Erase all that is known of a person; or say how much that is",
                {"oneOf": [certificate, preview]}, body=True,
            ),
            "get": _operation("listErasures", "The newest erasures", _known()[0][privacy.Erasures]),
        },
        f"{_HERE}/erasures/{{erasure_id}}": {
            "get": _operation("showErasure", "One certificate, as it was signed", certificate, ("erasure_id",)),
        },
        f"{_HERE}/exports": {
            "post": _operation(
                "exportPerson", "All that is known of a person; or how much that is",
                {"oneOf": [{"$ref": REF.format(name="PersonExport")}, preview]}, body=True,
            ),
        },
    }  # fmt: skip


def _operation(
    name: str, summary: str, answer: Any, path: tuple[str, ...] = (), *, body: bool = False
) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    refusals = {
        "401": "Nobody is signed in.", "403": "The asker may not keep this site's privacy.",
        "404": "There is no such thing, or it is not the asker's.",
    }  # fmt: skip
    if body:
        refusals |= {
            "400": "The body cannot be read.", "409": "New events of this person keep coming in; it goes on by itself.",
            "415": "Not JSON.", "422": "The value names nobody, or more than one person.",
            "429": "More than ten within an hour.",
        }  # fmt: skip
    made: dict[str, Any] = {
        "operationId": name, "tags": ["privacy"], "summary": summary, "security": [{"signedIn": []}],
        "parameters": [
            {"name": one, "in": "path", "required": True, "schema": {"type": "string"}} for one in ("site", *path)
        ],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": answer}}},
            **{code: {"description": words, "content": problem} for code, words in sorted(refusals.items())},
        },
    }  # fmt: skip
    if body:
        schema = _known()[0][privacy.SubjectBody]
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return made
