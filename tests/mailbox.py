"""A real mail server on a loopback port, for as long as a test needs one: what it took can be read."""

from __future__ import annotations

import asyncio
import email
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "opsmantik", "wörd/with:signs@"


class Mail(NamedTuple):
    """A message that the server took."""

    to: list[str]
    message: EmailMessage
    encrypted: bool
    user: str | None

    @property
    def text(self) -> str:
        """The body, with line breaks as programs write them; on the wire they are CR LF."""
        content: str = self.message.get_content()
        return content.replace("\r\n", "\n")


class Mailbox:
    """What came in; with ``refusal`` set, nothing does."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.refusal: str | None = None
        self.address = ""
        self.tries = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the server's name for it
        if self.refusal:
            return self.refusal
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        user = session.auth_data if session.authenticated else None
        encrypted = server.transport.get_extra_info("sslcontext") is not None
        self.mails.append(Mail(envelope.rcpt_tos, message, encrypted, user))
        return "250 taken"

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any
    ) -> AuthResult:
        self.tries += 1
        right = (given.login.decode(), given.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=right, auth_data=given.login.decode(), handled=False)


@asynccontextmanager
async def mail_server(
    *,
    certificate: ssl.SSLContext | None = None,
    implicit: bool = False,
    auth: bool = False,
    host: str = "127.0.0.1",
) -> AsyncIterator[Mailbox]:
    """Listens until the end of the block. With a certificate it offers STARTTLS, or speaks TLS from the start if
    ``implicit``; with ``auth`` it takes mail from :data:`USER` only."""
    box = Mailbox()
    more: dict[str, Any] = {}
    if certificate and not implicit:
        more |= {"tls_context": certificate}
    if auth:
        more |= {
            "authenticator": box.authenticate, "auth_required": True, "auth_require_tls": False,
        }  # fmt: skip
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, hostname="mail.test", enable_SMTPUTF8=True, **more),
        host,
        0,
        ssl=certificate if implicit else None,
    )
    box.address = f"{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield box
    finally:
        server.close()


def make_certificate(home: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate for loopback, signed by itself: the server's side, and the file that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = home / "mail.pem", home / "mail.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
