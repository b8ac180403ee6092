"""Writing what is taken over to our database, as its owner. Every piece is one transaction, and safe to repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from opsmantik.adopt import leads, people, visits
from opsmantik.adopt.old import Old
from opsmantik.db.sql import queries
from opsmantik.errors import Unprocessable
from opsmantik.event import Reason, new_id
from opsmantik.sessions.place import truncate_ip

SQL = queries(Path(__file__).with_name("queries.sql"))
EVENT_COLUMNS: Final = (
    "site_id", "id", "session_id", "created_at", "url", "event_category", "event_action", "event_label",
    "event_value", "metadata",
    "site_given",
)  # fmt: skip
_NO_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - what the first generation wrote where it knew none


async def begin(connection: Any) -> None:
    """Make ready a connection of the owner's. Raises :class:`~opsmantik.errors.Unprocessable` where another is at it."""
    await connection.execute(
        "SET app.maintenance = 'on'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;"
        " SET work_mem = '64MB'; SET jit = off"
    )
    if not await connection.fetchval(SQL.lock):
        raise Unprocessable(reason="another adoption is under way")
    await connection.execute(SQL.staging)


async def accounts(connection: Any) -> dict[str, UUID]:
    """Whoever has an account here, by address."""
    return {row["email"]: row["id"] for row in await connection.fetch(SQL.accounts)}


async def add_people(connection: Any, new: Sequence[people.NewPerson]) -> None:
    """Accounts without a password: a link will give them one."""
    rows = [(p.id, p.email, p.name, p.created_at, p.is_admin, p.is_off) for p in new]
    await connection.executemany(SQL.add_person, rows)


async def keep_admins(connection: Any, ids: Collection[UUID]) -> None:
    await connection.executemany(SQL.keep_admin, [(one,) for one in ids])


async def taken_public_ids(connection: Any, but: Collection[UUID]) -> set[str]:
    """Public ids of sites here that are none of these."""
    return {row["public_id"] for row in await connection.fetch(SQL.taken_public_ids, list(but))}


async def add_sites(connection: Any, new: Sequence[people.NewSite], *, source: str) -> None:
    """Sites with their owners and origins; what is here already stays as it is."""
    for site in new:
        made = await connection.fetchval(
            SQL.add_site, site.id, site.user_id, site.public_id, site.name, site.domain, site.currency,
            site.assumed_cpc,
            site.config, site.created_at, people.CONSENT_MODE,
        )  # fmt: skip
        if made is None:
            continue
        await connection.execute(SQL.add_origins, site.id, list(site.origins))
        await connection.execute(SQL.add_member, site.id, site.user_id, "owner", site.created_at)
        await connection.execute(
            SQL.note_site,
            site.id,
            new_id(),
            site.name,
            {"domain": site.domain, "from": source, "by": "command line"},
        )


async def add_members(connection: Any, rows: Sequence[tuple[UUID, UUID, str, datetime]]) -> None:
    await connection.executemany(SQL.add_member, rows)


async def sites(connection: Any, ids: Collection[UUID]) -> dict[UUID, leads.Site]:
    """What must be known of these sites, as they are here."""
    found = [leads.Site(**dict(row)) for row in await connection.fetch(SQL.sites, list(ids))]
    return {site.id: site for site in found}


async def make_month(connection: Any, month: date) -> None:
    await connection.execute(SQL.make_month, month)


async def add_visits(connection: Any, batch: Sequence[visits.Visit]) -> list[Any]:
    """Write those that are not here yet; how many of them all are here now, by site and month."""
    async with connection.transaction():
        await connection.copy_records_to_table(
            "adopt_visits", records=[v.row for v in batch], columns=visits.COLUMNS
        )
        new = await connection.fetch(SQL.add_keys)
        await connection.execute(SQL.add_visits, [row["site_id"] for row in new], [row["id"] for row in new])
        found: list[Any] = await connection.fetch(SQL.count_visits)
        return found


async def add_events(connection: Any, old: Old, statement: str, *piece: Any) -> list[Any]:
    """Carry one piece of the events over, untouched by Python; how many of it are here now, by site and month."""
    async with connection.transaction():
        await _carry(old.connection, connection, statement, piece)
        await connection.execute(SQL.add_events)
        found: list[Any] = await connection.fetch(SQL.count_events)
        return found


async def _carry(source: Any, target: Any, statement: str, arguments: Sequence[Any]) -> None:
    """From a question there into the staging here; neither side waits for more than a few blocks."""
    blocks: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(maxsize=8)

    async def take(block: bytes) -> None:
        await blocks.put(bytes(block))

    async def read() -> None:
        try:
            await source.copy_from_query(statement, *arguments, output=take, format="binary")
        except BaseException as error:
            await blocks.put(error)
            raise
        await blocks.put(None)

    async def given() -> AsyncIterator[bytes]:
        while (block := await blocks.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block

    reading = asyncio.create_task(read())
    try:
        await target.copy_to_table("adopt_events", source=given(), columns=EVENT_COLUMNS, format="binary")
        await reading
    finally:
        reading.cancel()


async def visits_of(
    connection: Any, batch: Sequence[leads.OldCall]
) -> dict[tuple[UUID, UUID], leads.MatchedVisit]:
    """The visits here of these leads, by site and visit."""
    wanted = [(call.site_id, call.matched_session_id) for call in batch if call.matched_session_id]
    rows = await connection.fetch(
        SQL.visits_of_leads, [site for site, _ in wanted], [visit for _, visit in wanted]
    )
    return {
        (row["site_id"], row["id"]): leads.MatchedVisit(
            month=row["month"], gclid=row["gclid"], wbraid=row["wbraid"], gbraid=row["gbraid"],
            clicked_at=row["clicked_at"],
            consent_marketing=row["consent_marketing"],
        )
        for row in rows
    }  # fmt: skip


async def taken_stamps(connection: Any, batch: Sequence[leads.OldCall]) -> set[tuple[UUID, str]]:
    """Stamps of these leads that another lead here has."""
    stamped = [call for call in batch if call.intent_stamp]
    rows = await connection.fetch(
        SQL.taken_stamps,
        [c.site_id for c in stamped],
        [c.id for c in stamped],
        [c.intent_stamp for c in stamped],
    )
    return {(row["site_id"], row["intent_stamp"]) for row in rows}


async def add_leads(connection: Any, batch: Sequence[leads.Lead]) -> list[Any]:
    """Write those that are not here yet, with their log and ledger; all of them as they are here now."""
    actions = [action for lead in batch for action in lead.actions]
    conversions = [lead.conversion for lead in batch if lead.conversion]
    async with connection.transaction():
        for table, columns, rows in (
            ("adopt_calls", leads.CALL_COLUMNS, [lead.call for lead in batch]),
            ("adopt_actions", leads.ACTION_COLUMNS, actions),
            ("adopt_conversions", leads.CONVERSION_COLUMNS, conversions),
        ):
            await connection.copy_records_to_table(table, records=rows, columns=columns)
        written = [row["id"] for row in await connection.fetch(SQL.add_calls)]
        await connection.execute(SQL.add_actions, written)
        await connection.execute(SQL.add_conversions, written)
        found: list[Any] = await connection.fetch(SQL.leads_here)
        return found


async def add_rejected(connection: Any, row: Any) -> None:
    """A refused event, as it can be let in here: without the whole address of whoever sent it."""
    payload = msgspec.json.decode(row["payload"])
    address = agent = None
    if isinstance(payload, dict):
        address, agent = payload.pop("ip", None), payload.get("ua")
        address = truncate_ip(address) if isinstance(address, str) and address not in _NO_ADDRESS else None
    detail = ": ".join(filter(None, (row["stage"], row["error"])))[:500] or None
    await connection.execute(
        SQL.add_rejected, row["site_id"], row["id"], row["received_at"], Reason.UNSTORABLE, detail,
        msgspec.json.encode(payload),
        agent if isinstance(agent, str) else None, address, row["replay_count"], row["last_replay_at"],
        row["last_replay_error"],
    )  # fmt: skip


async def add_replay(connection: Any, row: Any, people: Mapping[UUID, UUID]) -> None:
    """A try to let a refused event in, and who made it."""
    outcome = "failed" if row["error"] else "noted"
    await connection.execute(
        SQL.add_replay, row["site_id"], row["id"], row["dlq_id"], row["replayed_at"], people.get(row["user_id"]),
        row["email"] or "", row["n"], outcome, row["error"][:500] if row["error"] else None,
    )  # fmt: skip


async def finish(connection: Any, site_id: UUID) -> None:
    """What is made of a site's rows: what its visits count, its visitors, its figures and what its leads are found by."""
    for row in await connection.fetch(SQL.months_of_site, site_id):
        await connection.execute(SQL.settle, site_id, row["created_month"])
    async with connection.transaction():
        await connection.execute(SQL.add_visitors, site_id)
        await connection.execute(SQL.pulse, site_id)
    await connection.execute(SQL.rebuild, site_id)


async def analyze(connection: Any) -> None:
    await connection.execute(SQL.analyze)
