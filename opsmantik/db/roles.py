"""The two roles and their passwords.

The owner owns the schema and migrates it; the application's role is what the server connects as: it owns
nothing and row security binds it. Their passwords are derived from the installation's secret key, so several
nodes that share the key agree without telling each other.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

OWNER = "opsmantik_owner"
APP = "opsmantik_app"
DATABASE = "opsmantik"


def role_password(secret: str, role: str) -> str:
    """The role's password: 64 hex digits, HMAC-SHA256 over "role:" and its name."""
    return hmac.new(secret.encode(), b"role:" + role.encode(), hashlib.sha256).hexdigest()


def with_credentials(url: str, user: str, password: str) -> str:
    """The same server, port, database and options for another user; takes one host or several."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    options = parse_qsl(parts.query, keep_blank_values=True)
    options = [(name, value) for name, value in options if name not in ("user", "password", "passfile")]
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{hosts}"
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(options, quote_via=quote), ""))


def app_password(app_url: str, secret: str) -> str:
    """The password that the application's role shall have: the one in its address, else the derived one."""
    parts = urlsplit(app_url)
    given = unquote(parts.password or "") if parts.username == APP else ""
    return given or role_password(secret, APP)


async def bootstrap(admin_dsn: str, database_dsn: str, secret: str) -> None:
    """As the superuser of an embedded server: the owner, its database and the statistics it may read.

    Safe to repeat. The owner is no superuser: what migrations do here, they can do on a hosted server too.
    """
    admin = await asyncpg.connect(admin_dsn)
    try:
        if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER):
            await admin.execute(f"CREATE ROLE {OWNER}")
        await admin.execute(
            f"ALTER ROLE {OWNER} LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS"
            f" PASSWORD '{role_password(secret, OWNER)}'"
        )
        await admin.execute(f"GRANT pg_monitor TO {OWNER}")
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await admin.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        preloaded = await admin.fetchval("SELECT current_setting('shared_preload_libraries')")
    finally:
        await admin.close()
    if "pg_stat_statements" in preloaded:
        inside = await asyncpg.connect(database_dsn)
        try:
            await inside.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        finally:
            await inside.close()
