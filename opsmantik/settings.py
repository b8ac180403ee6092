"""Every environment variable, typed, in one place.

Enters: the environment. Leaves: one frozen :class:`Settings`; what cannot be used is refused by the name of
its variable (:class:`~opsmantik.errors.SettingsError`). A variable is its field in capitals after
``OPSMANTIK_``, except ``DATABASE_URL``, which keeps the name that every host gives it. Empty is not set.
"""

from __future__ import annotations

import ast
import inspect
import ipaddress
import os
import secrets
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from opsmantik.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
GeoHeaders = Literal["none", "cloudflare", "vercel"]
LogLevel = Literal["debug", "info", "warning", "error"]

# A key that can be guessed gives away the application's database password and every signed link.
SHORTEST_SECRET = 32


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How this installation is set up. Each field's docstring is its line in the documentation."""

    home: Path = Path(".opsmantik")
    """Directory for everything that OpsMantik keeps on disk."""

    database_url: str | None = None
    """PostgreSQL 15 or newer to use, as the owner of the schema: postgresql://owner:password@host/database.
    Not set: a server of our own, kept in the home directory."""

    app_database_url: str | None = None
    """The same database as the role opsmantik_app. Not set: DATABASE_URL with that role and its derived
    password. Needed behind poolers that change user names."""

    pooler: Literal["none", "transaction"] = "none"
    """transaction: OPSMANTIK_APP_DATABASE_URL leads to a pooler (pgbouncer) that gives out a connection for each
    transaction; DATABASE_URL goes around it: migrations, background jobs and what listens need connections of their own."""

    read_database_url: str | None = None
    """A streaming standby of the database, as the role opsmantik_app: people's pages read from it whatever it has replayed
    already, and the rest from the primary. Not set: all reads go to the primary."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every network card."""

    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    """TCP port to listen on."""

    public_url: str | None = None
    """Address under which browsers reach OpsMantik, as in https://leads.example.com.
    Not set: made of host and port."""

    secret_key: str | None = None
    """At least 32 characters that nobody can guess; signs links and derives the database passwords.
    Not set: generated once into secret.key in the home directory. Set it when machines share a database."""

    encryption_keys: tuple[str, ...] = ()
    """Keys of 64 hex digits, separated by commas, that seal other services' tokens and signing secrets in the database;
    the first one seals, all open. Not set: the file encryption.keys in the home directory, made once. Set them when
    machines share a database."""

    smtp_url: str | None = None
    """Mail server, as in smtp://user:password@mail.example.com:587 (STARTTLS where it is offered; with a password it
    must be, unless the server is on this machine) or smtps://…:465. Not set: nothing is mailed; links are shown to be
    copied instead."""

    mail_from: str | None = None
    """Sender of mail, as in OpsMantik <leads@example.com>. Not set: opsmantik@ and the host of the public address."""

    webhook_networks: tuple[Network, ...] = ()
    """Networks of your own (CIDR, separated by commas) to which webhooks may be sent although they are not public, there
    also by plain http and on any port. Not set: none."""

    google_client_id: str | None = None
    """Client id of a web application in the Google Cloud console, to sign in with Google and to connect sites with Google
    Ads; its redirect addresses are the public address and /sign-in/google/callback, and /connect/google/callback.
    Not set: nobody signs in with Google, and only service accounts connect sites."""

    google_client_secret: str | None = None
    """Secret of that client."""

    oidc_issuer: str | None = None
    """Issuer of an OpenID Connect provider to sign in with, as it names itself: https://login.example.com/realms/main.
    Its redirect address for us is the public address and /sign-in/oidc/callback. Not set: there is none."""

    oidc_client_id: str | None = None
    """Client id that this provider knows us by."""

    oidc_client_secret: str | None = None
    """Secret of that client."""

    oidc_name: str = "OpenID Connect"
    """What the provider is called on the sign-in page."""

    google_auth_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    """Where people are asked whether this installation may report conversions for them."""

    google_token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    """Where Google hands out access tokens."""

    google_revoke_url: str = "https://oauth2.googleapis.com/revoke"
    """Where a connection with Google is ended."""

    data_manager_url: str = "https://datamanager.googleapis.com"
    """Google's Data Manager API. Another address only for a relay of your own, in OPSMANTIK_WEBHOOK_NETWORKS if it is not
    public; so too the next two."""

    google_ads_url: str = "https://googleads.googleapis.com"
    """Google Ads API."""

    meta_url: str = "https://graph.facebook.com"
    """Meta's Graph API."""

    trusted_proxies: tuple[Network, ...] = ()
    """Networks (CIDR, separated by commas) of the proxies in front; only their forwarding and place headers
    are believed. Not set: nobody's are."""

    geo_headers: GeoHeaders = "none"
    """Whose place headers a trusted proxy sends: none, cloudflare or vercel."""

    geoip_database: Path | None = None
    """City database in MaxMind's format (.mmdb), read when no header tells the place."""

    log_level: LogLevel = "info"
    """Least important message that is still logged: debug, info, warning or error."""

    disk_free_mb: Annotated[int, Meta(ge=0)] = 512
    """Megabytes that must be free on the home directory's disk; with less the server says that it is not ready."""

    metrics_token: str | None = None
    """At least 32 characters that whoever reads /metrics brings as Authorization: Bearer. Not set: only programs on this
    machine may read them."""

    alert_webhook: str | None = None
    """Where the watchdog posts what is wrong with the installation, signed by Standard Webhooks; https, or an address in
    OPSMANTIK_WEBHOOK_NETWORKS. `opsmantik watch secret` prints the secret to verify it with. Not set: nowhere."""

    archive: Literal["off", "on"] = "off"
    """on: what retention is about to drop for good is written to Parquet files first, month by month; off: it is dropped.
    Archived rows are kept beyond the time that sites say they keep them: switch it on only where that is right."""

    archive_directory: Path | None = None
    """Directory for archived months; servers that share a database have to share it, too. Not set: archive in the home
    directory."""

    archive_months: Annotated[int, Meta(ge=0, le=600)] = 12
    """Months for which an archived month's files are kept before they are removed; 0 keeps them for ever."""

    batch_window_ms: Annotated[float, Meta(ge=0, le=1000)] = 3
    """Milliseconds for which events are gathered into one transaction."""

    batch_max: Annotated[int, Meta(ge=1, le=5000)] = 500
    """Most events in one transaction."""

    rate_limit_per_minute: Annotated[int, Meta(ge=0)] = 2000
    """Requests a minute that one client may send for one site; 0 switches the limit off."""

    rate_limit_burst: Annotated[int, Meta(ge=1)] = 500
    """Requests that a client may send at once before that rate binds it."""

    site_rate_limit_per_minute: Annotated[int, Meta(ge=0)] = 18_000
    """Events a minute that all clients of one site together may send to one server; 0 switches the limit off."""

    valkey_url: str | None = None
    """Valkey or Redis that several servers share, as in valkey://user:password@host:6379/0 (valkeys:// for TLS):
    notices and rate limits go through it. Not set: notices go through PostgreSQL, each server limits by itself."""

    @property
    def base_url(self) -> str:
        """Where browsers reach this installation, without a slash at the end."""
        return self.public_url or self.local_url

    @property
    def local_url(self) -> str:
        """Where programs on this machine reach it, whatever stands in front."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not bound to
        host = everywhere.get(self.host) or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{host}:{self.port}"

    def __repr__(self) -> str:
        """Without the fields that hold secrets, since settings end up in logs."""
        hidden = {
            "secret_key", "database_url", "app_database_url", "read_database_url", "valkey_url", "encryption_keys",
            "smtp_url", "google_client_secret", "oidc_client_secret", "metrics_token", "alert_webhook",
        }  # fmt: skip
        shown = {n: "***" if n in hidden and v else v for n, v in msgspec.structs.asdict(self).items()}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Variable(msgspec.Struct, frozen=True):
    """One environment variable, for documents and for checking them."""

    name: str
    field: str
    default: object
    description: str


def variable(field: str) -> str:
    """The environment variable of a field."""
    return "DATABASE_URL" if field == "database_url" else f"OPSMANTIK_{field.upper()}"


def variables() -> list[Variable]:
    """All of them, in the order of the struct."""
    documented = {}
    for field, doc in pairwise(ast.parse(inspect.getsource(Settings)).body[0].body):  # type: ignore[attr-defined]
        match field, doc:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                documented[name] = inspect.cleandoc(text).replace("\n", " ")
    defaults = msgspec.structs.asdict(Settings())
    return [Variable(variable(f), f, defaults[f], documented.get(f, "")) for f in Settings.__struct_fields__]


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; the process's own environment if none is given.

    Raises :class:`~opsmantik.errors.SettingsError` naming the first variable that cannot be used.
    """
    environ = os.environ if environ is None else environ
    hints = get_type_hints(Settings, include_extras=True)
    given: dict[str, Any] = {}
    for field in Settings.__struct_fields__:
        text = environ.get(variable(field), "").strip()
        if not text:
            continue
        try:
            read = _READ.get(field)
            given[field] = read(text) if read else msgspec.convert(text, hints[field], strict=False)
        except ValueError as wrong:  # msgspec.ValidationError is one
            raise SettingsError(variable=variable(field), problem=str(wrong)) from None
    given["home"] = Path(given.get("home", Path(".opsmantik"))).expanduser().absolute()
    return Settings(**given)


def secret(settings: Settings) -> str:
    """The installation's secret key: OPSMANTIK_SECRET_KEY, or the one in ``secret.key``, made at first use.

    The file has mode 0600 and appears whole or not at all, so two processes that start at once agree on it.
    """
    if settings.secret_key:
        return settings.secret_key
    return keep_secret(settings.home / "secret.key")


def keep_secret(path: Path) -> str:
    """The secret in this file (mode 0600); a new one of 256 bits if there is no file."""
    if not path.exists():
        private_directory(path.parent)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(fresh)  # fails if another process was faster: then its key is the key
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()


def private_directory(path: Path) -> Path:
    """Make this directory, and those above it that are missing, for their owner's eyes only (mode 0700)."""
    for directory in (*reversed(path.parents), path):
        directory.mkdir(mode=0o700, exist_ok=True)
    return path


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _secret(text: str) -> str:
    if len(text) < SHORTEST_SECRET:
        raise ValueError(f"has {len(text)} characters, needs {SHORTEST_SECRET} or more")
    return text


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def _database(text: str) -> str:
    if urlsplit(text).scheme not in ("postgresql", "postgres"):
        raise ValueError("is not an address of the form postgresql://user:password@host:port/database")
    return text


def _valkey(text: str) -> str:
    parts = urlsplit(text)
    schemes = ("valkey", "valkeys", "redis", "rediss", "unix")
    if parts.scheme not in schemes or not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise ValueError("is not an address of the form valkey://user:password@host:6379/0")
    _ = parts.port  # raises where it is no number
    return text


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is not an address of the form https://leads.example.com")
    return text.rstrip("/")


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an address of the form https://alerts.example.com/hook")
    return text


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    loopback = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not (loopback or (parts.scheme == "https" and parts.hostname)) or parts.query or parts.fragment:
        raise ValueError(
            "is not an address of the form https://login.example.com (http only on this machine)"
        )
    return text  # as it is: it is compared, letter by letter, with what the provider calls itself


def _mail_server(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("is not an address of the form smtp://user:password@mail.example.com:587")
    _ = parts.port  # raises where it is no number
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_READ: dict[str, Any] = {
    "home": _path,
    "geoip_database": _path,
    "archive_directory": _path,
    "database_url": _database,
    "app_database_url": _database,
    "read_database_url": _database,
    "public_url": _address,
    "secret_key": _secret,
    "valkey_url": _valkey,
    "encryption_keys": _words,
    "smtp_url": _mail_server,
    "metrics_token": _secret,
    "alert_webhook": _web_address,
    "oidc_issuer": _issuer,
    "webhook_networks": _networks,
    "trusted_proxies": _networks,
    "log_level": lambda text: msgspec.convert(text.lower(), LogLevel),
    "geo_headers": lambda text: msgspec.convert(text.lower(), GeoHeaders),
}
