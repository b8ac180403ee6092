"""The OpenAPI 3.1 document of what OpsMantik answers to programs. Kept in docs/openapi.json; a test compares."""

from __future__ import annotations

from typing import Any

import msgspec

from opsmantik.event import Reason
from opsmantik.ingest.call_event import CallEvent
from opsmantik.ingest.drops import MESSAGES
from opsmantik.ingest.payload import MAX_BATCH
from opsmantik.ingest.present import Item
from opsmantik.ingest.signature import TOLERANCE
from opsmantik.ingest.signed_call import SignedCall
from opsmantik.web import (
    openapi_conversions,
    openapi_ledger,
    openapi_privacy,
    openapi_reads,
    openapi_webhooks,
)
from opsmantik.web.openapi_security import SCHEMES, secured

_RETRY = {
    "description": "Seconds to wait before trying again.",
    "schema": {"type": "integer", "minimum": 1},
}


_LIMIT = {
    "X-RateLimit-Limit": {"description": "Events a minute that are allowed.", "schema": {"type": "integer"}},
    "X-RateLimit-Remaining": {"description": "0.", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {
        "description": "When the next one is taken, in seconds since 1970.",
        "schema": {"type": "integer"},
    },
}


def _refusal(description: str, *, retry: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
    }
    if retry:
        answer["headers"] = (
            {"Retry-After": _RETRY, **_LIMIT} if "client" in description else {"Retry-After": _RETRY}
        )
    return answer


def _results(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Results"}}},
    }


def _either(description: str) -> dict[str, Any]:
    schemas = [{"$ref": f"#/components/schemas/{name}"} for name in ("Results", "Refusal")]
    return {"description": description, "content": {"application/json": {"schema": {"anyOf": schemas}}}}


def _body(name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {
        "required": True,
        "description": "JSON, whatever the content type says: browsers send text/plain to be spared a preflight."
        " gzip and deflate are read. At most 1 MiB, inflated.",
        "content": {"text/plain": {"schema": schema}, "application/json": {"schema": schema}},
    }


_AGAIN = {
    "429": _refusal(
        "Too many from this client, or for this site. Nothing was stored; please try again.", retry=True
    ),
    "503": _refusal("Not now. Nothing was stored that was not stored before; please try again.", retry=True),
}


def document() -> dict[str, Any]:
    """The whole document, as JSON values."""
    kinds = (Item, CallEvent, SignedCall)
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas |= _schemas() | openapi_reads.schemas() | openapi_webhooks.schemas() | openapi_privacy.schemas()
    schemas |= openapi_conversions.schemas() | openapi_ledger.schemas()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpsMantik",
            "version": "1",
            "summary": "Which ad click became a customer.",
            "description": "A 2xx answer means: committed to disk. 429 and 503 mean: nothing new was stored, please try"
            " again. Every event is stored once, however often it is sent.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": secured(
            {
                **openapi_reads.paths(),
                **openapi_ledger.paths(),
                **openapi_conversions.paths(),
                **openapi_webhooks.paths(),
                **openapi_privacy.paths(),
                **_paths(),
            }
        ),
        "webhooks": openapi_webhooks.told(),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {**openapi_reads.SECURITY_SCHEMES, **SCHEMES, **openapi_conversions.SCHEMES},
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/v1/events": {
            "post": {
                "operationId": "postEvents",
                "summary": f"Store one event, or up to {MAX_BATCH}",
                "requestBody": _body("Events"),
                "responses": {
                    "200": _results(
                        "Each event's fate, in order. At least one was stored, or all were known."
                    ),
                    "400": _either("The body cannot be read, or no event in it can."),
                    "403": _results(
                        "The site takes no events, or none from this origin, or is far over its quota"
                        " (leads are always taken)."
                    ),
                    "404": _refusal("There is no such site."),
                    "405": _refusal("Only POST."),
                    "413": _refusal("More than 1 MiB."),
                    "422": _results(
                        "The database can hold none of the events; they are kept with the reason."
                    ),
                    **_AGAIN,
                },
            }
        },
        "/api/sync": {
            "post": {
                "operationId": "postFirstGeneration",
                "summary": "Store an event of the first generation's tracker",
                "description": "Takes the present format too. What can never be stored is answered with 200 and"
                " `ok: false`: that tracker keeps anything else for a day and sends nothing after it.",
                "requestBody": _body("FirstGenerationEvent"),
                "responses": {
                    "200": {
                        "description": "Stored, known already, or refused for good: `ok` and `status` say which.",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/SyncAnswer"}}
                        },
                    },
                    **_AGAIN,
                },
            }
        },
        "/api/call-event": {
            "post": {
                "operationId": "postCall",
                "summary": "Report a call from a telephone system",
                "description": "Matched to the newest visit of that device, on that site, with an event in the last 30"
                " minutes. The same report again within a minute is the same call.",
                "requestBody": _body("CallEvent"),
                "responses": {
                    "200": {
                        "description": "The lead, and the visit that it was matched to, if any.",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/CallAnswer"}}
                        },
                    },
                    "400": _refusal("The body cannot be read, or a field is missing."),
                    "403": _refusal(
                        "The site takes no events, none from this origin, or signed reports only."
                    ),
                    "404": _refusal("There is no such site."),
                    "405": _refusal("Only POST."),
                    "413": _refusal("More than 1 MiB."),
                    **_AGAIN,
                },
            }
        },
        "/api/call-event/v2": {"post": _signed_call()},
        "/healthz": {
            "get": {
                "operationId": "getHealth",
                "summary": "Is the process alive?",
                "responses": {"200": {"description": "Yes."}},
            }
        },
        "/readyz": {
            "get": {
                "operationId": "getReadiness",
                "summary": "Can it serve?",
                "responses": {"200": {"description": "Yes."}, "503": {"description": "No, and why."}},
            }
        },
    }


def _signed_call() -> dict[str, Any]:
    headers = {
        "X-OpsMantik-Timestamp": "The sender's clock, in seconds since 1970.",
        "X-OpsMantik-Signature": "sha256= and the hex of HMAC-SHA256 over the timestamp, a full stop and the body, byte by"
        " byte as it is sent; its key is a secret of the site.",
    }
    return {
        "operationId": "postSignedCall",
        "summary": "Report a call from a telephone system, signed",
        "description": "Matched to the newest visit of the caller's click id within 14 days, or else of that device with"
        " an event in the 30 minutes before the call. The same request again is answered as the first time, and the same"
        " event_id is the same lead.",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "schema": {"type": "string"},
                "description": words,
            }
            for name, words in headers.items()
        ],
        "requestBody": _body("SignedCall"),
        "responses": {
            "200": {
                "description": "The lead, and the visit that it was matched to, if any.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CallAnswer"}}},
            },
            "400": _refusal("The body cannot be read; which field, and why."),
            "401": _refusal(
                f"The signature is missing or wrong, or its time is more than {TOLERANCE} seconds from the server's."
            ),
            "403": _refusal("The site takes no events, or none from this origin."),
            "404": _refusal("There is no such site."),
            "405": _refusal("Only POST."),
            "413": _refusal("More than 64 KiB."),
            **_AGAIN,
        },
    }


def _schemas() -> dict[str, Any]:
    outside = {
        "site": {"type": "string", "description": "The site's public id: 32 hex digits, hyphens optional."},
        "sent": {"type": "number", "description": "The client's clock at sending, epoch milliseconds."},
        "v": {"type": "string", "description": "The tracker's version."},
    }
    item = {"$ref": "#/components/schemas/Item"}
    return {
        "Events": {
            "anyOf": [
                {
                    "type": "object",
                    "required": ["site", "events"],
                    "properties": {
                        **outside,
                        "events": {"type": "array", "items": item, "maxItems": MAX_BATCH},
                    },
                },
                {
                    "allOf": [item, {"type": "object", "required": ["site"], "properties": outside}],
                },
            ]
        },
        "Results": {
            "type": "object",
            "required": ["ok", "results"],
            "properties": {
                "ok": {"type": "boolean"},
                "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
            },
        },
        "Result": {
            "type": "object",
            "required": ["index", "id", "status"],
            "properties": {
                "index": {"type": "integer"},
                "id": {"type": ["string", "null"]},
                "status": {"enum": ["accepted", "duplicate", "rejected"]},
                "reason": {
                    "enum": sorted(reason.value for reason in Reason),
                    "description": "; ".join(f"{r.value}: {MESSAGES[r]}" for r in sorted(Reason)),
                },
                "message": {"type": "string"},
            },
        },
        "Refusal": {
            "type": "object",
            "required": ["ok", "code", "error"],
            "properties": {
                "ok": {"const": False},
                "code": {"type": "string", "description": "A stable word for programs."},
                "error": {"type": "string", "description": "What happened, in words."},
            },
        },
        "FirstGenerationEvent": {
            "type": "object",
            "required": ["s", "u"],
            "properties": {
                "s": {"type": "string", "description": "The site's public id."},
                "u": {"type": "string", "description": "The page's full address."},
                "sid": {"type": "string"},
                "sm": {"type": "string", "description": "Ignored: the server decides the month."},
                "ec": {"type": "string"},
                "ea": {"type": "string"},
                "el": {"type": ["string", "null"]},
                "ev": {"type": ["number", "null"]},
                "r": {"type": "string"},
                "meta": {"type": "object"},
            },
        },
        "SyncAnswer": {
            "type": "object",
            "required": ["ok", "score", "status"],
            "properties": {
                "ok": {"type": "boolean"},
                "score": {"const": 0},
                "status": {"enum": ["stored", "pulse", "duplicate", "rejected", "skipped"]},
                "ingest_id": {"type": ["string", "null"]},
                "reason": {"type": "string"},
                "error": {"type": "string"},
                "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
            },
        },
        "CallAnswer": {
            "type": "object",
            "required": ["status", "call_id", "session_id", "lead_score", "score_breakdown"],
            "properties": {
                "status": {"enum": ["matched", "unmatched"]},
                "call_id": {"type": "string", "format": "uuid"},
                "session_id": {"type": ["string", "null"], "format": "uuid"},
                "lead_score": {"type": "integer", "minimum": 0, "maximum": 100},
                "score_breakdown": {"type": "object"},
            },
        },
    }
