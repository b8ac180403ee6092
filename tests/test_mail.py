"""Mail to a real server: how it is handed over, what it looks like there, and what happens when it is not taken."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import quote

import pytest

from opsmantik.errors import MailFailed
from opsmantik.mail import Mailer
from opsmantik.settings import Settings
from tests.mailbox import PASSWORD, USER, mail_server, make_certificate

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


def mailer(url: str | None, **changes: str) -> Mailer:
    return Mailer(Settings(smtp_url=url, public_url="https://leads.example.com", **changes))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


async def test_a_mail_arrives_as_it_was_written() -> None:
    async with mail_server() as box:
        await mailer(f"smtp://{box.address}").send(
            "ayse@example.com", "Hoş geldiniz, Ayşe", "Günaydın.\n\nİşte.\n"
        )
    (mail,) = box.mails
    assert mail.to == ["ayse@example.com"]
    assert mail.text == "Günaydın.\n\nİşte.\n"
    found = {name: mail.message[name] for name in ("From", "To", "Subject", "Auto-Submitted", "Content-Type")}
    assert found == {
        "From": "OpsMantik <opsmantik@leads.example.com>", "To": "ayse@example.com", "Subject": "Hoş geldiniz, Ayşe",
        "Auto-Submitted": "auto-generated", "Content-Type": 'text/plain; charset="utf-8"',
    }  # fmt: skip
    assert mail.message["Message-ID"].endswith("@leads.example.com>")
    assert mail.message["Date"].datetime.tzinfo is not None


async def test_the_sender_is_the_one_that_is_set() -> None:
    async with mail_server() as box:
        await mailer(f"smtp://{box.address}", mail_from="Vinç Ltd <hello@vinc.example>").send(
            "a@b.example", "s", "t"
        )
    assert str(box.mails[0].message["From"]) == "Vinç Ltd <hello@vinc.example>"


async def test_without_a_server_nothing_happens() -> None:
    nobody = mailer(None)
    assert not nobody.is_on
    await nobody.send("a@b.example", "subject", "text")


# How it is handed over: what the server speaks, what the address says; encrypted, and as whom.
WAYS = {
    "plain, to a server that asks for nothing": (False, False, False, "smtp", "", (False, None)),
    "STARTTLS where it is offered": (True, False, False, "smtp", "", (True, None)),
    "STARTTLS, then the password": (True, False, True, "smtp", LOGIN, (True, USER)),
    "TLS from the start": (True, True, False, "smtps", "", (True, None)),
    "TLS from the start, then the password": (True, True, True, "smtps", LOGIN, (True, USER)),
    "a password to a server on this machine": (False, False, True, "smtp", LOGIN, (False, USER)),
}


@pytest.mark.parametrize(
    ("tls", "implicit", "auth", "scheme", "login", "told"), WAYS.values(), ids=WAYS.keys()
)
async def test_each_way_to_a_server(
    certificate: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
    tls: bool,
    implicit: bool,
    auth: bool,
    scheme: str,
    login: str,
    told: tuple[bool, str | None],
) -> None:
    context, trusted = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    async with mail_server(certificate=context if tls else None, implicit=implicit, auth=auth) as box:
        await mailer(f"{scheme}://{login}{box.address}").send("a@b.example", "subject", "text")
    assert [(mail.encrypted, mail.user) for mail in box.mails] == [told]


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    certificate: tuple[ssl.SSLContext, Path],
) -> None:
    for implicit, scheme in ((False, "smtp"), (True, "smtps")):
        async with mail_server(certificate=certificate[0], implicit=implicit, auth=True) as box:
            with pytest.raises(MailFailed):
                await mailer(f"{scheme}://{LOGIN}{box.address}").send("a@b.example", "subject", "text")
        assert (box.mails, box.tries) == ([], 0)


async def test_a_password_crosses_no_network_unencrypted() -> None:
    """Whoever sits between could take STARTTLS out of the server's offer, and read the password."""
    async with mail_server(auth=True, host="127.0.0.2") as box:
        with pytest.raises(MailFailed):
            await mailer(f"smtp://{LOGIN}{box.address}").send("a@b.example", "subject", "text")
    assert (box.mails, box.tries) == ([], 0)


async def test_a_wrong_password_is_an_error_that_does_not_tell_it() -> None:
    async with mail_server(auth=True) as box:
        with pytest.raises(MailFailed) as failed:
            await mailer(f"smtp://{USER}:secret-word@{box.address}").send("a@b.example", "subject", "text")
    assert "secret-word" not in str(failed.value)
    assert box.mails == []


async def test_a_server_that_is_down_or_refuses_is_an_error_in_words() -> None:
    async with mail_server() as box:
        box.refusal = "550 not today"
        with pytest.raises(MailFailed, match=r"a@b\.example was not taken.*not today"):
            await mailer(f"smtp://{box.address}").send("a@b.example", "subject", "text")
    with pytest.raises(MailFailed):  # it has closed
        await mailer(f"smtp://{box.address}").send("a@b.example", "subject", "text")


SUBJECTS = {
    "a line break": "Hello\r\nBcc: all@example.com",
    "a bare line feed": "Hello\nBcc: all@example.com",
    "a bare carriage return": "Hello\rBcc: all@example.com",
    "a line separator": "Hello\u2028Bcc: all@example.com",
    "a vertical tab": "Hello\x0bBcc: all@example.com",
    "a folded header": "Hello\r\n Bcc: all@example.com",
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
async def test_a_subject_begins_no_other_header(subject: str) -> None:
    async with mail_server() as box:
        await mailer(f"smtp://{box.address}").send("a@b.example", subject, "text")
    (mail,) = box.mails
    assert mail.message["Bcc"] is None
    assert mail.to == ["a@b.example"]
    assert mail.message["Subject"] == "Hello Bcc: all@example.com"


ADDRESSES = {
    "a line break": "a@b.example\r\nBcc: all@example.com",
    "a line feed": "a@b.example\nBcc: all@example.com",
    "two of them": "a@b.example, all@example.com",
    "a name with an address": "Ayşe <all@example.com>",
    "a group": "all: a@b.example, c@d.example;",
    "a command": "a@b.example>\r\nRCPT TO:<all@example.com",
    "a NUL": "a@b.example\x00",
    "no host": "a@",
    "no at": "nobody",
    "nothing": "",
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
async def test_what_is_not_one_address_gets_nothing(address: str) -> None:
    async with mail_server() as box:
        with pytest.raises(MailFailed):
            await mailer(f"smtp://{box.address}").send(address, "subject", "text")
    assert box.mails == []
