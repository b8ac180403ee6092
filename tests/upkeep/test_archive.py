"""What retention lets go is in the archive as it was, comes back as it was, and brings nobody back who was erased."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from opsmantik.counters import store as counters
from opsmantik.errors import Conflict, NotFound, Unprocessable
from opsmantik.privacy import erasure
from opsmantik.privacy.subject import Kind
from opsmantik.upkeep import archive, parquet, retention
from opsmantik.upkeep.archive import Archive
from opsmantik.upkeep.runner import connect
from tests.dashboard.world import insert
from tests.upkeep.archived import (
    KEYRING,
    Month,
    carry_out,
    erase,
    is_there,
    make_month,
    month_ago,
    names,
    place,
    upkeep,
)

__all__ = ["make_month", "place", "upkeep"]

pytestmark = pytest.mark.slow


async def test_a_month_goes_into_files_and_comes_back_as_it_was(
    make_month: Any, owner: Any, upkeep: Any, place: Archive
) -> None:
    month = await make_month(30)
    await owner.execute("SELECT rebuild_counters($1)", month.site.id)
    figures = "SELECT day, dimension, key, sessions, events FROM counters WHERE site_id = $1 ORDER BY 1, 2, 3"
    before, counted = await month.rows(), await owner.fetch(figures, month.site.id)
    name = f"{month.month:%Y-%m}"

    done = await retention.expire(upkeep, archive=place)
    assert done["archived"] == [name] and f"events {name}" in done["dropped"]
    assert not await is_there(owner, month.month)
    assert names(place) == {f"{t}_{name}.1.{e}" for t in ("sessions", "events") for e in ("parquet", "json")}
    told = json.loads((place.directory / f"events_{name}.1.json").read_text())
    assert (told["table"], told["month"], told["file"]["rows"]) == ("events", name, 60)
    assert {"name": "event_value", "type": "numeric"} in told["file"]["columns"]
    assert told["schema"].startswith("2026-")
    assert told["file"]["sha256"] == parquet.digest(place.directory / told["file"]["file"])
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.directory.iterdir())

    back = await archive.restore(upkeep, place.directory, month.month, 30)
    assert [(b.table, b.back, b.held) for b in back] == [("sessions", 30, 30), ("events", 60, 60)]
    assert await month.rows() == before
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE ip_address IS NOT NULL") == 0
    assert await owner.fetch(figures, month.site.id) == counted
    assert await counters.differences(owner, month.site.id) == []
    with pytest.raises(Conflict, match="back already"):
        await archive.restore(upkeep, place.directory, month.month, 30)

    # Retention leaves it alone for as long; then it goes without being archived again.
    assert "dropped" not in await retention.expire(upkeep, archive=place) and await month.rows() == before
    await owner.execute("UPDATE archived_months SET restored_until = now() - interval '1 s'")
    again = await retention.expire(upkeep, archive=place)
    assert "archived" not in again and not await is_there(owner, month.month)
    await archive.restore(upkeep, place.directory, month.month, 1)
    assert await month.rows() == before


async def test_what_a_shorter_retention_took_before_is_not_in_it(
    make_month: Any, make_site: Any, owner: Any, upkeep: Any, place: Archive
) -> None:
    month = await make_month(2)
    long = Month(owner, await make_site(retention_months=60), month.month)
    kept = await long.visit()
    assert "archived" not in await retention.expire(upkeep, archive=place)
    assert [json.loads(r)["id"] for r in (await month.rows())["sessions"]] == [str(kept)]
    await owner.execute("UPDATE sites SET retention_months = 3 WHERE id = $1", long.site.id)
    before = await month.rows()
    await retention.expire(upkeep, archive=place)
    back = await archive.restore(upkeep, place.directory, month.month, 30)
    assert [b.held for b in back] == [1, 2] and await month.rows() == before


async def test_a_visit_that_stayed_for_its_lead_is_not_there_twice(
    make_month: Any, owner: Any, upkeep: Any, place: Archive
) -> None:
    month = await make_month(3)
    visit, lead, when = await month.visit(), uuid4(), datetime.now(UTC)
    await insert(owner, "calls", {
        "site_id": month.site.id, "id": lead, "created_at": when - timedelta(days=400), "occurred_at": when,
        "updated_at": when,
        "intent_action": "phone", "intent_target": "tel:+902125550101", "intent_stamp": lead.hex, "currency": "TRY",
        "matched_session_id": visit, "matched_session_month": month.month, "confirmed_at": when,
    })  # fmt: skip
    before = await month.rows()
    await retention.expire(upkeep, archive=place)
    assert [json.loads(r)["id"] for r in (await month.rows())["sessions"]] == [str(visit)]
    back = await archive.restore(upkeep, place.directory, month.month, 30)
    assert [(b.table, b.back, b.held) for b in back] == [("sessions", 3, 4), ("events", 8, 8)]
    assert await month.rows() == before
    await owner.execute("DELETE FROM calls WHERE id = $1", lead)


async def test_a_visit_whose_id_came_back_since_keeps_its_new_month(
    make_month: Any, owner: Any, upkeep: Any, place: Archive
) -> None:
    month = await make_month(2)
    old = await month.visit()
    await retention.expire(upkeep, archive=place)
    young = Month(owner, month.site, month_ago(0))
    other = await young.visit()
    async with owner.transaction():
        await owner.execute("SET CONSTRAINTS ALL DEFERRED")
        await owner.execute("DELETE FROM events WHERE session_id = $1", other)
        await owner.execute(
            "INSERT INTO session_keys (site_id, id, created_month) VALUES ($1, $2, $3)",
            month.site.id,
            old,
            young.month,
        )
        await owner.execute("UPDATE sessions SET id = $1 WHERE id = $2", old, other)
        await owner.execute("DELETE FROM session_keys WHERE id = $1", other)
    back = await archive.restore(upkeep, place.directory, month.month, 30)
    assert [(b.back, b.held) for b in back] == [(2, 3), (4, 6)]


async def test_who_is_erased_is_erased_from_the_archive_and_does_not_come_back(
    make_month: Any, owner: Any, upkeep: Any, place: Archive
) -> None:
    month, other = await make_month(4), await make_month(1)
    other.site = month.site
    await month.visit(visitor="v-erased", n=3)
    said = await other.visit(url="https://shop.example/?mail=ayse%40example.com", visitor="v-mail")
    mailed = await month.visit(visitor="v-mail")
    young = Month(owner, month.site, month_ago(1))
    live = await young.visit(visitor="v-mail")
    await retention.expire(upkeep, archive=place)
    stolen = place.directory.with_name("copy")
    shutil.copytree(place.directory, stolen)

    await erase(upkeep, month.site.id, Kind.VISITOR, "v-erased")
    await erase(upkeep, month.site.id, Kind.EMAIL, "h" * 64, "ayse(@|%40)example")
    assert await owner.fetchval("SELECT count(*) FROM erasures WHERE subject IS NOT NULL") == 2
    with pytest.raises(Conflict, match="2 erasures have to be carried out"):
        await archive.restore(upkeep, place.directory, month.month, 30)

    certificate = await owner.fetchval("SELECT certificate FROM erasures WHERE kind = 'email'")
    assert json.loads(certificate)["outside"][0] == "archive"

    first = await carry_out(upkeep, place)
    name, elsewhere = f"{month.month:%Y-%m}", f"{other.month:%Y-%m}"
    assert first == {
        f"{name} sessions": 1,
        f"{name} events": 3,
        f"{elsewhere} sessions": 1,
        f"{elsewhere} events": 2,
    }
    # The archived visit led to a visitor: erased from the database at once, from the other month in the next round.
    assert not await owner.fetchval("SELECT EXISTS (SELECT FROM sessions WHERE id = $1)", live)
    assert await carry_out(upkeep, place) == {f"{name} sessions": 1, f"{name} events": 2}
    assert await carry_out(upkeep, place) == {}
    assert (
        await owner.fetchval("SELECT count(*) FROM erasures WHERE subject IS NOT NULL OR key_id IS NOT NULL")
        == 0
    )
    acts = await owner.fetch(
        "SELECT subject, detail FROM site_acts WHERE action = 'privacy.archive' ORDER BY at, subject"
    )
    assert sorted((a["subject"], a["detail"]["events"]) for a in acts) == sorted(
        [(name, 3), (elsewhere, 2), (name, 2)]
    )

    assert {n for n in names(place) if n.startswith("events")} == {
        f"events_{month.month:%Y-%m}.3.parquet", f"events_{month.month:%Y-%m}.3.json",
        f"events_{other.month:%Y-%m}.2.parquet", f"events_{other.month:%Y-%m}.2.json",
    }  # fmt: skip
    for gone in ("v-erased", "v-mail"):
        content = b"".join(path.read_bytes() for path in place.directory.iterdir())
        assert gone.encode() not in content and str(said).encode() not in content
    # An older copy of the files is not taken back.
    with pytest.raises(NotFound):
        await archive.restore(upkeep, stolen, month.month, 30)
    for path in stolen.glob("*.1.*"):
        path.rename(path.with_name(path.name.replace(".1.", ".3.")))
    with pytest.raises(Unprocessable, match="not the file that was written"):
        await archive.restore(upkeep, stolen, month.month, 30)
    back = await archive.restore(upkeep, place.directory, month.month, 30)
    assert [b.back for b in back] == [4, 8]
    assert not await owner.fetchval("SELECT EXISTS (SELECT FROM sessions WHERE id = $1)", mailed)


async def test_an_erasure_that_is_under_way_when_a_month_is_archived_is_carried_out_there(
    make_month: Any, owner: Any, upkeep: Any, place: Archive, database: Any
) -> None:
    month = await make_month(2)
    await month.visit(visitor="v-late")
    other = await connect(database.owner)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SET LOCAL app.maintenance = 'on'")
        sealed = KEYRING.seal(b"{}", erasure.COLUMN, name := uuid4())
        await other.execute(
            "SELECT begin_erasure($1, $2, 'visitor', $3, false, $4, $5, 10)", month.site.id, name, b"h" * 32, sealed.data,
            sealed.key_id,
        )  # fmt: skip
        archiving = asyncio.create_task(archive.begin_all(upkeep))
        await asyncio.sleep(0.3)
        assert not archiving.done(), "it does not wait for the erasure to be written down"
        await transaction.commit()
        assert await archiving == [month.month]
    finally:
        await other.close()
    assert (
        await owner.fetchval("SELECT month FROM archive_erasures WHERE erasure_id = $1", name) == month.month
    )
    await owner.execute("DELETE FROM archive_erasures")
    await owner.execute("DELETE FROM erasures WHERE id = $1", name)
    await archive.archive_month(upkeep, place.directory, month.month)


async def test_where_files_cannot_be_written_nothing_of_the_month_goes(
    make_month: Any, owner: Any, upkeep: Any, place: Archive, make_site: Any
) -> None:
    month = await make_month()
    before = await month.rows()
    place.directory.write_text("a file where a directory should be")
    for _ in range(2):
        with pytest.raises(OSError, match="archive"):
            await retention.expire(upkeep, archive=place)
        assert await month.rows() == before
    place.directory.unlink()
    # What was begun is finished, even if it has been switched off since.
    off = Archive(place.directory, is_on=False)
    assert (await retention.expire(upkeep, archive=off))["archived"] == [f"{month.month:%Y-%m}"]
    assert not await is_there(owner, month.month)
    unarchived = await make_month()
    assert "archived" not in await retention.expire(upkeep, archive=off)
    assert not await is_there(owner, unarchived.month)
    with pytest.raises(NotFound, match="archived month"):
        await archive.restore(upkeep, place.directory, unarchived.month, 30)


async def test_a_damaged_file_is_not_restored(
    make_month: Any, upkeep: Any, place: Archive, owner: Any
) -> None:
    month = await make_month()
    await retention.expire(upkeep, archive=place)
    path = place.directory / f"events_{month.month:%Y-%m}.1.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(Unprocessable):
        await archive.restore(upkeep, place.directory, month.month, 30)
    assert (await month.rows())["sessions"] == []
    path.unlink()
    with pytest.raises(NotFound, match=r"events_.*it was written on"):
        await archive.restore(upkeep, place.directory, month.month, 30)


async def test_files_are_removed_when_they_are_old_enough(
    make_month: Any, upkeep: Any, place: Archive, owner: Any
) -> None:
    month = await make_month()
    await retention.expire(upkeep, archive=place)
    assert await archive.forget_old(upkeep, place) == []
    await erase(upkeep, month.site.id, Kind.VISITOR, "v-nobody")
    await owner.execute("UPDATE archived_months SET archived_at = now() - interval '13 months'")
    assert await archive.forget_old(upkeep, Archive(place.directory, is_on=True)) == []
    assert await archive.forget_old(upkeep, place) == [f"{month.month:%Y-%m}"]
    assert names(place) == set() and await archive.forget_old(upkeep, place) == []
    assert await owner.fetchval("SELECT count(*) FROM archive_erasures") == 0
    assert await owner.fetchval("SELECT count(*) FROM erasures WHERE subject IS NOT NULL") == 0
    with pytest.raises(NotFound, match="its files were removed"):
        await archive.restore(upkeep, place.directory, month.month, 30)
