"""Summaries by mail: when one is due, what is in it, what its picture shows, and that each goes out once."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
import pytest_asyncio
from PIL import Image

from opsmantik import clock
from opsmantik.db.connect import Database
from opsmantik.errors import Unprocessable
from opsmantik.mail import Mailer
from opsmantik.notifications import summary_store
from opsmantik.notifications.summary import about, due_at, due_day, next_at, trend_of
from opsmantik.notifications.summary_store import SummaryWish
from opsmantik.settings import Settings
from opsmantik.upkeep.notifying import RETRIES
from opsmantik.upkeep.summarizing import Summarizing
from opsmantik.web.lead_mail import Signer
from opsmantik.web.rendering import environment
from opsmantik.web.static_files import StaticFiles
from opsmantik.web.summary_mail import PURPOSE, SummaryMail
from opsmantik.web.trend_picture import ACCENT, PALE, SCALE, WIDTH, Measure, height, places, trend_picture
from tests.desk import Desk
from tests.mailbox import Mail, Mailbox, mail_server

ISTANBUL, NEW_YORK, APIA = "Europe/Istanbul", "America/New_York", "Pacific/Apia"


def at(text: str, zone: str = ISTANBUL) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


# When.

# Pace, hour, zone, now; the day of the latest, and when the next is due.
DUE: dict[str, tuple[str, int, str, str, str, str]] = {
    "before the hour": ("daily", 8, ISTANBUL, "2026-11-22T07:59:59", "2026-11-21", "2026-11-22T08:00"),
    "at the hour": ("daily", 8, ISTANBUL, "2026-11-22T08:00", "2026-11-22", "2026-11-23T08:00"),
    "after a pause of days": ("daily", 8, ISTANBUL, "2026-11-22T23:00", "2026-11-22", "2026-11-23T08:00"),
    "at midnight": ("daily", 0, ISTANBUL, "2026-11-22T00:00", "2026-11-22", "2026-11-23T00:00"),
    "by the site's clock": ("daily", 8, NEW_YORK, "2026-11-22T07:30", "2026-11-21", "2026-11-22T08:00"),
    "on a Monday": ("weekly", 8, ISTANBUL, "2026-11-23T08:00", "2026-11-23", "2026-11-30T08:00"),
    "early on a Monday": ("weekly", 8, ISTANBUL, "2026-11-23T07:00", "2026-11-16", "2026-11-23T08:00"),
    "on a Sunday": ("weekly", 8, ISTANBUL, "2026-11-22T12:00", "2026-11-16", "2026-11-23T08:00"),
    "where the hour is skipped": ("daily", 2, NEW_YORK, "2026-03-08T01:59", "2026-03-07", "2026-03-08T03:00"),
    "just after it was skipped": ("daily", 2, NEW_YORK, "2026-03-08T03:00", "2026-03-08", "2026-03-09T02:00"),
}  # fmt: skip


@pytest.mark.parametrize(("pace", "hour", "zone", "now", "day", "next_one"), DUE.values(), ids=DUE.keys())
def test_a_summary_is_due_by_the_site_s_clock(
    pace: str, hour: int, zone: str, now: str, day: str, next_one: str
) -> None:
    moment = at(now, zone)
    assert due_day(pace, hour, zone, moment) == date.fromisoformat(day)
    assert next_at(pace, hour, zone, moment) == at(next_one, zone)


def test_an_hour_that_is_shown_twice_is_meant_the_first_time() -> None:
    first = datetime(2026, 11, 1, 5, 0, tzinfo=UTC)  # 1 a.m. in summer; an hour later it is 1 a.m. again
    assert due_at(date(2026, 11, 1), 1, NEW_YORK) == first
    assert due_day("daily", 1, NEW_YORK, first + timedelta(hours=1)) == date(2026, 11, 1)
    assert next_at("daily", 1, NEW_YORK, first) == datetime(2026, 11, 2, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize("zone", [ISTANBUL, NEW_YORK, "Australia/Lord_Howe", "America/Sao_Paulo", APIA])
@pytest.mark.parametrize("pace", ["daily", "weekly"])
@pytest.mark.parametrize("hour", [0, 2, 23])
def test_whatever_clocks_do_each_day_is_due_once_and_the_next_follows(
    zone: str, pace: str, hour: int
) -> None:
    for start in (datetime(2018, 10, 25, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)):
        now, last = start, due_day(pace, hour, zone, start)
        while now < start + timedelta(days=30):
            following = next_at(pace, hour, zone, now)
            assert now < following <= now + timedelta(days=8)
            day = due_day(pace, hour, zone, following)
            assert day == last + timedelta(days=7 if pace == "weekly" else 1)
            assert due_day(pace, hour, zone, following - timedelta(seconds=1)) == last
            now, last = following, day


def test_what_a_summary_is_about_is_whole_days_before_it() -> None:
    daily = about("daily", date(2026, 3, 9), NEW_YORK)
    assert daily.days == (date(2026, 3, 8),) and daily.over.end - daily.over.start == timedelta(hours=23)
    weekly = about("weekly", date(2026, 11, 23), ISTANBUL)
    assert (weekly.days[0], weekly.days[-1], weekly.aligned) == (date(2026, 11, 16), date(2026, 11, 22), True)
    assert clock.previous(weekly).days[0] == date(2026, 11, 9)
    assert len(trend_of("daily", date(2026, 11, 22), ISTANBUL).days) == 14
    eight_weeks = trend_of("weekly", date(2026, 11, 23), ISTANBUL)
    assert eight_weeks.days[0].weekday() == 0 and len(eight_weeks.days) == 56


def test_a_day_that_a_zone_skipped_is_nobody_s_yesterday() -> None:
    # Samoa had no 30 December 2011.
    assert about("daily", date(2011, 12, 31), APIA).days == (date(2011, 12, 29),)


# The picture.


def pixels(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    return picture.convert("RGB")


def colour(name: str) -> tuple[int, ...]:
    return tuple(int(name[n : n + 2], 16) for n in (1, 3, 5))


def column(picture: Image.Image, x: int, top: int, bottom: int, ink: str) -> int:
    """How many pixels of a column have this colour, as far as a palette of 64 can hold it."""
    wanted = colour(ink)
    near = [
        all(abs(a - b) <= 6 for a, b in zip(picture.getpixel((x, y)), wanted, strict=True))  # type: ignore[arg-type]
        for y in range(top, bottom)
    ]
    return sum(near)


@pytest.mark.parametrize(
    "values", [[120, 98, 0, 201, 7], [0, 0, 3], [5] * 14, [1, 1000]], ids=["mixed", "one", "many", "steep"]
)
def test_each_bar_of_the_picture_is_as_high_as_its_figure(values: list[int]) -> None:
    measures = [
        Measure("Sessions", values, [str(v) for v in values]),
        Measure("Leads", values[::-1], [str(v) for v in values[::-1]]),
    ]
    png = trend_picture(measures, [f"{n} Nov" for n in range(len(values))])
    picture = pixels(png)
    assert picture.size == (WIDTH * SCALE, height(2) * SCALE) and len(png) < 25_000
    for row, measure in enumerate(measures):
        placed, most = places(measure, row), max(measure.values)
        room = max(place.bottom - place.top for place in placed)
        for n, (value, place) in enumerate(zip(measure.values, placed, strict=True)):
            ink = ACCENT if n == len(values) - 1 else PALE
            # Near the bar's left edge: the figure above it stands in the middle.
            drawn = column(picture, place.left + 3, place.bottom - room, place.bottom, ink)
            assert drawn == pytest.approx(room * value / most, abs=SCALE) and (drawn > 0) == (value > 0), (
                row,
                n,
            )
            assert column(picture, place.left - 2, place.bottom - room, place.bottom, ink) == 0


def test_a_picture_of_nothing_has_no_bars() -> None:
    picture = pixels(trend_picture([Measure("Leads", [0, 0], ["0", "0"])], ["a", "b"]))
    colours = {c for _, c in picture.getcolors(100_000) or []}
    assert not {colour(ACCENT), colour(PALE)} & colours


@pytest.mark.slow
def test_letters_of_both_languages_are_drawn() -> None:
    """A letter that a font lacks is drawn as a box, and all boxes are alike."""
    said = {trend_picture([Measure(letter, [1], ["1"])], [letter]) for letter in "aşğİıÇöüŞĞ₺"}
    assert len(said) == 11


# The mail.


@pytest_asyncio.fixture(loop_scope="session")
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as box:
        yield box


class Post:
    """The sender of summaries, turn by turn."""

    def __init__(self, database: Database, mailbox: Mailbox, home: Path) -> None:
        self.settings = Settings(
            home=home,
            secret_key="k" * 40,
            smtp_url=f"smtp://{mailbox.address}",
            public_url="https://om.example",
        )
        self.signer = Signer(self.settings, PURPOSE)
        templates = environment(StaticFiles())
        self.compose = SummaryMail(self.settings, database, self.signer, templates)
        self.summarizing = Summarizing(database, Mailer(self.settings), self.compose)


@pytest.fixture
async def post(app_database: Database, mailbox: Mailbox, tmp_path: Path, owner: Any) -> Post:
    await owner.execute("DELETE FROM summary_wishes")
    return Post(app_database, mailbox, tmp_path)


async def wish(desk: Desk, by: str, pace: str, hour: int = 8, language: str = "en") -> None:
    async with desk.database.as_person(desk.people[by], write=True) as (connection, _):
        await summary_store.put_summary(
            connection, desk.site_id, SummaryWish(pace, hour), language, ISTANBUL, datetime.now(UTC)
        )


async def make_due(owner: Any, **where: Any) -> None:
    await owner.execute(
        "UPDATE summary_wishes SET next_at = now() WHERE pace <> 'off' AND ($1::uuid IS NULL OR user_id = $1)",
        where.get("user_id"),
    )


async def state(owner: Any, desk: Desk, by: str = "owner") -> Any:
    return await owner.fetchrow(
        "SELECT * FROM summary_wishes WHERE site_id = $1 AND user_id = $2", desk.site_id, desk.people[by]
    )


def parts(mail: Mail) -> tuple[str, str, bytes]:
    """Text, HTML and picture."""
    text, html = mail.message.get_body(("plain",)), mail.message.get_body(("html",))
    assert text is not None and html is not None
    [picture] = [part for part in mail.message.walk() if part.get_content_type() == "image/png"]
    assert picture["content-id"] == "<trend>" and picture.get_content_disposition() == "inline"
    said = [part.get_content().replace("\r\n", "\n") for part in (text, html)]
    return said[0], said[1], picture.get_content()


async def busy_desk(make_desk: Any, **columns: Any) -> Desk:
    """A site on which three leads came in yesterday at noon, from one campaign; nobody has decided about them."""
    desk: Desk = await make_desk(**{"name": "Vinç Kiralama", "time_zone": ISTANBUL, **columns})
    now = datetime.now(UTC)
    noon = datetime.combine(clock.today(ISTANBUL, now) - timedelta(days=1), time(12), ZoneInfo(ISTANBUL))
    for n in range(3):
        await desk.lead(
            age=now - noon + timedelta(minutes=n), visit={"utm_campaign": "istanbul", "utm_term": "Dr. Ayşe"}
        )
    return desk


slow = pytest.mark.slow


@slow
async def test_a_daily_summary_says_yesterday_against_the_day_before(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any
) -> None:
    desk = await busy_desk(make_desk)
    await wish(desk, "owner", "daily", 0)
    assert await post.summarizing.turn() == 0, "the next one is due tomorrow"
    await make_due(owner)
    assert await post.summarizing.turn() == 1
    [mail] = mailbox.mails
    text, html, png = parts(mail)
    yesterday = clock.today(ISTANBUL, datetime.now(UTC)) - timedelta(days=1)
    assert mail.message["subject"] == f"Vinç Kiralama: 3 leads, {yesterday.day} {yesterday:%b}"
    assert mail.to == [await owner.fetchval("SELECT email FROM users WHERE id = $1", desk.people["owner"])]
    # The same in both forms, and what the contracts say.
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert (
        re.search(r"Leads 3 0", said) and re.search(r"Sessions 3 0", said) and re.search(r"Sealed 0 0", said)
    )
    assert re.search(r"^Leads +3  \(before: 0\)$", text, re.MULTILINE)
    assert "First Click (Paid) 3 3 0" in said and "istanbul 3 3 0" in said
    assert "- istanbul: sessions 3, leads 3, sealed 0" in text
    for form in (text, html):
        assert (
            "3 leads wait for a decision." in form
            and f"https://om.example/sites/{desk.site_id}/queue" in form
        )
        assert f"https://om.example/sites/{desk.site_id}/settings/notifications" in form
        assert f"{yesterday.day} {yesterday:%b}" in form
    # Nobody's number, words or name, and nothing to fetch.
    for mark in ("5550101", "Ayşe", "Cj0KCQiA", "@"):
        assert mark not in text and mark not in html, mark
    assert (
        set(re.findall(r'src="([^"]+)"', html)) == {"cid:trend"}
        and "<link" not in html
        and "<script" not in html
    )
    # The picture's words are the figures; its last bar is yesterday.
    alt = re.search(r'alt="([^"]+)"', html)
    assert alt and f"{yesterday.day} {yesterday:%b} 3" in alt[1] and alt[1] in text
    placed = places(Measure("", [0] * 13 + [3], []), 1)[-1]
    assert (
        column(pixels(png), placed.left + 3, placed.top, placed.bottom, ACCENT) == placed.bottom - placed.top
    )
    assert await post.summarizing.turn() == 0, "once"


@slow
async def test_a_weekly_summary_in_turkish(make_desk: Any, post: Post, mailbox: Mailbox, owner: Any) -> None:
    desk = await busy_desk(make_desk)
    await wish(desk, "operator", "weekly", 9, "tr")
    row = await state(owner, desk, "operator")
    local = row["next_at"].astimezone(ZoneInfo(ISTANBUL))
    assert (local.weekday(), local.hour, local.minute) == (0, 9, 0)
    await make_due(owner)
    # On the Monday after, when last week is the one with the leads.
    assert await post.summarizing.turn(row["next_at"] + timedelta(seconds=1)) == 1
    text, html, png = parts(mailbox.mails[0])
    assert "Haftanın özeti" in html and "Son sekiz hafta" in html and '<html lang="tr">' in html
    assert "3 talep karar bekliyor." in text and "Talepler" in text and "İlk tıklama (ücretli)" in text
    assert mailbox.mails[0].message["subject"].startswith("Vinç Kiralama: 3 talep, ")
    assert pixels(png).size == (WIDTH * SCALE, height(2) * SCALE)


@slow
async def test_every_summary_can_be_stopped_by_its_link_and_no_other_mail_is(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any
) -> None:
    desk = await busy_desk(make_desk)
    await wish(desk, "owner", "daily")
    await make_due(owner)
    await post.summarizing.turn()
    message = mailbox.mails[0].message
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    link = message["list-unsubscribe"].strip("<>")
    assert link in parts(mailbox.mails[0])[0] and link in parts(mailbox.mails[0])[1]
    token = link.removeprefix("https://om.example/stop-summary/")
    assert post.signer.read(token) == (desk.site_id, desk.people["owner"])
    assert Signer(post.settings).read(token) is None, "another purpose"
    async with desk.database.connection() as connection:
        await summary_store.end(connection, desk.site_id, desk.people["owner"])
    row = await state(owner, desk)
    assert (row["pace"], row["next_at"]) == ("off", None)


@slow
async def test_several_servers_send_each_summary_once(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any, app_database: Database, tmp_path: Path
) -> None:
    desk = await busy_desk(make_desk)
    for role in ("owner", "admin", "operator", "analyst"):
        await wish(desk, role, "daily")
    await make_due(owner)
    others = [post, *(Post(app_database, mailbox, tmp_path) for _ in range(3))]
    for _ in range(3):
        await asyncio.gather(*(other.summarizing.turn() for other in others))
    assert len(mailbox.mails) == 4 == len({mail.to[0] for mail in mailbox.mails})
    assert len({mail.message["message-id"] for mail in mailbox.mails}) == 4
    # Looked at again on the same day, whyever: it has been sent.
    await make_due(owner)
    assert await post.summarizing.turn() == 0 and len(mailbox.mails) == 4


@slow
async def test_a_sender_that_dies_is_taken_over_and_sends_once_more_at_most(
    make_desk: Any,
    post: Post,
    mailbox: Mailbox,
    owner: Any,
    app_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = await busy_desk(make_desk)
    await wish(desk, "owner", "daily")
    await make_due(owner)
    async with app_database.connection() as connection:  # it takes the wish, and dies before it sends
        [taken] = await summary_store.claim(connection, limit=1, seconds=60)
    assert await post.summarizing.turn() == 0, "another has it"
    await make_due(owner)  # its lease is over
    monkeypatch.setattr(summary_store, "finish", _die)  # it sends, and dies before it can note that
    with pytest.raises(ZeroDivisionError):
        await post.summarizing.turn()
    monkeypatch.undo()
    assert len(mailbox.mails) == 1 and (await state(owner, desk))["sent_for"] is None
    assert await post.summarizing.turn() == 0, "it has it still"
    await make_due(owner)
    assert await post.summarizing.turn() == 1
    first, again = mailbox.mails
    assert first.message["message-id"] == again.message["message-id"], "by which mail programs know it"
    assert (await state(owner, desk))["sent_for"] is not None
    # What the dead one would still note changes nothing of what is due next.
    following = (await state(owner, desk))["next_at"]
    async with app_database.connection() as connection:
        await summary_store.finish(connection, taken, sent_for=None, next_at=datetime.now(UTC))
    assert (await state(owner, desk))["next_at"] == following


async def _die(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError


@slow
async def test_after_a_pause_only_the_latest_is_sent(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any
) -> None:
    desk = await busy_desk(make_desk)
    await wish(desk, "owner", "daily", 0)
    today = clock.today(ISTANBUL, datetime.now(UTC))
    await owner.execute(
        "UPDATE summary_wishes SET sent_for = $1, next_at = now() - interval '5 days'",
        today - timedelta(days=6),
    )
    assert await post.summarizing.turn() == 1 and await post.summarizing.turn() == 0
    row = await state(owner, desk)
    assert row["sent_for"] == today and row["next_at"] == due_at(today + timedelta(days=1), 0, ISTANBUL)


@slow
async def test_a_new_wish_begins_with_the_next_one(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any
) -> None:
    desk = await busy_desk(make_desk)
    local = datetime.now(ZoneInfo(ISTANBUL))
    await wish(desk, "owner", "daily", local.hour)  # this hour has begun
    assert await post.summarizing.turn() == 0
    assert (await state(owner, desk))["next_at"] > datetime.now(UTC) + timedelta(hours=22)


@slow
async def test_a_summary_that_the_server_does_not_take_is_tried_again_and_then_given_up(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any
) -> None:
    desk = await busy_desk(make_desk)
    await wish(desk, "owner", "weekly", 0)
    mailbox.refusal = "451 not now"
    # Early in a week, so that the next one is days away.
    tuesday = (await state(owner, desk))["next_at"] + timedelta(days=1)
    for n, seconds in enumerate(RETRIES, start=1):
        await make_due(owner)
        assert await post.summarizing.turn(tuesday) == 0
        row = await state(owner, desk)
        assert (row["failures"], row["sent_for"]) == (n, None)
        assert row["next_at"] == tuesday + timedelta(seconds=seconds)
    await make_due(owner)
    await post.summarizing.turn(tuesday)
    row = await state(owner, desk)
    assert (row["failures"], row["sent_for"]) == (0, due_day("weekly", 0, ISTANBUL, tuesday)), "given up"
    mailbox.refusal = None
    await make_due(owner)
    assert await post.summarizing.turn(tuesday + timedelta(days=7)) == 1, "and the next one comes"


@slow
async def test_one_that_cannot_be_made_keeps_no_other_waiting(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await busy_desk(make_desk)
    for role in ("owner", "operator"):
        await wish(desk, role, "daily")
    whole = SummaryMail.letter

    async def fail(self: SummaryMail, site_id: Any, user_id: Any, *rest: Any) -> Any:
        if user_id == desk.people["owner"]:
            raise ZeroDivisionError
        return await whole(self, site_id, user_id, *rest)

    monkeypatch.setattr(SummaryMail, "letter", fail)
    await make_due(owner)
    assert await post.summarizing.turn() == 1
    assert (await state(owner, desk))["failures"] == 1


LOST: dict[str, str] = {
    "no member any more": "DELETE FROM site_members WHERE user_id = $1",
    "an account that was closed": "UPDATE users SET disabled_at = now() WHERE id = $1",
}


@slow
@pytest.mark.parametrize("lost", LOST.values(), ids=LOST.keys())
async def test_who_lost_access_gets_nothing(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any, lost: str
) -> None:
    desk = await busy_desk(make_desk)
    await wish(desk, "operator", "daily")
    await make_due(owner)
    await owner.execute(lost, desk.people["operator"])
    # Also where it is lost after the wish was taken: the figures are asked for as the person.
    day = clock.today(ISTANBUL, datetime.now(UTC))
    assert await post.compose.letter(desk.site_id, desk.people["operator"], "daily", "en", day) is None
    assert await post.summarizing.turn() == 0 and mailbox.mails == []
    assert await state(owner, desk, "operator") is None


@slow
async def test_of_a_site_that_is_switched_off_nothing_is_sent(
    make_desk: Any, post: Post, mailbox: Mailbox, owner: Any
) -> None:
    desk = await busy_desk(make_desk)
    await wish(desk, "owner", "daily")
    await make_due(owner)
    await owner.execute("UPDATE sites SET disabled_at = now() WHERE id = $1", desk.site_id)
    assert await post.summarizing.turn() == 0 and mailbox.mails == []
    assert (await state(owner, desk))["next_at"] > datetime.now(UTC), "looked at again when the next is due"


@slow
async def test_wishes_are_one_s_own_and_a_stranger_wishes_in_vain(make_desk: Any) -> None:
    desk = await make_desk()
    await wish(desk, "operator", "weekly", 18)
    async with desk.database.as_person(desk.people["operator"]) as (connection, _):
        own = await summary_store.own_summary(connection, desk.site_id, desk.people["operator"])
        assert own == SummaryWish("weekly", 18)
    async with desk.database.as_person(desk.people["owner"]) as (connection, _):
        assert await connection.fetchval("SELECT count(*) FROM summary_wishes") == 0
    for by in ("stranger", "neighbour"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await wish(desk, by, "daily")


@slow
@pytest.mark.parametrize("bad", [SummaryWish("hourly"), SummaryWish("daily", 24), SummaryWish("daily", -1)])
async def test_a_wish_that_makes_no_sense_is_refused(make_desk: Any, bad: SummaryWish) -> None:
    desk = await make_desk()
    with pytest.raises(Unprocessable):
        await wish(desk, "owner", bad.pace, bad.hour)
