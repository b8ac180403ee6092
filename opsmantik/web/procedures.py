"""Calls of the first generation that are no reads of one site: small tools, acts, and questions about its database.

Some asked how its own database stood: whether the next month had partitions, whether triggers held it together. Here
upkeep makes months ahead, and keys and checks do what the triggers did; the calls answer whether that is so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import msgspec
from litestar.datastructures import State

from opsmantik import clock
from opsmantik.attribution.source import is_paid_traffic
from opsmantik.dashboard.asked import asked_site
from opsmantik.dashboard.cards.sites_list import sites_list
from opsmantik.dashboard.procedures import FROM, TO, Argument, Procedure
from opsmantik.db.connect import Asker
from opsmantik.db.readiness import missing_partitions
from opsmantik.decisions import auto
from opsmantik.errors import NotFound, Unprocessable
from opsmantik.ingest.dead_letters import note_replay
from opsmantik.people import store as people
from opsmantik.people.capabilities import Capability
from opsmantik.web.failures import RAISED

# What the first generation's triggers kept true is kept by these keys now.
_KEYS = """SELECT count(*) = 3 FROM pg_constraint
WHERE conname IN ('sessions_key_fkey', 'session_keys_session_fkey', 'events_session_fkey')
  AND contype = 'f' AND conparentid = 0"""


class Refused(Exception):  # noqa: N818 - a refusal in the first generation's words
    """A call that is refused: status, code, message and details."""

    def __init__(self, status: int, code: str, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.answer = status, code, message, details


ACCESS_DENIED: Final = (403, RAISED, "access_denied", "Access denied to this site")


class Caller(msgspec.Struct, frozen=True):
    """Who calls, and with what they can be answered."""

    state: State
    user_id: UUID
    is_admin: bool
    who: Asker

    def must_be_admin(self) -> None:
        """Raises :class:`Refused` for whoever does not run the platform."""
        if not self.is_admin:
            raise Refused(*ACCESS_DENIED)


class ApprovedCall(msgspec.Struct, frozen=True):
    """A row of auto_approve_stale_intents_v1."""

    call_id: UUID


class RecordedReplay(msgspec.Struct, frozen=True):
    """The row of sync_dlq_record_replay."""

    id: UUID
    replay_count: int
    last_replay_at: datetime
    last_replay_error: str | None


class AdminSite(msgspec.Struct, frozen=True, kw_only=True):
    """A row of admin_sites_list."""

    site_id: UUID
    name: str
    domain: str
    public_id: str
    owner_user_id: UUID | None
    owner_email: str | None
    last_event_at: datetime | None
    last_category: str | None
    last_label: str | None
    minutes_ago: int | None
    status: str


class Gates(msgspec.Struct, frozen=True):
    """The answer of ai_pipeline_gate_checks."""

    pg_net_enabled: bool
    trigger_exists: bool
    api_keys_configured: bool


async def validate_date_range(caller: Caller, *, date_from: str | None, date_to: str | None) -> None:
    """Raises :class:`~opsmantik.errors.BadRange` with the message that says why not."""
    clock.first_generation_period("UTC", date_from, date_to)


async def is_ads_session_input(caller: Caller, **columns: str | None) -> bool:
    """Whether a session with these columns is ad traffic."""
    return is_paid_traffic(**columns)


async def is_ads_session(caller: Caller, *, sess: Mapping[str, Any]) -> bool:
    """The same of a session's row."""
    return is_paid_traffic(**{name: _text_of(sess, name) for name in _COLUMNS})


async def is_ads_session_click_id_only(caller: Caller, *, sess: Mapping[str, Any]) -> bool:
    """Whether a session's row has a click id."""
    return is_paid_traffic(**{name: _text_of(sess, name) for name in ("gclid", "wbraid", "gbraid")})


async def get_url_param(caller: Caller, *, url: str | None, param: str | None) -> str | None:
    """The first value of a parameter in an address's query, decoded; null where it has none."""
    if url is None or param is None:
        return None
    try:
        query = urlsplit(url).query
    except ValueError:
        return None
    return next((value for name, value in parse_qsl(query, keep_blank_values=True) if name == param), None)


async def create_next_month_partitions(caller: Caller) -> None:
    """Upkeep makes months ahead, so there is nothing to do; it is an error if it has not."""
    caller.must_be_admin()
    async with caller.state.database.connection() as connection:
        missing = await missing_partitions(connection, datetime.now(UTC))
    if missing:
        raise Unprocessable(reason=f"upkeep has not made {', '.join(missing)}; run opsmantik partitions")


async def verify_partition_triggers_exist(caller: Caller) -> bool:
    """Whether the keys stand that do what those triggers did."""
    caller.must_be_admin()
    async with caller.state.database.connection() as connection:
        return bool(await connection.fetchval(_KEYS))


async def ai_pipeline_gate_checks(caller: Caller) -> Gates:
    """There is no such pipeline here: nothing leaves the database by itself."""
    caller.must_be_admin()
    return Gates(False, False, False)


async def is_admin(caller: Caller, *, check_user_id: UUID | None) -> bool:
    """Whether somebody runs the platform. Of others only who runs it is told."""
    if check_user_id is None or check_user_id == caller.user_id:
        return caller.is_admin
    if not caller.is_admin:
        return False
    return check_user_id in [user_id for user_id, _ in await people.administrators(caller.state.database)]


async def admin_sites_list(
    caller: Caller, *, search: str | None, limit_count: int, offset_count: int
) -> list[AdminSite]:
    """All sites, newest first, and whether they receive."""
    caller.must_be_admin()
    async with caller.state.database.as_person(caller.who) as (connection, person):
        found = await sites_list(
            connection, person, q=search, limit=min(max(limit_count, 0), 1000), offset=max(offset_count, 0),
            last_events=True,
        )  # fmt: skip
    return [
        AdminSite(
            site_id=site.id, name=site.name, domain=site.domain, public_id=site.public_id,
            owner_user_id=site.owner_id, owner_email=site.owner_email, last_event_at=site.last_event_at,
            last_category=site.last_event.category if site.last_event else None,
            last_label=site.last_event.label if site.last_event else None,
            minutes_ago=int((found.as_of - site.last_event_at).total_seconds() // 60)
            if site.last_event_at and found.as_of else None,
            status="RECEIVING" if site.traffic == "receiving" else "NO_TRAFFIC",
        )
        for site in found.items
    ]  # fmt: skip


async def auto_approve_stale_intents_v1(
    caller: Caller, *, site_id: UUID, min_age_hours: int, limit: int
) -> list[ApprovedCall]:
    """Seal what waited long enough and carries no risk, where the site has switched that on."""
    database = caller.state.database
    async with database.as_person(caller.who) as (connection, person):
        site = await asked_site(connection, person, str(site_id))
    if site is None:
        raise Refused(*ACCESS_DENIED)
    swept = await auto.approve(database, caller.who, site.id, hours=min_age_hours, limit=limit)
    if swept.calls:
        caller.state.collect.notices.changed(site.id, False)
    return [ApprovedCall(call_id) for call_id in swept.calls]


async def sync_dlq_record_replay(caller: Caller, *, id: UUID, error: str | None) -> list[RecordedReplay]:
    """Remember that a refused event was tried again elsewhere."""
    try:
        noted = await note_replay(caller.state.database, caller.who, id, error)
    except NotFound:
        raise Refused(404, RAISED, "DLQ row not found") from None
    return [RecordedReplay(**noted)]


_COLUMNS: Final = ("attribution_source", "gbraid", "gclid", "utm_medium", "utm_source", "wbraid")


def _text_of(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) else None


_SESS: Final = Argument("sess", "record", description="A session's row, as far as its source is told by it.")

_ALL: Final = (
    Procedure(
        name="validate_date_range", call=validate_date_range, answer=None, arguments=(FROM, TO),
        summary="Whether a range can be asked for; says nothing if so",
    ),
    Procedure(
        name="is_ads_session_input", call=is_ads_session_input, answer=bool,
        summary="Whether a session with these columns is ad traffic",
        arguments=tuple(Argument(f"p_{name}", "text", None, "The session's column.") for name in _COLUMNS),
    ),
    Procedure(
        name="is_ads_session", call=is_ads_session, answer=bool, arguments=(_SESS,),
        summary="Whether a session is ad traffic",
    ),
    Procedure(
        name="is_ads_session_click_id_only", call=is_ads_session_click_id_only, answer=bool, arguments=(_SESS,),
        summary="Whether a session has a Google click id",
    ),
    Procedure(
        name="get_url_param", call=get_url_param, answer=str | None,
        summary="The value of a parameter in an address's query",
        arguments=(
            Argument("p_url", "text", None, "The address."),
            Argument("p_param", "text", None, "The parameter's name."),
        ),
    ),
    Procedure(
        name="create_next_month_partitions", call=create_next_month_partitions, answer=None, arguments=(),
        summary="Nothing is left to do: upkeep makes months ahead. For platform administrators",
    ),
    Procedure(
        name="verify_partition_triggers_exist", call=verify_partition_triggers_exist, answer=bool, arguments=(),
        summary="Whether the keys stand that do what those triggers did. For platform administrators",
    ),
    Procedure(
        name="ai_pipeline_gate_checks", call=ai_pipeline_gate_checks, answer=Gates, arguments=(),
        summary="There is no such pipeline here: all false. For platform administrators",
    ),
    Procedure(
        name="is_admin", call=is_admin, answer=bool, summary="Whether somebody runs the platform",
        arguments=(Argument("check_user_id", "uuid", None, "The account; without it one's own."),),
    ),
    Procedure(
        name="admin_sites_list", call=admin_sites_list, answer=list[AdminSite], contract="sites",
        summary="All sites and whether they receive. For platform administrators",
        arguments=(
            Argument("search", "text", None, "A part of name, domain or public id, in any case."),
            Argument("limit_count", "integer", 50, "Rows, at most 1000."),
            Argument("offset_count", "integer", 0, "Rows to pass over."),
        ),
    ),
    Procedure(
        name="auto_approve_stale_intents_v1", call=auto_approve_stale_intents_v1, answer=list[ApprovedCall],
        needs=Capability.DECIDE,
        summary="Seal what waited long enough and carries no risk, for those who may decide",
        arguments=(
            Argument("p_site_id", "uuid", description="The site's id."),
            Argument("p_min_age_hours", "integer", 24, "Hours that a lead has waited, 1 to 168."),
            Argument("p_limit", "integer", 200, "Leads, 1 to 500."),
        ),
    ),
    Procedure(
        name="sync_dlq_record_replay", call=sync_dlq_record_replay, answer=list[RecordedReplay],
        needs=Capability.TEND,
        summary="Remember that a refused event was tried again, for those who run its site",
        arguments=(
            Argument("p_id", "uuid", description="The refused event's id."),
            Argument("p_error", "text", None, "Why it was refused again; null: it was not."),
        ),
    ),
)  # fmt: skip

TOOLS: Final[Mapping[str, Procedure]] = MappingProxyType({tool.name: tool for tool in _ALL})
