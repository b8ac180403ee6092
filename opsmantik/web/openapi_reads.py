"""The part of the OpenAPI document about reads, calls and decisions: made from the lists that the doors are made from."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from opsmantik.dashboard.acts import ActsPage
from opsmantik.dashboard.cards.refused import SPANS, Refused
from opsmantik.dashboard.contracts import CONTRACTS, PROCEDURES, SITES, Contract, Parameter
from opsmantik.dashboard.procedures import REQUIRED, Argument, Procedure
from opsmantik.dashboard.realtime import Realtime, Reconciled
from opsmantik.decisions.decide import Decided, Decision
from opsmantik.event import Reason
from opsmantik.web import customers, decisions, legacy, refused
from opsmantik.web.procedures import TOOLS

REF: Final = "#/components/schemas/{name}"
_SIGNED_IN: Final[list[dict[str, list[str]]]] = [{"signedIn": []}]
_SITE: Final = {
    "name": "site", "in": "path", "required": True, "schema": {"type": "string"},
    "description": "The site's id or public id, with or without hyphens.",
}  # fmt: skip
_RANGE: Final = {
    "day": ("string", "today, yesterday, or a day of the site like 2026-02-01."),
    "range": (
        "string",
        "7d or 30d: so many days of the site, today's the last; month: the present calendar month.",
    ),
    "from": ("string", "The first instant, with its offset from UTC; goes with to."),
    "to": ("string", "The first instant that is left out."),
}
_NONE_MATCH: Final = {
    "name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "The ETag of the answer that one has.",
}  # fmt: skip
_KINDS: Final[dict[str, dict[str, Any]]] = {
    "uuid": {"type": "string", "format": "uuid"}, "instant": {"type": "string", "format": "date-time"},
    "bound": {"type": "string", "format": "date-time"}, "integer": {"type": "integer"}, "boolean": {"type": "boolean"},
    "text": {"type": "string"}, "cursor": {"type": "string"}, "record": {"type": "object"},
}  # fmt: skip
_CALLS: Final[dict[str, Procedure]] = {**PROCEDURES, **TOOLS}
_BODIES: Final = (
    legacy.SealBody, legacy.StatusBody, legacy.ApproveBody, Decision, Decided, decisions.UndoBody,
)  # fmt: skip


def paths() -> dict[str, Any]:
    """All paths of reads, calls and decisions."""
    found = {f"/api/v1/sites/{{site}}/{contract.path}": {"get": _read(contract)} for contract in CONTRACTS}
    return {
        "/api/v1/sites": {"get": _read(SITES)},
        **found,
        **_others(),
        **{f"/api/rpc/{name}": {"post": _call(procedure)} for name, procedure in sorted(_CALLS.items())},
    }


def schemas() -> dict[str, Any]:
    """The types that those paths name."""
    return {**_known()[1], "Problem": _PROBLEM, "CallRefusal": _CALL_REFUSAL}


@cache
def _known() -> tuple[dict[Any, Any], dict[str, Any]]:
    """How each type is referred to, and all of them: made at once, so that no two share a name."""
    types = [contract.answer for contract in (*CONTRACTS, SITES)]
    types += [procedure.answer for procedure in _CALLS.values() if procedure.answer is not None]
    types += [*_BODIES, Realtime, Reconciled, Refused, refused.Admission]
    types += [customers.InviteBody, ActsPage]
    references, found = msgspec.json.schema_components(types, ref_template=REF)
    return dict(zip(types, map(as_sent, references), strict=True)), as_sent(found)


def _ref(kind: Any) -> Any:
    return _known()[0][kind]


def as_sent(schema: Any) -> Any:
    """Amounts are sent as numbers, not as the strings that msgspec describes."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return {**{k: v for k, v in schema.items() if k != "format"}, "type": "number"}
        return {name: as_sent(value) for name, value in schema.items()}
    return [as_sent(part) for part in schema] if isinstance(schema, list) else schema


SECURITY_SCHEMES: Final = {
    "signedIn": {
        "type": "apiKey", "in": "cookie", "name": "opsmantik",
        "description": "A signed-in browser; over TLS the cookie is called __Host-opsmantik.",
    }
}  # fmt: skip
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, in words."},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "A stable word for programs."},
        "kind": {"type": "string", "description": "Of some refusals: a stable word for what is wrong."},
        "conflict": {"type": "object", "description": "Of a 409: who did what, and the lead's version now."},
    },
}
_CALL_REFUSAL: Final = {
    "type": "object",
    "required": ["code", "message", "details", "hint"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "details": {"type": ["string", "null"]},
        "hint": {"type": "null"},
    },
}


def _json(description: str, schema: Any, kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    return _json(description, {"$ref": REF.format(name="Problem")}, "application/problem+json")


def _read(contract: Contract) -> dict[str, Any]:
    parameters: list[Any] = [] if contract is SITES else [_SITE]
    parameters += [_parameter(p) for p in contract.parameters if p.in_path]
    if contract.ranged:
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": {"type": kind}, "description": words}
            for name, (kind, words) in _RANGE.items()
        ]
    parameters += [_parameter(p) for p in contract.parameters if not p.in_path]
    responses: dict[str, Any] = {"200": _json("The answer.", _ref(contract.answer))}
    if contract.timeless:
        parameters.append(_NONE_MATCH)
        responses["200"]["headers"] = {
            "ETag": {
                "description": "Stands for the question and the site's state.", "schema": {"type": "string"},
            }
        }  # fmt: skip
        responses["304"] = {"description": "Nothing has changed since that answer."}
    responses["400"] = _problem("A parameter, or the range, cannot be read.")
    responses["401"] = _problem("Nobody is signed in.")
    if contract is not SITES:
        responses["404"] = _problem("There is no such thing, or it is not the asker's.")
    figures = "".join(f"\n- `{name}`: {words}" for name, words in contract.definitions.items())
    return {
        "operationId": contract.name,
        "tags": ["reads"],
        "summary": contract.summary,
        "description": figures.strip(),
        "security": _SIGNED_IN,
        "parameters": parameters,
        "responses": responses,
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = dict(_KINDS.get(parameter.kind, {"type": "string"}))
    if parameter.kind == "choice":
        schema["enum"] = list(parameter.choices)
    if parameter.kind == "choices":
        schema = {"type": "array", "items": {"type": "string", "enum": list(parameter.choices)}}
    if parameter.kind == "integer":
        schema |= {"minimum": parameter.least, "maximum": parameter.most}
    if parameter.kind == "text" and parameter.most:
        schema["maxLength"] = parameter.most
    if parameter.default is not None:
        default = parameter.default
        schema["default"] = list(default) if isinstance(default, tuple) else default
    found: dict[str, Any] = {
        "name": parameter.name, "in": "path" if parameter.in_path else "query", "required": parameter.in_path,
        "schema": schema, "description": parameter.description,
    }  # fmt: skip
    if parameter.kind == "choices":
        found |= {"style": "form", "explode": False}
    return found


def _call(procedure: Procedure) -> dict[str, Any]:
    refused = {"$ref": REF.format(name="CallRefusal")}
    responses: dict[str, Any] = {
        str(status): _json(words, refused)
        for status, words in (
            (400, "The arguments, or the range, cannot be read."),
            (401, "Nobody is signed in."),
            (403, "The site is not the asker's, or the asker may not do this."),
        )
    }
    for status, words in _CALLS_MORE.get(procedure.name, {}).items():
        responses[status] = _json(words, refused)
    if procedure.answer is None:
        responses["204"] = {"description": "Done; nothing is answered."}
    else:
        responses["200"] = _json("The answer.", _ref(procedure.answer))
    made: dict[str, Any] = {
        "operationId": f"rpc_{procedure.name}",
        "tags": ["first generation"],
        "summary": procedure.summary,
        "security": _SIGNED_IN,
        "requestBody": {
            "required": any(argument.default is REQUIRED for argument in procedure.arguments),
            "content": {"application/json": {"schema": _arguments(procedure.arguments)}},
        },
        "responses": dict(sorted(responses.items())),
    }
    if procedure.successor:
        made |= {"deprecated": True, "description": f"Replaced by {procedure.successor}."}
    return made


def _arguments(arguments: tuple[Argument, ...]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for argument in arguments:
        schema = {**_KINDS[argument.kind], "description": argument.description}
        if argument.default is not REQUIRED:
            schema["type"] = [schema["type"], "null"]
            if argument.default is not None:
                schema["default"] = argument.default
        properties[argument.name] = schema
    required = [argument.name for argument in arguments if argument.default is REQUIRED]
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": required} if required else {})


def _query(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name, "in": "query", "required": required, "schema": {"type": "string"}, "description": description,
    }  # fmt: skip


def _path(name: str, description: str) -> dict[str, Any]:
    return {**_query(name, description, required=True), "in": "path"}


def _other(
    name: str, summary: str, *, parameters: Any = (), body: Any = None, answer: Any = None, more: Any = None
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": name, "tags": ["first generation"], "summary": summary, "security": _SIGNED_IN,
        "parameters": list(parameters),
        "responses": {
            "200": _json("The answer.", answer or {"type": "object"}), "401": _problem("Nobody is signed in."),
            **{status: _problem(words) for status, words in (more or {}).items()},
        },
    }  # fmt: skip
    if body is not None:
        made["requestBody"] = {"required": False, "content": {"application/json": {"schema": _ref(body)}}}
    return made


_NOT_THERE: Final = {"404": "There is no such thing, or it is not the asker's."}
_DECIDES: Final = {
    "400": "The body cannot be read.", "403": "The asker decides nothing on this site.", **_NOT_THERE,
    "409": "Somebody was faster, or there is no such move.", "422": "What the decision carries cannot be taken.",
}  # fmt: skip
_TENDS: Final = {"400": "A parameter cannot be read.", "403": "The asker runs no site.", **_NOT_THERE}
_OF_A_DAY: Final = {"400": "The site is not named, or the day cannot be read.", **_NOT_THERE}
# What a call answers besides refusing its arguments or whoever asks.
_CALLS_MORE: Final = {
    "auto_approve_stale_intents_v1": {"422": "The site has not switched it on."},
    "sync_dlq_record_replay": {"404": "There is no such refused event, or it is not the asker's."},
}


def _decisions() -> dict[str, Any]:
    lead = [_SITE, _path("intent_id", "The lead's id.")]
    made = {
        "decisions": _other(
            "decide", "Decide about a lead", body=Decision, answer=_ref(Decided), parameters=lead, more=_DECIDES,
        ),
        "undo": _other(
            "undo", "Take back the latest act on a lead", body=decisions.UndoBody, answer=_ref(Decided), parameters=lead,
            more=_DECIDES,
        ),
    }  # fmt: skip
    return {
        f"/api/v1/sites/{{site}}/intents/{{intent_id}}/{name}": {"post": {**operation, "tags": ["decisions"]}}
        for name, operation in made.items()
    }


def _refused() -> dict[str, Any]:
    """What a site refused, and letting it in."""
    span = {"type": "string", "enum": list(SPANS), "default": "24h"}
    reason = {"type": "string", "enum": sorted(Reason)}
    limit = {"type": "integer", "minimum": 1, "maximum": refused.MOST, "default": 50}
    listed = _other(
        "list_refused", "What was refused: counts by reason, and examples of what was kept", answer=_ref(Refused),
        more={"400": "A parameter cannot be read.", **_TENDS},
        parameters=[
            _SITE,
            {**_query("span", "The last so many hours or days."), "schema": span},
            {**_query("reason", "Examples of this reason only."), "schema": reason},
            {**_query("limit", "Examples."), "schema": limit},
            _query("cursor", "The next_cursor of the page before."),
        ],
    )  # fmt: skip
    admitted = _other(
        "admit_refused", "Let a refused event in", answer=_ref(refused.Admission),
        parameters=[_SITE, _path("rejected_id", "The refused event's id.")],
        more={**_TENDS, "409": "It is in already."},
    )  # fmt: skip
    return {
        "/api/v1/sites/{site}/refused": {"get": {**listed, "tags": ["refused events"]}},
        "/api/v1/sites/{site}/refused/{rejected_id}/admit": {
            "post": {**admitted, "tags": ["refused events"]}
        },
    }


def _acts() -> dict[str, Any]:
    made = _other("acts", "Who changed what about the site, newest first", answer=_ref(ActsPage), parameters=[
        _SITE, _query("cursor", "Where the page begins: next_cursor of the page before."),
        _query("limit", "Acts on the page: 50, and at most 200."),
    ], more={"400": "The cursor or the limit is none.", "403": "The asker may not read it.", **_NOT_THERE})  # fmt: skip
    made["tags"] = ["reads"]
    return made


def _others() -> dict[str, Any]:
    """What is no contract and no call: the stream, and endpoints that the first generation's programs know."""
    stream = _other("stream", "Says when the site has changed: server-sent events", parameters=[
        _SITE, _query("since", "The number of the state that one knows; as Last-Event-ID."),
    ], more=_NOT_THERE)  # fmt: skip
    stream["tags"] = ["reads"]
    stream["responses"]["200"] = _json("change and heartbeat.", {"type": "string"}, "text/event-stream")
    site = [_query("siteId", "The site's id or public id.", required=True)]
    status = _other("set_status", "Move a lead to a status", body=legacy.StatusBody, more=_DECIDES,
        parameters=[_path("intent_id", "The lead's id.")])  # fmt: skip
    health = _other("health", "Can this server do its work?")
    health["security"] = []
    health["responses"] = {"200": {"description": "Yes."}, "503": {"description": "No, and why."}}
    return {
        "/api/v1/sites/{site}/stream": {"get": stream},
        **_decisions(),
        **_refused(),
        "/api/v1/sites/{site}/acts": {"get": _acts()},
        "/api/customers/invite": {"post": _other(
            "invite_customer", "Invite an address to a site; the answer holds the link", body=customers.InviteBody, more={
                "400": "The body cannot be read, or it names no site.", "403": "The asker does not manage its members.",
                **_NOT_THERE, "422": "It is no address, or a member's.", "429": "More than twenty invites in an hour.",
            },
        )},
        "/api/calls/{call_id}/seal": {"post": _other(
            "seal", "Seal a lead", body=legacy.SealBody, more=_DECIDES, parameters=[_path("call_id", "The lead's id.")],
        )},
        "/api/intents/{intent_id}/status": {"post": status, "patch": {**status, "operationId": "change_status"}},
        "/api/jobs/auto-approve": {"post": _other(
            "auto_approve", "Seal what waited long enough and carries no risk", body=legacy.ApproveBody, more=_DECIDES,
        )},
        "/api/sites/{site}/status": {"get": _other(
            "show_status", "Whether the site receives", parameters=[_SITE], more=_NOT_THERE,
        )},
        "/api/stats/realtime": {"get": _other(
            "realtime", "The three figures of the site's today", parameters=site, answer=_ref(Realtime), more=_OF_A_DAY,
        )},
        "/api/stats/reconcile": {"get": _other(
            "reconcile", "Whether a day's counters equal its rows", answer=_ref(Reconciled), more=_OF_A_DAY,
            parameters=[*site, _query("day", "today, yesterday, or a day like 2026-02-01.")],
        )},
        "/api/sync/dlq/list": {"get": _other(
            "list_dead_letters", "Refused events, newest first", more=_TENDS, parameters=[
                _query("limit", "Rows, at most 200."), _query("offset", "Rows to pass over."),
                _query("siteDbId", "Only of this site."),
            ],
        )},
        "/api/sync/dlq/replay": {"post": _other(
            "replay_dead_letter", "Let a refused event in", parameters=[_query("id", "Its id.", required=True)],
            more={**_TENDS, "409": "It is in already.", "422": "It is refused again."},
        )},
        "/api/sync/dlq/audit": {"get": _other(
            "list_replays", "Who tried to let what in", parameters=[_query("dlqId", "Only of this event.")], more=_TENDS,
        )},
        "/api/health": {"get": health},
    }  # fmt: skip
