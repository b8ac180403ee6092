"""A site's people over HTTP: who is invited and how they come in, who changes whose role, and whose the site is.

In the whole application, with a real mail server beside it.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from opsmantik.people.capabilities import GRANTABLE, PLATFORM_ADMIN, Capability, roles_with
from tests.mailbox import Mailbox, mail_server
from tests.web.browsing import PASSWORD, TOKEN, Running, running
from tests.web.team import Somebody, Team, acts, links, new_team, roles, sign_in, somebody, text_of
from tests.web.world import Programs

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def box() -> AsyncIterator[Mailbox]:
    async with mail_server() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(
    database: Any, box: Mailbox, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """The application of this module, with a mail server."""
    home = tmp_path_factory.mktemp("home")
    async with running(database.app, home, smtp_url=f"smtp://{box.address}") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def team(owner: Any, web: Running, box: Mailbox) -> Team:
    box.mails.clear()
    box.refusal = None
    return await new_team(owner, web)


def fresh() -> str:
    return f"new.{uuid4().hex[:12]}@example.com"


async def invited(by: Somebody, team: Team, email: str | None = None, role: str = "operator") -> str:
    """Invite somebody; the path of the link."""
    before = links((await by.browser.get(team.members)).text)
    answer = await by.post(f"{team.members}/invite", email=email or fresh(), role=role)
    assert answer.status_code == 303, answer.text
    (link,) = set(links((await by.browser.get(team.members)).text)) - set(before)
    return link


async def join(web: Running, link: str, **fields: str) -> Any:
    """Open the link in a new browser, and make the account."""
    browser = web.browser()
    given = {"name": "Yeni Kişi", "password": PASSWORD, **fields}
    return browser, await browser.submit(link, f"{link}/join", **given)


# The way in.


async def test_an_invite_is_mailed_and_its_link_makes_a_member_who_is_signed_in(
    owner: Any, web: Running, team: Team, box: Mailbox
) -> None:
    email = fresh()
    answer = await team.admin.post(f"{team.members}/invite", email=f" {email.upper()} ", role="analyst")
    assert (answer.status_code, answer.headers["location"]) == (303, team.members)
    (mail,) = box.mails
    assert mail.to == [email]
    assert mail.message["Subject"] == "Invitation to Vinç Kiralama"
    assert team.admin.email in mail.text and "Analyst" in mail.text
    (link,) = links(mail.text)
    shown = await web.browser().get(link)
    assert shown.status_code == 200
    assert f"{team.admin.email} invites you to Vinç Kiralama as Analyst" in text_of(shown.text)
    browser, joined = await join(web, link)
    assert (joined.status_code, joined.headers["location"]) == (303, f"/sites/{team.site.id}")
    assert "Vinç Kiralama" in (await browser.get(f"/sites/{team.site.id}")).text
    row = await owner.fetchrow("SELECT * FROM users WHERE email = $1", email)
    assert row["name"] == "Yeni Kişi"
    assert await owner.fetchval("SELECT role FROM profiles WHERE id = $1", row["id"]) == "user"
    assert (await roles(owner, team))[str(row["id"])] == "analyst"
    assert await acts(owner, team) == [("members.invite", email), ("members.join", email)]
    assert (await web.browser().sign_in(email)).status_code == 303


async def test_the_mail_speaks_the_inviter_s_language(owner: Any, team: Team, box: Mailbox) -> None:
    await owner.execute("UPDATE profiles SET language = 'tr' WHERE id = $1", team.owner.id)
    await invited(team.owner, team, role="admin")
    (mail,) = box.mails
    assert mail.message["Subject"] == "Vinç Kiralama sitesine davet"
    assert "sizi OpsMantik üzerindeki" in mail.text and "Yönetici" in mail.text
    assert links(mail.text)


async def test_a_name_in_the_mail_is_a_line_and_no_message(owner: Any, web: Running, box: Mailbox) -> None:
    name = "Win!\nBcc: all@example.com\n\n" + "Click https://evil.example now. " * 5
    team = await new_team(owner, web, name=name[:200])
    box.mails.clear()
    await invited(team.owner, team)
    (mail,) = box.mails
    assert mail.message["Bcc"] is None
    assert len(mail.message["Subject"]) < 90
    assert "\nBcc" not in mail.text


async def test_the_link_can_be_copied_as_often_as_one_likes_until_it_is_used(
    owner: Any, web: Running, team: Team
) -> None:
    link = await invited(team.owner, team)
    for somebody_who_manages in (team.owner, team.admin, team.platform_admin):
        assert links((await somebody_who_manages.browser.get(team.members)).text) == [link]
    token = link.rpartition("/")[2]
    columns = await owner.fetch("SELECT * FROM invites WHERE site_id = $1", team.site.id)
    assert token not in str([dict(row) for row in columns])
    _, joined = await join(web, link)
    assert joined.status_code == 303
    html = (await team.owner.browser.get(team.members)).text
    assert links(html) == [] and "Yeni Kişi" in html


async def test_an_invite_sent_again_has_a_new_link_and_the_old_one_is_dead(
    owner: Any, web: Running, team: Team, box: Mailbox
) -> None:
    old = await invited(team.owner, team)
    invite = await owner.fetchrow("SELECT * FROM invites WHERE site_id = $1", team.site.id)
    await owner.execute(
        "UPDATE invites SET expires_at = now() + interval '1 hour' WHERE site_id = $1", team.site.id
    )
    answer = await team.admin.post(f"{team.members}/invites/{invite['id']}/resend")
    assert answer.status_code == 303
    (new,) = links((await team.owner.browser.get(team.members)).text)
    assert new != old
    assert [links(mail.text) for mail in box.mails] == [[old], [new]]
    gone = await web.browser().get(old)
    assert gone.status_code == 404 and "newer one was sent" in gone.text
    row = await owner.fetchrow("SELECT * FROM invites WHERE site_id = $1", team.site.id)
    assert (row["turn"], row["sent_count"], row["invited_by"]) == (2, 2, team.admin.id)
    assert row["expires_at"] - invite["created_at"] > (invite["expires_at"] - invite["created_at"])
    assert (await join(web, old))[1].status_code == 404 if TOKEN.search(gone.text) else True
    assert (await join(web, new))[1].status_code == 303


async def test_to_invite_an_address_again_takes_the_first_invite_back(
    owner: Any, web: Running, team: Team
) -> None:
    email = fresh()
    first = await invited(team.owner, team, email, "analyst")
    second = await invited(team.admin, team, email, "operator")
    assert links((await team.owner.browser.get(team.members)).text) == [second]
    assert (await web.browser().get(first)).status_code == 410
    _, joined = await join(web, second)
    assert joined.status_code == 303
    assert sorted((await roles(owner, team)).values()).count("operator") == 2


async def end(owner: Any, team: Team, how: str) -> None:
    """Make the site's one invite good no more."""
    where = "WHERE site_id = $1"
    match how:
        case "expired":
            await owner.execute(f"UPDATE invites SET expires_at = now() {where}", team.site.id)
        case "revoked":
            invite_id = await owner.fetchval(f"SELECT id FROM invites {where}", team.site.id)
            await team.owner.post(f"{team.members}/invites/{invite_id}/revoke")
        case "demoted":
            await team.owner.post(f"{team.members}/{team.admin.id}/role", role="operator")
        case "removed":
            await team.owner.post(f"{team.members}/{team.admin.id}/remove")
        case "disabled":
            await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", team.admin.id)


ENDS = {
    "expired": "It has expired.",
    "revoked": "It was taken back.",
    "demoted": "does not manage the site&#39;s members any more",
    "removed": "does not manage the site&#39;s members any more",
    "disabled": "does not manage the site&#39;s members any more",
}


@pytest.mark.parametrize(("how", "words"), ENDS.items(), ids=ENDS.keys())
async def test_an_invite_that_is_good_no_more_says_why_and_lets_nobody_in(
    owner: Any, web: Running, team: Team, how: str, words: str
) -> None:
    email = fresh()
    link = await invited(team.admin, team, email)
    page = web.browser()
    token = await page.token(link)
    invitee = await somebody(owner, web, email=fresh())
    await owner.execute("UPDATE users SET email = $2 WHERE id = $1", invitee.id, "x" + email)
    await end(owner, team, how)
    closed = await web.browser().get(link)
    assert closed.status_code == 410 and words in closed.text
    tried = await page.http.post(
        f"{link}/join", data={"form_token": token, "name": "x", "password": PASSWORD}
    )
    assert tried.status_code == 410
    await owner.execute("UPDATE users SET email = $2 WHERE id = $1", invitee.id, email)
    assert (await invitee.post(f"{link}/accept")).status_code == 410
    assert str(invitee.id) not in await roles(owner, team)
    assert await owner.fetchval("SELECT count(*) FROM users WHERE email = $1", email) == 1


async def test_an_invite_is_good_once(owner: Any, web: Running, team: Team) -> None:
    link = await invited(team.owner, team)
    two = [web.browser(), web.browser()]
    tokens = [await browser.token(link) for browser in two]
    answers = await asyncio.gather(
        *(
            browser.http.post(f"{link}/join", data={"form_token": token, "name": "x", "password": PASSWORD})
            for browser, token in zip(two, tokens, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303, 410]
    again = await web.browser().get(link)
    assert again.status_code == 410 and "taken up already" in again.text
    assert len(await roles(owner, team)) == 5


async def test_whoever_has_an_account_signs_in_first_and_comes_back(
    owner: Any, web: Running, team: Team, make_person: Any
) -> None:
    user_id, email = await make_person()
    link = await invited(team.owner, team, email, "admin")
    browser = web.browser()
    html = (await browser.get(link)).text
    way = re.search(r'href="(/sign-in\?next=[^"]+)"', html)
    assert way and "/join" not in html
    assert (await browser.http.post(f"{link}/accept")).status_code in (401, 403)
    answer = await browser.submit(way[1], "/sign-in", email=email, password=PASSWORD, next=link)
    assert answer.headers["location"] == link
    accepted = await browser.submit(link, f"{link}/accept")
    assert (accepted.status_code, accepted.headers["location"]) == (303, f"/sites/{team.site.id}")
    assert (await roles(owner, team))[str(user_id)] == "admin"
    assert (await browser.get(link)).status_code == 410


async def test_an_invite_is_for_the_address_that_it_was_written_to(
    owner: Any, web: Running, team: Team
) -> None:
    for email in (fresh(), (await somebody(owner, web)).email):
        link = await invited(team.owner, team, email)
        html = (await team.stranger.browser.get(link)).text
        assert f"You are signed in as {team.stranger.email}" in html and 'action="/sign-out"' in html
        assert (await team.stranger.post(f"{link}/accept")).status_code == 403
        other = await team.stranger.post(f"{link}/join", name="x", password=PASSWORD)
        assert other.status_code == 200  # the page again
        assert str(team.stranger.id) not in await roles(owner, team)
        assert (await web.browser().get(link)).status_code == 200  # still good


async def test_a_link_cannot_take_an_account_over(
    owner: Any, web: Running, team: Team, make_person: Any
) -> None:
    user_id, email = await make_person()
    kept = await owner.fetchval("SELECT password_hash FROM users WHERE id = $1", user_id)
    link = await invited(team.owner, team, email)
    browser = web.browser()
    token = await browser.token("/sign-in")
    fields = {"form_token": token, "name": "Thief", "password": "another password entirely"}
    assert (await browser.http.post(f"{link}/join", data=fields)).status_code == 200
    assert await owner.fetchval("SELECT password_hash FROM users WHERE id = $1", user_id) == kept
    assert str(user_id) not in await roles(owner, team)


async def test_who_belongs_to_the_site_by_now_keeps_the_role_that_they_have(
    owner: Any, web: Running, team: Team
) -> None:
    link = await invited(team.owner, team, team.stranger.email, "admin")
    await owner.execute(
        "INSERT INTO site_members (site_id, user_id, role) VALUES ($1, $2, 'analyst')",
        team.site.id,
        team.stranger.id,
    )
    assert (await team.stranger.post(f"{link}/accept")).status_code == 303
    assert (await roles(owner, team))["stranger"] == "analyst"


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaa", "x" * 201, ""])
async def test_a_new_account_needs_a_good_password(
    owner: Any, web: Running, team: Team, password: str
) -> None:
    link = await invited(team.owner, team)
    _, answer = await join(web, link, password=password)
    assert answer.status_code == 422
    assert "A password needs 12 to 200 characters" in answer.text and 'value="Yeni Kişi"' in answer.text
    assert len(await roles(owner, team)) == 4


@pytest.mark.parametrize("token", ["x", "A" * 43, "%00", "é" * 20, "a" * 2000])
async def test_a_link_that_never_was_is_not_there(web: Running, token: str) -> None:
    answer = await web.browser().get(f"/invite/{token}")
    assert answer.status_code == 404
    assert "This invite is not good" in answer.text


# Inviting.

REFUSED = {
    "no address": ({"email": "ayşe"}, 422, "That is not an e-mail address."),
    "a line break in it": ({"email": "a@b.example\nbcc: c@d.example"}, 422, "That is not an e-mail address."),
    "two of them": ({"email": "a@b.example, c@d.example"}, 422, "That is not an e-mail address."),
    "too long": ({"email": "a" * 300 + "@b.example"}, 422, "That is not an e-mail address."),
    "the owner's role": ({"role": "owner"}, 403, ""),
    "the platform's": ({"role": "platform_admin"}, 403, ""),
    "a role that is none": ({"role": "root"}, 403, ""),
    "no role": ({"role": ""}, 403, ""),
}


@pytest.mark.parametrize(("changes", "status", "words"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_invited(
    owner: Any, team: Team, box: Mailbox, changes: dict[str, str], status: int, words: str
) -> None:
    answer = await team.owner.post(
        f"{team.members}/invite", **{"email": fresh(), "role": "analyst", **changes}
    )
    assert answer.status_code == status
    assert words in answer.text
    assert await owner.fetchval("SELECT count(*) FROM invites WHERE site_id = $1", team.site.id) == 0
    assert (box.mails, await acts(owner, team)) == ([], [])


async def test_a_member_is_not_invited_again(owner: Any, team: Team) -> None:
    for one in (team.owner, team.analyst):
        answer = await team.admin.post(f"{team.members}/invite", email=one.email, role="admin")
        assert answer.status_code == 422 and "They belong to this site already." in answer.text
    assert (await roles(owner, team))["analyst"] == "analyst"


async def test_inviting_does_not_tell_whether_there_is_an_account(
    owner: Any, team: Team, box: Mailbox
) -> None:
    known, unknown = team.stranger.email, f"{uuid4().hex}@example.com"
    seen = []
    for email in (known, unknown):
        answer = await team.owner.post(f"{team.members}/invite", email=email, role="analyst")
        html = (await team.owner.browser.get(team.members)).text
        (invite,) = await owner.fetch(
            "SELECT id, email FROM invites WHERE email = $1 AND site_id = $2", email, team.site.id
        )
        await team.owner.post(f"{team.members}/invites/{invite['id']}/revoke")
        text = re.sub(
            r"[0-9a-f]{80}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|/invite/[\w-]{43}|datetime=\S+|title=\"[^\"]+\"",
            "",
            html,
        )
        seen.append((answer.status_code, answer.headers["location"], text.replace(email, "ADDRESS")))
    assert seen[0] == seen[1]
    texts = [re.sub(r"/invite/[\w-]{43}", "", mail.text) + str(mail.message["Subject"]) for mail in box.mails]
    assert len(texts) == 2 and texts[0] == texts[1]


async def test_twenty_invites_an_hour_are_enough(owner: Any, team: Team, box: Mailbox) -> None:
    await owner.execute(
        "INSERT INTO site_acts (site_id, id, at, actor, actor_name, action)"
        " SELECT $1, gen_random_uuid(), now() - interval '50 minutes', $2, 'x', 'members.invite'"
        " FROM generate_series(1, 19)",
        team.site.id,
        team.owner.id,
    )
    await invited(team.owner, team)
    invite_id = await owner.fetchval("SELECT id FROM invites WHERE site_id = $1", team.site.id)
    email = fresh()
    answers = [
        await team.owner.post(f"{team.members}/invite", email=email, role="analyst"),
        await team.owner.post(f"{team.members}/invites/{invite_id}/resend"),
    ]
    for answer in answers:
        assert answer.status_code == 429
        assert 500 < int(answer.headers["retry-after"]) <= 600
        assert "Twenty invites an hour are enough. Try again in 10 minutes." in answer.text
    assert f'value="{email}"' in answers[0].text
    program = await Programs(team.owner.browser).post(
        "/api/customers/invite", {"email": email, "site_id": str(team.site.id)}
    )
    assert (program.status_code, program.json()["code"]) == (429, "too_many_invites")
    assert len(box.mails) == 1
    await invited(team.admin, team)  # somebody else's hour is their own


async def test_what_the_mail_server_does_not_take_is_told_beside_the_invite_which_stands(
    owner: Any, web: Running, team: Team, box: Mailbox
) -> None:
    box.refusal = "451 try later"
    link = await invited(team.owner, team)
    html = (await team.owner.browser.get(team.members)).text
    assert "The mail server did not take it." in html and "451 " not in html
    assert (await web.browser().get(link)).status_code == 200
    box.refusal = None
    invite_id = await owner.fetchval("SELECT id FROM invites WHERE site_id = $1", team.site.id)
    await team.owner.post(f"{team.members}/invites/{invite_id}/resend")
    html = (await team.owner.browser.get(team.members)).text
    assert "did not take it" not in html and "Mailed" in html
    assert links(html) == links(box.mails[0].text)


async def test_without_a_mail_server_the_link_is_there_to_be_copied(
    owner: Any, database: Any, tmp_path: Any, team: Team, box: Mailbox
) -> None:
    async with running(database.app, tmp_path) as quiet:
        browser = quiet.browser()
        await sign_in(owner, browser, team.owner.id)
        alone = Somebody(team.owner.id, team.owner.email, browser)
        link = await invited(alone, team)
        html = (await browser.get(team.members)).text
        assert "You get a link to send them" in html and "did not take it" not in html
        _, joined = await join(quiet, link)
        assert joined.status_code == 303
    assert box.mails == []


async def test_two_who_send_it_again_at_once_make_one_new_link(owner: Any, team: Team) -> None:
    await invited(team.owner, team)
    invite_id = await owner.fetchval("SELECT id FROM invites WHERE site_id = $1", team.site.id)
    path = f"{team.members}/invites/{invite_id}/resend"
    answers = await asyncio.gather(team.owner.post(path), team.admin.post(path))
    assert {answer.status_code for answer in answers} == {303}
    turn = await owner.fetchval("SELECT turn FROM invites WHERE site_id = $1", team.site.id)
    sent = [action for action, _ in await acts(owner, team) if action == "members.resend"]
    assert turn - 1 == len(sent) and len(sent) in (1, 2)


# Who may, and who may not.

MANAGERS = ("owner", "admin", "platform_admin")


async def test_only_those_who_manage_members_open_the_page_or_act_on_it(
    owner: Any, web: Running, team: Team
) -> None:
    await invited(team.owner, team)
    invite_id = await owner.fetchval("SELECT id FROM invites WHERE site_id = $1", team.site.id)
    tried = {
        f"{team.members}/invite": {"email": fresh(), "role": "admin"},
        f"{team.members}/invites/{invite_id}/resend": {},
        f"{team.members}/invites/{invite_id}/revoke": {},
        f"{team.members}/{team.admin.id}/role": {"role": "analyst"},
        f"{team.members}/{team.admin.id}/remove": {},
    }
    before = await roles(owner, team), await acts(owner, team)
    for role, status in (("operator", 403), ("analyst", 403), ("stranger", 404)):
        one: Somebody = getattr(team, role)
        assert (await one.browser.get(team.members)).status_code == status
        for path, fields in tried.items():
            assert (await one.post(path, **fields)).status_code == status, (role, path)
        program = await Programs(one.browser).post(
            "/api/customers/invite", {"email": fresh(), "site_id": str(team.site.id)}
        )
        assert program.status_code == status
    assert (await web.browser().get(team.members)).headers["location"].startswith("/sign-in")
    assert (await roles(owner, team), await acts(owner, team)) == before
    for role in MANAGERS:
        assert (await getattr(team, role).browser.get(team.members)).status_code == 200


def test_the_second_wall_names_the_roles_of_the_table() -> None:
    """The functions in the database check by name what people/capabilities.py says."""
    assert set(roles_with(Capability.MEMBERS)) == set(MANAGERS)
    assert set(roles_with(Capability.OWN)) == {"owner", PLATFORM_ADMIN}
    assert set(GRANTABLE) == {"admin", "operator", "analyst"}


ROLE_CHANGES = [
    # who, whose, to what: the answer, and what they are then
    ("owner", "operator", "admin", 303, "admin"),
    ("owner", "admin", "analyst", 303, "analyst"),
    ("admin", "analyst", "operator", 303, "operator"),
    ("admin", "operator", "admin", 303, "admin"),
    ("platform_admin", "analyst", "admin", 303, "admin"),
    ("admin", "owner", "analyst", 422, "owner"),
    ("platform_admin", "owner", "analyst", 422, "owner"),
    ("owner", "owner", "analyst", 422, "owner"),
    ("admin", "admin", "analyst", 422, "admin"),
    ("admin", "admin", "admin", 422, "admin"),
    ("admin", "admin", "owner", 403, "admin"),
    ("owner", "admin", "owner", 403, "admin"),
    ("owner", "admin", "platform_admin", 403, "admin"),
    ("owner", "admin", "", 403, "admin"),
    ("owner", "stranger", "admin", 303, None),
]


@pytest.mark.parametrize(("who", "whose", "to", "status", "then"), ROLE_CHANGES)
async def test_who_makes_whom_what(
    owner: Any, team: Team, who: str, whose: str, to: str, status: int, then: str | None
) -> None:
    path = f"{team.members}/{getattr(team, whose).id}/role"
    before = await roles(owner, team)
    answer = await getattr(team, who).post(path, role=to)
    assert answer.status_code == status
    assert await roles(owner, team) == before | ({whose: then} if then else {})
    changed = [("members.role", getattr(team, whose).email)] if before.get(whose) != then else []
    assert await acts(owner, team) == changed
    if status == 422:
        assert 'role="alert"' in answer.text


REMOVALS = [
    ("owner", "admin", 303, True),
    ("admin", "operator", 303, True),
    ("platform_admin", "analyst", 303, True),
    ("admin", "owner", 422, False),
    ("platform_admin", "owner", 422, False),
    ("owner", "owner", 422, False),
    ("admin", "admin", 422, False),
    ("owner", "stranger", 303, False),
]


@pytest.mark.parametrize(("who", "whose", "status", "gone"), REMOVALS)
async def test_who_removes_whom(
    owner: Any, team: Team, who: str, whose: str, status: int, gone: bool
) -> None:
    victim: Somebody = getattr(team, whose)
    answer = await getattr(team, who).post(f"{team.members}/{victim.id}/remove")
    assert answer.status_code == status
    assert (whose in await roles(owner, team)) == (not gone and whose != "stranger")
    assert await acts(owner, team) == ([("members.remove", victim.email)] if gone else [])
    if gone:
        assert (await victim.browser.get(f"/sites/{team.site.id}")).status_code == 404


async def test_everybody_may_leave_but_the_owner(owner: Any, team: Team) -> None:
    path = f"{team.settings}/membership"
    for role in ("analyst", "operator", "admin"):
        one: Somebody = getattr(team, role)
        assert "Leave this site" in (await one.browser.get(path)).text
        answer = await one.post(f"{path}/leave")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sites")
        assert (await one.browser.get(path)).status_code == 404
    answer = await team.owner.post(f"{path}/leave")
    assert answer.status_code == 422 and "The owner cannot leave." in answer.text
    answer = await team.platform_admin.post(f"{path}/leave")
    assert answer.status_code == 422
    assert (await team.stranger.post(f"{path}/leave")).status_code == 404
    assert await roles(owner, team) == {"owner": "owner"}
    assert [action for action, _ in await acts(owner, team)] == ["members.leave"] * 3


async def test_one_s_own_place_says_what_the_role_allows(team: Team) -> None:
    path = f"{team.settings}/membership"
    pages = {
        role: text_of((await getattr(team, role).browser.get(path)).text) for role in ("owner", "analyst")
    }
    assert "hand the site over, and switch it off" in pages["owner"]
    assert (
        "see leads, visits and figures" in pages["analyst"] and "decide about leads" not in pages["analyst"]
    )


async def test_two_managers_who_remove_each_other_do_not_both_succeed(owner: Any, team: Team) -> None:
    await team.owner.post(f"{team.members}/{team.operator.id}/role", role="admin")
    answers = await asyncio.gather(
        team.admin.post(f"{team.members}/{team.operator.id}/remove"),
        team.operator.post(f"{team.members}/{team.admin.id}/remove"),
    )
    assert sorted(answer.status_code for answer in answers) in ([303, 403], [303, 404])
    assert len(await roles(owner, team)) == 3


# Whose the site is.


async def test_a_site_is_handed_over_by_two_acts_of_two_people(owner: Any, team: Team) -> None:
    page, answering = f"{team.settings}/ownership", f"{team.settings}/membership/ownership"
    html = (await team.owner.browser.get(page)).text
    assert team.admin.email in html and team.operator.email not in html
    answer = await team.owner.post(f"{page}/offer", user_id=str(team.admin.id))
    assert answer.status_code == 303
    assert (await roles(owner, team))["owner"] == "owner"
    assert "offers you this site" in (await team.admin.browser.get(f"{team.settings}/membership")).text
    assert "Accept the site" in (await team.admin.browser.get(answering)).text
    accepted = await team.admin.post(answering, answer="accept")
    assert (accepted.status_code, accepted.headers["location"]) == (303, page)
    assert await owner.fetchval("SELECT user_id FROM sites WHERE id = $1", team.site.id) == team.admin.id
    rows = await owner.fetch("SELECT user_id, role FROM site_members WHERE site_id = $1", team.site.id)
    held = {row["user_id"]: row["role"] for row in rows}
    assert (held[team.owner.id], held[team.admin.id]) == ("admin", "owner")
    assert await acts(owner, team) == [
        ("ownership.offer", team.admin.email),
        ("ownership.accept", team.owner.email),
    ]
    assert (await team.owner.browser.get(page)).status_code == 403
    assert (await team.owner.browser.get(team.members)).status_code == 200
    refused = await team.owner.post(f"{team.members}/{team.admin.id}/remove")
    assert refused.status_code == 422


async def test_nobody_takes_a_site_that_is_not_offered_to_them(owner: Any, team: Team) -> None:
    answering = f"{team.settings}/membership/ownership"
    before = await roles(owner, team)
    await team.owner.post(f"{team.settings}/ownership/offer", user_id=str(team.admin.id))
    for role, status in (("operator", 422), ("analyst", 422), ("platform_admin", 422), ("stranger", 404)):
        one: Somebody = getattr(team, role)
        assert (await one.post(answering, answer="accept")).status_code == status
        if status == 422:
            html = (await one.browser.get(f"{team.settings}/membership")).text
            assert "offers you" not in html
    assert await roles(owner, team) == before
    for role in ("admin", "operator", "analyst"):
        one = getattr(team, role)
        for act, fields in (
            ("offer", {"user_id": str(one.id)}), ("withdraw", {}), ("switch", {"on": "0"}),
        ):  # fmt: skip
            assert (await one.post(f"{team.settings}/ownership/{act}", **fields)).status_code == 403
        assert (await one.browser.get(f"{team.settings}/ownership")).status_code == 403
    assert await roles(owner, team) == before


@pytest.mark.parametrize("whom", ["operator", "analyst", "stranger", "owner", "platform_admin", "nobody", ""])
async def test_a_site_is_offered_to_its_administrators_only(owner: Any, team: Team, whom: str) -> None:
    user_id = str(uuid4()) if whom == "nobody" else str(getattr(team, whom).id) if whom else ""
    answer = await team.owner.post(f"{team.settings}/ownership/offer", user_id=user_id)
    assert answer.status_code == 422 and "Choose one of the site&#39;s administrators." in answer.text
    assert await owner.fetchval("SELECT count(*) FROM ownership_offers WHERE site_id = $1", team.site.id) == 0


async def undo_offer(owner: Any, team: Team, how: str) -> None:
    match how:
        case "withdrawn":
            await team.owner.post(f"{team.settings}/ownership/withdraw")
        case "declined":
            await team.admin.post(f"{team.settings}/membership/ownership", answer="decline")
        case "expired":
            await owner.execute(
                "UPDATE ownership_offers SET expires_at = now() WHERE site_id = $1", team.site.id
            )
        case "demoted and promoted again":
            await team.owner.post(f"{team.members}/{team.admin.id}/role", role="analyst")
            await team.owner.post(f"{team.members}/{team.admin.id}/role", role="admin")
        case "demoted":
            await team.owner.post(f"{team.members}/{team.admin.id}/role", role="analyst")
        case "the owner's account is closed":
            await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", team.owner.id)
        case "it is somebody else's by now":
            user = "UPDATE sites SET user_id = $2 WHERE id = $1"
            await owner.execute(user, team.site.id, team.operator.id)
            member = "UPDATE site_members SET role = $3 WHERE site_id = $1 AND user_id = $2"
            await owner.execute(member, team.site.id, team.owner.id, "admin")
            await owner.execute(member, team.site.id, team.operator.id, "owner")


@pytest.mark.parametrize(
    "how",
    [
        "withdrawn", "declined", "expired", "demoted", "demoted and promoted again", "the owner's account is closed",
        "it is somebody else's by now",
    ],
)  # fmt: skip
async def test_an_offer_that_is_open_no_more_gives_nothing(owner: Any, team: Team, how: str) -> None:
    await team.owner.post(f"{team.settings}/ownership/offer", user_id=str(team.admin.id))
    await undo_offer(owner, team, how)
    before = await roles(owner, team)
    answer = await team.admin.post(f"{team.settings}/membership/ownership", answer="accept")
    assert answer.status_code == 422 and "This offer is open no more." in answer.text
    assert await roles(owner, team) == before
    assert "ownership.accept" not in dict(await acts(owner, team))


async def test_whoever_hands_a_site_over_or_switches_it_off_has_just_proved_who_they_are(
    owner: Any, team: Team
) -> None:
    await owner.execute(
        "UPDATE sign_ins SET created_at = now() - interval '1 hour', confirmed_at = NULL WHERE user_id = ANY ($1)",
        [team.owner.id, team.admin.id],
    )
    page = f"{team.settings}/ownership"
    for answer in (
        await team.owner.browser.get(page),
        await team.owner.post(f"{page}/offer", user_id=str(team.admin.id)),
        await team.owner.post(f"{page}/switch", on="0"),
        await team.admin.browser.get(f"{team.settings}/membership/ownership"),
        await team.admin.post(f"{team.settings}/membership/ownership", answer="accept"),
    ):
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/confirm"), answer.headers["location"]
    assert await acts(owner, team) == []


async def post_event(web: Running, team: Team) -> Any:
    now = int(time.time() * 1000)
    event = {
        "id": str(uuid4()), "ts": now, "sid": str(uuid4()), "cat": "interaction", "act": "view", "url": "https://shop.example/",
    }  # fmt: skip
    return await web.browser().http.post(
        "/v1/events",
        content=json.dumps({"site": team.site.public_id, "sent": now, "events": [event]}),
        headers={"user-agent": "Mozilla/5.0 Firefox/140.0"},
    )


async def test_a_site_that_is_switched_off_takes_nothing_within_a_second_and_takes_it_again(
    owner: Any, web: Running, team: Team
) -> None:
    page = f"{team.settings}/ownership"
    for on, status in (("0", 403), ("1", 200)):
        answer = await team.owner.post(f"{page}/switch", on=on)
        assert answer.status_code == 303
        ends = time.monotonic() + 1
        while (answered := await post_event(web, team)).status_code != status:
            assert time.monotonic() < ends, answered.text
            await asyncio.sleep(0.02)
        words = "The site is switched off" if on == "0" else "The site takes events"
        assert words in (await team.owner.browser.get(page)).text
    await team.owner.post(f"{page}/switch", on="1")  # no change, no line
    assert [action for action, _ in await acts(owner, team)] == ["site.switch_off", "site.switch_on"]


# As programs of the first generation invite.


async def test_a_program_of_the_first_generation_gets_the_link(
    owner: Any, web: Running, team: Team, box: Mailbox
) -> None:
    programs, email = Programs(team.owner.browser), fresh()
    answer = await programs.post("/api/customers/invite", {"email": email, "site_id": str(team.site.id)})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["success"], found["mailed"], found["invite"]["role"]) == (True, True, "analyst")
    assert links(found["login_url"]) == links(box.mails[0].text)
    _, joined = await join(web, links(found["login_url"])[0])
    assert joined.status_code == 303
    for role, ours in (("viewer", "analyst"), ("editor", "operator"), ("admin", "admin")):
        body = {"email": fresh(), "siteId": team.site.public_id, "role": role}
        assert (await programs.post("/api/customers/invite", body)).json()["invite"]["role"] == ours
    for body, status in (
        ({"email": fresh(), "site_id": str(team.site.id), "role": "owner"}, 403),
        ({"email": "no", "site_id": str(team.site.id)}, 422),
        ({"email": email, "site_id": str(team.site.id)}, 422),
        ({"email": fresh()}, 400),
        ({"site_id": str(team.site.id)}, 400),
        ({"email": fresh(), "site_id": str(uuid4())}, 404),
    ):
        refused = await programs.post("/api/customers/invite", body)
        assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
