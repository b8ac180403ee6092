"""``POST /api/rpc/{name}``: the first generation's calls, by its names, arguments and keys.

Reads of a site are translations of the contracts (dashboard/contracts.py), the rest stands in web/procedures.py. The
order of refusals is that of before: who asks, what for, which site, which range. Where it raised an exception its own
programs look at the message; those are kept word for word. A call that has been replaced says so in its headers
(RFC 9745) and names the one that replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, post

from opsmantik import clock
from opsmantik.clock import Period
from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.contracts import PROCEDURES
from opsmantik.dashboard.procedures import REQUIRED, Argument, Procedure
from opsmantik.errors import Forbidden, OpsMantikError
from opsmantik.web.api import READS, reply
from opsmantik.web.failures import call_refused, first_generation
from opsmantik.web.guard import asker
from opsmantik.web.procedures import ACCESS_DENIED, TOOLS, Caller, Refused
from opsmantik.web.rendering import PageRequest

DEPRECATED_AT: Final = datetime(2026, 11, 22, tzinfo=UTC)
UNKNOWN: Final = "PGRST202"
NO_VALUE: Final = "22P02"
DENIED: Final = "42501"
LONGEST_TEXT: Final = 4000


@post("/api/rpc/{name:str}", opt=READS | {"program": True}, status_code=200)
async def call(request: PageRequest) -> Response[Any]:
    """Answer one call."""
    name = request.path_params["name"]
    try:
        procedure = PROCEDURES.get(name) or TOOLS.get(name)
        if procedure is None:
            raise Refused(404, UNKNOWN, f"Could not find the function {name[:80]}")
        values = read_arguments(procedure, await request.body())
        found = await _run(request, procedure, values)
    except Refused as refused:
        return call_refused(*refused.answer)
    except Forbidden as forbidden:
        return call_refused(forbidden.status, DENIED, forbidden.message)
    except OpsMantikError as error:
        headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
        return call_refused(error.status, *first_generation(error), headers)
    if found is None and procedure.answer is None:
        return Response(b"", status_code=204)
    return reply(request, found, {"cache-control": "no-store", **deprecation(procedure)})


def deprecation(procedure: Procedure) -> dict[str, str]:
    """The headers of a call that has been replaced."""
    if procedure.successor is None:
        return {}
    return {
        "deprecation": f"@{int(DEPRECATED_AT.timestamp())}",
        "link": f'</api/rpc/{procedure.successor}>; rel="successor-version"',
    }


async def _run(request: PageRequest, procedure: Procedure, values: dict[str, Any]) -> Any:
    database = request.app.state.database
    if procedure.name in TOOLS:
        person = request.state.person
        caller = Caller(request.app.state, person.user_id, person.is_admin, asker(request, procedure.needs))
        return await procedure.call(caller, **values)
    site_id: UUID = values.pop("site_id")
    async with database.as_person(asker(request, procedure.needs)) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
        if site is None:
            raise Refused(*ACCESS_DENIED)
        asked = _period(procedure, values, site.time_zone)
        return await procedure.call(connection, site, *asked, **values)


def _period(procedure: Procedure, values: dict[str, Any], zone_name: str) -> Sequence[Period]:
    """The range, where the call is about one; raises :class:`~opsmantik.errors.BadRange`."""
    if "date_from" not in values:
        return ()
    return (clock.first_generation_period(zone_name, values.pop("date_from"), values.pop("date_to")),)


def read_arguments(procedure: Procedure, body: bytes) -> dict[str, Any]:
    """The arguments by their names without ``p_``. Raises :class:`Refused` for what the call does not take."""
    try:
        given = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise Refused(400, "PGRST102", f"The body is no JSON: {wrong}") from None
    if not isinstance(given, dict):
        raise Refused(400, "PGRST102", "The body is a JSON object with the arguments by name")
    known = {argument.name: argument for argument in procedure.arguments}
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise Refused(
            400,
            UNKNOWN,
            f"{procedure.name} has no argument {unknown[0][:80]!r}",
            f"It takes {', '.join(known)}",
        )
    return {name.removeprefix("p_"): _value(procedure, known[name], given.get(name)) for name in known}


def _value(procedure: Procedure, argument: Argument, given: Any) -> Any:
    if given is None:
        if argument.default is REQUIRED:
            raise Refused(400, UNKNOWN, f"{procedure.name} needs the argument {argument.name}")
        return argument.default
    try:
        return _READERS[argument.kind](given)
    except (ValueError, TypeError, OverflowError):
        shown = repr(given)[:80]
        raise Refused(400, NO_VALUE, f"{argument.name} is no {argument.kind}: {shown}") from None


def _integer(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise TypeError
    number = int(given)
    if not -(2**31) <= number < 2**31:
        raise OverflowError
    return number


def _boolean(given: Any) -> bool:
    if isinstance(given, str):
        given = {"true": True, "false": False}.get(given.lower())
    if not isinstance(given, bool):
        raise TypeError
    return given


def _text(given: Any) -> str:
    if not isinstance(given, str) or "\x00" in given or len(given) > LONGEST_TEXT:
        raise TypeError
    given.encode()  # half a surrogate pair cannot be looked for
    return given


def _instant(given: Any) -> datetime:
    at = datetime.fromisoformat(_text(given))
    if at.tzinfo is None:
        raise ValueError
    return at.astimezone(UTC)


def _record(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise TypeError
    return given


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "uuid": lambda given: UUID(_text(given)), "integer": _integer, "boolean": _boolean, "text": _text, "record": _record,
    "instant": _instant, "bound": _text,
}  # fmt: skip

HANDLERS: Final = [call]
