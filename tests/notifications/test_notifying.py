"""Mail about new leads: to whom, when, with what in it, and how it ends. Over a real mail server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from opsmantik.db.connect import Database
from opsmantik.errors import Unprocessable
from opsmantik.event import new_id
from opsmantik.mail import Mailer
from opsmantik.notifications import store
from opsmantik.notifications.store import Wish
from opsmantik.settings import Settings
from opsmantik.upkeep.notifying import Notifying
from opsmantik.web.lead_mail import LeadMail, Signer
from opsmantik.webhooks.store import Keeper
from tests.desk import Desk
from tests.mailbox import Mailbox, mail_server

pytestmark = pytest.mark.slow

NUMBER = "+902125550101"


@pytest_asyncio.fixture(loop_scope="session")
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as box:
        yield box


class Post:
    """The sender of mail, turn by turn."""

    def __init__(self, database: Database, mailbox: Mailbox, home: Path) -> None:
        self.settings = Settings(
            home=home,
            secret_key="k" * 40,
            smtp_url=f"smtp://{mailbox.address}",
            public_url="https://om.example",
        )
        self.signer = Signer(self.settings)
        write = LeadMail(self.settings, self.signer)
        self.notifying = Notifying(database, Mailer(self.settings), write)


@pytest.fixture
async def post(app_database: Database, mailbox: Mailbox, tmp_path: Path, owner: Any) -> Post:
    # What an earlier test of this module left is none of this one's business.
    await owner.execute("DELETE FROM notice_wishes")
    return Post(app_database, mailbox, tmp_path)


async def wish(desk: Desk, by: str, pace: str, *quiet: time, language: str = "en") -> None:
    async with desk.database.as_person(desk.people[by], write=True) as (connection, _):
        await store.put_wish(connection, desk.site_id, Wish(pace, *quiet), language)


async def new_leads(desk: Desk, n: int = 1, **columns: Any) -> list[UUID]:
    leads = [await desk.lead(**columns) for _ in range(n)]
    async with desk.database.connection() as connection:
        await connection.execute("SELECT clear_leads($1, $2)", [desk.site_id] * n, leads)
    return leads


async def address(desk: Desk, by: str) -> str:
    found: str = await desk.owner.fetchval("SELECT email FROM users WHERE id = $1", desk.people[by])
    return found


async def test_a_new_lead_is_mailed_to_who_wants_it_and_says_nobody_s_number(
    make_desk: Any,
    post: Post,
    mailbox: Mailbox,
) -> None:
    desk = await make_desk(name="Vinç Kiralama")
    await wish(desk, "operator", "every")
    await wish(desk, "analyst", "off")
    [lead] = await new_leads(
        desk, visit={"utm_term": "kiralık vinç", "utm_campaign": "istanbul"}, lead_score=55
    )
    assert await post.notifying.turn() == 1
    [mail] = mailbox.mails
    assert mail.to == [await address(desk, "operator")]
    assert mail.message["subject"] == "New lead: Vinç Kiralama"
    for words in ("Phone", "First Click (Paid)", "kiralık vinç", "campaign istanbul", "score 55"):
        assert words in mail.text, words
    assert f"https://om.example/sites/{desk.site_id}#lead-{lead}" in mail.text
    digits = "".join(c for c in mail.text if c.isdigit())
    assert NUMBER not in mail.text and NUMBER[1:] not in digits and "5550101" not in digits
    assert mail.message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert await post.notifying.turn() == 0, "once"


async def test_a_mail_is_in_the_language_of_its_reader(make_desk: Any, post: Post, mailbox: Mailbox) -> None:
    desk = await make_desk(name="Vinç")
    await wish(desk, "operator", "every", language="tr")
    await new_leads(desk)
    await post.notifying.turn()
    assert mailbox.mails[0].message["subject"] == "Yeni talep: Vinç"
    assert "Telefon" in mailbox.mails[0].text


async def test_a_few_leads_come_one_by_one_and_a_flood_in_one_mail(
    make_desk: Any,
    post: Post,
    mailbox: Mailbox,
) -> None:
    desk = await make_desk(name="Shop")
    await wish(desk, "owner", "every")
    await new_leads(desk, 3)
    assert await post.notifying.turn() == 3
    leads = await new_leads(desk, 8)
    assert await post.notifying.turn() == 1
    mail = mailbox.mails[-1]
    assert mail.message["subject"] == "8 new leads: Shop"
    assert all(str(lead) in mail.text for lead in leads)


async def test_leads_are_gathered_for_as_long_as_somebody_wishes(
    make_desk: Any,
    post: Post,
    mailbox: Mailbox,
    owner: Any,
) -> None:
    desk = await make_desk()
    await wish(desk, "owner", "quarter_hour")
    await new_leads(desk, 2)
    assert await post.notifying.turn() == 0
    wait = await owner.fetchval("SELECT next_at - now() FROM notice_wishes WHERE site_id = $1", desk.site_id)
    assert timedelta(minutes=14) < wait <= timedelta(minutes=15)
    await new_leads(desk)
    assert await post.notifying.turn() == 0
    await owner.execute("UPDATE notice_wishes SET next_at = now() WHERE site_id = $1", desk.site_id)
    assert await post.notifying.turn(datetime.now(UTC) + timedelta(minutes=16)) == 1
    assert "3 new leads" in mailbox.mails[0].message["subject"]


async def test_at_night_nothing_is_mailed_and_in_the_morning_all_of_it_at_once(
    make_desk: Any,
    post: Post,
    mailbox: Mailbox,
    owner: Any,
) -> None:
    desk = await make_desk(time_zone="UTC")
    now = datetime.now(UTC)
    hour = now.hour
    await wish(desk, "owner", "every", time(hour), time((hour + 2) % 24))
    await new_leads(desk, 2)
    assert await post.notifying.turn(now) == 0
    until = await owner.fetchval("SELECT next_at FROM notice_wishes WHERE site_id = $1", desk.site_id)
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    assert abs(until - end) < timedelta(seconds=5)
    await owner.execute("UPDATE notice_wishes SET next_at = now() WHERE site_id = $1", desk.site_id)
    assert await post.notifying.turn(end + timedelta(seconds=1)) == 1
    assert "2 new leads" in mailbox.mails[0].message["subject"]


async def test_a_suspicious_lead_is_not_mailed(make_desk: Any, post: Post, mailbox: Mailbox) -> None:
    desk = await make_desk()
    await wish(desk, "owner", "every")
    lead = await desk.lead()
    async with desk.database.connection() as connection:
        await connection.execute(
            "SELECT suspect_lead($1, $2, $3, $4)", desk.site_id, lead, new_id(), ["fast_tap"]
        )
    assert await post.notifying.turn() == 0 and mailbox.mails == []


LOST: dict[str, str] = {
    "no member any more": "DELETE FROM site_members WHERE user_id = $1",
    "an account that was closed": "UPDATE users SET disabled_at = now() WHERE id = $1",
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST.keys())
async def test_who_lost_access_gets_nothing(
    make_desk: Any,
    post: Post,
    mailbox: Mailbox,
    owner: Any,
    lost: str,
) -> None:
    desk = await make_desk()
    await wish(desk, "operator", "every")
    await new_leads(desk)
    await owner.execute(lost, desk.people["operator"])
    assert await post.notifying.turn() == 0 and mailbox.mails == []
    left = await owner.fetchval("SELECT count(*) FROM notice_wishes WHERE site_id = $1", desk.site_id)
    assert left == 0


async def test_a_mail_that_the_server_does_not_take_is_tried_again_and_then_given_up(
    make_desk: Any,
    post: Post,
    mailbox: Mailbox,
    owner: Any,
) -> None:
    desk = await make_desk()
    await wish(desk, "owner", "every")
    await new_leads(desk)
    mailbox.refusal = "451 not now"
    for n in range(1, 6):
        await owner.execute("UPDATE notice_wishes SET next_at = now() WHERE site_id = $1", desk.site_id)
        assert await post.notifying.turn() == 0
        row = await owner.fetchrow("SELECT failures, next_at > now() AS later FROM notice_wishes")
        assert (row["failures"], row["later"]) == (n, True)
    mailbox.refusal = None
    await owner.execute("UPDATE notice_wishes SET next_at = now() WHERE site_id = $1", desk.site_id)
    assert await post.notifying.turn() == 1
    await new_leads(desk)
    mailbox.refusal = "451 not now"
    for _ in range(6):
        await owner.execute("UPDATE notice_wishes SET next_at = now() WHERE site_id = $1", desk.site_id)
        await post.notifying.turn()
    mailbox.refusal = None
    row = await owner.fetchrow("SELECT failures, next_at FROM notice_wishes WHERE site_id = $1", desk.site_id)
    assert (row["failures"], row["next_at"], len(mailbox.mails)) == (0, None, 1)


async def test_several_senders_mail_nothing_twice_and_a_dead_one_s_is_taken_over(
    make_desk: Any,
    post: Post,
    mailbox: Mailbox,
    owner: Any,
    app_database: Database,
    tmp_path: Path,
) -> None:
    desk = await make_desk()
    for role in ("owner", "admin", "operator", "analyst"):
        await wish(desk, role, "every")
    await new_leads(desk)
    async with app_database.connection() as connection:  # it takes one, and dies
        [taken] = await store.claim(connection, limit=1, seconds=60)
    other = Post(app_database, mailbox, tmp_path)
    assert await post.notifying.turn() + await other.notifying.turn() == 3
    assert taken.email not in {mail.to[0] for mail in mailbox.mails}
    await owner.execute("UPDATE notice_wishes SET next_at = now() WHERE user_id = $1", taken.user_id)
    assert await other.notifying.turn() == 1
    assert len({mail.to[0] for mail in mailbox.mails}) == len(mailbox.mails) == 4


async def test_whose_webhook_was_switched_off_is_told(post: Post, mailbox: Mailbox) -> None:
    keepers = [
        Keeper("gone", "https://hooks.example", "Vinç", "a@example.com", "en"),
        Keeper("failing", "https://hooks.example", "Vinç", "b@example.com", "tr"),
    ]
    await post.notifying.tell(keepers)
    english, turkish = mailbox.mails
    assert (
        english.to == ["a@example.com"] and "410" in english.text and "https://hooks.example" in english.text
    )
    assert "beş gündür" in turkish.text


async def test_wishes_are_one_s_own(make_desk: Any) -> None:
    desk = await make_desk()
    await wish(desk, "operator", "hour", time(22), time(8))
    async with desk.database.as_person(desk.people["operator"]) as (connection, _):
        found = await store.own_wish(connection, desk.site_id, desk.people["operator"])
        assert found == Wish("hour", time(22), time(8))
    async with desk.database.as_person(desk.people["owner"]) as (connection, _):
        assert await store.own_wish(connection, desk.site_id, desk.people["operator"]) == Wish()
        assert await connection.fetchval("SELECT count(*) FROM notice_wishes") == 0


@pytest.mark.parametrize("by", ["stranger", "neighbour"])
async def test_a_stranger_wishes_in_vain(make_desk: Any, by: str) -> None:
    desk = await make_desk()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await wish(desk, by, "every")


@pytest.mark.parametrize(
    "bad",
    [Wish("daily"), Wish("every", time(8)), Wish("every", None, time(8)), Wish("every", time(8), time(8))],
)
async def test_a_wish_that_makes_no_sense_is_refused(make_desk: Any, bad: Wish) -> None:
    desk = await make_desk()
    with pytest.raises(Unprocessable):
        await wish(desk, "owner", bad.pace, *[bad.quiet_from, bad.quiet_until])  # type: ignore[list-item]


def test_a_link_that_stops_mail_is_good_for_one_person_and_one_site(post: Post, tmp_path: Path) -> None:
    site, user = uuid4(), uuid4()
    token = post.signer.token(site, user)
    assert post.signer.read(token) == (site, user)
    others = Signer(Settings(home=tmp_path, secret_key="x" * 40))
    assert others.read(token) is None
    for wrong in (token[:-4], "", "ä", token[::-1], others.token(site, user), token + "AAAA"):
        assert post.signer.read(wrong) is None, wrong
